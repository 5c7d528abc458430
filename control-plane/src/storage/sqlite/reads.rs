//! Looks at the database. Each is one read transaction; a snapshot is one for many looks.

use std::sync::Arc;

use creditgate_core::key::CredentialHash;
use creditgate_core::lease::LeaseNumber;
use creditgate_ledger::audit::AuditRecord;
use creditgate_ledger::claim::Claim;
use creditgate_ledger::grant::{Application, Grant};
use creditgate_ledger::id::{
    AccountId, ApplicationId, ClaimId, CustomerId, DeliveryId, EndpointId, EventId, InstanceId,
    KeyId, LeaseId, LotId, WalletId,
};
use creditgate_ledger::pricing::{PricingHead, PricingVersion};
use creditgate_ledger::rate_card::{RateCardHead, RateCardVersion};
use creditgate_ledger::subscription::Subscription;
use creditgate_ledger::usage::Total;
use creditgate_ledger::verify::Finding;
use creditgate_ledger::webhook::{Attempt, Delivery};
use creditgate_ledger::{
    Book, ConsumerKey, Customer, Entry, Event, Lease, Lot, Registry, Timestamp, Wallet,
};
use rusqlite::{Connection, params};

use super::columns::{Columns, above, below, first, limit, list, word};
use super::lease::{lease_columns, read_lease};
use super::party::{customer_columns, key_columns, read_customer, read_key};
use super::pool::{Pool, Source};
use super::registry::{self, RegistryCache};
use super::{
    audit, books, check, claim, due, grant, journal, lot, owner, party, pricing, subscription,
    usage, wallet, webhook,
};
use crate::storage::{
    ApplicationFilter, AuditFilter, ClaimFilter, CustomerFilter, DeliveryFilter, EntryFilter,
    EventFilter, GrantFilter, LeaseFilter, LeaseTotal, LotFilter, OwedTotal, Page, PageRequest,
    Reader, StorageError, SubscriptionFilter, Target, UsagePage, UsageQuery, WalletFilter,
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

/// Looks that are one function of another module.
macro_rules! delegated {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty = $look:path;)*) => {
        $(fn $name(&self, $($argument: $type),*) -> Result<$answer, StorageError> {
            self.source.look(|connection| $look(connection, $($argument),*))
        })*
    };
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

    fn rate_card_versions(
        &self,
        name: &str,
        page: PageRequest,
    ) -> Result<Page<RateCardHead>, StorageError> {
        self.source
            .look(|connection| registry::rate_card_versions(connection, name, page))
    }

    fn book(&self, target: &Target) -> Result<Option<Book>, StorageError> {
        self.source.look(|connection| {
            let owner = owner::owner(connection, target)?;
            Ok(books::read(connection, owner.as_slice())?.pop())
        })
    }

    fn customer(&self, target: &Target) -> Result<Option<Customer>, StorageError> {
        self.source.look(|connection| {
            let Some(owner) = owner::owner(connection, target)? else {
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

    delegated! {
        usage(query: &UsageQuery) -> UsagePage = usage::page;
        usage_total(account: AccountId) -> Total = usage::total;
        usage_kept(account: AccountId) -> i128 = usage::kept;
        pricing(customer: CustomerId, version: u32) -> Option<PricingVersion> = pricing::one;
        pricing_versions(customer: CustomerId, page: PageRequest) -> Page<PricingHead> = pricing::page;
        customers(filter: CustomerFilter, page: PageRequest) -> Page<Customer> = party::page;
        wallet(id: WalletId) -> Option<Wallet> = wallet::one;
        wallets(customer: CustomerId) -> Vec<Wallet> = wallet::of_customer;
        wallet_list(filter: WalletFilter, page: PageRequest) -> Page<Wallet> = wallet::page;
        lot(id: LotId) -> Option<(CustomerId, Lot)> = lot::one;
        lot_named(name: &str) -> Option<(CustomerId, Lot)> = lot::named;
        lots(filter: LotFilter, page: PageRequest) -> Page<Lot> = lot::page;
        entries(filter: EntryFilter, page: PageRequest) -> Page<Entry> = journal::entries;
        chain(account: AccountId, after: u64, limit: u32) -> Vec<Entry> = journal::chain;
        claim(id: ClaimId) -> Option<Claim> = claim::one;
        claims(filter: ClaimFilter, page: PageRequest) -> Page<Claim> = claim::page;
        subscription(target: &Target) -> Option<Subscription> = subscription::one;
        subscriptions(filter: SubscriptionFilter, page: PageRequest) -> Page<Subscription> = subscription::page;
        grant(target: &Target) -> Option<Grant> = grant::one;
        grants(filter: GrantFilter, page: PageRequest) -> Page<Grant> = grant::page;
        application(id: ApplicationId) -> Option<Application> = grant::application;
        applications(filter: ApplicationFilter, page: PageRequest) -> Page<Application> = grant::applications;
        event(id: EventId) -> Option<Event> = webhook::event;
        events(filter: EventFilter, page: PageRequest) -> Page<Event> = webhook::events;
        delivery(id: DeliveryId) -> Option<Delivery> = webhook::delivery;
        deliveries(filter: DeliveryFilter, page: PageRequest) -> Page<Delivery> = webhook::deliveries;
        due_deliveries(endpoint: EndpointId, at: Timestamp, without: &[CustomerId], limit: u32) -> Vec<(Delivery, Event)> = webhook::due;
        next_deliveries() -> Vec<(EndpointId, Timestamp)> = webhook::next;
        pending_deliveries() -> (u64, Option<Timestamp>) = webhook::pending;
        attempts(delivery: DeliveryId) -> Vec<Attempt> = webhook::attempts;
        audit(filter: &AuditFilter, page: PageRequest) -> Page<AuditRecord> = audit::page;
        changes(instance: InstanceId, after: u64, limit: u32) -> Vec<(u64, CustomerId, AccountId, LeaseNumber)>
            = due::changes;
        last_change() -> u64 = books::last_change;
        overdue(instance: InstanceId, reported_before: Timestamp, limit: u32) -> Vec<AccountId> = due::overdue;
        outstanding_instances() -> Vec<InstanceId> = due::outstanding_instances;
        lease_totals() -> Vec<LeaseTotal> = due::lease_totals;
        owed_totals() -> Vec<OwedTotal> = due::owed_totals;
        leases_quarantined_before(before: Timestamp, limit: u32) -> Vec<(CustomerId, LeaseId)>
            = due::leases_quarantined_before;
        next_instants(after: (Timestamp, CustomerId), limit: u32) -> Vec<(Timestamp, CustomerId)>
            = due::next_instants;
        self_check() -> Vec<Finding> = check::findings;
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

    fn snapshot(&self) -> Result<Box<dyn Reader>, StorageError> {
        Ok(Box::new(Self {
            source: self.source.snapshot()?,
            registry: Arc::clone(&self.registry),
        }))
    }
}

fn read_owned_lease(columns: &mut Columns<'_, '_>) -> Result<(CustomerId, Lease), StorageError> {
    let lease = read_lease(columns)?;
    Ok((CustomerId(columns.id()?), lease))
}

/// Only the conditions that are asked for are in the statement, so that each finds its index.
pub(super) fn leases(
    connection: &Connection,
    filter: LeaseFilter,
    page: PageRequest,
) -> Result<Vec<(CustomerId, Lease)>, StorageError> {
    // Of a number there are few: a sign before the order keeps its index out of it.
    let order = match filter.number {
        Some(_) => "+lease.id",
        None => "lease.id",
    };
    let mut sql = format!(
        concat!(
            "SELECT ",
            lease_columns!(),
            ", account.customer
         FROM lease JOIN account ON account.id = lease.account WHERE {order} < :below"
        ),
        order = order
    );
    let below = below(page);
    let limit = limit(page);
    let instance = filter.instance.map(|instance| instance.0.to_be_bytes());
    let customer = filter.customer.map(|customer| customer.0.to_be_bytes());
    let account = filter.account.map(|account| account.0.to_be_bytes());
    let number = filter.number.map(|number| number.0.cast_signed());
    let state = filter.state.as_ref().map(word).transpose()?;
    let mut values: Vec<(&str, &dyn rusqlite::ToSql)> =
        vec![(":below", &below), (":limit", &limit)];
    if let Some(instance) = &instance {
        sql.push_str(" AND lease.instance = :instance");
        values.push((":instance", instance));
    }
    if let Some(account) = &account {
        sql.push_str(" AND lease.account = :account");
        values.push((":account", account));
    }
    if let Some(number) = &number {
        sql.push_str(" AND lease.number = :number");
        values.push((":number", number));
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
    sql.push_str(&format!(" ORDER BY {order} DESC LIMIT :limit"));
    list(connection, &sql, values.as_slice(), read_owned_lease)
}
