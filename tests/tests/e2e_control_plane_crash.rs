//! The control plane dies in the middle of traffic and comes back; nothing is lost or doubled.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use creditgate_tests::client::get;
use creditgate_tests::clock::{ms, now, pause, until};
use creditgate_tests::figures::figure;
use creditgate_tests::load::Background;
use creditgate_tests::scene::{Scene, fast_settings};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traffic_goes_on_while_the_control_plane_is_killed_and_restarted() -> Result<()> {
    let mut settings = fast_settings();
    // Long enough for a restart not to be noticed.
    settings["use_by_ms"] = json!(8_000);
    settings["silent_after_ms"] = json!(10_000);
    let mut scene = Scene::with(&settings, &creditgate_tests::scene::card(), false).await?;
    let envoy = scene.envoy("edge").await?;
    let ada = scene.customer("ada", "50000").await?;
    let bob = scene.customer("bob", "0").await?;

    let key = ada.key.clone();
    let traffic = Background::start(&[envoy.address()], 4, ms(10), move |_| {
        get("/v1/ping", &key)
    });
    // A stream of top-ups, each under a key of its own and repeated until it is answered.
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (admin, stop) = (scene.admin.clone(), Arc::clone(&stop));
        let path = format!("/v1/wallets/{}/top-up", bob.wallet);
        async move {
            let (mut acknowledged, mut repeated) = (0_u32, 0);
            while !stop.load(Ordering::SeqCst) {
                let key = format!("top-up-{acknowledged}");
                let body = json!({"credits_to_add": 1});
                let (_, tries) = admin.post_until_answered(&path, &body, &key).await?;
                acknowledged += 1;
                repeated += tries - 1;
            }
            anyhow::Ok((acknowledged, repeated))
        }
    });
    for round in 0..3 {
        pause(ms(1_000)).await;
        let killed = now();
        scene.plane.kill();
        pause(ms(300)).await;
        scene.plane.restart().await?;
        figure(
            "control plane",
            format!("killed and back {round}: {:.1?}", killed.elapsed()),
        );
    }
    pause(ms(1_000)).await;
    stop.store(true, Ordering::SeqCst);
    let (acknowledged, repeated) = writer.await??;
    let traffic = traffic.stop().await;
    figure(
        "control plane",
        format!("traffic through three kills: {traffic}"),
    );
    assert_eq!(traffic.status(200), traffic.answered(), "{traffic}");
    assert!(traffic.broken.is_empty(), "{:?}", traffic.broken.first());
    assert_eq!(scene.upstream.requests(), traffic.status(200));

    let balance = scene.at_rest(&ada).await?;
    let spent = i128::from(traffic.status(200));
    assert_eq!((balance.spent, balance.available), (spent, 50_000 - spent));
    assert_eq!(balance.quarantined, 0);
    let funded = scene.balance(&bob).await?.available;
    figure(
        "control plane",
        format!("top-ups acknowledged {acknowledged}, repeats {repeated}, found {funded}"),
    );
    assert!(repeated > 0, "no kill fell on a top-up");
    assert_eq!(funded, i128::from(acknowledged), "each once, none lost");
    scene.adds_up([envoy]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strict_accounts_stop_at_use_by_and_recover_by_themselves() -> Result<()> {
    let mut scene = Scene::start().await?;
    let envoy = scene.envoy("edge").await?;
    let ada = scene.customer("ada", "50000").await?;
    let key = ada.key.clone();
    let traffic = Background::start(&[envoy.address()], 2, ms(20), move |_| {
        get("/v1/ping", &key)
    });
    pause(ms(1_000)).await;
    // Its worker must know the customer: one that does not can only refuse.
    let mut client = envoy.client();
    assert_eq!(client.send(get("/v1/ping", &ada.key)).await?.status, 200);
    let stopped = now();
    scene.plane.kill();
    let refused = until("strict accounts stop", ms(10_000), async || {
        let answer = client.send(get("/v1/ping", &ada.key)).await?;
        Ok((answer.status == 503).then_some(answer))
    })
    .await?;
    let lasted = stopped.elapsed();
    figure(
        "use-by",
        format!("2 s; stopped after {lasted:.1?} with {}", refused.code()),
    );
    assert!(lasted < ms(5_000), "{lasted:?}");
    assert!(!refused.header("retry-after").is_empty(), "{refused:?}");
    let problem = refused.code();
    assert!(
        problem == "lease_past_use_by" || problem == "control_plane_unreachable",
        "{refused:?}"
    );
    // From then on nothing passes.
    let passed = scene.upstream.requests();
    pause(ms(1_000)).await;
    let still = scene.upstream.requests() - passed;
    assert!(still <= 2, "{still} requests passed without a lease");

    scene.plane.restart().await?;
    let restarted = now();
    until("traffic recovers", ms(10_000), async || {
        let answer = client.send(get("/v1/ping", &ada.key)).await?;
        Ok((answer.status == 200).then_some(()))
    })
    .await?;
    figure(
        "use-by",
        format!("recovered {:.1?} after the restart", restarted.elapsed()),
    );
    let traffic = traffic.stop().await;
    assert_eq!(
        traffic.status(200) + traffic.status(503),
        traffic.answered(),
        "{traffic}"
    );
    let balance = scene.at_rest(&ada).await?;
    assert_eq!(balance.spent, i128::from(scene.upstream.requests()));
    assert_eq!(
        balance.spent + balance.available + balance.quarantined,
        50_000
    );
    scene.adds_up([envoy]).await
}
