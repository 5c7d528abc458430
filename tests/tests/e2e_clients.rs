//! Clients of every kind can read a refusal, and shadow mode refuses nobody.

use anyhow::Result;
use creditgate_tests::client::{get, request};
use creditgate_tests::clock::{ms, until};
use creditgate_tests::envoy::Setup;
use creditgate_tests::scene::Scene;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grpc_client_is_refused_by_a_grpc_status() -> Result<()> {
    let scene = Scene::start().await?;
    let envoy = scene.envoy("edge").await?;
    let ada = scene.customer("ada", "0").await?;
    for (key, path, status) in [
        (ada.key.as_str(), "/v1/ping", "8"),
        ("nobody", "/v1/ping", "16"),
        (&ada.key, "/v1/nothing", "7"),
    ] {
        let headers = [("x-api-key", key), ("content-type", "application/grpc")];
        let answer = envoy.send(request("POST", path, &headers, "")).await?;
        // gRPC speaks of errors in its own header; HTTP's status is always 200.
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert_eq!(answer.header("grpc-status"), status, "{path}: {answer:?}");
        assert!(
            !answer.header("grpc-message").is_empty(),
            "{path}: {answer:?}"
        );
    }
    assert_eq!(scene.upstream.requests(), 0);
    scene.adds_up([envoy]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_asks_for_free_and_can_read_the_402() -> Result<()> {
    let scene = Scene::start().await?;
    let envoy = scene.envoy("edge").await?;
    let ada = scene.customer("ada", "0").await?;
    let preflight = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "GET"),
    ];
    let answer = envoy
        .send(request("OPTIONS", "/v1/ping", &preflight, ""))
        .await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    let headers = [
        ("origin", "https://app.example"),
        ("x-api-key", ada.key.as_str()),
    ];
    let refused = envoy.send(request("GET", "/v1/ping", &headers, "")).await?;
    assert_eq!(refused.status, 402, "{refused:?}");
    assert_eq!(
        refused.header("access-control-allow-origin"),
        "https://app.example"
    );
    // Whoever only looks like a preflight pays.
    let disguised = request("GET", "/v1/ping", &preflight, "");
    assert_eq!(envoy.send(disguised).await?.status, 401);
    scene.adds_up([envoy]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shadow_mode_lets_everything_through_moves_no_money_and_counts() -> Result<()> {
    let scene = Scene::start().await?;
    let setup = Setup::default().logging().filter(json!({"mode": "shadow"}));
    let envoy = scene.envoy_with("edge", &setup).await?;
    let ada = scene.customer("ada", "0").await?;
    let bob = scene.customer("bob", "10").await?;
    for key in [ada.key.as_str(), &bob.key, "nobody"] {
        for _ in 0..5 {
            assert_eq!(envoy.send(get("/v1/ping", key)).await?.status, 200);
        }
    }
    until(
        "refusals that would have been are counted",
        ms(5_000),
        async || {
            assert_eq!(envoy.send(get("/v1/ping", &ada.key)).await?.status, 200);
            let would = envoy.metric("creditgate_would_refuse").await?;
            Ok((would > 5).then_some(()))
        },
    )
    .await?;
    assert_eq!(scene.at_rest(&bob).await?.available, 10);
    assert_eq!(scene.at_rest(&ada).await?.spent, 0);
    scene.adds_up([envoy]).await
}
