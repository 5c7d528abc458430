//! A version of a rate card that comes into force at an instant, while traffic runs.

use std::slice;

use anyhow::{Result, ensure};
use creditgate_ledger::Timestamp;
use creditgate_tests::access_log::{costs, entries};
use creditgate_tests::admin::text;
use creditgate_tests::client::get;
use creditgate_tests::clock::{ms, now};
use creditgate_tests::envoy::Setup;
use creditgate_tests::figures::figure;
use creditgate_tests::scene::{CARD, Scene, card};
use creditgate_tests::sums::{Torn, agree};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduled_version_takes_over_by_itself_and_each_request_settles_by_its_own() -> Result<()>
{
    let scene = Scene::start().await?;
    let mut envoy = scene
        .envoy_with("edge", &Setup::default().logging())
        .await?;
    let ada = scene.customer("ada", "1000000").await?;
    let mut client = envoy.client();
    assert_eq!(client.send(get("/v1/ping", &ada.key)).await?.status, 200);
    // By the control plane's clock, which decides.
    let path = format!("/v1/rate-cards/{CARD}");
    let first = scene.admin.put(&path, &card()).await?;
    let made_at = Timestamp::parse(&text(&first, "created_at")?)?;
    let at = made_at.plus_ms(2_000);
    let mut dearer = card();
    dearer["rules"][0]["price"] = json!(3);
    let path = format!("{path}?effective_at={at}");
    let scheduled = scene.admin.put(&path, &dearer).await?;
    assert_eq!(
        (&scheduled["state"], &scheduled["version"]),
        (&json!("scheduled"), &json!(3))
    );
    let started = now();
    let mut paid = [0_u32; 2];
    while paid[1] < 50 {
        let answer = client.send(get("/v1/ping", &ada.key)).await?;
        ensure!(answer.status == 200, "{answer:?}");
        let place = usize::from(answer.header("x-credit-cost") == "3");
        paid[place] += 1;
        ensure!(started.elapsed() < ms(20_000), "it never came: {paid:?}");
    }
    assert!(paid[0] > 0, "it came before its instant");
    figure(
        "scheduled card",
        format!("{} requests before it, {} after", paid[0], paid[1]),
    );
    let versions = scene
        .admin
        .list(&format!("/v1/rate-cards/{CARD}/versions"))
        .await?;
    let states: Vec<&Value> = versions.iter().map(|version| &version["state"]).collect();
    assert_eq!(states, ["active", "superseded", "superseded"]);

    let balance = scene.at_rest(&ada).await?;
    agree(&scene, slice::from_mut(&mut envoy), &Torn::Nothing).await?;
    let entries = entries(&mut envoy).await?;
    // The Envoy was asked for something else before it was ready.
    for entry in entries.iter().filter(|entry| entry["rule"] == "ping") {
        let cost = match entry["card_version"].as_u64() {
            Some(3) => "3",
            _ => "1",
        };
        assert_eq!(entry["cost"], cost, "{entry}");
    }
    assert_eq!(costs(&entries, 0)?["ada"], balance.spent);
    Ok(())
}
