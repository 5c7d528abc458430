//! A stored world of which every row is known: what a test compares answers with.

use creditgate::storage::{BookChange, ChangeSet, Reader, Storage, Target};
use creditgate_ledger::audit::AuditRecord;
use creditgate_ledger::grant::{Grant, GrantScope};
use creditgate_ledger::id::CustomerId;
use creditgate_ledger::pricing::PricingVersion;
use creditgate_ledger::subscription::SubscriptionStatus;
use creditgate_ledger::webhook::{Attempt, Delivery};
use creditgate_ledger::{Book, Entry, Event, Registry};

use crate::desk::{Backend, Desk};
use crate::fill::Fill;

/// All rows that were written, history too.
pub(crate) struct World {
    pub(crate) fill: Fill,
    /// With rows that are not live.
    pub(crate) books: Vec<Book>,
    pub(crate) registry: Registry,
    pub(crate) entries: Vec<Entry>,
    pub(crate) events: Vec<Event>,
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) audit: Vec<AuditRecord>,
}

impl World {
    pub(crate) fn make<B: Backend>(desk: &mut Desk<B>, seed: u64, full: bool) -> Self {
        let mut fill = Fill::new(seed, full);
        let before = desk.load(&[]).registry;
        let mut registry = Registry::clone(&before);
        for _ in 0..3 {
            let plan = fill.plan();
            registry
                .plan_grants
                .push(fill.grant(GrantScope::Plan(plan.id)));
            registry
                .plan_grants
                .push(fill.grant(GrantScope::Plan(plan.id)));
            registry.plans.push(plan);
            registry.endpoints.push(fill.endpoint());
        }
        let mut books: Vec<Book> = (0..3).map(|n| desk.new_book(&format!("c{n}"))).collect();
        for book in &mut books {
            add_credit(&mut fill, book);
            add_terms(&mut fill, book, &registry);
            book.pricing = fill.maybe(Fill::pricing);
        }
        let mut world = Self {
            fill,
            books,
            registry,
            entries: Vec::new(),
            events: Vec::new(),
            deliveries: Vec::new(),
            attempts: Vec::new(),
            audit: Vec::new(),
        };
        world.add_told();
        let books = world.books.iter().cloned();
        let changes = ChangeSet {
            books: books
                .map(|after| BookChange {
                    before: None,
                    after,
                })
                .collect(),
            registry: Some((before, world.registry.clone())),
            entries: world.entries.clone(),
            events: world.events.clone(),
            deliveries: world.deliveries.clone(),
            attempts: world.attempts.clone(),
            audit: world.audit.clone(),
            ..ChangeSet::default()
        };
        desk.backend.writer().commit(&changes).unwrap();
        world
    }

    fn add_told(&mut self) {
        let fill = &mut self.fill;
        let customers: Vec<CustomerId> = self.books.iter().map(|book| book.customer.id).collect();
        for book in &mut self.books {
            let lots = &book.lots;
            let account = &mut book.accounts[0];
            account.chain = creditgate_ledger::chain::Chain::default();
            let own: Vec<_> = lots
                .iter()
                .filter(|lot| lot.account == account.id)
                .collect();
            for n in 0..30 {
                self.entries.push(fill.entry(account, own[n % own.len()]));
            }
        }
        for _ in 0..20 {
            let event = fill.event(&customers);
            for endpoint in &self.registry.endpoints {
                let delivery = fill.delivery(&event, endpoint.id);
                for number in 1..4 {
                    self.attempts.push(fill.attempt(delivery.id, number));
                }
                self.deliveries.push(delivery);
            }
            self.events.push(event);
            self.audit.push(fill.audit(&customers));
        }
    }

    /// What a customer's book must hold: of all rows, those that are live.
    pub(crate) fn live(&self, place: usize) -> Book {
        let mut book = self.books[place].clone();
        book.lots.retain(creditgate_ledger::Lot::is_live);
        book.claims.retain(|claim| claim.closed_at.is_none());
        book.subscriptions
            .retain(|row| row.status != SubscriptionStatus::Cancelled);
        let goes_on: Vec<_> = book.subscriptions.iter().map(|row| row.id).collect();
        book.grants.retain(|grant| {
            let ended =
                matches!(grant.scope, GrantScope::Subscription(id) if !goes_on.contains(&id));
            grant.archived_at.is_none() && !ended
        });
        book.schedules.retain(|schedule| schedule.next_at.is_some());
        book.applications.retain(|row| row.retry_at.is_some());
        book.schedules
            .sort_by_key(|schedule| (schedule.grant, schedule.subscription));
        book
    }

    /// Grants of all scopes.
    pub(crate) fn grants(&self) -> Vec<&Grant> {
        let of_books = self.books.iter().flat_map(|book| &book.grants);
        let mut all: Vec<_> = of_books.chain(&self.registry.plan_grants).collect();
        all.sort_by_key(|grant| grant.id);
        all
    }

    /// Changes every live row, and commits that.
    pub(crate) fn change<B: Backend>(&mut self, desk: &mut Desk<B>) {
        let targets: Vec<Target> = (0..self.books.len())
            .map(|place| Target::Customer(self.books[place].customer.id))
            .collect();
        let loaded = desk.load(&targets).books;
        let mut changes = ChangeSet::default();
        for (place, before) in loaded.into_iter().enumerate() {
            assert_eq!(before, self.live(place));
            let mut after = before.clone();
            change_rows(&mut self.fill, &mut after);
            self.books[place].keep(&after);
            changes.books.push(BookChange {
                before: Some(before),
                after,
            });
        }
        desk.backend.writer().commit(&changes).unwrap();
    }

    /// Holds everything that is stored against what was written.
    pub(crate) fn compare(&self, reader: &impl Reader) {
        assert_eq!(*reader.registry().unwrap(), self.registry);
        for (place, book) in self.books.iter().enumerate() {
            let target = Target::Customer(book.customer.id);
            assert_eq!(reader.book(&target).unwrap(), Some(self.live(place)));
            let customer = book.customer.id;
            for row in &book.wallets {
                assert_eq!(reader.wallet(row.id).unwrap().as_ref(), Some(row));
            }
            for row in &book.lots {
                let found = reader.lot(row.id).unwrap();
                assert_eq!(found, Some((customer, row.clone())));
            }
            for row in &book.claims {
                assert_eq!(reader.claim(row.id).unwrap().as_ref(), Some(row));
            }
            for row in &book.subscriptions {
                let found = reader.subscription(&Target::Subscription(row.id)).unwrap();
                assert_eq!(found.as_ref(), Some(row));
            }
            for row in &book.applications {
                assert_eq!(reader.application(row.id).unwrap().as_ref(), Some(row));
            }
        }
        for row in self.grants() {
            let found = reader.grant(&Target::Grant(row.id)).unwrap();
            assert_eq!(found.as_ref(), Some(row));
        }
        for row in &self.events {
            assert_eq!(reader.event(row.id).unwrap().as_ref(), Some(row));
        }
        for row in &self.deliveries {
            assert_eq!(reader.delivery(row.id).unwrap().as_ref(), Some(row));
            let attempts = self.attempts.iter().filter(|try_| try_.delivery == row.id);
            let expected: Vec<_> = attempts.cloned().collect();
            assert_eq!(reader.attempts(row.id).unwrap(), expected);
        }
    }
}

trait Keep {
    fn keep(&mut self, after: &Self);
}

/// Rows of `after` in the place of those of the same id.
fn put<T: Clone, K: PartialEq>(rows: &mut [T], after: &[T], id: impl Fn(&T) -> K) {
    for row in after {
        let place = rows.iter().position(|old| id(old) == id(row)).unwrap();
        rows[place] = row.clone();
    }
}

impl Keep for Book {
    fn keep(&mut self, after: &Self) {
        self.customer = after.customer.clone();
        self.pricing = after.pricing.clone();
        put(&mut self.accounts, &after.accounts, |row| row.id);
        put(&mut self.wallets, &after.wallets, |row| row.id);
        put(&mut self.lots, &after.lots, |row| row.id);
        put(&mut self.claims, &after.claims, |row| row.id);
        put(&mut self.subscriptions, &after.subscriptions, |row| row.id);
        put(&mut self.grants, &after.grants, |row| row.id);
        put(&mut self.schedules, &after.schedules, |row| {
            (row.grant, row.subscription)
        });
        put(&mut self.applications, &after.applications, |row| row.id);
    }
}

fn add_credit(fill: &mut Fill, book: &mut Book) {
    for _ in 0..2 {
        let account = fill.account(book.customer.id, None);
        for _ in 0..2 {
            let wallet = fill.wallet(&account);
            for _ in 0..5 {
                book.lots.push(fill.lot(&wallet));
                book.claims.push(fill.claim(&wallet, None));
            }
            book.wallets.push(wallet);
        }
        book.accounts.push(account);
    }
}

fn add_terms(fill: &mut Fill, book: &mut Book, registry: &Registry) {
    let customer = book.customer.id;
    let paid = (book.wallets[0].id, book.lots[0].id);
    let mut grants = vec![(fill.grant(GrantScope::Customer(customer)), None)];
    for n in 0..5 {
        let plan = registry.plans[n % registry.plans.len()].id;
        let subscription = fill.subscription(customer, plan);
        let scope = GrantScope::Subscription(subscription.id);
        grants.push((fill.grant(scope), Some(subscription.id)));
        let of_plan = &registry.plan_grants[n];
        book.schedules
            .push(fill.schedule(of_plan.id, Some(subscription.id)));
        book.subscriptions.push(subscription);
    }
    for (grant, subscription) in grants {
        let schedule = fill.schedule(grant.id, subscription);
        for _ in 0..3 {
            let application = fill.application(customer, &schedule, paid);
            book.applications.push(application);
        }
        book.schedules.push(schedule);
        book.grants.push(grant);
    }
}

/// Draws every row anew, but for its id and what never changes.
fn change_rows(fill: &mut Fill, book: &mut Book) {
    let customer = book.customer.id;
    book.customer.name = fill.maybe(Fill::text);
    let version = book.pricing.as_ref().map_or(1, |before| before.version + 1);
    book.pricing = Some(PricingVersion {
        version,
        ..fill.pricing()
    });
    for row in &mut book.accounts {
        *row = fill.account(customer, Some(row));
    }
    for row in &mut book.wallets {
        let account = book
            .accounts
            .iter()
            .find(|account| account.id == row.account);
        let fresh = fill.wallet(account.unwrap());
        *row = creditgate_ledger::Wallet {
            id: row.id,
            ..fresh
        };
    }
    for row in &mut book.lots {
        let wallet = book.wallets.iter().find(|wallet| wallet.id == row.wallet);
        let fresh = fill.lot(wallet.unwrap());
        *row = creditgate_ledger::Lot {
            id: row.id,
            ..fresh
        };
    }
    for row in &mut book.claims {
        *row = fill.claim(&book.wallets[0], Some(row));
    }
    for row in &mut book.subscriptions {
        let fresh = fill.subscription(customer, row.plan);
        *row = creditgate_ledger::subscription::Subscription {
            id: row.id,
            ..fresh
        };
    }
    for row in &mut book.grants {
        let fresh = fill.grant(row.scope);
        *row = Grant {
            id: row.id,
            ..fresh
        };
    }
    let paid = (book.wallets[0].id, book.lots[0].id);
    for row in &mut book.applications {
        let schedule = fill.schedule(row.grant, row.subscription);
        let fresh = fill.application(customer, &schedule, paid);
        *row = creditgate_ledger::grant::Application {
            id: row.id,
            ..fresh
        };
    }
    for row in &mut book.schedules {
        *row = fill.schedule(row.grant, row.subscription);
    }
}
