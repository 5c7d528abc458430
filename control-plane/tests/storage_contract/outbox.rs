//! What is told of changes: events, their deliveries, the log of who changed what.

use core::cmp::Reverse;
use std::collections::BTreeSet;

use creditgate::storage::{
    AuditFilter, ChangeSet, Cursor, DeliveryFilter, EventFilter, PageRequest, Reader, Storage,
};
use creditgate_ledger::webhook::{Delivery, DeliveryState};
use creditgate_ledger::{EventKind, Timestamp};

use crate::desk::{Backend, Desk, all_pages};
use crate::lists::or_any;
use crate::world::World;

crate::on_every_backend!(
    events_are_listed_newest_first,
    deliveries_are_listed_newest_first,
    log_of_who_changed_what_is_listed_newest_first,
    page_after_what_was_forgotten_is_empty,
    deliveries_that_are_due_come_by_endpoint,
    old_events_are_forgotten_but_none_that_is_still_to_be_told,
);

const INSTANTS: [Timestamp; 4] = [
    Timestamp(0),
    Timestamp(1_000),
    Timestamp(2_001),
    Timestamp(9_000),
];

fn events_are_listed_newest_first<B: Backend>(mut desk: Desk<B>) {
    let world = World::make(&mut desk, 29, false);
    let customers: Vec<_> = world.books.iter().map(|book| book.customer.id).collect();
    for customer in or_any(&customers) {
        for kind in or_any(&[
            EventKind::WalletAlert,
            EventKind::Test,
            EventKind::LotLapsed,
        ]) {
            for from in or_any(&INSTANTS) {
                for before in or_any(&INSTANTS) {
                    let filter = EventFilter {
                        customer,
                        kind,
                        from,
                        before,
                    };
                    let mut expected: Vec<_> = world
                        .events
                        .iter()
                        .filter(|row| customer.is_none_or(|of| row.customer == Some(of)))
                        .filter(|row| kind.is_none_or(|of| of == row.kind))
                        .filter(|row| from.is_none_or(|from| row.at >= from))
                        .filter(|row| before.is_none_or(|before| row.at < before))
                        .cloned()
                        .collect();
                    expected.sort_by_key(|row| Reverse((row.at, row.id)));
                    let got = all_pages(|page| desk.reader().events(filter, page).unwrap());
                    assert_eq!(got, expected, "{filter:?}");
                }
            }
        }
    }
}

fn deliveries_are_listed_newest_first<B: Backend>(mut desk: Desk<B>) {
    let world = World::make(&mut desk, 30, false);
    let endpoints: Vec<_> = world.registry.endpoints.iter().map(|row| row.id).collect();
    let events: Vec<_> = world.events.iter().map(|row| row.id).collect();
    let states = [
        DeliveryState::Pending,
        DeliveryState::Delivered,
        DeliveryState::Failed,
    ];
    for endpoint in or_any(&endpoints) {
        for event in or_any(&events[..3]) {
            for state in or_any(&states) {
                let filter = DeliveryFilter {
                    endpoint,
                    event,
                    state,
                };
                let mut expected: Vec<_> = world
                    .deliveries
                    .iter()
                    .filter(|row| endpoint.is_none_or(|of| of == row.endpoint))
                    .filter(|row| event.is_none_or(|of| of == row.event))
                    .filter(|row| state.is_none_or(|of| of == row.state))
                    .cloned()
                    .collect();
                expected.sort_by_key(|row| Reverse(row.id));
                let got = all_pages(|page| desk.reader().deliveries(filter, page).unwrap());
                assert_eq!(got, expected, "{filter:?}");
            }
        }
    }
}

fn log_of_who_changed_what_is_listed_newest_first<B: Backend>(mut desk: Desk<B>) {
    let world = World::make(&mut desk, 31, false);
    let customers: Vec<_> = world.books.iter().map(|book| book.customer.id).collect();
    let words = |words: &[&str]| {
        or_any(
            &words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>(),
        )
    };
    for customer in or_any(&customers[..2]) {
        for actor in words(&["key_1", "nobody"]) {
            for action in words(&["top_up"]) {
                for subjects in [
                    vec![],
                    vec!["wal_1"],
                    vec!["wal_1", "lot_2"],
                    vec!["wal_1", "none"],
                ] {
                    let owned = subjects.iter().map(|word| (*word).to_owned());
                    let subjects = (!subjects.is_empty()).then(|| owned.collect::<Vec<_>>());
                    for (from, before) in or_any(&INSTANTS)
                        .into_iter()
                        .zip(or_any(&INSTANTS).into_iter().rev())
                    {
                        let filter = AuditFilter {
                            customer,
                            actor: actor.clone(),
                            action: action.clone(),
                            subjects: subjects.clone(),
                            from,
                            before,
                        };
                        let mut expected = world.audit.clone();
                        expected.retain(|row| customer.is_none_or(|of| row.customer == Some(of)));
                        expected.retain(|row| actor.as_ref().is_none_or(|of| *of == row.actor));
                        expected.retain(|row| action.as_ref().is_none_or(|of| *of == row.action));
                        expected.retain(|row| {
                            let of = subjects.as_ref();
                            of.is_none_or(|of| {
                                row.subject.as_ref().is_some_and(|row| of.contains(row))
                            })
                        });
                        expected.retain(|row| from.is_none_or(|from| row.at >= from));
                        expected.retain(|row| before.is_none_or(|before| row.at < before));
                        expected.sort_by_key(|row| Reverse((row.at, row.id)));
                        let got = all_pages(|page| desk.reader().audit(&filter, page).unwrap());
                        assert_eq!(got, expected, "{filter:?}");
                    }
                }
            }
        }
    }
}

fn page_after_what_was_forgotten_is_empty<B: Backend>(mut desk: Desk<B>) {
    World::make(&mut desk, 32, false);
    let page = PageRequest {
        cursor: Some(Cursor(7)),
        limit: 3,
    };
    let events = desk.reader().events(EventFilter::default(), page).unwrap();
    assert!(events.items.is_empty() && events.next.is_none());
}

fn deliveries_that_are_due_come_by_endpoint<B: Backend>(mut desk: Desk<B>) {
    let world = World::make(&mut desk, 42, false);
    let deliveries = world.deliveries.iter();
    let pending: Vec<_> = deliveries
        .filter(|row| row.state == DeliveryState::Pending)
        .collect();
    let reader = desk.reader();
    let mut next = Vec::new();
    for endpoint in world.registry.endpoints.iter().map(|row| row.id) {
        let own = pending.iter().filter(|row| row.endpoint == endpoint);
        let mut own: Vec<_> = own.filter(|row| row.next_at.is_some()).collect();
        own.sort_by_key(|row| (row.next_at, row.event, row.id));
        next.extend(own.first().map(|row| (endpoint, row.next_at.unwrap())));
        for (count, last) in own.iter().enumerate() {
            let due = reader
                .due_deliveries(endpoint, last.next_at.unwrap(), &[], 99)
                .unwrap();
            let due: Vec<_> = due
                .into_iter()
                .map(|(row, event)| {
                    assert_eq!((row.event, row.kind), (event.id, event.kind));
                    assert!(world.events.contains(&event));
                    row
                })
                .collect();
            let expected: Vec<_> = own[..=count].iter().map(|row| (**row).clone()).collect();
            assert_eq!(due, expected);
        }
        let few = reader
            .due_deliveries(endpoint, Timestamp(i64::MAX), &[], 2)
            .unwrap();
        assert_eq!(few.len(), own.len().min(2));
        let of = |row: &Delivery| {
            let event = world.events.iter().find(|event| event.id == row.event);
            event.and_then(|event| event.customer)
        };
        let customers: BTreeSet<_> = own.iter().filter_map(|row| of(row)).collect();
        for customer in customers {
            let due = reader.due_deliveries(endpoint, Timestamp(i64::MAX), &[customer], 99);
            let due: Vec<_> = due.unwrap().into_iter().map(|(row, _)| row).collect();
            let others = own.iter().filter(|row| of(row) != Some(customer));
            assert_eq!(due, others.map(|row| (**row).clone()).collect::<Vec<_>>());
        }
    }
    assert_eq!(reader.next_deliveries().unwrap(), next);
    let oldest = pending.iter().map(|row| row.created_at).min();
    let count = u64::try_from(pending.len()).unwrap();
    assert_eq!(reader.pending_deliveries().unwrap(), (count, oldest));
}

fn old_events_are_forgotten_but_none_that_is_still_to_be_told<B: Backend>(mut desk: Desk<B>) {
    let mut world = World::make(&mut desk, 43, false);
    let before = Timestamp(3_000);
    desk.load(&[]);
    let changes = ChangeSet {
        forget_events_before: Some(before),
        ..ChangeSet::default()
    };
    assert!(!changes.is_empty());
    desk.backend.writer().commit(&changes).unwrap();
    let pending = |id| {
        let mut deliveries = world.deliveries.iter();
        deliveries.any(|row| row.event == id && row.state == DeliveryState::Pending)
    };
    let (kept, gone): (Vec<_>, Vec<_>) = world
        .events
        .iter()
        .cloned()
        .partition(|event| event.at >= before || pending(event.id));
    assert!(!gone.is_empty() && kept.iter().any(|event| event.at < before));
    world.events = kept;
    let left: Vec<_> = world.events.iter().map(|event| event.id).collect();
    let (kept, forgotten): (Vec<_>, Vec<_>) = world
        .deliveries
        .into_iter()
        .partition(|row| left.contains(&row.event));
    world.deliveries = kept;
    for event in gone {
        assert_eq!(desk.reader().event(event.id).unwrap(), None);
    }
    for row in forgotten {
        assert_eq!(desk.reader().delivery(row.id).unwrap(), None);
        assert_eq!(desk.reader().attempts(row.id).unwrap(), []);
    }
    world.compare(desk.reader());
}
