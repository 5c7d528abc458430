//! Clients of every kind can read a refusal, and shadow mode refuses nobody.

use std::collections::BTreeMap;

use anyhow::Result;
use creditgate_tests::client::{get, request};
use creditgate_tests::clock::{ms, until};
use creditgate_tests::envoy::{Envoy, Setup};
use creditgate_tests::load::send_all;
use creditgate_tests::scene::Scene;
use serde_json::{Value, json};

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

/// How many requests the access logs have, by outcome and rule; of those without a rule by why they
/// would be refused.
fn outcomes(envoys: &[Envoy]) -> BTreeMap<(String, String), u64> {
    let lines = envoys.iter().flat_map(Envoy::access_log);
    let mut outcomes = BTreeMap::new();
    for line in lines {
        let line: Value = serde_json::from_str(&line).unwrap_or_default();
        let text = |name: &str| line[name].as_str().map(str::to_owned);
        let what = text("rule").or_else(|| text("code"));
        let key = (
            text("outcome").unwrap_or_default(),
            what.unwrap_or_default(),
        );
        *outcomes.entry(key).or_default() += 1;
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_clients_at_two_gateways_in_shadow_mode_spend_nothing_and_are_counted() -> Result<()>
{
    const OF_EACH: u64 = 400;
    let scene = Scene::start().await?;
    let setup = Setup::default().logging().filter(json!({"mode": "shadow"}));
    let (east, west) = tokio::try_join!(
        scene.envoy_with("east", &setup),
        scene.envoy_with("west", &setup)
    )?;
    let envoys = [east, west];
    let ada = scene.customer("ada", "0").await?;
    let bob = scene.customer("bob", "1000").await?;
    for envoy in &envoys {
        until("it has its rate card", ms(10_000), async || {
            envoy.send(get("/v1/ping", &ada.key)).await?;
            Ok((envoy.metric("would_refuse").await? > 0).then_some(()))
        })
        .await?;
    }
    let asks = [
        ("/v1/always", ada.key.clone()),
        ("/v1/report", bob.key.clone()),
        ("/v1/always", "nobody".to_owned()),
    ];
    let before = scene.upstream.requests();
    let gateways = envoys.each_ref().map(Envoy::address);
    let load = send_all(&gateways, 16, 3 * OF_EACH, move |number| {
        let (path, key) = &asks[usize::try_from(number % 3).unwrap_or(0)];
        get(path, key)
    })
    .await;
    assert_eq!(load.status(200), 3 * OF_EACH, "{load}");
    assert_eq!(scene.upstream.requests() - before, 3 * OF_EACH);

    // Until a worker has looked a key up it does not know; nobody's key it need not look up.
    let known = [
        ("would_refuse", "always"),
        ("undecided", "always"),
        ("would_admit", "report"),
        ("undecided", "report"),
        ("would_refuse", "credential_malformed"),
    ];
    let mut last = (BTreeMap::new(), 0);
    let all = until("all are logged and counted", ms(10_000), async || {
        let found = outcomes(&envoys);
        let refused = found
            .iter()
            .filter(|((outcome, _), _)| outcome == "would_refuse");
        let refused: u64 = refused.map(|(_, count)| count).sum();
        let mut counted = 0;
        for envoy in &envoys {
            counted += envoy.metric("would_refuse").await?;
        }
        let of = known.map(|(outcome, what)| {
            let key = (outcome.to_owned(), what.to_owned());
            found.get(&key).copied().unwrap_or_default()
        });
        last = (found, counted);
        Ok((of.iter().sum::<u64>() == 3 * OF_EACH && counted == refused).then_some(of))
    })
    .await;
    let [refused, asked, admitted, looked_up, nobody] =
        all.map_err(|error| error.context(format!("{last:?}")))?;
    assert_eq!(refused + asked, OF_EACH, "{last:?}");
    assert_eq!(admitted + looked_up, OF_EACH, "{last:?}");
    assert_eq!(nobody, OF_EACH, "{last:?}");
    assert!(refused > 0 && admitted > 0, "{last:?}");

    assert_eq!(scene.at_rest(&ada).await?.spent, 0);
    let balance = scene.at_rest(&bob).await?;
    assert_eq!((balance.spent, balance.available), (0, 1_000));
    scene.adds_up(envoys).await
}
