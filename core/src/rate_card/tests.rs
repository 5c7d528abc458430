mod conditions;
mod costs;
mod disguises;
mod faults;
mod pricing;
mod settling;

use super::*;
use serde_json::{Value, json};

fn try_card(document: Value) -> Result<RateCard, RateCardError> {
    RateCardDocument::from_json(document.to_string().as_bytes())
        .and_then(|document| RateCard::compile(&document, 7))
}

fn card(default: Value, rules: Value) -> RateCard {
    let free_paths = ["/healthz", "/ready/"];
    let document = json!({
        "name": "test", "currency": "USD", "default": default, "free_paths": free_paths, "rules": rules,
    });
    try_card(document).unwrap()
}

fn ask<'a>(card: &'a RateCard, method: &str, path: &str) -> Decision<'a> {
    card.price(Request {
        method: method.as_bytes(),
        path: path.as_bytes(),
        ..Request::default()
    })
}

/// The decision in one word: the rule's id, or what else it is.
fn word(card: &RateCard, method: &str, path: &str) -> String {
    match ask(card, method, path) {
        Decision::Rule(rule) => rule.id().to_owned(),
        Decision::Free => "FREE".to_owned(),
        Decision::Deny => "DENY".to_owned(),
        Decision::UnknownRule => "UNKNOWN".to_owned(),
        Decision::Ambiguous(_) => "AMBIGUOUS".to_owned(),
        Decision::NeedsBody { bytes_max } => format!("BODY {bytes_max}"),
    }
}

fn routes() -> RateCard {
    card(
        json!("deny"),
        json!([
            {"id": "all", "path": {"prefix": "/"}, "methods": ["PATCH"], "price": 9},
            {"id": "v1", "path": {"prefix": "/v1/"}, "price": "0.001"},
            {"id": "items", "path": {"exact": "/v1/items"}, "methods": ["get", "POST"], "price": 0.01},
            {"id": "items-any", "path": {"exact": "/v1/items/"}, "price": 1},
            {"id": "item", "path": {"template": "/v1/items/{id}"}, "price": 2},
            {"id": "item-put", "path": {"template": "/v1/items/{item}"}, "methods": ["PUT"], "price": 2},
            {"id": "special", "path": {"exact": "/v1/items/special"}, "methods": ["GET"], "price": 3},
            {"id": "part", "path": {"template": "/v1/{kind}/{id}/parts"}, "price": 4},
            {"id": "item-part", "path": {"template": "/v1/items/{id}/parts"}, "price": 5},
            {"id": "v1-parts", "path": {"prefix": "/v1/items/7/parts"}, "price": 6},
            {"id": "plain", "path": {"template": "/plain"}, "price": 7},
        ]),
    )
}

#[test]
fn the_closest_rule_is_taken() {
    let card = routes();
    for (method, path, rule) in [
        ("GET", "/v1/items", "items"),
        ("HEAD", "/v1/items", "items"),
        ("get", "/v1/items", "items"),
        ("DELETE", "/v1/items", "items-any"),
        ("GET", "/v1/items?q=/healthz", "items"),
        ("GET", "/v1/items/", "items"),
        ("GET", "/v1/items/12", "item"),
        ("PUT", "/v1/items/12", "item-put"),
        ("GET", "/v1/items/special", "special"),
        ("HEAD", "/v1/items/special", "special"),
        ("POST", "/v1/items/special", "item"),
        ("PUT", "/v1/items/special", "item-put"),
        ("GET", "/v1/items/12/parts", "item-part"),
        ("GET", "/v1/items/7/parts", "item-part"),
        ("GET", "/v1/items/7/parts/1", "v1-parts"),
        ("GET", "/v1/boxes/12/parts", "part"),
        ("GET", "/v1", "v1"),
        ("GET", "/v1/other/deep/er", "v1"),
        ("GET", "/v12", "DENY"),
        ("PATCH", "/v12", "all"),
        ("PATCH", "/", "all"),
        ("GET", "/", "DENY"),
        ("GET", "/V1/items", "DENY"),
        ("GET", "/plain/", "plain"),
        ("GET", "/healthz", "FREE"),
        ("POST", "/healthz/?deep=1", "FREE"),
        ("GET", "/ready", "FREE"),
        ("GET", "/healthz/x", "DENY"),
    ] {
        assert_eq!(word(&card, method, path), rule, "{method} {path}");
    }
}

#[test]
fn a_request_that_no_rule_matches_gets_the_default() {
    for (default, decision) in [
        (json!("deny"), "DENY"),
        (json!("free"), "FREE"),
        (json!({"price": "0.5"}), DEFAULT_RULE_ID),
    ] {
        let card = card(default, json!([]));
        assert_eq!(word(&card, "GET", "/any"), decision);
        assert_eq!(word(&card, "OPTIONS", "*"), decision);
        assert_eq!(word(&card, "CONNECT", ""), decision);
        assert_eq!(word(&card, "CONNECT", "example.com:443"), decision);
    }
}

#[test]
fn an_ambiguous_request_is_refused_whatever_the_default() {
    let card = card(
        json!("free"),
        json!([{"id": "r", "path": {"prefix": "/"}, "price": 1}]),
    );
    for (method, path) in [
        ("GET", ""),
        ("GET", "*"),
        ("GET", "http://example.com/healthz"),
        ("GET", "/healthz/../v1"),
        ("GET", "/healthz#/../v1"),
        ("OPTIONS", "/healthz%2f.."),
    ] {
        assert_eq!(word(&card, method, path), "AMBIGUOUS", "{method} {path}");
    }
}

#[test]
fn a_preflight_is_free_and_only_options_can_be_one() {
    let card = card(
        json!("deny"),
        json!([{"id": "r", "path": {"prefix": "/"}, "price": 1}]),
    );
    let preflight = |method: &'static [u8]| {
        card.price(Request {
            method,
            path: b"/x",
            is_cors_preflight: true,
            ..Request::default()
        })
    };
    assert!(matches!(preflight(b"OPTIONS"), Decision::Free));
    assert!(matches!(preflight(b"POST"), Decision::Rule(_)));
    assert_eq!(word(&card, "OPTIONS", "/x"), "r");
}

#[test]
fn prices_are_read_exactly_from_numbers_and_strings() {
    let json = br#"{"name":"n","currency":"usd","default":{"price":0.000000001},"rules":[
        {"id":"a","path":{"exact":"/a"},"price":0.1},
        {"id":"b","path":{"exact":"/b"},"price":"0.1"},
        {"id":"c","path":{"exact":"/c"},"price":1e-9},
        {"id":"d","path":{"exact":"/d"},"price":1234567.123456789000000000000},
        {"id":"e","path":{"exact":"/e"},"price":0,"charge":"always","mode":"shadow"}]}"#;
    let document = RateCardDocument::from_json(json).unwrap();
    let card = RateCard::compile(&document, 3).unwrap();
    let units: Vec<i64> = card.rules().iter().map(|rule| rule.price().get()).collect();
    assert_eq!(
        units,
        [100_000_000, 100_000_000, 1, 1_234_567_123_456_789, 0]
    );
    let last = card.rules().last().unwrap();
    assert_eq!((last.charge(), last.mode()), (Charge::Always, Mode::Shadow));
    assert_eq!(
        (card.version(), card.scale().digits(), card.name()),
        (3, 9, "n")
    );
    assert!(matches!(ask(&card, "GET", "/"), Decision::Rule(rule) if rule.price().get() == 1));

    let again = serde_json::to_vec(&document).unwrap();
    assert_eq!(RateCardDocument::from_json(&again).unwrap(), document);
}

#[test]
fn rules_that_share_methods_in_part_are_all_reachable() {
    let card = card(
        json!("deny"),
        json!([
            {"id": "one", "methods": ["GET", "POST"], "path": {"exact": "/x"}, "price": 1},
            {"id": "two", "methods": ["POST", "PUT"], "path": {"exact": "/x"}, "price": 2},
            {"id": "any", "path": {"exact": "/x"}, "price": 3},
        ]),
    );
    for (method, rule) in [
        ("GET", "one"),
        ("POST", "one"),
        ("PUT", "two"),
        ("DELETE", "any"),
    ] {
        assert_eq!(word(&card, method, "/x"), rule);
    }
}

#[test]
fn a_card_of_many_rules_prices_each() {
    let rules: Vec<Value> = (0..RULES_MAX)
        .map(|n| {
            let path = match n % 3 {
                0 => json!({"exact": format!("/api/{n}")}),
                1 => json!({"template": format!("/api/{{x}}/{n}")}),
                _ => json!({"prefix": format!("/pre/{n}")}),
            };
            json!({"id": format!("r{n}"), "path": path, "price": n})
        })
        .collect();
    let card = card(json!("deny"), json!(rules));
    for n in 0..RULES_MAX {
        let path = match n % 3 {
            0 => format!("/api/{n}"),
            1 => format!("/api/any/{n}"),
            _ => format!("/pre/{n}/deeper"),
        };
        assert_eq!(word(&card, "GET", &path), format!("r{n}"));
    }
}
