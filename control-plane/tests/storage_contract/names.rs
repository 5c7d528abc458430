//! The operator's names: each is of one row, whoever's, and leads to it.

use creditgate::storage::{BookChange, ChangeSet, Reader, Storage, StorageError, Target};
use creditgate_ledger::Book;
use creditgate_ledger::grant::GrantScope;

use crate::desk::{Backend, Desk};
use crate::fill::Fill;
use crate::world::World;

crate::on_every_backend!(
    names_lead_to_their_rows,
    name_of_another_row_is_a_conflict,
    name_asked_for_twice_in_one_batch_is_a_conflict,
    name_that_was_given_up_is_free,
    plans_and_endpoints_have_names_of_their_own,
    application_of_a_grant_happens_once,
    account_is_one_for_each_currency_and_scope,
    what_is_only_added_is_added_once,
);

fn names_lead_to_their_rows<B: Backend>(mut desk: Desk<B>) {
    let world = World::make(&mut desk, 11, true);
    let reader = desk.reader();
    for book in &world.books {
        let owned = |target: &Target| {
            let found = reader.customer(target).unwrap().map(|row| row.id);
            assert_eq!(found, Some(book.customer.id), "{target:?}");
        };
        let name = |name: &Option<String>| name.clone().unwrap();
        for row in &book.wallets {
            owned(&Target::WalletName(name(&row.external_id)));
        }
        for row in &book.lots {
            owned(&Target::LotName(name(&row.external_id)));
        }
        for row in &book.subscriptions {
            let target = Target::SubscriptionName(name(&row.external_id));
            owned(&target);
            assert_eq!(reader.subscription(&target).unwrap().as_ref(), Some(row));
        }
        for row in &book.grants {
            let target = Target::GrantName(name(&row.external_id));
            owned(&target);
            assert_eq!(reader.grant(&target).unwrap().as_ref(), Some(row));
        }
    }
    // A plan's grant is found, but is no customer's.
    for row in &world.registry.plan_grants {
        let by_name = Target::GrantName(row.external_id.clone().unwrap());
        assert_eq!(reader.grant(&by_name).unwrap().as_ref(), Some(row));
        assert!(reader.customer(&by_name).unwrap().is_none());
        assert!(reader.customer(&Target::Grant(row.id)).unwrap().is_none());
    }
    let unknown = "nobody".to_owned();
    for target in [
        Target::WalletName(unknown.clone()),
        Target::LotName(unknown.clone()),
        Target::SubscriptionName(unknown.clone()),
        Target::GrantName(unknown),
    ] {
        assert!(reader.customer(&target).unwrap().is_none());
        assert!(reader.subscription(&target).unwrap().is_none());
        assert!(reader.grant(&target).unwrap().is_none());
    }
}

/// Changes a customer's book as loaded, and commits.
fn change<B: Backend>(
    desk: &mut Desk<B>,
    book: &Book,
    change: impl FnOnce(&mut Book),
) -> Result<u64, String> {
    let target = Target::Customer(book.customer.id);
    let before = desk.load(&[target]).books.pop().unwrap();
    let mut after = before.clone();
    change(&mut after);
    let books = vec![BookChange {
        before: Some(before),
        after,
    }];
    let answer = desk.backend.writer().commit(&ChangeSet {
        books,
        ..ChangeSet::default()
    });
    told(answer)
}

fn told(answer: Result<u64, StorageError>) -> Result<u64, String> {
    answer.map_err(|error| match error {
        StorageError::Conflict(what) => what,
        other => panic!("expected a conflict, got {other:?}"),
    })
}

/// A new row of each kind that has a name, as a change of a book.
type Naming = (&'static str, fn(&mut Fill, &mut Book, String));

const NAMINGS: [Naming; 4] = [
    ("a wallet of this external_id", |fill, book, name| {
        let mut row = fill.wallet(&book.accounts[0]);
        row.external_id = Some(name);
        book.wallets.push(row);
    }),
    ("a lot of this external_id", |fill, book, name| {
        let mut row = fill.lot(&book.wallets[0]);
        row.external_id = Some(name);
        book.lots.push(row);
    }),
    ("a subscription of this external_id", |fill, book, name| {
        let plan = book.subscriptions[0].plan;
        let mut row = fill.subscription(book.customer.id, plan);
        row.external_id = Some(name);
        book.subscriptions.push(row);
    }),
    ("a credit grant of this external_id", |fill, book, name| {
        let mut row = fill.grant(GrantScope::Customer(book.customer.id));
        row.external_id = Some(name);
        book.grants.push(row);
    }),
];

fn name_of_another_row_is_a_conflict<B: Backend>(mut desk: Desk<B>) {
    let mut world = World::make(&mut desk, 12, true);
    let other = world.books[1].clone();
    let names = |book: &Book, which: usize| match which {
        0 => book.wallets[0].external_id.clone(),
        // History has its names, too.
        1 => book
            .lots
            .iter()
            .find(|row| !row.is_live())
            .unwrap()
            .external_id
            .clone(),
        2 => book.subscriptions[0].external_id.clone(),
        _ => book.grants[0].external_id.clone(),
    };
    for (which, (what, add)) in NAMINGS.iter().enumerate() {
        let taken = names(&world.books[0], which).unwrap();
        let fill = &mut world.fill;
        let answer = change(&mut desk, &other, |book| add(fill, book, taken));
        assert_eq!(answer.unwrap_err(), *what);
        let free = fill.name();
        change(&mut desk, &other, |book| add(fill, book, free)).unwrap();
    }
    // A customer's grant and a plan's share their names.
    let taken = world.registry.plan_grants[0].external_id.clone().unwrap();
    let fill = &mut world.fill;
    let answer = change(&mut desk, &other, |book| NAMINGS[3].1(fill, book, taken));
    assert_eq!(answer.unwrap_err(), NAMINGS[3].0);
    let mut grant = fill.grant(world.registry.plan_grants[0].scope);
    grant.external_id = world.books[0].grants[0].external_id.clone();
    let answer = desk.change_registry(|registry| registry.plan_grants.push(grant));
    assert_eq!(told(answer).unwrap_err(), NAMINGS[3].0);
}

fn name_asked_for_twice_in_one_batch_is_a_conflict<B: Backend>(mut desk: Desk<B>) {
    let mut world = World::make(&mut desk, 13, true);
    let book = world.books[0].clone();
    for (what, add) in NAMINGS {
        let (fill, name) = (&mut world.fill, "same".to_owned());
        let answer = change(&mut desk, &book, |book| {
            add(fill, book, name.clone());
            add(fill, book, name);
        });
        assert_eq!(answer.unwrap_err(), what);
    }
}

fn name_that_was_given_up_is_free<B: Backend>(mut desk: Desk<B>) {
    let mut world = World::make(&mut desk, 14, true);
    let book = world.books[0].clone();
    let old = book.wallets[0].external_id.clone().unwrap();
    change(&mut desk, &book, |book| {
        book.wallets[0].external_id = Some("renamed".to_owned());
    })
    .unwrap();
    let by = |name: &str| Target::WalletName(name.to_owned());
    assert!(desk.reader().customer(&by(&old)).unwrap().is_none());
    assert!(desk.reader().customer(&by("renamed")).unwrap().is_some());
    let fill = &mut world.fill;
    let other = world.books[1].clone();
    change(&mut desk, &other, |book| {
        NAMINGS[0].1(fill, book, old.clone())
    })
    .unwrap();
    let found = desk.reader().customer(&by(&old)).unwrap().unwrap();
    assert_eq!(found.id, other.customer.id);
}

fn plans_and_endpoints_have_names_of_their_own<B: Backend>(mut desk: Desk<B>) {
    let mut world = World::make(&mut desk, 15, true);
    let (plan, endpoint) = (world.fill.plan(), world.fill.endpoint());
    let answer = desk.change_registry(|registry| {
        let external_id = registry.plans[0].external_id.clone();
        registry.plans.push(creditgate_ledger::plan::Plan {
            external_id,
            ..plan
        });
    });
    assert_eq!(told(answer).unwrap_err(), "a plan of this external_id");
    let answer = desk.change_registry(|registry| {
        let external_id = registry.endpoints[0].external_id.clone();
        registry
            .endpoints
            .push(creditgate_ledger::webhook::Endpoint {
                external_id,
                ..endpoint
            });
    });
    assert_eq!(
        told(answer).unwrap_err(),
        "a webhook endpoint of this external_id"
    );
}

fn application_of_a_grant_happens_once<B: Backend>(mut desk: Desk<B>) {
    let mut world = World::make(&mut desk, 16, true);
    for place in 0..world.books[0].applications.len() {
        let first = world.books[0].applications[place].clone();
        let id = creditgate_ledger::id::ApplicationId(world.fill.id());
        let book = world.books[0].clone();
        let second = creditgate_ledger::grant::Application { id, ..first };
        let answer = change(&mut desk, &book, |book| {
            book.applications.push(second.clone())
        });
        assert_eq!(answer.unwrap_err(), "this application of the credit grant");
        let occurrence = second.occurrence + 1;
        let next = creditgate_ledger::grant::Application {
            occurrence,
            ..second
        };
        change(&mut desk, &book, |book| book.applications.push(next)).unwrap();
    }
}

fn account_is_one_for_each_currency_and_scope<B: Backend>(mut desk: Desk<B>) {
    let mut world = World::make(&mut desk, 17, true);
    let book = world.books[0].clone();
    let (first, fresh) = (
        &book.accounts[0],
        world.fill.account(book.customer.id, None),
    );
    let second = creditgate_ledger::Account {
        currency: first.currency,
        scope: first.scope.clone(),
        ..fresh.clone()
    };
    let answer = change(&mut desk, &book, |book| book.accounts.push(second));
    let what = "the customer's account of this currency and scope";
    assert_eq!(answer.unwrap_err(), what);
    let general = creditgate_ledger::Account {
        currency: first.currency,
        scope: creditgate_ledger::Scope::general(),
        ..fresh
    };
    change(&mut desk, &book, |book| book.accounts.push(general)).unwrap();
}

fn what_is_only_added_is_added_once<B: Backend>(mut desk: Desk<B>) {
    let world = World::make(&mut desk, 18, true);
    let cases = [
        (
            ChangeSet {
                events: vec![world.events[0].clone()],
                ..ChangeSet::default()
            },
            "an event of this id",
        ),
        (
            ChangeSet {
                attempts: vec![world.attempts[0].clone()],
                ..ChangeSet::default()
            },
            "an attempt of this number",
        ),
        (
            ChangeSet {
                audit: vec![world.audit[0].clone()],
                ..ChangeSet::default()
            },
            "a line of the audit log of this id",
        ),
    ];
    for (changes, what) in cases {
        desk.load(&[]);
        let answer = desk.backend.writer().commit(&changes);
        assert_eq!(told(answer).unwrap_err(), what);
    }
    world.compare(desk.reader());
}
