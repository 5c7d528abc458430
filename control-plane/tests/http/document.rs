//! The OpenAPI document, and the list of codes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use creditgate::http::openapi_json;
use creditgate::problem::CODES;
use serde_json::Value;

use crate::plane::Plane;

#[tokio::test]
async fn every_operation_is_described_and_named_once() {
    let plane = Plane::start();
    let document = plane.get("/openapi.json").await;
    assert_eq!(
        document.body,
        serde_json::from_str::<Value>(&openapi_json()).unwrap()
    );
    assert!(document.text("openapi").starts_with("3.1"));
    let mut names = BTreeSet::new();
    for (path, item) in document.body["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"]
                .as_str()
                .unwrap_or_else(|| panic!("{method} {path} has no name"));
            assert!(names.insert(name.to_owned()), "{name} names two operations");
            assert!(
                operation["summary"].is_string() || operation["description"].is_string(),
                "{method} {path} is not described"
            );
            assert!(operation["responses"]["4XX"].is_object(), "{method} {path}");
            for placeholder in path.split('/').filter(|part| part.starts_with('{')) {
                let parameter = placeholder.trim_matches(['{', '}']);
                let parameters = operation["parameters"].as_array().unwrap();
                assert!(
                    parameters.iter().any(|known| known["name"] == parameter),
                    "{method} {path} lacks {parameter}"
                );
            }
        }
    }
    assert!(names.len() > 50, "{}", names.len());
    every_reference_leads_somewhere(&document.body, &document.body);
}

fn every_reference_leads_somewhere(document: &Value, part: &Value) {
    match part {
        Value::Object(fields) => {
            if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                let pointer = reference.trim_start_matches('#');
                assert!(
                    document.pointer(pointer).is_some(),
                    "{reference} leads nowhere"
                );
            }
            fields
                .values()
                .for_each(|field| every_reference_leads_somewhere(document, field));
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| every_reference_leads_somewhere(document, item)),
        _ => {}
    }
}

#[tokio::test]
async fn every_route_is_in_the_document() {
    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    let mut described: BTreeSet<(String, String)> = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        described.extend(
            item.as_object()
                .unwrap()
                .keys()
                .map(|method| (method.clone(), path.clone())),
        );
    }
    // Routes come from `routes!` alone, which takes the description with the handler; a
    // plain `.route(` would be one that is not described.
    let mut plain = Vec::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in sources(&source.join("http.rs"))
        .into_iter()
        .chain(sources(&source.join("http")))
    {
        let text = joined(&fs::read_to_string(&file).unwrap());
        plain.extend(text.matches(".route(\"").map(|_| file.clone()));
        for attribute in text.split("#[utoipa::path(").skip(1) {
            let method = attribute.split(',').next().unwrap().to_owned();
            let path = attribute.split("path = \"").nth(1).unwrap();
            let path = path.split('"').next().unwrap().to_owned();
            assert!(
                described.contains(&(method.clone(), path.clone())),
                "{method} {path} is described but not routed"
            );
        }
    }
    assert_eq!(
        plain.len(),
        1,
        "only /openapi.json itself is routed plainly: {plain:?}"
    );
}

#[test]
fn every_code_in_the_sources_is_listed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed: BTreeSet<&str> = CODES.iter().map(|code| code.code).collect();
    let mut used = BTreeSet::new();
    for folder in [
        root.join("src"),
        root.join("ledger/src"),
        root.join("../core/src/rate_card"),
        root.join("../core/src/amount.rs"),
    ] {
        for file in sources(&folder) {
            let text = fs::read_to_string(&file).unwrap();
            let text = joined(text.split("#[cfg(test)]").next().unwrap_or_default());
            for before in [
                "code: \"",
                "Problem::new(\"",
                "fault(field, \"",
                "busy(\"",
                "coded(\"",
                "=> \"amount_",
                "=> \"scale_",
                "=> \"currency_",
            ] {
                for found in text.split(before).skip(1) {
                    let word = found.split('"').next().unwrap_or_default();
                    let start = before.rsplit('"').next().unwrap_or_default();
                    used.insert((format!("{start}{word}"), file.clone()));
                }
            }
            for call in text
                .split("RateCardError::new(")
                .skip(1)
                .chain(text.split("invalid(\"/").skip(1))
            {
                let word = call.split('"').skip(1).find(|word| is_code(word));
                used.extend(word.map(|word| (word.to_owned(), file.clone())));
            }
        }
    }
    let unlisted: Vec<_> = used
        .iter()
        .filter(|(code, _)| is_code(code) && !listed.contains(code.as_str()))
        .collect();
    assert!(unlisted.is_empty(), "{unlisted:?}");
    assert!(used.len() > 40, "the search finds the codes");
}

/// The text without the line breaks that formatting puts after an opening parenthesis.
fn joined(text: &str) -> String {
    text.split_inclusive('(').map(str::trim_start).collect()
}

fn is_code(word: &str) -> bool {
    word.contains('_')
        && word
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

fn sources(at: &Path) -> Vec<PathBuf> {
    if at.is_file() {
        return vec![at.to_owned()];
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
