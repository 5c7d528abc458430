//! Documents that are refused, and the field that is named.

mod terms;

use super::*;

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
