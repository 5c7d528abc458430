//! Wallets over HTTP: several of a customer, named, limited, post-paid, changed, closed.

use axum::http::Method;
use serde_json::{Value, json};

use crate::edge::{Edge, counters};
use crate::plane::{ADMIN, Answer, Plane};

async fn patch(plane: &Plane, path: &str, body: Value) -> Answer {
    plane
        .call(Method::PATCH, path, ADMIN, body.to_string(), &[])
        .await
}

/// A customer without wallets.
async fn with_customer() -> Plane {
    let plane = Plane::start();
    let ada = json!({ "external_id": "ada" });
    assert_eq!(plane.post("/v1/customers", ada).await.status, 201);
    plane
}

/// Another wallet of ada in tokens, with this name and what else is given.
async fn open(plane: &Plane, name: &str, more: Value) -> Answer {
    let mut body = json!({ "customer_id": "ada", "currency": "tokens", "external_id": name });
    for (field, value) in more.as_object().unwrap() {
        body[field] = value.clone();
    }
    plane.post("/v1/wallets", body).await
}

async fn opened(plane: &Plane, name: &str, more: Value) -> String {
    let made = open(plane, name, more).await;
    assert_eq!(made.status, 201, "{made:?}");
    made.text("id")
}

fn names(list: &Answer, field: &str) -> Vec<String> {
    let items = list.body["data"].as_array().unwrap();
    let names = items
        .iter()
        .map(|item| item[field].as_str().unwrap().to_owned());
    names.collect()
}

#[tokio::test]
async fn wallets_answer_to_their_external_id_everywhere_and_are_listed_by_any_filter() {
    let plane = with_customer().await;
    let first = opened(&plane, "first", json!({ "priority": 2 })).await;
    opened(&plane, "second", json!({ "priority": 1 })).await;
    let usd = json!({ "currency": "USD" });
    opened(&plane, "third", usd).await;
    plane.top_up("first", "5").await;
    for path in [
        "",
        "/balance",
        "/lots",
        "/transactions",
        "/claims",
        "/breakdown",
    ] {
        let by_name = plane.get(&format!("/v1/wallets/first{path}")).await;
        let by_id = plane.get(&format!("/v1/wallets/{first}{path}")).await;
        assert_eq!(
            (by_name.status, &by_name.body),
            (200, &by_id.body),
            "{path}"
        );
    }
    for action in ["freeze", "unfreeze"] {
        let path = format!("/v1/wallets/first/{action}");
        assert_eq!(plane.post(&path, json!({})).await.status, 200);
    }
    let listed = |query: &'static str| {
        let plane = &plane;
        async move {
            names(
                &plane.get(&format!("/v1/wallets{query}")).await,
                "external_id",
            )
        }
    };
    assert_eq!(listed("").await, ["first", "second", "third"]);
    assert_eq!(
        listed("?customer_id=ada&currency=tokens").await,
        ["first", "second"]
    );
    assert_eq!(listed("?currency=usd").await, ["third"]);
    plane
        .post("/v1/wallets/second/freeze", json!({ "reason": "r" }))
        .await;
    assert_eq!(listed("?status=frozen").await, ["second"]);
    let page = plane.get("/v1/wallets?limit=2").await;
    let cursor = page.text("next_cursor");
    let rest = plane
        .get(&format!("/v1/wallets?limit=2&cursor={cursor}"))
        .await;
    assert_eq!(names(&rest, "external_id"), ["third"]);
    plane.assert_clean();
}

#[tokio::test]
async fn external_ids_are_unique_among_all_customers() {
    let plane = with_customer().await;
    opened(&plane, "purse", json!({})).await;
    plane
        .post("/v1/customers", json!({ "external_id": "bob" }))
        .await;
    let again = open(&plane, "purse", json!({ "customer_id": "bob" })).await;
    assert_eq!((again.status, again.code()), (409, "already_exists"));
    let top_up = json!({ "amount": 1, "external_id": "order-1" });
    assert_eq!(
        plane
            .post("/v1/wallets/purse/top-up", top_up.clone())
            .await
            .status,
        201
    );
    let again = plane.post("/v1/wallets/purse/top-up", top_up).await;
    assert_eq!((again.status, again.code()), (409, "already_exists"));
    assert_eq!(plane.get("/v1/lots/order-1").await.text("amount"), "1");
    assert_eq!(plane.balance("purse", ["balance"]).await, ["1"]);
    plane.assert_clean();
}

#[tokio::test]
async fn lots_of_several_wallets_burn_in_one_order_that_the_breakdown_shows() {
    let plane = with_customer().await;
    opened(&plane, "late", json!({})).await;
    opened(&plane, "soon", json!({ "priority": 1 })).await;
    let add = |wallet: &'static str, name: &'static str, more: Value| {
        let plane = &plane;
        async move {
            let mut body = json!({ "amount": 1, "external_id": name });
            for (field, value) in more.as_object().unwrap() {
                body[field] = value.clone();
            }
            let path = format!("/v1/wallets/{wallet}/top-up");
            let made = plane.post(&path, body).await;
            assert_eq!(made.status, 201, "{made:?}");
        }
    };
    add("late", "a", json!({ "priority": 1 })).await;
    add("soon", "b", json!({})).await;
    add("soon", "c", json!({ "expires_at": "2090-01-01T00:00:00Z" })).await;
    add(
        "soon",
        "d",
        json!({ "effective_at": "2090-01-01T00:00:00Z" }),
    )
    .await;
    add(
        "soon",
        "e",
        json!({ "reason_code": "FREE_CREDIT_GRANT", "priority": 9 }),
    )
    .await;
    let places = |shown: Answer| -> Vec<(String, Value)> {
        let lots = shown.body["lots"].as_array().unwrap().clone();
        lots.iter()
            .map(|lot| {
                (
                    lot["external_id"].as_str().unwrap().to_owned(),
                    lot["position"].clone(),
                )
            })
            .collect()
    };
    let at = |name: &str, position: Value| (name.to_owned(), position);
    let soon = plane.get("/v1/wallets/soon/breakdown").await;
    let kinds: Vec<String> = soon.body["by_kind"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| {
            format!(
                "{} {}",
                part["kind"].as_str().unwrap(),
                part["balance"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(kinds, ["purchased 2", "promotional 1"]);
    assert_eq!(
        places(soon),
        [
            at("e", json!(1)),
            at("c", json!(2)),
            at("b", json!(3)),
            at("d", Value::Null)
        ]
    );
    assert_eq!(
        places(plane.get("/v1/wallets/late/breakdown").await),
        [at("a", json!(4))]
    );

    let key = plane.key_of("ada").await;
    let edge = Edge::of(&plane, "edge", "tokens").await;
    edge.know(&plane, &key, 1, 2_500).await;
    let taken = plane.get("/v1/lots/c/transactions").await;
    assert_eq!(taken.body["data"][0]["kind"], "lending");
    let moved: Vec<&str> = taken.body["data"][0]["lots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["amount"].as_str().unwrap())
        .collect();
    assert_eq!(moved, ["1", "1", "0.5"]);

    // What is lent from now on burns in the new order.
    let changed = patch(
        &plane,
        "/v1/lots/b",
        json!({ "priority": 20, "reason": "asked" }),
    )
    .await;
    assert_eq!(
        (changed.status, &changed.body["priority"]),
        (200, &json!(20))
    );
    let changed = patch(
        &plane,
        "/v1/wallets/late",
        json!({ "priority": 0, "name": "Late" }),
    )
    .await;
    assert_eq!(changed.text("name"), "Late");
    assert_eq!(
        places(plane.get("/v1/wallets/late/breakdown").await),
        [at("a", json!(1))]
    );
    let notes = plane
        .get("/v1/wallets/soon/transactions?reason_code=priority_changed")
        .await;
    assert_eq!(notes.body["data"][0]["note"], "asked");
    plane.assert_clean();
}

#[tokio::test]
async fn a_post_paid_wallet_is_spent_up_to_its_limit_and_repaid_first() {
    let plane = with_customer().await;
    let terms = json!({
        "wallet_type": "post_paid", "credit_limit": "20", "conversion_rate": 0.5
    });
    let made = open(&plane, "tab", terms).await;
    assert_eq!(
        (made.text("wallet_type"), made.text("credit_limit")),
        ("POST_PAID".into(), "20".into())
    );
    assert_eq!(
        (made.text("balance"), made.text("owed")),
        ("10".into(), "0".into())
    );
    let key = plane.key_of("ada").await;
    let edge = Edge::of(&plane, "edge", "tokens").await;
    let lent = edge.know(&plane, &key, 1, 4_000).await.answer;
    assert_eq!(lent.granted.get(), 4_000);
    // So that nothing more is lent to it.
    let drain = format!("/v1/instances/{}/drain", edge.hello.instance);
    let drained = plane.post(&drain, json!({ "reason": "done" })).await;
    assert_eq!(drained.status, 200, "{drained:?}");
    edge.report(&plane, &lent, counters([4_000, 0, 4_000, 0, 4_000]), 0)
        .await;
    let parts = ["balance", "owed", "credit_limit", "spent", "funded"];
    assert_eq!(
        plane.balance("tab", parts).await,
        ["6", "4", "10", "4", "10"]
    );
    let debit = json!({ "amount": 1, "reason": "r" });
    let refused = plane.post("/v1/wallets/tab/debit", debit).await;
    assert_eq!(
        (refused.status, refused.code()),
        (409, "balance_insufficient")
    );
    let refused = plane
        .post("/v1/wallets/tab/close", json!({ "reason": "r" }))
        .await;
    assert_eq!((refused.status, refused.code()), (409, "wallet_owes"));

    let lot = plane
        .post("/v1/wallets/tab/top-up", json!({ "credits_to_add": 10 }))
        .await;
    assert_eq!(
        (lot.text("amount"), lot.text("spent"), lot.text("free")),
        ("5".into(), "4".into(), "1".into())
    );
    assert_eq!(
        plane.balance("tab", parts).await,
        ["11", "0", "10", "4", "15"]
    );
    let changed = patch(
        &plane,
        "/v1/wallets/tab",
        json!({ "credit_limit": 2, "reason": "late" }),
    )
    .await;
    assert_eq!(
        (changed.text("credit_limit"), changed.text("balance")),
        ("2".into(), "2".into())
    );
    let closed = plane
        .post("/v1/wallets/tab/close", json!({ "reason": "r" }))
        .await;
    assert_eq!(
        (closed.status, closed.text("kept")),
        (200, "1".into()),
        "{closed:?}"
    );
    plane.assert_clean();
}

#[tokio::test]
async fn a_wallet_that_is_limited_to_rules_is_its_own_account() {
    let plane = with_customer().await;
    let general = open(&plane, "general", json!({})).await;
    let limited = open(&plane, "images", json!({ "rules": ["image", "video"] })).await;
    assert_eq!(limited.body["rules"], json!(["image", "video"]));
    assert_ne!(general.text("account_id"), limited.text("account_id"));
    let same = open(&plane, "more", json!({ "rules": ["video", "image"] })).await;
    assert_eq!(same.text("account_id"), limited.text("account_id"));
    let refused = open(&plane, "other", json!({ "rules": ["image"] })).await;
    assert_eq!((refused.status, refused.code()), (409, "rules_overlap"));
    plane.top_up("general", "3").await;
    plane.top_up("images", "4").await;
    let all = plane.get("/v1/customers/ada/balance?currency=tokens").await;
    assert_eq!(
        all.text("balance"),
        "7",
        "a customer has it, whatever it pays for"
    );
    let moved = json!({ "to": "images", "amount": 2, "reason": "r" });
    let claim = plane.post("/v1/wallets/general/transfer", moved).await;
    assert_eq!(
        (claim.text("done"), claim.text("state")),
        ("2".into(), "closed".into())
    );
    let all = plane.get("/v1/customers/ada/balance?currency=tokens").await;
    assert_eq!(
        (all.text("balance"), all.text("funded")),
        ("7".into(), "7".into())
    );
    plane.assert_clean();
}

#[tokio::test]
async fn what_of_a_wallet_can_be_changed_is_changed_and_null_takes_it_away() {
    let plane = with_customer().await;
    opened(
        &plane,
        "purse",
        json!({ "name": "N", "priority": 4, "metadata": { "a": "b" } }),
    )
    .await;
    let nothing = patch(&plane, "/v1/wallets/purse", json!({})).await;
    assert_eq!(
        (nothing.text("name"), &nothing.body["priority"]),
        ("N".into(), &json!(4))
    );
    let gone = json!({ "name": null, "priority": null, "metadata": {} });
    let changed = patch(&plane, "/v1/wallets/purse", gone).await;
    assert_eq!(
        (&changed.body["name"], &changed.body["priority"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(changed.body["metadata"], json!({}));
    assert_eq!(plane.get("/v1/wallets/purse").await.body, changed.body);
}

#[tokio::test]
async fn a_closed_wallet_keeps_what_was_paid_for_and_takes_nothing_more() {
    let plane = with_customer().await;
    opened(&plane, "purse", json!({})).await;
    opened(&plane, "next", json!({})).await;
    plane.top_up("purse", "5").await;
    let gift = json!({ "amount": 3, "reason_code": "FREE_CREDIT_GRANT", "external_id": "gift" });
    plane.post("/v1/wallets/purse/top-up", gift).await;
    let closed = plane
        .post("/v1/wallets/purse/close", json!({ "reason": "moved away" }))
        .await;
    assert_eq!(
        (closed.status, closed.text("withdrawn"), closed.text("kept")),
        (200, "3".into(), "5".into())
    );
    assert_eq!(closed.body["wallet"]["wallet_status"], "closed");
    assert_eq!(closed.body["wallet"]["balance"], "0");
    assert_eq!(
        plane
            .balance("purse", ["balance", "kept", "withdrawn"])
            .await,
        ["0", "5", "3"]
    );
    assert_eq!(plane.get("/v1/lots/gift").await.text("status"), "voided");
    let entries = plane
        .get("/v1/wallets/purse/transactions?reason_code=wallet_termination")
        .await;
    assert_eq!(entries.body["data"].as_array().unwrap().len(), 2);
    assert_eq!(entries.body["data"][0]["note"], "moved away");
    for (path, body) in [
        ("top-up", json!({ "amount": 1 })),
        ("freeze", json!({})),
        ("unfreeze", json!({})),
        ("close", json!({ "reason": "again" })),
        ("adjust", json!({ "amount": 1, "reason": "r" })),
    ] {
        let refused = plane.post(&format!("/v1/wallets/purse/{path}"), body).await;
        assert_eq!(
            (refused.status, refused.code()),
            (409, "wallet_closed"),
            "{path}"
        );
    }
    let into = json!({ "to": "purse", "amount": 1, "reason": "r" });
    plane.top_up("next", "1").await;
    let refused = plane.post("/v1/wallets/next/transfer", into).await;
    assert_eq!((refused.status, refused.code()), (409, "wallet_closed"));
    let out = json!({ "to": "next", "amount": 5, "reason": "changed their mind" });
    let claim = plane.post("/v1/wallets/purse/transfer", out).await;
    assert_eq!((claim.status, claim.text("done")), (201, "5".into()));
    assert_eq!(plane.balance("next", ["balance"]).await, ["6"]);
    let told = plane.get("/v1/events?type=wallet.closed").await;
    let told = &told.body["data"][0]["data"];
    assert_eq!(
        (&told["wallet_external_id"], &told["kept"]),
        (&json!("purse"), &json!("5"))
    );
    plane.assert_clean();
}

#[tokio::test]
async fn closing_can_hand_what_was_paid_for_to_another_wallet() {
    let plane = with_customer().await;
    opened(&plane, "purse", json!({})).await;
    opened(&plane, "next", json!({})).await;
    plane.top_up("purse", "5").await;
    let key = plane.key_of("ada").await;
    let edge = Edge::of(&plane, "edge", "tokens").await;
    let lent = edge.know(&plane, &key, 1, 2_000).await.answer;
    let body = json!({ "reason": "r", "purchased": "TRANSFER", "transfer_to": "next" });
    let closed = plane.post("/v1/wallets/purse/close", body).await;
    let transfer = &closed.body["transfer"];
    assert_eq!(
        (&transfer["done"], &transfer["pending_recall"]),
        (&json!("3"), &json!("2"))
    );
    assert_eq!(
        (&transfer["state"], closed.text("kept")),
        (&json!("open"), "0".into())
    );
    edge.report(&plane, &lent, counters([2_000, 1_500, 500, 0, 500]), 0)
        .await;
    let claim = transfer["id"].as_str().unwrap();
    let claim = plane.get(&format!("/v1/claims/{claim}")).await;
    assert_eq!(
        (claim.text("done"), claim.text("short")),
        ("4.5".into(), "0.5".into())
    );
    assert_eq!(plane.balance("next", ["balance"]).await, ["4.5"]);
    assert_eq!(claim.text("reason_code"), "WALLET_TERMINATION");
    plane.assert_clean();
}
