//! Webhooks on their way: what is due is sent, and how it went is booked.
//!
//! Each endpoint has a lane of its own with a bound on what is under way in it, so a slow one
//! holds up no other. A delivery leaves its lane only when its attempt is booked: until then it
//! is pending in the database, and whoever starts after a crash sends it again. So an event
//! arrives at least once; receivers tell repetitions by `webhook-id`. In a lane deliveries start
//! in the order of their events, and those of one customer one after the other; only what had
//! to be tried again comes later than its turn.

use std::collections::HashMap;
use std::time::Duration;

use creditgate_ledger::id::{CustomerId, EndpointId};
use creditgate_ledger::webhook::{Delivery, Endpoint};
use creditgate_ledger::{Event, Timestamp};
use tokio::task::{Id, JoinError, JoinSet};

use super::Jobs;
use crate::problem::Problem;
use crate::storage::Reader;
use attempt::{deliver, give_up};
use lanes::{DUE_MAX, Lanes, Place};

mod attempt;
mod lanes;

/// How often it is looked for what has become due; what is new is told at once.
const LOOK: Duration = Duration::from_millis(250);

/// When the database can't be read or written, it is tried again after this.
const AGAIN: Duration = Duration::from_secs(1);

/// How long attempts under way may take once the service is to end. One that takes longer is
/// made again after the next start.
const ENDING: Duration = Duration::from_secs(5);

/// What is due to one endpoint, as of one look.
struct Due {
    endpoint: EndpointId,
    /// None: it is forgotten.
    known: Option<Endpoint>,
    deliveries: Vec<(Delivery, Event)>,
}

/// What is under way.
struct Sending {
    jobs: Jobs,
    lanes: Lanes,
    tasks: JoinSet<()>,
    places: HashMap<Id, Place>,
}

pub(super) async fn run(mut jobs: Jobs) {
    let mut sending = Sending {
        jobs: jobs.clone(),
        lanes: Lanes::default(),
        tasks: JoinSet::new(),
        places: HashMap::new(),
    };
    let changes = jobs.writer.changes().clone();
    loop {
        let fine = match look(&jobs, &sending.lanes).await {
            Some(due) => sending.start(due).await,
            None => false,
        };
        let wait = if fine { LOOK } else { AGAIN };
        tokio::select! {
            goes_on = jobs.sleep(wait) => if !goes_on { break },
            () = changes.outbox().notified(), if fine => {}
            ended = sending.tasks.join_next_with_id(), if !sending.tasks.is_empty() => {
                sending.leave(ended);
            }
        }
        while let Some(ended) = sending.tasks.try_join_next_with_id() {
            sending.leave(Some(ended));
        }
    }
    let ended = async { while sending.tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(ENDING, ended).await.is_err() {
        tracing::info!("webhooks under way are sent again after the next start");
    }
}

/// What is due to the endpoints that have room. The endpoints are those of the same moment.
async fn look(jobs: &Jobs, lanes: &Lanes) -> Option<Vec<Due>> {
    let now = jobs.clock.now();
    let (full, busy) = (lanes.full(), lanes.busy());
    jobs.read(move |reader| {
        let mut waiting = reader.next_deliveries()?;
        waiting.retain(|(endpoint, at)| *at <= now && !full.contains(endpoint));
        if waiting.is_empty() {
            return Ok(Vec::new());
        }
        let snapshot = reader.snapshot()?;
        let due = |(endpoint, _)| {
            let busy = busy.get(&endpoint).map_or(&[][..], Vec::as_slice);
            due_to(&*snapshot, endpoint, now, busy)
        };
        waiting.into_iter().map(due).collect()
    })
    .await
}

fn due_to(
    reader: &dyn Reader,
    endpoint: EndpointId,
    now: Timestamp,
    busy: &[CustomerId],
) -> Result<Due, Problem> {
    let registry = reader.registry()?;
    let mut endpoints = registry.endpoints.iter();
    Ok(Due {
        endpoint,
        known: endpoints.find(|known| known.id == endpoint).cloned(),
        deliveries: reader.due_deliveries(endpoint, now, busy, DUE_MAX)?,
    })
}

impl Sending {
    /// Starts what there is room for. Answers false if something could not be booked.
    async fn start(&mut self, found: Vec<Due>) -> bool {
        let mut fine = true;
        for due in found {
            let Some(endpoint) = due.known.filter(|known| known.deleted_at.is_none()) else {
                let deliveries = self.lanes.idle(due.endpoint, due.deliveries);
                fine &= give_up(&self.jobs, deliveries, true).await;
                continue;
            };
            if !endpoint.is_enabled() {
                let deliveries = self.lanes.idle(due.endpoint, due.deliveries);
                fine &= give_up(&self.jobs, deliveries, false).await;
                continue;
            }
            let is_failing = endpoint.failing_since.is_some();
            let is_page_full = due.deliveries.len() >= DUE_MAX as usize;
            let entered = self.lanes.enter(endpoint.id, is_failing, due.deliveries);
            for (place, delivery, event) in entered {
                let attempt = deliver(self.jobs.clone(), endpoint.clone(), delivery, event);
                let task = self.tasks.spawn(attempt).id();
                self.places.insert(task, place);
            }
            // Behind a full page of busy customers' there may be those of others.
            if is_page_full && self.lanes.has_room(endpoint.id) {
                self.jobs.writer.changes().outbox().notify_one();
            }
        }
        fine
    }

    fn leave(&mut self, ended: Option<Result<(Id, ()), JoinError>>) {
        let task = match ended {
            None => return,
            Some(Ok((task, ()))) => task,
            Some(Err(error)) => {
                tracing::error!(%error, "the sending of a webhook met a defect");
                error.id()
            }
        };
        if let Some(place) = self.places.remove(&task) {
            self.lanes.leave(&place);
        }
    }
}
