//! Another epoch is another ledger: a database was restored.
//!
//! It never lent what the cells hold, its versions may be lower than those the cells know,
//! and what it knows of their leases is older than they are. So a cell begins again at the
//! first look at it, under a new lease number; reports of the old one could only be found
//! impossible. Which epoch holds is in the leader's record: every worker, also one that was
//! made since, decides by that, and a cell says which ledger it is of.

use creditgate_core::cell::Cell;
use creditgate_core::id::AccountId;

use super::poll::UPDATE_ATTEMPTS;
use crate::bounded::Bounded;
use crate::gate::Gate;
use crate::host::{Host, Level};
use crate::leader::Leader;
use crate::shared::{self, Found};

/// Of which ledger an answer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hearing {
    /// The one that was asked.
    Same,
    /// A new one; the question was for the one before.
    Changed,
    /// One that has been replaced since.
    Past,
}

impl Gate {
    /// Hears the epoch of an answer, and has every worker hear it.
    pub(crate) fn hear_epoch(
        &mut self,
        host: &dyn Host,
        sent_at_ms: u64,
        now_ms: u64,
        epoch: u64,
    ) -> Hearing {
        if epoch == 0 || epoch == self.epoch {
            return Hearing::Same;
        }
        let is_first = self.epoch == 0;
        for _ in 0..UPDATE_ATTEMPTS {
            let (mut leader, expect) = Leader::read(host);
            if leader.epoch == epoch {
                break;
            }
            if leader.epoch != 0 {
                if sent_at_ms < leader.epoch_since_ms {
                    self.note_epoch(host, now_ms, leader.epoch);
                    return Hearing::Past;
                }
                leader.cursor = 0;
            }
            (leader.epoch, leader.epoch_since_ms) = (epoch, now_ms);
            if leader.write(host, expect).is_ok() {
                self.watch.leader = leader;
                break;
            }
        }
        self.note_epoch(host, now_ms, epoch);
        match is_first {
            true => Hearing::Same,
            false => Hearing::Changed,
        }
    }

    /// Begins anew with the cells looked after; others follow when they are looked at.
    pub(crate) fn note_epoch(&mut self, host: &dyn Host, now_ms: u64, epoch: u64) {
        if epoch == 0 || epoch == self.epoch {
            return;
        }
        let is_first = self.epoch == 0;
        self.epoch = epoch;
        if is_first {
            return;
        }
        host.log(
            Level::Warn,
            &format!(
                "creditgate: the ledger is another one now (epoch {epoch}); every lease begins anew"
            ),
        );
        // What the other ledger said, and what is its to get back.
        self.unknown = Bounded::new(self.config.limits.unknown_keys_max);
        self.orphans.clear();
        for (slot, account) in self.watched.all() {
            self.start_over(host, now_ms, slot, account);
        }
    }

    /// Whether the ledger of a cell is another than this worker's.
    pub(crate) fn is_of_another_ledger(&self, cell: &Cell) -> bool {
        !cell.is_of(self.ledger())
    }

    /// Brings worker and cell to the same ledger: either may be behind. Returns the cell.
    pub(crate) fn reconcile(
        &mut self,
        host: &dyn Host,
        now_ms: u64,
        slot: u32,
        account: AccountId,
    ) -> Option<Found> {
        let (leader, _) = Leader::read(host);
        self.note_epoch(host, now_ms, leader.epoch);
        self.start_over(host, now_ms, slot, account);
        shared::read(host, slot, account)
    }

    fn start_over(&mut self, host: &dyn Host, now_ms: u64, slot: u32, account: AccountId) {
        let ledger = self.ledger();
        shared::update(host, slot, account, |cell| {
            if !cell.is_of(ledger) {
                let number = Self::draw(host, now_ms, cell.lease);
                cell.start_over(number, ledger);
            }
        });
        self.watched.urge(slot, account, now_ms);
    }
}
