//! Books put together from rows: for many customers, one statement a table.

use std::collections::HashMap;

use creditgate_ledger::id::CustomerId;
use creditgate_ledger::{Book, Lease};
use rusqlite::{Connection, OptionalExtension, params};

use super::columns::{first, ids, list};
use super::credit::{lease_columns, lot_columns, read_lease, read_lot};
use super::party::{
    account_columns, customer_columns, key_columns, read_account, read_customer, read_key,
    read_wallet, wallet_columns,
};
use crate::storage::{NamedLease, StorageError, Target, live};

/// The customer behind a target.
pub(super) fn owner(
    connection: &Connection,
    target: &Target,
) -> Result<Option<CustomerId>, StorageError> {
    let by_id = |sql, id: u128| {
        first(connection, sql, params![id.to_be_bytes()], |columns| {
            columns.id()
        })
    };
    let found = match target {
        Target::Customer(id) => by_id("SELECT id FROM customer WHERE id = ?1", id.0),
        Target::ExternalId(name) => first(
            connection,
            "SELECT id FROM customer WHERE external_id = ?1",
            params![name],
            |columns| columns.id(),
        ),
        Target::Account(id) => by_id("SELECT customer FROM account WHERE id = ?1", id.0),
        Target::Wallet(id) => by_id("SELECT customer FROM wallet WHERE id = ?1", id.0),
        Target::Lot(id) => by_id(
            "SELECT account.customer FROM lot JOIN account ON account.id = lot.account WHERE lot.id = ?1",
            id.0,
        ),
        Target::Lease(id) => by_id(
            "SELECT account.customer FROM lease JOIN account ON account.id = lease.account WHERE lease.id = ?1",
            id.0,
        ),
        Target::Key(id) => by_id(
            "SELECT customer FROM consumer_key WHERE id = ?1 AND revoked_at IS NULL",
            id.0,
        ),
        Target::WalletName(_)
        | Target::LotName(_)
        | Target::Claim(_)
        | Target::Subscription(_)
        | Target::SubscriptionName(_)
        | Target::Grant(_)
        | Target::GrantName(_)
        | Target::Application(_) => Ok(None),
        Target::Credential(hash) => {
            let sql = "SELECT customer FROM consumer_key WHERE hash = ?1 AND revoked_at IS NULL";
            first(connection, sql, params![hash.as_bytes()], |columns| {
                columns.id()
            })
        }
    };
    Ok(found?.map(CustomerId))
}

/// The books of customers, live rows only, in the order of the customers.
pub(super) fn read(
    connection: &Connection,
    customers: &[CustomerId],
) -> Result<Vec<Book>, StorageError> {
    if customers.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = ids(customers.iter().map(|customer| customer.0));
    let mut books = HashMap::with_capacity(customers.len());
    let sql = concat!(
        "SELECT ",
        customer_columns!(),
        " FROM customer WHERE id IN rarray(?1)"
    );
    for customer in list(connection, sql, params![wanted], read_customer)? {
        let id = customer.id;
        books.insert(id, Book::of(customer));
    }
    let sql = concat!(
        "SELECT ",
        wallet_columns!(),
        " FROM wallet WHERE customer IN rarray(?1)"
    );
    for wallet in list(connection, sql, params![wanted], read_wallet)? {
        if let Some(book) = books.get_mut(&wallet.customer) {
            book.wallets.push(wallet);
        }
    }
    let sql = concat!(
        "SELECT ",
        key_columns!(),
        " FROM consumer_key WHERE customer IN rarray(?1) AND revoked_at IS NULL"
    );
    for key in list(connection, sql, params![wanted], read_key)? {
        if let Some(book) = books.get_mut(&key.customer) {
            book.keys.push(key);
        }
    }
    let mut customer_of = HashMap::with_capacity(customers.len());
    let sql = concat!(
        "SELECT ",
        account_columns!(),
        " FROM account WHERE customer IN rarray(?1)"
    );
    for account in list(connection, sql, params![wanted], read_account)? {
        customer_of.insert(account.id, account.customer);
        if let Some(book) = books.get_mut(&account.customer) {
            book.accounts.push(account);
        }
    }
    let accounts = ids(customer_of.keys().map(|account| account.0));
    let sql = concat!(
        "SELECT ",
        lot_columns!(),
        " FROM lot WHERE account IN rarray(?1) AND live = 1"
    );
    for lot in list(connection, sql, params![accounts], read_lot)? {
        if let Some(book) = customer_of
            .get(&lot.account)
            .and_then(|customer| books.get_mut(customer))
        {
            book.lots.push(lot);
        }
    }
    let sql = concat!(
        "SELECT ",
        lease_columns!(),
        " FROM lease WHERE account IN rarray(?1) AND live = 1"
    );
    for lease in list(connection, sql, params![accounts], read_lease)? {
        if let Some(book) = customer_of
            .get(&lease.account)
            .and_then(|customer| books.get_mut(customer))
        {
            book.leases.push(lease);
        }
    }
    books.values_mut().for_each(live::sort);
    Ok(customers
        .iter()
        .filter_map(|customer| books.remove(customer))
        .collect())
}

/// A lease by its name if it is history.
pub(super) fn past_lease(
    connection: &Connection,
    named: &NamedLease,
) -> Result<Option<Lease>, StorageError> {
    let sql = concat!(
        "SELECT ",
        lease_columns!(),
        " FROM lease WHERE account = ?1 AND instance = ?2 AND number = ?3 AND live = 0"
    );
    let (account, instance) = (
        named.account.0.to_be_bytes(),
        named.instance.0.to_be_bytes(),
    );
    first(
        connection,
        sql,
        params![account, instance, named.number.0.cast_signed()],
        read_lease,
    )
}

/// The largest change number given so far.
pub(super) fn last_change(connection: &Connection) -> Result<u64, StorageError> {
    let number: Option<i64> = connection
        .prepare_cached("SELECT last_change FROM meta")?
        .query_row([], |row| row.get(0))
        .optional()?;
    number
        .map(i64::cast_unsigned)
        .ok_or_else(|| StorageError::Corrupt("meta has no row".to_owned()))
}
