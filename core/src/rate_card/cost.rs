//! What a request cost, from what was measured of it.
//!
//! Everything is summed exactly, discounted, bounded, and rounded once. A rule that is a fixed
//! price, as it is listed, has none of that to do.

use super::due::Due;
use super::meters::{Meter, Readings};
use super::sum::{Sum, UnitPrice};
use super::{Promise, Rounding, Rule};
use crate::amount::Amount;
use crate::usage::TokenCounts;

/// What was measured of a request. What a rule has no meter for need not be filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Measures {
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the response's body.
    pub response_bytes: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// What headers and trailers say, each at the place of its meter. What is missing costs
    /// what was estimated.
    pub readings: Readings,
    /// Tokens the answer says it used.
    pub tokens: TokenCounts,
}

/// The models that a request and its answer name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Models<'a> {
    /// The one that was asked for.
    pub asked: Option<&'a str>,
    /// The one that answered.
    pub answered: Option<&'a str>,
}

/// Why what was measured has no cost. What was reserved is charged then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CostError {
    /// More than [`PRICE_MAX`](super::PRICE_MAX): no sane answer costs that.
    #[error("the cost is more than any balance")]
    Absurd,
    /// Neither the model that answered nor the one asked for is in the card.
    #[error("the model is not in the rate card")]
    UnknownModel,
}

impl Rule {
    /// What a request costs that was measured so.
    ///
    /// The more was measured, the more it costs, in each count. A fixed price as it is listed is
    /// just that, without any arithmetic.
    ///
    /// # Errors
    /// If there is no telling; see [`CostError`].
    pub fn cost(&self, measures: &Measures, models: &Models<'_>) -> Result<Amount, CostError> {
        if self.is_fixed() {
            return self.fixed_cost().ok_or(CostError::Absurd);
        }
        let mut sum = Sum::of(self.base());
        for (meter, reading) in self.meters().iter().zip(measures.readings) {
            sum = sum.plus(meter.cost(self.own_price(meter), measures, reading));
        }
        let mut due = sum.due(self.discount());
        if let Some(tokens) = self.tokens() {
            let cost = tokens.cost(&measures.tokens, models, self.own.as_deref());
            due = due.plus(cost.map_err(|_| CostError::UnknownModel)?);
        }
        self.rounded(self.bounded(due)).ok_or(CostError::Absurd)
    }

    /// Whether a meter is charged by its estimate, since the end of the request didn't tell what it
    /// counts.
    #[must_use]
    pub fn has_to_guess(&self, readings: &Readings) -> bool {
        let mut meters = self.meters().iter().zip(readings);
        meters.any(|(meter, reading)| {
            let price = self.own_price(meter).unwrap_or(meter.price());
            reading.is_none() && meter.is_told_last() && !price.is_zero()
        })
    }

    /// What a request costs for which the rule's `minimum` is due.
    #[must_use]
    pub fn minimum_cost(&self) -> Amount {
        let due = Sum::of(self.minimum()).due(self.discount());
        self.rounded(due).unwrap_or_default()
    }

    /// What a fixed price comes to; as it is listed there is nothing to count.
    pub(super) fn fixed_cost(&self) -> Option<Amount> {
        if self.is_as_listed() {
            return Some(self.price);
        }
        self.rounded(self.bounded(Sum::of(self.base()).due(self.discount())))
    }

    /// What a request costs before anything is measured.
    pub(super) fn base(&self) -> Amount {
        let own = self.own.as_ref().and_then(|own| own.price);
        own.unwrap_or(self.price)
    }

    /// The customer's own price of what is measured. A version of the card that doesn't say any
    /// more how much of it to reserve, since it is free for everyone else, leaves no room for one.
    pub(super) fn own_price(&self, meter: &Meter) -> Option<UnitPrice> {
        let own = self.own.as_ref()?.meter(meter.source())?;
        let is_bounded = self.maximum().is_some() || self.promise() != Promise::Strict;
        (own.is_zero() || meter.can_be_reserved(is_bounded)).then_some(own)
    }

    /// Within the rule's `minimum` and `maximum`, which are discounted as it is.
    pub(super) fn bounded(&self, due: Due) -> Due {
        let bound = |amount| Sum::of(amount).due(self.discount());
        let due = due.max(bound(self.minimum()));
        match self.maximum() {
            Some(maximum) => due.min(bound(maximum)),
            None => due,
        }
    }

    pub(super) fn rounded(&self, due: Due) -> Option<Amount> {
        let rounding = self
            .terms
            .as_ref()
            .map_or(Rounding::Up, |terms| terms.rounding);
        due.rounded(rounding)
    }
}
