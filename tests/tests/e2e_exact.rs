//! Two Envoys of two workers each spend one account at once, and the sums are exact.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use creditgate_tests::client::get;
use creditgate_tests::figures::figure;
use creditgate_tests::load::send_all;
use creditgate_tests::scene::{Scene, card, fast_settings};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_envoys_let_exactly_as_many_requests_through_as_were_paid_for() -> Result<()> {
    let scene = Scene::start().await?;
    let (east, west) = tokio::try_join!(scene.envoy("east"), scene.envoy("west"))?;
    let ada = scene.customer("ada", "10000").await?;
    let gateways = [east.address(), west.address()];

    let key = ada.key.clone();
    let tally = send_all(&gateways, 64, 20_000, move |_| get("/v1/ping", &key)).await;
    figure("exact", &tally);
    assert!(tally.broken.is_empty(), "{:?}", tally.broken.first());
    assert_eq!(
        (tally.status(200), tally.status(402)),
        (10_000, 10_000),
        "{tally}"
    );
    assert_eq!(scene.upstream.requests(), 10_000);

    let balance = scene.at_rest(&ada).await?;
    assert_eq!(
        (balance.spent, balance.available, balance.quarantined),
        (10_000, 0, 0)
    );
    scene.adds_up([east, west]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_price_that_does_not_divide_the_balance_leaves_exactly_the_rest() -> Result<()> {
    let mut card = card();
    card["currency"] = json!("usd");
    card["scale"] = json!(9);
    card["rules"] = json!([{"id": "ping", "path": {"exact": "/v1/ping"}, "price": "0.030000001"}]);
    let scene = Scene::with(&fast_settings(), &card, false).await?;
    let (east, west) = tokio::try_join!(scene.envoy("east"), scene.envoy("west"))?;
    let ada = scene.customer_in("ada", "usd", "100").await?;
    let gateways = [east.address(), west.address()];

    let key = ada.key.clone();
    let tally = send_all(&gateways, 64, 6_000, move |_| get("/v1/ping", &key)).await;
    figure("exact, indivisible", &tally);
    assert!(tally.broken.is_empty(), "{:?}", tally.broken.first());
    let paid = 100_000_000_000_u64 / 30_000_001;
    assert_eq!(
        (tally.status(200), tally.status(402)),
        (paid, 6_000 - paid),
        "{tally}"
    );
    assert_eq!(scene.upstream.requests(), paid);

    let balance = scene.at_rest(&ada).await?;
    let spent = i128::from(paid) * 30_000_001;
    assert_eq!(
        (balance.spent, balance.available),
        (spent, 100_000_000_000 - spent)
    );
    scene.adds_up([east, west]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_prices_mixed_spend_exactly_what_the_upstream_saw() -> Result<()> {
    let mut card = card();
    card["rules"] = json!([
        {"id": "three", "path": {"exact": "/v1/three"}, "price": 3},
        {"id": "seven", "path": {"exact": "/v1/seven"}, "price": 7},
    ]);
    let scene = Scene::with(&fast_settings(), &card, false).await?;
    let (east, west) = tokio::try_join!(scene.envoy("east"), scene.envoy("west"))?;
    let ada = scene.customer("ada", "10000").await?;
    let gateways = [east.address(), west.address()];

    let (key, sevens) = (ada.key.clone(), AtomicU64::new(0));
    let tally = send_all(&gateways, 64, 4_000, move |number| {
        // Not in step with the connections.
        let seven = number % 5 < 2;
        sevens.fetch_add(u64::from(seven), Ordering::Relaxed);
        get(if seven { "/v1/seven" } else { "/v1/three" }, &key)
    })
    .await;
    figure("exact, two prices", &tally);
    assert!(tally.broken.is_empty(), "{:?}", tally.broken.first());
    assert_eq!(tally.status(200) + tally.status(402), 4_000, "{tally}");

    let (threes, sevens) = (
        scene.upstream.requests_to("/v1/three"),
        scene.upstream.requests_to("/v1/seven"),
    );
    assert_eq!(tally.status(200), threes + sevens);
    let spent = i128::from(threes * 3 + sevens * 7);
    let balance = scene.at_rest(&ada).await?;
    assert_eq!((balance.spent, balance.available), (spent, 10_000 - spent));
    // Whatever could still be paid for at the end was paid for: the cheaper request last.
    assert!(
        balance.available < 3,
        "{balance:?} was left, though requests were refused"
    );
    scene.adds_up([east, west]).await
}
