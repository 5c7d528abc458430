//! Balances as of now, and all that they are made of.
//!
//! A wallet's figures are counted from its lots, a customer's in a currency from the
//! journal's accounts, the limited ones too; that the two agree is checked by `creditgate verify`.

use axum::Json;
use axum::extract::State;
use creditgate_core::amount::{Amount, Currency, Scale};
use creditgate_ledger::balance::{self, Parts};
use creditgate_ledger::id::WalletId;
use creditgate_ledger::{Account, Book, LedgerAccount, Timestamp, Wallet, credit_limit};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::breakdown::KindView;
use super::wallets::in_book;
use super::{customer, wallet};
use crate::http::Shared;
use crate::http::body::{Params, Path};
use crate::http::money::decimal;
use crate::problem::Problem;
use crate::storage::{LotFilter, PageRequest, Reader};

const PAGE: u32 = 1_000;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(get_wallet_balance))
        .routes(routes!(get_customer_balance))
}

/// A balance and its parts, in the currency.
///
/// `balance` = `available` + `lent` + `held`.
/// `funded` = `balance` + `pending` + `pending_recall` + `quarantined` + `kept` + `spent` +
/// `expired` + `withdrawn`; of a customer, less `debt` and `lease_loss`.
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
    /// Still at gateways, but expired, voided, above a credit limit or what a grant carries on,
    /// claimed for a debit or transfer, or covering debt.
    pending_recall: String,
    /// At gateways that fell silent; set aside until that is resolved.
    quarantined: String,
    /// Paid for and kept in a closed wallet: not to be spent.
    kept: String,
    /// Waiting for its payment; in no other figure.
    unpaid: String,
    /// Used.
    spent: String,
    /// The part of `spent` that was charged without a report of its use.
    #[serde(skip_serializing_if = "Option::is_none")]
    spent_unattributed: Option<String>,
    /// Unused at its expiry.
    expired: String,
    /// Voided or debited; of a wallet, also transferred to another.
    withdrawn: String,
    /// How far a post-paid wallet may be overdrawn; it is in `funded` and `balance`. Of a
    /// customer, of all wallets in the currency.
    credit_limit: String,
    /// What is used of the credit limit and not repaid.
    owed: String,
    /// Used beyond what was funded, of all wallets in the currency; repaid first by the next credit.
    debt: String,
    /// Used after its quarantine had been released to the customer: the operator's loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_loss: Option<String>,
    /// All that was ever added: paid in, given, lent on a credit limit, transferred in.
    funded: String,
    /// Of a wallet: what it has by kind of credit; kinds of which nothing is there are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    by_kind: Option<Vec<KindView>>,
}

/// What went and what came, ever; and what is owed.
#[derive(Default)]
struct Totals {
    funded: Amount,
    spent: Amount,
    unattributed: Amount,
    expired: Amount,
    withdrawn: Amount,
    credit_limit: Amount,
    owed: Amount,
    debt: Amount,
    lease_loss: Amount,
}

impl Balance {
    fn of(
        book: &Book,
        (currency, scale): (Currency, Scale),
        parts: &Parts,
        totals: &Totals,
    ) -> Self {
        let amount = |amount| decimal(amount, scale);
        Self {
            wallet_id: None,
            customer_id: book.customer.id.to_string(),
            currency: currency.to_string(),
            scale: scale.digits(),
            balance: amount(parts.balance()),
            credit_balance: None,
            available: amount(parts.available),
            lent: amount(parts.lent),
            held: amount(parts.held),
            pending: amount(parts.pending),
            pending_recall: amount(parts.pending_recall),
            quarantined: amount(parts.quarantined),
            kept: amount(parts.kept),
            unpaid: amount(parts.unpaid),
            spent: amount(totals.spent),
            spent_unattributed: None,
            // What has lapsed is expired now, whether or not that is booked.
            expired: amount(totals.expired.saturating_add(parts.lapsed)),
            withdrawn: amount(totals.withdrawn),
            credit_limit: amount(totals.credit_limit),
            owed: amount(totals.owed),
            debt: amount(totals.debt),
            lease_loss: None,
            funded: amount(totals.funded),
            by_kind: None,
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
        let totals = Totals {
            credit_limit: wallet.credit_limit,
            owed: credit_limit::owed(book, wallet.id),
            debt: account.balances.owed(),
            ..totals(reader, wallet.id)?
        };
        let rate = &wallet.conversion_rate;
        Ok(Self {
            wallet_id: Some(wallet.id.to_string()),
            credit_balance: Some(rate.credits(parts.balance(), account.scale)),
            by_kind: Some(KindView::all(book, wallet, account.scale, now)),
            ..Self::of(book, (account.currency, account.scale), &parts, &totals)
        })
    }

    /// Of all accounts of a currency, the general one and those that are limited to some rules.
    fn of_customer(book: &Book, currency: Currency, scale: Scale, now: Timestamp) -> Self {
        let mut parts = Parts::default();
        let mut totals = Totals::default();
        let mut scale = scale;
        for account in book
            .accounts
            .iter()
            .filter(|account| account.currency == currency)
        {
            scale = account.scale;
            parts = parts.plus(&balance::parts(book, account.id, None, now));
            totals.add_account(account);
        }
        for wallet in book
            .wallets
            .iter()
            .filter(|wallet| wallet.currency == currency)
        {
            let owed = credit_limit::owed(book, wallet.id);
            totals.owed = totals.owed.saturating_add(owed);
            totals.credit_limit = totals.credit_limit.saturating_add(wallet.credit_limit);
        }
        Self {
            spent_unattributed: Some(decimal(totals.unattributed, scale)),
            lease_loss: Some(decimal(totals.lease_loss, scale)),
            ..Self::of(book, (currency, scale), &parts, &totals)
        }
    }
}

impl Totals {
    fn add_account(&mut self, account: &Account) {
        let booked = |part| account.balances.get(part);
        let unattributed = booked(LedgerAccount::Unattributed);
        let loss = Amount::ZERO.saturating_sub(booked(LedgerAccount::LeaseLoss));
        let add = |sum: &mut Amount, part: Amount| *sum = sum.saturating_add(part);
        add(&mut self.funded, account.balances.funded());
        add(&mut self.spent, booked(LedgerAccount::Spent));
        add(&mut self.spent, unattributed);
        add(&mut self.unattributed, unattributed);
        add(&mut self.expired, booked(LedgerAccount::Expired));
        add(&mut self.withdrawn, booked(LedgerAccount::Withdrawn));
        add(&mut self.debt, account.balances.owed());
        add(&mut self.lease_loss, loss);
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
            add(&mut totals.funded, lot.amount.saturating_sub(lot.unpaid));
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
    params(("id" = String, Path, description = "Id or external id of the wallet")),
    responses((status = 200, body = Balance)))]
async fn get_wallet_balance(
    State(app): State<Shared>,
    Path(named): Path,
) -> Result<Json<Balance>, Problem> {
    app.catch_up(wallet(&named)).await?;
    let now = app.clock.now();
    let balance = app
        .read(move |reader| {
            let reader = reader.snapshot()?;
            let (book, wallet) = in_book(&*reader, &named)?;
            Balance::of_wallet(&*reader, &book, &wallet, book.instant(now))
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
    app.catch_up(customer(&named)).await?;
    let now = app.clock.now();
    let book = app
        .read(move |reader| {
            let book = reader.book(&customer(&named))?;
            book.ok_or_else(|| Problem::not_found("customer", &named))
        })
        .await?;
    let now = book.instant(now);
    Ok(Json(Balance::of_customer(&book, currency, scale, now)))
}
