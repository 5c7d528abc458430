//! An Envoy dies: what it was lent is set aside, never silently free, and resolved by design.

use anyhow::{Context, Result, ensure};
use creditgate_tests::admin::Balance;
use creditgate_tests::client::{get, get_behaving};
use creditgate_tests::clock::{ms, now, pause, until};
use creditgate_tests::envoy::{Envoy, Setup};
use creditgate_tests::fault_proxy::{Fault, FaultProxy};
use creditgate_tests::figures::figure;
use creditgate_tests::load::{Background, send_all};
use creditgate_tests::scene::{Customer, Scene, card, fast_settings};
use creditgate_tests::sums::Torn;
use creditgate_tests::usage::explained;
use serde_json::json;

/// Settings under which lent credit stays at the gateway, and silence is noticed soon.
async fn scene() -> Result<Scene> {
    let mut settings = fast_settings();
    settings["idle_ms"] = json!(60_000);
    settings["silent_after_ms"] = json!(2_500);
    Scene::with(&settings, &card(), false).await
}

/// Has a gateway lent much of the customer's credit, and returns how much was paid for.
async fn burn(envoy: &Envoy, customer: &Customer, requests: u64) -> Result<()> {
    let key = customer.key.clone();
    let tally = send_all(&[envoy.address()], 4, requests, move |_| {
        get("/v1/ping", &key)
    })
    .await;
    ensure!(tally.status(200) == requests, "{tally}");
    Ok(())
}

/// Until the control plane has heard of all that was spent, and the gateway has credit to go on with.
async fn heard(scene: &Scene, customer: &Customer, spent: i128) -> Result<()> {
    until("the report of what was spent", ms(5_000), async || {
        let balance = scene.balance(customer).await?;
        Ok((balance.spent == spent && balance.lent > 0).then_some(()))
    })
    .await
}

async fn quarantined(scene: &Scene, customer: &Customer) -> Result<Balance> {
    until("the lease is quarantined", ms(15_000), async || {
        let balance = scene.balance(customer).await?;
        Ok((balance.quarantined > 0 && balance.lent == 0 && balance.held == 0).then_some(balance))
    })
    .await
}

async fn resolve(scene: &Scene, action: &str) -> Result<()> {
    let leases = scene.admin.leases("quarantined").await?;
    ensure!(leases.len() == 1, "{leases:?}");
    let id = leases[0]["id"].as_str().context("a lease has an id")?;
    let body = json!({"action": action, "reason": "the machine is gone"});
    scene
        .admin
        .post(&format!("/v1/leases/{id}/resolve"), &body)
        .await
        .map(drop)
}

fn total(balance: &Balance) -> i128 {
    balance.available + balance.lent + balance.held + balance.quarantined + balance.spent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_credit_of_a_killed_envoy_is_set_aside_until_the_operator_releases_it() -> Result<()> {
    let scene = scene().await?;
    let mut east = scene.envoy("east").await?;
    let ada = scene.customer("ada", "1000").await?;
    burn(&east, &ada, 300).await?;
    east.kill_known().await?;
    let killed = now();
    let lost = quarantined(&scene, &ada).await?;
    figure(
        "envoy crash",
        format!(
            "{} quarantined {:.1?} after kill -9",
            lost.quarantined,
            killed.elapsed()
        ),
    );
    assert_eq!(total(&lost), 1_000, "{lost:?}");
    assert!(lost.spent <= 300, "{lost:?}");
    scene.plane.verify().await?;

    // A new Envoy serves the rest, and not one credit more.
    let west = scene.envoy("west").await?;
    let key = ada.key.clone();
    let rest = send_all(&[west.address()], 4, 1_000, move |_| get("/v1/ping", &key)).await;
    let expected = u64::try_from(lost.available)?;
    assert_eq!(
        (rest.status(200), rest.status(402)),
        (expected, 1_000 - expected),
        "{rest}"
    );
    let again = scene.balance(&ada).await?;
    assert_eq!(
        again.quarantined, lost.quarantined,
        "quarantine was silently freed"
    );

    resolve(&scene, "release").await?;
    let key = ada.key.clone();
    until("released credit pays", ms(5_000), async || {
        Ok((west.send(get("/v1/ping", &key)).await?.status == 200).then_some(()))
    })
    .await?;
    let key = ada.key.clone();
    let released = send_all(&[west.address()], 4, 1_000, move |_| get("/v1/ping", &key)).await;
    assert_eq!(
        i128::from(released.status(200) + 1),
        lost.quarantined,
        "{released}"
    );
    // The possible loss of a release is what had been paid for and never been reported.
    let unreported = 300 - lost.spent;
    let loss = i128::from(scene.upstream.requests()) - 1_000;
    assert_eq!(
        loss, unreported,
        "the loss is not the one that was announced"
    );
    scene.adds_up_torn([west], Torn::Killed(vec![east])).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_credit_of_a_killed_envoy_can_be_counted_as_spent() -> Result<()> {
    let scene = scene().await?;
    let mut east = scene.envoy("east").await?;
    let ada = scene.customer("ada", "1000").await?;
    burn(&east, &ada, 300).await?;
    east.kill_known().await?;
    let lost = quarantined(&scene, &ada).await?;
    resolve(&scene, "consume").await?;
    let balance = scene.balance(&ada).await?;
    assert_eq!(balance.quarantined, 0);
    assert_eq!(balance.spent, lost.spent + lost.quarantined);
    assert_eq!(total(&balance), 1_000);
    scene.adds_up_torn([], Torn::Killed(vec![east])).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_report_ends_the_quarantine_and_nothing_is_lost() -> Result<()> {
    let scene = scene().await?;
    let east = scene.envoy("east").await?;
    let ada = scene.customer("ada", "1000").await?;
    burn(&east, &ada, 300).await?;
    scene.proxy.harm_all(Fault::Cut);
    quarantined(&scene, &ada).await?;
    scene.proxy.heal_all();
    let balance = until("the late report arrives", ms(10_000), async || {
        let balance = scene.balance(&ada).await?;
        Ok((balance.quarantined == 0 && balance.spent == 300).then_some(balance))
    })
    .await?;
    assert_eq!(total(&balance), 1_000);
    // The gateway goes on, under a new lease, to the last credit.
    let key = ada.key.clone();
    let rest = send_all(&[east.address()], 4, 1_000, move |_| get("/v1/ping", &key)).await;
    assert_eq!((rest.status(200), rest.status(402)), (700, 300), "{rest}");
    assert_eq!(scene.upstream.requests(), 1_000);
    scene.adds_up([east]).await
}

/// A second Envoy with a line of its own to the control plane.
async fn behind(scene: &Scene, proxy: &FaultProxy, gateway: &str) -> Result<Envoy> {
    let key = scene.gateway(gateway).await?;
    let (plane, upstream) = (proxy.address(), scene.upstream.address());
    let setup = Setup::default().logging();
    Envoy::start(&setup, scene.folder.path(), plane, upstream, &key).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resolved_lease_is_fenced_when_its_gateway_comes_back() -> Result<()> {
    let mut settings = fast_settings();
    settings["idle_ms"] = json!(60_000);
    settings["silent_after_ms"] = json!(2_500);
    // Long: the cut-off gateway could still spend when the other one gets the released credit.
    settings["use_by_ms"] = json!(2_000);
    let scene = Scene::with(&settings, &card(), false).await?;
    let line = FaultProxy::start(scene.plane.address(), None).await?;
    let east = behind(&scene, &line, "east").await?;
    let ada = scene.customer("ada", "1000").await?;
    burn(&east, &ada, 300).await?;
    heard(&scene, &ada, 300).await?;
    // 50 more, of which the control plane does not hear.
    line.harm_all(Fault::Cut);
    let key = ada.key.clone();
    let unheard = send_all(&[east.address()], 2, 50, move |_| get("/v1/ping", &key)).await;
    let unheard = unheard.status(200);
    let lost = quarantined(&scene, &ada).await?;
    assert_eq!(lost.spent, 300);
    resolve(&scene, "release").await?;
    let west = scene.envoy("west").await?;
    let key = ada.key.clone();
    let rest = send_all(&[west.address()], 4, 1_000, move |_| get("/v1/ping", &key)).await;
    assert_eq!(rest.status(200), 700, "{rest}");

    // East comes back: its late counters must not touch the balance a second time.
    line.heal_all();
    pause(ms(1_500)).await;
    let key = ada.key.clone();
    let fenced = send_all(&[east.address()], 2, 50, move |_| get("/v1/ping", &key)).await;
    assert_eq!(
        fenced.status(200),
        0,
        "a fenced lease was spent from: {fenced}"
    );
    let balance = scene.balance(&ada).await?;
    figure(
        "fencing",
        format!("{unheard} unheard requests, loss of the release; {balance:?}"),
    );
    assert_eq!(
        (balance.available, balance.quarantined, balance.lent),
        (0, 0, 0)
    );
    assert_eq!(scene.upstream.requests(), 1_000 + unheard);
    assert_eq!(
        balance.spent, 1_000,
        "the customer paid twice, or not at all: {balance:?}"
    );

    // New credit reaches it under a new number.
    scene.admin.top_up(&ada.wallet, "10").await?;
    until("new credit pays", ms(5_000), async || {
        Ok((east.send(get("/v1/ping", &ada.key)).await?.status == 200).then_some(()))
    })
    .await?;
    // What had been released and was used: the operator's loss, and in both logs.
    let lost = scene.admin.get("/v1/customers/ada/balance?currency=tokens");
    assert_eq!(lost.await?["lease_loss"], unheard.to_string());
    scene.adds_up_torn([east, west], Torn::Booking).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumed_lease_charges_nothing_more_when_its_gateway_comes_back() -> Result<()> {
    let mut settings = fast_settings();
    settings["idle_ms"] = json!(60_000);
    settings["silent_after_ms"] = json!(2_500);
    let scene = Scene::with(&settings, &card(), false).await?;
    let line = FaultProxy::start(scene.plane.address(), None).await?;
    let east = behind(&scene, &line, "east").await?;
    let ada = scene.customer("ada", "1000").await?;
    burn(&east, &ada, 300).await?;
    heard(&scene, &ada, 300).await?;
    line.harm_all(Fault::Cut);
    let key = ada.key.clone();
    let unheard = send_all(&[east.address()], 2, 50, move |_| get("/v1/ping", &key)).await;
    let unheard = i128::from(unheard.status(200));
    assert!(unheard > 0);
    let lost = quarantined(&scene, &ada).await?;
    assert!(lost.quarantined >= unheard, "{lost:?}");
    resolve(&scene, "consume").await?;
    let charged = scene.balance(&ada).await?;
    assert_eq!(charged.spent, 300 + lost.quarantined);

    // Its late counters only say how much of what was charged was really used.
    line.heal_all();
    // The first requests may have been paid from a lease before.
    let settled = async || {
        let mut sum = 0;
        for lease in scene.admin.leases("closed").await? {
            sum += creditgate_tests::admin::text(&lease, "settled")?.parse::<i128>()?;
        }
        anyhow::Ok(sum)
    };
    until("the late report is merged", ms(5_000), async || {
        Ok((settled().await? == 300 + unheard).then_some(()))
    })
    .await?;
    let balance = scene.balance(&ada).await?;
    figure(
        "fencing",
        format!("{unheard} unheard requests, consumed; {balance:?}"),
    );
    assert_eq!(balance, charged);
    // What it did not use of what was charged stays unattributed.
    let beyond = scene.admin.get("/v1/customers/ada/balance?currency=tokens");
    let unused = (lost.quarantined - unheard).to_string();
    assert_eq!(beyond.await?["spent_unattributed"], unused);
    scene.adds_up_torn([east], Torn::Booking).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_drained_envoys_leave_nothing_in_quarantine() -> Result<()> {
    let mut settings = fast_settings();
    settings["idle_ms"] = json!(60_000);
    let scene = Scene::with(&settings, &card(), false).await?;
    let ada = scene.customer("ada", "1000000").await?;
    let bob = scene.customer("bob", "1000000").await?;
    let url = format!("http://{}", scene.plane.address());
    let (mut answered, mut paid, mut envoys) = (0, 0, Vec::new());
    for round in 0..10 {
        let mut envoy = scene.envoy("edge").await?;
        let keys = [ada.key.clone(), bob.key.clone()];
        let load = Background::start(&[envoy.address()], 8, ms(2), move |number| {
            let slow = if number % 7 == 0 {
                "slow=60"
            } else {
                "status=200"
            };
            get_behaving("/v1/ping", &keys[(number % 2) as usize], slow)
        });
        pause(ms(500)).await;
        let instances = scene.admin.list("/v1/instances").await?;
        let open = scene.admin.leases("open").await?;
        let instance = open
            .first()
            .and_then(|lease| lease["instance_id"].as_str())
            .with_context(|| format!("no open lease; instances {instances:?}"))?
            .to_owned();
        let key = scene.plane.admin_key().to_owned();
        let drained = scene
            .plane
            .command(&["drain", &instance, "--url", &url, "--key", &key])
            .await?;
        ensure!(
            drained.status.success(),
            "round {round}: {}{}",
            String::from_utf8_lossy(&drained.stdout),
            String::from_utf8_lossy(&drained.stderr)
        );
        envoy.terminate().await?;
        envoys.push(envoy);
        let load = load.stop().await;
        answered += load.answered();
        paid += load.status(200);
        for state in ["open", "draining", "quarantined"] {
            let left = scene.admin.leases(state).await?;
            ensure!(left.is_empty(), "round {round}: {state} {left:?}");
        }
    }
    let (a, b) = (scene.balance(&ada).await?, scene.balance(&bob).await?);
    figure(
        "drain",
        format!("ten in a row: {answered} answered, {paid} paid; {a:?}, {b:?}"),
    );
    assert_eq!((a.quarantined, a.lent, b.quarantined, b.lent), (0, 0, 0, 0));
    assert_eq!(i128::from(scene.upstream.requests()), a.spent + b.spent);
    for (customer, balance) in [(&ada, a), (&bob, b)] {
        let told = explained(&scene.admin, customer, 0).await?;
        assert_eq!(told, balance.spent, "detail did not outlive the drain");
    }
    scene.adds_up(envoys).await
}
