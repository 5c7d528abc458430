//! One schedule: gateways, network, control plane and auditor in virtual time.
//!
//! Events happen one after another, in the order of their instants. Each is one step of one
//! party, as it would be between two compare-and-sets in a real process.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use creditgate::command::{Command, Failure, Outcome};
use creditgate_core::amount::Amount;
use creditgate_core::id::AccountId;
use creditgate_core::key::CredentialHash;
use creditgate_core::protocol::Timing;
use creditgate_ledger::EntryKind;
use creditgate_ledger::id::{CustomerId, KeyId, LotId, WalletId};
use creditgate_ledger::registry::{QuarantinePolicy, Settings};

use super::auditor::{Auditor, Broken};
use super::control_plane::{ControlPlane, Executed};
use super::gateway::Gateway;
use super::network::Call;
use super::options::{Fault, Options};
use super::random::Random;

/// A customer and what the operator has.
#[derive(Debug, Clone)]
pub(super) struct Payer {
    pub(super) id: CustomerId,
    /// The general account.
    pub(super) account: AccountId,
    /// The account that is limited to a rule, once there is one.
    pub(super) limited: Option<AccountId>,
    pub(super) wallets: Vec<WalletId>,
    pub(super) lots: Vec<LotId>,
    pub(super) key: KeyId,
    pub(super) hash: CredentialHash,
    /// Grows when the key is rotated; requests carry the newest.
    pub(super) generation: u32,
    /// Σ of all top-ups, each once.
    pub(super) funded: u64,
}

impl Payer {
    /// Every account.
    pub(super) fn accounts(&self) -> impl Iterator<Item = AccountId> {
        std::iter::once(self.account).chain(self.limited)
    }
}

/// Where a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    New,
    Waiting,
    Running,
    Refused(&'static str),
    Done,
}

/// A request of a customer to a gateway.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) payer: usize,
    pub(super) generation: u32,
    pub(super) gateway: usize,
    pub(super) gateway_life: u32,
    pub(super) worker: usize,
    pub(super) worker_life: u32,
    pub(super) cost: i64,
    pub(super) actual: i64,
    /// It is of the rule that an account may be limited to.
    pub(super) is_limited: bool,
    /// Who paid.
    pub(super) account: AccountId,
    /// The price is charged whatever comes: one step.
    pub(super) at_once: bool,
    pub(super) takes_ms: u64,
    pub(super) stage: Stage,
    pub(super) lease: creditgate_core::lease::LeaseNumber,
    pub(super) admitted_at_ms: u64,
}

/// What happens next.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    Arrive(usize),
    Deadline(usize),
    End(usize),
    /// A question reaches the control plane, if it still lives its life.
    Asked {
        call: usize,
        life: u32,
    },
    /// An answer reaches the worker.
    Answered {
        call: usize,
        answer: usize,
    },
    TimedOut(usize),
    Tick {
        gateway: usize,
        life: u32,
    },
    Jobs,
    Mischief,
    Boot(usize),
    Resume(usize),
}

/// What came of a schedule.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Events.
    pub steps: u64,
    /// Commits of the control plane.
    pub commits: u64,
    /// Requests admitted.
    pub admitted: u64,
    /// Of these, on the offline allowance.
    pub offline: u64,
    /// Requests refused.
    pub refused: u64,
    /// Questions asked.
    pub calls: u64,
    /// Leases turned at gateways.
    pub turns: u64,
    /// Quarantines.
    pub quarantines: u64,
    /// Faults injected.
    pub faults: u64,
    /// Checks of the auditor.
    pub checks: u64,
}

impl Tally {
    /// Adds another schedule's.
    pub fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.commits += other.commits;
        self.admitted += other.admitted;
        self.offline += other.offline;
        self.refused += other.refused;
        self.calls += other.calls;
        self.turns += other.turns;
        self.quarantines += other.quarantines;
        self.faults += other.faults;
        self.checks += other.checks;
    }
}

/// Everything there is.
pub(super) struct World {
    pub(super) options: Options,
    pub(super) random: Random,
    pub(super) now_ms: u64,
    queue: BinaryHeap<Reverse<(u64, u64, Event)>>,
    sequence: u64,
    pub(super) control_plane: ControlPlane,
    pub(super) gateways: Vec<Gateway>,
    pub(super) payers: Vec<Payer>,
    pub(super) requests: Vec<Request>,
    pub(super) calls: Vec<Call>,
    pub(super) auditor: Auditor,
    pub(super) tally: Tally,
    pub(super) trace: Vec<String>,
    /// Faults and new requests happen before this.
    pub(super) calm_from_ms: u64,
    pub(super) top_ups: u64,
}

/// Notes a line of the trace, if one is kept.
macro_rules! note {
    ($world:expr, $($text:tt)*) => {
        if $world.options.trace {
            let line = format!("{:>7} ", $world.now_ms) + &format!($($text)*);
            $world.trace.push(line);
        }
    };
}
pub(super) use note;

impl World {
    pub(super) fn new(options: Options) -> Result<Self, Broken> {
        let mut random = Random::new(options.seed);
        let mut settings = settings(&mut random);
        if !options.allows(Fault::Offline) {
            settings.offline_allowance = Amount::ZERO;
        }
        let auditor = Auditor::allowing(settings.offline_allowance);
        let control_plane = ControlPlane::new(settings)?;
        let mut world = Self {
            options,
            random,
            now_ms: 1,
            queue: BinaryHeap::new(),
            sequence: 0,
            control_plane,
            gateways: Vec::new(),
            payers: Vec::new(),
            requests: Vec::new(),
            calls: Vec::new(),
            auditor,
            tally: Tally::default(),
            trace: Vec::new(),
            calm_from_ms: 4_000,
            top_ups: 0,
        };
        for _ in 0..world.random.between(1, 3) {
            world.add_payer()?;
        }
        for place in 0..usize::try_from(world.random.between(2, 3)).unwrap_or(2) {
            let workers = usize::try_from(world.random.between(1, 3)).unwrap_or(1);
            world.gateways.push(Gateway::new(workers));
            world.boot(place)?;
        }
        world.plan_requests();
        world.after(1, Event::Jobs);
        world.after(50, Event::Mischief);
        Ok(world)
    }

    pub(super) const fn timing(&self) -> Timing {
        self.control_plane.settings.timing
    }

    pub(super) fn at(&mut self, at_ms: u64, event: Event) {
        self.sequence += 1;
        self.queue.push(Reverse((at_ms, self.sequence, event)));
    }

    pub(super) fn after(&mut self, delay_ms: u64, event: Event) {
        self.at(self.now_ms + delay_ms, event);
    }

    pub(super) const fn is_calm(&self) -> bool {
        self.now_ms >= self.calm_from_ms
    }

    /// Lets everything happen up to an instant.
    pub(super) fn run_until(&mut self, until_ms: u64) -> Result<(), Broken> {
        while self
            .queue
            .peek()
            .is_some_and(|Reverse((at_ms, _, _))| *at_ms <= until_ms)
        {
            let Some(Reverse((at_ms, _, event))) = self.queue.pop() else {
                break;
            };
            self.now_ms = self.now_ms.max(at_ms);
            self.tally.steps += 1;
            self.step(event)?;
        }
        self.now_ms = until_ms;
        Ok(())
    }

    fn step(&mut self, event: Event) -> Result<(), Broken> {
        match event {
            Event::Arrive(request) => self.arrive(request),
            Event::Deadline(request) => self.give_up(request),
            Event::End(request) => self.end(request),
            Event::Asked { call, life } => self.asked(call, life),
            Event::Answered { call, answer } => self.answered(call, answer),
            Event::TimedOut(call) => self.timed_out(call),
            Event::Tick { gateway, life } => self.tick(gateway, life),
            Event::Jobs => self.jobs(),
            Event::Mischief => self.mischief(),
            Event::Boot(gateway) => self.boot(gateway),
            Event::Resume(payer) => self.resume(payer),
        }
    }

    /// Carries out a command at the control plane, under the auditor's eyes.
    pub(super) fn execute(&mut self, actor: &str, command: Command) -> Result<Outcome, Broken> {
        note!(self, "control plane: {command:?}");
        let executed = self.control_plane.execute(self.now_ms, actor, command);
        let executed = executed.map_err(|error| format!("storage: {error}"))?;
        self.committed(executed)
    }

    pub(super) fn committed(&mut self, executed: Executed) -> Result<Outcome, Broken> {
        let Executed { changes, result } = executed;
        self.tally.commits += 1;
        if self.options.trace {
            self.trace_changes(&changes);
        }
        self.auditor.committed(self.now_ms, &changes)?;
        let set_aside = changes
            .entries
            .iter()
            .find(|entry| entry.kind == EntryKind::Quarantine);
        if let Some(entry) = set_aside.filter(|_| self.options.is_gentle()) {
            return Err(format!(
                "nothing was lost, but lease {:?} was quarantined",
                entry.lease
            ));
        }
        self.wake_polls()?;
        match result {
            Ok(outcome) => Ok(outcome),
            Err(Failure::Refused(_)) => Ok(Outcome::Done),
            Err(Failure::Impossible(impossible)) => Err(format!(
                "an honest gateway's report was called impossible: {impossible}"
            )),
        }
    }

    fn trace_changes(&mut self, changes: &creditgate::storage::ChangeSet) {
        for entry in &changes.entries {
            let lines: Vec<String> = entry
                .postings
                .iter()
                .map(|posting| format!("{} {}", posting.account, posting.amount.get()))
                .collect();
            note!(
                self,
                "    entry {:?} {:?} of lease {:?}: {}",
                entry.kind,
                entry.reason,
                entry.lease,
                lines.join(", ")
            );
        }
        for change in &changes.books {
            for lease in &change.after.leases {
                let before = change
                    .before
                    .as_ref()
                    .and_then(|before| before.leases.iter().find(|old| old.id == lease.id));
                if before != Some(lease) {
                    let c = lease.counters;
                    note!(
                        self,
                        "    lease {} of {}: {:?} granted {} returned {} reserved {} released {} settled {} told {:?} recall {}",
                        lease.number,
                        lease.instance,
                        lease.state,
                        c.granted.get(),
                        c.returned.get(),
                        c.reserved.get(),
                        c.released.get(),
                        c.settled.get(),
                        lease.told,
                        lease.recall
                    );
                }
            }
        }
    }

    fn plan_requests(&mut self) {
        let count = self.random.between(60, 160);
        for _ in 0..count {
            let at_ms = self.random.between(5, self.calm_from_ms - 1);
            let payer = self.random.place(self.payers.len());
            let cost = self.random.cost();
            let request = self.add_request(payer, cost);
            self.at(at_ms, Event::Arrive(request));
        }
    }

    /// A request that goes to any gateway when it arrives.
    pub(super) fn add_request(&mut self, payer: usize, cost: i64) -> usize {
        let most = u64::try_from(cost).unwrap_or(0);
        let part = i64::try_from(self.random.between(0, most)).unwrap_or(0);
        let actual = match self.random.below(4) {
            0 => 0,
            1 => part,
            _ => cost,
        };
        let at_once = self.random.per_mille(300);
        let longest = self.timing().max_stream_ms;
        let takes_ms = if self.random.per_mille(80) {
            self.random.between(1, longest - 1)
        } else {
            self.random.between(1, 60)
        };
        let gateway = self.random.place(self.gateways.len());
        let is_limited = self.random.per_mille(400);
        self.requests.push(Request {
            payer,
            generation: 0,
            gateway,
            gateway_life: 0,
            worker: 0,
            worker_life: 0,
            cost,
            actual: if at_once { cost } else { actual },
            is_limited,
            account: AccountId(0),
            at_once,
            takes_ms,
            stage: Stage::New,
            lease: creditgate_core::lease::LeaseNumber::NONE,
            admitted_at_ms: 0,
        });
        self.requests.len() - 1
    }
}

/// Short times, so that a schedule is short; their order is that of the defaults.
fn settings(random: &mut Random) -> Settings {
    let quarantine_policy = match random.below(3) {
        0 => QuarantinePolicy::Consume,
        _ => QuarantinePolicy::Release,
    };
    let allowance = match random.below(2) {
        0 => 0,
        _ => random.between(1, 30),
    };
    Settings {
        timing: Timing {
            use_by_ms: random.between(600, 1_200),
            sync_ms: random.between(20, 60),
            idle_ms: random.between(80, 300),
            wait_ms: 400,
            max_stream_ms: random.between(500, 900),
        },
        silent_after_ms: random.between(1_300, 1_800),
        quarantine_policy,
        quarantine_policy_after_ms: random.between(200, 800),
        refill_seconds: u32::try_from(random.between(0, 3)).unwrap_or(1),
        overrun_max: Amount::ZERO,
        offline_allowance: Amount::new(i64::try_from(allowance).unwrap_or(0)),
        ..Settings::default()
    }
}
