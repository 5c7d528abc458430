//! What the control plane offers, takes and answers.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, Result};
use creditgate::problem::CODES;
use creditgate_ledger::{ReasonCode, Settings};
use serde_json::Value;

use crate::markdown::{cell, table};
use crate::schema::{self, sentence};

/// The OpenAPI document, indented.
///
/// # Errors
/// It is no JSON.
pub(crate) fn openapi() -> Result<String> {
    let document: Value = serde_json::from_str(&creditgate::http::openapi_json())?;
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(text)
}

/// Every operation by its group, then every object by its fields.
///
/// # Errors
/// The document lacks something.
pub(crate) fn api() -> Result<String> {
    let document: Value = serde_json::from_str(&creditgate::http::openapi_json())?;
    let mut groups: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
    let paths = document["paths"].as_object().context("no paths")?;
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().context("no methods")? {
            let group = operation["tags"][0].as_str().unwrap_or("service");
            let summary = operation["summary"].as_str();
            let summary = summary.with_context(|| format!("{method} {path} has no summary"))?;
            let description = operation["description"].as_str().unwrap_or_default();
            let said = format!("{} {}", sentence(summary), sentence(description));
            let row = vec![
                format!("`{} {path}`", method.to_uppercase()),
                object_of(&operation["requestBody"]["content"]),
                answer_of(operation),
                cell(&said),
            ];
            groups.entry(group.to_owned()).or_default().push(row);
        }
    }
    let mut text = String::new();
    for (group, rows) in groups {
        // Writing to a string can't fail.
        let _ = write!(text, "## {}\n\n", heading(&group));
        text.push_str(&table(&["call", "body", "answer", "what it does"], rows));
        text.push('\n');
    }
    text.push_str("## Objects\n\n");
    let schemas = document["components"]["schemas"]
        .as_object()
        .context("no schemas")?;
    for (name, schema) in schemas
        .iter()
        .filter(|(name, _)| !name.starts_with("List_"))
    {
        let _ = write!(text, "### {name}\n\n");
        if let Some(description) = schema["description"].as_str() {
            let _ = write!(text, "{}\n\n", sentence(description));
        }
        if schema::is_object(schema) {
            text.push_str(&schema::fields(&document, schema).context(name.clone())?);
            text.push('\n');
        }
    }
    Ok(text)
}

fn answer_of(operation: &Value) -> String {
    let answers = operation["responses"].as_object();
    let success = answers.and_then(|all| all.iter().find(|(status, _)| status.starts_with('2')));
    success.map_or_else(String::new, |(status, answer)| {
        format!("{status} {}", object_of(&answer["content"]))
            .trim()
            .to_owned()
    })
}

/// The name of the object in a body, linked to its fields.
fn object_of(content: &Value) -> String {
    let schema = content
        .as_object()
        .and_then(|kinds| kinds.values().next())
        .map(|kind| &kind["schema"]);
    let reference = schema.and_then(|schema| schema["$ref"].as_str());
    let Some(name) = reference.and_then(|reference| reference.rsplit('/').next()) else {
        return String::new();
    };
    match name.strip_prefix("List_") {
        Some(item) => format!("list of [{item}](#{})", item.to_lowercase()),
        None => format!("[{name}](#{})", name.to_lowercase()),
    }
}

fn heading(group: &str) -> String {
    let mut letters = group.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// Every setting with its default, and the range that is accepted.
///
/// # Errors
/// The document lacks something.
pub(crate) fn settings() -> Result<String> {
    let document: Value = serde_json::from_str(&creditgate::http::openapi_json())?;
    let fields = |name: &str| -> Result<&serde_json::Map<String, Value>> {
        let schema = &document["components"]["schemas"][name]["properties"];
        schema
            .as_object()
            .with_context(|| format!("no schema {name}"))
    };
    let (meanings, ranges) = (fields("Settings")?, fields("SettingsBody")?);
    let defaults = serde_json::to_value(Settings::default())?;
    let mut rows = Vec::new();
    for (name, meaning) in meanings {
        let text = |schema: &Value| {
            cell(&sentence(
                schema["description"].as_str().unwrap_or_default(),
            ))
        };
        let default = match &defaults[name] {
            Value::Null => "–".to_owned(),
            value => format!("`{value}`"),
        };
        let range = ranges
            .get(name)
            .with_context(|| format!("{name} can't be set"))?;
        rows.push(vec![
            format!("`{name}`"),
            default,
            text(range),
            text(meaning),
        ]);
    }
    Ok(table(&["setting", "default", "range", "meaning"], rows))
}

/// Every code of the API.
pub(crate) fn codes() -> String {
    let mut codes: Vec<_> = CODES.iter().collect();
    codes.sort_by_key(|code| (code.status, code.code));
    let rows = codes.into_iter().map(|code| {
        vec![
            code.status.to_string(),
            format!("`{}`", code.code),
            cell(&sentence(code.title)),
        ]
    });
    table(&["status", "code", "what it means"], rows)
}

/// Every reason code.
pub(crate) fn reasons() -> String {
    let rows = ReasonCode::ALL
        .iter()
        .map(|(_, name, meaning)| vec![format!("`{name}`"), cell(&sentence(meaning.trim()))]);
    table(&["code", "why"], rows)
}
