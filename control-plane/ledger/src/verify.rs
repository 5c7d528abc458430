//! The invariants of a book, as checks that say what is wrong where.

mod credit;

use creditgate_core::amount::Amount;

use crate::book::{Account, Book};
use crate::journal::LedgerAccount;
use crate::lease::{Lease, LeaseState};

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The invariant's number in ARCHITECTURE.md.
    pub invariant: u8,
    /// Which row.
    pub subject: String,
    /// What does not hold.
    pub problem: String,
}

/// The numbers of the invariants in ARCHITECTURE.md, as findings name them.
pub mod invariant {
    /// Postings of an entry sum to zero; balances are the sums of their postings.
    pub const BALANCED: u8 = 1;
    /// What was funded is in one of the parts.
    pub const FUNDED: u8 = 2;
    /// What is settled and out is funded.
    pub const STRICT: u8 = 3;
    /// A lease's counters are in order.
    pub const COUNTERS: u8 = 4;
    /// No credit is lent twice.
    pub const ONCE: u8 = 5;
    /// What expired or was voided is not lent.
    pub const IN_TIME: u8 = 6;
    /// Each consumption says how much of which lot, in burn order.
    pub const LOTS: u8 = 7;
    /// An answer to an idempotency key is whole.
    pub const ANSWERS: u8 = 8;
    /// What was acknowledged can be read.
    pub const DURABLE: u8 = 9;
    /// An alert fires once per crossing, in order.
    pub const ALERTS: u8 = 10;
    /// What gateways report as used is what is booked as spent.
    pub const USAGE: u8 = 11;
    /// Each entry of an account is chained to the one before it.
    pub const CHAIN: u8 = 12;
    /// The journal alone tells how the rows came to be.
    pub const FACTS: u8 = 13;
}

/// Checks everything that a book alone can show.
#[must_use]
pub fn verify(book: &Book) -> Vec<Finding> {
    let mut findings = Vec::new();
    for account in &book.accounts {
        check_account(book, account, &mut findings);
    }
    credit::check(book, &mut findings);
    for lease in &book.leases {
        check_lease(lease, &mut findings);
    }
    findings
}

fn check_account(book: &Book, account: &Account, findings: &mut Vec<Finding>) {
    let balances = &account.balances;
    let mut expect = |invariant, what: &str, holds: LedgerAccount, is: Amount| {
        let booked = balances.get(holds);
        if booked != is {
            findings.push(Finding {
                invariant,
                subject: account.id.to_string(),
                problem: format!(
                    "{what} is {} but {} is booked as {holds}",
                    is.get(),
                    booked.get()
                ),
            });
        }
    };
    let free = sum(book
        .lots
        .iter()
        .filter(|lot| lot.account == account.id)
        .map(|lot| lot.free));
    expect(
        2,
        "what is free in its lots",
        LedgerAccount::Available,
        free,
    );
    let out = |states: &'static [LeaseState]| {
        let leases = book
            .leases
            .iter()
            .filter(move |lease| lease.account == account.id && states.contains(&lease.state));
        sum(leases.map(|lease| lease.counters.outstanding()))
    };
    expect(
        2,
        "what its leases have out",
        LedgerAccount::Lent,
        out(&[LeaseState::Open, LeaseState::Draining]),
    );
    expect(
        2,
        "what its quarantined leases have out",
        LedgerAccount::Quarantined,
        out(&[LeaseState::Quarantined]),
    );
    if !balances.is_balanced() {
        findings.push(Finding {
            invariant: 1,
            subject: account.id.to_string(),
            problem: "its balances do not sum to zero".to_owned(),
        });
    }
}

fn check_lease(lease: &Lease, findings: &mut Vec<Finding>) {
    let mut found = |invariant, problem: &str| {
        findings.push(Finding {
            invariant,
            subject: lease.id.to_string(),
            problem: problem.to_owned(),
        });
    };
    if lease.counters.check().is_err()
        || (lease.resolution.is_none() && !lease.counters.overrun().is_zero())
    {
        found(4, "its counters are out of order");
    }
    let out = if lease.resolution.is_some() {
        Amount::ZERO
    } else {
        lease.counters.outstanding()
    };
    if lease.pinned() != out {
        found(7, "its pins do not sum to what it has out");
    }
    if lease.state == LeaseState::Closed
        && lease.resolution.is_none()
        && !lease.counters.is_balanced()
    {
        found(3, "it is closed with credit out");
    }
}

fn sum(amounts: impl Iterator<Item = Amount>) -> Amount {
    amounts.fold(Amount::ZERO, Amount::saturating_add)
}
