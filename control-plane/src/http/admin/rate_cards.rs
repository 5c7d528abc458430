//! Rate cards: what requests cost. Each change makes a version; gateways get it by push.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use creditgate_core::rate_card::{RateCard, RateCardDocument};
use creditgate_ledger::registry::RateCardVersion;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::command::{Command, Outcome};
use crate::http::Shared;
use crate::http::answer::write;
use crate::http::body::{Params, Path, RawWrite};
use crate::http::list::{List, PageQuery};
use crate::http::openapi;
use crate::problem::Problem;

const NAME_MAX: usize = 64;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(put_rate_card, get_rate_card))
        .routes(routes!(list_rate_cards))
}

/// A version of a rate card.
#[derive(Serialize, ToSchema)]
#[schema(as = RateCard)]
struct RateCardView {
    /// Its name, as gateways are told to use it.
    name: String,
    /// Grows by one with each change.
    version: u64,
    /// What its prices are in.
    currency: String,
    /// The rules.
    #[schema(schema_with = openapi::rate_card)]
    document: RateCardDocument,
    /// When this version was made.
    created_at: String,
}

impl RateCardView {
    fn of(card: &RateCardVersion) -> Self {
        Self {
            name: card.name.clone(),
            version: card.version,
            currency: card.document.currency.to_string(),
            document: card.document.clone(),
            created_at: card.created_at.to_string(),
        }
    }
}

pub(super) fn check_name(name: &str) -> Result<(), Problem> {
    let fits = (1..=NAME_MAX).contains(&name.len());
    let fine = fits
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let detail =
        format!("the name of a rate card is 1 to {NAME_MAX} of letters, digits, `.`, `_` and `-`");
    fine.then_some(())
        .ok_or_else(|| Problem::new("name_invalid", detail))
}

/// Makes a new version of a rate card. It holds from now on, and reaches gateways by push.
#[utoipa::path(put, path = "/v1/rate-cards/{name}", tag = "prices",
    request_body(content = ref("#/components/schemas/RateCardDocument")),
    params(("name" = String, Path, description = "1 to 64 of letters, digits, `.`, `_` and `-`")),
    responses((status = 200, body = RateCardView)))]
async fn put_rate_card(
    State(app): State<Shared>,
    Path(name): Path,
    raw: RawWrite,
) -> Result<Response, Problem> {
    check_name(&name)?;
    let mut document = RateCardDocument::from_json(&raw.body)?;
    let scale = app.writer.registry().scale(&document.currency);
    document.scale.get_or_insert(scale);
    // The version does not matter here: this is to find what is wrong with it.
    RateCard::compile(&document, 0)?;
    let command = Command::PutRateCard {
        name,
        document: Box::new(document),
    };
    write(&app, &raw, command, StatusCode::OK, |outcome| {
        let Outcome::RateCard(card) = outcome else {
            return None;
        };
        Some(RateCardView::of(card))
    })
    .await
}

/// Which version.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct VersionQuery {
    /// The newest, if absent.
    version: Option<u64>,
}

/// Shows a rate card.
#[utoipa::path(get, path = "/v1/rate-cards/{name}", tag = "prices",
    params(("name" = String, Path, description = "Name of the rate card"), VersionQuery),
    responses((status = 200, body = RateCardView)))]
async fn get_rate_card(
    State(app): State<Shared>,
    Path(name): Path,
    Params(query): Params<VersionQuery>,
) -> Result<Json<RateCardView>, Problem> {
    let missing = Problem::not_found("rate card", &name);
    let newest = app.writer.registry().rate_card(&name).cloned();
    let found = match query.version {
        Some(version) => {
            app.read(move |reader| Ok(reader.rate_card(&name, version)?))
                .await?
        }
        None => newest,
    };
    found
        .as_ref()
        .map(RateCardView::of)
        .map(Json)
        .ok_or(missing)
}

/// Lists the newest version of each rate card, by name.
#[utoipa::path(get, path = "/v1/rate-cards", tag = "prices", params(PageQuery),
    responses((status = 200, body = List<RateCardView>)))]
async fn list_rate_cards(
    State(app): State<Shared>,
    Params(page): Params<PageQuery>,
) -> Result<Json<List<RateCardView>>, Problem> {
    let page = page.names_request()?;
    let registry = app.writer.registry();
    let cards = registry.rate_cards.iter();
    Ok(Json(List::by_name(
        cards,
        &page,
        |card| card.name.as_str(),
        RateCardView::of,
    )))
}
