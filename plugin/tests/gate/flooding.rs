//! Invented keys, in any number, while the control plane does not answer.

use creditgate_plugin::metrics::Metric;

use crate::world::{Fate, World, invented_key};

const LIMITS: &str =
    r#""limits": {"lookups_max": 64, "calls_max": 4, "unknown_lookups_per_second": 100000}"#;

#[test]
fn keys_of_clients_that_left_are_not_asked_about_later() {
    let mut world = World::with_config(1, 10, &format!(", {LIMITS}"));
    world.plane.unheard = Some("/resolve");
    for number in 0..1_000 {
        let id = world.workers[0].begin(&[("x-api-key", &invented_key(number))], "/one");
        world.settle();
        world.workers[0].finish(id);
    }
    world.workers[0].tick();
    world.plane.unheard = None;
    world.pass(10_000);
    assert!(
        world.plane.resolves <= 8,
        "only what was asked in vain is asked again, not {}",
        world.plane.resolves
    );
    assert_eq!(world.workers[0].count(Metric::LookupsRefused), 0);
    let id = world.get(0, "/one");
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
}

#[test]
fn more_lookups_than_the_bound_are_refused_until_their_waiters_gave_up() {
    let mut world = World::with_config(1, 10, &format!(", {LIMITS}"));
    world.plane.unheard = Some("/resolve");
    for number in 0..100 {
        world.workers[0].begin(&[("x-api-key", &invented_key(number))], "/one");
    }
    world.pass(2_000);
    assert_eq!(world.workers[0].count(Metric::LookupsRefused), 100 - 48);
    world.plane.unheard = None;
    world.pass(2_000);
    let id = world.get(0, "/one");
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
}

#[test]
fn shadow_mode_keeps_no_more_keys_in_mind_than_it_may_look_up() {
    let mut world = World::with_config(1, 10, &format!(r#", "mode": "shadow", {LIMITS}"#));
    world.plane.unheard = Some("/resolve");
    for number in 0..1_000 {
        let id = world.workers[0].begin(&[("x-api-key", &invented_key(number))], "/one");
        assert_eq!(world.workers[0].fate(id), Fate::Passed);
        world.workers[0].end(id, 200);
        world.settle();
    }
    world.pass(400);
    assert_eq!(world.workers[0].count(Metric::LookupsRefused), 1_000 - 48);
    world.plane.unheard = None;
    world.pass(10_000);
    assert!(world.plane.resolves <= 48);
}
