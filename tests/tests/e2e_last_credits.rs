//! The last credits: unused credit at one gateway still pays for a request at the other.

use anyhow::Result;
use creditgate_tests::client::get;
use creditgate_tests::clock::percentile;
use creditgate_tests::figures::figure;
use creditgate_tests::load::send_all;
use creditgate_tests::scene::{Scene, card, fast_settings};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credit_that_lies_unused_at_the_other_gateway_is_fetched_before_a_402() -> Result<()> {
    let mut settings = fast_settings();
    // Nothing comes back by itself: what is fetched is recalled.
    settings["idle_ms"] = json!(60_000);
    settings["use_by_ms"] = json!(8_000);
    settings["silent_after_ms"] = json!(20_000);
    let scene = Scene::with(&settings, &card(), false).await?;
    let (east, west) = tokio::try_join!(scene.envoy("east"), scene.envoy("west"))?;
    let ada = scene.customer("ada", "1000").await?;

    // East burns fast, and so is lent much.
    let key = ada.key.clone();
    let burnt = send_all(&[east.address()], 4, 200, move |_| get("/v1/ping", &key)).await;
    assert_eq!(burnt.status(200), 200, "{burnt}");
    let balance = scene.balance(&ada).await?;
    assert!(balance.lent > 0, "nothing lies unused at east: {balance:?}");

    // West spends the rest, one after the other, down to the last that lies at east.
    let (mut paid, mut client, mut took) = (0, west.client(), Vec::new());
    loop {
        let answer = client.send(get("/v1/ping", &ada.key)).await?;
        if answer.status != 200 {
            assert_eq!(
                (answer.status.as_u16(), answer.code().as_str()),
                (402, "credit_exhausted"),
                "{answer:?}"
            );
            break;
        }
        paid += 1;
        took.push(answer.took);
    }
    figure(
        "last credits",
        format!(
            "unused at the other gateway: {}; requests that fetched it: p50 {:.1?}, slowest {:.1?}",
            balance.lent,
            percentile(&took, 50),
            percentile(&took, 100)
        ),
    );
    assert_eq!(
        paid, 800,
        "refused, though the other gateway held unused credit"
    );
    assert_eq!(scene.upstream.requests(), 1_000);
    scene.adds_up([east, west]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_that_fetch_from_one_another_at_once_waste_nothing() -> Result<()> {
    let scene = Scene::start().await?;
    let (east, west) = tokio::try_join!(scene.envoy("east"), scene.envoy("west"))?;
    let gateways = [east.address(), west.address()];
    for round in 0..5 {
        let ada = scene.customer(&format!("ada-{round}"), "40").await?;
        let key = ada.key.clone();
        let tally = send_all(&gateways, 8, 60, move |_| get("/v1/ping", &key)).await;
        assert_eq!(
            (tally.status(200), tally.status(402)),
            (40, 20),
            "round {round}: {tally}"
        );
        let balance = scene.at_rest(&ada).await?;
        assert_eq!((balance.spent, balance.available), (40, 0), "round {round}");
    }
    scene.adds_up([east, west]).await
}
