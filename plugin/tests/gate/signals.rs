//! What responses say of credit: warnings, and what is left as a rate limit.

use crate::world::World;

fn told(world: &mut World, path: &str) -> (Option<String>, Option<String>) {
    let id = world.get(0, path);
    world.workers[0].end(id, 200);
    let worker = &world.workers[0];
    (
        worker.response_header(id, "x-credit-warning"),
        worker.response_header(id, "ratelimit"),
    )
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
    assert_eq!(told(&mut world, "/one").0, None, "11 are left");
    assert_eq!(told(&mut world, "/one").0, None, "10 are left");
    assert_eq!(
        told(&mut world, "/one").0.as_deref(),
        Some("low"),
        "9 are left"
    );
    let mut world = warning_below(0, 1, "");
    assert_eq!(told(&mut world, "/one").0, None, "nobody is to be warned");
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

#[test]
fn the_rate_limit_field_is_a_structured_field_of_the_present_draft() {
    let on = r#", "rate_limit_headers": true"#;
    let mut world = warning_below(0, 22, on);
    assert_eq!(
        told(&mut world, "/five").1.as_deref(),
        Some("\"credit\";r=3")
    );
    let mut world = warning_below(0, 22, "");
    assert_eq!(told(&mut world, "/five").1, None);
    // Integers of structured fields have 15 digits at most.
    let mut world = warning_below(0, i64::MAX / 4, on);
    assert_eq!(
        told(&mut world, "/one").1.as_deref(),
        Some("\"credit\";r=999999999999999")
    );
}

#[test]
fn refusals_for_want_of_credit_say_that_none_is_left() {
    let mut world = warning_below(0, 0, r#", "rate_limit_headers": true"#);
    let id = world.get(0, "/one");
    assert_eq!(world.workers[0].refusal(id).0, 402);
    let headers = world.workers[0].reply(id).headers;
    assert!(
        headers.contains(&("ratelimit", "\"credit\";r=0".into())),
        "{headers:?}"
    );
    let denied = world.get(0, "/no-such-path");
    let headers = world.workers[0].reply(denied).headers;
    assert!(!headers.iter().any(|(name, _)| *name == "ratelimit"));
}
