//! Rate cards: what requests cost. Each change makes a version, in force at once or from an
//! instant to come; gateways get it by push.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use creditgate_core::rate_card::{RateCard, RateCardDocument};
use creditgate_ledger::Timestamp;
use creditgate_ledger::rate_card::{RateCardHead, RateCardState, RateCardVersion};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::instant;
use crate::command::{Command, Outcome};
use crate::http::Shared;
use crate::http::answer::write;
use crate::http::body::{Params, Path, RawWrite, Write};
use crate::http::input::When;
use crate::http::list::{List, PageQuery};
use crate::http::openapi;
use crate::problem::Problem;

const NAME_MAX: usize = 64;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(put_rate_card, get_rate_card))
        .routes(routes!(list_rate_cards))
        .routes(routes!(list_rate_card_versions))
        .routes(routes!(cancel_rate_card))
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
    /// `scheduled`, `active`, `superseded` or `cancelled`.
    #[schema(value_type = String)]
    state: RateCardState,
    /// When this version was made.
    created_at: String,
    /// From when on it is in force.
    effective_at: String,
    /// When it was superseded or cancelled.
    ended_at: Option<String>,
}

impl RateCardView {
    fn of(card: &RateCardVersion) -> Self {
        Self {
            name: card.head.name.clone(),
            version: card.head.version,
            currency: card.document.currency.to_string(),
            document: card.document.clone(),
            state: card.head.state,
            created_at: card.head.created_at.to_string(),
            effective_at: card.head.effective_at.to_string(),
            ended_at: instant(card.head.ended_at),
        }
    }
}

/// A version of a rate card, without its rules.
#[derive(Serialize, ToSchema)]
#[schema(as = RateCardVersion)]
struct VersionView {
    /// The card's name.
    name: String,
    /// Grows by one with each change.
    version: u64,
    /// `scheduled`, `active`, `superseded` or `cancelled`.
    #[schema(value_type = String)]
    state: RateCardState,
    /// When it was made.
    created_at: String,
    /// From when on it is in force.
    effective_at: String,
    /// When it was superseded or cancelled.
    ended_at: Option<String>,
}

impl VersionView {
    fn of(head: &RateCardHead) -> Self {
        Self {
            name: head.name.clone(),
            version: head.version,
            state: head.state,
            created_at: head.created_at.to_string(),
            effective_at: head.effective_at.to_string(),
            ended_at: instant(head.ended_at),
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

/// From when on.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EffectiveQuery {
    /// An instant to come (RFC 3339) from which on the version is in force; from now, if absent.
    #[param(value_type = Option<String>, format = DateTime)]
    effective_at: Option<When>,
}

/// Makes a new version of a rate card, in force from now on or from an instant to come. It
/// reaches gateways by push when it comes into force; each request settles by the version that
/// admitted it. At most 16 versions of a card are to come.
#[utoipa::path(put, path = "/v1/rate-cards/{name}", tag = "prices",
    request_body(content = ref("#/components/schemas/RateCardDocument")),
    params(("name" = String, Path, description = "1 to 64 of letters, digits, `.`, `_` and `-`"), EffectiveQuery),
    responses((status = 200, body = RateCardView)))]
async fn put_rate_card(
    State(app): State<Shared>,
    Path(name): Path,
    Params(query): Params<EffectiveQuery>,
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
        effective_at: query.effective_at.map(|at| at.0),
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
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CancelRateCard {
    /// The version, which must be scheduled.
    version: u64,
}

/// Cancels a version of a rate card that is to come.
#[utoipa::path(post, path = "/v1/rate-cards/{name}/cancel", tag = "prices", request_body = CancelRateCard,
    params(("name" = String, Path, description = "Name of the rate card")),
    responses((status = 200, body = VersionView)))]
async fn cancel_rate_card(
    State(app): State<Shared>,
    Path(name): Path,
    Write { body, raw }: Write<CancelRateCard>,
) -> Result<Response, Problem> {
    let command = Command::CancelRateCard {
        name,
        version: body.version,
    };
    write(&app, &raw, command, StatusCode::OK, |outcome| {
        let Outcome::RateCardHead(head) = outcome else {
            return None;
        };
        Some(VersionView::of(head))
    })
    .await
}

/// Brings into force what has become due and is not written down yet, so that it shows.
async fn pass(app: &Shared) -> Result<Timestamp, Problem> {
    let now = app.clock.now();
    let next = app.writer.registry().next_rate_card_at();
    if next.is_some_and(|at| at <= now) {
        app.writer.execute("time", Command::PassRateCards).await?;
    }
    Ok(now)
}

/// Which version.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct VersionQuery {
    /// The one that is in force, if absent.
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
    let now = pass(&app).await?;
    let found = match query.version {
        Some(version) => {
            app.read(move |reader| Ok(reader.rate_card(&name, version)?))
                .await?
        }
        None => app.writer.registry().rate_card(&name, now).cloned(),
    };
    found
        .as_ref()
        .map(RateCardView::of)
        .map(Json)
        .ok_or(missing)
}

/// Lists the versions of a rate card, newest first, without their rules.
#[utoipa::path(get, path = "/v1/rate-cards/{name}/versions", tag = "prices",
    params(("name" = String, Path, description = "Name of the rate card"), PageQuery),
    responses((status = 200, body = List<VersionView>)))]
async fn list_rate_card_versions(
    State(app): State<Shared>,
    Path(name): Path,
    Params(page): Params<PageQuery>,
) -> Result<Json<List<VersionView>>, Problem> {
    let page = page.request()?;
    pass(&app).await?;
    let versions = app
        .read(move |reader| {
            let versions = reader.rate_card_versions(&name, page)?;
            if versions.items.is_empty() && page.cursor.is_none() {
                return Err(Problem::not_found("rate card", &name));
            }
            Ok(versions)
        })
        .await?;
    Ok(Json(List::of(versions, |head| VersionView::of(&head))))
}

/// Lists the version of each rate card that is in force, by name.
#[utoipa::path(get, path = "/v1/rate-cards", tag = "prices", params(PageQuery),
    responses((status = 200, body = List<RateCardView>)))]
async fn list_rate_cards(
    State(app): State<Shared>,
    Params(page): Params<PageQuery>,
) -> Result<Json<List<RateCardView>>, Problem> {
    let page = page.names_request()?;
    let now = pass(&app).await?;
    let registry = app.writer.registry();
    let cards = registry.rate_cards_at(now);
    Ok(Json(List::by_name(
        cards,
        &page,
        |card| card.head.name.as_str(),
        RateCardView::of,
    )))
}
