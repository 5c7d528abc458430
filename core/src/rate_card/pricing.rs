//! What one customer pays otherwise than a rate card says.
//!
//! A [`Pricing`] is compiled from the customer's document once, and [applied](Pricing::apply)
//! to whatever rule a request has: a rule keeps its prices and points at those that are put in
//! their place, so that a request settles by what admitted it, and nothing is allocated for it.
//! It knows no card. What a card lacks has no effect, and [`RateCard::check_pricing`] finds it.

mod check;

use super::by_model::{ByModel, Collecting};
use super::discount::Discount;
use super::document::{CardPricingDocument, MeterSource, PricingDocument, RulePricingDocument};
use super::meters::meter_price;
use super::models::ModelPrices;
use super::price::whole_price;
use super::sum::UnitPrice;
use super::{RateCardError, Rule};
use crate::amount::{Amount, Scale};
use std::sync::Arc;

/// The most rate cards that a customer's pricing names.
pub const PRICED_CARDS_MAX: usize = 16;
/// The most rules and models that a customer's pricing names, under all rate cards together:
/// each worker of each gateway keeps them for each of the customer's keys.
pub const OVERRIDES_MAX: usize = 256;

/// What a customer pays otherwise than the rules of a card say.
#[derive(Debug, Default)]
pub struct Pricing {
    /// For rules that aren't named.
    general: Option<Arc<Own>>,
    /// By id.
    rules: Vec<(Box<str>, Arc<Own>)>,
}

/// What a customer pays otherwise for the requests of a rule.
#[derive(Debug)]
pub(super) struct Own {
    /// Off all but the tokens of models that have something of their own.
    pub(super) discount: Discount,
    pub(super) price: Option<Amount>,
    meters: Vec<(MeterSource, UnitPrice)>,
    models: Arc<ByModel<OwnModel>>,
}

/// What a customer pays otherwise for the tokens of a model.
#[derive(Debug)]
pub(super) enum OwnModel {
    Prices(ModelPrices),
    Discount(Discount),
}

impl Pricing {
    /// Makes a customer's pricing ready for the requests of a gateway with the rate card of
    /// this name, whose prices are counted in `scale`.
    ///
    /// # Errors
    /// The first fault, with the place of its field in the document.
    pub fn compile(
        document: &PricingDocument,
        rate_card: &str,
        scale: Scale,
    ) -> Result<Self, RateCardError> {
        let mut cards = document.rate_cards.iter().enumerate();
        let card = cards.find(|(_, card)| card.rate_card == rate_card);
        match card {
            Some((index, card)) => {
                let pointer = format!("/rate_cards/{index}");
                let discount = card.discount_ppm.unwrap_or(document.discount_ppm);
                Self::of_card(card, discount, scale, &pointer)
            }
            None => Ok(Self::of(document.discount_ppm, Arc::default(), Vec::new())),
        }
    }

    fn of_card(
        card: &CardPricingDocument,
        discount: Discount,
        scale: Scale,
        pointer: &str,
    ) -> Result<Self, RateCardError> {
        let models = Arc::new(models(card, scale, pointer)?);
        let mut rules: Vec<(Box<str>, Arc<Own>)> = Vec::with_capacity(card.rules.len());
        for (index, document) in card.rules.iter().enumerate() {
            let pointer = format!("{pointer}/rules/{index}");
            let own = Own::compile(document, &models, scale, &pointer)?;
            let place = rules.partition_point(|(id, _)| **id < *document.rule);
            if rules
                .get(place)
                .is_some_and(|(id, _)| **id == *document.rule)
            {
                let pointer = pointer + "/rule";
                let message = "this rule has a place here already";
                return Err(RateCardError::new(pointer, "rule_taken", message));
            }
            rules.insert(place, (document.rule.as_str().into(), Arc::new(own)));
        }
        Ok(Self::of(discount, models, rules))
    }

    fn of(
        discount: Discount,
        models: Arc<ByModel<OwnModel>>,
        rules: Vec<(Box<str>, Arc<Own>)>,
    ) -> Self {
        let is_own = !discount.is_none() || !models.is_empty();
        let own = || Own {
            discount,
            price: None,
            meters: Vec::new(),
            models,
        };
        Self {
            general: is_own.then(|| Arc::new(own())),
            rules,
        }
    }

    /// The rule with the customer's prices, whatever prices of a customer it had.
    #[must_use]
    pub fn apply(&self, rule: &Rule) -> Rule {
        let named = self.rules.binary_search_by(|(id, _)| (**id).cmp(rule.id()));
        let named = named.ok().and_then(|place| self.rules.get(place));
        let own = named.map(|(_, own)| own).or(self.general.as_ref());
        Rule {
            own: own.cloned(),
            ..rule.clone()
        }
    }

    /// The ids of the rules that it names, in their order.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|(id, _)| &**id)
    }
}

impl Own {
    fn compile(
        document: &RulePricingDocument,
        models: &Arc<ByModel<OwnModel>>,
        scale: Scale,
        pointer: &str,
    ) -> Result<Self, RateCardError> {
        let price = document.price.as_ref();
        let price = price.map(|price| whole_price(price, scale, &format!("{pointer}/price")));
        let mut meters: Vec<(MeterSource, UnitPrice)> = Vec::new();
        for (index, meter) in document.meters.iter().enumerate() {
            let pointer = format!("{pointer}/meters/{index}");
            let own = meter_price(&meter.meter, &meter.price, meter.per, scale, &pointer)?;
            if meters.iter().any(|(source, _)| *source == own.0) {
                let pointer = pointer + "/meter";
                let message = "this has a price here already";
                return Err(RateCardError::new(pointer, "meter_taken", message));
            }
            meters.push(own);
        }
        Ok(Self {
            discount: document.discount_ppm,
            price: price.transpose()?,
            meters,
            models: Arc::clone(models),
        })
    }

    /// The price of what is measured, if it is another.
    pub(super) fn meter(&self, source: &MeterSource) -> Option<UnitPrice> {
        let mut meters = self.meters.iter();
        meters
            .find(|(own, _)| own == source)
            .map(|(_, price)| *price)
    }

    /// What differs for the tokens of a model.
    pub(super) fn model(&self, name: &str) -> Option<&OwnModel> {
        self.models.find(name).map(|(_, own)| own)
    }
}

fn models(
    card: &CardPricingDocument,
    scale: Scale,
    pointer: &str,
) -> Result<ByModel<OwnModel>, RateCardError> {
    let mut models = Collecting::default();
    for (index, document) in card.models.iter().enumerate() {
        let pointer = format!("{pointer}/models/{index}");
        let prices = ModelPrices::compile(document, scale, &pointer)?;
        let own = OwnModel::Prices(prices);
        models.add(&document.model, own, &format!("{pointer}/model"))?;
    }
    for (index, document) in card.model_discounts.iter().enumerate() {
        let pointer = format!("{pointer}/model_discounts/{index}/model");
        let own = OwnModel::Discount(document.discount_ppm);
        models.add(&document.model, own, &pointer)?;
    }
    Ok(models.end())
}
