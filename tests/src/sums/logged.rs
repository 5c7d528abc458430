//! Lines of access logs, summed up by lease.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{LeaseName, amount};
use crate::admin::text;
use crate::envoy::Envoy;

/// What was logged.
#[derive(Debug, Default)]
pub(super) struct Logged {
    pub(super) by_lease: BTreeMap<LeaseName, i128>,
    /// All that a line is of.
    pub(super) instances: BTreeSet<String>,
    pub(super) gone: u64,
}

impl Logged {
    pub(super) fn of(envoys: &[Envoy], are_whole: bool) -> Result<Self> {
        let logs = envoys.iter().map(|envoy| envoy.folder().join("access.log"));
        Self::read(logs, are_whole)
    }

    pub(super) fn read(logs: impl IntoIterator<Item = PathBuf>, are_whole: bool) -> Result<Self> {
        let mut logged = Self::default();
        for log in logs {
            let file = match File::open(log) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                file => file?,
            };
            for line in BufReader::new(file).lines() {
                let line = line?;
                match credit(&line) {
                    Ok(Some(entry)) => logged.add(&entry).context(line)?,
                    Ok(None) => {}
                    // Who was killed may have been writing it.
                    Err(error) => ensure!(!are_whole, "{line}: {error}"),
                }
            }
        }
        Ok(logged)
    }

    pub(super) fn add(&mut self, entry: &Value) -> Result<()> {
        if let Some(instance) = entry["instance"].as_str() {
            self.instances.insert(instance.to_owned());
        }
        if entry["outcome"] == "gone" {
            self.gone += 1;
        }
        if entry["outcome"] != "settled" && entry["outcome"] != "released" {
            return Ok(());
        }
        let (instance, account) = (text(entry, "instance")?, text(entry, "account")?);
        let own = [entry.clone()];
        for share in entry["shares"].as_array().map_or(&own[..], Vec::as_slice) {
            let name = (instance.clone(), account.clone(), text(share, "lease")?);
            *self.by_lease.entry(name).or_default() += amount(share, "cost")?;
        }
        Ok(())
    }
}

/// What the filter said in a line of a log; of `production.yaml`, too, and behind other things.
fn credit(line: &str) -> serde_json::Result<Option<Value>> {
    if line == "-" || line.ends_with(" -") {
        return Ok(None);
    }
    let json = line.find('{').and_then(|from| line.get(from..));
    let entry: Value = serde_json::from_str(json.unwrap_or(line))?;
    match entry.get("credit") {
        None => Ok(Some(entry)),
        Some(Value::String(text)) if text != "-" => serde_json::from_str(text).map(Some),
        Some(_) => Ok(None),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use anyhow::Result;
    use serde_json::json;

    use super::{LeaseName, Logged, credit};

    const LINES: [&str; 4] = [
        r#"{"outcome":"settled","instance":"ins_1","account":"acc_1","lease":"7","cost":"0.3"}"#,
        r#"{"outcome":"settled","instance":"ins_1","account":"acc_1","lease":"7","cost":"5","shares":[{"lease":"7","cost":"1"},{"lease":"8","cost":"4"}]}"#,
        r#"{"outcome":"gone","instance":"ins_1","account":"acc_1","lease":"7","cost":"2"}"#,
        r#"{"outcome":"refused","code":"credit_exhausted"}"#,
    ];

    pub(in crate::sums) fn name(number: &str) -> LeaseName {
        ("ins_1".into(), "acc_1".into(), number.into())
    }

    /// What these lines sum up to.
    pub(in crate::sums) fn logged() -> Result<Logged> {
        let mut logged = Logged::default();
        for line in LINES {
            // As `minimal.yaml` would have it, and as `production.yaml` has it.
            let twice = json!({"path": "/", "credit": line}).to_string();
            assert_eq!(credit(line)?, credit(&twice)?);
            // As the first example has it.
            assert_eq!(credit(line)?, credit(&format!("GET / 200 {line}"))?);
            if let Some(entry) = credit(line)? {
                logged.add(&entry)?;
            }
        }
        Ok(logged)
    }

    #[test]
    fn lines_are_summed_by_the_leases_that_paid_and_what_is_gone_is_not() -> Result<()> {
        let logged = logged()?;
        let sums = BTreeMap::from([(name("7"), 1_300_000_000), (name("8"), 4_000_000_000)]);
        assert_eq!((logged.by_lease, logged.gone), (sums, 1));
        assert_eq!((credit("GET / 404 -")?, credit("-")?), (None, None));
        assert!(credit("GET / 200").is_err());
        assert_eq!(credit(r#"{"credit":null}"#)?, None);
        Ok(())
    }
}
