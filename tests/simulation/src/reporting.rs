//! What workers ask and what they do with answers: lookups, reports, polls.

use creditgate_core::amount::Amount;
use creditgate_core::cell::{Cell, Reception};
use creditgate_core::id::AccountId;
use creditgate_core::lease::{Counters, LeaseNumber};
use creditgate_core::protocol::{LeaseAnswer, Phase, PreviousReport, Report, Resolved};

use super::auditor::Broken;
use super::control_plane::News;
use super::gateway::{Credential, Step};
use super::network::{CALL_TIMEOUT_MS, Question};
use super::world::{Stage, World, note};

/// Why a cell is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reason {
    Due,
    Urgent,
    Needed(i64, i64),
}

impl World {
    /// Does what is due at a worker.
    pub(super) fn run(&mut self, gateway: usize, worker: usize) -> Result<(), Broken> {
        self.seek_cells(gateway, worker)?;
        let now = self.clock(gateway);
        if now < self.gateways[gateway].workers[worker].rests_until_ms {
            return Ok(());
        }
        self.ask_who(gateway, worker);
        let (mut reports, mut marks) = (Vec::new(), Vec::new());
        let queues: Vec<AccountId> = self.gateways[gateway].workers[worker]
            .queues
            .keys()
            .copied()
            .collect();
        for account in queues {
            let queue = &self.gateways[gateway].workers[worker].queues[&account];
            let costs: Vec<i64> = queue
                .waiters
                .iter()
                .map(|waiter| self.requests[*waiter].cost)
                .collect();
            let (Some(first), all) = (costs.first().copied(), costs.iter().sum()) else {
                continue;
            };
            if queue.is_asked || now < queue.ask_after_ms {
                continue;
            }
            if let Some((report, mark)) =
                self.look(gateway, worker, account, Reason::Needed(first, all))?
            {
                if let Some(queue) = self.gateways[gateway].workers[worker]
                    .queues
                    .get_mut(&account)
                {
                    (queue.is_asked, queue.asked_for) = (true, all);
                }
                reports.push(report);
                marks.push(Some(mark));
            }
        }
        let watched = &self.gateways[gateway].workers[worker].watched;
        let due: Vec<(AccountId, bool)> = watched
            .iter()
            .filter(|(_, watch)| watch.due_ms <= now)
            .map(|(account, watch)| (*account, watch.is_urgent))
            .collect();
        for (account, is_urgent) in due {
            let reason = if is_urgent {
                Reason::Urgent
            } else {
                Reason::Due
            };
            if let Some((report, mark)) = self.look(gateway, worker, account, reason)? {
                reports.push(report);
                marks.push(Some(mark));
            }
        }
        for orphan in std::mem::take(&mut self.gateways[gateway].workers[worker].orphans) {
            reports.push(orphan);
            marks.push(None);
        }
        if !reports.is_empty() {
            self.send(gateway, worker, Question::Sync { reports, marks });
        }
        Ok(())
    }

    /// Lets time act on a cell, and makes its report if there is to be one.
    fn look(
        &mut self,
        gateway: usize,
        worker: usize,
        account: AccountId,
        reason: Reason,
    ) -> Result<Option<(Report, u64)>, Broken> {
        let (now, timing) = (self.clock(gateway), self.timing());
        let Some(mut cell) = self.gateways[gateway].cell(account) else {
            self.gateways[gateway].workers[worker]
                .watched
                .remove(&account);
            return Ok(None);
        };
        self.watch(gateway, worker, account, false);
        let before = cell.clone();
        let number = self.draw(gateway, cell.lease);
        let me = &mut self.gateways[gateway].workers[worker];
        let is_awaited = me
            .queues
            .get(&account)
            .is_some_and(|queue| !queue.waiters.is_empty());
        let Some(watch) = me.watched.get_mut(&account) else {
            return Ok(None);
        };
        let seen = (cell.lease, cell.counters.reserved);
        if watch.seen != seen {
            (watch.seen, watch.used_at_ms) = (seen, now);
        }
        let is_unused = !is_awaited && now >= watch.used_at_ms + timing.idle_ms;
        if is_awaited || cell.is_lent() || !cell.wants_turn() {
            cell.age(now, is_unused, &timing, number);
        }
        let is_claimed = now < before.claimed_until_ms;
        let next_ms = before.reported_at_ms + timing.sync_ms;
        let is_time = before.reported_at_ms == 0 || now >= next_ms;
        let is_told = match reason {
            Reason::Needed(..) | Reason::Urgent => true,
            Reason::Due => cell.has_news() && is_time && !is_claimed,
        };
        if is_told {
            cell.claimed_until_ms = now + CALL_TIMEOUT_MS;
        }
        watch.is_urgent &= !is_told;
        if is_told {
            watch.due_ms = now + CALL_TIMEOUT_MS;
        } else if now < cell.claimed_until_ms {
            watch.due_ms = now + timing.sync_ms;
        } else if cell.has_news() {
            watch.due_ms = next_ms.max(now + 1);
        } else if cell.is_lent() {
            watch.due_ms = now + timing.sync_ms;
        } else {
            me.watched.remove(&account);
        }
        if cell != before {
            self.tally.turns += u64::from(cell.lease != before.lease);
            self.put(gateway, &cell)?;
        }
        let (first, all) = if let Reason::Needed(first, all) = reason {
            (first, all)
        } else {
            (0, 0)
        };
        Ok(is_told.then(|| {
            (
                cell.report(Amount::new(first), Amount::new(all)),
                cell.mark(),
            )
        }))
    }

    fn ask_who(&mut self, gateway: usize, worker: usize) {
        let lookups = &self.gateways[gateway].workers[worker].lookups;
        let queued: Vec<(usize, Option<usize>)> = lookups
            .iter()
            .filter(|(_, lookup)| matches!(lookup.step, Step::Queued))
            .map(|(payer, lookup)| (*payer, lookup.waiters.front().copied()))
            .collect();
        for (payer, first) in queued {
            let me = &mut self.gateways[gateway].workers[worker];
            let repeated = me.proposals.remove(&payer);
            if first.is_none() && repeated.is_none() {
                me.lookups.remove(&payer);
                continue;
            }
            // A question that may have opened a lease is repeated until it is answered, also
            // when nobody waits any more: nobody else can put that lease into a cell.
            let (generation, need, is_limited) = match first.map(|first| &self.requests[first]) {
                Some(first) => (first.generation, first.cost, first.is_limited),
                None => (self.payers[payer].generation, 0, false),
            };
            let need = Amount::new(need);
            let lease = match repeated {
                Some(lease) => lease,
                None => self.draw(gateway, LeaseNumber::NONE),
            };
            let is_repeat = repeated.is_some();
            self.send(
                gateway,
                worker,
                Question::Lookup {
                    payer,
                    generation,
                    lease,
                    need,
                    is_limited,
                    is_repeat,
                },
            );
            if let Some(lookup) = self.gateways[gateway].workers[worker]
                .lookups
                .get_mut(&payer)
            {
                lookup.step = Step::Asked;
            }
        }
    }

    fn reception(&self, call: usize, sent_mark: Option<u64>) -> Reception {
        let gateway = self.calls[call].gateway;
        Reception {
            sent_at_ms: self.clock_at(gateway, self.calls[call].sent_at_ms),
            now_ms: self.clock(gateway),
            sent_mark,
        }
    }

    /// A call came to nothing: what it asked is asked again.
    pub(super) fn on_failed(&mut self, call: usize) -> Result<(), Broken> {
        let (gateway, worker) = (self.calls[call].gateway, self.calls[call].worker);
        let again_ms = self.clock(gateway) + self.random.between(5, 60);
        if !matches!(self.calls[call].question, Question::Poll { .. }) {
            let me = &mut self.gateways[gateway].workers[worker];
            me.is_alone_until_ms = again_ms + CALL_TIMEOUT_MS;
        }
        match self.calls[call].question.clone() {
            Question::Lookup { payer, lease, .. } => {
                let me = &mut self.gateways[gateway].workers[worker];
                me.proposals.insert(payer, lease);
                me.rests_until_ms = again_ms;
                if let Some(lookup) = me.lookups.get_mut(&payer) {
                    lookup.step = Step::Queued;
                }
            }
            Question::Sync { reports, marks } => {
                self.gateways[gateway].workers[worker].rests_until_ms = again_ms;
                for (report, mark) in reports.into_iter().zip(marks) {
                    self.unanswered(gateway, worker, report, mark, again_ms)?;
                }
            }
            Question::Poll { .. } => {}
        }
        Ok(())
    }

    fn unanswered(
        &mut self,
        gateway: usize,
        worker: usize,
        report: Report,
        mark: Option<u64>,
        again_ms: u64,
    ) -> Result<(), Broken> {
        if mark.is_none() {
            self.gateways[gateway].workers[worker].orphans.push(report);
            return Ok(());
        }
        if let Some(mut cell) = self.gateways[gateway].cell(report.account) {
            // The claim ends, and tells when the question was last asked in vain.
            cell.claimed_until_ms = self.clock(gateway);
            self.put(gateway, &cell)?;
        }
        let me = &mut self.gateways[gateway].workers[worker];
        if let Some(watch) = me.watched.get_mut(&report.account) {
            watch.due_ms = again_ms;
        }
        if let Some(queue) = me.queues.get_mut(&report.account) {
            (queue.is_asked, queue.ask_after_ms) = (false, again_ms);
        }
        Ok(())
    }

    pub(super) fn on_unknown(&mut self, call: usize) -> Result<(), Broken> {
        let (gateway, worker) = (self.calls[call].gateway, self.calls[call].worker);
        let Question::Lookup { payer, .. } = self.calls[call].question else {
            return Ok(());
        };
        let lookup = self.gateways[gateway].workers[worker]
            .lookups
            .remove(&payer);
        for request in lookup.into_iter().flat_map(|lookup| lookup.waiters) {
            self.refuse(request, "unknown credential");
        }
        Ok(())
    }

    pub(super) fn on_resolved(&mut self, call: usize, resolved: &Resolved) -> Result<(), Broken> {
        let (gateway, worker) = (self.calls[call].gateway, self.calls[call].worker);
        let Question::Lookup {
            payer,
            generation,
            lease,
            is_repeat,
            ..
        } = self.calls[call].question
        else {
            return Ok(());
        };
        let answer = &resolved.answer;
        let (account, version) = (answer.account, answer.state.credential_version);
        let is_ours = answer.lease == lease && (resolved.opened || is_repeat);
        let reception = self.reception(call, None);
        let limited = resolved.limited.first().map(|limited| limited.account);
        let credential = Credential {
            account,
            limited,
            generation,
            version,
        };
        let cell = self.gateways[gateway].cell(account);
        if cell.is_none() && !is_ours {
            let lost_at_ms = lost_at_ms(answer);
            let step = Step::AwaitsCell {
                account,
                limited,
                after: answer.lease,
                lost_at_ms,
                version,
            };
            if let Some(lookup) = self.gateways[gateway].workers[worker]
                .lookups
                .get_mut(&payer)
            {
                lookup.step = step;
            }
            return self.run(gateway, worker);
        }
        // What was pushed before the cell was there found nobody: a new cell is reported, and
        // the answer brings what this one is too old to know.
        let mut cell = cell.unwrap_or_else(|| Cell::fresh(account, answer.lease));
        if is_ours && cell.lease < answer.lease && cell.can_turn() {
            cell.turn(answer.lease, reception.now_ms);
        }
        self.auditor.told(self.gateways[gateway].id, answer);
        cell.apply(answer, reception);
        let carries = cell.lease == answer.lease
            || cell
                .previous
                .is_some_and(|previous| previous.lease == answer.lease);
        if is_ours && !carries {
            note!(
                self,
                "g{gateway}.{worker} hands lease {} back unopened",
                answer.lease
            );
            let counters = Counters {
                granted: answer.granted,
                returned: answer.granted,
                ..Counters::default()
            };
            self.gateways[gateway].workers[worker].orphans.push(Report {
                account,
                lease: LeaseNumber::NONE,
                counters: Counters::default(),
                previous: Some(PreviousReport {
                    lease: answer.lease,
                    counters,
                    dead: false,
                }),
                need: Amount::ZERO,
                wanted: Amount::ZERO,
            });
        }
        self.put(gateway, &cell)?;
        self.gateways[gateway].workers[worker]
            .known
            .insert(payer, credential);
        self.watch(gateway, worker, account, false);
        self.serve_lookup(gateway, worker, payer)?;
        self.run(gateway, worker)
    }

    /// Cells that others were to make: they are there now, or they are lost.
    fn seek_cells(&mut self, gateway: usize, worker: usize) -> Result<(), Broken> {
        let now = self.clock(gateway);
        let lookups = &self.gateways[gateway].workers[worker].lookups;
        let awaited: Vec<_> = lookups
            .iter()
            .filter_map(|(payer, lookup)| match lookup.step {
                Step::AwaitsCell {
                    account,
                    limited,
                    after,
                    lost_at_ms,
                    version,
                } => Some((
                    *payer,
                    (account, limited),
                    after,
                    lost_at_ms,
                    version,
                    lookup.waiters.front().copied(),
                )),
                _ => None,
            })
            .collect();
        for (payer, (account, limited), after, lost_at_ms, version, first) in awaited {
            if self.gateways[gateway].cell(account).is_none() {
                if now < lost_at_ms {
                    continue;
                }
                let number = self.number_of_lost_cell(gateway, after);
                note!(
                    self,
                    "g{gateway}.{worker} gives the cell of {account} up for lost: {number} after {after}"
                );
                let mut cell = Cell::fresh(account, number);
                cell.credential_version = version;
                self.put(gateway, &cell)?;
            }
            let generation = first.map_or(self.payers[payer].generation, |first| {
                self.requests[first].generation
            });
            self.gateways[gateway].workers[worker].known.insert(
                payer,
                Credential {
                    account,
                    limited,
                    generation,
                    version,
                },
            );
            self.watch(gateway, worker, account, false);
            self.serve_lookup(gateway, worker, payer)?;
        }
        Ok(())
    }

    /// A new number; the old one if that defect is planted.
    fn number_of_lost_cell(&mut self, gateway: usize, lost: LeaseNumber) -> LeaseNumber {
        use creditgate_core::defects::{Defect, is_planted};
        if is_planted(Defect::LostCellKeepsNumber) {
            lost
        } else {
            self.draw(gateway, lost)
        }
    }

    pub(super) fn on_synced(
        &mut self,
        call: usize,
        answers: &[LeaseAnswer],
        was_over: bool,
    ) -> Result<(), Broken> {
        let (gateway, worker) = (self.calls[call].gateway, self.calls[call].worker);
        let Question::Sync { marks, .. } = self.calls[call].question.clone() else {
            return Ok(());
        };
        for (answer, mark) in answers.iter().zip(marks) {
            if let Some(mark) = mark {
                self.take_answer(call, answer, Some(mark), was_over)?;
            }
        }
        self.run(gateway, worker)
    }

    pub(super) fn on_polled(
        &mut self,
        call: usize,
        news: &News,
        was_over: bool,
    ) -> Result<(), Broken> {
        let (gateway, worker) = (self.calls[call].gateway, self.calls[call].worker);
        for answer in &news.changes {
            self.take_answer(call, answer, None, was_over)?;
        }
        for account in &news.overdue {
            self.report_overdue(gateway, worker, *account)?;
        }
        if !was_over {
            let sent_at = self.clock_at(gateway, self.calls[call].sent_at_ms);
            let place = &mut self.gateways[gateway];
            place.cursor = place.cursor.max(news.cursor);
            place.polled_at_ms = place.polled_at_ms.max(sent_at);
            place.barred = news.barred;
            place.poll = None;
            self.poll(gateway);
        }
        for worker in 0..self.gateways[gateway].workers.len() {
            for answer in &news.changes {
                self.serve(gateway, worker, answer.account)?;
            }
            self.run(gateway, worker)?;
        }
        Ok(())
    }

    /// The control plane asks for an account. If its cell is gone, that is what it is told,
    /// by a new number: else what the lost cell held would be lent for ever.
    fn report_overdue(
        &mut self,
        gateway: usize,
        worker: usize,
        account: AccountId,
    ) -> Result<(), Broken> {
        if self.gateways[gateway].cell(account).is_none() {
            let number = self.draw(gateway, LeaseNumber::NONE);
            note!(
                self,
                "g{gateway}.{worker} has no cell of {account}, which is asked for: {number}"
            );
            self.put(gateway, &Cell::fresh(account, number))?;
        }
        self.watch(gateway, worker, account, true);
        Ok(())
    }

    fn take_answer(
        &mut self,
        call: usize,
        answer: &LeaseAnswer,
        sent_mark: Option<u64>,
        was_over: bool,
    ) -> Result<(), Broken> {
        let (gateway, worker) = (self.calls[call].gateway, self.calls[call].worker);
        let (now, account) = (self.clock(gateway), answer.account);
        let Some(mut cell) = self.gateways[gateway].cell(account) else {
            self.gateways[gateway].workers[worker]
                .watched
                .remove(&account);
            return Ok(());
        };
        let before = cell.mark();
        self.auditor.told(self.gateways[gateway].id, answer);
        cell.apply(answer, self.reception(call, sent_mark));
        let gave_back = cell.mark() != before && cell.has_news();
        let has_news = cell.has_news();
        self.put(gateway, &cell)?;
        self.watch(gateway, worker, account, gave_back);
        let sync_ms = self.timing().sync_ms;
        let waiting: i64 = self.gateways[gateway].workers[worker]
            .queues
            .get(&account)
            .map_or(0, |queue| {
                queue
                    .waiters
                    .iter()
                    .map(|waiter| self.requests[*waiter].cost)
                    .sum()
            });
        let me = &mut self.gateways[gateway].workers[worker];
        if let Some(watch) = me.watched.get_mut(&account)
            && !gave_back
            && (sent_mark.is_some() || has_news)
        {
            watch.due_ms = if sent_mark.is_some() {
                now + sync_ms
            } else {
                now
            };
        }
        if let Some(queue) = me.queues.get_mut(&account)
            && sent_mark.is_some()
            && !was_over
        {
            queue.is_asked = false;
            queue.ask_after_ms = if waiting > queue.asked_for {
                now
            } else {
                now + sync_ms
            };
        }
        self.serve(gateway, worker, account)
    }

    /// Requests that still wait somewhere; none should at the end.
    pub(super) fn waiting(&self) -> usize {
        self.requests
            .iter()
            .filter(|request| request.stage == Stage::Waiting)
            .count()
    }
}

/// When the cell of a lease that another worker was given should long be there.
fn lost_at_ms(answer: &LeaseAnswer) -> u64 {
    if answer.phase == Phase::Open {
        answer.lease.drawn_at_ms() + 2 * CALL_TIMEOUT_MS
    } else {
        0
    }
}
