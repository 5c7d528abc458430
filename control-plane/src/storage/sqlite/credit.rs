//! Rows of lots and leases. Those are changed with every report, so a change of their
//! counters alone is written by a statement that touches few indexes.

use creditgate_core::lease::{Counters, LeaseNumber};
use creditgate_ledger::id::{AccountId, InstanceId, LeaseId, LotId, WalletId};
use creditgate_ledger::lease::{Protection, ToldCeiling};
use creditgate_ledger::{Lease, Lot};
use rusqlite::{Connection, params};

use super::columns::{Columns, json, word, write_one};
use crate::storage::{StorageError, live};

macro_rules! lot_columns {
    () => {
        "lot.id, lot.wallet, lot.account, lot.kind, lot.reason, lot.priority, lot.effective_at, lot.expires_at, \
         lot.created_at, lot.amount, lot.free, lot.pinned, lot.spent, lot.expired, lot.withdrawn, lot.voided_at, \
         lot.description"
    };
}

macro_rules! lease_columns {
    () => {
        "lease.id, lease.account, lease.instance, lease.number, lease.state, lease.newest, lease.granted, \
         lease.returned, lease.reserved, lease.released, lease.settled, lease.pins, lease.told_ceiling, \
         lease.told_need, lease.recall, lease.protection_until_reserved, lease.protection_until, \
         lease.burn_per_second, lease.opened_at, lease.reported_at, lease.quarantined_at, lease.quarantine_cause, \
         lease.hold, lease.resolution, lease.pushes"
    };
}

pub(super) use {lease_columns, lot_columns};

pub(super) fn read_lot(columns: &mut Columns<'_, '_>) -> Result<Lot, StorageError> {
    Ok(Lot {
        external_id: None,
        source: creditgate_ledger::burn_order::LotSource::TopUp,
        unpaid: creditgate_core::amount::Amount::ZERO,
        lapses_at: None,
        excess: creditgate_core::amount::Amount::ZERO,
        cost: None,
        metadata: std::collections::BTreeMap::new(),
        id: LotId(columns.id()?),
        wallet: WalletId(columns.id()?),
        account: AccountId(columns.id()?),
        kind: columns.word()?,
        reason: columns.word()?,
        priority: columns.value()?,
        effective_at: columns.time()?,
        expires_at: columns.time_or_none()?,
        created_at: columns.time()?,
        amount: columns.amount()?,
        free: columns.amount()?,
        pinned: columns.amount()?,
        spent: columns.amount()?,
        expired: columns.amount()?,
        withdrawn: columns.amount()?,
        voided_at: columns.time_or_none()?,
        description: columns.value()?,
    })
}

pub(super) fn write_lot(
    connection: &Connection,
    old: Option<&Lot>,
    row: &Lot,
) -> Result<(), StorageError> {
    if old.is_some_and(|old| only_parts_differ(old, row)) {
        let sql = "UPDATE lot SET free = ?2, pinned = ?3, spent = ?4, expired = ?5, withdrawn = ?6 WHERE id = ?1";
        let values = params![
            row.id.0.to_be_bytes(),
            row.free.get(),
            row.pinned.get(),
            row.spent.get(),
            row.expired.get(),
            row.withdrawn.get(),
        ];
        return write_one(connection, sql, values);
    }
    let sql = if old.is_none() {
        "INSERT INTO lot (id, wallet, account, kind, reason, priority, effective_at, expires_at, created_at, amount,
         free, pinned, spent, expired, withdrawn, voided_at, description, live)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)"
    } else {
        "UPDATE lot SET wallet = ?2, account = ?3, kind = ?4, reason = ?5, priority = ?6, effective_at = ?7,
         expires_at = ?8, created_at = ?9, amount = ?10, free = ?11, pinned = ?12, spent = ?13, expired = ?14,
         withdrawn = ?15, voided_at = ?16, description = ?17, live = ?18 WHERE id = ?1"
    };
    let values = params![
        row.id.0.to_be_bytes(),
        row.wallet.0.to_be_bytes(),
        row.account.0.to_be_bytes(),
        word(&row.kind)?,
        word(&row.reason)?,
        row.priority,
        row.effective_at.0,
        row.expires_at.map(|at| at.0),
        row.created_at.0,
        row.amount.get(),
        row.free.get(),
        row.pinned.get(),
        row.spent.get(),
        row.expired.get(),
        row.withdrawn.get(),
        row.voided_at.map(|at| at.0),
        row.description,
        row.is_live(),
    ];
    write_one(connection, sql, values)
}

fn only_parts_differ(old: &Lot, new: &Lot) -> bool {
    let (free, pinned, spent) = (old.free, old.pinned, old.spent);
    let (expired, withdrawn) = (old.expired, old.withdrawn);
    old.is_live() == new.is_live()
        && *old
            == Lot {
                free,
                pinned,
                spent,
                expired,
                withdrawn,
                ..new.clone()
            }
}

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
