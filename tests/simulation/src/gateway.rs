//! A gateway process: workers over shared cells, deciding as the filter does.
//!
//! The cell's arithmetic is core's own. What is modelled here is what the filter's shell does
//! around it: who is asked when, who waits, what is dropped. Times are of the process's own
//! monotonic clock, which starts with it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use creditgate_core::amount::Amount;
use creditgate_core::cell::{CELL_BYTES, Cell, Settlement};
use creditgate_core::id::{AccountId, InstanceId};
use creditgate_core::key::{CredentialHash, credential_hash};
use creditgate_core::lease::LeaseNumber;
use creditgate_core::protocol::{Barred, Report};

use super::auditor::Broken;
use super::judging::Verdict;
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
    /// The control plane is taken not to answer until then.
    pub(super) is_alone_until_ms: u64,
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
