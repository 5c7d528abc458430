//! One worker of the process listens; what it hears reaches all of them.

use creditgate_plugin::metrics::Metric;

use crate::world::{Fate, World};

#[test]
fn a_top_up_reaches_the_next_request_of_every_worker() {
    let mut world = World::new(3, 0);
    for worker in 0..3 {
        let id = world.get(worker, "/one");
        assert_eq!(world.workers[worker].refusal(id).0, 402);
    }
    world.plane.change(|account| account.purse = 100);
    world.settle();
    for worker in 0..3 {
        let id = world.get(worker, "/one");
        assert_eq!(world.workers[worker].fate(id), Fate::Passed);
    }
}

#[test]
fn a_stale_refusal_that_arrives_after_the_push_changes_nothing() {
    let mut world = World::new(1, 0);
    let id = world.get(0, "/one");
    assert_eq!(world.workers[0].refusal(id).0, 402);
    let cell = world.shared.cell();
    let account = creditgate_core::id::AccountId(1);
    let stale = world.plane.first().answer(account, cell.lease, 8_000, None);
    assert!(stale.state.ceiling.is_some());
    world.plane.change(|account| account.purse = 100);
    world.settle();
    world.plane.stale = Some(stale);
    world.plane.touch(account);
    world.settle();
    let id = world.get(0, "/one");
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
}

#[test]
fn a_top_up_made_while_the_poll_was_down_is_heard_on_reconnect() {
    let mut world = World::new(2, 0);
    let id = world.get(0, "/one");
    assert_eq!(world.workers[0].refusal(id).0, 402);
    world.plane.is_down = true;
    world.pass(3_000);
    world.plane.change(|account| account.purse = 100);
    world.pass(1_000);
    world.plane.is_down = false;
    world.pass(4_000);
    let id = world.get(0, "/one");
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
}

#[test]
fn when_the_leader_is_gone_another_goes_on_from_its_cursor() {
    let mut world = World::new(3, 10);
    world.get_and_end(1, "/one", 200);
    world.pass(500);
    let elections = |world: &World| {
        world
            .workers
            .iter()
            .map(|worker| worker.count(Metric::Elections))
            .collect::<Vec<_>>()
    };
    assert_eq!(elections(&world).iter().sum::<u64>(), 1);
    let leader = elections(&world)
        .iter()
        .position(|count| *count == 1)
        .unwrap();
    world.workers.remove(leader);
    world.plane.card["rules"][0]["price"] = 2.into();
    world.plane.config_version = 2;
    world.pass(2_000);
    assert_eq!(elections(&world).iter().sum::<u64>(), 1);
    for worker in 0..2 {
        let id = world.get_and_end(worker, "/one", 200);
        assert_eq!(
            world.workers[worker].response_header(id, "x-credit-cost"),
            Some("2".into())
        );
    }
}

#[test]
fn a_new_worker_finds_prices_without_asking() {
    let mut world = World::new(1, 10);
    let shared = std::rc::Rc::clone(&world.shared);
    world.workers.push(crate::world::Worker::new(
        &shared,
        r#"{"control_plane": {"cluster": "creditgate"}}"#,
    ));
    let id = world.get(1, "/one");
    assert_eq!(world.workers[1].fate(id), Fate::Passed);
}

#[test]
fn a_rate_card_that_cannot_be_used_leaves_the_old_one_in_force() {
    let mut world = World::new(2, 10);
    world.plane.card["rules"][0]["price"] = "0.5".into();
    world.plane.config_version = 2;
    world.pass(1_000);
    let id = world.get_and_end(0, "/one", 200);
    assert_eq!(
        world.workers[0].response_header(id, "x-credit-cost"),
        Some("1".into())
    );
    let lines: usize = world
        .workers
        .iter()
        .map(|worker| {
            worker
                .log()
                .iter()
                .filter(|line| line.contains("can't be used"))
                .count()
        })
        .sum();
    assert_eq!(lines, 1, "said once, not at every tick");
}

#[test]
fn a_silent_control_plane_is_not_asked_in_a_circle() {
    let mut world = World::new(1, 10);
    world.get_and_end(0, "/one", 200);
    world.plane.is_down = true;
    let id = world.get(0, "/one");
    world.pass(10_000);
    world.workers[0].finish(id);
    assert!(world.workers[0].count(Metric::CallsFailed) < 60);
}
