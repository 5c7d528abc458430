//! Closing a wallet.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::claims::ClaimView;
use super::super::wallet;
use super::view::WalletView;
use crate::command::{Outcome, WalletCommand, WalletOutcome};
use crate::http::Shared;
use crate::http::answer::write;
use crate::http::body::{Path, Write};
use crate::http::input::{Lower, Note};
use crate::http::money::decimal;
use crate::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(close_wallet))
}

/// How a wallet is closed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CloseWallet {
    /// Why: 1 to 500 printable characters; kept in the journal.
    #[schema(value_type = String, max_length = 500)]
    reason: Note,
    /// What becomes of credit that was paid for, bought or given back for what was: `keep`, if
    /// absent, leaves it in the closed wallet, where it can't be spent, only debited or
    /// transferred; `transfer` moves it to another wallet.
    #[schema(value_type = Option<String>, example = "keep")]
    purchased: Option<Lower<Purchased>>,
    /// With `transfer`: id or external id of a wallet of the customer in the same currency.
    transfer_to: Option<String>,
}

/// What becomes of credit that was paid for.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Purchased {
    Keep,
    Transfer,
}

/// A closed wallet, and what became of its credit.
#[derive(Serialize, ToSchema)]
struct ClosedWallet {
    /// The wallet.
    wallet: WalletView,
    /// What was not paid for, withdrawn at once.
    withdrawn: String,
    /// What was not paid for and is at gateways: withdrawn as they return it.
    pending_recall: String,
    /// What was paid for and stays in the wallet.
    kept: String,
    /// The transfer of what was paid for.
    transfer: Option<ClaimView>,
}

/// Closes a wallet for good. Credit that was not paid for is voided, with `WALLET_TERMINATION`;
/// what was stays or is transferred. A post-paid wallet is not closed while something is owed.
#[utoipa::path(post, path = "/v1/wallets/{id}/close", tag = "wallets", request_body = CloseWallet,
    params(("id" = String, Path, description = "Id or external id of the wallet")),
    responses((status = 200, body = ClosedWallet)))]
async fn close_wallet(
    State(app): State<Shared>,
    Path(named): Path,
    Write { body, raw }: Write<CloseWallet>,
) -> Result<Response, Problem> {
    let purchased = body
        .purchased
        .map_or(Purchased::Keep, |purchased| purchased.0);
    let transfer_to = match (purchased, &body.transfer_to) {
        (Purchased::Keep, None) => None,
        (Purchased::Transfer, Some(to)) => Some(wallet(to)),
        (Purchased::Transfer, None) => {
            let detail = "is needed to transfer what was paid for";
            return Err(Problem::new("field_missing", detail).at("/transfer_to"));
        }
        (Purchased::Keep, Some(_)) => {
            let detail = "is for \"purchased\": \"transfer\"; leave it out to keep the credit";
            return Err(Problem::new("body_invalid", detail).at("/transfer_to"));
        }
    };
    let command = WalletCommand::Close {
        wallet: wallet(&named),
        transfer_to,
        reason: body.reason.0,
    };
    write(&app, &raw, command.into(), StatusCode::OK, |outcome| {
        let Outcome::Wallet(outcome) = outcome else {
            return None;
        };
        let WalletOutcome::Closed(now, closing) = &**outcome else {
            return None;
        };
        let scale = now.account.scale;
        let claim = closing.claim.as_ref();
        Some(ClosedWallet {
            wallet: WalletView::of(now),
            withdrawn: decimal(closing.withdrawn, scale),
            pending_recall: decimal(closing.pending_recall, scale),
            kept: decimal(closing.kept, scale),
            transfer: claim.map(|claim| ClaimView::of(claim, &now.wallet, scale)),
        })
    })
    .await
}
