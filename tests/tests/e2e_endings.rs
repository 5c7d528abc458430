//! However a request ends, it is charged exactly as its rule says, and once.

use anyhow::Result;
use creditgate_tests::client::{get_behaving, request};
use creditgate_tests::clock::{ms, pause, until};
use creditgate_tests::envoy::{Envoy, Setup};
use creditgate_tests::scene::{Customer, Scene};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn charged(scene: &Scene, customer: &Customer) -> Result<i128> {
    Ok(scene.at_rest(customer).await?.spent)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_upstream_made_of_a_request_decides_what_it_costs() -> Result<()> {
    let scene = Scene::start().await?;
    let envoy = scene.envoy("edge").await?;
    // (how the upstream behaves, status seen, charged on success, always charged)
    let endings = [
        ("status=200", Some(200), 1, 1),
        ("status=404", Some(404), 1, 1),
        ("status=500", Some(500), 0, 1),
        ("status=503", Some(503), 0, 1),
        ("reset", Some(503), 0, 1),
        ("reset-after=500", None, 0, 1),
        ("stream=3,20", Some(200), 1, 1),
        ("slow=100", Some(200), 1, 1),
    ];
    for (number, (behave, status, on_success, always)) in endings.into_iter().enumerate() {
        for (path, cost) in [("/v1/ping", on_success), ("/v1/always", always)] {
            let name = format!("ada-{number}-{cost}-{}", &path[4..]);
            let ada = scene.customer(&name, "10").await?;
            let answer = envoy.send(get_behaving(path, &ada.key, behave)).await;
            let seen = answer.as_ref().map(|answer| answer.status.as_u16()).ok();
            assert_eq!(seen, status, "{path} {behave}: {answer:?}");
            assert_eq!(charged(&scene, &ada).await?, cost, "{path} {behave}");
        }
    }
    scene.adds_up([envoy]).await
}

/// Sends a request, reads until `enough`, and goes away.
async fn abort(envoy: &Envoy, customer: &Customer, behave: &str, enough: &[u8]) -> Result<()> {
    let mut stream = TcpStream::connect(envoy.address()).await?;
    let head = format!(
        "GET /v1/ping HTTP/1.1\r\nhost: api.example\r\nx-api-key: {}\r\nx-behave: {behave}\r\nx-test-id: {}\r\n\r\n",
        customer.key, customer.name
    );
    stream.write_all(head.as_bytes()).await?;
    let mut read = Vec::new();
    while !read
        .windows(enough.len().max(1))
        .any(|window| window == enough)
        && !enough.is_empty()
    {
        let mut piece = [0; 1024];
        let length = stream.read(&mut piece).await?;
        anyhow::ensure!(length > 0, "the gateway closed first");
        read.extend_from_slice(&piece[..length]);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_pays_for_what_the_upstream_was_at() -> Result<()> {
    let scene = Scene::start().await?;
    let envoy = scene.envoy("edge").await?;

    // In the middle of the answer.
    let ada = scene.customer("ada", "10").await?;
    abort(&envoy, &ada, "stream=50,50", b"0001\n").await?;
    assert_eq!(
        charged(&scene, &ada).await?,
        1,
        "aborted in the middle of the answer"
    );

    // Before the answer, while the upstream works.
    let bob = scene.customer("bob", "10").await?;
    let waiting = {
        let (address, bob) = (envoy.address(), bob.clone());
        tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await?;
            let head = format!(
                "GET /v1/ping HTTP/1.1\r\nhost: api.example\r\nx-api-key: {}\r\nx-behave: slow=3000\r\nx-test-id: bob\r\n\r\n",
                bob.key
            );
            stream.write_all(head.as_bytes()).await?;
            pause(ms(500)).await;
            anyhow::Ok(())
        })
    };
    until("the upstream is at work", ms(5_000), async || {
        Ok((!scene.upstream.seen("bob").is_empty()).then_some(()))
    })
    .await?;
    waiting.await??;
    assert_eq!(
        charged(&scene, &bob).await?,
        1,
        "aborted while the upstream was at work"
    );

    // Before the decision: a request that waits for its credential costs nothing.
    let eve = scene.customer("eve", "10").await?;
    scene.proxy.harm(
        creditgate_tests::fault_proxy::RESOLVE,
        creditgate_tests::fault_proxy::Fault::Delay(ms(300)),
    );
    abort(&envoy, &eve, "status=200", b"").await?;
    pause(ms(600)).await;
    assert_eq!(
        charged(&scene, &eve).await?,
        0,
        "aborted before the decision"
    );
    assert!(scene.upstream.seen("eve").is_empty());
    scene.adds_up([envoy]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_envoy_tries_again_is_charged_once() -> Result<()> {
    let scene = Scene::start().await?;
    let route = "route: { cluster: upstream }";
    let retrying = "route: { cluster: upstream, retry_policy: { retry_on: 5xx, num_retries: 2 } }";
    let setup = Setup::default().logging().edit(route, retrying);
    let envoy = scene.envoy_with("edge", &setup).await?;

    let ada = scene.customer("ada", "10").await?;
    let headers = [
        ("x-api-key", ada.key.as_str()),
        ("x-behave", "fail-first"),
        ("x-test-id", "again"),
    ];
    let answer = envoy.send(request("GET", "/v1/ping", &headers, "")).await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        scene.upstream.seen("again").len(),
        2,
        "Envoy did not try again"
    );
    assert_eq!(charged(&scene, &ada).await?, 1);

    let bob = scene.customer("bob", "10").await?;
    let answer = envoy
        .send(get_behaving("/v1/ping", &bob.key, "status=503"))
        .await?;
    assert_eq!(answer.status, 503);
    assert_eq!(charged(&scene, &bob).await?, 0, "all attempts failed");
    scene.adds_up([envoy]).await
}
