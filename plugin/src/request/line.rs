//! Who waits for what, in order.
//!
//! A request waits for one of three things: prices and time limits, the answer to whose its
//! credential is, or credit of one account. Each has a queue, and every waiter a deadline.
//! The sum of all waiters is bounded.

use std::collections::{BTreeSet, HashMap, VecDeque};

use creditgate_core::amount::Amount;
use creditgate_core::id::AccountId;
use creditgate_core::key::CredentialHash;
use creditgate_core::protocol::Resolved;

/// What a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Prices and time limits.
    Settings,
    /// Whose the credential is.
    Credential(CredentialHash),
    /// Credit in the cell at a slot.
    Credit(u32),
}

/// Every queue of one worker.
#[derive(Debug, Default)]
pub(crate) struct Line {
    settings: VecDeque<u32>,
    resolutions: HashMap<CredentialHash, Resolution>,
    credit: HashMap<u32, CreditQueue>,
    deadlines: BTreeSet<(u64, u32)>,
}

/// A credential that is being looked up.
#[derive(Debug)]
pub(crate) struct Resolution {
    pub(crate) waiters: VecDeque<u32>,
    pub(crate) step: Step,
    /// The credential may be invented: its lookup is on the budget for such.
    pub(crate) is_stranger: bool,
}

/// How far the lookup has come.
#[derive(Debug)]
pub(crate) enum Step {
    /// To be asked.
    Queued,
    /// Asked; the answer is under way.
    Asked,
    /// Another worker got the lease and is about to make the cell; after `lost_at_ms` it
    /// never will.
    AwaitsCell {
        resolved: Box<Resolved>,
        sent_at_ms: u64,
        lost_at_ms: u64,
    },
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
    /// How many requests wait.
    pub(crate) fn len(&self) -> usize {
        self.deadlines.len()
    }

    pub(crate) fn is_resolving(&self, hash: &CredentialHash) -> bool {
        self.resolutions.contains_key(hash)
    }

    pub(crate) fn resolutions_len(&self) -> usize {
        self.resolutions.len()
    }

    pub(crate) fn has_waiters(&self, slot: u32) -> bool {
        !self.credit.is_empty() && self.credit.contains_key(&slot)
    }

    /// Puts a request at the end of its queue.
    pub(crate) fn join(&mut self, id: u32, place: Place, account: Option<AccountId>) {
        match place {
            Place::Settings => self.settings.push_back(id),
            Place::Credential(hash) => self.resolve(hash, true).waiters.push_back(id),
            Place::Credit(slot) => {
                let queue = self.credit.entry(slot).or_insert_with(|| CreditQueue {
                    account: account.unwrap_or(AccountId(0)),
                    waiters: VecDeque::new(),
                    is_asked: false,
                    asked_for: Amount::ZERO,
                    ask_after_ms: 0,
                    answered_at_ms: 0,
                    turns: 0,
                });
                // The slot may have gone to another account; who waited for the old one is
                // sent to look its credential up again.
                queue.account = account.unwrap_or(queue.account);
                queue.waiters.push_back(id);
            }
        }
    }

    /// Has a credential looked up, unless it already is.
    pub(crate) fn resolve(&mut self, hash: CredentialHash, is_stranger: bool) -> &mut Resolution {
        self.resolutions.entry(hash).or_insert_with(|| Resolution {
            waiters: VecDeque::new(),
            step: Step::Queued,
            is_stranger,
        })
    }

    /// Takes a request out of its queue. A queue nobody waits in is forgotten, except a
    /// lookup: its answer may bring a lease.
    pub(crate) fn leave(&mut self, id: u32, place: Place) {
        match place {
            Place::Settings => self.settings.retain(|waiter| *waiter != id),
            Place::Credential(hash) => {
                if let Some(resolution) = self.resolutions.get_mut(&hash) {
                    resolution.waiters.retain(|waiter| *waiter != id);
                }
            }
            Place::Credit(slot) => {
                if let Some(queue) = self.credit.get_mut(&slot) {
                    queue.waiters.retain(|waiter| *waiter != id);
                    if queue.waiters.is_empty() {
                        self.credit.remove(&slot);
                    }
                }
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

    pub(crate) fn resolution(&mut self, hash: &CredentialHash) -> Option<&mut Resolution> {
        self.resolutions.get_mut(hash)
    }

    pub(crate) fn end_resolution(&mut self, hash: &CredentialHash) -> VecDeque<u32> {
        self.resolutions
            .remove(hash)
            .map(|resolution| resolution.waiters)
            .unwrap_or_default()
    }

    /// Lookups at a step that `is` accepts.
    pub(crate) fn resolutions_at(&self, is: impl Fn(&Step) -> bool) -> Vec<CredentialHash> {
        let at = self
            .resolutions
            .iter()
            .filter(|(_, resolution)| is(&resolution.step));
        at.map(|(hash, _)| *hash).collect()
    }

    /// Forgets a lookup that was not asked yet and nobody waits for.
    pub(crate) fn forget_unasked(&mut self, place: Place) {
        if let Place::Credential(hash) = place
            && let Some(resolution) = self.resolutions.get(&hash)
            && resolution.waiters.is_empty()
            && matches!(resolution.step, Step::Queued)
        {
            self.resolutions.remove(&hash);
        }
    }

    /// Credentials that may be invented and were not asked about yet.
    pub(crate) fn queued_strangers(&self) -> Vec<CredentialHash> {
        let is_one = |of: &Resolution| of.is_stranger && matches!(of.step, Step::Queued);
        let strangers = self.resolutions.iter().filter(|(_, of)| is_one(of));
        strangers.map(|(hash, _)| *hash).collect()
    }

    pub(crate) fn credit(&mut self, slot: u32) -> Option<&mut CreditQueue> {
        self.credit.get_mut(&slot)
    }

    pub(crate) fn credit_head(&self, slot: u32) -> Option<u32> {
        self.credit.get(&slot)?.waiters.front().copied()
    }

    pub(crate) fn resolution_waiters(&self, hash: &CredentialHash) -> impl Iterator<Item = u32> {
        let resolution = self.resolutions.get(hash);
        resolution
            .into_iter()
            .flat_map(|resolution| resolution.waiters.iter().copied())
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
