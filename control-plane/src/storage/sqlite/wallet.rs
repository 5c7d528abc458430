//! Rows of wallets.

use creditgate_ledger::id::{AccountId, CustomerId, WalletId};
use creditgate_ledger::{Rate, Wallet};
use rusqlite::{Connection, params};

use super::columns::{Columns, first, json, list, word, write_one};
use super::listing::Listing;
use crate::storage::{Page, PageRequest, StorageError, WalletFilter};

macro_rules! wallet_columns {
    () => {
        "wallet.id, wallet.external_id, wallet.customer, wallet.account, wallet.name, wallet.currency, \
         wallet.wallet_type, wallet.status, wallet.priority, wallet.conversion_rate, wallet.topup_conversion_rate, \
         wallet.credit_limit, wallet.auto_topup, wallet.auto_topup_state, wallet.alert_settings, \
         wallet.alert_state, wallet.metadata, wallet.created_at, wallet.closed_at"
    };
}

pub(super) use wallet_columns;

pub(super) fn read_wallet(columns: &mut Columns<'_, '_>) -> Result<Wallet, StorageError> {
    Ok(Wallet {
        id: WalletId(columns.id()?),
        external_id: columns.value()?,
        customer: CustomerId(columns.id()?),
        account: AccountId(columns.id()?),
        name: columns.value()?,
        currency: columns.parsed()?,
        wallet_type: columns.word()?,
        status: columns.word()?,
        priority: columns.value()?,
        conversion_rate: read_rate(columns)?,
        topup_conversion_rate: read_rate(columns)?,
        credit_limit: columns.amount()?,
        auto_topup: columns.json_or_none()?,
        auto_topup_state: columns.json()?,
        alert_settings: columns.json_or_none()?,
        alert_state: columns.json()?,
        metadata: columns.json()?,
        created_at: columns.time()?,
        closed_at: columns.time_or_none()?,
    })
}

fn read_rate(columns: &mut Columns<'_, '_>) -> Result<Rate, StorageError> {
    let text: String = columns.value()?;
    Rate::parse(&text, "/conversion_rate").map_err(|error| StorageError::Corrupt(error.to_string()))
}

pub(super) fn write_wallet(
    connection: &Connection,
    is_new: bool,
    row: &Wallet,
) -> Result<(), StorageError> {
    let sql = if is_new {
        "INSERT INTO wallet (id, external_id, customer, account, name, currency, wallet_type, status, priority,
         conversion_rate, topup_conversion_rate, credit_limit, auto_topup, auto_topup_state, auto_topup_retry_at,
         alert_settings, alert_state, metadata, created_at, closed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)"
    } else {
        "UPDATE wallet SET external_id = ?2, customer = ?3, account = ?4, name = ?5, currency = ?6, wallet_type = ?7,
         status = ?8, priority = ?9, conversion_rate = ?10, topup_conversion_rate = ?11, credit_limit = ?12,
         auto_topup = ?13, auto_topup_state = ?14, auto_topup_retry_at = ?15, alert_settings = ?16, alert_state = ?17,
         metadata = ?18, created_at = ?19, closed_at = ?20 WHERE id = ?1"
    };
    let values = params![
        row.id.0.to_be_bytes(),
        row.external_id,
        row.customer.0.to_be_bytes(),
        row.account.0.to_be_bytes(),
        row.name,
        row.currency.as_str(),
        word(&row.wallet_type)?,
        word(&row.status)?,
        row.priority,
        row.conversion_rate.as_str(),
        row.topup_conversion_rate.as_str(),
        row.credit_limit.get(),
        row.auto_topup.as_ref().map(json).transpose()?,
        json(&row.auto_topup_state)?,
        row.auto_topup_state.retry_at.map(|at| at.0),
        row.alert_settings.as_ref().map(json).transpose()?,
        json(&row.alert_state)?,
        json(&row.metadata)?,
        row.created_at.0,
        row.closed_at.map(|at| at.0),
    ];
    write_one(connection, sql, values)
}

pub(super) fn one(connection: &Connection, id: WalletId) -> Result<Option<Wallet>, StorageError> {
    let sql = concat!("SELECT ", wallet_columns!(), " FROM wallet WHERE id = ?1");
    first(connection, sql, params![id.0.to_be_bytes()], read_wallet)
}

pub(super) fn of_customer(
    connection: &Connection,
    customer: CustomerId,
) -> Result<Vec<Wallet>, StorageError> {
    let sql = concat!(
        "SELECT ",
        wallet_columns!(),
        " FROM wallet WHERE customer = ?1 ORDER BY id"
    );
    list(
        connection,
        sql,
        params![customer.0.to_be_bytes()],
        read_wallet,
    )
}

pub(super) fn page(
    connection: &Connection,
    filter: WalletFilter,
    page: PageRequest,
) -> Result<Page<Wallet>, StorageError> {
    let mut listing = Listing::new(concat!("SELECT ", wallet_columns!(), " FROM wallet"));
    if let Some(customer) = filter.customer {
        listing.id("customer =", customer.0);
    }
    // A sign before a column keeps its index out of it: a customer's rows are the fewest.
    let few = filter.customer.is_some();
    if let Some(currency) = filter.currency {
        let condition = if few { "+currency =" } else { "currency =" };
        listing.and(condition, currency.as_str().to_owned());
    }
    if let Some(status) = filter.status {
        let condition = if few { "+status =" } else { "status =" };
        listing.and(condition, word(&status)?);
    }
    let wallets = listing.rising(connection, page, read_wallet)?;
    Ok(Page::cut(wallets, page.limit, |wallet| wallet.id.0))
}
