//! A full queue, told at once and nothing lost; and one command that spoils its batch.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use creditgate::clock::{RandomIds, SystemClock};
use creditgate::command::Command;
use creditgate::storage::memory::MemoryStorage;
use creditgate::storage::{ChangeSet, LoadPlan, Loaded, Storage, StorageError, Target};
use creditgate::writer::{QUEUE_MAX, WriteError, Writer};
use creditgate_ledger::customer::NewCustomer;
use serde_json::json;

use crate::plane::Plane;

/// Whether the storage behind it does anything.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
    reached: AtomicBool,
}

impl Gate {
    fn pass(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        self.reached.store(!*open, Ordering::SeqCst);
        drop(self.opened.wait_while(open, |open| !*open));
    }

    /// Until someone stands before it.
    async fn reached(&self) {
        while !self.reached.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn set(&self, open: bool) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = open;
        self.opened.notify_all();
    }
}

/// Names of customers that storage can't bear.
const TAKEN: &str = "taken meanwhile";
const UNREADABLE: &str = "unreadable";
const DEFECT: &str = "a defect";

/// A storage that does nothing until its gate is open, and has its troubles then.
struct Gated {
    inner: MemoryStorage,
    gate: Arc<Gate>,
}

impl Storage for Gated {
    fn load(&mut self, plan: &LoadPlan) -> Result<Loaded, StorageError> {
        self.gate.pass();
        let names = |name: &str| plan.targets.contains(&Target::ExternalId(name.to_owned()));
        assert!(!names(DEFECT), "as planned");
        if names(UNREADABLE) {
            return Err(StorageError::Corrupt(UNREADABLE.to_owned()));
        }
        self.inner.load(plan)
    }

    fn commit(&mut self, changes: &ChangeSet) -> Result<u64, StorageError> {
        if changes
            .books
            .iter()
            .any(|book| book.after.customer.external_id == TAKEN)
        {
            self.inner.abandon();
            return Err(StorageError::Conflict(TAKEN.to_owned()));
        }
        self.inner.commit(changes)
    }

    fn abandon(&mut self) {
        self.inner.abandon();
    }
}

/// A control plane whose writer is stuck until the gate is opened.
fn stuck() -> (Plane, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    gate.set(true);
    let inner = MemoryStorage::new(7);
    let storage = Gated {
        inner: inner.clone(),
        gate: Arc::clone(&gate),
    };
    let writer = Writer::start(storage, SystemClock, RandomIds::new(SystemClock)).unwrap();
    gate.set(false);
    (Plane::over(writer, Arc::new(inner), None), gate)
}

#[tokio::test]
async fn a_full_queue_says_come_back_and_loses_nothing() {
    let (plane, gate) = stuck();
    let submit = |number: usize| {
        let command = create(&number.to_string());
        plane.app.writer.submit("test", command, None, None)
    };
    // The writer is stuck with its first batch before the queue is filled, or it would make
    // room afterwards.
    let mut accepted = vec![submit(0).unwrap()];
    gate.reached().await;
    while let Ok(reply) = submit(accepted.len()) {
        accepted.push(reply);
    }
    assert!(accepted.len() >= QUEUE_MAX);
    let refused = plane
        .post("/v1/customers", json!({ "external_id": "one more" }))
        .await;
    assert_eq!((refused.status, refused.code()), (503, "busy"));
    assert_eq!(refused.headers["retry-after"], "1");
    gate.set(true);
    for reply in accepted {
        reply.await.unwrap().unwrap();
    }
    assert_eq!(
        plane
            .post("/v1/customers", json!({ "external_id": "one more" }))
            .await
            .status,
        201
    );
}

#[tokio::test]
async fn a_command_that_spoils_its_batch_fails_alone() {
    let (plane, gate) = stuck();
    let names = [
        "first", TAKEN, "second", UNREADABLE, "third", DEFECT, "last",
    ];
    let replies = names.map(|name| {
        plane
            .app
            .writer
            .submit("test", create(name), None, None)
            .unwrap()
    });
    gate.set(true);
    for (name, reply) in names.into_iter().zip(replies) {
        let result = reply.await.unwrap();
        match name {
            TAKEN | UNREADABLE => assert!(
                matches!(result, Err(WriteError::Storage(_))),
                "{name}: {result:?}"
            ),
            DEFECT => assert!(
                matches!(result, Err(WriteError::Defect)),
                "{name}: {result:?}"
            ),
            _ => assert!(result.is_ok(), "{name}: {result:?}"),
        }
    }
    let customers = plane.get("/v1/customers").await;
    let made = customers.body["data"].as_array().unwrap();
    let made: Vec<_> = made
        .iter()
        .map(|customer| customer["external_id"].as_str().unwrap())
        .collect();
    assert_eq!(made, ["first", "second", "third", "last"]);
    let answered = plane
        .post("/v1/customers", json!({ "external_id": DEFECT }))
        .await;
    assert_eq!((answered.status, answered.code()), (500, "internal"));
    assert_eq!(
        plane
            .post("/v1/customers", json!({ "external_id": "after" }))
            .await
            .status,
        201
    );
}

fn create(name: &str) -> Command {
    Command::CreateCustomer(NewCustomer {
        external_id: name.to_owned(),
        name: None,
        time_zone: "UTC".to_owned(),
        metadata: std::collections::BTreeMap::new(),
    })
}
