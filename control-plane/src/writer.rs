//! The one write path: a bounded queue, and a thread that drains it in batches.
//!
//! A batch is loaded, decided and committed in one transaction, and only then answered:
//! what was answered is durable. Nothing is gained by waiting, so an idle queue gives
//! batches of one; under load a batch is what came while the last was written. A command
//! that the ledger refuses fails alone. Answers to commands with an idempotency key are
//! rendered before the commit and written with it, so a repeat gets the same bytes. A batch
//! that fails as a whole for one command's sake is taken apart, see `worker`.

use std::sync::{Arc, RwLock};

use creditgate_ledger::{Ids, Registry};
use thiserror::Error;
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::command::{Command, Failure, Outcome};
use crate::notify::Changes;
use crate::storage::{IdempotencyKey, LoadPlan, Storage, StorageError};
use lanes::{Entrance, lanes};
use worker::Worker;

mod lanes;
mod worker;

/// Commands that may wait; one more is told to come back.
pub const QUEUE_MAX: usize = 4_096;

/// Most commands in one transaction.
pub const BATCH_MAX: usize = 512;

/// Turns an outcome into the status and body a client gets. Called again if a batch is
/// decided again.
pub type Render = Box<dyn Fn(&Outcome) -> (u16, Vec<u8>) + Send>;

/// A client's idempotency key with what it was sent with.
#[derive(Debug, Clone)]
pub struct Idempotency {
    /// Who and which.
    pub key: IdempotencyKey,
    /// SHA-256 of method, path and body, hexadecimal.
    pub fingerprint: String,
}

/// Why a command was not carried out.
#[derive(Debug, Clone, Error)]
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
    /// A defect of this service: deciding the command failed an assertion. Nothing was written.
    #[error("the command met a defect of this service")]
    Defect,
    /// The service is stopping.
    #[error("the service is stopping")]
    Stopping,
}

impl WriteError {
    /// Whether the same command may well be carried out a little later.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Busy | Self::Stopping => true,
            Self::Storage(error) => matches!(**error, StorageError::Unavailable(_)),
            Self::Failed(_) | Self::KeyReused | Self::Defect => false,
        }
    }
}

impl From<StorageError> for WriteError {
    fn from(error: StorageError) -> Self {
        Self::Storage(Arc::new(error))
    }
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
    entrance: Entrance,
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
        let (entrance, lanes) = lanes();
        let writer = Self {
            entrance,
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
                worker.run(lanes, &clock);
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
        self.entrance.waiting()
    }

    /// Waits until the writer's thread has ended. While a handle is held that can only be by
    /// a defect: nothing can be written then, and the service had better end too.
    pub async fn ended(&self) {
        self.entrance.ended().await;
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
        self.entrance.urgent(job)?;
        Ok(answer)
    }

    /// Queues a command that nobody outside waits for, behind all that somebody does.
    ///
    /// # Errors
    /// [`WriteError::Busy`] when too many wait.
    pub fn submit_later(
        &self,
        actor: &str,
        command: Command,
    ) -> Result<oneshot::Receiver<Result<Written, WriteError>>, WriteError> {
        let (reply, answer) = oneshot::channel();
        let job = Job {
            actor: actor.to_owned(),
            command,
            idempotency: None,
            render: None,
            reply,
        };
        self.entrance.later(job)?;
        Ok(answer)
    }
}
