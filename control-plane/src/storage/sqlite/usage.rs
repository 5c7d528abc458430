//! Rows of usage detail, and what of them each source has told.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::LazyLock;

use creditgate_core::detail::Counts;
use creditgate_core::key::CredentialHash;
use creditgate_ledger::id::{AccountId, CustomerId, KeyId};
use creditgate_ledger::usage::{
    Batch, Booked, Day, Known, MODELS_A_DAY_MAX, Models, Total, UsageRow,
};
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

use super::columns::{first, ids, list};
use crate::storage::{FORGET_MAX, ForgetUsage, StorageError};

mod sums;

#[cfg(test)]
pub(super) use sums::add_units;
pub(super) use sums::page;
use sums::read_sum;

/// What tells rows apart.
const ROW: &str = "account, day, model, rule, key, rate_card, card_version, status, settled_by";

/// The columns that are summed up.
fn sums() -> impl Iterator<Item = &'static str> {
    std::iter::once("cost").chain(Counts::NAMES)
}

/// A sum that stops at the largest number: SQLite would make it a float, which the column refuses.
fn grown(column: &str) -> String {
    let largest = i64::MAX;
    format!(
        "{column} = CASE WHEN {column} > {largest} - excluded.{column} THEN {largest} ELSE {column} + excluded.{column} END"
    )
}

static ADD: LazyLock<String> = LazyLock::new(|| {
    let columns: Vec<&str> = sums().collect();
    let places: Vec<String> = (11..11 + columns.len())
        .map(|place| format!("?{place}"))
        .collect();
    let grown: Vec<String> = sums().map(grown).collect();
    format!(
        "INSERT INTO usage_detail ({ROW}, customer, {})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, {})
         ON CONFLICT DO UPDATE SET {}",
        columns.join(", "),
        places.join(", "),
        grown.join(", ")
    )
});

static ADD_UNITS: LazyLock<String> = LazyLock::new(|| {
    let grown = grown("metered");
    format!(
        "INSERT INTO usage_meter ({ROW}, meter, metered) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT DO UPDATE SET {grown}"
    )
});

static ADD_TO_TOTAL: LazyLock<String> = LazyLock::new(|| {
    let grown = grown("cost");
    format!(
        "INSERT INTO usage_total (account, cost, forgotten) VALUES (?1, ?2, 0) ON CONFLICT DO UPDATE SET {grown}"
    )
});

static FORGET_IN_TOTAL: LazyLock<String> = LazyLock::new(|| {
    let grown = grown("forgotten");
    format!(
        "INSERT INTO usage_total (account, cost, forgotten) VALUES (?1, 0, ?2) ON CONFLICT DO UPDATE SET {grown}"
    )
});

/// Writes batches that are new.
pub(super) fn write(connection: &Connection, batches: &[Booked]) -> Result<(), StorageError> {
    for batch in batches {
        for row in &batch.rows {
            add(connection, row)?;
        }
        let sql =
            "INSERT INTO usage_source (instance, worker, number, heard_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET number = excluded.number, heard_at = excluded.heard_at";
        connection.prepare_cached(sql)?.execute(params![
            batch.source.instance.0.to_be_bytes(),
            batch.source.worker.cast_signed(),
            batch.number.cast_signed(),
            batch.at.0,
        ])?;
    }
    Ok(())
}

fn key_of(key: Option<KeyId>) -> Vec<u8> {
    key.map_or_else(Vec::new, |key| key.0.to_be_bytes().to_vec())
}

fn add(connection: &Connection, row: &UsageRow) -> Result<(), StorageError> {
    let key = &row.key;
    let account = key.account.0.to_be_bytes();
    let mut values: Vec<Value> = vec![
        account.to_vec().into(),
        i64::from(key.day.0).into(),
        key.model.clone().unwrap_or_default().into(),
        key.rule.clone().into(),
        key_of(key.key).into(),
        key.rate_card.clone().into(),
        key.card_version.cast_signed().into(),
        key.status.as_str().to_owned().into(),
        key.settled_by.as_str().to_owned().into(),
        row.customer.0.to_be_bytes().to_vec().into(),
        row.cost.get().into(),
    ];
    values.extend(
        row.counts
            .get()
            .map(|count| Value::Integer(count.cast_signed())),
    );
    connection
        .prepare_cached(&ADD)?
        .execute(params_from_iter(values))?;
    connection
        .prepare_cached(&ADD_TO_TOTAL)?
        .execute(params![account, row.cost.get()])?;
    for (meter, units) in row.units.iter() {
        connection.prepare_cached(&ADD_UNITS)?.execute(params![
            account,
            key.day.0,
            key.model.as_deref().unwrap_or_default(),
            key.rule,
            key_of(key.key),
            key.rate_card,
            key.card_version.cast_signed(),
            key.status.as_str(),
            key.settled_by.as_str(),
            meter,
            units.cast_signed(),
        ])?;
    }
    Ok(())
}

/// What must be known to book these batches.
pub(super) fn known(
    connection: &Connection,
    batches: &[impl AsRef<Batch>],
) -> Result<Known, StorageError> {
    let mut known = Known::default();
    let batches: Vec<&Batch> = batches.iter().map(AsRef::as_ref).collect();
    for batch in &batches {
        let sql = "SELECT number FROM usage_source WHERE instance = ?1 AND worker = ?2";
        let source = batch.source;
        let values = params![source.instance.0.to_be_bytes(), source.worker.cast_signed()];
        let number = first(connection, sql, values, |columns| columns.bits())?;
        known.last.extend(number.map(|number| (source, number)));
    }
    let rows = || batches.iter().flat_map(|batch| &batch.rows);
    let accounts: BTreeSet<AccountId> = rows().map(|row| row.account).collect();
    let sql = "SELECT id, customer FROM account WHERE id IN rarray(?1)";
    let accounts = ids(accounts.into_iter().map(|account| account.0));
    let owners = list(connection, sql, params![accounts], |columns| {
        Ok((AccountId(columns.id()?), CustomerId(columns.id()?)))
    })?;
    known.owners.extend(owners);
    let hashes: BTreeSet<CredentialHash> = rows().filter_map(|row| row.credential).collect();
    let hashes = hashes
        .into_iter()
        .map(|hash| Value::Blob(hash.as_bytes().to_vec()));
    let hashes: Rc<Vec<Value>> = Rc::new(hashes.collect());
    let sql = "SELECT hash, id FROM consumer_key WHERE hash IN rarray(?1)";
    let keys = list(connection, sql, params![hashes], |columns| {
        Ok((
            CredentialHash::from_bytes(columns.value()?),
            KeyId(columns.id()?),
        ))
    })?;
    known.keys.extend(keys);
    known.models = models(connection, &batches)?;
    Ok(known)
}

/// The models of the batches, by account and day. How many there are is counted only where a
/// model is new: one step in the index for each that is there.
fn models(
    connection: &Connection,
    batches: &[&Batch],
) -> Result<HashMap<(AccountId, Day), Models>, StorageError> {
    let mut wanted: HashMap<(AccountId, Day), BTreeSet<&str>> = HashMap::new();
    for batch in batches {
        for row in &batch.rows {
            let models = wanted.entry((row.account, batch.day)).or_default();
            models.extend(row.model.as_deref());
        }
    }
    let mut found = HashMap::new();
    for ((account, day), names) in wanted {
        let (id, mut models) = (account.0.to_be_bytes(), Models::default());
        for name in &names {
            let sql =
                "SELECT 1 FROM usage_detail WHERE account = ?1 AND day = ?2 AND model = ?3 LIMIT 1";
            let is_known = first(connection, sql, params![id, day.0, name], |_| Ok(()))?;
            models.known.extend(is_known.map(|()| (*name).to_owned()));
        }
        if models.known.len() < names.len() {
            let sql = "WITH RECURSIVE known (model) AS (
                     SELECT min(model) FROM usage_detail WHERE account = ?1 AND day = ?2 AND model > ''
                     UNION ALL
                     SELECT (SELECT min(model) FROM usage_detail
                         WHERE account = ?1 AND day = ?2 AND model > known.model)
                     FROM known WHERE known.model IS NOT NULL LIMIT ?3)
                 SELECT count(model) FROM known";
            let most = i64::try_from(MODELS_A_DAY_MAX).unwrap_or(i64::MAX);
            let count = first(connection, sql, params![id, day.0, most], |columns| {
                columns.bits()
            })?;
            models.count = usize::try_from(count.unwrap_or_default()).unwrap_or(usize::MAX);
        }
        found.insert((account, day), models);
    }
    Ok(found)
}

/// All detail that was ever booked for an account.
pub(super) fn total(connection: &Connection, account: AccountId) -> Result<Total, StorageError> {
    let sql = "SELECT cost, forgotten FROM usage_total WHERE account = ?1";
    let total = first(
        connection,
        sql,
        params![account.0.to_be_bytes()],
        |columns| {
            Ok(Total {
                cost: columns.amount()?,
                forgotten: columns.amount()?,
            })
        },
    )?;
    Ok(total.unwrap_or_default())
}

/// What the rows of an account come to that are there.
pub(super) fn kept(connection: &Connection, account: AccountId) -> Result<i128, StorageError> {
    let sql = "SELECT coalesce(sum(cost >> 31), 0), coalesce(sum(cost & 0x7fffffff), 0)
         FROM usage_detail WHERE account = ?1";
    let sum = first(connection, sql, params![account.0.to_be_bytes()], read_sum)?;
    Ok(sum.unwrap_or_default())
}

/// Forgets the oldest rows, and sources that are gone.
pub(super) fn forget(connection: &Connection, forget: ForgetUsage) -> Result<(), StorageError> {
    let most = i64::try_from(FORGET_MAX).unwrap_or(i64::MAX);
    let sql = "DELETE FROM usage_detail
         WHERE (account, day, model, rule, key, rate_card, card_version, status, settled_by) IN
             (SELECT account, day, model, rule, key, rate_card, card_version, status, settled_by
              FROM usage_detail WHERE day < ?1
              ORDER BY day, account, model, rule, key, rate_card, card_version, status, settled_by LIMIT ?2)
         RETURNING account, cost";
    let gone = list(
        connection,
        sql,
        params![forget.rows_before.0, most],
        |columns| Ok((columns.id()?, columns.amount()?)),
    )?;
    for (account, cost) in gone {
        let values = params![account.to_be_bytes(), cost.get()];
        connection
            .prepare_cached(&FORGET_IN_TOTAL)?
            .execute(values)?;
    }
    let sql = "DELETE FROM usage_source WHERE (instance, worker) IN
         (SELECT instance, worker FROM usage_source WHERE heard_at < ?1 LIMIT ?2)";
    let values = params![forget.sources_before.0, most];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}
