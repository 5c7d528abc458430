//! How an account's cell comes to be, or is found.
//!
//! A lease that was opened for this worker's question becomes a cell in one step, with the
//! credit already in it. One that another worker asked for is in shared data, or soon will
//! be; should it never come, it is given up for lost and a new number is reported, which
//! tells the control plane so. Credit that fits no cell is handed back unopened.

use creditgate_core::amount::Amount;
use creditgate_core::cell::{Cell, Reception};
use creditgate_core::id::AccountId;
use creditgate_core::key::CredentialHash;
use creditgate_core::lease::{Counters, LeaseNumber};
use creditgate_core::protocol::{LeaseAnswer, Phase, PreviousReport, Report, Resolved};

use super::resolve::Told;
use crate::gate::Gate;
use crate::host::Host;
use crate::metrics::Metric;
use crate::request::lookups::Step;
use crate::shared::{self, Placed};

/// How much longer than its time limit a call may seem to take.
const MARGIN_MS: u64 = 250;

impl Gate {
    /// Makes the cell of a lease that was opened for this very question.
    pub(super) fn make_cell(&mut self, host: &dyn Host, hash: &CredentialHash, told: &Told<'_>) {
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
    pub(super) fn find_cell(
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
