//! What one customer pays otherwise than the rate cards say, as operators write it.

use super::super::discount::Discount;
use super::meters::MeterSource;
use super::models::ModelDocument;
use super::price::{Per, Price};
use super::{given, is_default};
use serde::{Deserialize, Serialize};

/// Discounts and prices of one customer. What is set for a model counts before what is set for
/// a rule, that before what is set for a rate card, and that before the discount on everything;
/// they are not added up.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PricingDocument {
    /// Off everything, in parts per million: 100000 is a tenth, 1000000 all of it. 0 if absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub discount_ppm: Discount,
    /// What differs by rate card: at most 16 cards, and at most 256 rules and models in all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rate_cards: Vec<CardPricingDocument>,
}

/// Discounts and prices of one customer under one rate card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CardPricingDocument {
    /// The rate card's name, as gateways are told to use it.
    pub rate_card: String,
    /// Off everything under this card, instead of what is off everything.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Discount"))]
    pub discount_ppm: Option<Discount>,
    /// Rules of the card, each at most once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RulePricingDocument>,
    /// Prices of models that the card lists, looked up as the card's own are. Where a model has
    /// prices here, no other discount is taken off its tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelDocument>,
    /// Discounts on models that the card lists. No name is both here and in `models`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub model_discounts: Vec<ModelDiscountDocument>,
}

/// What a customer pays for the requests of a rule. What is not given is as the rule has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RulePricingDocument {
    /// The rule's id; `default` for the card's default, if that is a price.
    pub rule: String,
    /// Off what the rule costs, also off prices that stand here, but not off tokens of models
    /// that stand in this card's `models` or `model_discounts`. 0 if absent: a rule that is
    /// named is not discounted by what is off everything.
    #[serde(default, skip_serializing_if = "is_default")]
    pub discount_ppm: Discount,
    /// The price of one request, instead of the rule's.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Price"))]
    pub price: Option<Price>,
    /// Prices of what the rule measures, instead of the rule's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meters: Vec<MeterPriceDocument>,
}

/// Another price of what a rule measures. `estimate` and `max` stay as the rule has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MeterPriceDocument {
    /// What is measured.
    pub meter: MeterSource,
    /// The price of `per` of it, at least 0.
    pub price: Price,
    /// For how many the price is: 1 (if absent), 1000, 1000000 or 1000000000.
    #[serde(default, skip_serializing_if = "is_default")]
    pub per: Per,
}

/// A discount on the tokens of a model, or of a family of models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ModelDiscountDocument {
    /// Its name, which may have `*` in it.
    pub model: String,
    /// Off what its tokens cost, in parts per million.
    pub discount_ppm: Discount,
}
