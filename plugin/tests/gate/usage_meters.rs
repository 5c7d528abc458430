//! Units of usage detail are told by the meter that read them.

use std::collections::BTreeMap;

use creditgate_core::protocol::USAGE_ROWS_MAX;
use serde_json::json;

use crate::usage::PATH;
use crate::world::{World, key};

/// A rule with meters of each place that tells units.
fn metered() -> World {
    let mut world = World::new(1, 10_000);
    let meter = |place: &str, name: &str| {
        let source = json!({ place: name });
        json!({ "meter": source, "price": 1, "estimate": 5 })
    };
    world.plane.card["rules"] = json!([{ "id": "job", "path": { "exact": "/job" }, "meters": [
        meter("request_header", "x-asked"), meter("response_header", "X-Pages"),
        { "meter": "response_bytes", "price": 0 },
        meter("response_trailer", "x-words"), meter("filter_state", "wasm.other"),
    ] }]);
    world.plane.config_version += 1;
    world.pass(40);
    world
}

#[test]
fn units_are_told_apart_by_the_meter_that_read_them() {
    let mut world = metered();
    for pages in ["3", "4", "none"] {
        let key = key(1);
        let headers = [("x-api-key", key.as_str()), ("x-asked", "2")];
        let id = world.workers[0].begin(&headers, "/job");
        world.settle();
        world.workers[0].set_upstream_header(id, "x-pages", pages);
        world.workers[0].respond(id, 200, false);
        world.workers[0].trailer(id, "x-words", "100");
        world.workers[0].set_property(id, "filter_state.wasm.other", b"30");
        world.workers[0].finish(id);
    }
    world.pass(2_000);
    let mut sums = BTreeMap::new();
    for row in &world.plane.used {
        for (meter, units) in row.units.iter() {
            *sums.entry(meter.to_owned()).or_insert(0) += units;
        }
    }
    let units = world.plane.used.iter().map(|row| {
        let counts = serde_json::to_value(row.counts).unwrap();
        counts["units"].as_str().unwrap().parse::<u64>().unwrap()
    });
    assert_eq!(units.sum::<u64>(), 6 + 7 + 300 + 90);
    let expected = [
        ("filter_state:wasm.other", 90),
        ("request_header:x-asked", 6),
        ("response_header:x-pages", 7),
        ("response_trailer:x-words", 300),
    ];
    let expected = expected.map(|(meter, units)| (meter.to_owned(), units));
    assert_eq!(sums, BTreeMap::from(expected));
}

#[test]
fn rows_of_many_meters_go_out_in_smaller_batches() {
    let mut world = metered();
    world.plane.unheard = Some(PATH);
    for customer in 2..150 {
        world.plane.add_customer(customer, 10_000);
        let key = key(customer);
        let headers = [("x-api-key", key.as_str()), ("x-asked", "2")];
        let id = world.workers[0].begin(&headers, "/job");
        world.settle();
        world.workers[0].set_upstream_header(id, "x-pages", "3");
        world.workers[0].respond(id, 200, false);
        world.workers[0].trailer(id, "x-words", "100");
        world.workers[0].set_property(id, "filter_state.wasm.other", b"30");
        world.workers[0].finish(id);
    }
    world.plane.unheard = None;
    world.pass(4_000);
    assert_eq!(world.plane.used.len(), 148);
    let sizes = world.plane.batches.iter().map(|batch| batch.rows.len());
    assert_eq!(sizes.max(), Some(USAGE_ROWS_MAX / 3));
}
