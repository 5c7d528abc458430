//! Auto top-ups over HTTP: one for a crossing, however many debit at once; bounded; never
//! silently not.

use std::sync::Arc;

use axum::http::Method;
use serde_json::{Value, json};

use crate::alerts::{debit_all, lots, told, void, wallet_of};
use crate::edge::{Edge, counters};
use crate::plane::{ADMIN, Plane};

/// The first request of those who migrate, word for word.
const WORD_FOR_WORD: &str = r#"{"customer_id":"cust_ABC123","currency":"usd","conversion_rate":1,"wallet_type":"PRE_PAID","auto_topup":{"amount":7954.136132619662,"enabled":true,"invoicing":true,"threshold":181.8940595834384}}"#;

async fn shown(plane: &Plane, wallet: &str) -> Value {
    let shown = plane.get(&format!("/v1/wallets/{wallet}")).await;
    assert_eq!(shown.status, 200, "{shown:?}");
    shown.body
}

async fn has(plane: &Plane, wallet: &str) -> Value {
    shown(plane, wallet).await["balance"].clone()
}

#[tokio::test]
async fn the_request_of_those_who_migrate_works_word_for_word() {
    let plane = Plane::start();
    let customer = json!({ "external_id": "cust_ABC123" });
    assert_eq!(plane.post("/v1/customers", customer).await.status, 201);
    let made = plane
        .call(Method::POST, "/v1/wallets", ADMIN, WORD_FOR_WORD, &[])
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(
        made.body["auto_topup"],
        json!({
            "enabled": true,
            "threshold": "181.894059583",
            "amount": "7954.13613262",
            "target": null,
            "invoicing": true,
            "cooldown_ms": null,
            "max_per_day": null,
            "max_per_month": null,
        }),
        "rounded half-even to nine places"
    );
    let nothing = json!({
        "last_at": null, "in_day": 0, "in_month": 0, "refused": null, "retry_at": null, "pending_lot_id": null,
    });
    assert_eq!(made.body["auto_topup_state"], nothing);
    assert_eq!(made.body["alert_settings"], json!(null));
    assert_eq!(
        (&made.body["alert_state"], &made.body["alert_sequence"]),
        (&json!("ok"), &json!(0))
    );
    let wallet = made.text("id");
    assert_eq!(shown(&plane, &wallet).await, made.body);

    let lots = lots(&plane, &wallet, &[1_000, 181]).await;
    void(&plane, &lots[0]).await;
    let after = shown(&plane, &wallet).await;
    assert_eq!(after["balance"], "181", "what is not paid is in no balance");
    let ordered = told(&plane, "wallet.auto_topup.pending").await;
    assert_eq!(ordered.len(), 1);
    let lot = ordered[0]["lot_id"].as_str().expect("a lot");
    assert_eq!(after["auto_topup_state"]["pending_lot_id"], lot);
    assert_eq!(after["auto_topup_state"]["in_day"], 1);
    let lot = plane.get(&format!("/v1/lots/{lot}")).await.body;
    assert_eq!(lot["amount"], "7954.13613262", "{lot}");
    assert_eq!(lot["reason_code"], "PURCHASED_CREDIT_INVOICED");
    assert_eq!(lot["status"], "pending");
    let id = lot["id"].as_str().expect("an id");
    let paid = json!({ "reference": "pi_1" });
    let paid = plane.post(&format!("/v1/lots/{id}/pay"), paid).await;
    assert_eq!(paid.status, 200, "{paid:?}");
    let after = shown(&plane, &wallet).await;
    assert_eq!(after["balance"], "8135.13613262");
    assert_eq!(after["auto_topup_state"]["pending_lot_id"], json!(null));
    plane.assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn debits_at_the_same_time_make_one_auto_top_up() {
    let plane = Arc::new(Plane::start());
    let terms = json!({ "auto_topup": { "threshold": 500, "amount": 5_000 } });
    let wallet = wallet_of(&plane, "ada", terms).await;
    plane.top_up(&wallet, "1000").await;
    debit_all(&plane, &wallet, 10, 100).await;
    let made = told(&plane, "wallet.auto_topup.applied").await;
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(made[0]["balance"], "5500", "by the very debit that crossed");
    assert_eq!(has(&plane, &wallet).await, "5000");
    plane.assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn debits_at_the_same_time_order_one_invoice() {
    let plane = Arc::new(Plane::start());
    let terms = json!({ "auto_topup": { "threshold": 500, "amount": 5_000, "invoicing": true } });
    let wallet = wallet_of(&plane, "ada", terms).await;
    plane.top_up(&wallet, "600").await;
    debit_all(&plane, &wallet, 10, 60).await;
    assert_eq!(told(&plane, "wallet.auto_topup.pending").await.len(), 1);
    assert_eq!(told(&plane, "wallet.auto_topup.refused").await.len(), 0);
    assert_eq!(has(&plane, &wallet).await, "0");
    plane.assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn direct_auto_top_ups_do_not_burst() {
    let plane = Arc::new(Plane::start());
    // Far too little for its threshold: whoever does not count would add one for each debit.
    let terms = json!({ "auto_topup": { "threshold": 1_000_000, "amount": 1 } });
    let wallet = wallet_of(&plane, "ada", terms).await;
    plane.top_up(&wallet, "600").await;
    debit_all(&plane, &wallet, 10, 60).await;
    assert_eq!(told(&plane, "wallet.auto_topup.applied").await.len(), 1);
    let refused = told(&plane, "wallet.auto_topup.refused").await;
    assert_eq!(refused.len(), 1, "told once: {refused:?}");
    assert_eq!(refused[0]["reason"], "cooldown");
    let state = shown(&plane, &wallet).await["auto_topup_state"].clone();
    assert_eq!(state["refused"], "cooldown");
    assert_eq!(state["retry_at"], refused[0]["retry_at"]);
    plane.assert_clean();
}

#[tokio::test]
async fn a_top_up_that_was_too_soon_comes_by_itself_when_it_may() {
    let plane = Plane::at("2026-03-01T12:00:00Z");
    let terms = json!({ "auto_topup": { "threshold": 100, "target": 300, "cooldown_ms": 3_600_000, "max_per_day": 2 } });
    let wallet = wallet_of(&plane, "ada", terms).await;
    let first = lots(&plane, &wallet, &[1_000]).await;
    void(&plane, &first[0]).await;
    assert_eq!(has(&plane, &wallet).await, "300");
    let fill = async |number: usize| {
        let made = told(&plane, "wallet.auto_topup.applied").await;
        assert_eq!(made.len(), number);
        void(&plane, made[number - 1]["lot_id"].as_str().expect("a lot")).await;
    };
    fill(1).await;
    assert_eq!(has(&plane, &wallet).await, "0");
    let path = format!("/v1/wallets/{wallet}");
    let state = shown(&plane, &wallet).await["auto_topup_state"].clone();
    assert_eq!(
        (&state["refused"], &state["retry_at"]),
        (&json!("cooldown"), &json!("2026-03-01T13:00:00.000Z"))
    );
    plane.set("2026-03-01T13:00:00Z");
    plane
        .until(&path, |wallet| wallet["balance"] == "300")
        .await;

    fill(2).await;
    let state = shown(&plane, &wallet).await["auto_topup_state"].clone();
    assert_eq!(
        (&state["refused"], &state["retry_at"]),
        (&json!("daily_cap"), &json!("2026-03-02T00:00:00.000Z"))
    );
    plane.set("2026-03-02T00:00:00Z");
    let after = plane
        .until(&path, |wallet| wallet["balance"] == "300")
        .await;
    assert_eq!(
        after.body["auto_topup_state"]["in_day"], 1,
        "of the new day"
    );
    let reasons: Vec<_> = told(&plane, "wallet.auto_topup.refused").await;
    let reasons: Vec<_> = reasons.iter().map(|data| data["reason"].clone()).collect();
    assert_eq!(reasons, ["cooldown", "daily_cap"]);
    plane.assert_clean();
}

#[tokio::test]
async fn an_unpaid_invoice_does_not_block_further_ones_for_ever() {
    let plane = Plane::at("2026-03-01T12:00:00Z");
    let settings = json!({ "unpaid_lot_ttl_ms": 86_400_000, "auto_topup_cooldown_ms": 60_000 });
    assert_eq!(plane.put("/v1/settings", settings).await.status, 200);
    let terms = json!({ "auto_topup": { "threshold": 100, "amount": 300, "invoicing": true } });
    let wallet = wallet_of(&plane, "ada", terms).await;
    let first = lots(&plane, &wallet, &[1_000]).await;
    void(&plane, &first[0]).await;
    let path = format!("/v1/wallets/{wallet}");
    let pending = shown(&plane, &wallet).await["auto_topup_state"]["pending_lot_id"].clone();
    assert_ne!(pending, json!(null));
    plane.set("2026-03-02T12:00:00Z");
    plane
        .until(&path, |wallet| {
            wallet["auto_topup_state"]["pending_lot_id"].is_null()
        })
        .await;
    plane.set("2026-03-02T12:01:00Z");
    let again = plane
        .until(&path, |wallet| {
            !wallet["auto_topup_state"]["pending_lot_id"].is_null()
        })
        .await;
    assert_ne!(again.body["auto_topup_state"]["pending_lot_id"], pending);
    assert_eq!(told(&plane, "lot.lapsed").await.len(), 1);
    assert_eq!(told(&plane, "wallet.auto_topup.pending").await.len(), 2);
    plane.assert_clean();
}

#[tokio::test]
async fn a_suspended_customers_wallet_says_why_and_fills_when_resumed() {
    let plane = Plane::start();
    let terms = json!({ "auto_topup": { "threshold": 100, "amount": 300 } });
    let wallet = wallet_of(&plane, "ada", terms).await;
    let first = lots(&plane, &wallet, &[1_000]).await;
    plane.post("/v1/customers/ada/suspend", json!({})).await;
    void(&plane, &first[0]).await;
    let state = shown(&plane, &wallet).await["auto_topup_state"].clone();
    assert_eq!(
        (&state["refused"], &state["retry_at"]),
        (&json!("customer_suspended"), &json!(null))
    );
    plane.post("/v1/customers/ada/resume", json!({})).await;
    assert_eq!(has(&plane, &wallet).await, "300");
    plane.assert_clean();
}

#[tokio::test]
async fn terms_can_be_given_bettered_and_taken_away() {
    let plane = Plane::start();
    let wallet = wallet_of(&plane, "ada", json!({})).await;
    plane.top_up(&wallet, "150").await;
    let path = format!("/v1/wallets/{wallet}");
    let change = async |change: Value| {
        let body = change.to_string();
        let done = plane.call(Method::PATCH, &path, ADMIN, body, &[]).await;
        assert_eq!(done.status, 200, "{done:?}");
        done.body
    };
    let given =
        change(json!({ "auto_topup": { "threshold": 100, "amount": "20.50", "max_per_day": 1 } }))
            .await;
    assert_eq!(given["auto_topup"]["amount"], "20.5");
    assert_eq!(given["balance"], "150");
    let debit = async |amount: &str| {
        let debit = json!({ "amount": amount, "reason": "a debit" });
        let done = plane.post(&format!("{path}/debit"), debit).await;
        assert_eq!(done.status, 201, "{done:?}");
    };
    debit("60").await;
    assert_eq!(has(&plane, &wallet).await, "110.5");
    debit("60").await;
    let state = shown(&plane, &wallet).await["auto_topup_state"].clone();
    assert_eq!(state["refused"], "daily_cap");
    let bettered = json!({ "auto_topup": { "threshold": 100, "target": 200, "cooldown_ms": 1_000, "max_per_day": 2 } });
    let bettered = change(bettered).await;
    assert_eq!(
        bettered["auto_topup"]["amount"],
        json!(null),
        "replaced as a whole"
    );
    let path = path.as_str();
    let filled = plane.until(path, |wallet| wallet["balance"] == "200").await;
    assert_eq!(filled.body["auto_topup_state"]["in_day"], 2);
    assert_eq!(filled.body["auto_topup_state"]["refused"], json!(null));
    let none = change(json!({ "auto_topup": null })).await;
    assert_eq!(none["auto_topup"], json!(null));
    debit("200").await;
    assert_eq!(has(&plane, &wallet).await, "0");
    plane.assert_clean();
}

#[tokio::test]
async fn no_credit_at_a_gateway_is_answered_by_the_wallet_itself() {
    let plane = Plane::start();
    let terms = json!({ "auto_topup": { "threshold": 10, "amount": 300 } });
    let wallet = wallet_of(&plane, "ada", terms).await;
    let key = plane.key_of("ada").await;
    let edge = Edge::of(&plane, "edge", "tokens").await;
    let lent = edge.know(&plane, &key, 1, 5_000).await.answer;
    assert_eq!(has(&plane, &wallet).await, "300", "{lent:?}");
    let lent = edge.report(&plane, &lent, counters([0; 5]), 5_000).await;
    assert!(lent.granted.get() >= 5_000, "{lent:?}");
    plane.assert_clean();
}

#[tokio::test]
async fn terms_and_levels_that_could_never_work_change_nothing() {
    let plane = Plane::start();
    let wallet = wallet_of(&plane, "ada", json!({ "conversion_rate": "0.1" })).await;
    let path = format!("/v1/wallets/{wallet}");
    let before = plane.dump();
    for (change, code, pointer) in [
        (
            json!({ "auto_topup": { "threshold": 5 } }),
            "auto_topup_invalid",
            "/auto_topup",
        ),
        (
            json!({ "auto_topup": { "threshold": 5, "target": 5 } }),
            "auto_topup_invalid",
            "/auto_topup/target",
        ),
        (
            json!({ "auto_topup": { "threshold": 5, "amount": "0.001" } }),
            "auto_topup_invalid",
            "/auto_topup/amount",
        ),
        (
            json!({ "auto_topup": { "threshold": "-0.1", "amount": 1 } }),
            "auto_topup_invalid",
            "/auto_topup/threshold",
        ),
        (
            json!({ "auto_topup": { "threshold": 5, "amount": 1, "max_per_day": 1_001 } }),
            "auto_topup_invalid",
            "/auto_topup/max_per_day",
        ),
        (json!({ "auto_topup": [] }), "body_invalid", "/auto_topup"),
        (
            json!({ "alert_settings": { "info": { "threshold": -1, "condition": "below" } } }),
            "alert_settings_invalid",
            "/alert_settings/info/threshold",
        ),
        (
            json!({ "alert_settings": { "info": { "threshold": 1, "condition": "above", "hysteresis": 1 } } }),
            "alert_settings_invalid",
            "/alert_settings/info/hysteresis",
        ),
        (
            json!({ "name": "n", "alert_settings": { "info": {} } }),
            "field_missing",
            "/alert_settings/info/threshold",
        ),
    ] {
        let body = change.to_string();
        let refused = plane.call(Method::PATCH, &path, ADMIN, body, &[]).await;
        assert_eq!(
            (refused.status, refused.code()),
            (422, code),
            "{change}: {refused:?}"
        );
        assert_eq!(refused.body["pointer"], pointer, "{change}");
    }
    assert_eq!(plane.dump(), before);
}
