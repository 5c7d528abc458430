//! The rules of the rows, and what they reserve.

use serde_json::{Value, json};

use crate::scene::CARD;

/// Each byte of it may be a token, and the answer may have as many as it allows.
pub(super) const QUESTION: &str = r#"{"model":"m","stream":true,"max_tokens":50,"messages":[]}"#;

/// A message without content.
pub(super) const CALL: &[u8] = b"\0\0\0\0\0";

/// What is reserved for a request that streams tokens.
pub(super) fn estimate(rule: &str) -> i128 {
    let bytes = QUESTION.len() as i128;
    match rule {
        "metered" => (bytes + 3) / 4,
        "expected" => (bytes + 3) / 4 + 2 * 50,
        _ => bytes + 2 * 50,
    }
}

/// The most that an answer comes to which breaks off: under a strict promise the estimate, else all of it.
pub(super) fn most(rule: &str) -> i128 {
    match rule {
        "bytes" => 100 * 100,
        "metered" | "expected" => 1_000,
        _ => estimate(rule),
    }
}

/// A rule of a fixed price and one for tokens, with this in common.
fn both(id: &str, more: Value) -> [Value; 2] {
    let mut fixed = json!({"id": id, "path": {"exact": path(id)}, "price": 5, "minimum": 2});
    let mut tokens = tokens(id);
    for rule in [&mut fixed, &mut tokens] {
        for (name, value) in more.as_object().into_iter().flatten() {
            rule[name] = value.clone();
        }
    }
    [fixed, tokens]
}

fn path(id: &str) -> String {
    format!("/{id}.Service/Method")
}

fn tokens(id: &str) -> Value {
    json!({"id": format!("{id}-sse"), "path": {"exact": "/v1/chat/completions"}, "minimum": 2,
        "match": {"headers": [{"name": "x-rule", "equals": id}]},
        "tokens": {"format": "openai_chat", "output_tokens_max": 100}})
}

pub(super) fn card() -> Value {
    let lenient = json!([
        {"when": {"status": ["4xx"]}, "then": "release"},
        {"when": {"grpc_status": [5]}, "then": "release"},
        {"when": {"cause": ["client_abort", "timeout"]}, "then": "minimum"},
        {"when": {"cause": ["upstream_reset"]}, "then": "charge"},
    ]);
    let always = |when: Value, then: &str| json!({"charge": "always", "settle": [{"when": when, "then": then}]});
    let mut rules = [
        both("on_success", json!({"charge": "on_success"})),
        both("always", json!({"charge": "always"})),
        both(
            "lenient",
            json!({"charge": "on_success", "settle": lenient}),
        ),
        both(
            "no_local",
            always(json!({"cause": ["local_reply"]}), "release"),
        ),
        both(
            "no_silent",
            always(json!({"cause": ["no_response"]}), "release"),
        ),
        both("flagged", always(json!({"flag": ["UF", "UO"]}), "minimum")),
        both("tried", always(json!({"retries_min": 1}), "minimum")),
    ]
    .concat();
    for promise in ["metered", "expected"] {
        let mut rule = tokens(promise);
        rule["promise"] = json!(promise);
        rules.push(rule);
    }
    let bytes = json!([{"meter": "response_bytes", "price": 1, "estimate": 1}]);
    rules.push(
        json!({"id": "bytes", "path": {"exact": path("bytes")}, "minimum": 2,
        "promise": "metered", "meters": bytes}),
    );
    json!({
        "name": CARD, "currency": "tokens", "scale": 0, "default": "deny",
        "models": [{"model": "m", "per": 1, "input": 1, "output": 2}],
        "rules": rules,
    })
}
