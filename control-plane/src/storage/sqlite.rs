//! Storage in SQLite: one file, one writer, readers beside it.
//!
//! A unit of work is one transaction: `BEGIN IMMEDIATE` when it loads, `COMMIT` when it is
//! written, with the disk's word for it (`synchronous = FULL`) before a commit returns.
//! Readers have connections of their own and see what was committed; the write-ahead log
//! keeps the two out of each other's way.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use creditgate_ledger::id::CustomerId;
use rusqlite::{Connection, params};

use super::{ChangeSet, LoadPlan, Loaded, Storage, StorageError, StoredAnswer, Target};
use pool::Pool;
pub use reads::SqliteReader;
use registry::RegistryCache;

mod audit;
mod books;
mod check;
mod claim;
mod columns;
mod commit;
mod connection;
mod due;
mod error;
mod grant;
mod journal;
mod lease;
mod listing;
mod lot;
mod owner;
mod party;
#[cfg(test)]
mod plans;
mod pool;
mod pricing;
mod reads;
mod registry;
mod subscription;
mod upgrade;
mod usage;
mod wallet;
mod webhook;

/// The writing side of a database.
pub struct SqliteStorage {
    connection: Connection,
    registry: Arc<RegistryCache>,
}

/// Opens a database for writing and reading; makes it, under this epoch, if there is none.
///
/// # Errors
/// [`StorageError`]: the file can't be opened, is no database of Creditgate's, or is of a newer version.
pub fn open(path: &Path, epoch: u64) -> Result<(SqliteStorage, SqliteReader), StorageError> {
    let connection = connection::open_writer(path, epoch)?;
    let registry = Arc::new(RegistryCache::default());
    let pool = Pool::new(path.to_owned(), Arc::clone(&registry));
    Ok((
        SqliteStorage {
            connection,
            registry,
        },
        SqliteReader::new(pool),
    ))
}

/// Opens a database that exists, to read only; a service may be running on it.
///
/// # Errors
/// [`StorageError`], as of [`open`], and if there is no such database.
pub fn open_reader(path: &Path) -> Result<SqliteReader, StorageError> {
    let pool = Pool::new(path.to_owned(), Arc::default());
    // Whatever is wrong shows at once, not at the first look.
    drop(pool.begin()?);
    Ok(SqliteReader::new(pool))
}

impl SqliteStorage {
    fn begin(&self) -> Result<(), StorageError> {
        self.connection
            .prepare_cached("BEGIN IMMEDIATE")?
            .execute([])?;
        Ok(())
    }

    fn end(&self) {
        if self.connection.is_autocommit() {
            return;
        }
        let ended = self
            .connection
            .prepare_cached("ROLLBACK")
            .and_then(|mut end| end.execute([]));
        if let Err(error) = ended {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
    }

    fn read(&self, plan: &LoadPlan) -> Result<Loaded, StorageError> {
        let connection = &self.connection;
        let mut loaded = Loaded {
            registry: self.registry.read(connection)?,
            ..Loaded::default()
        };
        let mut customers: Vec<CustomerId> = Vec::new();
        let mut place_of: HashMap<CustomerId, usize> = HashMap::new();
        let owners = owner::owners(connection, plan.targets.iter())?;
        for target in &plan.targets {
            let Some(customer) = owners.get(target).copied() else {
                continue;
            };
            let place = *place_of.entry(customer).or_insert_with(|| {
                customers.push(customer);
                customers.len().saturating_sub(1)
            });
            loaded.places.insert(target.clone(), place);
        }
        loaded.books = books::read(connection, &customers)?;
        if loaded.books.len() != customers.len() {
            return Err(StorageError::Corrupt(
                "a row belongs to a customer who is not there".to_owned(),
            ));
        }
        self.add_reported(plan, &mut loaded)?;
        for target in &plan.targets {
            if let Target::Application(id) = target {
                let row = grant::application(connection, *id)?;
                row.into_iter().for_each(|row| loaded.add_application(row));
            }
        }
        loaded.usage = usage::known(connection, &plan.usage)?;
        for key in &plan.idempotency {
            let sql = "SELECT fingerprint, status, body, created_at FROM answer WHERE principal = ?1 AND key = ?2";
            let answer = columns::first(
                connection,
                sql,
                params![key.principal, key.key],
                |columns| {
                    Ok(StoredAnswer {
                        fingerprint: columns.value()?,
                        status: columns.value()?,
                        body: columns.value()?,
                        created_at: columns.time()?,
                    })
                },
            )?;
            loaded
                .answers
                .extend(answer.map(|answer| (key.clone(), answer)));
        }
        Ok(loaded)
    }

    fn add_reported(&self, plan: &LoadPlan, loaded: &mut Loaded) -> Result<(), StorageError> {
        let mut place_of = HashMap::new();
        for (place, book) in loaded.books.iter().enumerate() {
            place_of.extend(book.accounts.iter().map(|account| (account.id, place)));
        }
        for named in &plan.reported {
            let book = place_of
                .get(&named.account)
                .and_then(|place| loaded.books.get_mut(*place));
            let Some(book) = book else { continue };
            if book
                .lease_place(named.account, named.instance, named.number)
                .is_some()
            {
                continue;
            }
            let Some(lease) = books::past_lease(&self.connection, named)? else {
                continue;
            };
            if let Err(at) = book
                .leases
                .binary_search_by_key(&lease.id, |known| known.id)
            {
                book.leases.insert(at, lease);
            }
        }
        Ok(())
    }
}

impl Storage for SqliteStorage {
    fn load(&mut self, plan: &LoadPlan) -> Result<Loaded, StorageError> {
        self.end();
        self.begin()?;
        let loaded = self.read(plan);
        if loaded.is_err() {
            self.end();
        }
        loaded
    }

    fn commit(&mut self, changes: &ChangeSet) -> Result<u64, StorageError> {
        if self.connection.is_autocommit() {
            self.begin()?;
        }
        let written = commit::write(&self.connection, changes).and_then(|last| {
            self.connection.prepare_cached("COMMIT")?.execute([])?;
            Ok(last)
        });
        self.end();
        written
    }

    fn abandon(&mut self) {
        self.end();
    }
}
