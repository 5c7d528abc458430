//! Lots and the order in which they burn.

use std::collections::BTreeMap;

use creditgate_core::amount::{Amount, Currency};
use serde::{Deserialize, Serialize};

use crate::id::{AccountId, ApplicationId, GrantId, LotId, SubscriptionId, WalletId};
use crate::journal::{Draw, ReasonCode};
use crate::time::Timestamp;

/// One dated block of value. `amount = unpaid + free + pinned + spent + expired + withdrawn`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lot {
    /// The id; later lots have larger ids.
    pub id: LotId,
    /// The operator's name; unique.
    pub external_id: Option<String>,
    /// In which wallet.
    pub wallet: WalletId,
    /// Of which account.
    pub account: AccountId,
    /// What kind of value.
    pub kind: LotKind,
    /// Why it exists.
    pub reason: ReasonCode,
    /// Where it comes from.
    pub source: LotSource,
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
    /// Not paid yet: all of it, or nothing. It can't be spent and is in no balance.
    pub unpaid: Amount,
    /// When it is voided if it is not paid until then.
    pub lapses_at: Option<Timestamp>,
    /// When it was paid, if it waited for that.
    pub paid_at: Option<Timestamp>,
    /// Neither lent nor gone.
    pub free: Amount,
    /// In leases, open, draining or quarantined.
    pub pinned: Amount,
    /// Used.
    pub spent: Amount,
    /// Unused at its expiry.
    pub expired: Amount,
    /// Voided, debited, or transferred.
    pub withdrawn: Amount,
    /// So much of `pinned` is taken when it comes back, and does not become free again.
    pub excess: Amount,
    /// What was, or is to be, paid for it.
    pub cost: Option<CostBasis>,
    /// When it was voided; what gateways return of it afterwards is withdrawn.
    pub voided_at: Option<Timestamp>,
    /// What the operator said of it.
    pub description: Option<String>,
    /// The operator's own data.
    pub metadata: BTreeMap<String, String>,
}

/// Money for a lot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostBasis {
    /// What money.
    pub currency: Currency,
    /// How much, without tax; decimal text.
    pub received: String,
    /// Tax on it; decimal text.
    pub tax: String,
    /// The operator's name for the payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// Where a lot comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LotSource {
    /// Someone added it.
    TopUp,
    /// The wallet added it by itself.
    AutoTopUp,
    /// It came on top of this purchase.
    Bonus(LotId),
    /// A credit grant was applied.
    Application(GrantedBy),
    /// It came from another wallet.
    Transfer {
        /// From which lot of it.
        lot: LotId,
        /// What had given the credit, however often it was transferred since.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        granted_by: Option<GrantedBy>,
    },
    /// It is the credit limit of a post-paid wallet.
    CreditLimit,
}

/// The application of a credit grant that gave credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GrantedBy {
    /// Which application.
    pub application: ApplicationId,
    /// Of which grant.
    pub grant: GrantId,
    /// For which subscription.
    pub subscription: Option<SubscriptionId>,
}

impl LotSource {
    /// What gave the credit, if a grant did: its terms hold in whatever wallet the credit is.
    #[must_use]
    pub const fn granted_by(self) -> Option<GrantedBy> {
        match self {
            Self::Application(by) => Some(by),
            Self::Transfer { granted_by, .. } => granted_by,
            Self::TopUp | Self::AutoTopUp | Self::Bonus(_) | Self::CreditLimit => None,
        }
    }
}

/// What kind of value a lot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    /// The credit limit of a post-paid wallet; burns after everything else.
    CreditLine,
}

impl LotKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Purchased,
        Self::Granted,
        Self::Promotional,
        Self::Bonus,
        Self::Refund,
        Self::CreditLine,
    ];

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
            ReasonCode::CreditLimit => Self::CreditLine,
            _ => Self::Granted,
        }
    }

    /// Whether its lots stand for the customer's money: bought, or given back for what was.
    #[must_use]
    pub const fn is_paid_for(self) -> bool {
        matches!(self, Self::Purchased | Self::Refund)
    }
}

/// Where a lot stands at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LotStatus {
    /// Not effective, or not paid, yet.
    Pending,
    /// Can be spent.
    Active,
    /// Used up, or taken out.
    Depleted,
    /// Past its expiry, with something left in it.
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
        } else if !self.unpaid.is_zero() {
            // Its expiry counts once it is paid.
            LotStatus::Pending
        } else if self.has_expired(now) && !self.expired.is_zero() {
            LotStatus::Expired
        } else if self.free.is_zero() && self.pinned.is_zero() {
            LotStatus::Depleted
        } else if self.has_expired(now) {
            // What is free or lent of it is not booked as expired yet.
            LotStatus::Expired
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

    /// Whether its expiry had come before `instant`.
    #[must_use]
    pub fn has_expired_before(&self, instant: Timestamp) -> bool {
        self.expires_at
            .is_some_and(|expires_at| expires_at < instant)
    }

    /// Whether credit of it may be lent at `now`.
    #[must_use]
    pub fn is_lendable(&self, now: Timestamp) -> bool {
        now >= self.effective_at
            && !self.has_expired(now)
            && self.voided_at.is_none()
            && self.unpaid.is_zero()
    }

    /// Whether anything of it is left to decide over.
    #[must_use]
    pub fn is_live(&self) -> bool {
        let waits = !self.unpaid.is_zero() && self.voided_at.is_none();
        // A credit limit is used up and becomes free again.
        let is_limit = self.kind == LotKind::CreditLine && self.voided_at.is_none();
        waits || is_limit || !self.free.is_zero() || !self.pinned.is_zero()
    }

    /// Whether its parts sum to its amount.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        let parts = [
            self.unpaid,
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

    /// Its place in the order in which lots burn; `wallet` is the priority of its wallet.
    #[must_use]
    pub fn burn_key(&self, wallet: Option<i32>) -> BurnKey {
        BurnKey {
            is_credit_line: self.kind == LotKind::CreditLine,
            wallet: none_last(wallet),
            priority: none_last(self.priority),
            expires_at: none_last(self.expires_at),
            created_at: self.created_at,
            id: self.id,
        }
    }
}

/// The total order in which lots of an account burn: credit limits last; then the wallets'
/// priority ascending (none last); the lots' priority ascending (none last); soonest expiry
/// (none last); oldest; id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BurnKey {
    is_credit_line: bool,
    wallet: (bool, Option<i32>),
    priority: (bool, Option<i32>),
    expires_at: (bool, Option<Timestamp>),
    created_at: Timestamp,
    id: LotId,
}

const fn none_last<T: Copy>(value: Option<T>) -> (bool, Option<T>) {
    (value.is_none(), value)
}

/// What can be lent of `lots` at `now`.
pub fn lendable<'a>(lots: impl Iterator<Item = &'a Lot>, now: Timestamp) -> Amount {
    lots.filter(|lot| lot.is_lendable(now))
        .fold(Amount::ZERO, |sum, lot| sum.saturating_add(lot.free))
}

/// Takes up to `amount` from lendable lots in burn order: free becomes pinned.
pub fn pin(lots: &mut [(BurnKey, &mut Lot)], amount: Amount, now: Timestamp) -> Vec<Draw> {
    lots.sort_unstable_by_key(|(key, _)| *key);
    let mut missing = amount;
    let mut draws = Vec::new();
    let lendable = lots.iter_mut().filter(|(_, lot)| lot.is_lendable(now));
    for (_, lot) in lendable {
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
