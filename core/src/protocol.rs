//! The messages between a gateway and the control plane.
//!
//! Four questions, all asked from the gateway's side of the connection: *resolve*
//! (who is this credential, and lend me something), *sync* (here are my counters, what
//! may I spend), *poll* (tell me when something changes) and *usage* (this is what it was used
//! for). Counters are cumulative, state carries the account's version and batches of usage are
//! numbered, so answers may be lost, repeated or overtaken.
//! Integers of 64 bits travel as decimal text: JSON readers elsewhere round them.

mod config;
mod lease;
mod usage;

pub use config::{GatewayConfig, Timing};
pub use lease::{AccountState, Block, EnforcementMode, LeaseAnswer, Phase, PreviousAnswer};
pub use usage::{USAGE_ROWS_MAX, UsageAnswer, UsageRequest};

use serde::{Deserialize, Serialize};

use crate::amount::{Amount, Currency, Scale};
use crate::id::{AccountId, InstanceId};
use crate::key::CredentialHash;
use crate::lease::{Counters, LeaseNumber};
use crate::rate_card::PricingDocument;

/// The version of this protocol; a peer that speaks another is refused.
pub const PROTOCOL_VERSION: u32 = 1;

/// Most reports in one sync.
pub const REPORTS_MAX: usize = 256;

/// Most changed leases in one answer to a poll; the rest follows at once with the next.
pub const CHANGES_MAX: usize = 512;

/// A 64-bit unsigned number as decimal text.
pub mod text_u64 {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::borrow::Cow;

    /// Writes the number as text.
    ///
    /// # Errors
    /// What the serializer says.
    pub fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    /// Reads the number from text.
    ///
    /// # Errors
    /// If the text is not a decimal number of 64 bits.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What every question of a gateway starts with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`] of the sender.
    pub protocol: u32,
    /// The ledger epoch the sender knows; 0 before the first answer.
    #[serde(with = "text_u64")]
    pub epoch: u64,
    /// The process that asks.
    pub instance: InstanceId,
}

/// Asks who a credential belongs to, and for a lease of the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolveRequest {
    /// Who asks.
    #[serde(flatten)]
    pub hello: Hello,
    /// SHA-256 of the credential: the credential itself never travels.
    pub credential: CredentialHash,
    /// The operator's name for the customer, where the gateway knows who it is without a key;
    /// `credential` is its [`customer_hash`](crate::key::customer_hash) then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// The number under which a lease may be opened, if the instance holds none of the account.
    pub lease: LeaseNumber,
    /// What the first request costs.
    pub need: Amount,
    /// The rule of the rate card that the first request is priced by; none if it asks for its
    /// balance. Where a limited account pays for the rule, the general one need not lend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

/// The answer to [`ResolveRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResolveAnswer {
    /// The credential belongs to a customer.
    Known(Box<Resolved>),
    /// No such credential, or it was revoked. May be believed for `retry_after_ms`.
    Unknown {
        /// How long the answer may be cached, in milliseconds.
        retry_after_ms: u64,
    },
    /// The instance is being drained, or frozen after an impossible report: it gets no credit.
    Barred {
        /// Why.
        reason: Barred,
    },
}

/// Why an instance gets no credit at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Barred {
    /// An operator drains it.
    Draining,
    /// It reported counters that contradict one another.
    Frozen,
}

/// Who a credential belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// The ledger epoch.
    #[serde(with = "text_u64")]
    pub epoch: u64,
    /// The operator's name for the customer.
    pub customer: String,
    /// What the account counts in.
    pub currency: Currency,
    /// Digits after the point.
    pub scale: Scale,
    /// Whether the lease of `answer` was opened by this very question. Then the asker puts it
    /// into a fresh cell, or turns the account's cell to it. If not, another thread of the
    /// process has it: its cell is, or will be, in shared data.
    pub opened: bool,
    /// The lease and the state of the customer's general account.
    pub answer: LeaseAnswer,
    /// Accounts that pay before the general one for some rules. The credential version grows
    /// when these change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limited: Vec<LimitedAccount>,
    /// What the customer pays otherwise than the rate cards say, if anything. The credential
    /// version grows when it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pricing: Option<Box<CustomerPricing>>,
}

/// What a customer pays otherwise than the rate cards say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerPricing {
    /// Grows with every change; 1 or more.
    pub version: u32,
    /// Discounts and prices, by the names of the rate cards.
    pub document: PricingDocument,
}

/// An account that is limited to rules of the rate card: it pays for requests of these, and
/// where it can't, the general account does. No rule is in two of a customer's accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitedAccount {
    /// Which.
    pub account: AccountId,
    /// The ids of the rules.
    pub rules: Vec<String>,
}

/// Counters of every cell that changed, and what is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncRequest {
    /// Who asks.
    #[serde(flatten)]
    pub hello: Hello,
    /// At most [`REPORTS_MAX`].
    pub reports: Vec<Report>,
}

/// The answer to [`SyncRequest`]: one answer a report, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncAnswer {
    /// The ledger epoch.
    #[serde(with = "text_u64")]
    pub epoch: u64,
    /// One a report.
    pub answers: Vec<LeaseAnswer>,
}

/// What one cell says of itself. Cumulative: the latest report contains all earlier ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Whose cell.
    pub account: AccountId,
    /// The lease that is spent from now. None if a lease is handed back that never came into
    /// a cell: it is named as the previous one, with all of it returned.
    pub lease: LeaseNumber,
    /// Its counters; `granted` is what the gateway has seen.
    pub counters: Counters,
    /// The lease before, while it is not known to be closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<PreviousReport>,
    /// What the first waiting request costs: what must remain for it to go on; zero if none waits.
    pub need: Amount,
    /// What all waiting requests cost together; at least `need`.
    pub wanted: Amount,
}

/// The lease before the current one, turned, and settling what it still holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousReport {
    /// Its number.
    pub lease: LeaseNumber,
    /// Its counters.
    pub counters: Counters,
    /// It has outlived the longest stream: what it holds will never be settled.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub dead: bool,
}

/// Waits for changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollRequest {
    /// Who asks.
    #[serde(flatten)]
    pub hello: Hello,
    /// The last cursor seen; 0 for none.
    #[serde(with = "text_u64")]
    pub cursor: u64,
    /// The version of the configuration in hand; 0 for none.
    #[serde(with = "text_u64")]
    pub config_version: u64,
}

/// The answer to [`PollRequest`]: the present state of all that changed after the cursor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PollAnswer {
    /// The ledger epoch. When it is not the one known, every lease is closed.
    #[serde(with = "text_u64")]
    pub epoch: u64,
    /// To be sent with the next question.
    #[serde(with = "text_u64")]
    pub cursor: u64,
    /// Leases of this instance that changed.
    pub changes: Vec<LeaseAnswer>,
    /// Accounts whose report is overdue: report them, also if nothing changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overdue: Vec<AccountId>,
    /// The configuration, when newer than the one in hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Box<GatewayConfig>>,
    /// Why the instance gets no credit, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub barred: Option<Barred>,
}

/// For `skip_serializing_if`.
fn is_zero(amount: &Amount) -> bool {
    amount.is_zero()
}
