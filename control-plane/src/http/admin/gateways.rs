//! Gateways and their keys.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use creditgate_core::key::KeyKind;
use creditgate_ledger::registry::{Gateway, GatewayKey, Registry};
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
use crate::http::input::{ExternalId, Name, given};
use crate::http::list::{List, PageQuery};
use crate::problem::Problem;

/// The rate card of a gateway that names none.
const RATE_CARD_DEFAULT: &str = "default";

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(create_gateway, list_gateways))
        .routes(routes!(get_gateway, change_gateway))
        .routes(routes!(create_gateway_key, list_gateway_keys))
        .routes(routes!(revoke_gateway_key))
}

/// A named installation of the filter.
#[derive(Serialize, ToSchema)]
#[schema(as = Gateway)]
struct GatewayView {
    /// The id, `gtw_…`.
    id: String,
    /// The operator's name; serves wherever the id does.
    external_id: String,
    /// For people.
    name: Option<String>,
    /// The name of its rate card.
    rate_card: String,
    /// When it was made.
    created_at: String,
}

impl GatewayView {
    fn of(gateway: &Gateway) -> Self {
        Self {
            id: gateway.id.to_string(),
            external_id: gateway.external_id.clone(),
            name: gateway.name.clone(),
            rate_card: gateway.rate_card.clone(),
            created_at: gateway.created_at.to_string(),
        }
    }
}

/// A gateway's key.
#[derive(Serialize, ToSchema)]
#[schema(as = GatewayKey)]
struct GatewayKeyView {
    /// The id, `key_…`.
    id: String,
    /// The key itself, `cgg_…`: in the answer that makes it, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// Whose.
    gateway_id: String,
    /// When it was made.
    created_at: String,
    /// When it was revoked.
    revoked_at: Option<String>,
}

impl GatewayKeyView {
    fn of(key: &GatewayKey, sealed: Option<String>) -> Self {
        Self {
            id: key.id.to_string(),
            key: sealed,
            gateway_id: key.gateway.to_string(),
            created_at: key.created_at.to_string(),
            revoked_at: instant(key.revoked_at),
        }
    }
}

/// What makes a gateway.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateGateway {
    /// The operator's name, unique; 1 to 128 printable characters.
    #[schema(value_type = String, max_length = 128)]
    external_id: ExternalId,
    /// For people.
    #[schema(value_type = Option<String>, max_length = 200)]
    name: Option<Name>,
    /// The name of its rate card; `default` if absent. The card may be made later.
    rate_card: Option<String>,
}

/// Makes a gateway.
#[utoipa::path(post, path = "/v1/gateways", tag = "gateways", request_body = CreateGateway,
    responses((status = 201, body = GatewayView)))]
async fn create_gateway(
    State(app): State<Shared>,
    Write { body, raw }: Write<CreateGateway>,
) -> Result<Response, Problem> {
    let rate_card = body
        .rate_card
        .unwrap_or_else(|| RATE_CARD_DEFAULT.to_owned());
    super::rate_cards::check_name(&rate_card).map_err(|problem| problem.at("/rate_card"))?;
    let command = Command::CreateGateway {
        external_id: body.external_id.0,
        name: body.name.map(|name| name.0),
        rate_card,
    };
    write(&app, &raw, command, StatusCode::CREATED, |outcome| {
        let Outcome::Gateway(gateway) = outcome else {
            return None;
        };
        Some(GatewayView::of(gateway))
    })
    .await
}

/// Lists gateways, oldest first.
#[utoipa::path(get, path = "/v1/gateways", tag = "gateways", params(PageQuery),
    responses((status = 200, body = List<GatewayView>)))]
async fn list_gateways(
    State(app): State<Shared>,
    Params(page): Params<PageQuery>,
) -> Result<Json<List<GatewayView>>, Problem> {
    let page = page.request()?;
    let registry = app.writer.registry();
    let gateways = registry.gateways.iter();
    Ok(Json(List::by_id(
        gateways,
        page,
        |gateway| gateway.id.0,
        GatewayView::of,
    )))
}

/// Shows a gateway.
#[utoipa::path(get, path = "/v1/gateways/{id}", tag = "gateways",
    params(("id" = String, Path, description = "Id or external id of the gateway")),
    responses((status = 200, body = GatewayView)))]
async fn get_gateway(
    State(app): State<Shared>,
    Path(named): Path,
) -> Result<Json<GatewayView>, Problem> {
    let registry = app.writer.registry();
    find(&registry, &named).map(|gateway| Json(GatewayView::of(gateway)))
}

/// What is to change; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeGateway {
    /// For people.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 200)]
    name: Option<Name>,
    /// The name of its rate card, of the same currency. It may be made later.
    #[serde(default, deserialize_with = "given")]
    rate_card: Option<String>,
}

/// Changes a gateway. Its processes hear of another rate card at once.
#[utoipa::path(patch, path = "/v1/gateways/{id}", tag = "gateways", request_body = ChangeGateway,
    params(("id" = String, Path, description = "Id or external id of the gateway")),
    responses((status = 200, body = GatewayView)))]
async fn change_gateway(
    State(app): State<Shared>,
    Path(gateway): Path,
    Write { body, raw }: Write<ChangeGateway>,
) -> Result<Response, Problem> {
    if let Some(rate_card) = &body.rate_card {
        super::rate_cards::check_name(rate_card).map_err(|problem| problem.at("/rate_card"))?;
    }
    let command = Command::ChangeGateway {
        gateway,
        name: body.name.map(|name| name.0),
        rate_card: body.rate_card,
    };
    write(&app, &raw, command, StatusCode::OK, |outcome| {
        let Outcome::Gateway(gateway) = outcome else {
            return None;
        };
        Some(GatewayView::of(gateway))
    })
    .await
}

fn find<'r>(registry: &'r Registry, named: &str) -> Result<&'r Gateway, Problem> {
    let is = |known: &&Gateway| known.external_id == named || known.id.to_string() == named;
    registry
        .gateways
        .iter()
        .find(is)
        .ok_or_else(|| Problem::not_found("gateway", named))
}

/// Nothing is needed to make a gateway's key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateGatewayKey {}

/// Makes a key for a gateway. Several may be valid at once, for rotation. The key is shown
/// in this answer only.
#[utoipa::path(post, path = "/v1/gateways/{id}/keys", tag = "gateways", request_body = CreateGatewayKey,
    params(("id" = String, Path, description = "Id or external id of the gateway")),
    responses((status = 201, body = GatewayKeyView)))]
async fn create_gateway_key(
    State(app): State<Shared>,
    Path(gateway): Path,
    Write { raw, .. }: Write<CreateGatewayKey>,
) -> Result<Response, Problem> {
    let issued = Issued::new(KeyKind::Gateway, &raw.caller);
    let command = Command::AddGatewayKey {
        gateway,
        hash: issued.hash(),
    };
    let view = move |outcome: &Outcome| {
        let Outcome::GatewayKey(key) = outcome else {
            return None;
        };
        Some(GatewayKeyView::of(key, Some(issued.sealed())))
    };
    let (status, body, replayed) = written(&app, &raw, command, StatusCode::CREATED, view).await?;
    Ok(json_bytes(
        status,
        reveal(body, KeyKind::Gateway, &raw.caller),
        replayed,
    ))
}

/// Lists a gateway's keys, revoked ones too.
#[utoipa::path(get, path = "/v1/gateways/{id}/keys", tag = "gateways",
    params(("id" = String, Path, description = "Id or external id of the gateway"), PageQuery),
    responses((status = 200, body = List<GatewayKeyView>)))]
async fn list_gateway_keys(
    State(app): State<Shared>,
    Path(named): Path,
    Params(page): Params<PageQuery>,
) -> Result<Json<List<GatewayKeyView>>, Problem> {
    let page = page.request()?;
    let registry = app.writer.registry();
    let gateway = find(&registry, &named)?.id;
    let keys = registry
        .gateway_keys
        .iter()
        .filter(|key| key.gateway == gateway);
    Ok(Json(List::by_id(
        keys,
        page,
        |key| key.id.0,
        |key| GatewayKeyView::of(key, None),
    )))
}

/// Revokes a key of a gateway.
#[utoipa::path(post, path = "/v1/gateway-keys/{id}/revoke", tag = "gateways", request_body = CreateGatewayKey,
    params(("id" = String, Path, description = "Id of the key")),
    responses((status = 200, body = GatewayKeyView)))]
async fn revoke_gateway_key(
    State(app): State<Shared>,
    Path(text): Path,
    Write { raw, .. }: Write<CreateGatewayKey>,
) -> Result<Response, Problem> {
    let command = Command::RevokeGatewayKey {
        key: id("gateway key", &text)?,
    };
    write(&app, &raw, command, StatusCode::OK, |outcome| {
        let Outcome::GatewayKey(key) = outcome else {
            return None;
        };
        Some(GatewayKeyView::of(key, None))
    })
    .await
}
