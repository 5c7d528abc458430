//! The reading side of storage: what the API, the gateways' polls and the jobs look up.
//!
//! Reads block, so asynchronous callers go through `spawn_blocking`. They see what was
//! committed and never wait for the writer. Each method is one consistent look;
//! [`Reader::snapshot`] makes several looks one. Lists come in pages of rising ids,
//! journal entries and leases newest first; the cursor is the last id of the page before.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use creditgate_core::amount::{Currency, Scale};
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
use creditgate_ledger::usage;
use creditgate_ledger::verify::Finding;
use creditgate_ledger::webhook::{Attempt, Delivery};
use creditgate_ledger::{
    Book, ConsumerKey, Customer, Entry, Event, Lease, Lot, Registry, Timestamp, Wallet,
};
use thiserror::Error;

use super::filter::{
    ApplicationFilter, AuditFilter, ClaimFilter, CustomerFilter, DeliveryFilter, EntryFilter,
    EventFilter, GrantFilter, LeaseFilter, LotFilter, SubscriptionFilter, WalletFilter,
};
use super::{StorageError, Target, UsagePage, UsageQuery};

/// Where a page of a list ended; opaque to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub u128);

/// A text that is no cursor.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not a cursor; use next_cursor of the page before, or none for the first page")]
pub struct CursorError;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !digits {
            return Err(CursorError);
        }
        u128::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| CursorError)
    }
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// The end of the page before; none for the first.
    pub cursor: Option<Cursor>,
    /// Most items of the page; the caller bounds it.
    pub limit: u32,
}

impl PageRequest {
    /// The first page.
    #[must_use]
    pub const fn first(limit: u32) -> Self {
        Self {
            cursor: None,
            limit,
        }
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page starts; none if this is the last.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// Makes a page of one item more than it may have: the one more says that there is a next.
    pub(crate) fn cut(mut items: Vec<T>, limit: u32, id: impl Fn(&T) -> u128) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|last| Cursor(id(last)));
        Self { items, next }
    }
}

/// The leases of one state in one currency and scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeaseTotal {
    /// What they lend.
    pub currency: Currency,
    /// Its digits after the point.
    pub scale: Scale,
    /// Quarantined, or still lending: open or draining.
    pub is_quarantined: bool,
    /// How many.
    pub leases: u64,
    /// What is out in them, in smallest units; all customers' together may pass 64 bits.
    pub outstanding: i128,
}

/// What is owed in one currency and scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OwedTotal {
    /// The currency.
    pub currency: Currency,
    /// Its digits after the point.
    pub scale: Scale,
    /// By all accounts together, in smallest units; may pass 64 bits.
    pub owed: i128,
    /// By the one that owes most.
    pub most: i128,
}

/// What can be looked up. Objects that are not there are `None`.
pub trait Reader: Send + Sync + 'static {
    /// The installation.
    ///
    /// # Errors
    /// [`StorageError`], as of every method here.
    fn registry(&self) -> Result<Arc<Registry>, StorageError>;

    /// One version of a rate card, also an old one.
    fn rate_card(&self, name: &str, version: u64) -> Result<Option<RateCardVersion>, StorageError>;

    /// All versions of a rate card, newest first; empty if there is none of that name.
    fn rate_card_versions(
        &self,
        name: &str,
        page: PageRequest,
    ) -> Result<Page<RateCardHead>, StorageError>;

    /// One version of a customer's pricing, also an old one.
    fn pricing(
        &self,
        customer: CustomerId,
        version: u32,
    ) -> Result<Option<PricingVersion>, StorageError>;

    /// All versions of a customer's pricing, newest first.
    fn pricing_versions(
        &self,
        customer: CustomerId,
        page: PageRequest,
    ) -> Result<Page<PricingHead>, StorageError>;

    /// A customer's live rows.
    fn book(&self, target: &Target) -> Result<Option<Book>, StorageError>;

    /// A customer alone, without the rows of the book.
    fn customer(&self, target: &Target) -> Result<Option<Customer>, StorageError>;

    /// Customers.
    fn customers(
        &self,
        filter: CustomerFilter,
        page: PageRequest,
    ) -> Result<Page<Customer>, StorageError>;

    /// One wallet.
    fn wallet(&self, id: WalletId) -> Result<Option<Wallet>, StorageError>;

    /// The wallets of a customer.
    fn wallets(&self, customer: CustomerId) -> Result<Vec<Wallet>, StorageError>;

    /// One lot, also one that is history, and whose it is.
    fn lot(&self, id: LotId) -> Result<Option<(CustomerId, Lot)>, StorageError>;

    /// As [`Reader::lot`], by the operator's name of it.
    fn lot_named(&self, name: &str) -> Result<Option<(CustomerId, Lot)>, StorageError>;

    /// Lots, history too.
    fn lots(&self, filter: LotFilter, page: PageRequest) -> Result<Page<Lot>, StorageError>;

    /// One lease, also one that is history, and whose credit it lends.
    fn lease(&self, id: LeaseId) -> Result<Option<(CustomerId, Lease)>, StorageError>;

    /// Leases, history too, newest first.
    fn leases(
        &self,
        filter: LeaseFilter,
        page: PageRequest,
    ) -> Result<Page<(CustomerId, Lease)>, StorageError>;

    /// Journal entries, newest first.
    fn entries(&self, filter: EntryFilter, page: PageRequest) -> Result<Page<Entry>, StorageError>;

    /// Entries of an account in the order of their chain, after entry number `after`; for
    /// replaying and for the export.
    fn chain(&self, account: AccountId, after: u64, limit: u32)
    -> Result<Vec<Entry>, StorageError>;

    /// Wallets of all customers, closed ones too.
    fn wallet_list(
        &self,
        filter: WalletFilter,
        page: PageRequest,
    ) -> Result<Page<Wallet>, StorageError>;

    /// One claim, also one that is over.
    fn claim(&self, id: ClaimId) -> Result<Option<Claim>, StorageError>;

    /// Claims.
    fn claims(&self, filter: ClaimFilter, page: PageRequest) -> Result<Page<Claim>, StorageError>;

    /// One subscription ([`Target::Subscription`], [`Target::SubscriptionName`]), also one that
    /// is cancelled.
    fn subscription(&self, target: &Target) -> Result<Option<Subscription>, StorageError>;

    /// Subscriptions, cancelled ones too.
    fn subscriptions(
        &self,
        filter: SubscriptionFilter,
        page: PageRequest,
    ) -> Result<Page<Subscription>, StorageError>;

    /// One credit grant of any scope ([`Target::Grant`], [`Target::GrantName`]), also one that
    /// is archived.
    fn grant(&self, target: &Target) -> Result<Option<Grant>, StorageError>;

    /// Credit grants of all scopes.
    fn grants(&self, filter: GrantFilter, page: PageRequest) -> Result<Page<Grant>, StorageError>;

    /// One application.
    fn application(&self, id: ApplicationId) -> Result<Option<Application>, StorageError>;

    /// Applications, newest first.
    fn applications(
        &self,
        filter: ApplicationFilter,
        page: PageRequest,
    ) -> Result<Page<Application>, StorageError>;

    /// One event.
    fn event(&self, id: EventId) -> Result<Option<Event>, StorageError>;

    /// Events, newest first.
    fn events(&self, filter: EventFilter, page: PageRequest) -> Result<Page<Event>, StorageError>;

    /// One delivery.
    fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StorageError>;

    /// Deliveries, newest first.
    fn deliveries(
        &self,
        filter: DeliveryFilter,
        page: PageRequest,
    ) -> Result<Page<Delivery>, StorageError>;

    /// Pending deliveries to one endpoint that are due at or before an instant, each with its
    /// event: longest due first, those due at the same instant by event, then by id. By
    /// endpoint, so that one with much to come does not hide the others; and without those of
    /// some customers, so that one of them with much to come does not either.
    fn due_deliveries(
        &self,
        endpoint: EndpointId,
        at: Timestamp,
        without: &[CustomerId],
        limit: u32,
    ) -> Result<Vec<(Delivery, Event)>, StorageError>;

    /// For each endpoint that has pending deliveries, also one that is disabled or deleted:
    /// when the next of them is due.
    fn next_deliveries(&self) -> Result<Vec<(EndpointId, Timestamp)>, StorageError>;

    /// How many deliveries are pending, and when the oldest of them was made.
    fn pending_deliveries(&self) -> Result<(u64, Option<Timestamp>), StorageError>;

    /// The attempts of a delivery, first to last.
    fn attempts(&self, delivery: DeliveryId) -> Result<Vec<Attempt>, StorageError>;

    /// The audit log, newest first.
    fn audit(
        &self,
        filter: &AuditFilter,
        page: PageRequest,
    ) -> Result<Page<AuditRecord>, StorageError>;

    /// One consumer key, also a revoked one.
    fn key(&self, id: KeyId) -> Result<Option<ConsumerKey>, StorageError>;

    /// The consumer keys of a customer, revoked ones too.
    fn keys(
        &self,
        customer: CustomerId,
        page: PageRequest,
    ) -> Result<Page<ConsumerKey>, StorageError>;

    /// The consumer key that has this hash and was not revoked; it may have expired.
    fn credential(&self, hash: &CredentialHash) -> Result<Option<ConsumerKey>, StorageError>;

    /// Leases of an instance that changed after the change of number `after`, each once, by
    /// its latest number, rising.
    fn changes(
        &self,
        instance: InstanceId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(u64, CustomerId, AccountId, LeaseNumber)>, StorageError>;

    /// The largest change number given so far; zero if none was.
    fn last_change(&self) -> Result<u64, StorageError>;

    /// Accounts of which the instance holds credit in an open or draining lease that it last
    /// reported before `reported_before`; longest unreported first.
    fn overdue(
        &self,
        instance: InstanceId,
        reported_before: Timestamp,
        limit: u32,
    ) -> Result<Vec<AccountId>, StorageError>;

    /// Instances with a lease that is not closed.
    fn outstanding_instances(&self) -> Result<Vec<InstanceId>, StorageError>;

    /// What is out in leases that are not closed, summed by state and currency.
    fn lease_totals(&self) -> Result<Vec<LeaseTotal>, StorageError>;

    /// What accounts owe, by currency; a currency in which nobody does is not in it.
    fn owed_totals(&self) -> Result<Vec<OwedTotal>, StorageError>;

    /// Leases that are quarantined since before an instant and not held, oldest first.
    fn leases_quarantined_before(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<(CustomerId, LeaseId)>, StorageError>;

    /// Who is next to have time change something for them, after `after` in the order of the
    /// instants, then of the customers: a live lot becomes effective, expires or lapses, a key
    /// expires, a grant is due or tried again, a subscription ends, a wallet may top itself up
    /// again. Each pair once, `limit` of them at most; the last is where to go on.
    fn next_instants(
        &self,
        after: (Timestamp, CustomerId),
        limit: u32,
    ) -> Result<Vec<(Timestamp, CustomerId)>, StorageError>;

    /// Sums of usage detail, in the order of their groups.
    fn usage(&self, query: &UsageQuery) -> Result<UsagePage, StorageError>;

    /// All usage detail that was ever booked for an account.
    fn usage_total(&self, account: AccountId) -> Result<usage::Total, StorageError>;

    /// What the rows of an account's usage detail come to that are not forgotten, in smallest
    /// units.
    fn usage_kept(&self, account: AccountId) -> Result<i128, StorageError>;

    /// A reader that sees all of its looks at one moment. Keep it briefly.
    fn snapshot(&self) -> Result<Box<dyn Reader>, StorageError>;

    /// What the backend can tell of itself: damaged pages, rows without their parent.
    fn self_check(&self) -> Result<Vec<Finding>, StorageError>;
}
