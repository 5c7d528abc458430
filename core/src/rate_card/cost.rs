//! What a request cost, from what was measured of it.
//!
//! Everything is summed exactly, bounded, discounted, and rounded once. A rule that is a fixed
//! price has none of that to do.

use super::meters::Readings;
use super::sum::{Discount, Sum};
use super::{Rounding, Rule};
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
    /// The more was measured, the more it costs, in each count. A fixed price without discount
    /// is just that, without any arithmetic.
    ///
    /// # Errors
    /// If there is no telling; see [`CostError`].
    pub fn cost(
        &self,
        measures: &Measures,
        models: &Models<'_>,
        discount: Discount,
    ) -> Result<Amount, CostError> {
        if self.is_fixed() {
            return self.fixed_cost(discount).ok_or(CostError::Absurd);
        }
        let mut sum = Sum::of(self.price);
        for (meter, reading) in self.meters().iter().zip(measures.readings) {
            sum = sum.plus(meter.cost(measures, reading));
        }
        if let Some(tokens) = self.tokens() {
            let cost = tokens.cost(&measures.tokens, models);
            sum = sum.plus(cost.map_err(|_| CostError::UnknownModel)?);
        }
        self.discounted(self.bounded(sum), discount)
            .ok_or(CostError::Absurd)
    }

    /// What a request costs for which the rule's `minimum` is due.
    #[must_use]
    pub fn minimum_cost(&self, discount: Discount) -> Amount {
        self.discounted(Sum::of(self.minimum()), discount)
            .unwrap_or_default()
    }

    /// What a fixed price comes to; without a discount there is nothing to count.
    pub(super) fn fixed_cost(&self, discount: Discount) -> Option<Amount> {
        if discount.is_none() {
            return Some(self.price);
        }
        self.discounted(Sum::of(self.price), discount)
    }

    /// Within the rule's `minimum` and `maximum`.
    pub(super) fn bounded(&self, sum: Sum) -> Sum {
        let sum = sum.max(Sum::of(self.minimum()));
        match self.maximum() {
            Some(maximum) => sum.min(Sum::of(maximum)),
            None => sum,
        }
    }

    pub(super) fn discounted(&self, sum: Sum, discount: Discount) -> Option<Amount> {
        let rounding = self
            .terms
            .as_ref()
            .map_or(Rounding::Up, |terms| terms.rounding);
        sum.rounded(discount, rounding)
    }
}
