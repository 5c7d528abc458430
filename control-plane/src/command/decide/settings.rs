//! Settings that are to be in force, and rate cards that hang on them.

use creditgate_core::rate_card::{Mode, OnEmpty, Promise, RateCardDocument, RuleDocument};
use creditgate_ledger::Refusal;
use creditgate_ledger::registry::Settings;

use super::Work;
use crate::command::Outcome;

/// Of a rate card whose requests may cost more than the settings allow.
const OVERRUN_MAX_ZERO: &str = "overrun_max_zero";

impl Work<'_> {
    pub(super) fn put_settings(&mut self, mut settings: Settings) -> Result<Outcome, Refusal> {
        let cards = self.registry.rate_cards.iter();
        let mut cards = cards.filter(|card| card.is_live());
        let expecting = cards.find_map(|card| Some((card, overrunning(&card.document)?)));
        if let Some((card, (rule, _))) = expecting.filter(|_| settings.overrun_max.is_zero()) {
            let problem = format!(
                "must be more than 0 while requests of rule {rule} of rate card {} may cost more than is lent for them",
                card.head.name
            );
            let (field, code) = ("/overrun_max", OVERRUN_MAX_ZERO);
            return Err(Refusal::Invalid {
                field,
                code,
                problem,
            });
        }
        let before = &self.registry.settings;
        let ever = before.offline_allowance_ever;
        settings.offline_allowance_ever = ever.max(settings.offline_allowance);
        // Gateways need not hear of what concerns wallets only.
        let is_told = told(before) != told(&settings);
        self.registry_mut().settings = settings.clone();
        if is_told {
            self.bump_config();
        }
        Ok(Outcome::Settings(Box::new(settings)))
    }

    /// A card whose requests may cost more than is lent for them needs room for that: whoever
    /// reports more than the setting allows is frozen.
    pub(super) fn check_overruns(&self, card: &RateCardDocument) -> Result<(), Refusal> {
        let Some((_, field)) = overrunning(card) else {
            return Ok(());
        };
        if !self.registry.settings.overrun_max.is_zero() {
            return Ok(());
        }
        let problem = "requests of this rule may cost more than is lent for them, for which a \
                       gateway is frozen while the setting overrun_max is 0; PATCH /v1/settings \
                       with what a customer's requests in flight at one gateway may cost beyond it"
            .to_owned();
        Err(Refusal::InvalidAt {
            field,
            code: OVERRUN_MAX_ZERO,
            problem,
        })
    }
}

/// The first rule of a card whose requests may cost more than is reserved for them, and where
/// it says so.
fn overrunning(card: &RateCardDocument) -> Option<(&str, String)> {
    let mut rules = card.rules.iter().enumerate();
    let found = rules.find(|(_, rule)| rule.mode == Mode::Enforce && may_overrun(rule));
    found.map(|(place, rule)| (rule.id.as_str(), format!("/rules/{place}/promise")))
}

fn may_overrun(rule: &RuleDocument) -> bool {
    match rule.promise {
        Promise::Strict => false,
        Promise::Metered => rule.on_empty == OnEmpty::Finish,
        Promise::Expected => true,
    }
}

/// What gateways are told of the settings.
fn told(settings: &Settings) -> impl PartialEq + '_ {
    let amounts = (settings.offline_allowance, settings.warn_below);
    (settings.timing, &settings.top_up_url, amounts)
}
