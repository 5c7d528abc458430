//! Commits: everything is checked before anything is changed, so a conflict changes nothing.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use creditgate_ledger::grant::Application;
use creditgate_ledger::{Book, ConsumerKey, Lease, Registry};

use super::names;
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
            let scopes = after.accounts.iter();
            ensure(
                all_differ(scopes.map(|account| (account.currency, &account.scope))),
                Unique::AccountScope,
            )?;
            self.check_applications(after)?;
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
        let plan_grants = changes.registry.iter();
        let plan_grants = plan_grants.flat_map(|(_, after)| names::of_grants(&after.plan_grants));
        let books = changes.books.iter();
        let named = books.flat_map(|change| names::of_book(&change.after));
        self.names.check(named.chain(plan_grants))?;
        if let Some((_, after)) = &changes.registry {
            check_registry(after)?;
        }
        self.check_told(changes)?;
        let answered = changes
            .answers
            .iter()
            .any(|(key, _)| self.answers.contains_key(key));
        ensure(
            !answered && all_differ(changes.answers.iter().map(|(key, _)| key)),
            Unique::IdempotencyKey,
        )
    }

    fn check_applications(&self, book: &Book) -> Result<(), StorageError> {
        let place = |row: &Application| (row.grant, row.subscription, row.occurrence);
        let known = |row| self.occurrences.get(&place(row)).copied();
        let mut applications = book.applications.iter();
        let fresh = applications.all(|row| known(row).is_none_or(|known| known == row.id));
        ensure(
            fresh && all_differ(book.applications.iter().map(place)),
            Unique::ApplicationOnce,
        )
    }

    /// Whether what is only ever added would be added once.
    fn check_told(&self, changes: &ChangeSet) -> Result<(), StorageError> {
        adds(
            changes.entries.iter().map(|row| (row.account, row.number)),
            |place| self.entries.contains_key(place),
            Unique::Entry,
        )?;
        adds(
            changes.events.iter().map(|row| row.id),
            |id| self.events.contains_key(id),
            Unique::Event,
        )?;
        adds(
            changes
                .attempts
                .iter()
                .map(|row| (row.delivery, row.number)),
            |place| self.attempts.contains_key(place),
            Unique::Attempt,
        )?;
        adds(
            changes.audit.iter().map(|row| row.id),
            |id| self.audit.contains_key(id),
            Unique::AuditRecord,
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
            self.put_pricings(change);
            let before = change.before.iter().flat_map(names::of_book);
            self.names.change(before, names::of_book(&change.after));
            self.put(change.after.clone());
        }
        if let Some((before, after)) = &changes.registry {
            self.put_registry(before, after);
        }
        self.tell(changes);
        self.answers.extend(changes.answers.iter().cloned());
        if let Some(before) = changes.forget_answers_before {
            self.answers.retain(|_, answer| answer.created_at >= before);
        }
        if let Some(before) = changes.forget_events_before {
            self.forget_events(before);
        }
        self.add_usage(&changes.usage);
        if let Some(forget) = changes.forget_usage {
            self.forget_usage(forget);
        }
        self.last_change
    }

    fn put_registry(&mut self, before: &Registry, after: &Registry) {
        for card in &after.rate_cards {
            let place = (card.head.name.clone(), card.head.version);
            self.rate_cards.insert(place, card.clone());
        }
        let (before, named) = (&before.plan_grants, &after.plan_grants);
        self.names
            .change(names::of_grants(before), names::of_grants(named));
        let grants = after.plan_grants.iter();
        self.grants
            .extend(grants.map(|grant| (grant.id, (None, grant.clone()))));
        let mut registry = after.clone();
        registry
            .endpoints
            .retain(|endpoint| endpoint.deleted_at.is_none());
        let versions = self.rate_cards.values();
        let newest: HashMap<&str, u64> = versions
            .map(|card| (card.head.name.as_str(), card.head.version))
            .collect();
        registry.rate_cards.retain(|card| {
            card.is_live() || newest.get(card.head.name.as_str()) == Some(&card.head.version)
        });
        registry
            .rate_cards
            .sort_by_key(|card| (card.head.name.clone(), card.head.version));
        registry.plans.sort_by_key(|plan| plan.id);
        registry.plan_grants.sort_by_key(|grant| grant.id);
        registry.endpoints.sort_by_key(|endpoint| endpoint.id);
        self.registry = Arc::new(registry);
    }

    fn tell(&mut self, changes: &ChangeSet) {
        let entries = changes.entries.iter();
        self.entries
            .extend(entries.map(|row| ((row.account, row.number), row.clone())));
        let events = changes.events.iter();
        self.events.extend(events.map(|row| (row.id, row.clone())));
        let deliveries = changes.deliveries.iter();
        self.deliveries
            .extend(deliveries.map(|row| (row.id, row.clone())));
        let attempts = changes.attempts.iter();
        self.attempts
            .extend(attempts.map(|row| ((row.delivery, row.number), row.clone())));
        let audit = changes.audit.iter();
        self.audit.extend(audit.map(|row| (row.id, row.clone())));
    }

    fn forget_keys(&mut self, change: &BookChange) {
        let before = change.before.iter().flat_map(|before| &before.keys);
        for key in before.filter(|key| change.after.keys.iter().all(|kept| kept.id != key.id)) {
            self.keys.remove(&key.id);
            self.hashes.remove(&key.hash);
        }
    }

    fn put_pricings(&mut self, BookChange { before, after }: &BookChange) {
        let nothing = Book::of(after.customer.clone());
        let new = live::new_pricings(before.as_ref().unwrap_or(&nothing), after);
        let rows = new.map(|row| ((after.customer.id, row.version), row.clone()));
        self.pricings.extend(rows);
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
        self.put_terms(&mut book);
        book.replaced_pricings.clear();
        live::sort(&mut book);
        self.books.insert(id, book);
    }

    fn put_terms(&mut self, book: &mut Book) {
        let id = book.customer.id;
        let claims = book.claims.iter();
        self.claims
            .extend(claims.map(|row| (row.id, (id, row.clone()))));
        let subscriptions = book.subscriptions.iter();
        self.subscriptions
            .extend(subscriptions.map(|row| (row.id, row.clone())));
        let grants = book.grants.iter();
        self.grants
            .extend(grants.map(|row| (row.id, (Some(id), row.clone()))));
        for row in &book.applications {
            let place = (row.grant, row.subscription, row.occurrence);
            self.occurrences.insert(place, row.id);
            self.applications.insert(row.id, row.clone());
        }
        book.claims.retain(live::is_live_claim);
        book.subscriptions.retain(live::is_live_subscription);
        let subscriptions = &book.subscriptions;
        book.grants
            .retain(|grant| live::is_live_grant(grant, subscriptions));
        book.schedules.retain(live::is_live_schedule);
        book.applications.retain(live::is_live_application);
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
        all_differ(
            registry
                .rate_cards
                .iter()
                .map(|card| (&card.head.name, card.head.version)),
        ),
        Unique::RateCardVersion,
    )?;
    ensure(
        all_differ(registry.plans.iter().map(|plan| &plan.external_id)),
        Unique::PlanExternalId,
    )?;
    let endpoints = registry.endpoints.iter();
    let endpoints = endpoints.filter(|endpoint| endpoint.deleted_at.is_none());
    ensure(
        all_differ(endpoints.filter_map(|endpoint| endpoint.external_id.as_ref())),
        Unique::EndpointExternalId,
    )
}

/// Whether rows that are only ever added are new.
fn adds<T: Eq + Hash>(
    rows: impl Iterator<Item = T> + Clone,
    is_known: impl Fn(&T) -> bool,
    unique: Unique,
) -> Result<(), StorageError> {
    let known = rows.clone().any(|row| is_known(&row));
    ensure(!known && all_differ(rows), unique)
}

fn all_differ<T: Eq + Hash>(mut items: impl Iterator<Item = T>) -> bool {
    let mut seen = HashSet::new();
    items.all(|item| seen.insert(item))
}

fn ensure(holds: bool, unique: Unique) -> Result<(), StorageError> {
    if holds { Ok(()) } else { Err(unique.into()) }
}
