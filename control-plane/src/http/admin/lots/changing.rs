//! What becomes of a lot: paid, put in another place of the order, voided.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::{instant, lot};
use super::LotView;
use crate::command::{Outcome, WalletCommand, WalletOutcome};
use crate::http::Shared;
use crate::http::answer::write;
use crate::http::body::{Path, Write};
use crate::http::input::{Note, given};
use crate::http::money::decimal;
use crate::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(change_lot))
        .routes(routes!(pay_lot))
        .routes(routes!(void_lot))
}

/// The new place of a lot.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeLot {
    /// Smaller burns first; null burns last.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i32>)]
    priority: Option<Option<i32>>,
    /// Why: 1 to 500 printable characters; kept in the journal.
    #[schema(value_type = Option<String>, max_length = 500)]
    reason: Option<Note>,
}

/// Changes the order in which a lot burns, for all that is lent from now on.
#[utoipa::path(patch, path = "/v1/lots/{id}", tag = "credit", request_body = ChangeLot,
    params(("id" = String, Path, description = "Id or external id of the lot")),
    responses((status = 200, body = LotView)))]
async fn change_lot(
    State(app): State<Shared>,
    Path(named): Path,
    Write { body, raw }: Write<ChangeLot>,
) -> Result<Response, Problem> {
    let Some(priority) = body.priority else {
        let detail = "is all that can be changed of a lot; null burns last";
        return Err(Problem::new("field_missing", detail).at("/priority"));
    };
    let command = WalletCommand::RankLot {
        lot: lot(&named),
        priority,
        reason: body.reason.map(|reason| reason.0),
    };
    write(&app, &raw, command.into(), StatusCode::OK, LotView::shown).await
}

/// How a lot was paid.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PayLot {
    /// The operator's name for the payment: 1 to 500 printable characters.
    #[schema(value_type = Option<String>, max_length = 500, example = "inv-2026-0042")]
    reference: Option<Note>,
    /// What the actor says of it; kept in the journal.
    #[schema(value_type = Option<String>, max_length = 500)]
    reason: Option<Note>,
}

/// Marks a pending lot as paid: its credit can be spent from now on, and so can its bonus.
#[utoipa::path(post, path = "/v1/lots/{id}/pay", tag = "credit", request_body = PayLot,
    params(("id" = String, Path, description = "Id or external id of the lot")),
    responses((status = 200, body = LotView)))]
async fn pay_lot(
    State(app): State<Shared>,
    Path(named): Path,
    Write { body, raw }: Write<PayLot>,
) -> Result<Response, Problem> {
    let command = WalletCommand::PayLot {
        lot: lot(&named),
        reference: body.reference.map(|reference| reference.0),
        reason: body.reason.map(|reason| reason.0),
    };
    write(&app, &raw, command.into(), StatusCode::OK, LotView::shown).await
}

/// Why a lot is voided.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct VoidLot {
    /// 1 to 500 printable characters; kept in the journal.
    #[schema(value_type = String, max_length = 500)]
    reason: Note,
}

/// What became of a voided lot.
#[derive(Serialize, ToSchema)]
struct VoidedLot {
    /// The lot.
    id: String,
    /// What it counts in.
    currency: String,
    /// Withdrawn at once.
    withdrawn: String,
    /// At gateways: withdrawn as they return it, spent as they report its use.
    pending_recall: String,
    /// Spent before.
    spent: String,
    /// Not paid, and not to be paid any more.
    unpaid: String,
    /// When.
    voided_at: Option<String>,
}

/// Voids a lot: what is free is withdrawn at once, what is lent is recalled. One that waits for
/// its payment is cancelled.
#[utoipa::path(post, path = "/v1/lots/{id}/void", tag = "credit", request_body = VoidLot,
    params(("id" = String, Path, description = "Id or external id of the lot")),
    responses((status = 200, body = VoidedLot)))]
async fn void_lot(
    State(app): State<Shared>,
    Path(named): Path,
    Write { body, raw }: Write<VoidLot>,
) -> Result<Response, Problem> {
    let command = WalletCommand::VoidLot {
        lot: lot(&named),
        reason: body.reason.0,
    };
    write(&app, &raw, command.into(), StatusCode::OK, |outcome| {
        let Outcome::Wallet(outcome) = outcome else {
            return None;
        };
        let WalletOutcome::Voided(now, parts) = &**outcome else {
            return None;
        };
        let amount = |amount| decimal(amount, now.account.scale);
        Some(VoidedLot {
            id: now.lot.id.to_string(),
            currency: now.account.currency.to_string(),
            withdrawn: amount(parts.withdrawn),
            pending_recall: amount(parts.pending_recall),
            spent: amount(parts.spent),
            unpaid: amount(now.lot.unpaid),
            voided_at: instant(now.lot.voided_at),
        })
    })
    .await
}
