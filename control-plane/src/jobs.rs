//! Work that nobody asks for: what time alone brings about.
//!
//! Six tasks beside the HTTP side. *Silence* quarantines the leases of instances that do
//! not speak any more; *policy* decides over quarantined credit when the operator's time
//! for it has come; *passing* books each lot's and key's instant; *rate cards* brings versions of
//! them into force; *sending* brings webhooks to their endpoints; *retention* forgets what nobody can ask for any more. They only look and give
//! commands; what the commands do, and whether, the ledger decides. Silence is measured on
//! the monotonic clock: a step of the wall clock must not make everyone look silent.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::command::{Command, Outcome};
use crate::problem::Problem;
use crate::storage::Reader;
use crate::webhooks::Webhooks;
use crate::writer::{WriteError, Writer, Written};

mod passing;
mod policy;
mod presence;
mod rate_cards;
mod retention;
mod sending;
mod silence;

pub use presence::Presence;
pub(crate) use silence::lending;

/// Most commands that a job gives before it waits for them.
const GIVEN_AT_ONCE: usize = 256;

/// What every job needs.
#[derive(Clone)]
pub struct Jobs {
    /// The one who writes.
    pub writer: Writer,
    /// Who looks things up.
    pub reader: Arc<dyn Reader>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// When each instance last spoke.
    pub presence: Presence,
    /// Sends webhooks.
    pub webhooks: Webhooks,
    /// Becomes true when the service is to end.
    pub stopping: watch::Receiver<bool>,
}

impl Jobs {
    /// Starts the jobs. They end when `stopping` becomes true.
    #[must_use]
    pub fn start(&self) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        tasks.spawn(silence::run(self.clone()));
        tasks.spawn(policy::run(self.clone()));
        tasks.spawn(passing::run(self.clone()));
        tasks.spawn(rate_cards::run(self.clone()));
        tasks.spawn(sending::run(self.clone()));
        tasks.spawn(retention::run(self.clone()));
        tasks
    }

    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&dyn Reader) -> Result<T, Problem> + Send + 'static,
    ) -> Option<T> {
        let reader = Arc::clone(&self.reader);
        let found = tokio::task::spawn_blocking(move || look(&*reader)).await;
        match found {
            Ok(Ok(found)) => Some(found),
            Ok(Err(problem)) => {
                tracing::warn!(
                    code = problem.code(),
                    "a job could not look something up; it tries again"
                );
                None
            }
            Err(error) => {
                tracing::error!(%error, "a look-up of a job failed");
                None
            }
        }
    }

    /// Gives commands and waits for them. Answers false if they must be given again: there was
    /// no room for them, or the database can't be reached. One that fails for another reason
    /// is told and left alone, so that it does not keep the others from being done; one that
    /// was done in part is given until it is done.
    async fn give(&self, actor: &str, mut commands: Vec<Command>) -> bool {
        while !commands.is_empty() {
            let rest = commands.split_off(commands.len().min(GIVEN_AT_ONCE));
            let mut replies = Vec::with_capacity(commands.len());
            for command in commands {
                match self.writer.submit_later(actor, command.clone()) {
                    Ok(reply) => replies.push((reply, command)),
                    Err(_) => return false,
                }
            }
            commands = rest;
            for (reply, command) in replies {
                match reply.await.unwrap_or(Err(WriteError::Stopping)) {
                    Ok(Written::Outcome(Outcome::Unfinished)) => commands.push(command),
                    Ok(_) => {}
                    Err(WriteError::Failed(failure)) => {
                        tracing::debug!(actor, ?failure, "a job's command was refused");
                    }
                    Err(error) if error.may_pass() => return false,
                    Err(error) => tracing::error!(actor, %error, "a job's command failed"),
                }
            }
        }
        true
    }

    /// Sleeps; answers false if the service is to end.
    async fn sleep(&mut self, duration: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(duration) => true,
            _ended = self.stopping.wait_for(|stopping| *stopping) => false,
        }
    }
}
