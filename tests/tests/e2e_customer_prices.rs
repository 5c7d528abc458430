//! Discounts and prices of one customer, set while traffic runs: no redeploy, and what is
//! logged is what is booked.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};
use creditgate_tests::admin::{smallest_units, text};
use creditgate_tests::client::get;
use creditgate_tests::clock::{ms, now, pause};
use creditgate_tests::figures::figure;
use creditgate_tests::priced::{CHAT, Priced, SCALE, ask, small};
use creditgate_tests::scene::CARD;
use serde_json::{Value, json};

const PING_LISTED: &str = "0.002";

async fn set(stage: &Priced, customer: &str, pricing: &Value) -> Result<Value> {
    let path = format!("/v1/customers/{customer}/pricing");
    stage.scene.admin.put(&path, pricing).await
}

/// Sends pings, each over a connection of its own, until many in a row were answered at this
/// price: then every worker has heard of it.
async fn until_all_cost(stage: &Priced, key: &str, cost: &str) -> Result<()> {
    let started = now();
    let mut right = 0;
    while right < 40 {
        let answer = stage.envoy.client().send(get("/v1/ping", key)).await?;
        ensure!(answer.status == 200, "{answer:?}");
        right = match answer.header("x-credit-cost") == cost {
            true => right + 1,
            false => 0,
        };
        ensure!(started.elapsed() < ms(10_000), "still {answer:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_discount_that_is_set_while_traffic_runs_counts_without_a_redeploy() -> Result<()> {
    let mut stage = Priced::start().await?;
    let ada = stage.customer("ada", "100").await?;
    let bob = stage.customer("bob", "100").await?;
    let stop = Arc::new(AtomicBool::new(false));
    let traffic: Vec<_> = (0..4)
        .map(|number| {
            let key = [&ada.key, &bob.key][number % 2].clone();
            let (mut client, stop) = (stage.envoy.client(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut paid = 0_u32;
                while !stop.load(Ordering::Relaxed) {
                    let answer = client.send(get("/v1/ping", &key)).await?;
                    ensure!(answer.status == 200, "{answer:?}");
                    paid += 1;
                }
                Ok(paid)
            })
        })
        .collect();
    until_all_cost(&stage, &ada.key, PING_LISTED).await?;
    let discount = set(&stage, "ada", &json!({"discount_ppm": 250_000})).await?;
    assert_eq!(discount["version"], 1);
    let started = now();
    until_all_cost(&stage, &ada.key, "0.0015").await?;
    figure(
        "customer prices",
        format!(
            "a discount counts in every worker after {:.1?}",
            started.elapsed()
        ),
    );
    let rules = json!([{"rule": "ping", "price": "0.000000007"}]);
    let own = json!({"rate_cards": [{"rate_card": CARD, "rules": rules}]});
    set(&stage, "ada", &own).await?;
    until_all_cost(&stage, &ada.key, "0.000000007").await?;
    set(&stage, "ada", &json!({"discount_ppm": 1_000_000})).await?;
    until_all_cost(&stage, &ada.key, "0").await?;
    set(&stage, "ada", &json!({})).await?;
    until_all_cost(&stage, &ada.key, PING_LISTED).await?;
    stop.store(true, Ordering::Relaxed);
    let mut paid = 0;
    for task in traffic {
        paid += task.await??;
    }
    assert!(paid > 0);
    let (entries, spent) = stage.books().await?;
    assert!(
        spent["ada"] > 0 && spent["bob"] % 2_000_000 == 0,
        "{spent:?}"
    );
    let versions: BTreeSet<u64> = entries
        .iter()
        .filter(|entry| entry["customer"] == "ada")
        .map(|entry| entry["pricing_version"].as_u64().unwrap_or(0))
        .collect();
    assert_eq!(versions.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
    let of_bob = entries.iter().filter(|entry| entry["customer"] == "bob");
    for entry in of_bob {
        assert_eq!(
            (&entry["cost"], &entry["pricing_version"]),
            (&json!("0.002"), &Value::Null)
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_charged_at_the_prices_that_admitted_the_request() -> Result<()> {
    let mut stage = Priced::start().await?;
    let ada = stage.customer("ada", "1").await?;
    let body = json!({"model": "small", "max_tokens": 100, "stream": true, "messages": []});
    // Its answer takes longer than the change of prices.
    let slow = ask(
        CHAT,
        &ada.key,
        "input=50 output=20 events=20 gap=100",
        "slow",
        &body,
    );
    let mut client = stage.envoy.client();
    let slow = tokio::spawn(async move { client.send(slow).await });
    let started = now();
    while stage.scene.upstream.seen("slow").is_empty() {
        ensure!(started.elapsed() < ms(10_000), "the request never came");
        pause(ms(5)).await;
    }
    let own = json!({"rate_cards": [{
        "rate_card": CARD,
        "rules": [{"rule": "ping", "price": "0.001"}],
        "models": [{"model": "small", "input": "0.15", "output": "6"}],
    }]});
    set(&stage, "ada", &own).await?;
    until_all_cost(&stage, &ada.key, "0.001").await?;
    let rest = json!({"model": "small", "max_tokens": 100, "messages": []});
    for number in 0..8 {
        let id = format!("after-{number}");
        let answer = ask(CHAT, &ada.key, "input=50 output=20", &id, &rest);
        assert_eq!(stage.envoy.client().send(answer).await?.status, 200);
    }
    assert_eq!(slow.await??.status, 200);
    let (entries, _) = stage.books().await?;
    let chats = entries.iter().filter(|entry| entry["rule"] == "chat");
    let (old, new): (Vec<_>, Vec<_>) = chats.partition(|entry| entry["pricing_version"].is_null());
    let old_cost = small(50, 0, 20);
    let new_cost = 50 * 150 + 20 * 6_000;
    for (entries, cost, count) in [(old, old_cost, 1), (new, new_cost, 8)] {
        assert_eq!(entries.len(), count, "{entries:?}");
        for entry in entries {
            let logged = smallest_units(&text(entry, "cost")?, SCALE)?;
            assert_eq!(logged, cost, "{entry}");
        }
    }
    Ok(())
}
