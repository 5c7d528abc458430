//! Answers whose lease turns while they pass, since the lot behind it expires: what each lease
//! has settled is what the log says of it.

use anyhow::{Context, Result};
use creditgate_ledger::Timestamp;
use creditgate_tests::admin::{smallest_units, text};
use creditgate_tests::clock::utc_ms;
use creditgate_tests::figures::figure;
use creditgate_tests::priced::{CHAT, Priced, SCALE, card};
use creditgate_tests::scene::Customer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long the lot lives: less than the answer takes, and more than it takes to begin.
const LIVES_MS: i64 = 3_000;
/// Seven seconds of words, each a fifth of a hundred-thousandth of a dollar.
const BEHAVES: &str = "input=10 output=900 events=1000 gap=7";

/// A customer with much that expires soon and `dollars` that stay, and what it got.
async fn answered(stage: &mut Priced, dollars: &str) -> Result<(Customer, String)> {
    let ada = stage.customer("ada", dollars).await?;
    let expires_at = Timestamp(utc_ms() + LIVES_MS).to_string();
    let lot = json!({"credits_to_add": "1", "expires_at": expires_at, "priority": 1});
    stage.scene.admin.top_up_with(&ada.wallet, &lot).await?;
    let question = json!({"model": "small", "stream": true, "messages": [{"role": "user", "content": "Go on."}]});
    let body = question.to_string();
    let mut stream = TcpStream::connect(stage.envoy.address()).await?;
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: api.example\r\nx-api-key: {}\r\nx-behave: {BEHAVES}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        ada.key,
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    let mut read = Vec::new();
    // An answer that is ended is reset: an error, or an end.
    let _reset = stream.read_to_end(&mut read).await;
    let got = String::from_utf8_lossy(&read).into_owned();
    assert!(got.starts_with("HTTP/1.1 200"), "{got}");
    Ok((ada, got))
}

async fn metered() -> Result<Priced> {
    let mut card = card();
    card["rules"][0]["promise"] = json!("metered");
    Priced::with(&card).await
}

fn line(entries: &[Value]) -> Result<&Value> {
    let of_ada = |entry: &&Value| entry["cost"].is_string();
    entries.iter().find(of_ada).context("the line")
}

/// What was settled in the customer's leases, the oldest first: number and amount.
async fn settled(stage: &Priced) -> Result<Vec<(String, i128)>> {
    let leases = stage.scene.admin.list("/v1/leases?customer=ada").await?;
    let rows = leases.iter().rev().map(|lease| {
        let amount = smallest_units(&text(lease, "settled")?, SCALE)?;
        Ok((text(lease, "number")?, amount))
    });
    rows.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_outlives_its_lot_settles_in_the_lease_that_paid_it_to_its_end() -> Result<()>
{
    let mut stage = metered().await?;
    let (ada, body) = answered(&mut stage, "1").await?;
    assert!(body.contains("word-0999 "), "it ended early: {body}");
    stage.scene.at_rest(&ada).await?;
    let leases = settled(&stage).await?;
    let (entries, spent) = stage.books().await?;
    let line = line(&entries)?;
    figure("turned", format!("{line}; {leases:?}"));
    assert!(leases.len() > 1, "no lease was turned: {leases:?}");
    assert_ne!(
        line["lease"], leases[0].0,
        "it moved to the lease that came"
    );
    assert_eq!(line["shares"], Value::Null);
    let of_line = leases.iter().find(|(number, _)| line["lease"] == *number);
    assert_eq!(of_line.map(|(_, settled)| *settled), Some(spent["ada"]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_a_new_lease_can_not_pay_alone_is_shared_by_both() -> Result<()> {
    let mut stage = metered().await?;
    // Some thirty words: fewer than have passed when the lot expires.
    let (ada, body) = answered(&mut stage, "0.00005").await?;
    assert!(body.contains("credit_exhausted"), "{body}");
    stage.scene.at_rest(&ada).await?;
    let mut leases = settled(&stage).await?;
    leases.retain(|(_, settled)| *settled > 0);
    let (entries, spent) = stage.books().await?;
    let line = line(&entries)?;
    figure("turned, shared", format!("{line}; {leases:?}"));
    let shares = line["shares"].as_array().context("shares")?;
    let shares = shares.iter().map(|share| {
        let cost = smallest_units(&text(share, "cost")?, SCALE)?;
        Ok((text(share, "lease")?, cost))
    });
    let shares: Vec<_> = shares.collect::<Result<_>>()?;
    assert!(shares.len() > 1, "{shares:?}");
    assert_eq!(shares, leases);
    let sum: i128 = shares.iter().map(|(_, cost)| cost).sum();
    assert_eq!(sum, spent["ada"]);
    Ok(())
}
