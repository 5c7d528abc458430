//! `creditgate lease`: list, explain, resolve.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use creditgate_ledger::id::LeaseId;
use serde_json::{Value, json};

use super::Output;
use super::client::{Client, Service, block_on, shown, table};

/// Leases: credit lent to instances.
#[derive(Subcommand)]
pub(super) enum LeaseVerb {
    /// Lists leases, newest first.
    List(List),
    /// Explains a lease: its state, what is behind it, what may be done.
    Explain(Explain),
    /// Decides over quarantined credit.
    Resolve(Resolve),
}

/// Lists leases.
#[derive(Args)]
pub(super) struct List {
    #[command(flatten)]
    service: Service,
    /// Only those to this instance.
    #[arg(long)]
    instance: Option<String>,
    /// Only those of this customer's credit: id or external id.
    #[arg(long)]
    customer: Option<String>,
    /// Only those in this state: open, draining, quarantined or closed.
    #[arg(long)]
    state: Option<String>,
    /// Most leases.
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// How the list is printed.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Explains a lease.
#[derive(Args)]
pub(super) struct Explain {
    /// The lease's id, lse_….
    lease: LeaseId,
    #[command(flatten)]
    service: Service,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Decides over quarantined credit.
#[derive(Args)]
pub(super) struct Resolve {
    /// The lease's id, lse_….
    lease: LeaseId,
    /// What becomes of what is outstanding.
    #[arg(long, value_enum)]
    action: Action,
    /// Why; kept with the lease and in the journal.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    service: Service,
    /// How the outcome is printed.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Action {
    /// Back to the customer; use reported later is the operator's loss.
    Release,
    /// Charged to the customer.
    Consume,
    /// Stays aside, whatever the policy of the settings says, until someone decides.
    Hold,
}

impl LeaseVerb {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        block_on(async {
            match self {
                Self::List(list) => list.run().await?,
                Self::Explain(explain) => {
                    let path = format!("/v1/leases/{}", explain.lease);
                    print(
                        &Client::new(explain.service)?.get(&path).await?,
                        explain.output,
                    );
                }
                Self::Resolve(resolve) => {
                    let path = format!("/v1/leases/{}/resolve", resolve.lease);
                    let action = match resolve.action {
                        Action::Release => "release",
                        Action::Consume => "consume",
                        Action::Hold => "hold",
                    };
                    let body = json!({ "action": action, "reason": resolve.reason });
                    print(
                        &Client::new(resolve.service)?.post(&path, &body).await?,
                        resolve.output,
                    );
                }
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let given = [
            ("instance", self.instance),
            ("customer", self.customer),
            ("state", self.state),
        ];
        let mut path = format!("/v1/leases?limit={}", self.limit);
        for (name, value) in given {
            if let Some(value) = value {
                path.push_str(&format!("&{name}={}", escaped(&value)));
            }
        }
        let list = Client::new(self.service)?.get(&path).await?;
        if self.output == Output::Json {
            println!("{list}");
            return Ok(());
        }
        let columns = [
            "id",
            "state",
            "customer_id",
            "instance_id",
            "outstanding",
            "held",
            "currency",
            "reported_at",
        ];
        let leases = list["data"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let rows: Vec<Vec<String>> = leases
            .iter()
            .map(|lease| columns.map(|field| shown(lease, field)).to_vec())
            .collect();
        println!("{}", table(&columns, &rows));
        if !list["next_cursor"].is_null() {
            println!("there are more; narrow the list down or raise --limit");
        }
        Ok(())
    }
}

fn print(lease: &Value, output: Output) {
    if output == Output::Json {
        println!("{lease}");
        return;
    }
    println!("{}", lease["explanation"].as_str().unwrap_or_default());
    for field in [
        "id",
        "state",
        "customer_id",
        "instance_id",
        "currency",
        "granted",
        "returned",
        "settled",
        "held",
        "outstanding",
        "opened_at",
        "reported_at",
        "quarantined_at",
        "quarantine_cause",
        "possible_loss",
    ] {
        println!("{field:16}  {}", shown(lease, field));
    }
    let pins = lease["pins"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    for pin in pins {
        println!(
            "{:16}  {} of {}",
            "out",
            shown(pin, "amount"),
            shown(pin, "lot_id")
        );
    }
    if lease["hold"].is_object() {
        let [at, actor, reason] =
            ["at", "actor", "reason"].map(|field| shown(&lease["hold"], field));
        println!("{:16}  since {at} by {actor}: {reason}", "held");
    }
    if let Some(resolution) = lease["resolution"].as_object() {
        let resolution = Value::Object(resolution.clone());
        let [action, amount, at, actor, reason] =
            ["action", "amount", "at", "actor", "reason"].map(|field| shown(&resolution, field));
        println!(
            "{:16}  {action} of {amount} at {at} by {actor}: {reason}",
            "resolved"
        );
    }
}

/// A value of a query, with everything escaped that has a meaning there.
fn escaped(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    value
        .bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
