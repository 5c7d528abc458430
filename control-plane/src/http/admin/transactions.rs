//! The journal, as a wallet's owner reads it.

use axum::Json;
use axum::extract::State;
use creditgate_core::amount::{Amount, Scale};
use creditgate_ledger::id::WalletId;
use creditgate_ledger::{Entry, EntryKind, LedgerAccount, ReasonCode};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{id, instant};
use crate::http::Shared;
use crate::http::body::{Params, Path};
use crate::http::list::{List, PageQuery};
use crate::http::money::decimal;
use crate::problem::Problem;
use crate::storage::{EntryFilter, Target};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list_transactions))
}

/// An immutable, balanced entry of the journal.
#[derive(Serialize, ToSchema)]
struct Transaction {
    /// The id, `ent_…`; later entries have larger ids.
    id: String,
    /// What it is about: `top_up`, `lending`, `usage`, `expiry`, `void`, `quarantine`, `resolution`, `repayment`.
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
    /// The lease, if it is about one.
    lease_id: Option<String>,
    /// Who asked for it: a key's id, or the name of a part of the service.
    actor: String,
    /// What the actor said of it.
    note: Option<String>,
    /// Its lines; they sum to zero.
    postings: Vec<Line>,
    /// Which lots it changed by how much.
    lots: Vec<LotPart>,
}

/// A signed line of an entry.
#[derive(Serialize, ToSchema)]
struct Line {
    /// `funding`, `available`, `lent`, `quarantined`, `spent`, `unattributed`, `expired`, `withdrawn`, `debt`, `lease_loss`.
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
            lease_id: entry.lease.map(|lease| lease.to_string()),
            actor: entry.actor.clone(),
            note: entry.note.clone(),
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

/// Lists the entries about a wallet or its lots, newest first.
#[utoipa::path(get, path = "/v1/wallets/{id}/transactions", tag = "credit",
    params(("id" = String, Path, description = "Id of the wallet"), PageQuery),
    responses((status = 200, body = List<Transaction>)))]
async fn list_transactions(
    State(app): State<Shared>,
    Path(text): Path,
    Params(page): Params<PageQuery>,
) -> Result<Json<List<Transaction>>, Problem> {
    let page = page.request()?;
    let wallet: WalletId = id("wallet", &text)?;
    let list = app
        .read(move |reader| {
            let reader = reader.snapshot()?;
            let missing = || Problem::not_found("wallet", &wallet.to_string());
            let book = reader.book(&Target::Wallet(wallet))?.ok_or_else(missing)?;
            let row = book
                .wallets
                .iter()
                .find(|known| known.id == wallet)
                .ok_or_else(missing)?;
            let scale = book
                .account(row.account)
                .map_or(Scale::MAX, |account| account.scale);
            let entries = reader.entries(EntryFilter::Wallet(wallet), page)?;
            Ok(List::of(entries, |entry| {
                Transaction::of(&entry, row.currency.as_str(), scale)
            }))
        })
        .await?;
    Ok(Json(list))
}
