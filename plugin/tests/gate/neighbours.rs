//! Several filters in one process.

use std::rc::Rc;

use creditgate_plugin::metrics::Metric;
use serde_json::Value;

use crate::world::{Fate, Worker, World};

const ONCE: &str = r#", "charged_once": true"#;
const MARK: &str = "creditgate_decided";

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

#[test]
fn a_filter_leaves_no_mark_and_asks_for_none_unless_it_is_told_to() {
    let mut world = World::with_config(1, 100, "");
    let id = world.workers[0].next_id();
    world.workers[0].set_property(id, MARK, b"1");
    assert_eq!(world.get(0, "/one"), id);
    assert_eq!(world.workers[0].filter_state(id, MARK), None);
    world.workers[0].end(id, 200);
    world.pass(3_000);
    assert_eq!(world.plane.first().spent(), 1);
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
