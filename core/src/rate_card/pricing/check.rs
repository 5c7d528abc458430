//! Whether a customer's pricing makes sense under the rate cards that there are.

use super::{OVERRIDES_MAX, PRICED_CARDS_MAX, Pricing};
use crate::rate_card::document::{CardPricingDocument, PricingDocument, RulePricingDocument};
use crate::rate_card::glob::Glob;
use crate::rate_card::meters::meter_price;
use crate::rate_card::{Promise, RateCard, RateCardError, Rule};

impl PricingDocument {
    /// Checks what can be said without the cards it names: how much there is of everything.
    ///
    /// # Errors
    /// The first fault, with the place of its field.
    pub fn check_bounds(&self) -> Result<(), RateCardError> {
        if self.rate_cards.len() > PRICED_CARDS_MAX {
            let message = format!("at most {PRICED_CARDS_MAX} rate cards");
            return Err(RateCardError::new(
                "/rate_cards",
                "too_many_overrides",
                message,
            ));
        }
        let mut count = 0_usize;
        for (index, card) in self.rate_cards.iter().enumerate() {
            let pointer = format!("/rate_cards/{index}");
            let mut others = self.rate_cards.iter().take(index);
            if others.any(|other| other.rate_card == card.rate_card) {
                let pointer = pointer + "/rate_card";
                let message = "this rate card has a place here already";
                return Err(RateCardError::new(pointer, "rate_card_taken", message));
            }
            let lists = [
                ("rules", card.rules.len()),
                ("models", card.models.len()),
                ("model_discounts", card.model_discounts.len()),
            ];
            for (field, length) in lists {
                count = count.saturating_add(length);
                if count > OVERRIDES_MAX {
                    let message =
                        format!("at most {OVERRIDES_MAX} rules and models under all rate cards");
                    let pointer = format!("{pointer}/{field}");
                    return Err(RateCardError::new(pointer, "too_many_overrides", message));
                }
            }
        }
        Ok(())
    }
}

impl RateCard {
    /// Checks a customer's pricing against this card, known by this name: every rule, meter and
    /// model that it names there must be the card's, and its prices must make sense.
    ///
    /// # Errors
    /// The first fault, with the place of its field in the document.
    pub fn check_pricing(
        &self,
        document: &PricingDocument,
        name: &str,
    ) -> Result<(), RateCardError> {
        Pricing::compile(document, name, self.scale())?;
        let mut cards = document.rate_cards.iter().enumerate();
        let Some((index, own)) = cards.find(|(_, own)| own.rate_card == name) else {
            return Ok(());
        };
        let pointer = format!("/rate_cards/{index}");
        for (index, document) in own.rules.iter().enumerate() {
            let pointer = format!("{pointer}/rules/{index}");
            let Some(rule) = self.rule(&document.rule) else {
                let message = format!("the rate card has no rule {}", document.rule);
                let pointer = pointer + "/rule";
                return Err(RateCardError::new(pointer, "rule_unknown", message));
            };
            self.check_rule(document, rule, &pointer)?;
        }
        self.check_models(own, &pointer)
    }

    fn check_rule(
        &self,
        document: &RulePricingDocument,
        listed: &Rule,
        pointer: &str,
    ) -> Result<(), RateCardError> {
        if listed.is_free() {
            let message =
                "the rule is free for everyone: gateways do not ask who sends its requests";
            let pointer = format!("{pointer}/rule");
            return Err(RateCardError::new(pointer, "rule_free", message));
        }
        for (index, meter) in document.meters.iter().enumerate() {
            let pointer = format!("{pointer}/meters/{index}");
            let (source, price) = meter_price(
                &meter.meter,
                &meter.price,
                meter.per,
                self.scale(),
                &pointer,
            )?;
            let meters = listed.meters().iter();
            let mut known = meters.filter(|known| *known.source() == source);
            let Some(first) = known.next() else {
                let message = "the rule does not measure that";
                let pointer = pointer + "/meter";
                return Err(RateCardError::new(pointer, "meter_unknown", message));
            };
            if known.next().is_some() {
                let message =
                    "the rule has more than one price of that: which is meant can't be said";
                let pointer = pointer + "/meter";
                return Err(RateCardError::new(pointer, "meter_ambiguous", message));
            }
            let is_bounded = listed.maximum().is_some() || listed.promise() != Promise::Strict;
            if !price.is_zero() && !first.can_be_reserved(is_bounded) {
                let message =
                    "costs nothing in the rate card, which does not say how much to reserve of it";
                let pointer = pointer + "/price";
                return Err(RateCardError::new(pointer, "estimate_missing", message));
            }
        }
        Ok(())
    }

    fn check_models(&self, own: &CardPricingDocument, pointer: &str) -> Result<(), RateCardError> {
        let priced = own.models.iter().map(|own| &own.model);
        let discounted = own.model_discounts.iter().map(|own| &own.model);
        let named = (priced.enumerate().map(|named| ("models", named))).chain(
            discounted
                .enumerate()
                .map(|named| ("model_discounts", named)),
        );
        for (field, (index, model)) in named {
            let pointer = format!("{pointer}/{field}/{index}/model");
            if !self.models.meets(&Glob::compile(model, &pointer)?) {
                let message = format!("the rate card lists no model {model}");
                return Err(RateCardError::new(pointer, "model_unknown", message));
            }
        }
        Ok(())
    }
}
