//! Secrets of endpoints: shown to administrators, replaced without a gap.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};
use creditgate_ledger::webhook::endpoint::{OVERLAP_MAX_MS, find};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{EndpointView, instant, issue};
use crate::command::WebhookCommand;
use crate::http::Shared;
use crate::http::auth::Caller;
use crate::http::body::{Path, Write};
use crate::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(get_webhook_secret))
        .routes(routes!(rotate_webhook_secret))
}

/// What messages to an endpoint are signed with.
#[derive(Serialize, ToSchema)]
struct WebhookSecrets {
    /// The present one, `whsec_…`.
    secret: Option<String>,
    /// Those it took the place of, as long as messages are signed with them, too.
    old: Vec<OldSecret>,
}

/// A secret that was replaced.
#[derive(Serialize, ToSchema)]
struct OldSecret {
    /// It, `whsec_…`.
    secret: String,
    /// Until when messages are signed with it.
    expires_at: Option<String>,
}

/// Shows the secrets of an endpoint. Needs a key of the role `admin`.
#[utoipa::path(get, path = "/v1/webhook-endpoints/{id}/secret", tag = "webhooks",
    params(("id" = String, Path, description = "Id or external id")),
    responses((status = 200, body = WebhookSecrets)))]
async fn get_webhook_secret(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(named): Path,
) -> Result<Json<WebhookSecrets>, Problem> {
    caller.must_be_admin()?;
    let (registry, now) = (app.writer.registry(), app.clock.now());
    let endpoint = find(&registry.endpoints, &named)?;
    let mut valid = endpoint.secrets.iter().filter(|one| one.is_valid(now));
    let present = valid.next().map(|present| present.secret.clone());
    let old = valid.map(|old| OldSecret {
        secret: old.secret.clone(),
        expires_at: instant(old.expires_at),
    });
    Ok(Json(WebhookSecrets {
        secret: present,
        old: old.collect(),
    }))
}

/// How long an old secret signs, too, if nothing is said: time to bring the new one to where
/// messages are verified.
const OVERLAP_MS: u64 = 24 * 3_600_000;

/// How a secret is replaced.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RotateSecret {
    /// How long messages carry the signature of the old secret, too: in milliseconds, at most
    /// seven days; one day if absent. 0 for a secret that others may know.
    #[schema(maximum = 604_800_000)]
    overlap_ms: Option<u64>,
}

/// Replaces the secret of an endpoint. As long as the old one is valid messages carry both
/// signatures, the new one first.
#[utoipa::path(post, path = "/v1/webhook-endpoints/{id}/rotate-secret", tag = "webhooks", request_body = RotateSecret,
    params(("id" = String, Path, description = "Id or external id")),
    responses((status = 200, body = EndpointView)))]
async fn rotate_webhook_secret(
    State(app): State<Shared>,
    Path(endpoint): Path,
    Write { body, raw }: Write<RotateSecret>,
) -> Result<Response, Problem> {
    let overlap_ms = body.overlap_ms.unwrap_or(OVERLAP_MS);
    if overlap_ms > OVERLAP_MAX_MS {
        let problem = format!("must be at most {OVERLAP_MAX_MS}");
        return Err(Problem::new("body_invalid", problem).at("/overlap_ms"));
    }
    issue(&app, &raw, StatusCode::OK, |secret| {
        Ok(WebhookCommand::Rotate {
            endpoint,
            secret,
            overlap_ms,
        })
    })
    .await
}
