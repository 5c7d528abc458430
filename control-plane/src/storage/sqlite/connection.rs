//! Opening a database: settings of the connection, and migrations.
//!
//! WAL lets readers go on while the writer commits; `synchronous = FULL` makes a commit
//! that returned survive power loss. The schema's version is SQLite's `user_version`.

use std::path::Path;
use std::time::Duration;

use creditgate_ledger::Settings;
use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};

use super::{columns, upgrade};
use crate::storage::StorageError;

/// Brings the schema from one version to the next.
type Migration = fn(&Connection) -> Result<(), StorageError>;

/// Each from its place in the list.
const MIGRATIONS: [Migration; 9] = [
    |connection| {
        Ok(connection.execute_batch(include_str!("../../../migrations/sqlite/0001_books.sql"))?)
    },
    upgrade::to_credit_system,
    |connection| {
        Ok(connection.execute_batch(include_str!(
            "../../../migrations/sqlite/0003_customer_on_unavailable.sql"
        ))?)
    },
    |connection| {
        Ok(connection.execute_batch(include_str!(
            "../../../migrations/sqlite/0004_customer_pricing.sql"
        ))?)
    },
    |connection| {
        Ok(connection.execute_batch(include_str!(
            "../../../migrations/sqlite/0005_rate_card_versions.sql"
        ))?)
    },
    |connection| {
        Ok(connection.execute_batch(include_str!("../../../migrations/sqlite/0006_usage.sql"))?)
    },
    |connection| {
        Ok(connection.execute_batch(include_str!(
            "../../../migrations/sqlite/0007_pricing_versions.sql"
        ))?)
    },
    |connection| {
        Ok(connection.execute_batch(include_str!(
            "../../../migrations/sqlite/0008_usage_meters.sql"
        ))?)
    },
    |connection| {
        Ok(connection.execute_batch(include_str!(
            "../../../migrations/sqlite/0009_token_kinds.sql"
        ))?)
    },
];

/// Marks a file as Creditgate's: "crdg".
const APPLICATION_ID: i32 = 0x6372_6467;

/// How long a connection waits for another's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Statements kept prepared by each connection.
const STATEMENTS_MAX: usize = 256;

/// Opens the writer's connection; makes the database and brings its schema up to date.
pub(super) fn open_writer(path: &Path, epoch: u64) -> Result<Connection, StorageError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    prepare(&connection)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(StorageError::Unavailable(format!(
            "{} can't keep a write-ahead log",
            path.display()
        )));
    }
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA cache_size = -65536;
         PRAGMA wal_autocheckpoint = 4000;
         PRAGMA journal_size_limit = 67108864;",
    )?;
    // A table that is made anew is dropped and renamed, which foreign keys would forbid; they
    // can't be turned off within a transaction.
    connection.execute_batch("PRAGMA foreign_keys = OFF;")?;
    migrate(&mut connection, epoch)?;
    connection.execute_batch("PRAGMA foreign_keys = ON;")?;
    Ok(connection)
}

/// Opens a connection that only reads a database which exists.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StorageError> {
    // Not read-only to the file system: a reader of a write-ahead log keeps its index.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    prepare(&connection)?;
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -16384;")?;
    let version = version(&connection)?;
    if version != MIGRATIONS.len() {
        let problem = format!(
            "its schema is of version {version}, this program's is {}",
            MIGRATIONS.len()
        );
        return Err(StorageError::Corrupt(problem));
    }
    Ok(connection)
}

fn prepare(connection: &Connection) -> Result<(), StorageError> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.execute_batch("PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;")?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    rusqlite::vtab::array::load_module(connection)?;
    Ok(())
}

fn version(connection: &Connection) -> Result<usize, StorageError> {
    let application: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if application != APPLICATION_ID && (application, version) != (0, 0) {
        return Err(StorageError::Corrupt(
            "the file is a database of another program".to_owned(),
        ));
    }
    usize::try_from(version).map_err(|_| StorageError::Corrupt(format!("schema version {version}")))
}

fn migrate(connection: &mut Connection, epoch: u64) -> Result<(), StorageError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = version(&transaction)?;
    if version > MIGRATIONS.len() {
        let problem = format!(
            "its schema is of version {version}, newer than this program's {}",
            MIGRATIONS.len()
        );
        return Err(StorageError::Corrupt(problem));
    }
    for migration in MIGRATIONS.iter().skip(version) {
        migration(&transaction)?;
    }
    if version < MIGRATIONS.len() {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(
            None,
            "user_version",
            i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX),
        )?;
    }
    transaction.execute(
        "INSERT INTO meta (id, epoch, config_version, registry_version, last_change, settings)
         VALUES (1, ?1, 0, 0, 0, ?2) ON CONFLICT DO NOTHING",
        params![epoch.cast_signed(), columns::json(&Settings::default())?],
    )?;
    transaction.commit()?;
    Ok(())
}
