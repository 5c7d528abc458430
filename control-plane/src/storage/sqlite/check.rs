//! What the database can tell of itself: damaged pages, rows without their parent, answers
//! that are none.

use creditgate_ledger::verify::{Finding, invariant};
use rusqlite::Connection;

use super::columns::{first, list};
use crate::storage::StorageError;

/// Most findings of one check.
const FINDINGS_MAX: usize = 100;

pub(super) fn findings(connection: &Connection) -> Result<Vec<Finding>, StorageError> {
    let mut findings = Vec::new();
    let damage: Vec<String> = list(connection, "PRAGMA quick_check(100)", [], |columns| {
        columns.value()
    })?;
    for problem in damage.into_iter().filter(|problem| problem != "ok") {
        findings.push(Finding {
            invariant: 9,
            subject: "the database file".to_owned(),
            problem,
        });
    }
    findings.extend(orphans(connection)?);
    findings.extend(change_numbers(connection)?);
    findings.extend(unnumbered(connection)?);
    findings.extend(answers(connection)?);
    findings.truncate(FINDINGS_MAX);
    Ok(findings)
}

fn orphans(connection: &Connection) -> Result<Vec<Finding>, StorageError> {
    let sql = "SELECT \"table\", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2";
    list(connection, sql, [], |columns| {
        let (table, parent): (String, String) = (columns.value()?, columns.value()?);
        let rows: i64 = columns.value()?;
        let invariant = if matches!(table.as_str(), "posting" | "draw" | "entry") {
            1
        } else {
            2
        };
        let problem = format!("{rows} of its rows name a {parent} that is not there");
        Ok(Finding {
            invariant,
            subject: format!("table {table}"),
            problem,
        })
    })
}

/// A change number above the largest given would hide later changes from a gateway.
fn change_numbers(connection: &Connection) -> Result<Option<Finding>, StorageError> {
    let sql = "SELECT max(change_no), (SELECT last_change FROM meta) FROM lease";
    let numbers: Option<(Option<i64>, i64)> = first(connection, sql, [], |columns| {
        Ok((columns.value()?, columns.value()?))
    })?;
    Ok(numbers.and_then(|(largest, given)| {
        let largest = largest.filter(|largest| *largest > given)?;
        let problem = format!("a lease has change number {largest}, but only {given} were given");
        Some(Finding {
            invariant: 5,
            subject: "table lease".to_owned(),
            problem,
        })
    }))
}

/// Entries are read by their numbers from 1: one of a lower number would be in no chain.
fn unnumbered(connection: &Connection) -> Result<Option<Finding>, StorageError> {
    let sql = "SELECT count(*) FROM entry WHERE number < 1";
    let count: Option<i64> = first(connection, sql, [], |columns| columns.value())?;
    Ok(count.filter(|count| *count > 0).map(|count| Finding {
        invariant: invariant::CHAIN,
        subject: "table entry".to_owned(),
        problem: format!("{count} of its rows have a number below 1"),
    }))
}

/// What a repeat would be answered is whole: it says what it was given for, and is an answer.
fn answers(connection: &Connection) -> Result<Vec<Finding>, StorageError> {
    let sql = "SELECT principal, key, status FROM answer
         WHERE length(fingerprint) <> 64 OR fingerprint GLOB '*[^0-9a-f]*'
             OR status NOT BETWEEN 200 AND 299 OR length(body) = 0
         LIMIT 100";
    list(connection, sql, [], |columns| {
        let (principal, key): (String, String) = (columns.value()?, columns.value()?);
        let status: i64 = columns.value()?;
        let problem = format!(
            "its fingerprint is no SHA-256, its body is empty, or its status, {status}, is none of a success"
        );
        Ok(Finding {
            invariant: 8,
            subject: format!("the answer to {principal}'s key {key:?}"),
            problem,
        })
    })
}
