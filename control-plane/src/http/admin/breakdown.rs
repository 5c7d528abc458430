//! What a wallet has, by kind of credit and lot by lot, in the order in which it burns.

use axum::Json;
use axum::extract::State;
use creditgate_core::amount::Scale;
use creditgate_ledger::balance::{self, Parts};
use creditgate_ledger::burn_order::LotStatus;
use creditgate_ledger::{Book, Lot, LotKind, Timestamp, Wallet};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::wallets::in_book;
use super::{instant, wallet};
use crate::http::Shared;
use crate::http::body::Path;
use crate::http::money::decimal;
use crate::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(get_breakdown))
}

/// What a wallet has of one kind of credit, in the currency. `balance` = `available` + `lent` +
/// `held`.
#[derive(Serialize, ToSchema)]
#[schema(as = BalanceOfKind)]
pub(super) struct KindView {
    /// `purchased`, `granted`, `promotional`, `bonus`, `refund` or `credit_line`.
    #[schema(value_type = String)]
    kind: LotKind,
    /// What can be spent: available + lent + held.
    balance: String,
    /// Free to be lent.
    available: String,
    /// At gateways, unused as of their last reports.
    lent: String,
    /// Set aside at gateways for requests in flight, as of their last reports.
    held: String,
    /// Not effective yet.
    pending: String,
    /// Not paid yet.
    unpaid: String,
    /// Still at gateways, but expired, voided or claimed.
    pending_recall: String,
    /// At gateways that fell silent.
    quarantined: String,
    /// Kept in a closed wallet.
    kept: String,
}

impl KindView {
    fn of(kind: LotKind, parts: &Parts, scale: Scale) -> Self {
        let amount = |amount| decimal(amount, scale);
        Self {
            kind,
            balance: amount(parts.balance()),
            available: amount(parts.available),
            lent: amount(parts.lent),
            held: amount(parts.held),
            pending: amount(parts.pending),
            unpaid: amount(parts.unpaid),
            pending_recall: amount(parts.pending_recall),
            quarantined: amount(parts.quarantined),
            kept: amount(parts.kept),
        }
    }

    /// What a wallet has by kind; kinds of which it has nothing are left out.
    pub(super) fn all(book: &Book, wallet: &Wallet, scale: Scale, now: Timestamp) -> Vec<Self> {
        let kinds = balance::by_kind(book, wallet, now);
        kinds
            .iter()
            .map(|(kind, parts)| Self::of(*kind, parts, scale))
            .collect()
    }
}

/// What a wallet has, taken apart, as of now.
#[derive(Serialize, ToSchema)]
struct Breakdown {
    /// The wallet.
    wallet_id: String,
    /// What it counts in.
    currency: String,
    /// By kind; kinds of which nothing is there are left out.
    by_kind: Vec<KindView>,
    /// The lots of which something is left, as they burn.
    lots: Vec<LotLine>,
}

/// A lot and its place in the order in which lots of the account burn.
#[derive(Serialize, ToSchema)]
#[schema(as = LotLine)]
struct LotLine {
    /// The lot.
    lot_id: String,
    /// The operator's name.
    external_id: Option<String>,
    /// What kind of credit.
    #[schema(value_type = String)]
    kind: LotKind,
    /// `pending` or `active`; `expired` or `voided` while gateways have some of it.
    #[schema(value_type = String)]
    status: LotStatus,
    /// From 1, among the lots of all wallets of the account that can be lent now. None: this
    /// can't.
    position: Option<usize>,
    /// Smaller burns first; none burns last.
    priority: Option<i32>,
    /// All of it.
    amount: String,
    /// Not paid yet.
    unpaid: String,
    /// Neither lent nor gone.
    free: String,
    /// At gateways, or quarantined.
    out: String,
    /// Used.
    spent: String,
    /// It can be spent from then.
    effective_at: String,
    /// It can't be spent from then on.
    expires_at: Option<String>,
}

impl LotLine {
    fn of(lot: &Lot, position: Option<usize>, scale: Scale, now: Timestamp) -> Self {
        let amount = |amount| decimal(amount, scale);
        Self {
            lot_id: lot.id.to_string(),
            external_id: lot.external_id.clone(),
            kind: lot.kind,
            status: lot.status(now),
            position,
            priority: lot.priority,
            amount: amount(lot.amount),
            unpaid: amount(lot.unpaid),
            free: amount(lot.free),
            out: amount(lot.pinned),
            spent: amount(lot.spent),
            effective_at: lot.effective_at.to_string(),
            expires_at: instant(lot.expires_at),
        }
    }
}

/// The live lots of a wallet as they burn, each with its position in the account.
fn lines(book: &Book, wallet: &Wallet, scale: Scale, now: Timestamp) -> Vec<LotLine> {
    let of_account = book.lots.iter().filter(|lot| lot.account == wallet.account);
    let mut ordered: Vec<&Lot> = of_account.filter(|lot| lot.is_live()).collect();
    ordered.sort_by_cached_key(|lot| book.burn_key(lot));
    let mut burning = 0;
    let mut lines = Vec::new();
    for lot in ordered {
        let is_next = lot.is_lendable(now)
            && !lot.free.is_zero()
            && creditgate_ledger::lend::is_for_requests(book, lot);
        burning += usize::from(is_next);
        if lot.wallet == wallet.id {
            let position = is_next.then_some(burning);
            lines.push(LotLine::of(lot, position, scale, now));
        }
    }
    lines
}

/// Shows what a wallet has by kind of credit, and lot by lot in burn order, as of now.
#[utoipa::path(get, path = "/v1/wallets/{id}/breakdown", tag = "credit",
    params(("id" = String, Path, description = "Id or external id of the wallet")),
    responses((status = 200, body = Breakdown)))]
async fn get_breakdown(
    State(app): State<Shared>,
    Path(named): Path,
) -> Result<Json<Breakdown>, Problem> {
    app.catch_up(wallet(&named)).await?;
    let now = app.clock.now();
    let breakdown = app
        .read(move |reader| {
            let (book, wallet) = in_book(reader, &named)?;
            let now = book.instant(now);
            let scale = book
                .account(wallet.account)
                .map_or(Scale::MAX, |account| account.scale);
            Ok(Breakdown {
                wallet_id: wallet.id.to_string(),
                currency: wallet.currency.to_string(),
                by_kind: KindView::all(&book, &wallet, scale, now),
                lots: lines(&book, &wallet, scale, now),
            })
        })
        .await?;
    Ok(Json(breakdown))
}
