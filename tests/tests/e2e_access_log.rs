//! The access log alone can be summed, and the sum is the ledger's.

use std::collections::BTreeMap;
use std::slice;

use anyhow::{Context, Result};
use creditgate_tests::access_log::{costs, entries};
use creditgate_tests::client::get_behaving;
use creditgate_tests::envoy::Setup;
use creditgate_tests::figures::figure;
use creditgate_tests::load::send_all;
use creditgate_tests::scene::Scene;
use creditgate_tests::sums::{Torn, agree};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sum_of_the_access_log_is_what_the_ledger_says_was_spent() -> Result<()> {
    let scene = Scene::start().await?;
    let setup = Setup::default().logging();
    let mut envoy = scene.envoy_with("edge", &setup).await?;
    let customers = [
        scene.customer("ada", "400").await?,
        scene.customer("bob", "100000").await?,
        scene.customer("eve", "0").await?,
    ];
    let keys: Vec<String> = customers
        .iter()
        .map(|customer| customer.key.clone())
        .collect();
    let tally = send_all(&[envoy.address()], 16, 1_500, move |number| {
        let key = &keys[(number % 3) as usize];
        let path = if number % 2 == 0 {
            "/v1/ping"
        } else {
            "/v1/report"
        };
        let behave = match number % 11 {
            0 => "status=503",
            1 => "reset-after=300",
            2 => "stream=3,1",
            _ => "status=200",
        };
        get_behaving(path, key, behave)
    })
    .await;
    let mut spent = BTreeMap::new();
    for customer in &customers {
        spent.insert(customer.name.clone(), scene.at_rest(customer).await?.spent);
    }
    agree(&scene, slice::from_mut(&mut envoy), &Torn::Nothing).await?;
    let entries = entries(&mut envoy).await?;
    let mut outcomes = BTreeMap::<&str, u64>::new();
    for entry in &entries {
        *outcomes
            .entry(entry["outcome"].as_str().context("outcome")?)
            .or_default() += 1;
    }
    let mut logged = costs(&entries, 0)?;
    logged.entry("eve".to_owned()).or_default();
    figure(
        "access log",
        format!("{outcomes:?}; logged {logged:?}; ledger {spent:?}; {tally}"),
    );
    assert_eq!(logged, spent);
    assert_eq!(spent["eve"], 0);
    assert!(spent["ada"] <= 400 && spent["ada"] > 390, "{spent:?}");
    Ok(())
}
