//! Faults in conditions, meters, tokens, price lists and rules of settling.

use super::*;

/// A card of one rule with these fields, and of these models.
fn refused(rule: Value, models: Value) -> RateCardError {
    let mut whole = json!({"id": "r", "path": {"exact": "/r"}});
    whole
        .as_object_mut()
        .unwrap()
        .extend(rule.as_object().unwrap().clone());
    let document = json!({
        "name": "n", "currency": "usd", "default": "deny", "models": models, "rules": [whole],
    });
    try_card(document).expect_err(&rule.to_string())
}

#[test]
fn a_fault_in_the_terms_of_a_rule_is_named() {
    let priced = |field: &str, value: Value| json!({"price": 1, field: value});
    let field = |of: &str, value: Value| priced("match", json!({of: [value]}));
    let meter = |value: Value| json!({"meters": [value]});
    let tokens = |field: &str, value: Value| json!({"tokens": {"format": "gemini", field: value}});
    let estimate = |field: &str, value: Value| json!({"tokens": {"format": "gemini"}, "estimate": {field: value}});
    let settle = |when: Value| priced("settle", json!([{"when": when, "then": "release"}]));
    let grpc = |service: &str| priced("path", json!({"grpc": {"service": service}}));
    let long = "a".repeat(257);
    let header = json!({"name": "a", "present": true});
    for (rule, pointer, code) in [
        (json!({}), "price", "price_missing"),
        (priced("minimum", json!(-1)), "minimum", "price_negative"),
        (
            priced("maximum", json!("0.0000000001")),
            "maximum",
            "amount_too_precise",
        ),
        (
            json!({"price": 1, "minimum": 3, "maximum": 2}),
            "minimum",
            "minimum_over_maximum",
        ),
        (
            priced("minimum", json!(null)),
            "minimum",
            "rate_card_invalid",
        ),
        (
            priced("rounding", json!("odd")),
            "rounding",
            "rate_card_invalid",
        ),
        (
            priced("promise", json!("best")),
            "promise",
            "rate_card_invalid",
        ),
        (
            priced("estimate", json!({})),
            "estimate",
            "estimate_without_tokens",
        ),
        (grpc("a..b"), "path/grpc", "path_invalid"),
        (grpc("a/b"), "path/grpc", "path_invalid"),
        (grpc(""), "path/grpc", "path_invalid"),
        // Conditions.
        (
            priced("match", json!({"path": "/"})),
            "match/path",
            "rate_card_invalid",
        ),
        (
            field("hosts", json!("h:80")),
            "match/hosts/0",
            "host_invalid",
        ),
        (field("hosts", json!("*")), "match/hosts/0", "host_invalid"),
        (field("hosts", json!("*h")), "match/hosts/0", "host_invalid"),
        (
            field("hosts", json!("a.*.b")),
            "match/hosts/0",
            "host_invalid",
        ),
        (
            field("hosts", json!("https://h")),
            "match/hosts/0",
            "host_invalid",
        ),
        (field("hosts", json!("h.")), "match/hosts/0", "host_invalid"),
        (
            priced("match", json!({"hosts": vec!["h"; 9]})),
            "match/hosts",
            "too_many_conditions",
        ),
        (
            field("headers", json!({"name": ":path", "present": true})),
            "match/headers/0/name",
            "header_invalid",
        ),
        (
            field("headers", json!({"name": "a"})),
            "match/headers/0",
            "condition_invalid",
        ),
        (
            field(
                "headers",
                json!({"name": "a", "equals": "b", "present": true}),
            ),
            "match/headers/0",
            "condition_invalid",
        ),
        (
            field("headers", json!({"name": "a", "prefix": ""})),
            "match/headers/0/prefix",
            "condition_invalid",
        ),
        (
            field("query", json!({"name": "a", "equals": long})),
            "match/query/0/equals",
            "condition_invalid",
        ),
        (
            field("query", json!({"name": "", "present": true})),
            "match/query/0/name",
            "condition_invalid",
        ),
        (
            priced(
                "match",
                json!({"headers": [header, {"name": "A", "equals": "x"}]}),
            ),
            "match/headers/1/name",
            "condition_repeated",
        ),
        (
            priced("match", json!({"route": ""})),
            "match/route",
            "condition_invalid",
        ),
        (
            priced("match", json!({"model": "a*b*c*d*e*"})),
            "match/model",
            "model_invalid",
        ),
        // Meters.
        (
            meter(json!({"meter": "bytes", "price": 1})),
            "meters/0/meter",
            "rate_card_invalid",
        ),
        (
            meter(json!({"meter": "request_bytes"})),
            "meters/0",
            "rate_card_invalid",
        ),
        (
            meter(json!({"meter": "request_bytes", "price": -1})),
            "meters/0/price",
            "price_negative",
        ),
        (
            meter(json!({"meter": "request_bytes", "price": "1e-28"})),
            "meters/0/price",
            "amount_too_precise",
        ),
        (
            meter(json!({"meter": "request_bytes", "price": "1e-19", "per": 1_000_000_000})),
            "meters/0/price",
            "amount_too_precise",
        ),
        (
            meter(json!({"meter": "request_bytes", "price": 2e9})),
            "meters/0/price",
            "price_too_large",
        ),
        (
            meter(json!({"meter": "request_bytes", "price": 1, "per": 10})),
            "meters/0/per",
            "rate_card_invalid",
        ),
        (
            meter(json!({"meter": "seconds", "price": 1})),
            "meters/0/estimate",
            "estimate_missing",
        ),
        (
            meter(json!({"meter": {"request_header": "x"}, "price": 1, "max": 9})),
            "meters/0/estimate",
            "estimate_missing",
        ),
        (
            meter(json!({"meter": {"request_header": "x y"}, "price": 1})),
            "meters/0/meter/request_header",
            "header_invalid",
        ),
        (
            meter(json!({"meter": {"filter_state": "wasm.units"}, "price": 1})),
            "meters/0/estimate",
            "estimate_missing",
        ),
        (
            meter(json!({"meter": {"filter_state": "two words"}, "price": 1, "estimate": 1})),
            "meters/0/meter/filter_state",
            "filter_state_invalid",
        ),
        (
            meter(json!({"meter": "seconds", "price": 1, "max": 1, "estimate": 2})),
            "meters/0/estimate",
            "estimate_over_max",
        ),
        (
            meter(json!({"meter": "seconds", "price": 1, "max": 2_000_000_000_000_000_u64})),
            "meters/0/max",
            "count_too_large",
        ),
        (
            json!({"meters": vec![json!({"meter": "request_bytes", "price": 1}); 17]}),
            "meters",
            "too_many_meters",
        ),
        // Tokens.
        (
            tokens("format", json!("open_ai")),
            "tokens/format",
            "rate_card_invalid",
        ),
        (
            tokens("unknown_model", json!({"as": "none"})),
            "tokens/unknown_model/as",
            "model_unknown",
        ),
        (
            tokens("priced_by", json!({"model": "none"})),
            "tokens/priced_by/model",
            "model_unknown",
        ),
        (
            tokens("output_limit_field", json!("max_tokens")),
            "tokens/output_limit_field",
            "output_limit_field_invalid",
        ),
        (
            tokens("output_limit_field", json!("n")),
            "tokens/output_limit_field",
            "rate_card_invalid",
        ),
        (
            tokens("output_tokens_max", json!(0)),
            "tokens/output_tokens_max",
            "count_out_of_range",
        ),
        (
            tokens("request_body_bytes_max", json!(1_048_577)),
            "tokens/request_body_bytes_max",
            "count_out_of_range",
        ),
        (
            estimate("bytes_per_token", json!(0)),
            "estimate/bytes_per_token",
            "count_out_of_range",
        ),
        (
            estimate("bytes_per_token", json!(17)),
            "estimate/bytes_per_token",
            "count_out_of_range",
        ),
        (
            estimate("output_tokens", json!(10_000_001)),
            "estimate/output_tokens",
            "count_out_of_range",
        ),
        (
            estimate("input_tokens_extra", json!(10_000_001)),
            "estimate/input_tokens_extra",
            "count_out_of_range",
        ),
        // Settling.
        (settle(json!({})), "settle/0/when", "ending_missing"),
        (
            settle(json!({"retries_min": 0})),
            "settle/0/when/retries_min",
            "retries_invalid",
        ),
        (
            settle(json!({"retries_min": 101})),
            "settle/0/when/retries_min",
            "retries_invalid",
        ),
        (
            settle(json!({"flag": ["uo"]})),
            "settle/0/when/flag/0",
            "rate_card_invalid",
        ),
        (
            settle(json!({"status": ["600"]})),
            "settle/0/when/status/0",
            "status_invalid",
        ),
        (
            settle(json!({"status": ["5xx", "4XX"]})),
            "settle/0/when/status/1",
            "status_invalid",
        ),
        (
            settle(json!({"status": ["+04"]})),
            "settle/0/when/status/0",
            "status_invalid",
        ),
        (
            settle(json!({"status": ["40"]})),
            "settle/0/when/status/0",
            "status_invalid",
        ),
        (
            settle(json!({"status": vec!["404"; 17]})),
            "settle/0/when/status",
            "too_many_endings",
        ),
        (
            settle(json!({"grpc_status": [0, 17]})),
            "settle/0/when/grpc_status/1",
            "grpc_status_invalid",
        ),
        (
            settle(json!({"cause": ["bug"]})),
            "settle/0/when/cause/0",
            "rate_card_invalid",
        ),
        (
            priced(
                "settle",
                json!([{"when": {"status": ["5xx"]}, "then": "minimum"}]),
            ),
            "settle/0/then",
            "minimum_missing",
        ),
        (
            priced(
                "settle",
                json!(vec![
                    json!({"when": {"status": ["5xx"]}, "then": "release"});
                    17
                ]),
            ),
            "settle",
            "too_many_settle_rules",
        ),
    ] {
        let error = refused(rule, json!([{"model": "m", "input": 1}]));
        let pointer = format!("/rules/0/{pointer}");
        assert_eq!(
            (error.pointer(), error.code()),
            (pointer.as_str(), code),
            "{error}"
        );
    }
}

#[test]
fn a_fault_in_a_price_list_is_named() {
    let tiers = |tiers: Value| json!([{"model": "m", "input": 2, "cached_input": 1, "context_tiers": tiers}]);
    let model = |name: &str| json!({"model": name, "input": 1});
    for (models, pointer, code) in [
        (json!(vec![model("m"); 2001]), "/models", "too_many_models"),
        (
            json!([model("m"), model("n*"), model("m")]),
            "/models/2/model",
            "model_taken",
        ),
        (json!([model("m m")]), "/models/0/model", "model_invalid"),
        (
            json!([model(&"m".repeat(129))]),
            "/models/0/model",
            "model_invalid",
        ),
        (json!([{"model": "m"}]), "/models/0", "rate_card_invalid"),
        (
            json!([{"model": "m", "input": 1, "outptu": 1}]),
            "/models/0/outptu",
            "rate_card_invalid",
        ),
        (
            json!([{"model": "m", "input": 1, "output": null}]),
            "/models/0/output",
            "rate_card_invalid",
        ),
        (
            json!([{"model": "m", "input": 1, "audio_output": "1e-22"}]),
            "/models/0/audio_output",
            "amount_too_precise",
        ),
        (
            json!([{"model": "m", "input": 1, "per": 7}]),
            "/models/0/per",
            "rate_card_invalid",
        ),
        (
            tiers(json!([{"above_input_tokens": 9, "input": 1}])),
            "/models/0/context_tiers/0",
            "tier_cheaper",
        ),
        (
            tiers(json!([
                {"above_input_tokens": 9, "input": 2},
                {"above_input_tokens": 99, "input": 2, "cached_input": 1},
            ])),
            "/models/0/context_tiers/1",
            "tier_cheaper",
        ),
        (
            tiers(
                json!([{"above_input_tokens": 9, "input": 2}, {"above_input_tokens": 9, "input": 3}]),
            ),
            "/models/0/context_tiers/1/above_input_tokens",
            "tier_order",
        ),
        (
            tiers(json!(vec![json!({"above_input_tokens": 9, "input": 2}); 9])),
            "/models/0/context_tiers",
            "too_many_tiers",
        ),
        (json!([]), "/rules/0/tokens", "models_missing"),
    ] {
        let error = refused(json!({"tokens": {"format": "gemini"}}), models);
        assert_eq!((error.pointer(), error.code()), (pointer, code), "{error}");
    }
}

#[test]
fn what_needs_no_estimate_is_taken_without() {
    let seconds = |more: Value| {
        let mut rule = json!({
            "id": "r", "path": {"exact": "/r"}, "meters": [{"meter": "seconds", "price": 1}],
        });
        rule.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        card(json!("deny"), json!([rule]))
    };
    seconds(json!({"promise": "metered"}));
    seconds(json!({"maximum": 5}));
    seconds(json!({"meters": [{"meter": "seconds", "price": 1, "max": 60}]}));
    seconds(json!({"meters": [{"meter": {"response_header": "x"}, "price": 0}]}));
}

#[test]
fn a_document_is_written_as_it_was_read() {
    let document = json!({
        "name": "n", "currency": "usd", "default": "deny",
        "models": [{"model": "m*", "per": 1000, "input": "0.1", "output": "0.2",
            "context_tiers": [{"above_input_tokens": 5, "input": "0.3"}]}],
        "rules": [{
            "id": "r", "path": {"grpc": {"service": "a.B"}}, "charge": "on_success", "mode": "enforce",
            "match": {"hosts": ["h"], "query": [{"name": "q", "present": false}], "model": "m"},
            "meters": [{"meter": {"request_header": "x"}, "price": "1", "estimate": 3}],
            "tokens": {"format": "openai_chat", "unknown_model": {"as": "m1"}, "output_tokens_max": 5,
                "request_body_bytes_max": 6, "include_usage": false},
            "promise": "metered", "on_empty": "finish", "rounding": "half_even", "minimum": "1", "estimate": {"output_tokens": 9},
            "settle": [{"when": {"cause": ["timeout"]}, "then": "minimum"}],
        }],
    });
    let read = RateCardDocument::from_json(document.to_string().as_bytes()).unwrap();
    RateCard::compile(&read, 1).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), document);

    // A rule of old has no new fields.
    let old = json!({
        "name": "n", "currency": "usd", "default": {"price": "1"}, "rules": [
            {"id": "r", "path": {"exact": "/r"}, "price": "1", "charge": "always", "mode": "off"}],
    });
    let read = RateCardDocument::from_json(old.to_string().as_bytes()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), old);
}
