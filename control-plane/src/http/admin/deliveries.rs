//! Deliveries: events on their way to endpoints, and how each attempt went.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use creditgate_ledger::id::{DeliveryId, EndpointId};
use creditgate_ledger::webhook::endpoint::find;
use creditgate_ledger::webhook::{Attempt, Delivery, DeliveryState};
use creditgate_ledger::{Refusal, Registry};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{id, instant};
use crate::command::{Command, Outcome, WebhookCommand};
use crate::http::Shared;
use crate::http::answer::write;
use crate::http::body::{Params, Path, Write};
use crate::http::input::Lower;
use crate::http::list::{List, PageQuery};
use crate::problem::Problem;
use crate::storage::DeliveryFilter;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_webhook_deliveries))
        .routes(routes!(get_webhook_delivery))
        .routes(routes!(replay_webhook_delivery))
}

/// An event on its way to an endpoint.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookDelivery)]
pub(super) struct DeliveryView {
    /// The id, `dlv_…`.
    id: String,
    /// Which event.
    event_id: String,
    /// Of what type.
    r#type: &'static str,
    /// Where to.
    endpoint_id: String,
    /// `pending`, `delivered` or `failed` (given up).
    #[schema(value_type = String)]
    state: DeliveryState,
    /// How often it was tried.
    attempts: u32,
    /// When it is tried next; null: it is not.
    next_attempt_at: Option<String>,
    /// When it was last tried.
    last_attempt_at: Option<String>,
    /// The HTTP status of the last answer.
    last_status: Option<u16>,
    /// When it was made.
    created_at: String,
}

impl DeliveryView {
    fn of(delivery: &Delivery) -> Self {
        Self {
            id: delivery.id.to_string(),
            event_id: delivery.event.to_string(),
            r#type: delivery.kind.as_str(),
            endpoint_id: delivery.endpoint.to_string(),
            state: delivery.state,
            attempts: delivery.attempts,
            next_attempt_at: instant(delivery.next_at),
            last_attempt_at: instant(delivery.last_at),
            last_status: delivery.last_status,
            created_at: delivery.created_at.to_string(),
        }
    }

    /// The one delivery that a command made.
    pub(super) fn shown(outcome: &Outcome) -> Option<Self> {
        let Outcome::Deliveries(_, deliveries) = outcome else {
            return None;
        };
        deliveries.first().map(Self::of)
    }
}

/// One try.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookAttempt)]
struct AttemptView {
    /// Which, from 1.
    number: u32,
    /// When.
    at: String,
    /// The HTTP status, if there was an answer.
    status: Option<u16>,
    /// What went wrong, as a word: `http_status`, `redirect_not_followed`, `timed_out`,
    /// `name_not_resolved`, `address_not_allowed`, `not_connected`, `connection_broken`,
    /// `endpoint_disabled` or `endpoint_deleted` (not tried for that reason).
    error: Option<String>,
    /// The first 1,024 bytes of the answer, as text.
    response: Option<String>,
    /// How long it took, in milliseconds.
    duration_ms: u64,
}

impl AttemptView {
    fn of(attempt: Attempt) -> Self {
        Self {
            number: attempt.number,
            at: attempt.at.to_string(),
            status: attempt.status,
            error: attempt.error,
            response: attempt.response,
            duration_ms: attempt.duration_ms,
        }
    }
}

/// A delivery with all of its attempts.
#[derive(Serialize, ToSchema)]
struct WebhookDeliveryExplained {
    /// The delivery.
    #[serde(flatten)]
    delivery: DeliveryView,
    /// Each try, first to last.
    attempt_log: Vec<AttemptView>,
}

/// Which deliveries; what is absent does not matter.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DeliveryQuery {
    /// To this endpoint: id, also of one that is deleted, or external id.
    endpoint_id: Option<String>,
    /// Of this event.
    event_id: Option<String>,
    /// `pending`, `delivered` or `failed`.
    #[param(value_type = Option<String>)]
    state: Option<Lower<DeliveryState>>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Most items of the page, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

fn endpoint(registry: &Registry, named: &str) -> Result<EndpointId, Problem> {
    match named.parse() {
        Ok(id) => Ok(id),
        Err(_) => Ok(find(&registry.endpoints, named)?.id),
    }
}

/// Lists deliveries, newest first.
#[utoipa::path(get, path = "/v1/webhook-deliveries", tag = "webhooks", params(DeliveryQuery),
    responses((status = 200, body = List<DeliveryView>)))]
async fn list_webhook_deliveries(
    State(app): State<Shared>,
    Params(query): Params<DeliveryQuery>,
) -> Result<Json<List<DeliveryView>>, Problem> {
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    }
    .request()?;
    let registry = app.writer.registry();
    let to = query.endpoint_id.as_deref();
    let of = query.event_id.as_deref();
    let filter = DeliveryFilter {
        endpoint: to.map(|named| endpoint(&registry, named)).transpose()?,
        event: of.map(|text| id("event", text)).transpose()?,
        state: query.state.map(|state| state.0),
    };
    let found = app
        .read(move |reader| Ok(reader.deliveries(filter, page)?))
        .await?;
    Ok(Json(List::of(found, |delivery| {
        DeliveryView::of(&delivery)
    })))
}

/// Shows a delivery with each of its attempts.
#[utoipa::path(get, path = "/v1/webhook-deliveries/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "Id of the delivery")),
    responses((status = 200, body = WebhookDeliveryExplained)))]
async fn get_webhook_delivery(
    State(app): State<Shared>,
    Path(text): Path,
) -> Result<Json<WebhookDeliveryExplained>, Problem> {
    let wanted: DeliveryId = id("webhook delivery", &text)?;
    let (delivery, attempts) = app
        .read(move |reader| {
            let reader = reader.snapshot()?;
            let delivery = reader.delivery(wanted)?;
            let delivery = delivery.ok_or_else(|| Problem::not_found("webhook delivery", &text))?;
            Ok((delivery, reader.attempts(wanted)?))
        })
        .await?;
    Ok(Json(WebhookDeliveryExplained {
        delivery: DeliveryView::of(&delivery),
        attempt_log: attempts.into_iter().map(AttemptView::of).collect(),
    }))
}

/// Nothing is needed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReplayDelivery {}

/// Sends the event of a delivery to its endpoint again, at once, as a delivery of its own. The
/// endpoint must be enabled.
#[utoipa::path(post, path = "/v1/webhook-deliveries/{id}/replay", tag = "webhooks", request_body = ReplayDelivery,
    params(("id" = String, Path, description = "Id of the delivery")),
    responses((status = 201, body = DeliveryView)))]
async fn replay_webhook_delivery(
    State(app): State<Shared>,
    Path(text): Path,
    Write { raw, .. }: Write<ReplayDelivery>,
) -> Result<Response, Problem> {
    let wanted: DeliveryId = id("webhook delivery", &text)?;
    let delivery = app.read(move |reader| Ok(reader.delivery(wanted)?)).await?;
    let command = match delivery {
        Some(delivery) => Command::Webhook(WebhookCommand::Send {
            endpoint: delivery.endpoint.to_string(),
            events: vec![(delivery.event, delivery.kind)],
        }),
        None => Command::Refuse(Refusal::NotFound {
            what: "webhook delivery",
            id: text,
        }),
    };
    let status = StatusCode::CREATED;
    write(&app, &raw, command, status, DeliveryView::shown).await
}
