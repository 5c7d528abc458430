//! Credit for answers that are paid for while they pass: under the promise `metered` a request
//! reserves what its beginning costs, and more as its answer burns it.
//!
//! It is always so much ahead of what has passed that most pieces need no look at the cell.
//! What is reserved as it goes is reserved under the lease that is spent from then. What it holds
//! under another moves there, if there is room for all of it: an account that a long answer held
//! to a lease that is over could not get a new one. Else it settles under several leases.

use creditgate_core::amount::Amount;
use creditgate_core::cell::{Cell, NotAdmitted, Settlement};
use creditgate_core::lease::LeaseNumber;
use creditgate_core::rate_card::{Measures, PRICE_MAX};
use creditgate_core::usage::EventEnd;

use super::Admitted;
use super::by_lease::ByLease;
use super::line::Place;
use super::refusal::Refusal;
use crate::gate::Gate;
use crate::host::Host;
use crate::metrics::Metric;
use crate::shared::{self, Found};

/// Leases that one answer reserves under besides its first, at most: it is ended rather than to
/// have more.
const PARTS_MAX: usize = 8;

/// What an answer has reserved besides its beginning, and how it stands.
#[derive(Debug)]
pub(crate) struct Burning {
    /// What was reserved as it went, by lease.
    parts: ByLease,
    /// All that is set aside for it.
    pub(super) reserved: Amount,
    /// What is reserved ahead.
    step: Amount,
    measured: Reach,
    pub(crate) passed: Reach,
    /// How many bytes are held back, and whether they are the last.
    pub(super) held: usize,
    /// What is held back is out of sight: see [`Action::Throttle`](super::Action::Throttle).
    pub(super) is_throttled: bool,
    pub(super) has_end: bool,
    /// What the rest of the event comes to that had begun when it ended: by its share of what was
    /// held back.
    pub(super) rest: Amount,
    /// It was let go from the root before: see [`super::drip`].
    pub(super) drips: bool,
    pub(super) state: State,
}

/// A place in an answer, and what it comes to until there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reach {
    pub(crate) cost: Amount,
    pub(crate) measures: Measures,
    pub(super) event: EventEnd,
}

/// How far an answer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// What comes is paid for.
    Open,
    /// It waits for credit.
    Waiting {
        place: Place,
        since_ms: u64,
        deadline_ms: u64,
    },
    /// It goes on unpaid.
    Unpaid,
    /// It is to end with the event that has begun, for this reason.
    Ending { reason: Refusal, deadline_ms: u64 },
    /// It has ended.
    Ended,
}

/// What became of a wish for more credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum More {
    /// It was reserved, or what there is will do for now.
    Had,
    /// It isn't in this lease; the control plane may have it.
    Short(Place),
    /// There is none, for this reason.
    None(Refusal),
}

/// What became of one look at the cell.
enum Tried {
    Reserved(Amount),
    /// The same, and all that was held under other leases moved to this one.
    Moved(Amount),
    Answer(More),
    LostRace,
}

impl Burning {
    /// What it lacks for all that was measured.
    pub(super) fn lacks(&self) -> Amount {
        self.missing().max(Amount::ZERO)
    }

    /// The same, and below zero what is reserved ahead.
    const fn missing(&self) -> Amount {
        self.measured.cost.saturating_sub(self.reserved)
    }

    /// Half of what is reserved ahead is still there.
    fn has_enough(&self) -> bool {
        let ahead = Amount::ZERO.saturating_sub(self.missing());
        ahead >= Amount::ZERO && ahead >= self.step.saturating_sub(ahead)
    }

    /// All that was measured is let through.
    pub(super) const fn let_through(&mut self) {
        self.passed = self.measured;
        self.held = 0;
        self.is_throttled = false;
    }

    /// Takes note that so many bytes are shown. Answers how many of them were shown before.
    pub(super) const fn show(&mut self, bytes: usize) -> usize {
        let before = if self.is_throttled { 0 } else { self.held };
        self.held = self.held.saturating_sub(before).saturating_add(bytes);
        before
    }

    /// It ends with so many bytes of what is held back.
    pub(super) fn note_rest(&mut self, bytes: usize) {
        // What has no cost at all has no shares.
        if self.measured.cost < PRICE_MAX {
            let behind = self.measured.cost.saturating_sub(self.passed.cost);
            let [bytes, held] =
                [bytes, self.held].map(|bytes| i128::try_from(bytes).unwrap_or(i128::MAX));
            let share = i128::from(behind.get()).saturating_mul(bytes);
            let share = share.checked_div(held).unwrap_or_default();
            self.rest = i64::try_from(share).map_or(Amount::ZERO, Amount::new);
        }
    }

    /// Some of what it holds back is not paid for.
    pub(crate) const fn holds_unpaid(&self) -> bool {
        let waits = matches!(self.state, State::Waiting { .. } | State::Ending { .. });
        waits && self.held > 0
    }

    /// The filter has ended it.
    pub(crate) fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    fn add(&mut self, lease: LeaseNumber, amount: Amount) {
        self.reserved = self.reserved.saturating_add(amount);
        self.parts.add(lease, amount);
    }

    fn has_room_for(&self, lease: LeaseNumber) -> bool {
        self.parts.ends_with(lease) || self.parts.len() < PARTS_MAX
    }
}

impl Admitted {
    /// Its answer begins, which is paid for while it passes.
    pub(super) fn begin_burning(&mut self, host: &dyn Host) {
        let asked = self.models(None).asked;
        let step = self.terms.rule.step(asked);
        let begun = Reach {
            cost: Amount::ZERO,
            measures: Measures::default(),
            event: EventEnd::default(),
        };
        self.burning = Some(Box::new(Burning {
            parts: ByLease::default(),
            reserved: self.terms.cost(),
            step,
            measured: begun,
            passed: begun,
            held: 0,
            is_throttled: false,
            has_end: false,
            rest: Amount::ZERO,
            drips: false,
            state: State::Open,
        }));
        self.measure(host, &[]);
        if let Some(burning) = &mut self.burning {
            burning.let_through();
            // More than that is not paid for yet.
            burning.passed.cost = burning.passed.cost.min(burning.reserved);
        }
    }

    /// Takes note of what was measured until now, of which `piece` came last. What has no cost
    /// is more than any balance.
    pub(super) fn measure(&mut self, host: &dyn Host, piece: &[u8]) {
        let rule = &self.terms.rule;
        let Some(measures) = self.meter.as_ref().map(|meter| meter.so_far(host, rule)) else {
            return;
        };
        let cost = rule.cost(&measures, &self.models(None));
        if let Some(burning) = &mut self.burning {
            burning.measured.cost = cost.unwrap_or(PRICE_MAX);
            burning.measured.measures = measures;
            burning.measured.event.pass(piece);
        }
    }

    /// What was reserved besides its beginning, by lease.
    pub(crate) fn parts(&self) -> &[(LeaseNumber, Amount)] {
        self.burning.as_ref().map_or(&[], |burning| &burning.parts)
    }

    /// All that is set aside for it.
    pub(crate) fn reserved(&self) -> Amount {
        let burning = self.burning.as_ref();
        burning.map_or(self.terms.cost(), |burning| burning.reserved)
    }

    fn has_enough(&self) -> bool {
        let burning = self.burning.as_ref();
        burning.is_none_or(|burning| burning.has_enough())
    }

    /// What it lacks for all that was measured.
    fn lacks(&self) -> Amount {
        let burning = self.burning.as_ref();
        burning.map_or(Amount::ZERO, |burning| burning.lacks())
    }

    fn add(&mut self, lease: LeaseNumber, amount: Amount) {
        if let Some(burning) = &mut self.burning {
            burning.add(lease, amount);
        }
    }

    /// What is set aside for it under other leases than this.
    pub(crate) fn held_elsewhere(&self, lease: LeaseNumber) -> Amount {
        self.elsewhere(lease)
            .fold(Amount::ZERO, |sum, (_, amount)| sum.saturating_add(amount))
    }

    fn elsewhere(&self, lease: LeaseNumber) -> impl Iterator<Item = (LeaseNumber, Amount)> {
        let first = (self.lease, self.terms.cost());
        let held = std::iter::once(first).chain(self.parts().iter().copied());
        held.filter(move |(held_under, _)| *held_under != lease)
    }

    /// The cell with all that is set aside for it under the cell's lease, and so much more; if
    /// there is room, and the cell knows the leases that it comes from.
    fn moved(&self, cell: &Cell, more: Amount, now_ms: u64) -> Option<Cell> {
        let mut cell = cell.clone();
        let to = cell.lease;
        let moving = self.held_elsewhere(to).saturating_add(more);
        cell.admit(moving, now_ms).ok()?;
        for (lease, amount) in self.elsewhere(to) {
            let released = cell.settle(lease, amount, Amount::ZERO);
            (released == Settlement::Booked).then_some(())?;
        }
        Some(cell)
    }

    /// All that is set aside for it is under this lease now, and so much more.
    fn move_to(&mut self, lease: LeaseNumber, more: Amount) {
        self.lease = lease;
        let first = self.terms.cost();
        if let Some(burning) = &mut self.burning {
            burning.parts.clear();
            let rest = burning.reserved.saturating_sub(first).saturating_add(more);
            burning.reserved = first;
            burning.add(lease, rest);
        }
    }

    /// What it lacks while it waits for credit.
    pub(crate) fn wanted(&self) -> Option<Amount> {
        let burning = self.burning.as_ref()?;
        matches!(burning.state, State::Waiting { .. }).then(|| burning.lacks())
    }
}

impl Gate {
    /// Reserves what was measured, and a step ahead if that is to be had.
    pub(super) fn pay(&mut self, host: &dyn Host, admitted: &mut Admitted) -> More {
        if admitted.has_enough() {
            return More::Had;
        }
        let account = admitted.credential.account;
        let now_ms = host.now_ms();
        for _ in 0..self.config.limits.cas_attempts {
            let found = shared::read(host, admitted.slot, account)
                .or_else(|| shared::find(host, account, self.config.limits.cells_max));
            let Some(found) = found.filter(|found| !self.is_of_another_ledger(&found.cell)) else {
                break;
            };
            let lease = found.cell.lease;
            admitted.slot = found.slot;
            match self.try_more(host, now_ms, admitted, found) {
                Tried::Reserved(amount) => {
                    admitted.add(lease, amount);
                    self.watched.touch(admitted.slot, account, now_ms);
                    return More::Had;
                }
                Tried::Moved(amount) => {
                    admitted.move_to(lease, amount);
                    self.watched.touch(admitted.slot, account, now_ms);
                    return More::Had;
                }
                Tried::Answer(answer) => return answer,
                Tried::LostRace => self.count(Metric::CasLost),
            }
        }
        let slot = admitted.slot;
        if admitted.lacks().is_zero() {
            More::Had
        } else {
            More::Short(Place::Credit { slot, account })
        }
    }

    fn try_more(
        &self,
        host: &dyn Host,
        now_ms: u64,
        admitted: &Admitted,
        mut found: Found,
    ) -> Tried {
        let Some(burning) = &admitted.burning else {
            return Tried::Answer(More::Had);
        };
        let lacks = burning.lacks();
        let ahead = burning.missing().saturating_add(burning.step);
        if admitted.elsewhere(found.cell.lease).next().is_some() {
            for amount in [ahead, lacks] {
                if let Some(cell) = admitted.moved(&found.cell, amount, now_ms) {
                    found.cell = cell;
                    let written = shared::write(host, &found);
                    return written.map_or(Tried::LostRace, |()| Tried::Moved(amount));
                }
            }
        }
        let amount = match found.cell.admit(ahead, now_ms) {
            Ok(()) => ahead,
            Err(_) if lacks.is_zero() => return Tried::Answer(More::Had),
            Err(_) => match found.cell.admit(lacks, now_ms) {
                Ok(()) => lacks,
                Err(fault) => {
                    let none = self.hopeless(now_ms, &found.cell, fault);
                    let place = Place::Credit {
                        slot: found.slot,
                        account: found.cell.account,
                    };
                    return Tried::Answer(none.map_or(More::Short(place), More::None));
                }
            },
        };
        if !burning.has_room_for(found.cell.lease) {
            return Tried::Answer(More::None(Refusal::Capacity));
        }
        match shared::write(host, &found) {
            Ok(()) => Tried::Reserved(amount),
            Err(_) => Tried::LostRace,
        }
    }

    /// Why no credit is to be waited for, if so.
    fn hopeless(&self, now_ms: u64, cell: &Cell, fault: NotAdmitted) -> Option<Refusal> {
        if !self.is_current(now_ms, cell) {
            return None;
        }
        match fault {
            NotAdmitted::Blocked(block) => Some(Refusal::blocked(block)),
            NotAdmitted::AboveCeiling => Some(Refusal::CreditExhausted),
            NotAdmitted::Short | NotAdmitted::PastUseBy => None,
        }
    }
}
