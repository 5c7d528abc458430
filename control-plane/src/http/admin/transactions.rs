//! The journal, as a wallet's owner reads it.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use creditgate_core::amount::{Amount, Scale};
use creditgate_ledger::{Entry, EntryKind, Fact, LedgerAccount, ReasonCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::leases::unit;
use super::wallets::in_book;
use super::{id, instant, lot, lots, wallet};
use crate::http::Shared;
use crate::http::body::{Params, Path};
use crate::http::input::{Lower, Upper, When};
use crate::http::list::{List, PageQuery};
use crate::http::money::decimal;
use crate::problem::Problem;
use crate::storage::EntryFilter;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_transactions))
        .routes(routes!(list_lot_transactions))
        .routes(routes!(list_lease_transactions))
}

/// An immutable, balanced entry of the journal.
#[derive(Serialize, ToSchema)]
struct Transaction {
    /// The id, `ent_…`; later entries have larger ids.
    id: String,
    /// What it is about: `top_up`, `lending`, `usage`, `expiry`, `void`, `quarantine`,
    /// `resolution`, `repayment`, `debit`, `transfer`, `credit_limit`; `note` if no credit moved.
    #[schema(value_type = String)]
    kind: EntryKind,
    /// Why it exists, for revenue recognition.
    #[schema(value_type = String)]
    reason_code: ReasonCode,
    /// What moved.
    amount: String,
    /// What it counts in.
    currency: String,
    /// When it was booked.
    booked_at: String,
    /// For usage: the start of the interval it covers, which ends at `booked_at`.
    usage_from: Option<String>,
    /// The wallet, if it is about one.
    wallet_id: Option<String>,
    /// The lease, if it is about one.
    lease_id: Option<String>,
    /// Who asked for it: a key's id, or the name of a part of the service; `time`: nobody, its instant came.
    actor: String,
    /// What the actor said of it.
    note: Option<String>,
    /// What it says besides its amounts, in smallest units: the terms of a lot, a new priority.
    #[schema(value_type = Option<Object>)]
    fact: Option<Fact>,
    /// Its lines; they sum to zero.
    postings: Vec<Line>,
    /// Which lots it changed by how much.
    lots: Vec<LotPart>,
}

/// A signed line of an entry.
#[derive(Serialize, ToSchema)]
struct Line {
    /// `funding`, `available`, `lent`, `quarantined`, `spent`, `unattributed`, `expired`,
    /// `withdrawn`, `debt`, `lease_loss`, `credit_line`, `transferred`.
    #[schema(value_type = String)]
    account: LedgerAccount,
    /// How much it grew.
    amount: String,
}

/// A part of a lot.
#[derive(Serialize, ToSchema)]
struct LotPart {
    /// The lot.
    lot_id: String,
    /// How much of it.
    amount: String,
}

impl Transaction {
    fn of(entry: &Entry, currency: &str, scale: Scale) -> Self {
        let moved = entry
            .postings
            .iter()
            .map(|posting| posting.amount)
            .filter(|amount| !amount.is_negative());
        Self {
            id: entry.id.to_string(),
            kind: entry.kind,
            reason_code: entry.reason,
            amount: decimal(moved.fold(Amount::ZERO, Amount::saturating_add), scale),
            currency: currency.to_owned(),
            booked_at: entry.booked_at.to_string(),
            usage_from: instant(entry.usage_from),
            wallet_id: entry.wallet.map(|wallet| wallet.to_string()),
            lease_id: entry.lease.map(|lease| lease.to_string()),
            actor: entry.actor.clone(),
            note: entry.note.clone(),
            fact: entry.fact.clone(),
            postings: entry
                .postings
                .iter()
                .map(|posting| Line {
                    account: posting.account,
                    amount: decimal(posting.amount, scale),
                })
                .collect(),
            lots: entry
                .draws
                .iter()
                .map(|draw| LotPart {
                    lot_id: draw.lot.to_string(),
                    amount: decimal(draw.amount, scale),
                })
                .collect(),
        }
    }
}

/// Which entries; what is absent does not matter.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TransactionQuery {
    /// What they are about, such as `debit`.
    #[param(value_type = Option<String>)]
    kind: Option<Lower<EntryKind>>,
    /// Why they exist, such as `CREDIT_ADJUSTMENT`.
    #[param(value_type = Option<String>)]
    reason_code: Option<Upper<ReasonCode>>,
    /// Booked at or after this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<When>,
    /// Booked before this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    before: Option<When>,
    /// `next_cursor` of the page before; none for the first page.
    cursor: Option<String>,
    /// Most items of the page, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Lists the entries about a wallet or its lots, newest first.
#[utoipa::path(get, path = "/v1/wallets/{id}/transactions", tag = "credit",
    params(("id" = String, Path, description = "Id or external id of the wallet"), TransactionQuery),
    responses((status = 200, body = List<Transaction>)))]
async fn list_transactions(
    State(app): State<Shared>,
    Path(named): Path,
    Params(query): Params<TransactionQuery>,
) -> Result<Json<List<Transaction>>, Problem> {
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    }
    .request()?;
    app.catch_up(wallet(&named)).await?;
    let list = app
        .read(move |reader| {
            let reader = reader.snapshot()?;
            let (book, wallet) = in_book(&*reader, &named)?;
            let scale = book
                .account(wallet.account)
                .map_or(Scale::MAX, |account| account.scale);
            let filter = EntryFilter::Some {
                wallet: wallet.id,
                kind: query.kind.map(|kind| kind.0),
                reason: query.reason_code.map(|code| code.0),
                from: query.from.map(|from| from.0),
                before: query.before.map(|before| before.0),
            };
            let entries = reader.entries(filter, page)?;
            Ok(List::of(entries, |entry| {
                Transaction::of(&entry, wallet.currency.as_str(), scale)
            }))
        })
        .await?;
    Ok(Json(list))
}

/// Lists the entries that took some of a lot, or say something of it, newest first.
#[utoipa::path(get, path = "/v1/lots/{id}/transactions", tag = "credit",
    params(("id" = String, Path, description = "Id or external id of the lot"), PageQuery),
    responses((status = 200, body = List<Transaction>)))]
async fn list_lot_transactions(
    State(app): State<Shared>,
    Path(named): Path,
    Params(page): Params<PageQuery>,
) -> Result<Json<List<Transaction>>, Problem> {
    let page = page.request()?;
    app.catch_up(lot(&named)).await?;
    let list = app
        .read(move |reader| {
            let reader = reader.snapshot()?;
            let lot = lots::find(&*reader, &named)?;
            let (book, wallet) = in_book(&*reader, &lot.wallet.to_string())?;
            let scale = book
                .account(wallet.account)
                .map_or(Scale::MAX, |account| account.scale);
            let entries = reader.entries(EntryFilter::Lot(lot.id), page)?;
            Ok(List::of(entries, |entry| {
                Transaction::of(&entry, wallet.currency.as_str(), scale)
            }))
        })
        .await?;
    Ok(Json(list))
}

/// Which entries of a lease; what is absent does not matter.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LeaseTransactionQuery {
    /// What they are about: `usage`, `lending`, `quarantine`, `resolution`.
    #[param(value_type = Option<String>)]
    kind: Option<Lower<EntryKind>>,
    /// Booked at or after this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<When>,
    /// Booked before this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    before: Option<When>,
    /// `next_cursor` of the page before; none for the first page.
    cursor: Option<String>,
    /// Most items of the page, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Lists the entries about a lease, newest first: what was lent in it, what was used of that, and
/// what came back.
#[utoipa::path(get, path = "/v1/leases/{id}/transactions", tag = "leases",
    params(("id" = String, Path, description = "Id of the lease"), LeaseTransactionQuery),
    responses((status = 200, body = List<Transaction>)))]
async fn list_lease_transactions(
    State(app): State<Shared>,
    Path(text): Path,
    Params(query): Params<LeaseTransactionQuery>,
) -> Result<Json<List<Transaction>>, Problem> {
    let lease = id("lease", &text)?;
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    }
    .request()?;
    let list = app
        .read(move |reader| {
            let reader = reader.snapshot()?;
            let found = reader.lease(lease)?;
            let (_, row) = found.ok_or_else(|| Problem::not_found("lease", &text))?;
            let (currency, scale) = unit(&*reader, &mut BTreeMap::new(), row.account)?;
            let filter = EntryFilter::Lease {
                lease,
                kind: query.kind.map(|kind| kind.0),
                from: query.from.map(|from| from.0),
                before: query.before.map(|before| before.0),
            };
            let entries = reader.entries(filter, page)?;
            Ok(List::of(entries, |entry| {
                Transaction::of(&entry, currency.as_str(), scale)
            }))
        })
        .await?;
    Ok(Json(list))
}
