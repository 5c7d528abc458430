//! Rules that settle by how a request ended, and what the proxy says of each ending.

use serde_json::{Value, json};

use crate::world::{World, key};

const CLIENT_LEFT: u64 = 0x4000;
const UPSTREAM_CUT: u64 = 0x40;
const UPSTREAM_OVERFLOW: u64 = 0x80;
const ROUTE_TIMEOUT: u64 = 0x4;
const RETRIES_USED_UP: u64 = 0x8000;

/// How a request ends: what the proxy's log has of it.
#[derive(Clone, Copy)]
enum End {
    /// The upstream answered with this status.
    Answered(u16),
    /// The upstream began to answer with this status, then it broke off so.
    Broken(u16, u64),
    /// The proxy answered, for this reason and with these flags.
    Local(u16, &'static str, u64),
    /// The upstream began to answer, and the stream had lasted too long: of that there is no flag.
    Overlong(u16),
    /// Nothing came back, since the client had left.
    Left,
}

use End::{Answered, Broken, Left, Local, Overlong};

const TOO_LONG: &str = "max_duration_timeout";

/// What a request for 9, at least 4, is charged.
fn cost(settle: &Value, end: End, attempts: u64) -> String {
    let rules = json!([{ "id": "r", "path": { "exact": "/r" }, "price": 9, "minimum": 4,
        "charge": "always", "settle": settle }]);
    let mut world = World::with_rules(1_000, "", rules);
    let id = world.get(0, "/r");
    let worker = &mut world.workers[0];
    worker.set_property(
        id,
        "upstream.request_attempt_count",
        &attempts.to_le_bytes(),
    );
    match end {
        Answered(status) => worker.respond(id, status, true),
        Broken(status, flags) => {
            worker.respond(id, status, false);
            worker.break_off(id, flags);
        }
        Local(status, details, flags) => {
            worker.set_property(id, "response.flags", &flags.to_le_bytes());
            worker.set_property(id, "response.code_details", details.as_bytes());
            worker.respond(id, status, true);
        }
        Overlong(status) => {
            worker.respond(id, status, false);
            worker.break_off(id, 0);
            worker.set_property(id, "response.code_details", TOO_LONG.as_bytes());
        }
        Left => worker.break_off(id, CLIENT_LEFT),
    }
    worker.finish(id);
    worker.access_log(id)["cost"].as_str().unwrap().to_owned()
}

#[test]
fn the_first_that_fits_decides() {
    let settle = json!([
        { "when": { "status": ["404"] }, "then": "release" },
        { "when": { "cause": ["client_abort"] }, "then": "minimum" },
        { "when": { "status": ["5xx"], "cause": ["timeout"] }, "then": "charge" },
        { "when": { "status": ["5xx"] }, "then": "release" },
    ]);
    for (end, expected) in [
        (Answered(200), "9"),
        (Answered(404), "0"),
        (Broken(200, CLIENT_LEFT), "4"),
        (Broken(404, CLIENT_LEFT), "0"),
        (Local(504, "upstream_response_timeout", ROUTE_TIMEOUT), "9"),
        (Answered(503), "0"),
    ] {
        assert_eq!(cost(&settle, end, 1), expected);
    }
}

#[test]
fn each_cause_is_told_from_the_others() {
    let overflow = Local(
        503,
        "upstream_reset_before_response_started",
        UPSTREAM_OVERFLOW,
    );
    let no_answer = Local(504, "upstream_response_timeout", ROUTE_TIMEOUT);
    let ends = [
        Answered(429),
        Local(429, "request_rate_limited", 0x800),
        Broken(200, CLIENT_LEFT),
        Broken(200, UPSTREAM_CUT),
        Broken(200, ROUTE_TIMEOUT),
        Left,
        no_answer,
        overflow,
        Local(503, "upstream_reset", UPSTREAM_CUT | RETRIES_USED_UP),
        Overlong(200),
        Local(504, TOO_LONG, 0),
    ];
    for (cause, expected) in [
        ("local_reply", [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("client_abort", [0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0]),
        ("upstream_reset", [0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0]),
        ("timeout", [0, 0, 0, 0, 1, 0, 1, 0, 0, 1, 1]),
        ("no_response", [0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 1]),
        ("retries", [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]),
    ] {
        let settle = json!([{ "when": { "cause": [cause] }, "then": "release" }]);
        let released = ends.map(|end| u8::from(cost(&settle, end, 1) == "0"));
        assert_eq!(released, expected, "{cause}");
    }
}

#[test]
fn a_response_flag_is_told_by_its_name() {
    let settle = json!([{ "when": { "flag": ["UO", "DC"] }, "then": "release" }]);
    let local = |flags| Local(503, "why", flags);
    for (end, expected) in [
        (local(UPSTREAM_OVERFLOW), "0"),
        (local(UPSTREAM_CUT), "9"),
        (Broken(200, CLIENT_LEFT), "0"),
        (Answered(503), "9"),
    ] {
        assert_eq!(cost(&settle, end, 1), expected);
    }
}

#[test]
fn what_was_tried_again_too_often_can_be_settled_otherwise() {
    let settle = json!([{ "when": { "retries_min": 2, "status": ["2xx"] }, "then": "minimum" }]);
    for (attempts, expected) in [(0, "9"), (1, "9"), (2, "9"), (3, "4"), (9, "4")] {
        assert_eq!(
            cost(&settle, Answered(200), attempts),
            expected,
            "{attempts}"
        );
    }
}

#[test]
fn an_error_that_costs_nothing_is_not_paid_for_while_it_passes() {
    for (settle, status, charged) in [
        (json!([]), 500, 0),
        (
            json!([{ "when": { "status": ["4xx"] }, "then": "release" }]),
            404,
            0,
        ),
        (
            json!([{ "when": { "status": ["4xx"] }, "then": "minimum" }]),
            404,
            4,
        ),
        (json!([]), 404, 5),
    ] {
        let rules = json!([{ "id": "r", "path": { "exact": "/r" }, "promise": "metered",
            "minimum": 4, "settle": settle,
            "meters": [{ "meter": "response_bytes", "price": 1, "estimate": 1 }] }]);
        let mut world = World::with_rules(10, "", rules);
        let id = world.workers[0].begin(&[("x-api-key", &key(1))], "/r");
        world.settle();
        let worker = &mut world.workers[0];
        worker.respond(id, status, false);
        worker.answer(id, b"12345", false);
        worker.answer(id, &[b'x'; 95], true);
        let is_whole = worker.delivered(id).len() == 100;
        worker.finish(id);
        assert_eq!(is_whole, charged < 5, "{status}");
        world.pass(3_000);
        assert_eq!(world.plane.first().spent(), charged, "{status}");
    }
}
