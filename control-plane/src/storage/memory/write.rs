//! Commits: everything is checked before anything is changed, so a conflict changes nothing.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use creditgate_ledger::{Book, ConsumerKey, Lease, Registry};

use super::tables::Tables;
use crate::storage::unique::Unique;
use crate::storage::{BookChange, ChangeSet, NamedLease, StorageError, live};

impl Tables {
    /// Whether all that must be unique would still be.
    pub(super) fn check(&self, changes: &ChangeSet) -> Result<(), StorageError> {
        let mut names = HashSet::new();
        let mut hashes = HashMap::new();
        let mut leases = HashMap::new();
        for BookChange { before, after } in &changes.books {
            let id = after.customer.id;
            let taken = self
                .by_external_id
                .get(&after.customer.external_id)
                .is_some_and(|known| *known != id);
            ensure(
                before.is_some() || !self.books.contains_key(&id),
                Unique::Customer,
            )?;
            ensure(
                !taken && names.insert(&after.customer.external_id),
                Unique::CustomerExternalId,
            )?;
            ensure(
                all_differ(after.accounts.iter().map(|account| account.currency)),
                Unique::AccountCurrency,
            )?;
            for key in &after.keys {
                let known = self.hashes.get(&key.hash).copied().unwrap_or(key.id);
                let first = *hashes.entry(key.hash).or_insert(key.id);
                ensure(known == key.id && first == key.id, Unique::Credential)?;
            }
            for lease in &after.leases {
                let known = self
                    .lease_names
                    .get(&named(lease))
                    .copied()
                    .unwrap_or(lease.id);
                let first = *leases.entry(named(lease)).or_insert(lease.id);
                ensure(known == lease.id && first == lease.id, Unique::LeaseNumber)?;
            }
        }
        if let Some((_, after)) = &changes.registry {
            check_registry(after)?;
        }
        let entries = changes
            .entries
            .iter()
            .map(|entry| (entry.account, entry.id));
        let known = changes
            .entries
            .iter()
            .any(|entry| self.entries.contains_key(&(entry.account, entry.id)));
        ensure(!known && all_differ(entries), Unique::Entry)?;
        let answered = changes
            .answers
            .iter()
            .any(|(key, _)| self.answers.contains_key(key));
        ensure(
            !answered && all_differ(changes.answers.iter().map(|(key, _)| key)),
            Unique::IdempotencyKey,
        )
    }

    /// Writes; answers the largest change number.
    pub(super) fn apply(&mut self, changes: &ChangeSet) -> u64 {
        self.generation = self.generation.saturating_add(1);
        for change in &changes.books {
            self.forget_keys(change);
        }
        for change in &changes.books {
            self.number_changes(change);
            self.put(change.after.clone());
        }
        if let Some((_, after)) = &changes.registry {
            for card in &after.rate_cards {
                self.rate_cards
                    .entry((card.name.clone(), card.version))
                    .or_insert_with(|| card.clone());
            }
            self.registry = Arc::new(after.clone());
        }
        let entries = changes
            .entries
            .iter()
            .map(|entry| ((entry.account, entry.id), entry.clone()));
        self.entries.extend(entries);
        self.answers.extend(changes.answers.iter().cloned());
        if let Some(before) = changes.forget_answers_before {
            self.answers.retain(|_, answer| answer.created_at >= before);
        }
        self.last_change
    }

    fn forget_keys(&mut self, change: &BookChange) {
        let before = change.before.iter().flat_map(|before| &before.keys);
        for key in before.filter(|key| change.after.keys.iter().all(|kept| kept.id != key.id)) {
            self.keys.remove(&key.id);
            self.hashes.remove(&key.hash);
        }
    }

    fn number_changes(&mut self, change: &BookChange) {
        let before = change
            .before
            .as_ref()
            .map_or([].as_slice(), |before| &before.leases);
        let before: HashMap<_, _> = before
            .iter()
            .map(|lease| (lease.id, lease.pushes))
            .collect();
        for lease in &change.after.leases {
            if lease.pushes == before.get(&lease.id).copied().unwrap_or(0) {
                continue;
            }
            self.last_change = self.last_change.saturating_add(1);
            if let Some(older) = self.change_of.insert(lease.id, self.last_change) {
                self.changes.remove(&(lease.instance, older, lease.id));
            }
            self.changes
                .insert((lease.instance, self.last_change, lease.id));
        }
    }

    /// Takes in a book: indexes it, moves what is no longer live to history.
    fn put(&mut self, mut book: Book) {
        let id = book.customer.id;
        self.by_external_id
            .insert(book.customer.external_id.clone(), id);
        self.accounts
            .extend(book.accounts.iter().map(|account| (account.id, id)));
        self.wallets
            .extend(book.wallets.iter().map(|wallet| (wallet.id, id)));
        self.lots.extend(book.lots.iter().map(|lot| (lot.id, id)));
        self.leases
            .extend(book.leases.iter().map(|lease| (lease.id, id)));
        self.lease_names
            .extend(book.leases.iter().map(|lease| (named(lease), lease.id)));
        self.keys.extend(book.keys.iter().map(|key| (key.id, id)));
        self.hashes
            .extend(book.keys.iter().map(|key| (key.hash, key.id)));
        let past = book.lots.extract_if(.., |lot| !lot.is_live());
        self.past_lots.extend(past.map(|lot| (lot.id, lot)));
        let past = book
            .leases
            .extract_if(.., |lease| !live::is_live_lease(lease));
        self.past_leases.extend(past.map(|lease| (lease.id, lease)));
        let past = book
            .keys
            .extract_if(.., |key: &mut ConsumerKey| !live::is_live_key(key));
        self.past_keys.extend(past.map(|key| (key.id, key)));
        live::sort(&mut book);
        self.books.insert(id, book);
    }
}

fn named(lease: &Lease) -> NamedLease {
    NamedLease {
        account: lease.account,
        instance: lease.instance,
        number: lease.number,
    }
}

fn check_registry(registry: &Registry) -> Result<(), StorageError> {
    ensure(
        all_differ(registry.currencies.iter().map(|currency| currency.code)),
        Unique::Currency,
    )?;
    ensure(
        all_differ(registry.gateways.iter().map(|gateway| &gateway.external_id)),
        Unique::GatewayExternalId,
    )?;
    ensure(
        all_differ(registry.gateway_keys.iter().map(|key| key.hash)),
        Unique::GatewayCredential,
    )?;
    ensure(
        all_differ(registry.operator_keys.iter().map(|key| key.hash)),
        Unique::OperatorCredential,
    )?;
    ensure(
        all_differ(registry.instances.iter().map(|instance| instance.id)),
        Unique::Instance,
    )?;
    ensure(
        all_differ(registry.rate_cards.iter().map(|card| &card.name)),
        Unique::RateCardVersion,
    )
}

fn all_differ<T: Eq + Hash>(mut items: impl Iterator<Item = T>) -> bool {
    let mut seen = HashSet::new();
    items.all(|item| seen.insert(item))
}

fn ensure(holds: bool, unique: Unique) -> Result<(), StorageError> {
    if holds { Ok(()) } else { Err(unique.into()) }
}
