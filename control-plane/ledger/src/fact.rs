//! What an entry says besides its amounts: the terms of a lot or a wallet, a changed priority,
//! an alert.
//!
//! With its facts the journal is whole: [replaying](crate::replay) it gives the same lots,
//! wallets' states and alerts as the rows have. A fact is part of the hashed text of its
//! entry, so its form may only ever grow by fields that are left out when they say nothing.

use creditgate_core::amount::Amount;
use serde::{Deserialize, Serialize};

use crate::alert::{AlertLevel, AlertSettings};
use crate::auto_top_up::AutoTopUp;
use crate::burn_order::{CostBasis, Lot, LotKind, LotSource};
use crate::claim::{ClaimLots, ClaimPurpose};
use crate::credits::Rate;
use crate::id::{ClaimId, LotId, WalletId};
use crate::journal::ReasonCode;
use crate::time::Timestamp;
use crate::wallet::{WalletStatus, WalletType};

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// A wallet was opened.
    WalletOpened {
        /// Which.
        wallet: WalletId,
        /// How it is paid.
        wallet_type: WalletType,
        /// Its place among the wallets of the account.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        priority: Option<i32>,
        /// Amount per credit.
        #[serde(default, skip_serializing_if = "Rate::is_one")]
        conversion_rate: Rate,
        /// Money paid per credit.
        #[serde(default, skip_serializing_if = "Rate::is_one")]
        topup_conversion_rate: Rate,
        /// How it fills itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        auto_topup: Option<Box<AutoTopUp>>,
        /// When its balance is told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        alert_settings: Option<Box<AlertSettings>>,
    },
    /// How a wallet fills itself changed.
    AutoTopUpTerms {
        /// Which wallet.
        wallet: WalletId,
        /// Before.
        from: Option<Box<AutoTopUp>>,
        /// From now on.
        to: Option<Box<AutoTopUp>>,
    },
    /// When a wallet's balance is told changed.
    AlertTerms {
        /// Which wallet.
        wallet: WalletId,
        /// Before.
        from: Option<Box<AlertSettings>>,
        /// From now on.
        to: Option<Box<AlertSettings>>,
    },
    /// A wallet's place among the wallets of its account changed.
    WalletPriority {
        /// Which.
        wallet: WalletId,
        /// Before.
        from: Option<i32>,
        /// For all that is lent from now on.
        to: Option<i32>,
    },
    /// A wallet was frozen, thawed or closed.
    WalletStatus {
        /// Which.
        wallet: WalletId,
        /// Before.
        from: WalletStatus,
        /// From now on.
        to: WalletStatus,
    },
    /// The credit limit of a post-paid wallet changed.
    CreditLimit {
        /// Which wallet.
        wallet: WalletId,
        /// Before.
        from: Amount,
        /// From now on.
        to: Amount,
    },
    /// A lot was made, with these terms. If it is not paid yet, nothing was posted.
    LotMade(Box<LotTerms>),
    /// A lot that waited for its payment was paid; what is posted is all of it.
    LotPaid {
        /// Which.
        lot: LotId,
        /// The operator's name for the payment; none: it stays what it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
    },
    /// More came into a lot that a transfer had made; its amount grows by what is posted.
    LotGrew {
        /// Which.
        lot: LotId,
        /// What was paid for all of it now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cost: Option<CostBasis>,
    },
    /// A lot's effective instant came.
    LotEffective {
        /// Which.
        lot: LotId,
    },
    /// A lot's priority changed.
    LotPriority {
        /// Which.
        lot: LotId,
        /// Before.
        from: Option<i32>,
        /// For all that is lent from now on.
        to: Option<i32>,
    },
    /// A lot was carried on to a later expiry.
    LotExtended {
        /// Which.
        lot: LotId,
        /// Before.
        from: Timestamp,
        /// From now on.
        to: Timestamp,
    },
    /// So much of what gateways have out of a lot will be taken when it comes back.
    LotExcess {
        /// Which.
        lot: LotId,
        /// How much in all.
        excess: Amount,
    },
    /// A lot was voided; what gateways return of it is withdrawn.
    LotVoided {
        /// Which.
        lot: LotId,
    },
    /// Credit is wanted for something else than requests.
    ClaimOpened {
        /// Which claim.
        claim: ClaimId,
        /// On which wallet.
        wallet: WalletId,
        /// What for.
        purpose: ClaimPurpose,
        /// Of which of its lots; nothing of them is lent while the claim is open.
        lots: ClaimLots,
        /// How much.
        asked: Amount,
    },
    /// What this entry moved was taken for a claim that was opened before.
    ClaimTook {
        /// Which.
        claim: ClaimId,
    },
    /// A claim is over.
    ClaimClosed {
        /// Which.
        claim: ClaimId,
        /// Taken in all.
        done: Amount,
        /// What turned out to be spent.
        short: Amount,
    },
    /// A wallet's alert state changed.
    AlertState {
        /// Of which wallet.
        wallet: WalletId,
        /// Counts the changes of the wallet, from 1.
        sequence: u64,
        /// Before.
        from: AlertLevel,
        /// From now on.
        to: AlertLevel,
        /// available + lent + held.
        balance: Amount,
    },
}

impl Fact {
    /// The lot it speaks of.
    #[must_use]
    pub fn lot(&self) -> Option<LotId> {
        match self {
            Self::LotMade(terms) => Some(terms.lot),
            Self::LotPaid { lot, .. }
            | Self::LotGrew { lot, .. }
            | Self::LotEffective { lot }
            | Self::LotPriority { lot, .. }
            | Self::LotExtended { lot, .. }
            | Self::LotExcess { lot, .. }
            | Self::LotVoided { lot } => Some(*lot),
            Self::WalletOpened { .. }
            | Self::AutoTopUpTerms { .. }
            | Self::AlertTerms { .. }
            | Self::WalletPriority { .. }
            | Self::WalletStatus { .. }
            | Self::CreditLimit { .. }
            | Self::ClaimOpened { .. }
            | Self::ClaimTook { .. }
            | Self::ClaimClosed { .. }
            | Self::AlertState { .. } => None,
        }
    }
}

/// What a lot was made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LotTerms {
    /// The id.
    pub lot: LotId,
    /// In which wallet.
    pub wallet: WalletId,
    /// The operator's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// What kind of value.
    pub kind: LotKind,
    /// Why it exists.
    pub reason: ReasonCode,
    /// Where it comes from.
    pub source: LotSource,
    /// Smaller burns first; none burns last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// It can be spent from then.
    pub effective_at: Timestamp,
    /// It can't be spent from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// All of it.
    pub amount: Amount,
    /// It waits for its payment.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub is_unpaid: bool,
    /// What was, or is to be, paid for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<CostBasis>,
}

impl LotTerms {
    /// The terms of a lot that was just made.
    #[must_use]
    pub fn of(lot: &Lot) -> Self {
        Self {
            lot: lot.id,
            wallet: lot.wallet,
            external_id: lot.external_id.clone(),
            kind: lot.kind,
            reason: lot.reason,
            source: lot.source,
            priority: lot.priority,
            effective_at: lot.effective_at,
            expires_at: lot.expires_at,
            amount: lot.amount,
            is_unpaid: !lot.unpaid.is_zero(),
            cost: lot.cost.clone(),
        }
    }
}
