//! What time alone brings about.

use std::time::Duration;

use creditgate_core::protocol::Phase;
use creditgate_ledger::Timestamp;
use serde_json::json;
use tokio::time::Instant;

use crate::edge::Edge;
use crate::plane::Plane;

fn in_ms(plane: &Plane, ms: i64) -> String {
    Timestamp(plane.now_ms() + ms).to_string()
}

#[tokio::test]
async fn a_lot_leaves_the_balance_at_its_instant_and_its_leases_turn() {
    let plane = Plane::start();
    let wallet = plane.funded("ada", "tokens", "0").await;
    let path = format!("/v1/wallets/{wallet}/top-up");
    plane
        .post(
            &path,
            json!({ "amount": 5, "expires_at": in_ms(&plane, 1_500) }),
        )
        .await;
    plane.post(&path, json!({ "amount": 1 })).await;
    let key = plane.key_of("ada").await;
    let mut edge = Edge::of(&plane, "edge", "tokens").await;
    edge.poll(&plane).await;
    let lent = edge.know(&plane, &key, 1, 2_000).await.answer;
    assert!(
        lent.use_by_ms <= 1_500,
        "credit is not usable past its lot: {}",
        lent.use_by_ms
    );
    assert_eq!(plane.balance(&wallet, ["balance"]).await, ["6"]);
    let before = Instant::now();
    let told = edge.poll(&plane).await;
    assert!(
        before.elapsed() < Duration::from_secs(6),
        "{:?}",
        before.elapsed()
    );
    assert_eq!(told.changes[0].phase, Phase::Turn, "{told:?}");
    let parts = [
        "balance",
        "available",
        "expired",
        "pending_recall",
        "funded",
    ];
    assert_eq!(
        plane.balance(&wallet, parts).await,
        ["1", "1", "3", "2", "6"]
    );
    let kinds = plane
        .get(&format!("/v1/wallets/{wallet}/transactions"))
        .await;
    assert_eq!(kinds.body["data"][0]["kind"], "expiry");
    plane.assert_clean();
}

#[tokio::test]
async fn credit_of_later_is_told_when_its_instant_comes() {
    let plane = Plane::start();
    let wallet = plane.funded("ada", "tokens", "0").await;
    let path = format!("/v1/wallets/{wallet}/top-up");
    plane
        .post(
            &path,
            json!({ "amount": 5, "effective_at": in_ms(&plane, 1_200) }),
        )
        .await;
    assert_eq!(
        plane
            .balance(&wallet, ["balance", "pending", "funded"])
            .await,
        ["0", "5", "5"]
    );
    let key = plane.key_of("ada").await;
    let mut edge = Edge::of(&plane, "edge", "tokens").await;
    edge.poll(&plane).await;
    let asked = edge.know(&plane, &key, 1, 2_000).await.answer;
    assert_eq!(
        asked.state.ceiling.map(|ceiling| ceiling.get()),
        Some(0),
        "{asked:?}"
    );
    let before = Instant::now();
    let told = loop {
        let answer = edge.poll(&plane).await;
        if let Some(change) = answer
            .changes
            .into_iter()
            .find(|change| change.state.ceiling.is_none())
        {
            break change;
        }
        assert!(before.elapsed() < Duration::from_secs(8));
    };
    assert_eq!(told.state.balance.get(), 5_000);
    assert_eq!(
        plane.balance(&wallet, ["balance", "pending"]).await,
        ["5", "0"]
    );
}

#[tokio::test]
async fn an_instant_that_passed_while_the_service_was_down_is_booked_after_its_start() {
    let plane = Plane::start();
    let wallet = plane.funded("ada", "tokens", "0").await;
    let path = format!("/v1/wallets/{wallet}/top-up");
    plane
        .post(
            &path,
            json!({ "amount": 5, "expires_at": in_ms(&plane, 400) }),
        )
        .await;
    let plane = plane.restart().await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let entries = plane
            .get(&format!("/v1/wallets/{wallet}/transactions"))
            .await;
        if entries.body["data"][0]["kind"] == "expiry" {
            break;
        }
        assert!(Instant::now() < deadline, "the expiry was not booked");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(
        plane.balance(&wallet, ["balance", "expired"]).await,
        ["0", "5"]
    );
    plane.assert_clean();
}

#[tokio::test]
async fn a_lot_leaves_the_balance_at_its_very_instant() {
    let plane = Plane::at("2026-01-01T00:00:00Z");
    let wallet = plane.funded("ada", "usd", "0").await;
    let path = format!("/v1/wallets/{wallet}/top-up");
    let lot = json!({ "amount": 5, "expires_at": "2026-02-01T00:00:00Z" });
    assert_eq!(plane.post(&path, lot).await.status, 201);
    plane.set("2026-01-31T23:59:59Z");
    plane.pass_ms(999);
    assert_eq!(plane.balance(&wallet, ["balance"]).await, ["5"]);
    plane.pass_ms(1);
    assert_eq!(
        plane.balance(&wallet, ["balance", "expired"]).await,
        ["0", "5"]
    );
    let entries = format!("/v1/wallets/{wallet}/transactions");
    let booked = plane
        .until(&entries, |list| list["data"][0]["kind"] == "expiry")
        .await;
    assert_eq!(
        booked.body["data"][0]["booked_at"],
        "2026-02-01T00:00:00.000Z"
    );
}
