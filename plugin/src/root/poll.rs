//! The long poll: one worker of the process hears of every change within milliseconds.
//!
//! It is held open by the control plane until something changes, and says how far the last
//! answer went, so that no gap on either side loses anything. What it brings is applied to
//! the cells first and then noted as seen; done twice, it changes nothing.

use creditgate_core::cell::Reception;
use creditgate_core::protocol::{GatewayConfig, LeaseAnswer, PollAnswer, PollRequest};

use super::calls::{Question, Rest};
use super::epoch::Hearing;
use crate::gate::Gate;
use crate::host::{Expect, Host, Level};
use crate::leader::Leader;
use crate::metrics::Metric;
use crate::shared;

const PATH: &str = "/v1/gateway/poll";
/// How long a leader leads without renewing.
const TERM_MS: u64 = 1_000;
/// A poll that brings nothing at once is not repeated faster than this.
const IDLE_POLL_MS: u64 = 100;
pub(super) const UPDATE_ATTEMPTS: u32 = 64;

/// The state of the poll, as this worker sees it.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// The record, as last read.
    pub(crate) leader: Leader,
    is_polling: bool,
    poll_after_ms: u64,
    pub(crate) rest: Rest,
    /// The last version of the configuration that was looked at, usable or not.
    looked_at_version: u64,
}

impl Gate {
    /// Renews or takes the lead, follows what the leader noted, and polls if it leads.
    pub(crate) fn keep_watch(&mut self, host: &dyn Host, now_ms: u64) {
        let (mut leader, expect) = Leader::read(host);
        let leads = leader.holder == self.me;
        let is_over = now_ms >= leader.deadline_ms;
        let renews = leads && leader.deadline_ms < now_ms.saturating_add(TERM_MS / 2);
        if is_over || renews {
            let mut next = leader;
            next.deadline_ms = now_ms.saturating_add(TERM_MS);
            if !leads {
                next.holder = self.me;
                next.generation = leader.generation.saturating_add(1);
            }
            if next.write(host, expect).is_ok() {
                if !leads {
                    self.count(Metric::Elections);
                }
                leader = next;
            } else {
                leader = Leader::read(host).0;
            }
        }
        self.follow(host, now_ms, leader);
        self.poll(host, now_ms);
    }

    fn follow(&mut self, host: &dyn Host, now_ms: u64, leader: Leader) {
        self.barred = leader.barred;
        self.note_epoch(host, now_ms, leader.epoch);
        let version = leader.config_version;
        self.watch.leader = leader;
        if version != 0 && version != self.watch.looked_at_version {
            self.watch.looked_at_version = version;
            self.load_settings(host);
        }
        self.serve_settings(host);
    }

    /// Asks those again who waited for a rate card, once there is one.
    fn serve_settings(&mut self, host: &dyn Host) {
        if self.settings.is_some() {
            for id in self.line.take_settings_waiters() {
                self.ask_again(host, id);
            }
        }
    }

    fn poll(&mut self, host: &dyn Host, now_ms: u64) {
        let leads = self.watch.leader.holder == self.me;
        let is_time = now_ms >= self.watch.poll_after_ms && self.watch.rest.is_over(now_ms);
        if !leads || self.watch.is_polling || !is_time {
            return;
        }
        let request = PollRequest {
            hello: self.hello(),
            cursor: self.watch.leader.cursor,
            config_version: self.watch.leader.config_version,
        };
        let hold_ms = self.timing().poll_hold_ms();
        let timeout_ms =
            hold_ms.saturating_add(self.config.control_plane.timeout_ms.saturating_mul(2));
        self.watch.is_polling = self
            .send(host, now_ms, PATH, &request, Question::Poll, timeout_ms)
            .is_ok();
    }

    pub(crate) fn on_polled(
        &mut self,
        host: &dyn Host,
        sent_at_ms: u64,
        now_ms: u64,
        body: Option<&[u8]>,
    ) {
        self.watch.is_polling = false;
        let was_answered = body.is_some();
        let Some(answer) = self.read_answer::<PollAnswer>(host, now_ms, body) else {
            if was_answered {
                self.watch.rest.lengthen(host, now_ms);
            }
            return;
        };
        self.watch.rest.end(now_ms);
        if self.hear_epoch(host, sent_at_ms, now_ms, answer.epoch) == Hearing::Past {
            self.watch.poll_after_ms = now_ms.saturating_add(IDLE_POLL_MS);
            return;
        }
        let brings_nothing = answer.changes.is_empty()
            && answer.config.is_none()
            && answer.barred == self.watch.leader.barred
            && answer.cursor == self.watch.leader.cursor;
        if brings_nothing {
            self.watch.poll_after_ms = sent_at_ms.saturating_add(IDLE_POLL_MS);
        }
        let config_version = answer.config.as_ref().map(|config| config.version);
        if let Some(config) = answer.config {
            self.publish(host, *config, body.unwrap_or_default());
        }
        for change in &answer.changes {
            self.push(host, sent_at_ms, now_ms, change);
        }
        for account in answer.overdue {
            match shared::find(host, account, self.config.limits.cells_max) {
                Some(found) => self.watched.urge(found.slot, account, now_ms),
                None => self.tell_lost(host, now_ms, account),
            }
        }
        for _ in 0..UPDATE_ATTEMPTS {
            let (mut leader, expect) = Leader::read(host);
            if leader.holder != self.me || leader.epoch != answer.epoch {
                // Another leads now; it goes on from what is noted, and hears this again.
                return;
            }
            leader.cursor = answer.cursor;
            leader.polled_at_ms = now_ms;
            leader.barred = answer.barred;
            leader.config_version = config_version.unwrap_or(leader.config_version);
            if leader.write(host, expect).is_ok() {
                self.follow(host, now_ms, leader);
                break;
            }
        }
        self.poll(host, now_ms);
    }

    /// Takes new prices and time limits, and lays them out for the other workers.
    fn publish(&mut self, host: &dyn Host, config: GatewayConfig, answer: &[u8]) {
        let version = config.version;
        self.watch.looked_at_version = version;
        if self.take_settings(host, config) {
            // Nobody else writes it: the leader alone hears of configurations.
            let _ = host.shared_set(shared::CONFIG_KEY, answer, Expect::Anything);
            host.log(
                Level::Info,
                &format!("creditgate: configuration version {version} is in force"),
            );
        }
    }

    fn push(&mut self, host: &dyn Host, sent_at_ms: u64, now_ms: u64, change: &LeaseAnswer) {
        // A cell that is not here any more has nothing to say; its lease is the control
        // plane's to resolve.
        if let Some(found) = shared::find(host, change.account, self.config.limits.cells_max) {
            let reception = Reception {
                sent_at_ms,
                now_ms,
                sent_mark: None,
            };
            self.take_answer(host, found.slot, change, reception);
        }
    }
}
