//! Adding credit to a wallet.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use creditgate_ledger::ReasonCode;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::wallet;
use super::LotView;
use crate::command::{HowMuch, Paid, TopUpCommand, WalletCommand};
use crate::http::Shared;
use crate::http::answer::write;
use crate::http::body::{Path, Write};
use crate::http::input::{CurrencyName, DecimalText, ExternalId, Metadata, Note, Upper, When};
use crate::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(top_up_wallet))
}

/// Credit to add. Exactly one of `credits_to_add` and `amount`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TopUpBody {
    /// How many credits of the wallet, above zero. A number or a decimal string; rounded
    /// half-even to the currency's smallest unit.
    #[schema(value_type = Option<String>, example = "100")]
    credits_to_add: Option<DecimalText>,
    /// How much of the wallet's currency, likewise.
    #[schema(value_type = Option<String>)]
    amount: Option<DecimalText>,
    /// Why; `PURCHASED_CREDIT_DIRECT` if absent. `transaction_reason` is the same. Credit bought
    /// by invoice, `PURCHASED_CREDIT_INVOICED`, is pending until the lot is marked as paid,
    /// unless the settings say that payment is authorised before.
    #[serde(alias = "transaction_reason")]
    #[schema(value_type = Option<String>, example = "PURCHASED_CREDIT_DIRECT")]
    reason_code: Option<Upper<ReasonCode>>,
    /// The operator's name for the lot; unique among lots.
    #[schema(value_type = Option<String>, max_length = 128)]
    external_id: Option<ExternalId>,
    /// Smaller burns first; none burns last.
    priority: Option<i32>,
    /// From when it can be spent; at once if absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    effective_at: Option<When>,
    /// Until when; for ever if absent. `expiry_date_utc` is the same.
    #[serde(alias = "expiry_date_utc")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<When>,
    /// What was, or is to be, paid; if absent, for a purchase, credits × the wallet's
    /// `topup_conversion_rate`.
    paid: Option<PaidBody>,
    /// With a purchase: how many credits come on top, in a lot of their own, with the
    /// purchase's priority and expiry. If absent, what the settings' bonus slabs say; 0 for none.
    #[schema(value_type = Option<String>)]
    bonus_credits: Option<DecimalText>,
    /// What the operator says of it.
    #[schema(value_type = Option<String>, max_length = 500)]
    description: Option<Note>,
    /// The operator's own data: at most 50 entries, keys to 40 and values to 500 characters.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    metadata: Option<Metadata>,
    /// As the header `Idempotency-Key`, which is preferred.
    #[schema(max_length = 255)]
    idempotency_key: Option<String>,
}

/// Money for a purchase.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PaidBody {
    /// How much, without tax; zero or more. A number or a decimal string.
    #[schema(value_type = String, example = "99")]
    amount: DecimalText,
    /// Tax on it; nothing if absent.
    #[schema(value_type = Option<String>)]
    tax: Option<DecimalText>,
    /// What money; the wallet's currency if absent.
    #[schema(value_type = Option<String>, max_length = 16)]
    currency: Option<CurrencyName>,
    /// The operator's name for the payment.
    #[schema(value_type = Option<String>, max_length = 500)]
    reference: Option<Note>,
}

impl PaidBody {
    fn paid(self) -> Paid {
        Paid {
            amount: self.amount.0,
            tax: self.tax.map(|tax| tax.0),
            currency: self.currency.map(|currency| currency.0),
            reference: self.reference.map(|reference| reference.0),
        }
    }
}

/// Adds credit to a wallet. It is usable at every gateway within milliseconds.
#[utoipa::path(post, path = "/v1/wallets/{id}/top-up", tag = "credit", request_body = TopUpBody,
    params(("id" = String, Path, description = "Id or external id of the wallet")),
    responses((status = 201, body = LotView)))]
async fn top_up_wallet(
    State(app): State<Shared>,
    Path(named): Path,
    Write { body, mut raw }: Write<TopUpBody>,
) -> Result<Response, Problem> {
    raw.key_from_body(body.idempotency_key)?;
    let reason = body
        .reason_code
        .map_or(ReasonCode::PurchasedCreditDirect, |reason| reason.0);
    check_reason(reason)?;
    let value = match (body.credits_to_add, body.amount) {
        (Some(credits), None) => HowMuch::Credits(credits.0),
        (None, Some(amount)) => HowMuch::Amount(amount.0),
        _ => {
            return Err(
                Problem::new("amount_ambiguous", "give either credits_to_add or amount")
                    .at("/credits_to_add"),
            );
        }
    };
    let top_up = TopUpCommand {
        external_id: body.external_id.map(|name| name.0),
        priority: body.priority,
        effective_at: body.effective_at.map(|at| at.0),
        expires_at: body.expires_at.map(|at| at.0),
        paid: body.paid.map(PaidBody::paid),
        bonus_credits: body.bonus_credits.map(|credits| credits.0),
        description: body.description.map(|description| description.0),
        metadata: body.metadata.unwrap_or_default().0,
        ..TopUpCommand::new(wallet(&named), value, reason)
    };
    let command = WalletCommand::TopUp(Box::new(top_up));
    write(
        &app,
        &raw,
        command.into(),
        StatusCode::CREATED,
        LotView::shown,
    )
    .await
}

fn check_reason(reason: ReasonCode) -> Result<(), Problem> {
    use ReasonCode as R;
    match reason {
        R::PurchasedCreditDirect
        | R::PurchasedCreditInvoiced
        | R::PurchasedCreditBonus
        | R::FreeCreditGrant
        | R::SubscriptionCreditGrant
        | R::CreditNote
        | R::InvoiceVoidRefund
        | R::CreditAdjustment => Ok(()),
        _ => {
            let detail = "must be PURCHASED_CREDIT_DIRECT, PURCHASED_CREDIT_INVOICED, PURCHASED_CREDIT_BONUS, FREE_CREDIT_GRANT, SUBSCRIPTION_CREDIT_GRANT, CREDIT_NOTE, INVOICE_VOID_REFUND or CREDIT_ADJUSTMENT";
            Err(Problem::new("reason_not_for_top_ups", detail).at("/reason_code"))
        }
    }
}
