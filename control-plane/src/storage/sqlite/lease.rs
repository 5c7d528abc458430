//! Rows of leases. They are changed with every report, so a change of their counters alone
//! is written by a statement that touches few indexes.

use creditgate_core::lease::{Counters, LeaseNumber};
use creditgate_ledger::Lease;
use creditgate_ledger::id::{AccountId, InstanceId, LeaseId};
use creditgate_ledger::lease::{Protection, ToldCeiling};
use rusqlite::{Connection, params};

use super::columns::{Columns, json, word, write_one};
use crate::storage::{StorageError, live};

macro_rules! lease_columns {
    () => {
        "lease.id, lease.account, lease.instance, lease.number, lease.state, lease.newest, lease.granted, \
         lease.returned, lease.reserved, lease.released, lease.settled, lease.pins, lease.told_ceiling, \
         lease.told_need, lease.recall, lease.protection_until_reserved, lease.protection_until, \
         lease.burn_per_second, lease.opened_at, lease.reported_at, lease.quarantined_at, lease.quarantine_cause, \
         lease.hold, lease.resolution, lease.pushes"
    };
}

pub(super) use lease_columns;

pub(super) fn read_lease(columns: &mut Columns<'_, '_>) -> Result<Lease, StorageError> {
    Ok(Lease {
        id: LeaseId(columns.id()?),
        account: AccountId(columns.id()?),
        instance: InstanceId(columns.id()?),
        number: LeaseNumber(columns.bits()?),
        state: columns.word()?,
        newest: columns.value()?,
        counters: Counters {
            granted: columns.amount()?,
            returned: columns.amount()?,
            reserved: columns.amount()?,
            released: columns.amount()?,
            settled: columns.amount()?,
        },
        pins: columns.json()?,
        told: {
            let (ceiling, need) = (columns.amount_or_none()?, columns.amount_or_none()?);
            ceiling
                .zip(need)
                .map(|(ceiling, need)| ToldCeiling { ceiling, need })
        },
        recall: columns.value()?,
        protection: {
            let (until_reserved, until) = (columns.amount_or_none()?, columns.time_or_none()?);
            until_reserved
                .zip(until)
                .map(|(until_reserved, until)| Protection {
                    until_reserved,
                    until,
                })
        },
        burn_per_second: columns.amount()?,
        opened_at: columns.time()?,
        reported_at: columns.time()?,
        quarantined_at: columns.time_or_none()?,
        quarantine_cause: columns.word_or_none()?,
        hold: columns.json_or_none()?,
        resolution: columns.json_or_none()?,
        pushes: columns.bits()?,
    })
}

/// `change` is the number of this change, if the gateway must hear of it.
pub(super) fn write_lease(
    connection: &Connection,
    old: Option<&Lease>,
    row: &Lease,
    change: Option<u64>,
) -> Result<(), StorageError> {
    write_counters(connection, old, row)?;
    if old.is_some_and(|old| only_counters_differ(old, row)) && change.is_none() {
        return Ok(());
    }
    let sql = "UPDATE lease SET state = ?2, newest = ?3, opened_at = ?4, quarantined_at = ?5, quarantine_cause = ?6,
         hold = ?7, resolution = ?8, pushes = ?9, change_no = coalesce(?10, change_no), live = ?11 WHERE id = ?1";
    let cause = row.quarantine_cause.as_ref().map(word).transpose()?;
    let hold = row.hold.as_ref().map(json).transpose()?;
    let resolution = row.resolution.as_ref().map(json).transpose()?;
    let values = params![
        row.id.0.to_be_bytes(),
        word(&row.state)?,
        row.newest,
        row.opened_at.0,
        row.quarantined_at.map(|at| at.0),
        cause,
        hold,
        resolution,
        row.pushes.cast_signed(),
        change.map(u64::cast_signed),
        live::is_live_lease(row),
    ];
    write_one(connection, sql, values)
}

fn write_counters(
    connection: &Connection,
    old: Option<&Lease>,
    row: &Lease,
) -> Result<(), StorageError> {
    // What is inserted here and not a counter is the state of a lease that was just opened;
    // the statement after it writes the state as it is.
    let sql = if old.is_none() {
        "INSERT INTO lease (granted, returned, reserved, released, settled, pins, told_ceiling, told_need, recall,
         protection_until_reserved, protection_until, burn_per_second, reported_at, id, account, instance, number,
         state, newest, opened_at, pushes, change_no, live)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
         'open', 1, 0, 0, 0, 1)"
    } else {
        "UPDATE lease SET granted = ?1, returned = ?2, reserved = ?3, released = ?4, settled = ?5, pins = ?6,
         told_ceiling = ?7, told_need = ?8, recall = ?9, protection_until_reserved = ?10, protection_until = ?11,
         burn_per_second = ?12, reported_at = ?13
         WHERE id = ?14 AND account = ?15 AND instance = ?16 AND number = ?17"
    };
    let values = params![
        row.counters.granted.get(),
        row.counters.returned.get(),
        row.counters.reserved.get(),
        row.counters.released.get(),
        row.counters.settled.get(),
        json(&row.pins)?,
        row.told.map(|told| told.ceiling.get()),
        row.told.map(|told| told.need.get()),
        row.recall,
        row.protection
            .map(|protection| protection.until_reserved.get()),
        row.protection.map(|protection| protection.until.0),
        row.burn_per_second.get(),
        row.reported_at.0,
        row.id.0.to_be_bytes(),
        row.account.0.to_be_bytes(),
        row.instance.0.to_be_bytes(),
        row.number.0.cast_signed(),
    ];
    write_one(connection, sql, values)
}

fn only_counters_differ(old: &Lease, new: &Lease) -> bool {
    let state = |lease: &Lease| {
        (
            lease.state,
            lease.newest,
            lease.opened_at,
            lease.quarantined_at,
            lease.quarantine_cause,
            lease.pushes,
        )
    };
    state(old) == state(new) && old.hold == new.hold && old.resolution == new.resolution
}
