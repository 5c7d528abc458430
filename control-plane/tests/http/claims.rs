//! Debits, adjustments and transfers over HTTP, also of credit that gateways have.

use creditgate_core::protocol::Phase;
use serde_json::{Value, json};

use crate::edge::{Edge, counters};
use crate::plane::{Answer, Plane};

fn figures(claim: &Answer) -> [String; 5] {
    ["asked", "done", "pending_recall", "short", "state"].map(|field| claim.text(field))
}

#[tokio::test]
async fn a_debit_takes_what_is_free_and_waits_for_what_gateways_have() {
    let plane = Plane::start();
    let wallet = plane.funded("ada", "tokens", "10").await;
    let key = plane.key_of("ada").await;
    let edge = Edge::of(&plane, "edge", "tokens").await;
    let lent = edge.know(&plane, &key, 1, 4_000).await.answer;
    let debit = json!({ "amount": "9", "reason": "by agreement" });
    let claim = plane
        .post(&format!("/v1/wallets/{wallet}/debit"), debit)
        .await;
    assert_eq!(figures(&claim), ["9", "6", "3", "0", "open"]);
    assert_eq!(claim.text("reason_code"), "MANUAL_BALANCE_DEBIT");
    let parts = ["balance", "available", "pending_recall", "withdrawn"];
    assert_eq!(plane.balance(&wallet, parts).await, ["1", "0", "3", "6"]);

    let another = edge.another();
    let asked = another.know(&plane, &key, 7, 1_000).await.answer;
    assert_eq!(asked.granted.get(), 0, "what is claimed is lent to nobody");
    let told = edge
        .report(&plane, &lent, counters([4_000, 0, 1_500, 0, 1_500]), 1_000)
        .await;
    assert_eq!((told.phase, told.granted.get()), (Phase::Turn, 4_000));
    edge.report(&plane, &lent, counters([4_000, 2_500, 1_500, 0, 1_500]), 0)
        .await;
    let id = claim.text("id");
    let claim = plane.get(&format!("/v1/claims/{id}")).await;
    assert_eq!(figures(&claim), ["9", "8.5", "0", "0.5", "closed"]);
    assert_eq!(plane.balance(&wallet, parts).await, ["0", "0", "0", "8.5"]);

    let listed = plane.get(&format!("/v1/wallets/{wallet}/claims")).await;
    assert_eq!(listed.body["data"], json!([claim.body]));
    let open = plane
        .get(&format!("/v1/wallets/{wallet}/claims?open=true"))
        .await;
    assert_eq!(open.body["data"], json!([]));
    let told = plane.get("/v1/events?type=claim.closed").await;
    assert_eq!(told.body["data"][0]["data"]["short"], "0.5");
    let entries = plane
        .get(&format!("/v1/wallets/{wallet}/transactions?kind=debit"))
        .await;
    let amounts: Vec<&Value> = entries.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["amount"])
        .collect();
    assert_eq!(amounts, ["2.5", "6"]);
    plane.assert_clean();
}

#[tokio::test]
async fn a_claim_outlasts_a_restart() {
    let plane = Plane::start();
    let wallet = plane.funded("ada", "tokens", "10").await;
    let key = plane.key_of("ada").await;
    let edge = Edge::of(&plane, "edge", "tokens").await;
    let lent = edge.know(&plane, &key, 1, 4_000).await.answer;
    let debit = json!({ "credits": 10, "reason": "r" });
    let claim = plane
        .post(&format!("/v1/wallets/{wallet}/debit"), debit)
        .await
        .text("id");
    let plane = plane.restart().await;
    edge.report(&plane, &lent, counters([4_000, 4_000, 0, 0, 0]), 0)
        .await;
    let claim = plane.get(&format!("/v1/claims/{claim}")).await;
    assert_eq!(figures(&claim), ["10", "10", "0", "0", "closed"]);
    plane.assert_clean();
}

#[tokio::test]
async fn more_than_the_balance_is_refused_with_what_there_is() {
    let plane = Plane::start();
    let wallet = plane.funded("ada", "tokens", "10").await;
    let debit = json!({ "amount": 10.001, "reason": "r" });
    let refused = plane
        .post(&format!("/v1/wallets/{wallet}/debit"), debit)
        .await;
    assert_eq!(
        (refused.status, refused.code()),
        (409, "balance_insufficient")
    );
    assert!(refused.text("detail").contains("10 tokens"), "{refused:?}");
}

#[tokio::test]
async fn an_adjustment_adds_a_lot_or_takes_credit_out() {
    let plane = Plane::start();
    let wallet = plane.funded("ada", "tokens", "10").await;
    let path = format!("/v1/wallets/{wallet}/adjust");
    let added = plane
        .post(&path, json!({ "amount": "2.5", "reason": "goodwill" }))
        .await;
    let lot = &added.body["lot"];
    assert_eq!(
        (added.status, &lot["reason_code"], &lot["kind"]),
        (201, &json!("CREDIT_ADJUSTMENT"), &json!("granted"))
    );
    assert_eq!(
        (&lot["description"], &added.body["claim"]),
        (&json!("goodwill"), &Value::Null)
    );
    let taken = plane
        .post(&path, json!({ "credits": -4, "reason": "booked twice" }))
        .await;
    let claim = &taken.body["claim"];
    assert_eq!(
        (&claim["done"], &claim["reason_code"]),
        (&json!("4"), &json!("CREDIT_ADJUSTMENT"))
    );
    assert_eq!(plane.balance(&wallet, ["balance"]).await, ["8.5"]);
    plane.assert_clean();
}

#[tokio::test]
async fn a_transfer_makes_lots_of_the_same_terms() {
    let plane = Plane::start();
    let wallet = plane.funded("ada", "tokens", "0").await;
    let second = json!({ "customer_id": "ada", "currency": "tokens", "external_id": "second" });
    plane.post("/v1/wallets", second).await;
    let top_up = json!({
        "amount": 6, "priority": 3, "expires_at": "2090-01-01T00:00:00Z", "metadata": { "order": "7" },
        "paid": { "amount": "12", "tax": 2.28, "currency": "eur", "reference": "pay-7" },
    });
    let lot = plane
        .post(&format!("/v1/wallets/{wallet}/top-up"), top_up)
        .await;
    assert_eq!(
        lot.body["cost"],
        json!({ "currency": "eur", "received": "12", "tax": "2.28", "reference": "pay-7" })
    );
    let transfer = json!({ "to": "second", "amount": 2, "reason": "to the team" });
    let claim = plane
        .post(&format!("/v1/wallets/{wallet}/transfer"), transfer)
        .await;
    assert_eq!(figures(&claim), ["2", "2", "0", "0", "closed"]);
    let lots = plane.get("/v1/wallets/second/lots").await;
    let moved = &lots.body["data"][0];
    assert_eq!(
        (&moved["kind"], &moved["priority"]),
        (&json!("purchased"), &json!(3))
    );
    assert_eq!(moved["expires_at"], "2090-01-01T00:00:00.000Z");
    assert_eq!(
        moved["source"],
        json!({ "type": "transfer", "lot_id": lot.text("id") })
    );
    assert_eq!(
        (&moved["cost"]["received"], &moved["cost"]["tax"]),
        (&json!("4"), &json!("0.76"))
    );
    assert_eq!(moved["metadata"], json!({ "order": "7" }));
    plane.assert_clean();
}

#[tokio::test]
async fn one_lot_can_be_debited_by_its_name() {
    let plane = Plane::start();
    let wallet = plane.funded("ada", "tokens", "10").await;
    let gift = json!({ "amount": 5, "reason_code": "FREE_CREDIT_GRANT", "external_id": "gift" });
    plane
        .post(&format!("/v1/wallets/{wallet}/top-up"), gift)
        .await;
    let debit = json!({ "amount": 5, "lot_id": "gift", "reason": "not deserved" });
    let claim = plane
        .post(&format!("/v1/wallets/{wallet}/debit"), debit.clone())
        .await;
    assert_eq!(figures(&claim), ["5", "5", "0", "0", "closed"]);
    assert_eq!(plane.get("/v1/lots/gift").await.text("status"), "depleted");
    let again = plane
        .post(&format!("/v1/wallets/{wallet}/debit"), debit)
        .await;
    assert_eq!((again.status, again.code()), (404, "not_found"));
    plane.assert_clean();
}
