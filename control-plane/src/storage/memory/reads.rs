//! Looks at the tables. Plain scans where a database has an index: what is in memory is small.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use creditgate_core::amount::Amount;
use creditgate_core::key::CredentialHash;
use creditgate_core::lease::LeaseNumber;
use creditgate_ledger::id::{
    AccountId, CustomerId, EntryId, InstanceId, KeyId, LeaseId, LotId, WalletId,
};
use creditgate_ledger::registry::RateCardVersion;
use creditgate_ledger::verify::Finding;
use creditgate_ledger::{
    Book, ConsumerKey, Customer, Entry, Lease, LeaseState, Lot, Registry, Timestamp, Wallet,
};

use super::tables::Tables;
use crate::storage::Target;
use crate::storage::read::{EntryFilter, LeaseFilter, LeaseTotal, LotFilter, Page, PageRequest};

impl Tables {
    pub(super) fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry)
    }

    pub(super) fn rate_card(&self, name: &str, version: u64) -> Option<RateCardVersion> {
        self.rate_cards.get(&(name.to_owned(), version)).cloned()
    }

    fn owned(&self, target: &Target) -> Option<&Book> {
        self.owner(target)
            .and_then(|customer| self.books.get(&customer))
    }

    pub(super) fn book(&self, target: &Target) -> Option<Book> {
        self.owned(target).cloned()
    }

    pub(super) fn customer(&self, target: &Target) -> Option<Customer> {
        self.owned(target).map(|book| book.customer.clone())
    }

    pub(super) fn customers(&self, page: PageRequest) -> Page<Customer> {
        let after = page.cursor.map_or(Bound::Unbounded, |cursor| {
            Bound::Excluded(CustomerId(cursor.0))
        });
        let books = self
            .books
            .range((after, Bound::Unbounded))
            .map(|(_, book)| book.customer.clone());
        rising(books, page, |customer| customer.id.0)
    }

    pub(super) fn wallet(&self, id: WalletId) -> Option<Wallet> {
        let book = self.owned(&Target::Wallet(id))?;
        book.wallets.iter().find(|wallet| wallet.id == id).cloned()
    }

    pub(super) fn wallets(&self, customer: CustomerId) -> Vec<Wallet> {
        self.books
            .get(&customer)
            .map_or_else(Vec::new, |book| book.wallets.clone())
    }

    fn find_lot(&self, id: LotId) -> Option<&Lot> {
        let live = self
            .owned(&Target::Lot(id))?
            .lots
            .iter()
            .find(|lot| lot.id == id);
        live.or_else(|| self.past_lots.get(&id))
    }

    pub(super) fn lot(&self, id: LotId) -> Option<(CustomerId, Lot)> {
        self.lots.get(&id).copied().zip(self.find_lot(id).cloned())
    }

    pub(super) fn lots(&self, filter: LotFilter, page: PageRequest) -> Page<Lot> {
        let after = page
            .cursor
            .map_or(Bound::Unbounded, |cursor| Bound::Excluded(LotId(cursor.0)));
        let lots = self
            .lots
            .range((after, Bound::Unbounded))
            .filter(|(_, customer)| !matches!(filter, LotFilter::Customer(wanted) if wanted != **customer))
            .filter_map(|(id, _)| self.find_lot(*id))
            .filter(|lot| !matches!(filter, LotFilter::Wallet(wanted) if wanted != lot.wallet))
            .cloned();
        rising(lots, page, |lot| lot.id.0)
    }

    fn find_lease(&self, id: LeaseId) -> Option<&Lease> {
        let live = self
            .owned(&Target::Lease(id))?
            .leases
            .iter()
            .find(|lease| lease.id == id);
        live.or_else(|| self.past_leases.get(&id))
    }

    pub(super) fn lease(&self, id: LeaseId) -> Option<(CustomerId, Lease)> {
        self.leases
            .get(&id)
            .copied()
            .zip(self.find_lease(id).cloned())
    }

    pub(super) fn leases(
        &self,
        filter: LeaseFilter,
        page: PageRequest,
    ) -> Page<(CustomerId, Lease)> {
        let before = page.cursor.map_or(Bound::Unbounded, |cursor| {
            Bound::Excluded(LeaseId(cursor.0))
        });
        let leases = self
            .leases
            .range((Bound::Unbounded, before))
            .rev()
            .filter(|(_, customer)| filter.customer.is_none_or(|wanted| wanted == **customer))
            .filter_map(|(id, customer)| self.find_lease(*id).map(|lease| (*customer, lease)))
            .filter(|(_, lease)| {
                filter
                    .instance
                    .is_none_or(|wanted| wanted == lease.instance)
            })
            .filter(|(_, lease)| filter.state.is_none_or(|wanted| wanted == lease.state))
            .map(|(customer, lease)| (customer, lease.clone()));
        rising(leases, page, |(_, lease)| lease.id.0)
    }

    pub(super) fn entries(&self, filter: EntryFilter, page: PageRequest) -> Page<Entry> {
        let account = match filter {
            EntryFilter::Account(account) => Some(account),
            EntryFilter::Wallet(wallet) => self.wallet(wallet).map(|wallet| wallet.account),
            EntryFilter::Some { .. } | EntryFilter::Lot(_) => None,
        };
        let account = account.unwrap_or(AccountId(0));
        let first = (account, EntryId(0));
        let before = match page.cursor {
            Some(cursor) => Bound::Excluded((account, EntryId(cursor.0))),
            None => Bound::Included((account, EntryId(u128::MAX))),
        };
        let entries = self
            .entries
            .range((Bound::Included(first), before))
            .rev()
            .map(|(_, entry)| entry)
            .filter(|entry| match filter {
                EntryFilter::Account(_) => true,
                EntryFilter::Wallet(wallet) => self.concerns(entry, wallet),
                EntryFilter::Some { .. } | EntryFilter::Lot(_) => false,
            })
            .cloned();
        rising(entries, page, |entry| entry.id.0)
    }

    fn concerns(&self, entry: &Entry, wallet: WalletId) -> bool {
        let drew = |lot| self.find_lot(lot).is_some_and(|lot| lot.wallet == wallet);
        entry.wallet == Some(wallet) || entry.draws.iter().any(|draw| drew(draw.lot))
    }

    pub(super) fn key(&self, id: KeyId) -> Option<ConsumerKey> {
        let book = self
            .keys
            .get(&id)
            .and_then(|customer| self.books.get(customer))?;
        let live = book.keys.iter().find(|key| key.id == id);
        live.or_else(|| self.past_keys.get(&id)).cloned()
    }

    pub(super) fn keys(&self, customer: CustomerId, page: PageRequest) -> Page<ConsumerKey> {
        let after = page
            .cursor
            .map_or(Bound::Unbounded, |cursor| Bound::Excluded(KeyId(cursor.0)));
        let keys = self
            .keys
            .range((after, Bound::Unbounded))
            .filter(|(_, owner)| **owner == customer)
            .filter_map(|(id, _)| self.key(*id));
        rising(keys, page, |key| key.id.0)
    }

    pub(super) fn credential(&self, hash: &CredentialHash) -> Option<ConsumerKey> {
        let book = self.owned(&Target::Credential(*hash))?;
        book.keys.iter().find(|key| key.hash == *hash).cloned()
    }

    pub(super) fn changes(
        &self,
        instance: InstanceId,
        after: u64,
        limit: u32,
    ) -> Vec<(u64, CustomerId, AccountId, LeaseNumber)> {
        let first = (instance, after.saturating_add(1), LeaseId(0));
        let last = (instance, u64::MAX, LeaseId(u128::MAX));
        self.changes
            .range(first..=last)
            .filter_map(|(_, number, id)| {
                let (customer, lease) = (self.leases.get(id)?, self.find_lease(*id)?);
                Some((*number, *customer, lease.account, lease.number))
            })
            .take(limit as usize)
            .collect()
    }

    pub(super) fn last_change(&self) -> u64 {
        self.last_change
    }

    fn live_leases(&self) -> impl Iterator<Item = (CustomerId, &Lease)> {
        self.books
            .iter()
            .flat_map(|(id, book)| book.leases.iter().map(|lease| (*id, lease)))
    }

    pub(super) fn overdue(
        &self,
        instance: InstanceId,
        reported_before: Timestamp,
        limit: u32,
    ) -> Vec<AccountId> {
        let mut oldest: BTreeMap<AccountId, Timestamp> = BTreeMap::new();
        let held = self.live_leases().map(|(_, lease)| lease).filter(|lease| {
            lease.instance == instance
                && matches!(lease.state, LeaseState::Open | LeaseState::Draining)
                && lease.counters.outstanding() > Amount::ZERO
                && lease.reported_at < reported_before
        });
        for lease in held {
            let known = oldest.entry(lease.account).or_insert(lease.reported_at);
            *known = lease.reported_at.min(*known);
        }
        let rising: BTreeSet<_> = oldest
            .into_iter()
            .map(|(account, reported_at)| (reported_at, account))
            .collect();
        rising
            .into_iter()
            .map(|(_, account)| account)
            .take(limit as usize)
            .collect()
    }

    pub(super) fn outstanding_instances(&self) -> Vec<InstanceId> {
        let open = self
            .live_leases()
            .filter(|(_, lease)| lease.state != LeaseState::Closed);
        let instances: BTreeSet<_> = open.map(|(_, lease)| lease.instance).collect();
        instances.into_iter().collect()
    }

    pub(super) fn lease_totals(&self) -> Vec<LeaseTotal> {
        let mut totals: BTreeMap<_, (u64, i128)> = BTreeMap::new();
        for (customer, lease) in self.live_leases() {
            let account = self
                .books
                .get(&customer)
                .and_then(|book| book.account(lease.account));
            let Some(account) = account.filter(|_| lease.state != LeaseState::Closed) else {
                continue;
            };
            let is_quarantined = lease.state == LeaseState::Quarantined;
            let total = totals
                .entry((account.currency, account.scale, is_quarantined))
                .or_default();
            total.0 = total.0.saturating_add(1);
            total.1 = total
                .1
                .saturating_add(lease.counters.outstanding().get().into());
        }
        let rising = totals.into_iter();
        rising
            .map(
                |((currency, scale, is_quarantined), (leases, outstanding))| LeaseTotal {
                    currency,
                    scale,
                    is_quarantined,
                    leases,
                    outstanding,
                },
            )
            .collect()
    }

    pub(super) fn leases_quarantined_before(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Vec<(CustomerId, LeaseId)> {
        let rising: BTreeSet<_> = self
            .live_leases()
            .filter(|(_, lease)| lease.state == LeaseState::Quarantined && lease.hold.is_none())
            .filter_map(|(customer, lease)| Some((lease.quarantined_at?, lease.id, customer)))
            .filter(|(since, _, _)| *since < before)
            .collect();
        rising
            .into_iter()
            .map(|(_, lease, customer)| (customer, lease))
            .take(limit as usize)
            .collect()
    }

    pub(super) fn next_instants(
        &self,
        after: Timestamp,
        limit: u32,
    ) -> Vec<(Timestamp, CustomerId)> {
        let all = self.books.iter().flat_map(|(id, book)| {
            let lots = book
                .lots
                .iter()
                .flat_map(|lot| [Some(lot.effective_at), lot.expires_at]);
            let keys = book.keys.iter().map(|key| key.expires_at);
            lots.chain(keys).flatten().map(|instant| (instant, *id))
        });
        let rising: BTreeSet<_> = all.filter(|(instant, _)| *instant > after).collect();
        let limit = limit as usize;
        let last = rising
            .iter()
            .nth(limit.saturating_sub(1))
            .map(|(instant, _)| *instant);
        rising
            .into_iter()
            .take_while(|(instant, _)| last.is_none_or(|last| *instant <= last))
            .collect()
    }

    /// Nothing in memory is damaged; the books themselves are checked by all alike.
    pub(super) fn self_check(&self) -> Vec<Finding> {
        Vec::new()
    }
}

fn rising<T>(
    items: impl Iterator<Item = T>,
    page: PageRequest,
    id: impl Fn(&T) -> u128,
) -> Page<T> {
    Page::cut(
        items
            .take((page.limit as usize).saturating_add(1))
            .collect(),
        page.limit,
        id,
    )
}
