//! Answers that find nothing or lose every race, wake-ups that get lost, lists that are full.

use std::collections::BTreeSet;

use creditgate_plugin::metrics::Metric;

use crate::world::{Fate, World, key};

/// A request that waits for credit, and the answer to the question it asked.
fn awaited(world: &mut World) -> (u32, u32, creditgate_plugin::host::CallAnswer) {
    world.plane.ahead = 0;
    world.get_and_end(0, "/one", 200);
    world.pass(1_600);
    let worker = &mut world.workers[0];
    let id = worker.begin(&[("x-api-key", &key(1))], "/five");
    worker.wake_up();
    let now_ms = worker.now_ms();
    let (mut syncs, others): (Vec<_>, Vec<_>) = worker
        .take_calls()
        .into_iter()
        .partition(|call| call.path.ends_with("sync"));
    others.into_iter().for_each(|call| worker.put_back(call));
    let sync = syncs.remove(0);
    let answer = world.plane.answer(&sync, now_ms).unwrap();
    (id, sync.token, answer)
}

#[test]
fn who_waits_for_an_answer_that_finds_no_cell_is_served_from_a_new_one() {
    let mut world = World::new(1, 100);
    let (id, token, answer) = awaited(&mut world);
    let lost = world.shared.cell().lease;
    world.shared.erase_cells();
    world.workers[0].deliver(token, &answer);
    assert_eq!(world.workers[0].fate(id), Fate::Held);
    world.pass(100);
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    world.workers[0].end(id, 200);
    assert!(world.shared.cell().lease > lost);
    world.pass(3_000);
    let account = world.plane.first();
    assert_eq!(
        (account.spent(), account.outstanding()),
        (6, 5),
        "what the answer lent to the lost cell stays aside"
    );
}

#[test]
fn an_answer_that_loses_every_race_is_asked_for_again_and_counts_once() {
    let mut world = World::new(1, 100);
    let (id, token, answer) = awaited(&mut world);
    world.shared.lost_races.set(64);
    world.workers[0].deliver(token, &answer);
    assert_eq!(world.shared.lost_races.get(), 0);
    assert_eq!(world.shared.cell().counters.remaining().get(), 0);
    assert_eq!(world.workers[0].fate(id), Fate::Held);
    world.pass(40);
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    world.workers[0].end(id, 200);
    world.pass(3_000);
    let account = world.plane.first();
    assert_eq!((account.spent(), account.outstanding()), (6, 0));
    assert_eq!(account.leases.len(), 1);
}

#[test]
fn a_report_whose_cell_never_can_be_written_is_made_by_a_later_tick() {
    let mut world = World::new(1, 100);
    world.get_and_end(0, "/one", 200);
    let syncs = world.plane.syncs;
    world.shared.lost_races.set(16);
    world.pass(20);
    assert_eq!(world.plane.syncs, syncs);
    world.pass(200);
    assert!(world.plane.syncs > syncs);
    assert_eq!(world.plane.first().spent(), 1);
}

#[test]
fn a_wake_up_that_gets_lost_costs_a_tick_and_the_next_one_is_sent_again() {
    let mut world = World::new(1, 100);
    let worker = &mut world.workers[0];
    let first = worker.begin(&[("x-api-key", &key(1))], "/one");
    assert!(worker.lose_wake_up());
    let second = worker.begin(&[("x-api-key", &key(1))], "/one");
    assert!(!worker.lose_wake_up(), "one is thought to be on its way");
    world.settle();
    assert_eq!(world.plane.resolves, 0);
    world.pass(20);
    for id in [first, second] {
        assert_eq!(world.workers[0].fate(id), Fate::Passed);
    }
    world.plane.add_customer(2, 100);
    let worker = &mut world.workers[0];
    let third = worker.begin(&[("x-api-key", &key(2))], "/one");
    world.settle();
    assert_eq!(world.workers[0].fate(third), Fate::Passed);
}

#[test]
fn of_credit_that_can_not_be_handed_back_so_much_is_kept_in_mind_and_the_rest_counted() {
    let mut world = World::with_config(1, 0, r#", "limits": {"cells_max": 16}"#);
    let in_use = 2..=17;
    let others = 18..=57;
    for customer in in_use.clone().chain(others.clone()) {
        world.plane.add_customer(customer, 1_000_000);
    }
    for customer in in_use {
        world.workers[0].begin(&[("x-api-key", &key(customer))], "/five");
        world.settle();
    }
    world.plane.unheard = Some("/sync");
    for _ in 0..8 {
        for customer in others.clone() {
            // Another lease each time, and no cell for any of them.
            world.plane.of(customer).leases.clear();
            world.workers[0].begin(&[("x-api-key", &key(customer))], "/five");
        }
        world.pass(2_200);
    }
    let dropped = world.workers[0].count(Metric::OrphansDropped);
    assert_eq!(dropped, 8 * 40 - 256);
    world.plane.reports.clear();
    world.plane.unheard = None;
    world.pass(3_000);
    let reports = world.plane.reports.iter();
    let handed_back = reports.filter(|report| report.lease.is_none());
    let leases: BTreeSet<_> = handed_back
        .filter_map(|report| report.previous.as_ref())
        .map(|previous| previous.lease)
        .collect();
    assert_eq!(leases.len(), 256);
}
