//! The messages between a gateway and the control plane.
//!
//! Four questions, all asked from the gateway's side of the connection: *resolve*
//! (who is this credential, and lend me something), *sync* (here are my counters, what
//! may I spend), *poll* (tell me when something changes) and *usage* (this is what it was used
//! for). Counters are cumulative, state carries the account's version and batches of usage are
//! numbered, so answers may be lost, repeated or overtaken.
//! Integers of 64 bits travel as decimal text: JSON readers elsewhere round them.

mod usage;

pub use usage::{USAGE_ROWS_MAX, UsageAnswer, UsageRequest};

use serde::{Deserialize, Serialize};

use crate::amount::{Amount, Currency, Scale};
use crate::id::{AccountId, InstanceId};
use crate::key::CredentialHash;
use crate::lease::{Counters, LeaseNumber};
use crate::outage::OnUnavailable;
use crate::rate_card::{PricingDocument, RateCardDocument};

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

/// Where a lease stands, as far as the gateway need know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It may be spent from and may get more.
    Open,
    /// Give back all that remains; new credit comes under a new number.
    Turn,
    /// It is quarantined, fenced or unknown: as [`Phase::Turn`], and nothing more comes.
    Closed,
}

/// Why an account may not spend, whatever it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Block {
    /// The customer is suspended.
    CustomerSuspended,
    /// No wallet of the account is active, and one is frozen.
    WalletFrozen,
    /// Every wallet of the account is closed.
    WalletClosed,
}

/// Whether refusals are carried out for this customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnforcementMode {
    /// Reserve, settle and refuse.
    #[default]
    Enforce,
    /// Count and log what would be refused; no money moves.
    Shadow,
    /// Let through without a look.
    Off,
}

/// The control plane's word on one lease and its account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseAnswer {
    /// Whose.
    pub account: AccountId,
    /// Which lease `granted`, `settled` and `phase` speak of.
    pub lease: LeaseNumber,
    /// Where it stands.
    pub phase: Phase,
    /// All credit ever lent in it.
    pub granted: Amount,
    /// How long, from the instant the question was sent, the lease may be spent from.
    pub use_by_ms: u64,
    /// What the control plane knows to be settled in it.
    pub settled: Amount,
    /// What it knows of the lease before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<PreviousAnswer>,
    /// A recall: return what remains above this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Amount>,
    /// Whether the need was noted and credit is being recalled for it.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub waiting: bool,
    /// Everything that is not a counter.
    pub state: AccountState,
}

/// The control plane's word on the lease before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousAnswer {
    /// Its number.
    pub lease: LeaseNumber,
    /// What is known to be settled in it.
    pub settled: Amount,
    /// It is closed; no report of it is needed any more.
    pub closed: bool,
}

/// State of an account at a version; applied only over an older one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountState {
    /// Grows with every change of the account.
    #[serde(with = "text_u64")]
    pub version: u64,
    /// The largest cost that free and recallable credit could pay. None: not known to be short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<Amount>,
    /// Why it may not spend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<Block>,
    /// Whether refusals are carried out.
    #[serde(default)]
    pub mode: EnforcementMode,
    /// What the customer's word is on outages; none leaves it to rule and filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_unavailable: Option<OnUnavailable>,
    /// It owes something: no offline allowance until that is repaid.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub owes: bool,
    /// Grows when a credential of the account is revoked, rotated or moved.
    pub credential_version: u32,
    /// available + lent + held.
    pub balance: Amount,
    /// What the credit that is left came to when it was issued: all of each lot that is not used
    /// up. At least the balance.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub issued: Amount,
}

impl AccountState {
    /// The state of an account that is not known: nothing may be spent.
    #[must_use]
    pub const fn unknown() -> Self {
        Self {
            version: 0,
            ceiling: None,
            block: None,
            mode: EnforcementMode::Enforce,
            on_unavailable: None,
            owes: false,
            credential_version: 0,
            balance: Amount::ZERO,
            issued: Amount::ZERO,
        }
    }
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

/// For `skip_serializing_if`.
fn is_zero(amount: &Amount) -> bool {
    amount.is_zero()
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
