//! Calls under way, and rest after calls that failed.
//!
//! A call that failed says nothing about whether the control plane acted on it. All
//! questions can be asked again without harm, so the only care taken is not to ask in a
//! tight circle: pauses double, up to a bound, with chance in them, and last at least as long as
//! the control plane asks for. While it fails one question goes out at a time; when it answers
//! again, one more with each answer, so that it is not run over by all that has waited.

use std::collections::HashMap;

use creditgate_core::id::AccountId;
use creditgate_core::key::CredentialHash;
use creditgate_core::lease::LeaseNumber;
use creditgate_core::protocol::Report;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::gate::Gate;
use crate::host::{Call, CallAnswer, Host, Level, NotSent};
use crate::metrics::Metric;

const REST_LEAST_MS: u64 = 50;
const REST_MOST_MS: u64 = 1_000;
/// The longest that the control plane can ask for; beyond it, it is asked all the same.
const RETRY_AFTER_MOST_MS: u64 = 30_000;

/// A question that was sent.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) sent_at_ms: u64,
    pub(crate) question: Question,
}

/// Which question.
#[derive(Debug)]
pub(crate) enum Question {
    /// Whose credential is this?
    Resolve {
        hash: CredentialHash,
        lease: LeaseNumber,
        is_repeat: bool,
        is_stranger: bool,
    },
    /// Reports, in their order.
    Sync(Vec<Reported>),
    /// What changed?
    Poll,
    /// A batch of usage detail, by its number.
    Usage(u64),
}

/// What a report of a sync was made of.
#[derive(Debug, Clone)]
pub(crate) enum Reported {
    /// A cell, which makes it anew if it was not heard.
    Cell {
        account: AccountId,
        slot: u32,
        /// What the cell said, by its mark.
        mark: u64,
    },
    /// Credit that fits no cell. Nobody else knows of it, so the report is kept until heard.
    Orphan(Box<Report>),
}

/// Calls under way.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    pending: HashMap<u32, Pending>,
    rest: Rest,
    /// How many may be under way at once, because of failures; the configuration's bound holds
    /// besides.
    width: Width,
}

/// How many questions are let out at once.
#[derive(Debug)]
struct Width(usize);

impl Default for Width {
    fn default() -> Self {
        Self(usize::MAX)
    }
}

/// Doubling pauses.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    failures: u32,
    failed_at_ms: u64,
    until_ms: u64,
    /// How long the control plane asked to be left alone.
    asked_until_ms: u64,
}

impl Rest {
    pub(crate) const fn is_over(&self, now_ms: u64) -> bool {
        now_ms >= self.until_ms
    }

    pub(crate) const fn until_ms(&self) -> u64 {
        self.until_ms
    }

    /// An answer came. It ends no rest that was asked for: it may be to an older question, or to
    /// one of another kind.
    pub(crate) fn end(&mut self, now_ms: u64) {
        if now_ms >= self.asked_until_ms {
            *self = Self::default();
        }
    }

    pub(crate) fn lengthen(&mut self, host: &dyn Host, now_ms: u64) {
        let doubled = REST_LEAST_MS
            .checked_shl(self.failures.min(16))
            .unwrap_or(REST_MOST_MS);
        let most_ms = doubled.min(REST_MOST_MS);
        let chance_ms = host.random().checked_rem(most_ms / 2).unwrap_or_default();
        self.failures = self.failures.saturating_add(1);
        self.failed_at_ms = now_ms;
        self.until_ms = now_ms.saturating_add(most_ms / 2).saturating_add(chance_ms);
    }

    /// Rests as long as is asked for, and by chance a little longer: not all come back at once.
    fn heed(&mut self, host: &dyn Host, now_ms: u64, retry_after_s: u64) {
        let asked_ms = retry_after_s.saturating_mul(1_000).min(RETRY_AFTER_MOST_MS);
        let chance_ms = host.random().checked_rem(REST_MOST_MS).unwrap_or_default();
        let until_ms = now_ms.saturating_add(asked_ms).saturating_add(chance_ms);
        self.asked_until_ms = self.asked_until_ms.max(until_ms);
        self.until_ms = self.until_ms.max(until_ms);
    }
}

impl Calls {
    pub(crate) fn is_resting(&self, now_ms: u64) -> bool {
        !self.rest.is_over(now_ms)
    }

    /// Whether the last question failed and none was answered since, nor any poll of the
    /// process, the last at `heard_ms`. `timeout_ms`: what the next question may take to fail.
    /// After that nothing is known.
    pub(crate) fn is_cut_off(&self, now_ms: u64, timeout_ms: u64, heard_ms: u64) -> bool {
        let until_ms = self.rest.until_ms.saturating_add(timeout_ms);
        self.rest.failures > 0 && now_ms < until_ms && heard_ms <= self.rest.failed_at_ms
    }

    pub(crate) fn rests_until_ms(&self) -> u64 {
        self.rest.until_ms()
    }

    /// Whether one more may be sent, where the configuration allows so many.
    pub(crate) fn have_room(&self, calls_max: usize) -> bool {
        self.len() < calls_max.min(self.width.0)
    }

    fn fail(&mut self, host: &dyn Host, now_ms: u64) {
        self.rest.lengthen(host, now_ms);
        self.width.0 = 1;
    }

    fn succeed(&mut self, now_ms: u64) {
        self.rest.end(now_ms);
        self.width.0 = self.width.0.saturating_add(1);
    }

    /// Calls under way, those aside of which there is one at most: the poll, a batch of usage.
    pub(crate) fn len(&self) -> usize {
        let pending = self.pending.values();
        let questions = pending.filter(|pending| match pending.question {
            Question::Resolve { .. } | Question::Sync(_) => true,
            Question::Poll | Question::Usage(_) => false,
        });
        questions.count()
    }
}

impl Gate {
    /// Sends a question. From the root only.
    pub(crate) fn send(
        &mut self,
        host: &dyn Host,
        now_ms: u64,
        path: &str,
        body: &impl Serialize,
        question: Question,
        timeout_ms: u64,
    ) -> Result<(), NotSent> {
        let metric = match question {
            Question::Resolve { .. } => Metric::CallsResolve,
            Question::Sync(_) => Metric::CallsSync,
            Question::Poll => Metric::CallsPoll,
            Question::Usage(_) => Metric::CallsUsage,
        };
        let body = serde_json::to_vec(body).map_err(|_| NotSent)?;
        let bearer = self.gateway_key.bearer();
        let headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", self.config.authority()),
            ("content-type", "application/json"),
            ("authorization", &bearer),
        ];
        let call = Call {
            cluster: &self.config.control_plane.cluster,
            headers: &headers,
            body: &body,
            timeout_ms,
        };
        let sent = host.call(&call);
        self.count(metric);
        match sent {
            Ok(token) => {
                self.calls.pending.insert(
                    token,
                    Pending {
                        sent_at_ms: now_ms,
                        question,
                    },
                );
                Ok(())
            }
            Err(NotSent) => {
                self.count(Metric::CallsFailed);
                self.rest_after(host, now_ms, &question, None);
                Err(NotSent)
            }
        }
    }

    fn rest_after(
        &mut self,
        host: &dyn Host,
        now_ms: u64,
        question: &Question,
        retry_after_s: Option<u64>,
    ) {
        let rest = match question {
            Question::Poll => {
                self.watch.rest.lengthen(host, now_ms);
                &mut self.watch.rest
            }
            Question::Usage(_) => {
                self.usage.rest.lengthen(host, now_ms);
                &mut self.usage.rest
            }
            Question::Resolve { .. } | Question::Sync(_) => {
                self.calls.fail(host, now_ms);
                &mut self.calls.rest
            }
        };
        if let Some(retry_after_s) = retry_after_s {
            rest.heed(host, now_ms, retry_after_s);
        }
    }

    /// A call ended.
    pub fn on_call_answer(&mut self, host: &dyn Host, token: u32, answer: &CallAnswer) {
        let Some(pending) = self.calls.pending.remove(&token) else {
            return;
        };
        let now_ms = host.now_ms();
        let fine = answer.status == Some(200);
        if !fine {
            self.note_failure(host, now_ms, answer, &pending.question);
        }
        let body = fine.then_some(answer.body.as_slice());
        match pending.question {
            Question::Resolve {
                hash,
                lease,
                is_repeat,
                is_stranger,
            } => {
                if is_stranger {
                    self.unknown_budget.give_back();
                }
                self.on_resolved(
                    host,
                    pending.sent_at_ms,
                    now_ms,
                    hash,
                    (lease, is_repeat),
                    body,
                );
            }
            Question::Sync(reported) => {
                self.on_synced(host, pending.sent_at_ms, now_ms, reported, body)
            }
            Question::Poll => self.on_polled(host, pending.sent_at_ms, now_ms, body),
            Question::Usage(number) => self.on_usage_told(host, now_ms, number, body),
        }
        self.run(host, now_ms);
    }

    fn note_failure(
        &mut self,
        host: &dyn Host,
        now_ms: u64,
        answer: &CallAnswer,
        question: &Question,
    ) {
        self.count(Metric::CallsFailed);
        self.rest_after(host, now_ms, question, answer.retry_after_s);
        if let Some(status) = answer.status.filter(|status| (400..500).contains(status)) {
            let said = String::from_utf8_lossy(answer.body.get(..200).unwrap_or(&answer.body));
            host.log(
                Level::Error,
                &format!("creditgate: the control plane refused a call with {status}: {said}"),
            );
        }
    }

    /// Reads an answer; one that can't be read counts as none, and is rested after.
    pub(crate) fn read_answer<T: DeserializeOwned>(
        &mut self,
        host: &dyn Host,
        now_ms: u64,
        body: Option<&[u8]>,
    ) -> Option<T> {
        match serde_json::from_slice(body?) {
            Ok(answer) => {
                self.calls.succeed(now_ms);
                Some(answer)
            }
            Err(error) => {
                self.count(Metric::CallsFailed);
                self.calls.fail(host, now_ms);
                host.log(
                    Level::Error,
                    &format!("creditgate: an answer of the control plane can't be read: {error}"),
                );
                None
            }
        }
    }
}
