//! News reach gateways by push: top-ups, suspensions; late and stale news do no harm.

use std::time::Duration;

use anyhow::{Result, ensure};
use creditgate_tests::client::{Client, get};
use creditgate_tests::clock::{ms, now, pause, percentile};
use creditgate_tests::envoy::Envoy;
use creditgate_tests::fault_proxy::{Fault, POLL, SYNC};
use creditgate_tests::figures::figure;
use creditgate_tests::scene::{Customer, Scene};
use serde_json::json;

/// Sends until an answer has this status; returns how long that took.
async fn until_status(client: &mut Client, customer: &Customer, status: u16) -> Result<Duration> {
    let started = now();
    loop {
        let answer = client.send(get("/v1/ping", &customer.key)).await?;
        if answer.status == status {
            return Ok(started.elapsed());
        }
        ensure!(started.elapsed() < ms(10_000), "still {answer:?}");
        pause(ms(1)).await;
    }
}

async fn exhaust(envoy: &Envoy, customer: &Customer) -> Result<()> {
    until_status(&mut envoy.client(), customer, 402)
        .await
        .map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_top_up_of_an_exhausted_customer_is_usable_at_once() -> Result<()> {
    let scene = Scene::start().await?;
    let envoy = scene.envoy("edge").await?;
    let ada = scene.customer("ada", "1").await?;
    let mut client = envoy.client();
    let mut took = Vec::new();
    for round in 0..40 {
        exhaust(&envoy, &ada).await?;
        // Also when the customer has been idle for a while.
        pause(ms(if round % 4 == 0 { 500 } else { 20 })).await;
        scene.admin.top_up(&ada.wallet, "1").await?;
        took.push(until_status(&mut client, &ada, 200).await?);
    }
    let [p50, p99] = [50, 99].map(|percent| percentile(&took, percent));
    figure(
        "push",
        format!("top-up usable after p50 {p50:.1?}, p99 {p99:.1?}"),
    );
    assert!(p50 < ms(500) && p99 < ms(2_000), "p50 {p50:?}, p99 {p99:?}");
    assert_eq!(scene.upstream.requests(), 41);
    scene.adds_up([envoy]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_top_up_made_while_the_long_poll_was_down_is_usable_on_reconnect() -> Result<()> {
    let scene = Scene::start().await?;
    let envoy = scene.envoy("edge").await?;
    let ada = scene.customer("ada", "1").await?;
    exhaust(&envoy, &ada).await?;
    scene.proxy.harm(POLL, Fault::Cut);
    pause(ms(300)).await;
    scene.admin.top_up(&ada.wallet, "3").await?;
    scene.proxy.heal(POLL);
    let took = until_status(&mut envoy.client(), &ada, 200).await?;
    figure(
        "push",
        format!("top-up made while the poll was down, usable {took:.1?} after it was back"),
    );
    assert!(took < ms(3_000), "{took:?}");

    // Down for so long that refusals are not believed any more: then accounts are asked for.
    exhaust(&envoy, &ada).await?;
    scene.proxy.harm(POLL, Fault::Cut);
    pause(ms(300)).await;
    scene.admin.top_up(&ada.wallet, "1").await?;
    let took = until_status(&mut envoy.client(), &ada, 200).await?;
    figure(
        "push",
        format!("top-up usable {took:.1?} later with no poll at all"),
    );
    scene.adds_up([envoy]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_nothing_left_that_arrives_after_a_top_up_changes_nothing() -> Result<()> {
    let scene = Scene::start().await?;
    let envoy = scene.envoy("edge").await?;
    let ada = scene.customer("ada", "1").await?;
    assert_eq!(envoy.send(get("/v1/ping", &ada.key)).await?.status, 200);

    // The answer "nothing left" to this request's question is kept back …
    scene.proxy.harm(SYNC, Fault::HoldAnswer);
    let asked = scene.proxy.calls(SYNC);
    let held = tokio::spawn({
        let (mut client, key) = (envoy.client(), ada.key.clone());
        async move { client.send(get("/v1/ping", &key)).await }
    });
    pause(ms(300)).await;
    assert!(
        scene.proxy.calls(SYNC) > asked && !held.is_finished(),
        "no question is held back"
    );
    // … until the push of a top-up has overtaken it.
    scene.admin.top_up(&ada.wallet, "5").await?;
    pause(ms(300)).await;
    scene.proxy.heal(SYNC);
    let first = held.await??;
    pause(ms(200)).await;
    let mut paid = u32::from(first.status == 200);
    for _ in 0..5 - paid {
        let answer = envoy.send(get("/v1/ping", &ada.key)).await?;
        assert_eq!(
            answer.status, 200,
            "the stale answer was applied: {answer:?}"
        );
        paid += 1;
    }
    assert_eq!(envoy.send(get("/v1/ping", &ada.key)).await?.status, 402);
    assert_eq!((paid, scene.upstream.requests()), (5, 6));
    scene.adds_up([envoy]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspension_blocks_at_once_and_a_new_price_counts_at_once() -> Result<()> {
    let scene = Scene::start().await?;
    let envoy = scene.envoy("edge").await?;
    let ada = scene.customer("ada", "100000").await?;
    let mut client = envoy.client();
    let (mut suspended, mut resumed) = (Vec::new(), Vec::new());
    until_status(&mut client, &ada, 200).await?;
    for _ in 0..20 {
        scene
            .admin
            .post("/v1/customers/ada/suspend", &json!({"reason": "test"}))
            .await?;
        suspended.push(until_status(&mut client, &ada, 403).await?);
        scene
            .admin
            .post("/v1/customers/ada/resume", &json!({}))
            .await?;
        resumed.push(until_status(&mut client, &ada, 200).await?);
    }
    for (what, took) in [
        ("suspension blocks", &suspended),
        ("resumption pays", &resumed),
    ] {
        let [p50, p99] = [50, 99].map(|percent| percentile(took, percent));
        figure("push", format!("{what} after p50 {p50:.1?}, p99 {p99:.1?}"));
        assert!(
            p50 < ms(500) && p99 < ms(2_000),
            "{what}: p50 {p50:?}, p99 {p99:?}"
        );
    }

    let mut card = creditgate_tests::scene::card();
    card["rules"][0]["price"] = json!(2);
    scene
        .admin
        .rate_card(creditgate_tests::scene::CARD, &card)
        .await?;
    let started = now();
    while client
        .send(get("/v1/ping", &ada.key))
        .await?
        .header("x-credit-cost")
        != "2"
    {
        ensure!(started.elapsed() < ms(10_000), "the new price never came");
    }
    figure(
        "push",
        format!("a new rate card counts after {:.1?}", started.elapsed()),
    );
    scene.adds_up([envoy]).await
}
