//! Whose is this credential? The first request of an account, and of each worker, asks.
//!
//! The question proposes a lease number. If the answer opened a lease under it, this worker
//! makes the cell, with the credit already in it, in one step. If another worker was faster,
//! its cell is, or soon will be, in shared data; should it never come, that lease is given
//! up for lost and a new number is reported, which tells the control plane so. Credit that
//! was lent to this question but fits no cell is handed back unopened.

use std::rc::Rc;

use creditgate_core::amount::Amount;
use creditgate_core::cell::{Cell, Reception};
use creditgate_core::id::AccountId;
use creditgate_core::key::CredentialHash;
use creditgate_core::lease::{Counters, LeaseNumber};
use creditgate_core::protocol::{
    LeaseAnswer, Phase, PreviousReport, Report, ResolveAnswer, ResolveRequest, Resolved,
};

use super::calls::Question;
use super::epoch::Hearing;
use crate::gate::{Credential, Gate, PROPOSALS_MAX};
use crate::host::Host;
use crate::metrics::Metric;
use crate::request::access_log;
use crate::request::lookups::Step;
use crate::request::refusal::Refusal;
use crate::shared::{self, Placed};

const PATH: &str = "/v1/gateway/resolve";
/// The longest that an unknown credential is believed to be unknown.
const UNKNOWN_MOST_MS: u64 = 60_000;
/// How much longer than its time limit a call may seem to take.
const MARGIN_MS: u64 = 250;

/// A resolved credential and when it was asked for.
struct Told<'a> {
    resolved: &'a Resolved,
    reception: Reception,
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
            let request = ResolveRequest {
                hello: self.hello(),
                credential: hash,
                lease,
                need: self.cost_of(self.line.lookups.waiters(&hash).take(1)),
                rule: None,
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

    /// Makes the cell of a lease that was opened for this very question.
    fn make_cell(&mut self, host: &dyn Host, hash: &CredentialHash, told: &Told<'_>) {
        let answer = &told.resolved.answer;
        let now_ms = told.reception.now_ms;
        // Not counted as reported: a push that came before the cell was there found nobody,
        // and the answer to the first report brings what it said.
        let mut cell = self.fresh_cell(answer.account, answer.lease);
        cell.apply(answer, told.reception);
        match shared::place(
            host,
            &cell,
            self.config.limits.cells_max,
            now_ms,
            &self.timing(),
        ) {
            Placed::Made(slot) => {
                self.count(Metric::CellsMade);
                self.know(host, hash, slot, told);
            }
            Placed::Exists(found) => {
                if self.is_of_another_ledger(&found.cell) {
                    self.reconcile(host, now_ms, found.slot, answer.account);
                }
                let ledger = self.ledger();
                // A cell whose lease is over goes on under the new number.
                let turned = shared::update(host, found.slot, answer.account, |cell| {
                    if !cell.is_of(ledger) {
                        return;
                    }
                    if cell.lease < answer.lease && cell.can_turn() {
                        cell.turn(answer.lease, now_ms);
                    }
                    cell.apply(answer, told.reception);
                });
                if !turned.is_some_and(|cell| carries(&cell, answer.lease)) {
                    self.hand_back(answer);
                }
                self.know(host, hash, found.slot, told);
            }
            Placed::Full => {
                self.hand_back(answer);
                self.no_room(host, hash);
            }
        }
    }

    /// Another worker has the lease: its cell is there, or will be, or never comes.
    fn find_cell(
        &mut self,
        host: &dyn Host,
        hash: CredentialHash,
        resolved: Box<Resolved>,
        reception: Reception,
    ) {
        if self.adopt_cell(host, &hash, &resolved, reception) {
            return;
        }
        let call_ms = self
            .config
            .control_plane
            .timeout_ms
            .saturating_add(MARGIN_MS);
        let lost_at_ms = resolved.answer.lease.drawn_at_ms().saturating_add(call_ms);
        let may_come = resolved.answer.phase == Phase::Open && reception.now_ms < lost_at_ms;
        if may_come && self.line.lookups.is_under_way(&hash) {
            let step = Step::AwaitsCell {
                resolved,
                sent_at_ms: reception.sent_at_ms,
                lost_at_ms,
            };
            self.line.lookups.await_cell(hash, step);
        } else {
            let resolved = &resolved;
            self.begin_anew(
                host,
                &hash,
                &Told {
                    resolved,
                    reception,
                },
            );
        }
    }

    fn adopt_cell(
        &mut self,
        host: &dyn Host,
        hash: &CredentialHash,
        resolved: &Resolved,
        reception: Reception,
    ) -> bool {
        let account = resolved.answer.account;
        let Some(found) = shared::find(host, account, self.config.limits.cells_max) else {
            return false;
        };
        if self.is_of_another_ledger(&found.cell) {
            self.reconcile(host, reception.now_ms, found.slot, account);
        }
        let ledger = self.ledger();
        shared::update(host, found.slot, account, |cell| {
            if cell.is_of(ledger) {
                cell.apply(&resolved.answer, reception);
            }
        });
        self.know(
            host,
            hash,
            found.slot,
            &Told {
                resolved,
                reception,
            },
        );
        true
    }

    /// Looks for cells that other workers were to make.
    pub(crate) fn seek_awaited_cells(&mut self, host: &dyn Host, now_ms: u64) {
        for hash in self.line.lookups.take_awaiting_cells() {
            let Some(lookup) = self.line.lookups.get_mut(&hash) else {
                continue;
            };
            if !matches!(lookup.step, Step::AwaitsCell { .. }) {
                continue;
            }
            let step = std::mem::replace(&mut lookup.step, Step::Asked);
            let Step::AwaitsCell {
                resolved,
                sent_at_ms,
                lost_at_ms,
            } = step
            else {
                continue;
            };
            let reception = Reception {
                sent_at_ms,
                now_ms,
                sent_mark: None,
            };
            if self.adopt_cell(host, &hash, &resolved, reception) {
                continue;
            }
            if now_ms >= lost_at_ms {
                self.begin_anew(
                    host,
                    &hash,
                    &Told {
                        resolved: &resolved,
                        reception,
                    },
                );
            } else {
                let step = Step::AwaitsCell {
                    resolved,
                    sent_at_ms,
                    lost_at_ms,
                };
                self.line.lookups.await_cell(hash, step);
            }
        }
    }

    /// The lease's cell is lost. A cell that holds nothing takes its place, under a new
    /// number; its first report has the old lease quarantined.
    fn begin_anew(&mut self, host: &dyn Host, hash: &CredentialHash, told: &Told<'_>) {
        let answer = &told.resolved.answer;
        let now_ms = told.reception.now_ms;
        let number = Self::draw(host, now_ms, answer.lease);
        let mut cell = self.fresh_cell(answer.account, number);
        cell.apply(answer, told.reception);
        match shared::place(
            host,
            &cell,
            self.config.limits.cells_max,
            now_ms,
            &self.timing(),
        ) {
            Placed::Made(slot) => {
                self.count(Metric::CellsMade);
                self.count(Metric::CellsLost);
                self.know(host, hash, slot, told);
                self.watched.urge(slot, answer.account, now_ms);
            }
            Placed::Exists(found) => self.know(host, hash, found.slot, told),
            Placed::Full => self.no_room(host, hash),
        }
    }

    /// The control plane misses reports of an account whose cell is gone. It is told so by a
    /// new number: else what the lost cell held would be lent for ever.
    pub(crate) fn tell_lost(&mut self, host: &dyn Host, now_ms: u64, account: AccountId) {
        let cell = self.fresh_cell(account, Self::draw(host, now_ms, LeaseNumber::NONE));
        let cells_max = self.config.limits.cells_max;
        match shared::place(host, &cell, cells_max, now_ms, &self.timing()) {
            Placed::Made(slot) => {
                self.count(Metric::CellsMade);
                self.count(Metric::CellsLost);
                self.watched.urge(slot, account, now_ms);
            }
            Placed::Exists(found) => self.watched.urge(found.slot, account, now_ms),
            Placed::Full => self.count(Metric::CellsRefused),
        }
    }

    fn no_room(&mut self, host: &dyn Host, hash: &CredentialHash) {
        self.count(Metric::CellsRefused);
        self.refuse_resolution(host, hash, Refusal::Capacity);
    }

    /// Remembers whose the credential is, and asks those who waited for it again.
    fn know(&mut self, host: &dyn Host, hash: &CredentialHash, slot: u32, told: &Told<'_>) {
        let Resolved {
            customer,
            currency,
            scale,
            answer,
            ..
        } = told.resolved;
        let credential = Credential {
            account: answer.account,
            customer: customer.clone(),
            log_fields: access_log::fields_of(customer, answer.account, currency),
            currency: *currency,
            scale: *scale,
            slot,
            version: answer.state.credential_version,
        };
        if self.credentials.insert(*hash, Rc::new(credential)) {
            self.count(Metric::CredentialsEvicted);
        }
        self.watched
            .touch(slot, answer.account, told.reception.now_ms);
        for id in self.line.lookups.end(hash) {
            self.ask_again(host, id);
        }
    }

    /// Gives a lease back that never came into a cell; also an empty one, to which the control
    /// plane may lend later what its question still waits for.
    fn hand_back(&mut self, answer: &LeaseAnswer) {
        // It names no lease that is spent from: there the account's other leases are in use.
        self.keep_orphan(Report {
            account: answer.account,
            lease: LeaseNumber::NONE,
            counters: Counters::default(),
            previous: Some(PreviousReport {
                lease: answer.lease,
                counters: Counters {
                    granted: answer.granted,
                    returned: answer.granted,
                    ..Counters::default()
                },
                dead: false,
            }),
            need: Amount::ZERO,
            wanted: Amount::ZERO,
        });
    }
}

fn carries(cell: &Cell, lease: LeaseNumber) -> bool {
    cell.lease == lease
        || cell
            .previous
            .is_some_and(|previous| previous.lease == lease)
}
