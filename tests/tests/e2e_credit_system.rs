//! Credit of every kind meets real traffic: topped up by itself, granted at an instant, taken
//! back while it is lent, used before it is paid, burnt wallet by wallet.

use anyhow::{Context, Result};
use creditgate_ledger::Timestamp;
use creditgate_tests::admin::text;
use creditgate_tests::auditor::Auditor;
use creditgate_tests::client::get;
use creditgate_tests::clock::{ms, now, pause, until, utc_ms};
use creditgate_tests::envoy::Envoy;
use creditgate_tests::figures::figure;
use creditgate_tests::load::{Background, send_all};
use creditgate_tests::scene::{CURRENCY, Customer, Scene};
use serde_json::{Value, json};

/// Another wallet of a customer, of any terms.
async fn wallet(scene: &Scene, customer: &Customer, terms: Value) -> Result<String> {
    let mut body = json!({"customer_id": customer.name, "currency": CURRENCY});
    let fields = terms.as_object().context("terms are an object")?;
    for (name, value) in fields {
        body[name] = value.clone();
    }
    text(&scene.admin.post("/v1/wallets", &body).await?, "id")
}

/// Waits until nothing is lent of any of the customer's wallets.
async fn at_rest(scene: &Scene, customer: &Customer) -> Result<()> {
    let path = format!(
        "/v1/customers/{}/balance?currency={CURRENCY}",
        customer.name
    );
    until("nothing is lent", ms(10_000), async || {
        let balance = scene.admin.get(&path).await?;
        let is_out = |part: &str| balance[part] != "0";
        let out = is_out("lent") || is_out("held") || is_out("pending_recall");
        Ok((!out).then_some(()))
    })
    .await
}

async fn status(envoy: &Envoy, customer: &Customer) -> Result<u16> {
    let answer = envoy.send(get("/v1/ping", &customer.key)).await?;
    Ok(answer.status.as_u16())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wallet_that_tops_itself_up_serves_every_request_and_pays_once_a_crossing() -> Result<()>
{
    let scene = Scene::start().await?;
    let envoy = scene.envoy("edge").await?;
    let ada = scene.customer("ada", "2000").await?;
    let path = format!("/v1/wallets/{}", ada.wallet);
    let terms = json!({"auto_topup": {
        "enabled": true, "invoicing": false, "threshold": 1_000, "amount": 20_000,
    }});
    scene.admin.patch(&path, &terms).await?;

    let key = ada.key.clone();
    let tally = send_all(&[envoy.address()], 16, 9_000, move |_| {
        get("/v1/ping", &key)
    })
    .await;
    figure("auto top-up", format!("2,000 credits at first: {tally}"));
    assert_eq!(tally.status(200), 9_000, "{tally}");

    let balance = scene.at_rest(&ada).await?;
    assert_eq!(balance.spent, 9_000);
    let lots = scene.admin.list(&format!("{path}/lots")).await?;
    assert_eq!(lots.len(), 2, "one top-up for one crossing: {lots:?}");
    assert_eq!(balance.available, 2_000 + 20_000 - 9_000);
    scene.adds_up([envoy]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_unblocks_an_exhausted_customer_when_its_instant_comes() -> Result<()> {
    let scene = Scene::start().await?;
    let envoy = scene.envoy("edge").await?;
    let ada = scene.customer("ada", "1").await?;
    assert_eq!(status(&envoy, &ada).await?, 200);
    until("ada is out of credit", ms(5_000), async || {
        Ok((status(&envoy, &ada).await? == 402).then_some(()))
    })
    .await?;

    let due = Timestamp(utc_ms() + 2_000);
    let grant = json!({
        "name": "Daily", "scope": "CUSTOMER", "customer_id": ada.name, "credit_amount": 10,
        "currency": CURRENCY, "cadence": "RECURRING", "period": "daily", "expire_in_days": 1,
        "anchor": due.to_string(),
    });
    scene.admin.post("/v1/credit-grants", &grant).await?;
    assert_eq!(status(&envoy, &ada).await?, 402);
    let served_at = until("ada is served again", ms(10_000), async || {
        let at = utc_ms();
        Ok((status(&envoy, &ada).await? == 200).then_some(at))
    })
    .await?;
    assert!(served_at >= due.0, "not before its instant");
    figure(
        "grant",
        format!("served {} ms after its instant", served_at - due.0),
    );
    for _ in 0..9 {
        assert_eq!(status(&envoy, &ada).await?, 200);
    }
    assert_eq!(status(&envoy, &ada).await?, 402);
    at_rest(&scene, &ada).await?;
    scene.adds_up([envoy]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_debit_of_lent_credit_gets_what_is_unused_and_the_customer_the_rest() -> Result<()> {
    let scene = Scene::start().await?;
    let envoy = scene.envoy("edge").await?;
    let ada = scene.customer("ada", "10000").await?;
    let key = ada.key.clone();
    let traffic = Background::start(&[envoy.address()], 8, ms(1), move |_| get("/v1/ping", &key));
    until("credit is lent", ms(5_000), async || {
        Ok((scene.balance(&ada).await?.lent > 0).then_some(()))
    })
    .await?;
    let balance = scene.balance(&ada).await?;
    let all = balance.available + balance.lent;
    let debit = json!({"amount": all.to_string(), "reason": "moved to another system"});
    let path = format!("/v1/wallets/{}/debit", ada.wallet);
    // What is spent meanwhile can't be asked for any more.
    let claim = until("the debit is taken on", ms(5_000), async || {
        let (status, answer) = scene
            .admin
            .call(reqwest::Method::POST, &path, Some(&debit))
            .await?;
        if status.is_success() {
            return Ok(Some(answer));
        }
        let left = scene.balance(&ada).await?;
        let less = json!({
            "amount": (left.available + left.lent / 2).to_string(),
            "reason": "moved to another system",
        });
        let (status, answer) = scene
            .admin
            .call(reqwest::Method::POST, &path, Some(&less))
            .await?;
        Ok(status.is_success().then_some(answer))
    })
    .await?;
    let id = text(&claim, "id")?;
    let over = until("the claim is over", ms(10_000), async || {
        let claim = scene.admin.get(&format!("/v1/claims/{id}")).await?;
        Ok((claim["state"] == "closed").then_some(claim))
    })
    .await?;
    let traffic = traffic.stop().await;
    let balance = scene.at_rest(&ada).await?;
    let number = |field: &str| -> Result<i128> { Ok(text(&over, field)?.parse()?) };
    let (done, short) = (number("done")?, number("short")?);
    figure(
        "debit",
        format!("of lent credit: {over}; traffic {traffic}"),
    );
    assert_eq!(number("asked")?, done + short);
    assert_eq!(balance.spent, i128::from(traffic.status(200)));
    assert_eq!(balance.available + balance.spent + done, 10_000);
    scene.adds_up([envoy]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_paid_customer_is_served_to_the_limit_and_not_a_request_further() -> Result<()> {
    let scene = Scene::start().await?;
    let envoy = scene.envoy("edge").await?;
    let ada = scene.customer("ada", "50").await?;
    let line = wallet(
        &scene,
        &ada,
        json!({"wallet_type": "POST_PAID", "credit_limit": 100}),
    )
    .await?;
    let gateway = [envoy.address()];
    let key = ada.key.clone();
    let tally = send_all(&gateway, 8, 400, move |_| get("/v1/ping", &key)).await;
    figure("post-paid", format!("50 paid for, 100 on credit: {tally}"));
    assert_eq!(
        (tally.status(200), tally.status(402)),
        (150, 250),
        "{tally}"
    );

    // What is paid in repays what is owed, and can be spent again.
    at_rest(&scene, &ada).await?;
    scene.admin.top_up(&line, "30").await?;
    let key = ada.key.clone();
    let tally = send_all(&gateway, 8, 60, move |_| get("/v1/ping", &key)).await;
    assert_eq!((tally.status(200), tally.status(402)), (30, 30), "{tally}");
    at_rest(&scene, &ada).await?;
    scene.adds_up([envoy]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wallets_of_one_currency_burn_by_their_priority() -> Result<()> {
    let scene = Scene::start().await?;
    let envoy = scene.envoy("edge").await?;
    let ada = scene.customer("ada", "40").await?;
    let first = wallet(&scene, &ada, json!({"priority": 1})).await?;
    let last = wallet(&scene, &ada, json!({"priority": 9})).await?;
    scene.admin.top_up(&last, "40").await?;
    scene.admin.top_up(&first, "40").await?;
    let gateway = [envoy.address()];
    let key = ada.key.clone();
    let tally = send_all(&gateway, 4, 60, move |_| get("/v1/ping", &key)).await;
    assert_eq!(tally.status(200), 60, "{tally}");
    at_rest(&scene, &ada).await?;
    let mut spent = Vec::new();
    for wallet in [&first, &last, &ada.wallet] {
        spent.push(scene.admin.balance(wallet).await?.spent);
    }
    // The one without a priority comes last.
    assert_eq!(spent, [40, 20, 0]);
    scene.adds_up([envoy]).await
}

/// Debits, top-ups, voids, transfers, grants, limits and freezes from many connections, while
/// two Envoys spend: every request is paid by what was there, and the log is the ledger.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_at_once_while_two_gateways_spend_adds_up() -> Result<()> {
    let scene = Scene::start().await?;
    let (east, west) = (scene.envoy("east").await?, scene.envoy("west").await?);
    let ada = scene.customer("ada", "4000").await?;
    let second = wallet(&scene, &ada, json!({"priority": 5})).await?;
    let key = ada.key.clone();
    let gateways = [east.address(), west.address()];
    let traffic = Background::start(&gateways, 8, ms(1), move |_| get("/v1/ping", &key));

    let started = now();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200_u32 {
        let (admin, ada, second) = (scene.admin.clone(), ada.clone(), second.clone());
        tasks.spawn(async move {
            pause(ms(u64::from(number) * 7)).await;
            let wallet = if number % 2 == 0 { &ada.wallet } else { &second };
            let other = if number % 2 == 0 { &second } else { &ada.wallet };
            let soon = Timestamp(utc_ms() + 200).to_string();
            let (path, body) = match number % 6 {
                5 => {
                    let top_up = json!({"credits_to_add": 9, "expires_at": soon});
                    let path = format!("/v1/wallets/{wallet}/top-up");
                    let (status, lot) = admin
                        .call(reqwest::Method::POST, &path, Some(&top_up))
                        .await?;
                    // On a busy machine its time may be over before it comes.
                    if !status.is_success() {
                        return Ok((status, lot));
                    }
                    let lot = text(&lot, "id")?;
                    // Every other one is voided, the rest expires.
                    if number % 12 == 5 {
                        return Ok((reqwest::StatusCode::CREATED, Value::Null));
                    }
                    (format!("/v1/lots/{lot}/void"), json!({"reason": "test"}))
                }
                0 => (
                    format!("/v1/wallets/{wallet}/debit"),
                    json!({"amount": 7, "reason": "test"}),
                ),
                1 | 2 => (
                    format!("/v1/wallets/{wallet}/top-up"),
                    json!({"credits_to_add": 20, "priority": number}),
                ),
                3 => (
                    format!("/v1/wallets/{wallet}/transfer"),
                    json!({"to": other, "amount": 5, "reason": "test"}),
                ),
                _ => (
                    "/v1/credit-grants".to_owned(),
                    json!({
                        "name": format!("once {number}"), "scope": "CUSTOMER", "customer_id": ada.name,
                        "credit_amount": 3, "currency": CURRENCY, "cadence": "ONETIME",
                    }),
                ),
            };
            admin.call(reqwest::Method::POST, &path, Some(&body)).await
        });
    }
    let mut refused = 0;
    for answer in tasks.join_all().await {
        let (status, body) = answer?;
        // Only what is not there any more may be refused.
        if !status.is_success() {
            let code = body["code"].as_str().unwrap_or_default();
            let is_gone =
                ["balance_insufficient", "lot_not_live", "expiry_in_the_past"].contains(&code);
            assert!(is_gone, "{status} {body}");
            refused += 1;
        }
    }
    let took = started.elapsed();
    pause(ms(500)).await;
    let traffic = traffic.stop().await;
    figure(
        "everything at once",
        format!("200 writes in {took:.1?}, {refused} refused; traffic {traffic}"),
    );
    assert!(traffic.broken.is_empty(), "{:?}", traffic.broken.first());
    at_rest(&scene, &ada).await?;
    let mut spent = 0;
    for wallet in [&ada.wallet, &second] {
        spent += scene.admin.balance(wallet).await?.spent;
    }
    assert_eq!(spent, i128::from(traffic.status(200)));
    assert_eq!(scene.upstream.requests(), traffic.status(200));
    audited(&scene, &ada, [(&ada.wallet, None), (&second, Some(5))]).await?;
    scene.adds_up([east, west]).await
}

/// Has the auditor go through the journal, and holds every lot against what it comes to.
async fn audited(
    scene: &Scene,
    customer: &Customer,
    wallets: [(&String, Option<i64>); 2],
) -> Result<()> {
    let shown = scene
        .admin
        .get(&format!("/v1/wallets/{}", wallets[0].0))
        .await?;
    let path = format!("/v1/accounts/{}/journal", text(&shown, "account_id")?);
    let journal = scene.admin.get(&path).await?;
    let mut auditor = Auditor::default();
    for (wallet, priority) in wallets {
        auditor.wallets.insert(wallet.clone(), priority);
    }
    auditor.go_through(journal.as_str().context("lines")?)?;
    let mut lots = 0;
    for (wallet, _) in wallets {
        let path = format!("/v1/wallets/{wallet}/lots");
        for lot in scene.admin.list(&path).await? {
            let part = |name: &str| -> Result<i128> { Ok(text(&lot, name)?.parse()?) };
            let audited = &auditor.lots[&text(&lot, "id")?];
            let found = [
                part("free")?,
                part("out")?,
                part("spent")?,
                part("expired")?,
            ];
            let expected = [audited.free, audited.out, audited.spent, audited.expired];
            assert_eq!(found, expected, "{lot}");
            assert_eq!(part("withdrawn")?, audited.withdrawn, "{lot}");
            lots += 1;
        }
    }
    assert_eq!(lots, auditor.lots.len(), "of {}", customer.name);
    figure("auditor", format!("{lots} lots foretold"));
    Ok(())
}
