//! Requests whose price is in their body: held back until it is whole, read once, let go.
//!
//! The proxy keeps the body, not the filter. While anything is undecided both callbacks hold
//! the request; a body that grows beyond what may be read is refused, since padding must not
//! choose the price.

use super::identify::{Client, Seen};
use super::price::{Body, Question, refused};
use super::refusal::Refusal;
use super::{Action, Stage, Verdict};
use crate::config::Mode;
use crate::gate::Gate;
use crate::host::Host;

/// A request whose body is read before it is priced.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) bytes_max: u64,
    pub(crate) client: Client,
    /// Whether what can't be read is refused.
    pub(crate) mode: Mode,
}

/// How much of a body is held back.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Buffered {
    pub(crate) bytes: usize,
    pub(crate) is_whole: bool,
}

impl Gate {
    /// A piece of the body, or its end, came by. `bytes`: how many are held back by now, or
    /// pass if nothing holds them.
    #[must_use]
    pub fn on_request_body(
        &mut self,
        host: &dyn Host,
        id: u32,
        bytes: usize,
        is_end: bool,
    ) -> Action {
        match self.requests.get_mut(&id) {
            Some(Stage::Held(held)) => {
                held.buffered = Buffered {
                    bytes,
                    is_whole: is_end,
                };
                Action::Pause
            }
            Some(Stage::Refused(_)) => Action::Pause,
            Some(Stage::Reading(_)) => self.on_buffered(host, id, bytes, is_end),
            Some(Stage::Admitted(_) | Stage::Shadowed(_)) | None => {
                self.pass_request(host, id, bytes)
            }
        }
    }

    /// The body ended in trailers.
    #[must_use]
    pub fn on_request_trailers(&mut self, host: &dyn Host, id: u32) -> Action {
        match self.requests.get_mut(&id) {
            Some(Stage::Held(held)) => {
                held.buffered.is_whole = true;
                Action::Pause
            }
            Some(Stage::Reading(reading)) => {
                let bytes = usize::try_from(reading.bytes_max).unwrap_or(usize::MAX);
                self.on_buffered(host, id, bytes, true)
            }
            Some(Stage::Refused(_)) => Action::Pause,
            Some(Stage::Admitted(_) | Stage::Shadowed(_)) | None => {
                // They take along whatever waits to be let go.
                self.drips.forget(id);
                Action::Continue
            }
        }
    }

    fn on_buffered(&mut self, host: &dyn Host, id: u32, bytes: usize, is_end: bool) -> Action {
        let Some(Stage::Reading(reading)) = self.requests.remove(&id) else {
            return Action::Pause;
        };
        if u64::try_from(bytes).unwrap_or(u64::MAX) > reading.bytes_max {
            let verdict = refused(Refusal::BodyTooLarge, reading.mode);
            return self.begin(host, id, verdict, &reading.client);
        }
        if !is_end {
            self.requests.insert(id, Stage::Reading(reading));
            return Action::Pause;
        }
        let verdict = self.weigh_whole(host, bytes);
        self.begin(host, id, verdict, &reading.client)
    }

    /// Decides a request whose body, of at most so many bytes, is held back as a whole.
    pub(crate) fn weigh_whole(&mut self, host: &dyn Host, bytes: usize) -> Verdict {
        let Some(pairs) = host.request_headers() else {
            return self.unpriced(Refusal::NotReady);
        };
        let seen = Seen::read(&pairs);
        let body = host.request_body(bytes);
        let question = Question {
            body: Body::Whole(&body),
            ..Question::of(&seen, &pairs, host)
        };
        self.weigh(host, &question)
    }
}
