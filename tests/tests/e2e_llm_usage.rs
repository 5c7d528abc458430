//! Language models behind a real Envoy: an answer costs what it says it used, and what doesn't
//! say costs what was reserved.

use anyhow::Result;
use creditgate_tests::admin::smallest_units;
use creditgate_tests::clock::{ms, until};
use creditgate_tests::envoy::Envoy;
use creditgate_tests::figures::figure;
use creditgate_tests::priced::{CHAT, MESSAGES, Priced, SCALE, ask, small};
use creditgate_tests::scene::Customer;
use creditgate_tests::upstream::llm;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn question(more: Value) -> Value {
    let mut question = json!({
        "model": "small", "max_tokens": 100,
        "messages": [{"role": "user", "content": "What does a token cost?"}],
    });
    if let (Value::Object(fields), Value::Object(more)) = (&mut question, more) {
        fields.extend(more);
    }
    question
}

/// Waits until the filter has counted so many; workers tell their counts every so often.
async fn counted(envoy: &Envoy, metric: &str, count: u64) -> Result<()> {
    until(metric, ms(5_000), async || {
        let found = envoy.metric(metric).await?;
        Ok((found == count).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_charged_by_its_tokens() -> Result<()> {
    let mut stage = Priced::start().await?;
    let ada = stage.customer("ada", "1").await?;
    let bob = stage.customer("bob", "1").await?;
    let behave = "input=90 cached=20 output=30";
    for (path, customer) in [(CHAT, &ada), (MESSAGES, &bob)] {
        let asked = ask(path, &customer.key, behave, path, &question(json!({})));
        let answer = stage.envoy.send(asked).await?;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("x-credit-cost"), "", "it isn't known yet");
        assert!(!answer.header("x-credit-remaining").is_empty());
    }
    let (entries, spent) = stage.books().await?;
    assert_eq!(spent["ada"], small(90, 20, 30));
    assert_eq!(spent["bob"], small(90, 20, 30));
    let told: Vec<_> = entries
        .iter()
        .filter(|entry| entry["outcome"] == "settled")
        .collect();
    for entry in told {
        assert_eq!(entry["settled_by"], "usage", "{entry}");
        assert_eq!(
            (
                &entry["model"],
                &entry["answered_by"],
                &entry["input_tokens"],
                &entry["cached_input_tokens"],
                &entry["output_tokens"]
            ),
            (
                &json!("small"),
                &json!("small"),
                &json!(70),
                &json!(20),
                &json!(30)
            ),
            "{entry}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_charged_by_its_last_event_and_arrives_unchanged() -> Result<()> {
    let mut stage = Priced::start().await?;
    let ada = stage.customer("ada", "1").await?;
    let asked = question(json!({"stream": true}));
    let mut expected = 0;
    for path in [CHAT, MESSAGES] {
        for (number, split) in ["", "split=1", "split=7", "split=64"].iter().enumerate() {
            let behave = format!("input=50 output={} events=5 {split}", 20 + number);
            let answer = ask(path, &ada.key, &behave, &format!("{path}{number}"), &asked);
            let answer = stage.envoy.send(answer).await?;
            assert_eq!(answer.status, 200, "{answer:?}");
            // The upstream saw a request that asks for the usage.
            let mut seen = asked.clone();
            if path == CHAT {
                seen["stream_options"] = json!({"include_usage": true});
            }
            let sent = llm::Answer::to(path, seen.to_string().as_bytes(), &behave);
            let sent = sent.map(|sent| sent.body()).unwrap_or_default();
            assert_eq!(answer.body, sent, "{path} {behave}");
            expected += small(50, 0, 20 + number);
        }
    }
    let (_, spent) = stage.books().await?;
    assert_eq!(spent["ada"], expected);
    Ok(())
}

/// Asks for a stream, reads until `enough`, and goes away. Returns what it has read.
async fn leave(envoy: &Envoy, customer: &Customer, path: &str, enough: &str) -> Result<String> {
    let body = question(json!({"stream": true})).to_string();
    let mut stream = TcpStream::connect(envoy.address()).await?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: api.example\r\nx-api-key: {}\r\nx-behave: input=50 events=100 gap=20\r\ncontent-length: {}\r\n\r\n{body}",
        customer.key,
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    let (mut read, mut piece) = (String::new(), [0; 1024]);
    while !read.contains(enough) {
        let length = stream.read(&mut piece).await?;
        anyhow::ensure!(length > 0, "the gateway closed first: {read}");
        read.push_str(&String::from_utf8_lossy(&piece[..length]));
    }
    Ok(read)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_a_stream_pays_what_has_passed() -> Result<()> {
    let mut stage = Priced::start().await?;
    let bytes = question(json!({"stream": true})).to_string().len();
    for (name, path) in [("ada", CHAT), ("bob", MESSAGES)] {
        let customer = stage.customer(name, "1").await?;
        leave(&stage.envoy, &customer, path, "word-0009").await?;
    }
    let (entries, spent) = stage.books().await?;
    // OpenAI's stream had told nothing, so the request's bytes stand for its tokens; Anthropic's
    // had told what it read. Each word has 10 bytes, and a few more may have been on their way.
    for (name, input) in [("ada", bytes), ("bob", 50)] {
        let (least, most) = (small(input, 0, 100), small(input, 0, 100 + 30));
        let spent = spent[name];
        figure(
            "llm, a client that left",
            format!("{name} {spent} of {least} to {most}"),
        );
        assert!(
            spent > 0 && (least..=most).contains(&spent),
            "{name}: {spent} of {least} to {most}"
        );
    }
    let passed = entries
        .iter()
        .filter(|entry| entry["settled_by"] == "passed");
    assert_eq!(passed.count(), 2, "{entries:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_does_not_tell_its_usage_is_settled_at_the_estimate() -> Result<()> {
    let mut stage = Priced::start().await?;
    let asked = question(json!({}));
    let estimate = small(asked.to_string().len(), 0, 100);
    let behaviours = [
        ("silent", 200),
        ("gzip", 200),
        ("status=429", 429),
        ("input=9999999999999 output=1", 200),
    ];
    for (number, (behave, status)) in behaviours.into_iter().enumerate() {
        let customer = stage.customer(&format!("ada-{number}"), "1").await?;
        let id = format!("silent-{number}");
        let answer = ask(CHAT, &customer.key, behave, &id, &asked);
        let answer = stage.envoy.send(answer).await?;
        assert_eq!(answer.status, status, "{behave}: {answer:?}");
        let seen = stage.scene.upstream.seen(&id);
        assert_eq!(seen[0].headers["accept-encoding"], "identity");
    }
    // The upstream failed: nothing is charged.
    let eve = stage.customer("eve", "1").await?;
    let failed = ask(CHAT, &eve.key, "status=503", "failed", &asked);
    assert_eq!(stage.envoy.send(failed).await?.status, 503);
    for metric in ["usage_unreadable", "settled_at_estimate"] {
        counted(&stage.envoy, metric, 4).await?;
    }
    let (entries, spent) = stage.books().await?;
    for number in 0..4 {
        assert_eq!(spent[&format!("ada-{number}")], estimate, "{number}");
    }
    assert_eq!(spent.get("eve"), None);
    let estimated = entries
        .iter()
        .filter(|entry| entry["settled_by"] == "estimate");
    assert_eq!(estimated.count(), 4, "{entries:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_settle_rule_releases_what_the_provider_refused() -> Result<()> {
    let mut card = creditgate_tests::priced::card();
    card["rules"][0]["settle"] = json!([{"when": {"status": ["429"]}, "then": "release"}]);
    let mut stage = Priced::with(&card).await?;
    let ada = stage.customer("ada", "1").await?;
    let asked = ask(
        CHAT,
        &ada.key,
        "status=429",
        "refused",
        &question(json!({})),
    );
    assert_eq!(stage.envoy.send(asked).await?.status, 429);
    let (entries, spent) = stage.books().await?;
    assert!(spent.is_empty(), "{spent:?}");
    assert!(
        entries.iter().any(|entry| entry["outcome"] == "released"),
        "{entries:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn units_that_the_upstream_tells_are_charged_and_go_no_further() -> Result<()> {
    let mut stage = Priced::start().await?;
    let ada = stage.customer("ada", "1").await?;
    for behave in ["units=3", "units=0", "silent"] {
        let answer = ask("/v1/jobs", &ada.key, behave, behave, &json!({}));
        let answer = stage.envoy.send(answer).await?;
        assert_eq!(
            (answer.status.as_u16(), answer.header("x-units")),
            (200, ""),
            "{behave}"
        );
    }
    let (_, spent) = stage.books().await?;
    // 0.001 each, and 0.01 a unit: three, none, and five as estimated.
    assert_eq!(spent["ada"], 3 * 1_000_000 + 8 * 10_000_000);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_dearer_than_expected_is_charged_in_full_and_owed() -> Result<()> {
    let mut card = creditgate_tests::priced::card();
    card["rules"][0]["promise"] = json!("expected");
    card["rules"][0]["estimate"] = json!({"output_tokens": 10});
    let mut stage = Priced::with(&card).await?;
    // A quarter of a token for each byte, and 10 tokens: 36 × 150 + 10 × 600 units.
    let asked = question(json!({"max_tokens": 1000}));
    let estimate = small(asked.to_string().len().div_ceil(4), 0, 10);
    let ada = stage.customer("ada", "0.00002").await?;
    assert!(estimate <= 20_000, "{estimate}");
    let answer = ask(CHAT, &ada.key, "input=30 output=800", "dear", &asked);
    assert_eq!(stage.envoy.send(answer).await?.status, 200);
    let cost = small(30, 0, 800);
    // It owes the rest; what is paid in next pays that first.
    let refused = ask(CHAT, &ada.key, "input=30 output=800", "broke", &asked);
    assert_eq!(stage.envoy.send(refused).await?.status, 402);
    let balance = stage.scene.at_rest(&ada).await?;
    assert_eq!(
        (balance.spent, balance.available),
        (20_000, 0),
        "{balance:?}"
    );
    let path = "/v1/customers/ada/balance?currency=usd";
    let told = stage.scene.admin.get(path).await?;
    let spent = smallest_units(told["spent"].as_str().unwrap_or_default(), SCALE)?;
    let debt = smallest_units(told["debt"].as_str().unwrap_or_default(), SCALE)?;
    assert_eq!((spent, debt), (cost, cost - 20_000), "{told}");
    stage.scene.admin.top_up(&ada.wallet, "0.001").await?;
    let balance = stage.scene.at_rest(&ada).await?;
    let left = 20_000 + 1_000_000 - cost;
    assert_eq!(
        (balance.spent, balance.available),
        (cost, left),
        "{balance:?}"
    );
    counted(&stage.envoy, "overruns", 1).await?;
    figure(
        "llm, expected",
        format!(
            "estimate {estimate}, cost {cost}, bound {}",
            cost - estimate
        ),
    );
    stage.books().await.map(drop)
}
