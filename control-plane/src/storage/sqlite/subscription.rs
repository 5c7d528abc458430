//! Rows of plans and of subscriptions to them.

use creditgate_ledger::id::{CustomerId, PlanId, SubscriptionId};
use creditgate_ledger::plan::Plan;
use creditgate_ledger::subscription::Subscription;
use rusqlite::{Connection, params};

use super::columns::{Columns, first, json, word, write_one};
use super::listing::Listing;
use crate::storage::{Page, PageRequest, StorageError, SubscriptionFilter, Target};

pub(super) const PLANS: &str = "SELECT id, external_id, name, description, metadata, created_at, archived_at FROM plan ORDER BY id";

pub(super) fn read_plan(columns: &mut Columns<'_, '_>) -> Result<Plan, StorageError> {
    Ok(Plan {
        id: PlanId(columns.id()?),
        external_id: columns.value()?,
        name: columns.value()?,
        description: columns.value()?,
        metadata: columns.json()?,
        created_at: columns.time()?,
        archived_at: columns.time_or_none()?,
    })
}

pub(super) fn write_plan(
    connection: &Connection,
    is_new: bool,
    row: &Plan,
) -> Result<(), StorageError> {
    let sql = if is_new {
        "INSERT INTO plan (id, external_id, name, description, metadata, created_at, archived_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
    } else {
        "UPDATE plan SET external_id = ?2, name = ?3, description = ?4, metadata = ?5, created_at = ?6,
         archived_at = ?7 WHERE id = ?1"
    };
    let values = params![
        row.id.0.to_be_bytes(),
        row.external_id,
        row.name,
        row.description,
        json(&row.metadata)?,
        row.created_at.0,
        row.archived_at.map(|at| at.0),
    ];
    write_one(connection, sql, values)
}

macro_rules! subscription_columns {
    () => {
        "subscription.id, subscription.external_id, subscription.customer, subscription.plan, subscription.status, \
         subscription.billing, subscription.started_at, subscription.paused_at, subscription.ends_at, \
         subscription.ending, subscription.cancelled_at, subscription.metadata, subscription.created_at"
    };
}

pub(super) use subscription_columns;

pub(super) fn read(columns: &mut Columns<'_, '_>) -> Result<Subscription, StorageError> {
    Ok(Subscription {
        id: SubscriptionId(columns.id()?),
        external_id: columns.value()?,
        customer: CustomerId(columns.id()?),
        plan: PlanId(columns.id()?),
        status: columns.word()?,
        billing: columns.json()?,
        started_at: columns.time()?,
        paused_at: columns.time_or_none()?,
        ends_at: columns.time_or_none()?,
        ending: columns.json_or_none()?,
        cancelled_at: columns.time_or_none()?,
        metadata: columns.json()?,
        created_at: columns.time()?,
    })
}

pub(super) fn write(
    connection: &Connection,
    is_new: bool,
    row: &Subscription,
) -> Result<(), StorageError> {
    let sql = if is_new {
        "INSERT INTO subscription (id, external_id, customer, plan, status, billing, started_at, paused_at, ends_at,
         ending, cancelled_at, metadata, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
    } else {
        "UPDATE subscription SET external_id = ?2, customer = ?3, plan = ?4, status = ?5, billing = ?6,
         started_at = ?7, paused_at = ?8, ends_at = ?9, ending = ?10, cancelled_at = ?11, metadata = ?12,
         created_at = ?13 WHERE id = ?1"
    };
    let values = params![
        row.id.0.to_be_bytes(),
        row.external_id,
        row.customer.0.to_be_bytes(),
        row.plan.0.to_be_bytes(),
        word(&row.status)?,
        json(&row.billing)?,
        row.started_at.0,
        row.paused_at.map(|at| at.0),
        row.ends_at.map(|at| at.0),
        row.ending.as_ref().map(json).transpose()?,
        row.cancelled_at.map(|at| at.0),
        json(&row.metadata)?,
        row.created_at.0,
    ];
    write_one(connection, sql, values)
}

/// By id or name; of another target there is none.
pub(super) fn one(
    connection: &Connection,
    target: &Target,
) -> Result<Option<Subscription>, StorageError> {
    let select = concat!(
        "SELECT ",
        subscription_columns!(),
        " FROM subscription WHERE "
    );
    match target {
        Target::Subscription(id) => {
            let sql = format!("{select} id = ?1");
            first(connection, &sql, params![id.0.to_be_bytes()], read)
        }
        Target::SubscriptionName(name) => first(
            connection,
            &format!("{select} external_id = ?1"),
            params![name],
            read,
        ),
        _ => Ok(None),
    }
}

pub(super) fn page(
    connection: &Connection,
    filter: SubscriptionFilter,
    page: PageRequest,
) -> Result<Page<Subscription>, StorageError> {
    let select = concat!("SELECT ", subscription_columns!(), " FROM subscription");
    let mut listing = Listing::new(select);
    if let Some(customer) = filter.customer {
        listing.id("customer =", customer.0);
    }
    // A sign before a column keeps its index out of it: a customer's rows are the fewest.
    let few = filter.customer.is_some();
    if let Some(plan) = filter.plan {
        listing.id(if few { "+plan =" } else { "plan =" }, plan.0);
    }
    if let Some(status) = filter.status {
        let condition = if few { "+status =" } else { "status =" };
        listing.and(condition, word(&status)?);
    }
    let subscriptions = listing.rising(connection, page, read)?;
    Ok(Page::cut(subscriptions, page.limit, |row| row.id.0))
}
