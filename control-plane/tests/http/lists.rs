//! Lists: every one comes in pages, and none passes over a query that it does not know.

use std::collections::BTreeSet;

use axum::http::Method;
use creditgate::http::openapi_json;
use serde_json::{Value, json};

use crate::examples::{READS, named};
use crate::hooks::receiver::Receiver;
use crate::plane::{ADMIN, Plane};
use crate::repeats::furnished;

/// Every list of the document, with a path that is answered, and its parameters.
fn lists(names: &[(&'static str, String)]) -> Vec<(String, BTreeSet<String>)> {
    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    let mut lists = Vec::new();
    for (route, item) in document["paths"].as_object().unwrap() {
        let answer = &item["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        let is_list = answer["$ref"]
            .as_str()
            .is_some_and(|schema| schema.contains("/List_"));
        if !is_list {
            continue;
        }
        let read = READS
            .trim()
            .lines()
            .find(|line| line.split(' ').next() == Some(route));
        let read = read.unwrap_or_else(|| panic!("{route} is not looked up by the examples"));
        let path = read
            .split(' ')
            .next_back()
            .unwrap()
            .split('?')
            .next()
            .unwrap();
        let parameters = item["get"]["parameters"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let parameters = parameters.iter().filter(|known| known["in"] == "query");
        let parameters = parameters.map(|known| known["name"].as_str().unwrap().to_owned());
        lists.push((named(path, names), parameters.collect()));
    }
    assert!(lists.len() > 20, "{lists:?}");
    lists
}

/// A plane that has two or more of most things, so that lists of one item a page go on.
async fn well_furnished() -> (Plane, Receiver, Vec<(&'static str, String)>) {
    let (plane, receiver, names) = furnished().await;
    for (path, body) in [
        ("/v1/customers", json!({ "external_id": "bob" })),
        ("/v1/plans", json!({ "external_id": "p", "name": "P" })),
        ("/v1/plans", json!({ "external_id": "q", "name": "Q" })),
        (
            "/v1/subscriptions",
            json!({ "customer_id": "bob", "plan_id": "p", "external_id": "s" }),
        ),
        (
            "/v1/subscriptions",
            json!({ "customer_id": "bob", "plan_id": "q" }),
        ),
        (
            "/v1/credit-grants",
            json!({ "name": "g", "scope": "PLAN", "plan_id": "p",
            "credit_amount": 1, "currency": "usd", "cadence": "RECURRING", "period": "monthly" }),
        ),
        ("/v1/currencies", json!({ "code": "gold", "scale": 2 })),
        ("/v1/gateways", json!({ "external_id": "g" })),
        ("/v1/gateways/edge/keys", json!({})),
        ("/v1/operator-keys", json!({ "role": "admin" })),
        (
            "/v1/webhook-endpoints",
            json!({ "url": "https://example.com/" }),
        ),
        (
            "/v1/wallets",
            json!({ "customer_id": "ada", "currency": "usd" }),
        ),
    ] {
        let made = plane.post(path, body).await;
        assert_eq!(made.status, 201, "{path}: {made:?}");
    }
    for name in ["z", "a"] {
        let card = json!({ "name": name, "currency": "usd", "default": "deny" });
        let made = plane.put(&format!("/v1/rate-cards/{name}"), card).await;
        assert_eq!(made.status, 200, "{made:?}");
    }
    (plane, receiver, names)
}

#[tokio::test]
async fn no_list_ignores_a_query_it_does_not_know() {
    let (plane, _receiver, names) = well_furnished().await;
    for (path, _) in lists(&names) {
        let whole = plane.get(&path).await;
        assert_eq!(whole.status, 200, "{path}: {whole:?}");
        for query in ["nonsense=1", "limit=1&nonsense=1", "nonsense"] {
            let path = format!("{path}?{query}");
            let refused = plane.get(&path).await;
            assert_eq!(refused.status, 400, "{path}: {}", refused.body);
            assert_eq!(refused.code(), "query_invalid", "{path}");
        }
    }
}

#[tokio::test]
async fn every_list_comes_in_pages() {
    let (plane, _receiver, names) = well_furnished().await;
    let mut long = 0;
    for (path, parameters) in lists(&names) {
        for parameter in ["cursor", "limit"] {
            assert!(parameters.contains(parameter), "{path} lacks {parameter}");
        }
        let refused = plane.get(&format!("{path}?limit=0")).await;
        assert_eq!(
            (refused.status, refused.code()),
            (400, "query_invalid"),
            "{path}"
        );
        let refused = plane.get(&format!("{path}?cursor=zz")).await;
        assert_eq!(
            (refused.status, refused.code()),
            (400, "cursor_invalid"),
            "{path}"
        );
        if path.starts_with("/v1/events") || path.starts_with("/v1/webhook-deliveries") {
            // Jobs add to these meanwhile.
            continue;
        }
        let whole = plane.get(&path).await;
        assert!(
            whole.body["next_cursor"].is_null(),
            "{path}: {}",
            whole.body
        );
        let rows = whole.body["data"].as_array().unwrap();
        long += usize::from(rows.len() > 1);
        let mut paged = Vec::new();
        let mut next = format!("{path}?limit=1");
        loop {
            let page = plane.get(&next).await;
            assert_eq!(page.status, 200, "{next}: {page:?}");
            let found = page.body["data"].as_array().unwrap();
            assert!(found.len() <= 1, "{next}: {}", page.body);
            paged.extend(found.iter().cloned());
            let Some(cursor) = page.body["next_cursor"].as_str() else {
                break;
            };
            next = format!("{path}?limit=1&cursor={cursor}");
        }
        let names = |rows: &[Value]| -> Vec<Value> {
            let name = |row: &Value| json!([row["id"], row["code"], row["name"], row["lot_id"]]);
            rows.iter().map(name).collect()
        };
        assert_eq!(names(&paged), names(rows), "{path}");
    }
    assert!(long > 12, "{long} lists have more than one page");
}

#[tokio::test]
async fn customers_are_listed_by_status() {
    let plane = Plane::start();
    for name in ["ada", "bob", "eve", "kim"] {
        plane
            .post("/v1/customers", json!({ "external_id": name }))
            .await;
    }
    for name in ["bob", "kim"] {
        plane
            .post(&format!("/v1/customers/{name}/suspend"), json!({}))
            .await;
    }
    for (name, mode) in [("eve", "shadow"), ("kim", "off")] {
        let body = json!({ "mode": mode }).to_string();
        let path = format!("/v1/customers/{name}");
        plane.call(Method::PATCH, &path, ADMIN, body, &[]).await;
    }
    let names = |list: &Value| -> Vec<String> {
        let rows = list["data"].as_array().unwrap().iter();
        rows.map(|row| row["external_id"].as_str().unwrap().to_owned())
            .collect()
    };
    for (query, expected) in [
        ("status=active", vec!["ada", "eve"]),
        ("status=SUSPENDED", vec!["bob", "kim"]),
        ("mode=enforce", vec!["ada", "bob"]),
        ("mode=shadow", vec!["eve"]),
        ("status=suspended&mode=off", vec!["kim"]),
        ("status=active&mode=off", vec![]),
    ] {
        let found = plane.get(&format!("/v1/customers?{query}")).await;
        assert_eq!(found.status, 200, "{query}: {found:?}");
        assert_eq!(names(&found.body), expected, "{query}");
    }
    let first = plane.get("/v1/customers?status=suspended&limit=1").await;
    let cursor = first.text("next_cursor");
    let path = format!("/v1/customers?status=suspended&limit=1&cursor={cursor}");
    let second = plane.get(&path).await;
    assert_eq!(names(&second.body), ["kim"]);
    assert!(second.body["next_cursor"].is_null());
    for query in ["status=lost", "mode=on"] {
        let refused = plane.get(&format!("/v1/customers?{query}")).await;
        assert_eq!(
            (refused.status, refused.code()),
            (400, "query_invalid"),
            "{query}"
        );
    }
}

#[tokio::test]
async fn wallets_of_a_customer_are_listed_by_currency_and_status() {
    let plane = Plane::start();
    let frozen = plane.funded("ada", "usd", "0").await;
    for currency in ["usd", "eur"] {
        let wallet = json!({ "customer_id": "ada", "currency": currency });
        plane.post("/v1/wallets", wallet).await;
    }
    plane
        .post(&format!("/v1/wallets/{frozen}/freeze"), json!({}))
        .await;
    let count = async |query: &str| {
        let found = plane
            .get(&format!("/v1/customers/ada/wallets?{query}"))
            .await;
        assert_eq!(found.status, 200, "{query}: {found:?}");
        found.body["data"].as_array().unwrap().len()
    };
    assert_eq!(count("").await, 3);
    assert_eq!(count("currency=USD").await, 2);
    assert_eq!(count("status=active").await, 2);
    assert_eq!(count("status=active&currency=usd").await, 1);
    assert_eq!(count("status=closed").await, 0);
    let refused = plane.get("/v1/customers/ada/wallets?status=lost").await;
    assert_eq!((refused.status, refused.code()), (400, "query_invalid"));
}
