//! A lot expires while it is lent: no request admitted after the instant is paid from it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use creditgate_tests::client::{get, get_behaving};
use creditgate_tests::clock::{ms, now, pause, until};
use creditgate_tests::envoy::Setup;
use creditgate_tests::fault_proxy::Fault;
use creditgate_tests::figures::figure;
use creditgate_tests::load::Background;
use creditgate_tests::scene::{Scene, card, fast_settings};
use serde_json::json;

/// An instant some time from now, as the API reads it, and how long to wait for it.
#[expect(clippy::disallowed_methods, reason = "lots expire by the wall clock")]
fn in_ms(milliseconds: u64) -> Result<(String, Duration)> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let at = since + ms(milliseconds);
    // Only the time of day changes within seconds, but the date may too: let the days be counted.
    let (days, rest) = (at.as_secs() / 86_400, at.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let text = format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        rest / 3_600,
        rest / 60 % 60,
        rest % 60,
        at.subsec_millis()
    );
    Ok((text, ms(milliseconds)))
}

/// The date so many days after 1 January 1970.
fn civil(days: u64) -> (u64, u64, u64) {
    // Counted from 1 March 0000, so that leap days come last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[test]
fn dates_are_counted_as_calendars_do() {
    assert_eq!(civil(0), (1970, 1, 1));
    assert_eq!(civil(11_016), (2000, 2, 29));
    assert_eq!(civil(20_779), (2026, 11, 22));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_paid_from_a_lot_after_its_instant() -> Result<()> {
    let scene = Scene::start().await?;
    let envoy = scene.envoy("edge").await?;
    let ada = scene.customer("ada", "0").await?;
    let (expires_at, wait) = in_ms(2_500)?;
    let started = now();
    let lot = json!({"credits_to_add": "100000", "expires_at": expires_at});
    scene.admin.top_up_with(&ada.wallet, &lot).await?;

    // In flight at the instant: it was admitted before, and is paid from the lot.
    let key = ada.key.clone();
    let traffic = Background::start(&[envoy.address()], 4, ms(5), move |_| get("/v1/ping", &key));
    pause((wait - ms(400)).saturating_sub(started.elapsed())).await;
    let in_flight = tokio::spawn({
        let (mut client, key) = (envoy.client(), ada.key.clone());
        async move {
            client
                .send(get_behaving("/v1/ping", &key, "slow=1000"))
                .await
        }
    });
    pause((wait + ms(30)).saturating_sub(started.elapsed())).await;
    // What is admitted now is a fault; requests under way from before are allowed a moment.
    pause(ms(50)).await;
    let passed = scene.upstream.requests();
    let refused = envoy.send(get("/v1/ping", &ada.key)).await?;
    assert_eq!(refused.status, 402, "{refused:?}");
    pause(ms(300)).await;
    assert_eq!(
        scene.upstream.requests(),
        passed,
        "paid from an expired lot"
    );
    assert_eq!(in_flight.await??.status, 200);
    let traffic = traffic.stop().await;
    assert_eq!(
        traffic.status(200) + traffic.status(402),
        traffic.answered(),
        "{traffic}"
    );

    let balance = scene.at_rest(&ada).await?;
    figure("expiry", format!("{traffic}; {balance:?}"));
    assert_eq!(balance.spent, i128::from(scene.upstream.requests()));
    assert_eq!(
        (balance.available, balance.expired),
        (0, 100_000 - balance.spent)
    );
    scene.adds_up([envoy]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credit_that_stays_goes_on_paying_when_a_lot_expires() -> Result<()> {
    let scene = Scene::with(&fast_settings(), &card(), false).await?;
    let envoy = scene.envoy("edge").await?;
    let ada = scene.customer("ada", "100000").await?;
    let (expires_at, wait) = in_ms(2_000)?;
    let lot = json!({"credits_to_add": "100000", "expires_at": expires_at, "priority": 1});
    scene.admin.top_up_with(&ada.wallet, &lot).await?;
    let key = ada.key.clone();
    let traffic = Background::start(&[envoy.address()], 4, ms(5), move |_| get("/v1/ping", &key));
    pause(wait + ms(1_000)).await;
    let traffic = traffic.stop().await;
    // The lease is turned at the instant; nobody is refused for it.
    figure("expiry", format!("with other credit: {traffic}"));
    assert_eq!(traffic.status(200), traffic.answered(), "{traffic}");
    let balance = scene.at_rest(&ada).await?;
    assert_eq!(balance.spent, i128::from(scene.upstream.requests()));
    assert_eq!(balance.spent + balance.expired + balance.available, 200_000);
    assert!(
        balance.expired > 0 && balance.expired < 100_000,
        "{balance:?}"
    );
    scene.adds_up([envoy]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voided_lot_stops_paying_at_once() -> Result<()> {
    let scene = Scene::start().await?;
    let envoy = scene.envoy("edge").await?;
    let ada = scene.customer("ada", "0").await?;
    let lot = scene.admin.top_up(&ada.wallet, "1000").await?;
    assert_eq!(envoy.send(get("/v1/ping", &ada.key)).await?.status, 200);
    let void = json!({"reason": "paid by mistake"});
    scene
        .admin
        .post(&format!("/v1/lots/{lot}/void"), &void)
        .await?;
    let started = now();
    until("the voided lot stops paying", ms(5_000), async || {
        Ok((envoy.send(get("/v1/ping", &ada.key)).await?.status == 402).then_some(()))
    })
    .await?;
    figure(
        "expiry",
        format!("a voided lot stops paying after {:.1?}", started.elapsed()),
    );
    let balance = scene.at_rest(&ada).await?;
    assert_eq!(balance.spent, i128::from(scene.upstream.requests()));
    assert_eq!(balance.available, 0);
    scene.adds_up([envoy]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_hears_nothing_stops_at_the_instant_by_itself() -> Result<()> {
    let mut settings = fast_settings();
    // So long that only the lot's expiry can be what stops it.
    settings["use_by_ms"] = json!(60_000);
    settings["silent_after_ms"] = json!(60_000);
    let scene = Scene::with(&settings, &card(), false).await?;
    let envoy = scene
        .envoy_with("edge", &Setup::default().logging().workers(1))
        .await?;
    let ada = scene.customer("ada", "0").await?;
    let (expires_at, wait) = in_ms(3_000)?;
    let started = now();
    let lot = json!({"credits_to_add": "100000", "expires_at": expires_at});
    scene.admin.top_up_with(&ada.wallet, &lot).await?;

    let key = ada.key.clone();
    let traffic = Background::start(&[envoy.address()], 2, ms(10), move |_| {
        get("/v1/ping", &key)
    });
    pause((wait - ms(1_200)).saturating_sub(started.elapsed())).await;
    scene.proxy.harm_all(Fault::Cut);
    pause(ms(300)).await;
    let when_cut = scene.upstream.requests();
    pause((wait + ms(80)).saturating_sub(started.elapsed())).await;
    let passed = scene.upstream.requests();
    assert!(
        passed > when_cut,
        "nothing was paid from the lease while cut off"
    );
    let refused = envoy.send(get("/v1/ping", &ada.key)).await?;
    assert_eq!(refused.status, 503, "{refused:?}");
    pause(ms(300)).await;
    assert_eq!(
        scene.upstream.requests(),
        passed,
        "paid from an expired lot"
    );

    scene.proxy.heal_all();
    let traffic = traffic.stop().await;
    let balance = scene.at_rest(&ada).await?;
    figure("expiry, cut off", format!("{traffic}; {balance:?}"));
    assert_eq!(balance.spent, i128::from(scene.upstream.requests()));
    assert_eq!(balance.expired, 100_000 - balance.spent);
    scene.adds_up([envoy]).await
}
