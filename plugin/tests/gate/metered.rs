//! Requests whose price is known only when they end: read before, measured while they pass,
//! settled after.

use creditgate_plugin::metrics::Metric;
use serde_json::{Value, json};

use crate::world::{Fate, Worker, World, key};

pub(crate) const CLIENT_LEFT: u64 = 0x4000;
const UPSTREAM_CUT: u64 = 0x40;
pub(crate) const READS: &str = r#", "reads_bodies": true"#;

/// A world with these rules, where an input token costs 1 and one of output 2.
pub(crate) fn world(purse: i64, config: &str, rules: Value) -> World {
    World::with_rules(purse, config, rules)
}

pub(crate) fn chat() -> Value {
    json!([{ "id": "chat", "methods": ["POST"], "path": { "exact": "/chat" },
        "tokens": { "format": "openai_chat", "output_tokens_max": 50 } }])
}

/// A request to /chat, with its body in two pieces.
pub(crate) fn ask(world: &mut World, body: &Value) -> u32 {
    let body = body.to_string();
    let key = key(1);
    let headers = [("x-api-key", key.as_bytes())];
    let id = world.workers[0].begin_with(&headers, "POST", "/chat");
    let (first, rest) = body.split_at(body.len() / 2);
    world.workers[0].send(id, first.as_bytes(), false);
    assert_eq!(
        world.workers[0].fate(id),
        Fate::Held,
        "half a body tells nothing"
    );
    world.workers[0].send(id, rest.as_bytes(), true);
    world.settle();
    id
}

pub(crate) fn answer(world: &mut World, id: u32, content_type: &str, pieces: &[&str]) {
    let worker = &mut world.workers[0];
    worker.set_upstream_header(id, "content-type", content_type);
    worker.respond(id, 200, false);
    for (place, piece) in pieces.iter().enumerate() {
        worker.answer(id, piece.as_bytes(), place + 1 == pieces.len());
    }
}

pub(crate) fn spent(world: &mut World) -> (i64, i64) {
    world.pass(3_000);
    let account = world.plane.first();
    (account.spent(), account.outstanding())
}

#[test]
fn an_answer_is_charged_by_the_tokens_it_says_it_used() {
    let mut world = world(1_000, READS, chat());
    let id = ask(
        &mut world,
        &json!({ "model": "small", "max_tokens": 20, "messages": [] }),
    );
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    let usage = r#"{"model": "small", "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}}"#;
    answer(
        &mut world,
        id,
        "application/json",
        &[&usage[..30], &usage[30..]],
    );
    world.workers[0].finish(id);
    let log = world.workers[0].access_log(id);
    assert_eq!(
        (
            &log["cost"],
            &log["settled_by"],
            &log["model"],
            &log["input_tokens"],
            &log["output_tokens"]
        ),
        (
            &json!("17"),
            &json!("usage"),
            &json!("small"),
            &json!(7),
            &json!(5)
        ),
        "{log}"
    );
    assert_eq!(spent(&mut world), (17, 0));
}

#[test]
fn a_request_is_reserved_at_the_most_it_can_cost() {
    let mut world = world(1_000, READS, chat());
    let body = json!({ "model": "small", "max_tokens": 20, "messages": [] });
    let bytes = i64::try_from(body.to_string().len()).unwrap();
    let id = ask(&mut world, &body);
    // No tokenizer makes more tokens than bytes.
    assert_eq!(world.shared.cell().counters.held().get(), bytes + 20 * 2);
    let log_of = |world: &World| world.workers[0].access_log(id);
    answer(&mut world, id, "application/json", &["{}"]);
    world.workers[0].finish(id);
    assert_eq!(log_of(&world)["settled_by"], "estimate", "it told no usage");
    assert_eq!(log_of(&world)["cost"], (bytes + 40).to_string());
    assert_eq!(spent(&mut world), (bytes + 40, 0));
    let worker = &world.workers[0];
    assert_eq!(worker.count(Metric::UsageUnreadable), 1);
    let told = worker.log();
    assert!(
        told.iter().any(|line| line.contains("usage_missing")),
        "{told:?}"
    );
}

#[test]
fn a_request_that_may_cost_more_than_there_is_gets_a_402() {
    let mut world = world(100, READS, chat());
    let id = ask(
        &mut world,
        &json!({ "model": "large-1", "max_tokens": 5, "messages": [] }),
    );
    assert_eq!(
        world.workers[0].refusal(id),
        (402, "credit_exhausted".into())
    );
    let id = ask(
        &mut world,
        &json!({ "model": "small", "max_tokens": 5, "messages": [] }),
    );
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
}

#[test]
fn what_can_not_be_priced_is_refused_by_name() {
    let mut world = world(1_000, READS, chat());
    for (body, status, code) in [
        (json!({ "model": "unknown" }), 400, "model_unknown"),
        (json!({ "messages": [] }), 400, "model_unknown"),
        (
            json!({ "model": "small", "max_tokens": 51 }),
            400,
            "output_over_max",
        ),
        (
            json!({ "model": "small", "max_tokens": -1 }),
            400,
            "body_unreadable",
        ),
        (json!(["small"]), 400, "body_unreadable"),
        (
            json!({ "model": "small", "text": "x".repeat(131_072) }),
            413,
            "body_too_large",
        ),
    ] {
        let id = ask(&mut world, &body);
        assert_eq!(world.workers[0].refusal(id), (status, code.into()));
    }
    let key = key(1);
    let headers = [
        ("x-api-key", key.as_bytes()),
        ("content-length", b"131073".as_slice()),
    ];
    let id = world.workers[0].begin_with(&headers, "POST", "/chat");
    assert_eq!(world.workers[0].refusal(id), (413, "body_too_large".into()));
    assert_eq!(spent(&mut world), (0, 0));
}

#[test]
fn a_filter_that_reads_no_bodies_says_so() {
    let mut world = world(1_000, "", chat());
    let key = key(1);
    let id = world.workers[0].begin_with(&[("x-api-key", key.as_bytes())], "POST", "/chat");
    assert_eq!(world.workers[0].refusal(id), (503, "bodies_off".into()));
}

#[test]
fn a_request_without_a_limit_gets_one_and_a_stream_tells_its_usage() {
    let mut world = world(1_000, READS, chat());
    let id = ask(&mut world, &json!({ "model": "small", "stream": true }));
    let body = world.workers[0].body(id);
    let sent: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(sent["max_completion_tokens"], 50);
    assert_eq!(sent["stream_options"], json!({ "include_usage": true }));
    let told = world.workers[0].set_header(id, "content-length");
    assert_eq!(told, None, "it came in chunks");
    let asked = world.workers[0].set_header(id, "accept-encoding");
    assert_eq!(asked.as_deref(), Some("identity"));
}

fn delta(text: &str) -> String {
    format!(
        "data: {}\n\n",
        json!({ "choices": [{ "delta": { "content": text } }] })
    )
}

#[test]
fn a_stream_is_charged_by_its_last_event() {
    let mut world = world(1_000, READS, chat());
    let id = ask(&mut world, &json!({ "model": "small", "stream": true }));
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3}}\n\ndata: [DONE]\n\n";
    answer(
        &mut world,
        id,
        "text/event-stream",
        &[&delta("Hel"), &delta("lo"), usage],
    );
    world.workers[0].finish(id);
    assert_eq!(spent(&mut world), (9 + 2 * 3, 0));
}

#[test]
fn a_client_that_leaves_a_stream_pays_what_has_passed() {
    let mut world = world(10_000, READS, chat());
    let body = json!({ "model": "small", "stream": true, "max_tokens": 50 });
    let id = ask(&mut world, &body);
    let worker = &mut world.workers[0];
    worker.set_upstream_header(id, "content-type", "text/event-stream");
    worker.respond(id, 200, false);
    worker.answer(id, delta("Hello").as_bytes(), false);
    worker.break_off(id, CLIENT_LEFT);
    worker.finish(id);
    assert_eq!(worker.access_log(id)["settled_by"], "passed");
    let read = i64::try_from(body.to_string().len()).unwrap();
    assert_eq!(spent(&mut world), (read + 2 * 5, 0), "never nothing");
}

#[test]
fn a_stream_that_told_all_is_charged_though_its_upstream_cuts_it_off() {
    let usage =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3}}\n\n";
    for (last, expected) in [("data: [DONE]\n\n", 9 + 2 * 3), ("", 0)] {
        let mut world = world(10_000, READS, chat());
        let body = json!({ "model": "small", "stream": true, "max_tokens": 50 });
        let id = ask(&mut world, &body);
        let worker = &mut world.workers[0];
        worker.set_upstream_header(id, "content-type", "text/event-stream");
        worker.respond(id, 200, false);
        for piece in [&delta("Hello"), usage, last] {
            worker.answer(id, piece.as_bytes(), false);
        }
        worker.break_off(id, UPSTREAM_CUT);
        worker.finish(id);
        assert_eq!(spent(&mut world), (expected, 0), "{last}");
    }
}

#[test]
fn a_compressed_answer_is_settled_at_the_estimate() {
    let mut world = world(1_000, READS, chat());
    let id = ask(&mut world, &json!({ "model": "small", "max_tokens": 1 }));
    world.workers[0].set_upstream_header(id, "content-encoding", "gzip");
    answer(&mut world, id, "application/json", &["\u{1f}"]);
    world.workers[0].finish(id);
    assert_eq!(world.workers[0].access_log(id)["settled_by"], "estimate");
    world.pass(3_000);
    assert_eq!(world.workers[0].count(Metric::SettledAtEstimate), 1);
}

#[test]
fn bytes_seconds_and_the_upstreams_units_are_charged() {
    let rules = json!([{ "id": "job", "path": { "exact": "/job" }, "price": 3, "maximum": 900, "meters": [
        { "meter": "request_bytes", "price": 1 }, { "meter": "response_bytes", "price": 2 },
        { "meter": "seconds", "price": 10 },
        { "meter": { "response_header": "x-units" }, "price": 100, "estimate": 1 } ] }]);
    let mut world = world(2_000, "", rules);
    let key = key(1);
    let headers = [
        ("x-api-key", key.as_bytes()),
        ("content-length", b"4".as_slice()),
    ];
    let id = world.workers[0].begin_with(&headers, "POST", "/job");
    world.settle();
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    world.workers[0].send(id, b"abcd", true);
    world.pass(200);
    world.workers[0].set_upstream_header(id, "x-units", "2");
    world.workers[0].respond(id, 200, false);
    assert_eq!(
        world.workers[0].response_header(id, "x-units"),
        None,
        "it goes no further"
    );
    world.workers[0].answer(id, b"abc", false);
    world.workers[0].answer(id, b"de", true);
    world.workers[0].finish(id);
    assert_eq!(spent(&mut world), (3 + 4 + 2 * 5 + 2 + 200, 0));
}

#[test]
fn a_request_that_waited_for_the_rate_card_is_priced_by_its_body() {
    for is_whole in [true, false] {
        let mut world = world(1_000, READS, chat());
        // Another process: nobody in it has heard of a rate card.
        world.shared.data.borrow_mut().clear();
        let document = format!(r#"{{"control_plane": {{"cluster": "c"}}{READS}}}"#);
        world.workers = vec![Worker::new(&world.shared, &document)];
        let key = key(1);
        let headers = [("x-api-key", key.as_bytes())];
        let id = world.workers[0].begin_with(&headers, "POST", "/chat");
        world.workers[0].send(id, br#"{"model": "small", "#, false);
        if is_whole {
            world.workers[0].send(id, br#""max_tokens": 1}"#, true);
        }
        assert_eq!(world.workers[0].fate(id), Fate::Held);
        world.pass(100);
        if !is_whole {
            assert_eq!(world.workers[0].fate(id), Fate::Held, "half a body");
            world.workers[0].send(id, br#""max_tokens": 1}"#, true);
            world.settle();
        }
        assert_eq!(world.workers[0].fate(id), Fate::Passed, "{is_whole}");
        assert_eq!(world.shared.cell().counters.held().get(), 35 + 2);
    }
}

#[test]
fn the_length_of_a_changed_body_is_put_right() {
    let mut world = world(1_000, READS, chat());
    let asked = r#"{"model": "small"}"#;
    let key = key(1);
    let length = asked.len().to_string();
    let headers = [
        ("x-api-key", key.as_bytes()),
        ("content-length", length.as_bytes()),
    ];
    let id = world.workers[0].begin_with(&headers, "POST", "/chat");
    world.workers[0].send(id, asked.as_bytes(), true);
    world.settle();
    let body = world.workers[0].body(id);
    assert!(body.len() > asked.len());
    let told = world.workers[0].set_header(id, "content-length");
    assert_eq!(told, Some(body.len().to_string()));
}

#[test]
fn shadow_mode_changes_nothing_on_the_way() {
    let config = r#", "reads_bodies": true, "mode": "shadow""#;
    let mut world = world(1_000, config, chat());
    let asked = json!({ "model": "small", "stream": true });
    let id = ask(&mut world, &asked);
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    assert_eq!(world.workers[0].body(id), asked.to_string());
    assert_eq!(world.workers[0].removed_headers(), [""; 0]);
}

#[test]
fn bytes_that_were_held_back_are_counted() {
    let rules = json!([{ "id": "up", "path": { "exact": "/up" },
        "meters": [{ "meter": "request_bytes", "price": 1, "estimate": 50 }] }]);
    let mut world = world(1_000, "", rules);
    let key = key(1);
    let id = world.workers[0].begin_with(&[("x-api-key", key.as_bytes())], "POST", "/up");
    // The first request of an account waits for its lease.
    world.workers[0].send(id, b"0123456789", false);
    assert_eq!(world.workers[0].fate(id), Fate::Held);
    world.settle();
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    world.workers[0].send(id, b"01234", true);
    world.workers[0].end(id, 200);
    assert_eq!(spent(&mut world), (15, 0));
}

/// Two rules for one path, by the model, and a cheap one for all else.
fn by_model() -> Value {
    json!([
        { "id": "dear", "path": { "exact": "/chat" }, "match": { "model": "large*" }, "price": 9 },
        { "id": "other", "path": { "exact": "/chat" }, "price": 1 },
    ])
}

#[test]
fn a_body_that_can_be_read_in_two_ways_never_falls_to_a_cheaper_rule() {
    let mut world = world(1_000, READS, by_model());
    for (body, expected) in [
        (r#"{"model": "large-1"}"#, Ok(9)),
        (r#"{"model": "small"}"#, Ok(1)),
        (r#"{"model": "small", "model": "large-1"}"#, Err(400)),
        (r#"{"model": "large-1", "n": 1.0, "stream": 1}"#, Ok(9)),
        (r#"{"model": ["large-1"]}"#, Err(400)),
        ("\u{1f}", Err(400)),
    ] {
        let key = key(1);
        let headers = [("x-api-key", key.as_bytes())];
        let before = world.plane.first().spent();
        let id = world.workers[0].begin_with(&headers, "POST", "/chat");
        world.workers[0].send(id, body.as_bytes(), true);
        world.settle();
        match expected {
            Ok(price) => {
                assert_eq!(world.workers[0].fate(id), Fate::Passed, "{body}");
                world.workers[0].end(id, 200);
                assert_eq!(spent(&mut world).0 - before, price, "{body}");
            }
            Err(status) => {
                let refusal = world.workers[0].refusal(id);
                assert_eq!(refusal, (status, "body_unreadable".into()), "{body}");
            }
        }
    }
}

#[test]
fn another_spelling_of_a_path_names_the_same_model() {
    let rules = json!([{ "id": "g", "path": { "template": "/v1beta/models/{call}" },
        "tokens": { "format": "gemini", "unknown_model": { "as": "small" } } }]);
    let body = r#"{"model": "small", "generationConfig": {"maxOutputTokens": 1}}"#;
    for path in [
        "/v1beta/models/large-1:generateContent",
        "/v1beta/models/l%61rge-1:generateContent",
        "/v1beta/models/large-1%3AgenerateContent",
        "/v1beta/models//large-1:generateContent/?alt=sse",
    ] {
        let mut world = world(100_000, READS, rules.clone());
        let key = key(1);
        let headers = [("x-api-key", key.as_bytes())];
        let id = world.workers[0].begin_with(&headers, "POST", path);
        world.workers[0].send(id, body.as_bytes(), true);
        world.settle();
        assert_eq!(world.workers[0].fate(id), Fate::Passed, "{path}");
        let held = world.shared.cell().counters.held().get();
        let bytes = i64::try_from(body.len()).unwrap();
        assert_eq!(held, bytes * 10 + 20, "{path}");
    }
}

#[test]
fn a_request_without_a_body_that_waited_for_the_rate_card_is_answered() {
    let mut world = world(1_000, READS, by_model());
    world.shared.data.borrow_mut().clear();
    let document = format!(r#"{{"control_plane": {{"cluster": "c"}}{READS}}}"#);
    world.workers = vec![Worker::new(&world.shared, &document)];
    let key = key(1);
    let headers = [("x-api-key", key.as_bytes())];
    let id = world.workers[0].begin_alone(&headers, "GET", "/chat");
    assert_eq!(world.workers[0].fate(id), Fate::Held);
    world.pass(100);
    let refusal = world.workers[0].refusal(id);
    assert_eq!(refusal, (400, "body_unreadable".into()));
}

#[test]
fn a_token_rule_in_shadow_mode_refuses_no_body() {
    let mut rules = chat();
    rules[0]["mode"] = json!("shadow");
    let mut reading = world(1_000, READS, rules.clone());
    let long = json!({ "model": "small", "text": "x".repeat(131_072) });
    let id = ask(&mut reading, &long);
    assert_eq!(reading.workers[0].fate(id), Fate::Passed);
    let mut blind = world(1_000, "", rules);
    let key = key(1);
    let headers = [("x-api-key", key.as_bytes())];
    let id = blind.workers[0].begin_with(&headers, "POST", "/chat");
    assert_eq!(blind.workers[0].fate(id), Fate::Passed);
}

#[test]
fn a_body_that_was_held_in_part_is_let_go_piece_by_piece_and_counted_once() {
    let rules = json!([{ "id": "up", "path": { "exact": "/up" }, "promise": "expected",
        "meters": [{ "meter": "request_bytes", "price": 1 }] }]);
    let mut world = world(1_000, "", rules);
    let key = key(1);
    let headers = [("x-api-key", key.as_bytes())];
    let id = world.workers[0].begin_with(&headers, "POST", "/up");
    world.workers[0].send(id, b"01234", false);
    assert_eq!(world.workers[0].fate(id), Fate::Held);
    world.settle();
    assert_eq!(world.workers[0].let_go(id), (1, 0));
    for resumed in 2..5 {
        world.workers[0].send(id, b"567", false);
        world.workers[0].send(id, b"89", resumed == 4);
        assert_eq!(world.workers[0].let_go(id), (resumed - 1, 5));
        world.settle();
        assert_eq!(world.workers[0].let_go(id), (resumed, 0));
    }
    world.workers[0].end(id, 200);
    world.pass(3_000);
    assert_eq!(world.plane.first().spent(), 20);
}
