//! Accounts, and their journals as text that anyone can check; see [`crate::export`].

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use creditgate_ledger::Account;
use creditgate_ledger::chain::Chain;
use creditgate_ledger::id::AccountId;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{customer, id};
use crate::export::{ENTRIES_PER_PAGE, line};
use crate::http::Shared;
use crate::http::body::{Params, Path};
use crate::http::list::{List, PageQuery};
use crate::problem::Problem;
use crate::storage::Target;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_accounts))
        .routes(routes!(get_account))
        .routes(routes!(export_journal))
}

/// What gateways see, and what has a journal: a customer's wallets in one currency that pay for
/// the same requests.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
struct AccountView {
    /// The id, `acc_…`.
    id: String,
    /// Whose.
    customer_id: String,
    /// What it counts in.
    currency: String,
    /// Digits after the point of its smallest unit.
    scale: u8,
    /// The rules of the rate card that its wallets are limited to; none: all requests.
    rules: Vec<String>,
    /// How far the chain of its journal has come. Kept elsewhere, it shows later that nothing
    /// of what was written up to now was changed or cut off.
    chain: ChainView,
}

/// How far a chain has come.
#[derive(Serialize, ToSchema)]
struct ChainView {
    /// How many entries it has.
    entries: u64,
    /// The hash of the last, 64 hexadecimal digits; zeros if there is none.
    head: String,
}

impl AccountView {
    fn of(account: &Account) -> Self {
        let Chain { entries, head } = account.chain;
        Self {
            id: account.id.to_string(),
            customer_id: account.customer.to_string(),
            currency: account.currency.to_string(),
            scale: account.scale.digits(),
            rules: account.scope.rules.iter().cloned().collect(),
            chain: ChainView {
                entries,
                head: head.to_string(),
            },
        }
    }
}

/// Lists the accounts of a customer.
#[utoipa::path(get, path = "/v1/customers/{id}/accounts", tag = "audit",
    params(("id" = String, Path, description = "Id or external id of the customer"), PageQuery),
    responses((status = 200, body = List<AccountView>)))]
async fn list_accounts(
    State(app): State<Shared>,
    Path(named): Path,
    Params(page): Params<PageQuery>,
) -> Result<Json<List<AccountView>>, Problem> {
    let page = page.request()?;
    let book = app
        .read(move |reader| {
            let book = reader.book(&customer(&named))?;
            book.ok_or_else(|| Problem::not_found("customer", &named))
        })
        .await?;
    let accounts = book.accounts.iter();
    Ok(Json(List::by_id(
        accounts,
        page,
        |account| account.id.0,
        AccountView::of,
    )))
}

/// Shows an account, and how far the chain of its journal has come.
#[utoipa::path(get, path = "/v1/accounts/{id}", tag = "audit",
    params(("id" = String, Path, description = "Id of the account")),
    responses((status = 200, body = AccountView)))]
async fn get_account(
    State(app): State<Shared>,
    Path(text): Path,
) -> Result<Json<AccountView>, Problem> {
    let account = known(&app, id("account", &text)?).await?;
    Ok(Json(AccountView::of(&account)))
}

async fn known(app: &Shared, id: AccountId) -> Result<Account, Problem> {
    app.read(move |reader| {
        let book = reader.book(&Target::Account(id))?;
        let account = book.as_ref().and_then(|book| book.account(id)).cloned();
        account.ok_or_else(|| Problem::not_found("account", &id.to_string()))
    })
    .await
}

/// From where on.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct JournalQuery {
    /// The number of the last entry that is known already; 0, or absent: from the first.
    after: Option<u64>,
}

/// Exports the journal of an account, oldest entry first.
///
/// One line of JSON for each entry: `{"entry":ENTRY,"hash":"HASH"}`. HASH is the SHA-256 of the
/// hash before it (32 bytes; zeros before the first) and of the bytes of ENTRY as they are in the
/// line. To go on later, give the number of the last entry as `after`.
#[utoipa::path(get, path = "/v1/accounts/{id}/journal", tag = "audit",
    params(("id" = String, Path, description = "Id of the account"), JournalQuery),
    responses((status = 200, content_type = "application/x-ndjson", body = String)))]
async fn export_journal(
    State(app): State<Shared>,
    Path(text): Path,
    Params(query): Params<JournalQuery>,
) -> Result<Response, Problem> {
    let account: AccountId = id("account", &text)?;
    known(&app, account).await?;
    // A page is read when the one before it was taken: however long the journal, and however
    // slow the client, one page is in memory.
    let pages = stream::try_unfold(
        Some(query.after.unwrap_or_default()),
        move |after: Option<u64>| {
            let app = app.clone();
            async move {
                let Some(after) = after else { return Ok(None) };
                let page = page(&app, account, after).await?;
                Ok::<_, std::io::Error>(page)
            }
        },
    );
    let body = Body::from_stream(pages);
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

/// The next lines and where to go on. An answer that was begun can only be broken off.
async fn page(
    app: &Shared,
    account: AccountId,
    after: u64,
) -> Result<Option<(Bytes, Option<u64>)>, std::io::Error> {
    let entries = app
        .read(move |reader| Ok(reader.chain(account, after, ENTRIES_PER_PAGE)?))
        .await
        .map_err(|problem| std::io::Error::other(problem.code()))?;
    let Some(last) = entries.last() else {
        return Ok(None);
    };
    let is_full = u32::try_from(entries.len()).is_ok_and(|count| count >= ENTRIES_PER_PAGE);
    let next = (is_full && last.number > after).then_some(last.number);
    let lines: Vec<u8> = entries.iter().flat_map(line).collect();
    Ok(Some((lines.into(), next)))
}
