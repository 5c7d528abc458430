//! Rate cards over HTTP: what is taken, up to its bounds, and what is refused by name.

use axum::http::Method;
use serde_json::{Value, json};

use crate::plane::{ADMIN, Plane};

/// A card that prices tokens, bytes, seconds and units, with conditions and rules of settling.
fn card() -> Value {
    json!({
        "name": "n", "currency": "usd", "default": "deny",
        "models": [
            {"model": "gpt-4o*", "input": "2.50", "cached_input": "1.25", "output": "10"},
            {"model": "long", "input": "1", "context_tiers": [{"above_input_tokens": 200_000, "input": "2"}]},
        ],
        "rules": [
            {
                "id": "chat", "path": {"exact": "/v1/chat/completions"},
                "match": {"hosts": ["api.example.com"], "model": "gpt-*"},
                "tokens": {"format": "openai_chat", "over_max": "rewrite", "unknown_model": {"as": "long"}},
                "estimate": {"input_tokens_extra": 500}, "minimum": "0.0001", "maximum": 5,
                "settle": [{"when": {"status": ["4xx"]}, "then": "release"},
                    {"when": {"cause": ["client_abort"]}, "then": "minimum"}],
            },
            {
                "id": "job", "path": {"grpc": {"service": "jobs.Jobs"}}, "promise": "expected",
                "meters": [{"meter": "seconds", "price": "0.001"},
                    {"meter": {"response_trailer": "x-units"}, "price": 1, "estimate": 3}],
            },
        ],
    })
}

#[tokio::test]
async fn a_card_of_every_kind_of_price_is_kept_as_it_was_written() {
    let plane = Plane::start();
    let bound = plane.put("/v1/settings", json!({"overrun_max": "5"})).await;
    assert_eq!(bound.status, 200);
    let put = plane.put("/v1/rate-cards/n", card()).await;
    assert_eq!(put.status, 200, "{}", put.body);
    let kept = &plane.get("/v1/rate-cards/n").await.body["document"];
    for field in ["models", "rules"] {
        let written = &card()[field];
        for (place, item) in written.as_array().into_iter().flatten().enumerate() {
            for (name, value) in item.as_object().into_iter().flatten() {
                let kept = &kept[field][place][name];
                // A number is kept as the text it was.
                let same = kept == value || kept.as_str() == Some(&value.to_string());
                let has_defaults = matches!(name.as_str(), "tokens" | "meters" | "context_tiers");
                assert!(same || has_defaults, "{field}/{place}/{name}: {kept}");
            }
        }
    }
    assert_eq!(kept["rules"][0]["tokens"]["output_tokens_max"], 4096);
    assert_eq!(kept["rules"][1]["meters"][0]["price"], "0.001");
}

/// Code, the field at fault, and what of [`card`] is replaced by what to get there.
const FAULTS: &str = r#"
price_missing /rules/1/price /rules/1/meters []
minimum_over_maximum /rules/0/minimum /rules/0/minimum 6
minimum_missing /rules/1/settle/0/then /rules/1/settle [{"when": {"status": ["200"]}, "then": "minimum"}]
host_invalid /rules/0/match/hosts/0 /rules/0/match/hosts/0 "https://h"
header_invalid /rules/0/match/headers/0/name /rules/0/match/headers [{"name": ":path", "present": true}]
filter_state_invalid /rules/0/meters/0/meter/filter_state /rules/0/meters [{"meter": {"filter_state": ""}, "price": 1, "estimate": 1}]
condition_invalid /rules/0/match/headers/0 /rules/0/match/headers [{"name": "a"}]
condition_repeated /rules/0/match/headers/1/name /rules/0/match/headers [{"name": "a", "equals": "x"}, {"name": "A", "present": true}]
too_many_conditions /rules/0/match/hosts /rules/0/match/hosts ["a","b","c","d","e","f","g","h","i"]
estimate_missing /rules/1/meters/1/estimate /rules/1/meters/1 {"meter": {"response_header": "x"}, "price": 1}
estimate_over_max /rules/1/meters/1/estimate /rules/1/meters/1/max 2
estimate_without_tokens /rules/1/estimate /rules/1/estimate {"bytes_per_token": 4}
count_too_large /rules/1/meters/1/estimate /rules/1/meters/1/estimate 1000000000000001
count_out_of_range /rules/0/tokens/output_tokens_max /rules/0/tokens/output_tokens_max 0
count_out_of_range /rules/0/tokens/request_body_bytes_max /rules/0/tokens/request_body_bytes_max 1048577
models_missing /rules/0/tokens /models []
model_invalid /models/0/model /models/0/model "a*b*c*d*e*"
model_taken /models/1/model /models/1/model "gpt-4o*"
model_unknown /rules/0/tokens/unknown_model/as /rules/0/tokens/unknown_model {"as": "other"}
tier_order /models/1/context_tiers/1/above_input_tokens /models/1/context_tiers/1 {"above_input_tokens": 200000, "input": 3}
tier_cheaper /models/1/context_tiers/0 /models/1/context_tiers/0/input "0.5"
ending_missing /rules/0/settle/0/when /rules/0/settle/0/when {}
status_invalid /rules/0/settle/0/when/status/0 /rules/0/settle/0/when/status ["6xx"]
grpc_status_invalid /rules/0/settle/0/when/grpc_status/0 /rules/0/settle/0/when/grpc_status [17]
rate_card_invalid /rules/0/tokens/format /rules/0/tokens/format "telepathy"
rate_card_invalid /rules/0/maximum /rules/0/maximum null
on_empty_without_metered /rules/0/on_empty /rules/0/on_empty "finish"
"#;

/// Puts `value` where the pointer says, also where nothing is yet.
fn set(document: &mut Value, pointer: &str, value: Value) {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    match document.pointer_mut(parent).expect(pointer) {
        Value::Object(fields) => drop(fields.insert(name.to_owned(), value)),
        Value::Array(items) => {
            let place: usize = name.parse().expect("an index");
            items.truncate(place);
            items.push(value);
        }
        other => panic!("{pointer}: {other}"),
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_card_is_named_with_its_place() {
    let plane = Plane::start();
    for line in FAULTS.trim().lines() {
        let mut words = line.splitn(4, ' ');
        let mut word = || words.next().expect(line);
        let (code, pointer, place) = (word(), word(), word());
        let mut document = card();
        set(
            &mut document,
            place,
            serde_json::from_str(word()).expect(line),
        );
        let refused = plane.put("/v1/rate-cards/n", document).await;
        let found = (refused.status, refused.code(), refused.text("pointer"));
        assert_eq!(found, (422, code, pointer.to_owned()), "{}", refused.body);
    }
    assert_eq!(plane.get("/v1/rate-cards/n").await.status, 404);
}

#[tokio::test]
async fn too_many_of_anything_is_refused() {
    let plane = Plane::start();
    let model = |number: usize| json!({"model": format!("m-{number}"), "input": 1});
    let models: Vec<Value> = (0..2_001).map(model).collect();
    let tiers: Vec<Value> = (0..9)
        .map(|number| json!({"above_input_tokens": number, "input": 9}))
        .collect();
    let meter = json!({"meter": "request_bytes", "price": 1});
    let status = json!({"when": {"status": ["200"]}, "then": "charge"});
    for (code, place, value) in [
        ("too_many_models", "/models", json!(models)),
        ("too_many_tiers", "/models/1/context_tiers", json!(tiers)),
        ("too_many_meters", "/rules/1/meters", json!(vec![meter; 17])),
        (
            "too_many_settle_rules",
            "/rules/0/settle",
            json!(vec![status; 17]),
        ),
        (
            "too_many_endings",
            "/rules/0/settle/0/when/status",
            json!(vec!["200"; 17]),
        ),
    ] {
        let mut document = card();
        set(&mut document, place, value);
        let refused = plane.put("/v1/rate-cards/n", document).await;
        assert_eq!((refused.status, refused.code()), (422, code), "{place}");
    }
}

/// The most models, each with every price and a tier that has every price too, under names
/// as long as any provider's.
fn price_list() -> Value {
    let kinds = [
        "input",
        "cached_input",
        "cache_write",
        "cache_write_1h",
        "output",
        "reasoning",
        "audio_input",
        "audio_output",
        "image",
        "image_output",
    ];
    let prices = |base: usize| {
        kinds.iter().enumerate().map(move |(place, kind)| {
            let price = format!("{}.{:05}", base + place, 12_345 + place);
            ((*kind).to_owned(), json!(price))
        })
    };
    let model = |number: usize| {
        let mut tier: serde_json::Map<String, Value> = prices(20).collect();
        tier.insert("above_input_tokens".into(), json!(200_000));
        let mut model: serde_json::Map<String, Value> = prices(1).collect();
        let name = format!("openrouter/a-provider/a-model-of-many-words-{number:04}-2025-11-22");
        model.insert("model".into(), json!(name));
        model.insert("context_tiers".into(), json!([tier]));
        Value::Object(model)
    };
    json!((0..2_000).map(model).collect::<Vec<Value>>())
}

#[tokio::test]
async fn a_card_of_as_many_models_as_there_may_be_fits() {
    let plane = Plane::start();
    let bound = plane.put("/v1/settings", json!({"overrun_max": "5"})).await;
    assert_eq!(bound.status, 200);
    let mut document = card();
    set(&mut document, "/models", price_list());
    set(
        &mut document,
        "/rules/0/tokens/unknown_model",
        json!("deny"),
    );
    // People indent what they write.
    let body = serde_json::to_string_pretty(&document).expect("text");
    println!("    a card of 2,000 models: {} bytes", body.len());
    let put = plane
        .call(Method::PUT, "/v1/rate-cards/n", ADMIN, body, &[])
        .await;
    assert_eq!(put.status, 200, "{}", put.body["detail"]);
    let kept = plane.get("/v1/rate-cards/n").await.body;
    let models = kept["document"]["models"].as_array().map(Vec::len);
    assert_eq!(models, Some(2_000));

    let padded = " ".repeat(5 << 20);
    let refused = plane
        .call(Method::PUT, "/v1/rate-cards/n", ADMIN, padded, &[])
        .await;
    assert_eq!((refused.status, refused.code()), (413, "body_too_large"));
}

#[tokio::test]
async fn a_card_that_may_cost_more_than_the_settings_allow_is_refused_and_so_are_such_settings() {
    let plane = Plane::start();
    let refused = plane.put("/v1/rate-cards/n", card()).await;
    let found = (refused.status, refused.code(), refused.text("pointer"));
    assert_eq!(
        found,
        (422, "overrun_max_zero", "/rules/1/promise".to_owned())
    );
    assert!(
        refused.text("detail").contains("overrun_max"),
        "{refused:?}"
    );
    assert_eq!(plane.get("/v1/rate-cards/n").await.status, 404);
    let mut shadowed = card();
    shadowed["rules"][1]["mode"] = json!("shadow");
    assert_eq!(plane.put("/v1/rate-cards/n", shadowed).await.status, 200);

    let bound = plane.put("/v1/settings", json!({"overrun_max": "5"})).await;
    assert_eq!(bound.status, 200);
    assert_eq!(plane.put("/v1/rate-cards/n", card()).await.status, 200);
    for settings in [json!({"overrun_max": "0"}), json!({})] {
        let refused = plane.put("/v1/settings", settings).await;
        let found = (refused.status, refused.code(), refused.text("pointer"));
        assert_eq!(found, (422, "overrun_max_zero", "/overrun_max".to_owned()));
    }
    assert_eq!(plane.get("/v1/settings").await.body["overrun_max"], "5");
}
