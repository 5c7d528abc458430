//! Storage in memory, for tests and for the simulation: nothing is durable, all else holds.
//!
//! The tables stand behind one pointer that is copied on write, so a snapshot costs nothing
//! and a commit copies only while one is looked at. A handle may be cloned; all see the
//! same tables, and two that write at once are told so, like two writers of a database.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

use super::{
    ApplicationFilter, AuditFilter, ClaimFilter, CustomerFilter, DeliveryFilter, EntryFilter,
    EventFilter, GrantFilter, LeaseFilter, LeaseTotal, LotFilter, OwedTotal, Page, PageRequest,
    Reader, SubscriptionFilter, UsagePage, UsageQuery, WalletFilter,
};
use super::{ChangeSet, LoadPlan, Loaded, Storage, StorageError, Target};
use tables::Tables;

mod credit;
mod due;
mod names;
mod reads;
mod tables;
mod terms;
mod told;
mod usage;
mod write;

/// A handle on a storage in memory.
#[derive(Clone)]
pub struct MemoryStorage {
    tables: Arc<Mutex<Arc<Tables>>>,
    /// The generation of the tables that the unit of work began with.
    working: Option<u64>,
}

impl MemoryStorage {
    /// An empty storage of a new epoch.
    #[must_use]
    pub fn new(epoch: u64) -> Self {
        let registry = Registry {
            epoch,
            ..Registry::default()
        };
        let tables = Tables {
            registry: Arc::new(registry),
            ..Tables::default()
        };
        Self {
            tables: Arc::new(Mutex::new(Arc::new(tables))),
            working: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Tables>> {
        // A panic elsewhere can't leave the tables half changed: a commit checks, then applies.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage for MemoryStorage {
    fn load(&mut self, plan: &LoadPlan) -> Result<Loaded, StorageError> {
        let tables = self.lock();
        let loaded = tables.load(plan);
        let generation = tables.generation;
        drop(tables);
        self.working = Some(generation);
        Ok(loaded)
    }

    fn commit(&mut self, changes: &ChangeSet) -> Result<u64, StorageError> {
        let working = self.working.take();
        let mut tables = self.lock();
        if working.is_some_and(|generation| generation != tables.generation) {
            return Err(StorageError::Unavailable(
                "another handle wrote meanwhile".to_owned(),
            ));
        }
        tables.check(changes)?;
        Ok(Arc::make_mut(&mut tables).apply(changes))
    }

    fn abandon(&mut self) {
        self.working = None;
    }
}

/// Each look takes the tables as they are; a snapshot keeps them.
macro_rules! look {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        impl Reader for MemoryStorage {
            $(fn $name(&self, $($argument: $type),*) -> Result<$answer, StorageError> {
                Ok(self.lock().$name($($argument),*))
            })*

            fn snapshot(&self) -> Result<Box<dyn Reader>, StorageError> {
                let tables = Arc::clone(&self.lock());
                Ok(Box::new(Self { tables: Arc::new(Mutex::new(tables)), working: None }))
            }
        }
    };
}

look! {
    registry() -> Arc<Registry>;
    rate_card(name: &str, version: u64) -> Option<RateCardVersion>;
    rate_card_versions(name: &str, page: PageRequest) -> Page<RateCardHead>;
    pricing(customer: CustomerId, version: u32) -> Option<PricingVersion>;
    pricing_versions(customer: CustomerId, page: PageRequest) -> Page<PricingHead>;
    book(target: &Target) -> Option<Book>;
    customer(target: &Target) -> Option<Customer>;
    customers(filter: CustomerFilter, page: PageRequest) -> Page<Customer>;
    wallet(id: WalletId) -> Option<Wallet>;
    wallets(customer: CustomerId) -> Vec<Wallet>;
    wallet_list(filter: WalletFilter, page: PageRequest) -> Page<Wallet>;
    lot(id: LotId) -> Option<(CustomerId, Lot)>;
    lot_named(name: &str) -> Option<(CustomerId, Lot)>;
    lots(filter: LotFilter, page: PageRequest) -> Page<Lot>;
    lease(id: LeaseId) -> Option<(CustomerId, Lease)>;
    leases(filter: LeaseFilter, page: PageRequest) -> Page<(CustomerId, Lease)>;
    entries(filter: EntryFilter, page: PageRequest) -> Page<Entry>;
    chain(account: AccountId, after: u64, limit: u32) -> Vec<Entry>;
    claim(id: ClaimId) -> Option<Claim>;
    claims(filter: ClaimFilter, page: PageRequest) -> Page<Claim>;
    subscription(target: &Target) -> Option<Subscription>;
    subscriptions(filter: SubscriptionFilter, page: PageRequest) -> Page<Subscription>;
    grant(target: &Target) -> Option<Grant>;
    grants(filter: GrantFilter, page: PageRequest) -> Page<Grant>;
    application(id: ApplicationId) -> Option<Application>;
    applications(filter: ApplicationFilter, page: PageRequest) -> Page<Application>;
    event(id: EventId) -> Option<Event>;
    events(filter: EventFilter, page: PageRequest) -> Page<Event>;
    delivery(id: DeliveryId) -> Option<Delivery>;
    deliveries(filter: DeliveryFilter, page: PageRequest) -> Page<Delivery>;
    due_deliveries(endpoint: EndpointId, at: Timestamp, without: &[CustomerId], limit: u32) -> Vec<(Delivery, Event)>;
    next_deliveries() -> Vec<(EndpointId, Timestamp)>;
    pending_deliveries() -> (u64, Option<Timestamp>);
    attempts(delivery: DeliveryId) -> Vec<Attempt>;
    audit(filter: &AuditFilter, page: PageRequest) -> Page<AuditRecord>;
    key(id: KeyId) -> Option<ConsumerKey>;
    keys(customer: CustomerId, page: PageRequest) -> Page<ConsumerKey>;
    credential(hash: &CredentialHash) -> Option<ConsumerKey>;
    changes(instance: InstanceId, after: u64, limit: u32) -> Vec<(u64, CustomerId, AccountId, LeaseNumber)>;
    last_change() -> u64;
    overdue(instance: InstanceId, reported_before: Timestamp, limit: u32) -> Vec<AccountId>;
    outstanding_instances() -> Vec<InstanceId>;
    lease_totals() -> Vec<LeaseTotal>;
    owed_totals() -> Vec<OwedTotal>;
    leases_quarantined_before(before: Timestamp, limit: u32) -> Vec<(CustomerId, LeaseId)>;
    next_instants(after: (Timestamp, CustomerId), limit: u32) -> Vec<(Timestamp, CustomerId)>;
    usage(query: &UsageQuery) -> UsagePage;
    usage_total(account: AccountId) -> Total;
    usage_kept(account: AccountId) -> i128;
    self_check() -> Vec<Finding>;
}
