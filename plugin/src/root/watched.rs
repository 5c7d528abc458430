//! The cells this worker looks after: those it touched, until nothing is left to say.
//!
//! Shared data can't be listed, so every worker remembers where it spent. A cell is looked
//! at when its time has come, not at each tick: the order of due times is kept.

use std::collections::{BTreeSet, HashMap};

use creditgate_core::amount::Amount;
use creditgate_core::cell::Cell;
use creditgate_core::id::AccountId;
use creditgate_core::lease::LeaseNumber;

/// Cells by the time they are to be looked at.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    cells: HashMap<u32, Entry>,
    due: BTreeSet<(u64, u32)>,
    latest_ms: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    account: AccountId,
    due_ms: u64,
    is_urgent: bool,
    /// What was lent and reserved under which lease, when it last changed.
    seen: (LeaseNumber, Amount, Amount),
    used_at_ms: u64,
}

impl Watched {
    /// The last instant that was heard of.
    pub(crate) const fn latest_ms(&self) -> u64 {
        self.latest_ms
    }

    pub(crate) fn note_time(&mut self, now_ms: u64) {
        self.latest_ms = self.latest_ms.max(now_ms);
    }

    /// Looks after a cell from now on.
    pub(crate) fn touch(&mut self, slot: u32, account: AccountId, now_ms: u64) {
        self.note_time(now_ms);
        if self
            .cells
            .get(&slot)
            .is_some_and(|entry| entry.account == account)
        {
            return;
        }
        self.put(slot, account, now_ms, false);
    }

    /// Has a cell reported as soon as can be, whether or not it was lately.
    pub(crate) fn urge(&mut self, slot: u32, account: AccountId, now_ms: u64) {
        self.put(slot, account, now_ms, true);
    }

    fn put(&mut self, slot: u32, account: AccountId, now_ms: u64, is_urgent: bool) {
        let known = self.forget(slot).filter(|entry| entry.account == account);
        let fresh = Entry {
            account,
            due_ms: now_ms,
            is_urgent,
            seen: (LeaseNumber::NONE, Amount::ZERO, Amount::ZERO),
            used_at_ms: now_ms,
        };
        let entry = known.map_or(fresh, |entry| Entry {
            due_ms: entry.due_ms.min(now_ms),
            is_urgent: entry.is_urgent || is_urgent,
            ..entry
        });
        self.due.insert((entry.due_ms, slot));
        self.cells.insert(slot, entry);
    }

    fn forget(&mut self, slot: u32) -> Option<Entry> {
        let entry = self.cells.remove(&slot)?;
        self.due.remove(&(entry.due_ms, slot));
        Some(entry)
    }

    /// Stops looking after a cell of an account.
    pub(crate) fn drop(&mut self, slot: u32, account: AccountId) {
        if self
            .cells
            .get(&slot)
            .is_some_and(|entry| entry.account == account)
        {
            self.forget(slot);
        }
    }

    /// The next cell whose time has come.
    pub(crate) fn next_due(&self, now_ms: u64) -> Option<(u32, AccountId, bool)> {
        let (due_ms, slot) = self.due.first()?;
        let entry = self.cells.get(slot).filter(|_| *due_ms <= now_ms)?;
        Some((*slot, entry.account, entry.is_urgent))
    }

    /// To be looked at again then. An urgent cell stays urgent until it was reported.
    pub(crate) fn reschedule(&mut self, slot: u32, due_ms: u64, was_reported: bool) {
        if let Some(entry) = self.cells.get_mut(&slot) {
            self.due.remove(&(entry.due_ms, slot));
            entry.due_ms = due_ms;
            entry.is_urgent &= !was_reported;
            self.due.insert((due_ms, slot));
        }
    }

    /// How long nothing was lent to a cell nor reserved in it, as far as this worker saw.
    pub(crate) fn unused_ms(&mut self, slot: u32, cell: &Cell, now_ms: u64) -> u64 {
        let Some(entry) = self.cells.get_mut(&slot) else {
            return 0;
        };
        let seen = (cell.lease, cell.counters.granted, cell.counters.reserved);
        if entry.seen != seen {
            entry.seen = seen;
            entry.used_at_ms = now_ms;
        }
        now_ms.saturating_sub(entry.used_at_ms)
    }

    /// Every cell looked after.
    pub(crate) fn all(&self) -> Vec<(u32, AccountId)> {
        self.cells
            .iter()
            .map(|(slot, entry)| (*slot, entry.account))
            .collect()
    }
}
