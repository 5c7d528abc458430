//! Rows of claims.

use creditgate_ledger::claim::Claim;
use creditgate_ledger::id::{AccountId, ClaimId, CustomerId, WalletId};
use rusqlite::{Connection, params};

use super::columns::{Columns, first, json, word, write_one};
use super::listing::Listing;
use crate::storage::{ClaimFilter, Page, PageRequest, StorageError};

macro_rules! claim_columns {
    () => {
        "claim.id, claim.wallet, claim.account, claim.purpose, claim.lots, claim.reason, claim.note, claim.actor, \
         claim.asked, claim.done, claim.short, claim.created_at, claim.closed_at"
    };
}

pub(super) use claim_columns;

pub(super) fn read(columns: &mut Columns<'_, '_>) -> Result<Claim, StorageError> {
    Ok(Claim {
        id: ClaimId(columns.id()?),
        wallet: WalletId(columns.id()?),
        account: AccountId(columns.id()?),
        purpose: columns.json()?,
        lots: columns.json()?,
        reason: columns.word()?,
        note: columns.value()?,
        actor: columns.value()?,
        asked: columns.amount()?,
        done: columns.amount()?,
        short: columns.amount()?,
        created_at: columns.time()?,
        closed_at: columns.time_or_none()?,
    })
}

pub(super) fn write(
    connection: &Connection,
    customer: CustomerId,
    is_new: bool,
    row: &Claim,
) -> Result<(), StorageError> {
    let id = row.id.0.to_be_bytes();
    if !is_new {
        let sql = "UPDATE claim SET asked = ?2, done = ?3, short = ?4, note = ?5, closed_at = ?6 WHERE id = ?1";
        let values = params![
            id,
            row.asked.get(),
            row.done.get(),
            row.short.get(),
            row.note,
            row.closed_at.map(|at| at.0)
        ];
        return write_one(connection, sql, values);
    }
    let sql = "INSERT INTO claim (id, wallet, account, customer, purpose, lots, reason, note, actor, asked, done,
         short, created_at, closed_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    let values = params![
        id,
        row.wallet.0.to_be_bytes(),
        row.account.0.to_be_bytes(),
        customer.0.to_be_bytes(),
        json(&row.purpose)?,
        json(&row.lots)?,
        word(&row.reason)?,
        row.note,
        row.actor,
        row.asked.get(),
        row.done.get(),
        row.short.get(),
        row.created_at.0,
        row.closed_at.map(|at| at.0),
    ];
    write_one(connection, sql, values)
}

pub(super) fn one(connection: &Connection, id: ClaimId) -> Result<Option<Claim>, StorageError> {
    let sql = concat!("SELECT ", claim_columns!(), " FROM claim WHERE id = ?1");
    first(connection, sql, params![id.0.to_be_bytes()], read)
}

pub(super) fn page(
    connection: &Connection,
    filter: ClaimFilter,
    page: PageRequest,
) -> Result<Page<Claim>, StorageError> {
    let mut listing = Listing::new(concat!("SELECT ", claim_columns!(), " FROM claim"));
    if let Some(wallet) = filter.wallet {
        listing.id("wallet =", wallet.0);
    }
    if filter.open_only {
        listing.only("closed_at IS NULL");
    }
    let claims = listing.rising(connection, page, read)?;
    Ok(Page::cut(claims, page.limit, |claim| claim.id.0))
}
