//! Much at once: long answers in bounded memory, long price lists, and many requests of every
//! kind whose sums are exact.

use anyhow::Result;
use bytes::Bytes;
use creditgate_tests::client::request;
use creditgate_tests::clock::{ms, now, until};
use creditgate_tests::figures::figure;
use creditgate_tests::load::send_all;
use creditgate_tests::priced::{CHAT, MESSAGES, Priced, ask, card, small};
use creditgate_tests::upstream::llm;
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_megabytes_pass_unchanged_in_bounded_memory() -> Result<()> {
    let mut stage = Priced::start().await?;
    let ada = stage.customer("ada", "1").await?;
    let bytes = 100 * MIB;
    let before = stage.envoy.peak_memory()?;
    let behave = format!("bytes={bytes}");
    let answer = stage
        .envoy
        .send(ask("/v1/bulk", &ada.key, &behave, "bulk", &json!({})))
        .await?;
    let after = stage.envoy.peak_memory()?;
    assert_eq!(answer.status, 200);
    llm::is_bulk(&answer.body, bytes)?;
    figure(
        "llm, 100 MB",
        format!(
            "Envoy's peak memory {} MiB before, {} MiB after; {:.1?}",
            before / MIB,
            after / MIB,
            answer.took
        ),
    );
    assert!(after - before < 32 * MIB, "{before} to {after}");
    let (_, spent) = stage.books().await?;
    // 0.09 dollars for 10⁹ bytes: 0.09 of a smallest unit each, rounded up once.
    assert_eq!(spent["ada"], i128::from((bytes * 9).div_ceil(100)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_events_pass_unchanged_in_bounded_memory() -> Result<()> {
    let mut stage = Priced::start().await?;
    let ada = stage.customer("ada", "1").await?;
    let body = json!({"model": "small", "stream": true, "max_tokens": 1000, "stream_options": {"include_usage": true}});
    for path in [CHAT, MESSAGES] {
        let before = stage.envoy.peak_memory()?;
        // A hundred megabytes of them, so that whoever kept them would be seen.
        let behave = "events=10000 input=11 output=900 pad=10000";
        let answer = stage
            .envoy
            .send(ask(path, &ada.key, behave, path, &body))
            .await?;
        let after = stage.envoy.peak_memory()?;
        let sent = llm::Answer::to(path, body.to_string().as_bytes(), behave);
        let sent = sent.map(|sent| sent.body()).unwrap_or_default();
        assert!(
            answer.body == sent && sent.len() > 100_000_000,
            "{path}: {} bytes of {}",
            answer.body.len(),
            sent.len()
        );
        figure(
            "llm, 10,000 events",
            format!(
                "{path}: {} bytes in {:.1?}; Envoy's peak memory {} MiB before, {} MiB after",
                sent.len(),
                answer.took,
                before / MIB,
                after / MIB
            ),
        );
        assert!(after - before < 32 * MIB, "{before} to {after}");
    }
    let (_, spent) = stage.books().await?;
    assert_eq!(spent["ada"], 2 * small(11, 0, 900));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_and_the_ledger_agree_on_500_requests_of_every_kind() -> Result<()> {
    let mut stage = Priced::start().await?;
    let mut keys = Vec::new();
    for (name, dollars) in [("ada", "5"), ("bob", "0.02"), ("eve", "0.001")] {
        keys.push(stage.customer(name, dollars).await?.key);
    }
    let tally = send_all(&[stage.envoy.address()], 16, 500, move |number| {
        let key = &keys[(number % 3) as usize];
        let id = format!("mix-{number}");
        let chat = |stream: bool| json!({"model": "small", "stream": stream, "messages": [{"role": "user", "content": "x".repeat((number * 37 % 3_000) as usize)}]});
        let tokens = format!("input={} cached={} output={}", 10 + number % 90, number % 10, number % 70);
        match number % 10 {
            0 => ask(CHAT, key, &tokens, &id, &chat(false)),
            1 => ask(CHAT, key, &format!("{tokens} split=9"), &id, &chat(true)),
            2 => ask(MESSAGES, key, &tokens, &id, &chat(false)),
            3 => ask(MESSAGES, key, &format!("{tokens} split=33"), &id, &chat(true)),
            4 => ask(CHAT, key, "silent", &id, &chat(false)),
            5 => ask(CHAT, key, "status=429", &id, &chat(true)),
            6 => ask(CHAT, key, "status=503", &id, &chat(false)),
            7 => ask("/v1/jobs", key, &format!("units={}", number % 4), &id, &json!({})),
            8 => ask("/v1/bulk", key, &format!("bytes={}", number * 999), &id, &json!({})),
            _ => request("GET", "/v1/ping", &[("x-api-key", key), ("x-behave", "reset-after=300")], Bytes::new()),
        }
    })
    .await;
    let (entries, spent) = stage.books().await?;
    let cut = tally.broken.len() as u64;
    assert!(
        (1..=50).contains(&cut),
        "only those that the upstream cut off broke: {tally}"
    );
    assert_eq!(tally.answered() + cut, 500, "{tally}");
    assert!(tally.status(402) > 0 && tally.status(200) > 100, "{tally}");
    let mut settled = std::collections::BTreeMap::<String, u32>::new();
    for entry in &entries {
        let by = entry["settled_by"].as_str().or(entry["outcome"].as_str());
        *settled
            .entry(by.unwrap_or_default().to_owned())
            .or_default() += 1;
    }
    figure(
        "llm, mix of 500",
        format!("{tally}; {settled:?}; logged = ledger = {spent:?}"),
    );
    // Strict: whoever had little has not spent more.
    for (name, most) in [
        ("ada", 5_000_000_000),
        ("bob", 20_000_000),
        ("eve", 1_000_000),
    ] {
        assert!(
            spent.get(name).is_none_or(|spent| *spent <= most),
            "{name}: {spent:?}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_price_list_of_two_thousand_models_reaches_every_worker() -> Result<()> {
    let mut stage = Priced::start().await?;
    let ada = stage.customer("ada", "5").await?;
    let body = json!({"model": "vendor/model-1999", "max_tokens": 10});
    let unknown = ask(CHAT, &ada.key, "", "early", &body);
    assert_eq!(stage.envoy.send(unknown).await?.code(), "model_unknown");

    let mut long = card();
    let models = (0..1_998).map(|number| {
        let kinds = [
            "input",
            "cached_input",
            "cache_write",
            "output",
            "reasoning",
            "audio_input",
            "audio_output",
            "image",
        ];
        let mut model: serde_json::Map<String, Value> = kinds
            .iter()
            .map(|kind| ((*kind).to_owned(), json!("0.15")))
            .collect();
        let mut tier = model.clone();
        tier.insert("above_input_tokens".to_owned(), json!(200_000));
        model.insert(
            "model".to_owned(),
            json!(format!("vendor/model-{}", number + 2)),
        );
        model.insert("context_tiers".to_owned(), json!([tier]));
        Value::Object(model)
    });
    if let Value::Array(own) = &mut long["models"] {
        own.extend(models);
    }
    let before = stage.envoy.peak_memory()?;
    let started = now();
    stage.scene.admin.rate_card("standard", &long).await?;
    let put = started.elapsed();
    // Each connection may meet another worker.
    until("the price list is in force", ms(20_000), async || {
        for _ in 0..20 {
            let asked = ask(CHAT, &ada.key, "input=5 output=5", "late", &body);
            if stage.envoy.send(asked).await?.status != 200 {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
    .await?;
    let told = started.elapsed();
    let mut slowest = ms(0);
    for number in 0..40 {
        let answer = ask(
            CHAT,
            &ada.key,
            "input=5 output=5",
            &format!("late-{number}"),
            &body,
        );
        let answer = stage.envoy.send(answer).await?;
        assert_eq!(answer.status, 200, "{answer:?}");
        slowest = slowest.max(answer.took);
    }
    let after = stage.envoy.peak_memory()?;
    figure(
        "llm, 2,000 models",
        format!(
            "{} bytes; taken by the control plane in {put:.1?}, in force after {told:.1?}; slowest of the next 40 requests {slowest:.1?}; Envoy's peak memory {} MiB before, {} MiB after",
            long.to_string().len(),
            before / MIB,
            after / MIB
        ),
    );
    stage.books().await.map(drop)
}
