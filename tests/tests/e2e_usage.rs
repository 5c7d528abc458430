//! Usage detail explains all that was spent: access log = detail = ledger, to the last unit,
//! whatever happens to messages and processes; and a line of the log leads to what it cost.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use bytes::Bytes;
use creditgate_tests::access_log::{costs, entries};
use creditgate_tests::admin::{smallest_units, text};
use creditgate_tests::client::{get, get_behaving, request};
use creditgate_tests::clock::{ms, pause, until};
use creditgate_tests::envoy::Setup;
use creditgate_tests::fault_proxy::{Fault, USAGE};
use creditgate_tests::figures::figure;
use creditgate_tests::load::{Background, send_all};
use creditgate_tests::priced::{CHAT, MESSAGES, Priced, SCALE, ask};
use creditgate_tests::scene::{CARD, Scene, card, fast_settings};
use creditgate_tests::tools;
use creditgate_tests::usage::{explained, sums};
use serde_json::{Value, json};

/// What each value of a field of the log comes to: requests that were settled, and their cost.
fn logged(entries: &[Value], field: &str, scale: usize) -> Result<BTreeMap<String, (u64, i128)>> {
    let mut sums = BTreeMap::<String, (u64, i128)>::new();
    for entry in entries {
        let Some(cost) = entry["cost"].as_str() else {
            continue;
        };
        let name = entry[field].as_str().unwrap_or("none").to_owned();
        let (requests, sum) = sums.entry(name).or_default();
        *requests += 1;
        *sum += smallest_units(cost, scale)?;
    }
    Ok(sums)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_detail_and_ledger_agree_on_requests_of_every_kind() -> Result<()> {
    let mut stage = Priced::start().await?;
    let setup = Setup::default().logging().reading_bodies();
    let mut far = stage.scene.envoy_with("far", &setup).await?;
    let mut customers = Vec::new();
    for (name, dollars) in [("ada", "5"), ("bob", "0.02"), ("eve", "0.001")] {
        customers.push(stage.customer(name, dollars).await?);
    }
    let keys: Vec<String> = customers
        .iter()
        .map(|customer| customer.key.clone())
        .collect();
    let gateways = [stage.envoy.address(), far.address()];
    // Answers to some batches get lost, so that they come again.
    stage.scene.proxy.harm(USAGE, Fault::LoseAnswer);
    let tally = send_all(&gateways, 16, 400, move |number| {
        let key = &keys[(number % 3) as usize];
        let id = format!("usage-{number}");
        let chat = |stream: bool| json!({"model": "small", "stream": stream, "messages": [{"role": "user", "content": "x".repeat((number * 37 % 900) as usize)}]});
        let tokens = format!("input={} cached={} output={}", 10 + number % 90, number % 10, number % 70);
        match number % 9 {
            0 => ask(CHAT, key, &tokens, &id, &chat(false)),
            1 => ask(CHAT, key, &format!("{tokens} split=9"), &id, &chat(true)),
            2 => ask(MESSAGES, key, &tokens, &id, &chat(false)),
            3 => ask(MESSAGES, key, &format!("{tokens} split=33"), &id, &chat(true)),
            4 => ask(CHAT, key, "silent", &id, &chat(false)),
            5 => ask(CHAT, key, "status=503", &id, &chat(false)),
            6 => ask("/v1/jobs", key, &format!("units={}", number % 4), &id, &json!({})),
            7 => ask("/v1/bulk", key, &format!("bytes={}", number * 999), &id, &json!({})),
            _ => request("GET", "/v1/ping", &[("x-api-key", key), ("x-behave", "reset-after=300")], Bytes::new()),
        }
    })
    .await;
    let lost = stage.scene.proxy.calls(USAGE);
    stage.scene.proxy.heal(USAGE);
    assert!(tally.status(200) > 100, "{tally}");

    let admin = stage.scene.admin.clone();
    let mut spent = BTreeMap::new();
    for customer in &customers {
        let ledger = stage.scene.at_rest(customer).await?.spent;
        assert_eq!(
            explained(&admin, customer, SCALE).await?,
            ledger,
            "{}",
            customer.name
        );
        spent.insert(customer.name.clone(), ledger);
    }
    let by_rule = sums(&admin, "rule", "rule", SCALE).await?;
    let tokens = admin.list("/v1/usage").await?;
    let mut log = entries(&mut stage.envoy).await?;
    log.extend(entries(&mut far).await?);
    figure(
        "usage",
        format!(
            "{tally}; {lost} batches whose answer was lost; by rule {by_rule:?}; spent {spent:?}"
        ),
    );
    assert!(lost > 0, "no batch came again");
    let mut costs = costs(&log, SCALE)?;
    costs.retain(|_, cost| *cost > 0);
    spent.retain(|_, cost| *cost > 0);
    assert_eq!(costs, spent);
    assert_eq!(by_rule, logged(&log, "rule", SCALE)?);
    for kind in ["input", "cached_input", "output"] {
        let told = log
            .iter()
            .filter_map(|entry| entry[format!("{kind}_tokens")].as_u64());
        assert_eq!(tokens[0]["tokens"][kind], told.sum::<u64>(), "{kind}");
    }
    stage.scene.adds_up([stage.envoy, far]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_plane_that_is_killed_under_load_counts_each_request_once() -> Result<()> {
    let mut settings = fast_settings();
    // Long enough for a restart not to be noticed.
    settings["use_by_ms"] = json!(8_000);
    settings["silent_after_ms"] = json!(10_000);
    let mut scene = Scene::with(&settings, &card(), false).await?;
    let mut envoy = scene
        .envoy_with("edge", &Setup::default().logging())
        .await?;
    let ada = scene.customer("ada", "100000").await?;
    let key = ada.key.clone();
    let traffic = Background::start(&[envoy.address()], 4, ms(5), move |number| {
        let path = if number % 2 == 0 {
            "/v1/ping"
        } else {
            "/v1/report"
        };
        let behave = if number % 7 == 0 {
            "status=503"
        } else {
            "status=200"
        };
        get_behaving(path, &key, behave)
    });
    for _ in 0..4 {
        let told = scene.proxy.calls(USAGE);
        let more = until("more batches come", ms(10_000), async || {
            Ok((scene.proxy.calls(USAGE) >= told + 3).then_some(()))
        });
        more.await?;
        scene.plane.kill();
        pause(ms(200)).await;
        scene.plane.restart().await?;
    }
    let traffic = traffic.stop().await;
    let spent = scene.at_rest(&ada).await?.spent;
    assert_eq!(explained(&scene.admin, &ada, 0).await?, spent);
    let by_status = sums(&scene.admin, "status_class", "status_class", 0).await?;
    let by_rule = sums(&scene.admin, "rule", "rule", 0).await?;
    figure(
        "usage",
        format!("through four kills: {traffic}; {by_status:?}; {by_rule:?}"),
    );
    assert_eq!(by_status["2xx"].0, traffic.status(200));
    assert_eq!(by_status["5xx"], (traffic.status(503), 0));
    let log = entries(&mut envoy).await?;
    assert_eq!(by_rule, logged(&log, "rule", 0)?);
    scene.adds_up([envoy]).await
}

/// The access log of `envoy/production.yaml`, as people copy it.
fn sample_log() -> Result<String> {
    let file = tools::top().join("envoy/production.yaml");
    let text = std::fs::read_to_string(file)?;
    let (_, rest) = text
        .split_once("          access_log:\n")
        .context("access_log")?;
    let (log, _) = rest
        .split_once("          route_config:")
        .context("route_config")?;
    Ok(format!("stat_prefix: public\n          access_log:\n{log}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_id_leads_from_the_log_to_price_lease_and_entry() -> Result<()> {
    let scene = Scene::start().await?;
    let setup = Setup::default().edit("stat_prefix: public", &sample_log()?);
    let mut envoy = scene.envoy_with("edge", &setup).await?;
    let (ada, bob) = (
        scene.customer("ada", "100").await?,
        scene.customer("bob", "100").await?,
    );
    let admin = &scene.admin;
    let pricing = format!("/v1/customers/{}/pricing", ada.name);
    let own =
        json!({"rate_cards": [{"rate_card": CARD, "rules": [{"rule": "report", "price": "4"}]}]});
    admin.put(&pricing, &own).await?;
    for key in [&ada.key, &bob.key] {
        assert_eq!(envoy.send(get("/v1/report", key)).await?.status, 200);
    }
    for customer in [&ada, &bob] {
        scene.at_rest(customer).await?;
        explained(admin, customer, 0).await?;
    }
    // Prices change: what was before must still be found.
    let mut dearer = card();
    dearer["rules"][1]["price"] = json!(50);
    admin.rate_card(CARD, &dearer).await?;
    admin.put(&pricing, &json!({})).await?;
    envoy.terminate().await?;

    // 1. The line of the request.
    let lines: Vec<Value> = envoy
        .access_log()
        .iter()
        .map(|line| serde_json::from_str(line))
        .collect::<Result<_, _>>()?;
    let of_ada = |line: &&Value| {
        line["credit"]
            .as_str()
            .is_some_and(|text| text.contains("\"ada\""))
    };
    let id = lines.iter().find(of_ada).context("ada's line")?["request_id"].clone();
    assert!(id.as_str().is_some_and(|id| id.len() > 8), "{id}");
    let line = lines
        .iter()
        .find(|line| line["request_id"] == id)
        .context("the line")?;
    let credit: Value = serde_json::from_str(&text(line, "credit")?)?;
    assert_eq!(
        (&credit["customer"], &credit["cost"]),
        (&json!("ada"), &json!("4"))
    );

    // 2. The price that it was admitted by.
    let instance = text(&credit, "instance")?;
    let process = admin.get(&format!("/v1/instances/{instance}")).await?;
    let gateway = admin
        .get(&format!("/v1/gateways/{}", text(&process, "gateway_id")?))
        .await?;
    let (name, version) = (text(&gateway, "rate_card")?, &credit["card_version"]);
    let card = admin
        .get(&format!("/v1/rate-cards/{name}?version={version}"))
        .await?;
    let rules = card["document"]["rules"].as_array().context("rules")?;
    let rule = rules.iter().find(|rule| rule["id"] == credit["rule"]);
    assert_eq!(rule.context("the rule")?["price"], json!("5"));
    let version = &credit["pricing_version"];
    let own = admin.get(&format!("{pricing}?version={version}")).await?;
    assert_eq!(
        own["rate_cards"][0]["rules"][0],
        json!({"rule": "report", "price": "4"})
    );

    // 3. The lease that it was paid from.
    let (account, number) = (text(&credit, "account")?, text(&credit, "lease")?);
    let path = format!("/v1/leases?instance={instance}&number={number}&account={account}");
    let leases = admin.list(&path).await?;
    assert_eq!(leases.len(), 1, "{leases:?}");
    assert_eq!(
        (&leases[0]["account_id"], &leases[0]["settled"]),
        (&json!(account), &json!("4"))
    );

    // 4. The entry that booked it, and the lots that paid.
    let lease = text(&leases[0], "id")?;
    let booked = admin
        .list(&format!("/v1/leases/{lease}/transactions?kind=usage"))
        .await?;
    assert_eq!(booked.len(), 1, "{booked:?}");
    assert_eq!(
        (&booked[0]["amount"], &booked[0]["lease_id"]),
        (&json!("4"), &json!(lease))
    );
    let lots = admin
        .list(&format!("/v1/wallets/{}/lots", ada.wallet))
        .await?;
    assert_eq!(booked[0]["lots"][0]["lot_id"], lots[0]["id"]);
    scene.adds_up([envoy]).await
}
