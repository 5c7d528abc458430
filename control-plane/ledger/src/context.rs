//! What a decision needs besides the book: the instant, fresh ids, the settings, and who asks.

use crate::registry::{Registry, Settings};
use crate::time::Timestamp;

/// A source of fresh ids; randomness is the caller's.
pub trait Ids {
    /// An id that was never given before. Later ids should be larger (UUID version 7 is).
    fn next(&mut self) -> u128;
}

/// The arguments every decision has in common.
pub struct Context<'a> {
    /// The instant of the decision, never before the account's last.
    pub now: Timestamp,
    /// Fresh ids.
    pub ids: &'a mut dyn Ids,
    /// The installation: its settings, its plans.
    pub registry: &'a Registry,
    /// Who asks: a key id, or the name of a job. Entries are booked in this name.
    pub actor: &'a str,
}

/// The actor of what time alone brings about.
pub const TIME: &str = "time";

impl Context<'_> {
    /// The same in the name of someone else.
    pub(crate) fn of<'b>(&'b mut self, actor: &'b str) -> Context<'b> {
        Context {
            now: self.now,
            ids: self.ids,
            registry: self.registry,
            actor,
        }
    }

    /// The installation's settings.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.registry.settings
    }
}
