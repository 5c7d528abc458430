//! The access log alone can be summed, and the sum is the ledger's.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use creditgate_tests::client::get_behaving;
use creditgate_tests::clock::{ms, pause};
use creditgate_tests::envoy::Setup;
use creditgate_tests::figures::figure;
use creditgate_tests::load::send_all;
use creditgate_tests::scene::Scene;
use serde_json::Value;

const LOG: &str = r#"stat_prefix: public
          access_log:
          - name: envoy.access_loggers.file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: "${ACCESS_LOG}"
              log_format:
                text_format_source: { inline_string: "%FILTER_STATE(wasm.creditgate:PLAIN)%\n" }"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sum_of_the_access_log_is_what_the_ledger_says_was_spent() -> Result<()> {
    let scene = Scene::start().await?;
    let setup = Setup::default().edit("stat_prefix: public", LOG);
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
    // Envoy writes its log every so often, and at its end.
    pause(ms(200)).await;
    envoy.terminate().await?;

    let (mut logged, mut outcomes) = (BTreeMap::new(), BTreeMap::<String, u64>::new());
    for customer in &customers {
        logged.insert(customer.name.clone(), 0_i128);
    }
    for line in envoy.access_log() {
        let entry: Value = match line.as_str() {
            "-" => continue,
            line => serde_json::from_str(line).with_context(|| line.to_owned())?,
        };
        let outcome = entry["outcome"].as_str().context("outcome")?;
        *outcomes.entry(outcome.to_owned()).or_default() += 1;
        if let Some(cost) = entry["cost"].as_str() {
            let customer = entry["customer"].as_str().context("customer")?;
            *logged.entry(customer.to_owned()).or_default() += cost.parse::<i128>()?;
        }
    }
    figure(
        "access log",
        format!("{outcomes:?}; logged {logged:?}; ledger {spent:?}; {tally}"),
    );
    assert_eq!(logged, spent);
    assert_eq!(spent["eve"], 0);
    assert!(spent["ada"] <= 400 && spent["ada"] > 390, "{spent:?}");
    scene.plane.verify().await
}
