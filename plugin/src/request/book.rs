//! Booking what requests cost in the cells, under the leases that they reserved under.
//!
//! What exceeds all that was reserved is booked as far as the lease has room for it: up to what
//! remains in it, and where the rule's promise allows overruns, as much more as the control
//! plane takes from a lease. So nothing that an answer says of its use can make a strict rule
//! overspend, or a gateway report what can't be true.
//! Booking never gives up: what loses every race is left to the tick.

use creditgate_core::amount::Amount;
use creditgate_core::cell::Settlement as Outcome;
use creditgate_core::detail::{Counted, Heading, Row};
use creditgate_core::id::AccountId;
use creditgate_core::lease::LeaseNumber;
use creditgate_core::rate_card::Promise;

use super::Admitted;
use super::by_lease::ByLease;
use super::settle::Due;
use crate::gate::Gate;
use crate::host::Host;
use crate::metrics::Metric;
use crate::shared;

/// What is to be booked under one lease.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share {
    slot: u32,
    account: AccountId,
    lease: LeaseNumber,
    estimate: Amount,
    actual: Amount,
    /// How far the lease may be overrun by what exceeds the estimate.
    overrun_max: Amount,
}

/// What became of the cost of a request.
#[derive(Debug, Default)]
pub(crate) struct Booked {
    /// What was booked, or will be by the tick.
    pub(crate) amount: Amount,
    /// What there was no room for.
    pub(crate) waived: Amount,
    /// No cell knew any lease of it: the control plane accounts for what it held.
    pub(crate) is_gone: bool,
    /// It reserved more than once.
    is_split: bool,
    /// What was booked under each lease, if not all under the first.
    pub(crate) shares: ByLease,
}

impl Booked {
    fn add(&mut self, share: Share, amount: Amount) {
        let waived = share.actual.saturating_sub(amount);
        self.waived = self.waived.saturating_add(waived);
        self.amount = self.amount.saturating_add(amount);
        self.is_gone = false;
        if self.is_split {
            self.shares.add(share.lease, amount);
        }
    }
}

/// What became of a share.
enum Attempt {
    Booked(Amount),
    Gone,
    /// Every race was lost.
    Lost,
}

impl Gate {
    /// Books what a request costs under each lease that it reserved under: what exceeds all that
    /// was reserved goes to the last, what was counted to the first that is there.
    pub(crate) fn book(&mut self, host: &dyn Host, admitted: &Admitted, due: &Due) -> Booked {
        let mut share = Share {
            slot: admitted.slot,
            account: admitted.credential.account,
            lease: admitted.lease,
            estimate: admitted.terms.cost(),
            actual: due.amount,
            overrun_max: self.overrun_max(admitted),
        };
        let told = admitted.heading(due);
        let mut counts = admitted.counted(due);
        let mut rest = due.amount;
        let mut booked = Booked {
            is_gone: true,
            is_split: !admitted.parts().is_empty(),
            ..Booked::default()
        };
        for part in admitted.parts() {
            share.actual = rest.min(share.estimate);
            rest = rest.saturating_sub(share.actual);
            if self.book_share(host, share, &told, &counts, &mut booked) {
                counts = Counted::default();
            }
            (share.lease, share.estimate) = *part;
        }
        share.actual = rest;
        self.book_share(host, share, &told, &counts, &mut booked);
        if matches!(*booked.shares, [(only, _)] if only == admitted.lease) {
            booked.shares.clear();
        }
        booked
    }

    /// How far an answer may overrun a lease: not at all under a strict promise.
    fn overrun_max(&self, admitted: &Admitted) -> Amount {
        let settings = self.settings.as_ref();
        match admitted.terms.rule.promise() {
            Promise::Strict => Amount::ZERO,
            Promise::Metered | Promise::Expected => {
                settings.map_or(Amount::ZERO, |settings| settings.overrun_max)
            }
        }
    }

    /// Answers whether it was booked, or will be.
    fn book_share(
        &mut self,
        host: &dyn Host,
        share: Share,
        told: &Heading<'_>,
        counts: &Counted<'_>,
        booked: &mut Booked,
    ) -> bool {
        let amount = match self.try_to_book(host, share) {
            Attempt::Booked(amount) => {
                self.note_usage(told, amount, counts);
                amount
            }
            Attempt::Gone => return false,
            Attempt::Lost => {
                // Whatever room there is then: the log says now what it will be.
                let amount = share.actual.min(share.estimate);
                let row = Row::of(told, amount, counts);
                let actual = amount;
                if !self.book_later(Share { actual, ..share }, row) {
                    return false;
                }
                amount
            }
        };
        booked.add(share, amount);
        true
    }

    fn try_to_book(&mut self, host: &dyn Host, share: Share) -> Attempt {
        for _ in 0..self.config.limits.cas_attempts {
            // The cell may have come to stand elsewhere.
            let found = shared::read(host, share.slot, share.account)
                .or_else(|| shared::find(host, share.account, self.config.limits.cells_max));
            let Some(mut found) = found else {
                self.count(Metric::SettledGone);
                return Attempt::Gone;
            };
            let room = found.cell.overrun_room(share.lease, share.overrun_max);
            let amount = share.actual.min(share.estimate.saturating_add(room));
            if found.cell.settle(share.lease, share.estimate, amount) == Outcome::Gone {
                self.count(Metric::SettledGone);
                return Attempt::Gone;
            }
            if shared::write(host, &found).is_ok() {
                return Attempt::Booked(amount);
            }
            self.count(Metric::CasLost);
        }
        Attempt::Lost
    }

    /// Leaves it to the tick, unless too much is left to it already: then it stays held.
    fn book_later(&mut self, share: Share, row: Row) -> bool {
        let has_room = self.unsettled.len() < self.config.limits.settlements_max;
        if has_room {
            self.count(Metric::SettledLater);
            self.unsettled.push_back((share, row));
        } else {
            self.count(Metric::SettlementsDropped);
        }
        has_room
    }

    /// Books what lost its races. From the tick.
    pub(crate) fn book_unsettled(&mut self, host: &dyn Host) {
        for _ in 0..self.unsettled.len() {
            let Some((share, row)) = self.unsettled.pop_front() else {
                return;
            };
            match self.try_to_book(host, share) {
                Attempt::Booked(amount) => self.note_usage(&row.heading(), amount, &row.counted()),
                Attempt::Gone => {}
                Attempt::Lost => self.unsettled.push_back((share, row)),
            }
        }
    }
}
