//! Operators' keys for this API.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use creditgate_core::key::KeyKind;
use creditgate_ledger::registry::{OperatorKey, OperatorRole};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::issued::{Issued, reveal};
use super::{id, instant};
use crate::command::{Command, Outcome};
use crate::http::Shared;
use crate::http::answer::{json_bytes, write, written};
use crate::http::body::{Params, Path, Write};
use crate::http::input::{Lower, Name};
use crate::http::list::{List, PageQuery};
use crate::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(create_operator_key, list_operator_keys))
        .routes(routes!(revoke_operator_key))
}

/// An operator's key.
#[derive(Serialize, ToSchema)]
#[schema(as = OperatorKey)]
struct OperatorKeyView {
    /// The id, `key_…`.
    id: String,
    /// The key itself, `cga_…`: in the answer that makes it, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// For people.
    name: Option<String>,
    /// `admin` or `read`.
    #[schema(value_type = String)]
    role: OperatorRole,
    /// When it was made.
    created_at: String,
    /// When it was revoked.
    revoked_at: Option<String>,
}

impl OperatorKeyView {
    fn of(key: &OperatorKey, sealed: Option<String>) -> Self {
        Self {
            id: key.id.to_string(),
            key: sealed,
            name: key.name.clone(),
            role: key.role,
            created_at: key.created_at.to_string(),
            revoked_at: instant(key.revoked_at),
        }
    }
}

/// What makes an operator's key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateOperatorKey {
    /// For people.
    #[schema(value_type = Option<String>, max_length = 200)]
    name: Option<Name>,
    /// `admin` may do everything, `read` may look.
    #[schema(value_type = String)]
    role: Lower<OperatorRole>,
}

/// Makes an operator's key. It is shown in this answer only.
#[utoipa::path(post, path = "/v1/operator-keys", tag = "settings", request_body = CreateOperatorKey,
    responses((status = 201, body = OperatorKeyView)))]
async fn create_operator_key(
    State(app): State<Shared>,
    Write { body, raw }: Write<CreateOperatorKey>,
) -> Result<Response, Problem> {
    let issued = Issued::new(KeyKind::Admin, &raw.caller);
    let name = body.name.map(|name| name.0);
    let command = Command::AddOperatorKey {
        name,
        role: body.role.0,
        hash: issued.hash(),
    };
    let view = move |outcome: &Outcome| {
        let Outcome::OperatorKey(key) = outcome else {
            return None;
        };
        Some(OperatorKeyView::of(key, Some(issued.sealed())))
    };
    let (status, body, replayed) = written(&app, &raw, command, StatusCode::CREATED, view).await?;
    Ok(json_bytes(
        status,
        reveal(body, KeyKind::Admin, &raw.caller),
        replayed,
    ))
}

/// Lists operators' keys, revoked ones too.
#[utoipa::path(get, path = "/v1/operator-keys", tag = "settings", params(PageQuery),
    responses((status = 200, body = List<OperatorKeyView>)))]
async fn list_operator_keys(
    State(app): State<Shared>,
    Params(page): Params<PageQuery>,
) -> Result<Json<List<OperatorKeyView>>, Problem> {
    let page = page.request()?;
    let registry = app.writer.registry();
    let keys = registry.operator_keys.iter();
    let view = |key| OperatorKeyView::of(key, None);
    Ok(Json(List::by_id(keys, page, |key| key.id.0, view)))
}

/// Nothing is needed to revoke a key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RevokeOperatorKey {}

/// Revokes an operator's key.
#[utoipa::path(post, path = "/v1/operator-keys/{id}/revoke", tag = "settings", request_body = RevokeOperatorKey,
    params(("id" = String, Path, description = "Id of the key")),
    responses((status = 200, body = OperatorKeyView)))]
async fn revoke_operator_key(
    State(app): State<Shared>,
    Path(text): Path,
    Write { raw, .. }: Write<RevokeOperatorKey>,
) -> Result<Response, Problem> {
    let command = Command::RevokeOperatorKey {
        key: id("operator key", &text)?,
    };
    write(&app, &raw, command, StatusCode::OK, |outcome| {
        let Outcome::OperatorKey(key) = outcome else {
            return None;
        };
        Some(OperatorKeyView::of(key, None))
    })
    .await
}
