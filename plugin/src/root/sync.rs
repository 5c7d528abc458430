//! Reports: what the cells say to the control plane, and what it says to them.
//!
//! Counters are cumulative, so any worker may report any cell, late or twice. A claim in the
//! cell keeps workers from repeating each other; a need that somebody waits for, and credit
//! that is called back, are reported at once, whatever the claim.

use creditgate_core::amount::Amount;
use creditgate_core::cell::{Cell, Reception};
use creditgate_core::id::AccountId;
use creditgate_core::protocol::{LeaseAnswer, REPORTS_MAX, Report, SyncAnswer, SyncRequest};

use super::calls::{Question, Reported};
use super::epoch::Hearing;
use crate::gate::Gate;
use crate::host::Host;
use crate::metrics::Metric;
use crate::shared;

const PATH: &str = "/v1/gateway/sync";
/// How many cells are looked at in one go.
const LOOKS_MAX: usize = 4 * REPORTS_MAX;
/// How often a cell is read anew when someone came between; then it is left to the next tick.
const LOOK_ATTEMPTS: u32 = 16;
/// Reports of credit that fits no cell, at most.
const ORPHANS_MAX: usize = 256;
/// How often those who wait have the lease turned without a pause between.
const TURNS_MAX: u32 = 4;

/// Why a cell is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// Its time has come.
    Due,
    /// The control plane asked for it, or called credit back.
    Urgent,
    /// Requests wait for it: what the first costs, and all together.
    Needed { first: Amount, all: Amount },
}

/// What comes together for one call.
#[derive(Debug, Default)]
struct Batch {
    reports: Vec<Report>,
    reported: Vec<Reported>,
}

impl Gate {
    /// Reports what is needed, what is due, and what was never opened.
    pub(crate) fn report(&mut self, host: &dyn Host, now_ms: u64) {
        let mut batch = Batch::default();
        // Each once: a call that is refused at once puts its reports back.
        for _ in 0..self.orphans.len() {
            if !self.has_room_for_calls() || self.calls.is_resting(now_ms) {
                break;
            }
            let Some(report) = self.orphans.pop_front() else {
                break;
            };
            let reported = Reported::Orphan(Box::new(report.clone()));
            self.add(host, now_ms, &mut batch, Some((report, reported)));
        }
        for slot in self.line.credit_slots() {
            if !self.has_room_for_calls() {
                break;
            }
            let first = self.cost_of(self.line.credit_waiters(slot).take(1));
            let all = self.cost_of(self.line.credit_waiters(slot));
            let Some(queue) = self.line.credit(slot) else {
                continue;
            };
            if queue.is_asked || now_ms < queue.ask_after_ms {
                continue;
            }
            queue.is_asked = true;
            queue.asked_for = all;
            let account = queue.account;
            let report = self.look(host, now_ms, slot, account, Reason::Needed { first, all });
            if report.is_none()
                && let Some(queue) = self.line.credit(slot)
            {
                queue.is_asked = false;
                queue.ask_after_ms = now_ms.saturating_add(self.config.tick_ms);
            }
            self.add(host, now_ms, &mut batch, report);
        }
        for _ in 0..LOOKS_MAX {
            if !self.has_room_for_calls() {
                break;
            }
            let Some((slot, account, is_urgent)) = self.watched.next_due(now_ms) else {
                break;
            };
            let reason = if is_urgent {
                Reason::Urgent
            } else {
                Reason::Due
            };
            let report = self.look(host, now_ms, slot, account, reason);
            self.add(host, now_ms, &mut batch, report);
        }
        self.post(host, now_ms, batch);
    }

    fn has_room_for_calls(&self) -> bool {
        self.calls.have_room(self.config.limits.calls_max)
    }

    fn add(
        &mut self,
        host: &dyn Host,
        now_ms: u64,
        batch: &mut Batch,
        entry: Option<(Report, Reported)>,
    ) {
        let Some((report, reported)) = entry else {
            return;
        };
        batch.reports.push(report);
        batch.reported.push(reported);
        if batch.reports.len() >= REPORTS_MAX {
            self.post(host, now_ms, std::mem::take(batch));
        }
    }

    fn post(&mut self, host: &dyn Host, now_ms: u64, batch: Batch) {
        if batch.reports.is_empty() {
            return;
        }
        let request = SyncRequest {
            hello: self.hello(),
            reports: batch.reports,
        };
        let unsent = batch.reported.clone();
        let timeout_ms = self.config.control_plane.timeout_ms;
        if self
            .send(
                host,
                now_ms,
                PATH,
                &request,
                Question::Sync(batch.reported),
                timeout_ms,
            )
            .is_err()
        {
            self.unanswered(host, unsent);
        }
    }

    /// Looks at one cell: lets time act on it, and makes its report if there is to be one.
    /// Schedules the next look in any case.
    fn look(
        &mut self,
        host: &dyn Host,
        now_ms: u64,
        slot: u32,
        account: AccountId,
        reason: Reason,
    ) -> Option<(Report, Reported)> {
        let timing = self.timing();
        for _ in 0..LOOK_ATTEMPTS {
            let Some(mut found) = shared::read(host, slot, account) else {
                self.watched.drop(slot, account);
                return None;
            };
            if self.is_of_another_ledger(&found.cell) {
                self.reconcile(host, now_ms, slot, account);
                continue;
            }
            let before = found.cell.clone();
            let is_awaited = self.line.has_waiters(slot);
            let unused_ms = self.watched.unused_ms(slot, &before, now_ms);
            // Another worker may have asked for more, since somebody waits there.
            let is_asked = now_ms < before.claimed_until_ms;
            let is_unused = !is_awaited && !is_asked && unused_ms >= timing.idle_ms;
            let number = Self::draw(host, now_ms, before.lease);
            let cell = &mut found.cell;
            // A lease that is spent out and empty stays so until somebody needs credit.
            if is_awaited || cell.is_lent() || !cell.wants_turn() {
                cell.age(now_ms, is_unused, &timing, number);
            }
            let next_ms = before.reported_at_ms.saturating_add(timing.sync_ms);
            let is_time = before.reported_at_ms == 0 || now_ms >= next_ms;
            let is_told = match reason {
                Reason::Needed { .. } | Reason::Urgent => true,
                Reason::Due => cell.has_news() && is_time && !is_asked,
            };
            if is_told {
                let call_ms = self.config.control_plane.timeout_ms;
                cell.claimed_until_ms = now_ms.saturating_add(call_ms);
            }
            if *cell != before && shared::write(host, &found).is_err() {
                self.count(Metric::CasLost);
                continue;
            }
            let cell = found.cell;
            if cell.lease != before.lease {
                self.count(Metric::LeasesTurned);
            }
            self.schedule(slot, account, &cell, now_ms, is_told, next_ms);
            let reported = Reported::Cell {
                account,
                slot,
                mark: cell.mark(),
            };
            let (first, all) = match reason {
                Reason::Needed { first, all } => {
                    let moving = self.held_elsewhere(cell.lease, self.line.credit_waiters(slot));
                    (first, all.saturating_add(moving))
                }
                Reason::Due | Reason::Urgent => (Amount::ZERO, Amount::ZERO),
            };
            return is_told.then(|| (cell.report(first, all), reported));
        }
        self.watched
            .reschedule(slot, now_ms.saturating_add(self.config.tick_ms), false);
        None
    }

    fn schedule(
        &mut self,
        slot: u32,
        account: AccountId,
        cell: &Cell,
        now_ms: u64,
        is_told: bool,
        next_ms: u64,
    ) {
        let sync_ms = self.timing().sync_ms.max(1);
        let due_ms = if is_told {
            now_ms.saturating_add(self.config.control_plane.timeout_ms)
        } else if now_ms < cell.claimed_until_ms {
            // Whoever reports it may be answered long before the claim ends.
            now_ms.saturating_add(sync_ms)
        } else if cell.has_news() {
            next_ms.max(now_ms.saturating_add(1))
        } else if cell.is_lent() {
            now_ms.saturating_add(sync_ms)
        } else {
            self.watched.drop(slot, account);
            return;
        };
        self.watched.touch(slot, account, now_ms);
        self.watched.reschedule(slot, due_ms, is_told);
    }

    pub(crate) fn on_synced(
        &mut self,
        host: &dyn Host,
        sent_at_ms: u64,
        now_ms: u64,
        reported: Vec<Reported>,
        body: Option<&[u8]>,
    ) {
        let Some(answer) = self.read_answer::<SyncAnswer>(host, now_ms, body) else {
            self.unanswered(host, reported);
            return;
        };
        if self.hear_epoch(host, sent_at_ms, now_ms, answer.epoch) != Hearing::Same {
            self.unanswered(host, reported);
            return;
        }
        let mut reported = reported.into_iter();
        for (answer, reported) in answer.answers.iter().zip(reported.by_ref()) {
            if let Reported::Cell { slot, mark, .. } = reported {
                let reception = Reception {
                    sent_at_ms,
                    now_ms,
                    sent_mark: Some(mark),
                };
                self.take_answer(host, slot, answer, reception);
            }
        }
        self.unanswered(host, reported);
    }

    /// Applies what the control plane says of the cell at a slot, asked or not.
    pub(crate) fn take_answer(
        &mut self,
        host: &dyn Host,
        slot: u32,
        answer: &LeaseAnswer,
        reception: Reception,
    ) {
        let now_ms = reception.now_ms;
        let mut gave_back = false;
        let ledger = self.ledger();
        let applied = shared::update(host, slot, answer.account, |cell| {
            if !cell.is_of(ledger) {
                return;
            }
            let before = cell.mark();
            cell.apply(answer, reception);
            gave_back = cell.mark() != before && cell.has_news();
        });
        if let Some(queue) = self.line.credit(slot)
            && reception.sent_mark.is_some()
        {
            queue.is_asked = false;
        }
        let Some(cell) = applied else {
            if shared::read(host, slot, answer.account).is_some() {
                // It lost every race, but it is there.
                let again_ms = now_ms.saturating_add(self.config.tick_ms);
                self.watched.reschedule(slot, again_ms, false);
            } else {
                self.watched.drop(slot, answer.account);
            }
            return;
        };
        if !cell.is_of(ledger) {
            self.reconcile(host, now_ms, slot, answer.account);
            return;
        }
        let sync_ms = self.timing().sync_ms.max(1);
        self.watched.touch(slot, answer.account, now_ms);
        if gave_back {
            self.watched.urge(slot, answer.account, now_ms);
        } else if reception.sent_mark.is_some() {
            self.watched
                .reschedule(slot, now_ms.saturating_add(sync_ms), true);
        } else if cell.has_news() {
            self.watched.reschedule(slot, now_ms, false);
        }
        let total = self.cost_of(self.line.credit_waiters(slot));
        if let Some(queue) = self.line.credit(slot) {
            queue.answered_at_ms = now_ms;
            if reception.sent_mark.is_some() {
                // Whoever came while the call was under way was not part of the need; and a
                // lease that is over has to be turned before anything is lent.
                let must_turn = cell.wants_turn() && cell.can_turn() && queue.turns < TURNS_MAX;
                queue.turns = queue.turns.saturating_add(u32::from(must_turn));
                let at_once = must_turn || total > queue.asked_for;
                queue.ask_after_ms = now_ms.saturating_add(if at_once { 0 } else { sync_ms });
            }
            self.serve(host, slot);
        }
    }

    /// Reports that nobody answered: others may repeat them at once, this worker after a rest.
    fn unanswered(&mut self, host: &dyn Host, reported: impl IntoIterator<Item = Reported>) {
        let now_ms = host.now_ms();
        let again_ms = self.calls.rests_until_ms();
        for reported in reported {
            let (account, slot) = match reported {
                Reported::Cell { account, slot, .. } => (account, slot),
                Reported::Orphan(report) => {
                    self.keep_orphan(*report);
                    continue;
                }
            };
            // The claim ends, and tells when the question was last asked in vain: its answer may
            // have lent what this cell does not know of.
            shared::update(host, slot, account, |cell| cell.claimed_until_ms = now_ms);
            self.watched.reschedule(slot, again_ms, false);
            if let Some(queue) = self.line.credit(slot) {
                queue.is_asked = false;
                queue.ask_after_ms = again_ms;
            }
        }
    }

    /// Keeps the report of credit that fits no cell until it was heard. Beyond the bound it is
    /// forgotten, and counted: the control plane sets such a lease aside by itself.
    pub(crate) fn keep_orphan(&mut self, report: Report) {
        if self.orphans.len() < ORPHANS_MAX {
            self.orphans.push_back(report);
        } else {
            self.count(Metric::OrphansDropped);
        }
    }

    /// Gives back all that remains in the cells this worker looks after, and says so.
    pub(crate) fn give_everything_back(&mut self, host: &dyn Host, now_ms: u64) {
        let mut batch = Batch::default();
        for (slot, account) in self.watched.all() {
            let Some(cell) =
                shared::update(host, slot, account, |cell| cell.give_back(Amount::ZERO))
            else {
                continue;
            };
            if cell.has_news() || cell.is_lent() {
                let reported = Reported::Cell {
                    account,
                    slot,
                    mark: cell.mark(),
                };
                let entry = (cell.report(Amount::ZERO, Amount::ZERO), reported);
                self.add(host, now_ms, &mut batch, Some(entry));
            }
        }
        for report in std::mem::take(&mut self.orphans) {
            let reported = Reported::Orphan(Box::new(report.clone()));
            self.add(host, now_ms, &mut batch, Some((report, reported)));
        }
        self.post(host, now_ms, batch);
    }
}
