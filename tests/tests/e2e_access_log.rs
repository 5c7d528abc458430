//! The access log alone can be summed, and the sum is the ledger's.

use std::collections::{BTreeMap, BTreeSet};
use std::slice;

use anyhow::{Context, Result};
use creditgate_tests::access_log::{costs, entries};
use creditgate_tests::client::{get_behaving, request};
use creditgate_tests::envoy::Setup;
use creditgate_tests::figures::figure;
use creditgate_tests::load::send_all;
use creditgate_tests::scene::Scene;
use creditgate_tests::sums::{Torn, agree};
use serde_json::Value;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_envoy_redirects_has_two_lines_and_each_has_its_cost() -> Result<()> {
    let scene = Scene::start().await?;
    let line =
        r#"text_format_source: { inline_string: "%FILTER_STATE(wasm.creditgate:PLAIN)%\n" }"#;
    let with_id = r#"json_format: { id: "%REQ(X-REQUEST-ID)%", credit: "%FILTER_STATE(wasm.creditgate:PLAIN)%" }"#;
    let route = "route: { cluster: upstream }";
    let redirecting = "route: { cluster: upstream, internal_redirect_policy: {} }";
    let setup = Setup::default()
        .logging()
        .edit(line, with_id)
        .edit(route, redirecting);
    let mut envoy = scene.envoy_with("edge", &setup).await?;
    let redirected = [("always", ["1", "1"]), ("ping", ["0", "1"])];
    for (rule, costs) in redirected {
        let customer = scene.customer(rule, "10").await?;
        let headers = [
            ("x-api-key", customer.key.as_str()),
            ("x-behave", "redirect-first"),
            ("x-test-id", rule),
        ];
        let first = request("GET", &format!("/v1/{rule}"), &headers, "");
        let answer = envoy.send(first).await?;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(scene.upstream.seen(rule).len(), 2, "{rule}");
        let charged = costs.iter().filter(|cost| **cost == "1").count();
        assert_eq!(scene.at_rest(&customer).await?.spent, charged as i128);
    }
    let lines = entries(&mut envoy).await?;
    for (rule, costs) in redirected {
        let mut logged = Vec::new();
        let mut ids = BTreeSet::new();
        for line in &lines {
            let credit = line["credit"].as_str().context("credit")?;
            if credit.contains(&format!(r#""rule":"{rule}""#)) {
                let credit: Value = serde_json::from_str(credit)?;
                logged.push(credit["cost"].as_str().context("cost")?.to_owned());
                ids.insert(line["id"].to_string());
            }
        }
        logged.sort();
        assert_eq!((logged, ids.len()), (costs.map(str::to_owned).to_vec(), 1));
    }
    scene.adds_up([envoy]).await
}
