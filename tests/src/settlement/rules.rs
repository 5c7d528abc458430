//! The rules of the rows, and what they reserve.

use serde_json::{Value, json};

use super::Cell;
use crate::scene::CARD;

/// Each byte of it may be a token, and the answer may have as many as it allows.
const QUESTION: &str = r#"{"model":"m","stream":true,"max_tokens":50,"messages":[]}"#;

/// The same, of which the answer is whole.
const WHOLE_QUESTION: &str = r#"{"model":"m","max_tokens":50,"messages":[]}"#;

impl Cell {
    pub(super) fn question(&self) -> &'static str {
        if self.is_whole() {
            WHOLE_QUESTION
        } else {
            QUESTION
        }
    }
}

/// A message without content.
pub(super) const CALL: &[u8] = b"\0\0\0\0\0";

/// The text of an event, as all are but for the number.
const WORD: &str = "word-0000 ";

/// What is reserved for a request about tokens.
pub(super) fn estimate(cell: &Cell) -> i128 {
    let (read, limit) = (tokens(cell, cell.question().len()), 2 * 50);
    if cell.rule == "metered" {
        read
    } else {
        read + limit
    }
}

/// What an answer comes to that breaks off after this beginning of it; under a strict promise, never to more than was reserved.
pub(super) fn passed(cell: &Cell, beginning: &[u8]) -> i128 {
    let text = String::from_utf8_lossy(beginning);
    let (events, _) = text.rsplit_once("\n\n").unwrap_or_default();
    let words = events.matches("word-").count();
    let cost = tokens(cell, cell.question().len()) + 2 * tokens(cell, words * WORD.len());
    match promise(&cell.rule) {
        "strict" => cost.min(estimate(cell)),
        _ => cost,
    }
}

/// As many as so many bytes are taken for.
fn tokens(cell: &Cell, bytes: usize) -> i128 {
    let bytes_per_token = if promise(&cell.rule) == "strict" {
        1
    } else {
        4
    };
    bytes.div_ceil(bytes_per_token) as i128
}

fn promise(rule: &str) -> &str {
    match rule {
        "metered" | "expected" => rule,
        _ => "strict",
    }
}

/// A rule of a fixed price and one for tokens, with this in common.
fn both(id: &str, more: Value) -> [Value; 2] {
    let mut fixed = json!({"id": id, "path": {"exact": path(id)}, "price": 5, "minimum": 2});
    let mut priced = by_tokens(id);
    for rule in [&mut fixed, &mut priced] {
        for (name, value) in more.as_object().into_iter().flatten() {
            rule[name] = value.clone();
        }
    }
    [fixed, priced]
}

fn path(id: &str) -> String {
    format!("/{id}.Service/Method")
}

fn by_tokens(id: &str) -> Value {
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
        both(
            "no_retries",
            always(json!({"cause": ["retries"]}), "release"),
        ),
        both("tried", always(json!({"retries_min": 1}), "minimum")),
    ]
    .concat();
    for promise in ["metered", "expected"] {
        let mut rule = by_tokens(promise);
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
