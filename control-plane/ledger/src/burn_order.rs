//! Lots and the order in which they burn.

use core::cmp::Ordering;

use creditgate_core::amount::Amount;
use serde::{Deserialize, Serialize};

use crate::id::{AccountId, LotId, WalletId};
use crate::journal::{Draw, ReasonCode};
use crate::time::Timestamp;

/// One dated block of value. `amount = free + pinned + spent + expired + withdrawn`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lot {
    /// The id; later lots have larger ids.
    pub id: LotId,
    /// In which wallet.
    pub wallet: WalletId,
    /// Of which account.
    pub account: AccountId,
    /// What kind of value.
    pub kind: LotKind,
    /// Why it exists.
    pub reason: ReasonCode,
    /// Smaller burns first; none burns last.
    pub priority: Option<i32>,
    /// It can be spent from then.
    pub effective_at: Timestamp,
    /// It can't be spent from then on.
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// All of it.
    pub amount: Amount,
    /// Neither lent nor gone.
    pub free: Amount,
    /// In leases, open, draining or quarantined.
    pub pinned: Amount,
    /// Used.
    pub spent: Amount,
    /// Unused at its expiry.
    pub expired: Amount,
    /// Voided.
    pub withdrawn: Amount,
    /// When it was voided; what gateways return of it afterwards is withdrawn.
    pub voided_at: Option<Timestamp>,
    /// What the operator said of it.
    pub description: Option<String>,
}

/// What kind of value a lot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LotKind {
    /// Paid for.
    Purchased,
    /// Given by a plan or by hand.
    Granted,
    /// Given to promote.
    Promotional,
    /// Came with a purchase.
    Bonus,
    /// Given back.
    Refund,
}

impl LotKind {
    /// The kind that a top-up of this reason makes.
    #[must_use]
    pub const fn of(reason: ReasonCode) -> Self {
        match reason {
            ReasonCode::PurchasedCreditDirect | ReasonCode::PurchasedCreditInvoiced => {
                Self::Purchased
            }
            ReasonCode::PurchasedCreditBonus => Self::Bonus,
            ReasonCode::CreditNote | ReasonCode::InvoiceVoidRefund => Self::Refund,
            ReasonCode::FreeCreditGrant => Self::Promotional,
            _ => Self::Granted,
        }
    }
}

/// Where a lot stands at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LotStatus {
    /// Not effective yet.
    Pending,
    /// Can be spent.
    Active,
    /// Used up.
    Depleted,
    /// Past its expiry.
    Expired,
    /// Voided.
    Voided,
}

impl Lot {
    /// Where it stands at `now`.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> LotStatus {
        if self.voided_at.is_some() {
            LotStatus::Voided
        } else if self.has_expired(now) {
            if self.spent == self.amount {
                LotStatus::Depleted
            } else {
                LotStatus::Expired
            }
        } else if self.free.is_zero() && self.pinned.is_zero() {
            LotStatus::Depleted
        } else if now < self.effective_at {
            LotStatus::Pending
        } else {
            LotStatus::Active
        }
    }

    /// Whether its expiry has come.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expires_at| now >= expires_at)
    }

    /// Whether credit of it may be lent at `now`.
    #[must_use]
    pub fn is_lendable(&self, now: Timestamp) -> bool {
        now >= self.effective_at && !self.has_expired(now) && self.voided_at.is_none()
    }

    /// Whether anything of it is left to decide over.
    #[must_use]
    pub fn is_live(&self) -> bool {
        !self.free.is_zero() || !self.pinned.is_zero()
    }

    /// Whether its parts sum to its amount.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        let parts = [
            self.free,
            self.pinned,
            self.spent,
            self.expired,
            self.withdrawn,
        ];
        let none_negative = parts.iter().all(|part| *part >= Amount::ZERO);
        let sum: i128 = parts.iter().map(|part| i128::from(part.get())).sum();
        none_negative && sum == i128::from(self.amount.get())
    }

    /// The total order in which lots burn: priority ascending (none last), soonest expiry
    /// (none last), oldest, id.
    #[must_use]
    pub fn burns_before(&self, other: &Self) -> Ordering {
        let priority = |lot: &Self| (lot.priority.is_none(), lot.priority);
        let expiry = |lot: &Self| (lot.expires_at.is_none(), lot.expires_at);
        priority(self)
            .cmp(&priority(other))
            .then_with(|| expiry(self).cmp(&expiry(other)))
            .then_with(|| self.created_at.cmp(&other.created_at))
            .then_with(|| self.id.cmp(&other.id))
    }
}

/// What can be lent of `lots` at `now`.
pub fn lendable<'a>(lots: impl Iterator<Item = &'a Lot>, now: Timestamp) -> Amount {
    lots.filter(|lot| lot.is_lendable(now))
        .fold(Amount::ZERO, |sum, lot| sum.saturating_add(lot.free))
}

/// Takes up to `amount` from lendable lots in burn order: free becomes pinned.
pub fn pin(lots: &mut [&mut Lot], amount: Amount, now: Timestamp) -> Vec<Draw> {
    lots.sort_by(|a, b| a.burns_before(b));
    let mut missing = amount;
    let mut draws = Vec::new();
    for lot in lots.iter_mut().filter(|lot| lot.is_lendable(now)) {
        let taken = lot.free.min(missing);
        if taken.is_zero() {
            continue;
        }
        lot.free = lot.free.saturating_sub(taken);
        lot.pinned = lot.pinned.saturating_add(taken);
        missing = missing.saturating_sub(taken);
        draws.push(Draw {
            lot: lot.id,
            amount: taken,
        });
    }
    draws
}
