//! What the filter reads, says and counts.

use anyhow::Result;
use creditgate_core::rate_card::RateCardDocument;
use creditgate_plugin::Refusal;
use creditgate_plugin::config::Config;
use creditgate_plugin::metrics::Metric;
use serde_json::Value;

use crate::markdown::{cell, table};
use crate::schema;

/// The fields of the filter's configuration.
pub(crate) fn configuration() -> Result<String> {
    let schema: Value = schemars::schema_for!(Config).to_value();
    schema::fields(&schema, &schema)
}

/// The fields of a rate card.
pub(crate) fn rate_card() -> Result<String> {
    let schema: Value = schemars::schema_for!(RateCardDocument).to_value();
    schema::fields(&schema, &schema)
}

/// Everything the filter refuses with.
pub(crate) fn refusals() -> String {
    let rows = Refusal::ALL.iter().map(|refusal| {
        let grpc = refusal.grpc_status();
        vec![
            refusal.status().to_string(),
            format!("`{}`", refusal.code()),
            format!("{grpc} {}", grpc_name(grpc)),
            cell(refusal.detail()),
        ]
    });
    table(
        &["status", "code", "gRPC status", "what clients are told"],
        rows,
    )
}

/// Everything the filter counts.
pub(crate) fn metrics() -> String {
    let rows = Metric::ALL
        .iter()
        .map(|metric| vec![format!("`{}`", metric.name()), cell(metric.help())]);
    table(&["counter", "what it counts"], rows)
}

const fn grpc_name(status: i32) -> &'static str {
    match status {
        3 => "INVALID_ARGUMENT",
        7 => "PERMISSION_DENIED",
        8 => "RESOURCE_EXHAUSTED",
        14 => "UNAVAILABLE",
        16 => "UNAUTHENTICATED",
        _ => "",
    }
}
