//! The control plane's word on a lease and its account.

use serde::{Deserialize, Serialize};

use super::{is_zero, text_u64};
use crate::amount::Amount;
use crate::id::AccountId;
use crate::lease::LeaseNumber;
use crate::outage::OnUnavailable;

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
