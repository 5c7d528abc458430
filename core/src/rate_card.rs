//! What a request costs: the document operators write, and the card made from it.
//!
//! [`RateCard::compile`] turns a [`RateCardDocument`] into a card that prices a request by
//! method, path and further conditions without allocating. Which rule is taken is decided in
//! this order:
//!
//! 1. a CORS preflight or a free path: free; then, if the card lets routes of the proxy name
//!    rules and the request's does, that rule, whatever its path, methods and conditions;
//! 2. an exact path, before a template (more literal segments first), before a prefix
//!    (longest first), each only if the rule's methods fit;
//! 3. among rules for the same path: those that name the method, before `HEAD` by a rule
//!    for `GET`, before those for any method;
//! 4. among those: the rule with the most conditions, all of which must hold;
//! 5. the rule that stands first in the document;
//! 6. no rule: the card's default.
//!
//! A path that readers could take for different ones is refused, whatever the default; see
//! [`normalize`]. So is a request whose rule hangs on a header or a parameter that readers
//! could take for different ones.
//!
//! A rule is a fixed price, or besides prices what was measured or the tokens of language
//! models: [`Rule::estimate`] says what to reserve before a request is served,
//! [`Rule::cost`] what it cost, and [`Rule::verdict`] whether that is charged. What a customer
//! pays otherwise is a [`Pricing`], applied to the rule.

mod by_model;
mod compile;
mod conditions;
mod cost;
mod discount;
mod document;
mod due;
mod error;
mod estimate;
mod glob;
mod matcher;
mod meters;
mod models;
mod path;
mod pattern;
mod price;
mod pricing;
mod request;
mod rule;
mod settling;
mod sum;
mod tokens;

pub use compile::{
    DEFAULT_RULE_ID, FREE_PATHS_MAX, METHODS_MAX, NAME_LENGTH_MAX, PRICE_MAX, RULE_ID_LENGTH_MAX,
    RULES_MAX,
};
pub use conditions::{CONDITION_LENGTH_MAX, CONDITIONS_MAX};
pub use cost::{CostError, Measures, Models};
pub use discount::{Discount, DiscountOutOfRange};
pub use document::{
    CardPricingDocument, Cause, Charge, ConditionsDocument, ContextTierDocument, EndingDocument,
    EstimateDocument, FieldConditionDocument, Flag, GrpcPath, MeterDocument, MeterPriceDocument,
    MeterSource, Mode, ModelDiscountDocument, ModelDocument, OnEmpty, OverMax, PathPattern, Per,
    Price, PricedBy, PricingDocument, Promise, RateCardDocument, RuleDocument, RulePricingDocument,
    SettleDocument, TokensDocument, UnknownModel, Unmatched, Verdict,
};
pub use error::RateCardError;
pub use estimate::{EstimateError, Foreseen};
pub use glob::{GLOB_STARS_MAX, Glob, MODEL_LENGTH_MAX};
pub use meters::{COUNT_MAX, METERS_MAX, Meter, Readings, reading};
pub use models::{CONTEXT_TIERS_MAX, MODELS_MAX};
pub use path::{AmbiguousPath, normalize};
pub use pattern::{PATH_LENGTH_MAX, PATH_SEGMENTS_MAX};
pub use pricing::{OVERRIDES_MAX, PRICED_CARDS_MAX, Pricing};
pub use request::{Ambiguity, AskedModel, Decision, Facts, NoFacts, Request};
pub use rule::Rule;
pub use settling::{Causes, ENDINGS_MAX, Ending, SETTLE_RULES_MAX};
pub use sum::Rounding;
pub use tokens::{
    BYTES_PER_TOKEN_MAX, OutputLimit, PassedOver, REQUEST_BODY_BYTES_DEFAULT,
    REQUEST_BODY_BYTES_MAX, TOKENS_MAX, TokenTerms,
};

use crate::amount::{Currency, Scale};
use conditions::Holds;
use matcher::{Found, Matcher};
use models::ModelTable;
use std::collections::HashMap;
use std::sync::Arc;

/// A rate card, checked and ready to price requests.
#[derive(Debug)]
pub struct RateCard {
    version: u64,
    name: String,
    currency: Currency,
    scale: Scale,
    unmatched: Default,
    free: Matcher,
    matcher: Matcher,
    rules: Vec<Rule>,
    /// Rules by their ids; none if routes don't name them.
    named: Option<HashMap<Arc<str>, usize>>,
    models: Arc<ModelTable>,
}

#[derive(Debug)]
enum Default {
    Deny,
    Free,
    Price(Rule),
}

impl RateCard {
    /// Prices a request.
    ///
    /// A request without a path has no rule and so gets the default: `OPTIONS *`, and
    /// `CONNECT` to an authority. Any other target that is no path (Envoy turns absolute
    /// URLs into paths before filters see them) is refused as ambiguous.
    #[must_use]
    pub fn price(&self, request: Request<'_>) -> Decision<'_> {
        let is = |method: &[u8]| request.method.eq_ignore_ascii_case(method);
        if request.is_cors_preflight && is(b"OPTIONS") {
            return Decision::Free;
        }
        let path = match normalize(request.path) {
            Ok(path) => path,
            Err(AmbiguousPath::NotAPath)
                if is(b"CONNECT") || (is(b"OPTIONS") && request.path == b"*") =>
            {
                return self.unmatched();
            }
            Err(reason) => return Decision::Ambiguous(Ambiguity::Path(reason)),
        };
        if self.free.has(&path) {
            return Decision::Free;
        }
        if let Some(named) = &self.named
            && let Some(name) = request.facts.rule()
        {
            let rule = std::str::from_utf8(&name).ok();
            let rule = rule.and_then(|name| self.rules.get(*named.get(name)?));
            return rule.map_or(Decision::UnknownRule, Decision::Rule);
        }
        let fit = |rule: usize| {
            let rule = self.rules.get(rule)?;
            let conditions = rule.conditions.as_ref().map_or(0, |own| own.count());
            Some((rule.fit(request.method)?, conditions))
        };
        let hold = |rule: usize| {
            let conditions = self
                .rules
                .get(rule)
                .and_then(|rule| rule.conditions.as_ref());
            conditions.map_or(Holds::Yes, |own| own.hold(request))
        };
        match self.matcher.find(&path, fit, hold) {
            Found::Rule(rule) => match self.rules.get(rule) {
                Some(rule) => Decision::Rule(rule),
                None => self.unmatched(),
            },
            Found::Nothing => self.unmatched(),
            Found::Ambiguous(reason) => Decision::Ambiguous(reason),
            Found::NeedsModel { body_bytes_max } => Decision::NeedsBody {
                bytes_max: body_bytes_max,
            },
        }
    }

    fn unmatched(&self) -> Decision<'_> {
        match &self.unmatched {
            Default::Deny => Decision::Deny,
            Default::Free => Decision::Free,
            Default::Price(rule) => Decision::Rule(rule),
        }
    }

    /// The version it was compiled as.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Its name, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its prices are in.
    #[must_use]
    pub const fn currency(&self) -> Currency {
        self.currency
    }

    /// The digits after the point its prices are counted in.
    #[must_use]
    pub const fn scale(&self) -> Scale {
        self.scale
    }

    /// Its rules, as they stand in the document; without the default.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule of this id; `default` for the default, if that is a price.
    #[must_use]
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        if let Default::Price(rule) = &self.unmatched
            && rule.id() == id
        {
            return Some(rule);
        }
        self.rules.iter().find(|rule| rule.id() == id)
    }

    /// The name under which a model is listed: its own, else that of the glob that spells out
    /// most. `None`: nothing is known of it.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<&str> {
        self.models.find(name).map(|(listed, _)| listed)
    }
}

#[cfg(test)]
mod tests;
