//! Answers that are paid for while they pass: nothing passes that is not.

use creditgate_core::protocol::{Block, Phase};
use creditgate_plugin::metrics::Metric;
use serde_json::{Value, json};

use crate::world::{Fate, World, key};

/// A world in which a byte of the answer costs 1, and a token of output 2.
pub(crate) fn world(purse: i64) -> World {
    let mut world = World::with_config(1, purse, r#", "reads_bodies": true"#);
    world.plane.card = json!({
        "name": "test", "currency": "tokens", "scale": 0, "default": "deny",
        "models": [{ "model": "m", "per": 1, "input": 1, "output": 2 }],
        "rules": [
            { "id": "chat", "methods": ["POST"], "path": { "exact": "/chat" }, "promise": "metered",
              "estimate": { "bytes_per_token": 1 }, "tokens": { "format": "openai_chat" } },
            { "id": "file", "path": { "exact": "/file" }, "promise": "metered",
              "meters": [{ "meter": "response_bytes", "price": 1 }] },
            { "id": "wait", "path": { "exact": "/wait" }, "promise": "metered",
              "meters": [{ "meter": "seconds", "price": 1 }] },
            { "id": "up", "path": { "exact": "/up" }, "promise": "metered",
              "meters": [{ "meter": "request_bytes", "price": 1 }] },
        ],
    });
    world.plane.config_version += 1;
    world.pass(40);
    world
}

const BODY: &str = r#"{"model":"m","stream":true}"#;

fn begin_chat(world: &mut World) -> u32 {
    let key = key(1);
    let id = world.workers[0].begin_with(&[("x-api-key", key.as_bytes())], "POST", "/chat");
    world.workers[0].send(id, BODY.as_bytes(), true);
    world.settle();
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    id
}

pub(crate) fn chat(world: &mut World) -> u32 {
    let id = begin_chat(world);
    world.workers[0].set_upstream_header(id, "content-type", "text/event-stream");
    world.workers[0].respond(id, 200, false);
    id
}

pub(crate) fn delta(bytes: usize) -> String {
    let text = "x".repeat(bytes);
    let event: Value = json!({ "choices": [{ "delta": { "content": text } }] });
    format!("data: {event}\n\n")
}

pub(crate) fn spent(world: &mut World) -> (i64, i64) {
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
            .all(|event| event == delta(10).trim_end())
    );
    let words = events.split("\n\n").count();
    world.workers[0].finish(id);
    let paid = 27 + 20 * i64::try_from(words).unwrap();
    assert!(
        (281..=300).contains(&paid),
        "what the credit pays passes: {paid}"
    );
    assert_eq!(spent(&mut world), (paid, 0), "and nothing more");
    assert_eq!(world.workers[0].count(Metric::StreamsEnded), 1);
    assert_eq!(world.workers[0].access_log(id)["settled_by"], "ended");
}

#[test]
fn an_answer_that_may_end_with_an_event_more_has_no_length() {
    for (on_empty, left) in [("end", None), ("finish", Some("500"))] {
        let mut world = world(300);
        world.plane.card["rules"][0]["on_empty"] = json!(on_empty);
        world.plane.config_version += 1;
        world.pass(40);
        let id = begin_chat(&mut world);
        let worker = &mut world.workers[0];
        worker.set_upstream_header(id, "content-type", "text/event-stream");
        worker.set_upstream_header(id, "content-length", "500");
        worker.respond(id, 200, false);
        let length = worker.response_header(id, "content-length");
        assert_eq!(length.as_deref(), left, "{on_empty}");
    }
}

#[test]
fn an_event_that_has_begun_ends_before_the_stream_does() {
    let mut world = world(300);
    let id = chat(&mut world);
    let events = delta(10).repeat(40);
    for piece in events.as_bytes().chunks(7) {
        if !world.workers[0].is_cut(id) {
            world.workers[0].answer(id, piece, false);
            world.pass(60);
        }
    }
    assert!(world.workers[0].is_cut(id));
    let delivered = world.workers[0].delivered(id);
    let (words, last) = delivered.split_once("event: error").unwrap();
    assert!(
        events.starts_with(words) && words.ends_with("\n\n"),
        "{words}"
    );
    assert!(last.ends_with("}\n\n"));
    world.workers[0].finish(id);
    let (spent, _) = spent(&mut world);
    assert!((280..=300).contains(&spent), "{spent}");
    // Ten bytes of text, for 2 each, are in an event.
    assert!(world.workers[0].count(Metric::OvershootUnits) <= 20);
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
fn pieces_that_come_while_one_is_held_back_are_asked_for_too() {
    let mut world = world(5_000);
    world.plane.ahead = 0;
    let id = chat(&mut world);
    for _ in 0..3 {
        world.workers[0].answer(id, delta(500).as_bytes(), false);
    }
    assert_eq!(world.workers[0].delivered(id), "");
    world.settle();
    assert_eq!(world.workers[0].delivered(id), delta(500).repeat(3));
    world.workers[0].finish(id);
    assert_eq!(spent(&mut world), (27 + 3_000, 0));
}

#[test]
fn what_no_credit_comes_for_in_time_is_dropped_and_not_charged() {
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
    assert!(delivered.starts_with("event: error\n"), "{delivered}");
    assert!(delivered.contains("control_plane_unreachable"));
    assert!(world.workers[0].is_cut(id));
    world.workers[0].finish(id);
    world.plane.is_down = false;
    assert_eq!(spent(&mut world), (27, 0));
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
    assert_eq!(world.workers[0].delivered(id).len(), 90);
    world.workers[0].finish(id);
    assert_eq!(spent(&mut world), (90, 0));
}

#[test]
fn the_last_piece_and_trailers_are_held_back_like_any_other() {
    let mut world = world(100);
    let id = world.get(0, "/file");
    world.workers[0].respond(id, 200, false);
    world.workers[0].answer(id, &[b'a'; 180], true);
    assert_eq!(world.workers[0].delivered(id), "");
    world.pass(2_000);
    assert!(world.workers[0].is_cut(id));
    world.workers[0].finish(id);
    let id = world.get(0, "/file");
    world.workers[0].respond(id, 200, false);
    world.workers[0].answer(id, &[b'a'; 180], false);
    assert!(!world.workers[0].trailer(id, "x-any", "1"));
    world.pass(2_000);
    assert!(world.workers[0].is_cut(id));
    world.workers[0].finish(id);
    assert_eq!(spent(&mut world), (0, 0));
}

#[test]
fn a_rule_may_let_answers_finish_and_what_they_cost_beyond_is_charged() {
    let mut world = world(100);
    world.plane.card["rules"][1]["on_empty"] = json!("finish");
    world.plane.config_version += 1;
    world.pass(40);
    let id = world.get(0, "/file");
    world.workers[0].respond(id, 200, false);
    world.workers[0].answer(id, &[b'a'; 90], false);
    world.pass(60);
    world.workers[0].answer(id, &[b'a'; 90], false);
    world.pass(2_000);
    world.workers[0].answer(id, &[b'a'; 90], true);
    world.settle();
    assert_eq!(world.workers[0].delivered(id).len(), 270);
    world.workers[0].finish(id);
    assert_eq!(spent(&mut world).0, 270);
    assert_eq!(world.workers[0].count(Metric::Overruns), 1);
}

#[test]
fn an_answer_that_can_not_be_read_burns_by_its_bytes() {
    let mut world = world(300);
    let id = begin_chat(&mut world);
    world.workers[0].set_upstream_header(id, "content-type", "text/event-stream");
    world.workers[0].set_upstream_header(id, "content-encoding", "gzip");
    world.workers[0].respond(id, 200, false);
    for _ in 0..20 {
        if !world.workers[0].is_cut(id) {
            world.workers[0].answer(id, &[b'z'; 10], false);
            world.pass(60);
        }
    }
    world.pass(2_000);
    assert!(world.workers[0].is_cut(id), "it goes on for free");
    world.workers[0].finish(id);
    let (spent, _) = spent(&mut world);
    assert!((281..=300).contains(&spent), "{spent}");
}

#[test]
fn time_burns_while_an_answer_is_silent() {
    let mut world = world(5);
    let id = world.get(0, "/wait");
    world.workers[0].respond(id, 200, false);
    world.pass(4_000);
    assert!(!world.workers[0].is_cut(id));
    world.pass(4_000);
    assert!(world.workers[0].is_cut(id));
    world.workers[0].finish(id);
    assert_eq!(spent(&mut world).0, 5);
}

#[test]
fn an_upload_that_does_not_say_its_length_is_refused_where_its_bytes_count() {
    let mut world = world(100);
    let key = key(1);
    let id = world.workers[0].begin_with(&[("x-api-key", key.as_bytes())], "POST", "/up");
    world.settle();
    assert_eq!(
        world.workers[0].refusal(id),
        (411, "length_required".into())
    );
}

#[test]
fn a_stream_of_a_suspended_customer_ends_when_it_needs_more() {
    let mut world = world(10_000);
    let id = chat(&mut world);
    world
        .plane
        .change(|account| account.block = Some(Block::CustomerSuspended));
    world.pass(200);
    for _ in 0..20 {
        if !world.workers[0].is_cut(id) {
            world.workers[0].answer(id, delta(50).as_bytes(), false);
            world.pass(60);
        }
    }
    let delivered = world.workers[0].delivered(id);
    assert!(delivered.contains("customer_suspended"), "{delivered}");
    world.workers[0].finish(id);
}

#[test]
fn a_client_that_leaves_while_a_piece_is_held_back_pays_what_was_reserved() {
    let mut world = world(5_000);
    world.plane.ahead = 0;
    let id = chat(&mut world);
    world.plane.is_down = true;
    world.workers[0].answer(id, delta(1_000).as_bytes(), false);
    world.workers[0].finish(id);
    world.plane.is_down = false;
    assert_eq!(spent(&mut world), (27, 0));
    // What did not pass is nothing that nobody paid for.
    assert_eq!(world.workers[0].count(Metric::OvershootUnits), 0);
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

#[test]
fn a_stream_goes_on_however_often_its_lease_turns_and_keeps_nobody_from_a_new_one() {
    let mut world = world(10_000);
    let id = chat(&mut world);
    let mut leases = std::collections::BTreeSet::new();
    for round in 0..4 {
        world.workers[0].answer(id, delta(100).as_bytes(), false);
        world.pass(200);
        leases.insert(world.shared.cell().lease);
        let other = world.get(0, "/file");
        assert_eq!(world.workers[0].fate(other), Fate::Passed, "{round}");
        world.workers[0].end(other, 500);
        let current = world.shared.cell().lease;
        world.plane.change(|account| {
            let lease = account.leases.get_mut(&current.0).expect("the lease");
            lease.phase = Phase::Turn;
        });
        world.settle();
        world.pass(200);
    }
    assert_eq!(world.workers[0].delivered(id), delta(100).repeat(4));
    assert_eq!(leases.len(), 4);
    world.workers[0].finish(id);
    let log = world.workers[0].access_log(id);
    assert_eq!(log["shares"], Value::Null, "{log}");
    let last = leases.last().map(ToString::to_string);
    assert_eq!(log["lease"].as_str(), last.as_deref());
    assert_eq!(spent(&mut world), (27 + 800, 0));
}

#[test]
fn what_settles_under_two_leases_says_how_much_under_each() {
    // Too little for what it holds to move.
    let mut world = world(327);
    world.plane.ahead = 0;
    let id = chat(&mut world);
    world.workers[0].answer(id, delta(100).as_bytes(), false);
    world.pass(200);
    world.plane.change(|account| {
        let leases = account.leases.values_mut();
        leases.for_each(|lease| lease.phase = Phase::Turn);
    });
    world.pass(200);
    world.workers[0].answer(id, delta(50).as_bytes(), true);
    world.pass(200);
    world.workers[0].finish(id);
    let log = world.workers[0].access_log(id);
    let shares = log["shares"].as_array().expect("shares");
    let costs = shares
        .iter()
        .map(|share| share["cost"].as_str().unwrap().parse::<i64>().unwrap());
    assert_eq!((shares.len(), costs.sum::<i64>()), (2, 327), "{log}");
    assert_eq!(shares[0]["lease"], log["lease"]);
    assert_eq!(spent(&mut world), (327, 0));
}

#[test]
fn an_absurd_count_in_an_answers_header_costs_what_was_reserved() {
    for on_empty in ["end", "finish"] {
        let mut world = world(100);
        world.plane.card["rules"][1]["meters"] = json!([{ "meter": { "response_header": "x-units" }, "price": 1_000_000, "estimate": 0 }]);
        world.plane.card["rules"][1]["price"] = json!(7);
        world.plane.card["rules"][1]["on_empty"] = json!(on_empty);
        world.plane.config_version += 1;
        world.pass(40);
        let id = world.get(0, "/file");
        world.workers[0].set_upstream_header(id, "x-units", "999999999999999");
        world.workers[0].respond(id, 200, false);
        world.workers[0].answer(id, b"abc", true);
        world.pass(2_000);
        world.workers[0].finish(id);
        assert_eq!(spent(&mut world).0, 7, "{on_empty}");
    }
}

#[test]
fn an_event_that_never_ends_is_waited_for_no_longer_than_for_credit() {
    let mut world = world(300);
    let id = chat(&mut world);
    world.workers[0].answer(id, delta(100).as_bytes(), false);
    world.workers[0].answer(id, b"data: {\"choices\":[{\"delta\":{\"content\":\"", false);
    for _ in 0..20 {
        if !world.workers[0].is_cut(id) {
            world.workers[0].answer(id, &[b'x'; 100], false);
            world.pass(200);
        }
    }
    assert!(
        world.workers[0].is_cut(id),
        "it waits for an end that never comes"
    );
}
