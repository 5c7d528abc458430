//! The journal's rows: entries with their postings and draws. Only ever inserted.
//!
//! An account's entries are kept by their numbers, which are their order; pages go by them.

use std::collections::HashMap;

use creditgate_ledger::chain::ChainHash;
use creditgate_ledger::id::{AccountId, EntryId, LeaseId, LotId, WalletId};
use creditgate_ledger::{Draw, Entry, EntryKind, Posting, ReasonCode, Timestamp};
use rusqlite::{Connection, params};

use super::columns::{Columns, first, json, list, word, write_one};
use super::listing::Listing;
use crate::storage::{EntryFilter, Page, PageRequest, StorageError};

/// Where entries are written: the statements of one set of tables.
#[derive(Clone, Copy)]
pub(super) struct Tables {
    entry: &'static str,
    posting: &'static str,
    draw: &'static str,
}

macro_rules! tables {
    ($entry:literal, $posting:literal, $draw:literal) => {
        Tables {
            entry: concat!(
                "INSERT INTO ", $entry, " (account, number, id, kind, reason, booked_at, usage_from, wallet, lease,
                 actor, note, fact, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
            ),
            posting: concat!(
                "INSERT INTO ", $posting, " (account, entry, line, ledger_account, amount) VALUES (?1, ?2, ?3, ?4, ?5)"
            ),
            draw: concat!(
                "INSERT INTO ", $draw, " (account, entry, line, lot, amount) VALUES (?1, ?2, ?3, ?4, ?5)"
            ),
        }
    };
}

impl Tables {
    /// The journal.
    const JOURNAL: Self = tables!("entry", "posting", "draw");
    /// The journal while a migration makes it.
    pub(super) const NEW: Self = tables!("new_entry", "new_posting", "new_draw");
}

pub(super) fn write(connection: &Connection, entry: &Entry) -> Result<(), StorageError> {
    write_into(connection, Tables::JOURNAL, entry)
}

pub(super) fn write_into(
    connection: &Connection,
    tables: Tables,
    entry: &Entry,
) -> Result<(), StorageError> {
    let (account, number) = (entry.account.0.to_be_bytes(), entry.number.cast_signed());
    let values = params![
        account,
        number,
        entry.id.0.to_be_bytes(),
        word(&entry.kind)?,
        word(&entry.reason)?,
        entry.booked_at.0,
        entry.usage_from.map(|from| from.0),
        entry.wallet.map(|wallet| wallet.0.to_be_bytes()),
        entry.lease.map(|lease| lease.0.to_be_bytes()),
        entry.actor,
        entry.note,
        entry.fact.as_ref().map(json).transpose()?,
        entry.hash.as_bytes(),
    ];
    write_one(connection, tables.entry, values)?;
    for (line, posting) in (0_i64..).zip(&entry.postings) {
        let values = params![
            account,
            number,
            line,
            posting.account.as_str(),
            posting.amount.get()
        ];
        write_one(connection, tables.posting, values)?;
    }
    for (line, draw) in (0_i64..).zip(&entry.draws) {
        let lot = draw.lot.0.to_be_bytes();
        let values = params![account, number, line, lot, draw.amount.get()];
        write_one(connection, tables.draw, values)?;
    }
    Ok(())
}

const SELECT: &str = "SELECT id, account, number, kind, reason, booked_at, usage_from, wallet, lease, actor, note, fact, hash FROM entry";

/// Above every number of an account.
const NO_NUMBER: i64 = i64::MAX;

pub(super) fn entries(
    connection: &Connection,
    filter: EntryFilter,
    page: PageRequest,
) -> Result<Page<Entry>, StorageError> {
    let below = page.cursor.map_or(NO_NUMBER, |cursor| {
        i64::try_from(cursor.0).unwrap_or(NO_NUMBER)
    });
    let listing = match filter {
        EntryFilter::Account(account) => {
            let mut listing = Listing::new(SELECT);
            listing.id("account =", account.0);
            listing
        }
        EntryFilter::Wallet(wallet) => {
            let mut listing = Listing::new(SELECT);
            about_wallet(&mut listing, wallet);
            listing
        }
        EntryFilter::Lot(lot) => about_lot(lot, below, page.limit),
        EntryFilter::Lease {
            lease,
            kind,
            from,
            before,
        } => {
            let mut listing = Listing::new(&format!("{SELECT} INDEXED BY entry_lease"));
            listing.id("lease =", lease.0);
            if let Some(kind) = kind {
                listing.and("kind =", word(&kind)?);
            }
            if let Some(from) = from {
                listing.and("booked_at >=", from.0);
            }
            if let Some(before) = before {
                listing.and("booked_at <", before.0);
            }
            listing
        }
        EntryFilter::Some {
            wallet,
            kind,
            reason,
            from,
            before,
        } => {
            let mut listing = of_kind(kind, reason)?;
            about_wallet(&mut listing, wallet);
            between(connection, &mut listing, wallet, from, before)?;
            listing
        }
    };
    newest(connection, listing, below, page)
}

fn newest(
    connection: &Connection,
    mut listing: Listing,
    below: i64,
    page: PageRequest,
) -> Result<Page<Entry>, StorageError> {
    listing.and("number <", below);
    let entries = listing.page(connection, page, "number DESC", read)?;
    let mut page = Page::cut(entries, page.limit, |entry| entry.number.into());
    add_lines(connection, &mut page.items)?;
    Ok(page)
}

/// Of a kind, for a reason. Those that are seldom among usage and lending have an index each.
fn of_kind(kind: Option<EntryKind>, reason: Option<ReasonCode>) -> Result<Listing, StorageError> {
    let is_seldom_kind =
        kind.is_some_and(|kind| !matches!(kind, EntryKind::Usage | EntryKind::Lending));
    let is_seldom_reason = reason
        .is_some_and(|reason| !matches!(reason, ReasonCode::Usage | ReasonCode::LeaseLending));
    let mut listing = if is_seldom_kind {
        let mut listing = Listing::new(&format!("{SELECT} INDEXED BY entry_seldom_kind"));
        listing.only("kind NOT IN ('usage', 'lending')");
        listing
    } else if is_seldom_reason {
        let mut listing = Listing::new(&format!("{SELECT} INDEXED BY entry_seldom_reason"));
        listing.only("reason NOT IN ('USAGE', 'LEASE_LENDING')");
        listing
    } else {
        Listing::new(SELECT)
    };
    if let Some(kind) = kind {
        listing.and("kind =", word(&kind)?);
    }
    if let Some(reason) = reason {
        listing.and("reason =", word(&reason)?);
    }
    Ok(listing)
}

fn about_wallet(listing: &mut Listing, wallet: WalletId) {
    let concerns =
        "account = (SELECT account FROM wallet WHERE id = ?{n}) AND (wallet = ?{n} OR EXISTS (
         SELECT 1 FROM draw CROSS JOIN lot ON lot.id = draw.lot
         WHERE draw.account = entry.account AND draw.entry = entry.number AND lot.wallet = ?{n}))";
    listing.that(concerns, wallet.0.to_be_bytes().to_vec());
}

/// Found by the indexes of what drew from the lot and of what says something of it, each as
/// far as a page goes.
fn about_lot(lot: LotId, below: i64, limit: u32) -> Listing {
    let mut listing = Listing::new(SELECT);
    let account = "account = (SELECT account FROM lot WHERE id = ?{n})";
    listing.that(account, lot.0.to_be_bytes().to_vec());
    let numbers = "number IN (
             SELECT entry FROM (SELECT DISTINCT entry FROM draw WHERE lot = ?{lot} AND entry < ?{below}
                 ORDER BY entry DESC LIMIT ?{limit})
             UNION
             SELECT number FROM (SELECT number FROM entry WHERE fact_lot = ?{name} AND number < ?{below}
                 ORDER BY number DESC LIMIT ?{limit}))";
    listing.these(
        numbers,
        [
            ("lot", lot.0.to_be_bytes().to_vec().into()),
            ("name", lot.to_string().into()),
            ("below", below.into()),
            ("limit", i64::from(limit).saturating_add(1).into()),
        ],
    );
    listing
}

/// Instants rise with the numbers of an account's entries, so the ends are found by halving.
fn between(
    connection: &Connection,
    listing: &mut Listing,
    wallet: WalletId,
    from: Option<Timestamp>,
    before: Option<Timestamp>,
) -> Result<(), StorageError> {
    let sql =
        "SELECT account.id, chain_entries FROM account JOIN wallet ON wallet.account = account.id
         WHERE wallet.id = ?1";
    let account = first(
        connection,
        sql,
        params![wallet.0.to_be_bytes()],
        |columns| Ok((AccountId(columns.id()?), columns.value::<i64>()?)),
    )?;
    let Some((account, entries)) = account else {
        return Ok(());
    };
    if let Some(from) = from {
        listing.and("number >=", first_at(connection, account, entries, from)?);
    }
    if let Some(before) = before {
        listing.and("number <", first_at(connection, account, entries, before)?);
    }
    Ok(())
}

/// The number of the first entry that was booked at or after an instant.
fn first_at(
    connection: &Connection,
    account: AccountId,
    entries: i64,
    at: Timestamp,
) -> Result<i64, StorageError> {
    let sql =
        "SELECT booked_at FROM entry WHERE account = ?1 AND number >= ?2 ORDER BY number LIMIT 1";
    let (mut low, mut high) = (1, entries.saturating_add(1));
    while low < high {
        let middle = low.midpoint(high);
        let values = params![account.0.to_be_bytes(), middle];
        let booked = first(connection, sql, values, |columns| columns.time())?;
        if booked.is_none_or(|booked| booked >= at) {
            high = middle;
        } else {
            low = middle.saturating_add(1);
        }
    }
    Ok(low)
}

/// Entries in the order of their chain.
pub(super) fn chain(
    connection: &Connection,
    account: AccountId,
    after: u64,
    limit: u32,
) -> Result<Vec<Entry>, StorageError> {
    let sql = format!("{SELECT} WHERE account = ?1 AND number > ?2 ORDER BY number LIMIT ?3");
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let values = params![account.0.to_be_bytes(), after, limit];
    let mut entries = list(connection, &sql, values, read)?;
    add_lines(connection, &mut entries)?;
    Ok(entries)
}

fn read(columns: &mut Columns<'_, '_>) -> Result<Entry, StorageError> {
    Ok(Entry {
        id: EntryId(columns.id()?),
        account: AccountId(columns.id()?),
        number: columns.bits()?,
        kind: columns.word()?,
        reason: columns.word()?,
        booked_at: columns.time()?,
        usage_from: columns.time_or_none()?,
        wallet: columns.id_or_none()?.map(WalletId),
        lease: columns.id_or_none()?.map(LeaseId),
        actor: columns.value()?,
        note: columns.value()?,
        fact: columns.json_or_none()?,
        postings: Vec::new(),
        draws: Vec::new(),
        hash: ChainHash::from_bytes(columns.value()?),
    })
}

/// Adds postings and draws to entries of one account.
fn add_lines(connection: &Connection, entries: &mut [Entry]) -> Result<(), StorageError> {
    let Some(account) = entries.first().map(|entry| entry.account.0.to_be_bytes()) else {
        return Ok(());
    };
    let place_of: HashMap<i64, usize> = entries
        .iter()
        .enumerate()
        .map(|(place, entry)| (entry.number.cast_signed(), place))
        .collect();
    let numbers: Vec<rusqlite::types::Value> = entries
        .iter()
        .map(|entry| entry.number.cast_signed().into())
        .collect();
    let wanted = std::rc::Rc::new(numbers);
    let sql = "SELECT entry, ledger_account, amount FROM posting WHERE account = ?1 AND entry IN rarray(?2)
         ORDER BY entry, line";
    let postings = list(connection, sql, params![account, wanted], |columns| {
        let (entry, account): (i64, _) = (columns.value()?, columns.word()?);
        let amount = columns.amount()?;
        Ok((entry, Posting { account, amount }))
    })?;
    for (entry, posting) in postings {
        let place = place_of.get(&entry);
        if let Some(entry) = place.and_then(|place| entries.get_mut(*place)) {
            entry.postings.push(posting);
        }
    }
    let sql = "SELECT entry, lot, amount FROM draw WHERE account = ?1 AND entry IN rarray(?2) ORDER BY entry, line";
    let draws = list(connection, sql, params![account, wanted], |columns| {
        let (entry, lot): (i64, _) = (columns.value()?, LotId(columns.id()?));
        let amount = columns.amount()?;
        Ok((entry, Draw { lot, amount }))
    })?;
    for (entry, draw) in draws {
        let place = place_of.get(&entry);
        if let Some(entry) = place.and_then(|place| entries.get_mut(*place)) {
            entry.draws.push(draw);
        }
    }
    Ok(())
}
