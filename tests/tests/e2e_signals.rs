//! What answers and metrics tell of credit: a warning when it runs low, a rate limit for clients
//! that know those, and counts for the operator in which no customer has a name.

use std::collections::BTreeSet;

use anyhow::Result;
use creditgate_tests::client::{Answer, get};
use creditgate_tests::clock::{ms, until};
use creditgate_tests::envoy::{Envoy, Setup};
use creditgate_tests::load::send_all;
use creditgate_tests::scene::{Scene, card, fast_settings};
use serde_json::json;

async fn paid(envoy: &Envoy, path: &str, key: &str) -> Result<Answer> {
    let answer = envoy.send(get(path, key)).await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    Ok(answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_warn_from_where_less_is_left_than_the_settings_say() -> Result<()> {
    let mut settings = fast_settings();
    settings["warn_below"] = json!("3");
    let scene = Scene::with(&settings, &card(), false).await?;
    let envoy = scene.envoy("edge").await?;
    let ada = scene.customer("ada", "6").await?;
    for (remaining, warning) in [
        ("5", ""),
        ("4", ""),
        ("3", ""),
        ("2", "low"),
        ("1", "low"),
        ("0", "low"),
    ] {
        let answer = paid(&envoy, "/v1/ping", &ada.key).await?;
        let told = ["x-credit-remaining", "x-credit-warning"].map(|name| answer.header(name));
        assert_eq!(told, [remaining, warning], "{answer:?}");
    }
    // Credit that comes ends it.
    scene.admin.top_up(&ada.wallet, "10").await?;
    until("the top-up is heard of", ms(10_000), async || {
        let answer = envoy.send(get("/v1/ping", &ada.key)).await?;
        let is_calm = answer.header("x-credit-warning").is_empty();
        Ok((answer.status == 200 && is_calm).then_some(()))
    })
    .await?;
    scene.adds_up([envoy]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credit_is_told_as_a_rate_limit_whose_quota_stays_while_it_is_used() -> Result<()> {
    let scene = Scene::start().await?;
    let setup = Setup::default()
        .logging()
        .filter(json!({"rate_limit_headers": true}));
    let envoy = scene.envoy_with("edge", &setup).await?;
    let told = |answer: &Answer| {
        ["ratelimit", "ratelimit-policy"].map(|name| answer.header(name).to_owned())
    };
    let ada = scene.customer("ada", "10").await?;
    for left in [9, 8, 7] {
        let answer = paid(&envoy, "/v1/ping", &ada.key).await?;
        let expected = [format!("\"ping\";r={left}"), "\"ping\";q=10".to_owned()];
        assert_eq!(told(&answer), expected);
    }
    // The same credit, in dearer requests: the 7 are one of them, and 2 are none.
    let answer = paid(&envoy, "/v1/report", &ada.key).await?;
    assert_eq!(told(&answer), ["\"report\";r=0", "\"report\";q=2"]);
    let refused = envoy.send(get("/v1/report", &ada.key)).await?;
    assert_eq!(refused.status, 402);
    assert_eq!(told(&refused), ["\"report\";r=0", "\"report\";q=2"]);
    for left in [1, 0] {
        let answer = paid(&envoy, "/v1/ping", &ada.key).await?;
        assert_eq!(told(&answer)[0], format!("\"ping\";r={left}"));
    }
    let refused = envoy.send(get("/v1/ping", &ada.key)).await?;
    assert_eq!(
        (refused.status.as_u16(), &*told(&refused)[0]),
        (402, "\"ping\";r=0")
    );
    // Where nothing is paid, nothing is limited.
    let free = paid(&envoy, "/v1/free", &ada.key).await?;
    assert_eq!(told(&free), ["", ""]);
    scene.adds_up([envoy]).await
}

/// The names, with their labels, of what the filter counts.
async fn series(envoy: &Envoy) -> Result<(BTreeSet<String>, String)> {
    let page = envoy.admin("GET", "/stats/prometheus").await?;
    let text = String::from_utf8_lossy(&page.body).into_owned();
    let counted = text.lines().filter(|line| !line.starts_with('#'));
    let of_filter = counted.filter_map(|line| {
        let (series, _) = line.rsplit_once(' ')?;
        let name = series.split('{').next()?;
        name.contains("creditgate_").then(|| series.to_owned())
    });
    Ok((of_filter.collect(), text))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_finds_the_filters_counts_and_no_more_of_them_with_more_customers() -> Result<()>
{
    let scene = Scene::start().await?;
    let envoy = scene.envoy("edge").await?;
    let mut keys = Vec::new();
    for number in 0..30 {
        let customer = scene.customer(&format!("customer-{number}"), "3").await?;
        keys.push(customer.key);
    }
    let first = keys[0].clone();
    let one = send_all(&[envoy.address()], 4, 20, move |_| get("/v1/ping", &first)).await;
    assert_eq!((one.status(200), one.status(402)), (3, 17), "{one}");
    let counted = |what: &'static str, count: u64| {
        let envoy = &envoy;
        async move {
            until(what, ms(10_000), async || {
                Ok((envoy.metric(what).await? == count).then_some(()))
            })
            .await
        }
    };
    counted("creditgate_refused_credit_exhausted_total", 17).await?;
    let (of_one, text) = series(&envoy).await?;
    for name in [
        "admitted",
        "settled",
        "refused_credit_exhausted",
        "calls_sync",
    ] {
        let name = format!("creditgate_{name}_total");
        let known = of_one.iter().any(|series| series.contains(&name));
        assert!(known, "{name} is not in {text}");
    }

    let rest = keys.clone();
    let all = send_all(&[envoy.address()], 4, 29 * 4, move |number| {
        get("/v1/ping", &rest[1 + (number % 29) as usize])
    })
    .await;
    assert_eq!((all.status(200), all.status(402)), (87, 29), "{all}");
    counted("creditgate_settled_total", 90).await?;
    let (of_all, text) = series(&envoy).await?;
    // Races and repeated calls may be counted for the first time.
    let more: Vec<_> = of_all.difference(&of_one).collect();
    assert!(more.len() <= 8, "{more:?}");
    assert!(
        of_all.iter().all(|series| series.ends_with("{}")),
        "{of_all:?}"
    );
    let instance = scene.admin.list("/v1/instances").await?;
    let instance = instance[0]["id"].as_str().unwrap_or_default().to_owned();
    for name in ["customer-", "cgk_", "acc_", "lse_", &instance] {
        let line = text.lines().find(|line| line.contains(name));
        assert_eq!(line, None, "{name}");
    }
    scene.adds_up([envoy]).await
}
