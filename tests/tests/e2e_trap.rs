//! A worker's VM traps: its requests in flight are harmed, nobody else's, and no money is lost.

use anyhow::Result;
use creditgate_tests::admin::text;
use creditgate_tests::client::{get, get_behaving, request};
use creditgate_tests::clock::{ms, now, pause, until};
use creditgate_tests::envoy::Setup;
use creditgate_tests::figures::figure;
use creditgate_tests::scene::{Scene, card, fast_settings};
use creditgate_tests::sums::Torn;
use creditgate_tests::tools;
use serde_json::json;
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_trapped_vm_had_reserved_stays_accounted_and_is_resolved_by_turning() -> Result<()> {
    let mut settings = fast_settings();
    settings["max_stream_ms"] = json!(2_500);
    let scene = Scene::with(&settings, &card(), false).await?;
    let setup = Setup::default()
        .logging()
        .module(tools::filter_with_test_actions()?);
    let envoy = scene.envoy_with("edge", &setup).await?;
    let ada = scene.customer("ada", "1000").await?;
    let bob = scene.customer("bob", "1000").await?;
    for customer in [&ada, &bob] {
        assert_eq!(
            envoy.send(get("/v1/ping", &customer.key)).await?.status,
            200
        );
    }

    // In flight on both workers.
    let mut in_flight = JoinSet::new();
    for _ in 0..24 {
        let (mut client, key) = (envoy.client(), ada.key.clone());
        in_flight.spawn(async move {
            client
                .send(get_behaving("/v1/ping", &key, "slow=1200"))
                .await
        });
    }
    until("the upstream is at work", ms(5_000), async || {
        Ok((scene.upstream.requests() >= 26).then_some(()))
    })
    .await?;
    let trap = [("x-api-key", ada.key.as_str()), ("x-test-trap", "1")];
    let trapped = envoy.send(request("GET", "/v1/ping", &trap, "")).await;
    assert!(
        trapped.map_or(true, |answer| answer.status == 503),
        "the request that trapped was answered"
    );
    assert!(envoy.never_trapped().is_err(), "the VM did not trap");
    let at = now();
    let back = until("the VM is back", ms(10_000), async || {
        // Both workers: whichever takes a connection.
        for _ in 0..16 {
            let answer = envoy.send(get("/v1/ping", &bob.key)).await;
            if !answer.is_ok_and(|answer| answer.status == 200) {
                return Ok(None);
            }
        }
        Ok(Some(at.elapsed()))
    })
    .await?;
    let (mut served, mut harmed) = (0, 0);
    while let Some(answer) = in_flight.join_next().await {
        match answer? {
            Ok(answer) if answer.status == 200 => served += 1,
            _ => harmed += 1,
        }
    }
    let held = scene.balance(&ada).await?;
    figure(
        "trap",
        format!("{harmed} harmed, {served} served, back after {back:.1?}; {held:?}"),
    );
    assert!(
        harmed > 0,
        "no request was in flight on the worker that trapped"
    );
    assert!(
        served > 0,
        "the other worker's requests were harmed as well"
    );
    // The account stays in use; its lease turns, and turns again, and what was held is dead.
    let started = now();
    let resolved = until("what was held is resolved", ms(20_000), async || {
        envoy.send(get("/v1/ping", &ada.key)).await?;
        pause(ms(200)).await;
        let balance = scene.balance(&ada).await?;
        Ok((balance.held == 0).then_some(balance))
    })
    .await?;
    figure(
        "trap",
        format!(
            "resolved by turning after {:.1?}: {resolved:?}",
            started.elapsed()
        ),
    );
    let rest = scene.at_rest(&ada).await?;
    assert_eq!(rest.available + rest.spent, 1_000, "{rest:?}");
    // The trapping request never came to the upstream, but its reservation is charged as all that is dead.
    let passed = i128::from(scene.upstream.requests()) - scene.at_rest(&bob).await?.spent;
    assert!(
        rest.spent >= passed && rest.spent <= passed + 2,
        "{rest:?}, {passed} passed"
    );
    // No line tells of what the worker had admitted, nor does detail: it is shown apart.
    let balance = scene
        .admin
        .get("/v1/customers/ada/balance?currency=tokens")
        .await?;
    let dead: i128 = text(&balance, "spent_unattributed")?.parse()?;
    assert!(dead >= harmed && dead <= harmed + 2, "{dead}, not {harmed}");
    until("detail tells the rest", ms(5_000), async || {
        let accounts = scene.admin.list("/v1/customers/ada/usage").await?;
        Ok((text(&accounts[0], "unattributed")? == dead.to_string()).then_some(()))
    })
    .await?;
    scene.adds_up_torn([envoy], Torn::Booking).await
}
