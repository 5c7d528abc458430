//! The journal: immutable, balanced entries.
//!
//! Credit moves between twelve accounts of each customer account. An entry's postings sum
//! to zero; each balance is the sum of its postings. Corrections are new entries.

use creditgate_core::amount::Amount;
use serde::{Deserialize, Serialize};

pub use crate::ledger_account::LedgerAccount;
pub use crate::reason::ReasonCode;

use crate::chain::ChainHash;
use crate::context::Context;
use crate::event::{Event, EventKind};
use crate::fact::Fact;
use crate::id::{AccountId, CustomerId, EntryId, EventId, LeaseId, LotId, WalletId};
use crate::time::Timestamp;

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
    /// Debt, or what was used of a credit limit, was repaid by new credit.
    Repayment,
    /// Credit was taken out of a wallet.
    Debit,
    /// Credit went to another wallet of the customer.
    Transfer,
    /// The credit limit of a post-paid wallet was set, or used credit of it became free again.
    CreditLimit,
    /// No credit moved: a fact was noted.
    Note,
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
    /// Counts the entries of the account, from 1.
    pub number: u64,
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
    /// What it says besides its amounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fact: Option<Fact>,
    /// Its lines.
    pub postings: Vec<Posting>,
    /// Which lots it changed by how much.
    pub draws: Vec<Draw>,
    /// The hash of it and of all entries of the account before it; not part of its canonical text.
    #[serde(skip)]
    pub hash: ChainHash,
}

impl Entry {
    /// Its canonical JSON, which is what is hashed: the fields in their order, no space between.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

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
    /// What is to be told, in the order it happened.
    pub events: Vec<Event>,
    /// What wallets that fill themselves had before the decision.
    pub before: Vec<(WalletId, Amount)>,
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
    /// A fact that comes with the movement.
    pub fact: Option<Fact>,
}

impl Journal {
    /// Notes a fact that moves no credit.
    pub fn note(
        &mut self,
        context: &mut Context<'_>,
        account: &mut crate::book::Account,
        reason: ReasonCode,
        fact: Fact,
        about: About,
    ) {
        let entry = Entry {
            id: EntryId(context.ids.next()),
            account: account.id,
            number: 0,
            kind: EntryKind::Note,
            reason,
            booked_at: context.now,
            usage_from: about.usage_from,
            wallet: about.wallet,
            lease: about.lease,
            actor: context.actor.to_owned(),
            note: about.note,
            fact: Some(fact),
            postings: Vec::new(),
            draws: Vec::new(),
            hash: ChainHash::default(),
        };
        self.add(account, entry);
    }

    /// Notes that something is to be told.
    pub fn tell(
        &mut self,
        context: &mut Context<'_>,
        customer: CustomerId,
        kind: EventKind,
        data: serde_json::Value,
    ) {
        self.events.push(Event {
            id: EventId(context.ids.next()),
            kind,
            at: context.now,
            customer: Some(customer),
            data,
        });
    }

    /// Whether the decision at `now` may have changed the account.
    #[must_use]
    pub fn has_changed(
        &self,
        book: &crate::book::Book,
        account: AccountId,
        now: Timestamp,
    ) -> bool {
        let mut entries = self.entries.iter().rev();
        book.account(account)
            .is_some_and(|account| account.last_instant == now)
            || entries.any(|entry| entry.account == account && entry.booked_at == now)
    }

    fn add(&mut self, account: &mut crate::book::Account, mut entry: Entry) {
        account.chain.add(&mut entry);
        self.entries.push(entry);
    }

    /// Notes a movement of `amount` from one account to another. Of zero only a fact is noted.
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
            if let Some(fact) = about.fact.clone() {
                self.note(context, account, reason, fact, about);
            }
            return;
        }
        account
            .balances
            .add(from, Amount::ZERO.saturating_sub(amount));
        account.balances.add(to, amount);
        let entry = Entry {
            id: EntryId(context.ids.next()),
            account: account.id,
            number: 0,
            kind,
            reason,
            booked_at: context.now,
            usage_from: about.usage_from,
            wallet: about.wallet,
            lease: about.lease,
            actor: context.actor.to_owned(),
            note: about.note,
            fact: about.fact,
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
            hash: ChainHash::default(),
        };
        self.add(account, entry);
    }
}
