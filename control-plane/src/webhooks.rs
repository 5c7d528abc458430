//! Sending webhooks: what a message looks like, how it is signed, and where it may go.
//!
//! Messages follow Standard Webhooks. Addresses come from whoever holds a key of the API, so
//! they are not trusted: the [`Guard`] refuses whatever is not on the public internet, unless
//! the operator of this service allowed it, and it judges the very address that is dialled.
//! What becomes of an attempt the ledger decides; this only says how it went.

mod address;
mod client;
mod guard;
mod message;
mod resolver;
mod signing;

use std::sync::Arc;

pub use address::{Range, RangeError};
pub use client::{Client, SENT_MAX_MS, Sent};
pub use guard::{Denied, Guard, UrlFault};
pub use message::{Message, body, data};
pub use resolver::{Found, Lookup, SystemLookup};
pub use signing::{secret_of, signature};

/// What sending needs: where messages may go, and the connections they go over.
#[derive(Clone)]
pub struct Webhooks {
    /// Where messages may go.
    pub guard: Arc<Guard>,
    /// Sends them.
    pub client: Client,
}

impl Webhooks {
    /// Messages may go to the public internet and to `allowed` ranges; names are looked up as
    /// the machine does.
    ///
    /// # Errors
    /// Connections can't be secured on this machine.
    pub fn new(allowed: Vec<Range>) -> Result<Self, reqwest::Error> {
        Self::over(allowed, Arc::new(SystemLookup))
    }

    /// As [`Webhooks::new`], with names looked up by `lookup`.
    ///
    /// # Errors
    /// Connections can't be secured on this machine.
    pub fn over(allowed: Vec<Range>, lookup: Arc<dyn Lookup>) -> Result<Self, reqwest::Error> {
        let guard = Arc::new(Guard::new(allowed));
        let client = Client::new(Arc::clone(&guard), lookup)?;
        Ok(Self { guard, client })
    }
}
