//! What answers should have told and didn't: charged as estimated, and never in silence.

use creditgate_plugin::metrics::Metric;
use serde_json::{Value, json};

use crate::metered::{READS, answer, ask, chat, world};
use crate::world::{AGAIN, World};

fn jobs(source: &Value) -> Value {
    json!([{ "id": "jobs", "path": { "exact": "/jobs" }, "promise": "expected", "meters": [
        { "meter": source, "price": 10, "estimate": 3 },
        { "meter": "response_bytes", "price": 1, "estimate": 0 } ] }])
}

fn log_of(world: &World, word: &str) -> usize {
    let log = world.workers[0].log();
    log.iter().filter(|line| line.contains(word)).count()
}

/// Two bytes of an answer, and what a meter reads of it, or several values.
fn run(world: &mut World, place: &str, value: Option<&str>) -> Value {
    let id = world.get(0, "/jobs");
    let worker = &mut world.workers[0];
    match (place, value) {
        ("header", Some(value)) => worker.set_upstream_header(id, "x-units", value),
        ("state", Some(value)) => {
            worker.set_property(id, "filter_state.wasm.units", value.as_bytes());
        }
        _ => {}
    }
    worker.respond(id, 200, false);
    worker.answer(id, b"ab", place != "trailer" || value.is_none());
    if let ("trailer", Some(value)) = (place, value) {
        worker.trailer(id, "x-units", value);
    }
    worker.finish(id);
    worker.access_log(id)
}

#[test]
fn a_meter_that_could_not_be_read_is_estimated_counted_and_told() {
    let twice = format!("2{AGAIN}2");
    for (place, source) in [
        ("header", json!({ "response_header": "x-units" })),
        ("trailer", json!({ "response_trailer": "x-units" })),
        ("state", json!({ "filter_state": "wasm.units" })),
    ] {
        let mut world = world(10_000, "", jobs(&source));
        let mut unread = 0;
        for (value, settled_by, cost, reason) in [
            (Some("2"), "usage", "22", ""),
            (None, "estimate", "32", "meter_missing"),
            (Some("many"), "estimate", "32", "meter_unreadable"),
            (Some(twice.as_str()), "estimate", "32", "meter_ambiguous"),
        ] {
            if place == "state" && reason == "meter_ambiguous" {
                continue;
            }
            let log = run(&mut world, place, value);
            assert_eq!(
                (&log["settled_by"], &log["cost"]),
                (&json!(settled_by), &json!(cost)),
                "{place} {value:?}"
            );
            world.pass(3_000);
            unread += u64::from(!reason.is_empty());
            for metric in [Metric::UsageUnreadable, Metric::SettledAtEstimate] {
                assert_eq!(world.workers[0].count(metric), unread, "{place} {value:?}");
            }
            if !reason.is_empty() {
                assert_eq!(log_of(&world, reason), 1, "{place} {reason}");
            }
        }
    }
}

#[test]
fn an_answer_that_never_came_or_broke_off_is_blamed_for_nothing() {
    const CLIENT_LEFT: u64 = 0x4000;
    let mut rules = jobs(&json!({ "response_trailer": "x-units" }));
    rules[0]["charge"] = json!("always");
    let mut world = world(10_000, "", rules);
    let mut settled_by = |end: fn(&mut World, u32)| {
        let id = world.get(0, "/jobs");
        end(&mut world, id);
        world.workers[0].finish(id);
        let unread = world.workers[0].count(Metric::UsageUnreadable);
        assert_eq!((unread, log_of(&world, "meter_missing")), (0, 0));
        world.workers[0].access_log(id)["settled_by"].clone()
    };
    let left_midway = |world: &mut World, id| {
        world.workers[0].respond(id, 200, false);
        world.workers[0].answer(id, b"ab", false);
        world.workers[0].break_off(id, CLIENT_LEFT);
    };
    assert_eq!(settled_by(left_midway), "passed");
    let left_before = |world: &mut World, id| world.workers[0].break_off(id, CLIENT_LEFT);
    assert_eq!(settled_by(left_before), "estimate");
    let unreachable = |world: &mut World, id| {
        let details = b"upstream_reset_before_response_started";
        world.workers[0].set_property(id, "response.code_details", details);
        world.workers[0].respond(id, 503, true);
    };
    assert_eq!(settled_by(unreachable), "estimate");
}

#[test]
fn a_meter_that_costs_nothing_is_not_missed() {
    let mut rules = jobs(&json!({ "response_header": "x-units" }));
    rules[0]["meters"][0]["price"] = json!(0);
    let mut world = world(10_000, "", rules);
    let log = run(&mut world, "header", None);
    assert_eq!(
        (&log["settled_by"], &log["cost"]),
        (&json!("usage"), &json!("2"))
    );
    world.pass(3_000);
    assert_eq!(world.workers[0].count(Metric::SettledAtEstimate), 0);
}

#[test]
fn an_answer_of_several_models_costs_its_estimate() {
    let mut rules = chat();
    rules[0]["tokens"]["format"] = json!("anthropic_messages");
    let mut world = world(100_000, READS, rules);
    let body = json!({ "model": "small", "max_tokens": 20 });
    let estimate = (body.to_string().len() + 20 * 2).to_string();
    let id = ask(&mut world, &body);
    let advised = r#"{"model":"small","usage":{"input_tokens":5,"output_tokens":3,"iterations":[
        {"type":"message","input_tokens":5,"output_tokens":3},
        {"type":"advisor_message","model":"large","input_tokens":9,"output_tokens":1}]}}"#;
    answer(&mut world, id, "application/json", &[advised]);
    world.workers[0].finish(id);
    let log = world.workers[0].access_log(id);
    assert_eq!(
        (&log["settled_by"], &log["cost"]),
        (&json!("estimate"), &json!(estimate))
    );
    assert_eq!(log_of(&world, "several_models"), 1);
    world.pass(3_000);
    assert_eq!(world.workers[0].count(Metric::UsageUnreadable), 1);
}

#[test]
fn each_reason_is_logged_once_a_rule() {
    let mut world = world(100_000, READS, chat());
    let bad = |world: &mut World, body: &str| {
        let id = ask(world, &json!({ "model": "small", "max_tokens": 1 }));
        answer(world, id, "application/json", &[body]);
        world.workers[0].finish(id);
        log_of(world, "did not tell its usage")
    };
    assert_eq!(bad(&mut world, "{}"), 1);
    assert_eq!(bad(&mut world, "{}"), 1, "the same again");
    assert_eq!(bad(&mut world, "oops"), 2, "another reason");
    assert_eq!(bad(&mut world, "{}"), 2);
    world.pass(3_000);
    assert_eq!(world.workers[0].count(Metric::UsageUnreadable), 4);
}
