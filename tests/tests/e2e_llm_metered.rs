//! Answers that are paid for while they pass, through a real Envoy: the stream ends when the
//! credit does, with an event that says why, and log and ledger say the same.

use std::net::SocketAddr;

use anyhow::Result;
use creditgate_tests::clock::{ms, until};
use creditgate_tests::figures::figure;
use creditgate_tests::priced::{CHAT, Priced, ask, card, small};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// At least so much of the credit is used when streams end. What came while the last question was
/// under way is dropped as a whole, and on a busy machine that may be many events.
const LEAST_PART: i128 = 10;

async fn stage() -> Result<Priced> {
    let mut card = card();
    card["rules"][0]["promise"] = json!("metered");
    Priced::with(&card).await
}

fn question() -> Value {
    json!({"model": "small", "stream": true, "messages": [{"role": "user", "content": "Go on."}]})
}

/// All that a client gets of a stream, until it ends in whatever way.
async fn stream(envoy: SocketAddr, key: String, behave: &str) -> Result<String> {
    let body = question().to_string();
    let mut stream = TcpStream::connect(envoy).await?;
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: api.example\r\nx-api-key: {key}\r\nx-behave: {behave}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    let mut read = Vec::new();
    let ended = stream.read_to_end(&mut read);
    // A reset comes as an error or as an end.
    let _reset = tokio::time::timeout(ms(20_000), ended).await?;
    Ok(String::from_utf8_lossy(&read).into_owned())
}

/// Every word that came is the next one; answers how many there are.
fn in_order(got: &str) -> usize {
    let numbers: Vec<usize> = got
        .split("word-")
        .skip(1)
        .filter_map(|rest| rest.get(..4)?.parse().ok())
        .collect();
    assert!(
        numbers.iter().copied().eq(0..numbers.len()),
        "{numbers:?} in {got}"
    );
    numbers.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_when_the_credit_does_and_says_why() -> Result<()> {
    let mut stage = stage().await?;
    let ada = stage.customer("ada", "0.00005").await?;
    let got = stream(
        stage.envoy.address(),
        ada.key.clone(),
        "input=10 events=2000 gap=10",
    )
    .await?;
    assert!(got.starts_with("HTTP/1.1 200"), "{got}");
    assert!(
        got.contains("word-0003 ") && !got.contains("word-1999 "),
        "{got}"
    );
    in_order(&got);
    let (before, last) = got.split_once("event: error").unwrap_or((&got, ""));
    assert!(last.contains("credit_exhausted"), "{got}");
    assert!(!last.contains("word-"), "nothing comes behind it: {last}");
    let event = before.rsplit("data: ").next().unwrap_or_default();
    assert!(
        event.contains("}\n\n"),
        "a whole event is before it: {event}"
    );
    let refused = stage
        .envoy
        .send(ask(CHAT, &ada.key, "", "broke", &question()))
        .await?;
    assert_eq!(refused.status, 402);
    until("the ended stream is counted", ms(5_000), async || {
        let ended = stage.envoy.metric("streams_ended").await?;
        Ok((ended == 1).then_some(()))
    })
    .await?;
    let (entries, spent) = stage.books().await?;
    let (funded, spent) = (50_000, spent["ada"]);
    figure("llm, metered", format!("funded {funded}, spent {spent}"));
    assert!((funded / LEAST_PART..=funded).contains(&spent), "{spent}");
    assert!(
        entries.iter().any(|entry| entry["settled_by"] == "ended"),
        "{entries:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_paid_for_passes_whole_and_is_charged_by_its_last_event() -> Result<()> {
    let mut stage = stage().await?;
    let ada = stage.customer("ada", "1").await?;
    let behaviours = [
        "input=10 output=700 events=300 split=7",
        "input=10 output=700 events=300 gap=2",
        "input=10 output=700 events=300 gap=2 split=100",
        "input=10 output=700 events=300",
    ];
    for behave in behaviours {
        let answer = ask(CHAT, &ada.key, behave, behave, &question());
        let answer = stage.envoy.send(answer).await?;
        let got = String::from_utf8_lossy(&answer.body);
        assert_eq!(in_order(&got), 300, "{behave}");
        assert!(got.trim_end().ends_with("data: [DONE]"), "{got}");
        assert!(!got.contains("event: error"), "{got}");
    }
    until("pieces were held back and let go", ms(5_000), async || {
        let held = stage.envoy.metric("streams_held").await?;
        Ok((held > 0).then_some(()))
    })
    .await?;
    let (_, spent) = stage.books().await?;
    assert_eq!(spent["ada"], 4 * small(10, 0, 700));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_at_the_same_time_spend_what_is_there_and_no_more() -> Result<()> {
    const STREAMS: i128 = 10;
    let mut stage = stage().await?;
    let ada = stage.customer("ada", "0.0005").await?;
    let mut streams = JoinSet::new();
    for _ in 0..STREAMS {
        let (envoy, key) = (stage.envoy.address(), ada.key.clone());
        streams.spawn(stream(envoy, key, "input=10 events=2000 gap=5"));
    }
    for got in streams.join_all().await {
        let got = got?;
        assert!(got.contains("credit_exhausted"), "{got}");
        in_order(&got);
    }
    let (_, spent) = stage.books().await?;
    let (funded, spent) = (500_000, spent["ada"]);
    figure(
        "llm, metered, ten streams",
        format!("funded {funded}, spent {spent}"),
    );
    assert!((funded / LEAST_PART..=funded).contains(&spent), "{spent}");
    Ok(())
}
