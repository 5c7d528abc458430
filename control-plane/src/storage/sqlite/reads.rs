//! Looks at the database. Each is one read transaction; a snapshot is one for many looks.

use std::sync::Arc;

use creditgate_core::key::CredentialHash;
use creditgate_core::lease::LeaseNumber;
use creditgate_ledger::id::{AccountId, CustomerId, InstanceId, KeyId, LeaseId, LotId, WalletId};
use creditgate_ledger::registry::RateCardVersion;
use creditgate_ledger::verify::Finding;
use creditgate_ledger::{
    Book, ConsumerKey, Customer, Entry, Lease, Lot, Registry, Timestamp, Wallet,
};
use rusqlite::{Connection, params};

use super::columns::{Columns, above, below, first, limit, list, word};
use super::credit::{lease_columns, lot_columns, read_lease, read_lot};
use super::party::{
    customer_columns, key_columns, read_customer, read_key, read_wallet, wallet_columns,
};
use super::pool::{Pool, Source};
use super::registry::{self, RegistryCache};
use super::{books, check, due, journal};
use crate::storage::{
    EntryFilter, LeaseFilter, LeaseTotal, LotFilter, Page, PageRequest, Reader, StorageError,
    Target,
};

/// The reading side of a database. Clones share their connections.
#[derive(Clone)]
pub struct SqliteReader {
    source: Source,
    registry: Arc<RegistryCache>,
}

impl SqliteReader {
    pub(super) fn new(pool: Arc<Pool>) -> Self {
        let registry = Arc::clone(&pool.registry);
        Self {
            source: Source::Pool(pool),
            registry,
        }
    }
}

impl Reader for SqliteReader {
    fn registry(&self) -> Result<Arc<Registry>, StorageError> {
        self.source
            .look(|connection| self.registry.read(connection))
    }

    fn rate_card(&self, name: &str, version: u64) -> Result<Option<RateCardVersion>, StorageError> {
        self.source
            .look(|connection| registry::rate_card(connection, name, version))
    }

    fn book(&self, target: &Target) -> Result<Option<Book>, StorageError> {
        self.source.look(|connection| {
            let owner = books::owner(connection, target)?;
            Ok(books::read(connection, owner.as_slice())?.pop())
        })
    }

    fn customer(&self, target: &Target) -> Result<Option<Customer>, StorageError> {
        self.source.look(|connection| {
            let Some(owner) = books::owner(connection, target)? else {
                return Ok(None);
            };
            let sql = concat!(
                "SELECT ",
                customer_columns!(),
                " FROM customer WHERE id = ?1"
            );
            first(
                connection,
                sql,
                params![owner.0.to_be_bytes()],
                read_customer,
            )
        })
    }

    fn customers(&self, page: PageRequest) -> Result<Page<Customer>, StorageError> {
        let sql = concat!(
            "SELECT ",
            customer_columns!(),
            " FROM customer WHERE id > ?1 ORDER BY id LIMIT ?2"
        );
        let customers = self.source.look(|connection| {
            list(
                connection,
                sql,
                params![above(page), limit(page)],
                read_customer,
            )
        })?;
        Ok(Page::cut(customers, page.limit, |customer| customer.id.0))
    }

    fn wallet(&self, id: WalletId) -> Result<Option<Wallet>, StorageError> {
        let sql = concat!("SELECT ", wallet_columns!(), " FROM wallet WHERE id = ?1");
        self.source
            .look(|connection| first(connection, sql, params![id.0.to_be_bytes()], read_wallet))
    }

    fn wallets(&self, customer: CustomerId) -> Result<Vec<Wallet>, StorageError> {
        let sql = concat!(
            "SELECT ",
            wallet_columns!(),
            " FROM wallet WHERE customer = ?1 ORDER BY id"
        );
        self.source.look(|connection| {
            list(
                connection,
                sql,
                params![customer.0.to_be_bytes()],
                read_wallet,
            )
        })
    }

    fn lot(&self, id: LotId) -> Result<Option<(CustomerId, Lot)>, StorageError> {
        let sql = concat!(
            "SELECT ",
            lot_columns!(),
            ", account.customer FROM lot JOIN account ON account.id = lot.account WHERE lot.id = ?1"
        );
        self.source.look(|connection| {
            first(connection, sql, params![id.0.to_be_bytes()], |columns| {
                let lot = read_lot(columns)?;
                Ok((CustomerId(columns.id()?), lot))
            })
        })
    }

    fn lots(&self, filter: LotFilter, page: PageRequest) -> Result<Page<Lot>, StorageError> {
        let (sql, subject) = match filter {
            LotFilter::Some { .. } => return Err(StorageError::Unavailable("not there yet".to_owned())),
            LotFilter::Wallet(wallet) => {
                (concat!("SELECT ", lot_columns!(), " FROM lot WHERE wallet = ?1 AND id > ?2 ORDER BY id LIMIT ?3"), wallet.0)
            }
            LotFilter::Customer(customer) => (
                concat!(
                    "SELECT ", lot_columns!(), " FROM lot
                     WHERE account IN (SELECT id FROM account WHERE customer = ?1) AND id > ?2 ORDER BY id LIMIT ?3"
                ),
                customer.0,
            ),
        };
        let values = params![subject.to_be_bytes(), above(page), limit(page)];
        let lots = self
            .source
            .look(|connection| list(connection, sql, values, read_lot))?;
        Ok(Page::cut(lots, page.limit, |lot| lot.id.0))
    }

    fn lease(&self, id: LeaseId) -> Result<Option<(CustomerId, Lease)>, StorageError> {
        let sql = concat!(
            "SELECT ",
            lease_columns!(),
            ", account.customer
             FROM lease JOIN account ON account.id = lease.account WHERE lease.id = ?1"
        );
        self.source.look(|connection| {
            first(
                connection,
                sql,
                params![id.0.to_be_bytes()],
                read_owned_lease,
            )
        })
    }

    fn leases(
        &self,
        filter: LeaseFilter,
        page: PageRequest,
    ) -> Result<Page<(CustomerId, Lease)>, StorageError> {
        let leases = self
            .source
            .look(|connection| leases(connection, filter, page))?;
        Ok(Page::cut(leases, page.limit, |(_, lease)| lease.id.0))
    }

    fn entries(&self, filter: EntryFilter, page: PageRequest) -> Result<Page<Entry>, StorageError> {
        self.source
            .look(|connection| journal::entries(connection, filter, page))
    }

    fn key(&self, id: KeyId) -> Result<Option<ConsumerKey>, StorageError> {
        let sql = concat!(
            "SELECT ",
            key_columns!(),
            " FROM consumer_key WHERE id = ?1"
        );
        self.source
            .look(|connection| first(connection, sql, params![id.0.to_be_bytes()], read_key))
    }

    fn keys(
        &self,
        customer: CustomerId,
        page: PageRequest,
    ) -> Result<Page<ConsumerKey>, StorageError> {
        let sql = concat!(
            "SELECT ",
            key_columns!(),
            " FROM consumer_key WHERE customer = ?1 AND id > ?2 ORDER BY id LIMIT ?3"
        );
        let values = params![customer.0.to_be_bytes(), above(page), limit(page)];
        let keys = self
            .source
            .look(|connection| list(connection, sql, values, read_key))?;
        Ok(Page::cut(keys, page.limit, |key| key.id.0))
    }

    fn credential(&self, hash: &CredentialHash) -> Result<Option<ConsumerKey>, StorageError> {
        let sql = concat!(
            "SELECT ",
            key_columns!(),
            " FROM consumer_key WHERE hash = ?1 AND revoked_at IS NULL"
        );
        self.source
            .look(|connection| first(connection, sql, params![hash.as_bytes()], read_key))
    }

    fn changes(
        &self,
        instance: InstanceId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(u64, CustomerId, AccountId, LeaseNumber)>, StorageError> {
        self.source
            .look(|connection| due::changes(connection, instance, after, limit))
    }

    fn last_change(&self) -> Result<u64, StorageError> {
        self.source.look(books::last_change)
    }

    fn overdue(
        &self,
        instance: InstanceId,
        reported_before: Timestamp,
        limit: u32,
    ) -> Result<Vec<AccountId>, StorageError> {
        self.source
            .look(|connection| due::overdue(connection, instance, reported_before, limit))
    }

    fn outstanding_instances(&self) -> Result<Vec<InstanceId>, StorageError> {
        self.source.look(due::outstanding_instances)
    }

    fn lease_totals(&self) -> Result<Vec<LeaseTotal>, StorageError> {
        self.source.look(due::lease_totals)
    }

    fn leases_quarantined_before(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<(CustomerId, LeaseId)>, StorageError> {
        self.source
            .look(|connection| due::leases_quarantined_before(connection, before, limit))
    }

    fn next_instants(
        &self,
        after: Timestamp,
        limit: u32,
    ) -> Result<Vec<(Timestamp, CustomerId)>, StorageError> {
        self.source
            .look(|connection| due::next_instants(connection, after, limit))
    }

    fn snapshot(&self) -> Result<Box<dyn Reader>, StorageError> {
        Ok(Box::new(Self {
            source: self.source.snapshot()?,
            registry: Arc::clone(&self.registry),
        }))
    }

    fn self_check(&self) -> Result<Vec<Finding>, StorageError> {
        self.source.look(check::findings)
    }
}

fn read_owned_lease(columns: &mut Columns<'_, '_>) -> Result<(CustomerId, Lease), StorageError> {
    let lease = read_lease(columns)?;
    Ok((CustomerId(columns.id()?), lease))
}

/// Only the conditions that are asked for are in the statement, so that each finds its index.
fn leases(
    connection: &Connection,
    filter: LeaseFilter,
    page: PageRequest,
) -> Result<Vec<(CustomerId, Lease)>, StorageError> {
    let mut sql = concat!(
        "SELECT ",
        lease_columns!(),
        ", account.customer
         FROM lease JOIN account ON account.id = lease.account WHERE lease.id < :below"
    )
    .to_owned();
    let below = below(page);
    let limit = limit(page);
    let instance = filter.instance.map(|instance| instance.0.to_be_bytes());
    let customer = filter.customer.map(|customer| customer.0.to_be_bytes());
    let state = filter.state.as_ref().map(word).transpose()?;
    let mut values: Vec<(&str, &dyn rusqlite::ToSql)> =
        vec![(":below", &below), (":limit", &limit)];
    if let Some(instance) = &instance {
        sql.push_str(" AND lease.instance = :instance");
        values.push((":instance", instance));
    }
    if let Some(customer) = &customer {
        sql.push_str(" AND lease.account IN (SELECT id FROM account WHERE customer = :customer)");
        values.push((":customer", customer));
    }
    if let Some(state) = &state {
        sql.push_str(" AND lease.state = :state");
        values.push((":state", state));
        if state != "closed" {
            sql.push_str(" AND lease.state <> 'closed'");
        }
    }
    sql.push_str(" ORDER BY lease.id DESC LIMIT :limit");
    list(connection, &sql, values.as_slice(), read_owned_lease)
}
