//! A full queue: told at once, nothing lost.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use creditgate::clock::{RandomIds, SystemClock};
use creditgate::command::Command;
use creditgate::storage::memory::MemoryStorage;
use creditgate::storage::{ChangeSet, LoadPlan, Loaded, Storage, StorageError};
use creditgate::writer::{QUEUE_MAX, Writer};
use creditgate_ledger::customer::NewCustomer;
use serde_json::json;

use crate::plane::Plane;

/// Whether the storage behind it does anything.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn pass(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.opened.wait_while(open, |open| !*open));
    }

    fn set(&self, open: bool) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = open;
        self.opened.notify_all();
    }
}

/// A storage that does nothing until its gate is open.
struct Gated {
    inner: MemoryStorage,
    gate: Arc<Gate>,
}

impl Storage for Gated {
    fn load(&mut self, plan: &LoadPlan) -> Result<Loaded, StorageError> {
        self.gate.pass();
        self.inner.load(plan)
    }

    fn commit(&mut self, changes: &ChangeSet) -> Result<u64, StorageError> {
        self.inner.commit(changes)
    }

    fn abandon(&mut self) {
        self.inner.abandon();
    }
}

#[tokio::test]
async fn a_full_queue_says_come_back_and_loses_nothing() {
    let gate = Arc::new(Gate::default());
    gate.set(true);
    let inner = MemoryStorage::new(7);
    let storage = Gated {
        inner: inner.clone(),
        gate: Arc::clone(&gate),
    };
    let writer = Writer::start(storage, SystemClock, RandomIds::new(SystemClock)).unwrap();
    let plane = Plane::over(writer, Arc::new(inner), None);
    gate.set(false);
    let mut accepted = Vec::new();
    while let Ok(reply) = plane
        .app
        .writer
        .submit("test", create(accepted.len()), None, None)
    {
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

fn create(number: usize) -> Command {
    Command::CreateCustomer(NewCustomer {
        external_id: number.to_string(),
        name: None,
        time_zone: "UTC".to_owned(),
        metadata: std::collections::BTreeMap::new(),
    })
}
