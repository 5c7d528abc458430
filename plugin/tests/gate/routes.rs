//! Rules that the proxy's routes name, where the rate card lets them.

use creditgate_plugin::metrics::Metric;
use serde_json::json;

use crate::world::{Fate, World, key};

const RULE: &str = "xds.route_metadata.filter_metadata.creditgate.rule";

fn world(by_route: bool) -> World {
    let mut world = World::new(1, 100);
    world.plane.card["rules_by_route"] = json!(by_route);
    world.plane.config_version = 2;
    world.pass(100);
    world.get_and_end(0, "/one", 200);
    world
}

/// A request to a path by a route that names a rule; what it cost, if it passed.
fn cost_of(world: &mut World, path: &str, rule: &str) -> Option<i64> {
    let id = world.workers[0].next_id();
    world.workers[0].set_property(id, RULE, rule.as_bytes());
    let id = world.get(0, path);
    let passed = world.workers[0].fate(id) == Fate::Passed;
    world.workers[0].end(id, 200);
    let log = world.workers[0].access_log(id);
    passed.then(|| log["cost"].as_str().map_or(0, |cost| cost.parse().unwrap()))
}

#[test]
fn the_rule_that_a_route_names_is_taken_whatever_the_path() {
    let mut world = world(true);
    assert_eq!(cost_of(&mut world, "/one", "five"), Some(5));
    assert_eq!(cost_of(&mut world, "/no-such-path", "five"), Some(5));
    assert_eq!(
        cost_of(&mut world, "/one", ""),
        Some(1),
        "this route names none"
    );
    assert_eq!(
        cost_of(&mut world, "/healthz", "five"),
        Some(0),
        "a free path"
    );
    assert_eq!(cost_of(&mut world, "/one", "nothing"), Some(0));
}

#[test]
fn a_name_that_no_rule_has_is_refused_and_counted() {
    let mut world = world(true);
    let id = world.workers[0].next_id();
    world.workers[0].set_property(id, RULE, b"fife");
    let id = world.get(0, "/one");
    assert_eq!(world.workers[0].refusal(id), (403, "rule_unknown".into()));
    world.pass(300);
    assert_eq!(world.workers[0].count(Metric::RefusedRuleUnknown), 1);
}

#[test]
fn a_card_that_says_nothing_of_routes_asks_nothing_of_them() {
    let mut world = world(false);
    assert_eq!(cost_of(&mut world, "/one", "five"), Some(1));
    let calls = |by_route: bool| {
        let mut world = self::world(by_route);
        world.get_and_end(0, "/one", 200);
        let before = world.shared.host_calls.get();
        let id = world.workers[0].begin(&[("x-api-key", &key(1))], "/one");
        world.workers[0].end(id, 200);
        world.shared.host_calls.get() - before
    };
    assert_eq!(calls(true), calls(false) + 1);
}
