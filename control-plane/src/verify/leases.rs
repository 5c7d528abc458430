//! Leases held against the journal: what they have out, and what was used of them.
//!
//! A customer may have had any number of leases. So many are looked at in one pass over the
//! journal; further ones take further passes.

use std::collections::BTreeMap;

use creditgate_core::amount::Amount;
use creditgate_ledger::id::LeaseId;
use creditgate_ledger::verify::{invariant, verify as verify_book};
use creditgate_ledger::{Book, Entry, Lease, LedgerAccount};

use super::{Findings, PAGE};
use crate::storage::{LeaseFilter, PageRequest, Reader, StorageError};

/// Leases of one pass, at most.
const LEASES_MAX: usize = 100_000;

/// Leases with neighbouring ids, and what the journal says of them.
pub(super) struct Leases {
    /// From this id on.
    from: LeaseId,
    /// Up to, and without, this id; none: to the last.
    until: Option<LeaseId>,
    uses: BTreeMap<LeaseId, Use>,
    /// Where the next pass goes on; none: these are the last.
    next: Option<PageRequest>,
}

/// What one lease has out, and what was spent of it.
#[derive(Default)]
struct Use {
    row: Option<Row>,
    granted: i128,
    out: i128,
    spent: i128,
}

/// What a lease's row stands for.
struct Row {
    granted: Amount,
    out: Amount,
    spent: Amount,
}

impl Leases {
    /// The newest leases of a customer; their rows are checked, too.
    pub(super) fn newest(
        reader: &dyn Reader,
        book: &Book,
        findings: &mut Findings,
    ) -> Result<Self, StorageError> {
        Self::page(reader, book, PageRequest::first(PAGE), None, findings)
    }

    /// Those before these.
    pub(super) fn older(
        &self,
        reader: &dyn Reader,
        book: &Book,
        findings: &mut Findings,
    ) -> Result<Option<Self>, StorageError> {
        let Some(next) = self.next else {
            return Ok(None);
        };
        Self::page(reader, book, next, Some(self.from), findings).map(Some)
    }

    fn page(
        reader: &dyn Reader,
        book: &Book,
        mut page: PageRequest,
        until: Option<LeaseId>,
        findings: &mut Findings,
    ) -> Result<Self, StorageError> {
        let filter = LeaseFilter {
            customer: Some(book.customer.id),
            ..LeaseFilter::default()
        };
        let mut uses = BTreeMap::new();
        loop {
            let found = reader.leases(filter, page)?;
            for (_, lease) in found.items {
                let row = Some(by_row(&lease));
                let id = lease.id;
                let usage = Use {
                    row,
                    ..Use::default()
                };
                uses.insert(id, usage);
                // Rows that are history are judged by the same rules as the live ones in the book.
                if book.leases.iter().all(|live| live.id != id) {
                    let history = Book {
                        leases: vec![lease],
                        ..Book::of(book.customer.clone())
                    };
                    findings.extend(verify_book(&history));
                }
            }
            page.cursor = found.next;
            let next = found.next.map(|_| page);
            if next.is_none() || uses.len() >= LEASES_MAX {
                let oldest = uses.keys().next().copied().filter(|_| next.is_some());
                return Ok(Self {
                    from: oldest.unwrap_or(LeaseId(0)),
                    until,
                    uses,
                    next,
                });
            }
        }
    }

    /// Takes in an entry.
    pub(super) fn take(&mut self, entry: &Entry) {
        let Some(lease) = entry.lease else { return };
        let is_later = self.until.is_some_and(|until| lease >= until);
        if lease < self.from || is_later {
            return;
        }
        let used = self.uses.entry(lease).or_default();
        let posted = |account| i128::from(entry.posted(account).get());
        let out = posted(LedgerAccount::Lent).saturating_add(posted(LedgerAccount::Quarantined));
        used.out = used.out.saturating_add(out);
        used.granted = used.granted.saturating_add(out.max(0));
        used.spent = used.spent.saturating_add(posted(LedgerAccount::Spent));
    }

    /// Invariants 3 and 11: what a lease has out and what was used of it is what is booked.
    pub(super) fn compare(&self, findings: &mut Findings) {
        for (lease, used) in &self.uses {
            let Some(Row {
                granted,
                out,
                spent,
            }) = &used.row
            else {
                let problem =
                    "the journal has entries about it, but the customer has no such lease";
                findings.add(invariant::STRICT, lease, problem);
                continue;
            };
            if i128::from(granted.get()) != used.granted {
                let problem = format!(
                    "it was granted {}, but by the journal {}",
                    granted.get(),
                    used.granted
                );
                findings.add(invariant::STRICT, lease, problem);
            }
            if i128::from(out.get()) != used.out {
                let problem = format!("it has {} out, but by the journal {}", out.get(), used.out);
                findings.add(invariant::STRICT, lease, problem);
            }
            if i128::from(spent.get()) != used.spent {
                let problem = format!(
                    "its settled counter stands for {}, but {} was booked as spent",
                    spent.get(),
                    used.spent
                );
                findings.add(invariant::USAGE, lease, problem);
            }
        }
    }
}

/// Goes through the journals of a customer once more, for further leases.
pub(super) fn pass(
    reader: &dyn Reader,
    book: &Book,
    leases: &mut Leases,
) -> Result<(), StorageError> {
    for account in &book.accounts {
        let mut after = 0;
        loop {
            let entries = reader.chain(account.id, after, PAGE)?;
            entries.iter().for_each(|entry| leases.take(entry));
            match entries.last() {
                Some(last) if last.number > after => after = last.number,
                _ => break,
            }
        }
    }
    Ok(())
}

/// What a lease has out, and what was booked as spent of it, by its own row.
fn by_row(lease: &Lease) -> Row {
    let counters = &lease.counters;
    let (out, spent) = match &lease.resolution {
        None => (counters.outstanding(), counters.settled),
        // Decided over: later use moves money up to the amount that was decided.
        Some(resolution) => {
            let before = resolution.counters.settled;
            let late = counters.settled.saturating_sub(before);
            let late = late.max(Amount::ZERO).min(resolution.amount);
            (Amount::ZERO, before.saturating_add(late))
        }
    };
    Row {
        granted: counters.granted,
        out,
        spent,
    }
}
