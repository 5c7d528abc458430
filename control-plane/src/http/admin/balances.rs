//! Balances as of now, and all that they are made of.
//!
//! A wallet's figures are counted from its lots, a customer's in a currency from the
//! journal's accounts; that the two agree is checked by `creditgate verify`.

use axum::Json;
use axum::extract::State;
use creditgate_core::amount::{Amount, Currency, Scale};
use creditgate_ledger::balance::{self, Parts};
use creditgate_ledger::chain::Chain;
use creditgate_ledger::id::WalletId;
use creditgate_ledger::{Account, Book, LedgerAccount, Scope, Timestamp, Wallet};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{customer, id};
use crate::http::Shared;
use crate::http::body::{Params, Path};
use crate::http::money::decimal;
use crate::problem::Problem;
use crate::storage::{LotFilter, PageRequest, Reader, Target};

const PAGE: u32 = 1_000;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(get_wallet_balance))
        .routes(routes!(get_customer_balance))
}

/// A balance and its parts, in the currency.
///
/// `balance` = `available` + `lent` + `held`.
/// `funded` = `balance` + `pending` + `pending_recall` + `quarantined` + `spent` + `expired` + `withdrawn`.
#[derive(Serialize, ToSchema)]
struct Balance {
    /// Whose wallet, if it is a wallet's.
    #[serde(skip_serializing_if = "Option::is_none")]
    wallet_id: Option<String>,
    /// Whose.
    customer_id: String,
    /// What it counts in.
    currency: String,
    /// Digits after the point of its smallest unit.
    scale: u8,
    /// What can be spent: available + lent + held.
    balance: String,
    /// The balance in credits of the wallet.
    #[serde(skip_serializing_if = "Option::is_none")]
    credit_balance: Option<String>,
    /// Free to be lent.
    available: String,
    /// At gateways, unused as of their last reports.
    lent: String,
    /// Set aside at gateways for requests in flight, as of their last reports.
    held: String,
    /// Not effective yet.
    pending: String,
    /// Still at gateways, but expired, voided or covering debt.
    pending_recall: String,
    /// At gateways that fell silent; set aside until that is resolved.
    quarantined: String,
    /// Used.
    spent: String,
    /// The part of `spent` that was charged without a report of its use.
    #[serde(skip_serializing_if = "Option::is_none")]
    spent_unattributed: Option<String>,
    /// Unused at its expiry.
    expired: String,
    /// Voided.
    withdrawn: String,
    /// Used beyond what was funded, of all wallets in the currency; repaid first by the next credit.
    debt: String,
    /// Used after its quarantine had been released to the customer: the operator's loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_loss: Option<String>,
    /// All that was ever added.
    funded: String,
}

/// What went and what came, ever.
#[derive(Default)]
struct Totals {
    funded: Amount,
    spent: Amount,
    expired: Amount,
    withdrawn: Amount,
}

impl Balance {
    fn of(account: &Account, parts: &Parts, totals: &Totals) -> Self {
        let amount = |amount| decimal(amount, account.scale);
        Self {
            wallet_id: None,
            customer_id: account.customer.to_string(),
            currency: account.currency.to_string(),
            scale: account.scale.digits(),
            balance: amount(parts.balance()),
            credit_balance: None,
            available: amount(parts.available),
            lent: amount(parts.lent),
            held: amount(parts.held),
            pending: amount(parts.pending),
            pending_recall: amount(parts.pending_recall),
            quarantined: amount(parts.quarantined),
            spent: amount(totals.spent),
            spent_unattributed: None,
            // What has lapsed is expired now, whether or not that is booked.
            expired: amount(totals.expired.saturating_add(parts.lapsed)),
            withdrawn: amount(totals.withdrawn),
            debt: amount(account.balances.owed()),
            lease_loss: None,
            funded: amount(totals.funded),
        }
    }

    fn of_wallet(
        reader: &dyn Reader,
        book: &Book,
        wallet: &Wallet,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let account = account_of(book, wallet)?;
        let parts = balance::parts(book, account.id, Some(wallet.id), now);
        let totals = totals(reader, wallet.id)?;
        Ok(Self {
            wallet_id: Some(wallet.id.to_string()),
            credit_balance: Some(
                wallet
                    .conversion_rate
                    .credits(parts.balance(), account.scale),
            ),
            ..Self::of(account, &parts, &totals)
        })
    }

    fn of_account(book: &Book, account: &Account, now: Timestamp) -> Self {
        let booked = |part| account.balances.get(part);
        let unattributed = booked(LedgerAccount::Unattributed);
        let totals = Totals {
            funded: account.balances.funded(),
            spent: booked(LedgerAccount::Spent).saturating_add(unattributed),
            expired: booked(LedgerAccount::Expired),
            withdrawn: booked(LedgerAccount::Withdrawn),
        };
        let parts = balance::parts(book, account.id, None, now);
        let loss = Amount::ZERO.saturating_sub(booked(LedgerAccount::LeaseLoss));
        Self {
            spent_unattributed: Some(decimal(unattributed, account.scale)),
            lease_loss: Some(decimal(loss, account.scale)),
            ..Self::of(account, &parts, &totals)
        }
    }

    fn empty(book: &Book, currency: Currency, scale: Scale) -> Self {
        let account = Account {
            id: creditgate_ledger::id::AccountId(0),
            customer: book.customer.id,
            currency,
            scale,
            version: 0,
            last_instant: Timestamp(0),
            balances: creditgate_ledger::book::Balances::default(),
            waiters: Vec::new(),
            scope: Scope::general(),
            chain: Chain::default(),
        };
        Self::of_account(book, &account, Timestamp(0))
    }
}

fn account_of<'b>(book: &'b Book, wallet: &Wallet) -> Result<&'b Account, Problem> {
    let account = book.account(wallet.account);
    account.ok_or_else(|| Problem::new("internal", format!("wallet {} has no account", wallet.id)))
}

fn totals(reader: &dyn Reader, wallet: WalletId) -> Result<Totals, Problem> {
    let mut totals = Totals::default();
    let mut page = PageRequest::first(PAGE);
    loop {
        let lots = reader.lots(LotFilter::Wallet(wallet), page)?;
        for lot in &lots.items {
            let add = |sum: &mut Amount, part: Amount| *sum = sum.saturating_add(part);
            add(&mut totals.funded, lot.amount);
            add(&mut totals.spent, lot.spent);
            add(&mut totals.expired, lot.expired);
            add(&mut totals.withdrawn, lot.withdrawn);
        }
        page.cursor = lots.next;
        if page.cursor.is_none() {
            return Ok(totals);
        }
    }
}

/// Shows a wallet's balance, as of now.
#[utoipa::path(get, path = "/v1/wallets/{id}/balance", tag = "credit",
    params(("id" = String, Path, description = "Id of the wallet")),
    responses((status = 200, body = Balance)))]
async fn get_wallet_balance(
    State(app): State<Shared>,
    Path(text): Path,
) -> Result<Json<Balance>, Problem> {
    let wallet: WalletId = id("wallet", &text)?;
    let now = app.clock.now();
    let balance = app
        .read(move |reader| {
            let reader = reader.snapshot()?;
            let missing = || Problem::not_found("wallet", &wallet.to_string());
            let book = reader.book(&Target::Wallet(wallet))?.ok_or_else(missing)?;
            let row = book
                .wallets
                .iter()
                .find(|known| known.id == wallet)
                .ok_or_else(missing)?;
            Balance::of_wallet(&*reader, &book, row, book.instant(now))
        })
        .await?;
    Ok(Json(balance))
}

/// Which currency.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CurrencyQuery {
    /// In any case: `usd`.
    currency: String,
}

/// Shows all that a customer has in a currency, as of now.
#[utoipa::path(get, path = "/v1/customers/{id}/balance", tag = "credit",
    params(("id" = String, Path, description = "Id or external id of the customer"), CurrencyQuery),
    responses((status = 200, body = Balance)))]
async fn get_customer_balance(
    State(app): State<Shared>,
    Path(named): Path,
    Params(query): Params<CurrencyQuery>,
) -> Result<Json<Balance>, Problem> {
    let wrong = |error: creditgate_core::amount::AmountError| {
        Problem::new("query_invalid", format!("currency: {error}"))
    };
    let currency = Currency::new(&query.currency).map_err(wrong)?;
    let scale = app.writer.registry().scale(&currency);
    let now = app.clock.now();
    let book = app
        .read(move |reader| {
            let book = reader.book(&customer(&named))?;
            book.ok_or_else(|| Problem::not_found("customer", &named))
        })
        .await?;
    Ok(Json(match book.account_in(&currency) {
        Some(account) => Balance::of_account(&book, account, book.instant(now)),
        None => Balance::empty(&book, currency, scale),
    }))
}
