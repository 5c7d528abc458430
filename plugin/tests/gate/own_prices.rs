//! Customers with discounts and prices of their own.

use creditgate_core::protocol::CustomerPricing;
use creditgate_plugin::metrics::Metric;
use serde_json::{Value, json};

use crate::world::{Fate, World, key};

/// Sets the pricing of customer 1, as the control plane tells of it.
fn set(world: &mut World, version: u32, document: Value) {
    let document = serde_json::from_value(document).unwrap();
    world.plane.change(|account| {
        account.credential_version += 1;
        account.pricing = Some(Box::new(CustomerPricing { version, document }));
    });
}

fn off(ppm: u32) -> Value {
    json!({ "discount_ppm": ppm })
}

fn spent(world: &mut World) -> (i64, i64) {
    world.pass(3_000);
    let account = world.plane.first();
    (account.spent(), account.outstanding())
}

#[test]
fn a_discount_that_is_set_while_requests_run_holds_for_those_admitted_after_it() {
    let mut world = World::new(2, 1_000);
    let early = world.get(0, "/five");
    world.get_and_end(1, "/five", 200);
    set(&mut world, 1, off(400_000));
    world.settle();
    for worker in [0, 1] {
        let id = world.get_and_end(worker, "/five", 200);
        let log = world.workers[worker].access_log(id);
        assert_eq!(
            (&log["cost"], &log["pricing_version"]),
            (&json!("3"), &json!(1))
        );
    }
    world.workers[0].end(early, 200);
    let log = world.workers[0].access_log(early);
    assert_eq!(
        (&log["cost"], &log["pricing_version"]),
        (&json!("5"), &Value::Null)
    );
    set(&mut world, 2, json!({}));
    world.settle();
    world.get_and_end(1, "/five", 200);
    assert_eq!(spent(&mut world), (5 + 5 + 3 + 3 + 5, 0));
}

#[test]
fn the_first_request_is_paid_at_the_customers_own_price() {
    let mut world = World::new(1, 4);
    let rules = json!([{ "rule": "five", "price": 4 }]);
    set(
        &mut world,
        1,
        json!({ "rate_cards": [{ "rate_card": "api", "rules": rules }] }),
    );
    let id = world.get_and_end(0, "/five", 200);
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    assert_eq!(
        world.workers[0].response_header(id, "x-credit-cost"),
        Some("4".into())
    );
    let id = world.get(0, "/five");
    let (status, code) = world.workers[0].refusal(id);
    assert_eq!((status, code.as_str()), (402, "credit_exhausted"));
    assert_eq!(spent(&mut world), (4, 0));
}

#[test]
fn who_has_everything_off_needs_no_credit() {
    let mut world = World::new(1, 0);
    set(&mut world, 1, off(1_000_000));
    for _ in 0..3 {
        let id = world.get_and_end(0, "/five", 200);
        assert_eq!(world.workers[0].fate(id), Fate::Passed);
    }
    assert_eq!(spent(&mut world), (0, 0));
}

#[test]
fn prices_of_a_rule_that_the_card_no_longer_has_are_counted_and_told_once() {
    let mut world = World::new(1, 1_000);
    let rules = json!([{ "rule": "five", "price": 1 }, { "rule": "one", "price": 2 }]);
    let pricing = json!({ "rate_cards": [{ "rate_card": "api", "rules": rules }] });
    set(&mut world, 1, pricing.clone());
    for path in ["/five", "/one"] {
        world.get_and_end(0, path, 200);
    }
    assert_eq!(world.workers[0].count(Metric::PricesIgnored), 0);
    world.plane.card["rules"][1]["id"] = "renamed".into();
    world.plane.config_version += 1;
    world.pass(100);
    for path in ["/five", "/one", "/five"] {
        world.get_and_end(0, path, 200);
    }
    world.pass(1_000);
    assert_eq!(world.workers[0].count(Metric::PricesIgnored), 1);
    let told = world.workers[0].log();
    let told = told.iter().filter(|line| line.contains("no such rule"));
    assert_eq!(told.count(), 1);
    assert_eq!(spent(&mut world), (1 + 2 + 5 + 2 + 5, 0));
}

#[test]
fn prices_of_its_own_cost_a_request_no_host_call() {
    let mut world = World::new(1, 1_000);
    set(&mut world, 1, off(400_000));
    world.get_and_end(0, "/five", 200);
    let before = world.shared.host_calls.get();
    world.get_and_end(0, "/five", 200);
    assert_eq!(world.shared.host_calls.get() - before, 10);
}

#[test]
fn prices_of_another_rate_card_have_no_effect() {
    let mut world = World::new(1, 1_000);
    let rules = json!([{ "rule": "five", "price": 1 }]);
    set(
        &mut world,
        1,
        json!({ "rate_cards": [{ "rate_card": "other", "rules": rules }] }),
    );
    world.get_and_end(0, "/five", 200);
    assert_eq!(spent(&mut world), (5, 0));
    assert_eq!(world.workers[0].count(Metric::PricesIgnored), 0);
}

/// A world whose card prices a chat by tokens: 1 for one read, 2 for one written.
fn chatting(purse: i64, meters: Value) -> World {
    let mut world = World::with_config(1, purse, r#", "reads_bodies": true"#);
    world.plane.card = json!({
        "name": "test", "currency": "tokens", "scale": 0, "default": "deny",
        "models": [{ "model": "small", "per": 1, "input": 1, "output": 2 }],
        "rules": [
            { "id": "chat", "path": { "exact": "/chat" },
                "tokens": { "format": "openai_chat", "output_tokens_max": 50 } },
            { "id": "bytes", "path": { "exact": "/bytes" }, "meters": meters },
        ],
    });
    world.plane.config_version += 1;
    world.pass(40);
    world
}

#[test]
fn tokens_are_reserved_and_charged_at_the_customers_prices() {
    let mut world = chatting(10_000, json!([{ "meter": "request_bytes", "price": 1 }]));
    let models = json!([{ "model": "sm*", "per": 1, "input": 3, "output": 5 }]);
    set(
        &mut world,
        1,
        json!({ "rate_cards": [{ "rate_card": "api", "models": models }] }),
    );
    let body = json!({ "model": "small", "max_tokens": 10, "messages": [] }).to_string();
    let key = key(1);
    let headers = [("x-api-key", key.as_bytes())];
    let id = world.workers[0].begin_with(&headers, "POST", "/chat");
    world.workers[0].send(id, body.as_bytes(), true);
    world.settle();
    let bytes = i64::try_from(body.len()).unwrap();
    assert_eq!(
        world.shared.cell().counters.held().get(),
        3 * bytes + 10 * 5
    );
    let worker = &mut world.workers[0];
    worker.set_upstream_header(id, "content-type", "application/json");
    worker.respond(id, 200, false);
    let usage = r#"{"model": "small", "usage": {"prompt_tokens": 7, "completion_tokens": 4}}"#;
    worker.answer(id, usage.as_bytes(), true);
    worker.finish(id);
    assert_eq!(world.workers[0].access_log(id)["cost"], "41");
    assert_eq!(spent(&mut world), (7 * 3 + 4 * 5, 0));
}

#[test]
fn a_body_without_a_length_is_refused_unless_it_costs_its_customer_nothing() {
    let meters = json!([{ "meter": "request_bytes", "price": 1 }]);
    for (ppm, expected) in [(0, None), (999_999, None), (1_000_000, Some(Fate::Passed))] {
        let mut world = chatting(10_000, meters.clone());
        set(&mut world, 1, off(ppm));
        for _ in 0..2 {
            let key = key(1);
            let headers = [("x-api-key", key.as_bytes())];
            let id = world.workers[0].begin_with(&headers, "POST", "/bytes");
            world.settle();
            match &expected {
                Some(fate) => assert_eq!(world.workers[0].fate(id), *fate),
                None => assert_eq!(world.workers[0].refusal(id).0, 411),
            }
        }
    }
}
