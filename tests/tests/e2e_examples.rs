//! The examples run by themselves, with nothing but what their READMEs name, and their books are sound.

use std::net::TcpListener;
use std::process::Command;

use anyhow::{Context, Result};
use creditgate_core::key::{KeyKind, compose};
use creditgate_tests::admin::Admin;
use creditgate_tests::clock::{ms, until};
use creditgate_tests::process::Process;
use creditgate_tests::sums::logs_agree;
use creditgate_tests::tools;
use creditgate_tests::upstream::Upstream;
use tempfile::TempDir;

/// A port that is free now.
fn free_port() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.port().to_string())
}

/// Runs an example to its end with these variables; while it stays, its access log of so many lines is held
/// against its ledger. Returns what it said.
async fn run(
    example: &str,
    variables: &[(&str, String)],
    log: &str,
    lines: usize,
) -> Result<String> {
    let folder = TempDir::with_prefix("creditgate-example-")?;
    let admin_key = compose(KeyKind::Admin, &[7; 32]);
    let mut command = Command::new(tools::top().join("examples").join(example).join("run.sh"));
    command
        .arg("--stay")
        .env("TMPDIR", folder.path())
        .env("CREDITGATE_ADMIN_KEY", &admin_key)
        .env("CREDITGATE_BIN", tools::creditgate()?)
        .env("CREDITGATE_WASM", tools::filter()?)
        .env("ENVOY_BIN", tools::envoy()?)
        .env("LISTEN_PORT", free_port()?)
        .env("ADMIN_PORT", free_port()?)
        .envs(variables.iter().cloned());
    let said = folder.path().join("said");
    let mut process = Process::start(example, &mut command, &said)?;
    let stays = |line: &str| line.starts_with("try: ").then_some(());
    process.says("it stays", 0, ms(60_000), stays).await?;

    let mut files = std::fs::read_dir(folder.path())?.filter_map(Result::ok);
    let work = files
        .find(|file| file.path().is_dir())
        .context("no work")?
        .path();
    let plane = std::fs::read_to_string(work.join("control-plane.log"))?;
    let (_, address) = plane
        .split_once("listening on http://")
        .context("no address")?;
    let address = address.split_whitespace().next().unwrap_or_default();
    let admin = Admin::new(address.parse()?, &admin_key)?;
    let log = work.join(log);
    until("all is logged", ms(10_000), async || {
        let written = std::fs::read_to_string(&log)?;
        let of_credit = written.lines().filter(|line| line.contains("\"outcome\":"));
        Ok((of_credit.count() >= lines).then_some(()))
    })
    .await?;
    logs_agree(&admin, &[log]).await?;
    let said = process.log();
    process.terminate()?;
    process.ended(ms(20_000)).await?;
    Ok(said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn example_01_gets_from_nothing_to_the_first_402() -> Result<()> {
    let upstream = Upstream::start().await?;
    let port = upstream.address().port().to_string();
    // Three are paid, and two refused, at least: it asks until its top-up pays.
    let said = run("01-first-402", &[("UPSTREAM_PORT", port)], "access.log", 5).await?;
    assert!(said.contains("GET /  →  200  hello"), "{said}");
    assert!(said.contains("credit_exhausted"), "{said}");
    assert_eq!(upstream.requests(), 3, "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn example_02_sells_tokens() -> Result<()> {
    let variables = [("MODEL_PORT", free_port()?)];
    let said = run("02-llm-gateway", &variables, "access.jsonl", 5).await?;
    // A paid answer, two streams, a refusal, a story that ends with the credit.
    for line in [
        r#""usage": {"prompt_tokens": 4, "completion_tokens": 13"#,
        "data: [DONE]",
        "event: message_stop",
        "credit_exhausted",
        r#""customer":"acme""#,
        r#""cost":"0.0000084","settled_by":"usage","model":"gpt-4o-mini""#,
        r#""cost":"0.00014","settled_by":"usage","model":"gpt-4o""#,
        r#""cost":"0.000207","settled_by":"usage","model":"claude-sonnet-4-5""#,
        "event: error",
        r#""settled_by":"ended","model":"storyteller""#,
        "the costs in the access log sum up to the same",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
    Ok(())
}
