//! The account cell: all a process knows of one account, in 192 bytes of shared data.
//!
//! Every worker changes it by compare-and-set, so each method here is one step from one
//! valid cell to the next. The cell never lends to itself: credit enters by [`Cell::apply`]
//! alone, under the lease number it was granted to. A cell that was lost comes back as a
//! *new* lease at zero, so the same credit is never counted twice.
//!
//! [`Cell::apply`] lives in [`apply`], the byte layout in [`layout`], what may be spent while
//! nobody answers in [`offline`].

mod apply;
mod layout;
mod offline;
mod spend;

pub use apply::Reception;
pub use layout::{CELL_BYTES, CellError};
pub use offline::Offline;
pub use spend::{NotAdmitted, Settlement};

use spend::return_remaining;

use crate::amount::Amount;
use crate::id::AccountId;
use crate::lease::{Counters, LeaseNumber};
use crate::outage::OnUnavailable;
use crate::protocol::{Block, EnforcementMode, PreviousReport, Report, Timing};

/// One account's cell. All instants are milliseconds of the process's monotonic clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Whose cell; [`AccountId`] zero is nobody's.
    pub account: AccountId,
    /// The lease that is spent from.
    pub lease: LeaseNumber,
    /// Its counters.
    pub counters: Counters,
    /// The current lease was turned in place: nothing may remain in it.
    pub spent_out: bool,
    /// The lease before, while the control plane has not closed it.
    pub previous: Option<Previous>,
    /// No admission from this instant on.
    pub use_by_ms: u64,
    /// The largest cost that could be paid at all; `None` while not known to be short.
    pub ceiling: Option<Amount>,
    /// The account version that ceiling, block, mode and use-by are of.
    pub version: u64,
    /// Grows when a credential of the account changes.
    pub credential_version: u32,
    /// Why the account may not spend.
    pub block: Option<Block>,
    /// Whether refusals are carried out.
    pub mode: EnforcementMode,
    /// What the customer's word is on outages; none leaves it to rule and filter.
    pub on_unavailable: Option<OnUnavailable>,
    /// The account owes something: it has no offline allowance.
    pub owes: bool,
    /// The last known balance plus what was settled here by then: see [`Cell::balance`].
    balance_base: Amount,
    /// What the credit that is left came to when it was issued.
    pub issued: Amount,
    /// When the balance was learned, in whole seconds of the same clock.
    pub balance_at_s: u32,
    /// [`Cell::mark`] as last acknowledged.
    reported_mark: u64,
    /// When a report was last acknowledged.
    pub reported_at_ms: u64,
    /// Someone is reporting this cell until then.
    pub claimed_until_ms: u64,
    /// [`epoch_mark`] of the ledger that lends to it; 0 while none has.
    pub ledger: u32,
}

/// What a cell keeps of a ledger's epoch: 24 bits, never zero. Epochs are drawn at random.
#[must_use]
pub fn epoch_mark(epoch: u64) -> u32 {
    let folded = (epoch ^ (epoch >> 24) ^ (epoch >> 48)) & layout::LEDGER_MASK;
    u32::try_from(folded).unwrap_or(1).max(1)
}

/// The lease before: no credit remains in it, requests in flight still settle in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Previous {
    /// Its number.
    pub lease: LeaseNumber,
    /// Its counters.
    pub counters: Counters,
    /// When it was turned.
    pub turned_at_ms: u64,
    /// It has outlived the longest stream.
    pub dead: bool,
}

impl Cell {
    /// A cell that holds nothing, under a new lease number.
    #[must_use]
    pub fn fresh(account: AccountId, lease: LeaseNumber) -> Self {
        Self {
            account,
            lease,
            counters: Counters::default(),
            spent_out: false,
            previous: None,
            use_by_ms: 0,
            ceiling: None,
            version: 0,
            credential_version: 0,
            block: None,
            mode: EnforcementMode::default(),
            on_unavailable: None,
            owes: false,
            balance_base: Amount::ZERO,
            issued: Amount::ZERO,
            balance_at_s: 0,
            reported_mark: 0,
            reported_at_ms: 0,
            claimed_until_ms: 0,
            ledger: 0,
        }
    }

    /// Begins again under another ledger, which never lent what is in here, and whose account
    /// versions may be lower: nothing but the account stays. What requests in flight held
    /// settles nowhere; the old ledger's leases are the operator's to resolve.
    pub fn start_over(&mut self, number: LeaseNumber, ledger: u32) {
        let after = LeaseNumber(self.lease.0.saturating_add(1));
        *self = Self {
            ledger,
            ..Self::fresh(self.account, number.max(after))
        };
    }

    /// Whether the cell may be of the ledger that `ledger` marks; 0 is any.
    #[must_use]
    pub const fn is_of(&self, ledger: u32) -> bool {
        self.ledger == ledger || self.ledger == 0 || ledger == 0
    }

    /// Gives back what remains above `keep`.
    pub fn give_back(&mut self, keep: Amount) {
        return_remaining(&mut self.counters, keep);
    }

    /// Gives back all that remains; nothing may remain in this lease ever again.
    pub fn spend_out(&mut self) {
        self.spent_out = true;
        self.give_back(Amount::ZERO);
    }

    /// Whether [`Cell::turn`] is possible: the lease before has left, or the current one is
    /// over and need not take its place.
    #[must_use]
    pub fn can_turn(&self) -> bool {
        self.previous.is_none() || self.is_over()
    }

    /// Nothing is in the current lease, nothing ever will be, and the control plane knows.
    fn is_over(&self) -> bool {
        self.spent_out && self.counters.is_balanced() && !self.has_news()
    }

    /// Whether the cell can get credit only after a turn.
    #[must_use]
    pub fn wants_turn(&self) -> bool {
        self.spent_out
    }

    /// Ends this lease: all that remains is returned in one step, what it holds settles in
    /// the previous lease, and new credit comes only under `number`. Without effect while
    /// an earlier lease still holds the previous place and this one is not over; the lease is
    /// then spent out, and turns once the control plane has acknowledged that.
    pub fn turn(&mut self, number: LeaseNumber, now_ms: u64) {
        self.spend_out();
        if !self.can_turn() || number <= self.lease {
            return;
        }
        if self.previous.is_some() {
            // It is over: no one need account for it, and an older stream goes on settling.
            self.balance_base = self.balance_base.saturating_sub(self.counters.settled);
        } else {
            self.previous = Some(Previous {
                lease: self.lease,
                counters: self.counters,
                turned_at_ms: now_ms,
                dead: false,
            });
        }
        self.lease = number;
        self.counters = Counters::default();
        self.spent_out = false;
        self.use_by_ms = 0;
        self.ceiling = None;
        // Marks only grow, so this one never comes again.
        self.reported_mark = self.mark().wrapping_sub(1);
    }

    /// What time alone changes: an unused cell gives back, a lease older than the longest
    /// stream turns, a previous lease older than that is dead. Returns whether it changed.
    pub fn age(&mut self, now_ms: u64, unused: bool, timing: &Timing, number: LeaseNumber) -> bool {
        let before = self.clone();
        if unused {
            self.give_back(Amount::ZERO);
        }
        if let Some(previous) = self.previous.as_mut() {
            let outlived = now_ms >= previous.turned_at_ms.saturating_add(timing.max_stream_ms);
            previous.dead |= outlived && !previous.counters.held().is_zero();
        }
        let old = now_ms
            >= self
                .lease
                .drawn_at_ms()
                .saturating_add(timing.max_stream_ms);
        let used = !self.counters.outstanding().is_zero();
        if self.can_turn() && (self.wants_turn() || (old && used) || self.counters.near_limit()) {
            self.turn(number, now_ms);
        }
        *self != before
    }

    /// What the cell says to the control plane. `need` is the cost of the first waiting
    /// request, `wanted` of all of them; zero if none waits.
    #[must_use]
    pub fn report(&self, need: Amount, wanted: Amount) -> Report {
        Report {
            account: self.account,
            lease: self.lease,
            counters: self.told(self.lease, self.counters),
            previous: self.previous.map(|previous| PreviousReport {
                lease: previous.lease,
                counters: self.told(previous.lease, previous.counters),
                dead: previous.dead,
            }),
            need,
            wanted: wanted.max(need),
        }
    }

    /// Counters as a report tells them: as they are.
    #[cfg(not(feature = "defects"))]
    const fn told(&self, _lease: LeaseNumber, counters: Counters) -> Counters {
        counters
    }

    /// Counters as a report tells them: as they are, unless a defect is planted.
    #[cfg(feature = "defects")]
    fn told(&self, lease: LeaseNumber, counters: Counters) -> Counters {
        crate::defects::reported(self.account, self.mark(), lease, counters)
    }

    /// Changes whenever there is something new to report.
    #[must_use]
    pub fn mark(&self) -> u64 {
        let current = self.lease.0.wrapping_add(self.counters.mark());
        self.previous.map_or(current, |previous| {
            current
                .wrapping_add(previous.lease.0)
                .wrapping_add(previous.counters.mark())
                .wrapping_add(u64::from(previous.dead))
        })
    }

    /// Whether the control plane has not acknowledged the present counters. So it is with a
    /// fresh cell: pushes that came before it was there found nobody, and the answer to its
    /// first report brings what they said.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.mark() != self.reported_mark
    }

    /// Whether credit or a reservation is in this cell.
    #[must_use]
    pub fn is_lent(&self) -> bool {
        let previous = self.previous.is_some_and(|p| !p.counters.is_balanced());
        previous || !self.counters.outstanding().is_zero()
    }

    /// Whether the cell may be given to another account: nothing is in it, all of it is
    /// acknowledged, and no call that could bring credit for it is under way.
    #[must_use]
    pub fn is_reusable(&self, now_ms: u64, timing: &Timing) -> bool {
        // A claim that was not answered may have brought credit that is not known here.
        let last_use = self
            .reported_at_ms
            .max(self.lease.drawn_at_ms())
            .max(self.claimed_until_ms);
        !self.is_lent()
            && self.previous.is_none()
            && !self.has_news()
            && now_ms >= last_use.saturating_add(timing.reuse_after_ms())
    }

    /// The last known balance less what was settled here since.
    #[must_use]
    pub fn balance(&self) -> Amount {
        self.balance_base.saturating_sub(self.settled_here())
    }

    /// The balance less what requests in flight hold: what may still be spent, as far as known.
    #[must_use]
    pub fn spendable(&self) -> Amount {
        let held = self.previous.map_or(Amount::ZERO, |p| p.counters.held());
        self.balance()
            .saturating_sub(self.counters.held())
            .saturating_sub(held)
            .max(Amount::ZERO)
    }

    fn settled_here(&self) -> Amount {
        let previous = self.previous.map_or(Amount::ZERO, |p| p.counters.settled);
        self.counters.settled.saturating_add(previous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{AccountState, LeaseAnswer, Phase};

    fn word(lease: u64, phase: Phase, granted: i64) -> LeaseAnswer {
        LeaseAnswer {
            account: AccountId(1),
            lease: LeaseNumber(lease),
            phase,
            granted: Amount::new(granted),
            use_by_ms: 1_000,
            settled: Amount::ZERO,
            previous: None,
            keep: None,
            waiting: false,
            state: AccountState {
                version: lease,
                balance: Amount::new(100),
                issued: Amount::new(100),
                ..AccountState::unknown()
            },
        }
    }

    fn hear(cell: &mut Cell, word: &LeaseAnswer, sent_mark: Option<u64>) {
        let reception = Reception {
            sent_at_ms: 0,
            now_ms: 0,
            sent_mark,
        };
        cell.apply(word, reception);
    }

    #[test]
    fn a_lease_that_is_over_turns_while_an_older_one_still_settles() {
        let one = Amount::new(1);
        let mut cell = Cell::fresh(AccountId(1), LeaseNumber(10));
        hear(&mut cell, &word(10, Phase::Open, 5), None);
        cell.admit(one, 0).unwrap();
        cell.turn(LeaseNumber(20), 0);
        hear(&mut cell, &word(20, Phase::Open, 5), None);
        cell.charge(one, 0).unwrap();
        hear(&mut cell, &word(20, Phase::Turn, 5), None);
        assert!(!cell.can_turn(), "nobody has heard what it returned");
        let mark = cell.mark();
        hear(&mut cell, &word(20, Phase::Turn, 5), Some(mark));
        cell.turn(LeaseNumber(30), 0);
        assert_eq!(cell.lease, LeaseNumber(30));
        hear(&mut cell, &word(30, Phase::Open, 5), None);
        assert_eq!(cell.admit(one, 0), Ok(()));
        assert_eq!(cell.settle(LeaseNumber(10), one, one), Settlement::Booked);
        assert!(cell.has_news());
    }
}
