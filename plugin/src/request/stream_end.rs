//! How an answer ends whose credit is used up.
//!
//! Between two events and with one more that says why, where the answer is made of events; else it
//! is cut off. What was held back is dropped.
//!
//! The proxy loses what is put into a piece in the callback that cuts the stream off. So the
//! last event passes first, and the next piece, or the tick, cuts.

use creditgate_core::rate_card::OnEmpty;

use super::burn::State;
use super::line::Place;
use super::refusal::Refusal;
use super::stream::HELD_BYTES_MAX;
use super::{Action, Admitted, reply};
use crate::gate::Gate;
use crate::host::Host;
use crate::metrics::Metric;

/// What can be done with an answer that is to end.
enum Ending {
    /// It does not end: it goes on unpaid.
    Unpaid,
    /// It ends with the event that says why.
    Said,
    /// It can only be cut off.
    Cut,
    /// The event that has begun must end first.
    Later,
}

impl Gate {
    /// The credit is used up, and a callback is running in which what is held back comes by.
    pub(super) fn end_now(
        &mut self,
        host: &dyn Host,
        id: u32,
        admitted: &mut Admitted,
        reason: Refusal,
    ) -> Action {
        match self.end_stream(host, id, admitted, reason) {
            Ending::Unpaid => self.pass_answer(host, id, admitted),
            Ending::Said if admitted.drips() => {
                // In sight, or what comes behind it could not be taken out.
                self.let_go_later(host, id);
                Action::Pause
            }
            Ending::Said => {
                self.cut_later(id, admitted);
                Action::Continue
            }
            Ending::Cut => {
                host.reset_response();
                Action::Pause
            }
            Ending::Later => Action::Pause,
        }
    }

    /// The same, from the root.
    pub(super) fn end_held(
        &mut self,
        host: &dyn Host,
        id: u32,
        admitted: &mut Admitted,
        reason: Refusal,
    ) {
        if host.enter(id) {
            match self.end_stream(host, id, admitted, reason) {
                Ending::Unpaid | Ending::Said => self.release_answer(host, id, admitted),
                Ending::Cut => host.reset_response(),
                Ending::Later => {}
            }
        }
        host.enter(self.root);
    }

    /// Brings an answer to its end, whose credit is used up, or lets it go on, as its rule says.
    fn end_stream(
        &mut self,
        host: &dyn Host,
        id: u32,
        admitted: &mut Admitted,
        reason: Refusal,
    ) -> Ending {
        self.sate(id, admitted);
        if admitted.terms.rule.on_empty() == OnEmpty::Finish {
            admitted.set_state(State::Unpaid);
            return Ending::Unpaid;
        }
        let ending = admitted.last_words(host, reason);
        if let Ending::Later = ending {
            let deadline_ms = match admitted.state() {
                Some(State::Ending { deadline_ms, .. }) => deadline_ms,
                _ => host.now_ms().saturating_add(self.timing().wait_ms),
            };
            self.line.set_deadline(id, deadline_ms);
            admitted.set_state(State::Ending {
                reason,
                deadline_ms,
            });
            return ending;
        }
        self.count(Metric::StreamsEnded);
        admitted.set_state(State::Ended);
        ending
    }

    /// It has said its last: what comes now is cut off.
    pub(super) fn cut_later(&mut self, id: u32, admitted: &Admitted) {
        if !admitted.has_end() {
            self.cut.push(id);
        }
    }

    /// An answer's time to wait is over. From the root only.
    pub(crate) fn end_overdue_stream(&mut self, host: &dyn Host, id: u32) {
        self.with_stream(id, (), |gate, admitted| {
            let state = admitted.state();
            if let Some(State::Waiting {
                place, since_ms, ..
            }) = state
            {
                let reason = gate.why_none_came(place, since_ms);
                gate.end_held(host, id, admitted, reason);
            } else {
                // The event that had begun did not end in time.
                gate.count(Metric::StreamsEnded);
                admitted.set_state(State::Ended);
                if host.enter(id) {
                    host.reset_response();
                }
                host.enter(gate.root);
            }
        });
    }

    fn why_none_came(&mut self, place: Place, since_ms: u64) -> Refusal {
        let Place::Credit { slot, .. } = place else {
            return Refusal::ControlPlaneUnreachable;
        };
        let queue = self.line.credit(slot);
        match queue.is_some_and(|queue| queue.answered_at_ms >= since_ms) {
            true => Refusal::CreditExhausted,
            false => Refusal::ControlPlaneUnreachable,
        }
    }

    /// Cuts off the answers that have said their last. From the tick.
    pub(crate) fn cut_streams(&mut self, host: &dyn Host) {
        for id in std::mem::take(&mut self.cut) {
            if self.requests.contains_key(&id) && host.enter(id) {
                host.reset_response();
            }
        }
        host.enter(self.root);
    }
}

impl Admitted {
    fn has_end(&self) -> bool {
        self.burning.as_ref().is_some_and(|burning| burning.has_end)
    }

    /// Puts the event that says why in the place of what is held back, behind the event that has
    /// begun.
    fn last_words(&mut self, host: &dyn Host, reason: Refusal) -> Ending {
        let is_stream = self.meter.as_ref().is_some_and(|meter| meter.is_stream());
        let Some(burning) = self.burning.as_mut().filter(|_| is_stream) else {
            return Ending::Cut;
        };
        if burning.held == 0 && !burning.has_end {
            // Nothing to put it into yet: its time is up, and it is silent.
            return Ending::Later;
        }
        if burning.held == 0 || burning.is_throttled {
            return Ending::Cut;
        }
        let mut body = host.response_body(0, burning.held);
        match burning.passed.event.rest(&body) {
            Some(rest) => {
                burning.note_rest(rest);
                body.truncate(rest);
                body.extend_from_slice(reply::last_event(reason).as_bytes());
                host.replace_response_body(burning.held, &body);
                burning.held = body.len();
                Ending::Said
            }
            None if burning.has_end || burning.held > HELD_BYTES_MAX => Ending::Cut,
            None => Ending::Later,
        }
    }
}
