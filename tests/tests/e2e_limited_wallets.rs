//! Wallets that are limited to rules: they pay first for their rules, the general one for all
//! else and for what they can't, and every unit is paid by exactly one of them.

use anyhow::Result;
use creditgate_tests::client::get;
use creditgate_tests::clock::{ms, pause, until};
use creditgate_tests::envoy::Envoy;
use creditgate_tests::figures::figure;
use creditgate_tests::load::send_all;
use creditgate_tests::scene::{CURRENCY, Customer, Scene};
use creditgate_tests::sums::Torn;
use serde_json::{Value, json};

/// A further wallet of a customer, for requests of some rules alone.
async fn limited(scene: &Scene, of: &Customer, rules: &[&str], credits: &str) -> Result<Customer> {
    let body = json!({"customer_id": of.name, "currency": CURRENCY, "rules": rules});
    let made = scene.admin.post("/v1/wallets", &body).await?;
    let wallet = creditgate_tests::admin::text(&made, "id")?;
    if credits != "0" {
        scene.admin.top_up(&wallet, credits).await?;
    }
    Ok(Customer {
        wallet,
        ..of.clone()
    })
}

/// What was spent of each wallet, and what is left in it, once nothing is lent.
async fn at_rest(scene: &Scene, wallet: &Customer) -> Result<(i128, i128)> {
    let balance = scene.at_rest(wallet).await?;
    assert_eq!(balance.quarantined, 0, "{balance:?}");
    Ok((balance.spent, balance.available))
}

async fn pays(envoy: &Envoy, path: &str, key: &str) -> Result<String> {
    let answer = envoy.send(get(path, key)).await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    Ok(answer.header("x-credit-remaining").to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limited_wallet_burns_first_for_its_rules_and_other_rules_never_touch_it() -> Result<()> {
    let scene = Scene::start().await?;
    let envoy = scene.envoy("edge").await?;
    let ada = scene.customer("ada", "100").await?;
    let reports = limited(&scene, &ada, &["report", "always"], "12").await?;

    for left in ["99", "98"] {
        assert_eq!(pays(&envoy, "/v1/ping", &ada.key).await?, left);
    }
    assert_eq!(at_rest(&scene, &reports).await?, (0, 12));
    // 5 and 5 from the limited wallet; what is left pays none of 5, but two of 1.
    let mut left = Vec::new();
    for path in ["report", "report", "report", "always", "always", "always"] {
        left.push(pays(&envoy, &format!("/v1/{path}"), &ada.key).await?);
    }
    assert_eq!(left, ["7", "2", "93", "1", "0", "92"]);
    assert_eq!(at_rest(&scene, &reports).await?, (12, 0));
    assert_eq!(at_rest(&scene, &ada).await?, (8, 92));

    // Credit that comes is used by the next request, whatever was known of the ceiling.
    scene.admin.top_up(&reports.wallet, "5").await?;
    pause(ms(200)).await;
    assert_eq!(pays(&envoy, "/v1/report", &ada.key).await?, "0");
    assert_eq!(at_rest(&scene, &reports).await?, (17, 0));
    scene.adds_up([envoy]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limited_wallet_that_is_made_frozen_thawed_or_closed_is_heard_of_at_once() -> Result<()> {
    let scene = Scene::start().await?;
    let envoy = scene.envoy("edge").await?;
    let ada = scene.customer("ada", "100").await?;
    assert_eq!(pays(&envoy, "/v1/report", &ada.key).await?, "95");
    let reports = limited(&scene, &ada, &["report"], "50").await?;
    let act = async |what: &str, body: &Value| {
        let path = format!("/v1/wallets/{}/{what}", reports.wallet);
        let answer = scene.admin.post(&path, body).await;
        pause(ms(200)).await;
        answer
    };
    pause(ms(200)).await;
    assert_eq!(pays(&envoy, "/v1/report", &ada.key).await?, "45");
    act("freeze", &json!({})).await?;
    assert_eq!(pays(&envoy, "/v1/report", &ada.key).await?, "90");
    act("unfreeze", &json!({})).await?;
    assert_eq!(pays(&envoy, "/v1/report", &ada.key).await?, "40");
    act("close", &json!({"reason": "no longer sold"})).await?;
    assert_eq!(pays(&envoy, "/v1/report", &ada.key).await?, "85");
    assert_eq!(at_rest(&scene, &ada).await?, (15, 85));
    assert_eq!(scene.at_rest(&reports).await?.spent, 10);
    scene.adds_up([envoy]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_reads_what_is_left_in_each_of_its_accounts() -> Result<()> {
    let scene = Scene::start().await?;
    let envoy = scene.envoy("edge").await?;
    let ada = scene.customer("ada", "100").await?;
    limited(&scene, &ada, &["report"], "50").await?;
    pays(&envoy, "/v1/report", &ada.key).await?;
    let read = get("/.well-known/credit-balance", &ada.key);
    let body = envoy.send(read).await?.json();
    assert_eq!(body["balance"], "100", "{body}");
    assert_eq!(body["limited"][0]["rules"], json!(["report"]), "{body}");
    assert_eq!(body["limited"][0]["balance"], "45", "{body}");
    scene.adds_up([envoy]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_envoys_spend_both_wallets_to_the_last_unit_and_each_request_is_paid_once() -> Result<()>
{
    let scene = Scene::start().await?;
    let (east, west) = tokio::try_join!(scene.envoy("east"), scene.envoy("west"))?;
    let ada = scene.customer("ada", "3000").await?;
    let reports = limited(&scene, &ada, &["report"], "2500").await?;
    let gateways = [east.address(), west.address()];

    // 500 reports are in the limited wallet. Of the general one 1,000 pings take a third.
    let key = ada.key.clone();
    let mixed = send_all(&gateways, 32, 2_500, move |number| {
        let path = if number % 5 < 2 { "ping" } else { "report" };
        get(&format!("/v1/{path}"), &key)
    })
    .await;
    figure("limited wallets, mixed", &mixed);
    assert!(mixed.broken.is_empty(), "{:?}", mixed.broken.first());
    let sent = |path: &str| i128::from(scene.upstream.requests_to(&format!("/v1/{path}")));
    let (limited_spent, _) = at_rest(&scene, &reports).await?;
    let (general_spent, _) = at_rest(&scene, &ada).await?;
    let served = sent("ping") + 5 * sent("report");
    assert_eq!(limited_spent + general_spent, served);
    assert!(sent("ping") <= general_spent);

    // Then both to the end, with reports alone.
    let key = ada.key.clone();
    let rest = send_all(&gateways, 32, 1_000, move |_| get("/v1/report", &key)).await;
    figure("limited wallets, to the end", &rest);
    assert!(rest.broken.is_empty(), "{:?}", rest.broken.first());
    let (limited_spent, limited_left) = at_rest(&scene, &reports).await?;
    let (general_spent, general_left) = at_rest(&scene, &ada).await?;
    assert_eq!((limited_spent, limited_left), (2_500, 0));
    assert!(general_left < 5, "{general_left} left");
    assert_eq!(general_spent + general_left, 3_000);
    assert_eq!(
        limited_spent + general_spent,
        sent("ping") + 5 * sent("report")
    );
    scene.adds_up([east, west]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_crashes_has_both_its_leases_set_aside_and_another_pays_on() -> Result<()> {
    let scene = Scene::start().await?;
    let (mut east, west) = tokio::try_join!(scene.envoy("east"), scene.envoy("west"))?;
    let ada = scene.customer("ada", "1000").await?;
    let reports = limited(&scene, &ada, &["report"], "1000").await?;
    let (key, east_address) = (ada.key.clone(), [east.address()]);
    let tally = send_all(&east_address, 4, 100, move |number| {
        let path = if number % 2 == 0 { "ping" } else { "report" };
        get(&format!("/v1/{path}"), &key)
    })
    .await;
    assert_eq!(tally.status(200), 100, "{tally}");
    east.kill_known().await?;
    let quarantined = until("both leases are set aside", ms(10_000), async || {
        let limited = scene.balance(&reports).await?;
        let general = scene.balance(&ada).await?;
        let is_back = |balance: &creditgate_tests::admin::Balance| {
            balance.lent == 0 && balance.held == 0 && balance.pending_recall == 0
        };
        Ok((is_back(&limited) && is_back(&general)).then_some((limited, general)))
    })
    .await?;
    let (limited_before, general_before) = quarantined;
    for _ in 0..3 {
        pays(&west, "/v1/report", &ada.key).await?;
        pays(&west, "/v1/ping", &ada.key).await?;
    }
    let after = scene.at_rest(&reports).await?;
    assert_eq!(after.spent - limited_before.spent, 15);
    assert_eq!(after.quarantined, limited_before.quarantined);
    assert_eq!(
        scene.at_rest(&ada).await?.spent - general_before.spent,
        3,
        "the general wallet pays pings alone"
    );
    scene.adds_up_torn([west], Torn::Killed(vec![east])).await
}
