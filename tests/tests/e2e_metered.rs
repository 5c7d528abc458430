//! Answers that are paid for while they pass, over HTTP/2 and by gRPC, and all that is long: whole as long
//! as there is credit, and cut off where it ends.

use anyhow::Result;
use bytes::Bytes;
use creditgate_tests::client::{Protocol, begin, exchange, request};
use creditgate_tests::clock::{ms, now, until};
use creditgate_tests::envoy::Envoy;
use creditgate_tests::fault_proxy::{Fault, SYNC};
use creditgate_tests::figures::figure;
use creditgate_tests::priced::{CHAT, MESSAGES, Priced, ask, card, setup, small};
use creditgate_tests::scene::{Customer, fast_settings};
use creditgate_tests::upstream::llm;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;
/// What is charged for its bytes.
const CALLS: &str = "/test.Bytes/Get";
/// What a byte of it costs.
const BYTE: i128 = 1_000;

/// Everything is metered; leases are small, so that there are pauses for credit.
async fn stage() -> Result<Priced> {
    let mut card = card();
    for rule in [0, 1, 3] {
        card["rules"][rule]["promise"] = json!("metered");
    }
    // Nothing of a long answer is paid for before it begins.
    card["rules"][3]["meters"][0]["estimate"] = json!(1);
    let bytes = json!([{"meter": "response_bytes", "price": "0.000001", "estimate": 1}]);
    card["rules"][4] =
        json!({"id": "calls", "path": {"exact": CALLS}, "promise": "metered", "meters": bytes});
    let mut settings = fast_settings();
    settings["refill_seconds"] = json!(1);
    settings["max_stream_ms"] = json!(60_000);
    // Patience, also where the machine is busy.
    settings["use_by_ms"] = json!(10_000);
    settings["wait_ms"] = json!(10_000);
    settings["silent_after_ms"] = json!(15_000);
    let (route, patient) = (
        "{ cluster: upstream }",
        "{ cluster: upstream, timeout: 0s }",
    );
    let setup = setup().http2_upstream().edit(route, patient);
    Priced::set_up(&settings, &card, &setup).await
}

fn question() -> Value {
    json!({"model": "small", "stream": true, "messages": [{"role": "user", "content": "Go on."}],
        "stream_options": {"include_usage": true}})
}

/// A gRPC call, or another request that is paid by its bytes.
fn bytes_of(customer: &Customer, content_type: &str, behave: &str) -> Request<Full<Bytes>> {
    let headers = [
        ("x-api-key", customer.key.as_str()),
        ("x-behave", behave),
        ("content-type", content_type),
    ];
    request("POST", CALLS, &headers, &b"\0\0\0\0\0"[..])
}

/// All that comes of an answer, and whether it broke off.
async fn taken(
    envoy: &Envoy,
    protocol: Protocol,
    request: Request<Full<Bytes>>,
) -> Result<(Vec<u8>, bool)> {
    let response = begin(envoy.address(), protocol, request).await?;
    assert_eq!(response.status(), 200);
    let (mut body, mut all) = (response.into_body(), Vec::new());
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => all.extend(frame.into_data().unwrap_or_default()),
            Err(_) => return Ok((all, true)),
        }
    }
    Ok((all, false))
}

/// Whether all that customers asked for was settled so.
fn all_are(entries: &[Value], field: &str, so: &str) -> bool {
    let mut of_customers = entries.iter().filter(|entry| entry["customer"].is_string());
    of_customers.all(|entry| entry[field] == so)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_over_http2_says_why_when_the_credit_ends() -> Result<()> {
    let mut stage = stage().await?;
    let ada = stage.customer("ada", "0.00005").await?;
    let asked = ask(CHAT, &ada.key, "events=2000 gap=10", "ada", &question());
    let (got, _) = taken(&stage.envoy, Protocol::Http2, asked).await?;
    let got = String::from_utf8_lossy(&got).into_owned();
    assert!(got.contains("word-0003 "), "{got}");
    let (_, last) = got.split_once("event: error").unwrap_or_default();
    assert!(last.contains("credit_exhausted"), "{got}");
    assert!(!last.contains("word-"), "nothing comes behind it: {last}");
    let (entries, spent) = stage.books().await?;
    assert!(all_are(&entries, "settled_by", "ended"), "{entries:?}");
    // What came while it waited for the last of its credit is dropped as a whole.
    assert!((1..=50_000).contains(&spent["ada"]), "{spent:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_stream_of_events_is_cut_off_where_the_credit_ends() -> Result<()> {
    let mut stage = stage().await?;
    let kinds = [
        ("call", Protocol::Http2, "application/grpc", 10),
        ("http1", Protocol::Http1, "text/plain", 100),
        ("http2", Protocol::Http2, "text/plain", 100),
    ];
    let mut delivered = Vec::new();
    for (name, protocol, content_type, piece) in kinds {
        let customer = stage.customer(name, "0.00205").await?;
        let asked = bytes_of(&customer, content_type, "stream=1000,5");
        let (got, is_reset) = taken(&stage.envoy, protocol, asked).await?;
        // Not every Envoy says over HTTP/2 that it is an error.
        assert!(is_reset || protocol == Protocol::Http2, "{name}");
        assert!(got.len() < 1_000 * piece, "{name}");
        assert_eq!(got.len() % piece, 0, "{name}: {} bytes", got.len());
        delivered.push((name, got.len() as i128));
    }
    let (entries, spent) = stage.books().await?;
    assert!(all_are(&entries, "settled_by", "ended"), "{entries:?}");
    for (name, bytes) in delivered {
        let spent = spent[name];
        figure(
            "metered, cut off",
            format!("{name}: {bytes} bytes, spent {spent}"),
        );
        assert!(bytes > 0 && bytes * BYTE <= spent, "{name}: {bytes} bytes");
        assert!(spent <= 2_050_000, "{name}: {spent}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_goes_away_pays_for_what_has_come() -> Result<()> {
    let mut stage = stage().await?;
    let mut had = Vec::new();
    for (name, protocol) in [("http1", Protocol::Http1), ("http2", Protocol::Http2)] {
        let customer = stage.customer(name, "1").await?;
        let asked = ask(CHAT, &customer.key, "events=1000 gap=20", name, &question());
        let mut body = begin(stage.envoy.address(), protocol, asked)
            .await?
            .into_body();
        let mut got = String::new();
        while !got.contains("word-0005 ") {
            let Some(frame) = body.frame().await else {
                break;
            };
            got.push_str(&String::from_utf8_lossy(
                &frame?.into_data().unwrap_or_default(),
            ));
        }
        let words = got.matches("word-").count();
        assert!(words >= 6, "{got}");
        had.push((name, small(0, 0, (10 * words).div_ceil(4))));
    }
    let (entries, spent) = stage.books().await?;
    assert!(all_are(&entries, "settled_by", "passed"), "{entries:?}");
    for (name, least) in had {
        // Far from all that there was to come.
        let most = small(100, 0, 2_500);
        assert!((least..most).contains(&spent[name]), "{name}: {spent:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_of_the_upstream_passes_whole_and_costs_nothing() -> Result<()> {
    let mut stage = stage().await?;
    for (name, protocol) in [("http1", Protocol::Http1), ("http2", Protocol::Http2)] {
        // For the first bytes of it, and no more.
        let customer = stage.customer(name, "0.0001").await?;
        let asked = bytes_of(&customer, "text/plain", "status=503,1");
        let (answer, _) = exchange(stage.envoy.address(), protocol, asked).await?;
        let told = (answer.status.as_u16(), answer.body.len());
        assert_eq!(told, (503, 10_000), "{name}");
    }
    let (entries, spent) = stage.books().await?;
    assert_eq!(spent.len(), 0, "{spent:?}");
    assert!(all_are(&entries, "outcome", "released"), "{entries:?}");
    Ok(())
}

/// How often answers were held back since there were so many.
async fn pauses_since(envoy: &Envoy, before: u64) -> Result<u64> {
    until("pieces were held back", ms(5_000), async || {
        let held = envoy.metric("streams_held").await?;
        Ok((held > before).then(|| held - before))
    })
    .await
}

/// What so many bytes of bulk cost: 0.09 dollars for 10⁹, rounded up once.
fn bulk(bytes: u64) -> i128 {
    i128::from((bytes * 9).div_ceil(100))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_megabytes_pass_unchanged_in_bounded_memory_as_fast_as_their_credit_comes()
-> Result<()> {
    let mut stage = stage().await?;
    let bytes = 100 * MIB;
    for (name, protocol) in [("http1", Protocol::Http1), ("http2", Protocol::Http2)] {
        // As much as it costs, to the last digit.
        let customer = stage
            .customer(name, &format!("0.{:09}", bulk(bytes)))
            .await?;
        let before = stage.envoy.peak_memory()?;
        let held = stage.envoy.metric("streams_held").await?;
        let behave = format!("bytes={bytes}");
        let asked = ask("/v1/bulk", &customer.key, &behave, name, &json!({}));
        let begun = now();
        let (got, broke) = taken(&stage.envoy, protocol, asked).await?;
        let took = begun.elapsed();
        let after = stage.envoy.peak_memory()?;
        assert!(!broke, "{name}: {} bytes of {bytes}", got.len());
        llm::is_bulk(&got, bytes)?;
        let held = pauses_since(&stage.envoy, held).await?;
        figure(
            "metered, 100 MB",
            format!(
                "{name}: held back {held} times; Envoy's peak memory {} MiB before, {} MiB after; {took:.1?}",
                before / MIB,
                after / MIB,
            ),
        );
        assert!(after - before < 32 * MIB, "{before} to {after}");
    }
    let (_, spent) = stage.books().await?;
    assert!(
        spent.values().all(|spent| *spent == bulk(bytes)),
        "{spent:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_control_plane_is_slow_no_more_is_taken_than_there_is_room_for() -> Result<()> {
    let mut stage = stage().await?;
    let (bytes, tokens) = (40 * MIB, small(11, 0, 80_000));
    // So little that it waits in sight, and all the rest behind it.
    let behave = "events=30000 input=11 output=80000 first=2000 gap=50";
    let events = llm::Answer::to(CHAT, question().to_string().as_bytes(), behave);
    let events = events.map(|sent| sent.body()).unwrap_or_default();
    // Enough time for the upstream to send all there is.
    stage.scene.proxy.harm(SYNC, Fault::Delay(ms(300)));
    for (name, protocol) in [("http1", Protocol::Http1), ("http2", Protocol::Http2)] {
        // As much as both cost, to the last digit.
        let dollars = format!("0.{:09}", bulk(bytes) + tokens);
        let customer = stage.customer(name, &dollars).await?;
        let before = stage.envoy.peak_memory()?;
        let held = stage.envoy.metric("streams_held").await?;
        let bulk = format!("bytes={bytes}");
        let asked = ask("/v1/bulk", &customer.key, &bulk, "bulk", &json!({}));
        let (got, broke) = taken(&stage.envoy, protocol, asked).await?;
        assert!(!broke, "{name}: {} bytes", got.len());
        llm::is_bulk(&got, bytes)?;
        let asked = ask(CHAT, &customer.key, behave, "chat", &question());
        let (got, broke) = taken(&stage.envoy, protocol, asked).await?;
        let is_whole = !broke && got == events;
        assert!(is_whole, "{name}: {} of {}", got.len(), events.len());
        let after = stage.envoy.peak_memory()?;
        let held = pauses_since(&stage.envoy, held).await?;
        let memory = format!("{} MiB before, {} MiB after", before / MIB, after / MIB);
        let says = format!("{name}: held back {held} times; Envoy's peak memory {memory}");
        figure("metered, slow control plane", says);
        assert!(after - before < 24 * MIB, "{before} to {after}");
    }
    stage.scene.proxy.heal(SYNC);
    let (_, spent) = stage.books().await?;
    let due = bulk(bytes) + tokens;
    assert!(spent.values().all(|spent| *spent == due), "{spent:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_its_credit_again_and_again_passes_whole() -> Result<()> {
    let mut stage = stage().await?;
    let bytes = 4 * MIB;
    // As much as it costs, to the last digit.
    let ada = stage
        .customer("ada", &format!("0.{:09}", bulk(bytes)))
        .await?;
    let behave = format!("bytes={bytes} gap=40");
    let asked = ask("/v1/bulk", &ada.key, &behave, "bulk", &json!({}));
    let answer = stage.envoy.send(asked).await?;
    llm::is_bulk(&answer.body, bytes)?;
    let held = pauses_since(&stage.envoy, 0).await?;
    figure("metered, small leases", format!("held back {held} times"));
    let (_, spent) = stage.books().await?;
    assert_eq!(spent["ada"], bulk(bytes));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_events_pass_unchanged_while_they_are_paid_for() -> Result<()> {
    let mut stage = stage().await?;
    let (cost, body) = (small(11, 0, 30_000), question());
    // Little by little, and all at once.
    for behave in [
        "events=10000 input=11 output=30000 split=2000 gap=3",
        "events=10000 input=11 output=30000",
    ] {
        let mut keys = Vec::new();
        for name in ["chat", "messages"] {
            // As much as it costs, to the last digit.
            let name = format!("{name}-{}", behave.len());
            let customer = stage.customer(&name, &format!("0.{cost:09}")).await?;
            keys.push(customer.key);
        }
        let before = stage.envoy.peak_memory()?;
        let held = stage.envoy.metric("streams_held").await?;
        let send = async |path: &str, key: &str| {
            let asked = ask(path, key, behave, path, &body);
            let (got, broke) = taken(&stage.envoy, Protocol::Http1, asked).await?;
            let sent = llm::Answer::to(path, body.to_string().as_bytes(), behave);
            let sent = sent.map(|sent| sent.body()).unwrap_or_default();
            let end = String::from_utf8_lossy(&got[got.len().saturating_sub(300)..]).into_owned();
            let (came, all) = (got.len(), sent.len());
            assert!(
                !broke && got == sent,
                "{path}: {came} bytes of {all}: {end}"
            );
            anyhow::Ok(())
        };
        tokio::try_join!(send(CHAT, &keys[0]), send(MESSAGES, &keys[1]))?;
        let after = stage.envoy.peak_memory()?;
        let held = pauses_since(&stage.envoy, held).await?;
        figure(
            "metered, 10,000 events",
            format!(
                "twice, {behave}: held back {held} times; Envoy's peak memory {} MiB before, {} MiB after",
                before / MIB,
                after / MIB
            ),
        );
        assert!(after - before < 32 * MIB, "{before} to {after}");
    }
    let (_, spent) = stage.books().await?;
    assert!(spent.values().all(|spent| *spent == cost), "{spent:?}");
    Ok(())
}
