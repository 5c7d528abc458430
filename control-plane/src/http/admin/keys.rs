//! Consumer keys: what a customer's requests carry.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use creditgate_core::key::KeyKind;
use creditgate_ledger::{ConsumerKey, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::issued::{Issued, reveal};
use super::{customer, id, instant};
use crate::command::{Command, Outcome};
use crate::http::Shared;
use crate::http::answer::{json_bytes, write, written};
use crate::http::body::{Params, Path, RawWrite, Write};
use crate::http::input::{Name, When};
use crate::http::list::{List, PageQuery};
use crate::problem::Problem;

/// The longest a rotated key may stay valid beside the new one, in seconds: 30 days.
const OVERLAP_MAX_S: u64 = 30 * 24 * 60 * 60;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(create_key, list_keys))
        .routes(routes!(get_key))
        .routes(routes!(revoke_key))
        .routes(routes!(rotate_key))
        .routes(routes!(move_key))
}

/// A consumer key.
#[derive(Serialize, ToSchema)]
#[schema(as = Key)]
struct KeyView {
    /// The id, `key_…`.
    id: String,
    /// The key itself, `cgk_…`: in the answer that makes it, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// Whose.
    customer_id: String,
    /// For people.
    name: Option<String>,
    /// `active`, `expiring`, `expired` or `revoked`.
    #[schema(value_type = String)]
    status: &'static str,
    /// When it was made.
    created_at: String,
    /// It is unknown from then on.
    expires_at: Option<String>,
    /// When it was revoked.
    revoked_at: Option<String>,
}

impl KeyView {
    fn of(key: &ConsumerKey, now: Timestamp, sealed: Option<String>) -> Self {
        let status = match (key.revoked_at, key.is_valid(now), key.expires_at) {
            (Some(_), ..) => "revoked",
            (None, false, _) => "expired",
            (None, true, Some(_)) => "expiring",
            (None, true, None) => "active",
        };
        Self {
            id: key.id.to_string(),
            key: sealed,
            customer_id: key.customer.to_string(),
            name: key.name.clone(),
            status,
            created_at: key.created_at.to_string(),
            expires_at: instant(key.expires_at),
            revoked_at: instant(key.revoked_at),
        }
    }
}

/// What makes a key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateKey {
    /// For people.
    #[schema(value_type = Option<String>, max_length = 200)]
    name: Option<Name>,
}

/// Makes a key for a customer. The key is shown in this answer only.
#[utoipa::path(post, path = "/v1/customers/{id}/keys", tag = "keys", request_body = CreateKey,
    params(("id" = String, Path, description = "Id or external id of the customer")),
    responses((status = 201, body = KeyView)))]
async fn create_key(
    State(app): State<Shared>,
    Path(named): Path,
    Write { body, raw }: Write<CreateKey>,
) -> Result<Response, Problem> {
    let name = body.name.map(|name| name.0);
    issue(&app, &raw, |hash| Command::AddKey {
        customer: customer(&named),
        name,
        hash,
    })
    .await
}

async fn issue(
    app: &Shared,
    raw: &RawWrite,
    command: impl FnOnce(creditgate_core::key::CredentialHash) -> Command,
) -> Result<Response, Problem> {
    let issued = Issued::new(KeyKind::Consumer, &raw.caller);
    let command = command(issued.hash());
    let now = app.clock.now();
    let view = move |outcome: &Outcome| {
        let Outcome::Key(key) = outcome else {
            return None;
        };
        Some(KeyView::of(key, now, Some(issued.sealed())))
    };
    let (status, body, replayed) = written(app, raw, command, StatusCode::CREATED, view).await?;
    Ok(json_bytes(
        status,
        reveal(body, KeyKind::Consumer, &raw.caller),
        replayed,
    ))
}

/// Lists a customer's keys, revoked ones too.
#[utoipa::path(get, path = "/v1/customers/{id}/keys", tag = "keys",
    params(("id" = String, Path, description = "Id or external id of the customer"), PageQuery),
    responses((status = 200, body = List<KeyView>)))]
async fn list_keys(
    State(app): State<Shared>,
    Path(named): Path,
    Params(page): Params<PageQuery>,
) -> Result<Json<List<KeyView>>, Problem> {
    let page = page.request()?;
    let now = app.clock.now();
    let keys = app
        .read(move |reader| {
            let owner = reader.customer(&customer(&named))?;
            let owner = owner.ok_or_else(|| Problem::not_found("customer", &named))?;
            Ok(reader.keys(owner.id, page)?)
        })
        .await?;
    Ok(Json(List::of(keys, |key| KeyView::of(&key, now, None))))
}

/// Shows a key, without its secret.
#[utoipa::path(get, path = "/v1/keys/{id}", tag = "keys",
    params(("id" = String, Path, description = "Id of the key")),
    responses((status = 200, body = KeyView)))]
async fn get_key(State(app): State<Shared>, Path(text): Path) -> Result<Json<KeyView>, Problem> {
    let key = id("key", &text)?;
    let found = app.read(move |reader| Ok(reader.key(key)?)).await?;
    let found = found.ok_or_else(|| Problem::not_found("key", &text))?;
    Ok(Json(KeyView::of(&found, app.clock.now(), None)))
}

/// When a key ends.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RevokeKey {
    /// From when on it is unknown; now if absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<When>,
}

/// Revokes a key. Gateways hear of it at once.
#[utoipa::path(post, path = "/v1/keys/{id}/revoke", tag = "keys", request_body = RevokeKey,
    params(("id" = String, Path, description = "Id of the key")),
    responses((status = 200, body = KeyView)))]
async fn revoke_key(
    State(app): State<Shared>,
    Path(text): Path,
    Write { body, raw }: Write<RevokeKey>,
) -> Result<Response, Problem> {
    let command = Command::RevokeKey {
        key: id("key", &text)?,
        at: body.at.map(|at| at.0),
    };
    show(&app, &raw, command).await
}

/// How a key is replaced.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RotateKey {
    /// How long the old key stays valid, in seconds, at most 30 days; 0 if absent.
    #[schema(maximum = 2_592_000)]
    overlap_seconds: Option<u64>,
}

/// Replaces a key by a new one of the same customer. The new key is shown in this answer only.
#[utoipa::path(post, path = "/v1/keys/{id}/rotate", tag = "keys", request_body = RotateKey,
    params(("id" = String, Path, description = "Id of the old key")),
    responses((status = 201, body = KeyView)))]
async fn rotate_key(
    State(app): State<Shared>,
    Path(text): Path,
    Write { body, raw }: Write<RotateKey>,
) -> Result<Response, Problem> {
    let overlap_s = body.overlap_seconds.unwrap_or(0);
    if overlap_s > OVERLAP_MAX_S {
        return Err(
            Problem::new("body_invalid", format!("must be at most {OVERLAP_MAX_S}"))
                .at("/overlap_seconds"),
        );
    }
    let key = id("key", &text)?;
    issue(&app, &raw, |hash| Command::RotateKey {
        key,
        hash,
        overlap_ms: overlap_s.saturating_mul(1_000),
    })
    .await
}

/// Whose a key becomes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MoveKey {
    /// Id or external id.
    customer_id: String,
}

/// Gives a key to another customer, who pays from then on.
#[utoipa::path(post, path = "/v1/keys/{id}/move", tag = "keys", request_body = MoveKey,
    params(("id" = String, Path, description = "Id of the key")),
    responses((status = 200, body = KeyView)))]
async fn move_key(
    State(app): State<Shared>,
    Path(text): Path,
    Write { body, raw }: Write<MoveKey>,
) -> Result<Response, Problem> {
    let command = Command::MoveKey {
        key: id("key", &text)?,
        customer: customer(&body.customer_id),
    };
    show(&app, &raw, command).await
}

async fn show(app: &Shared, raw: &RawWrite, command: Command) -> Result<Response, Problem> {
    let now = app.clock.now();
    write(app, raw, command, StatusCode::OK, move |outcome| {
        let Outcome::Key(key) = outcome else {
            return None;
        };
        Some(KeyView::of(key, now, None))
    })
    .await
}
