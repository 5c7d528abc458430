//! The journal: immutable, balanced entries.
//!
//! Credit moves between nine accounts of each customer account. An entry's postings sum
//! to zero; each balance is the sum of its postings. Corrections are new entries.

use core::fmt;

use creditgate_core::amount::Amount;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::id::{AccountId, EntryId, LeaseId, LotId, WalletId};
use crate::time::Timestamp;

/// One of the books' own accounts, for each customer account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LedgerAccount {
    /// Where credit comes from; its balance is the negative of all that was funded.
    Funding,
    /// Free to be lent.
    Available,
    /// Lent to gateways: remaining there or held by requests in flight.
    Lent,
    /// Lent to gateways that fell silent or lost their memory of it.
    Quarantined,
    /// Used and reported.
    Spent,
    /// Charged without a report of use: holds that outlived their stream, consumed quarantine.
    Unattributed,
    /// Unused at its expiry.
    Expired,
    /// Voided or withdrawn.
    Withdrawn,
    /// Used beyond what was funded; its balance is the negative of what is owed.
    Debt,
    /// Used after its quarantine was released to the customer: the operator's loss, negative.
    LeaseLoss,
}

impl LedgerAccount {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Funding,
        Self::Available,
        Self::Lent,
        Self::Quarantined,
        Self::Spent,
        Self::Unattributed,
        Self::Expired,
        Self::Withdrawn,
        Self::Debt,
        Self::LeaseLoss,
    ];

    /// The name in storage and on the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Funding => "funding",
            Self::Available => "available",
            Self::Lent => "lent",
            Self::Quarantined => "quarantined",
            Self::Spent => "spent",
            Self::Unattributed => "unattributed",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Debt => "debt",
            Self::LeaseLoss => "lease_loss",
        }
    }
}

impl fmt::Display for LedgerAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// Money or promotional credit came in.
    TopUp,
    /// Credit went to or came back from gateways.
    Lending,
    /// Requests were paid.
    Usage,
    /// A lot reached its expiry.
    Expiry,
    /// A lot was voided.
    Void,
    /// A lease fell silent or was lost.
    Quarantine,
    /// An operator or a policy decided over quarantined credit.
    Resolution,
    /// Debt was repaid by new credit.
    Repayment,
}

/// Why a lot or an entry exists, for revenue recognition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReasonCode {
    /// Credit bought, paid by an invoice.
    PurchasedCreditInvoiced,
    /// Credit bought, paid directly.
    PurchasedCreditDirect,
    /// Extra credit that came with a purchase.
    PurchasedCreditBonus,
    /// Credit given without payment.
    FreeCreditGrant,
    /// Credit that belongs to a subscription.
    SubscriptionCreditGrant,
    /// Credit given back for an invoice.
    CreditNote,
    /// Credit given back for a voided invoice.
    InvoiceVoidRefund,
    /// A correction by an operator.
    CreditAdjustment,
    /// An invoice paid from the wallet.
    InvoicePayment,
    /// Credit unused at its expiry.
    CreditExpired,
    /// A lot voided by an operator.
    CreditVoided,
    /// A wallet was closed.
    WalletTermination,
    /// An operator took credit out.
    ManualBalanceDebit,
    /// Requests paid at a gateway.
    Usage,
    /// Credit lent to or returned by a gateway.
    LeaseLending,
    /// A lease fell silent or was lost.
    LeaseQuarantined,
    /// Quarantined credit given back to the customer.
    LeaseReleased,
    /// Quarantined credit charged to the customer.
    LeaseConsumed,
    /// Use reported after its quarantine had been released: the operator's loss.
    LeaseLoss,
    /// A reservation that outlived the longest stream, charged.
    UnsettledHold,
    /// Use beyond what was funded.
    Overrun,
    /// Debt repaid by new credit.
    DebtRepaid,
}

/// One signed line of an entry, in smallest units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posting {
    /// Where.
    pub account: LedgerAccount,
    /// How much; the postings of an entry sum to zero.
    pub amount: Amount,
}

/// How much an entry took of which lot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draw {
    /// The lot.
    pub lot: LotId,
    /// The part taken.
    pub amount: Amount,
}

/// An immutable, balanced entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its id; larger than the ids before it.
    pub id: EntryId,
    /// The customer account it belongs to.
    pub account: AccountId,
    /// What it is about.
    pub kind: EntryKind,
    /// Why it exists.
    pub reason: ReasonCode,
    /// When it was booked.
    pub booked_at: Timestamp,
    /// For usage: the start of the interval it covers, which ends at `booked_at`.
    pub usage_from: Option<Timestamp>,
    /// The wallet, if it is about one.
    pub wallet: Option<WalletId>,
    /// The lease, if it is about one.
    pub lease: Option<LeaseId>,
    /// Who asked for it.
    pub actor: String,
    /// What the actor said of it.
    pub note: Option<String>,
    /// Its lines.
    pub postings: Vec<Posting>,
    /// Which lots it changed by how much.
    pub draws: Vec<Draw>,
}

impl Entry {
    /// What the entry adds to `account`.
    #[must_use]
    pub fn posted(&self, account: LedgerAccount) -> Amount {
        self.postings
            .iter()
            .filter(|posting| posting.account == account)
            .fold(Amount::ZERO, |sum, posting| {
                sum.saturating_add(posting.amount)
            })
    }
}

/// Entries noted by decisions, to be written with the changed books.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    /// In the order they were decided.
    pub entries: Vec<Entry>,
}

/// What an entry says besides its amounts.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// The wallet.
    pub wallet: Option<WalletId>,
    /// The lease.
    pub lease: Option<LeaseId>,
    /// The start of the usage interval.
    pub usage_from: Option<Timestamp>,
    /// What the actor said.
    pub note: Option<String>,
}

impl Journal {
    /// Notes a movement of `amount` from one account to another. Zero is not noted.
    #[allow(
        clippy::too_many_arguments,
        reason = "an entry has these parts, and a builder would hide that all are given"
    )]
    pub fn transfer(
        &mut self,
        context: &mut Context<'_>,
        account: &mut crate::book::Account,
        kind: EntryKind,
        reason: ReasonCode,
        (from, to, amount): (LedgerAccount, LedgerAccount, Amount),
        draws: Vec<Draw>,
        about: About,
    ) {
        if amount.is_zero() {
            return;
        }
        account
            .balances
            .add(from, Amount::ZERO.saturating_sub(amount));
        account.balances.add(to, amount);
        self.entries.push(Entry {
            id: EntryId(context.ids.next()),
            account: account.id,
            kind,
            reason,
            booked_at: context.now,
            usage_from: about.usage_from,
            wallet: about.wallet,
            lease: about.lease,
            actor: context.actor.to_owned(),
            note: about.note,
            postings: vec![
                Posting {
                    account: from,
                    amount: Amount::ZERO.saturating_sub(amount),
                },
                Posting {
                    account: to,
                    amount,
                },
            ],
            draws,
        });
    }
}
