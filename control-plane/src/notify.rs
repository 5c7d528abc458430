//! Waking the long polls of instances that must hear of something, and whoever sends webhooks.
//!
//! A wake carries no content: the poll asks storage what changed after its cursor, so a
//! wake that is lost, doubled or early does no harm.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use creditgate_core::id::InstanceId;
use tokio::sync::Notify;

/// Who waits for what.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    waiting: Arc<Mutex<HashMap<InstanceId, Arc<Notify>>>>,
    outbox: Arc<Notify>,
}

impl Changes {
    /// What an instance's poll waits on. Take it before asking storage: a change between
    /// the two is then not missed.
    #[must_use]
    pub fn of(&self, instance: InstanceId) -> Arc<Notify> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(waiting.entry(instance).or_default())
    }

    /// Wakes one instance's polls.
    pub fn wake(&self, instance: InstanceId) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(notify) = waiting.get(&instance) {
            // One permit is kept if nobody waits just now, so that the next poll returns at once.
            notify.notify_waiters();
            notify.notify_one();
        }
    }

    /// Wakes every poll: rate card, settings or instances changed.
    pub fn wake_all(&self) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for notify in waiting.values() {
            notify.notify_waiters();
            notify.notify_one();
        }
    }

    /// What the one who sends webhooks waits on; one wake is kept if it does not wait just now.
    #[must_use]
    pub fn outbox(&self) -> &Notify {
        &self.outbox
    }

    /// Forgets an instance that is gone.
    pub fn forget(&self, instance: InstanceId) {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&instance);
    }
}
