//! Connections for readers: a few, opened when first needed, handed out one look at a time.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use super::connection;
use super::registry::RegistryCache;
use crate::storage::StorageError;

/// Most connections; a look that finds all in use waits for one.
const READERS_MAX: usize = 8;

/// Where a look gets its connection from.
#[derive(Clone)]
pub(super) enum Source {
    /// Any connection that is idle.
    Pool(Arc<Pool>),
    /// The one that keeps a moment.
    Snapshot(Arc<Snapshot>),
}

impl Source {
    /// Looks, within one read transaction.
    pub(super) fn look<T>(
        &self,
        look: impl FnOnce(&Connection) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        match self {
            Self::Pool(pool) => look(pool.begin()?.connection()?),
            Self::Snapshot(snapshot) => {
                let borrowed = snapshot.0.lock().unwrap_or_else(PoisonError::into_inner);
                look(borrowed.connection()?)
            }
        }
    }

    /// The same database, all looks at one moment.
    pub(super) fn snapshot(&self) -> Result<Self, StorageError> {
        match self {
            Self::Pool(pool) => Ok(Self::Snapshot(Arc::new(Snapshot::begin(pool)?))),
            Self::Snapshot(snapshot) => Ok(Self::Snapshot(Arc::clone(snapshot))),
        }
    }
}

/// The connections of a database.
pub(super) struct Pool {
    path: PathBuf,
    idle: Mutex<Idle>,
    returned: Condvar,
    /// Shared with the writer.
    pub(super) registry: Arc<RegistryCache>,
}

#[derive(Default)]
struct Idle {
    connections: Vec<Connection>,
    /// Opened so far, handed out or not.
    opened: usize,
}

impl Pool {
    pub(super) fn new(path: PathBuf, registry: Arc<RegistryCache>) -> Arc<Self> {
        Arc::new(Self {
            path,
            idle: Mutex::default(),
            returned: Condvar::new(),
            registry,
        })
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection within a read transaction.
    pub(super) fn begin(self: &Arc<Self>) -> Result<Borrowed, StorageError> {
        let mut idle = self.idle();
        let connection = loop {
            if let Some(connection) = idle.connections.pop() {
                break Some(connection);
            }
            if idle.opened < READERS_MAX {
                idle.opened = idle.opened.saturating_add(1);
                break None;
            }
            idle = self
                .returned
                .wait(idle)
                .unwrap_or_else(PoisonError::into_inner);
        };
        drop(idle);
        // From here on the place among the opened is given back on every way out.
        let mut borrowed = Borrowed {
            pool: Arc::clone(self),
            connection,
        };
        let connection = match borrowed.connection.take() {
            Some(connection) => connection,
            None => connection::open_reader(&self.path)?,
        };
        connection.prepare_cached("BEGIN DEFERRED")?.execute([])?;
        borrowed.connection = Some(connection);
        Ok(borrowed)
    }
}

/// A connection that goes back to its pool.
pub(super) struct Borrowed {
    pool: Arc<Pool>,
    connection: Option<Connection>,
}

impl Borrowed {
    fn connection(&self) -> Result<&Connection, StorageError> {
        self.connection
            .as_ref()
            .ok_or_else(|| StorageError::Unavailable("the connection is gone".to_owned()))
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let ended = self.connection.take().filter(|connection| {
            let end = connection
                .prepare_cached("COMMIT")
                .and_then(|mut end| end.execute([]));
            end.is_ok() && connection.is_autocommit()
        });
        let mut idle = self.pool.idle();
        match ended {
            Some(connection) => idle.connections.push(connection),
            None => idle.opened = idle.opened.saturating_sub(1),
        }
        drop(idle);
        self.pool.returned.notify_one();
    }
}

/// One connection kept within one read transaction.
pub(super) struct Snapshot(Mutex<Borrowed>);

impl Snapshot {
    fn begin(pool: &Arc<Pool>) -> Result<Self, StorageError> {
        let borrowed = pool.begin()?;
        // The first read chooses the moment.
        borrowed
            .connection()?
            .prepare_cached("SELECT last_change FROM meta")?
            .exists([])?;
        Ok(Self(Mutex::new(borrowed)))
    }
}
