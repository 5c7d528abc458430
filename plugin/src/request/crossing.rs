//! Requests that cross several filters: whether another has decided one before, and what is told
//! to those that come later.
//!
//! A filter leaves its mark in filter state, which no client can set, and which a redirect that
//! the proxy follows by itself does not take along. With `charged_once` every request has one, and
//! whoever finds it lets the request pass. Without it, only the first few that a worker charges
//! have one: they tell whether requests are charged by several filters, also where those can't know
//! of each other, being of other `vm_id`s or copies under one name. A mark is looked for before
//! one is left, and each filter decides a stream once, so what is found is another's.

use super::Verdict;
use crate::gate::Gate;
use crate::host::{Expect, Host, Level};
use crate::shared;

/// The filter state that is the mark. No `log_as` can be this.
const DECIDED: &str = "creditgate_decided";
/// The mark of a filter that charges alone: it has `charged_once`.
const CHARGED_ALONE: &[u8] = b"1";
/// The same, and nothing was charged.
const CHARGED_NOTHING: &[u8] = b"0";
/// The mark of a filter that charges beside others.
const CHARGED_EACH: &[u8] = b"2";

/// Of how many of the first requests that a worker charges it is asked whether another filter
/// has charged them.
pub(crate) const WATCHED_MAX: u32 = 16;

impl Gate {
    /// Whether a filter that the request has crossed before has decided it for all.
    pub(super) fn is_decided_elsewhere(&self, host: &dyn Host) -> bool {
        self.config.charged_once
            && host
                .property(&[DECIDED])
                .is_some_and(|mark| mark != CHARGED_EACH)
    }

    /// Tells filters that come later what became of a request that goes on, and the operator
    /// if it was charged before.
    pub(super) fn leave_mark(&mut self, host: &dyn Host, verdict: &Verdict) {
        let is_charged = match verdict {
            Verdict::Admit(_) => true,
            Verdict::Pass | Verdict::Shadow(_) => false,
            Verdict::Refuse(..) | Verdict::Answer(..) | Verdict::Wait(..) | Verdict::Read(..) => {
                return;
            }
        };
        let is_watched = is_charged && self.watch_charge(host);
        let mark = match (self.config.charged_once, is_charged) {
            (true, true) => CHARGED_ALONE,
            (true, false) => CHARGED_NOTHING,
            (false, _) if is_watched => CHARGED_EACH,
            (false, _) => return,
        };
        host.set_filter_state(DECIDED, mark);
    }

    /// Looks for another filter's charge, if the request is one of the first that are charged.
    /// Whether it is.
    fn watch_charge(&mut self, host: &dyn Host) -> bool {
        let Some(left) = self.charges_to_watch.checked_sub(1) else {
            return false;
        };
        self.charges_to_watch = left;
        let found = host.property(&[DECIDED]);
        if found.is_some_and(|mark| mark != CHARGED_NOTHING) {
            self.charges_to_watch = 0;
            Self::tell_of_crossing(host);
        }
        true
    }

    /// Says that a request was charged twice: once in the life of the shared memory.
    fn tell_of_crossing(host: &dyn Host) {
        if host
            .shared_set(shared::CROSSED_KEY, b"1", Expect::Absent)
            .is_err()
        {
            return;
        }
        let name = host.property(&["plugin_name"]).unwrap_or_default();
        let name = String::from_utf8_lossy(&name);
        let message = format!(
            "creditgate: requests cross several Creditgate filters, and each charges them (seen by the filter {name}, which is not their first); set charged_once in all of them, or leave all but one out"
        );
        host.log(Level::Warn, &message);
    }
}
