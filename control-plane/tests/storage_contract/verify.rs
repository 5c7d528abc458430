//! `verify` finds nothing in books that were kept, and names what is wrong in those that were not.

use creditgate::storage::{Reader, sqlite};
use creditgate::verify::verify;
use rusqlite::Connection;

use crate::desk::{Backend, Desk, Sqlite};
use crate::lively::lively;
use crate::tampering::{finds, tamper};

crate::on_every_backend!(
    books_that_were_kept_have_no_findings,
    an_empty_database_has_no_findings
);

fn an_empty_database_has_no_findings<B: Backend>(desk: Desk<B>) {
    assert_eq!(verify(desk.reader()).unwrap(), []);
}

fn books_that_were_kept_have_no_findings<B: Backend>(mut desk: Desk<B>) {
    for n in 0..3 {
        lively(&mut desk, &format!("customer {n}"));
    }
    assert_eq!(verify(desk.reader()).unwrap(), []);
    let desk = desk.reopen();
    assert_eq!(verify(desk.reader()).unwrap(), []);
}

#[test]
fn answer_that_is_none_is_found() {
    let answer = |fingerprint: &str, status: u16, body: &str| {
        format!(
            "INSERT INTO answer (principal, key, fingerprint, status, body, created_at) VALUES ('key_1', 'order 7', '{fingerprint}', {status}, CAST('{body}' AS BLOB), 0)"
        )
    };
    let whole = "0f".repeat(32);
    for sql in [
        answer("", 200, "{}"),
        answer(&"x".repeat(64), 200, "{}"),
        answer(&whole, 500, "{}"),
        answer(&whole, 200, ""),
    ] {
        finds(
            &sql,
            8,
            "the answer to key_1's key \"order 7\"",
            "fingerprint",
        );
    }
    let mut desk = Desk::<Sqlite>::new();
    lively(&mut desk, "acme");
    tamper(&desk, &answer(&whole, 201, "{}"));
    let reader = sqlite::open_reader(&desk.backend.path()).unwrap();
    assert_eq!(verify(&reader).unwrap(), []);
}

#[test]
fn unreadable_row_is_a_finding_and_others_are_still_checked() {
    let mut desk = Desk::<Sqlite>::new();
    lively(&mut desk, "acme");
    let other = lively(&mut desk, "other");
    let id = other
        .customer
        .0
        .to_be_bytes()
        .map(|byte| format!("{byte:02x}"))
        .concat();
    let sql = format!(
        "UPDATE lot SET kind = 'odd' WHERE wallet = (SELECT min(id) FROM wallet); UPDATE account SET lent = lent + 1 WHERE customer = x'{id}'"
    );
    tamper(&desk, &sql);
    let findings = verify(desk.reader()).unwrap();
    assert!(
        findings
            .iter()
            .any(|finding| finding.invariant == 9 && finding.problem.contains("kind")),
        "{findings:#?}"
    );
    assert!(
        findings
            .iter()
            .any(|finding| finding.subject == other.account.to_string()),
        "{findings:#?}"
    );
}

#[test]
fn torn_page_is_found() {
    let mut desk = Desk::<Sqlite>::new();
    lively(&mut desk, "acme");
    let path = desk.backend.path();
    Connection::open(&path)
        .unwrap()
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    let connection = Connection::open(&path).unwrap();
    let root: u64 = connection
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'lot_live'",
            [],
            |row| row.get(0),
        )
        .map(|root: i64| root.cast_unsigned())
        .unwrap();
    drop((connection, desk.backend.reader().clone()));
    let mut bytes = std::fs::read(&path).unwrap();
    let start = usize::try_from((root - 1) * 4096).unwrap();
    bytes[start + 4000..start + 4096].fill(0);
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("torn.db");
    std::fs::write(&copy, bytes).unwrap();
    let reader = sqlite::open_reader(&copy).unwrap();
    let findings = reader.self_check().unwrap();
    assert!(
        findings.iter().any(|finding| finding.invariant == 9),
        "{findings:#?}"
    );
}
