//! Rows of events, of the endpoints they are sent to, and of their deliveries.

use creditgate_ledger::Timestamp;
use creditgate_ledger::event::Event;
use creditgate_ledger::id::{CustomerId, DeliveryId, EndpointId, EventId};
use creditgate_ledger::webhook::{Attempt, Delivery, Endpoint};
use rusqlite::{Connection, params};

use super::columns::{Columns, first, ids, json, list, word, write_one};
use super::listing::Listing;
use crate::storage::{DeliveryFilter, EventFilter, FORGET_MAX, Page, PageRequest, StorageError};

/// Those that are not gone.
pub(super) const ENDPOINTS: &str =
    "SELECT id, external_id, url, description, events, secrets, status, disabled_reason, failing_since, metadata,
     created_at, deleted_at FROM endpoint WHERE deleted_at IS NULL ORDER BY id";

pub(super) fn read_endpoint(columns: &mut Columns<'_, '_>) -> Result<Endpoint, StorageError> {
    Ok(Endpoint {
        id: EndpointId(columns.id()?),
        external_id: columns.value()?,
        url: columns.value()?,
        description: columns.value()?,
        events: columns.json()?,
        secrets: columns.json()?,
        status: columns.word()?,
        disabled_reason: columns.value()?,
        failing_since: columns.time_or_none()?,
        metadata: columns.json()?,
        created_at: columns.time()?,
        deleted_at: columns.time_or_none()?,
    })
}

pub(super) fn write_endpoint(
    connection: &Connection,
    is_new: bool,
    row: &Endpoint,
) -> Result<(), StorageError> {
    let sql = if is_new {
        "INSERT INTO endpoint (id, external_id, url, description, events, secrets, status, disabled_reason,
         failing_since, metadata, created_at, deleted_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
    } else {
        "UPDATE endpoint SET external_id = ?2, url = ?3, description = ?4, events = ?5, secrets = ?6, status = ?7,
         disabled_reason = ?8, failing_since = ?9, metadata = ?10, created_at = ?11, deleted_at = ?12 WHERE id = ?1"
    };
    let values = params![
        row.id.0.to_be_bytes(),
        row.external_id,
        row.url,
        row.description,
        json(&row.events)?,
        json(&row.secrets)?,
        word(&row.status)?,
        row.disabled_reason,
        row.failing_since.map(|at| at.0),
        json(&row.metadata)?,
        row.created_at.0,
        row.deleted_at.map(|at| at.0),
    ];
    write_one(connection, sql, values)
}

macro_rules! event_columns {
    () => {
        "event.id, event.kind, event.at, event.customer, event.data"
    };
}

fn read_event(columns: &mut Columns<'_, '_>) -> Result<Event, StorageError> {
    Ok(Event {
        id: EventId(columns.id()?),
        kind: columns.word()?,
        at: columns.time()?,
        customer: columns.id_or_none()?.map(CustomerId),
        data: columns.json()?,
    })
}

pub(super) fn write_event(connection: &Connection, row: &Event) -> Result<(), StorageError> {
    let sql = "INSERT INTO event (id, kind, at, customer, data) VALUES (?1, ?2, ?3, ?4, ?5)";
    let values = params![
        row.id.0.to_be_bytes(),
        row.kind.as_str(),
        row.at.0,
        row.customer.map(|customer| customer.0.to_be_bytes()),
        json(&row.data)?,
    ];
    write_one(connection, sql, values)
}

pub(super) fn event(connection: &Connection, id: EventId) -> Result<Option<Event>, StorageError> {
    let sql = concat!("SELECT ", event_columns!(), " FROM event WHERE id = ?1");
    first(connection, sql, params![id.0.to_be_bytes()], read_event)
}

pub(super) fn events(
    connection: &Connection,
    filter: EventFilter,
    page: PageRequest,
) -> Result<Page<Event>, StorageError> {
    let mut listing = Listing::new(concat!("SELECT ", event_columns!(), " FROM event"));
    if let Some(customer) = filter.customer {
        listing.id("customer =", customer.0);
    }
    if let Some(kind) = filter.kind {
        listing.and("kind =", kind.as_str().to_owned());
    }
    if let Some(from) = filter.from {
        listing.and("at >=", from.0);
    }
    if let Some(before) = filter.before {
        listing.and("at <", before.0);
    }
    let events = listing.newest(connection, "event", page, read_event)?;
    Ok(Page::cut(events, page.limit, |event| event.id.0))
}

/// Forgets old events with their deliveries and attempts, but none that is still to be told.
pub(super) fn forget_events(
    connection: &Connection,
    before: Timestamp,
) -> Result<(), StorageError> {
    let sql = "SELECT id FROM event WHERE at < ?1
           AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.event = event.id AND +state = 'pending')
         ORDER BY at, id LIMIT ?2";
    let most = i64::try_from(FORGET_MAX).unwrap_or(i64::MAX);
    let old = list(connection, sql, params![before.0, most], |columns| {
        columns.id()
    })?;
    let old = ids(old.into_iter());
    for sql in [
        "DELETE FROM attempt WHERE delivery IN (SELECT id FROM delivery WHERE event IN rarray(?1))",
        "DELETE FROM delivery WHERE event IN rarray(?1)",
        "DELETE FROM event WHERE id IN rarray(?1)",
    ] {
        connection.prepare_cached(sql)?.execute(params![old])?;
    }
    Ok(())
}

macro_rules! delivery_columns {
    () => {
        "delivery.id, delivery.event, delivery.kind, delivery.endpoint, delivery.state, delivery.attempts, \
         delivery.next_at, delivery.last_at, delivery.last_status, delivery.created_at"
    };
}

fn read_delivery(columns: &mut Columns<'_, '_>) -> Result<Delivery, StorageError> {
    Ok(Delivery {
        id: DeliveryId(columns.id()?),
        event: EventId(columns.id()?),
        kind: columns.word()?,
        endpoint: EndpointId(columns.id()?),
        state: columns.word()?,
        attempts: columns.value()?,
        next_at: columns.time_or_none()?,
        last_at: columns.time_or_none()?,
        last_status: columns.value()?,
        created_at: columns.time()?,
    })
}

pub(super) fn write_delivery(connection: &Connection, row: &Delivery) -> Result<(), StorageError> {
    let sql = "INSERT INTO delivery (id, event, kind, endpoint, state, attempts, next_at, last_at, last_status,
         created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, attempts = excluded.attempts,
         next_at = excluded.next_at, last_at = excluded.last_at, last_status = excluded.last_status";
    let values = params![
        row.id.0.to_be_bytes(),
        row.event.0.to_be_bytes(),
        row.kind.as_str(),
        row.endpoint.0.to_be_bytes(),
        word(&row.state)?,
        row.attempts,
        row.next_at.map(|at| at.0),
        row.last_at.map(|at| at.0),
        row.last_status,
        row.created_at.0,
    ];
    write_one(connection, sql, values)
}

pub(super) fn delivery(
    connection: &Connection,
    id: DeliveryId,
) -> Result<Option<Delivery>, StorageError> {
    let sql = concat!(
        "SELECT ",
        delivery_columns!(),
        " FROM delivery WHERE id = ?1"
    );
    first(connection, sql, params![id.0.to_be_bytes()], read_delivery)
}

pub(super) fn deliveries(
    connection: &Connection,
    filter: DeliveryFilter,
    page: PageRequest,
) -> Result<Page<Delivery>, StorageError> {
    let mut listing = Listing::new(concat!("SELECT ", delivery_columns!(), " FROM delivery"));
    // A sign before a column keeps its index out of it: an event's rows are the fewest.
    let few = filter.event.is_some();
    if let Some(event) = filter.event {
        listing.id("event =", event.0);
    }
    if let Some(endpoint) = filter.endpoint {
        let condition = if few { "+endpoint =" } else { "endpoint =" };
        listing.id(condition, endpoint.0);
    }
    if let Some(state) = filter.state {
        listing.and(if few { "+state =" } else { "state =" }, word(&state)?);
    }
    let deliveries = listing.falling(connection, page, read_delivery)?;
    Ok(Page::cut(deliveries, page.limit, |delivery| delivery.id.0))
}

pub(super) fn due(
    connection: &Connection,
    endpoint: EndpointId,
    at: Timestamp,
    without: &[CustomerId],
    limit: u32,
) -> Result<Vec<(Delivery, Event)>, StorageError> {
    let sql = concat!(
        "SELECT ",
        delivery_columns!(),
        ", ",
        event_columns!(),
        " FROM delivery JOIN event ON event.id = delivery.event
         WHERE delivery.state = 'pending' AND delivery.endpoint = ?1 AND delivery.next_at <= ?2
           AND delivery.next_at IS NOT NULL
           AND (event.customer IS NULL OR event.customer NOT IN rarray(?4))
         ORDER BY delivery.next_at, delivery.event, delivery.id LIMIT ?3"
    );
    let without = ids(without.iter().map(|customer| customer.0));
    let values = params![endpoint.0.to_be_bytes(), at.0, limit, without];
    list(connection, sql, values, |columns| {
        Ok((read_delivery(columns)?, read_event(columns)?))
    })
}

pub(super) fn next(connection: &Connection) -> Result<Vec<(EndpointId, Timestamp)>, StorageError> {
    // One step in the index for each endpoint, however many deliveries it has.
    let sql = "WITH RECURSIVE known (endpoint) AS (
             SELECT min(endpoint) FROM delivery INDEXED BY delivery_due WHERE state = 'pending' AND next_at IS NOT NULL
             UNION ALL
             SELECT (SELECT min(endpoint) FROM delivery INDEXED BY delivery_due
                 WHERE state = 'pending' AND next_at IS NOT NULL AND endpoint > known.endpoint)
             FROM known WHERE known.endpoint IS NOT NULL)
         SELECT endpoint, (SELECT min(next_at) FROM delivery INDEXED BY delivery_due
             WHERE state = 'pending' AND next_at IS NOT NULL AND endpoint = known.endpoint)
         FROM known WHERE endpoint IS NOT NULL";
    list(connection, sql, [], |columns| {
        Ok((EndpointId(columns.id()?), columns.time()?))
    })
}

pub(super) fn pending(connection: &Connection) -> Result<(u64, Option<Timestamp>), StorageError> {
    let sql = "SELECT count(*), min(created_at) FROM delivery INDEXED BY delivery_pending
         WHERE state = 'pending'";
    let pending = first(connection, sql, [], |columns| {
        Ok((columns.bits()?, columns.time_or_none()?))
    })?;
    Ok(pending.unwrap_or_default())
}

pub(super) fn write_attempt(connection: &Connection, row: &Attempt) -> Result<(), StorageError> {
    let sql = "INSERT INTO attempt (delivery, number, at, status, error, response, duration_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let values = params![
        row.delivery.0.to_be_bytes(),
        row.number,
        row.at.0,
        row.status,
        row.error,
        row.response,
        row.duration_ms.cast_signed(),
    ];
    write_one(connection, sql, values)
}

pub(super) fn attempts(
    connection: &Connection,
    delivery: DeliveryId,
) -> Result<Vec<Attempt>, StorageError> {
    let sql = "SELECT delivery, number, at, status, error, response, duration_ms FROM attempt
         WHERE delivery = ?1 ORDER BY number";
    list(
        connection,
        sql,
        params![delivery.0.to_be_bytes()],
        |columns| {
            Ok(Attempt {
                delivery: DeliveryId(columns.id()?),
                number: columns.value()?,
                at: columns.time()?,
                status: columns.value()?,
                error: columns.value()?,
                response: columns.value()?,
                duration_ms: columns.bits()?,
            })
        },
    )
}
