//! A gateway process: workers over shared cells, deciding as the filter does.
//!
//! The cell's arithmetic is core's own. What is modelled here is what the filter's shell does
//! around it: who is asked when, who waits, what is dropped. Times are of the process's own
//! monotonic clock, which starts with it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use creditgate_core::amount::Amount;
use creditgate_core::cell::{CELL_BYTES, Cell, NotAdmitted, Settlement};
use creditgate_core::id::{AccountId, InstanceId};
use creditgate_core::key::{CredentialHash, credential_hash};
use creditgate_core::lease::LeaseNumber;
use creditgate_core::protocol::{Barred, Report};

use super::auditor::Broken;
use super::world::{Event, Stage, World, note};

/// How often a process looks at what is due.
const TICK_MS: u64 = 10;
/// Between the start of a process and zero of its clock.
const CLOCK_START_MS: u64 = 1_000;

/// The hash of a customer's key of a generation.
pub(super) fn hash(payer: usize, generation: u32) -> CredentialHash {
    credential_hash(&format!("payer {payer}, key {generation}"))
}

/// One process.
#[derive(Debug, Clone)]
pub(super) struct Gateway {
    pub(super) id: InstanceId,
    pub(super) is_up: bool,
    /// Grows with each process.
    pub(super) life: u32,
    pub(super) booted_at_ms: u64,
    /// The cells, as bytes: every look reads them anew.
    cells: BTreeMap<AccountId, [u8; CELL_BYTES]>,
    pub(super) workers: Vec<Worker>,
    /// The poll under way.
    pub(super) poll: Option<usize>,
    pub(super) cursor: u64,
    pub(super) polled_at_ms: u64,
    pub(super) barred: Option<Barred>,
    pub(super) cut_off_until_ms: u64,
    /// It is being drained, to be replaced.
    pub(super) drains_since_ms: Option<u64>,
}

/// One worker.
#[derive(Debug, Clone, Default)]
pub(super) struct Worker {
    /// Grows with each trap.
    pub(super) life: u32,
    pub(super) known: BTreeMap<usize, Credential>,
    pub(super) lookups: BTreeMap<usize, Lookup>,
    pub(super) proposals: BTreeMap<usize, LeaseNumber>,
    pub(super) queues: BTreeMap<AccountId, Queue>,
    pub(super) watched: BTreeMap<AccountId, Watch>,
    pub(super) orphans: Vec<Report>,
    pub(super) running: BTreeSet<usize>,
    pub(super) rests_until_ms: u64,
}

/// Whose a credential is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Credential {
    pub(super) account: AccountId,
    pub(super) limited: Option<AccountId>,
    pub(super) generation: u32,
    pub(super) version: u32,
}

/// A lookup, and who waits for it.
#[derive(Debug, Clone)]
pub(super) struct Lookup {
    pub(super) waiters: VecDeque<usize>,
    pub(super) step: Step,
}

/// How far a lookup is.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Queued,
    Asked,
    /// Another worker has the lease; its cell should come before this.
    AwaitsCell {
        account: AccountId,
        limited: Option<AccountId>,
        after: LeaseNumber,
        lost_at_ms: u64,
        version: u32,
    },
}

/// Requests that wait for credit of an account.
#[derive(Debug, Clone, Default)]
pub(super) struct Queue {
    pub(super) waiters: VecDeque<usize>,
    pub(super) is_asked: bool,
    pub(super) ask_after_ms: u64,
    pub(super) asked_for: i64,
}

/// What a worker remembers of a cell it looks after.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch {
    pub(super) due_ms: u64,
    pub(super) is_urgent: bool,
    pub(super) seen: (LeaseNumber, Amount),
    pub(super) used_at_ms: u64,
}

enum Verdict {
    Admitted,
    /// By the general account; of a limited one it means that the general one is asked.
    Refused(&'static str),
    AwaitsLookup,
    AwaitsCredit(AccountId),
}

impl Gateway {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            id: InstanceId(0),
            is_up: false,
            life: 0,
            booted_at_ms: 0,
            cells: BTreeMap::new(),
            workers: vec![Worker::default(); workers],
            poll: None,
            cursor: 0,
            polled_at_ms: 0,
            barred: None,
            cut_off_until_ms: 0,
            drains_since_ms: None,
        }
    }

    /// A cell that can be read.
    pub(super) fn cell(&self, account: AccountId) -> Option<Cell> {
        Cell::from_bytes(self.cells.get(&account)?).ok()
    }

    pub(super) fn accounts(&self) -> Vec<AccountId> {
        self.cells.keys().copied().collect()
    }
}

impl World {
    /// The process's monotonic clock.
    pub(super) fn clock(&self, gateway: usize) -> u64 {
        self.clock_at(gateway, self.now_ms)
    }

    pub(super) fn clock_at(&self, gateway: usize, at_ms: u64) -> u64 {
        (at_ms + CLOCK_START_MS).saturating_sub(self.gateways[gateway].booted_at_ms)
    }

    /// Starts a process.
    pub(super) fn boot(&mut self, gateway: usize) -> Result<(), Broken> {
        if self.gateways[gateway].is_up {
            return Ok(());
        }
        let workers = self.gateways[gateway].workers.len();
        let life = self.gateways[gateway].life + 1;
        let cut_off_until_ms = self.gateways[gateway].cut_off_until_ms;
        let id = InstanceId((u128::from(self.random.bits()) << 64) | u128::from(life));
        self.gateways[gateway] = Gateway {
            id,
            is_up: true,
            life,
            booted_at_ms: self.now_ms,
            cut_off_until_ms,
            ..Gateway::new(workers)
        };
        note!(self, "g{gateway} boots as {id}");
        let owner = self.control_plane.gateway;
        self.execute(
            "gateway",
            creditgate::command::Command::SeeInstance {
                gateway: owner,
                instance: id,
            },
        )?;
        self.after(1, Event::Tick { gateway, life });
        Ok(())
    }

    /// Writes a cell.
    pub(super) fn put(&mut self, gateway: usize, cell: &Cell) -> Result<(), Broken> {
        let bytes = cell.to_bytes();
        if Cell::from_bytes(&bytes).as_ref() != Ok(cell) {
            return Err(format!(
                "a cell does not read back as it was written: {cell:?}"
            ));
        }
        self.gateways[gateway].cells.insert(cell.account, bytes);
        let c = cell.counters;
        note!(
            self,
            "g{gateway} cell of {}: lease {} granted {} returned {} reserved {} released {} settled {} remaining {} use-by {} spent out {} previous {:?} ceiling {:?} block {:?} version {}",
            cell.account,
            cell.lease,
            c.granted.get(),
            c.returned.get(),
            c.reserved.get(),
            c.released.get(),
            c.settled.get(),
            c.remaining().get(),
            cell.use_by_ms,
            cell.spent_out,
            cell.previous
                .map(|p| (p.lease.0, p.dead, p.counters.outstanding().get())),
            cell.ceiling.map(Amount::get),
            cell.block,
            cell.version
        );
        self.auditor.wrote(self.gateways[gateway].id, cell)
    }

    /// Removes a cell.
    pub(super) fn erase(&mut self, gateway: usize, account: AccountId) {
        if let Some(cell) = self.gateways[gateway].cell(account) {
            self.auditor.erased(self.gateways[gateway].id, &cell);
        }
        self.gateways[gateway].cells.remove(&account);
    }

    pub(super) fn draw(&mut self, gateway: usize, after: LeaseNumber) -> LeaseNumber {
        let random = u32::try_from(self.random.bits() >> 32).unwrap_or_default();
        LeaseNumber::draw(self.clock(gateway), random, after)
    }

    /// A request comes in.
    pub(super) fn arrive(&mut self, request: usize) -> Result<(), Broken> {
        let gateway = self.requests[request].gateway;
        let place = &self.gateways[gateway];
        if !place.is_up {
            self.refuse(request, "gateway down");
            return Ok(());
        }
        let (life, workers) = (place.life, place.workers.len());
        let worker = self.random.place(workers);
        let worker_life = self.gateways[gateway].workers[worker].life;
        let generation = self.payers[self.requests[request].payer].generation;
        let row = &mut self.requests[request];
        (
            row.gateway_life,
            row.worker,
            row.worker_life,
            row.generation,
        ) = (life, worker, worker_life, generation);
        row.stage = Stage::Waiting;
        note!(
            self,
            "g{gateway}.{worker} request {request} of payer {} for {}",
            self.requests[request].payer,
            self.requests[request].cost
        );
        let verdict = self.judge(request, None)?;
        let waits = matches!(verdict, Verdict::AwaitsLookup | Verdict::AwaitsCredit(_));
        self.take(request, verdict, false);
        if waits && self.requests[request].stage == Stage::Waiting {
            let wait_ms = self.timing().wait_ms;
            self.after(wait_ms, Event::Deadline(request));
        }
        self.run(gateway, worker)
    }

    /// `heads`: the account in whose line nobody waits before it.
    fn judge(&mut self, request: usize, heads: Option<AccountId>) -> Result<Verdict, Broken> {
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
            Err(_) => Ok(Verdict::AwaitsCredit(account)),
        }
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
    fn take(&mut self, request: usize, verdict: Verdict, was_first: bool) {
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

    /// Asks those who wait for an account again, in order.
    pub(super) fn serve(
        &mut self,
        gateway: usize,
        worker: usize,
        account: AccountId,
    ) -> Result<(), Broken> {
        loop {
            let queues = &mut self.gateways[gateway].workers[worker].queues;
            let queue = queues.get_mut(&account);
            let Some(request) = queue.and_then(|queue| queue.waiters.pop_front()) else {
                // A queue that nobody waits in is forgotten, and what was asked for it too.
                queues.remove(&account);
                return Ok(());
            };
            let verdict = self.judge(request, Some(account))?;
            let stays = matches!(verdict, Verdict::AwaitsCredit(same) if same == account);
            self.take(request, verdict, stays);
            if stays {
                return Ok(());
            }
        }
    }

    /// Asks those who waited for a lookup again.
    pub(super) fn serve_lookup(
        &mut self,
        gateway: usize,
        worker: usize,
        payer: usize,
    ) -> Result<(), Broken> {
        let lookup = self.gateways[gateway].workers[worker]
            .lookups
            .remove(&payer);
        for request in lookup.into_iter().flat_map(|lookup| lookup.waiters) {
            let verdict = self.judge(request, None)?;
            self.take(request, verdict, false);
        }
        Ok(())
    }

    /// A request ended; its cost is booked where it was reserved, if that still is.
    pub(super) fn end(&mut self, request: usize) -> Result<(), Broken> {
        let row = self.requests[request].clone();
        let place = &self.gateways[row.gateway];
        let is_same = place.is_up
            && place.life == row.gateway_life
            && place.workers[row.worker].life == row.worker_life;
        if row.stage != Stage::Running || !is_same {
            return Ok(());
        }
        self.requests[request].stage = Stage::Done;
        self.gateways[row.gateway].workers[row.worker]
            .running
            .remove(&request);
        let account = row.account;
        if row.at_once {
            return Ok(());
        }
        let key = (self.gateways[row.gateway].id, account, row.lease);
        self.auditor
            .ended(key, row.admitted_at_ms, row.cost, row.actual);
        let Some(mut cell) = self.gateways[row.gateway].cell(account) else {
            return Ok(());
        };
        let settled = cell.settle(row.lease, Amount::new(row.cost), Amount::new(row.actual));
        note!(
            self,
            "g{}.{} request {request} ended at {} of {}: {settled:?}",
            row.gateway,
            row.worker,
            row.actual,
            row.cost
        );
        if settled == Settlement::Booked {
            self.put(row.gateway, &cell)?;
            self.watch(row.gateway, row.worker, account, false);
            self.serve(row.gateway, row.worker, account)?;
        }
        self.run(row.gateway, row.worker)
    }

    /// A worker looks after a cell from now on.
    pub(super) fn watch(
        &mut self,
        gateway: usize,
        worker: usize,
        account: AccountId,
        is_urgent: bool,
    ) {
        let now = self.clock(gateway);
        let fresh = Watch {
            due_ms: now,
            is_urgent,
            seen: (LeaseNumber::NONE, Amount::ZERO),
            used_at_ms: now,
        };
        let watch = self.gateways[gateway].workers[worker]
            .watched
            .entry(account)
            .or_insert(fresh);
        if is_urgent {
            watch.is_urgent = true;
            watch.due_ms = watch.due_ms.min(now);
        }
    }

    /// Time passes at a process.
    pub(super) fn tick(&mut self, gateway: usize, life: u32) -> Result<(), Broken> {
        if !self.gateways[gateway].is_up || self.gateways[gateway].life != life {
            return Ok(());
        }
        self.poll(gateway);
        for worker in 0..self.gateways[gateway].workers.len() {
            let accounts: Vec<AccountId> = self.gateways[gateway].workers[worker]
                .queues
                .keys()
                .copied()
                .collect();
            for account in accounts {
                self.serve(gateway, worker, account)?;
            }
            self.run(gateway, worker)?;
        }
        self.after(TICK_MS, Event::Tick { gateway, life });
        Ok(())
    }

    /// Worker 0 keeps the poll; the record of how far it is lies in shared data.
    pub(super) fn poll(&mut self, gateway: usize) {
        let place = &self.gateways[gateway];
        let under_way = place.poll.is_some_and(|call| {
            !self.calls[call].is_over && self.calls[call].worker_life == place.workers[0].life
        });
        if under_way || self.clock(gateway) < place.workers[0].rests_until_ms {
            return;
        }
        let cursor = place.cursor;
        let call = self.send(gateway, 0, super::network::Question::Poll { cursor });
        self.gateways[gateway].poll = Some(call);
    }
}
