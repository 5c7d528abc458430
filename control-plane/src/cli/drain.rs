//! `creditgate drain`: an instance gives back all its credit, and tells what it was used for, before
//! it is stopped.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use creditgate_ledger::id::InstanceId;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::client::{Client, Service, block_on};

/// How often the service is asked.
const LOOK: Duration = Duration::from_millis(200);

/// How long usage detail of what ended last may take to arrive, once all credit is back.
const DETAIL: Duration = Duration::from_secs(1);

/// Drains an instance: waits until it holds no credit, and a second for the usage detail that
/// it then tells.
#[derive(Args)]
pub(super) struct Drain {
    /// The instance's id, ins_….
    instance: InstanceId,
    #[command(flatten)]
    service: Service,
    /// How long to wait, in seconds.
    #[arg(long, default_value_t = 60)]
    timeout: u64,
    /// Why; kept with the instance.
    #[arg(long, default_value = "drained from the command line")]
    reason: String,
}

impl Drain {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        block_on(self.drain())
    }

    async fn drain(self) -> anyhow::Result<ExitCode> {
        let client = Client::new(self.service)?;
        let path = format!("/v1/instances/{}", self.instance);
        client
            .post(&format!("{path}/drain"), &json!({ "reason": self.reason }))
            .await
            .context("can't drain")?;
        let deadline = Instant::now() + Duration::from_secs(self.timeout);
        let mut told = String::new();
        loop {
            let instance = client.get(&path).await?;
            let count = |state: &str| instance["leases"][state].as_u64().unwrap_or(u64::MAX);
            let out = count("open").saturating_add(count("draining"));
            let status = status(&instance);
            if out == 0 {
                tokio::time::sleep(DETAIL).await;
                println!("drained: {status}");
                return Ok(ExitCode::SUCCESS);
            }
            if Instant::now() >= deadline {
                eprintln!("not drained after {} s; still out: {status}", self.timeout);
                return Ok(ExitCode::FAILURE);
            }
            if status != told {
                println!("waiting: {status}");
                told = status;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn status(instance: &Value) -> String {
    let count = |state: &str| instance["leases"][state].as_u64().unwrap_or_default();
    let credit: Vec<String> = instance["outstanding"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(currency, amount)| format!("{} {currency}", amount.as_str().unwrap_or("?")))
        .collect();
    let credit = if credit.is_empty() {
        "no credit".to_owned()
    } else {
        credit.join(", ")
    };
    format!(
        "{} leases open, {} draining, {} quarantined; {credit} out",
        count("open"),
        count("draining"),
        count("quarantined")
    )
}
