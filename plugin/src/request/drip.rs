//! Bodies of which a part was held back in sight, and let go from the root.
//!
//! Envoy 1.36 does not notice that: it goes on to put what comes next behind what it holds, and
//! leaves it there until the body is let go once more, so that pieces come late, or never. Later
//! releases don't. So each piece that follows is held back, too, and let go from the root like
//! the first.

use std::collections::BTreeMap;

use super::{Action, Admitted, Stage};
use crate::gate::Gate;
use crate::host::Host;

/// Bodies whose pieces are let go one by one.
#[derive(Debug, Default)]
pub(crate) struct Drips {
    requests: BTreeMap<u32, Drip>,
    /// Answers of which something waits to be let go.
    pub(super) answers: Vec<u32>,
}

/// One request's body.
#[derive(Debug, Default)]
struct Drip {
    /// How many bytes wait to be let go.
    held: usize,
    is_due: bool,
}

impl Drips {
    /// What is to come of a request's body is let go piece by piece.
    pub(super) fn begin(&mut self, id: u32) {
        self.requests.insert(id, Drip::default());
    }

    /// The request is over.
    pub(super) fn forget(&mut self, id: u32) {
        if !self.requests.is_empty() {
            self.requests.remove(&id);
        }
    }

    /// How many of these bytes are new, if the request's body is let go piece by piece.
    fn take(&mut self, id: u32, bytes: usize) -> Option<usize> {
        let drip = self.requests.get_mut(&id)?;
        let fresh = bytes.saturating_sub(drip.held);
        drip.held = bytes;
        drip.is_due = true;
        Some(fresh)
    }

    /// Requests of which something waits to be let go.
    fn due(&mut self) -> Vec<u32> {
        let due = self.requests.iter_mut().filter(|(_, drip)| drip.is_due);
        due.map(|(id, drip)| {
            *drip = Drip::default();
            *id
        })
        .collect()
    }
}

impl Gate {
    /// A piece of the body of a request comes by that goes to the upstream.
    pub(super) fn pass_request(&mut self, host: &dyn Host, id: u32, bytes: usize) -> Action {
        let (fresh, action) = match self.drips.take(id, bytes) {
            Some(fresh) => {
                self.wake(host);
                (fresh, Action::Pause)
            }
            None => (bytes, Action::Continue),
        };
        if let Some(Stage::Admitted(admitted)) = self.requests.get_mut(&id) {
            admitted.count_request(fresh);
        }
        action
    }

    /// What of an answer is paid for passes.
    pub(super) fn pass_answer(
        &mut self,
        host: &dyn Host,
        id: u32,
        admitted: &mut Admitted,
    ) -> Action {
        if admitted.drips() {
            self.let_go_later(host, id);
            return admitted.hold(host);
        }
        admitted.let_through();
        Action::Continue
    }

    /// What is held of an answer waits for the root, which lets it go.
    pub(super) fn let_go_later(&mut self, host: &dyn Host, id: u32) {
        if !self.drips.answers.contains(&id) {
            self.drips.answers.push(id);
        }
        self.wake(host);
    }

    /// Lets go what waits for it. From the root only.
    pub(crate) fn let_drip(&mut self, host: &dyn Host) {
        let requests = self.drips.due();
        let answers = std::mem::take(&mut self.drips.answers);
        if requests.is_empty() && answers.is_empty() {
            return;
        }
        for id in requests {
            if host.enter(id) {
                host.resume();
            }
        }
        for id in answers {
            self.with_stream(id, (), |gate, admitted| {
                gate.release_answer(host, id, admitted);
            });
        }
        host.enter(self.root);
    }
}
