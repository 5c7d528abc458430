//! Rows of customers, their accounts and keys.

use creditgate_core::amount::Scale;
use creditgate_core::key::CredentialHash;
use creditgate_ledger::book::Balances;
use creditgate_ledger::chain::{Chain, ChainHash};
use creditgate_ledger::id::{AccountId, CustomerId, KeyId};
use creditgate_ledger::{Account, ConsumerKey, Customer, LedgerAccount};
use rusqlite::{Connection, params};

use super::columns::{Columns, json, word, write_one};
use super::listing::Listing;
use crate::storage::{CustomerFilter, Page, PageRequest, StorageError};

macro_rules! customer_columns {
    () => {
        "customer.id, customer.external_id, customer.name, customer.time_zone, customer.status, customer.mode, \
         customer.credential_version, customer.metadata, customer.created_at, customer.on_unavailable"
    };
}

macro_rules! account_columns {
    () => {
        "account.id, account.customer, account.currency, account.scale, account.version, account.last_instant, \
         account.funding, account.available, account.lent, account.quarantined, account.spent, \
         account.unattributed, account.expired, account.withdrawn, account.debt, account.lease_loss, \
         account.credit_line, account.transferred, account.waiters, account.scope, account.chain_entries, \
         account.chain_head"
    };
}

macro_rules! key_columns {
    () => {
        "consumer_key.id, consumer_key.customer, consumer_key.name, consumer_key.hash, consumer_key.created_at, \
         consumer_key.expires_at, consumer_key.revoked_at"
    };
}

pub(super) use {account_columns, customer_columns, key_columns};

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
        on_unavailable: columns.word_or_none()?,
    })
}

pub(super) fn page(
    connection: &Connection,
    filter: CustomerFilter,
    page: PageRequest,
) -> Result<Page<Customer>, StorageError> {
    let mut listing = Listing::new(concat!("SELECT ", customer_columns!(), " FROM customer"));
    if let Some(status) = filter.status {
        listing.and("status =", word(&status)?);
    }
    if let Some(mode) = filter.mode {
        listing.and("mode =", word(&mode)?);
    }
    let customers = listing.rising(connection, page, read_customer)?;
    Ok(Page::cut(customers, page.limit, |customer| customer.id.0))
}

pub(super) fn write_customer(
    connection: &Connection,
    is_new: bool,
    row: &Customer,
) -> Result<(), StorageError> {
    let sql = if is_new {
        "INSERT INTO customer (id, external_id, name, time_zone, status, mode, credential_version, metadata, created_at,
         on_unavailable) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
    } else {
        "UPDATE customer SET external_id = ?2, name = ?3, time_zone = ?4, status = ?5, mode = ?6,
         credential_version = ?7, metadata = ?8, created_at = ?9, on_unavailable = ?10 WHERE id = ?1"
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
        row.on_unavailable.as_ref().map(word).transpose()?,
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
        scope: columns.json()?,
        chain: Chain {
            entries: columns.bits()?,
            head: ChainHash::from_bytes(columns.value()?),
        },
    })
}

pub(super) fn read_scale(columns: &mut Columns<'_, '_>) -> Result<Scale, StorageError> {
    Scale::new(columns.value()?).map_err(|error| StorageError::Corrupt(error.to_string()))
}

pub(super) fn write_account(
    connection: &Connection,
    old: Option<&Account>,
    row: &Account,
) -> Result<(), StorageError> {
    // Owner, currency, scope and scale are set only when made: what is updated then is in no index.
    let sql = if old.is_none() {
        "INSERT INTO account (version, last_instant, funding, available, lent, quarantined, spent, unattributed,
         expired, withdrawn, debt, lease_loss, waiters, chain_entries, chain_head, id, customer, currency, scale, scope)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)"
    } else {
        "UPDATE account SET version = ?1, last_instant = ?2, funding = ?3, available = ?4, lent = ?5, quarantined = ?6,
         spent = ?7, unattributed = ?8, expired = ?9, withdrawn = ?10, debt = ?11, lease_loss = ?12, waiters = ?13,
         chain_entries = ?14, chain_head = ?15
         WHERE id = ?16 AND customer = ?17 AND currency = ?18 AND scale = ?19 AND scope = ?20"
    };
    let balance = |account| row.balances.get(account).get();
    let id = row.id.0.to_be_bytes();
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
        row.chain.entries.cast_signed(),
        row.chain.head.as_bytes(),
        id,
        row.customer.0.to_be_bytes(),
        row.currency.as_str(),
        row.scale.digits(),
        json(&row.scope)?,
    ];
    write_one(connection, sql, values)?;
    // No report of use moves these two.
    let seldom = [LedgerAccount::CreditLine, LedgerAccount::Transferred];
    let before = |account| old.map_or(0, |old| old.balances.get(account).get());
    if seldom.map(before) == seldom.map(balance) {
        return Ok(());
    }
    let sql = "UPDATE account SET credit_line = ?2, transferred = ?3 WHERE id = ?1";
    let [credit_line, transferred] = seldom.map(balance);
    write_one(connection, sql, params![id, credit_line, transferred])
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
