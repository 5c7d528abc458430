//! What the control plane counts. Its code names metrics where it counts them, so their
//! meanings stand here; a name that is in one place and not in the other is an error.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::markdown::table;

/// Name, kind and labels, meaning.
const METRICS: [(&str, &str, &str); 21] = [
    (
        "creditgate_commands_total",
        "counter: `kind`, `result`",
        "Writes by what they are and how they ended.",
    ),
    (
        "creditgate_batches_total",
        "counter",
        "Transactions: one a batch of writes.",
    ),
    (
        "creditgate_batches_failed_total",
        "counter",
        "Transactions of which nothing was written. If it may have been one write's fault, each was then tried alone; else all who asked were told so.",
    ),
    (
        "creditgate_queue_depth",
        "gauge",
        "Writes that wait: requests and gateways, of whom the one after 4,096 is answered 503 `busy`, and as many of the service's own jobs.",
    ),
    (
        "creditgate_refusals_total",
        "counter: `code`",
        "Errors that API and gateways were answered, by [code](errors.md).",
    ),
    (
        "creditgate_resolves_total",
        "counter",
        "Questions of gateways whose key a request carries.",
    ),
    (
        "creditgate_syncs_total",
        "counter",
        "Calls by which gateways report.",
    ),
    (
        "creditgate_reports_total",
        "counter",
        "Reports in them: one an account.",
    ),
    (
        "creditgate_polls_total",
        "counter",
        "Long polls of gateways.",
    ),
    (
        "creditgate_polls_held",
        "gauge",
        "Long polls held open now: about one an instance.",
    ),
    (
        "creditgate_impossible_reports_total",
        "counter",
        "Reports that contradict themselves or what was lent; each freezes its instance. Should stay 0.",
    ),
    (
        "creditgate_instances",
        "gauge: `state`",
        "Instances that are known, by `active`, `draining` and `frozen`.",
    ),
    (
        "creditgate_leases",
        "gauge: `state`, `currency`",
        "Leases that are not closed, by `lending` and `quarantined`.",
    ),
    (
        "creditgate_credit_out",
        "gauge: `state`, `currency`",
        "Credit in them that is neither used nor given back, in whole units of the currency. That of `quarantined` waits for a late report, an operator or the policy.",
    ),
    (
        "creditgate_owed",
        "gauge: `currency`",
        "What customers owe together, in whole units of the currency: what was used beyond what was funded. With strict rules and no offline allowance 0.",
    ),
    (
        "creditgate_owed_most",
        "gauge: `currency`",
        "What the account owes that owes most, in whole units of the currency.",
    ),
    (
        "creditgate_offline_bound",
        "gauge: `currency`",
        "The most that one account can owe because gateways could not reach the control plane, in whole units of the currency: the known instances times the largest `offline_allowance` that was ever set.",
    ),
    (
        "creditgate_webhook_attempts_total",
        "counter: `result`",
        "Attempts to send a webhook, by `delivered` or the word for what went wrong, such as `http_status` or `timed_out`.",
    ),
    (
        "creditgate_webhook_deliveries_pending",
        "gauge",
        "Webhooks on their way: not sent yet, or to be tried again.",
    ),
    (
        "creditgate_webhook_oldest_pending_seconds",
        "gauge",
        "For how long the oldest of them has been on its way; 0 if there is none.",
    ),
    (
        "creditgate_webhook_endpoints",
        "gauge: `status`",
        "Webhook endpoints, by `enabled` and `disabled`.",
    ),
];

const MACROS: [&str; 3] = [
    "metrics::counter!(",
    "metrics::gauge!(",
    "metrics::histogram!(",
];

/// All of them as a table.
///
/// # Errors
/// The control plane counts something that is not in it, or the other way round.
pub(crate) fn all(root: &Path) -> Result<String> {
    let mut counted = BTreeSet::new();
    collect(&root.join("control-plane/src"), &mut counted)?;
    let told: BTreeSet<String> = METRICS
        .iter()
        .map(|(name, ..)| (*name).to_owned())
        .collect();
    let differ: Vec<&String> = counted.symmetric_difference(&told).collect();
    ensure!(
        differ.is_empty(),
        "docs/generator/src/plane_metrics.rs and control-plane/src differ in {differ:?}"
    );
    let rows = METRICS.iter().map(|(name, kind, meaning)| {
        vec![
            format!("`{name}`"),
            (*kind).to_owned(),
            (*meaning).to_owned(),
        ]
    });
    Ok(table(&["metric", "kind and labels", "what it says"], rows))
}

fn collect(folder: &Path, names: &mut BTreeSet<String>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, names)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path)?;
            for found in MACROS.iter().flat_map(|start| text.split(start).skip(1)) {
                names.extend(found.split('"').nth(1).map(str::to_owned));
            }
        }
    }
    Ok(())
}
