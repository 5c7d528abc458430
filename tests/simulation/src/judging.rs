//! Who pays a request: the account that is limited to its rule, then the general one.

use std::collections::VecDeque;

use creditgate_core::amount::Amount;
use creditgate_core::cell::{Cell, NotAdmitted, Offline};
use creditgate_core::id::AccountId;
use creditgate_core::lease::LeaseNumber;

use super::auditor::Broken;
use super::gateway::{Credential, Lookup, Step};
use super::world::{Event, Stage, World, note};

/// What is to be done with a request.
pub(super) enum Verdict {
    Admitted,
    /// By the general account; of a limited one it means that the general one is asked.
    Refused(&'static str),
    AwaitsLookup,
    AwaitsCredit(AccountId),
}

impl World {
    /// `heads`: the account in whose line nobody waits before it.
    pub(super) fn judge(
        &mut self,
        request: usize,
        heads: Option<AccountId>,
    ) -> Result<Verdict, Broken> {
        let row = &self.requests[request];
        let (gateway, worker, payer, generation) =
            (row.gateway, row.worker, row.payer, row.generation);
        let place = &self.gateways[gateway];
        if place.barred.is_some() {
            return Ok(Verdict::Refused("barred"));
        }
        let credential = place.workers[worker]
            .known
            .get(&payer)
            .copied()
            .filter(|known| known.generation == generation);
        let Some(credential) = credential else {
            return Ok(Verdict::AwaitsLookup);
        };
        if let Some(limited) = credential.limited.filter(|_| row.is_limited) {
            let cell = self.limited_cell(gateway, worker, limited, credential.version)?;
            if cell.credential_version > credential.version {
                self.gateways[gateway].workers[worker].known.remove(&payer);
                return Ok(Verdict::AwaitsLookup);
            }
            match self.judge_cell(request, cell, heads)? {
                Verdict::Refused(_) => {}
                verdict => return Ok(verdict),
            }
        }
        self.judge_general(request, credential, heads)
    }

    fn judge_general(
        &mut self,
        request: usize,
        credential: Credential,
        heads: Option<AccountId>,
    ) -> Result<Verdict, Broken> {
        let row = &self.requests[request];
        let (gateway, worker, payer) = (row.gateway, row.worker, row.payer);
        let cell = self.gateways[gateway]
            .cell(credential.account)
            .filter(|cell| cell.credential_version == credential.version);
        let Some(cell) = cell else {
            self.gateways[gateway].workers[worker].known.remove(&payer);
            return Ok(Verdict::AwaitsLookup);
        };
        self.judge_cell(request, cell, heads)
    }

    /// The cell of a limited account, made when a request first wants it.
    fn limited_cell(
        &mut self,
        gateway: usize,
        worker: usize,
        account: AccountId,
        version: u32,
    ) -> Result<Cell, Broken> {
        if let Some(cell) = self.gateways[gateway].cell(account) {
            return Ok(cell);
        }
        let number = self.draw(gateway, LeaseNumber::NONE);
        let mut cell = Cell::fresh(account, number);
        cell.credential_version = version;
        self.put(gateway, &cell)?;
        self.watch(gateway, worker, account, true);
        Ok(cell)
    }

    fn judge_cell(
        &mut self,
        request: usize,
        mut cell: Cell,
        heads: Option<AccountId>,
    ) -> Result<Verdict, Broken> {
        let row = &self.requests[request];
        let (gateway, worker, account) = (row.gateway, row.worker, cell.account);
        let (cost, at_once) = (Amount::new(row.cost), row.at_once);
        let now = self.clock(gateway);
        let queue = self.gateways[gateway].workers[worker].queues.get(&account);
        if heads != Some(account) && queue.is_some_and(|queue| !queue.waiters.is_empty()) {
            return Ok(Verdict::AwaitsCredit(account));
        }
        let admitted = if at_once {
            cell.charge(cost, now)
        } else {
            cell.admit(cost, now)
        };
        match admitted {
            Ok(()) => {
                self.admit(request, &cell)?;
                Ok(Verdict::Admitted)
            }
            Err(NotAdmitted::Blocked(_)) if self.is_current(gateway, now, &cell) => {
                Ok(Verdict::Refused("blocked"))
            }
            Err(NotAdmitted::AboveCeiling) if self.is_current(gateway, now, &cell) => {
                Ok(Verdict::Refused("exhausted"))
            }
            Err(NotAdmitted::Short | NotAdmitted::PastUseBy)
                if now < self.gateways[gateway].workers[worker].is_alone_until_ms =>
            {
                self.judge_alone(request, cell)
            }
            Err(_) => Ok(Verdict::AwaitsCredit(account)),
        }
    }

    /// The worker can't ask: the account may have an allowance for that.
    fn judge_alone(&mut self, request: usize, mut cell: Cell) -> Result<Verdict, Broken> {
        let row = &self.requests[request];
        let (gateway, account) = (row.gateway, cell.account);
        let (cost, at_once) = (Amount::new(row.cost), row.at_once);
        let offline = Offline {
            allowance: self.control_plane.settings.offline_allowance,
            now_ms: self.clock(gateway),
            number: self.draw(gateway, cell.lease),
            at_once,
        };
        if cell.admit_offline(cost, offline).is_err() {
            return Ok(Verdict::AwaitsCredit(account));
        }
        self.tally.offline += 1;
        self.admit(request, &cell)?;
        Ok(Verdict::Admitted)
    }

    /// A request goes to the upstream, paid by the account of a cell that now stands so.
    fn admit(&mut self, request: usize, cell: &Cell) -> Result<(), Broken> {
        let row = &self.requests[request];
        let (gateway, worker, cost, at_once) = (row.gateway, row.worker, row.cost, row.at_once);
        let payer = &self.payers[row.payer];
        if payer.limited == Some(cell.account) && !row.is_limited {
            return Err(format!(
                "request {request} of any rule is paid by the limited account"
            ));
        }
        let instance = self.gateways[gateway].id;
        self.auditor
            .admitted(instance, cell, (cost, at_once), self.now_ms)?;
        self.put(gateway, cell)?;
        self.watch(gateway, worker, cell.account, false);
        let row = &mut self.requests[request];
        (row.account, row.lease) = (cell.account, cell.lease);
        (row.admitted_at_ms, row.stage) = (self.now_ms, Stage::Running);
        let takes_ms = row.takes_ms;
        self.gateways[gateway].workers[worker]
            .running
            .insert(request);
        self.tally.admitted += 1;
        note!(
            self,
            "g{gateway}.{worker} request {request} admitted under {} of {}",
            cell.lease,
            cell.account
        );
        self.after(takes_ms, Event::End(request));
        Ok(())
    }

    /// Whether what the cell says can be believed without asking.
    fn is_current(&self, gateway: usize, now: u64, cell: &Cell) -> bool {
        let use_by_ms = self.timing().use_by_ms;
        let polled = self.gateways[gateway].polled_at_ms;
        (polled > 0 && now < polled + use_by_ms)
            || (cell.reported_at_ms > 0 && now < cell.reported_at_ms + use_by_ms / 8)
    }

    /// Puts a request where its verdict says; at the front if it was first before.
    pub(super) fn take(&mut self, request: usize, verdict: Verdict, was_first: bool) {
        let (gateway, worker, payer) = {
            let row = &self.requests[request];
            (row.gateway, row.worker, row.payer)
        };
        let worker = &mut self.gateways[gateway].workers[worker];
        let waiters = match verdict {
            Verdict::Admitted => return,
            Verdict::Refused(why) => return self.refuse(request, why),
            Verdict::AwaitsLookup => {
                let fresh = Lookup {
                    waiters: VecDeque::new(),
                    step: Step::Queued,
                };
                &mut worker.lookups.entry(payer).or_insert(fresh).waiters
            }
            Verdict::AwaitsCredit(account) => {
                &mut worker.queues.entry(account).or_default().waiters
            }
        };
        if was_first {
            waiters.push_front(request);
        } else {
            waiters.push_back(request);
        }
    }

    pub(super) fn refuse(&mut self, request: usize, why: &'static str) {
        self.requests[request].stage = Stage::Refused(why);
        self.tally.refused += 1;
        note!(self, "request {request} refused: {why}");
    }

    /// A request's time to wait is over. What a limited account could not be had for in time
    /// the general one may pay.
    pub(super) fn give_up(&mut self, request: usize) -> Result<(), Broken> {
        if self.requests[request].stage != Stage::Waiting {
            return Ok(());
        }
        let (gateway, worker) = (
            self.requests[request].gateway,
            self.requests[request].worker,
        );
        let worker = &mut self.gateways[gateway].workers[worker];
        for lookup in worker.lookups.values_mut() {
            lookup.waiters.retain(|waiter| *waiter != request);
        }
        let mut waited_for = None;
        for (account, queue) in &mut worker.queues {
            if queue.waiters.contains(&request) {
                waited_for = Some(*account);
            }
            queue.waiters.retain(|waiter| *waiter != request);
        }
        worker.queues.retain(|_, queue| !queue.waiters.is_empty());
        let credential = worker.known.get(&self.requests[request].payer).copied();
        if let Some(credential) = credential
            && waited_for.is_some_and(|account| credential.limited == Some(account))
            && let Verdict::Admitted = self.judge_general(request, credential, None)?
        {
            return Ok(());
        }
        self.refuse(request, "waited too long");
        Ok(())
    }
}
