//! Whose is this credential? The first request of an account, and of each worker, asks.
//!
//! The question proposes a lease number. A question whose answer was lost is asked again
//! under the same number, so that the lease it may have opened is found. What becomes of an
//! opened lease, and of one that another worker was faster to open, is in [`cells`].
//!
//! [`cells`]: super::cells

use std::rc::Rc;

use creditgate_core::amount::Amount;
use creditgate_core::cell::Reception;
use creditgate_core::key::CredentialHash;
use creditgate_core::lease::LeaseNumber;
use creditgate_core::protocol::{ResolveAnswer, ResolveRequest, Resolved};

use super::calls::Question;
use super::epoch::Hearing;
use crate::credential::Credential;
use crate::gate::{Gate, PROPOSALS_MAX};
use crate::host::Host;
use crate::metrics::Metric;
use crate::request::lookups::Step;
use crate::request::refusal::Refusal;

const PATH: &str = "/v1/gateway/resolve";
/// The longest that an unknown credential is believed to be unknown.
const UNKNOWN_MOST_MS: u64 = 60_000;

/// A resolved credential and when it was asked for.
pub(super) struct Told<'a> {
    pub(super) resolved: &'a Resolved,
    pub(super) reception: Reception,
}

impl Gate {
    /// Sends lookups that are queued, as far as calls may be under way and strangers have left
    /// a budget.
    pub(crate) fn ask_who(&mut self, host: &dyn Host, now_ms: u64) {
        while self.calls.len() < self.config.limits.calls_max {
            let known = self.line.lookups.ask_known();
            let Some(hash) = known.or_else(|| self.next_stranger(now_ms)) else {
                return;
            };
            let is_stranger = known.is_none();
            let repeated = self.proposals.remove(&hash).map(LeaseNumber);
            let lease = repeated.unwrap_or_else(|| Self::draw(host, now_ms, LeaseNumber::NONE));
            let first = self.line.lookups.waiters(&hash).next();
            let lookup = self.line.lookups.get_mut(&hash);
            let customer = lookup.and_then(|lookup| lookup.customer.as_deref().map(str::to_owned));
            let (need, rule) = first.map_or((Amount::ZERO, None), |id| self.priced(id));
            let request = ResolveRequest {
                hello: self.hello(),
                credential: hash,
                customer,
                lease,
                need,
                rule: rule.map(str::to_owned),
            };
            let question = Question::Resolve {
                hash,
                lease,
                is_repeat: repeated.is_some(),
                is_stranger,
            };
            let timeout_ms = self.config.control_plane.timeout_ms;
            if self
                .send(host, now_ms, PATH, &request, question, timeout_ms)
                .is_err()
            {
                if is_stranger {
                    self.unknown_budget.give_back();
                }
                self.proposals.insert(hash, lease.0);
                self.line.lookups.queue(hash, Step::Queued);
                self.line.lookups.forget_unasked(&hash);
                return;
            }
        }
    }

    /// The next credential that may be invented, if the budget for such is not used up.
    fn next_stranger(&mut self, now_ms: u64) -> Option<CredentialHash> {
        if !self.line.lookups.may_have_strangers() || !self.unknown_budget.hold(now_ms) {
            return None;
        }
        let next = self.line.lookups.ask_stranger();
        if next.is_none() {
            self.unknown_budget.give_back();
        }
        next
    }

    pub(crate) fn on_resolved(
        &mut self,
        host: &dyn Host,
        sent_at_ms: u64,
        now_ms: u64,
        hash: CredentialHash,
        proposal: (LeaseNumber, bool),
        body: Option<&[u8]>,
    ) {
        let (lease, is_repeat) = proposal;
        let answer = self.read_answer::<ResolveAnswer>(host, now_ms, body);
        let answer = answer.filter(|answer| match answer {
            ResolveAnswer::Known(resolved) => {
                self.hear_epoch(host, sent_at_ms, now_ms, resolved.epoch) == Hearing::Same
            }
            ResolveAnswer::Unknown { .. } | ResolveAnswer::Barred { .. } => true,
        });
        let Some(answer) = answer else {
            // The lease may be open all the same, and nobody else can put it into a cell: asked
            // again under this number, also when nobody waits any more, it is ours.
            self.proposals.insert(hash, lease.0);
            let are_many = self.line.lookups.len() > PROPOSALS_MAX;
            let step = if are_many { Step::Queued } else { Step::Again };
            self.line.lookups.queue(hash, step);
            self.line.lookups.forget_unasked(&hash);
            return;
        };
        match answer {
            ResolveAnswer::Unknown { retry_after_ms } => {
                self.unknown_budget.take();
                let until_ms = now_ms.saturating_add(retry_after_ms.min(UNKNOWN_MOST_MS));
                self.unknown.insert(hash, until_ms);
                self.refuse_resolution(host, &hash, Refusal::CredentialUnknown);
                self.refuse_strangers(host, now_ms);
            }
            ResolveAnswer::Barred { reason } => {
                self.barred = Some(reason);
                self.refuse_resolution(host, &hash, Refusal::barred(reason));
            }
            ResolveAnswer::Known(resolved) => {
                let is_ours = resolved.answer.lease == lease && (resolved.opened || is_repeat);
                let reception = Reception {
                    sent_at_ms,
                    now_ms,
                    sent_mark: None,
                };
                let told = Told {
                    resolved: &resolved,
                    reception,
                };
                if is_ours {
                    self.make_cell(host, &hash, &told);
                } else {
                    self.find_cell(host, hash, resolved, reception);
                }
            }
        }
    }

    /// When strangers used the budget up, those not asked about yet are not held for it.
    fn refuse_strangers(&mut self, host: &dyn Host, now_ms: u64) {
        if !self.unknown_budget.is_empty(now_ms) {
            return;
        }
        for hash in self.line.lookups.queued_strangers() {
            self.refuse_resolution(host, &hash, Refusal::Capacity);
        }
    }

    fn refuse_resolution(&mut self, host: &dyn Host, hash: &CredentialHash, refusal: Refusal) {
        for id in self.line.lookups.end(hash) {
            self.refuse_held(host, id, refusal);
        }
    }

    pub(super) fn no_room(&mut self, host: &dyn Host, hash: &CredentialHash) {
        self.count(Metric::CellsRefused);
        self.refuse_resolution(host, hash, Refusal::Capacity);
    }

    /// Remembers whose the credential is, and asks those who waited for it again.
    pub(super) fn know(
        &mut self,
        host: &dyn Host,
        hash: &CredentialHash,
        slot: u32,
        told: &Told<'_>,
    ) {
        let process = (self.instance, self.config.limits.cells_max);
        let credential = Credential::of(*hash, told.resolved, slot, self.ledger(), process);
        let account = credential.account;
        if self.credentials.insert(*hash, Rc::new(credential)) {
            self.count(Metric::CredentialsEvicted);
        }
        self.watched.touch(slot, account, told.reception.now_ms);
        for id in self.line.lookups.end(hash) {
            self.ask_again(host, id);
        }
    }
}
