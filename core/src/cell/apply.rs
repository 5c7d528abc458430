//! What an answer of the control plane does to a cell.
//!
//! Three kinds of content, three rules. Counters: merged by maximum, and only into the
//! lease they name. State (ceiling, block, mode, use-by, recall): applied only over an
//! older version. The acknowledgement of a report: remembered by the mark it was sent with.

use super::{Cell, Previous};
use crate::amount::Amount;
use crate::protocol::{AccountState, LeaseAnswer, Phase, PreviousAnswer};

/// How and when an answer came.
#[derive(Debug, Clone, Copy)]
pub struct Reception {
    /// When the question was sent; the use-by counts from here.
    pub sent_at_ms: u64,
    /// Now.
    pub now_ms: u64,
    /// [`Cell::mark`] of the report this answers; none for a push.
    pub sent_mark: Option<u64>,
}

impl Cell {
    /// Applies an answer. An answer for another account changes nothing.
    pub fn apply(&mut self, answer: &LeaseAnswer, reception: Reception) {
        if answer.account != self.account {
            return;
        }
        let newest = answer.state.version;
        let newer = newest > self.version;
        #[cfg(feature = "defects")]
        let newer = newer || crate::defects::is_planted(crate::defects::Defect::StaleFlagApplied);
        let settled_seen = self.settled_seen(answer);
        self.take_granted(answer);
        self.acknowledge(reception);
        self.drop_closed_previous(answer);
        if !newer && newest != self.version {
            return;
        }
        self.take_state(&answer.state);
        // A ceiling is told to a lease and raised for that lease; it ends with it.
        let is_open = answer.lease == self.lease && answer.phase == Phase::Open;
        self.ceiling = answer.state.ceiling.filter(|_| is_open);
        self.balance_base = answer
            .state
            .balance
            .saturating_add(settled_seen.min(self.settled_here()));
        self.balance_at_s = u32::try_from(reception.sent_at_ms / 1000).unwrap_or(u32::MAX);
        if is_open {
            let use_by_ms = reception.sent_at_ms.saturating_add(answer.use_by_ms);
            self.use_by_ms = if newer {
                use_by_ms
            } else {
                self.use_by_ms.max(use_by_ms)
            };
            if let Some(keep) = answer.keep {
                self.give_back(keep);
            }
        } else if newer {
            // This version's word on the present lease is still to come. Until then nothing is
            // spent: the lots behind it, and so its use-by, may be others than it last heard.
            self.use_by_ms = 0;
        }
    }

    /// What the control plane already counted of the settlements this cell still carries.
    fn settled_seen(&self, answer: &LeaseAnswer) -> Amount {
        let mut seen = Amount::ZERO;
        if answer.lease == self.lease {
            seen = answer.settled;
        }
        if let Some(previous) = self.previous {
            if answer.lease == previous.lease {
                seen = seen.saturating_add(answer.settled);
            }
            if let Some(told) = &answer.previous
                && told.lease == previous.lease
                && !told.closed
            {
                seen = seen.saturating_add(told.settled);
            }
        }
        seen
    }

    fn take_granted(&mut self, answer: &LeaseAnswer) {
        if answer.lease == self.lease {
            self.counters.granted = self.counters.granted.max(answer.granted);
            if answer.phase != Phase::Open || self.spent_out {
                self.spend_out();
            }
        } else if let Some(previous) = self.previous.as_mut()
            && answer.lease == previous.lease
        {
            // Lent before the turn was known: it goes back unused.
            previous.counters.granted = previous.counters.granted.max(answer.granted);
            super::spend::return_remaining(&mut previous.counters, Amount::ZERO);
        }
    }

    fn acknowledge(&mut self, reception: Reception) {
        if let Some(mark) = reception.sent_mark {
            #[cfg(feature = "defects")]
            crate::defects::acknowledge(self.account, mark);
            self.reported_mark = mark;
            self.reported_at_ms = self.reported_at_ms.max(reception.now_ms);
            self.claimed_until_ms = 0;
        }
    }

    fn drop_closed_previous(&mut self, answer: &LeaseAnswer) {
        if let Some(previous) = self.previous
            && let Some(told) = answer.previous.as_ref().filter(|told| told.closed)
            && told.lease == previous.lease
            && previous.is_known_by(told)
        {
            let acknowledged = self.mark() == self.reported_mark;
            self.balance_base = self.balance_base.saturating_sub(previous.counters.settled);
            self.previous = None;
            if acknowledged {
                self.reported_mark = self.mark();
            }
        }
    }

    fn take_state(&mut self, state: &AccountState) {
        self.version = state.version;
        self.block = state.block;
        self.mode = state.mode;
        self.on_unavailable = state.on_unavailable;
        self.owes = state.owes;
        self.credential_version = state.credential_version;
        self.issued = state.issued;
    }
}

impl Previous {
    /// Whether who closed the lease knows all that was used in it. Nothing was out of it, as far
    /// as was reported; but it may have been overrun since, while nobody answered.
    fn is_known_by(&self, closed: &PreviousAnswer) -> bool {
        let is_overrun = !self.counters.overrun().is_zero();
        let is_over = self.dead || self.counters.held().is_zero();
        !is_overrun || (is_over && closed.settled >= self.counters.settled)
    }
}
