//! What is due: changes for gateways, missing reports, quarantine, instants to come.

use std::collections::BTreeSet;

use creditgate::storage::{ChangeSet, Reader, Storage, Target};
use creditgate_core::key::credential_hash;
use creditgate_core::lease::LeaseNumber;
use creditgate_ledger::id::{CustomerId, InstanceId};
use creditgate_ledger::lease::QuarantineCause;
use creditgate_ledger::webhook::DeliveryState;
use creditgate_ledger::{Timestamp, Wallet, credential, quarantine};

use crate::desk::{Backend, Desk};
use crate::world::World;

crate::on_every_backend!(
    pushed_lease_gets_the_next_change_number,
    change_is_told_once_by_its_latest_number,
    changes_of_other_instances_are_not_told,
    change_numbers_grow_over_reopening,
    lease_that_was_not_pushed_is_no_change,
    overdue_are_accounts_with_credit_out_and_no_report_since,
    instances_with_credit_out_are_known,
    totals_are_of_leases_that_are_not_closed,
    quarantined_since_are_oldest_first,
    next_instants_are_of_live_lots_and_keys,
    instants_come_in_pages_however_many_share_one,
    instants_are_of_all_that_time_alone_changes,
    deliveries_that_are_due_come_by_endpoint,
    old_events_are_forgotten_but_none_that_is_still_to_be_told,
);

const ONE: InstanceId = InstanceId(1);
const TWO: InstanceId = InstanceId(2);

fn push<B: Backend>(desk: &mut Desk<B>, wallet: &Wallet) {
    desk.decide(wallet.customer, |book, _, _| book.push(wallet.account));
}

fn told<B: Backend>(desk: &Desk<B>, instance: InstanceId, after: u64) -> Vec<(u64, u64)> {
    let changes = desk.reader().changes(instance, after, 100).unwrap();
    changes
        .into_iter()
        .map(|(change, _, _, LeaseNumber(number))| (change, number))
        .collect()
}

fn pushed_lease_gets_the_next_change_number<B: Backend>(mut desk: Desk<B>) {
    let (acme, other) = (desk.funded("acme"), desk.funded("other"));
    desk.lend(&acme, ONE, 5, 10);
    desk.lend(&other, ONE, 6, 10);
    let start = desk.reader().last_change().unwrap();
    push(&mut desk, &acme);
    push(&mut desk, &other);
    let changes = desk.reader().changes(ONE, start, 100).unwrap();
    let expected = [
        (start + 1, acme.customer, acme.account, LeaseNumber(5)),
        (start + 2, other.customer, other.account, LeaseNumber(6)),
    ];
    assert_eq!(changes, expected);
    assert_eq!(desk.reader().last_change().unwrap(), start + 2);
    assert_eq!(desk.reader().changes(ONE, start, 1).unwrap(), expected[..1]);
    assert!(
        desk.reader()
            .changes(ONE, start + 2, 100)
            .unwrap()
            .is_empty()
    );
    assert!(
        desk.reader()
            .changes(ONE, u64::MAX, 100)
            .unwrap()
            .is_empty()
    );
}

fn change_is_told_once_by_its_latest_number<B: Backend>(mut desk: Desk<B>) {
    let (acme, other) = (desk.funded("acme"), desk.funded("other"));
    desk.lend(&acme, ONE, 5, 10);
    desk.lend(&other, ONE, 6, 10);
    let start = desk.reader().last_change().unwrap();
    push(&mut desk, &acme);
    push(&mut desk, &other);
    push(&mut desk, &acme);
    assert_eq!(told(&desk, ONE, start), [(start + 2, 6), (start + 3, 5)]);
    // The cursor says what was seen: after a gap everything later comes.
    assert_eq!(told(&desk, ONE, start + 2), [(start + 3, 5)]);
    assert_eq!(told(&desk, ONE, 0).len(), 2);
}

fn changes_of_other_instances_are_not_told<B: Backend>(mut desk: Desk<B>) {
    let wallet = desk.funded("acme");
    desk.lend(&wallet, ONE, 5, 10);
    desk.lend(&wallet, TWO, 6, 10);
    let start = desk.reader().last_change().unwrap();
    push(&mut desk, &wallet);
    assert_eq!(told(&desk, ONE, start).len(), 1);
    assert_eq!(told(&desk, TWO, start).len(), 1);
    assert_ne!(told(&desk, ONE, start)[0].0, told(&desk, TWO, start)[0].0);
    assert!(told(&desk, InstanceId(3), 0).is_empty());
}

fn change_numbers_grow_over_reopening<B: Backend>(mut desk: Desk<B>) {
    let wallet = desk.funded("acme");
    desk.lend(&wallet, ONE, 5, 10);
    push(&mut desk, &wallet);
    let first = desk.reader().last_change().unwrap();
    let mut desk = desk.reopen();
    push(&mut desk, &wallet);
    assert_eq!(desk.reader().last_change().unwrap(), first + 1);
    // Work that is given up uses no number up.
    desk.load(&[Target::Customer(wallet.customer)]);
    desk.backend.writer().abandon();
    push(&mut desk, &wallet);
    assert_eq!(desk.reader().last_change().unwrap(), first + 2);
}

fn lease_that_was_not_pushed_is_no_change<B: Backend>(mut desk: Desk<B>) {
    let wallet = desk.funded("acme");
    let lease = desk.lend(&wallet, ONE, 5, 10);
    let start = desk.reader().last_change().unwrap();
    desk.report(&lease, wallet.customer, 1, 0, None);
    desk.decide(wallet.customer, |book, _, _| book.customer.name = None);
    assert_eq!(desk.reader().last_change().unwrap(), start);
}

fn overdue_are_accounts_with_credit_out_and_no_report_since<B: Backend>(mut desk: Desk<B>) {
    let (acme, other, idle) = (
        desk.funded("acme"),
        desk.funded("other"),
        desk.funded("idle"),
    );
    desk.now = Timestamp(2_000_000);
    desk.lend(&other, ONE, 5, 10);
    let returned = desk.lend(&idle, ONE, 5, 10);
    desk.report(&returned, idle.customer, 4, 6, None);
    desk.now = Timestamp(2_001_000);
    let reported = desk.lend(&acme, ONE, 5, 10);
    desk.lend(&acme, TWO, 5, 10);
    let overdue = |desk: &Desk<B>, before, limit| {
        desk.reader()
            .overdue(ONE, Timestamp(before), limit)
            .unwrap()
    };
    assert_eq!(overdue(&desk, 2_001_001, 9), [other.account, acme.account]);
    assert_eq!(overdue(&desk, 2_001_001, 1), [other.account]);
    assert_eq!(overdue(&desk, 2_000_500, 9), [other.account]);
    assert!(overdue(&desk, 1_999_500, 9).is_empty());
    desk.now = Timestamp(2_005_000);
    desk.report(&reported, acme.customer, 3, 0, None);
    assert_eq!(overdue(&desk, 2_004_000, 9), [other.account]);
    set_aside(&mut desk, &other, 5);
    assert!(overdue(&desk, 2_004_000, 9).is_empty());
}

fn set_aside<B: Backend>(desk: &mut Desk<B>, wallet: &Wallet, number: u64) {
    desk.decide(wallet.customer, |book, journal, context| {
        let place = book.account_place(wallet.account).unwrap();
        let lease = book
            .lease_place(wallet.account, ONE, LeaseNumber(number))
            .unwrap();
        quarantine::set_aside(
            book,
            journal,
            context,
            place,
            lease,
            QuarantineCause::InstanceSilent,
        );
    });
}

fn instances_with_credit_out_are_known<B: Backend>(mut desk: Desk<B>) {
    assert!(desk.reader().outstanding_instances().unwrap().is_empty());
    let (acme, other) = (desk.funded("acme"), desk.funded("other"));
    desk.lend(&acme, TWO, 5, 10);
    desk.lend(&acme, ONE, 5, 10);
    desk.lend(&other, ONE, 5, 10);
    assert_eq!(desk.reader().outstanding_instances().unwrap(), [ONE, TWO]);
    desk.decide(acme.customer, |book, _, _| {
        for lease in &mut book.leases {
            lease.state = creditgate_ledger::LeaseState::Closed;
        }
    });
    assert_eq!(desk.reader().outstanding_instances().unwrap(), [ONE]);
}

fn totals_are_of_leases_that_are_not_closed<B: Backend>(mut desk: Desk<B>) {
    assert!(desk.reader().lease_totals().unwrap().is_empty());
    let (acme, other) = (desk.funded("acme"), desk.funded("other"));
    let lent = [
        desk.lend(&acme, ONE, 5, 10),
        desk.lend(&acme, TWO, 5, 20),
        desk.lend(&other, ONE, 5, 30),
    ];
    set_aside(&mut desk, &other, 5);
    let out = |lease: &creditgate_ledger::Lease| i128::from(lease.counters.outstanding().get());
    let totals = desk.reader().lease_totals().unwrap();
    let told: Vec<_> = totals
        .iter()
        .map(|total| (total.is_quarantined, total.leases, total.outstanding))
        .collect();
    let lending = out(&lent[0]) + out(&lent[1]);
    assert_eq!(told, [(false, 2, lending), (true, 1, out(&lent[2]))]);
    assert_eq!(totals[0].currency, acme.currency);
}

fn quarantined_since_are_oldest_first<B: Backend>(mut desk: Desk<B>) {
    let (acme, other) = (desk.funded("acme"), desk.funded("other"));
    let first = desk.lend(&acme, ONE, 5, 10);
    let second = desk.lend(&other, ONE, 5, 10);
    desk.now = Timestamp(2_000_000);
    set_aside(&mut desk, &other, 5);
    desk.now = Timestamp(3_000_000);
    set_aside(&mut desk, &acme, 5);
    let since = |before, limit| {
        desk.reader()
            .leases_quarantined_before(Timestamp(before), limit)
            .unwrap()
    };
    assert_eq!(
        since(3_000_001, 9),
        [(other.customer, second.id), (acme.customer, first.id)]
    );
    assert_eq!(since(3_000_001, 1), [(other.customer, second.id)]);
    assert_eq!(since(3_000_000, 9), [(other.customer, second.id)]);
    assert!(since(2_000_000, 9).is_empty());

    desk.decide(other.customer, |book, _, context| {
        quarantine::hold(book, context, second.id, "asked the operator of the host").unwrap();
    });
    let mut desk = desk.reopen();
    let since = |desk: &Desk<B>| {
        let due = desk
            .reader()
            .leases_quarantined_before(Timestamp(3_000_001), 9);
        due.unwrap()
    };
    assert_eq!(since(&desk), [(acme.customer, first.id)]);
    let held = desk.lease(&other, ONE, 5).hold;
    let held = held.expect("the hold was written");
    assert_eq!(held.reason, "asked the operator of the host");
    assert_eq!((held.actor.as_str(), held.at), ("key_of_tests", desk.now));
    desk.decide(other.customer, |book, _, _| {
        book.leases[0].hold = None;
    });
    assert_eq!(since(&desk).len(), 2);
}

fn next_instants_are_of_live_lots_and_keys<B: Backend>(mut desk: Desk<B>) {
    let customer = desk.customer("acme").id;
    let wallet = desk.wallet(customer);
    desk.top_up_dated(&wallet, 10, Some(5_000_000), Some(6_000_000));
    let spent = desk.top_up_dated(&wallet, 10, None, Some(9_000_000));
    let now = desk.now;
    let revoked = desk.decide(customer, |book, _, context| {
        let kept = credential::add(book, context, None, credential_hash("kept")).unwrap();
        let revoked = credential::add(book, context, None, credential_hash("revoked")).unwrap();
        credential::revoke(book, context, kept.id, Timestamp(5_500_000)).unwrap();
        credential::revoke(book, context, revoked.id, Timestamp(5_600_000)).unwrap()
    });
    let instants = |desk: &Desk<B>, after| desk.reader().next_instants(behind(after), 99).unwrap();
    let told: Vec<_> = instants(&desk, 1_000_000)
        .iter()
        .map(|(at, owner)| (at.0, *owner))
        .collect();
    let all = [5_000_000, 5_500_000, 5_600_000, 6_000_000, 9_000_000].map(|at| (at, customer));
    assert_eq!(told, all);
    assert_eq!(instants(&desk, 5_500_000).len(), 3);
    // What is used up or revoked changes nothing any more.
    let lease = desk.lend(&wallet, ONE, 5, 10);
    desk.report(&lease, customer, 10, 0, None);
    desk.decide(customer, |book, _, context| {
        credential::revoke(book, context, revoked.id, now).unwrap()
    });
    let told: Vec<_> = instants(&desk, 1_000_000)
        .iter()
        .map(|(at, _)| at.0)
        .collect();
    assert_eq!(told, [5_000_000, 5_500_000, 6_000_000]);
    assert!(desk.reader().lot(spent.id).unwrap().is_some());
}

fn instants_come_in_pages_however_many_share_one<B: Backend>(mut desk: Desk<B>) {
    let midnight = 5_000_000;
    let mut owners = Vec::new();
    for n in 0..10 {
        let customer = desk.customer(&format!("c{n}")).id;
        let wallet = desk.wallet(customer);
        // Several of one instant and one customer are told once.
        desk.top_up_dated(&wallet, 10, None, Some(midnight));
        desk.top_up_dated(&wallet, 10, None, Some(midnight));
        desk.top_up_dated(&wallet, 10, None, Some(midnight + 1 + n));
        owners.push(customer);
    }
    let (mut after, mut told) = (behind(1_000_000), Vec::new());
    loop {
        let page = desk.reader().next_instants(after, 3).unwrap();
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { break };
        after = *last;
        told.extend(page);
    }
    assert!(told.is_sorted());
    assert_eq!(
        told.iter()
            .filter(|(at, _)| at.0 == midnight)
            .map(|(_, owner)| *owner)
            .collect::<Vec<_>>(),
        owners
    );
    assert_eq!(told.len(), 20);
}

fn instants_are_of_all_that_time_alone_changes<B: Backend>(mut desk: Desk<B>) {
    let mut world = World::make(&mut desk, 41, false);
    for round in 0..3 {
        let mut expected = BTreeSet::new();
        for place in 0..world.books.len() {
            let book = world.live(place);
            let lots = book.lots.iter().flat_map(|lot| {
                let lapses_at = lot.lapses_at.filter(|_| lot.unpaid.get() != 0);
                [Some(lot.effective_at), lot.expires_at, lapses_at]
            });
            let wallets = book.wallets.iter();
            let all = lots
                .chain(wallets.map(|row| row.auto_topup_state.retry_at))
                .chain(book.schedules.iter().map(|row| row.next_at))
                .chain(book.applications.iter().map(|row| row.retry_at))
                .chain(book.subscriptions.iter().map(|row| row.ends_at));
            expected.extend(all.flatten().map(|at| (at, book.customer.id)));
        }
        let expected: Vec<_> = expected.into_iter().collect();
        assert!(expected.len() > 50, "{}", expected.len());
        let next = |after, limit| desk.reader().next_instants(after, limit).unwrap();
        assert_eq!(next(behind(0), 9_999), expected);
        for (place, after) in expected.iter().enumerate().step_by(7) {
            let rest = &expected[place + 1..];
            assert_eq!(next(*after, 5), rest[..rest.len().min(5)], "round {round}");
        }
        world.change(&mut desk);
    }
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
                .due_deliveries(endpoint, last.next_at.unwrap(), 99)
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
            .due_deliveries(endpoint, Timestamp(i64::MAX), 2)
            .unwrap();
        assert_eq!(few.len(), own.len().min(2));
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
    let (kept, forgotten) = world
        .deliveries
        .into_iter()
        .partition(|row| left.contains(&row.event));
    world.deliveries = kept;
    for event in gone {
        assert_eq!(desk.reader().event(event.id).unwrap(), None);
    }
    for row in Vec::<creditgate_ledger::webhook::Delivery>::from(forgotten) {
        assert_eq!(desk.reader().delivery(row.id).unwrap(), None);
        assert_eq!(desk.reader().attempts(row.id).unwrap(), []);
    }
    world.compare(desk.reader());
}

/// Behind all of an instant.
fn behind(instant: i64) -> (Timestamp, CustomerId) {
    (Timestamp(instant), CustomerId(u128::MAX))
}
