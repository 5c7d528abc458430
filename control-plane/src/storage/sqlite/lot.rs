//! Rows of lots. They are changed with every report, so a change of their parts alone is
//! written by a statement that touches no index.

use creditgate_ledger::id::{AccountId, CustomerId, LotId, WalletId};
use creditgate_ledger::{Lot, LotStatus};
use rusqlite::{Connection, params};

use super::columns::{Columns, first, json, word, write_one};
use super::listing::Listing;
use crate::storage::{LotFilter, Page, PageRequest, StorageError};

macro_rules! lot_columns {
    () => {
        "lot.id, lot.external_id, lot.wallet, lot.account, lot.kind, lot.reason, lot.source, lot.priority, \
         lot.effective_at, lot.expires_at, lot.created_at, lot.amount, lot.unpaid, lot.lapses_at, lot.paid_at, \
         lot.free, lot.pinned, lot.spent, lot.expired, lot.withdrawn, lot.excess, lot.cost, lot.voided_at, \
         lot.description, lot.metadata"
    };
}

pub(super) use lot_columns;

pub(super) fn read_lot(columns: &mut Columns<'_, '_>) -> Result<Lot, StorageError> {
    Ok(Lot {
        id: LotId(columns.id()?),
        external_id: columns.value()?,
        wallet: WalletId(columns.id()?),
        account: AccountId(columns.id()?),
        kind: columns.word()?,
        reason: columns.word()?,
        source: columns.json()?,
        priority: columns.value()?,
        effective_at: columns.time()?,
        expires_at: columns.time_or_none()?,
        created_at: columns.time()?,
        amount: columns.amount()?,
        unpaid: columns.amount()?,
        lapses_at: columns.time_or_none()?,
        paid_at: columns.time_or_none()?,
        free: columns.amount()?,
        pinned: columns.amount()?,
        spent: columns.amount()?,
        expired: columns.amount()?,
        withdrawn: columns.amount()?,
        excess: columns.amount()?,
        cost: columns.json_or_none()?,
        voided_at: columns.time_or_none()?,
        description: columns.value()?,
        metadata: columns.json()?,
    })
}

pub(super) fn write_lot(
    connection: &Connection,
    customer: CustomerId,
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
        "INSERT INTO lot (id, external_id, wallet, account, customer, kind, reason, source, priority, effective_at,
         expires_at, created_at, amount, unpaid, lapses_at, free, pinned, spent, expired, withdrawn, excess, cost,
         voided_at, description, metadata, live, paid_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
         ?23, ?24, ?25, ?26, ?27)"
    } else {
        "UPDATE lot SET external_id = ?2, wallet = ?3, account = ?4, customer = ?5, kind = ?6, reason = ?7,
         source = ?8, priority = ?9, effective_at = ?10, expires_at = ?11, created_at = ?12, amount = ?13,
         unpaid = ?14, lapses_at = ?15, free = ?16, pinned = ?17, spent = ?18, expired = ?19, withdrawn = ?20,
         excess = ?21, cost = ?22, voided_at = ?23, description = ?24, metadata = ?25, live = ?26,
         paid_at = ?27 WHERE id = ?1"
    };
    let values = params![
        row.id.0.to_be_bytes(),
        row.external_id,
        row.wallet.0.to_be_bytes(),
        row.account.0.to_be_bytes(),
        customer.0.to_be_bytes(),
        word(&row.kind)?,
        word(&row.reason)?,
        json(&row.source)?,
        row.priority,
        row.effective_at.0,
        row.expires_at.map(|at| at.0),
        row.created_at.0,
        row.amount.get(),
        row.unpaid.get(),
        row.lapses_at.map(|at| at.0),
        row.free.get(),
        row.pinned.get(),
        row.spent.get(),
        row.expired.get(),
        row.withdrawn.get(),
        row.excess.get(),
        row.cost.as_ref().map(json).transpose()?,
        row.voided_at.map(|at| at.0),
        row.description,
        json(&row.metadata)?,
        row.is_live(),
        row.paid_at.map(|at| at.0),
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

/// One lot, and whose it is.
pub(super) fn one(
    connection: &Connection,
    id: LotId,
) -> Result<Option<(CustomerId, Lot)>, StorageError> {
    let sql = concat!(
        "SELECT ",
        lot_columns!(),
        ", lot.customer FROM lot WHERE id = ?1"
    );
    first(connection, sql, params![id.0.to_be_bytes()], |columns| {
        let lot = read_lot(columns)?;
        Ok((CustomerId(columns.id()?), lot))
    })
}

/// One lot by the operator's name of it, and whose it is.
pub(super) fn named(
    connection: &Connection,
    name: &str,
) -> Result<Option<(CustomerId, Lot)>, StorageError> {
    let sql = concat!(
        "SELECT ",
        lot_columns!(),
        ", lot.customer FROM lot WHERE external_id = ?1"
    );
    first(connection, sql, params![name], |columns| {
        let lot = read_lot(columns)?;
        Ok((CustomerId(columns.id()?), lot))
    })
}

pub(super) fn page(
    connection: &Connection,
    filter: LotFilter,
    page: PageRequest,
) -> Result<Page<Lot>, StorageError> {
    let mut listing = Listing::new(concat!("SELECT ", lot_columns!(), " FROM lot"));
    match filter {
        LotFilter::Wallet(wallet) => listing.id("wallet =", wallet.0),
        LotFilter::Customer(customer) => listing.id("customer =", customer.0),
        LotFilter::Some {
            wallet,
            kind,
            status,
        } => {
            listing.id("wallet =", wallet.0);
            if let Some(kind) = kind {
                listing.and("kind =", word(&kind)?);
            }
            if let Some((status, now)) = status {
                listing.that(standing(status), now.0);
            }
        }
    }
    let lots = listing.rising(connection, page, read_lot)?;
    Ok(Page::cut(lots, page.limit, |lot| lot.id.0))
}

/// The condition of [`Lot::status`] at the instant `?`; those that are live are in an index.
const fn standing(status: LotStatus) -> &'static str {
    match status {
        LotStatus::Voided => "voided_at IS NOT NULL",
        LotStatus::Expired => {
            "voided_at IS NULL AND unpaid = 0 AND expires_at <= ?{n} AND (expired <> 0 OR free <> 0 OR pinned <> 0)"
        }
        LotStatus::Depleted => {
            "voided_at IS NULL AND unpaid = 0 AND free = 0 AND pinned = 0 \
             AND (expired = 0 OR expires_at IS NULL OR expires_at > ?{n})"
        }
        LotStatus::Pending => {
            "voided_at IS NULL AND (unpaid <> 0 OR ((free <> 0 OR pinned <> 0) AND effective_at > ?{n} \
             AND (expires_at IS NULL OR expires_at > ?{n}))) AND live = 1"
        }
        LotStatus::Active => {
            "voided_at IS NULL AND unpaid = 0 AND (expires_at IS NULL OR expires_at > ?{n}) \
             AND (free <> 0 OR pinned <> 0) AND effective_at <= ?{n} AND live = 1"
        }
    }
}
