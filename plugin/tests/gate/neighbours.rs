//! Several filters in one process.

use std::rc::Rc;

use creditgate_plugin::metrics::Metric;
use serde_json::Value;

use crate::world::{Fate, MARK, Worker, World};

const ONCE: &str = r#", "charged_once": true"#;

#[test]
fn a_request_that_another_filter_has_decided_is_not_charged_again() {
    let mut world = World::with_config(2, 100, ONCE);
    let first = world.get(0, "/one");
    assert_eq!(world.workers[0].fate(first), Fate::Passed);
    let mark = world.workers[0].filter_state(first, MARK).unwrap();

    // The other filter sees what the first has left with the request.
    let second = world.workers[1].next_id();
    world.workers[1].set_property(second, MARK, &mark);
    assert_eq!(world.get(1, "/one"), second);
    assert_eq!(world.workers[1].fate(second), Fate::Passed);
    for (worker, id) in [(1, second), (0, first)] {
        world.workers[worker].end(id, 200);
    }
    assert_eq!(world.workers[1].access_log(second), Value::Null);
    world.pass(3_000);
    assert_eq!(world.plane.first().spent(), 1);
    assert_eq!(world.workers[1].count(Metric::DecidedElsewhere), 1);
}

/// A request crosses the filter of worker `from`, and then that of worker `to` of a process.
fn cross(from: &mut World, to: Option<&mut World>, workers: [usize; 2], path: &str) {
    let first = from.get(workers[0], path);
    assert_eq!(from.workers[workers[0]].fate(first), Fate::Passed);
    let mark = from.workers[workers[0]].filter_state(first, MARK);
    let to = to.unwrap_or(from);
    let second = to.workers[workers[1]].next_id();
    if let Some(mark) = mark {
        to.workers[workers[1]].set_property(second, MARK, &mark);
    }
    assert_eq!(to.get(workers[1], path), second);
    assert_eq!(to.workers[workers[1]].fate(second), Fate::Passed);
}

/// How often it was said that requests are charged by several filters.
fn crossings_told(world: &World) -> usize {
    let logs = world.workers.iter().flat_map(Worker::log);
    logs.filter(|line| line.contains("requests cross several"))
        .count()
}

/// A process with a filter of each of these, of one name.
fn namesakes(extras: &[&str]) -> World {
    let mut world = World::with_config(1, 1_000, extras[0]);
    for extra in &extras[1..] {
        let document = format!(r#"{{"control_plane": {{"cluster": "creditgate"}}{extra}}}"#);
        let worker = Worker::of_filter("creditgate", &world.shared, &document);
        world.workers.push(worker);
    }
    world.pass(40);
    world
}

#[test]
fn a_request_that_two_copies_of_a_filter_charge_is_told_of_once() {
    // Copied whole, they are one filter to the proxy: one gate decides the stream twice.
    let mut world = World::new(2, 100);
    for worker in [0, 1, 0] {
        cross(&mut world, None, [worker; 2], "/one");
    }
    assert_eq!(crossings_told(&world), 1);
    let said = world.workers[0].log().join("\n");
    assert!(said.contains("set charged_once in all of them"), "{said}");
    assert!(said.contains("the filter creditgate,"), "{said}");
}

#[test]
fn a_request_that_namesakes_charge_is_told_of_whichever_of_them_heeds_marks() {
    let other = r#", "access_log": false"#;
    for extras in [["", other], ["", ONCE], [ONCE, ""]] {
        let mut world = namesakes(&extras);
        for _ in 0..3 {
            cross(&mut world, None, [0, 1], "/one");
        }
        assert_eq!(crossings_told(&world), 1, "{extras:?}");
    }
    let mut world = namesakes(&[ONCE, ONCE]);
    cross(&mut world, None, [0, 1], "/one");
    assert_eq!(crossings_told(&world), 0);
}

#[test]
fn a_request_that_filters_without_common_memory_charge_is_told_of() {
    let (mut first, mut second) = (World::new(1, 100), World::new(1, 100));
    for _ in 0..3 {
        cross(&mut first, Some(&mut second), [0, 0], "/one");
    }
    assert_eq!((crossings_told(&first), crossings_told(&second)), (0, 1));
}

#[test]
fn nothing_is_told_of_requests_that_only_one_filter_charges() {
    let mut world = World::new(2, 100);
    for _ in 0..20 {
        world.get_and_end(0, "/one", 200);
        world.get_and_end(1, "/one", 200);
    }
    assert_eq!(crossings_told(&world), 0);
    // The first lets them pass without a charge.
    for extras in [["", ""], [ONCE, ""], [r#", "mode": "shadow""#, ""]] {
        let mut world = namesakes(&extras);
        let free = world.get(0, "/nothing");
        let mark = world.workers[0].filter_state(free, MARK);
        assert_eq!(mark.is_some(), extras[0] == ONCE);
        let id = world.workers[1].next_id();
        if let Some(mark) = mark {
            world.workers[1].set_property(id, MARK, &mark);
        }
        world.get(1, "/one");
        assert_eq!(crossings_told(&world), 0, "{extras:?}");
    }
    let shadow = r#", "mode": "shadow""#;
    let mut world = namesakes(&[shadow, ""]);
    cross(&mut world, None, [0, 1], "/one");
    cross(&mut world, None, [1, 0], "/one");
    assert_eq!(crossings_told(&world), 0);
}

#[test]
fn only_the_first_charges_of_a_worker_are_watched() {
    let mut world = World::new(1, 100);
    let marked = |world: &mut World, path: &str| {
        let id = world.get_and_end(0, path, 200);
        world.workers[0].filter_state(id, MARK).is_some()
    };
    for _ in 0..20 {
        assert!(!marked(&mut world, "/nothing"), "nothing is charged");
    }
    for number in 0..30 {
        assert_eq!(marked(&mut world, "/one"), number < 16, "{number}");
    }
    assert_eq!(world.shared.mark_calls.get(), 2 * 16);
    // From then on nobody asks, and whatever is there is charged.
    cross(&mut world, None, [0, 0], "/one");
    assert_eq!(world.shared.mark_calls.get(), 2 * 16);
}

#[test]
fn start_up_says_once_that_two_filters_charge_twice() {
    let warned = |extra: &str| {
        let shared = Rc::default();
        let document = format!(r#"{{"control_plane": {{"cluster": "creditgate"}}{extra}}}"#);
        let workers = ["a", "a", "b", "b"].map(|name| Worker::of_filter(name, &shared, &document));
        let logs = workers.iter().flat_map(Worker::log);
        logs.filter(|line| line.contains("is charged by each"))
            .collect::<Vec<_>>()
    };
    let said = warned("");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("(a and b)"), "{said:?}");
    assert_eq!(warned(ONCE), [""; 0]);
}

/// What start-up says of lines that overwrite each other, to filters with these fields.
fn overwriting(extras: &[&str]) -> Vec<String> {
    let shared = Rc::default();
    let filters = ["a", "b", "c"].into_iter().zip(extras);
    let workers: Vec<_> = filters
        .map(|(name, extra)| {
            let document = format!(r#"{{"control_plane": {{"cluster": "creditgate"}}{extra}}}"#);
            Worker::of_filter(name, &shared, &document)
        })
        .collect();
    let logs = workers.iter().flat_map(Worker::log);
    logs.filter(|line| line.contains("overwrite each other"))
        .collect()
}

#[test]
fn start_up_says_that_lines_overwrite_each_other_where_filters_that_each_charge_log_alike() {
    let (admin, silent, off) = (
        r#", "log_as": "admin""#,
        r#", "access_log": false"#,
        r#", "mode": "off""#,
    );
    let said = overwriting(&["", ""]);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("(a and b) log as creditgate"), "{said:?}");
    assert!(said[0].contains("set another log_as"), "{said:?}");
    // Of three, those that do.
    let said = overwriting(&[admin, "", admin]);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("(a and c) log as admin"), "{said:?}");
    assert_eq!(overwriting(&["", ONCE]).len(), 1);
    for apart in [
        ["", admin],
        [ONCE, ONCE],
        ["", silent],
        [silent, silent],
        [off, ""],
    ] {
        assert_eq!(overwriting(&apart), [""; 0], "{apart:?}");
    }
}

#[test]
fn a_filter_writes_its_line_under_its_own_name_alone() {
    let mut world = World::with_config(1, 100, r#", "log_as": "admin-2""#);
    let paid = world.get_and_end(0, "/one", 200);
    let refused = world.workers[0].begin(&[("x-api-key", "x")], "/one");
    world.settle();
    world.workers[0].finish(refused);
    for (id, outcome) in [(paid, "settled"), (refused, "refused")] {
        let worker = &world.workers[0];
        let line = worker.filter_state(id, "admin-2").unwrap();
        let line: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(line["outcome"], outcome, "{line}");
        assert_eq!(worker.access_log(id), Value::Null);
    }
}

#[test]
fn start_up_says_it_too_if_only_one_of_them_heeds_marks() {
    for once in [["a", "b"], ["b", "a"]] {
        let shared = Rc::default();
        let workers = once.map(|name| {
            let extra = if name == "a" { ONCE } else { "" };
            let document = format!(r#"{{"control_plane": {{"cluster": "creditgate"}}{extra}}}"#);
            Worker::of_filter(name, &shared, &document)
        });
        let logs = workers.iter().flat_map(Worker::log);
        let said = logs.filter(|line| line.contains("is charged by each"));
        assert_eq!(said.count(), 1, "{once:?}");
    }
}
