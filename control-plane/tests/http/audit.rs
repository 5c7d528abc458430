//! Who changed what: each write of a client is one line, and nothing else is.

use axum::http::Method;
use serde_json::{Value, json};

use crate::edge::{Edge, counters};
use crate::plane::{ADMIN, Plane};

async fn lines(plane: &Plane, query: &str) -> Vec<Value> {
    let answer = plane.get(&format!("/v1/audit?limit=200{query}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["data"].as_array().unwrap().clone()
}

fn actions(lines: &[Value]) -> Vec<&str> {
    lines
        .iter()
        .map(|line| line["action"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn line_says_who_did_what_to_which_object_and_why() {
    let plane = Plane::start();
    let wallet = plane.funded("ada", "usd", "0").await;
    let made = plane
        .post("/v1/operator-keys", json!({ "role": "admin" }))
        .await;
    let (key, secret) = (made.text("id"), made.text("key"));
    let path = format!("/v1/wallets/{wallet}/top-up");
    let top_up = plane
        .call(Method::POST, &path, &secret, r#"{"amount": 5}"#, &[])
        .await;
    let lot = top_up.text("id");
    let reason = json!({ "reason": "given by mistake" });
    let path = format!("/v1/lots/{lot}/void");
    plane
        .call(Method::POST, &path, &secret, reason.to_string(), &[])
        .await;

    let log = lines(&plane, "").await;
    assert_eq!(
        actions(&log),
        [
            "void_lot",
            "top_up",
            "add_operator_key",
            "create_wallet",
            "create_customer"
        ],
        "newest first"
    );
    let customer = plane.get("/v1/customers/ada").await.text("id");
    let voided = &log[0];
    assert_eq!(voided["actor"], key.as_str());
    assert_eq!(voided["customer_id"], customer.as_str());
    assert_eq!(voided["subject"], lot.as_str());
    assert_eq!(voided["reason"], "given by mistake");
    assert!(voided["id"].as_str().unwrap().starts_with("aud_"));
    assert_eq!(log[2]["actor"], "admin");
    assert_eq!(log[2]["subject"], key.as_str());
    assert_eq!(log[2]["customer_id"], Value::Null);
    assert_eq!(log[3]["subject"], wallet.as_str());
    assert!(
        !plane
            .get("/v1/audit")
            .await
            .bytes
            .windows(4)
            .any(|word| word == b"cga_")
    );
}

#[tokio::test]
async fn suspending_and_resuming_say_so_and_why() {
    let plane = Plane::start();
    plane.funded("ada", "usd", "0").await;
    let because = json!({ "reason": "an unpaid invoice" });
    plane.post("/v1/customers/ada/suspend", because).await;
    plane.post("/v1/customers/ada/resume", json!({})).await;
    let log = lines(&plane, "").await;
    assert_eq!(
        actions(&log)[..2],
        ["resume_customer", "suspend_customer"],
        "newest first"
    );
    assert_eq!(log[1]["reason"], "an unpaid invoice");
    assert_eq!(log[0]["reason"], Value::Null);
}

#[tokio::test]
async fn what_was_refused_repeated_or_asked_by_gateways_is_not_in_the_log() {
    let plane = Plane::start();
    plane.hurry().await;
    let wallet = plane.funded("ada", "tokens", "10").await;
    let secret = plane.key_of("ada").await;
    let edge = Edge::of(&plane, "edge", "tokens").await;
    let before = lines(&plane, "").await;
    let refused = plane
        .post(
            &format!("/v1/wallets/{wallet}/top-up"),
            json!({ "amount": -5 }),
        )
        .await;
    assert_eq!(refused.status, 422);
    let lent = edge.know(&plane, &secret, 1, 4_000).await.answer;
    edge.report(&plane, &lent, counters([4_000, 0, 1_000, 0, 1_000]), 0)
        .await;
    assert_eq!(lines(&plane, "").await, before);
    let header = [("idempotency-key", "once")];
    for _ in 0..3 {
        let path = format!("/v1/wallets/{wallet}/top-up");
        plane
            .call(Method::POST, &path, ADMIN, r#"{"amount": 5}"#, &header)
            .await;
    }
    assert_eq!(lines(&plane, "").await.len(), before.len() + 1);
    plane.assert_clean();
}

#[tokio::test]
async fn log_is_filtered_and_comes_in_pages() {
    let plane = Plane::start();
    plane.funded("ada", "usd", "5").await;
    let wallet = plane.funded("bob", "usd", "5").await;
    for amount in 1..8 {
        plane.top_up(&wallet, &amount.to_string()).await;
    }
    assert_eq!(
        actions(&lines(&plane, "&customer_id=ada").await),
        ["top_up", "create_wallet", "create_customer"]
    );
    assert_eq!(lines(&plane, "&action=top_up").await.len(), 9);
    assert_eq!(lines(&plane, &format!("&subject={wallet}")).await.len(), 1);
    assert_eq!(
        lines(&plane, "&actor=admin&action=create_customer")
            .await
            .len(),
        2
    );
    assert_eq!(lines(&plane, "&actor=nobody").await.len(), 0);
    let all = lines(&plane, "").await;
    let at = all[4]["at"].as_str().unwrap();
    let from = lines(&plane, &format!("&from={at}")).await;
    let before = lines(&plane, &format!("&before={at}")).await;
    assert_eq!([from, before].concat(), all);
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = plane.get(&format!("/v1/audit?limit=4{cursor}")).await;
        paged.extend(page.body["data"].as_array().unwrap().clone());
        let Some(next) = page.body["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, all);
    for (query, code) in [
        ("limit=0", "query_invalid"),
        ("from=yesterday", "query_invalid"),
        ("who=me", "query_invalid"),
        ("cursor=7", "cursor_invalid"),
    ] {
        let answer = plane.get(&format!("/v1/audit?{query}")).await;
        assert_eq!((answer.status, answer.code()), (400, code), "{query}");
    }
    let unknown = plane.get("/v1/audit?customer_id=nobody").await;
    assert_eq!((unknown.status, unknown.code()), (404, "not_found"));
}

/// The actions about what is named so, oldest first.
async fn about(plane: &Plane, subject: &str) -> Vec<String> {
    let mut lines = lines(plane, &format!("&subject={subject}")).await;
    lines.reverse();
    actions(&lines).into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn subject_is_an_id_a_name_or_an_external_id() {
    let plane = Plane::start();
    let grant = json!({ "name": "g", "external_id": "a-grant", "scope": "CUSTOMER", "customer_id": "ada",
        "credit_amount": 1, "currency": "usd", "cadence": "ONETIME" });
    let plans_grant = json!({ "name": "g", "external_id": "plans-grant", "scope": "PLAN", "plan_id": "a-plan",
        "credit_amount": 1, "currency": "usd", "cadence": "ONETIME" });
    let endpoint = json!({ "url": "https://example.com/", "external_id": "an-endpoint", "events": ["webhook_endpoint.test"] });
    for (path, body) in [
        ("/v1/customers", json!({ "external_id": "ada" })),
        ("/v1/customers", json!({ "external_id": "bob" })),
        (
            "/v1/wallets",
            json!({ "customer_id": "ada", "currency": "usd", "external_id": "purse" }),
        ),
        // Of the name of a customer.
        (
            "/v1/wallets",
            json!({ "customer_id": "bob", "currency": "usd", "external_id": "bob" }),
        ),
        (
            "/v1/wallets/purse/top-up",
            json!({ "amount": 1, "external_id": "a-lot" }),
        ),
        ("/v1/plans", json!({ "external_id": "a-plan", "name": "P" })),
        (
            "/v1/subscriptions",
            json!({ "customer_id": "ada", "plan_id": "a-plan", "external_id": "a-subscription" }),
        ),
        ("/v1/credit-grants", grant),
        ("/v1/credit-grants", plans_grant),
        ("/v1/gateways", json!({ "external_id": "a-gateway" })),
        ("/v1/webhook-endpoints", endpoint),
        ("/v1/currencies", json!({ "code": "gold", "scale": 2 })),
    ] {
        let made = plane.post(path, body).await;
        assert_eq!(made.status, 201, "{path}: {made:?}");
    }
    let card = json!({ "name": "a-card", "currency": "usd", "default": "deny" });
    plane.put("/v1/rate-cards/a-card", card).await;
    plane.put("/v1/settings", json!({ "sync_ms": 100 })).await;
    for (name, expected) in [
        ("ada", vec!["create_customer"]),
        ("bob", vec!["create_customer", "create_wallet"]),
        ("purse", vec!["create_wallet"]),
        ("a-lot", vec!["top_up"]),
        ("a-plan", vec!["create_plan"]),
        ("a-subscription", vec!["create_subscription"]),
        ("a-grant", vec!["create_credit_grant"]),
        ("plans-grant", vec!["create_credit_grant"]),
        ("a-gateway", vec!["create_gateway"]),
        ("an-endpoint", vec!["create_webhook_endpoint"]),
        ("gold", vec!["define_currency"]),
        ("a-card", vec!["put_rate_card"]),
        ("settings", vec!["change_settings"]),
        ("nothing", vec![]),
    ] {
        assert_eq!(about(&plane, name).await, expected, "{name}");
    }
    // What is deleted has given its name away, and answers to its id.
    let path = "/v1/webhook-endpoints/an-endpoint";
    let id = plane.get(path).await.text("id");
    let gone = plane.call(Method::DELETE, path, ADMIN, "", &[]).await;
    assert_eq!(gone.status, 200, "{gone:?}");
    assert_eq!(about(&plane, "an-endpoint").await.len(), 0);
    let lines = ["create_webhook_endpoint", "delete_webhook_endpoint"];
    assert_eq!(about(&plane, &id).await, lines);
    for limit in ["limit=1", "limit=1&action=create_wallet"] {
        let page = plane.get(&format!("/v1/audit?subject=bob&{limit}")).await;
        assert_eq!(
            actions(page.body["data"].as_array().unwrap()),
            ["create_wallet"]
        );
        let goes_on = page.body["next_cursor"].as_str().map(str::to_owned);
        assert_eq!(goes_on.is_some(), limit == "limit=1");
        if let Some(cursor) = goes_on {
            let page = plane
                .get(&format!("/v1/audit?subject=bob&limit=1&cursor={cursor}"))
                .await;
            assert_eq!(
                actions(page.body["data"].as_array().unwrap()),
                ["create_customer"]
            );
        }
    }
}

#[tokio::test]
async fn replay_that_finds_nothing_is_about_its_endpoint() {
    let plane = Plane::start();
    let endpoint = json!({ "url": "https://example.com/", "external_id": "e" });
    let id = plane
        .post("/v1/webhook-endpoints", endpoint)
        .await
        .text("id");
    let period = json!({ "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z" });
    let replayed = plane.post("/v1/webhook-endpoints/e/replay", period).await;
    assert_eq!(
        (replayed.status, &replayed.body["deliveries"]),
        (200, &json!(0)),
        "{replayed:?}"
    );
    let log = lines(&plane, "").await;
    assert_eq!(log[0]["subject"], id.as_str(), "{}", log[0]);
    assert_eq!(about(&plane, "e").await.len(), 2);
}
