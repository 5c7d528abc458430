//! The control plane of a schedule: the real commands over the real storage in memory.
//!
//! What the writer, the polls and the jobs do around them is done here in a few lines, in
//! virtual time: load, decide, commit, answer. A restart forgets what is not in storage.

use std::collections::BTreeMap;

use creditgate::command::{Command, Failure, Outcome, Work};
use creditgate::storage::memory::MemoryStorage;
use creditgate::storage::{
    ChangeSet, IdempotencyKey, LoadPlan, NamedLease, Reader, Storage, StorageError, StoredAnswer,
    Target,
};
use creditgate_core::amount::{Currency, Scale};
use creditgate_core::id::{AccountId, InstanceId};
use creditgate_core::lease::LeaseNumber;
use creditgate_core::protocol::{Barred, CHANGES_MAX, LeaseAnswer};
use creditgate_ledger::id::{CustomerId, GatewayId, LeaseId};
use creditgate_ledger::registry::Settings;
use creditgate_ledger::{Book, Ids, QuarantineCause, Timestamp, lend};

/// The wall clock when a schedule starts, in milliseconds since 1970.
const WALL_CLOCK_MS: i64 = 1_700_000_000_000;

/// The wall clock at an instant of the schedule.
#[must_use]
pub(super) fn wall_clock(now_ms: u64) -> Timestamp {
    Timestamp(WALL_CLOCK_MS).plus_ms(now_ms)
}

/// Ids one after another.
#[derive(Debug, Default)]
struct CountingIds(u128);

impl Ids for CountingIds {
    fn next(&mut self) -> u128 {
        self.0 += 1;
        self.0
    }
}

/// What one command came to, and what was written for it.
#[derive(Debug)]
pub(super) struct Executed {
    /// What is now in storage and was not before.
    pub(super) changes: ChangeSet,
    /// The outcome.
    pub(super) result: Result<Outcome, Failure>,
}

/// What a poll is told.
#[derive(Debug, Clone, Default)]
pub(super) struct News {
    /// The new cursor.
    pub(super) cursor: u64,
    /// Leases that changed.
    pub(super) changes: Vec<LeaseAnswer>,
    /// Accounts that should be reported.
    pub(super) overdue: Vec<AccountId>,
    /// Why the instance gets nothing.
    pub(super) barred: Option<Barred>,
}

/// The control plane.
pub(super) struct ControlPlane {
    storage: MemoryStorage,
    ids: CountingIds,
    /// When each process last spoke; forgotten in a restart.
    heard_ms: BTreeMap<InstanceId, u64>,
    /// Up to when time was passed.
    passed_ms: u64,
    /// The gateway that all instances are of.
    pub(super) gateway: GatewayId,
    /// The settings in force.
    pub(super) settings: Settings,
    /// Grows with each restart: what was on its way to an earlier life is lost.
    pub(super) life: u32,
    /// It does not answer before this.
    pub(super) down_until_ms: u64,
}

impl ControlPlane {
    /// One with a gateway, a rate card and these settings.
    ///
    /// # Errors
    /// If that much can't be set up.
    pub(super) fn new(settings: Settings) -> Result<Self, String> {
        let mut new = Self {
            storage: MemoryStorage::new(1),
            ids: CountingIds::default(),
            heard_ms: BTreeMap::new(),
            passed_ms: 0,
            gateway: GatewayId(0),
            settings: settings.clone(),
            life: 0,
            down_until_ms: 0,
        };
        let document = r#"{"name": "simulated", "currency": "credits", "default": "deny"}"#;
        let document = serde_json::from_str(document).map_err(|error| error.to_string())?;
        let card = Command::PutRateCard {
            name: "simulated".to_owned(),
            document: Box::new(document),
            effective_at: None,
        };
        let gateway = Command::CreateGateway {
            external_id: "simulated".to_owned(),
            name: None,
            rate_card: "simulated".to_owned(),
        };
        let code = Currency::new("credits").map_err(|error| error.to_string())?;
        let scale = Scale::new(0).map_err(|error| error.to_string())?;
        for command in [
            Command::PutSettings(settings),
            Command::DefineCurrency { code, scale },
            card,
            gateway,
        ] {
            let outcome = new
                .execute(0, "set-up", command)
                .map_err(|error| error.to_string())?
                .result;
            if let Outcome::Gateway(gateway) = outcome.map_err(|failure| format!("{failure:?}"))? {
                new.gateway = gateway.id;
            }
        }
        Ok(new)
    }

    /// Carries out one command, alone in its transaction.
    ///
    /// # Errors
    /// Storage's.
    pub(super) fn execute(
        &mut self,
        now_ms: u64,
        actor: &str,
        command: Command,
    ) -> Result<Executed, StorageError> {
        let plan = LoadPlan {
            targets: command.targets(),
            reported: reported(&command),
            ..LoadPlan::default()
        };
        let loaded = self.storage.load(&plan)?;
        let mut work = Work::new(loaded, wall_clock(now_ms), &mut self.ids);
        let result = work.decide(actor, command);
        let changes = work.into_changes();
        self.storage.commit(&changes)?;
        Ok(Executed { changes, result })
    }

    /// Carries out a command that has an idempotency key: once, however often it is sent.
    /// `None` if it was carried out before.
    ///
    /// # Errors
    /// Storage's.
    pub(super) fn execute_once(
        &mut self,
        now_ms: u64,
        key: &str,
        command: Command,
    ) -> Result<Option<Executed>, StorageError> {
        let key = IdempotencyKey {
            principal: "operator".to_owned(),
            key: key.to_owned(),
        };
        let plan = LoadPlan {
            targets: command.targets(),
            idempotency: vec![key.clone()],
            ..LoadPlan::default()
        };
        let loaded = self.storage.load(&plan)?;
        if loaded.answers.contains_key(&key) {
            self.storage.abandon();
            return Ok(None);
        }
        let created_at = wall_clock(now_ms);
        let mut work = Work::new(loaded, created_at, &mut self.ids);
        let result = work.decide("operator", command);
        let answer = StoredAnswer {
            fingerprint: String::new(),
            status: 200,
            body: Vec::new(),
            created_at,
        };
        let changes = ChangeSet {
            answers: vec![(key, answer)],
            ..work.into_changes()
        };
        self.storage.commit(&changes)?;
        Ok(Some(Executed { changes, result }))
    }

    /// An instance spoke.
    pub(super) fn hear(&mut self, now_ms: u64, instance: InstanceId) {
        self.heard_ms.insert(instance, now_ms);
    }

    /// Forgets everything that is not in storage.
    pub(super) fn restart(&mut self, now_ms: u64, down_ms: u64) {
        self.life += 1;
        self.down_until_ms = now_ms + down_ms;
        self.heard_ms.clear();
    }

    /// What an instance has not heard yet.
    ///
    /// # Errors
    /// Storage's.
    pub(super) fn news(
        &self,
        now_ms: u64,
        instance: InstanceId,
        cursor: u64,
    ) -> Result<News, StorageError> {
        let now = wall_clock(now_ms);
        let limit = u32::try_from(CHANGES_MAX).unwrap_or(u32::MAX);
        let mut news = News {
            cursor,
            ..News::default()
        };
        for (number, customer, account, lease) in self.storage.changes(instance, cursor, limit)? {
            news.cursor = news.cursor.max(number);
            let book = self.storage.book(&Target::Customer(customer))?;
            news.changes
                .extend(book.and_then(|book| self.word_on(&book, now, (instance, account, lease))));
        }
        let timing = &self.settings.timing;
        let patience_ms = timing.poll_hold_ms() + 4 * timing.sync_ms;
        let before = Timestamp(now.0 - i64::try_from(patience_ms).unwrap_or(0));
        news.overdue = self.storage.overdue(instance, before, 100)?;
        let known = self.storage.registry()?;
        news.barred = known
            .instance(instance)
            .and_then(|known| known.state.barred());
        Ok(news)
    }

    fn word_on(
        &self,
        book: &Book,
        now: Timestamp,
        (instance, account, number): (InstanceId, AccountId, LeaseNumber),
    ) -> Option<LeaseAnswer> {
        // A lease that is history is closed, and its gateway hears so when it reports it.
        let lease = book.lease_place(account, instance, number)?;
        let use_by_ms = self.settings.timing.use_by_ms;
        Some(lend::answer(
            book,
            &book.leases[lease],
            None,
            now,
            use_by_ms,
        ))
    }

    /// What is to be done because time went by: lots and keys, silence, the policy.
    ///
    /// # Errors
    /// Storage's.
    pub(super) fn due(&mut self, now_ms: u64) -> Result<Vec<Command>, StorageError> {
        let mut commands = Vec::new();
        let now = wall_clock(now_ms);
        let mut after = (wall_clock(self.passed_ms), CustomerId(u128::MAX));
        loop {
            let instants = self.storage.next_instants(after, 100)?;
            let due = instants.into_iter().filter(|(instant, _)| *instant <= now);
            let due: Vec<_> = due.collect();
            let Some(last) = due.last() else { break };
            after = *last;
            commands.extend(due.into_iter().map(|(_, customer)| Command::PassTime {
                customer: Target::Customer(customer),
            }));
        }
        self.passed_ms = now_ms;
        for instance in self.storage.outstanding_instances()? {
            let heard_ms = *self.heard_ms.entry(instance).or_insert(now_ms);
            if now_ms < heard_ms + self.settings.silent_after_ms {
                continue;
            }
            for customer in self.customers_of(instance)? {
                let cause = QuarantineCause::InstanceSilent;
                commands.push(Command::Quarantine {
                    customer: Target::Customer(customer),
                    instance,
                    cause,
                });
            }
        }
        if let Some(kind) = self.settings.quarantine_policy.resolution() {
            let since = Timestamp(
                now.0 - i64::try_from(self.settings.quarantine_policy_after_ms).unwrap_or(0),
            );
            for (_, lease) in self.storage.leases_quarantined_before(since, 100)? {
                commands.push(Command::ResolveLease {
                    lease,
                    kind,
                    reason: "policy".to_owned(),
                });
            }
        }
        Ok(commands)
    }

    fn customers_of(&self, instance: InstanceId) -> Result<Vec<CustomerId>, StorageError> {
        use creditgate::storage::{LeaseFilter, PageRequest};
        let filter = LeaseFilter {
            instance: Some(instance),
            ..LeaseFilter::default()
        };
        let leases = self
            .storage
            .leases(filter, PageRequest::first(1_000))?
            .items;
        let lending = leases.iter().filter(|(_, lease)| {
            matches!(
                lease.state,
                creditgate_ledger::LeaseState::Open | creditgate_ledger::LeaseState::Draining
            )
        });
        let mut customers: Vec<CustomerId> = lending.map(|(customer, _)| *customer).collect();
        customers.dedup();
        Ok(customers)
    }

    /// Leases that are quarantined now.
    ///
    /// # Errors
    /// Storage's.
    pub(super) fn quarantined(&self, now_ms: u64) -> Result<Vec<LeaseId>, StorageError> {
        let leases = self
            .storage
            .leases_quarantined_before(wall_clock(now_ms).plus_ms(1), 100)?;
        Ok(leases.into_iter().map(|(_, lease)| lease).collect())
    }

    /// A customer's live rows.
    ///
    /// # Errors
    /// Storage's, or none such.
    pub(super) fn book(&self, customer: CustomerId) -> Result<Book, StorageError> {
        let book = self.storage.book(&Target::Customer(customer))?;
        book.ok_or_else(|| StorageError::Corrupt("a customer is gone".to_owned()))
    }
}

/// The leases that a report names, which may be history.
fn reported(command: &Command) -> Vec<NamedLease> {
    let Command::Report { instance, report } = command else {
        return Vec::new();
    };
    let named = |number| NamedLease {
        account: report.account,
        instance: *instance,
        number,
    };
    let previous = report
        .previous
        .as_ref()
        .map(|previous| named(previous.lease));
    [Some(named(report.lease)), previous]
        .into_iter()
        .flatten()
        .collect()
}
