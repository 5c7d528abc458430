//! Versions of customers' pricings. The newest is in the customer's book.

use std::sync::Arc;

use creditgate_ledger::Book;
use creditgate_ledger::id::CustomerId;
use creditgate_ledger::pricing::{PricingHead, PricingVersion};
use rusqlite::{Connection, params};

use super::columns::{Columns, first, json, limit, list, write_one};
use crate::storage::{Page, PageRequest, StorageError, live};

macro_rules! pricing_columns {
    () => {
        "customer_pricing_version.version, customer_pricing_version.changed_at, customer_pricing_version.document"
    };
}

pub(super) use pricing_columns;

fn read_head(columns: &mut Columns<'_, '_>) -> Result<PricingHead, StorageError> {
    Ok(PricingHead {
        version: columns.value()?,
        changed_at: columns.time()?,
    })
}

pub(super) fn read(columns: &mut Columns<'_, '_>) -> Result<PricingVersion, StorageError> {
    let head = read_head(columns)?;
    Ok(PricingVersion {
        version: head.version,
        document: Arc::new(columns.json()?),
        changed_at: head.changed_at,
    })
}

/// Writes the versions that are new.
pub(super) fn write(
    connection: &Connection,
    before: &Book,
    after: &Book,
) -> Result<(), StorageError> {
    for row in live::new_pricings(before, after) {
        let sql = "INSERT INTO customer_pricing_version (customer, version, document, changed_at)
             VALUES (?1, ?2, ?3, ?4)";
        let values = params![
            after.customer.id.0.to_be_bytes(),
            row.version,
            json(&*row.document)?,
            row.changed_at.0,
        ];
        write_one(connection, sql, values)?;
    }
    Ok(())
}

/// One version of a customer's pricing.
pub(super) fn one(
    connection: &Connection,
    customer: CustomerId,
    version: u32,
) -> Result<Option<PricingVersion>, StorageError> {
    let sql = concat!(
        "SELECT ",
        pricing_columns!(),
        " FROM customer_pricing_version WHERE customer = ?1 AND version = ?2"
    );
    first(
        connection,
        sql,
        params![customer.0.to_be_bytes(), version],
        read,
    )
}

/// The versions of a customer's pricing, newest first.
pub(super) fn page(
    connection: &Connection,
    customer: CustomerId,
    page: PageRequest,
) -> Result<Page<PricingHead>, StorageError> {
    let sql = "SELECT version, changed_at FROM customer_pricing_version
         WHERE customer = ?1 AND version < ?2 ORDER BY version DESC LIMIT ?3";
    let below = page.cursor.and_then(|cursor| i64::try_from(cursor.0).ok());
    let values = params![
        customer.0.to_be_bytes(),
        below.unwrap_or(i64::MAX),
        limit(page)
    ];
    let heads = list(connection, sql, values, read_head)?;
    Ok(Page::cut(heads, page.limit, |head| head.version.into()))
}
