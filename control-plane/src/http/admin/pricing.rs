//! What a customer pays otherwise than the rate cards say.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use creditgate_core::rate_card::{CardPricingDocument, PricingDocument};
use creditgate_ledger::pricing::{PricingHead, PricingVersion};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::customer;
use crate::command::{Command, Outcome};
use crate::http::Shared;
use crate::http::answer::write;
use crate::http::body::{PRICING_MAX, Params, Path, Write};
use crate::http::list::{List, PageQuery};
use crate::http::openapi;
use crate::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(put_pricing, get_pricing))
        .routes(routes!(list_pricing_versions))
}

/// What a customer pays otherwise than the rate cards say. What is set for a model counts before
/// what is set for a rule, that before what is set for a rate card, and that before the discount
/// on everything.
#[derive(Serialize, ToSchema)]
#[schema(as = CustomerPricing)]
struct PricingView {
    /// Grows by one with each change; 0 if nothing was ever set. The access log of gateways names it.
    version: u32,
    /// Off everything, in parts per million.
    discount_ppm: u32,
    /// What differs by rate card.
    #[schema(schema_with = openapi::card_pricings)]
    rate_cards: Vec<CardPricingDocument>,
    /// When it was set; null if nothing ever was.
    changed_at: Option<String>,
}

impl PricingView {
    fn of(pricing: Option<&PricingVersion>) -> Self {
        let document = pricing.map(|pricing| PricingDocument::clone(&pricing.document));
        let document = document.unwrap_or_default();
        Self {
            version: pricing.map_or(0, |pricing| pricing.version),
            discount_ppm: document.discount_ppm.parts_per_million(),
            rate_cards: document.rate_cards,
            changed_at: pricing.map(|pricing| pricing.changed_at.to_string()),
        }
    }
}

/// Sets what a customer pays otherwise than the rate cards say, as a whole: what is left out is as
/// listed, and `{}` takes all of it back. It holds for requests that come after gateways heard of
/// it, by push; each request settles at the prices that admitted it. What it names must be in the
/// rate cards as they are now. What a later version of a card lacks has no effect there.
#[utoipa::path(put, path = "/v1/customers/{id}/pricing", tag = "prices",
    request_body(content = ref("#/components/schemas/PricingDocument")),
    params(("id" = String, Path, description = "Id or external id of the customer")),
    responses((status = 200, body = PricingView)))]
async fn put_pricing(
    State(app): State<Shared>,
    Path(named): Path,
    Write { body, raw }: Write<PricingDocument, PRICING_MAX>,
) -> Result<Response, Problem> {
    let command = Command::SetPricing {
        customer: customer(&named),
        document: Box::new(body),
    };
    write(&app, &raw, command, StatusCode::OK, |outcome| {
        let Outcome::Pricing(_, pricing) = outcome else {
            return None;
        };
        Some(PricingView::of(Some(pricing)))
    })
    .await
}

/// Which version.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PricingQuery {
    /// The newest, if absent.
    version: Option<u32>,
}

/// Shows what a customer pays otherwise than the rate cards say, or once paid.
#[utoipa::path(get, path = "/v1/customers/{id}/pricing", tag = "prices",
    params(("id" = String, Path, description = "Id or external id of the customer"), PricingQuery),
    responses((status = 200, body = PricingView)))]
async fn get_pricing(
    State(app): State<Shared>,
    Path(named): Path,
    Params(query): Params<PricingQuery>,
) -> Result<Json<PricingView>, Problem> {
    let pricing = app
        .read(move |reader| {
            let missing = || Problem::not_found("customer", &named);
            let Some(version) = query.version else {
                let book = reader.book(&customer(&named))?.ok_or_else(missing)?;
                return Ok(book.pricing);
            };
            let owner = reader.customer(&customer(&named))?.ok_or_else(missing)?;
            let found = reader.pricing(owner.id, version)?;
            let missing = || Problem::not_found("version of the pricing", &version.to_string());
            found.map(Some).ok_or_else(missing)
        })
        .await?;
    Ok(Json(PricingView::of(pricing.as_ref())))
}

/// A version of what a customer pays otherwise, without the prices.
#[derive(Serialize, ToSchema)]
#[schema(as = CustomerPricingVersion)]
struct VersionView {
    /// Grows by one with each change.
    version: u32,
    /// When it was set. It was in force until the next was.
    changed_at: String,
}

impl VersionView {
    fn of(head: PricingHead) -> Self {
        Self {
            version: head.version,
            changed_at: head.changed_at.to_string(),
        }
    }
}

/// Lists the versions of what a customer pays otherwise, newest first, without the prices.
#[utoipa::path(get, path = "/v1/customers/{id}/pricing/versions", tag = "prices",
    params(("id" = String, Path, description = "Id or external id of the customer"), PageQuery),
    responses((status = 200, body = List<VersionView>)))]
async fn list_pricing_versions(
    State(app): State<Shared>,
    Path(named): Path,
    Params(page): Params<PageQuery>,
) -> Result<Json<List<VersionView>>, Problem> {
    let page = page.request()?;
    let versions = app
        .read(move |reader| {
            let owner = reader.customer(&customer(&named))?;
            let owner = owner.ok_or_else(|| Problem::not_found("customer", &named))?;
            Ok(reader.pricing_versions(owner.id, page)?)
        })
        .await?;
    Ok(Json(List::of(versions, VersionView::of)))
}
