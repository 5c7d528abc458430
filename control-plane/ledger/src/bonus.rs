//! Bonus credit: what comes on top of a purchase of some size.

use serde::{Deserialize, Serialize};

use crate::credits::Credits;

/// A purchase of `from` credits or more, up to the next slab, gets this bonus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BonusSlab {
    /// The smallest purchase, in credits.
    pub from: Credits,
    /// How much comes on top.
    pub bonus: Bonus,
    /// After how many days the bonus expires; never if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire_in_days: Option<u32>,
    /// Smaller burns first; none burns last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
}

/// How much comes on top.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bonus {
    /// So many credits.
    Credits(Credits),
    /// So many hundredths of the purchase, decimal text.
    Percent(Credits),
}
