//! Making a wallet.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use creditgate_core::amount::{AmountError, Scale, parse_exact};
use creditgate_ledger::WalletType;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::customer;
use super::alerts::AlertSettingsBody;
use super::auto_topup::AutoTopupBody;
use super::view::WalletView;
use crate::command::{CreateWallet, WalletCommand};
use crate::http::Shared;
use crate::http::answer::write;
use crate::http::body::Write;
use crate::http::input::{CurrencyName, DecimalText, ExternalId, Metadata, Name, RuleId, Upper};
use crate::http::money::decimal;
use crate::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(create_wallet))
}

/// What makes a wallet.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateWalletBody {
    /// Id or external id of the customer.
    #[schema(example = "cust_ABC123")]
    customer_id: String,
    /// The operator's name; unique among wallets.
    #[schema(value_type = Option<String>, max_length = 128)]
    external_id: Option<ExternalId>,
    /// What it counts in, in any case: `usd`, `tokens`.
    #[schema(value_type = String, max_length = 16, example = "usd")]
    currency: CurrencyName,
    /// Amount per credit, above zero; 1 if absent. A number or a decimal string.
    #[schema(value_type = Option<String>, example = "1")]
    conversion_rate: Option<DecimalText>,
    /// Money paid per credit, above zero; 1 if absent. It says what purchases cost, and nothing
    /// of balances.
    #[schema(value_type = Option<String>, example = "1")]
    topup_conversion_rate: Option<DecimalText>,
    /// `PRE_PAID`, if absent, or `POST_PAID`.
    #[schema(value_type = Option<String>, example = "PRE_PAID")]
    wallet_type: Option<Upper<WalletType>>,
    /// How far a `POST_PAID` wallet may be overdrawn, in credits; 0 if absent.
    #[schema(value_type = Option<String>)]
    credit_limit: Option<DecimalText>,
    /// For people.
    #[schema(value_type = Option<String>, max_length = 200)]
    name: Option<Name>,
    /// Its place among the customer's wallets in the currency: smaller burns first, none last.
    priority: Option<i32>,
    /// Ids of rules of the rate card: the wallet pays for requests of these and no others. At
    /// most 50; wallets of the same rules share an account, others may not name any of them.
    #[schema(value_type = Option<Vec<String>>, max_items = 50)]
    rules: Option<Vec<RuleId>>,
    /// The operator's own data: at most 50 entries, keys to 40 and values to 500 characters.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    metadata: Option<Metadata>,
    /// How it fills itself.
    auto_topup: Option<AutoTopupBody>,
    /// When its balance is told; absent: as the settings' default says.
    alert_settings: Option<AlertSettingsBody>,
}

/// Makes a wallet. A customer may have several in a currency.
#[utoipa::path(post, path = "/v1/wallets", tag = "wallets", request_body = CreateWalletBody,
    responses((status = 201, body = WalletView)))]
async fn create_wallet(
    State(app): State<Shared>,
    Write { body, raw }: Write<CreateWalletBody>,
) -> Result<Response, Problem> {
    let rate = |rate: Option<DecimalText>, field| {
        let canonical = rate.map_or_else(|| Ok("1".to_owned()), |rate| canonical_rate(&rate.0));
        canonical.map_err(|error| (field, error))
    };
    let rules = body.rules.unwrap_or_default().into_iter();
    let new = CreateWallet {
        external_id: body.external_id.map(|name| name.0),
        name: body.name.map(|name| name.0),
        priority: body.priority,
        rules: rules.map(|rule| rule.0).collect(),
        wallet_type: body.wallet_type.map_or(WalletType::PrePaid, |kind| kind.0),
        credit_limit: body.credit_limit.map(|limit| limit.0),
        conversion_rate: rate(body.conversion_rate, "/conversion_rate")?,
        topup_conversion_rate: rate(body.topup_conversion_rate, "/topup_conversion_rate")?,
        auto_topup: body.auto_topup.map(AutoTopupBody::terms).transpose()?,
        alert_settings: body.alert_settings.map(AlertSettingsBody::settings),
        metadata: body.metadata.unwrap_or_default().0,
        ..CreateWallet::plain(customer(&body.customer_id), body.currency.0)
    };
    write(
        &app,
        &raw,
        WalletCommand::Create(Box::new(new)).into(),
        StatusCode::CREATED,
        WalletView::shown,
    )
    .await
}

/// A rate has nine places at most, and is shown as any amount is.
fn canonical_rate(text: &str) -> Result<String, AmountError> {
    parse_exact(text, Scale::MAX).map(|rate| decimal(rate, Scale::MAX))
}
