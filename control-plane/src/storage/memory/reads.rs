//! Looks at the tables. Plain scans where a database has an index: what is in memory is small.

use std::ops::Bound;
use std::sync::Arc;

use creditgate_core::key::CredentialHash;
use creditgate_ledger::id::{CustomerId, KeyId, WalletId};
use creditgate_ledger::pricing::{PricingHead, PricingVersion};
use creditgate_ledger::rate_card::{RateCardHead, RateCardVersion};
use creditgate_ledger::verify::Finding;
use creditgate_ledger::{Book, ConsumerKey, Customer, Registry, Wallet};

use super::tables::Tables;
use crate::storage::Target;
use crate::storage::{CustomerFilter, Page, PageRequest, WalletFilter};

impl Tables {
    pub(super) fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry)
    }

    pub(super) fn rate_card_versions(&self, name: &str, page: PageRequest) -> Page<RateCardHead> {
        let below = page.cursor.map_or(u128::MAX, |cursor| cursor.0);
        let versions = self.rate_cards.values().rev();
        let versions = versions.filter(|card| card.head.name == name);
        let heads = versions.map(|card| card.head.clone());
        let heads = heads.filter(|head| u128::from(head.version) < below);
        let wanted = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let heads = heads.take(wanted.saturating_add(1)).collect();
        Page::cut(heads, page.limit, |head| head.version.into())
    }

    pub(super) fn rate_card(&self, name: &str, version: u64) -> Option<RateCardVersion> {
        self.rate_cards.get(&(name.to_owned(), version)).cloned()
    }

    pub(super) fn pricing(&self, customer: CustomerId, version: u32) -> Option<PricingVersion> {
        self.pricings.get(&(customer, version)).cloned()
    }

    pub(super) fn pricing_versions(
        &self,
        customer: CustomerId,
        page: PageRequest,
    ) -> Page<PricingHead> {
        let below = page.cursor.map_or(u128::MAX, |cursor| cursor.0);
        let versions = self.pricings.range((customer, 0)..=(customer, u32::MAX));
        let heads = versions.rev().map(|(_, pricing)| pricing.head());
        let heads = heads.filter(|head| u128::from(head.version) < below);
        rising(heads, page, |head| head.version.into())
    }

    pub(super) fn owned(&self, target: &Target) -> Option<&Book> {
        self.owner(target)
            .and_then(|customer| self.books.get(&customer))
    }

    pub(super) fn book(&self, target: &Target) -> Option<Book> {
        self.owned(target).cloned()
    }

    pub(super) fn customer(&self, target: &Target) -> Option<Customer> {
        self.owned(target).map(|book| book.customer.clone())
    }

    pub(super) fn customers(&self, filter: CustomerFilter, page: PageRequest) -> Page<Customer> {
        let after = page.cursor.map_or(Bound::Unbounded, |cursor| {
            Bound::Excluded(CustomerId(cursor.0))
        });
        let customers = self
            .books
            .range((after, Bound::Unbounded))
            .map(|(_, book)| &book.customer)
            .filter(|customer| filter.status.is_none_or(|of| of == customer.status))
            .filter(|customer| filter.mode.is_none_or(|of| of == customer.mode))
            .cloned();
        rising(customers, page, |customer| customer.id.0)
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

    pub(super) fn wallet_list(&self, filter: WalletFilter, page: PageRequest) -> Page<Wallet> {
        let after = page.cursor.map_or(0, |cursor| cursor.0);
        let mut wallets: Vec<_> = self.books.values().flat_map(|book| &book.wallets).collect();
        wallets.sort_by_key(|wallet| wallet.id);
        let wallets = wallets
            .into_iter()
            .filter(|wallet| page.cursor.is_none() || wallet.id.0 > after)
            .filter(|wallet| filter.customer.is_none_or(|of| of == wallet.customer))
            .filter(|wallet| filter.currency.is_none_or(|of| of == wallet.currency))
            .filter(|wallet| filter.status.is_none_or(|of| of == wallet.status))
            .cloned();
        rising(wallets, page, |wallet| wallet.id.0)
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

    /// Nothing in memory is damaged; the books themselves are checked by all alike.
    pub(super) fn self_check(&self) -> Vec<Finding> {
        Vec::new()
    }
}

/// A page of what comes in the order of the list.
pub(super) fn rising<T>(
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
