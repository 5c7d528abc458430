//! The first thing anyone sees: a request paid from a real ledger, and the 402 when it is empty.

use anyhow::Result;
use creditgate_tests::client::{get, request};
use creditgate_tests::clock::{ms, until};
use creditgate_tests::scene::Scene;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_paid_until_the_credit_is_gone_and_then_refused_with_402() -> Result<()> {
    let scene = Scene::start().await?;
    let envoy = scene.envoy("edge").await?;
    let ada = scene.customer("ada", "3").await?;

    for _ in 0..3 {
        let answer = envoy.send(get("/v1/ping", &ada.key)).await?;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.body, "hello\n");
        assert_eq!(answer.header("x-credit-cost"), "1");
        assert!(
            answer.header("x-credit-remaining").parse::<u64>().is_ok(),
            "{answer:?}"
        );
    }
    let refused = envoy.send(get("/v1/ping", &ada.key)).await?;
    assert_eq!(refused.status, 402, "{refused:?}");
    assert_eq!(refused.header("content-type"), "application/problem+json");
    let problem = refused.json();
    assert_eq!(problem["code"], "credit_exhausted");
    assert_eq!(problem["status"], 402);
    assert_eq!(problem["balance"], "0");
    assert_eq!(problem["required"], "1");
    assert_eq!(problem["currency"], "tokens");
    assert!(
        problem["title"].is_string() && problem["detail"].is_string(),
        "{problem}"
    );
    assert_eq!(
        scene.upstream.requests(),
        3,
        "the refused request reached the upstream"
    );

    scene.admin.top_up(&ada.wallet, "2").await?;
    until("the top-up pays", ms(5_000), async || {
        let answer = envoy.send(get("/v1/ping", &ada.key)).await?;
        Ok((answer.status == 200).then_some(()))
    })
    .await?;

    let balance = scene.at_rest(&ada).await?;
    assert_eq!((balance.spent, balance.available), (4, 1));
    scene.adds_up([envoy]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_can_not_be_charged_is_told_why() -> Result<()> {
    let scene = Scene::start().await?;
    let envoy = scene.envoy("edge").await?;
    let ada = scene.customer("ada", "10").await?;
    let revoked = scene.admin.key("ada").await?;
    let keys = scene.admin.list("/v1/customers/ada/keys").await?;
    let last = keys
        .last()
        .and_then(|key| key["id"].as_str())
        .unwrap_or_default();
    scene
        .admin
        .post(&format!("/v1/keys/{last}/revoke"), &serde_json::json!({}))
        .await?;
    let gone = if last.is_empty() { &ada.key } else { &revoked };

    for (what, request, status, code) in [
        (
            "no key",
            request("GET", "/v1/ping", &[], ""),
            401,
            "credential_missing",
        ),
        (
            "no key at all",
            get("/v1/ping", "hello"),
            401,
            "credential_malformed",
        ),
        ("revoked", get("/v1/ping", gone), 401, "credential_unknown"),
        (
            "no price",
            get("/v1/nothing", &ada.key),
            403,
            "route_denied",
        ),
        ("paid", get("/v1/ping", &ada.key), 200, ""),
        (
            "free, without a key",
            request("GET", "/v1/free", &[], ""),
            200,
            "",
        ),
        ("health check", request("GET", "/healthz", &[], ""), 200, ""),
    ] {
        let answer = envoy.send(request).await?;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (status, code),
            "{what}"
        );
        if status >= 400 {
            assert_eq!(
                answer.header("content-type"),
                "application/problem+json",
                "{what}"
            );
        }
    }
    let balance = scene.at_rest(&ada).await?;
    assert_eq!(balance.spent, 1);
    scene.adds_up([envoy]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_can_not_pretend_and_can_ask_for_its_balance_also_when_blocked() -> Result<()> {
    let scene = Scene::start().await?;
    let envoy = scene.envoy("edge").await?;
    let ada = scene.customer("ada", "10").await?;

    let headers = [
        ("x-api-key", ada.key.as_str()),
        ("x-test-id", "forged"),
        ("x-credit-remaining", "1000000"),
        ("x-credit-cost", "0"),
    ];
    let answer = envoy.send(request("GET", "/v1/ping", &headers, "")).await?;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-credit-cost"), "1");
    let seen = scene.upstream.seen("forged");
    let forged = seen
        .iter()
        .flat_map(|seen| seen.headers.keys())
        .any(|name| name.as_str().starts_with("x-credit-"));
    assert!(!seen.is_empty() && !forged, "the upstream saw {seen:?}");

    let path = "/.well-known/credit-balance";
    let own = envoy.send(get(path, &ada.key)).await?;
    assert_eq!(own.status, 200, "{own:?}");
    assert_eq!(own.json()["balance"], "9", "{own:?}");

    scene
        .admin
        .post("/v1/customers/ada/suspend", &serde_json::json!({}))
        .await?;
    until("the suspension blocks", ms(5_000), async || {
        let answer = envoy.send(get("/v1/ping", &ada.key)).await?;
        Ok((answer.status == 403).then_some(()))
    })
    .await?;
    let own = envoy.send(get(path, &ada.key)).await?;
    assert_eq!(own.status, 200, "{own:?}");
    assert_eq!(envoy.send(get(path, "nobody")).await?.status, 401);
    scene.adds_up([envoy]).await
}
