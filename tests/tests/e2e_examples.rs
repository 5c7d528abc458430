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
