//! The line between the halves loses, delays and cuts; sums stay exact, and all of it recovers.

use std::sync::Arc;

use anyhow::Result;
use creditgate_tests::client::get;
use creditgate_tests::clock::{ms, pause, until};
use creditgate_tests::fault_proxy::{Fault, POLL, RESOLVE, SYNC};
use creditgate_tests::figures::figure;
use creditgate_tests::load::{Background, send_all};
use creditgate_tests::scene::Scene;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_line_never_changes_the_sum() -> Result<()> {
    let scene = Scene::start().await?;
    let (east, west) = tokio::try_join!(scene.envoy("east"), scene.envoy("west"))?;
    let gateways = [east.address(), west.address()];
    let mut customers = Vec::new();
    for number in 0..6 {
        customers.push(scene.customer(&format!("c{number}"), "400").await?);
    }
    let keys: Arc<Vec<String>> = Arc::new(customers.iter().map(|c| c.key.clone()).collect());
    let load = {
        let keys = Arc::clone(&keys);
        Background::start(&gateways, 12, ms(10), move |number| {
            get("/v1/ping", &keys[(number % 6) as usize])
        })
    };
    let faults = [
        (SYNC, Fault::LoseAnswer),
        (POLL, Fault::Cut),
        (SYNC, Fault::HoldAnswer),
        (RESOLVE, Fault::LoseAnswer),
        (SYNC, Fault::Delay(ms(120))),
        (POLL, Fault::LoseAnswer),
        (SYNC, Fault::Cut),
        (POLL, Fault::HoldAnswer),
    ];
    for round in 0..2 {
        for (step, (path, fault)) in faults.into_iter().enumerate() {
            scene.proxy.harm(path, fault);
            pause(ms(200)).await;
            // Every second one stays until the next: two at once.
            if (step + round) % 2 == 0 {
                scene.proxy.heal_all();
                pause(ms(50)).await;
            }
        }
        scene.proxy.heal_all();
    }
    let load = load.stop().await;
    figure("bad line", &load);
    assert!(load.broken.is_empty(), "{:?}", load.broken.first());
    assert!(load.status(200) > 400, "hardly anything passed: {load}");
    assert_eq!(load.status(200), scene.upstream.requests());

    // Nothing of it is quarantined or lost: every last credit can be spent.
    let rest = send_all(&gateways, 12, 3_000, move |number| {
        get("/v1/ping", &keys[(number % 6) as usize])
    })
    .await;
    figure("bad line", format!("afterwards {rest}"));
    assert_eq!(scene.upstream.requests(), 2_400, "{rest}");
    assert_eq!(rest.status(200) + rest.status(402), 3_000, "{rest}");
    for customer in &customers {
        let balance = scene.at_rest(customer).await?;
        assert_eq!(
            (balance.spent, balance.available, balance.quarantined),
            (400, 0, 0)
        );
    }
    scene.adds_up([east, west]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_was_revoked_moved_or_rotated_is_looked_up_again_by_every_worker() -> Result<()>
{
    let scene = Scene::start().await?;
    let envoy = scene.envoy("edge").await?;
    let ada = scene.customer("ada", "1000").await?;
    let bob = scene.customer("bob", "1000").await?;
    let id = |keys: Vec<serde_json::Value>| {
        let id = keys.first().and_then(|key| key["id"].as_str());
        id.unwrap_or_default().to_owned()
    };
    let key = id(scene.admin.list("/v1/customers/ada/keys").await?);
    let all = |status: u16| {
        let (envoy, key) = (&envoy, &ada.key);
        async move {
            until("every worker knows", ms(5_000), async || {
                for _ in 0..12 {
                    // A new connection each: any worker may take it.
                    if envoy.send(get("/v1/ping", key)).await?.status != status {
                        return Ok(None);
                    }
                }
                Ok(Some(()))
            })
            .await
        }
    };
    all(200).await?;
    let spent = scene.at_rest(&ada).await?.spent;
    assert_eq!(spent, i128::from(scene.upstream.requests()));

    let body = serde_json::json!({"customer_id": "bob"});
    scene
        .admin
        .post(&format!("/v1/keys/{key}/move"), &body)
        .await?;
    all(200).await?;
    until("bob pays", ms(5_000), async || {
        envoy.send(get("/v1/ping", &ada.key)).await?;
        Ok((scene.balance(&bob).await?.spent > 0).then_some(()))
    })
    .await?;
    let before = scene.at_rest(&ada).await?.spent;
    for _ in 0..12 {
        assert_eq!(envoy.send(get("/v1/ping", &ada.key)).await?.status, 200);
    }
    assert_eq!(
        scene.at_rest(&ada).await?.spent,
        before,
        "a moved key still costs its old customer"
    );

    let body = serde_json::json!({});
    scene
        .admin
        .post(&format!("/v1/keys/{key}/revoke"), &body)
        .await?;
    all(401).await?;
    let total = scene.at_rest(&ada).await?.spent + scene.at_rest(&bob).await?.spent;
    assert_eq!(total, i128::from(scene.upstream.requests()));
    scene.adds_up([envoy]).await
}
