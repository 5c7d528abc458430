//! Changing a wallet, freezing it, thawing it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use creditgate_ledger::WalletStatus;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::wallet;
use super::alerts::AlertSettingsBody;
use super::auto_topup::AutoTopupBody;
use super::view::WalletView;
use crate::command::{ChangeWallet, WalletCommand};
use crate::http::Shared;
use crate::http::answer::write;
use crate::http::body::{Path, RawWrite, Write};
use crate::http::input::{DecimalText, Metadata, Name, Note, given};
use crate::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(change_wallet))
        .routes(routes!(freeze_wallet))
        .routes(routes!(unfreeze_wallet))
}

/// What is to be changed; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeWalletBody {
    /// For people; null for none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 200)]
    name: Option<Option<Name>>,
    /// Its place among the customer's wallets in the currency, for all that is lent from now
    /// on; null for the last.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i32>)]
    priority: Option<Option<i32>>,
    /// How far a `POST_PAID` wallet may be overdrawn, in credits. Raised, it can be spent at
    /// once; lowered, what gateways have of it is recalled and what is used above it stays owed.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    credit_limit: Option<DecimalText>,
    /// The operator's own data, replaced as a whole.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    metadata: Option<Metadata>,
    /// Why; kept in the journal with a new priority, credit limit or terms.
    #[schema(value_type = Option<String>, max_length = 500)]
    reason: Option<Note>,
    /// How it fills itself, replaced as a whole; null for not at all.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<AutoTopupBody>)]
    auto_topup: Option<Option<AutoTopupBody>>,
    /// When its balance is told, replaced as a whole; null: as the settings' default says.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<AlertSettingsBody>)]
    alert_settings: Option<Option<AlertSettingsBody>>,
}

/// Changes a wallet.
#[utoipa::path(patch, path = "/v1/wallets/{id}", tag = "wallets", request_body = ChangeWalletBody,
    params(("id" = String, Path, description = "Id or external id of the wallet")),
    responses((status = 200, body = WalletView)))]
async fn change_wallet(
    State(app): State<Shared>,
    Path(named): Path,
    Write { body, raw }: Write<ChangeWalletBody>,
) -> Result<Response, Problem> {
    let auto_topup = body.auto_topup.map(|terms| {
        let terms = terms.map(AutoTopupBody::terms);
        terms.transpose()
    });
    let auto_topup = auto_topup.transpose()?;
    let change = ChangeWallet {
        wallet: wallet(&named),
        name: body.name.map(|name| name.map(|name| name.0)),
        priority: body.priority,
        credit_limit: body.credit_limit.map(|limit| limit.0),
        auto_topup,
        alert_settings: body
            .alert_settings
            .map(|settings| settings.map(AlertSettingsBody::settings)),
        metadata: body.metadata.map(|metadata| metadata.0),
        reason: body.reason.map(|reason| reason.0),
    };
    write(
        &app,
        &raw,
        WalletCommand::Change(Box::new(change)).into(),
        StatusCode::OK,
        WalletView::shown,
    )
    .await
}

/// Why. It is kept in the journal.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WalletBecause {
    /// 1 to 500 printable characters.
    #[schema(value_type = Option<String>, max_length = 500)]
    reason: Option<Note>,
}

/// Freezes a wallet: nothing of it is lent any more, and what is lent is recalled.
#[utoipa::path(post, path = "/v1/wallets/{id}/freeze", tag = "wallets", request_body = WalletBecause,
    params(("id" = String, Path, description = "Id or external id of the wallet")),
    responses((status = 200, body = WalletView)))]
async fn freeze_wallet(
    State(app): State<Shared>,
    Path(named): Path,
    Write { body, raw }: Write<WalletBecause>,
) -> Result<Response, Problem> {
    set_status(&app, &named, &raw, body, WalletStatus::Frozen).await
}

/// Thaws a frozen wallet.
#[utoipa::path(post, path = "/v1/wallets/{id}/unfreeze", tag = "wallets", request_body = WalletBecause,
    params(("id" = String, Path, description = "Id or external id of the wallet")),
    responses((status = 200, body = WalletView)))]
async fn unfreeze_wallet(
    State(app): State<Shared>,
    Path(named): Path,
    Write { body, raw }: Write<WalletBecause>,
) -> Result<Response, Problem> {
    set_status(&app, &named, &raw, body, WalletStatus::Active).await
}

async fn set_status(
    app: &Shared,
    named: &str,
    raw: &RawWrite,
    because: WalletBecause,
    status: WalletStatus,
) -> Result<Response, Problem> {
    let command = WalletCommand::SetStatus {
        wallet: wallet(named),
        status,
        reason: because.reason.map(|reason| reason.0),
    };
    write(app, raw, command.into(), StatusCode::OK, WalletView::shown).await
}
