//! Envoy's access log as the filter fills it: one JSON object a line, whose costs are summed.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::admin::smallest_units;
use crate::clock::{ms, pause};
use crate::envoy::{Envoy, Setup};

const LOG: &str = r#"stat_prefix: public
          access_log:
          - name: envoy.access_loggers.file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: "${ACCESS_LOG}"
              log_format:
                text_format_source: { inline_string: "${LINES}" }"#;

impl Setup {
    /// With an access log of what the filter says of each request.
    #[must_use]
    pub fn logging(self) -> Self {
        self.logging_as(&["creditgate"])
    }

    /// The same of several filters: a line of each, by its `log_as`.
    #[must_use]
    pub fn logging_as(self, names: &[&str]) -> Self {
        let line = |name: &&str| format!("%FILTER_STATE(wasm.{name}:PLAIN)%\\n");
        let lines: String = names.iter().map(line).collect();
        let log = LOG.replace("${LINES}", &lines);
        match self.edits.iter().any(|(_, to)| *to == log) {
            true => self,
            false => self.edit("stat_prefix: public", &log),
        }
    }
}

/// Ends an Envoy and takes what it logged. It writes its log every so often, and at its end.
///
/// # Errors
/// If it does not end, or a line is no JSON.
pub async fn entries(envoy: &mut Envoy) -> Result<Vec<Value>> {
    pause(ms(200)).await;
    envoy.terminate().await?;
    let lines = envoy.access_log();
    let written = lines.iter().filter(|line| *line != "-");
    written
        .map(|line| serde_json::from_str(line).with_context(|| line.clone()))
        .collect()
}

/// What each customer was charged, in smallest units of a currency of this scale.
///
/// # Errors
/// If an entry with a cost has no customer.
pub fn costs(entries: &[Value], scale: usize) -> Result<BTreeMap<String, i128>> {
    let mut costs = BTreeMap::new();
    for entry in entries {
        if let Some(cost) = entry["cost"].as_str() {
            let customer = entry["customer"].as_str().context("customer")?;
            *costs.entry(customer.to_owned()).or_default() += smallest_units(cost, scale)?;
        }
    }
    Ok(costs)
}
