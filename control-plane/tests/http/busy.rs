//! A full queue: told at once, nothing lost.

use std::sync::{Arc, Mutex};

use creditgate::clock::{RandomIds, SystemClock};
use creditgate::command::Command;
use creditgate::storage::memory::MemoryStorage;
use creditgate::storage::{ChangeSet, LoadPlan, Loaded, Storage, StorageError};
use creditgate::writer::{QUEUE_MAX, Writer};
use creditgate_ledger::customer::NewCustomer;
use serde_json::json;

use crate::plane::Plane;

/// A storage that does nothing while its gate is locked.
struct Gated {
    inner: MemoryStorage,
    gate: Arc<Mutex<()>>,
}

impl Storage for Gated {
    fn load(&mut self, plan: &LoadPlan) -> Result<Loaded, StorageError> {
        drop(self.gate.lock());
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
    let gate = Arc::new(Mutex::new(()));
    let inner = MemoryStorage::new(7);
    let storage = Gated { inner: inner.clone(), gate: Arc::clone(&gate) };
    let writer = Writer::start(storage, SystemClock, RandomIds::new(SystemClock)).unwrap();
    let plane = Plane::over(writer, Arc::new(inner), None);
    let closed = gate.lock().unwrap();
    let mut accepted = Vec::new();
    while let Ok(reply) = plane.app.writer.submit("test", create(accepted.len()), None, None) {
        accepted.push(reply);
    }
    assert!(accepted.len() >= QUEUE_MAX);
    #[expect(clippy::await_holding_lock, reason = "the writer must be stuck while this is asked, and nothing here waits for it")]
    let refused = plane.post("/v1/customers", json!({ "external_id": "one more" })).await;
    assert_eq!((refused.status, refused.code()), (503, "busy"));
    assert_eq!(refused.headers["retry-after"], "1");
    drop(closed);
    for reply in accepted {
        reply.await.unwrap().unwrap();
    }
    assert_eq!(plane.post("/v1/customers", json!({ "external_id": "one more" })).await.status, 201);
}

fn create(number: usize) -> Command {
    Command::CreateCustomer(NewCustomer {
        external_id: number.to_string(),
        name: None,
        time_zone: "UTC".to_owned(),
        metadata: std::collections::BTreeMap::new(),
    })
}
