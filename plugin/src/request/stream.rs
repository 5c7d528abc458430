//! An answer that is paid for while it passes, piece by piece.
//!
//! A piece that is not paid for is held back, and the request waits for credit like one that is
//! not admitted yet. If none comes, the answer [ends](super::stream_end), and what was held back is
//! dropped. So nothing passes that is not paid for but the rest of an event that had begun.

use super::burn::{More, State};
use super::line::Place;
use super::refusal::Refusal;
use super::{Action, Admitted, Stage};
use crate::gate::Gate;
use crate::host::Host;
use crate::metrics::Metric;

/// How much of a stream of events is held back in sight, in bytes, so that it can end with an event
/// more: some seconds of what a model writes. What comes next must fit into the proxy's buffer, too,
/// or it gives the answer up.
const IN_SIGHT_BYTES_MAX: usize = 32 * 1024;

/// How much of an answer is held back, in bytes, by a proxy that can't be throttled.
pub(super) const HELD_BYTES_MAX: usize = 256 * 1024;

impl Gate {
    /// A piece of the response's body comes by. `bytes`: of all that is held back by now.
    pub fn on_response_body(
        &mut self,
        host: &dyn Host,
        id: u32,
        bytes: usize,
        is_end: bool,
    ) -> Action {
        let Some(Stage::Admitted(admitted)) = self.requests.get_mut(&id) else {
            return Action::Continue;
        };
        admitted.response.is_complete |= is_end;
        let Some(meter) = &mut admitted.meter else {
            return Action::Continue;
        };
        let Some(burning) = &mut admitted.burning else {
            meter.pass(host, 0, bytes);
            return Action::Continue;
        };
        if burning.is_ended() {
            if self.drips.answers.contains(&id) {
                // Its last event waits to be let go; nothing comes behind it.
                let last = host.response_body(0, burning.held);
                host.replace_response_body(bytes, &last);
            } else {
                host.reset_response();
            }
            return Action::Pause;
        }
        let before = burning.show(bytes);
        let piece = meter.pass(host, before, bytes);
        burning.has_end = is_end;
        admitted.measure(host, &piece);
        self.with_stream(id, Action::Continue, |gate, admitted| {
            gate.pass_on(host, id, admitted)
        })
    }

    /// The response's trailers come by: they pass no earlier than what is held back, and what they
    /// tell is paid for like what a piece tells.
    pub(super) fn pass_trailers(&mut self, host: &dyn Host, id: u32) -> Action {
        self.with_stream(id, Action::Continue, |gate, admitted| {
            let Some(burning) = &mut admitted.burning else {
                return Action::Continue;
            };
            burning.has_end = true;
            if burning.is_ended() {
                if !gate.drips.answers.contains(&id) {
                    host.reset_response();
                }
                return Action::Pause;
            }
            admitted.measure(host, &[]);
            gate.pass_on(host, id, admitted)
        })
    }

    /// Does something with an admitted request and the gate at once.
    pub(super) fn with_stream<T>(
        &mut self,
        id: u32,
        otherwise: T,
        act: impl FnOnce(&mut Self, &mut Admitted) -> T,
    ) -> T {
        match self.requests.remove(&id) {
            Some(Stage::Admitted(mut admitted)) => {
                let done = act(self, &mut admitted);
                self.requests.insert(id, Stage::Admitted(admitted));
                done
            }
            Some(other) => {
                self.requests.insert(id, other);
                otherwise
            }
            None => otherwise,
        }
    }

    /// Lets through what has come, if it is paid for.
    fn pass_on(&mut self, host: &dyn Host, id: u32, admitted: &mut Admitted) -> Action {
        let Some(burning) = &mut admitted.burning else {
            return Action::Continue;
        };
        let is_full = burning.held > HELD_BYTES_MAX && !host.throttles();
        match burning.state {
            State::Open => {}
            State::Waiting { .. } if !is_full => return admitted.hold(host),
            State::Waiting { .. } => return self.end_now(host, id, admitted, Refusal::Capacity),
            State::Ending { reason, .. } => return self.end_now(host, id, admitted, reason),
            State::Unpaid => return self.pass_answer(host, id, admitted),
            State::Ended => return Action::Pause,
        }
        match self.pay(host, admitted) {
            More::Had => self.pass_answer(host, id, admitted),
            More::Short(place) if !is_full && self.has_room_to_wait() => {
                self.wait_for_more(host, id, admitted, place);
                admitted.hold(host)
            }
            More::Short(_) => self.end_now(host, id, admitted, Refusal::Capacity),
            More::None(reason) => self.end_now(host, id, admitted, reason),
        }
    }

    fn has_room_to_wait(&self) -> bool {
        self.line.len() < self.config.limits.waiters_max
    }

    fn wait_for_more(&mut self, host: &dyn Host, id: u32, admitted: &mut Admitted, place: Place) {
        let since_ms = host.now_ms();
        let deadline_ms = since_ms.saturating_add(self.timing().wait_ms);
        self.count(Metric::StreamsHeld);
        self.line.set_deadline(id, deadline_ms);
        self.line.join(id, place);
        admitted.set_state(State::Waiting {
            place,
            since_ms,
            deadline_ms,
        });
        self.wake(host);
    }

    /// It waits for nothing any more.
    pub(crate) fn sate(&mut self, id: u32, admitted: &Admitted) {
        match admitted.state() {
            Some(State::Waiting {
                place, deadline_ms, ..
            }) => {
                self.line.leave(id, place);
                self.line.clear_deadline(id, deadline_ms);
            }
            Some(State::Ending { deadline_ms, .. }) => self.line.clear_deadline(id, deadline_ms),
            _ => {}
        }
    }

    /// What is held back of an answer goes to the client, unless it has to wait. From the root only.
    pub(super) fn release_answer(&mut self, host: &dyn Host, id: u32, admitted: &mut Admitted) {
        let Some(burning) = &mut admitted.burning else {
            return;
        };
        let has_held = burning.held > 0 || burning.has_end;
        let is_throttled = burning.is_throttled;
        match burning.state {
            State::Open | State::Unpaid => burning.let_through(),
            State::Ended => self.cut_later(id, admitted),
            State::Waiting { .. } | State::Ending { .. } => return,
        }
        if has_held && host.enter(id) {
            admitted.set_drips(!is_throttled);
            host.resume_response();
        }
    }

    /// Serves an answer that waits for credit. Answers false if it has to wait on. From the root
    /// only.
    pub(crate) fn serve_stream(&mut self, host: &dyn Host, id: u32) -> bool {
        self.with_stream(id, true, |gate, admitted| match gate.pay(host, admitted) {
            More::Short(place) => gate.moves(id, admitted, place),
            More::None(reason) => {
                gate.end_held(host, id, admitted, reason);
                true
            }
            More::Had => {
                gate.sate(id, admitted);
                admitted.set_state(State::Open);
                gate.release_answer(host, id, admitted);
                host.enter(gate.root);
                true
            }
        })
    }

    /// Has an answer wait where its account's cell is by now. Answers whether that is elsewhere.
    fn moves(&mut self, id: u32, admitted: &mut Admitted, to: Place) -> bool {
        let Some(State::Waiting {
            place,
            since_ms,
            deadline_ms,
        }) = admitted.state()
        else {
            return true;
        };
        if place == to {
            return false;
        }
        self.line.leave(id, place);
        self.line.join(id, to);
        admitted.set_state(State::Waiting {
            place: to,
            since_ms,
            deadline_ms,
        });
        true
    }

    /// Time burns, too: looks at the answers that are paid for by it. From the tick.
    pub(crate) fn burn_time(&mut self, host: &dyn Host) {
        for id in self.timed.iter().copied().collect::<Vec<_>>() {
            self.with_stream(id, (), |gate, admitted| {
                let state = admitted.state();
                if state == Some(State::Open) {
                    admitted.measure(host, &[]);
                    match gate.pay(host, admitted) {
                        More::Had => {}
                        More::Short(place) if gate.has_room_to_wait() => {
                            gate.wait_for_more(host, id, admitted, place);
                        }
                        More::Short(_) => gate.end_held(host, id, admitted, Refusal::Capacity),
                        More::None(reason) => gate.end_held(host, id, admitted, reason),
                    }
                }
            });
        }
        host.enter(self.root);
    }
}

impl Admitted {
    pub(super) fn state(&self) -> Option<State> {
        self.burning.as_ref().map(|burning| burning.state)
    }

    pub(super) fn set_state(&mut self, state: State) {
        if let Some(burning) = &mut self.burning {
            burning.state = state;
        }
    }

    pub(super) fn let_through(&mut self) {
        if let Some(burning) = &mut self.burning {
            burning.let_through();
        }
    }

    /// Whether its pieces are let go one by one.
    pub(super) fn drips(&self) -> bool {
        self.burning.as_ref().is_some_and(|burning| burning.drips)
    }

    fn set_drips(&mut self, drips: bool) {
        if let Some(burning) = &mut self.burning {
            burning.drips = drips;
        }
    }

    /// Has what has come of its answer held back: what is made of events in sight, since another may
    /// take the place of what is held, as long as that is not too much.
    pub(super) fn hold(&mut self, host: &dyn Host) -> Action {
        let is_stream = self.meter.as_ref().is_some_and(|meter| meter.is_stream());
        let Some(burning) = &mut self.burning else {
            return Action::Continue;
        };
        let is_in_sight = is_stream && burning.held <= IN_SIGHT_BYTES_MAX;
        burning.is_throttled |= !is_in_sight && host.throttles();
        match burning.is_throttled {
            true => Action::Throttle,
            false => Action::Pause,
        }
    }
}
