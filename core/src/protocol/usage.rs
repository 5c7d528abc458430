//! The question *usage*: what was spent, in detail. It lends nothing and moves no money.

use serde::{Deserialize, Serialize};

use super::{Hello, text_u64};
use crate::detail::Row;

/// Most rows in one batch. However long the names and numbers in it are, it fits a message.
pub const USAGE_ROWS_MAX: usize = 200;

/// What was used: one batch of a worker's. A worker sends a batch again, as it is, until it is
/// acknowledged, and only then the next; the number tells the control plane which it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRequest {
    /// Who asks.
    #[serde(flatten)]
    pub hello: Hello,
    /// Which worker of the process; drawn at random when it starts.
    #[serde(with = "text_u64")]
    pub source: u64,
    /// Grows by one with each batch of the worker's; the first is 1.
    #[serde(with = "text_u64")]
    pub number: u64,
    /// At most [`USAGE_ROWS_MAX`].
    pub rows: Vec<Row>,
}

/// The answer to [`UsageRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageAnswer {
    /// The number of the worker's last batch that is written.
    #[serde(with = "text_u64")]
    pub number: u64,
}
