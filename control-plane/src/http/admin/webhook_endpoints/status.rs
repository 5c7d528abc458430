//! Whether an endpoint gets anything.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{EndpointView, show};
use crate::command::WebhookCommand;
use crate::http::Shared;
use crate::http::body::{Path, Write};
use crate::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(enable_webhook_endpoint))
        .routes(routes!(disable_webhook_endpoint))
}

/// Nothing is needed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetEndpointStatus {}

/// Lets a disabled endpoint get events again, from now on. What it missed can be replayed.
#[utoipa::path(post, path = "/v1/webhook-endpoints/{id}/enable", tag = "webhooks", request_body = SetEndpointStatus,
    params(("id" = String, Path, description = "Id or external id")),
    responses((status = 200, body = EndpointView)))]
async fn enable_webhook_endpoint(
    State(app): State<Shared>,
    Path(endpoint): Path,
    Write { raw, .. }: Write<SetEndpointStatus>,
) -> Result<Response, Problem> {
    show(&app, &raw, Ok(WebhookCommand::Enable { endpoint })).await
}

/// Lets an endpoint get nothing any more. What is on its way is given up when its next attempt
/// is due.
#[utoipa::path(post, path = "/v1/webhook-endpoints/{id}/disable", tag = "webhooks", request_body = SetEndpointStatus,
    params(("id" = String, Path, description = "Id or external id")),
    responses((status = 200, body = EndpointView)))]
async fn disable_webhook_endpoint(
    State(app): State<Shared>,
    Path(endpoint): Path,
    Write { raw, .. }: Write<SetEndpointStatus>,
) -> Result<Response, Problem> {
    show(&app, &raw, Ok(WebhookCommand::Disable { endpoint })).await
}
