//! Lots and leases worked out again from the journal, and held against their rows.
//!
//! An entry moves credit from one of the books' accounts to another; its draws say how much
//! of it concerns which lot. So each draw moves a part of that lot likewise, and a lot's
//! row must be what all its draws come to.

use std::collections::{BTreeMap, BTreeSet};

use creditgate_ledger::id::{LeaseId, LotId};
use creditgate_ledger::verify::Finding;
use creditgate_ledger::{Entry, EntryKind, Lease, LedgerAccount, Lot, Posting};

use super::by_row;

/// What the entries of a customer come to.
#[derive(Default)]
pub(super) struct Audit {
    /// The customer's lots, history too: when they could be lent, and in which order.
    rows: BTreeMap<LotId, Lot>,
    lots: BTreeMap<LotId, Parts>,
    /// Lots drawn on by entries that are not from one account to one other.
    underivable: BTreeSet<LotId>,
    leases: BTreeMap<LeaseId, Use>,
}

/// The parts of a lot, in the order of [`PARTS`].
type Parts = [i128; 5];

const PARTS: [&str; 5] = ["free", "pinned", "spent", "expired", "withdrawn"];

/// The part of a lot that is counted in one of the books' accounts. Credit that comes from
/// funding was in no part before; what repays debt is spent.
const fn part(account: LedgerAccount) -> Option<usize> {
    match account {
        LedgerAccount::Available => Some(0),
        LedgerAccount::Lent | LedgerAccount::Quarantined => Some(1),
        LedgerAccount::Spent | LedgerAccount::Unattributed | LedgerAccount::Debt => Some(2),
        LedgerAccount::Expired => Some(3),
        LedgerAccount::Withdrawn | LedgerAccount::Transferred => Some(4),
        LedgerAccount::Funding | LedgerAccount::LeaseLoss | LedgerAccount::CreditLine => None,
    }
}

#[derive(Default)]
struct Use {
    out: i128,
    spent: i128,
}

impl Audit {
    /// Takes in a lot; all of them come before the entries.
    pub(super) fn know(&mut self, lot: Lot) {
        self.rows.insert(lot.id, lot);
    }

    /// Takes in an entry; `sums` are of its account.
    pub(super) fn take(&mut self, entry: &Entry, sums: &mut [i128], findings: &mut Vec<Finding>) {
        let mut found = |invariant, problem| {
            findings.push(Finding {
                invariant,
                subject: entry.id.to_string(),
                problem,
            })
        };
        let total: i128 = entry
            .postings
            .iter()
            .map(|posting| i128::from(posting.amount.get()))
            .sum();
        if total != 0 || entry.postings.is_empty() {
            found(
                1,
                format!("its {} postings sum to {total}", entry.postings.len()),
            );
        }
        for Posting { account, amount } in &entry.postings {
            if let Some(sum) = sums.get_mut(*account as usize) {
                *sum = sum.saturating_add(i128::from(amount.get()));
            }
        }
        if let Some(lease) = entry.lease {
            let used = self.leases.entry(lease).or_default();
            let posted = |account| i128::from(entry.posted(account).get());
            used.out = used
                .out
                .saturating_add(posted(LedgerAccount::Lent))
                .saturating_add(posted(LedgerAccount::Quarantined));
            used.spent = used.spent.saturating_add(posted(LedgerAccount::Spent));
        }
        let drawn: i128 = entry
            .draws
            .iter()
            .map(|draw| i128::from(draw.amount.get()))
            .sum();
        let moved: i128 = entry
            .postings
            .iter()
            .map(|posting| i128::from(posting.amount.get()).max(0))
            .sum();
        if drawn > moved || entry.draws.iter().any(|draw| draw.amount.get() <= 0) {
            found(7, format!("it moves {moved} but draws {drawn} from lots"));
        }
        self.judge_lending(entry, &mut found);
        self.move_parts(entry);
    }

    /// Invariants 6 and 7: what an entry lent was of lots that could be lent then, and it took
    /// them in their order.
    fn judge_lending(&self, entry: &Entry, found: &mut impl FnMut(u8, String)) {
        let leaves = entry.posted(LedgerAccount::Available).is_negative();
        if entry.kind != EntryKind::Lending || !leaves {
            return;
        }
        let at = entry.booked_at;
        let mut before: Option<&Lot> = None;
        for lot in entry
            .draws
            .iter()
            .filter_map(|draw| self.rows.get(&draw.lot))
        {
            // A lot may be lent and voided within one millisecond, in this order.
            let fault = if at < lot.effective_at {
                Some(("before it was effective", lot.effective_at))
            } else if lot.has_expired(at) {
                lot.expires_at.map(|expiry| ("after its expiry", expiry))
            } else {
                let voided = lot.voided_at.filter(|voided| at > *voided);
                voided.map(|voided| ("after it was voided", voided))
            };
            if let Some((when, instant)) = fault {
                found(
                    6,
                    format!("it lends of {} at {at}, {when} at {instant}", lot.id),
                );
            }
            if let Some(before) =
                before.filter(|before| before.burn_key(None) >= lot.burn_key(None))
            {
                found(
                    7,
                    format!(
                        "it takes {} before {}, which burns first",
                        before.id, lot.id
                    ),
                );
            }
            before = Some(lot);
        }
    }

    fn move_parts(&mut self, entry: &Entry) {
        let route = match entry.postings.as_slice() {
            [a, b] if a.amount.is_negative() && !b.amount.is_negative() => {
                Some((a.account, b.account))
            }
            [a, b] if b.amount.is_negative() && !a.amount.is_negative() => {
                Some((b.account, a.account))
            }
            _ => None,
        };
        for draw in &entry.draws {
            let Some((from, to)) = route else {
                self.underivable.insert(draw.lot);
                continue;
            };
            let parts = self.lots.entry(draw.lot).or_default();
            let amount = i128::from(draw.amount.get());
            let mut add = |account, amount| {
                if let Some(part) = part(account).and_then(|part| parts.get_mut(part)) {
                    *part = i128::saturating_add(*part, amount);
                }
            };
            add(from, -amount);
            add(to, amount);
        }
    }

    /// Invariant 7: the lot is what its draws come to.
    pub(super) fn compare_lot(&mut self, lot: &Lot, findings: &mut Vec<Finding>) {
        let journal = self.lots.remove(&lot.id).unwrap_or_default();
        if self.underivable.contains(&lot.id) {
            return;
        }
        let row = [lot.free, lot.pinned, lot.spent, lot.expired, lot.withdrawn];
        for ((name, row), journal) in PARTS.iter().zip(row).zip(journal) {
            if i128::from(row.get()) != journal {
                let problem = format!(
                    "{} of it is {name}, but by the journal's draws {journal}",
                    row.get()
                );
                findings.push(Finding {
                    invariant: 7,
                    subject: lot.id.to_string(),
                    problem,
                });
            }
        }
    }

    /// Invariants 3 and 11: what the lease has out and what was used of it is what is booked.
    pub(super) fn compare_lease(&mut self, lease: &Lease, findings: &mut Vec<Finding>) {
        let journal = self.leases.remove(&lease.id).unwrap_or_default();
        let (out, spent) = by_row(lease);
        let mut found = |invariant, problem| {
            findings.push(Finding {
                invariant,
                subject: lease.id.to_string(),
                problem,
            })
        };
        if i128::from(out.get()) != journal.out {
            found(
                3,
                format!(
                    "it has {} out, but by the journal {}",
                    out.get(),
                    journal.out
                ),
            );
        }
        if i128::from(spent.get()) != journal.spent {
            found(
                11,
                format!(
                    "its settled counter stands for {}, but {} was booked as spent",
                    spent.get(),
                    journal.spent
                ),
            );
        }
    }

    /// What the journal knows and no row was found for.
    pub(super) fn without_row(self, findings: &mut Vec<Finding>) {
        for lot in self.lots.keys() {
            let problem = "the journal draws on it, but the customer has no such lot".to_owned();
            findings.push(Finding {
                invariant: 7,
                subject: lot.to_string(),
                problem,
            });
        }
        for lease in self.leases.keys() {
            let problem =
                "the journal has entries about it, but the customer has no such lease".to_owned();
            findings.push(Finding {
                invariant: 3,
                subject: lease.to_string(),
                problem,
            });
        }
    }
}
