//! Two listeners of one process, each with a filter of its own name: one gateway, one instance,
//! one lease of each account, and the last credit pays through whichever is asked.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use creditgate_tests::client::{Client, get};
use creditgate_tests::clock::{ms, until};
use creditgate_tests::envoy::{Envoy, Setup};
use creditgate_tests::figures::figure;
use creditgate_tests::load::send_all;
use creditgate_tests::scene::{Scene, card, fast_settings};
use creditgate_tests::tools;
use serde_json::json;

/// The listener of the configuration once more: other names, the same key and `vm_id`.
fn two_listeners() -> Result<Setup> {
    let text = std::fs::read_to_string(tools::top().join("envoy/minimal.yaml"))?;
    let listener = text
        .split_once("  listeners:\n")
        .and_then(|(_, rest)| rest.split_once("\n  clusters:\n"))
        .context("the listener")?
        .0
        .replace("- name: public", "- name: second")
        .replace(
            "- name: creditgate\n            ",
            "- name: second\n            ",
        )
        .replace(
            "config:\n                name: creditgate\n",
            "config:\n                name: second\n",
        );
    let both = format!("\n{listener}\n  clusters:\n");
    Ok(Setup::default().edit("\n  clusters:\n", &both).logging())
}

/// Where the listeners are, once the filters of both have the rate card.
async fn addresses(envoy: &Envoy) -> Result<[SocketAddr; 2]> {
    let told = envoy.admin("GET", "/listeners?format=json").await?.json();
    let address = |place: usize| {
        let told = &told["listener_statuses"][place]["local_address"]["socket_address"];
        let port = told["port_value"].as_u64().context("a listener")?;
        anyhow::Ok(SocketAddr::from(([127, 0, 0, 1], u16::try_from(port)?)))
    };
    let both = [address(0)?, address(1)?];
    for address in both {
        until("the filter has its rate card", ms(10_000), async || {
            let answer = Client::new(address).send(get("/", "")).await?;
            Ok((answer.code() != "not_ready").then_some(()))
        })
        .await?;
    }
    Ok(both)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_listeners_share_a_lease_and_either_spends_the_last_credit() -> Result<()> {
    let mut settings = fast_settings();
    // Nothing comes back by itself: who is refused here could be paid nowhere else.
    settings["idle_ms"] = json!(60_000);
    settings["max_stream_ms"] = json!(60_000);
    let scene = Scene::with(&settings, &card(), false).await?;
    let envoy = scene.envoy_with("edge", &two_listeners()?).await?;
    let both = addresses(&envoy).await?;
    let ada = scene.customer("ada", "1000").await?;
    let key = ada.key.clone();
    let tally = send_all(&both, 8, 400, move |_| get("/v1/ping", &key)).await;
    assert_eq!(tally.status(200), 400, "{tally}");
    let leases = scene.admin.list("/v1/leases").await?;
    assert_eq!(leases.len(), 1, "{leases:?}");
    assert_eq!(scene.admin.list("/v1/instances").await?.len(), 1);

    // All of it but five through the first, the five through the second.
    let key = ada.key.clone();
    let tally = send_all(&both[..1], 8, 595, move |_| get("/v1/ping", &key)).await;
    assert_eq!(tally.status(200), 595, "{tally}");
    let key = ada.key.clone();
    let tally = send_all(&both[1..], 2, 10, move |_| get("/v1/ping", &key)).await;
    assert_eq!((tally.status(200), tally.status(402)), (5, 5), "{tally}");
    let key = ada.key.clone();
    let tally = send_all(&both[..1], 2, 5, move |_| get("/v1/ping", &key)).await;
    assert_eq!(tally.status(402), 5, "{tally}");

    // Through both at once, neither one too many nor one too few.
    let bob = scene.customer("bob", "300").await?;
    let tally = send_all(&both, 16, 500, move |_| get("/v1/ping", &bob.key)).await;
    figure("two listeners", &tally);
    assert_eq!(
        (tally.status(200), tally.status(402)),
        (300, 200),
        "{tally}"
    );
    let leases = scene.admin.list("/v1/leases").await?;
    assert_eq!(leases.len(), 2, "one of each account: {leases:?}");
    assert_eq!(scene.upstream.requests(), 1_300);
    scene.adds_up([envoy]).await
}
