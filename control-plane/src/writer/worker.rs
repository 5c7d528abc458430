//! The writer's thread: batch after batch, each one transaction.
//!
//! A batch is only a commit group, so one command must not spoil it for the others. When a
//! batch fails for what may be one command's sake (a row that can't be read, a name that
//! was taken meanwhile, a defect in deciding it), its commands are tried again one by one;
//! then only the culprit fails.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};

use creditgate_core::id::InstanceId;
use creditgate_ledger::{Book, Ids, Registry, Timestamp};
use tokio::time::Instant;

use super::lanes::Lanes;
use super::{Idempotency, Job, WriteError, Written};
use crate::clock::Clock;
use crate::command::{Failure, Outcome, Work};
use crate::notify::Changes;
use crate::storage::{
    ChangeSet, IdempotencyKey, LoadPlan, Loaded, Storage, StorageError, StoredAnswer,
};

pub(super) struct Worker<'i, S> {
    pub(super) storage: S,
    pub(super) ids: &'i mut dyn Ids,
    pub(super) registry: Arc<RwLock<Arc<Registry>>>,
    pub(super) changes: Changes,
}

/// What each command of a batch came to, in its order.
type Results = Vec<Result<Written, WriteError>>;

impl<S: Storage> Worker<'_, S> {
    pub(super) fn run(&mut self, mut lanes: Lanes, clock: &dyn Clock) {
        while let Some(batch) = lanes.next() {
            let began = Instant::now();
            self.write(batch, clock.now());
            lanes.took(began.elapsed());
        }
    }

    fn write(&mut self, batch: Vec<Job>, now: Timestamp) {
        match self.attempt(&batch, now) {
            Ok(results) => answer(batch, results),
            Err(error) if batch.len() > 1 && may_be_ones_fault(&error) => {
                tracing::warn!(%error, commands = batch.len(), "a batch failed; its commands are tried one by one");
                for job in batch {
                    self.write(vec![job], now);
                }
            }
            Err(error) => {
                tracing::error!(%error, commands = batch.len(), "a batch was not written");
                let results = batch.iter().map(|_| Err(error.clone())).collect();
                answer(batch, results);
            }
        }
    }

    /// Writes all or nothing.
    fn attempt(&mut self, batch: &[Job], now: Timestamp) -> Result<Results, WriteError> {
        metrics::counter!("creditgate_batches_total").increment(1);
        let written = catch_unwind(AssertUnwindSafe(|| self.transact(batch, now)));
        let written = written.unwrap_or(Err(WriteError::Defect));
        if written.is_err() {
            metrics::counter!("creditgate_batches_failed_total").increment(1);
            self.storage.abandon();
        }
        written
    }

    fn transact(&mut self, batch: &[Job], now: Timestamp) -> Result<Results, WriteError> {
        let loaded = self.storage.load(&plan(batch))?;
        let (changes, results) = self.decide(loaded, batch, now);
        if changes.is_empty() {
            self.storage.abandon();
        } else {
            self.storage.commit(&changes)?;
        }
        self.publish(&changes);
        Ok(results)
    }

    fn decide(
        &mut self,
        mut loaded: Loaded,
        batch: &[Job],
        now: Timestamp,
    ) -> (ChangeSet, Results) {
        let mut answers: HashMap<IdempotencyKey, StoredAnswer> =
            std::mem::take(&mut loaded.answers);
        let mut new_answers = Vec::new();
        let mut results = Vec::with_capacity(batch.len());
        let mut work = Work::new(loaded, now, self.ids);
        for job in batch {
            if let Some(result) = replay(&answers, job.idempotency.as_ref()) {
                results.push(result);
                continue;
            }
            let decided = work.decide(&job.actor, job.command.clone());
            count(job.command.kind(), &decided);
            // What jobs and gateways do is in the journal, which names them.
            if let (Ok(outcome), Some(_)) = (&decided, &job.render) {
                work.audit(&job.actor, &job.command, outcome);
            }
            results.push(decided.map_err(WriteError::Failed).map(|outcome| {
                let Some(render) = &job.render else {
                    return Written::Outcome(outcome);
                };
                let (status, body) = render(&outcome);
                if let Some(Idempotency { key, fingerprint }) = &job.idempotency {
                    let stored = StoredAnswer {
                        fingerprint: fingerprint.clone(),
                        status,
                        body: body.clone(),
                        created_at: now,
                    };
                    answers.insert(key.clone(), stored.clone());
                    new_answers.push((key.clone(), stored));
                }
                Written::Answer {
                    status,
                    body,
                    replayed: false,
                }
            }));
        }
        let changes = ChangeSet {
            answers: new_answers,
            ..work.into_changes()
        };
        (changes, results)
    }

    fn publish(&self, changes: &ChangeSet) {
        if let Some((before, after)) = &changes.registry {
            let concerned = concerns_gateways(before, after);
            let after = Arc::new(after.clone());
            *self
                .registry
                .write()
                .unwrap_or_else(PoisonError::into_inner) = after;
            if concerned {
                self.changes.wake_all();
            }
        }
        for batch in &changes.usage {
            let left_out = u64::try_from(batch.left_out).unwrap_or(u64::MAX);
            metrics::counter!("creditgate_usage_rows_left_out_total").increment(left_out);
        }
        if !changes.deliveries.is_empty() {
            self.changes.outbox().notify_one();
        }
        for change in &changes.books {
            for instance in pushed(change.before.as_ref(), &change.after) {
                self.changes.wake(instance);
            }
        }
    }
}

/// Whether the batch may go through without one of its commands.
fn may_be_ones_fault(error: &WriteError) -> bool {
    match error {
        WriteError::Defect => true,
        WriteError::Storage(error) => match **error {
            StorageError::Conflict(_) | StorageError::Corrupt(_) => true,
            StorageError::Unavailable(_) => false,
        },
        _ => false,
    }
}

fn answer(batch: Vec<Job>, results: Results) {
    for (job, result) in batch.into_iter().zip(results) {
        // A caller that went away is not an error: the command was carried out.
        let _gone = job.reply.send(result);
    }
}

fn count(kind: &'static str, result: &Result<Outcome, Failure>) {
    let result = match result {
        Ok(_) => "done",
        Err(Failure::Refused(_)) => "refused",
        Err(Failure::Impossible(_)) => "impossible",
    };
    metrics::counter!("creditgate_commands_total", "kind" => kind, "result" => result).increment(1);
}

fn plan(batch: &[Job]) -> LoadPlan {
    let mut plan = LoadPlan::default();
    for job in batch {
        plan.targets.extend(job.command.targets());
        plan.reported.extend(job.command.reported());
        plan.usage.extend(job.command.usage());
        let key = job
            .idempotency
            .as_ref()
            .map(|idempotency| idempotency.key.clone());
        plan.idempotency.extend(key);
    }
    plan
}

fn replay(
    answers: &HashMap<IdempotencyKey, StoredAnswer>,
    idempotency: Option<&Idempotency>,
) -> Option<Result<Written, WriteError>> {
    let Idempotency { key, fingerprint } = idempotency?;
    let stored = answers.get(key)?;
    Some(if stored.fingerprint == *fingerprint {
        Ok(Written::Answer {
            status: stored.status,
            body: stored.body.clone(),
            replayed: true,
        })
    } else {
        Err(WriteError::KeyReused)
    })
}

/// Whether polls must hear of a change of the registry. Settings and rate cards come with a new
/// version of the configuration; a webhook endpoint that fails now and then concerns no one.
fn concerns_gateways(before: &Registry, after: &Registry) -> bool {
    (before.epoch, before.config_version) != (after.epoch, after.config_version)
        || before.gateways != after.gateways
        || before.instances != after.instances
}

/// The instances that must hear of a changed book.
fn pushed(before: Option<&Book>, after: &Book) -> Vec<InstanceId> {
    after
        .leases
        .iter()
        .filter(|lease| {
            let old = before.and_then(|before| before.leases.iter().find(|old| old.id == lease.id));
            old.map_or(0, |old| old.pushes) != lease.pushes
        })
        .map(|lease| lease.instance)
        .collect()
}
