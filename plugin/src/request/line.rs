//! Who waits for what, in order.
//!
//! A request waits for one of three things: prices and time limits, the answer to whose its
//! credential is, or credit of one account. Each has a queue, and every waiter a deadline.
//! The sum of all waiters is bounded.

use std::collections::{BTreeSet, HashMap, VecDeque};

use creditgate_core::amount::Amount;
use creditgate_core::id::AccountId;
use creditgate_core::key::CredentialHash;

use super::lookups::Lookups;

/// What a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Prices and time limits.
    Settings,
    /// Whose the credential is.
    Credential(CredentialHash),
    /// Credit of an account, in the cell at a slot.
    Credit {
        /// Where the cell is.
        slot: u32,
        /// Whose it is.
        account: AccountId,
    },
}

/// Every queue of one worker.
#[derive(Debug)]
pub(crate) struct Line {
    settings: VecDeque<u32>,
    pub(crate) lookups: Lookups,
    credit: HashMap<u32, CreditQueue>,
    deadlines: BTreeSet<(u64, u32)>,
}

/// Requests that wait for credit of one account.
#[derive(Debug)]
pub(crate) struct CreditQueue {
    pub(crate) account: AccountId,
    pub(crate) waiters: VecDeque<u32>,
    /// The report that states the need is under way.
    pub(crate) is_asked: bool,
    /// What it said that all who wait need.
    pub(crate) asked_for: Amount,
    /// Not to be asked again before.
    pub(crate) ask_after_ms: u64,
    /// When the control plane last answered for this account.
    pub(crate) answered_at_ms: u64,
    /// How often an answer made the lease turn while somebody waited.
    pub(crate) turns: u32,
}

impl Line {
    /// Nobody waits; at most so many credentials are looked up at once.
    pub(crate) fn new(lookups_max: usize) -> Self {
        Self {
            settings: VecDeque::new(),
            lookups: Lookups::new(lookups_max),
            credit: HashMap::new(),
            deadlines: BTreeSet::new(),
        }
    }

    /// How many requests wait.
    pub(crate) fn len(&self) -> usize {
        self.deadlines.len()
    }

    pub(crate) fn has_waiters(&self, slot: u32) -> bool {
        !self.credit.is_empty() && self.credit.contains_key(&slot)
    }

    /// Puts a request at the end of its queue.
    pub(crate) fn join(&mut self, id: u32, place: Place) {
        match place {
            Place::Settings => self.settings.push_back(id),
            Place::Credential(hash) => self.lookups.join(hash, id),
            Place::Credit { slot, account } => {
                let queue = self.credit.entry(slot).or_insert_with(|| CreditQueue {
                    account,
                    waiters: VecDeque::new(),
                    is_asked: false,
                    asked_for: Amount::ZERO,
                    ask_after_ms: 0,
                    answered_at_ms: 0,
                    turns: 0,
                });
                // The slot may have gone to another account; who waited for the old one is
                // sent to look its credential up again.
                queue.account = account;
                queue.waiters.push_back(id);
            }
        }
    }

    /// Takes a request out of its queue. A queue nobody waits in is forgotten, except a
    /// lookup that was asked: its answer may bring a lease.
    pub(crate) fn leave(&mut self, id: u32, place: Place) {
        match place {
            Place::Settings => self.settings.retain(|waiter| *waiter != id),
            Place::Credential(hash) => self.lookups.leave(&hash, id),
            Place::Credit { slot, .. } => self.leave_credit(id, slot),
        }
    }

    /// Takes a request out of the queue at a slot.
    pub(crate) fn leave_credit(&mut self, id: u32, slot: u32) {
        if let Some(queue) = self.credit.get_mut(&slot) {
            queue.waiters.retain(|waiter| *waiter != id);
            if queue.waiters.is_empty() {
                self.credit.remove(&slot);
            }
        }
    }

    pub(crate) fn set_deadline(&mut self, id: u32, deadline_ms: u64) {
        self.deadlines.insert((deadline_ms, id));
    }

    pub(crate) fn clear_deadline(&mut self, id: u32, deadline_ms: u64) {
        self.deadlines.remove(&(deadline_ms, id));
    }

    /// Takes the next request whose time is over.
    pub(crate) fn pop_overdue(&mut self, now_ms: u64) -> Option<u32> {
        let (deadline_ms, _) = self.deadlines.first()?;
        if *deadline_ms > now_ms {
            return None;
        }
        self.deadlines.pop_first().map(|(_, id)| id)
    }

    pub(crate) fn take_settings_waiters(&mut self) -> VecDeque<u32> {
        std::mem::take(&mut self.settings)
    }

    pub(crate) fn credit(&mut self, slot: u32) -> Option<&mut CreditQueue> {
        self.credit.get_mut(&slot)
    }

    pub(crate) fn credit_head(&self, slot: u32) -> Option<u32> {
        self.credit.get(&slot)?.waiters.front().copied()
    }

    pub(crate) fn credit_waiters(&self, slot: u32) -> impl Iterator<Item = u32> {
        self.credit
            .get(&slot)
            .into_iter()
            .flat_map(|queue| queue.waiters.iter().copied())
    }

    /// Slots somebody waits at.
    pub(crate) fn credit_slots(&self) -> Vec<u32> {
        self.credit.keys().copied().collect()
    }
}
