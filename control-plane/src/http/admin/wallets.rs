//! Wallets: a customer's purses.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use creditgate_core::amount::{Amount, AmountError, Scale, parse_exact};
use creditgate_ledger::id::WalletId;
use creditgate_ledger::{Book, Timestamp, Wallet, WalletStatus, WalletType, balance};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::alerts::{AlertSettingsBody, AlertSettingsView};
use self::auto_topup::{AutoTopupBody, AutoTopupStateView, AutoTopupView};
use super::{customer, id};
use crate::command::{Command, CreateWallet, Outcome};
use crate::http::Shared;
use crate::http::answer::write;
use crate::http::body::{Path, RawWrite, Write};
use crate::http::input::{CurrencyName, DecimalText, Metadata, Name, NotYet, Note};
use crate::http::list::List;
use crate::http::money::decimal;
use crate::problem::Problem;
use crate::storage::Target;

pub(super) mod alerts;
mod auto_topup;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(create_wallet))
        .routes(routes!(get_wallet))
        .routes(routes!(list_wallets))
        .routes(routes!(freeze_wallet))
        .routes(routes!(unfreeze_wallet))
}

/// A customer's purse in one currency.
#[derive(Serialize, ToSchema)]
#[schema(as = Wallet)]
struct WalletView {
    /// The id, `wal_…`.
    id: String,
    /// Whose.
    customer_id: String,
    /// The account that gateways see; wallets of one customer and currency share it.
    account_id: String,
    /// For people.
    name: Option<String>,
    /// What it counts in.
    currency: String,
    /// What can be spent, now, in the currency.
    balance: String,
    /// The same in credits: balance ÷ conversion rate.
    credit_balance: String,
    /// `active` or `frozen`.
    #[schema(value_type = String)]
    wallet_status: WalletStatus,
    /// `PRE_PAID`.
    #[schema(value_type = String)]
    wallet_type: WalletType,
    /// Amount per credit; fixed for the wallet's life.
    conversion_rate: String,
    /// How it fills itself, as it was set.
    auto_topup: Option<AutoTopupView>,
    /// How that went so far.
    auto_topup_state: AutoTopupStateView,
    /// When its balance is told, as it was set; null: as the settings' default says.
    alert_settings: Option<AlertSettingsView>,
    /// `ok`, `info`, `warning` or `in_alarm`: the most severe level that is crossed.
    alert_state: String,
    /// How often the alert state changed; the number of the last `wallet.alert` event.
    alert_sequence: u64,
    /// The operator's own data.
    metadata: BTreeMap<String, String>,
    /// When it was made.
    created_at: String,
}

impl WalletView {
    fn of(wallet: &Wallet, scale: Scale, balance: Amount, at: (&str, Timestamp)) -> Self {
        Self {
            id: wallet.id.to_string(),
            customer_id: wallet.customer.to_string(),
            account_id: wallet.account.to_string(),
            name: wallet.name.clone(),
            currency: wallet.currency.to_string(),
            balance: decimal(balance, scale),
            credit_balance: wallet.conversion_rate.credits(balance, scale),
            wallet_status: wallet.status,
            wallet_type: wallet.wallet_type,
            conversion_rate: wallet.conversion_rate.as_str().to_owned(),
            auto_topup: wallet.auto_topup.as_ref().map(AutoTopupView::of),
            auto_topup_state: AutoTopupStateView::of(wallet, at),
            alert_settings: wallet.alert_settings.as_ref().map(AlertSettingsView::of),
            alert_state: wallet.alert_state.level.as_str().to_owned(),
            alert_sequence: wallet.alert_state.sequence,
            metadata: wallet.metadata.clone(),
            created_at: wallet.created_at.to_string(),
        }
    }

    fn in_book(book: &Book, wallet: &Wallet, clock: Timestamp) -> Self {
        let scale = book
            .account(wallet.account)
            .map_or(Scale::MAX, |account| account.scale);
        let now = book.instant(clock);
        let parts = balance::parts(book, wallet.account, Some(wallet.id), now);
        let at = (book.customer.time_zone.as_str(), now);
        Self::of(wallet, scale, parts.balance(), at)
    }

    fn shown(outcome: &Outcome) -> Option<Self> {
        let Outcome::Wallet(wallet) = outcome else {
            return None;
        };
        let at = (wallet.time_zone.as_str(), wallet.at);
        let scale = wallet.account.scale;
        Some(Self::of(&wallet.wallet, scale, wallet.balance, at))
    }
}

/// What makes a wallet.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateWalletBody {
    /// Id or external id of the customer.
    customer_id: String,
    /// What it counts in, in any case: `usd`, `tokens`.
    #[schema(value_type = String, max_length = 16)]
    currency: CurrencyName,
    /// Amount per credit, above zero; 1 if absent. A number or a decimal string.
    #[schema(value_type = Option<String>)]
    conversion_rate: Option<DecimalText>,
    /// `PRE_PAID`.
    #[schema(value_type = Option<String>)]
    wallet_type: Option<String>,
    /// For people.
    #[schema(value_type = Option<String>, max_length = 200)]
    name: Option<Name>,
    /// How it fills itself.
    auto_topup: Option<AutoTopupBody>,
    /// When its balance is told; absent: as the settings' default says.
    alert_settings: Option<AlertSettingsBody>,
    /// The operator's own data: at most 50 entries, keys to 40 and values to 500 characters.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    metadata: Option<Metadata>,
    /// Not supported yet.
    #[schema(ignore)]
    #[serde(default, rename = "priority")]
    _priority: Option<NotYet>,
    /// Not supported yet.
    #[schema(ignore)]
    #[serde(default, rename = "topup_conversion_rate")]
    _topup_conversion_rate: Option<NotYet>,
    /// Not supported yet.
    #[schema(ignore)]
    #[serde(default, rename = "credit_limit")]
    _credit_limit: Option<NotYet>,
}

/// Makes a wallet.
#[utoipa::path(post, path = "/v1/wallets", tag = "wallets", request_body = CreateWalletBody,
    responses((status = 201, body = WalletView)))]
async fn create_wallet(
    State(app): State<Shared>,
    Write { body, raw }: Write<CreateWalletBody>,
) -> Result<Response, Problem> {
    match body
        .wallet_type
        .as_deref()
        .unwrap_or("PRE_PAID")
        .to_ascii_uppercase()
        .as_str()
    {
        "PRE_PAID" => {}
        "POST_PAID" => {
            return Err(Problem::not_supported_yet(
                "/wallet_type",
                "a POST_PAID wallet",
            ));
        }
        _ => return Err(Problem::new("body_invalid", "must be PRE_PAID").at("/wallet_type")),
    }
    let conversion_rate = body.conversion_rate.map_or_else(
        || Ok("1".to_owned()),
        |rate| canonical_rate(&rate.0).map_err(|error| ("/conversion_rate", error)),
    )?;
    let new = CreateWallet {
        customer: customer(&body.customer_id),
        currency: body.currency.0,
        name: body.name.map(|name| name.0),
        conversion_rate,
        auto_topup: body.auto_topup.map(AutoTopupBody::terms).transpose()?,
        alert_settings: body.alert_settings.map(AlertSettingsBody::settings),
        metadata: body.metadata.unwrap_or_default().0,
    };
    write(
        &app,
        &raw,
        Command::CreateWallet(new),
        StatusCode::CREATED,
        WalletView::shown,
    )
    .await
}

/// A rate has nine places at most, and is shown as any amount is.
fn canonical_rate(text: &str) -> Result<String, AmountError> {
    parse_exact(text, Scale::MAX).map(|rate| decimal(rate, Scale::MAX))
}

/// Shows a wallet.
#[utoipa::path(get, path = "/v1/wallets/{id}", tag = "wallets",
    params(("id" = String, Path, description = "Id of the wallet")),
    responses((status = 200, body = WalletView)))]
async fn get_wallet(
    State(app): State<Shared>,
    Path(text): Path,
) -> Result<Json<WalletView>, Problem> {
    let wallet: WalletId = id("wallet", &text)?;
    let now = app.clock.now();
    let book = app
        .read(move |reader| Ok(reader.book(&Target::Wallet(wallet))?))
        .await?;
    let found = book.as_ref().and_then(|book| {
        let wallet = book.wallets.iter().find(|known| known.id == wallet)?;
        Some(WalletView::in_book(book, wallet, now))
    });
    found
        .map(Json)
        .ok_or_else(|| Problem::not_found("wallet", &text))
}

/// Lists a customer's wallets.
#[utoipa::path(get, path = "/v1/customers/{id}/wallets", tag = "wallets",
    params(("id" = String, Path, description = "Id or external id of the customer")),
    responses((status = 200, body = List<WalletView>)))]
async fn list_wallets(
    State(app): State<Shared>,
    Path(named): Path,
) -> Result<Json<List<WalletView>>, Problem> {
    let now = app.clock.now();
    let book = app
        .read(move |reader| {
            let book = reader.book(&customer(&named))?;
            book.ok_or_else(|| Problem::not_found("customer", &named))
        })
        .await?;
    let wallets = book
        .wallets
        .iter()
        .map(|wallet| WalletView::in_book(&book, wallet, now))
        .collect();
    Ok(Json(List::whole(wallets)))
}

/// Why. It goes to the service's log with the key that asked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WalletBecause {
    /// 1 to 500 printable characters.
    #[schema(value_type = Option<String>, max_length = 500)]
    reason: Option<Note>,
}

/// Freezes a wallet: nothing of it is lent any more, and what is lent is recalled.
#[utoipa::path(post, path = "/v1/wallets/{id}/freeze", tag = "wallets", request_body = WalletBecause,
    params(("id" = String, Path, description = "Id of the wallet")),
    responses((status = 200, body = WalletView)))]
async fn freeze_wallet(
    State(app): State<Shared>,
    Path(text): Path,
    Write { body, raw }: Write<WalletBecause>,
) -> Result<Response, Problem> {
    set_status(&app, &text, &raw, body, WalletStatus::Frozen).await
}

/// Thaws a frozen wallet.
#[utoipa::path(post, path = "/v1/wallets/{id}/unfreeze", tag = "wallets", request_body = WalletBecause,
    params(("id" = String, Path, description = "Id of the wallet")),
    responses((status = 200, body = WalletView)))]
async fn unfreeze_wallet(
    State(app): State<Shared>,
    Path(text): Path,
    Write { body, raw }: Write<WalletBecause>,
) -> Result<Response, Problem> {
    set_status(&app, &text, &raw, body, WalletStatus::Active).await
}

async fn set_status(
    app: &Shared,
    text: &str,
    raw: &RawWrite,
    because: WalletBecause,
    status: WalletStatus,
) -> Result<Response, Problem> {
    let wallet = Target::Wallet(id("wallet", text)?);
    let reason = because.reason.map(|reason| reason.0);
    tracing::info!(
        wallet = text,
        ?status,
        actor = raw.caller.actor,
        reason,
        "a wallet's status is set"
    );
    write(
        app,
        raw,
        Command::SetWalletStatus { wallet, status },
        StatusCode::OK,
        WalletView::shown,
    )
    .await
}
