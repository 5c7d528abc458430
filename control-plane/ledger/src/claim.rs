//! Claims: credit of a wallet that is wanted for something else than requests.
//!
//! A debit or a transfer takes what is free at once. What gateways have out is recalled and
//! taken as it comes back, before any of it is lent again; quarantined credit is waited for
//! until that is resolved. What turns out to be spent, or has expired or was voided meanwhile,
//! is the claim's shortfall, and is told when nothing more can come. How claims are made is in
//! [`opening`], how credit is taken for them in [`serving`].

pub(crate) mod cover;
mod depositing;
mod opening;
mod serving;

pub use cover::recalled;
pub use opening::{NewClaim, open};
pub(crate) use opening::{check, check_target, claimable};
pub use serving::settle;

use creditgate_core::amount::Amount;
use serde::{Deserialize, Serialize};

use crate::book::Book;
use crate::burn_order::Lot;
use crate::id::{AccountId, ClaimId, LotId, WalletId};
use crate::journal::ReasonCode;
use crate::time::Timestamp;

/// Most open claims of a customer.
pub const CLAIMS_MAX: usize = 1_000;

/// Credit that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The id.
    pub id: ClaimId,
    /// From which wallet.
    pub wallet: WalletId,
    /// The account of that wallet.
    pub account: AccountId,
    /// What for.
    pub purpose: ClaimPurpose,
    /// Of which of its lots.
    pub lots: ClaimLots,
    /// The reason of its entries.
    pub reason: ReasonCode,
    /// What the actor said.
    pub note: Option<String>,
    /// Who wants it.
    pub actor: String,
    /// How much.
    pub asked: Amount,
    /// Taken so far.
    pub done: Amount,
    /// What turned out to be spent; asked = done + short once it is closed.
    pub short: Amount,
    /// Since when.
    pub created_at: Timestamp,
    /// When it was over.
    pub closed_at: Option<Timestamp>,
}

/// What claimed credit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimPurpose {
    /// It is taken out.
    Debit,
    /// It goes to another wallet of the customer.
    Transfer {
        /// Which.
        to: WalletId,
    },
}

/// Which lots of the wallet a claim takes from, in burn order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimLots {
    /// All.
    Any,
    /// Those that were paid for.
    Purchased,
    /// This one.
    One(LotId),
}

impl Claim {
    /// What is still to be taken.
    #[must_use]
    pub fn pending(&self) -> Amount {
        self.asked
            .saturating_sub(self.done)
            .saturating_sub(self.short)
    }

    /// Whether it is not over.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.closed_at.is_none()
    }

    /// Whether it takes from this lot.
    #[must_use]
    pub fn covers(&self, lot: &Lot) -> bool {
        self.cover().has(lot)
    }
}

/// A claim that is open, or was closed by the decision at hand.
#[must_use]
pub fn of(book: &Book, id: ClaimId) -> Option<&Claim> {
    book.claims.iter().find(|claim| claim.id == id)
}

/// Whether a lot is claimed, so that nothing of it may be lent.
#[must_use]
pub fn is_claimed(book: &Book, lot: &Lot) -> bool {
    book.claims
        .iter()
        .any(|claim| claim.is_open() && claim.covers(lot))
}

/// Whether credit of a lot that is free, or comes back, can still be taken.
pub(crate) fn can_take(lot: &Lot, now: Timestamp) -> bool {
    lot.voided_at.is_none() && lot.unpaid.is_zero() && !lot.has_expired(now)
}
