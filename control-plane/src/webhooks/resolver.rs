//! Looking up the host of an endpoint: the addresses that are judged are those that are dialled.
//!
//! The connection asks this for addresses and nothing else, so there is no second look-up whose
//! answer could differ. If one of a name's addresses is none that may be dialled, none is.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;

use super::guard::Guard;

/// The addresses of a name.
pub type Found = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Looks up names; a test may answer what it likes.
pub trait Lookup: Send + Sync + 'static {
    /// All addresses of a name.
    fn lookup(&self, name: &str) -> Found;
}

/// As the machine looks up names.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, name: &str) -> Found {
        let name = name.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// A name that has no address.
#[derive(Debug, Error)]
#[error("{name} has no address: {why}")]
pub(super) struct NoAddress {
    name: String,
    why: String,
}

/// A lookup whose answers are judged.
pub(super) struct Guarded {
    pub(super) guard: Arc<Guard>,
    pub(super) lookup: Arc<dyn Lookup>,
    /// Whether the connection will be secure.
    pub(super) is_secure: bool,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        let found = self.lookup.lookup(&name);
        let (guard, is_secure) = (Arc::clone(&self.guard), self.is_secure);
        Box::pin(async move {
            let no_address = |why| NoAddress { name, why };
            let found = match found.await {
                Ok(found) if !found.is_empty() => found,
                Ok(_) => return Err(no_address("none found".to_owned()).into()),
                Err(error) => return Err(no_address(error.to_string()).into()),
            };
            for address in &found {
                guard.judge(*address, is_secure)?;
            }
            // The port is the URL's.
            let addresses = found.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}
