//! Wallets: a customer's purses.
//!
//! Making them is in [`making`], changing and freezing in [`changing`], closing in [`closing`].

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use creditgate_ledger::id::CustomerId;
use creditgate_ledger::{Book, Wallet, WalletStatus};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::view::WalletView;
use super::{customer, wallet};
use crate::http::Shared;
use crate::http::body::{Params, Path};
use crate::http::input::{CurrencyName, Lower};
use crate::http::list::{List, PageQuery};
use crate::problem::Problem;
use crate::storage::{Reader, Target, WalletFilter};

pub(super) mod alerts;
mod auto_topup;
mod changing;
mod closing;
mod making;
pub(super) mod view;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .merge(making::routes())
        .routes(routes!(list_wallets))
        .routes(routes!(get_wallet))
        .merge(changing::routes())
        .merge(closing::routes())
        .routes(routes!(list_wallets_of_customer))
}

/// The wallet of a name in a book that the name led to.
pub(super) fn find<'b>(book: &'b Book, target: &Target) -> Option<&'b Wallet> {
    book.wallets.iter().find(|wallet| match target {
        Target::Wallet(id) => wallet.id == *id,
        Target::WalletName(name) => wallet.external_id.as_ref() == Some(name),
        _ => false,
    })
}

/// The book of a wallet, and the wallet.
///
/// # Errors
/// `not_found`.
pub(super) fn in_book(reader: &dyn Reader, named: &str) -> Result<(Book, Wallet), Problem> {
    let target = wallet(named);
    let book = reader.book(&target)?;
    let found = book.and_then(|book| {
        let wallet = find(&book, &target)?.clone();
        Some((book, wallet))
    });
    found.ok_or_else(|| Problem::not_found("wallet", named))
}

fn nowhere(wallet: &Wallet) -> Problem {
    Problem::new("internal", format!("wallet {} has no account", wallet.id))
}

/// Shows a wallet.
#[utoipa::path(get, path = "/v1/wallets/{id}", tag = "wallets",
    params(("id" = String, Path, description = "Id or external id of the wallet")),
    responses((status = 200, body = WalletView)))]
async fn get_wallet(
    State(app): State<Shared>,
    Path(named): Path,
) -> Result<Json<WalletView>, Problem> {
    app.catch_up(wallet(&named)).await?;
    let now = app.clock.now();
    let view = app
        .read(move |reader| {
            let (book, wallet) = in_book(reader, &named)?;
            WalletView::in_book(&book, &wallet, now).ok_or_else(|| nowhere(&wallet))
        })
        .await?;
    Ok(Json(view))
}

/// Which wallets of a customer; what is absent does not matter.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OwnWalletQuery {
    /// In this currency, in any case: `usd`.
    #[param(value_type = Option<String>)]
    currency: Option<CurrencyName>,
    /// `active`, `frozen` or `closed`.
    #[param(value_type = Option<String>)]
    status: Option<Lower<WalletStatus>>,
    /// `next_cursor` of the page before; none for the first page.
    cursor: Option<String>,
    /// Most items of the page, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Lists a customer's wallets, closed ones too, in the order they were made.
#[utoipa::path(get, path = "/v1/customers/{id}/wallets", tag = "wallets",
    params(("id" = String, Path, description = "Id or external id of the customer"), OwnWalletQuery),
    responses((status = 200, body = List<WalletView>)))]
async fn list_wallets_of_customer(
    State(app): State<Shared>,
    Path(named): Path,
    Params(query): Params<OwnWalletQuery>,
) -> Result<Json<List<WalletView>>, Problem> {
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    }
    .request()?;
    app.catch_up(customer(&named)).await?;
    let now = app.clock.now();
    let book = app
        .read(move |reader| {
            let book = reader.book(&customer(&named))?;
            book.ok_or_else(|| Problem::not_found("customer", &named))
        })
        .await?;
    let (currency, status) = (query.currency, query.status);
    let wallets = book
        .wallets
        .iter()
        .filter(|wallet| currency.as_ref().is_none_or(|of| of.0 == wallet.currency))
        .filter(|wallet| status.as_ref().is_none_or(|of| of.0 == wallet.status))
        .filter_map(|wallet| Some((wallet.id, WalletView::in_book(&book, wallet, now)?)));
    Ok(Json(List::by_id(
        wallets,
        page,
        |(id, _)| id.0,
        |(_, view)| view,
    )))
}

/// Which wallets; what is absent does not matter.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WalletQuery {
    /// Of this customer: id or external id.
    customer_id: Option<String>,
    /// In this currency, in any case: `usd`.
    #[param(value_type = Option<String>)]
    currency: Option<CurrencyName>,
    /// `active`, `frozen` or `closed`.
    #[param(value_type = Option<String>)]
    status: Option<Lower<WalletStatus>>,
    /// `next_cursor` of the page before; none for the first page.
    cursor: Option<String>,
    /// Most items of the page, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Lists wallets of all customers, closed ones too, in the order they were made.
#[utoipa::path(get, path = "/v1/wallets", tag = "wallets", params(WalletQuery),
    responses((status = 200, body = List<WalletView>)))]
async fn list_wallets(
    State(app): State<Shared>,
    Params(query): Params<WalletQuery>,
) -> Result<Json<List<WalletView>>, Problem> {
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    }
    .request()?;
    let now = app.clock.now();
    let mut filter = WalletFilter {
        customer: None,
        currency: query.currency.map(|currency| currency.0),
        status: query.status.map(|status| status.0),
    };
    let list = app
        .read(move |reader| {
            let reader = reader.snapshot()?;
            if let Some(named) = &query.customer_id {
                let owner = reader.customer(&customer(named))?;
                let owner = owner.ok_or_else(|| Problem::not_found("customer", named))?;
                filter.customer = Some(owner.id);
            }
            let found = reader.wallet_list(filter, page)?;
            let mut books: HashMap<CustomerId, Book> = HashMap::new();
            for wallet in &found.items {
                if !books.contains_key(&wallet.customer) {
                    let book = reader.book(&Target::Customer(wallet.customer))?;
                    books.extend(book.map(|book| (wallet.customer, book)));
                }
            }
            let mut views = Vec::new();
            for wallet in &found.items {
                let book = books.get(&wallet.customer);
                let view = book.and_then(|book| WalletView::in_book(book, wallet, now));
                views.push(view.ok_or_else(|| nowhere(wallet))?);
            }
            Ok(List {
                data: views,
                next_cursor: found.next.map(|cursor| cursor.to_string()),
            })
        })
        .await?;
    Ok(Json(list))
}
