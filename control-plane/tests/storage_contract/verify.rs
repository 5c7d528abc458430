//! `verify` finds nothing in books that were kept, and names what is wrong in those that were not.

use creditgate::storage::{Reader, sqlite};
use creditgate::verify::verify;
use creditgate_core::amount::Amount;
use creditgate_core::lease::LeaseNumber;
use creditgate_ledger::id::InstanceId;
use creditgate_ledger::lease::QuarantineCause;
use creditgate_ledger::{ResolutionKind, Timestamp, Wallet, quarantine, top_up};
use rusqlite::Connection;

use crate::desk::{Backend, Desk, Sqlite};

crate::on_every_backend!(
    books_that_were_kept_have_no_findings,
    an_empty_database_has_no_findings
);

const ONE: InstanceId = InstanceId(1);

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

/// Top-ups, use, turning, expiry, a void, debt and its repayment, quarantine resolved either way, late reports.
fn lively<B: Backend>(desk: &mut Desk<B>, name: &str) -> Wallet {
    desk.registry.settings.overrun_max = Amount::new(1_000_000);
    let wallet = desk.funded(name);
    let customer = wallet.customer;
    let expiry = desk.now.plus_ms(10_000);
    desk.top_up_dated(&wallet, 300, None, Some(expiry.0));
    let voided = desk.top_up(&wallet, 200);
    let first = desk.lend(&wallet, ONE, 5, 250);
    desk.report(&first, customer, 120, 130, None);
    let silent = desk.lend(&wallet, ONE, 6, 100);
    desk.decide(customer, |book, journal, context| {
        top_up::void(book, journal, context, voided.id, "by mistake").unwrap()
    });
    for (number, kind) in [
        (6_u32, ResolutionKind::Release),
        (7, ResolutionKind::Consume),
        (8, ResolutionKind::Release),
    ] {
        if number > 6 {
            desk.lend(&wallet, InstanceId(number.into()), number.into(), 60);
        }
        let instance = if number > 6 {
            InstanceId(number.into())
        } else {
            ONE
        };
        let lease = desk.lease(&wallet, instance, number.into());
        desk.report(&lease, customer, 10, 0, None);
        desk.decide(customer, |book, journal, context| {
            let place = book.account_place(wallet.account).unwrap();
            let lease = book
                .lease_place(wallet.account, instance, LeaseNumber(number.into()))
                .unwrap();
            quarantine::set_aside(
                book,
                journal,
                context,
                place,
                lease,
                QuarantineCause::InstanceSilent,
            );
            let id = book.leases[lease].id;
            if number < 8 {
                quarantine::resolve(book, journal, context, id, kind, "looked at the access log")
                    .unwrap();
            }
        });
        if number < 8 {
            desk.report(&lease, customer, 25, 0, None);
        }
    }
    assert_eq!(silent.number, LeaseNumber(6));
    desk.now = Timestamp(expiry.0 + 1);
    let last = desk.lend(&wallet, InstanceId(9), 9, 30);
    desk.report(&last, customer, 2_000, 0, None);
    assert!(
        !desk.book(customer).accounts[0].balances.owed().is_zero(),
        "something is owed"
    );
    desk.top_up(&wallet, 5_000);
    wallet
}

/// Changes a database behind its back; what may not be changed is first made changeable.
fn tamper(desk: &Desk<Sqlite>, sql: &str) {
    let connection = Connection::open(desk.backend.path()).unwrap();
    for table in ["entry", "posting", "draw"] {
        let drop = format!(
            "DROP TRIGGER IF EXISTS {table}_is_not_changed; DROP TRIGGER IF EXISTS {table}_is_not_deleted;"
        );
        connection.execute_batch(&drop).unwrap();
    }
    connection
        .execute_batch(&format!(
            "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON; {sql}"
        ))
        .unwrap();
}

/// Tampers, and checks that a finding of this invariant speaks of it.
fn finds(sql: &str, invariant: u8, subject: &str, problem: &str) {
    let mut desk = Desk::<Sqlite>::new();
    lively(&mut desk, "acme");
    tamper(&desk, sql);
    let reader = sqlite::open_reader(&desk.backend.path()).unwrap();
    let findings = verify(&reader).unwrap();
    let named = findings.iter().any(|finding| {
        finding.invariant == invariant
            && finding.subject.starts_with(subject)
            && finding.problem.contains(problem)
    });
    assert!(
        named,
        "{sql}\nexpected {invariant} {subject}… {problem:?}, found {findings:#?}"
    );
}

#[test]
fn changed_posting_is_found() {
    let sql = "UPDATE posting SET amount = amount + 1 WHERE line = 1 AND entry = (SELECT max(entry) FROM posting)";
    finds(sql, 1, "ent_", "postings sum to 1");
    finds(sql, 1, "acc_", "but its postings sum to");
}

#[test]
fn removed_entry_is_found() {
    let last = "(SELECT max(number) FROM entry WHERE kind = 'usage')";
    let sql = format!(
        "DELETE FROM posting WHERE entry = {last}; DELETE FROM draw WHERE entry = {last}; DELETE FROM entry WHERE number = {last};"
    );
    finds(&sql, 1, "acc_", "its balance of spent");
    finds(&sql, 11, "lse_", "was booked as spent");
    finds(
        &format!("DELETE FROM entry WHERE number = {last}"),
        1,
        "table posting",
        "name a entry that is not there",
    );
}

#[test]
fn changed_balance_is_found() {
    finds(
        "UPDATE account SET spent = spent + 5",
        1,
        "acc_",
        "its balance of spent",
    );
    finds(
        "UPDATE account SET spent = spent + 5",
        1,
        "acc_",
        "do not sum to zero",
    );
    finds(
        "UPDATE account SET available = -1",
        2,
        "acc_",
        "its balance of available is -1",
    );
}

#[test]
fn changed_lot_is_found() {
    let live = "WHERE id = (SELECT max(id) FROM lot)";
    finds(
        &format!("UPDATE lot SET free = free - 1, spent = spent + 1 {live}"),
        7,
        "lot_",
        "by the journal's draws",
    );
    finds(
        &format!("UPDATE lot SET free = free + 1 {live}"),
        2,
        "lot_",
        "do not sum to its amount",
    );
    finds(
        &format!("UPDATE lot SET pinned = pinned + 1, free = free - 1 {live}"),
        7,
        "lot_",
        "leases have pinned",
    );
    let past = "WHERE id = (SELECT min(id) FROM lot WHERE live = 0)";
    finds(
        &format!("UPDATE lot SET spent = spent - 1 {past}"),
        2,
        "lot_",
        "do not sum to its amount",
    );
}

#[test]
fn removed_rows_are_found() {
    finds(
        "DELETE FROM lot WHERE live = 0",
        7,
        "lot_",
        "the customer has no such lot",
    );
    finds(
        "DELETE FROM lease WHERE live = 0",
        3,
        "lse_",
        "the customer has no such lease",
    );
    finds(
        "DELETE FROM wallet",
        2,
        "lot_",
        "not a wallet of that account",
    );
    finds(
        "DELETE FROM customer",
        2,
        "table account",
        "name a customer that is not there",
    );
}

#[test]
fn changed_lease_is_found() {
    finds(
        "UPDATE lease SET settled = settled + 1, reserved = reserved + 1 WHERE number = 5",
        11,
        "lse_",
        "settled counter",
    );
    finds(
        "UPDATE lease SET settled = settled + 1 WHERE number = 5",
        4,
        "lse_",
        "out of order",
    );
    finds(
        "UPDATE lease SET pins = '[]' WHERE state = 'quarantined'",
        7,
        "lse_",
        "pins do not sum",
    );
    finds(
        "UPDATE lease SET granted = granted + 1 WHERE number = 9",
        3,
        "lse_",
        "out, but by the journal",
    );
    finds(
        "UPDATE lease SET newest = 1, live = 1 WHERE number = 5",
        5,
        "lse_",
        "both the newest",
    );
    finds(
        "UPDATE lease SET live = 0 WHERE state = 'quarantined'",
        9,
        "the database file",
        "CHECK constraint failed in lease",
    );
    finds(
        "UPDATE lease SET change_no = 999999 WHERE number = 9",
        5,
        "table lease",
        "999999",
    );
}

#[test]
fn changed_draw_is_found() {
    finds(
        "UPDATE draw SET amount = amount + 100000",
        7,
        "ent_",
        "draws",
    );
}

#[test]
fn credit_lent_out_of_its_time_is_found() {
    let lent = "WHERE id IN (SELECT lot FROM draw JOIN entry ON entry.account = draw.account AND entry.number = draw.entry WHERE kind = 'lending')";
    finds(
        &format!("UPDATE lot SET effective_at = effective_at + 100000 {lent}"),
        6,
        "ent_",
        "before it was effective",
    );
    // The very instant is too late.
    finds(
        &format!(
            "UPDATE lot SET expires_at = (SELECT min(booked_at) FROM entry WHERE kind = 'lending') {lent}"
        ),
        6,
        "ent_",
        "after its expiry",
    );
    finds(
        &format!("UPDATE lot SET voided_at = 1 {lent}"),
        6,
        "ent_",
        "after it was voided",
    );
}

#[test]
fn draws_out_of_burn_order_are_found() {
    let mut desk = Desk::<Sqlite>::new();
    let wallet = desk.funded("acme");
    let expiry = desk.now.plus_ms(10_000);
    let first = desk.top_up_dated(&wallet, 300, None, Some(expiry.0));
    desk.lend(&wallet, ONE, 5, 500);
    assert_eq!(verify(desk.reader()).unwrap(), []);
    tamper(
        &desk,
        "UPDATE lot SET priority = 1000 WHERE expires_at IS NOT NULL",
    );
    let reader = sqlite::open_reader(&desk.backend.path()).unwrap();
    let findings = verify(&reader).unwrap();
    let [finding] = findings.as_slice() else {
        panic!("{findings:#?}")
    };
    assert_eq!(finding.invariant, 7);
    assert!(
        finding
            .problem
            .starts_with(&format!("it takes {} before", first.id)),
        "{findings:#?}"
    );
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
