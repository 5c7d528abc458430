//! Defects planted on purpose, so that the simulation can show that it finds them.
//!
//! Compiled only with the feature `defects`, which no build without debug assertions accepts:
//! neither the shipped binary nor the shipped filter can contain this module. Even where it
//! is compiled, every defect is off until a test plants it, for its own thread alone.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use crate::id::AccountId;
use crate::lease::{Counters, LeaseNumber};

/// A mistake that an implementation of the lease protocol could make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// The control plane takes back what a silent instance was lent.
    ReclaimedByTimeOut,
    /// Reports say what was added since the last acknowledged one, and the control plane adds.
    DeltaReports,
    /// A cell that was lost comes back under the lease number it had.
    LostCellKeepsNumber,
    /// The state of an account is applied whatever its version.
    StaleFlagApplied,
    /// The offline allowance is that of a lease, not that of all leases of a cell.
    AllowanceOfEachLease,
}

/// A report under [`Defect::DeltaReports`]: who, and the mark it was made with.
type Sent = (AccountId, u64);

#[derive(Default)]
struct Deltas {
    sent: HashMap<Sent, Vec<(LeaseNumber, Counters)>>,
    acknowledged: HashMap<(AccountId, LeaseNumber), Counters>,
}

thread_local! {
    static PLANTED: Cell<Option<Defect>> = const { Cell::new(None) };
    static DELTAS: RefCell<Deltas> = RefCell::default();
}

/// Plants a defect in this thread, or none.
pub fn plant(defect: Option<Defect>) {
    PLANTED.set(defect);
    DELTAS.with_borrow_mut(|deltas| *deltas = Deltas::default());
}

/// Whether this thread has the defect.
#[must_use]
pub fn is_planted(defect: Defect) -> bool {
    PLANTED.get() == Some(defect)
}

/// What a report says of a lease: under [`Defect::DeltaReports`] only what is new.
pub(crate) fn reported(
    account: AccountId,
    mark: u64,
    lease: LeaseNumber,
    counters: Counters,
) -> Counters {
    if !is_planted(Defect::DeltaReports) {
        return counters;
    }
    DELTAS.with_borrow_mut(|deltas| {
        deltas
            .sent
            .entry((account, mark))
            .or_default()
            .push((lease, counters));
        let known = deltas
            .acknowledged
            .get(&(account, lease))
            .copied()
            .unwrap_or_default();
        Counters {
            granted: counters.granted,
            returned: counters.returned.saturating_sub(known.returned),
            reserved: counters.reserved.saturating_sub(known.reserved),
            released: counters.released.saturating_sub(known.released),
            settled: counters.settled.saturating_sub(known.settled),
        }
    })
}

/// Notes that the report made with `mark` was acknowledged.
pub(crate) fn acknowledge(account: AccountId, mark: u64) {
    if is_planted(Defect::DeltaReports) {
        DELTAS.with_borrow_mut(|deltas| {
            for (lease, counters) in deltas.sent.remove(&(account, mark)).unwrap_or_default() {
                deltas.acknowledged.insert((account, lease), counters);
            }
        });
    }
}

/// What the control plane takes a report to say of a lease that it knows so far.
#[must_use]
pub fn understood(known: &Counters, reported: &Counters) -> Counters {
    if !is_planted(Defect::DeltaReports) {
        return *reported;
    }
    Counters {
        granted: reported.granted,
        returned: known.returned.saturating_add(reported.returned),
        reserved: known.reserved.saturating_add(reported.reserved),
        released: known.released.saturating_add(reported.released),
        settled: known.settled.saturating_add(reported.settled),
    }
}
