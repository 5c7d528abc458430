//! Rows of customers, their wallets, accounts and keys.

use creditgate_core::amount::Scale;
use creditgate_core::key::CredentialHash;
use creditgate_ledger::book::Balances;
use creditgate_ledger::id::{AccountId, CustomerId, KeyId, WalletId};
use creditgate_ledger::{Account, ConsumerKey, Customer, LedgerAccount, Rate, Wallet};
use rusqlite::{Connection, params};

use super::columns::{Columns, json, word, write_one};
use crate::storage::StorageError;

macro_rules! customer_columns {
    () => {
        "customer.id, customer.external_id, customer.name, customer.time_zone, customer.status, customer.mode, \
         customer.credential_version, customer.metadata, customer.created_at"
    };
}

macro_rules! wallet_columns {
    () => {
        "wallet.id, wallet.customer, wallet.account, wallet.name, wallet.currency, wallet.wallet_type, \
         wallet.status, wallet.conversion_rate, wallet.metadata, wallet.created_at"
    };
}

macro_rules! account_columns {
    () => {
        "account.id, account.customer, account.currency, account.scale, account.version, account.last_instant, \
         account.funding, account.available, account.lent, account.quarantined, account.spent, \
         account.unattributed, account.expired, account.withdrawn, account.debt, account.lease_loss, account.waiters"
    };
}

macro_rules! key_columns {
    () => {
        "consumer_key.id, consumer_key.customer, consumer_key.name, consumer_key.hash, consumer_key.created_at, \
         consumer_key.expires_at, consumer_key.revoked_at"
    };
}

pub(super) use {account_columns, customer_columns, key_columns, wallet_columns};

pub(super) fn read_customer(columns: &mut Columns<'_, '_>) -> Result<Customer, StorageError> {
    Ok(Customer {
        id: CustomerId(columns.id()?),
        external_id: columns.value()?,
        name: columns.value()?,
        time_zone: columns.value()?,
        status: columns.word()?,
        mode: columns.word()?,
        credential_version: columns.value()?,
        metadata: columns.json()?,
        created_at: columns.time()?,
    })
}

pub(super) fn write_customer(
    connection: &Connection,
    is_new: bool,
    row: &Customer,
) -> Result<(), StorageError> {
    let sql = if is_new {
        "INSERT INTO customer (id, external_id, name, time_zone, status, mode, credential_version, metadata, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
    } else {
        "UPDATE customer SET external_id = ?2, name = ?3, time_zone = ?4, status = ?5, mode = ?6,
         credential_version = ?7, metadata = ?8, created_at = ?9 WHERE id = ?1"
    };
    let values = params![
        row.id.0.to_be_bytes(),
        row.external_id,
        row.name,
        row.time_zone,
        word(&row.status)?,
        word(&row.mode)?,
        row.credential_version,
        json(&row.metadata)?,
        row.created_at.0,
    ];
    write_one(connection, sql, values)
}

pub(super) fn read_wallet(columns: &mut Columns<'_, '_>) -> Result<Wallet, StorageError> {
    Ok(Wallet {
        external_id: None,
        priority: None,
        topup_conversion_rate: Rate::default(),
        credit_limit: creditgate_core::amount::Amount::ZERO,
        auto_topup: None,
        auto_topup_state: creditgate_ledger::auto_top_up::AutoTopUpState::default(),
        alert_settings: None,
        alert_state: creditgate_ledger::alert::AlertState::default(),
        closed_at: None,
        id: WalletId(columns.id()?),
        customer: CustomerId(columns.id()?),
        account: AccountId(columns.id()?),
        name: columns.value()?,
        currency: columns.parsed()?,
        wallet_type: columns.word()?,
        status: columns.word()?,
        conversion_rate: read_rate(columns)?,
        metadata: columns.json()?,
        created_at: columns.time()?,
    })
}

pub(super) fn write_wallet(
    connection: &Connection,
    is_new: bool,
    row: &Wallet,
) -> Result<(), StorageError> {
    let sql = if is_new {
        "INSERT INTO wallet (id, customer, account, name, currency, wallet_type, status, conversion_rate, metadata, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
    } else {
        "UPDATE wallet SET customer = ?2, account = ?3, name = ?4, currency = ?5, wallet_type = ?6, status = ?7,
         conversion_rate = ?8, metadata = ?9, created_at = ?10 WHERE id = ?1"
    };
    let values = params![
        row.id.0.to_be_bytes(),
        row.customer.0.to_be_bytes(),
        row.account.0.to_be_bytes(),
        row.name,
        row.currency.as_str(),
        word(&row.wallet_type)?,
        word(&row.status)?,
        row.conversion_rate.as_str(),
        json(&row.metadata)?,
        row.created_at.0,
    ];
    write_one(connection, sql, values)
}

pub(super) fn read_account(columns: &mut Columns<'_, '_>) -> Result<Account, StorageError> {
    Ok(Account {
        id: AccountId(columns.id()?),
        customer: CustomerId(columns.id()?),
        currency: columns.parsed()?,
        scale: read_scale(columns)?,
        version: columns.bits()?,
        last_instant: columns.time()?,
        balances: {
            let mut balances = Balances::default();
            for account in LedgerAccount::ALL {
                balances.add(account, columns.amount()?);
            }
            balances
        },
        waiters: columns.json()?,
        scope: creditgate_ledger::Scope::general(),
        chain: creditgate_ledger::chain::Chain::default(),
    })
}

fn read_rate(columns: &mut Columns<'_, '_>) -> Result<Rate, StorageError> {
    let text: String = columns.value()?;
    Rate::parse(&text, "/conversion_rate").map_err(|error| StorageError::Corrupt(error.to_string()))
}

pub(super) fn read_scale(columns: &mut Columns<'_, '_>) -> Result<Scale, StorageError> {
    Scale::new(columns.value()?).map_err(|error| StorageError::Corrupt(error.to_string()))
}

pub(super) fn write_account(
    connection: &Connection,
    is_new: bool,
    row: &Account,
) -> Result<(), StorageError> {
    // Currency, owner and scale are set only when made: what is updated then is in no index.
    let sql = if is_new {
        "INSERT INTO account (version, last_instant, funding, available, lent, quarantined, spent, unattributed,
         expired, withdrawn, debt, lease_loss, waiters, id, customer, currency, scale)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"
    } else {
        "UPDATE account SET version = ?1, last_instant = ?2, funding = ?3, available = ?4, lent = ?5, quarantined = ?6,
         spent = ?7, unattributed = ?8, expired = ?9, withdrawn = ?10, debt = ?11, lease_loss = ?12, waiters = ?13
         WHERE id = ?14 AND customer = ?15 AND currency = ?16 AND scale = ?17"
    };
    let balance = |account| row.balances.get(account).get();
    let values = params![
        row.version.cast_signed(),
        row.last_instant.0,
        balance(LedgerAccount::Funding),
        balance(LedgerAccount::Available),
        balance(LedgerAccount::Lent),
        balance(LedgerAccount::Quarantined),
        balance(LedgerAccount::Spent),
        balance(LedgerAccount::Unattributed),
        balance(LedgerAccount::Expired),
        balance(LedgerAccount::Withdrawn),
        balance(LedgerAccount::Debt),
        balance(LedgerAccount::LeaseLoss),
        json(&row.waiters)?,
        row.id.0.to_be_bytes(),
        row.customer.0.to_be_bytes(),
        row.currency.as_str(),
        row.scale.digits(),
    ];
    write_one(connection, sql, values)
}

pub(super) fn read_key(columns: &mut Columns<'_, '_>) -> Result<ConsumerKey, StorageError> {
    Ok(ConsumerKey {
        id: KeyId(columns.id()?),
        customer: CustomerId(columns.id()?),
        name: columns.value()?,
        hash: CredentialHash::from_bytes(columns.value()?),
        created_at: columns.time()?,
        expires_at: columns.time_or_none()?,
        revoked_at: columns.time_or_none()?,
    })
}

pub(super) fn write_key(
    connection: &Connection,
    is_new: bool,
    row: &ConsumerKey,
) -> Result<(), StorageError> {
    let sql = if is_new {
        "INSERT INTO consumer_key (id, customer, name, hash, created_at, expires_at, revoked_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
    } else {
        "UPDATE consumer_key SET customer = ?2, name = ?3, hash = ?4, created_at = ?5, expires_at = ?6, revoked_at = ?7
         WHERE id = ?1"
    };
    let values = params![
        row.id.0.to_be_bytes(),
        row.customer.0.to_be_bytes(),
        row.name,
        row.hash.as_bytes(),
        row.created_at.0,
        row.expires_at.map(|at| at.0),
        row.revoked_at.map(|at| at.0),
    ];
    write_one(connection, sql, values)
}

/// Forgets a key that another book adopts, or none.
pub(super) fn remove_key(connection: &Connection, id: KeyId) -> Result<(), StorageError> {
    write_one(
        connection,
        "DELETE FROM consumer_key WHERE id = ?1",
        params![id.0.to_be_bytes()],
    )
}
