//! Bad configuration is refused by the name of its field; bad requests get a clear answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use creditgate_core::key::{KeyKind, compose};
use creditgate_tests::client::{get, request};
use creditgate_tests::clock::{ms, until};
use creditgate_tests::envoy::{Envoy, Setup};
use creditgate_tests::fault_proxy::RESOLVE;
use creditgate_tests::figures::figure;
use creditgate_tests::load::{Background, send_all};
use creditgate_tests::scene::Scene;
use hyper::header::HeaderValue;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoy_refuses_a_bad_configuration_and_the_log_names_the_field() -> Result<()> {
    let scene = Scene::start().await?;
    let key = scene.gateway("edge").await?;
    let consumer = scene.customer("ada", "0").await?.key;
    for (what, patch, key, field) in [
        ("unknown field", json!({"cells": 5}), key.as_str(), "cells"),
        (
            "unknown limit",
            json!({"limits": {"cels_max": 64}}),
            &key,
            "limits",
        ),
        ("wrong type", json!({"tick_ms": "20"}), &key, "tick_ms"),
        (
            "out of range",
            json!({"limits": {"cells_max": 1}}),
            &key,
            "limits.cells_max",
        ),
        ("unknown mode", json!({"mode": "open"}), &key, "mode"),
        (
            "no cluster",
            json!({"control_plane": {"cluster": ""}}),
            &key,
            "control_plane.cluster",
        ),
        (
            "header of ours",
            json!({"identity": {"header": "x-credit-key"}}),
            &key,
            "identity.header",
        ),
        (
            "no gateway key",
            json!({}),
            "",
            "control_plane.gateway_key_env",
        ),
        (
            "a consumer's key",
            json!({}),
            &consumer,
            "control_plane.gateway_key_env",
        ),
        (
            "a mistyped key",
            json!({}),
            "cgg_secret",
            "control_plane.gateway_key_env",
        ),
    ] {
        let setup = Setup::default().filter(patch);
        let (plane, upstream) = (scene.proxy.address(), scene.upstream.address());
        let (mut envoy, _) = Envoy::spawn(&setup, scene.folder.path(), plane, upstream, key)?;
        let status = envoy.ended(Duration::from_secs(20)).await.context(what)?;
        assert!(!status.success(), "{what}: Envoy started");
        let log = envoy.log();
        let named = log
            .lines()
            .any(|line| line.contains("creditgate:") && line.contains(field));
        assert!(
            named,
            "{what}: the log does not name {field}\n{}",
            envoy.last_words()
        );
        assert!(
            key.is_empty() || !log.contains(key),
            "{what}: the log shows the key"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_credentials_get_a_clear_answer_and_never_pass() -> Result<()> {
    let scene = Scene::start().await?;
    let envoy = scene.envoy("edge").await?;
    let ada = scene.customer("ada", "100").await?;
    let bob = scene.customer("bob", "100").await?;
    let unknown = compose(KeyKind::Consumer, &[9; 32]);
    let gateway = compose(KeyKind::Gateway, &[9; 32]);
    let joined = format!("{},{}", ada.key, bob.key);
    let mut mistyped = ada.key.clone();
    mistyped.replace_range(10..11, if &mistyped[10..11] == "A" { "B" } else { "A" });
    let (long, spaced) = ("k".repeat(50_000), format!("  {}", &ada.key));

    let values: [(&str, &[&[u8]], u16, &str); 13] = [
        ("none", &[], 401, "credential_missing"),
        ("empty", &[b""], 401, "credential_missing"),
        (
            "two",
            &[ada.key.as_bytes(), bob.key.as_bytes()],
            401,
            "credential_ambiguous",
        ),
        (
            "the same twice",
            &[ada.key.as_bytes(), ada.key.as_bytes()],
            401,
            "credential_ambiguous",
        ),
        (
            "two in one",
            &[joined.as_bytes()],
            401,
            "credential_malformed",
        ),
        ("not UTF-8", &[b"\xff\xfe\xfd"], 401, "credential_malformed"),
        (
            "half UTF-8",
            &[b"cgk_\xe2\x82"],
            401,
            "credential_malformed",
        ),
        ("long", &[long.as_bytes()], 401, "credential_malformed"),
        (
            "mistyped",
            &[mistyped.as_bytes()],
            401,
            "credential_malformed",
        ),
        (
            "a gateway's",
            &[gateway.as_bytes()],
            401,
            "credential_malformed",
        ),
        (
            "well-formed, unknown",
            &[unknown.as_bytes()],
            401,
            "credential_unknown",
        ),
        ("good", &[ada.key.as_bytes()], 200, ""),
        ("with spaces before it", &[spaced.as_bytes()], 200, ""),
    ];
    for (what, values, status, code) in values {
        let mut request = request("GET", "/v1/ping", &[], "");
        for value in values {
            request
                .headers_mut()
                .append("x-api-key", HeaderValue::from_bytes(value)?);
        }
        let answer = envoy.send(request).await.context(what)?;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (status, code),
            "{what}"
        );
    }

    // Odd bytes and long values elsewhere are the upstream's to judge.
    for (name, value) in [
        ("x-other", b"\xff\xfe".as_slice()),
        ("origin", b"\xff\xfe"),
        ("x-request-id", b"\xff\xfe"),
        ("content-type", b"\xff"),
        ("x-long", "x".repeat(50_000).as_bytes()),
    ] {
        for key in [ada.key.as_str(), "nobody"] {
            let mut request = get("/v1/ping", key);
            request
                .headers_mut()
                .append(name, HeaderValue::from_bytes(value)?);
            let answer = envoy.send(request).await.context(name)?;
            let expected = if key == "nobody" { 401 } else { 200 };
            assert_eq!(answer.status, expected, "{name}: {answer:?}");
        }
    }
    // 64 KB and more is beyond what Envoy takes at all.
    let huge = "x".repeat(70_000);
    let answer = envoy.send(get("/v1/ping", &huge)).await?;
    assert_eq!(answer.status, 431, "{answer:?}");
    scene.adds_up([envoy]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_unknown_keys_is_bounded_and_harms_nobody() -> Result<()> {
    let scene = Scene::start().await?;
    let budget = 50;
    let limits =
        json!({"limits": {"unknown_keys_max": 1000, "unknown_lookups_per_second": budget}});
    let envoy = scene
        .envoy_with("edge", &Setup::default().logging().filter(limits))
        .await?;
    let ada = scene.customer("ada", "100000").await?;
    assert_eq!(envoy.send(get("/v1/ping", &ada.key)).await?.status, 200);
    let cells = until("the cell is counted", ms(2_000), async || {
        let cells = envoy.metric("creditgate_cells_made").await?;
        Ok((cells > 0).then_some(cells))
    })
    .await?;
    let before = memory(&envoy).await?;
    let lookups = scene.proxy.calls(RESOLVE);

    let key = ada.key.clone();
    let customer = Background::start(&[envoy.address()], 2, Duration::from_millis(5), move |_| {
        get("/v1/ping", &key)
    });
    let keys: Arc<Vec<String>> = Arc::new((0..10_000_u32).map(invented).collect());
    let flood = send_all(&[envoy.address()], 32, 10_000, move |number| {
        get("/v1/ping", &keys[number as usize])
    })
    .await;
    let customer = customer.stop().await;
    let after = memory(&envoy).await?;
    let lookups = scene.proxy.calls(RESOLVE) - lookups;
    figure(
        "flood",
        format!(
            "{flood}; {lookups} lookups; memory {before} → {after}; the customer meanwhile {customer}"
        ),
    );
    assert_eq!(flood.status(401) + flood.status(503), 10_000, "{flood}");
    assert_eq!(customer.status(200), customer.answered(), "{customer}");
    // Two workers; a full second's budget at the start, and calls under way when it ends.
    let seconds = flood.elapsed.as_secs() + 2;
    let most = 2 * (budget * seconds + 64);
    assert!(
        lookups <= most,
        "{lookups} lookups in {seconds} s, not {most}"
    );
    assert_eq!(
        envoy.metric("creditgate_cells_made").await?,
        cells,
        "an unknown key made a cell"
    );
    assert!(after < before + (64 << 20), "memory {before} → {after}");
    // A new customer is let in right after.
    let bob = scene.customer("bob", "5").await?;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(envoy.send(get("/v1/ping", &bob.key)).await?.status, 200);
    scene.adds_up([envoy]).await
}

/// A key that could exist, and does not.
fn invented(number: u32) -> String {
    let mut random = [0x5a; 32];
    random[..4].copy_from_slice(&number.to_le_bytes());
    compose(KeyKind::Consumer, &random)
}

/// What Envoy has allocated, in bytes.
async fn memory(envoy: &Envoy) -> Result<u64> {
    let memory: BTreeMap<String, serde_json::Value> =
        serde_json::from_value(envoy.admin("GET", "/memory").await?.json())?;
    let allocated = memory.get("allocated").and_then(|value| value.as_str());
    Ok(allocated.context("allocated")?.parse()?)
}
