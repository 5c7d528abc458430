//! Taking credit out of a wallet.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use creditgate_ledger::ReasonCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::lots::LotView;
use super::super::{lot, wallet};
use super::ClaimView;
use crate::command::{HowMuch, Outcome, WalletCommand, WalletOutcome};
use crate::http::Shared;
use crate::http::answer::write;
use crate::http::body::{Path, Write};
use crate::http::input::{DecimalText, Note, Upper};
use crate::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(debit_wallet))
        .routes(routes!(adjust_wallet))
        .routes(routes!(transfer_credit))
}

/// Exactly one of two ways to say how much.
fn how_much(credits: Option<DecimalText>, amount: Option<DecimalText>) -> Result<HowMuch, Problem> {
    match (credits, amount) {
        (Some(credits), None) => Ok(HowMuch::Credits(credits.0)),
        (None, Some(amount)) => Ok(HowMuch::Amount(amount.0)),
        _ => Err(Problem::new("amount_ambiguous", "give either credits or amount").at("/amount")),
    }
}

fn shown(outcome: &Outcome) -> Option<ClaimView> {
    let Outcome::Wallet(outcome) = outcome else {
        return None;
    };
    match &**outcome {
        WalletOutcome::Claim(now, claim) => {
            Some(ClaimView::of(claim, &now.wallet, now.account.scale))
        }
        _ => None,
    }
}

/// Credit to take out. Exactly one of `amount` and `credits`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DebitWallet {
    /// How much of the wallet's currency, above zero. A number or a decimal string.
    #[schema(value_type = Option<String>, example = "12.5")]
    amount: Option<DecimalText>,
    /// How many credits of the wallet, likewise.
    #[schema(value_type = Option<String>)]
    credits: Option<DecimalText>,
    /// Id or external id of a lot to take it of; of all, in burn order, if absent.
    lot_id: Option<String>,
    /// `MANUAL_BALANCE_DEBIT`, if absent, `CREDIT_ADJUSTMENT` or `INVOICE_PAYMENT`.
    #[schema(value_type = Option<String>, example = "MANUAL_BALANCE_DEBIT")]
    reason_code: Option<Upper<ReasonCode>>,
    /// Why: 1 to 500 printable characters; kept in the journal.
    #[schema(value_type = String, max_length = 500, example = "agreed by phone")]
    reason: Note,
}

/// Takes credit out of a wallet, not of its credit limit. What gateways have is recalled.
#[utoipa::path(post, path = "/v1/wallets/{id}/debit", tag = "credit", request_body = DebitWallet,
    params(("id" = String, Path, description = "Id or external id of the wallet")),
    responses((status = 201, body = ClaimView)))]
async fn debit_wallet(
    State(app): State<Shared>,
    Path(named): Path,
    Write { body, raw }: Write<DebitWallet>,
) -> Result<Response, Problem> {
    use ReasonCode as R;
    let reason_code = body
        .reason_code
        .map_or(R::ManualBalanceDebit, |code| code.0);
    if !matches!(
        reason_code,
        R::ManualBalanceDebit | R::CreditAdjustment | R::InvoicePayment
    ) {
        let detail = "must be MANUAL_BALANCE_DEBIT, CREDIT_ADJUSTMENT or INVOICE_PAYMENT";
        return Err(Problem::new("reason_not_for_debits", detail).at("/reason_code"));
    }
    let command = WalletCommand::Debit {
        wallet: wallet(&named),
        value: how_much(body.credits, body.amount)?,
        lot: body.lot_id.as_deref().map(lot),
        reason_code,
        reason: body.reason.0,
    };
    write(&app, &raw, command.into(), StatusCode::CREATED, shown).await
}

/// Credit to set right. Exactly one of `amount` and `credits`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AdjustWallet {
    /// How much of the wallet's currency: above zero it is added, below zero taken out. A
    /// number or a decimal string.
    #[schema(value_type = Option<String>, example = "-3")]
    amount: Option<DecimalText>,
    /// How many credits of the wallet, likewise.
    #[schema(value_type = Option<String>)]
    credits: Option<DecimalText>,
    /// Why: 1 to 500 printable characters; kept in the journal.
    #[schema(value_type = String, max_length = 500)]
    reason: Note,
}

/// What an adjustment made: either of the two.
#[derive(Serialize, ToSchema)]
struct Adjusted {
    /// The lot, if credit was added.
    lot: Option<LotView>,
    /// The debit, if credit was taken out.
    claim: Option<ClaimView>,
}

/// Adds credit to a wallet or takes some out, with `CREDIT_ADJUSTMENT`.
#[utoipa::path(post, path = "/v1/wallets/{id}/adjust", tag = "credit", request_body = AdjustWallet,
    params(("id" = String, Path, description = "Id or external id of the wallet")),
    responses((status = 201, body = Adjusted)))]
async fn adjust_wallet(
    State(app): State<Shared>,
    Path(named): Path,
    Write { body, raw }: Write<AdjustWallet>,
) -> Result<Response, Problem> {
    let command = WalletCommand::Adjust {
        wallet: wallet(&named),
        value: how_much(body.credits, body.amount)?,
        reason: body.reason.0,
    };
    write(&app, &raw, command.into(), StatusCode::CREATED, |outcome| {
        let adjusted = Adjusted {
            lot: LotView::shown(outcome),
            claim: shown(outcome),
        };
        (adjusted.lot.is_some() || adjusted.claim.is_some()).then_some(adjusted)
    })
    .await
}

/// Credit to move. Exactly one of `amount` and `credits`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TransferCredit {
    /// Id or external id of another wallet of the customer in the same currency.
    to: String,
    /// How much of the currency, above zero. A number or a decimal string.
    #[schema(value_type = Option<String>, example = "12.5")]
    amount: Option<DecimalText>,
    /// How many credits of the wallet it leaves, likewise.
    #[schema(value_type = Option<String>)]
    credits: Option<DecimalText>,
    /// Why: 1 to 500 printable characters; kept in the journal.
    #[schema(value_type = String, max_length = 500)]
    reason: Note,
}

/// Moves credit to another wallet of the customer. Each lot it is taken of makes a lot there
/// with the same kind, reason code, priority and expiry, and its share of the cost.
#[utoipa::path(post, path = "/v1/wallets/{id}/transfer", tag = "credit", request_body = TransferCredit,
    params(("id" = String, Path, description = "Id or external id of the wallet")),
    responses((status = 201, body = ClaimView)))]
async fn transfer_credit(
    State(app): State<Shared>,
    Path(named): Path,
    Write { body, raw }: Write<TransferCredit>,
) -> Result<Response, Problem> {
    let command = WalletCommand::Transfer {
        wallet: wallet(&named),
        to: wallet(&body.to),
        value: how_much(body.credits, body.amount)?,
        reason: body.reason.0,
    };
    write(&app, &raw, command.into(), StatusCode::CREATED, shown).await
}
