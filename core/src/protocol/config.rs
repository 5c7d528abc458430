//! What gateways need to know to price and to keep time.

use serde::{Deserialize, Serialize};

use super::{is_zero, text_u64};
use crate::amount::{Amount, Scale};
use crate::rate_card::RateCardDocument;

/// What a gateway needs to know to price and to keep time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GatewayConfig {
    /// Grows with every change of the card or of the settings.
    #[serde(with = "text_u64")]
    pub version: u64,
    /// The name that the control plane knows the rate card by, and customers' pricing too.
    #[serde(default)]
    pub rate_card_name: String,
    /// The version of the rate card.
    #[serde(with = "text_u64")]
    pub rate_card_version: u64,
    /// The rate card.
    pub rate_card: RateCardDocument,
    /// Digits after the point of the card's currency.
    pub scale: Scale,
    /// Where a customer can buy credit; shown in refusals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_up_url: Option<String>,
    /// Durations both halves share.
    pub timing: Timing,
    /// How much an instance may spend of each account beyond what it was lent while the
    /// control plane does not answer, where rule or customer allow that.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub offline_allowance: Amount,
    /// How far the use of a lease may exceed what was lent, where the rule's promise allows
    /// that: who reports more is broken.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub overrun_max: Amount,
    /// Who has less left is warned of it in each response; zero for nobody.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub warn_below: Amount,
}

/// Durations, in milliseconds, that both halves must agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// How long a lease may be spent from after the question it was answered to.
    pub use_by_ms: u64,
    /// How often a busy cell is reported.
    pub sync_ms: u64,
    /// How long a cell must be unused before it gives back what remains.
    pub idle_ms: u64,
    /// How long a request waits for credit that is being recalled.
    pub wait_ms: u64,
    /// The longest a stream may last; required to equal the proxy's own limit.
    pub max_stream_ms: u64,
}

impl Timing {
    /// How long a poll is held: a quarter of the use-by.
    #[must_use]
    pub const fn poll_hold_ms(&self) -> u64 {
        self.use_by_ms / 4
    }

    /// A cell may be given to another account when it was unused this long: longer than any
    /// call or wait that could still bring credit for it.
    #[must_use]
    pub const fn reuse_after_ms(&self) -> u64 {
        self.use_by_ms.saturating_add(self.wait_ms)
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            use_by_ms: 60_000,
            sync_ms: 250,
            idle_ms: 3_000,
            wait_ms: 1_000,
            max_stream_ms: 300_000,
        }
    }
}
