//! What only SQLite has: a file, which others may have written, and rows that may be wrong.

use creditgate::storage::{
    CustomerFilter, PageRequest, Reader, Storage, StorageError, Target, sqlite,
};
use creditgate_ledger::id::InstanceId;
use rusqlite::Connection;

use crate::desk::{Backend, Desk, Sqlite};
use crate::world::World;

fn raw(desk: &Desk<Sqlite>) -> Connection {
    Connection::open(desk.backend.path()).unwrap()
}

#[test]
fn only_rows_that_differ_are_written() {
    let mut desk = Desk::<Sqlite>::new();
    let wallet = desk.funded("acme");
    let lease = desk.lend(&wallet, InstanceId(1), 5, 100);
    desk.report(&lease, wallet.customer, 10, 0, None);
    // A write of any row that the next report does not change fails.
    for table in [
        "customer",
        "wallet",
        "consumer_key",
        "meta",
        "instance",
        "rate_card",
    ] {
        let sql = format!(
            "CREATE TRIGGER guard_{table} BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT, 'written'); END"
        );
        raw(&desk).execute_batch(&sql).unwrap();
    }
    desk.report(&lease, wallet.customer, 20, 0, None);
    assert_eq!(
        desk.lease(&wallet, InstanceId(1), 5).counters.settled.get(),
        20
    );
}

#[test]
fn journal_refuses_updates_and_deletes() {
    let mut desk = Desk::<Sqlite>::new();
    let wallet = desk.funded("acme");
    let lease = desk.lend(&wallet, InstanceId(1), 5, 100);
    desk.report(&lease, wallet.customer, 10, 0, None);
    let connection = raw(&desk);
    for table in ["entry", "posting", "draw"] {
        let rows: i64 = connection
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                row.get(0)
            })
            .unwrap();
        assert!(rows > 0);
        for sql in [
            format!("UPDATE {table} SET account = account"),
            format!("DELETE FROM {table}"),
        ] {
            let error = connection.execute(&sql, []).unwrap_err().to_string();
            assert!(error.contains("append-only"), "{sql}: {error}");
        }
    }
}

#[test]
fn what_was_told_and_who_changed_what_is_never_changed() {
    let mut desk = Desk::<Sqlite>::new();
    World::make(&mut desk, 51, true);
    let connection = raw(&desk);
    for sql in [
        "UPDATE audit SET actor = 'someone else'",
        "DELETE FROM audit",
        "UPDATE event SET data = '{}'",
        "UPDATE attempt SET status = 200",
    ] {
        let error = connection.execute(sql, []).unwrap_err().to_string();
        let says = ["append-only", "never changed"];
        assert!(
            says.iter().any(|words| error.contains(words)),
            "{sql}: {error}"
        );
    }
}

#[test]
fn live_flag_can_not_contradict_its_row() {
    let mut desk = Desk::<Sqlite>::new();
    desk.funded("acme");
    assert!(raw(&desk).execute("UPDATE lot SET live = 0", []).is_err());
    // A lot that waits for its payment is live, and so is a credit limit that is used up.
    let used = "free = 0, pinned = 0, spent = amount";
    for sql in [
        "free = 0, unpaid = amount, live = 0".to_owned(),
        format!("{used}, kind = 'credit_line', live = 0"),
        format!("{used}, live = 1"),
        format!("{used}, kind = 'credit_line', voided_at = 1, live = 1"),
    ] {
        let refused = raw(&desk).execute(&format!("UPDATE lot SET {sql}"), []);
        assert!(refused.is_err(), "{sql}");
    }
}

#[test]
fn reader_needs_a_database_that_exists() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.db");
    assert!(matches!(
        sqlite::open_reader(&path),
        Err(StorageError::Unavailable(_))
    ));
    assert!(!path.exists());
}

#[test]
fn reader_looks_at_a_database_that_is_being_written() {
    let mut desk = Desk::<Sqlite>::new();
    let reader = sqlite::open_reader(&desk.backend.path()).unwrap();
    desk.customer("acme");
    desk.load(&[Target::ExternalId("acme".to_owned())]);
    assert_eq!(
        reader
            .customers(CustomerFilter::default(), PageRequest::first(9))
            .unwrap()
            .items
            .len(),
        1
    );
    desk.backend.writer().abandon();
}

#[test]
fn file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text.db");
    std::fs::write(
        &path,
        "This is not a database, it is a letter of some length. ".repeat(40),
    )
    .unwrap();
    assert!(matches!(
        sqlite::open(&path, 1).err(),
        Some(StorageError::Corrupt(_))
    ));
}

#[test]
fn database_of_another_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    Connection::open(&path)
        .unwrap()
        .execute_batch("PRAGMA application_id = 7; CREATE TABLE t (x);")
        .unwrap();
    let error = sqlite::open(&path, 1).err().unwrap().to_string();
    assert!(error.contains("another program"), "{error}");
}

#[test]
fn newer_schema_is_refused_and_left_alone() {
    let desk = Desk::<Sqlite>::new();
    raw(&desk)
        .execute_batch("PRAGMA user_version = 99")
        .unwrap();
    let path = desk.backend.path();
    let error = sqlite::open(&path, 1).err().unwrap().to_string();
    assert!(error.contains("99"), "{error}");
    assert!(sqlite::open_reader(&path).is_err());
}

#[test]
fn row_that_can_not_be_read_is_named() {
    let mut desk = Desk::<Sqlite>::new();
    let customer = desk.customer("acme").id;
    let spoil = |sql: &str| raw(&desk).execute_batch(sql).unwrap();
    spoil("UPDATE customer SET status = 'happy'");
    let error = desk.reader().book(&Target::Customer(customer)).unwrap_err();
    let id = customer.to_string();
    let digits = id.trim_start_matches("cus_");
    assert!(
        matches!(&error, StorageError::Corrupt(what) if what.contains("status") && what.contains(digits)),
        "{error}"
    );
    spoil("UPDATE customer SET status = 'active', metadata = '{'");
    let error = desk.reader().book(&Target::Customer(customer)).unwrap_err();
    assert!(
        matches!(&error, StorageError::Corrupt(what) if what.contains("metadata")),
        "{error}"
    );
    // The reader and the writer go on with other rows.
    desk.customer("other");
    assert!(
        desk.reader()
            .book(&Target::ExternalId("other".to_owned()))
            .unwrap()
            .is_some()
    );
}

#[test]
fn more_looks_than_connections_wait_for_one() {
    let mut desk = Desk::<Sqlite>::new();
    desk.customer("acme");
    let reader = desk.reader().clone();
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(
                        reader
                            .customers(CustomerFilter::default(), PageRequest::first(9))
                            .unwrap()
                            .items
                            .len(),
                        1
                    );
                }
            });
        }
    });
}

#[test]
fn database_is_durable_and_written_ahead() {
    let desk = Desk::<Sqlite>::new();
    let mode: String = raw(&desk)
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
}
