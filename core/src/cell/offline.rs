//! What a cell may spend while the control plane does not answer: the offline allowance.
//!
//! It is an overrun with a bound of its own: costs are reserved beyond what is lent, and what
//! all leases of the cell are overrun by never exceeds the allowance. Counters being
//! cumulative, it is reported like all else, covered once, and free again when that was heard.
//! Before its use-by the lease at hand is overrun. After it, what remains there may be set
//! aside already, or have expired: it goes back, and a new lease that was lent nothing is
//! overrun in its place.

use super::{Cell, NotAdmitted};
use crate::amount::Amount;
use crate::lease::LeaseNumber;

/// The terms of spending without being lent.
#[derive(Debug, Clone, Copy)]
pub struct Offline {
    /// How far all leases of the cell may be overrun together.
    pub allowance: Amount,
    /// Now.
    pub now_ms: u64,
    /// For a new lease, should one be needed.
    pub number: LeaseNumber,
    /// The cost is settled with its reservation.
    pub at_once: bool,
}

impl Cell {
    /// What was used or set aside here beyond what was lent, as far as this cell has heard.
    #[must_use]
    pub fn overrun(&self) -> Amount {
        let before = self.previous.map(|previous| previous.counters.overrun());
        #[cfg(feature = "defects")]
        let before = before.filter(|_| {
            let defect = crate::defects::Defect::AllowanceOfEachLease;
            !crate::defects::is_planted(defect)
        });
        self.counters
            .overrun()
            .saturating_add(before.unwrap_or(Amount::ZERO))
    }

    /// Sets `cost` aside from the offline allowance, or says why not. Who was never heard of, or
    /// was blocked, had too little, or owed something when last heard of has no allowance.
    ///
    /// # Errors
    /// [`NotAdmitted`]; the cell is unchanged.
    pub fn admit_offline(&mut self, cost: Amount, offline: Offline) -> Result<(), NotAdmitted> {
        if let Some(block) = self.block {
            return Err(NotAdmitted::Blocked(block));
        }
        if self.ceiling.is_some_and(|ceiling| cost > ceiling) {
            return Err(NotAdmitted::AboveCeiling);
        }
        let mut next = self.clone();
        let is_usable = offline.now_ms < self.use_by_ms || self.counters.granted.is_zero();
        if !is_usable || self.spent_out {
            next.turn(offline.number, offline.now_ms);
            if next.lease == self.lease {
                // An older lease still settles, so there is no place for a new one.
                return Err(NotAdmitted::PastUseBy);
            }
            next.ceiling = self.ceiling;
        }
        next.counters.reserved = next.counters.reserved.saturating_add(cost);
        if offline.at_once {
            next.counters.settled = next.counters.settled.saturating_add(cost);
        }
        // A cell that has heard nothing can't know that nothing is owed.
        let is_known = self.version > 0 && !self.owes;
        if !is_known || next.overrun() > offline.allowance {
            return Err(NotAdmitted::Short);
        }
        *self = next;
        Ok(())
    }
}
