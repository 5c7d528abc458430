//! A body never reaches the upstream before the decision, whichever way Envoy holds headers.

use anyhow::Result;
use creditgate_tests::client::request;
use creditgate_tests::clock::{ms, pause};
use creditgate_tests::envoy::{Envoy, Setup};
use creditgate_tests::fault_proxy::{Fault, RESOLVE, SYNC};
use creditgate_tests::load::send_all;
use creditgate_tests::scene::{Customer, Scene, card, fast_settings};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const STOP: &str = "root_id: creditgate\n                allow_on_headers_stop_iteration: true";

fn setup(stops_iteration: bool) -> Setup {
    match stops_iteration {
        true => Setup::default().logging().edit("root_id: creditgate", STOP),
        false => Setup::default().logging(),
    }
}

/// Posts `size` bytes; says how much the upstream had seen 250 ms later, and the answer's status.
async fn post(
    scene: &Scene,
    envoy: &Envoy,
    customer: &Customer,
    id: &str,
    size: usize,
) -> Result<(bool, u16)> {
    let headers = [("x-api-key", customer.key.as_str()), ("x-test-id", id)];
    let request = request("POST", "/v1/ping", &headers, vec![b'x'; size]);
    let mut client = envoy.client();
    let answer = tokio::spawn(async move { client.send(request).await });
    pause(ms(250)).await;
    let early = !scene.upstream.seen(id).is_empty();
    Ok((early, answer.await??.status.as_u16()))
}

async fn bodies_wait_at_cold_start(stops_iteration: bool) -> Result<()> {
    let scene = Scene::start().await?;
    let envoy = scene.envoy_with("edge", &setup(stops_iteration)).await?;
    scene.proxy.harm(RESOLVE, Fault::Delay(ms(400)));
    for size in [10, 60_000, 400_000] {
        let ada = scene.customer(&format!("ada-{size}"), "10").await?;
        let id = format!("paid-{size}");
        let (early, status) = post(&scene, &envoy, &ada, &id, size).await?;
        assert!(
            !early,
            "{size} bytes reached the upstream before the decision"
        );
        assert_eq!(status, 200, "{size} bytes");
        let seen = scene.upstream.seen(&id);
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert_eq!(seen[0].body_bytes, size as u64);

        let eve = scene.customer(&format!("eve-{size}"), "0").await?;
        let id = format!("refused-{size}");
        let (early, status) = post(&scene, &envoy, &eve, &id, size).await?;
        assert_eq!((early, status), (false, 402), "{size} bytes");
        assert!(
            scene.upstream.seen(&id).is_empty(),
            "a refused request reached the upstream"
        );
    }
    scene.adds_up([envoy]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_at_cold_start_waits_for_the_decision() -> Result<()> {
    bodies_wait_at_cold_start(false).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_at_cold_start_waits_also_where_headers_stop_iteration() -> Result<()> {
    bodies_wait_at_cold_start(true).await
}

/// A body that goes on trickling after a part of it had waited for the decision.
async fn trickled_bodies_arrive_whole(stops_iteration: bool) -> Result<()> {
    const PIECES: usize = 5;
    const BYTES: usize = 200;
    let scene = Scene::start().await?;
    let envoy = scene.envoy_with("edge", &setup(stops_iteration)).await?;
    scene.proxy.harm(RESOLVE, Fault::Delay(ms(400)));
    let ada = scene.customer("ada", "10").await?;
    let mut stream = TcpStream::connect(envoy.address()).await?;
    let head = format!(
        "POST /v1/ping HTTP/1.1\r\nhost: api.example\r\nx-api-key: {}\r\nx-test-id: trickle\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        ada.key,
        PIECES * BYTES
    );
    stream.write_all(head.as_bytes()).await?;
    for piece in 0..PIECES {
        stream.write_all(&[b'x'; BYTES]).await?;
        stream.flush().await?;
        // The first waits for the decision; the others come when it has been made.
        pause(ms(if piece == 0 { 800 } else { 60 })).await;
    }
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(ms(5_000), read).await??;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let seen = scene.upstream.seen("trickle");
    assert_eq!(
        (seen.len(), seen[0].body_bytes),
        (1, (PIECES * BYTES) as u64)
    );
    scene.adds_up([envoy]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_trickles_in_after_the_decision_arrives_whole() -> Result<()> {
    trickled_bodies_arrive_whole(false).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_trickles_in_arrives_whole_also_where_headers_stop_iteration() -> Result<()> {
    trickled_bodies_arrive_whole(true).await
}

async fn bodies_wait_at_recall(stops_iteration: bool) -> Result<()> {
    let mut settings = fast_settings();
    settings["idle_ms"] = json!(60_000);
    settings["use_by_ms"] = json!(8_000);
    settings["silent_after_ms"] = json!(20_000);
    settings["wait_ms"] = json!(2_000);
    let scene = Scene::with(&settings, &card(), false).await?;
    let setup = setup(stops_iteration);
    let (east, west) = tokio::try_join!(scene.envoy("east"), scene.envoy_with("west", &setup))?;
    let ada = scene.customer("ada", "400").await?;
    // East is lent much, west knows the customer.
    let key = ada.key.clone();
    send_all(&[east.address()], 4, 100, move |_| {
        creditgate_tests::client::get("/v1/ping", &key)
    })
    .await;
    let balance = scene.balance(&ada).await?;
    assert!(balance.lent > 0, "{balance:?}");

    scene.proxy.harm(SYNC, Fault::Delay(ms(150)));
    let (mut waited, mut paid) = (0, 100);
    loop {
        let id = format!("recall-{paid}");
        let headers = [("x-api-key", ada.key.as_str()), ("x-test-id", id.as_str())];
        let post = request("POST", "/v1/ping", &headers, vec![b'x'; 60_000]);
        let answer = west.send(post).await?;
        let seen = scene.upstream.seen(&id);
        if answer.status != 200 {
            assert_eq!(answer.status, 402, "{answer:?}");
            assert!(seen.is_empty(), "a refused body reached the upstream");
            break;
        }
        assert_eq!((seen.len(), seen[0].body_bytes), (1, 60_000));
        waited += u32::from(answer.took > ms(100));
        paid += 1;
    }
    assert_eq!(
        paid, 400,
        "refused, though the other gateway held unused credit"
    );
    assert!(waited > 0, "no request had to wait");
    assert_eq!(scene.upstream.requests(), 400);
    scene.adds_up([east, west]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_at_recall_waits_for_the_decision() -> Result<()> {
    bodies_wait_at_recall(false).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_at_recall_waits_also_where_headers_stop_iteration() -> Result<()> {
    bodies_wait_at_recall(true).await
}
