//! When each instance last spoke, and what it was told of its own state.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use creditgate_core::protocol::Barred;
use creditgate_ledger::id::InstanceId;
use tokio::time::Instant;

/// When each instance last spoke. Clones share it.
#[derive(Debug, Clone)]
pub struct Presence {
    /// Who has not spoken since counts from here.
    started: Instant,
    seen: Arc<Mutex<HashMap<InstanceId, Seen>>>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    at: Instant,
    /// What it was last told, if anything, on whether it is barred.
    told: Option<Option<Barred>>,
}

impl Default for Presence {
    fn default() -> Self {
        Self::since(Instant::now())
    }
}

impl Presence {
    /// As of a service that started at an instant.
    #[must_use]
    pub fn since(started: Instant) -> Self {
        Self {
            started,
            seen: Arc::default(),
        }
    }

    /// Notes that an instance spoke.
    pub fn spoke(&self, instance: InstanceId) {
        let at = Instant::now();
        self.lock()
            .entry(instance)
            .or_insert(Seen { at, told: None })
            .at = at;
    }

    /// Notes what a poll of the instance was answered; says whether that is news to it.
    pub fn tell(&self, instance: InstanceId, barred: Option<Barred>) {
        if let Some(seen) = self.lock().get_mut(&instance) {
            seen.told = Some(barred);
        }
    }

    /// Whether the instance has yet to be told this.
    #[must_use]
    pub fn is_news(&self, instance: InstanceId, barred: Option<Barred>) -> bool {
        match self.lock().get(&instance).and_then(|seen| seen.told) {
            Some(told) => told != barred,
            None => barred.is_some(),
        }
    }

    /// How long ago the instance spoke; none if it has not since the service started.
    #[must_use]
    pub fn silent_for(&self, instance: InstanceId) -> Option<Duration> {
        self.lock().get(&instance).map(|seen| seen.at.elapsed())
    }

    /// How long the instance has been silent at least: since it spoke, or since the service started.
    #[must_use]
    pub fn silent_at_least(&self, instance: InstanceId) -> Duration {
        self.silent_for(instance)
            .unwrap_or_else(|| self.started.elapsed())
    }

    /// Forgets an instance that is gone for good.
    pub fn forget(&self, instance: InstanceId) {
        self.lock().remove(&instance);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<InstanceId, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
