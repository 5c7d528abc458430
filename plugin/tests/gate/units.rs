//! Units that somebody else counts: the upstream, at the end of its answer, or another filter.

use serde_json::{Value, json};

use crate::world::{Fate, World, key};

/// A world where `/jobs` costs 10 a unit, and 3 units are expected.
fn world(meter: &Value) -> World {
    let mut world = World::new(1, 1_000);
    world.plane.card = json!({
        "name": "test", "currency": "tokens", "scale": 0, "default": "deny",
        "rules": [{ "id": "jobs", "path": { "exact": "/jobs" },
            "meters": [{ "meter": meter, "price": 10, "estimate": 3 }] }],
    });
    // Enough is lent for what costs more than was expected.
    world.plane.ahead = 500;
    world.plane.config_version += 1;
    world.pass(40);
    world
}

#[test]
fn units_that_another_filter_counted_are_read_from_its_filter_state() {
    let mut world = world(&json!({ "filter_state": "wasm.units" }));
    for (state, cost) in [(Some("2"), 20), (Some("many"), 30), (None, 30)] {
        let before = world.plane.first().spent();
        let id = world.get(0, "/jobs");
        assert_eq!(world.shared.cell().counters.held().get(), 30);
        if let Some(state) = state {
            let path = "filter_state.wasm.units";
            world.workers[0].set_property(id, path, state.as_bytes());
        }
        world.workers[0].end(id, 200);
        world.pass(3_000);
        assert_eq!(world.plane.first().spent() - before, cost, "{state:?}");
    }
}

#[test]
fn units_in_the_trailers_of_an_answer_are_charged_once_it_has_ended() {
    let mut world = world(&json!({ "response_trailer": "x-units" }));
    // More than was expected is charged in full; what is no number, as expected.
    for (trailer, cost) in [
        (Some("2"), 20),
        (Some("0"), 0),
        (Some("7"), 70),
        (Some("-1"), 30),
        (Some("1.5"), 30),
        (Some(""), 30),
        (None, 30),
    ] {
        let before = world.plane.first().spent();
        let id = world.get(0, "/jobs");
        let worker = &mut world.workers[0];
        // A header of that name is not what the rule reads.
        worker.set_upstream_header(id, "x-units", "9");
        worker.respond(id, 200, false);
        worker.answer(id, b"hello", false);
        if let Some(units) = trailer {
            assert!(worker.trailer(id, "x-units", units), "trailers are held");
        }
        assert_eq!(worker.response_header(id, "x-units").as_deref(), Some("9"));
        worker.finish(id);
        assert_eq!(worker.access_log(id)["cost"], cost.to_string());
        world.pass(3_000);
        assert_eq!(world.plane.first().spent() - before, cost, "{trailer:?}");
    }
}

#[test]
fn trailers_of_an_answer_that_failed_cost_nothing() {
    let mut world = world(&json!({ "response_trailer": "x-units" }));
    let id = world.get(0, "/jobs");
    let worker = &mut world.workers[0];
    worker.respond(id, 503, false);
    worker.answer(id, b"sorry", false);
    assert!(worker.trailer(id, "x-units", "5"));
    worker.finish(id);
    world.pass(3_000);
    assert_eq!(world.plane.first().spent(), 0);
}

#[test]
fn a_grpc_answer_that_is_trailers_only_tells_its_units_in_its_headers() {
    // Without a message, status and trailers come as headers that end the stream.
    for (content_type, is_end, cost) in [
        ("application/grpc", true, 50),
        ("application/grpc", false, 30),
        ("text/plain", true, 30),
    ] {
        let mut world = world(&json!({ "response_trailer": "x-units" }));
        let headers = [("x-api-key", &*key(1)), ("content-type", content_type)];
        let id = world.workers[0].begin(&headers, "/jobs");
        world.settle();
        let worker = &mut world.workers[0];
        worker.set_upstream_header(id, "grpc-status", "0");
        worker.set_upstream_header(id, "x-units", "5");
        worker.respond(id, 200, is_end);
        if !is_end {
            worker.trailer(id, "grpc-status", "0");
        }
        assert_eq!(worker.response_header(id, "x-units").as_deref(), Some("5"));
        worker.finish(id);
        world.pass(3_000);
        let told = format!("{content_type} {is_end}");
        assert_eq!(world.plane.first().spent(), cost, "{told}");
    }
}

#[test]
fn units_of_a_request_that_can_be_read_in_two_ways_are_refused_and_missing_ones_estimated() {
    let mut world = world(&json!({ "request_header": "x-units" }));
    let key = key(1);
    let mut asked = |values: &[&str]| {
        let mut headers = vec![("x-api-key", key.as_bytes())];
        headers.extend(values.iter().map(|value| ("x-units", value.as_bytes())));
        let id = world.workers[0].begin_alone(&headers, "POST", "/jobs");
        world.settle();
        if world.workers[0].fate(id) != Fate::Passed {
            return Err(world.workers[0].refusal(id));
        }
        world.workers[0].end(id, 200);
        Ok(world.workers[0].access_log(id)["cost"].clone())
    };
    assert_eq!(asked(&["4"]), Ok(json!("40")));
    assert_eq!(asked(&["0"]), Ok(json!("0")));
    assert_eq!(asked(&[]), Ok(json!("30")), "as many as are expected");
    for doubtful in ["", "four", "+4", "4.0", "4e2", "-4", "1234567890123456"] {
        let refused = Err((400, "request_ambiguous".to_owned()));
        assert_eq!(asked(&[doubtful]), refused, "{doubtful:?}");
    }
    let twice = Err((400, "request_ambiguous".to_owned()));
    assert_eq!(asked(&["1", "500"]), twice);
}
