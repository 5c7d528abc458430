//! Webhook endpoints: where events are sent.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use creditgate_ledger::webhook::endpoint::{EndpointChange, NewEndpoint, find};
use creditgate_ledger::webhook::{Endpoint, EndpointSecret, EndpointStatus};
use creditgate_ledger::{EventKind, Refusal, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::instant;
use super::issued::{IssuedSecret, reveal_secret};
use crate::command::{Command, Outcome, WebhookCommand};
use crate::http::Shared;
use crate::http::answer::{json_bytes, write, written};
use crate::http::body::{Params, Path, RawWrite, Write};
use crate::http::input::{ExternalId, Lower, Metadata, Note, given};
use crate::http::list::{List, PageQuery};
use crate::problem::Problem;
use crate::webhooks::UrlFault;

mod secrets;
mod sending;
mod status;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(create_webhook_endpoint, list_webhook_endpoints))
        .routes(routes!(
            get_webhook_endpoint,
            change_webhook_endpoint,
            delete_webhook_endpoint
        ))
        .merge(secrets::routes())
        .merge(status::routes())
        .merge(sending::routes())
}

/// Where events are sent.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookEndpoint)]
struct EndpointView {
    /// The id, `whe_…`.
    id: String,
    /// What messages are signed with, `whsec_…`: in the answers that make it. See also
    /// `/v1/webhook-endpoints/{id}/secret`.
    // Before anything that a client sent: it is put into the answer at the first such place.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// The operator's name; serves wherever the id does.
    external_id: Option<String>,
    /// The address.
    url: String,
    /// What the operator says of it.
    description: Option<String>,
    /// Which types of events it gets; all if empty.
    events: Vec<&'static str>,
    /// `enabled` or `disabled`.
    #[schema(value_type = String)]
    status: EndpointStatus,
    /// Why it is disabled: `operator`, `failing` (every attempt failed for three days) or
    /// `gone` (it answered 410).
    disabled_reason: Option<String>,
    /// Since when every attempt failed.
    failing_since: Option<String>,
    /// Until when messages are signed with the secret before this one, too.
    old_secret_expires_at: Option<String>,
    /// The operator's own data.
    metadata: BTreeMap<String, String>,
    /// When it was made.
    created_at: String,
    /// When it was deleted: in the answer that deletes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_at: Option<String>,
}

impl EndpointView {
    fn of(endpoint: &Endpoint, now: Timestamp, sealed: Option<String>) -> Self {
        let valid = endpoint.secrets.iter().filter(|old| old.is_valid(now));
        let old_secret_expires_at = valid.filter_map(|old| old.expires_at).max();
        Self {
            id: endpoint.id.to_string(),
            secret: sealed,
            external_id: endpoint.external_id.clone(),
            url: endpoint.url.clone(),
            description: endpoint.description.clone(),
            events: endpoint.events.iter().map(|kind| kind.as_str()).collect(),
            status: endpoint.status,
            disabled_reason: endpoint.disabled_reason.clone(),
            failing_since: instant(endpoint.failing_since),
            old_secret_expires_at: instant(old_secret_expires_at),
            metadata: endpoint.metadata.clone(),
            created_at: endpoint.created_at.to_string(),
            deleted_at: instant(endpoint.deleted_at),
        }
    }
}

/// Carries out a command on an endpoint and shows what came of it.
async fn show(
    app: &Shared,
    raw: &RawWrite,
    command: Result<WebhookCommand, Refusal>,
) -> Result<Response, Problem> {
    let now = app.clock.now();
    let command = command.map_or_else(Command::Refuse, Command::Webhook);
    write(app, raw, command, StatusCode::OK, move |outcome| {
        let Outcome::Endpoint(endpoint) = outcome else {
            return None;
        };
        Some(EndpointView::of(endpoint, now, None))
    })
    .await
}

/// As [`show`], for a command that hands out a secret.
async fn issue(
    app: &Shared,
    raw: &RawWrite,
    status: StatusCode,
    command: impl FnOnce(EndpointSecret) -> Result<WebhookCommand, Refusal>,
) -> Result<Response, Problem> {
    let issued = IssuedSecret::new(&raw.caller);
    let command = command(EndpointSecret::lasting(issued.secret()));
    let command = command.map_or_else(Command::Refuse, Command::Webhook);
    let now = app.clock.now();
    let view = move |outcome: &Outcome| {
        let Outcome::Endpoint(endpoint) = outcome else {
            return None;
        };
        Some(EndpointView::of(endpoint, now, Some(issued.sealed())))
    };
    let (status, body, replayed) = written(app, raw, command, status, view).await?;
    let body = reveal_secret(body, &raw.caller);
    Ok(json_bytes(status, body, replayed))
}

/// The address as it is kept, if messages may go there as far as can be said now.
fn address(app: &Shared, url: &str) -> Result<String, Refusal> {
    let url = app.guard.check(url).map_err(|fault| {
        let (code, problem) = match fault {
            UrlFault::Invalid(problem) => ("webhook_url_invalid", problem.to_string()),
            UrlFault::NotAllowed(problem) => ("webhook_url_not_allowed", problem),
        };
        Refusal::Invalid {
            field: "/url",
            code,
            problem,
        }
    })?;
    Ok(url.to_string())
}

fn kinds(events: Vec<Lower<EventKind>>) -> std::collections::BTreeSet<EventKind> {
    events.into_iter().map(|kind| kind.0).collect()
}

/// What makes an endpoint.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateEndpoint {
    /// The address: https, on the public internet unless the service allows more.
    #[schema(max_length = 2_000, example = "https://example.com/creditgate")]
    url: String,
    /// Which types of events it gets; all if absent or empty.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, example = json!(["wallet.alert", "wallet.auto_topup.refused"]))]
    events: Option<Vec<Lower<EventKind>>>,
    /// What you say of it; 1 to 500 printable characters.
    #[schema(value_type = Option<String>, max_length = 500)]
    description: Option<Note>,
    /// The operator's name, unique; 1 to 128 printable characters.
    #[schema(value_type = Option<String>, max_length = 128)]
    external_id: Option<ExternalId>,
    /// The operator's own data: at most 50 entries, keys to 40 and values to 500 characters.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    metadata: Option<Metadata>,
}

/// Makes an endpoint. It gets the events that happen from then on, signed as Standard Webhooks
/// says with the secret of this answer.
#[utoipa::path(post, path = "/v1/webhook-endpoints", tag = "webhooks", request_body = CreateEndpoint,
    responses((status = 201, body = EndpointView)))]
async fn create_webhook_endpoint(
    State(app): State<Shared>,
    Write { body, raw }: Write<CreateEndpoint>,
) -> Result<Response, Problem> {
    let url = address(&app, &body.url);
    issue(&app, &raw, StatusCode::CREATED, |secret| {
        Ok(WebhookCommand::Create(Box::new(NewEndpoint {
            external_id: body.external_id.map(|name| name.0),
            url: url?,
            description: body.description.map(|note| note.0),
            events: kinds(body.events.unwrap_or_default()),
            metadata: body.metadata.unwrap_or_default().0,
            secret,
        })))
    })
    .await
}

/// Lists endpoints, oldest first; there are at most 50.
#[utoipa::path(get, path = "/v1/webhook-endpoints", tag = "webhooks", params(PageQuery),
    responses((status = 200, body = List<EndpointView>)))]
async fn list_webhook_endpoints(
    State(app): State<Shared>,
    Params(page): Params<PageQuery>,
) -> Result<Json<List<EndpointView>>, Problem> {
    let page = page.request()?;
    let (registry, now) = (app.writer.registry(), app.clock.now());
    let there = registry.endpoints.iter();
    let there = there.filter(|endpoint| endpoint.deleted_at.is_none());
    let view = |endpoint| EndpointView::of(endpoint, now, None);
    Ok(Json(List::by_id(
        there,
        page,
        |endpoint| endpoint.id.0,
        view,
    )))
}

/// Shows an endpoint.
#[utoipa::path(get, path = "/v1/webhook-endpoints/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "Id or external id")),
    responses((status = 200, body = EndpointView)))]
async fn get_webhook_endpoint(
    State(app): State<Shared>,
    Path(named): Path,
) -> Result<Json<EndpointView>, Problem> {
    let registry = app.writer.registry();
    let endpoint = find(&registry.endpoints, &named)?;
    Ok(Json(EndpointView::of(endpoint, app.clock.now(), None)))
}

/// What is to change; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeEndpoint {
    /// The address. What is on its way goes there from its next attempt on.
    #[serde(default, deserialize_with = "given")]
    #[schema(max_length = 2_000)]
    url: Option<String>,
    /// Which types of events it gets; all if empty.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>)]
    events: Option<Vec<Lower<EventKind>>>,
    /// What you say of it; null for nothing.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 500)]
    description: Option<Option<Note>>,
    /// The operator's name; null for none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 128)]
    external_id: Option<Option<ExternalId>>,
    /// The operator's own data, replaced as a whole.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    metadata: Option<Metadata>,
}

/// Changes an endpoint.
#[utoipa::path(patch, path = "/v1/webhook-endpoints/{id}", tag = "webhooks", request_body = ChangeEndpoint,
    params(("id" = String, Path, description = "Id or external id")),
    responses((status = 200, body = EndpointView)))]
async fn change_webhook_endpoint(
    State(app): State<Shared>,
    Path(endpoint): Path,
    Write { body, raw }: Write<ChangeEndpoint>,
) -> Result<Response, Problem> {
    let url = body.url.map(|url| address(&app, &url)).transpose();
    let change = url.map(|url| {
        let change = Box::new(EndpointChange {
            external_id: body.external_id.map(|name| name.map(|name| name.0)),
            url,
            description: body.description.map(|note| note.map(|note| note.0)),
            events: body.events.map(kinds),
            metadata: body.metadata.map(|metadata| metadata.0),
        });
        WebhookCommand::Change { endpoint, change }
    });
    show(&app, &raw, change).await
}

/// Nothing is needed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Deletes an endpoint. It gets nothing any more, also not what is on its way; what was sent to
/// it can still be looked at.
#[utoipa::path(delete, path = "/v1/webhook-endpoints/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "Id or external id")),
    responses((status = 200, body = EndpointView)))]
async fn delete_webhook_endpoint(
    State(app): State<Shared>,
    Path(endpoint): Path,
    Write { raw, .. }: Write<Nothing>,
) -> Result<Response, Problem> {
    show(&app, &raw, Ok(WebhookCommand::Delete { endpoint })).await
}
