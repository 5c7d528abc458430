//! Discounts and prices of one customer, as operators set them and gateways hear of them.

use axum::http::Method;
use creditgate_core::protocol::CustomerPricing;
use serde_json::{Value, json};

use crate::edge::Edge;
use crate::plane::{ADMIN, Plane};

/// A customer, and a card named `api` in tokens.
async fn furnished() -> (Plane, Edge, String) {
    let plane = Plane::start();
    plane.hurry().await;
    plane.funded("ada", "tokens", "10").await;
    let card = json!({
        "name": "api", "currency": "tokens", "default": {"price": 1},
        "models": [{"model": "gpt-4o*", "input": 2}],
        "rules": [
            {"id": "hello", "path": {"exact": "/hello"}, "price": 2},
            {"id": "free", "path": {"exact": "/free"}, "price": 0},
            {"id": "chat", "path": {"exact": "/chat"}, "tokens": {"format": "openai_chat"}},
            {"id": "bytes", "path": {"exact": "/bytes"},
                "meters": [{"meter": "request_bytes", "price": 1}]},
        ],
    });
    assert_eq!(plane.put("/v1/rate-cards/api", card).await.status, 200);
    let key = plane.key_of("ada").await;
    let edge = Edge::of(&plane, "edge", "tokens").await;
    (plane, edge, key)
}

fn pricing() -> Value {
    json!({
        "discount_ppm": 100_000,
        "rate_cards": [{
            "rate_card": "api",
            "rules": [
                {"rule": "hello", "price": "1.5"},
                {"rule": "bytes", "meters": [{"meter": "request_bytes", "price": "0.5"}]},
            ],
            "models": [{"model": "gpt-4o-mini*", "input": "0.1"}],
            "model_discounts": [{"model": "gpt-4o", "discount_ppm": 500_000}],
        }],
    })
}

async fn told(edge: &Edge, plane: &Plane, key: &str) -> (u32, Option<Box<CustomerPricing>>) {
    let resolved = edge.know(plane, key, 1, 0).await;
    (resolved.answer.state.credential_version, resolved.pricing)
}

#[tokio::test]
async fn a_gateway_that_waits_hears_of_every_change_and_of_nothing_else() {
    let (plane, mut edge, key) = furnished().await;
    edge.poll(&plane).await;
    let (known, nothing) = told(&edge, &plane, &key).await;
    assert_eq!(nothing, None);
    let set = plane.put("/v1/customers/ada/pricing", pricing()).await;
    assert_eq!(
        (set.status, &set.body["version"]),
        (200, &json!(1)),
        "{set:?}"
    );
    let pushed = edge.poll(&plane).await;
    let now = pushed.changes[0].state.credential_version;
    assert!(now > known, "every key is asked for again: {pushed:?}");
    let (_, told_now) = told(&edge, &plane, &key).await;
    let told_now = told_now.expect("a pricing");
    assert_eq!(told_now.version, 1);
    let document = serde_json::to_value(&told_now.document).unwrap();
    assert_eq!(document["discount_ppm"], 100_000);
    assert_eq!(document["rate_cards"][0]["rules"][0]["price"], "1.5");

    let same = plane.put("/v1/customers/ada/pricing", pricing()).await;
    assert_eq!(same.body, set.body, "nothing changed");
    assert_eq!(told(&edge, &plane, &key).await.0, now);

    let gone = plane.put("/v1/customers/ada/pricing", json!({})).await;
    assert_eq!((gone.status, &gone.body["version"]), (200, &json!(2)));
    let (after, nothing) = told(&edge, &plane, &key).await;
    assert!(after > now && nothing.is_none());
    plane.assert_clean();
}

#[tokio::test]
async fn a_pricing_is_shown_as_it_was_set_also_after_a_restart() {
    let (plane, _, _) = furnished().await;
    let none = plane.get("/v1/customers/ada/pricing").await;
    assert_eq!(none.status, 200);
    assert_eq!(
        none.body,
        json!({"version": 0, "discount_ppm": 0, "rate_cards": [], "changed_at": null})
    );
    plane.put("/v1/customers/ada/pricing", pricing()).await;
    let before = plane.get("/v1/customers/ada/pricing").await;
    let kept = &before.body["rate_cards"][0];
    assert_eq!(kept["rules"][1]["meters"][0]["price"], "0.5");
    assert_eq!(kept["models"][0]["input"], "0.1");
    let plane = plane.restart().await;
    let after = plane.get("/v1/customers/ada/pricing").await;
    assert_eq!(after.bytes, before.bytes);
    let other = plane.get("/v1/customers/nobody/pricing").await;
    assert_eq!((other.status, other.code()), (404, "not_found"));
}

#[tokio::test]
async fn every_version_of_a_pricing_is_found_by_the_number_that_access_logs_name() {
    let (plane, _, _) = furnished().await;
    let path = "/v1/customers/ada/pricing";
    let versions = format!("{path}/versions");
    assert_eq!(plane.get(&versions).await.body["data"], json!([]));
    let set = [
        plane.put(path, pricing()).await,
        plane.put(path, json!({"discount_ppm": 7})).await,
        plane.put(path, json!({})).await,
    ];
    let plane = plane.restart().await;
    for (set, version) in set.iter().zip(1..) {
        let found = plane.get(&format!("{path}?version={version}")).await;
        assert_eq!((found.status, &found.bytes), (200, &set.bytes));
    }
    assert_eq!(plane.get(path).await.bytes, set[2].bytes);
    let listed = plane.get(&format!("{versions}?limit=2")).await;
    let head = |set: &Value| json!({"version": set["version"], "changed_at": set["changed_at"]});
    let newest = json!([head(&set[2].body), head(&set[1].body)]);
    assert_eq!(listed.body["data"], newest);
    let cursor = listed.text("next_cursor");
    let rest = plane.get(&format!("{versions}?cursor={cursor}")).await;
    let oldest = json!({"data": [head(&set[0].body)], "next_cursor": null});
    assert_eq!(rest.body, oldest);
    for (path, status, code) in [
        (format!("{path}?version=0"), 404, "not_found"),
        (format!("{path}?version=4"), 404, "not_found"),
        (format!("{path}?version=one"), 400, "query_invalid"),
        (
            "/v1/customers/nobody/pricing?version=1".to_owned(),
            404,
            "not_found",
        ),
        (
            "/v1/customers/nobody/pricing/versions".to_owned(),
            404,
            "not_found",
        ),
    ] {
        let answer = plane.get(&path).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{path}");
    }
}

#[tokio::test]
async fn a_customer_with_own_prices_is_looked_up_without_fetching_what_the_listed_price_needs() {
    let (plane, edge, key) = furnished().await;
    let elsewhere = edge.know(&plane, &key, 1, 9_000).await;
    assert!(elsewhere.answer.granted.get() >= 9_000);
    let document = json!({"discount_ppm": 990_000});
    plane.put("/v1/customers/ada/pricing", document).await;
    let other = Edge::of(&plane, "other", "tokens").await;
    let looked_up = other.know(&plane, &key, 2, 8_000).await;
    assert!(!looked_up.answer.waiting, "{:?}", looked_up.answer);
    assert_eq!(looked_up.answer.state.ceiling, None);
    plane.put("/v1/customers/ada/pricing", json!({})).await;
    let third = Edge::of(&plane, "third", "tokens").await;
    let listed = third.know(&plane, &key, 3, 8_000).await;
    assert!(listed.answer.waiting, "{:?}", listed.answer);
}

#[tokio::test]
async fn a_change_of_prices_is_in_the_audit_log_and_happens_once() {
    let (plane, _, _) = furnished().await;
    let put = |body: Value, key: &'static str| {
        let plane = &plane;
        let headers = [("idempotency-key", key)];
        async move {
            let path = "/v1/customers/ada/pricing";
            plane
                .call(Method::PUT, path, ADMIN, body.to_string(), &headers)
                .await
        }
    };
    let first = put(pricing(), "p").await;
    let changed = put(json!({"discount_ppm": 1}), "q").await;
    assert_eq!(changed.body["version"], 2);
    let again = put(pricing(), "p").await;
    assert_eq!((again.replayed(), &again.bytes), (true, &first.bytes));
    let now = plane.get("/v1/customers/ada/pricing").await;
    assert_eq!(now.body["version"], 2);
    let log = plane.get("/v1/audit?customer_id=ada").await;
    let records = log.body["data"].as_array().unwrap();
    let set = records
        .iter()
        .filter(|record| record["action"] == "set_pricing");
    assert_eq!(set.count(), 2, "{}", log.body);
}

#[tokio::test]
async fn as_many_models_as_may_be_named_fit_with_every_price_they_can_have() {
    let (plane, _, _) = furnished().await;
    let prices = json!({
        "input": "12.345", "cached_input": "12.345", "cache_write": "12.345", "output": "12.345",
        "reasoning": "12.345", "audio_input": "12.345", "audio_output": "12.345", "image": "12.345",
        "cache_write_1h": "12.345", "image_output": "12.345",
    });
    let models = (0..256).map(|n| {
        let mut model = prices.clone();
        let mut tier = prices.clone();
        tier["above_input_tokens"] = json!(200_000);
        model["model"] = json!(format!("gpt-4o-{}{n}*", "x".repeat(80)));
        model["context_tiers"] = json!([tier]);
        model
    });
    let models: Vec<Value> = models.collect();
    let document = json!({"rate_cards": [{"rate_card": "api", "models": models}]});
    let document = serde_json::to_string_pretty(&document).unwrap();
    assert!(document.len() > 64 * 1024);
    let path = "/v1/customers/ada/pricing";
    let set = plane.call(Method::PUT, path, ADMIN, document, &[]).await;
    assert_eq!((set.status, &set.body["version"]), (200, &json!(1)));
    let endless = " ".repeat(512 * 1024 + 1);
    let refused = plane.call(Method::PUT, path, ADMIN, endless, &[]).await;
    assert_eq!((refused.status, refused.code()), (413, "body_too_large"));
}

/// Code, the field at fault, and what of [`pricing`] is replaced by what to get there.
const FAULTS: &str = r#"
body_invalid /discount_ppm /discount_ppm 1000001
body_invalid /discount_ppm /discount_ppm -1
unknown_field /discount /discount 5
rate_card_unknown /rate_cards/0/rate_card /rate_cards/0/rate_card "other"
rate_card_taken /rate_cards/1/rate_card /rate_cards/1 {"rate_card": "api"}
rule_unknown /rate_cards/0/rules/0/rule /rate_cards/0/rules/0/rule "other"
rule_taken /rate_cards/0/rules/1/rule /rate_cards/0/rules/1/rule "hello"
rule_free /rate_cards/0/rules/0/rule /rate_cards/0/rules/0/rule "free"
price_negative /rate_cards/0/rules/0/price /rate_cards/0/rules/0/price "-1"
amount_too_precise /rate_cards/0/rules/0/price /rate_cards/0/rules/0/price "0.0001"
body_invalid /rate_cards/0/rules/0/price /rate_cards/0/rules/0/price "much"
meter_unknown /rate_cards/0/rules/1/meters/0/meter /rate_cards/0/rules/1/meters/0/meter "seconds"
price_negative /rate_cards/0/rules/1/meters/0/price /rate_cards/0/rules/1/meters/0/price -1
model_unknown /rate_cards/0/models/0/model /rate_cards/0/models/0/model "claude"
model_taken /rate_cards/0/model_discounts/0/model /rate_cards/0/model_discounts/0/model "gpt-4o-mini*"
"#;

#[tokio::test]
async fn what_is_wrong_with_a_pricing_is_named_with_its_place_and_writes_nothing() {
    let (plane, edge, key) = furnished().await;
    let known = told(&edge, &plane, &key).await;
    for line in FAULTS.trim().lines() {
        let mut words = line.splitn(4, ' ');
        let mut word = || words.next().expect(line);
        let (code, pointer, place) = (word(), word(), word());
        let mut document = pricing();
        let value: Value = serde_json::from_str(word()).expect(line);
        match document.pointer_mut(place) {
            Some(found) => *found = value,
            None => {
                let (parent, name) = place.rsplit_once('/').expect("a pointer");
                match document.pointer_mut(parent).expect(place) {
                    Value::Array(items) => items.push(value),
                    parent => parent[name] = value,
                }
            }
        }
        let refused = plane.put("/v1/customers/ada/pricing", document).await;
        let found = (refused.status, refused.code(), refused.text("pointer"));
        assert_eq!(found, (422, code, pointer.to_owned()), "{}", refused.body);
    }
    let rules: Vec<Value> = (0..257).map(|n| json!({"rule": n.to_string()})).collect();
    let many = json!({"rate_cards": [{"rate_card": "api", "rules": rules}]});
    let refused = plane.put("/v1/customers/ada/pricing", many).await;
    assert_eq!(
        (refused.status, refused.code()),
        (422, "too_many_overrides")
    );
    assert_eq!(
        plane.get("/v1/customers/ada/pricing").await.body["version"],
        0
    );
    assert_eq!(told(&edge, &plane, &key).await, known);
}
