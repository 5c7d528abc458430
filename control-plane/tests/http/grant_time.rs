//! Grants as time passes: at their midnight, and after a control plane was down.

use serde_json::{Value, json};

use crate::edge::Edge;
use crate::plane::Plane;

async fn made(plane: &Plane, path: &str, body: Value) {
    let answer = plane.post(path, body).await;
    assert_eq!(answer.status, 201, "{path}: {answer:?}");
}

/// `ada`, in a zone, on a plan with this grant of tokens.
async fn subscribed(plane: &Plane, zone: &str, grant: Value) {
    made(
        plane,
        "/v1/customers",
        json!({ "external_id": "ada", "time_zone": zone }),
    )
    .await;
    made(
        plane,
        "/v1/plans",
        json!({ "external_id": "p", "name": "P" }),
    )
    .await;
    let mut body = json!({ "name": "G", "scope": "PLAN", "plan_id": "p", "currency": "tokens",
        "cadence": "RECURRING" });
    for (field, value) in grant.as_object().unwrap() {
        body[field] = value.clone();
    }
    made(plane, "/v1/credit-grants", body).await;
    let subscription = json!({ "customer_id": "ada", "plan_id": "p", "external_id": "s" });
    made(plane, "/v1/subscriptions", subscription).await;
}

async fn wallet_of(plane: &Plane) -> String {
    let wallets = plane.get("/v1/customers/ada/wallets").await;
    wallets.body["data"][0]["id"].as_str().unwrap().to_owned()
}

/// Each application so far, oldest first: its number, its instant and its state.
async fn applications(plane: &Plane) -> Vec<(u64, String, String)> {
    let list = plane
        .get("/v1/credit-grant-applications?subscription_id=s&limit=200")
        .await;
    let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
    let rows = list.body["data"].as_array().unwrap().iter().rev();
    rows.map(|row| {
        let number = row["occurrence"].as_u64().unwrap();
        (number, text(row, "scheduled_for"), text(row, "state"))
    })
    .collect()
}

fn line(number: u64, instant: &str, state: &str) -> (u64, String, String) {
    (number, instant.to_owned(), state.to_owned())
}

#[tokio::test]
async fn a_gateway_that_asks_a_millisecond_after_midnight_is_lent_the_new_grant() {
    let plane = Plane::at("2027-03-01T05:00:00Z");
    let daily = json!({ "credit_amount": 10, "period": "DAILY", "expire_in_days": 1 });
    subscribed(&plane, "America/New_York", daily).await;
    let key = plane.key_of("ada").await;
    let edge = Edge::of(&plane, "edge", "tokens").await;
    // The very first word that anyone says on that day is the gateway's.
    plane.set("2027-03-02T05:00:00.001Z");
    let lent = edge.know(&plane, &key, 1, 7_000).await.answer;
    assert!(lent.granted.get() >= 7_000, "{lent:?}");
    let lots = plane
        .get(&format!("/v1/wallets/{}/lots", wallet_of(&plane).await))
        .await;
    let out: Vec<&Value> = lots.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|lot| &lot["out"])
        .collect();
    assert_eq!(
        out[0], "0",
        "nothing of the lot that has just expired: {out:?}"
    );
    assert_eq!(
        applications(&plane).await[1],
        line(1, "2027-03-02T05:00:00.000Z", "applied")
    );
    plane.assert_clean();
}

#[tokio::test]
async fn nobody_asks_and_the_grant_comes_at_its_instant_by_itself() {
    let plane = Plane::at("2027-03-13T05:00:00Z");
    let daily = json!({ "credit_amount": 10, "period": "DAILY", "expire_in_days": 1 });
    subscribed(&plane, "America/New_York", daily).await;
    // 14 March has 23 hours there.
    for (instant, next) in [
        ("2027-03-14T05:00:00.000Z", 1),
        ("2027-03-15T04:00:00.000Z", 2),
    ] {
        plane.set(instant);
        let path = "/v1/credit-grant-applications?subscription_id=s&limit=1";
        let found = plane
            .until(path, |body| body["data"][0]["occurrence"] == next)
            .await;
        assert_eq!(found.body["data"][0]["scheduled_for"], instant);
    }
    assert_eq!(
        plane.balance(&wallet_of(&plane).await, ["balance"]).await,
        ["10"]
    );
    plane.assert_clean();
}

#[tokio::test]
async fn after_months_of_downtime_each_application_happens_exactly_once_and_in_order() {
    let plane = Plane::at("2027-01-30T16:00:00Z");
    subscribed(
        &plane,
        "Asia/Singapore",
        json!({ "credit_amount": 10, "period": "MONTHLY" }),
    )
    .await;
    let down = plane.stop().await;
    let plane = down.start_at("2027-06-15T00:00:00Z");
    let path = "/v1/credit-grant-applications?subscription_id=s&limit=1";
    plane
        .until(path, |body| body["data"][0]["occurrence"] == 4)
        .await;
    let expected = [
        line(0, "2027-01-30T16:00:00.000Z", "applied"),
        line(1, "2027-02-27T16:00:00.000Z", "applied"),
        line(2, "2027-03-30T16:00:00.000Z", "applied"),
        line(3, "2027-04-29T16:00:00.000Z", "applied"),
        line(4, "2027-05-30T16:00:00.000Z", "applied"),
    ];
    assert_eq!(applications(&plane).await, expected);
    let wallet = wallet_of(&plane).await;
    let lots = plane.get(&format!("/v1/wallets/{wallet}/lots")).await;
    let effective: Vec<&Value> = lots.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|lot| &lot["effective_at"])
        .collect();
    let instants: Vec<String> = expected.iter().map(|row| row.1.clone()).collect();
    assert_eq!(effective, instants.iter().collect::<Vec<_>>());
    // Another start, and decisions, add nothing.
    let plane = plane.restart().await;
    plane.post("/v1/subscriptions/s/pause", json!({})).await;
    plane.post("/v1/subscriptions/s/resume", json!({})).await;
    assert_eq!(applications(&plane).await, expected);
    assert_eq!(plane.balance(&wallet, ["balance"]).await, ["50"]);
    plane.assert_clean();
}

#[tokio::test]
async fn what_was_over_before_the_service_came_back_is_skipped() {
    let plane = Plane::at("2027-01-01T00:00:00Z");
    let daily = json!({ "credit_amount": 10, "period": "DAILY", "expire_in_days": 1 });
    subscribed(&plane, "UTC", daily).await;
    let plane = plane.stop().await.start_at("2027-01-04T12:00:00Z");
    let path = "/v1/credit-grant-applications?subscription_id=s&limit=1";
    plane
        .until(path, |body| body["data"][0]["occurrence"] == 3)
        .await;
    let states: Vec<String> = applications(&plane)
        .await
        .into_iter()
        .map(|row| row.2)
        .collect();
    assert_eq!(states, ["applied", "skipped", "skipped", "applied"]);
    let skipped = plane
        .get("/v1/credit-grant-applications?state=skipped")
        .await;
    assert_eq!(skipped.body["data"][0]["cause"], "period_over");
    assert_eq!(
        plane.balance(&wallet_of(&plane).await, ["balance"]).await,
        ["10"]
    );
    plane.assert_clean();
}

#[tokio::test]
async fn a_customer_that_moves_gets_no_application_twice() {
    let plane = Plane::at("2027-01-31T05:00:00Z");
    subscribed(
        &plane,
        "America/New_York",
        json!({ "credit_amount": 10, "period": "MONTHLY" }),
    )
    .await;
    plane.set("2027-04-30T04:30:00Z");
    let path = "/v1/credit-grant-applications?subscription_id=s&limit=1";
    plane
        .until(path, |body| body["data"][0]["occurrence"] == 3)
        .await;
    let change = json!({ "time_zone": "America/Los_Angeles" }).to_string();
    let patch = axum::http::Method::PATCH;
    plane
        .call(patch, "/v1/customers/ada", crate::plane::ADMIN, change, &[])
        .await;
    plane.set("2027-05-31T04:30:00Z");
    plane
        .until(path, |body| body["data"][0]["occurrence"] == 4)
        .await;
    let rows = applications(&plane).await;
    assert_eq!(rows.len(), 5);
    assert_eq!(rows[4], line(4, "2027-05-31T04:00:00.000Z", "applied"));
    plane.assert_clean();
}

#[tokio::test]
async fn a_balance_read_at_midnight_has_the_grant_of_that_midnight() {
    let plane = Plane::at("2027-01-01T00:00:00Z");
    let daily = json!({ "credit_amount": 10, "period": "DAILY", "expire_in_days": 1 });
    subscribed(&plane, "UTC", daily).await;
    let wallet = wallet_of(&plane).await;
    plane.set("2027-01-02T00:00:00Z");
    assert_eq!(plane.balance(&wallet, ["balance"]).await, ["10"]);
    plane.set("2027-01-03T00:00:00Z");
    let upcoming = plane
        .get("/v1/subscriptions/s/upcoming-applications?limit=1")
        .await;
    assert_eq!(
        upcoming.body["data"][0]["scheduled_for"], "2027-01-04T00:00:00.000Z",
        "{upcoming:?}"
    );
    plane.set("2027-01-04T00:00:00Z");
    let found = plane.get("/v1/customers/ada/wallets").await;
    assert_eq!(found.body["data"][0]["balance"], "10", "{found:?}");
    plane.set("2027-01-05T00:00:00Z");
    let parts = plane.get(&format!("/v1/wallets/{wallet}/breakdown")).await;
    assert_eq!(parts.body["lots"][0]["free"], "10", "{parts:?}");
    plane.set("2027-01-06T00:00:00Z");
    let path = format!("/v1/wallets/{wallet}/lots?status=active");
    let lots = plane.get(&path).await;
    assert_eq!(
        lots.body["data"][0]["effective_at"], "2027-01-06T00:00:00.000Z",
        "{lots:?}"
    );
    plane.set("2027-01-07T00:00:00Z");
    let path = format!("/v1/wallets/{wallet}/transactions?limit=1");
    let entries = plane.get(&path).await;
    assert_eq!(
        entries.body["data"][0]["booked_at"], "2027-01-07T00:00:00.000Z",
        "{entries:?}"
    );
    plane.assert_clean();
}

#[tokio::test]
async fn a_catch_up_longer_than_one_decision_goes_on_until_it_is_done() {
    let plane = Plane::at("2027-01-01T00:00:00Z");
    let daily = json!({ "credit_amount": 10, "period": "DAILY", "expire_in_days": 1 });
    subscribed(&plane, "UTC", daily).await;
    let plane = plane.stop().await.start_at("2057-01-01T12:00:00Z");
    let path = "/v1/credit-grant-applications?subscription_id=s&limit=1";
    let last = plane
        .until(path, |body| body["data"][0]["occurrence"] == 10_958)
        .await;
    assert_eq!(last.body["data"][0]["state"], "applied");
    assert_eq!(
        plane.balance(&wallet_of(&plane).await, ["balance"]).await,
        ["10"]
    );
    plane.assert_clean();
}
