//! The five questions of docs/questions.md, asked of the service itself.

use axum::http::Method;
use serde_json::{Value, json};

use crate::edge::{Edge, counters};
use crate::plane::{ADMIN, Answer, Plane};

async fn made(plane: &Plane, path: &str, body: Value) -> Answer {
    let answer = plane.post(path, body).await;
    assert_eq!(answer.status, 201, "{path}: {answer:?}");
    answer
}

async fn changed(plane: &Plane, path: &str, body: Value) -> Answer {
    let body = body.to_string();
    let answer = plane.call(Method::PATCH, path, ADMIN, body, &[]).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer
}

/// The amounts of a wallet's lots that are left, by what was said of them, oldest first.
async fn left(plane: &Plane, wallet: &str) -> Vec<(String, String)> {
    let lots = plane.get(&format!("/v1/wallets/{wallet}/lots")).await;
    let rows = lots.body["data"].as_array().expect("a list").iter();
    let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
    rows.map(|row| (text(row, "description"), text(row, "free")))
        .collect()
}

async fn top_up(plane: &Plane, wallet: &str, body: Value) -> Answer {
    made(plane, &format!("/v1/wallets/{wallet}/top-up"), body).await
}

#[tokio::test]
async fn different_grants_expire_at_different_rates() {
    let plane = Plane::at("2027-03-01T00:00:00Z");
    made(&plane, "/v1/customers", json!({ "external_id": "ada" })).await;
    made(
        &plane,
        "/v1/plans",
        json!({ "external_id": "p", "name": "P" }),
    )
    .await;
    for (credits, days) in [(10, Some(7)), (20, Some(30)), (40, None)] {
        let mut grant = json!({
            "name": format!("{credits}"), "scope": "PLAN", "plan_id": "p", "credit_amount": credits,
            "currency": "usd", "cadence": "ONETIME",
        });
        if let Some(days) = days {
            grant["expire_in_days"] = json!(days);
        }
        made(&plane, "/v1/credit-grants", grant).await;
    }
    let subscription = json!({ "customer_id": "ada", "plan_id": "p" });
    made(&plane, "/v1/subscriptions", subscription).await;
    let wallets = plane.get("/v1/customers/ada/wallets").await;
    let wallet = wallets.body["data"][0]["id"].as_str().unwrap().to_owned();
    for (instant, balance) in [
        ("2027-03-07T23:59:59Z", "70"),
        ("2027-03-08T00:00:00Z", "60"),
        ("2027-03-30T23:59:59Z", "60"),
        ("2027-03-31T00:00:00Z", "40"),
        ("2030-01-01T00:00:00Z", "40"),
    ] {
        plane.set(instant);
        let found = plane.balance(&wallet, ["balance"]).await;
        assert_eq!(found, [balance], "{instant}");
    }
    plane.assert_clean();
}

#[tokio::test]
async fn an_unpaid_automatic_top_up_lapses_and_the_next_one_may_come() {
    let plane = Plane::at("2027-03-01T00:00:00Z");
    let wallet = plane.funded("ada", "usd", "10").await;
    let path = format!("/v1/wallets/{wallet}");
    let terms = json!({ "auto_topup": {
        "enabled": true, "invoicing": true, "threshold": 5, "amount": 20,
    }});
    changed(&plane, &path, terms).await;
    let debit = json!({ "amount": 6, "reason": "test" });
    made(&plane, &format!("{path}/debit"), debit.clone()).await;
    let pending = |lots: &Answer| -> Vec<String> {
        let rows = lots.body["data"].as_array().unwrap().iter();
        rows.filter(|row| row["status"] == "pending")
            .map(|row| row["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let lots = plane.get(&format!("{path}/lots")).await;
    let first = pending(&lots);
    assert_eq!(first.len(), 1, "{lots:?}");
    // Pending is in no balance, and no second one is made while it waits.
    assert_eq!(plane.balance(&wallet, ["balance"]).await, ["4"]);
    let debit = json!({ "amount": 1, "reason": "test" });
    made(&plane, &format!("{path}/debit"), debit.clone()).await;
    let lots = plane.get(&format!("{path}/lots")).await;
    assert_eq!(pending(&lots), first);
    let shown = plane.get(&path).await;
    assert_eq!(
        shown.body["auto_topup_state"]["pending_lot_id"],
        json!(first[0])
    );

    // Nobody pays for a week: it is voided by itself, and the way is free for another.
    plane.set("2027-03-08T00:00:01Z");
    let lapsed = format!("/v1/lots/{}", first[0]);
    plane.until(&lapsed, |lot| lot["status"] == "voided").await;
    // After the cool-down, by itself.
    plane.pass_ms(60_000);
    let second = plane
        .until(&format!("{path}/lots?status=pending"), |lots| {
            lots["data"].as_array().is_some_and(|lots| lots.len() == 1)
        })
        .await;
    let second = second.body["data"][0]["id"].as_str().unwrap().to_owned();
    assert_ne!(second, first[0]);

    // Paid, it is there.
    let paid = plane
        .post(&format!("/v1/lots/{second}/pay"), json!({}))
        .await;
    assert_eq!(paid.status, 200, "{paid:?}");
    assert_eq!(plane.balance(&wallet, ["balance"]).await, ["23"]);
    plane.assert_clean();
}

#[tokio::test]
async fn a_customer_has_two_wallets_in_one_currency_and_the_first_pays_first() {
    let plane = Plane::start();
    let second = plane.funded("ada", "tokens", "10").await;
    let first = json!({ "customer_id": "ada", "currency": "tokens", "priority": 1, "external_id": "first" });
    let first = made(&plane, "/v1/wallets", first).await.text("id");
    top_up(&plane, "first", json!({ "amount": 5 })).await;
    let key = plane.key_of("ada").await;
    let edge = Edge::of(&plane, "edge", "tokens").await;
    let lent = edge.know(&plane, &key, 1, 7_000).await.answer;
    let used = counters([lent.granted.get(), 0, 7_000, 0, 7_000]);
    edge.report(&plane, &lent, used, 0).await;
    assert_eq!(plane.balance(&first, ["spent"]).await, ["5"]);
    assert_eq!(plane.balance(&second, ["spent"]).await, ["2"]);
    plane.assert_clean();
}

#[tokio::test]
async fn priority_decides_before_expiry_and_expiring_credit_goes_before_lasting_credit() {
    let plane = Plane::at("2027-03-01T00:00:00Z");
    let wallet = plane.funded("ada", "usd", "0").await;
    for (said, priority, expires_at) in [
        ("lasting", Value::Null, Value::Null),
        ("late", Value::Null, json!("2028-01-01T00:00:00Z")),
        ("soon", Value::Null, json!("2027-04-01T00:00:00Z")),
        ("first of all", json!(1), Value::Null),
    ] {
        let lot = json!({ "amount": 10, "description": said, "priority": priority, "expires_at": expires_at });
        top_up(&plane, &wallet, lot).await;
    }
    let path = format!("/v1/wallets/{wallet}/debit");
    let mut order = Vec::new();
    for _ in 0..4 {
        let before = left(&plane, &wallet).await;
        made(&plane, &path, json!({ "amount": 10, "reason": "test" })).await;
        let after = left(&plane, &wallet).await;
        let changed = before.iter().zip(&after).find(|(old, new)| old != new);
        order.push(changed.expect("one lot changed").0.0.clone());
    }
    assert_eq!(order, ["first of all", "soon", "late", "lasting"]);
    plane.assert_clean();
}

#[tokio::test]
async fn a_top_up_is_money_and_a_grant_is_a_template_that_makes_lots() {
    let plane = Plane::at("2027-03-01T00:00:00Z");
    let wallet = plane.funded("ada", "usd", "0").await;
    let bought = top_up(&plane, &wallet, json!({ "credits_to_add": 10 })).await;
    assert_eq!(
        (bought.text("kind"), bought.text("reason_code")),
        ("purchased".into(), "PURCHASED_CREDIT_DIRECT".into())
    );
    let grant = json!({
        "name": "Weekly", "scope": "CUSTOMER", "customer_id": "ada", "credit_amount": 5, "currency": "usd",
        "cadence": "RECURRING", "period": "weekly", "expire_in_days": 7,
    });
    made(&plane, "/v1/credit-grants", grant).await;
    let path = format!("/v1/wallets/{wallet}/lots");
    let has = |count: usize| {
        move |lots: &Value| {
            lots["data"]
                .as_array()
                .is_some_and(|lots| lots.len() == count)
        }
    };
    plane.set("2027-03-08T00:00:00Z");
    plane.until(&path, has(3)).await;
    plane.set("2027-03-15T00:00:00Z");
    let lots = plane.until(&path, has(4)).await;
    let rows = lots.body["data"].as_array().unwrap();
    for row in &rows[1..] {
        assert_eq!(
            (&row["kind"], &row["reason_code"], &row["amount"]),
            (&json!("granted"), &json!("FREE_CREDIT_GRANT"), &json!("5"))
        );
    }
    // The grants' credit went with its week; what was bought is there.
    assert_eq!(plane.balance(&wallet, ["balance"]).await, ["15"]);
    plane.assert_clean();
}
