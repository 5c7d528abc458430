//! What value is counted in.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use creditgate_core::amount::{Scale, default_scale};
use creditgate_ledger::registry::CurrencyDefinition;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::command::{Command, Outcome};
use crate::http::Shared;
use crate::http::answer::write;
use crate::http::body::{Params, Write};
use crate::http::input::{CurrencyName, NotYet};
use crate::http::list::{List, PageQuery};
use crate::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(define_currency, list_currencies))
}

/// A unit that value is counted in.
#[derive(Serialize, ToSchema)]
#[schema(as = Currency)]
struct CurrencyView {
    /// Its code, in lower case.
    code: String,
    /// Digits after the point of its smallest unit; fixed.
    scale: u8,
    /// When it was defined, or first used.
    created_at: String,
}

impl CurrencyView {
    fn of(currency: &CurrencyDefinition) -> Self {
        Self {
            code: currency.code.to_string(),
            scale: currency.scale.digits(),
            created_at: currency.created_at.to_string(),
        }
    }
}

/// What makes a currency.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DefineCurrency {
    /// 1 to 16 of letters, digits, `_` and `-`; any case.
    #[schema(value_type = String, max_length = 16)]
    code: CurrencyName,
    /// Digits after the point of its smallest unit, 0 to 9; if absent, the default of the code.
    #[schema(maximum = 9)]
    scale: Option<u8>,
    /// Not supported yet.
    #[schema(ignore)]
    #[serde(default, rename = "minor_unit")]
    _minor_unit: Option<NotYet>,
}

/// Defines a currency. Only needed for another scale than the default: usual currencies
/// have nine digits, less where a unit is worth little; units of your own have three.
#[utoipa::path(post, path = "/v1/currencies", tag = "settings", request_body = DefineCurrency,
    responses((status = 201, body = CurrencyView)))]
async fn define_currency(
    State(app): State<Shared>,
    Write { body, raw }: Write<DefineCurrency>,
) -> Result<Response, Problem> {
    let code = body.code.0;
    let scale = body
        .scale
        .map_or_else(|| Ok(default_scale(&code)), Scale::new)
        .map_err(|error| ("/scale", error))?;
    write(
        &app,
        &raw,
        Command::DefineCurrency { code, scale },
        StatusCode::CREATED,
        |outcome| {
            let Outcome::Currency(currency) = outcome else {
                return None;
            };
            Some(CurrencyView::of(currency))
        },
    )
    .await
}

/// Lists the currencies that are defined or in use, by code.
#[utoipa::path(get, path = "/v1/currencies", tag = "settings", params(PageQuery),
    responses((status = 200, body = List<CurrencyView>)))]
async fn list_currencies(
    State(app): State<Shared>,
    Params(page): Params<PageQuery>,
) -> Result<Json<List<CurrencyView>>, Problem> {
    let page = page.names_request()?;
    let registry = app.writer.registry();
    let currencies = registry.currencies.iter();
    Ok(Json(List::by_name(
        currencies,
        &page,
        |known| known.code.as_str(),
        CurrencyView::of,
    )))
}
