//! Writing a change set within the transaction that loaded it: only rows that differ.

use creditgate_ledger::Book;
use creditgate_ledger::grant::Schedule;
use rusqlite::{Connection, params};

use super::books::last_change;
use super::columns::write_one;
use super::{
    audit, claim, grant, journal, lease, lot, party, pricing, registry, subscription, usage,
    wallet, webhook,
};
use crate::storage::diff::changed;
use crate::storage::{BookChange, ChangeSet, FORGET_MAX, StorageError};

/// Writes; answers the largest change number.
pub(super) fn write(connection: &Connection, changes: &ChangeSet) -> Result<u64, StorageError> {
    if let Some((before, after)) = &changes.registry {
        registry::write(connection, before, after)?;
    }
    // Keys leave all books before any book takes one up: a moved key keeps id and hash.
    for change in &changes.books {
        forget_keys(connection, change)?;
    }
    let given = last_change(connection)?;
    let mut last = given;
    for BookChange { before, after } in &changes.books {
        write_book(connection, before.as_ref(), after, &mut last)?;
    }
    if last != given {
        write_one(
            connection,
            "UPDATE meta SET last_change = ?1",
            params![last.cast_signed()],
        )?;
    }
    for entry in &changes.entries {
        journal::write(connection, entry)?;
    }
    tell(connection, changes)?;
    for (key, answer) in &changes.answers {
        let sql = "INSERT INTO answer (principal, key, fingerprint, status, body, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let values = params![
            key.principal,
            key.key,
            answer.fingerprint,
            answer.status,
            answer.body,
            answer.created_at.0
        ];
        write_one(connection, sql, values)?;
    }
    if let Some(before) = changes.forget_answers_before {
        let sql = "DELETE FROM answer WHERE rowid IN (SELECT rowid FROM answer WHERE created_at < ?1 LIMIT ?2)";
        connection.prepare_cached(sql)?.execute(params![
            before.0,
            i64::try_from(FORGET_MAX).unwrap_or(i64::MAX)
        ])?;
    }
    if let Some(before) = changes.forget_events_before {
        webhook::forget_events(connection, before)?;
    }
    usage::write(connection, &changes.usage)?;
    if let Some(forget) = changes.forget_usage {
        usage::forget(connection, forget)?;
    }
    Ok(last)
}

/// Writes what is told of the changes: to endpoints, and in the log of who changed what.
fn tell(connection: &Connection, changes: &ChangeSet) -> Result<(), StorageError> {
    for event in &changes.events {
        webhook::write_event(connection, event)?;
    }
    for delivery in &changes.deliveries {
        webhook::write_delivery(connection, delivery)?;
    }
    for attempt in &changes.attempts {
        webhook::write_attempt(connection, attempt)?;
    }
    for record in &changes.audit {
        audit::write(connection, record)?;
    }
    Ok(())
}

fn forget_keys(connection: &Connection, change: &BookChange) -> Result<(), StorageError> {
    let before = change.before.iter().flat_map(|before| &before.keys);
    for key in before.filter(|key| change.after.keys.iter().all(|kept| kept.id != key.id)) {
        party::remove_key(connection, key.id)?;
    }
    Ok(())
}

fn write_book(
    connection: &Connection,
    before: Option<&Book>,
    after: &Book,
    last: &mut u64,
) -> Result<(), StorageError> {
    let customer = after.customer.id;
    if before.is_none_or(|before| before.customer != after.customer) {
        party::write_customer(connection, before.is_none(), &after.customer)?;
    }
    // A customer who is new had a book with nothing in it.
    let nothing = Book::of(after.customer.clone());
    let before = before.unwrap_or(&nothing);
    pricing::write(connection, before, after)?;
    for (old, row) in changed(&before.accounts, &after.accounts, |row| row.id) {
        party::write_account(connection, old, row)?;
    }
    for (old, row) in changed(&before.wallets, &after.wallets, |row| row.id) {
        wallet::write_wallet(connection, old.is_none(), row)?;
    }
    for (old, row) in changed(&before.lots, &after.lots, |row| row.id) {
        lot::write_lot(connection, customer, old, row)?;
    }
    for (old, row) in changed(&before.leases, &after.leases, |row| row.id) {
        let pushed = row.pushes != old.map_or(0, |old| old.pushes);
        *last = last.saturating_add(u64::from(pushed));
        lease::write_lease(connection, old, row, pushed.then_some(*last))?;
    }
    for (old, row) in changed(&before.keys, &after.keys, |row| row.id) {
        party::write_key(connection, old.is_none(), row)?;
    }
    for (old, row) in changed(&before.claims, &after.claims, |row| row.id) {
        claim::write(connection, customer, old.is_none(), row)?;
    }
    write_terms(connection, before, after)
}

/// What the customer is entitled to.
fn write_terms(connection: &Connection, before: &Book, after: &Book) -> Result<(), StorageError> {
    let customer = after.customer.id;
    for (old, row) in changed(&before.subscriptions, &after.subscriptions, |row| row.id) {
        subscription::write(connection, old.is_none(), row)?;
    }
    for (old, row) in changed(&before.grants, &after.grants, |row| row.id) {
        grant::write(connection, Some(customer), old.is_none(), row)?;
    }
    let place = |row: &Schedule| (row.grant, row.subscription);
    for (_, row) in changed(&before.schedules, &after.schedules, place) {
        grant::write_schedule(connection, customer, row)?;
    }
    for (old, row) in changed(&before.applications, &after.applications, |row| row.id) {
        grant::write_application(connection, old.is_none(), row)?;
    }
    Ok(())
}
