//! Lots over HTTP: bought by invoice, with a bonus, listed by kind and status.

use axum::http::Method;
use serde_json::{Value, json};

use crate::plane::{ADMIN, Answer, Plane};

async fn add(plane: &Plane, wallet: &str, body: Value) -> Answer {
    let path = format!("/v1/wallets/{wallet}/top-up");
    let made = plane.post(&path, body).await;
    assert_eq!(made.status, 201, "{made:?}");
    made
}

async fn settings(plane: &Plane, body: Value) {
    let done = plane
        .call(Method::PATCH, "/v1/settings", ADMIN, body.to_string(), &[])
        .await;
    assert_eq!(done.status, 200, "{done:?}");
}

#[tokio::test]
async fn credit_bought_by_invoice_is_pending_until_it_is_paid() {
    let plane = Plane::start();
    let wallet = plane.funded("ada", "tokens", "0").await;
    let body = json!({
        "credits_to_add": 10, "transaction_reason": "purchased_credit_invoiced", "external_id": "inv-1"
    });
    let lot = add(&plane, &wallet, body).await;
    assert_eq!(
        (lot.text("status"), lot.text("unpaid"), lot.text("free")),
        ("pending".into(), "10".into(), "0".into())
    );
    let parts = ["balance", "unpaid", "pending", "funded"];
    assert_eq!(plane.balance(&wallet, parts).await, ["0", "10", "0", "0"]);
    let paid = plane
        .post("/v1/lots/inv-1/pay", json!({ "reference": "bank-7" }))
        .await;
    assert_eq!(
        (paid.text("status"), paid.text("free")),
        ("active".into(), "10".into())
    );
    assert_eq!(paid.body["cost"]["reference"], "bank-7");
    assert_eq!(plane.balance(&wallet, parts).await, ["10", "0", "0", "10"]);
    let again = plane.post("/v1/lots/inv-1/pay", json!({})).await;
    assert_eq!((again.status, again.code()), (409, "lot_not_unpaid"));
    let told = plane.get("/v1/events?type=lot.paid").await;
    assert_eq!(told.body["data"][0]["data"]["payment_reference"], "bank-7");
    plane.assert_clean();
}

#[tokio::test]
async fn an_invoice_that_goes_unpaid_lapses_by_itself_at_its_instant() {
    let plane = Plane::at("2026-03-01T00:00:00Z");
    settings(&plane, json!({ "unpaid_lot_ttl_ms": 60_000 })).await;
    let wallet = plane.funded("ada", "tokens", "0").await;
    let body =
        json!({ "amount": 10, "reason_code": "PURCHASED_CREDIT_INVOICED", "external_id": "inv-1" });
    let lot = add(&plane, &wallet, body).await;
    assert_eq!(lot.text("lapses_at"), "2026-03-01T00:01:00.000Z");
    plane.set("2026-03-01T00:00:59.999Z");
    assert_eq!(plane.get("/v1/lots/inv-1").await.text("status"), "pending");
    plane.set("2026-03-01T00:01:00Z");
    let lapsed = plane
        .until("/v1/lots/inv-1", |lot| lot["status"] == "voided")
        .await;
    assert_eq!(lapsed.text("voided_at"), "2026-03-01T00:01:00.000Z");
    let told = plane.get("/v1/events?type=lot.lapsed").await;
    assert_eq!(
        told.body["data"][0]["data"]["void_reason_code"],
        "PAYMENT_LAPSED"
    );
    let late = plane.post("/v1/lots/inv-1/pay", json!({})).await;
    assert_eq!((late.status, late.code()), (409, "lot_not_live"));
    plane.assert_clean();
}

#[tokio::test]
async fn customers_on_authorised_payment_have_invoiced_credit_at_once() {
    let plane = Plane::start();
    settings(
        &plane,
        json!({ "auto_complete_purchased_credit_transaction": true }),
    )
    .await;
    let wallet = plane.funded("ada", "tokens", "0").await;
    let lot = add(
        &plane,
        &wallet,
        json!({ "amount": 10, "reason_code": "PURCHASED_CREDIT_INVOICED" }),
    )
    .await;
    assert_eq!(
        (lot.text("status"), lot.text("unpaid")),
        ("active".into(), "0".into())
    );
    plane.assert_clean();
}

#[tokio::test]
async fn a_large_purchase_brings_the_bonus_of_its_slab() {
    let plane = Plane::start();
    let slabs = json!([{ "from": 100, "bonus_percent": 10, "expire_in_days": 30, "priority": 1 }]);
    settings(&plane, json!({ "bonus_slabs": slabs })).await;
    let wallet = plane.funded("ada", "tokens", "0").await;
    let plain = add(&plane, &wallet, json!({ "credits_to_add": 99 })).await;
    assert_eq!(plain.body["bonus_lot_id"], Value::Null);
    let large = add(&plane, &wallet, json!({ "credits_to_add": 100 })).await;
    let bonus = plane
        .get(&format!("/v1/lots/{}", large.text("bonus_lot_id")))
        .await;
    assert_eq!(
        (bonus.text("kind"), bonus.text("amount")),
        ("bonus".into(), "10".into())
    );
    assert_eq!(
        bonus.body["source"],
        json!({ "type": "bonus", "lot_id": large.text("id") })
    );
    assert_eq!(bonus.text("reason_code"), "PURCHASED_CREDIT_BONUS");
    let own = add(
        &plane,
        &wallet,
        json!({ "credits_to_add": 100, "bonus_credits": 1 }),
    )
    .await;
    let bonus = plane
        .get(&format!("/v1/lots/{}", own.text("bonus_lot_id")))
        .await;
    assert_eq!(bonus.text("amount"), "1");
    assert_eq!(plane.balance(&wallet, ["balance"]).await, ["310"]);
    plane.assert_clean();
}

#[tokio::test]
async fn the_balance_drifts_when_the_two_conversion_rates_differ_is_prevented() {
    let plane = Plane::start();
    plane
        .post("/v1/customers", json!({ "external_id": "ada" }))
        .await;
    let body = json!({
        "customer_id": "ada", "currency": "usd", "external_id": "purse",
        "conversion_rate": 0.01, "topup_conversion_rate": "0.0125",
    });
    let made = plane.post("/v1/wallets", body).await;
    assert_eq!(made.text("topup_conversion_rate"), "0.0125");
    for _ in 0..3 {
        let lot = add(&plane, "purse", json!({ "credits_to_add": 1000 })).await;
        assert_eq!(
            (lot.text("amount"), lot.text("credits")),
            ("10".into(), "1000".into())
        );
        assert_eq!(lot.body["cost"]["received"], "12.5");
    }
    let lot = add(&plane, "purse", json!({ "amount": 10 })).await;
    assert_eq!(lot.body["cost"]["received"], "12.5");
    let wallet = plane.get("/v1/wallets/purse").await;
    assert_eq!(
        (wallet.text("balance"), wallet.text("credit_balance")),
        ("40".into(), "4000".into())
    );
    let debit = json!({ "credits": 1500, "reason": "r" });
    plane.post("/v1/wallets/purse/debit", debit).await;
    let wallet = plane.get("/v1/wallets/purse").await;
    assert_eq!(
        (wallet.text("balance"), wallet.text("credit_balance")),
        ("25".into(), "2500".into())
    );
    plane.assert_clean();
}

#[tokio::test]
async fn lots_are_listed_by_kind_and_status() {
    let plane = Plane::at("2026-03-01T00:00:00Z");
    let wallet = plane.funded("ada", "tokens", "0").await;
    for (name, more) in [
        ("bought", json!({})),
        ("given", json!({ "reason_code": "free_credit_grant" })),
        ("refund", json!({ "reason_code": "CREDIT_NOTE" })),
        ("later", json!({ "effective_at": "2026-03-02T00:00:00Z" })),
        ("brief", json!({ "expires_at": "2026-03-01T00:00:01Z" })),
        ("voided", json!({})),
        ("used", json!({})),
        (
            "unpaid",
            json!({ "reason_code": "PURCHASED_CREDIT_INVOICED" }),
        ),
    ] {
        let mut body = json!({ "amount": 1, "external_id": name });
        for (field, value) in more.as_object().unwrap() {
            body[field] = value.clone();
        }
        add(&plane, &wallet, body).await;
    }
    plane
        .post("/v1/lots/voided/void", json!({ "reason": "r" }))
        .await;
    let debit = json!({ "amount": 1, "lot_id": "used", "reason": "r" });
    plane
        .post(&format!("/v1/wallets/{wallet}/debit"), debit)
        .await;
    plane.set("2026-03-01T00:00:01Z");
    for (query, names) in [
        ("kind=promotional", vec!["given"]),
        ("kind=REFUND", vec!["refund"]),
        ("status=active", vec!["bought", "given", "refund"]),
        ("status=pending", vec!["later", "unpaid"]),
        ("status=expired", vec!["brief"]),
        ("status=voided", vec!["voided"]),
        ("status=depleted", vec!["used"]),
        ("status=pending&kind=granted", vec![]),
    ] {
        let list = plane
            .get(&format!("/v1/wallets/{wallet}/lots?{query}"))
            .await;
        let found: Vec<&str> = list.body["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|lot| lot["external_id"].as_str().unwrap())
            .collect();
        assert_eq!(found, names, "{query}");
    }
    plane.assert_clean();
}
