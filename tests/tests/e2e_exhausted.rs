//! Exhausted customers: the others never notice, and the control plane is not asked.

use anyhow::Result;
use creditgate_tests::client::get;
use creditgate_tests::clock::{ms, pause, percentile};
use creditgate_tests::envoy::Envoy;
use creditgate_tests::fault_proxy::{RESOLVE, SYNC};
use creditgate_tests::figures::figure;
use creditgate_tests::load::{Background, send_all};
use creditgate_tests::scene::{Customer, Scene};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn customers_do_not_notice_that_another_one_is_empty() -> Result<()> {
    let scene = Scene::start().await?;
    let envoy = scene.envoy("edge").await?;
    let ada = scene.customer("ada", "100000").await?;
    let bob = scene.customer("bob", "100000").await?;
    let eve = scene.customer("eve", "20").await?;

    let keys = [ada.key.clone(), bob.key.clone()];
    let gateway = [envoy.address()];
    let others = Background::start(&gateway, 8, ms(5), move |number| {
        get("/v1/ping", &keys[usize::from(number % 2 == 0)])
    });
    let key = eve.key.clone();
    let empty = send_all(&gateway, 8, 2_000, move |_| get("/v1/ping", &key)).await;
    let others = others.stop().await;
    figure(
        "three customers",
        format!("the empty one {empty}; the others {others}"),
    );
    assert_eq!(
        (empty.status(200), empty.status(402)),
        (20, 1_980),
        "{empty}"
    );
    assert_eq!(others.status(200), others.answered(), "{others}");
    assert!(others.broken.is_empty(), "{:?}", others.broken.first());
    assert!(percentile(&others.took, 99) < ms(1_000), "{others}");
    let spent = scene.at_rest(&ada).await?.spent + scene.at_rest(&bob).await?.spent;
    assert_eq!(spent, i128::from(others.status(200)));
    scene.adds_up([envoy]).await
}

/// Sends 1,000 requests that can't be paid; returns how many questions they caused.
async fn questions(
    scene: &Scene,
    envoy: &Envoy,
    customer: &Customer,
    path: &'static str,
) -> Result<u64> {
    let gateway = [envoy.address()];
    let key = customer.key.clone();
    // Until every worker knows the credential, and what was used has been reported and returned.
    let known = send_all(&gateway, 16, 64, move |_| get(path, &key)).await;
    assert_eq!(known.status(402), 64, "{known}");
    pause(ms(1_500)).await;
    let asked = || scene.proxy.calls(RESOLVE) + scene.proxy.calls(SYNC);
    let before = asked();
    let key = customer.key.clone();
    let refused = send_all(&gateway, 16, 1_000, move |_| get(path, &key)).await;
    figure(
        "exhausted",
        format!("{path}: {refused}, {} questions", asked() - before),
    );
    assert_eq!(refused.status(402), 1_000, "{refused}");
    assert!(
        refused.by_code.contains_key("credit_exhausted"),
        "{refused}"
    );
    Ok(asked() - before)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exhausted_customers_requests_make_no_call_to_the_control_plane() -> Result<()> {
    let scene = Scene::start().await?;
    let envoy = scene.envoy("edge").await?;
    let never = scene.customer("never", "0").await?;
    // A worker may meet the customer for the first time: one resolution each.
    assert!(questions(&scene, &envoy, &never, "/v1/ping").await? <= 2);

    let spent = scene.customer("spent", "2").await?;
    for _ in 0..2 {
        assert_eq!(envoy.send(get("/v1/ping", &spent.key)).await?.status, 200);
    }
    assert!(questions(&scene, &envoy, &spent, "/v1/ping").await? <= 2);
    assert_eq!(scene.upstream.requests(), 2);
    scene.adds_up([envoy]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_left_at_a_price_of_five_are_refused_without_a_call_and_still_buy_three() -> Result<()>
{
    let scene = Scene::start().await?;
    let envoy = scene.envoy("edge").await?;
    let ada = scene.customer("ada", "8").await?;
    assert_eq!(envoy.send(get("/v1/report", &ada.key)).await?.status, 200);
    assert!(questions(&scene, &envoy, &ada, "/v1/report").await? <= 2);
    for left in 0..5 {
        let expected = if left < 3 { 200 } else { 402 };
        let answer = envoy.send(get("/v1/ping", &ada.key)).await?;
        assert_eq!(answer.status, expected, "{answer:?}");
    }
    let balance = scene.at_rest(&ada).await?;
    assert_eq!((balance.spent, balance.available), (8, 0));
    scene.adds_up([envoy]).await
}
