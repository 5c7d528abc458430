//! What a request costs.

mod document;
mod error;

pub use document::{Charge, Mode, PathPattern, Price, RateCardDocument, RuleDocument, Unmatched};
pub use error::RateCardError;
