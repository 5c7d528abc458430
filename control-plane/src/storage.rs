//! Storage: units of work over books and the registry.
//!
//! The writer loads what a batch touches, decides in memory, and commits the difference in
//! one transaction. A backend knows rows and SQL and no rules. One contract suite
//! (`tests/storage_contract.rs`) holds every backend to the same behaviour.
//! [`Storage`] is the writer's side, [`Reader`] everyone's.

use std::collections::HashMap;
use std::sync::Arc;

use creditgate_core::key::CredentialHash;
use creditgate_core::lease::LeaseNumber;
use creditgate_ledger::audit::AuditRecord;
use creditgate_ledger::id::{
    AccountId, ApplicationId, ClaimId, CustomerId, GrantId, InstanceId, KeyId, LeaseId, LotId,
    SubscriptionId, WalletId,
};
use creditgate_ledger::usage::{Batch, Booked, Known};
use creditgate_ledger::webhook::{Attempt, Delivery};
use creditgate_ledger::{Book, Entry, Event, Registry, Timestamp};
use thiserror::Error;

mod diff;
mod filter;
pub(crate) mod live;
pub mod memory;
mod read;
pub mod sqlite;
mod unique;
mod usage;

pub use filter::{
    ApplicationFilter, AuditFilter, ClaimFilter, CustomerFilter, DeliveryFilter, EntryFilter,
    EventFilter, GrantFilter, LeaseFilter, LotFilter, SubscriptionFilter, WalletFilter,
};
pub use read::{Cursor, CursorError, LeaseTotal, OwedTotal, Page, PageRequest, Reader};
pub use usage::{
    Dimension, ForgetUsage, METERS_MAX, Part, UsageFilter, UsageGroup, UsagePage, UsageQuery,
};

/// What a command is about; storage finds the customer behind it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// By id.
    Customer(CustomerId),
    /// By the operator's name.
    ExternalId(String),
    /// By an account.
    Account(AccountId),
    /// By a wallet.
    Wallet(WalletId),
    /// By a lot, also one that is history.
    Lot(LotId),
    /// By a lease, also one that is history.
    Lease(LeaseId),
    /// By the hash of a consumer key that was not revoked.
    Credential(CredentialHash),
    /// By a consumer key that was not revoked.
    Key(KeyId),
    /// By the operator's name of a wallet.
    WalletName(String),
    /// By the operator's name of a lot.
    LotName(String),
    /// By a claim, also one that is over.
    Claim(ClaimId),
    /// By a subscription, also one that is cancelled.
    Subscription(SubscriptionId),
    /// By the operator's name of a subscription.
    SubscriptionName(String),
    /// By a grant of a customer or a subscription, also one that is archived.
    Grant(GrantId),
    /// By the operator's name of such a grant.
    GrantName(String),
    /// By an application of a grant. One that is history is put into its book beside the live
    /// rows, so that one which was given up can be tried again.
    Application(ApplicationId),
}

/// A client's name for one write, within one principal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey {
    /// The key id of the caller.
    pub principal: String,
    /// The `Idempotency-Key` header.
    pub key: String,
}

/// The answer a write got the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    /// SHA-256 of method, path and body, hexadecimal.
    pub fingerprint: String,
    /// HTTP status.
    pub status: u16,
    /// The body, byte for byte.
    pub body: Vec<u8>,
    /// When it was first given.
    pub created_at: Timestamp,
}

/// A lease as gateways name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamedLease {
    /// Of which account.
    pub account: AccountId,
    /// To which process.
    pub instance: InstanceId,
    /// Which.
    pub number: LeaseNumber,
}

/// What a batch needs.
#[derive(Debug, Clone, Default)]
pub struct LoadPlan {
    /// Whom it touches.
    pub targets: Vec<Target>,
    /// Leases that reports name, current and previous: those of them that are history are
    /// put into their book beside its live rows, so that a late report of a lease that was
    /// decided over still finds it. Their account must be among the targets.
    pub reported: Vec<NamedLease>,
    /// Which answers may exist already.
    pub idempotency: Vec<IdempotencyKey>,
    /// Batches of usage detail that are to be booked.
    pub usage: Vec<Arc<Batch>>,
}

/// What a batch works on. A backend that is not alone holds locks on all of it until
/// [`Storage::commit`] or [`Storage::abandon`].
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// The books, each once.
    pub books: Vec<Book>,
    /// The place in `books` of each target that exists.
    pub places: HashMap<Target, usize>,
    /// Answers given before.
    pub answers: HashMap<IdempotencyKey, StoredAnswer>,
    /// What must be known to book the plan's usage.
    pub usage: Known,
    /// The installation.
    pub registry: Arc<Registry>,
}

impl Loaded {
    /// Puts an application that a target names beside the live rows of its book.
    fn add_application(&mut self, row: creditgate_ledger::grant::Application) {
        let place = self.places.get(&Target::Application(row.id));
        let Some(book) = place.and_then(|place| self.books.get_mut(*place)) else {
            return;
        };
        let rows = &mut book.applications;
        if let Err(at) = rows.binary_search_by_key(&row.id, |known| known.id) {
            rows.insert(at, row);
        }
    }
}

/// A book before and after a batch. Rows are told apart by id, and only those that differ
/// are written. A row never goes away: one that `after` lacks stays as it is, except that a
/// key which `after` lacks is forgotten here, to be found in the book that adopted it.
#[derive(Debug, Clone)]
pub struct BookChange {
    /// As loaded; none if the customer is new.
    pub before: Option<Book>,
    /// As decided.
    pub after: Book,
}

/// What a batch writes, all or nothing.
#[derive(Debug, Clone, Default)]
pub struct ChangeSet {
    /// Books that differ.
    pub books: Vec<BookChange>,
    /// The registry before and after, if it differs.
    pub registry: Option<(Arc<Registry>, Registry)>,
    /// New entries, in order.
    pub entries: Vec<Entry>,
    /// Answers to remember.
    pub answers: Vec<(IdempotencyKey, StoredAnswer)>,
    /// Answers first given before this are forgotten, at most [`FORGET_MAX`] at once.
    pub forget_answers_before: Option<Timestamp>,
    /// New events, in order.
    pub events: Vec<Event>,
    /// Deliveries that are new or differ.
    pub deliveries: Vec<Delivery>,
    /// New attempts.
    pub attempts: Vec<Attempt>,
    /// New lines of the audit log.
    pub audit: Vec<AuditRecord>,
    /// Events from before this are forgotten with their deliveries and attempts, oldest first,
    /// at most [`FORGET_MAX`] events at once. One that has a pending delivery stays.
    pub forget_events_before: Option<Timestamp>,
    /// Batches of usage detail that are new.
    pub usage: Vec<Booked>,
    /// Usage detail that is forgotten, at most [`FORGET_MAX`] rows and as many sources at once.
    pub forget_usage: Option<ForgetUsage>,
}

impl ChangeSet {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let nothing_new =
            self.books.is_empty() && self.registry.is_none() && self.answers.is_empty();
        let nothing_told = self.events.is_empty()
            && self.deliveries.is_empty()
            && self.attempts.is_empty()
            && self.audit.is_empty();
        let nothing_forgotten =
            self.forget_answers_before.is_none() && self.forget_events_before.is_none();
        let nothing_used = self.usage.is_empty() && self.forget_usage.is_none();
        nothing_new && nothing_told && nothing_forgotten && nothing_used
    }
}

/// Most answers, and most events, that one commit forgets.
pub const FORGET_MAX: usize = 10_000;

/// Why storage did not do it. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StorageError {
    /// A unique name or key was taken meanwhile.
    #[error("{0} exists already")]
    Conflict(String),
    /// The database can't be read or written now; trying again may help.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// What was read can't be understood.
    #[error("the database holds what this version can't read: {0}")]
    Corrupt(String),
}

/// The writing side: one at a time for each handle.
pub trait Storage: Send + 'static {
    /// Begins a unit of work; one that was not ended is abandoned. A target that does not
    /// exist has no place. Rows of a book come by rising id.
    ///
    /// # Errors
    /// [`StorageError`].
    fn load(&mut self, plan: &LoadPlan) -> Result<Loaded, StorageError>;

    /// Writes and ends it. Durable when this returns. Gives each lease whose `pushes` grew
    /// the next change number of the installation; answers the largest given so far.
    ///
    /// # Errors
    /// [`StorageError`]; nothing was written and the unit of work has ended.
    fn commit(&mut self, changes: &ChangeSet) -> Result<u64, StorageError>;

    /// Ends it without writing.
    fn abandon(&mut self);
}
