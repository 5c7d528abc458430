//! What is sent to an endpoint because an operator wants it: a test, and what it missed.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use creditgate_ledger::id::{EndpointId, EventId};
use creditgate_ledger::webhook::endpoint::find;
use creditgate_ledger::webhook::{DeliveryState, Endpoint};
use creditgate_ledger::{Event, EventKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::deliveries::DeliveryView;
use crate::command::{Command, Outcome, REPLAY_MAX, WebhookCommand};
use crate::http::Shared;
use crate::http::answer::write;
use crate::http::body::{Path, Write};
use crate::http::input::{Lower, When};
use crate::problem::Problem;
use crate::storage::{Cursor, CursorError, DeliveryFilter, EventFilter, PageRequest, Reader};

/// Most events of a period that one call looks at.
const LOOKED_AT_MAX: usize = 5_000;

const PAGE: u32 = 200;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(test_webhook_endpoint))
        .routes(routes!(replay_webhooks))
}

/// Nothing is needed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TestEndpoint {}

/// Sends an event of the type `webhook_endpoint.test` to this endpoint, whatever it subscribes
/// to, and to no other. How it went is at the delivery.
#[utoipa::path(post, path = "/v1/webhook-endpoints/{id}/test", tag = "webhooks", request_body = TestEndpoint,
    params(("id" = String, Path, description = "Id or external id")),
    responses((status = 201, body = DeliveryView)))]
async fn test_webhook_endpoint(
    State(app): State<Shared>,
    Path(endpoint): Path,
    Write { raw, .. }: Write<TestEndpoint>,
) -> Result<Response, Problem> {
    let command = Command::Webhook(WebhookCommand::Test { endpoint });
    let status = StatusCode::CREATED;
    write(&app, &raw, command, status, DeliveryView::shown).await
}

/// Which events of a period are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Which {
    /// Those that the endpoint did not take and that are not on their way to it.
    Undelivered,
    /// All it subscribes to.
    All,
}

/// Which events are to be sent.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReplayPeriod {
    /// Those from this instant on.
    #[schema(value_type = String, format = DateTime)]
    from: When,
    /// Those before this instant; now if absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    to: Option<When>,
    /// `undelivered`: what the endpoint did not take and what is not on its way to it, also what
    /// happened while it was disabled or not there yet; `all`: also what it took. `undelivered`
    /// if absent.
    #[schema(value_type = Option<String>)]
    which: Option<Lower<Which>>,
    /// `next_cursor` of the call before.
    cursor: Option<String>,
}

/// What is being sent.
#[derive(Serialize, ToSchema)]
struct Replayed {
    /// How many events are on their way now.
    deliveries: usize,
    /// If the period has more events: repeat the call with this cursor. They are older.
    next_cursor: Option<String>,
}

/// Sends the events of a period to an endpoint, oldest first: at most 1,000 a call. Only
/// events of the types it subscribes to.
#[utoipa::path(post, path = "/v1/webhook-endpoints/{id}/replay", tag = "webhooks", request_body = ReplayPeriod,
    params(("id" = String, Path, description = "Id or external id")),
    responses((status = 200, body = Replayed)))]
async fn replay_webhooks(
    State(app): State<Shared>,
    Path(named): Path,
    Write { body, raw }: Write<ReplayPeriod>,
) -> Result<Response, Problem> {
    let endpoint = find(&app.writer.registry().endpoints, &named).cloned();
    let filter = EventFilter {
        from: Some(body.from.0),
        before: body.to.map(|to| to.0),
        ..EventFilter::default()
    };
    let which = body.which.map_or(Which::Undelivered, |which| which.0);
    let cursor = body.cursor.as_deref().map(str::parse).transpose();
    let cursor = cursor.map_err(|error: CursorError| Problem::from(error).at("/cursor"))?;
    let (command, next) = match endpoint {
        Ok(endpoint) => {
            let missed = app.read(move |reader| {
                let reader = reader.snapshot()?;
                missed(&*reader, &endpoint, filter, which, cursor)
            });
            let Missed { events, next } = missed.await?;
            let endpoint = named;
            let command = WebhookCommand::Send { endpoint, events };
            (Command::Webhook(command), next)
        }
        Err(refusal) => (Command::Refuse(refusal), None),
    };
    write(&app, &raw, command, StatusCode::OK, move |outcome| {
        let Outcome::Deliveries(_, deliveries) = outcome else {
            return None;
        };
        Some(Replayed {
            deliveries: deliveries.len(),
            next_cursor: next.map(|cursor| cursor.to_string()),
        })
    })
    .await
}

/// Events to be sent, oldest first, and where to go on with older ones.
struct Missed {
    events: Vec<(EventId, EventKind)>,
    next: Option<Cursor>,
}

/// The newest such events.
fn missed(
    reader: &dyn Reader,
    endpoint: &Endpoint,
    filter: EventFilter,
    which: Which,
    cursor: Option<Cursor>,
) -> Result<Missed, Problem> {
    let mut page = PageRequest {
        cursor,
        limit: PAGE,
    };
    let mut events = Vec::new();
    let mut looked_at = 0;
    let next = 'all: loop {
        let found = reader.events(filter, page)?;
        for event in &found.items {
            looked_at += 1;
            if wanted(reader, endpoint, event, which)? {
                events.push((event.id, event.kind));
            }
            if events.len() >= REPLAY_MAX || looked_at >= LOOKED_AT_MAX {
                break 'all Some(Cursor(event.id.0));
            }
        }
        page.cursor = found.next;
        if page.cursor.is_none() {
            break None;
        }
    };
    events.reverse();
    Ok(Missed { events, next })
}

fn wanted(
    reader: &dyn Reader,
    endpoint: &Endpoint,
    event: &Event,
    which: Which,
) -> Result<bool, Problem> {
    let wants = endpoint.wants(event.kind);
    Ok(wants && (which == Which::All || !is_taken(reader, endpoint.id, event.id)?))
}

/// Whether the endpoint took the event, or it is on its way.
fn is_taken(reader: &dyn Reader, endpoint: EndpointId, event: EventId) -> Result<bool, Problem> {
    let filter = DeliveryFilter {
        endpoint: Some(endpoint),
        event: Some(event),
        state: None,
    };
    let found = reader.deliveries(filter, PageRequest::first(PAGE))?;
    let failed = |state| state == DeliveryState::Failed;
    Ok(found.items.iter().any(|delivery| !failed(delivery.state)))
}
