//! Balance alerts over HTTP: every change once, in order, whoever debits at the same time.

use std::sync::Arc;

use axum::http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::edge::{Edge, counters};
use crate::plane::{ADMIN, Answer, Plane};

/// A wallet of these terms, and its id.
pub(crate) async fn wallet_of(plane: &Plane, customer: &str, terms: Value) -> String {
    plane
        .post("/v1/customers", json!({ "external_id": customer }))
        .await;
    let mut body = json!({ "customer_id": customer, "currency": "tokens" });
    if let (Some(body), Value::Object(terms)) = (body.as_object_mut(), terms) {
        body.extend(terms);
    }
    let made = plane.post("/v1/wallets", body).await;
    assert_eq!(made.status, 201, "{made:?}");
    made.text("id")
}

/// Lots of so many, by their ids.
pub(crate) async fn lots(plane: &Plane, wallet: &str, sizes: &[i64]) -> Vec<String> {
    let mut lots = Vec::new();
    for size in sizes {
        lots.push(plane.top_up(wallet, &size.to_string()).await.text("id"));
    }
    lots
}

/// Takes a lot out.
pub(crate) async fn void(plane: &Plane, lot: &str) -> Answer {
    let path = format!("/v1/lots/{lot}/void");
    let done = plane.post(&path, json!({ "reason": "a debit" })).await;
    assert_eq!(done.status, 200, "{done:?}");
    done
}

/// Takes so much out so many times, each by a task of its own.
pub(crate) async fn debit_all(plane: &Arc<Plane>, wallet: &str, amount: i64, times: usize) {
    let mut debits = JoinSet::new();
    for _ in 0..times {
        let plane = Arc::clone(plane);
        let path = format!("/v1/wallets/{wallet}/debit");
        debits.spawn(async move {
            let debit = json!({ "amount": amount, "reason": "a debit" });
            let done = plane.post(&path, debit).await;
            assert_eq!(done.status, 201, "{done:?}");
        });
    }
    debits.join_all().await;
}

/// What was told of this, oldest first.
pub(crate) async fn told(plane: &Plane, kind: &str) -> Vec<Value> {
    let path = format!("/v1/events?type={kind}&limit=200");
    let events = plane.get(&path).await;
    assert_eq!(events.status, 200, "{events:?}");
    let events = events.body["data"].as_array().cloned().unwrap_or_default();
    let data = events.into_iter().map(|event| event["data"].clone());
    data.rev().collect()
}

fn levels() -> Value {
    json!({
        "critical": { "threshold": 10, "condition": "below" },
        "warning": { "threshold": "50", "condition": "BELOW" },
        "info": { "threshold": 100, "condition": "Below" },
        "alert_enabled": true,
    })
}

fn changes(told: &[Value]) -> Vec<(u64, &str, &str)> {
    let text = |data: &'_ Value, field: &str| -> &'static str {
        ["ok", "info", "warning", "in_alarm"]
            .into_iter()
            .find(|word| data[field] == *word)
            .expect("a state")
    };
    told.iter()
        .map(|data| {
            let sequence = data["sequence"].as_u64().expect("a sequence number");
            (sequence, text(data, "from"), text(data, "to"))
        })
        .collect()
}

#[tokio::test]
async fn info_and_warning_changes_are_told_as_well_as_alarms() {
    let plane = Plane::start();
    let wallet = wallet_of(&plane, "ada", json!({ "alert_settings": levels() })).await;
    let mut lots = lots(&plane, &wallet, &[5, 40, 50, 500]).await;
    for lot in lots.drain(1..).rev() {
        void(&plane, &lot).await;
    }
    plane.top_up(&wallet, "500").await;
    let told = told(&plane, "wallet.alert").await;
    assert_eq!(
        changes(&told),
        [
            (1, "ok", "in_alarm"),
            (2, "in_alarm", "warning"),
            (3, "warning", "info"),
            (4, "info", "ok"),
            (5, "ok", "info"),
            (6, "info", "warning"),
            (7, "warning", "in_alarm"),
            (8, "in_alarm", "ok"),
        ],
        "an empty wallet is in alarm at once"
    );
    let shown = plane.get(&format!("/v1/wallets/{wallet}")).await.body;
    assert_eq!(
        (&shown["alert_state"], &shown["alert_sequence"]),
        (&json!("ok"), &json!(8))
    );
    assert_eq!(
        shown["alert_settings"],
        json!({
            "critical": { "threshold": "10", "condition": "below", "hysteresis": null },
            "warning": { "threshold": "50", "condition": "below", "hysteresis": null },
            "info": { "threshold": "100", "condition": "below", "hysteresis": null },
            "alert_enabled": true,
        })
    );
    let data = &told[4];
    assert_eq!(data["wallet_id"], wallet);
    assert_eq!(data["customer_external_id"], "ada");
    assert_eq!(
        (&data["balance"], &data["credit_balance"]),
        (&json!("95"), &json!("95"))
    );
    assert_eq!(
        data["threshold"],
        json!({ "threshold": "100", "condition": "below" })
    );
    let path = format!("/v1/wallets/{wallet}/transactions");
    let entries = plane.get(&path).await.body["data"].clone();
    let mut entries = entries.as_array().expect("entries").iter();
    let cause = entries.find(|entry| entry["id"] == data["cause"]);
    assert_eq!(cause.expect("the debit that crossed")["kind"], "void");
    plane.assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn debits_at_the_same_time_cross_each_level_once_and_in_order() {
    let plane = Arc::new(Plane::start());
    let wallet = wallet_of(&plane, "ada", json!({})).await;
    plane.top_up(&wallet, "210").await;
    let default = json!({ "default_alerts": levels() });
    let set = plane.put("/v1/settings", default).await;
    assert_eq!(set.status, 200, "{set:?}");
    debit_all(&plane, &wallet, 7, 30).await;
    let told = told(&plane, "wallet.alert").await;
    assert_eq!(
        changes(&told),
        [
            (1, "ok", "info"),
            (2, "info", "warning"),
            (3, "warning", "in_alarm")
        ]
    );
    let balances: Vec<_> = told.iter().map(|data| data["balance"].clone()).collect();
    assert_eq!(
        balances,
        ["98", "49", "7"],
        "by the very debit that crossed"
    );
    plane.assert_clean();
}

#[tokio::test]
async fn the_report_that_settles_crosses_and_lending_does_not() {
    let plane = Plane::start();
    let wallet = wallet_of(&plane, "ada", json!({ "alert_settings": levels() })).await;
    lots(&plane, &wallet, &[120]).await;
    let before = told(&plane, "wallet.alert").await.len();
    let key = plane.key_of("ada").await;
    let edge = Edge::of(&plane, "edge", "tokens").await;
    let lent = edge.know(&plane, &key, 1, 120_000).await.answer;
    assert_eq!(lent.granted.get(), 120_000);
    assert_eq!(told(&plane, "wallet.alert").await.len(), before);
    let counters = counters([120_000, 0, 70_001, 0, 70_001]);
    edge.report(&plane, &lent, counters, 0).await;
    let told = told(&plane, "wallet.alert").await;
    let last = changes(&told).last().copied();
    assert_eq!(last, Some((3, "ok", "warning")), "past info, in one go");
    assert_eq!(told[2]["balance"], "49.999");
    plane.assert_clean();
}

#[tokio::test]
async fn an_expiry_is_told_at_its_instant_by_itself() {
    let plane = Plane::at("2026-03-01T00:00:00Z");
    let wallet = wallet_of(&plane, "ada", json!({ "alert_settings": levels() })).await;
    let path = format!("/v1/wallets/{wallet}/top-up");
    let lot = json!({ "amount": 200, "expires_at": "2026-03-02T00:00:00Z" });
    assert_eq!(plane.post(&path, lot).await.status, 201);
    plane.set("2026-03-02T00:00:00Z");
    plane
        .until(&format!("/v1/wallets/{wallet}"), |wallet| {
            wallet["alert_state"] == "in_alarm"
        })
        .await;
    let told = told(&plane, "wallet.alert").await;
    assert_eq!(changes(&told).last(), Some(&(3, "ok", "in_alarm")));
    assert_eq!(told[2]["at"], "2026-03-02T00:00:00.000Z");
    plane.assert_clean();
}

async fn change(plane: &Plane, wallet: &str, change: Value) -> Answer {
    let path = format!("/v1/wallets/{wallet}");
    let body = change.to_string();
    plane.call(Method::PATCH, &path, ADMIN, body, &[]).await
}

#[tokio::test]
async fn a_change_of_levels_is_answered_with_the_state_it_leads_to() {
    let plane = Plane::start();
    let wallet = wallet_of(&plane, "ada", json!({ "external_id": "purse" })).await;
    plane.top_up(&wallet, "75").await;
    let set =
        json!({ "default_alerts": { "critical": { "threshold": 80, "condition": "below" } } });
    assert_eq!(plane.put("/v1/settings", set).await.status, 200);
    let own = change(&plane, "purse", json!({ "alert_settings": levels() })).await;
    assert_eq!(
        (own.status, &own.body["alert_state"]),
        (200, &json!("info")),
        "{own:?}"
    );
    let off = json!({ "alert_settings": { "info": levels()["info"], "alert_enabled": false } });
    let off = change(&plane, "purse", off).await;
    assert_eq!(off.body["alert_state"], "ok");
    assert_eq!(
        off.body["alert_settings"]["warning"],
        json!(null),
        "replaced as a whole"
    );
    let name = change(&plane, "purse", json!({ "name": "Purse" })).await;
    assert_eq!(
        name.body["alert_settings"], off.body["alert_settings"],
        "what is absent stays"
    );
    let none = change(&plane, "purse", json!({ "alert_settings": null })).await;
    assert_eq!(none.body["alert_settings"], json!(null));
    assert_eq!(none.body["alert_state"], "in_alarm", "as the default says");
    let told = told(&plane, "wallet.alert").await;
    assert_eq!(
        changes(&told),
        [(1, "ok", "info"), (2, "info", "ok"), (3, "ok", "in_alarm")]
    );
    assert_eq!(told[2]["wallet_external_id"], "purse");
    plane.assert_clean();
}
