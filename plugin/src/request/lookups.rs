//! Credentials whose customer is being asked for, and in which order.
//!
//! Anyone can invent credentials, also while the control plane does not answer. So lookups
//! are bounded, a share of the bound is kept for credentials that were known before, and one
//! that was not asked about is forgotten with its last waiter. Whoever is next is found
//! without looking at all of them.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use creditgate_core::key::CredentialHash;
use creditgate_core::protocol::Resolved;

/// Every lookup of one worker.
#[derive(Debug)]
pub(crate) struct Lookups {
    of: HashMap<CredentialHash, Lookup>,
    known: VecDeque<(u64, CredentialHash)>,
    strangers: VecDeque<(u64, CredentialHash)>,
    awaiting_cells: Vec<CredentialHash>,
    last_ticket: u64,
    bound: usize,
}

/// One lookup.
#[derive(Debug)]
pub(crate) struct Lookup {
    pub(crate) waiters: VecDeque<u32>,
    pub(crate) step: Step,
    /// Who it is, where that is known without a key.
    pub(crate) customer: Option<Rc<str>>,
    /// The credential may be invented: its lookup is on the budget for such.
    is_stranger: bool,
    /// Its place in the queue: entries with another are of the past.
    ticket: u64,
}

/// How far a lookup has come.
#[derive(Debug)]
pub(crate) enum Step {
    /// Never asked.
    Queued,
    /// Asked, and the answer was lost. It may have opened a lease, so it is asked again also
    /// when nobody waits any more.
    Again,
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

/// Entries of the past are cleared out when they outnumber the lookups by this many.
const SLACK: usize = 64;

impl Lookups {
    pub(crate) fn new(bound: usize) -> Self {
        Self {
            of: HashMap::new(),
            known: VecDeque::new(),
            strangers: VecDeque::new(),
            awaiting_cells: Vec::new(),
            last_ticket: 0,
            bound,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.of.len()
    }

    pub(crate) fn is_under_way(&self, hash: &CredentialHash) -> bool {
        self.of.contains_key(hash)
    }

    /// Has a credential asked about. `false` if there are too many already.
    pub(crate) fn begin(
        &mut self,
        hash: CredentialHash,
        customer: Option<&Rc<str>>,
        is_stranger: bool,
    ) -> bool {
        let kept = if is_stranger { self.bound / 4 } else { 0 };
        if self.of.len() >= self.bound.saturating_sub(kept) {
            return false;
        }
        let lookup = Lookup {
            waiters: VecDeque::new(),
            step: Step::Queued,
            customer: customer.cloned(),
            is_stranger,
            ticket: 0,
        };
        self.of.insert(hash, lookup);
        self.queue(hash, Step::Queued);
        true
    }

    /// Puts a lookup at the end of its queue, to be asked from there.
    pub(crate) fn queue(&mut self, hash: CredentialHash, step: Step) {
        let Some(lookup) = self.of.get_mut(&hash) else {
            return;
        };
        self.last_ticket = self.last_ticket.wrapping_add(1);
        (lookup.step, lookup.ticket) = (step, self.last_ticket);
        let queue = match lookup.is_stranger {
            true => &mut self.strangers,
            false => &mut self.known,
        };
        queue.push_back((self.last_ticket, hash));
        if queue.len() > self.of.len().saturating_add(SLACK).saturating_mul(2) {
            queue.retain(|(ticket, hash)| is_queued(&self.of, *ticket, hash));
        }
    }

    pub(crate) fn join(&mut self, hash: CredentialHash, id: u32) {
        if let Some(lookup) = self.of.get_mut(&hash) {
            lookup.waiters.push_back(id);
        }
    }

    pub(crate) fn leave(&mut self, hash: &CredentialHash, id: u32) {
        if let Some(lookup) = self.of.get_mut(hash) {
            lookup.waiters.retain(|waiter| *waiter != id);
        }
        self.forget_unasked(hash);
    }

    /// Forgets a lookup that was never asked and nobody waits for.
    pub(crate) fn forget_unasked(&mut self, hash: &CredentialHash) {
        let is_idle =
            |lookup: &Lookup| lookup.waiters.is_empty() && matches!(lookup.step, Step::Queued);
        if self.of.get(hash).is_some_and(is_idle) {
            self.of.remove(hash);
        }
    }

    /// The next credential that was known before, now asked about.
    pub(crate) fn ask_known(&mut self) -> Option<CredentialHash> {
        ask_next(&mut self.of, &mut self.known)
    }

    /// The next credential that may be invented, now asked about.
    pub(crate) fn ask_stranger(&mut self) -> Option<CredentialHash> {
        ask_next(&mut self.of, &mut self.strangers)
    }

    /// Whether a credential that may be invented is, or lately was, to be asked about.
    pub(crate) fn may_have_strangers(&self) -> bool {
        !self.strangers.is_empty()
    }

    /// Credentials that may be invented and were never asked about. Those whose answer was
    /// lost stay: a lease may have been opened for them.
    pub(crate) fn queued_strangers(&mut self) -> Vec<CredentialHash> {
        let of = &self.of;
        self.strangers
            .retain(|(ticket, hash)| is_queued(of, *ticket, hash));
        let never_asked = |hash: &CredentialHash| {
            of.get(hash)
                .is_some_and(|lookup| matches!(lookup.step, Step::Queued))
        };
        let live = self.strangers.iter().map(|(_, hash)| *hash);
        let refused = live.filter(never_asked).collect();
        self.strangers.retain(|(_, hash)| !never_asked(hash));
        refused
    }

    /// Another worker is about to make the cell.
    pub(crate) fn await_cell(&mut self, hash: CredentialHash, step: Step) {
        if let Some(lookup) = self.of.get_mut(&hash) {
            lookup.step = step;
            self.awaiting_cells.push(hash);
        }
    }

    /// Takes all that await a cell; those that still do are to be put back.
    pub(crate) fn take_awaiting_cells(&mut self) -> Vec<CredentialHash> {
        std::mem::take(&mut self.awaiting_cells)
    }

    pub(crate) fn get_mut(&mut self, hash: &CredentialHash) -> Option<&mut Lookup> {
        self.of.get_mut(hash)
    }

    pub(crate) fn waiters(&self, hash: &CredentialHash) -> impl Iterator<Item = u32> {
        let lookup = self.of.get(hash);
        lookup
            .into_iter()
            .flat_map(|lookup| lookup.waiters.iter().copied())
    }

    /// The lookup is over. Returns who waited.
    pub(crate) fn end(&mut self, hash: &CredentialHash) -> VecDeque<u32> {
        let ended = self.of.remove(hash);
        ended.map(|lookup| lookup.waiters).unwrap_or_default()
    }
}

fn is_queued(of: &HashMap<CredentialHash, Lookup>, ticket: u64, hash: &CredentialHash) -> bool {
    of.get(hash).is_some_and(|lookup| {
        lookup.ticket == ticket && matches!(lookup.step, Step::Queued | Step::Again)
    })
}

fn ask_next(
    of: &mut HashMap<CredentialHash, Lookup>,
    queue: &mut VecDeque<(u64, CredentialHash)>,
) -> Option<CredentialHash> {
    while let Some((ticket, hash)) = queue.pop_front() {
        if is_queued(of, ticket, &hash) {
            of.get_mut(&hash)?.step = Step::Asked;
            return Some(hash);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u8) -> CredentialHash {
        CredentialHash::from_bytes([number; 32])
    }

    #[test]
    fn one_key_that_comes_and_goes_over_and_over_stays_bounded() {
        let mut lookups = Lookups::new(8);
        for id in 0..10_000 {
            assert!(lookups.begin(hash(1), None, true));
            lookups.join(hash(1), id);
            lookups.leave(&hash(1), id);
        }
        assert_eq!(lookups.len(), 0);
        assert!(lookups.strangers.len() <= 4 * SLACK);
        assert_eq!(lookups.ask_stranger(), None);
    }

    #[test]
    fn a_share_of_the_bound_is_kept_for_those_known_before() {
        let mut lookups = Lookups::new(8);
        let begun = (0..20).filter(|number| lookups.begin(hash(*number), None, true));
        assert_eq!(begun.count(), 6);
        let begun = (20..40).filter(|number| lookups.begin(hash(*number), None, false));
        assert_eq!(begun.count(), 2);
    }

    #[test]
    fn lookups_are_asked_in_their_order_and_a_repeated_one_comes_last() {
        let mut lookups = Lookups::new(8);
        for number in 0..3 {
            lookups.begin(hash(number), None, true);
        }
        assert_eq!(lookups.ask_stranger(), Some(hash(0)));
        lookups.queue(hash(0), Step::Again);
        lookups.end(&hash(1));
        assert_eq!(lookups.ask_stranger(), Some(hash(2)));
        assert_eq!(lookups.ask_stranger(), Some(hash(0)));
        assert_eq!(lookups.ask_stranger(), None);
    }

    #[test]
    fn strangers_to_be_refused_are_those_never_asked_about() {
        let mut lookups = Lookups::new(8);
        for number in 0..3 {
            lookups.begin(hash(number), None, true);
        }
        assert_eq!(lookups.ask_stranger(), Some(hash(0)));
        lookups.queue(hash(0), Step::Again);
        assert_eq!(lookups.queued_strangers(), [hash(1), hash(2)]);
        assert_eq!(
            lookups.ask_stranger(),
            Some(hash(0)),
            "a lease may have been opened for it"
        );
    }
}
