//! Answers that are paid for while they pass.

use creditgate_core::protocol::Phase;
use creditgate_plugin::metrics::Metric;
use serde_json::{Value, json};

use crate::world::{Fate, World, key};

/// A world in which a byte of the answer costs 1, and a token of output 2.
fn world(purse: i64) -> World {
    let mut world = World::with_config(1, purse, r#", "reads_bodies": true"#);
    world.plane.card = json!({
        "name": "test", "currency": "tokens", "scale": 0, "default": "deny",
        "models": [{ "model": "m", "per": 1, "input": 1, "output": 2 }],
        "rules": [
            { "id": "chat", "methods": ["POST"], "path": { "exact": "/chat" }, "promise": "metered",
              "estimate": { "bytes_per_token": 1 }, "tokens": { "format": "openai_chat" } },
            { "id": "file", "path": { "exact": "/file" }, "promise": "metered",
              "meters": [{ "meter": "response_bytes", "price": 1 }] },
        ],
    });
    world.plane.config_version += 1;
    world.pass(40);
    world
}

const BODY: &str = r#"{"model":"m","stream":true}"#;

fn chat(world: &mut World) -> u32 {
    let key = key(1);
    let id = world.workers[0].begin_with(&[("x-api-key", key.as_bytes())], "POST", "/chat");
    world.workers[0].send(id, BODY.as_bytes(), true);
    world.settle();
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    world.workers[0].set_upstream_header(id, "content-type", "text/event-stream");
    world.workers[0].respond(id, 200, false);
    id
}

fn delta(bytes: usize) -> String {
    let text = "x".repeat(bytes);
    let event: Value = json!({ "choices": [{ "delta": { "content": text } }] });
    format!("data: {event}\n\n")
}

fn spent(world: &mut World) -> (i64, i64) {
    world.pass(3_000);
    let account = world.plane.first();
    (account.spent(), account.outstanding())
}

#[test]
fn a_stream_reserves_as_it_burns_and_is_charged_what_it_used() {
    let mut world = world(10_000);
    let id = chat(&mut world);
    let begun = world.shared.cell().counters.held().get();
    assert_eq!(begun, 27, "no more than what its beginning costs");
    for _ in 0..20 {
        world.workers[0].answer(id, delta(50).as_bytes(), false);
        world.settle();
    }
    let held = world.shared.cell().counters.held().get();
    assert!((27 + 2_000..27 + 2_000 + 200).contains(&held), "{held}");
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":700}}\n\ndata: [DONE]\n\n";
    world.workers[0].answer(id, usage.as_bytes(), true);
    world.workers[0].finish(id);
    assert_eq!(spent(&mut world), (9 + 2 * 700, 0));
}

#[test]
fn a_stream_ends_with_an_event_when_the_credit_is_used_up() {
    let mut world = world(300);
    let id = chat(&mut world);
    let mut sent = 0;
    while !world.workers[0].is_cut(id) {
        assert!(sent < 100, "it goes on for free");
        world.workers[0].answer(id, delta(10).as_bytes(), false);
        world.pass(60);
        sent += 1;
    }
    let delivered = world.workers[0].delivered(id);
    let (events, last) = delivered.trim_end().rsplit_once("\n\n").unwrap();
    assert!(last.starts_with("event: error\ndata: {") && last.contains("credit_exhausted"));
    assert!(
        events
            .split("\n\n")
            .all(|event| event.starts_with("data: {\"choices\""))
    );
    world.workers[0].finish(id);
    let (spent, overshoot) = spent(&mut world);
    // All there was, and at most the one piece that did not fit.
    assert!((280..=320).contains(&spent), "{spent}");
    assert!((-20..=0).contains(&overshoot), "{overshoot}");
    assert_eq!(world.workers[0].count(Metric::StreamsEnded), 1);
}

#[test]
fn a_piece_is_held_back_until_credit_that_lies_elsewhere_has_come() {
    let mut world = world(5_000);
    world.plane.ahead = 0;
    let id = chat(&mut world);
    world.workers[0].answer(id, delta(1_000).as_bytes(), false);
    assert_eq!(world.workers[0].delivered(id), "", "it is not paid for");
    world.settle();
    assert_eq!(world.workers[0].delivered(id), delta(1_000));
    assert!(!world.workers[0].is_cut(id));
    world.workers[0].finish(id);
    assert_eq!(spent(&mut world), (27 + 2_000, 0));
}

#[test]
fn a_stream_that_no_credit_comes_for_in_time_is_ended() {
    let mut world = world(5_000);
    world.plane.ahead = 0;
    let id = chat(&mut world);
    world.plane.is_down = true;
    world.workers[0].answer(id, delta(1_000).as_bytes(), false);
    world.workers[0].answer(id, b"data: {\"choices\":[]", false);
    world.pass(900);
    assert_eq!(world.workers[0].delivered(id), "");
    world.pass(300);
    let delivered = world.workers[0].delivered(id);
    assert!(delivered.starts_with(&delta(1_000)) && delivered.contains("event: error"));
    assert!(
        !delivered.contains("[]"),
        "an event that is not whole is dropped"
    );
    assert!(world.workers[0].is_cut(id));
    world.workers[0].finish(id);
    world.plane.is_down = false;
    // The piece was delivered, and is owed.
    assert_eq!(spent(&mut world), (27 + 2_000, -2_000));
}

#[test]
fn a_body_that_is_no_stream_of_events_is_cut_off() {
    let mut world = world(100);
    let id = world.get(0, "/file");
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    world.workers[0].respond(id, 200, false);
    world.workers[0].answer(id, &[b'a'; 90], false);
    world.pass(60);
    assert_eq!(world.workers[0].delivered(id).len(), 90);
    world.workers[0].answer(id, &[b'a'; 90], false);
    world.pass(2_000);
    assert!(world.workers[0].is_cut(id));
    assert!(world.workers[0].delivered(id).len() <= 180);
    world.workers[0].finish(id);
    let (spent, overshoot) = spent(&mut world);
    assert!((90..=180).contains(&spent), "{spent}");
    assert!((-90..=0).contains(&overshoot), "{overshoot}");
}

#[test]
fn a_client_that_leaves_while_a_piece_is_held_back_leaves_nothing_behind() {
    let mut world = world(5_000);
    world.plane.ahead = 0;
    let id = chat(&mut world);
    world.plane.is_down = true;
    world.workers[0].answer(id, delta(1_000).as_bytes(), false);
    world.workers[0].finish(id);
    world.plane.is_down = false;
    let (spent, overshoot) = spent(&mut world);
    assert_eq!(spent + overshoot, 27, "what was held back was made for it");
    let id = chat(&mut world);
    assert_eq!(world.workers[0].fate(id), Fate::Passed, "others are served");
}

#[test]
fn a_lease_that_turns_under_a_stream_is_settled_part_by_part() {
    let mut world = world(10_000);
    let id = chat(&mut world);
    world.workers[0].answer(id, delta(100).as_bytes(), false);
    world.settle();
    let first = world.shared.cell().lease;
    world.plane.change(|account| {
        let leases = account.leases.values_mut();
        leases.for_each(|lease| lease.phase = Phase::Turn);
    });
    world.settle();
    world.pass(200);
    world.workers[0].answer(id, delta(100).as_bytes(), false);
    world.pass(200);
    world.workers[0].answer(id, delta(100).as_bytes(), false);
    assert_ne!(world.shared.cell().lease, first);
    world.settle();
    world.workers[0].finish(id);
    assert_eq!(spent(&mut world), (27 + 600, 0));
}
