//! What requests do to a cell: they set credit aside, and settle what they cost.

use super::Cell;
use crate::amount::Amount;
use crate::lease::{Counters, LeaseNumber};
use crate::protocol::Block;

/// Why a cell does not admit a cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAdmitted {
    /// The account may not spend.
    Blocked(Block),
    /// Free and recallable credit could not pay it, as of the cell's version.
    AboveCeiling,
    /// Not enough remains here; the control plane may lend more.
    Short,
    /// Enough remains, but it may not be spent any more without asking.
    PastUseBy,
}

/// Where a settlement landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// In the lease it was reserved in.
    Booked,
    /// The cell no longer knows that lease; the control plane accounts for it.
    Gone,
}

impl Cell {
    /// Sets `cost` aside, or says why not.
    ///
    /// # Errors
    /// [`NotAdmitted`]; the cell is unchanged.
    pub fn admit(&mut self, cost: Amount, now_ms: u64) -> Result<(), NotAdmitted> {
        if let Some(block) = self.block {
            return Err(NotAdmitted::Blocked(block));
        }
        if self.counters.remaining() < cost {
            let hopeless = self.ceiling.is_some_and(|ceiling| cost > ceiling);
            return Err(if hopeless {
                NotAdmitted::AboveCeiling
            } else {
                NotAdmitted::Short
            });
        }
        if now_ms >= self.use_by_ms {
            return Err(NotAdmitted::PastUseBy);
        }
        self.counters.reserved = self.counters.reserved.saturating_add(cost);
        Ok(())
    }

    /// Reserves and settles in one step: for a price that is known and never refunded.
    ///
    /// # Errors
    /// As [`Cell::admit`].
    pub fn charge(&mut self, cost: Amount, now_ms: u64) -> Result<(), NotAdmitted> {
        self.admit(cost, now_ms)?;
        self.counters.settled = self.counters.settled.saturating_add(cost);
        Ok(())
    }

    /// Books the `actual` cost of a request that reserved `estimate` under `lease`.
    #[must_use]
    pub fn settle(&mut self, lease: LeaseNumber, estimate: Amount, actual: Amount) -> Settlement {
        let (counters, turned) = if lease == self.lease {
            (&mut self.counters, self.spent_out)
        } else if let Some(previous) = self
            .previous
            .as_mut()
            .filter(|p| p.lease == lease && !p.dead)
        {
            (&mut previous.counters, true)
        } else {
            return Settlement::Gone;
        };
        let unused = estimate.saturating_sub(actual).max(Amount::ZERO);
        let excess = actual.saturating_sub(estimate).max(Amount::ZERO);
        counters.settled = counters.settled.saturating_add(actual);
        counters.reserved = counters.reserved.saturating_add(excess);
        counters.released = counters.released.saturating_add(unused);
        if turned {
            return_remaining(counters, Amount::ZERO);
        }
        Settlement::Booked
    }

    /// How much more than was reserved may be booked under `lease`, if it may be overrun by
    /// `overrun_max`.
    #[must_use]
    pub fn overrun_room(&self, lease: LeaseNumber, overrun_max: Amount) -> Amount {
        let previous = self.previous.filter(|previous| previous.lease == lease);
        let counters = previous.map_or(self.counters, |previous| previous.counters);
        let room = counters.remaining().saturating_add(overrun_max);
        room.max(Amount::ZERO)
    }
}

/// Gives back what remains above `keep`.
pub(super) fn return_remaining(counters: &mut Counters, keep: Amount) {
    let spare = counters.remaining().saturating_sub(keep).max(Amount::ZERO);
    counters.returned = counters.returned.saturating_add(spare);
}
