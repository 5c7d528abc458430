//! Rows of credit grants of all scopes, of where each stands, and of their applications.

use creditgate_ledger::Credits;
use creditgate_ledger::grant::{Application, Grant, GrantScope, Schedule};
use creditgate_ledger::id::{
    ApplicationId, CustomerId, GrantId, LotId, PlanId, SubscriptionId, WalletId,
};
use rusqlite::{Connection, params};

use super::columns::{Columns, first, json, word, write_one};
use super::listing::Listing;
use crate::storage::{ApplicationFilter, GrantFilter, Page, PageRequest, StorageError, Target};

macro_rules! grant_columns {
    () => {
        "credit_grant.id, credit_grant.external_id, credit_grant.scope, credit_grant.owner, credit_grant.name, \
         credit_grant.credits, credit_grant.currency, credit_grant.cadence, credit_grant.anchor, \
         credit_grant.expiry, credit_grant.rollover, credit_grant.priority, credit_grant.is_promotional, \
         credit_grant.metadata, credit_grant.created_at, credit_grant.archived_at"
    };
}

macro_rules! application_columns {
    () => {
        "grant_application.id, grant_application.grant_id, grant_application.subscription, \
         grant_application.customer, grant_application.occurrence, grant_application.scheduled_for, \
         grant_application.state, grant_application.cause, grant_application.attempts, grant_application.retry_at, \
         grant_application.wallet, grant_application.lot, grant_application.amount, \
         grant_application.rolled_over, grant_application.carried, grant_application.decided_at"
    };
}

macro_rules! schedule_columns {
    () => {
        "grant_schedule.grant_id, grant_schedule.subscription, grant_schedule.began_at, \
         grant_schedule.\"offset\", grant_schedule.occurrence, grant_schedule.next_at"
    };
}

pub(super) use {application_columns, grant_columns, schedule_columns};

pub(super) const PLAN_GRANTS: &str = concat!(
    "SELECT ",
    grant_columns!(),
    " FROM credit_grant WHERE scope = 'PLAN' ORDER BY id"
);

pub(super) fn read(columns: &mut Columns<'_, '_>) -> Result<Grant, StorageError> {
    Ok(Grant {
        id: GrantId(columns.id()?),
        external_id: columns.value()?,
        scope: {
            let (scope, owner): (String, u128) = (columns.value()?, columns.id()?);
            match scope.as_str() {
                "PLAN" => GrantScope::Plan(PlanId(owner)),
                "SUBSCRIPTION" => GrantScope::Subscription(SubscriptionId(owner)),
                _ => GrantScope::Customer(CustomerId(owner)),
            }
        },
        name: columns.value()?,
        credits: read_credits(columns)?,
        currency: columns.parsed()?,
        cadence: columns.json()?,
        anchor: columns.time_or_none()?,
        expiry: columns.json()?,
        rollover: columns.json_or_none()?,
        priority: columns.value()?,
        is_promotional: columns.value()?,
        metadata: columns.json()?,
        created_at: columns.time()?,
        archived_at: columns.time_or_none()?,
    })
}

fn read_credits(columns: &mut Columns<'_, '_>) -> Result<Credits, StorageError> {
    columns.word()
}

/// `customer` is none for a plan's grant.
pub(super) fn write(
    connection: &Connection,
    customer: Option<CustomerId>,
    is_new: bool,
    row: &Grant,
) -> Result<(), StorageError> {
    let sql = if is_new {
        "INSERT INTO credit_grant (id, external_id, customer, scope, owner, name, credits, currency, cadence, anchor,
         expiry, rollover, priority, is_promotional, metadata, created_at, archived_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"
    } else {
        "UPDATE credit_grant SET external_id = ?2, customer = ?3, scope = ?4, owner = ?5, name = ?6, credits = ?7,
         currency = ?8, cadence = ?9, anchor = ?10, expiry = ?11, rollover = ?12, priority = ?13,
         is_promotional = ?14, metadata = ?15, created_at = ?16, archived_at = ?17 WHERE id = ?1"
    };
    let (scope, owner) = scope(row.scope);
    let values = params![
        row.id.0.to_be_bytes(),
        row.external_id,
        customer.map(|customer| customer.0.to_be_bytes()),
        scope,
        owner,
        row.name,
        row.credits.as_str(),
        row.currency.as_str(),
        json(&row.cadence)?,
        row.anchor.map(|at| at.0),
        json(&row.expiry)?,
        row.rollover.as_ref().map(json).transpose()?,
        row.priority,
        row.is_promotional,
        json(&row.metadata)?,
        row.created_at.0,
        row.archived_at.map(|at| at.0),
    ];
    write_one(connection, sql, values)
}

const fn scope(scope: GrantScope) -> (&'static str, [u8; 16]) {
    match scope {
        GrantScope::Plan(plan) => ("PLAN", plan.0.to_be_bytes()),
        GrantScope::Subscription(subscription) => ("SUBSCRIPTION", subscription.0.to_be_bytes()),
        GrantScope::Customer(customer) => ("CUSTOMER", customer.0.to_be_bytes()),
    }
}

/// By id or name; of another target there is none.
pub(super) fn one(connection: &Connection, target: &Target) -> Result<Option<Grant>, StorageError> {
    let select = concat!("SELECT ", grant_columns!(), " FROM credit_grant WHERE ");
    match target {
        Target::Grant(id) => {
            let sql = format!("{select} id = ?1");
            first(connection, &sql, params![id.0.to_be_bytes()], read)
        }
        Target::GrantName(name) => first(
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
    filter: GrantFilter,
    page: PageRequest,
) -> Result<Page<Grant>, StorageError> {
    let mut listing = Listing::new(concat!("SELECT ", grant_columns!(), " FROM credit_grant"));
    if let Some(wanted) = filter.scope {
        let (name, owner) = scope(wanted);
        listing.and("owner =", owner.to_vec());
        listing.and("scope =", name.to_owned());
    }
    if !filter.with_archived {
        listing.only("archived_at IS NULL");
    }
    let grants = listing.rising(connection, page, read)?;
    Ok(Page::cut(grants, page.limit, |grant| grant.id.0))
}

pub(super) fn read_schedule(columns: &mut Columns<'_, '_>) -> Result<Schedule, StorageError> {
    Ok(Schedule {
        grant: GrantId(columns.id()?),
        subscription: {
            let id: Vec<u8> = columns.value()?;
            let id: Option<[u8; 16]> = id.try_into().ok();
            id.map(|id| SubscriptionId(u128::from_be_bytes(id)))
        },
        began_at: columns.time()?,
        offset: columns.value()?,
        occurrence: columns.value()?,
        next_at: columns.time_or_none()?,
    })
}

/// One that has no next application is not loaded, so it may come as new when it has one again.
pub(super) fn write_schedule(
    connection: &Connection,
    customer: CustomerId,
    row: &Schedule,
) -> Result<(), StorageError> {
    let sql = "INSERT INTO grant_schedule (grant_id, subscription, customer, began_at, \"offset\", occurrence, next_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (grant_id, subscription) DO UPDATE SET customer = excluded.customer,
         began_at = excluded.began_at, \"offset\" = excluded.\"offset\", occurrence = excluded.occurrence, next_at = excluded.next_at";
    let subscription = row.subscription.map(|id| id.0.to_be_bytes().to_vec());
    let values = params![
        row.grant.0.to_be_bytes(),
        subscription.unwrap_or_default(),
        customer.0.to_be_bytes(),
        row.began_at.0,
        row.offset,
        row.occurrence,
        row.next_at.map(|at| at.0),
    ];
    write_one(connection, sql, values)
}

pub(super) fn read_application(columns: &mut Columns<'_, '_>) -> Result<Application, StorageError> {
    Ok(Application {
        id: ApplicationId(columns.id()?),
        grant: GrantId(columns.id()?),
        subscription: columns.id_or_none()?.map(SubscriptionId),
        customer: CustomerId(columns.id()?),
        occurrence: columns.value()?,
        scheduled_for: columns.time()?,
        state: columns.word()?,
        cause: columns.value()?,
        attempts: columns.value()?,
        retry_at: columns.time_or_none()?,
        wallet: columns.id_or_none()?.map(WalletId),
        lot: columns.id_or_none()?.map(LotId),
        amount: columns.amount()?,
        rolled_over: columns.amount()?,
        carried: columns.value()?,
        decided_at: columns.time()?,
    })
}

pub(super) fn write_application(
    connection: &Connection,
    is_new: bool,
    row: &Application,
) -> Result<(), StorageError> {
    let sql = if is_new {
        "INSERT INTO grant_application (id, grant_id, subscription, customer, occurrence, scheduled_for, state, cause,
         attempts, retry_at, wallet, lot, amount, rolled_over, carried, decided_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"
    } else {
        "UPDATE grant_application SET grant_id = ?2, subscription = ?3, customer = ?4, occurrence = ?5,
         scheduled_for = ?6, state = ?7, cause = ?8, attempts = ?9, retry_at = ?10, wallet = ?11, lot = ?12,
         amount = ?13, rolled_over = ?14, carried = ?15, decided_at = ?16 WHERE id = ?1"
    };
    let values = params![
        row.id.0.to_be_bytes(),
        row.grant.0.to_be_bytes(),
        row.subscription.map(|id| id.0.to_be_bytes()),
        row.customer.0.to_be_bytes(),
        row.occurrence,
        row.scheduled_for.0,
        word(&row.state)?,
        row.cause,
        row.attempts,
        row.retry_at.map(|at| at.0),
        row.wallet.map(|wallet| wallet.0.to_be_bytes()),
        row.lot.map(|lot| lot.0.to_be_bytes()),
        row.amount.get(),
        row.rolled_over.get(),
        row.carried,
        row.decided_at.0,
    ];
    write_one(connection, sql, values)
}

pub(super) fn application(
    connection: &Connection,
    id: ApplicationId,
) -> Result<Option<Application>, StorageError> {
    let sql = concat!(
        "SELECT ",
        application_columns!(),
        " FROM grant_application WHERE id = ?1"
    );
    first(
        connection,
        sql,
        params![id.0.to_be_bytes()],
        read_application,
    )
}

pub(super) fn applications(
    connection: &Connection,
    filter: ApplicationFilter,
    page: PageRequest,
) -> Result<Page<Application>, StorageError> {
    let select = concat!("SELECT ", application_columns!(), " FROM grant_application");
    let mut listing = Listing::new(select);
    // A sign before a column keeps its index out of it: a subscription's rows are the fewest,
    // then a customer's.
    let fewest = filter.subscription.is_some();
    let few = fewest || filter.customer.is_some();
    if let Some(subscription) = filter.subscription {
        listing.id("subscription =", subscription.0);
    }
    if let Some(customer) = filter.customer {
        let condition = if fewest { "+customer =" } else { "customer =" };
        listing.id(condition, customer.0);
    }
    if let Some(grant) = filter.grant {
        listing.id(if few { "+grant_id =" } else { "grant_id =" }, grant.0);
    }
    if let Some(state) = filter.state {
        listing.and(if few { "+state =" } else { "state =" }, word(&state)?);
    }
    let applications = listing.falling(connection, page, read_application)?;
    Ok(Page::cut(applications, page.limit, |row| row.id.0))
}
