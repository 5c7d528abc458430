//! Two lanes into the writer's thread: for commands that someone waits for, and for those that
//! jobs give.
//!
//! Jobs may have very many at once (all grants of a midnight), gateways few and urgent ones.
//! Whoever waits is in the next batch; jobs are in every second one at least, with only so
//! many commands as keep it short: their share is adapted to how long batches take, on
//! whatever machine and disk.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use super::{BATCH_MAX, Job, QUEUE_MAX, WriteError};

/// Commands of jobs that may wait; one more is told to come back.
const LATER_MAX: usize = 4_096;

/// How long a batch with commands of jobs should take.
const BATCH_TIME: Duration = Duration::from_millis(30);

/// Most commands of jobs in one transaction, and how many the first has.
const SHARE_MAX: usize = 256;
const SHARE_FIRST: usize = 16;

/// What goes through the queue.
enum Message {
    Job(Box<Job>),
    /// Wakes the writer: a job has put something into the other lane.
    Knock,
}

/// Where commands are handed in.
#[derive(Clone)]
pub(super) struct Entrance {
    queue: mpsc::Sender<Message>,
    later: Arc<Mutex<VecDeque<Job>>>,
}

/// Where the writer's thread takes them out.
pub(super) struct Lanes {
    queue: mpsc::Receiver<Message>,
    later: Arc<Mutex<VecDeque<Job>>>,
    inbox: Vec<Message>,
    /// How many commands of jobs the next batch may have.
    share: usize,
    /// How many the present one has.
    taken: usize,
}

/// Both ends.
pub(super) fn lanes() -> (Entrance, Lanes) {
    let (sender, queue) = mpsc::channel(QUEUE_MAX);
    let later = Arc::new(Mutex::new(VecDeque::new()));
    let entrance = Entrance {
        queue: sender,
        later: Arc::clone(&later),
    };
    let lanes = Lanes {
        queue,
        later,
        inbox: Vec::new(),
        share: SHARE_FIRST,
        taken: 0,
    };
    (entrance, lanes)
}

impl Entrance {
    /// Someone waits for it.
    pub(super) fn urgent(&self, job: Job) -> Result<(), WriteError> {
        match self.queue.try_send(Message::Job(Box::new(job))) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(WriteError::Busy),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(WriteError::Stopping),
        }
    }

    /// It may wait for those.
    pub(super) fn later(&self, job: Job) -> Result<(), WriteError> {
        let mut later = lock(&self.later);
        if later.len() >= LATER_MAX {
            return Err(WriteError::Busy);
        }
        if self.queue.is_closed() {
            return Err(WriteError::Stopping);
        }
        let was_empty = later.is_empty();
        later.push_back(job);
        drop(later);
        if was_empty {
            // If the queue is full the writer is awake.
            let _awake = self.queue.try_send(Message::Knock);
        }
        Ok(())
    }

    /// How many commands wait.
    pub(super) fn waiting(&self) -> usize {
        let queued = self
            .queue
            .max_capacity()
            .saturating_sub(self.queue.capacity());
        queued.saturating_add(lock(&self.later).len())
    }

    /// Waits until the writer's thread has ended.
    pub(super) async fn ended(&self) {
        self.queue.closed().await;
    }
}

impl Lanes {
    /// The next batch; none if nobody can hand in any more.
    pub(super) fn next(&mut self) -> Option<Vec<Job>> {
        loop {
            if lock(&self.later).is_empty() {
                if self.queue.blocking_recv_many(&mut self.inbox, BATCH_MAX) == 0 {
                    return None;
                }
            } else {
                while self.inbox.len() < BATCH_MAX
                    && let Ok(message) = self.queue.try_recv()
                {
                    self.inbox.push(message);
                }
            }
            let urgent = self.inbox.drain(..).filter_map(|message| match message {
                Message::Job(job) => Some(*job),
                Message::Knock => None,
            });
            let mut batch: Vec<Job> = urgent.collect();
            // Right after a batch of theirs, jobs let those pass who waited for it to end.
            let share = if batch.is_empty() || self.taken == 0 {
                self.share
            } else {
                0
            };
            let mut later = lock(&self.later);
            self.taken = share.min(later.len());
            batch.extend(later.drain(..self.taken));
            drop(later);
            if !batch.is_empty() {
                return Some(batch);
            }
        }
    }

    /// Learns how long the batch took.
    pub(super) fn took(&mut self, elapsed: Duration) {
        if self.taken == 0 {
            return;
        }
        self.share = if elapsed > BATCH_TIME {
            // In proportion, but one slow write of the disk is not believed at once.
            let fitting = self.share as u128 * BATCH_TIME.as_millis() / elapsed.as_millis().max(1);
            let fitting = usize::try_from(fitting).unwrap_or(SHARE_MAX);
            fitting.max(self.share / 2).max(1)
        } else {
            self.share.saturating_add(self.share / 8 + 1).min(SHARE_MAX)
        };
    }
}

fn lock(later: &Mutex<VecDeque<Job>>) -> MutexGuard<'_, VecDeque<Job>> {
    // A panic elsewhere can't leave it half changed.
    later.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use creditgate_ledger::id::CustomerId;
    use tokio::sync::oneshot;

    use super::*;
    use crate::command::Command;
    use crate::storage::Target;

    fn job(actor: &str) -> Job {
        let customer = Target::Customer(CustomerId(1));
        Job {
            actor: actor.to_owned(),
            command: Command::PassTime { customer },
            idempotency: None,
            render: None,
            reply: oneshot::channel().0,
        }
    }

    fn actors(batch: &[Job]) -> Vec<&str> {
        batch.iter().map(|job| job.actor.as_str()).collect()
    }

    #[test]
    fn who_waits_is_in_the_next_batch_and_jobs_in_every_second() {
        let (entrance, mut lanes) = lanes();
        for _ in 0..100 {
            entrance.later(job("job")).unwrap();
        }
        assert_eq!(lanes.next().unwrap().len(), SHARE_FIRST);
        for _ in 0..3 {
            entrance.urgent(job("gateway")).unwrap();
            assert_eq!(actors(&lanes.next().unwrap()), ["gateway"]);
            entrance.urgent(job("gateway")).unwrap();
            let batch = lanes.next().unwrap();
            assert_eq!(actors(&batch)[..2], ["gateway", "job"]);
            assert_eq!(batch.len(), 1 + SHARE_FIRST);
        }
        assert_eq!(entrance.waiting(), 100 - 4 * SHARE_FIRST);
    }

    #[test]
    fn the_share_of_jobs_follows_what_batches_take() {
        let (entrance, mut lanes) = lanes();
        let mut shares = |millis: u64, times: usize| {
            for _ in 0..times {
                for _ in 0..SHARE_MAX {
                    entrance.later(job("job")).unwrap();
                }
                while entrance.waiting() > 0 {
                    let taken = lanes.next().unwrap().len();
                    lanes.took(Duration::from_millis(millis));
                    assert!((1..=SHARE_MAX).contains(&taken));
                }
            }
            lanes.share
        };
        assert_eq!(shares(1, 50), SHARE_MAX);
        assert!(shares(45, 1) < SHARE_MAX);
        assert_eq!(shares(10_000, 3), 1);
        assert!(shares(1, 1) > 1);
    }

    #[test]
    fn a_lane_that_is_full_says_so() {
        let (entrance, lanes) = lanes();
        for _ in 0..LATER_MAX {
            entrance.later(job("job")).unwrap();
        }
        assert!(matches!(entrance.later(job("job")), Err(WriteError::Busy)));
        entrance.urgent(job("gateway")).unwrap();
        drop(lanes);
        let refused = entrance.later(job("job"));
        assert!(matches!(
            refused,
            Err(WriteError::Busy | WriteError::Stopping)
        ));
        let refused = entrance.urgent(job("gateway"));
        assert!(matches!(refused, Err(WriteError::Stopping)));
    }

    #[test]
    fn what_was_handed_in_is_taken_out_before_the_end() {
        let (entrance, mut lanes) = lanes();
        entrance.urgent(job("gateway")).unwrap();
        for _ in 0..40 {
            entrance.later(job("job")).unwrap();
        }
        drop(entrance);
        let mut left = 0;
        while let Some(batch) = lanes.next() {
            left += batch.len();
        }
        assert_eq!(left, 41);
    }
}
