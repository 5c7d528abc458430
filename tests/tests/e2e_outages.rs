//! The control plane is away: what is let through is bounded and booked, and when it is back
//! nobody runs it over.

use anyhow::Result;
use creditgate_tests::admin::smallest_units;
use creditgate_tests::client::get;
use creditgate_tests::clock::{ms, pause, until};
use creditgate_tests::envoy::Setup;
use creditgate_tests::fault_proxy::{Fault, POLL, RESOLVE, SYNC};
use creditgate_tests::figures::figure;
use creditgate_tests::load::{Background, send_all};
use creditgate_tests::priced::{CHAT, Priced, ask, card as priced_card, small};
use creditgate_tests::scene::{Scene, card, fast_settings};
use serde_json::json;

/// What each gateway may spend of an account while it is cut off.
const ALLOWANCE: u64 = 7;

fn cut(scene: &Scene) {
    for path in [SYNC, POLL, RESOLVE] {
        scene.proxy.harm(path, Fault::Cut);
    }
}

fn questions(scene: &Scene) -> u64 {
    scene.proxy.calls(SYNC) + scene.proxy.calls(RESOLVE) + scene.proxy.calls(POLL)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_that_are_cut_off_spend_their_allowance_each_and_not_one_credit_more() -> Result<()>
{
    let mut settings = fast_settings();
    settings["offline_allowance"] = json!(ALLOWANCE.to_string());
    let mut card = card();
    card["rules"][0]["on_unavailable"] = json!("allow");
    let scene = Scene::with(&settings, &card, false).await?;
    let one_worker = Setup::default().logging().workers(1);
    let (east, west) = tokio::try_join!(
        scene.envoy_with("east", &one_worker),
        scene.envoy_with("west", &one_worker)
    )?;
    let ada = scene.customer("ada", "10").await?;
    for envoy in [&east, &west] {
        assert_eq!(envoy.send(get("/v1/ping", &ada.key)).await?.status, 200);
    }
    scene.at_rest(&ada).await?;
    cut(&scene);
    // What is not said to be let through is refused, as ever.
    assert_eq!(east.send(get("/v1/report", &ada.key)).await?.status, 503);
    let gateways = [east.address(), west.address()];
    let key = ada.key.clone();
    let load = send_all(&gateways, 8, 120, move |_| get("/v1/ping", &key)).await;
    figure("outage", format!("{load}; bound {}", 2 * ALLOWANCE));
    assert_eq!(load.status(200), 2 * ALLOWANCE, "{load}");
    assert_eq!(load.status(200) + load.status(503), 120, "{load}");

    scene.proxy.heal_all();
    // Two before, of ten; eight were left, so six are owed.
    let path = "/v1/customers/ada/balance?currency=tokens";
    until("all is booked", ms(20_000), async || {
        let told = scene.admin.get(path).await?;
        Ok((told["spent"] == "16" && told["debt"] == "6").then_some(()))
    })
    .await?;
    until("counts are told", ms(10_000), async || {
        let spent = east.metric("offline_units").await? + west.metric("offline_units").await?;
        Ok((spent == 2 * ALLOWANCE).then_some(()))
    })
    .await?;
    let metrics = scene.admin.metrics().await?;
    for (name, value) in [
        ("creditgate_owed_most", 6),
        ("creditgate_offline_bound", 14),
    ] {
        let line = format!("{name}{{currency=\"tokens\"}} {value}");
        assert!(
            metrics.lines().any(|known| known == line),
            "{line} is not in {metrics}"
        );
    }
    // Who owes something has no allowance any more, where that was heard.
    until("east has heard", ms(10_000), async || {
        let answer = east.send(get("/v1/ping", &ada.key)).await?;
        Ok((answer.status == 402).then_some(()))
    })
    .await?;
    cut(&scene);
    pause(ms(2_500)).await;
    assert_eq!(east.send(get("/v1/ping", &ada.key)).await?.status, 503);
    scene.proxy.heal_all();
    scene.adds_up([east, west]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_plane_that_comes_back_is_not_run_over() -> Result<()> {
    let scene = Scene::start().await?;
    let setup = Setup::default().logging().workers(4);
    let (east, west) = tokio::try_join!(
        scene.envoy_with("east", &setup),
        scene.envoy_with("west", &setup)
    )?;
    let mut keys = Vec::new();
    for number in 0..20 {
        keys.push(scene.customer(&format!("c{number}"), "1000").await?.key);
    }
    let gateways = [east.address(), west.address()];
    let load = Background::start(&gateways, 16, ms(20), move |number| {
        get("/v1/ping", &keys[usize::try_from(number % 20).unwrap_or(0)])
    });
    // As it is day by day: reports of what was spent, and questions for more.
    pause(ms(1_000)).await;
    let before = questions(&scene);
    pause(ms(2_000)).await;
    let steady = (questions(&scene) - before) / 2;
    cut(&scene);
    pause(ms(4_000)).await;
    // Four workers and the main thread of two processes, each twice a second, and two polls.
    let before = questions(&scene);
    pause(ms(2_000)).await;
    let away = questions(&scene) - before;
    assert!(
        away <= 2 * 2 * (2 * 5 + 2) + 12,
        "{away} questions in two seconds"
    );
    let before = questions(&scene);
    scene.proxy.heal_all();
    pause(ms(1_000)).await;
    let back = questions(&scene) - before;
    figure(
        "return",
        format!("{steady} a second at first, {away} in 2 s away, {back} in the first second"),
    );
    assert!(
        back <= 3 * steady,
        "{back} questions, {steady} a second at first"
    );
    until("it serves again", ms(10_000), async || {
        Ok((east.send(get("/v1/free", "")).await?.status == 200).then_some(()))
    })
    .await?;
    let load = load.stop().await;
    assert!(load.status(200) > 0 && load.broken.is_empty(), "{load}");
    scene.adds_up([east, west]).await
}

/// What customers owe together by the control plane's metric, in the currency's smallest units.
fn owed(metrics: &str, currency: &str, scale: usize) -> Option<i128> {
    let name = format!("creditgate_owed{{currency=\"{currency}\"}} ");
    let value = metrics.lines().find_map(|line| line.strip_prefix(&name))?;
    smallest_units(value, scale).ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_promise_keeps_its_bound_when_many_requests_run_at_once() -> Result<()> {
    let question = json!({
        "model": "small", "max_tokens": 1000,
        "messages": [{"role": "user", "content": "What does a token cost?"}],
    });
    for promise in ["strict", "expected"] {
        let mut card = priced_card();
        card["rules"][0]["promise"] = json!(promise);
        if promise == "expected" {
            card["rules"][0]["estimate"] = json!({"output_tokens": 10});
        }
        let mut stage = Priced::with(&card).await?;
        let ada = stage.customer("ada", "0.002").await?;
        let (key, asked) = (ada.key.clone(), question.clone());
        let gateways = [stage.envoy.address()];
        let load = send_all(&gateways, 10, 40, move |number| {
            ask(
                CHAT,
                &key,
                "input=30 output=800",
                &format!("r{number}"),
                &asked,
            )
        })
        .await;
        let served = i128::from(load.status(200));
        let told = until("all is booked", ms(10_000), async || {
            let told = stage
                .scene
                .admin
                .get("/v1/customers/ada/balance?currency=usd")
                .await?;
            let spent = smallest_units(told["spent"].as_str().unwrap_or(""), 9)?;
            Ok((spent == served * small(30, 0, 800)).then_some(told))
        })
        .await?;
        let debt = smallest_units(told["debt"].as_str().unwrap_or(""), 9)?;
        pause(ms(500)).await;
        let bound = i128::from(stage.envoy.metric("overrun_units").await?);
        figure(
            "promise",
            format!("{promise}: {served} served, owed {debt}, bound {bound}"),
        );
        assert!(
            served > 0 && debt <= bound,
            "{promise}: {debt} beyond {bound}"
        );
        match promise {
            "strict" => assert_eq!((debt, bound), (0, 0)),
            _ => assert!(debt > 0, "many ran at once"),
        }
        // The bound stands in the gateway's metric, what is owed in fact in the control plane's.
        let metrics = stage.scene.admin.metrics().await?;
        assert_eq!(owed(&metrics, "usd", 9), Some(debt), "{metrics}");
        stage.scene.adds_up([stage.envoy]).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_names_the_rule_of_its_requests() -> Result<()> {
    let mut card = card();
    card["rules_by_route"] = json!(true);
    let scene = Scene::with(&fast_settings(), &card, false).await?;
    let all = "              - match: { prefix: \"/\" }\n";
    let named = |path: &str, rule: &str| {
        format!(
            "              - match: {{ prefix: \"{path}\" }}\n                metadata: {{ filter_metadata: {{ creditgate: {{ rule: {rule} }} }} }}\n                route: {{ cluster: upstream }}\n"
        )
    };
    let routes = [
        named("/dear", "report"),
        named("/lost", "no-such-rule"),
        all.to_owned(),
    ]
    .concat();
    let envoy = scene
        .envoy_with("edge", &Setup::default().logging().edit(all, &routes))
        .await?;
    let ada = scene.customer("ada", "100").await?;
    let dear = envoy.send(get("/dear/thing", &ada.key)).await?;
    assert_eq!(
        (dear.status.as_u16(), dear.header("x-credit-cost")),
        (200, "5")
    );
    let lost = envoy.send(get("/lost", &ada.key)).await?;
    assert_eq!(lost.status, 403);
    assert!(String::from_utf8_lossy(&lost.body).contains("rule_unknown"));
    let plain = envoy.send(get("/v1/ping", &ada.key)).await?;
    assert_eq!(
        (plain.status.as_u16(), plain.header("x-credit-cost")),
        (200, "1")
    );
    assert_eq!(scene.at_rest(&ada).await?.spent, 6);
    scene.adds_up([envoy]).await
}
