//! The tables: each customer's live rows as a book, history beside it, and indexes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use creditgate_core::key::CredentialHash;
use creditgate_ledger::audit::AuditRecord;
use creditgate_ledger::claim::Claim;
use creditgate_ledger::grant::{Application, Grant};
use creditgate_ledger::id::{
    AccountId, ApplicationId, AuditId, ClaimId, CustomerId, DeliveryId, EventId, GrantId,
    InstanceId, KeyId, LeaseId, LotId, SubscriptionId, WalletId,
};
use creditgate_ledger::pricing::PricingVersion;
use creditgate_ledger::rate_card::RateCardVersion;
use creditgate_ledger::subscription::Subscription;
use creditgate_ledger::usage::{Source, Total, UsageKey, UsageRow};
use creditgate_ledger::webhook::{Attempt, Delivery};
use creditgate_ledger::{Book, ConsumerKey, Entry, Event, Lease, Lot, Registry, Timestamp};

use super::names::{Kind, Names};
use crate::storage::{IdempotencyKey, LoadPlan, Loaded, NamedLease, StoredAnswer, Target};

/// Everything that is stored.
#[derive(Clone, Default)]
pub(super) struct Tables {
    /// Grows with each commit.
    pub(super) generation: u64,
    pub(super) registry: Arc<Registry>,
    /// All versions.
    pub(super) rate_cards: BTreeMap<(String, u64), RateCardVersion>,
    /// All versions.
    pub(super) pricings: BTreeMap<(CustomerId, u32), PricingVersion>,
    /// Live rows only.
    pub(super) books: BTreeMap<CustomerId, Book>,
    pub(super) answers: HashMap<IdempotencyKey, StoredAnswer>,
    /// By account and number.
    pub(super) entries: BTreeMap<(AccountId, u64), Entry>,
    /// Open or not.
    pub(super) claims: BTreeMap<ClaimId, (CustomerId, Claim)>,
    /// Cancelled or not.
    pub(super) subscriptions: BTreeMap<SubscriptionId, Subscription>,
    /// Of all scopes, archived or not; a plan's is no customer's.
    pub(super) grants: BTreeMap<GrantId, (Option<CustomerId>, Grant)>,
    /// Still to be tried or not.
    pub(super) applications: BTreeMap<ApplicationId, Application>,
    pub(super) events: BTreeMap<EventId, Event>,
    pub(super) deliveries: BTreeMap<DeliveryId, Delivery>,
    pub(super) attempts: BTreeMap<(DeliveryId, u32), Attempt>,
    pub(super) audit: BTreeMap<AuditId, AuditRecord>,
    pub(super) usage: BTreeMap<UsageKey, UsageRow>,
    pub(super) usage_totals: BTreeMap<AccountId, Total>,
    /// The last number of each source, and when it came.
    pub(super) usage_sources: BTreeMap<Source, (u64, Timestamp)>,
    /// Lots that are not live.
    pub(super) past_lots: BTreeMap<LotId, Lot>,
    /// Leases that are not live.
    pub(super) past_leases: BTreeMap<LeaseId, Lease>,
    /// Keys that were revoked.
    pub(super) past_keys: BTreeMap<KeyId, ConsumerKey>,

    pub(super) by_external_id: HashMap<String, CustomerId>,
    pub(super) accounts: HashMap<AccountId, CustomerId>,
    pub(super) wallets: HashMap<WalletId, CustomerId>,
    pub(super) lots: BTreeMap<LotId, CustomerId>,
    pub(super) leases: BTreeMap<LeaseId, CustomerId>,
    pub(super) lease_names: BTreeMap<NamedLease, LeaseId>,
    pub(super) keys: BTreeMap<KeyId, CustomerId>,
    pub(super) hashes: HashMap<CredentialHash, KeyId>,
    pub(super) names: Names,
    /// Each application of a grant, by its number, happens once.
    pub(super) occurrences: HashMap<(GrantId, Option<SubscriptionId>, u32), ApplicationId>,
    pub(super) last_change: u64,
    /// The latest change of each lease that ever changed.
    pub(super) change_of: HashMap<LeaseId, u64>,
    pub(super) changes: BTreeSet<(InstanceId, u64, LeaseId)>,
}

impl Tables {
    pub(super) fn load(&self, plan: &LoadPlan) -> Loaded {
        let mut loaded = Loaded {
            registry: Arc::clone(&self.registry),
            ..Loaded::default()
        };
        let mut place_of: HashMap<CustomerId, usize> = HashMap::new();
        for target in &plan.targets {
            let Some(book) = self
                .owner(target)
                .and_then(|customer| self.books.get(&customer))
            else {
                continue;
            };
            let place = *place_of.entry(book.customer.id).or_insert_with(|| {
                loaded.books.push(book.clone());
                loaded.books.len().saturating_sub(1)
            });
            loaded.places.insert(target.clone(), place);
        }
        for named in &plan.reported {
            let past = self
                .lease_names
                .get(named)
                .and_then(|id| self.past_leases.get(id));
            let place = self
                .accounts
                .get(&named.account)
                .and_then(|customer| place_of.get(customer));
            let Some((lease, book)) =
                past.zip(place.and_then(|place| loaded.books.get_mut(*place)))
            else {
                continue;
            };
            if let Err(at) = book
                .leases
                .binary_search_by_key(&lease.id, |known| known.id)
            {
                book.leases.insert(at, lease.clone());
            }
        }
        for target in &plan.targets {
            if let Target::Application(id) = target {
                let row = self.application(*id);
                row.into_iter().for_each(|row| loaded.add_application(row));
            }
        }
        loaded.usage = self.usage_known(&plan.usage);
        for key in &plan.idempotency {
            if let Some(answer) = self.answers.get(key) {
                loaded.answers.insert(key.clone(), answer.clone());
            }
        }
        loaded
    }

    /// The customer behind a target.
    pub(super) fn owner(&self, target: &Target) -> Option<CustomerId> {
        match target {
            Target::Customer(id) => self.books.contains_key(id).then_some(*id),
            Target::ExternalId(name) => self.by_external_id.get(name).copied(),
            Target::Account(id) => self.accounts.get(id).copied(),
            Target::Wallet(id) => self.wallets.get(id).copied(),
            Target::Lot(id) => self.lots.get(id).copied(),
            Target::Lease(id) => self.leases.get(id).copied(),
            Target::Credential(hash) => self
                .hashes
                .get(hash)
                .and_then(|key| self.live_key_owner(*key)),
            Target::Key(id) => self.live_key_owner(*id),
            Target::WalletName(name) => {
                let id = self.names.find(Kind::Wallet, name)?;
                self.wallets.get(&WalletId(id)).copied()
            }
            Target::LotName(name) => {
                let id = self.names.find(Kind::Lot, name)?;
                self.lots.get(&LotId(id)).copied()
            }
            Target::Claim(id) => self.claims.get(id).map(|(customer, _)| *customer),
            Target::Subscription(_) | Target::SubscriptionName(_) => {
                self.subscription(target).map(|row| row.customer)
            }
            Target::Grant(id) => self.grants.get(id).and_then(|(customer, _)| *customer),
            Target::GrantName(name) => {
                let id = GrantId(self.names.find(Kind::Grant, name)?);
                self.grants.get(&id).and_then(|(customer, _)| *customer)
            }
            Target::Application(id) => self.applications.get(id).map(|row| row.customer),
        }
    }

    fn live_key_owner(&self, key: KeyId) -> Option<CustomerId> {
        self.keys
            .get(&key)
            .copied()
            .filter(|_| !self.past_keys.contains_key(&key))
    }
}
