//! Credit that is taken out of a wallet: debits, adjustments, transfers.
//!
//! What is free is taken at once, what gateways have is recalled and taken as it comes back;
//! a claim says how far that is.

use axum::Json;
use axum::extract::State;
use creditgate_core::amount::Scale;
use creditgate_ledger::claim::{Claim, ClaimLots, ClaimPurpose};
use creditgate_ledger::id::ClaimId;
use creditgate_ledger::{ReasonCode, Wallet};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::wallets::in_book;
use super::{id, instant};
use crate::http::Shared;
use crate::http::body::{Params, Path};
use crate::http::list::{List, PageQuery};
use crate::http::money::decimal;
use crate::problem::Problem;
use crate::storage::{ClaimFilter, Target};

mod taking;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .merge(taking::routes())
        .routes(routes!(get_claim))
        .routes(routes!(list_claims))
}

/// Credit that was, or is yet to be, taken out of a wallet. `asked` = `done` +
/// `pending_recall` + `short`.
#[derive(Serialize, ToSchema)]
#[schema(as = Claim)]
pub(super) struct ClaimView {
    /// The id, `clm_…`.
    id: String,
    /// Out of which wallet.
    wallet_id: String,
    /// `debit` or `transfer`.
    purpose: &'static str,
    /// A transfer's other wallet.
    to_wallet_id: Option<String>,
    /// The lot that was asked for by its id.
    lot_id: Option<String>,
    /// Why, for revenue recognition.
    #[schema(value_type = String)]
    reason_code: ReasonCode,
    /// What the actor said.
    reason: Option<String>,
    /// Who asked.
    actor: String,
    /// `open` or `closed`.
    state: &'static str,
    /// What it counts in.
    currency: String,
    /// How much was asked for.
    asked: String,
    /// The same in credits of the wallet.
    asked_credits: String,
    /// Taken so far.
    done: String,
    /// Still at gateways: taken as they return it, before any of it is lent again.
    pending_recall: String,
    /// What turned out to be spent, or expired or was voided meanwhile.
    short: String,
    /// When it was asked.
    created_at: String,
    /// When it was over.
    closed_at: Option<String>,
}

impl ClaimView {
    pub(super) fn of(claim: &Claim, wallet: &Wallet, scale: Scale) -> Self {
        let amount = |amount| decimal(amount, scale);
        let (purpose, to) = match claim.purpose {
            ClaimPurpose::Debit => ("debit", None),
            ClaimPurpose::Transfer { to } => ("transfer", Some(to.to_string())),
        };
        let lot_id = match claim.lots {
            ClaimLots::One(lot) => Some(lot.to_string()),
            ClaimLots::Any | ClaimLots::Purchased => None,
        };
        Self {
            id: claim.id.to_string(),
            wallet_id: claim.wallet.to_string(),
            purpose,
            to_wallet_id: to,
            lot_id,
            reason_code: claim.reason,
            reason: claim.note.clone(),
            actor: claim.actor.clone(),
            state: if claim.is_open() { "open" } else { "closed" },
            currency: wallet.currency.to_string(),
            asked: amount(claim.asked),
            asked_credits: wallet.conversion_rate.credits(claim.asked, scale),
            done: amount(claim.done),
            pending_recall: amount(claim.pending()),
            short: amount(claim.short),
            created_at: claim.created_at.to_string(),
            closed_at: instant(claim.closed_at),
        }
    }
}

/// Shows a claim.
#[utoipa::path(get, path = "/v1/claims/{id}", tag = "credit",
    params(("id" = String, Path, description = "Id of the claim")),
    responses((status = 200, body = ClaimView)))]
async fn get_claim(
    State(app): State<Shared>,
    Path(text): Path,
) -> Result<Json<ClaimView>, Problem> {
    let wanted: ClaimId = id("claim", &text)?;
    let view = app
        .read(move |reader| {
            let reader = reader.snapshot()?;
            let missing = || Problem::not_found("claim", &text);
            let claim = reader.claim(wanted)?.ok_or_else(missing)?;
            let book = reader.book(&Target::Wallet(claim.wallet))?;
            let book = book.ok_or_else(missing)?;
            let wallet = book.wallet(claim.wallet).ok_or_else(missing)?;
            let account = book.account(claim.account).ok_or_else(missing)?;
            Ok(ClaimView::of(&claim, wallet, account.scale))
        })
        .await?;
    Ok(Json(view))
}

/// Which claims.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ClaimQuery {
    /// Whether only those that are not over.
    open: Option<bool>,
    /// `next_cursor` of the page before; none for the first page.
    cursor: Option<String>,
    /// Most items of the page, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Lists the debits and transfers out of a wallet, those that are over too.
#[utoipa::path(get, path = "/v1/wallets/{id}/claims", tag = "credit",
    params(("id" = String, Path, description = "Id or external id of the wallet"), ClaimQuery),
    responses((status = 200, body = List<ClaimView>)))]
async fn list_claims(
    State(app): State<Shared>,
    Path(named): Path,
    Params(query): Params<ClaimQuery>,
) -> Result<Json<List<ClaimView>>, Problem> {
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    }
    .request()?;
    let list = app
        .read(move |reader| {
            let reader = reader.snapshot()?;
            let (book, wallet) = in_book(&*reader, &named)?;
            let scale = book
                .account(wallet.account)
                .map_or(Scale::MAX, |account| account.scale);
            let filter = ClaimFilter {
                wallet: Some(wallet.id),
                open_only: query.open.unwrap_or(false),
            };
            let found = reader.claims(filter, page)?;
            Ok(List::of(found, |claim| {
                ClaimView::of(&claim, &wallet, scale)
            }))
        })
        .await?;
    Ok(Json(list))
}
