//! What is due for someone: changes for gateways, reports that are missing, instants to come.
//! Each walks an index that holds little else.

use creditgate_core::amount::Scale;
use creditgate_core::lease::LeaseNumber;
use creditgate_ledger::Timestamp;
use creditgate_ledger::id::{AccountId, CustomerId, InstanceId, LeaseId};
use rusqlite::{Connection, params};

use super::columns::list;
use crate::storage::{LeaseTotal, OwedTotal, StorageError};

pub(super) fn changes(
    connection: &Connection,
    instance: InstanceId,
    after: u64,
    limit: u32,
) -> Result<Vec<(u64, CustomerId, AccountId, LeaseNumber)>, StorageError> {
    // A cursor beyond what is ever given finds nothing; cast to negative it would find all.
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let sql = "SELECT lease.change_no, account.customer, lease.account, lease.number
         FROM lease JOIN account ON account.id = lease.account
         WHERE lease.instance = ?1 AND lease.change_no > ?2 ORDER BY lease.change_no LIMIT ?3";
    list(
        connection,
        sql,
        params![instance.0.to_be_bytes(), after, limit],
        |columns| {
            let (change, customer) = (columns.bits()?, CustomerId(columns.id()?));
            Ok((
                change,
                customer,
                AccountId(columns.id()?),
                LeaseNumber(columns.bits()?),
            ))
        },
    )
}

pub(super) fn overdue(
    connection: &Connection,
    instance: InstanceId,
    reported_before: Timestamp,
    limit: u32,
) -> Result<Vec<AccountId>, StorageError> {
    let sql = "SELECT account FROM lease
         WHERE instance = ?1 AND reported_at < ?2 AND live = 1 AND granted - returned - settled > 0
           AND state IN ('open', 'draining')
         ORDER BY reported_at, account";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![instance.0.to_be_bytes(), reported_before.0])?;
    // An account may have two: an open one, and a draining one before it.
    let mut accounts = Vec::new();
    while accounts.len() < limit as usize
        && let Some(row) = rows.next()?
    {
        let account = AccountId(u128::from_be_bytes(row.get(0)?));
        if !accounts.contains(&account) {
            accounts.push(account);
        }
    }
    Ok(accounts)
}

pub(super) fn outstanding_instances(
    connection: &Connection,
) -> Result<Vec<InstanceId>, StorageError> {
    // One step in the index for each instance, however many leases it has.
    let sql = "WITH RECURSIVE known (instance) AS (
             SELECT min(instance) FROM lease WHERE state <> 'closed'
             UNION ALL
             SELECT (SELECT min(instance) FROM lease WHERE state <> 'closed' AND instance > known.instance)
             FROM known WHERE known.instance IS NOT NULL)
         SELECT instance FROM known WHERE instance IS NOT NULL";
    list(connection, sql, [], |columns| columns.id().map(InstanceId))
}

pub(super) fn lease_totals(connection: &Connection) -> Result<Vec<LeaseTotal>, StorageError> {
    // Summed in two halves: SQLite's sum of large integers would overflow.
    let sql = "SELECT account.currency, account.scale, lease.state = 'quarantined' AS quarantined, count(*),
             sum((granted - returned - settled) / 1000000000), sum((granted - returned - settled) % 1000000000)
         FROM lease JOIN account ON account.id = lease.account
         WHERE lease.state <> 'closed'
         GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";
    list(connection, sql, [], |columns| {
        let (currency, scale) = (columns.parsed()?, columns.value::<u8>()?);
        let scale = Scale::new(scale).map_err(|error| StorageError::Corrupt(error.to_string()))?;
        let is_quarantined = columns.value()?;
        let leases = columns.bits()?;
        let (thousand_millions, rest): (i64, i64) = (columns.value()?, columns.value()?);
        let outstanding = i128::from(thousand_millions) * 1_000_000_000 + i128::from(rest);
        Ok(LeaseTotal {
            currency,
            scale,
            is_quarantined,
            leases,
            outstanding,
        })
    })
}

pub(super) fn owed_totals(connection: &Connection) -> Result<Vec<OwedTotal>, StorageError> {
    // Summed in two halves, as above.
    let sql = "SELECT currency, scale, sum(debt / 1000000000), sum(debt % 1000000000), min(debt)
         FROM account WHERE debt < 0 GROUP BY 1, 2 ORDER BY 1, 2";
    list(connection, sql, [], |columns| {
        let (currency, scale) = (columns.parsed()?, columns.value::<u8>()?);
        let scale = Scale::new(scale).map_err(|error| StorageError::Corrupt(error.to_string()))?;
        let (thousand_millions, rest): (i64, i64) = (columns.value()?, columns.value()?);
        let least: i64 = columns.value()?;
        Ok(OwedTotal {
            currency,
            scale,
            owed: -(i128::from(thousand_millions) * 1_000_000_000 + i128::from(rest)),
            most: -i128::from(least),
        })
    })
}

pub(super) fn leases_quarantined_before(
    connection: &Connection,
    before: Timestamp,
    limit: u32,
) -> Result<Vec<(CustomerId, LeaseId)>, StorageError> {
    let sql =
        "SELECT account.customer, lease.id FROM lease JOIN account ON account.id = lease.account
         WHERE lease.state = 'quarantined' AND lease.hold IS NULL AND lease.quarantined_at < ?1
         ORDER BY lease.quarantined_at, lease.id LIMIT ?2";
    list(connection, sql, params![before.0, limit], |columns| {
        Ok((CustomerId(columns.id()?), LeaseId(columns.id()?)))
    })
}

/// One source of instants: a table and the condition of the index that holds its instants by
/// customer.
macro_rules! source {
    ($instant:literal, $table:literal, $condition:literal) => {
        concat!(
            "SELECT * FROM (SELECT DISTINCT ",
            $instant,
            " AS instant, customer FROM ",
            $table,
            " WHERE ",
            $condition,
            " AND (",
            $instant,
            ", customer) > (?1, ?2) ORDER BY 1, 2 LIMIT ?3)"
        )
    };
}

/// The first of each source, and of those the first.
const INSTANTS: &str = concat!(
    "SELECT instant, customer FROM (",
    source!("effective_at", "lot", "live = 1"),
    " UNION ",
    source!("expires_at", "lot", "live = 1 AND expires_at IS NOT NULL"),
    " UNION ",
    source!(
        "lapses_at",
        "lot",
        "live = 1 AND lapses_at IS NOT NULL AND unpaid <> 0"
    ),
    " UNION ",
    source!(
        "expires_at",
        "consumer_key",
        "revoked_at IS NULL AND expires_at IS NOT NULL"
    ),
    " UNION ",
    source!("next_at", "grant_schedule", "next_at IS NOT NULL"),
    " UNION ",
    source!("retry_at", "grant_application", "retry_at IS NOT NULL"),
    " UNION ",
    source!(
        "ends_at",
        "subscription",
        "status <> 'cancelled' AND ends_at IS NOT NULL"
    ),
    " UNION ",
    source!(
        "auto_topup_retry_at",
        "wallet",
        "auto_topup_retry_at IS NOT NULL"
    ),
    ") ORDER BY 1, 2 LIMIT ?3"
);

pub(super) fn next_instants(
    connection: &Connection,
    (instant, customer): (Timestamp, CustomerId),
    limit: u32,
) -> Result<Vec<(Timestamp, CustomerId)>, StorageError> {
    let values = params![instant.0, customer.0.to_be_bytes(), limit];
    list(connection, INSTANTS, values, |columns| {
        Ok((columns.time()?, CustomerId(columns.id()?)))
    })
}
