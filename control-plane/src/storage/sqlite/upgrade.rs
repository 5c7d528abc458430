//! From the first version's journal to one whose entries are numbered, hashed and whole.
//!
//! Entries are numbered in the order of their ids. What the first version did not write down
//! is taken from the rows: the terms of each lot go into the entry that made it, and that a
//! lot was voided into the entry that voided it. What had no entry at all gets one: see [`notes`].

mod notes;

use std::collections::HashMap;

use creditgate_ledger::chain::Chain;
use creditgate_ledger::fact::LotTerms;
use creditgate_ledger::id::{AccountId, EntryId, LeaseId, LotId, WalletId};
use creditgate_ledger::{Draw, Entry, EntryKind, Fact, Lot, Posting};
use rusqlite::{Connection, params};

use super::columns::{Columns, list, write_one};
use super::journal::{self, Tables};
use super::lot::{lot_columns, read_lot};
use crate::storage::StorageError;
use notes::Notes;

/// Entries that are copied at once.
const PAGE: u32 = 1_000;

/// The migration to the credit system.
pub(super) fn to_credit_system(connection: &Connection) -> Result<(), StorageError> {
    connection.execute_batch(include_str!(
        "../../../migrations/sqlite/0002_credit_system.sql"
    ))?;
    let accounts = list(
        connection,
        "SELECT id FROM account ORDER BY id",
        [],
        |columns| columns.id().map(AccountId),
    )?;
    for account in accounts {
        copy_journal(connection, account)?;
    }
    // Statements on tables that go away must not outlive them.
    connection.flush_prepared_statement_cache();
    connection.execute_batch(include_str!(
        "../../../migrations/sqlite/0002_credit_system_end.sql"
    ))?;
    Ok(())
}

fn copy_journal(connection: &Connection, account: AccountId) -> Result<(), StorageError> {
    let mut chain = Chain::default();
    let mut write = |mut entry: Entry| {
        chain.add(&mut entry);
        journal::write_into(connection, Tables::NEW, &entry)
    };
    let mut notes = Notes::of(connection, account)?;
    let mut after = Vec::new();
    loop {
        let mut entries = page(connection, account, &after)?;
        let Some(last) = entries.last() else { break };
        after = last.id.0.to_be_bytes().to_vec();
        add_facts(connection, &mut entries)?;
        for entry in entries {
            notes.before(&entry).into_iter().try_for_each(&mut write)?;
            write(entry)?;
        }
    }
    notes.rest().into_iter().try_for_each(write)?;
    write_one(
        connection,
        "UPDATE account SET chain_entries = ?2, chain_head = ?3 WHERE id = ?1",
        params![
            account.0.to_be_bytes(),
            chain.entries.cast_signed(),
            chain.head.as_bytes()
        ],
    )
}

/// The next entries of the old journal.
fn page(
    connection: &Connection,
    account: AccountId,
    after: &[u8],
) -> Result<Vec<Entry>, StorageError> {
    let account = account.0.to_be_bytes();
    let mut entries = list(
        connection,
        "SELECT id, account, kind, reason, booked_at, usage_from, wallet, lease, actor, note FROM entry
         WHERE account = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
        params![account, after, PAGE],
        read,
    )?;
    let Some(last) = entries.last().map(|last| last.id.0.to_be_bytes()) else {
        return Ok(entries);
    };
    let place_of: HashMap<u128, usize> = entries
        .iter()
        .enumerate()
        .map(|(place, entry)| (entry.id.0, place))
        .collect();
    let postings = list(
        connection,
        "SELECT entry, ledger_account, amount FROM posting
         WHERE account = ?1 AND entry > ?2 AND entry <= ?3 ORDER BY entry, line",
        params![account, after, last],
        |columns| {
            let (entry, account) = (columns.id()?, columns.word()?);
            let amount = columns.amount()?;
            Ok((entry, Posting { account, amount }))
        },
    )?;
    for (entry, posting) in postings {
        let place = place_of.get(&entry);
        if let Some(entry) = place.and_then(|place| entries.get_mut(*place)) {
            entry.postings.push(posting);
        }
    }
    let draws = list(
        connection,
        "SELECT entry, lot, amount FROM draw
         WHERE account = ?1 AND entry > ?2 AND entry <= ?3 ORDER BY entry, line",
        params![account, after, last],
        |columns| {
            let (entry, lot) = (columns.id()?, LotId(columns.id()?));
            let amount = columns.amount()?;
            Ok((entry, Draw { lot, amount }))
        },
    )?;
    for (entry, draw) in draws {
        let place = place_of.get(&entry);
        if let Some(entry) = place.and_then(|place| entries.get_mut(*place)) {
            entry.draws.push(draw);
        }
    }
    Ok(entries)
}

fn read(columns: &mut Columns<'_, '_>) -> Result<Entry, StorageError> {
    Ok(Entry {
        id: EntryId(columns.id()?),
        account: AccountId(columns.id()?),
        number: 0,
        kind: columns.word()?,
        reason: columns.word()?,
        booked_at: columns.time()?,
        usage_from: columns.time_or_none()?,
        wallet: columns.id_or_none()?.map(WalletId),
        lease: columns.id_or_none()?.map(LeaseId),
        actor: columns.value()?,
        note: columns.value()?,
        fact: None,
        postings: Vec::new(),
        draws: Vec::new(),
        hash: creditgate_ledger::chain::ChainHash::default(),
    })
}

/// Gives the entries that made or voided a lot the fact that they would have today.
fn add_facts(connection: &Connection, entries: &mut [Entry]) -> Result<(), StorageError> {
    for entry in entries {
        let Some(lot) = entry.draws.first().map(|draw| draw.lot) else {
            continue;
        };
        entry.fact = match entry.kind {
            EntryKind::TopUp => terms(connection, lot)?,
            // What gateways return of it later is withdrawn by entries that name their lease.
            EntryKind::Void if entry.lease.is_none() => Some(Fact::LotVoided { lot }),
            _ => None,
        };
    }
    Ok(())
}

fn terms(connection: &Connection, lot: LotId) -> Result<Option<Fact>, StorageError> {
    let sql = concat!("SELECT ", lot_columns!(), " FROM lot WHERE id = ?1");
    let lot: Option<Lot> =
        super::columns::first(connection, sql, params![lot.0.to_be_bytes()], read_lot)?;
    Ok(lot.map(|lot| Fact::LotMade(Box::new(LotTerms::of(&lot)))))
}
