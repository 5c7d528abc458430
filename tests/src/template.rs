//! Envoy configurations as people copy them: variables filled in, the filter's own document
//! adapted to a test. What a test runs is otherwise the very file.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Fills in every `${NAME}`.
///
/// # Errors
/// If a variable is not known: the file and its README have come apart.
pub fn fill_in(template: &str, variables: &BTreeMap<&str, String>) -> Result<String> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, from)) = rest.split_once("${") {
        let (name, after) = from.split_once('}').context("${ without }")?;
        let Some(value) = variables.get(name) else {
            bail!("the configuration names ${{{name}}}, which is not documented");
        };
        filled.push_str(before);
        filled.push_str(value);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Merges `patch` (RFC 7396) into the filter's configuration, the JSON document that
/// follows `value: |`.
///
/// # Errors
/// If there is none.
pub fn patch_filter(configuration: &str, patch: &Value) -> Result<String> {
    let lines: Vec<&str> = configuration.lines().collect();
    let start = lines
        .iter()
        .position(|line| line.trim_end().ends_with("value: |"))
        .context("no `value: |` in the configuration")?;
    let depth = |line: &str| line.len() - line.trim_start().len();
    let (head, rest) = lines.split_at(start + 1);
    let outer = head.last().map_or(0, |line| depth(line));
    let length = rest
        .iter()
        .position(|line| !line.trim().is_empty() && depth(line) <= outer)
        .unwrap_or(rest.len());
    let (document, tail) = rest.split_at(length);
    let mut value: Value = serde_json::from_str(&document.join("\n"))
        .context("the filter's configuration is not JSON")?;
    merge(&mut value, patch);
    let indented = format!("{:indent$}{value}", "", indent = outer + 2);
    let all = head.iter().copied().chain([indented.as_str()]);
    Ok(all
        .chain(tail.iter().copied())
        .collect::<Vec<_>>()
        .join("\n")
        + "\n")
}

fn merge(value: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = Value::Object(serde_json::Map::new());
    }
    let Value::Object(fields) = value else { return };
    for (name, change) in changes {
        if change.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name.clone()).or_insert(Value::Null), change);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::{fill_in, patch_filter};

    #[test]
    fn an_unknown_variable_is_an_error() {
        let known = BTreeMap::from([("PORT", "80".to_owned())]);
        assert_eq!(
            fill_in("port: ${PORT}!", &known).ok().as_deref(),
            Some("port: 80!")
        );
        assert!(fill_in("${HOST}", &known).is_err());
    }

    #[test]
    fn only_the_filters_document_is_patched() {
        let configuration = "a:\n  value: |\n    {\"x\": 1,\n     \"y\": {\"z\": 2}}\nb: 3\n";
        let patched = patch_filter(configuration, &json!({"y": {"z": null, "w": 4}})).ok();
        let expected = "a:\n  value: |\n    {\"x\":1,\"y\":{\"w\":4}}\nb: 3\n";
        assert_eq!(patched.as_deref(), Some(expected));
    }
}
