//! Everything that fails, at once: never more passes than was funded.

use std::sync::Arc;

use anyhow::Result;
use creditgate_tests::client::get;
use creditgate_tests::clock::{ms, pause, until};
use creditgate_tests::fault_proxy::{Fault, SYNC};
use creditgate_tests::figures::figure;
use creditgate_tests::load::{Background, send_all};
use creditgate_tests::scene::{Scene, card, fast_settings};
use creditgate_tests::sums::Torn;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_no_more_passes_than_was_funded() -> Result<()> {
    let mut settings = fast_settings();
    settings["silent_after_ms"] = json!(2_500);
    let mut scene = Scene::with(&settings, &card(), false).await?;
    let mut east = scene.envoy("east").await?;
    let mut west = scene.envoy("west").await?;
    let mut customers = Vec::new();
    for number in 0..4 {
        customers.push(scene.customer(&format!("c{number}"), "600").await?);
    }
    let keys: Arc<Vec<String>> = Arc::new(customers.iter().map(|c| c.key.clone()).collect());
    let start = |gateways: &[std::net::SocketAddr]| {
        let keys = Arc::clone(&keys);
        Background::start(gateways, 8, ms(8), move |number| {
            get("/v1/ping", &keys[(number % 4) as usize])
        })
    };
    let load = start(&[east.address(), west.address()]);
    pause(ms(500)).await;
    // An answer is lost, and with it the control plane.
    scene.proxy.harm(SYNC, Fault::LoseAnswer);
    pause(ms(120)).await;
    scene.plane.kill();
    scene.proxy.heal_all();
    pause(ms(200)).await;
    scene.plane.restart().await?;
    pause(ms(300)).await;
    // A gateway dies while the control plane is away.
    scene.plane.kill();
    east.kill_known().await?;
    pause(ms(200)).await;
    scene.plane.restart().await?;
    pause(ms(300)).await;
    let killed = load.stop().await;
    let first_east = std::mem::replace(&mut east, scene.envoy("east").await?);
    let load = start(&[east.address(), west.address()]);
    scene.proxy.harm(SYNC, Fault::Delay(ms(150)));
    pause(ms(700)).await;
    scene.proxy.heal_all();
    west.kill_known().await?;
    let second = load.stop().await;
    let first_west = std::mem::replace(&mut west, scene.envoy("west").await?);

    // All that can still be spent is spent.
    let keys = Arc::clone(&keys);
    let rest = send_all(&[east.address(), west.address()], 8, 4_000, move |number| {
        get("/v1/ping", &keys[(number % 4) as usize])
    })
    .await;
    figure("chaos", format!("{killed}; {second}; {rest}"));
    let (mut spent, mut set_aside) = (0, 0);
    for customer in &customers {
        let balance = until("dead gateways are noticed", ms(15_000), async || {
            let balance = scene.balance(customer).await?;
            Ok((balance.lent == 0 && balance.held == 0).then_some(balance))
        })
        .await?;
        assert_eq!(
            balance.available + balance.quarantined + balance.spent,
            600,
            "{}: {balance:?}",
            customer.name
        );
        spent += balance.spent;
        set_aside += balance.quarantined;
    }
    let passed = i128::from(scene.upstream.requests());
    figure(
        "chaos",
        format!("funded 2400, passed {passed}, spent {spent}, quarantined {set_aside}"),
    );
    assert!(passed <= 2_400, "{passed} passed, 2400 were funded");
    assert!(
        passed <= spent + set_aside,
        "{passed} passed, {spent} spent, {set_aside} quarantined"
    );
    assert!(spent <= passed, "{spent} spent, {passed} passed");
    scene.plane.verify().await?;

    // The operator looks, and decides.
    for lease in scene.admin.leases("quarantined").await? {
        let path = format!(
            "/v1/leases/{}/resolve",
            lease["id"].as_str().unwrap_or_default()
        );
        let body = json!({"action": "consume", "reason": "these machines are gone"});
        scene.admin.post(&path, &body).await?;
    }
    east.never_trapped()?;
    west.never_trapped()?;
    let killed = vec![first_east, first_west];
    scene.adds_up_torn([east, west], Torn::Killed(killed)).await
}
