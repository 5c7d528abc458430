//! The one write path: a bounded queue, and a thread that drains it in batches.
//!
//! A batch is loaded, decided and committed in one transaction, and only then answered:
//! what was answered is durable. Nothing is gained by waiting, so an idle queue gives
//! batches of one; under load a batch is what came while the last was written. A command
//! that the ledger refuses fails alone. Answers to commands with an idempotency key are
//! rendered before the commit and written with it, so a repeat gets the same bytes.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use creditgate_core::id::InstanceId;
use creditgate_ledger::{Book, Ids, Registry, Timestamp};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::command::{Command, Failure, Outcome, Work};
use crate::notify::Changes;
use crate::storage::{
    ChangeSet, IdempotencyKey, LoadPlan, Loaded, Storage, StorageError, StoredAnswer,
};

/// Commands that may wait; one more is told to come back.
pub const QUEUE_MAX: usize = 4_096;

/// Most commands in one transaction.
pub const BATCH_MAX: usize = 512;

/// Turns an outcome into the status and body a client gets.
pub type Render = Box<dyn FnOnce(&Outcome) -> (u16, Vec<u8>) + Send>;

/// A client's idempotency key with what it was sent with.
#[derive(Debug, Clone)]
pub struct Idempotency {
    /// Who and which.
    pub key: IdempotencyKey,
    /// SHA-256 of method, path and body, hexadecimal.
    pub fingerprint: String,
}

/// Why a command was not carried out.
#[derive(Debug, Error)]
pub enum WriteError {
    /// Refused, or impossible.
    #[error("{0:?}")]
    Failed(Failure),
    /// The idempotency key was used with another request.
    #[error("the idempotency key was used before with another request")]
    KeyReused,
    /// The queue is full.
    #[error("too many writes are waiting")]
    Busy,
    /// Storage did not do it.
    #[error(transparent)]
    Storage(Arc<StorageError>),
    /// The service is stopping.
    #[error("the service is stopping")]
    Stopping,
}

/// What a command came to.
#[derive(Debug, Clone)]
pub enum Written {
    /// An outcome, for callers inside the service.
    Outcome(Outcome),
    /// A rendered answer, first given now or before.
    Answer {
        /// HTTP status.
        status: u16,
        /// Body.
        body: Vec<u8>,
        /// It was given before.
        replayed: bool,
    },
}

struct Job {
    actor: String,
    command: Command,
    idempotency: Option<Idempotency>,
    render: Option<Render>,
    reply: oneshot::Sender<Result<Written, WriteError>>,
}

/// Hands commands to the writer.
#[derive(Clone)]
pub struct Writer {
    queue: mpsc::Sender<Job>,
    registry: Arc<RwLock<Arc<Registry>>>,
    changes: Changes,
}

impl Writer {
    /// Starts the writer's thread over a storage. It ends when the last handle is dropped.
    ///
    /// # Errors
    /// If the registry can't be read or the thread can't be started.
    pub fn start(
        mut storage: impl Storage,
        clock: impl Clock + Clone,
        mut ids: impl Ids + Send + 'static,
    ) -> Result<Self, StorageError> {
        let loaded = storage.load(&LoadPlan::default())?;
        storage.abandon();
        let registry = Arc::new(RwLock::new(loaded.registry));
        let changes = Changes::default();
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        let writer = Self {
            queue,
            registry: Arc::clone(&registry),
            changes: changes.clone(),
        };
        std::thread::Builder::new()
            .name("ledger-writer".to_owned())
            .spawn(move || {
                let mut worker = Worker {
                    storage,
                    ids: &mut ids,
                    registry,
                    changes,
                };
                worker.run(jobs, &clock);
            })
            .map_err(|error| StorageError::Unavailable(error.to_string()))?;
        Ok(writer)
    }

    /// The registry as of the last commit.
    #[must_use]
    pub fn registry(&self) -> Arc<Registry> {
        Arc::clone(
            &self
                .registry
                .read()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        )
    }

    /// Tells of changes that gateways must hear of.
    #[must_use]
    pub const fn changes(&self) -> &Changes {
        &self.changes
    }

    /// How many commands wait.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue
            .max_capacity()
            .saturating_sub(self.queue.capacity())
    }

    /// Waits until the writer's thread has ended. While a handle is held that can only be by
    /// a defect: nothing can be written then, and the service had better end too.
    pub async fn ended(&self) {
        self.queue.closed().await;
    }

    /// Carries out a command for the service itself.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn execute(&self, actor: &str, command: Command) -> Result<Outcome, WriteError> {
        match self.submit(actor, command, None, None)?.await {
            Ok(Ok(Written::Outcome(outcome))) => Ok(outcome),
            Ok(Ok(Written::Answer { .. })) => Ok(Outcome::Done),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(WriteError::Stopping),
        }
    }

    /// Carries out a command for a client; the answer is rendered before the commit.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn answer(
        &self,
        actor: &str,
        command: Command,
        idempotency: Option<Idempotency>,
        render: Render,
    ) -> Result<Written, WriteError> {
        self.submit(actor, command, idempotency, Some(render))?
            .await
            .unwrap_or(Err(WriteError::Stopping))
    }

    /// Queues a command; the receiver gets what it comes to. For batches of reports.
    ///
    /// # Errors
    /// [`WriteError::Busy`] when the queue is full.
    pub fn submit(
        &self,
        actor: &str,
        command: Command,
        idempotency: Option<Idempotency>,
        render: Option<Render>,
    ) -> Result<oneshot::Receiver<Result<Written, WriteError>>, WriteError> {
        let (reply, answer) = oneshot::channel();
        let job = Job {
            actor: actor.to_owned(),
            command,
            idempotency,
            render,
            reply,
        };
        match self.queue.try_send(job) {
            Ok(()) => Ok(answer),
            Err(mpsc::error::TrySendError::Full(_)) => Err(WriteError::Busy),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(WriteError::Stopping),
        }
    }
}

struct Worker<'i, S> {
    storage: S,
    ids: &'i mut dyn Ids,
    registry: Arc<RwLock<Arc<Registry>>>,
    changes: Changes,
}

/// A decided job: who gets what once the batch is durable.
type Decided = (
    oneshot::Sender<Result<Written, WriteError>>,
    Result<Written, WriteError>,
);

impl<S: Storage> Worker<'_, S> {
    fn run(&mut self, mut jobs: mpsc::Receiver<Job>, clock: &dyn Clock) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while jobs.blocking_recv_many(&mut batch, BATCH_MAX) > 0 {
            self.write(std::mem::take(&mut batch), clock.now());
        }
    }

    fn write(&mut self, batch: Vec<Job>, now: Timestamp) {
        let plan = plan(&batch);
        let loaded = match self.storage.load(&plan) {
            Ok(loaded) => loaded,
            Err(error) => return fail_all(batch.into_iter().map(|job| job.reply), error),
        };
        metrics::counter!("creditgate_batches_total").increment(1);
        let (changes, decided) = self.decide(loaded, batch, now);
        let nothing = changes.is_empty();
        if nothing {
            self.storage.abandon();
        } else if let Err(error) = self.storage.commit(&changes) {
            metrics::counter!("creditgate_batches_failed_total").increment(1);
            tracing::error!(%error, commands = decided.len(), "the batch was not written");
            return fail_all(decided.into_iter().map(|(reply, _)| reply), error);
        }
        self.publish(&changes);
        for (reply, result) in decided {
            // A caller that went away is not an error: the command was carried out.
            let _gone = reply.send(result);
        }
    }

    fn decide(
        &mut self,
        mut loaded: Loaded,
        batch: Vec<Job>,
        now: Timestamp,
    ) -> (ChangeSet, Vec<Decided>) {
        let mut answers: HashMap<IdempotencyKey, StoredAnswer> =
            std::mem::take(&mut loaded.answers);
        let mut new_answers = Vec::new();
        let mut decided = Vec::with_capacity(batch.len());
        let mut work = Work::new(loaded, now, self.ids);
        for job in batch {
            if let Some(result) = replay(&answers, job.idempotency.as_ref()) {
                decided.push((job.reply, result));
                continue;
            }
            let kind = job.command.kind();
            let result = work.decide(&job.actor, job.command);
            count(kind, &result);
            let result = result.map_err(WriteError::Failed).map(|outcome| {
                let Some(render) = job.render else {
                    return Written::Outcome(outcome);
                };
                let (status, body) = render(&outcome);
                if let Some(Idempotency { key, fingerprint }) = job.idempotency {
                    let stored = StoredAnswer {
                        fingerprint,
                        status,
                        body: body.clone(),
                        created_at: now,
                    };
                    answers.insert(key.clone(), stored.clone());
                    new_answers.push((key, stored));
                }
                Written::Answer {
                    status,
                    body,
                    replayed: false,
                }
            });
            decided.push((job.reply, result));
        }
        let changes = ChangeSet {
            answers: new_answers,
            ..work.into_changes()
        };
        (changes, decided)
    }

    fn publish(&self, changes: &ChangeSet) {
        if let Some((_, after)) = &changes.registry {
            *self
                .registry
                .write()
                .unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(after.clone());
            self.changes.wake_all();
        }
        for change in &changes.books {
            for instance in pushed(change.before.as_ref(), &change.after) {
                self.changes.wake(instance);
            }
        }
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
        plan.idempotency.extend(
            job.idempotency
                .as_ref()
                .map(|idempotency| idempotency.key.clone()),
        );
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

fn fail_all(
    replies: impl Iterator<Item = oneshot::Sender<Result<Written, WriteError>>>,
    error: StorageError,
) {
    let error = Arc::new(error);
    for reply in replies {
        let _gone = reply.send(Err(WriteError::Storage(Arc::clone(&error))));
    }
}
