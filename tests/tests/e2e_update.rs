//! A running Envoy gets a new configuration: a bad one is refused, a good one loses nothing.

use anyhow::{Context, Result};
use creditgate_tests::client::get;
use creditgate_tests::clock::{ms, pause, until};
use creditgate_tests::envoy::Setup;
use creditgate_tests::load::Background;
use creditgate_tests::scene::{Scene, card, fast_settings};
use creditgate_tests::usage::explained;
use serde_json::json;

/// Takes the listener out of a configuration, to a file that Envoy watches.
fn split(configuration: &str, file: &str) -> Result<(String, String)> {
    let (head, rest) = configuration
        .split_once("  listeners:\n")
        .context("no listeners")?;
    let (listener, clusters) = rest.split_once("  clusters:\n").context("no clusters")?;
    let watched = format!(
        "node: {{ id: test, cluster: test }}\ndynamic_resources:\n  lds_config:\n    path_config_source: {{ path: \"{file}\" }}\n"
    );
    let kind = "type.googleapis.com/envoy.config.listener.v3.Listener";
    let listener: Vec<&str> = listener
        .lines()
        .map(|line| line.strip_prefix("  ").unwrap_or(line))
        .collect();
    let listener = listener.join("\n");
    let listener = listener.replacen("- name:", &format!("- \"@type\": {kind}\n  name:"), 1);
    Ok((
        format!("{watched}{head}  clusters:\n{clusters}"),
        format!("resources:\n{listener}\n"),
    ))
}

/// Puts a file in the place of another in one step, which is what Envoy watches for.
fn replace(file: &std::path::Path, content: &str) -> Result<()> {
    let fresh = file.with_extension("new");
    std::fs::write(&fresh, content)?;
    std::fs::rename(fresh, file)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_is_refused_or_takes_over_without_losing_a_lease() -> Result<()> {
    let mut settings = fast_settings();
    settings["idle_ms"] = json!(60_000);
    let scene = Scene::with(&settings, &card(), false).await?;
    let setup = Setup::default().logging().split_listener(split);
    let envoy = scene.envoy_with("edge", &setup).await?;
    let ada = scene.customer("ada", "100000").await?;
    let key = ada.key.clone();
    let load = Background::start(&[envoy.address()], 4, ms(5), move |_| get("/v1/ping", &key));
    pause(ms(500)).await;

    let file = envoy.folder().join("listener.yaml");
    let good = std::fs::read_to_string(&file)?;
    replace(&file, &good.replace("x-api-key", "X-API-KEY"))?;
    until("the bad update is refused", ms(10_000), async || {
        let rejected = envoy.metric("listener_manager.lds.update_rejected").await?;
        Ok((rejected > 0).then_some(()))
    })
    .await?;
    assert!(
        envoy.log().contains("identity.header"),
        "the log does not name the field"
    );
    assert_eq!(envoy.send(get("/v1/ping", &ada.key)).await?.status, 200);

    let own = |path: &'static str| get(path, &ada.key);
    assert_eq!(envoy.send(own("/mine")).await?.status, 403);
    let other = good.replace("\"identity\":", "\"balance_path\":\"/mine\",\"identity\":");
    assert_ne!(other, good);
    replace(&file, &other)?;
    until("the good update takes over", ms(10_000), async || {
        Ok((envoy.send(own("/mine")).await?.status == 200).then_some(()))
    })
    .await?;
    pause(ms(500)).await;
    let load = load.stop().await;
    assert_eq!(load.status(200), load.answered(), "{load}");
    // Shared data outlives the update: the same process, the same leases.
    let instances = scene.admin.list("/v1/instances").await?;
    assert_eq!(instances.len(), 1, "{instances:?}");
    assert!(scene.admin.leases("quarantined").await?.is_empty());
    let balance = until("all is reported", ms(5_000), async || {
        let balance = scene.balance(&ada).await?;
        let all = balance.spent == i128::from(scene.upstream.requests());
        Ok(all.then_some(balance))
    })
    .await?;
    assert_eq!(balance.quarantined, 0);
    // Detail, too, of what the old configuration admitted and of what the new one did.
    assert_eq!(explained(&scene.admin, &ada, 0).await?, balance.spent);
    scene.adds_up([envoy]).await
}
