//! What customer, rule and configuration let happen while the control plane does not answer.

use creditgate_core::outage::OnUnavailable;
use creditgate_plugin::metrics::Metric;
use serde_json::json;

use crate::world::{Fate, World, account, key};

const ALLOW: &str = r#", "on_unavailable": "allow""#;

/// Customer 1 is known to every worker, and then the control plane is gone, for longer than the
/// use-by lasts.
fn cut_off(workers: u32, purse: i64, allowance: i64, config: &str) -> World {
    let mut world = known(workers, purse, allowance, config);
    world.plane.is_down = true;
    world.pass(10_000);
    world
}

fn known(workers: u32, purse: i64, allowance: i64, config: &str) -> World {
    let mut world = World::with_config(workers, purse, config);
    world.plane.offline_allowance = allowance;
    world.plane.card["rules"].as_array_mut().unwrap().extend([
        json!({"id": "kind", "path": {"exact": "/kind"}, "price": 1, "on_unavailable": "allow"}),
        json!({"id": "free", "path": {"exact": "/unpaid"}, "price": 1, "on_unavailable": "shadow"}),
        json!({"id": "hard", "path": {"exact": "/hard"}, "price": 1, "on_unavailable": "deny"}),
    ]);
    world.plane.config_version = 2;
    world.pass(100);
    for worker in 0..workers as usize {
        world.get_and_end(worker, "/one", 200);
    }
    world
}

/// One request, and what becomes of it when it has waited as long as it may.
fn fate(world: &mut World, worker: usize, path: &str) -> Fate {
    let id = world.get(worker, path);
    if world.workers[worker].fate(id) == Fate::Held {
        world.pass(1_100);
    }
    let fate = world.workers[worker].fate(id);
    world.workers[worker].end(id, 200);
    fate
}

fn refused(world: &mut World, worker: usize, path: &str) -> bool {
    match fate(world, worker, path) {
        Fate::Answered(status, _) => {
            assert_eq!(status, 503);
            true
        }
        _ => false,
    }
}

fn counted(world: &World, metric: Metric) -> u64 {
    world
        .workers
        .iter()
        .map(|worker| worker.count(metric))
        .sum()
}

#[test]
fn every_worker_spends_from_the_same_allowance_and_not_one_unit_more() {
    let mut world = cut_off(3, 1_000, 7, ALLOW);
    let passed = (0..12)
        .filter(|round| fate(&mut world, round % 3, "/one") == Fate::Passed)
        .count();
    assert_eq!(passed, 7);
    world.pass(300);
    assert_eq!(counted(&world, Metric::OfflineUnits), 7);
    assert_eq!(counted(&world, Metric::AdmittedOffline), 7);
}

#[test]
fn what_was_spent_offline_is_booked_once_when_the_control_plane_is_back() {
    let mut world = cut_off(2, 1_000, 7, ALLOW);
    for round in 0..10 {
        fate(&mut world, round % 2, "/one");
    }
    world.plane.loses = Some("/sync");
    world.plane.is_down = false;
    world.pass(3_000);
    world.plane.loses = None;
    world.pass(5_000);
    assert_eq!(world.plane.first().spent(), 2 + 7);
    assert_eq!(world.plane.first().outstanding(), 0);
    world.plane.is_down = true;
    world.pass(10_000);
    assert_eq!(
        fate(&mut world, 0, "/one"),
        Fate::Passed,
        "the allowance is whole again"
    );
}

#[test]
fn without_an_allowance_or_with_the_default_nothing_passes() {
    for (allowance, config) in [(0, ALLOW), (50, "")] {
        let mut world = cut_off(1, 1_000, allowance, config);
        assert!(refused(&mut world, 0, "/one"));
        assert!(refused(&mut world, 0, "/always"));
        assert_eq!(world.shared.cell().overrun().get(), 0);
    }
}

#[test]
fn the_customers_word_beats_the_rules_and_the_rules_the_configurations() {
    for (customer, passing) in [
        (None, ["/one", "/kind", "/unpaid"].as_slice()),
        (Some(OnUnavailable::Deny), &[]),
        (
            Some(OnUnavailable::Allow),
            &["/one", "/kind", "/unpaid", "/hard"],
        ),
        (
            Some(OnUnavailable::Shadow),
            &["/one", "/kind", "/unpaid", "/hard"],
        ),
    ] {
        let mut world = known(1, 1_000, 50, ALLOW);
        world
            .plane
            .change(|account| account.on_unavailable = customer);
        world.pass(100);
        world.plane.is_down = true;
        world.pass(10_000);
        for path in ["/one", "/kind", "/unpaid", "/hard"] {
            let passes = passing.contains(&path);
            assert_eq!(
                fate(&mut world, 0, path) == Fate::Passed,
                passes,
                "{customer:?} {path}"
            );
        }
        let paid = match customer {
            None => 2,
            Some(OnUnavailable::Allow) => 4,
            Some(_) => 0,
        };
        assert_eq!(world.shared.cell().overrun().get(), paid, "{customer:?}");
    }
}

#[test]
fn shadow_moves_no_money_and_is_counted_and_logged() {
    let mut world = cut_off(1, 1_000, 0, "");
    let before = world.shared.cell().counters;
    let id = world.get(0, "/unpaid");
    world.pass(1_100);
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    world.workers[0].end(id, 200);
    let line = world.workers[0].access_log(id);
    assert_eq!(
        (&line["outcome"], &line["code"]),
        (&"would_refuse".into(), &"control_plane_unreachable".into())
    );
    world.pass(300);
    assert_eq!(counted(&world, Metric::PassedUnavailable), 1);
    assert_eq!(counted(&world, Metric::WouldRefuse), 1);
    assert_eq!(world.shared.cell().counters.reserved, before.reserved);
}

#[test]
fn the_first_request_waits_for_an_answer_and_those_after_it_no_more() {
    let mut world = known(1, 1_000, 50, ALLOW);
    world.plane.ahead = 0;
    world.pass(5_000);
    world.plane.is_down = true;
    let first = world.get(0, "/one");
    assert_eq!(world.workers[0].fate(first), Fate::Held);
    world.pass(1_100);
    assert_eq!(world.workers[0].fate(first), Fate::Passed);
    world.workers[0].end(first, 200);
    assert_eq!(world.workers[0].access_log(first)["offline"], true);
    for _ in 0..5 {
        let id = world.get(0, "/one");
        assert_eq!(world.workers[0].fate(id), Fate::Passed);
        world.workers[0].end(id, 200);
        world.pass(100);
    }
}

#[test]
fn a_control_plane_that_is_back_is_asked_before_the_allowance_is_touched() {
    let mut world = cut_off(1, 1_000, 50, ALLOW);
    fate(&mut world, 0, "/one");
    world.plane.is_down = false;
    world.pass(5_000);
    let offline = counted(&world, Metric::AdmittedOffline);
    for _ in 0..20 {
        assert_eq!(fate(&mut world, 0, "/one"), Fate::Passed);
        world.pass(500);
    }
    assert_eq!(counted(&world, Metric::AdmittedOffline), offline);
}

#[test]
fn who_is_not_known_or_was_refused_when_last_heard_of_gets_nothing() {
    let mut world = known(1, 1, 50, ALLOW);
    let id = world.get(0, "/one");
    assert_eq!(
        world.workers[0].refusal(id),
        (402, "credit_exhausted".into())
    );
    world.plane.is_down = true;
    world.pass(30_000);
    assert!(refused(&mut world, 0, "/one"));
    let stranger = world.workers[0].begin(&[("x-api-key", &key(2))], "/one");
    world.pass(1_100);
    assert_eq!(world.workers[0].refusal(stranger).0, 503);
    assert_eq!(world.shared.cells_of(account(1))[0].overrun().get(), 0);
}

#[test]
fn who_owes_something_has_no_allowance_until_it_is_repaid() {
    let mut world = cut_off(1, 3, 5, ALLOW);
    for _ in 0..9 {
        fate(&mut world, 0, "/one");
    }
    world.plane.is_down = false;
    world.pass(3_000);
    assert_eq!(
        world.plane.first().spent(),
        6,
        "one before, five on the allowance"
    );
    world.plane.is_down = true;
    world.pass(10_000);
    assert!(refused(&mut world, 0, "/one"));
    world.plane.is_down = false;
    world.plane.change(|account| account.purse += 100);
    world.pass(1_000);
    fate(&mut world, 0, "/one");
    world.plane.is_down = true;
    world.pass(10_000);
    assert_eq!(fate(&mut world, 0, "/one"), Fate::Passed);
}

#[test]
fn short_of_credit_within_the_use_by_the_lease_at_hand_is_overrun() {
    let mut world = known(1, 1_000, 7, ALLOW);
    world.plane.is_down = true;
    let lease = world.shared.cell().lease;
    let mut passed = 0;
    while fate(&mut world, 0, "/five") == Fate::Passed {
        passed += 1;
    }
    let cell = world.shared.cell();
    assert!(passed > 0 && cell.overrun().get() <= 7, "{passed} {cell:?}");
    if cell.previous.is_none() {
        assert_eq!(cell.lease, lease);
    }
}
