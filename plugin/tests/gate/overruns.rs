//! Answers that cost more than was reserved for them: each promise keeps its bound, and no
//! gateway reports what the control plane would not take.

use creditgate_plugin::metrics::Metric;
use serde_json::json;

use crate::world::World;

/// A request that reserves 5, whose answer costs 50.
fn answered(promise: &str, purse: i64, overrun_max: i64) -> (World, u32) {
    let (mut world, id) = answering(promise, purse, overrun_max);
    world.workers[0].finish(id);
    (world, id)
}

/// The same, before it is over.
pub(crate) fn answering(promise: &str, purse: i64, overrun_max: i64) -> (World, u32) {
    let mut rules = json!([{ "id": "r", "path": { "exact": "/r" }, "promise": promise,
        "meters": [{ "meter": { "response_header": "x-units" }, "price": 1, "estimate": 5 }] }]);
    if promise == "metered" {
        rules[0]["on_empty"] = json!("finish");
    }
    let mut world = World::with_rules(purse, "", rules);
    world.plane.overrun_max = overrun_max;
    // Half of what is free.
    world.plane.ahead = purse;
    world.plane.config_version += 1;
    world.pass(40);
    let id = world.get(0, "/r");
    world.workers[0].set_upstream_header(id, "x-units", "50");
    world.workers[0].respond(id, 200, true);
    (world, id)
}

fn outcome(world: &mut World, id: u32) -> [i64; 4] {
    let overrun = world.shared.cell().overrun().get();
    let logged = world.workers[0].access_log(id)["cost"].clone();
    let logged: i64 = logged.as_str().unwrap().parse().unwrap();
    world.pass(3_000);
    let count = |metric| i64::try_from(world.workers[0].count(metric)).unwrap();
    assert_eq!(world.plane.first().spent(), logged);
    assert_eq!(count(Metric::Waived), i64::from(logged < 50));
    [
        logged,
        overrun,
        count(Metric::OverrunUnits),
        count(Metric::WaivedUnits),
    ]
}

#[test]
fn a_strict_rule_charges_beyond_what_it_reserved_only_what_is_lent() {
    for (purse, expected) in [
        (1_000, [50, 0, 45, 0]),
        (100, [50, 0, 45, 0]),
        (40, [20, 0, 15, 30]),
        (5, [5, 0, 0, 45]),
    ] {
        let (mut world, id) = answered("strict", purse, 1_000);
        assert_eq!(outcome(&mut world, id), expected, "{purse}");
    }
}

#[test]
fn an_expected_rule_overruns_no_further_than_the_control_plane_takes() {
    for promise in ["expected", "metered"] {
        for (purse, overrun_max, expected) in [
            (5, 1_000, [50, 45, 45, 0]),
            (5, 10, [15, 10, 10, 35]),
            (40, 10, [30, 10, 25, 20]),
            (5, 0, [5, 0, 0, 45]),
        ] {
            let (mut world, id) = answered(promise, purse, overrun_max);
            assert_eq!(
                outcome(&mut world, id),
                expected,
                "{promise} {purse} {overrun_max}"
            );
        }
    }
}

#[test]
fn what_is_not_charged_is_said_once_a_rule() {
    let (mut world, _) = answered("strict", 5, 0);
    world.plane.change(|account| account.purse += 5);
    world.pass(200);
    let id = world.get(0, "/r");
    world.workers[0].set_upstream_header(id, "x-units", "50");
    world.workers[0].respond(id, 200, true);
    world.workers[0].finish(id);
    let log = world.workers[0].log();
    let said = log.iter().filter(|line| line.contains("not charged"));
    assert_eq!(said.count(), 1, "{log:?}");
}
