//! Every field of every row comes back as it was written, also after a change.

use creditgate::storage::{BookChange, ChangeSet, Reader, Storage, Target};
use creditgate_ledger::webhook::EndpointStatus;

use crate::desk::{Backend, Desk};
use crate::world::World;

crate::on_every_backend!(
    rows_come_back_as_they_were_written,
    changed_rows_come_back_as_they_were_changed,
    rows_that_are_history_are_not_loaded_but_found,
    application_that_was_given_up_is_loaded_if_it_is_named,
    schedule_comes_back_when_it_has_a_next_application_again,
    deliveries_are_changed_by_their_id,
    deleted_endpoint_leaves_the_registry_and_its_deliveries_stay,
    changes_of_the_registry_come_back,
);

fn rows_come_back_as_they_were_written<B: Backend>(mut desk: Desk<B>) {
    let world = World::make(&mut desk, 1, true);
    world.compare(desk.reader());
    let desk = desk.reopen();
    world.compare(desk.reader());
}

fn changed_rows_come_back_as_they_were_changed<B: Backend>(mut desk: Desk<B>) {
    let mut world = World::make(&mut desk, 2, false);
    for _ in 0..3 {
        world.change(&mut desk);
        world.compare(desk.reader());
    }
    let desk = desk.reopen();
    world.compare(desk.reader());
}

fn rows_that_are_history_are_not_loaded_but_found<B: Backend>(mut desk: Desk<B>) {
    let world = World::make(&mut desk, 5, true);
    let (all, live) = (&world.books[0], world.live(0));
    // The seed has some of each.
    assert!(live.lots.len() < all.lots.len() && !live.lots.is_empty());
    assert!(live.claims.len() < all.claims.len() && !live.claims.is_empty());
    assert!(live.subscriptions.len() < all.subscriptions.len());
    assert!(live.grants.len() < all.grants.len() && !live.grants.is_empty());
    assert!(live.schedules.len() < all.schedules.len() && !live.schedules.is_empty());
    assert!(live.applications.len() < all.applications.len());
    let customer = all.customer.id;
    let targets: Vec<Target> = std::iter::empty()
        .chain(all.wallets.iter().map(|row| Target::Wallet(row.id)))
        .chain(all.lots.iter().map(|row| Target::Lot(row.id)))
        .chain(all.claims.iter().map(|row| Target::Claim(row.id)))
        .chain(
            all.subscriptions
                .iter()
                .map(|row| Target::Subscription(row.id)),
        )
        .chain(all.grants.iter().map(|row| Target::Grant(row.id)))
        .collect();
    let loaded = desk.load(&targets);
    assert_eq!(loaded.books, [live]);
    for target in targets {
        assert_eq!(loaded.places.get(&target), Some(&0), "{target:?}");
        let found = desk.reader().customer(&target).unwrap();
        assert_eq!(found.map(|row| row.id), Some(customer));
    }
}

fn application_that_was_given_up_is_loaded_if_it_is_named<B: Backend>(mut desk: Desk<B>) {
    let world = World::make(&mut desk, 8, true);
    let mut applications = world.books[0].applications.iter();
    let past = applications.find(|row| row.retry_at.is_none()).unwrap();
    let target = Target::Application(past.id);
    let before = desk.load(&[target]).books.pop().unwrap();
    let mut expected = world.live(0);
    expected.applications.push(past.clone());
    expected.applications.sort_by_key(|row| row.id);
    assert_eq!(before, expected);
    // It can be changed, and is live again.
    let mut after = before.clone();
    let place = after.applications.iter().position(|row| row.id == past.id);
    let row = &mut after.applications[place.unwrap()];
    row.retry_at = Some(desk_now());
    let changed = row.clone();
    let books = vec![BookChange {
        before: Some(before),
        after,
    }];
    let changes = ChangeSet {
        books,
        ..ChangeSet::default()
    };
    desk.backend.writer().commit(&changes).unwrap();
    let book = desk.book(changed.customer);
    assert!(book.applications.contains(&changed));
}

fn schedule_comes_back_when_it_has_a_next_application_again<B: Backend>(mut desk: Desk<B>) {
    let mut world = World::make(&mut desk, 4, true);
    let customer = world.books[0].customer.id;
    let ended = world.books[0].schedules.iter();
    let mut ended = ended.filter(|row| row.next_at.is_none());
    let mut again = ended.next().cloned().unwrap();
    again.next_at = Some(world.fill.time());
    again.occurrence += 1;
    let expected = again.clone();
    desk.decide(customer, |book, _, _| book.schedules.push(again));
    let desk = desk.reopen();
    assert!(desk.book(customer).schedules.contains(&expected));
}

fn deliveries_are_changed_by_their_id<B: Backend>(mut desk: Desk<B>) {
    let mut world = World::make(&mut desk, 5, false);
    for row in &mut world.deliveries {
        let event = world.events.iter().find(|event| event.id == row.event);
        let fresh = world.fill.delivery(event.unwrap(), row.endpoint);
        *row = creditgate_ledger::webhook::Delivery {
            id: row.id,
            created_at: row.created_at,
            ..fresh
        };
    }
    desk.load(&[]);
    let changes = ChangeSet {
        deliveries: world.deliveries.clone(),
        ..ChangeSet::default()
    };
    desk.backend.writer().commit(&changes).unwrap();
    world.compare(desk.reader());
}

fn deleted_endpoint_leaves_the_registry_and_its_deliveries_stay<B: Backend>(mut desk: Desk<B>) {
    let mut world = World::make(&mut desk, 6, true);
    let gone = world.registry.endpoints[1].clone();
    desk.change_registry(|registry| {
        registry.endpoints[1].status = EndpointStatus::Disabled;
        registry.endpoints[1].deleted_at = Some(desk_now());
    })
    .unwrap();
    world.registry.endpoints.remove(1);
    world.compare(desk.reader());
    // Its name is free again.
    let mut again = world.fill.endpoint();
    again.external_id = gone.external_id;
    world.registry.endpoints.push(again.clone());
    desk.change_registry(|registry| registry.endpoints.push(again))
        .unwrap();
    let desk = desk.reopen();
    world.compare(desk.reader());
}

const fn desk_now() -> creditgate_ledger::Timestamp {
    creditgate_ledger::Timestamp(7)
}

fn changes_of_the_registry_come_back<B: Backend>(mut desk: Desk<B>) {
    let mut world = World::make(&mut desk, 7, false);
    let fill = &mut world.fill;
    for row in &mut world.registry.plans {
        let fresh = fill.plan();
        *row = creditgate_ledger::plan::Plan {
            id: row.id,
            ..fresh
        };
    }
    for row in &mut world.registry.plan_grants {
        let fresh = fill.grant(row.scope);
        *row = creditgate_ledger::grant::Grant {
            id: row.id,
            ..fresh
        };
    }
    for row in &mut world.registry.endpoints {
        let fresh = fill.endpoint();
        *row = creditgate_ledger::webhook::Endpoint {
            id: row.id,
            ..fresh
        };
    }
    let (plans, grants) = (
        world.registry.plans.clone(),
        world.registry.plan_grants.clone(),
    );
    let endpoints = world.registry.endpoints.clone();
    desk.change_registry(|registry| {
        registry.plans = plans;
        registry.plan_grants = grants;
        registry.endpoints = endpoints;
    })
    .unwrap();
    let desk = desk.reopen();
    world.compare(desk.reader());
}
