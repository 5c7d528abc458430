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
        is_cors_preflight: false,
    })
}

/// The decision in one word: the rule's id, or what else it is.
fn word(card: &RateCard, method: &str, path: &str) -> String {
    match ask(card, method, path) {
        Decision::Rule(rule) => rule.id().to_owned(),
        Decision::Free => "FREE".to_owned(),
        Decision::Deny => "DENY".to_owned(),
        Decision::Ambiguous(_) => "AMBIGUOUS".to_owned(),
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
        })
    };
    assert!(matches!(preflight(b"OPTIONS"), Decision::Free));
    assert!(matches!(preflight(b"POST"), Decision::Rule(_)));
    assert_eq!(word(&card, "OPTIONS", "/x"), "r");
}

/// Each group: one plain path and ways to disguise it, each of which some upstream may read
/// as the plain one.
const DISGUISES: [(&str, &[&str]); 4] = [
    (
        "/v1/items",
        &[
            "/v1/items/",
            "/v1/items//",
            "/v1//items",
            "/v1///items",
            "///v1/items",
            "/v1/./items",
            "/v1/x/../items",
            "/./v1/items",
            "/../v1/items",
            "/v1/items/.",
            "/v1/items/%2e",
            "/v1/items/x/..",
            "/v1/%69tems",
            "/%76%31/items",
            "/v1/%49%54EMS/../items",
            "/v1/%2569tems",
            "/v1/%252569tems",
            "/v1%2fitems",
            "/v1%2Fitems",
            "/v1%252fitems",
            "/v1%5Citems",
            "/v1%5citems",
            "/v1\\items",
            "\\v1\\items",
            "/v1/items;",
            "/v1/items;a=b",
            "/v1;/items",
            "/;/v1/items",
            "/v1/items%3b",
            "/v1/items%3Ba",
            "/v1/items?",
            "/v1/items?x=/healthz",
            "/v1/items/?/healthz",
            "/v1/items#",
            "/v1/items#/healthz",
            "/v1/items%00",
            "/v1/items%00/healthz",
            "/v1/items%0a",
            "/v1/items\t",
            "/v1/items%",
            "/v1/items%2",
            "/v1/items%u002f",
            "/v1/%c0%afitems",
            "/v1/items%c0%ae",
            "/healthz/../v1/items",
            "/healthz/%2e%2e/v1/items",
            "/healthz/.%2E/v1/items",
            "/healthz/..;/v1/items",
            "/healthz/..%2fv1/items",
            "/healthz\\..\\v1\\items",
            "/healthz;/../v1/items",
            "/healthz#/../v1/items",
            "http://host/v1/items",
            "//host/v1/items",
            "host/v1/items",
            "v1/items",
            "",
            "*",
        ],
    ),
    (
        "/v1/items/a@b",
        &[
            "/v1/items/a%40b",
            "/v1/items/%61@b",
            "/v1//items/a@b/",
            "/v1/items/%61%40%62",
            "/v1/items/a%2540b",
            "/v1/items/a@b;c",
        ],
    ),
    (
        "/v1/café",
        &[
            "/v1/caf%C3%A9",
            "/v1/caf%c3%a9",
            "/v1/caf%C3%a9/",
            "/%76%31/caf%c3%A9",
            "/v1/caf%25C3%A9",
        ],
    ),
    ("/v1/a b", &["/v1/a%20b", "/v1/%61%20b/"]),
];

#[test]
fn no_disguised_spelling_is_cheaper_than_the_plain_one() {
    // All but the named paths is cheap or free, so that who escapes the rule gains by it.
    let card = card(
        json!("free"),
        json!([
            {"id": "items", "path": {"exact": "/v1/items"}, "price": 5},
            {"id": "at", "path": {"template": "/v1/items/a@b"}, "price": 5},
            {"id": "accent", "path": {"prefix": "/v1/café"}, "price": 5},
            {"id": "space", "path": {"exact": "/v1/a b"}, "price": 5},
            {"id": "cheap", "path": {"prefix": "/"}, "price": 1},
        ]),
    );
    let dear = Amount::new(5_000_000_000);
    for (plain, disguises) in DISGUISES {
        for path in disguises.iter().chain([&plain]) {
            for method in ["GET", "get", "HEAD", "POST", "OPTIONS", "X-ODD"] {
                if (method, *path) == ("OPTIONS", "*") {
                    continue; // Asks about the server, not about a path.
                }
                match ask(&card, method, path) {
                    Decision::Rule(rule) => assert_eq!(rule.price(), dear, "{method} {path:?}"),
                    Decision::Free => panic!("{method} {path:?} is free"),
                    Decision::Deny | Decision::Ambiguous(_) => {}
                }
            }
        }
        assert!(
            matches!(ask(&card, "GET", plain), Decision::Rule(_)),
            "{plain}"
        );
    }
}

/// Only the upstream knows whether these are the same to it. The card's default decides.
#[test]
fn spellings_that_only_some_upstreams_fold_get_the_default() {
    let rules = json!([{"id": "items", "path": {"exact": "/v1/items"}, "price": 5}]);
    let card = card(json!({"price": 5}), rules);
    for path in [
        "/V1/items",
        "/v1/ITEMS",
        "/v1/items.json",
        "/v1/items/index.html",
        "/v1/items%20",
    ] {
        assert_eq!(word(&card, "GET", path), DEFAULT_RULE_ID, "{path}");
    }
}

#[test]
fn the_spellings_of_one_path_that_pass_all_take_its_rule() {
    let card = routes();
    for path in [
        "/v1/items/",
        "/v1/items//",
        "/v1//items",
        "/v1/%69tems",
        "/%76%31/items?x",
    ] {
        assert_eq!(word(&card, "GET", path), "items", "{path}");
    }
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
fn a_fault_is_found_and_its_place_named() {
    let rule = |field: &str, value: Value| {
        let mut rule = json!({"id": "r", "path": {"exact": "/r"}, "price": 1});
        rule[field] = value;
        json!({"rules": [{"id": "first", "path": {"exact": "/first"}, "price": 1}, rule]})
    };
    let free = |path: &str| json!({"free_paths": [path]});
    let long = "a".repeat(1024);
    let deep = "/a".repeat(65);
    for (change, pointer, code) in [
        (json!({"prise": 1}), "/prise", "rate_card_invalid"),
        (json!({"name": ""}), "/name", "name_invalid"),
        (json!({"name": 3}), "/name", "rate_card_invalid"),
        (
            json!({"currency": "us dollars"}),
            "/currency",
            "rate_card_invalid",
        ),
        (json!({"scale": 10}), "/scale", "rate_card_invalid"),
        (json!({"default": "allow"}), "/default", "rate_card_invalid"),
        (
            json!({"default": {"price": -1}}),
            "/default/price",
            "price_negative",
        ),
        (
            json!({"default": {"price": "x"}}),
            "/default/price",
            "rate_card_invalid",
        ),
        (
            json!({"free_paths": vec!["/h"; 101]}),
            "/free_paths",
            "too_many_free_paths",
        ),
        (free("healthz"), "/free_paths/0", "path_invalid"),
        (
            rule("metods", json!(["GET"])),
            "/rules/1/metods",
            "rate_card_invalid",
        ),
        (rule("id", json!("")), "/rules/1/id", "rule_id_invalid"),
        (rule("id", json!("a b")), "/rules/1/id", "rule_id_invalid"),
        (
            rule("id", json!("a".repeat(65))),
            "/rules/1/id",
            "rule_id_invalid",
        ),
        (rule("id", json!("first")), "/rules/1/id", "rule_id_taken"),
        (rule("id", json!("default")), "/rules/1/id", "rule_id_taken"),
        (
            rule("methods", json!(["GET", "G T"])),
            "/rules/1/methods/1",
            "method_invalid",
        ),
        (
            rule("methods", json!(vec!["GET"; 17])),
            "/rules/1/methods",
            "too_many_methods",
        ),
        (
            rule("price", json!(-0.5)),
            "/rules/1/price",
            "price_negative",
        ),
        (
            rule("price", json!("-1")),
            "/rules/1/price",
            "price_negative",
        ),
        (
            rule("price", json!("0.0000000001")),
            "/rules/1/price",
            "amount_too_precise",
        ),
        (
            rule("price", json!("9999999999")),
            "/rules/1/price",
            "amount_overflow",
        ),
        (
            rule("price", json!("9000000000")),
            "/rules/1/price",
            "price_too_large",
        ),
        (
            rule("price", json!(true)),
            "/rules/1/price",
            "rate_card_invalid",
        ),
        (
            rule("price", json!(null)),
            "/rules/1/price",
            "rate_card_invalid",
        ),
        (
            rule("charge", json!("never")),
            "/rules/1/charge",
            "rate_card_invalid",
        ),
        (
            rule("path", json!({"regex": "/r"})),
            "/rules/1/path",
            "rate_card_invalid",
        ),
        (
            rule("path", json!({"exact": "/first/"})),
            "/rules/1/path",
            "rule_unreachable",
        ),
        (
            rule("path", json!({"exact": "r"})),
            "/rules/1/path/exact",
            "path_invalid",
        ),
        (
            rule("path", json!({"exact": "/a//b"})),
            "/rules/1/path/exact",
            "path_invalid",
        ),
        (
            rule("path", json!({"exact": "/a?b"})),
            "/rules/1/path/exact",
            "path_invalid",
        ),
        (
            rule("path", json!({"exact": "/a/../b"})),
            "/rules/1/path/exact",
            "path_invalid",
        ),
        (
            rule("path", json!({"exact": "/a%2Fb"})),
            "/rules/1/path/exact",
            "path_invalid",
        ),
        (
            rule("path", json!({"exact": "/a/{id}"})),
            "/rules/1/path/exact",
            "path_invalid",
        ),
        (
            rule("path", json!({"prefix": "/a/*"})),
            "/rules/1/path/prefix",
            "path_invalid",
        ),
        (
            rule("path", json!({"exact": format!("/{long}")})),
            "/rules/1/path/exact",
            "path_invalid",
        ),
        (
            rule("path", json!({"prefix": deep})),
            "/rules/1/path/prefix",
            "path_invalid",
        ),
        (
            rule("path", json!({"template": "/a/x{id}"})),
            "/rules/1/path/template",
            "path_invalid",
        ),
        (
            rule("path", json!({"template": "/a/{}"})),
            "/rules/1/path/template",
            "path_invalid",
        ),
    ] {
        let mut document = json!({"name": "n", "currency": "usd", "default": "deny"});
        let fields = change.as_object().unwrap().clone();
        document.as_object_mut().unwrap().extend(fields);
        let error = try_card(document).expect_err(&change.to_string());
        assert_eq!((error.pointer(), error.code()), (pointer, code), "{error}");
        assert!(error.to_string().starts_with(pointer));
    }
}

#[test]
fn what_is_missing_is_refused() {
    let error = |json: &str| RateCardDocument::from_json(json.as_bytes()).unwrap_err();
    assert!(
        error(r#"{"name":"n","currency":"usd"}"#)
            .message()
            .contains("default")
    );
    assert_eq!(
        error(r#"{"name":"n","currency":"usd","default":"deny"} x"#).pointer(),
        ""
    );
    assert_eq!(error("").code(), "rate_card_invalid");
    let twice = r#"{"name":"n","name":"m","currency":"usd","default":"deny"}"#;
    assert!(error(twice).message().contains("duplicate"));
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
