//! Whose the targets of a batch are: one statement for each kind of target, however many.

use std::collections::HashMap;
use std::rc::Rc;

use creditgate_ledger::id::CustomerId;
use rusqlite::types::Value;
use rusqlite::{Connection, params};

use super::columns::list;
use crate::storage::{StorageError, Target};

/// The statement that finds a kind of target, with what each is found by.
fn lookup(target: &Target) -> (&'static str, Value) {
    let id = |id: u128| Value::Blob(id.to_be_bytes().to_vec());
    let name = |name: &String| Value::Text(name.clone());
    match target {
        Target::Customer(of) => ("SELECT id, id FROM customer WHERE id IN rarray(?1)", id(of.0)),
        Target::ExternalId(of) => (
            "SELECT external_id, id FROM customer WHERE external_id IN rarray(?1)",
            name(of),
        ),
        Target::Account(of) => ("SELECT id, customer FROM account WHERE id IN rarray(?1)", id(of.0)),
        Target::Wallet(of) => ("SELECT id, customer FROM wallet WHERE id IN rarray(?1)", id(of.0)),
        Target::WalletName(of) => (
            "SELECT external_id, customer FROM wallet WHERE external_id IN rarray(?1)",
            name(of),
        ),
        Target::Lot(of) => ("SELECT id, customer FROM lot WHERE id IN rarray(?1)", id(of.0)),
        Target::LotName(of) => (
            "SELECT external_id, customer FROM lot WHERE external_id IN rarray(?1)",
            name(of),
        ),
        Target::Lease(of) => (
            "SELECT lease.id, account.customer FROM lease JOIN account ON account.id = lease.account
             WHERE lease.id IN rarray(?1)",
            id(of.0),
        ),
        Target::Credential(of) => (
            "SELECT hash, customer FROM consumer_key WHERE hash IN rarray(?1) AND revoked_at IS NULL",
            Value::Blob(of.as_bytes().to_vec()),
        ),
        Target::Key(of) => (
            "SELECT id, customer FROM consumer_key WHERE id IN rarray(?1) AND revoked_at IS NULL",
            id(of.0),
        ),
        Target::Claim(of) => ("SELECT id, customer FROM claim WHERE id IN rarray(?1)", id(of.0)),
        Target::Subscription(of) => (
            "SELECT id, customer FROM subscription WHERE id IN rarray(?1)",
            id(of.0),
        ),
        Target::SubscriptionName(of) => (
            "SELECT external_id, customer FROM subscription WHERE external_id IN rarray(?1)",
            name(of),
        ),
        Target::Grant(of) => (
            "SELECT id, customer FROM credit_grant WHERE id IN rarray(?1) AND customer IS NOT NULL",
            id(of.0),
        ),
        Target::GrantName(of) => (
            "SELECT external_id, customer FROM credit_grant WHERE external_id IN rarray(?1) AND customer IS NOT NULL",
            name(of),
        ),
        Target::Application(of) => (
            "SELECT id, customer FROM grant_application WHERE id IN rarray(?1)",
            id(of.0),
        ),
    }
}

fn bytes(value: &Value) -> &[u8] {
    match value {
        Value::Blob(bytes) => bytes,
        Value::Text(text) => text.as_bytes(),
        Value::Null | Value::Integer(_) | Value::Real(_) => &[],
    }
}

/// The customers behind those targets that exist.
pub(super) fn owners<'t>(
    connection: &Connection,
    targets: impl Iterator<Item = &'t Target>,
) -> Result<HashMap<&'t Target, CustomerId>, StorageError> {
    let mut lookups: HashMap<&'static str, Vec<(&Target, Value)>> = HashMap::new();
    for target in targets {
        let (sql, value) = lookup(target);
        lookups.entry(sql).or_default().push((target, value));
    }
    let mut owners = HashMap::new();
    for (sql, wanted) in lookups {
        let values: Vec<Value> = wanted.iter().map(|(_, value)| value.clone()).collect();
        let found = list(connection, sql, params![Rc::new(values)], |columns| {
            let key: Value = columns.value()?;
            Ok((bytes(&key).to_vec(), CustomerId(columns.id()?)))
        })?;
        let found: HashMap<Vec<u8>, CustomerId> = found.into_iter().collect();
        for (target, value) in wanted {
            let owner = found.get(bytes(&value));
            owners.extend(owner.map(|customer| (target, *customer)));
        }
    }
    Ok(owners)
}

/// The customer behind one target.
pub(super) fn owner(
    connection: &Connection,
    target: &Target,
) -> Result<Option<CustomerId>, StorageError> {
    Ok(owners(connection, std::iter::once(target))?.remove(target))
}
