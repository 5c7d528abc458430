//! What is reserved for a request before it is served.
//!
//! Under a strict promise that is the most that any answer within the limits can cost: bytes
//! and seconds as estimated, every token at the price of the dearest kind on its side, and as
//! many of them as the body's bytes and the limit to the output allow.

use super::document::MeterSource;
use super::due::Due;
use super::meters::Readings;
use super::sum::Sum;
use super::tokens::OutputLimit;
use super::{Measures, Rule};
use crate::amount::Amount;

/// What is known of a request before it is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Foreseen<'a> {
    /// Bytes of its body, if it says how many or was read whole.
    pub request_bytes: Option<u64>,
    /// The model that it asks for.
    pub model: Option<&'a str>,
    /// The limit that it names for the output of each choice, in tokens.
    pub output_tokens_max: Option<u64>,
    /// How many answers it asks for; 0 counts as 1.
    pub choices: u64,
    /// What its headers say, each at the place of its meter.
    pub readings: Readings,
}

/// Why nothing can be reserved for a request. It is refused then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EstimateError {
    /// It asks for more output than the rule allows.
    #[error("the request asks for more than {max} output tokens")]
    OverMax {
        /// What the rule allows, in tokens.
        max: u64,
    },
    /// It asks for a model that is not in the card, or for none.
    #[error("the model is not in the rate card")]
    UnknownModel,
    /// It doesn't say how long its body is, and the promise hangs on it.
    #[error("the request does not say how long its body is")]
    LengthUnknown,
    /// It would cost more than [`PRICE_MAX`](super::PRICE_MAX).
    #[error("the request would cost more than any balance")]
    Absurd,
}

/// What is reserved ahead of a metered answer: so many tokens of output, bytes and seconds.
const STEP_TOKENS: u64 = 64;
const STEP_BYTES: u64 = 1 << 16;
const STEP_MS: u64 = 1_000;

impl Rule {
    /// What the next part of a metered answer may cost: 64 tokens of output, 64 KiB and a
    /// second. Nothing if there is no telling.
    #[must_use]
    pub fn step(&self, model: Option<&str>) -> Amount {
        let measures = Measures {
            response_bytes: STEP_BYTES,
            duration_ms: STEP_MS,
            ..Measures::default()
        };
        let mut sum = Sum::default();
        for meter in self.meters() {
            sum = match meter.source() {
                MeterSource::ResponseBytes | MeterSource::Seconds => {
                    sum.plus(meter.cost(self.own_price(meter), &measures, None))
                }
                _ => sum,
            };
        }
        let mut due = sum.due(self.discount());
        if let Some(tokens) = self.tokens() {
            let ahead = tokens.ahead(model, STEP_TOKENS, self.own.as_deref());
            due = due.plus(ahead.unwrap_or_default());
        }
        self.rounded(due).unwrap_or_default()
    }

    /// What is reserved for a request.
    ///
    /// # Errors
    /// If the request can't be admitted; see [`EstimateError`].
    pub fn estimate(&self, foreseen: &Foreseen<'_>) -> Result<Amount, EstimateError> {
        if self.is_fixed() {
            return self.fixed_cost().ok_or(EstimateError::Absurd);
        }
        let mut sum = Sum::of(self.base());
        for (meter, reading) in self.meters().iter().zip(foreseen.readings) {
            let own = self.own_price(meter);
            sum = sum.plus(meter.estimate(own, foreseen, reading, self.promise()));
        }
        let mut due = sum.due(self.discount());
        if let Some(tokens) = self.tokens() {
            let limit = match tokens.output_limit(foreseen.output_tokens_max) {
                OutputLimit::Keep(limit) | OutputLimit::Write(limit) => limit,
                OutputLimit::Refuse(max) => return Err(EstimateError::OverMax { max }),
            };
            let cost = tokens.estimate(foreseen, limit, self.own.as_deref());
            due = due.plus(cost.map_err(|_| EstimateError::UnknownModel)?);
        }
        let is_unknown = foreseen.request_bytes.is_none();
        match self.rounded(self.bounded(due)) {
            Some(amount) => Ok(amount),
            None if due == Due::UNBOUNDED && is_unknown => Err(EstimateError::LengthUnknown),
            None => Err(EstimateError::Absurd),
        }
    }
}
