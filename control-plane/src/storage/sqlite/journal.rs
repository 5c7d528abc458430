//! The journal's rows: entries with their postings and draws. Only ever inserted.

use std::collections::HashMap;

use creditgate_core::amount::Amount;
use creditgate_ledger::id::{AccountId, EntryId, LeaseId, LotId, WalletId};
use creditgate_ledger::{Draw, Entry, Posting};
use rusqlite::{Connection, params};

use super::columns::{Columns, below, ids, limit, list, word, write_one};
use crate::storage::{EntryFilter, Page, PageRequest, StorageError};

pub(super) fn write(connection: &Connection, entry: &Entry) -> Result<(), StorageError> {
    let (account, id) = (entry.account.0.to_be_bytes(), entry.id.0.to_be_bytes());
    let values = params![
        account,
        id,
        word(&entry.kind)?,
        word(&entry.reason)?,
        entry.booked_at.0,
        entry.usage_from.map(|from| from.0),
        entry.wallet.map(|wallet| wallet.0.to_be_bytes()),
        entry.lease.map(|lease| lease.0.to_be_bytes()),
        entry.actor,
        entry.note,
    ];
    let sql = "INSERT INTO entry (account, id, kind, reason, booked_at, usage_from, wallet, lease, actor, note)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    write_one(connection, sql, values)?;
    for (line, posting) in (0_i64..).zip(&entry.postings) {
        let sql = "INSERT INTO posting (account, entry, line, ledger_account, amount) VALUES (?1, ?2, ?3, ?4, ?5)";
        write_one(
            connection,
            sql,
            params![
                account,
                id,
                line,
                posting.account.as_str(),
                posting.amount.get()
            ],
        )?;
    }
    for (line, draw) in (0_i64..).zip(&entry.draws) {
        let sql =
            "INSERT INTO draw (account, entry, line, lot, amount) VALUES (?1, ?2, ?3, ?4, ?5)";
        write_one(
            connection,
            sql,
            params![
                account,
                id,
                line,
                draw.lot.0.to_be_bytes(),
                draw.amount.get()
            ],
        )?;
    }
    Ok(())
}

pub(super) fn entries(
    connection: &Connection,
    filter: EntryFilter,
    page: PageRequest,
) -> Result<Page<Entry>, StorageError> {
    let (sql, subject) = match filter {
        EntryFilter::Some { .. } | EntryFilter::Lot(_) => {
            return Err(StorageError::Unavailable("not there yet".to_owned()));
        }
        EntryFilter::Account(account) => (
            "SELECT id, account, kind, reason, booked_at, usage_from, wallet, lease, actor, note FROM entry
             WHERE account = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3",
            account.0,
        ),
        EntryFilter::Wallet(wallet) => (
            "SELECT id, account, kind, reason, booked_at, usage_from, wallet, lease, actor, note FROM entry
             WHERE account = (SELECT account FROM wallet WHERE id = ?1) AND id < ?2
               AND (wallet = ?1 OR EXISTS (
                    SELECT 1 FROM draw JOIN lot ON lot.id = draw.lot
                    WHERE draw.account = entry.account AND draw.entry = entry.id AND lot.wallet = ?1))
             ORDER BY id DESC LIMIT ?3",
            wallet.0,
        ),
    };
    let values = params![subject.to_be_bytes(), below(page), limit(page)];
    let entries = list(connection, sql, values, read)?;
    let mut page = Page::cut(entries, page.limit, |entry| entry.id.0);
    add_lines(connection, &mut page.items)?;
    Ok(page)
}

fn read(columns: &mut Columns<'_, '_>) -> Result<Entry, StorageError> {
    Ok(Entry {
        number: 0,
        fact: None,
        hash: creditgate_ledger::chain::ChainHash::default(),
        id: EntryId(columns.id()?),
        account: AccountId(columns.id()?),
        kind: columns.word()?,
        reason: columns.word()?,
        booked_at: columns.time()?,
        usage_from: columns.time_or_none()?,
        wallet: columns.id_or_none()?.map(WalletId),
        lease: columns.id_or_none()?.map(LeaseId),
        actor: columns.value()?,
        note: columns.value()?,
        postings: Vec::new(),
        draws: Vec::new(),
    })
}

/// Adds postings and draws to entries of one account.
fn add_lines(connection: &Connection, entries: &mut [Entry]) -> Result<(), StorageError> {
    let Some(account) = entries.first().map(|entry| entry.account.0.to_be_bytes()) else {
        return Ok(());
    };
    let place_of: HashMap<u128, usize> = entries
        .iter()
        .enumerate()
        .map(|(place, entry)| (entry.id.0, place))
        .collect();
    let wanted = ids(entries.iter().map(|entry| entry.id.0));
    let postings = list(
        connection,
        "SELECT entry, ledger_account, amount FROM posting WHERE account = ?1 AND entry IN rarray(?2) ORDER BY entry, line",
        params![account, wanted],
        |columns| {
            Ok((
                columns.id()?,
                Posting {
                    account: columns.word()?,
                    amount: columns.amount()?,
                },
            ))
        },
    )?;
    for (entry, posting) in postings {
        if let Some(entry) = place_of
            .get(&entry)
            .and_then(|place| entries.get_mut(*place))
        {
            entry.postings.push(posting);
        }
    }
    let draws: Vec<(u128, u128, Amount)> = list(
        connection,
        "SELECT entry, lot, amount FROM draw WHERE account = ?1 AND entry IN rarray(?2) ORDER BY entry, line",
        params![account, wanted],
        |columns| Ok((columns.id()?, columns.id()?, columns.amount()?)),
    )?;
    for (entry, lot, amount) in draws {
        if let Some(entry) = place_of
            .get(&entry)
            .and_then(|place| entries.get_mut(*place))
        {
            entry.draws.push(Draw {
                lot: LotId(lot),
                amount,
            });
        }
    }
    Ok(())
}
