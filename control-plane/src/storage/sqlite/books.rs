//! Books put together from rows: for many customers, one statement a table.

use std::collections::HashMap;
use std::rc::Rc;

use creditgate_ledger::id::CustomerId;
use creditgate_ledger::{Book, Lease};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params};

use super::claim::{self, claim_columns};
use super::columns::{Columns, first, ids, list};
use super::grant::{self, application_columns, grant_columns, schedule_columns};
use super::lease::{lease_columns, read_lease};
use super::lot::{lot_columns, read_lot};
use super::party::{
    account_columns, customer_columns, key_columns, read_account, read_customer, read_key,
};
use super::pricing::{self, pricing_columns};
use super::subscription::{self, subscription_columns};
use super::wallet::{read_wallet, wallet_columns};
use crate::storage::{NamedLease, StorageError, live};

/// The books of customers, live rows only, in the order of the customers.
pub(super) fn read(
    connection: &Connection,
    customers: &[CustomerId],
) -> Result<Vec<Book>, StorageError> {
    if customers.is_empty() {
        return Ok(Vec::new());
    }
    let mut reading = Reading {
        connection,
        wanted: ids(customers.iter().map(|customer| customer.0)),
        books: HashMap::with_capacity(customers.len()),
    };
    reading.customers()?;
    reading.credit()?;
    reading.terms()?;
    let mut books = reading.books;
    books.values_mut().for_each(live::sort);
    Ok(customers
        .iter()
        .filter_map(|customer| books.remove(customer))
        .collect())
}

/// Books that are being put together.
struct Reading<'c> {
    connection: &'c Connection,
    wanted: Rc<Vec<Value>>,
    books: HashMap<CustomerId, Book>,
}

/// All columns of a table and, last, whose the row is; of the customers who are wanted.
macro_rules! of_wanted {
    ($columns:expr, $table:literal $($rest:literal)?) => {
        concat!(
            "SELECT ", $columns, ", ", $table, ".customer FROM ", $table, " WHERE ", $table, ".customer IN rarray(?1)"
            $(, " AND ", $rest)?
        )
    };
}

impl Reading<'_> {
    /// Adds the rows that a statement finds to their books.
    fn add<T>(
        &mut self,
        sql: &str,
        mut read: impl FnMut(&mut Columns<'_, '_>) -> Result<T, StorageError>,
        rows: impl Fn(&mut Book) -> &mut Vec<T>,
    ) -> Result<(), StorageError> {
        let found = list(self.connection, sql, params![self.wanted], |columns| {
            let row = read(columns)?;
            Ok((row, CustomerId(columns.id()?)))
        })?;
        for (row, customer) in found {
            if let Some(book) = self.books.get_mut(&customer) {
                rows(book).push(row);
            }
        }
        Ok(())
    }

    fn customers(&mut self) -> Result<(), StorageError> {
        let sql = concat!(
            "SELECT ",
            customer_columns!(),
            " FROM customer WHERE id IN rarray(?1)"
        );
        for customer in list(self.connection, sql, params![self.wanted], read_customer)? {
            self.books.insert(customer.id, Book::of(customer));
        }
        let sql = of_wanted!(key_columns!(), "consumer_key" "revoked_at IS NULL");
        self.add(sql, read_key, |book| &mut book.keys)?;
        let sql = of_wanted!(
            pricing_columns!(),
            "customer_pricing_version" "version = (SELECT max(newest.version)
                FROM customer_pricing_version AS newest WHERE newest.customer = customer_pricing_version.customer)"
        );
        let found = list(self.connection, sql, params![self.wanted], |columns| {
            let row = pricing::read(columns)?;
            Ok((row, CustomerId(columns.id()?)))
        })?;
        for (row, customer) in found {
            if let Some(book) = self.books.get_mut(&customer) {
                book.pricing = Some(row);
            }
        }
        Ok(())
    }

    fn credit(&mut self) -> Result<(), StorageError> {
        let sql = of_wanted!(wallet_columns!(), "wallet");
        self.add(sql, read_wallet, |book| &mut book.wallets)?;
        let sql = of_wanted!(account_columns!(), "account");
        self.add(sql, read_account, |book| &mut book.accounts)?;
        let sql = of_wanted!(lot_columns!(), "lot" "live = 1");
        self.add(sql, read_lot, |book| &mut book.lots)?;
        let sql = of_wanted!(claim_columns!(), "claim" "closed_at IS NULL");
        self.add(sql, claim::read, |book| &mut book.claims)?;
        self.leases()
    }

    /// Leases know their account only.
    fn leases(&mut self) -> Result<(), StorageError> {
        let accounts = self.books.values().flat_map(|book| &book.accounts);
        let customer_of: HashMap<_, _> = accounts
            .map(|account| (account.id, account.customer))
            .collect();
        let accounts = ids(customer_of.keys().map(|account| account.0));
        let sql = concat!(
            "SELECT ",
            lease_columns!(),
            " FROM lease WHERE account IN rarray(?1) AND live = 1"
        );
        for lease in list(self.connection, sql, params![accounts], read_lease)? {
            let customer = customer_of.get(&lease.account);
            if let Some(book) = customer.and_then(|customer| self.books.get_mut(customer)) {
                book.leases.push(lease);
            }
        }
        Ok(())
    }

    /// What the customers are entitled to.
    fn terms(&mut self) -> Result<(), StorageError> {
        let sql = of_wanted!(subscription_columns!(), "subscription" "status <> 'cancelled'");
        self.add(sql, subscription::read, |book| &mut book.subscriptions)?;
        // What belongs to a subscription goes with it.
        let sql = of_wanted!(
            grant_columns!(),
            "credit_grant" "archived_at IS NULL AND (scope <> 'SUBSCRIPTION' OR EXISTS (
                SELECT 1 FROM subscription WHERE subscription.id = owner AND subscription.status <> 'cancelled'))"
        );
        self.add(sql, grant::read, |book| &mut book.grants)?;
        let sql = of_wanted!(schedule_columns!(), "grant_schedule" "next_at IS NOT NULL");
        self.add(sql, grant::read_schedule, |book| &mut book.schedules)?;
        let sql = of_wanted!(application_columns!(), "grant_application" "retry_at IS NOT NULL");
        self.add(sql, grant::read_application, |book| &mut book.applications)
    }
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
