//! What responses say of credit: warnings, and what is left as a rate limit.

use serde_json::json;

use crate::world::World;

fn warning(world: &mut World, path: &str) -> Option<String> {
    let id = world.get(0, path);
    world.workers[0].end(id, 200);
    world.workers[0].response_header(id, "x-credit-warning")
}

fn warning_below(units: i64, purse: i64, config: &str) -> World {
    let mut world = World::with_config(1, purse, config);
    world.plane.warn_below = units;
    world.plane.config_version = 2;
    world.pass(100);
    world
}

#[test]
fn who_has_less_than_the_threshold_left_is_warned_and_nobody_else() {
    let mut world = warning_below(10, 12, "");
    assert_eq!(warning(&mut world, "/one"), None, "11 are left");
    assert_eq!(warning(&mut world, "/one"), None, "10 are left");
    assert_eq!(
        warning(&mut world, "/one").as_deref(),
        Some("low"),
        "9 are left"
    );
    let mut world = warning_below(0, 1, "");
    assert_eq!(warning(&mut world, "/one"), None, "nobody is to be warned");
}

#[test]
fn a_threshold_costs_no_host_call_while_enough_is_left() {
    let calls = |threshold| {
        let mut world = warning_below(threshold, 1_000, "");
        world.get_and_end(0, "/one", 200);
        let before = world.shared.host_calls.get();
        let id = world.workers[0].begin(&[("x-api-key", &crate::world::key(1))], "/one");
        world.workers[0].end(id, 200);
        world.shared.host_calls.get() - before
    };
    assert_eq!(calls(0), calls(500));
    assert_eq!(calls(5_000), calls(0) + 1);
}

const ON: &str = r#", "rate_limit_headers": true"#;

/// What a response says of the limit, and of the policy behind it.
fn limits(world: &mut World, path: &str) -> [Option<String>; 2] {
    let id = world.get(0, path);
    world.workers[0].end(id, 200);
    ["ratelimit", "ratelimit-policy"].map(|name| world.workers[0].response_header(id, name))
}

fn said(limit: &str, policy: &str) -> [Option<String>; 2] {
    [Some(limit.to_owned()), Some(policy.to_owned())]
}

#[test]
fn the_rate_limit_fields_are_structured_fields_of_the_present_draft() {
    let mut world = warning_below(0, 22, ON);
    assert_eq!(
        limits(&mut world, "/five"),
        said("\"five\";r=3", "\"five\";q=4")
    );
    assert_eq!(
        limits(&mut world, "/five"),
        said("\"five\";r=2", "\"five\";q=4")
    );
    assert_eq!(
        limits(&mut world, "/one"),
        said("\"one\";r=11", "\"one\";q=22")
    );
    let mut world = warning_below(0, 22, "");
    assert_eq!(limits(&mut world, "/five"), [None, None]);
    // Integers of structured fields have 15 digits at most.
    let mut world = warning_below(0, i64::MAX / 4, ON);
    let most = 999_999_999_999_999_i64;
    let expected = said(&format!("\"one\";r={most}"), &format!("\"one\";q={most}"));
    assert_eq!(limits(&mut world, "/one"), expected);
}

#[test]
fn a_price_that_differs_by_request_has_a_limit_and_no_policy_and_none_has_neither() {
    let rules = json!([
        { "id": "sized", "path": { "exact": "/sized" }, "price": 4,
          "meters": [{ "meter": "response_bytes", "price": 0, "estimate": 1 }] },
        { "id": "nothing", "path": { "exact": "/nothing" }, "price": 0,
          "meters": [{ "meter": { "response_header": "x-units" }, "price": 1, "estimate": 0 }] },
    ]);
    let mut world = World::with_rules(22, ON, rules);
    assert_eq!(
        limits(&mut world, "/sized"),
        [Some("\"sized\";r=4".to_owned()), None]
    );
    assert_eq!(limits(&mut world, "/nothing"), [None, None]);
}

#[test]
fn refusals_for_want_of_credit_say_that_none_is_left() {
    let mut world = warning_below(0, 3, ON);
    let id = world.get(0, "/five");
    assert_eq!(world.workers[0].refusal(id).0, 402);
    let headers = world.workers[0].reply(id).headers;
    for expected in [
        ("ratelimit", "\"five\";r=0".into()),
        ("ratelimit-policy", "\"five\";q=0".into()),
    ] {
        assert!(headers.contains(&expected), "{headers:?}");
    }
    let denied = world.get(0, "/no-such-path");
    let headers = world.workers[0].reply(denied).headers;
    assert!(
        !headers
            .iter()
            .any(|(name, _)| name.starts_with("ratelimit"))
    );
}
