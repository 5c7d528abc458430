//! Rows of the log of who changed what. Only ever inserted.

use creditgate_ledger::audit::AuditRecord;
use creditgate_ledger::id::{AuditId, CustomerId};
use rusqlite::{Connection, params};

use super::columns::{Columns, write_one};
use super::listing::Listing;
use crate::storage::{AuditFilter, Page, PageRequest, StorageError};

fn read(columns: &mut Columns<'_, '_>) -> Result<AuditRecord, StorageError> {
    Ok(AuditRecord {
        id: AuditId(columns.id()?),
        at: columns.time()?,
        actor: columns.value()?,
        action: columns.value()?,
        customer: columns.id_or_none()?.map(CustomerId),
        subject: columns.value()?,
        reason: columns.value()?,
    })
}

pub(super) fn write(connection: &Connection, row: &AuditRecord) -> Result<(), StorageError> {
    let sql = "INSERT INTO audit (id, at, actor, action, customer, subject, reason)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let values = params![
        row.id.0.to_be_bytes(),
        row.at.0,
        row.actor,
        row.action,
        row.customer.map(|customer| customer.0.to_be_bytes()),
        row.subject,
        row.reason,
    ];
    write_one(connection, sql, values)
}

pub(super) fn page(
    connection: &Connection,
    filter: &AuditFilter,
    page: PageRequest,
) -> Result<Page<AuditRecord>, StorageError> {
    let select = "SELECT id, at, actor, action, customer, subject, reason FROM audit";
    let mut listing = Listing::new(select);
    if let Some(customer) = filter.customer {
        listing.id("customer =", customer.0);
    }
    if let Some(actor) = &filter.actor {
        listing.and("actor =", actor.clone());
    }
    if let Some(action) = &filter.action {
        listing.and("action =", action.clone());
    }
    match filter.subjects.as_deref() {
        None => {}
        // In the order of the index. Objects that share a name are few, and so are their lines.
        Some([subject]) => listing.and("subject =", subject.clone()),
        Some(subjects) => listing.among("subject", subjects.iter().cloned()),
    }
    if let Some(from) = filter.from {
        listing.and("at >=", from.0);
    }
    if let Some(before) = filter.before {
        listing.and("at <", before.0);
    }
    let records = listing.newest(connection, "audit", page, read)?;
    Ok(Page::cut(records, page.limit, |record| record.id.0))
}
