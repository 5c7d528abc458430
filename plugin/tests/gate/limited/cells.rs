//! A limited account's cell and leases are like any other's.

use creditgate_core::protocol::Phase;
use creditgate_plugin::metrics::Metric;

use super::{GENERAL, LIMITED, spent, world};
use crate::world::{Fate, World, account, key};

#[test]
fn a_limited_account_costs_no_host_call_more_while_it_pays_and_one_when_it_cant() {
    let mut world = world(1, 100, 100);
    world.plane.ahead = 50;
    let mut calls_of = |path: &str| {
        world.get_and_end(0, path, 200);
        let before = world.shared.host_calls.get();
        world.get_and_end(0, path, 200);
        world.shared.host_calls.get() - before
    };
    assert_eq!(calls_of("/five"), 10);
    assert_eq!(calls_of("/one"), 10, "a rule that nobody is limited to");
    world.plane.of(LIMITED).purse = 10;
    world.plane.change_of(account(LIMITED), |_| ());
    world.pass(3_000);
    for _ in 0..2 {
        world.get_and_end(0, "/five", 200);
    }
    let before = world.shared.host_calls.get();
    world.get_and_end(0, "/five", 200);
    assert_eq!(world.shared.host_calls.get() - before, 11);
}

#[test]
fn the_first_request_of_a_limited_rule_borrows_nothing_from_the_general_account() {
    let mut world = world(1, 5, 5);
    let id = world.get(0, "/five");
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    assert_eq!(
        (world.plane.resolves, world.plane.of(GENERAL).outstanding()),
        (1, 0)
    );
    world.workers[0].end(id, 200);
    assert_eq!(spent(&mut world), (0, 5));
}

#[test]
fn workers_that_want_a_limited_account_together_make_one_cell() {
    let mut world = world(4, 0, 100);
    world.plane.ahead = 50;
    for round in 0..2 {
        let ids: Vec<_> = (0..4)
            .map(|worker| world.workers[worker].begin(&[("x-api-key", &key(1))], "/five"))
            .collect();
        world.settle();
        world.pass(40);
        for (worker, id) in ids.iter().enumerate() {
            assert_eq!(world.workers[worker].fate(*id), Fate::Passed, "{round}");
            world.workers[worker].end(*id, 200);
        }
        assert_eq!(world.shared.cells_of(account(LIMITED)).len(), 1);
    }
    assert_eq!(spent(&mut world), (0, 40));
}

#[test]
fn a_limited_account_without_room_for_a_cell_leaves_its_rules_to_the_general_one() {
    let mut world = World::with_config(1, 100, r#", "limits": {"cells_max": 16}"#);
    world.plane.limit(LIMITED, &["five"], 100);
    let ids: Vec<_> = (2..=16)
        .map(|customer| {
            world.plane.add_customer(customer, 100);
            let id = world.workers[0].begin(&[("x-api-key", &key(customer))], "/one");
            world.settle();
            id
        })
        .collect();
    let id = world.get_and_end(0, "/five", 200);
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    world.pass(200);
    assert_ne!(world.workers[0].count(Metric::CellsRefused), 0);
    ids.iter().for_each(|id| world.workers[0].end(*id, 200));
    assert_eq!(spent(&mut world), (5, 0));
}

#[test]
fn a_limited_cell_that_was_erased_is_never_lent_the_same_credit_twice() {
    let mut world = world(2, 0, 20);
    world.plane.ahead = 20;
    world.get_and_end(0, "/five", 200);
    world.pass(1_600);
    let lost = world.plane.of(LIMITED).outstanding();
    assert_ne!(lost, 0);
    world.shared.erase_cells();
    let mut passed = 0;
    for round in 0..10 {
        let id = world.get(round % 2, "/five");
        if world.workers[round % 2].fate(id) == Fate::Passed {
            passed += 1;
            world.workers[round % 2].end(id, 200);
        }
        world.pass(20);
    }
    assert_eq!(passed, (20 - lost) / 5 - 1);
}

#[test]
fn a_limited_lease_turns_is_recalled_and_given_back_like_any_other() {
    let mut world = world(1, 0, 100);
    world.plane.ahead = 40;
    let held = world.get(0, "/five");
    let cell = |world: &World| world.shared.cells_of(account(LIMITED)).remove(0);
    let before = cell(&world).lease;
    world.plane.change_of(account(LIMITED), |account| {
        let leases = account.leases.values_mut();
        leases.for_each(|lease| lease.phase = Phase::Turn);
    });
    world.settle();
    world.pass(200);
    world.get_and_end(0, "/five", 200);
    assert!(cell(&world).lease > before);
    world.workers[0].end(held, 200);
    let now = cell(&world).lease;
    let mut recall = world
        .plane
        .of(LIMITED)
        .answer(account(LIMITED), now, 8_000, None);
    recall.keep = Some(creditgate_core::amount::Amount::ZERO);
    recall.state.version += 1;
    world.plane.of(LIMITED).version += 1;
    world.plane.recall = Some(recall);
    world.plane.touch(account(LIMITED));
    world.settle();
    assert_eq!(world.plane.of(LIMITED).outstanding(), 0);
    let id = world.get_and_end(0, "/five", 200);
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    world.workers[0].close();
    world.settle();
    assert_eq!(world.plane.of(LIMITED).outstanding(), 0);
    assert_eq!(spent(&mut world), (0, 15));
}
