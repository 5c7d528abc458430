//! The long poll: what changed arrives while it waits, or with the next.

use std::time::Duration;

use axum::http::Method;
use creditgate_core::protocol::{Block, Phase};
use serde_json::json;
use tokio::time::Instant;

use crate::edge::{Edge, counters};
use crate::plane::{ADMIN, Plane};

/// Far below the time a poll is held, far above what an answer needs.
const AT_ONCE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn the_first_poll_brings_the_configuration_and_the_next_waits() {
    let plane = Plane::start();
    plane.hurry().await;
    let mut edge = Edge::of(&plane, "edge", "usd").await;
    let first = edge.poll(&plane).await;
    let config = first.config.expect("a configuration");
    assert_eq!(
        (first.epoch, config.rate_card_version, config.timing.sync_ms),
        (7, 1, 50)
    );
    assert_eq!(config.rate_card.scale, Some(config.scale));
    let before = Instant::now();
    let second = edge.poll(&plane).await;
    assert!(
        before.elapsed() >= Duration::from_millis(200),
        "{:?}",
        before.elapsed()
    );
    assert!(second.config.is_none() && second.changes.is_empty());
}

#[tokio::test]
async fn a_top_up_reaches_the_waiting_poll_of_an_exhausted_customer() {
    let plane = Plane::start();
    let wallet = plane.funded("ada", "usd", "1").await;
    let key = plane.key_of("ada").await;
    let mut edge = Edge::of(&plane, "edge", "usd").await;
    edge.poll(&plane).await;
    let lent = edge.know(&plane, &key, 1, 1_000_000_000).await.answer;
    let spent = counters([1_000_000_000, 0, 1_000_000_000, 0, 1_000_000_000]);
    let refused = edge.report(&plane, &lent, spent, 1_000_000_000).await;
    assert_eq!(
        refused.state.ceiling.map(|ceiling| ceiling.get()),
        Some(0),
        "{refused:?}"
    );
    edge.cursor = edge.poll_until_quiet(&plane).await;

    let top_up = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        plane.top_up(&wallet, "3").await;
        Instant::now()
    };
    let (told, written) = tokio::join!(async { (edge.poll(&plane).await, Instant::now()) }, top_up);
    let (told, arrived) = told;
    println!(
        "the top-up arrived {:?} after it was answered",
        arrived.saturating_duration_since(written)
    );
    assert!(arrived.saturating_duration_since(written) < AT_ONCE);
    assert_eq!(told.changes.len(), 1, "{told:?}");
    assert!(
        told.changes[0]
            .state
            .ceiling
            .is_none_or(|ceiling| ceiling.get() >= 1_000_000_000),
        "{told:?}"
    );
    assert_eq!(told.changes[0].state.balance.get(), 3_000_000_000);
    let lent = edge.report(&plane, &lent, spent, 1_000_000_000).await;
    assert!(lent.granted.get() >= 2_000_000_000, "{lent:?}");
    plane.assert_clean();
}

#[tokio::test]
async fn a_change_while_no_poll_waited_comes_with_the_next() {
    let plane = Plane::start();
    plane.funded("ada", "usd", "5").await;
    let key = plane.key_of("ada").await;
    let mut edge = Edge::of(&plane, "edge", "usd").await;
    edge.poll(&plane).await;
    edge.know(&plane, &key, 1, 1).await;
    plane
        .post("/v1/customers/ada/suspend", json!({ "reason": "unpaid" }))
        .await;
    let before = Instant::now();
    let told = edge.poll(&plane).await;
    assert!(before.elapsed() < AT_ONCE);
    assert_eq!(told.changes[0].state.block, Some(Block::CustomerSuspended));
    plane.post("/v1/customers/ada/resume", json!({})).await;
    assert_eq!(edge.poll(&plane).await.changes[0].state.block, None);
}

#[tokio::test]
async fn a_lost_answer_a_restart_or_a_foreign_cursor_loses_nothing() {
    let plane = Plane::start();
    let wallet = plane.funded("ada", "usd", "5").await;
    let key = plane.key_of("ada").await;
    let mut edge = Edge::of(&plane, "edge", "usd").await;
    edge.poll(&plane).await;
    edge.know(&plane, &key, 1, 1).await;
    plane
        .post(&format!("/v1/wallets/{wallet}/freeze"), json!({}))
        .await;
    let cursor = edge.cursor;
    let lost = edge.poll(&plane).await;
    edge.cursor = cursor;
    let plane = plane.restart().await;
    let again = edge.poll(&plane).await;
    assert_eq!(
        (lost.changes.len(), again.changes[0].state.block),
        (1, Some(Block::WalletFrozen))
    );
    assert_eq!(again.changes[0].phase, Phase::Turn);
    edge.cursor = 1_000_000;
    let resynced = edge.poll(&plane).await;
    assert_eq!(resynced.changes.len(), 1);
    assert!(resynced.cursor < 1_000_000);
}

#[tokio::test]
async fn a_new_rate_card_and_new_settings_are_pushed() {
    let plane = Plane::start();
    let mut edge = Edge::of(&plane, "edge", "usd").await;
    edge.poll(&plane).await;
    let card = json!({ "name": "n", "currency": "usd", "default": { "price": "0.25" } });
    let put = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        plane.put("/v1/rate-cards/edge", card).await
    };
    let before = Instant::now();
    let (told, _) = tokio::join!(edge.poll(&plane), put);
    assert!(before.elapsed() < AT_ONCE);
    assert_eq!(told.config.expect("a configuration").rate_card_version, 2);
    plane
        .put(
            "/v1/settings",
            json!({ "top_up_url": "https://pay.example" }),
        )
        .await;
    let config = edge.poll(&plane).await.config.expect("a configuration");
    assert_eq!(config.top_up_url.as_deref(), Some("https://pay.example"));
    let old = plane.get("/v1/rate-cards/edge?version=1").await;
    assert_eq!(
        (
            old.body["version"].as_u64(),
            &old.body["document"]["default"]["price"]
        ),
        (Some(1), &json!("1"))
    );
}

#[tokio::test]
async fn another_rate_card_of_the_same_currency_is_pushed() {
    let plane = Plane::start();
    let mut edge = Edge::of(&plane, "edge", "usd").await;
    edge.poll(&plane).await;
    for (name, currency) in [("dear", "usd"), ("foreign", "eur")] {
        let card = json!({ "name": name, "currency": currency, "default": { "price": "9" } });
        plane.put(&format!("/v1/rate-cards/{name}"), card).await;
    }
    edge.poll(&plane).await;
    let change = |card: &str| {
        let body = json!({ "rate_card": card }).to_string();
        plane.call(Method::PATCH, "/v1/gateways/edge", ADMIN, body, &[])
    };
    let refused = change("foreign").await;
    assert_eq!(
        (refused.status, refused.code()),
        (409, "rate_card_currency")
    );
    assert_eq!(change("dear").await.text("rate_card"), "dear");
    let config = edge.poll(&plane).await.config.expect("a configuration");
    assert_eq!(config.rate_card.name, "dear");
}

#[tokio::test]
async fn held_polls_are_answered_when_the_service_ends() {
    let plane = Plane::start();
    let mut edge = Edge::of(&plane, "edge", "usd").await;
    edge.poll(&plane).await;
    let before = Instant::now();
    let end = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        plane.ask_to_stop();
    };
    let (told, ()) = tokio::join!(edge.poll(&plane), end);
    assert!(before.elapsed() < AT_ONCE);
    assert!(told.changes.is_empty() && told.config.is_none());
    assert_eq!(plane.get("/readyz").await.code(), "stopping");
    assert_eq!(plane.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn credit_that_lies_unused_elsewhere_is_recalled_for_a_waiter() {
    let plane = Plane::start();
    plane.funded("ada", "tokens", "5").await;
    let key = plane.key_of("ada").await;
    let mut here = Edge::of(&plane, "edge", "tokens").await;
    let mut there = here.another();
    here.poll(&plane).await;
    there.poll(&plane).await;
    let held = there.know(&plane, &key, 1, 5_000).await.answer;
    // The request it was lent for is paid back in full, so nothing protects it any more.
    there
        .report(&plane, &held, counters([5_000, 0, 5_000, 5_000, 0]), 0)
        .await;
    let asked = here.know(&plane, &key, 1, 2_000).await.answer;
    assert!(asked.waiting && asked.granted.is_zero(), "{asked:?}");
    let recall = there.poll(&plane).await;
    assert_eq!(
        recall.changes[0].keep.map(|keep| keep.get()),
        Some(0),
        "{recall:?}"
    );
    let back = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        there
            .report(&plane, &held, counters([5_000, 5_000, 5_000, 5_000, 0]), 0)
            .await
    };
    here.cursor = 0;
    let (mut told, _) = tokio::join!(here.poll(&plane), back);
    while told.changes.iter().all(|change| change.granted.is_zero()) {
        told = here.poll(&plane).await;
    }
    assert!(
        told.changes
            .iter()
            .any(|change| change.granted.get() >= 2_000),
        "{told:?}"
    );
    plane.assert_clean();
}

impl Edge {
    /// Takes all that is there to be told; answers the cursor.
    async fn poll_until_quiet(&mut self, plane: &Plane) -> u64 {
        while let Ok(answer) =
            tokio::time::timeout(Duration::from_millis(300), self.poll(plane)).await
        {
            self.cursor = answer.cursor;
        }
        self.cursor
    }
}
