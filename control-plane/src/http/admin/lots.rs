//! Top-ups and the lots they make.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use creditgate_core::amount::Scale;
use creditgate_ledger::burn_order::LotStatus;
use creditgate_ledger::id::{LotId, WalletId};
use creditgate_ledger::{Account, Lot, LotKind, ReasonCode, Timestamp, Wallet};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{id, instant};
use crate::command::{Command, Outcome, TopUpCommand, TopUpValue};
use crate::http::Shared;
use crate::http::answer::write;
use crate::http::body::{Params, Path, Write};
use crate::http::input::{DecimalText, NotYet, Note, Upper, When};
use crate::http::list::{List, PageQuery};
use crate::http::money::decimal;
use crate::problem::Problem;
use crate::storage::{LotFilter, Target};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(top_up_wallet))
        .routes(routes!(list_lots))
        .routes(routes!(get_lot))
        .routes(routes!(void_lot))
}

/// One dated block of credit. `amount` = `free` + `out` + `spent` + `expired` + `withdrawn`.
#[derive(Serialize, ToSchema)]
#[schema(as = Lot)]
struct LotView {
    /// The id, `lot_…`.
    id: String,
    /// In which wallet.
    wallet_id: String,
    /// What kind of credit.
    #[schema(value_type = String)]
    kind: LotKind,
    /// Why it exists, for revenue recognition.
    #[schema(value_type = String)]
    reason_code: ReasonCode,
    /// Smaller burns first; none burns last.
    priority: Option<i32>,
    /// `pending`, `active`, `depleted`, `expired` or `voided`.
    #[schema(value_type = String)]
    status: LotStatus,
    /// What it counts in.
    currency: String,
    /// All of it.
    amount: String,
    /// All of it, in credits of the wallet.
    credits: String,
    /// Neither lent nor gone.
    free: String,
    /// At gateways, or quarantined.
    out: String,
    /// Used.
    spent: String,
    /// Unused at its expiry.
    expired: String,
    /// Voided.
    withdrawn: String,
    /// It can be spent from then.
    effective_at: String,
    /// It can't be spent from then on.
    expires_at: Option<String>,
    /// When it was made.
    created_at: String,
    /// When it was voided.
    voided_at: Option<String>,
    /// What the operator said of it.
    description: Option<String>,
}

impl LotView {
    fn of(lot: &Lot, wallet: &Wallet, scale: Scale, now: Timestamp) -> Self {
        let amount = |amount| decimal(amount, scale);
        Self {
            id: lot.id.to_string(),
            wallet_id: lot.wallet.to_string(),
            kind: lot.kind,
            reason_code: lot.reason,
            priority: lot.priority,
            status: lot.status(now),
            currency: wallet.currency.to_string(),
            amount: amount(lot.amount),
            credits: wallet.conversion_rate.credits(lot.amount, scale),
            free: amount(lot.free),
            out: amount(lot.pinned),
            spent: amount(lot.spent),
            expired: amount(lot.expired),
            withdrawn: amount(lot.withdrawn),
            effective_at: lot.effective_at.to_string(),
            expires_at: instant(lot.expires_at),
            created_at: lot.created_at.to_string(),
            voided_at: instant(lot.voided_at),
            description: lot.description.clone(),
        }
    }
}

/// Credit to add. Exactly one of `credits_to_add` and `amount`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TopUpBody {
    /// How many credits of the wallet, above zero. A number or a decimal string; rounded
    /// half-even to the currency's smallest unit.
    #[schema(value_type = Option<String>)]
    credits_to_add: Option<DecimalText>,
    /// How much of the wallet's currency, likewise.
    #[schema(value_type = Option<String>)]
    amount: Option<DecimalText>,
    /// Why; `PURCHASED_CREDIT_DIRECT` if absent. `transaction_reason` is the same.
    #[serde(alias = "transaction_reason")]
    #[schema(value_type = Option<String>)]
    reason_code: Option<Upper<ReasonCode>>,
    /// Smaller burns first; none burns last.
    priority: Option<i32>,
    /// From when it can be spent; at once if absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    effective_at: Option<When>,
    /// Until when; for ever if absent. `expiry_date_utc` is the same.
    #[serde(alias = "expiry_date_utc")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<When>,
    /// What the operator says of it.
    #[schema(value_type = Option<String>, max_length = 500)]
    description: Option<Note>,
    /// As the header `Idempotency-Key`, which is preferred.
    #[schema(max_length = 255)]
    idempotency_key: Option<String>,
    /// Not supported yet.
    #[schema(ignore)]
    #[serde(default, rename = "bonus_credits")]
    _bonus_credits: Option<NotYet>,
    /// Not supported yet.
    #[schema(ignore)]
    #[serde(default, rename = "metadata")]
    _metadata: Option<NotYet>,
}

/// Adds credit to a wallet. It is usable at every gateway within milliseconds.
#[utoipa::path(post, path = "/v1/wallets/{id}/top-up", tag = "credit", request_body = TopUpBody,
    params(("id" = String, Path, description = "Id of the wallet")),
    responses((status = 201, body = LotView)))]
async fn top_up_wallet(
    State(app): State<Shared>,
    Path(text): Path,
    Write { body, mut raw }: Write<TopUpBody>,
) -> Result<Response, Problem> {
    raw.key_from_body(body.idempotency_key)?;
    let reason = body
        .reason_code
        .map_or(ReasonCode::PurchasedCreditDirect, |reason| reason.0);
    check_reason(reason)?;
    let value = match (body.credits_to_add, body.amount) {
        (Some(credits), None) => TopUpValue::Credits(credits.0),
        (None, Some(amount)) => TopUpValue::Amount(amount.0),
        _ => {
            return Err(
                Problem::new("amount_ambiguous", "give either credits_to_add or amount")
                    .at("/credits_to_add"),
            );
        }
    };
    let command = Command::TopUp(TopUpCommand {
        wallet: Target::Wallet(id("wallet", &text)?),
        value,
        reason,
        priority: body.priority,
        effective_at: body.effective_at.map(|at| at.0),
        expires_at: body.expires_at.map(|at| at.0),
        description: body.description.map(|description| description.0),
    });
    let now = app.clock.now();
    write(&app, &raw, command, StatusCode::CREATED, move |outcome| {
        let Outcome::Lot(made) = outcome else {
            return None;
        };
        let (lot, wallet, account) = &**made;
        Some(LotView::of(
            lot,
            wallet,
            account.scale,
            now.max(account.last_instant),
        ))
    })
    .await
}

fn check_reason(reason: ReasonCode) -> Result<(), Problem> {
    use ReasonCode as R;
    match reason {
        R::PurchasedCreditDirect
        | R::PurchasedCreditBonus
        | R::FreeCreditGrant
        | R::CreditNote
        | R::CreditAdjustment => Ok(()),
        R::PurchasedCreditInvoiced | R::SubscriptionCreditGrant | R::InvoiceVoidRefund => Err(
            Problem::not_supported_yet("/reason_code", "a top-up for this reason"),
        ),
        _ => {
            let detail = "must be PURCHASED_CREDIT_DIRECT, PURCHASED_CREDIT_BONUS, FREE_CREDIT_GRANT, CREDIT_NOTE or CREDIT_ADJUSTMENT";
            Err(Problem::new("reason_not_for_top_ups", detail).at("/reason_code"))
        }
    }
}

/// Lists a wallet's lots, those that are used up too, in the order they were made.
#[utoipa::path(get, path = "/v1/wallets/{id}/lots", tag = "credit",
    params(("id" = String, Path, description = "Id of the wallet"), PageQuery),
    responses((status = 200, body = List<LotView>)))]
async fn list_lots(
    State(app): State<Shared>,
    Path(text): Path,
    Params(page): Params<PageQuery>,
) -> Result<Json<List<LotView>>, Problem> {
    let (page, wallet) = (page.request()?, id("wallet", &text)?);
    let now = app.clock.now();
    let list = app
        .read(move |reader| {
            let reader = reader.snapshot()?;
            let (wallet, account) = wallet_with_account(&*reader, wallet)?;
            let lots = reader.lots(LotFilter::Wallet(wallet.id), page)?;
            let now = now.max(account.last_instant);
            Ok(List::of(lots, |lot| {
                LotView::of(&lot, &wallet, account.scale, now)
            }))
        })
        .await?;
    Ok(Json(list))
}

fn wallet_with_account(
    reader: &dyn crate::storage::Reader,
    wallet: WalletId,
) -> Result<(Wallet, Account), Problem> {
    let book = reader.book(&Target::Wallet(wallet))?;
    let found = book.and_then(|book| {
        let wallet = book
            .wallets
            .iter()
            .find(|known| known.id == wallet)?
            .clone();
        let account = book.account(wallet.account)?.clone();
        Some((wallet, account))
    });
    found.ok_or_else(|| Problem::not_found("wallet", &wallet.to_string()))
}

/// Shows a lot.
#[utoipa::path(get, path = "/v1/lots/{id}", tag = "credit",
    params(("id" = String, Path, description = "Id of the lot")),
    responses((status = 200, body = LotView)))]
async fn get_lot(State(app): State<Shared>, Path(text): Path) -> Result<Json<LotView>, Problem> {
    let lot: LotId = id("lot", &text)?;
    let now = app.clock.now();
    let view = app
        .read(move |reader| {
            let reader = reader.snapshot()?;
            let found = reader
                .lot(lot)?
                .ok_or_else(|| Problem::not_found("lot", &lot.to_string()))?;
            let (wallet, account) = wallet_with_account(&*reader, found.1.wallet)?;
            Ok(LotView::of(
                &found.1,
                &wallet,
                account.scale,
                now.max(account.last_instant),
            ))
        })
        .await?;
    Ok(Json(view))
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
    /// When.
    voided_at: Option<String>,
}

/// Voids a lot: what is free is withdrawn at once, what is lent is recalled.
#[utoipa::path(post, path = "/v1/lots/{id}/void", tag = "credit", request_body = VoidLot,
    params(("id" = String, Path, description = "Id of the lot")),
    responses((status = 200, body = VoidedLot)))]
async fn void_lot(
    State(app): State<Shared>,
    Path(text): Path,
    Write { body, raw }: Write<VoidLot>,
) -> Result<Response, Problem> {
    let command = Command::VoidLot {
        lot: id("lot", &text)?,
        reason: body.reason.0,
    };
    write(&app, &raw, command, StatusCode::OK, |outcome| {
        let Outcome::Voided(voided) = outcome else {
            return None;
        };
        let (lot, parts, account) = &**voided;
        Some(VoidedLot {
            id: lot.id.to_string(),
            currency: account.currency.to_string(),
            withdrawn: decimal(parts.withdrawn, account.scale),
            pending_recall: decimal(parts.pending_recall, account.scale),
            spent: decimal(parts.spent, account.scale),
            voided_at: instant(lot.voided_at),
        })
    })
    .await
}
