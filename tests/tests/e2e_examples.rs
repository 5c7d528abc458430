//! The examples run by themselves, with nothing but what their READMEs name.

use std::net::TcpListener;

use anyhow::Result;
use creditgate_tests::tools;
use creditgate_tests::upstream::Upstream;

/// A port that is free now.
fn free_port() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.port().to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn example_01_gets_from_nothing_to_the_first_402() -> Result<()> {
    let upstream = Upstream::start().await?;
    let script = tools::top().join("examples/01-first-402/run.sh");
    let output = tokio::process::Command::new(script)
        .env("CREDITGATE_BIN", tools::creditgate()?)
        .env("CREDITGATE_WASM", tools::filter()?)
        .env("ENVOY_BIN", tools::envoy()?)
        .env("UPSTREAM_PORT", upstream.address().port().to_string())
        .env("LISTEN_PORT", free_port()?)
        .env("ADMIN_PORT", free_port()?)
        .output()
        .await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{complained}");
    assert!(said.contains("GET /  →  200  hello"), "{said}");
    assert!(said.contains("credit_exhausted"), "{said}");
    assert_eq!(upstream.requests(), 3, "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn example_02_sells_tokens() -> Result<()> {
    let script = tools::top().join("examples/02-llm-gateway/run.sh");
    let output = tokio::process::Command::new(script)
        .env("CREDITGATE_BIN", tools::creditgate()?)
        .env("CREDITGATE_WASM", tools::filter()?)
        .env("ENVOY_BIN", tools::envoy()?)
        .env("MODEL_PORT", free_port()?)
        .env("LISTEN_PORT", free_port()?)
        .env("ADMIN_PORT", free_port()?)
        .output()
        .await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{complained}");
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
