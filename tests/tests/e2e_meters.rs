//! What a real Envoy tells of a request decides its price: bytes, time, headers, its route.

use anyhow::Result;
use creditgate_tests::client::{get_behaving, request};
use creditgate_tests::dues::Stage;
use creditgate_tests::envoy::Setup;
use creditgate_tests::scene::Scene;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_seconds_and_units_of_the_request_are_charged_as_they_were() -> Result<()> {
    let scene = Scene::priced(json!([
        {"id": "sent", "path": {"exact": "/sent"}, "meters": [{"meter": "request_bytes", "price": 1}]},
        {"id": "got", "path": {"exact": "/got"}, "promise": "expected", "meters": [{"meter": "response_bytes", "price": 2, "estimate": 9}]},
        {"id": "told", "path": {"exact": "/told"}, "meters": [
            {"meter": {"request_header": "x-units"}, "price": 5, "estimate": 3}]},
        {"id": "timed", "path": {"exact": "/timed"}, "meters": [
            {"meter": "seconds", "price": 1000, "estimate": 1}]},
    ]));
    let mut stage = Stage::of(scene.await?, &["ada", "bob", "eve", "dan"]).await?;
    let setup = Setup::default().logging();
    let mut envoy = stage.scene.envoy_with("edge", &setup).await?;
    for (name, path, more, body, cost) in [
        ("ada", "/sent", ("x-any", "1"), "x".repeat(77), 77),
        (
            "bob",
            "/got",
            ("x-behave", "stream=3,10"),
            String::new(),
            600,
        ),
        ("eve", "/told", ("x-units", "4"), String::new(), 20),
        ("eve", "/told", ("x-more", "4"), String::new(), 15),
    ] {
        let headers = [("x-api-key", stage.key(name)), more];
        let answer = envoy.send(request("POST", path, &headers, body)).await?;
        stage.paid(name, cost, &answer);
    }
    let headers = [("x-api-key", stage.key("eve")), ("x-units", "four")];
    let answer = envoy.send(request("POST", "/told", &headers, "")).await?;
    assert_eq!(answer.status, 400, "{answer:?}");
    let slow = get_behaving("/timed", stage.key("dan"), "slow=300");
    let answer = envoy.send(slow).await?;
    let spent = stage.scene.at_rest(stage.customer("dan")).await?.spent;
    assert!(spent >= 250, "at 1 a millisecond: {spent}");
    stage.paid("dan", spent, &answer);
    stage.ends(&mut envoy).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_goes_by_the_name_of_envoys_route() -> Result<()> {
    let scene = Scene::priced(json!([
        {"id": "ping", "path": {"exact": "/v1/ping"}, "price": 1},
        {"id": "dear", "path": {"exact": "/v1/ping"}, "match": {"route": "v1.dear"}, "price": 7},
    ]));
    let mut stage = Stage::of(scene.await?, &["ada", "bob", "eve"]).await?;
    let any = "              - match: { prefix: \"/\" }\n";
    let named = |name: &str| {
        format!(
            "              - name: v1.{name}
                match: {{ prefix: \"/\", headers: [{{ name: x-plan, string_match: {{ exact: {name} }} }}] }}
                route: {{ cluster: upstream }}\n"
        )
    };
    let routes = format!("{}{}{any}", named("dear"), named("other"));
    let setup = Setup::default().logging().edit(any, &routes);
    let mut envoy = stage.scene.envoy_with("edge", &setup).await?;
    for (name, plan, cost) in [("ada", "dear", 7), ("bob", "other", 1), ("eve", "none", 1)] {
        let headers = [("x-api-key", stage.key(name)), ("x-plan", plan)];
        let answer = envoy.send(request("GET", "/v1/ping", &headers, "")).await?;
        stage.paid(name, cost, &answer);
    }
    stage.ends(&mut envoy).await
}
