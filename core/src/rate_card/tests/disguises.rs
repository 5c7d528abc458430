//! Spellings of one path, and what they cost.

use super::*;
use crate::amount::Amount;

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
                    Decision::Deny
                    | Decision::UnknownRule
                    | Decision::Ambiguous(_)
                    | Decision::NeedsBody { .. } => {}
                }
            }
        }
        assert!(
            matches!(ask(&card, "GET", plain), Decision::Rule(_)),
            "{plain}"
        );
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
