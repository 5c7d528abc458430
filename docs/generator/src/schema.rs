//! A JSON Schema as a table: one row a field, nested fields by their path.

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use crate::markdown::{cell, table};

/// One field of a document.
struct Field {
    path: String,
    kind: String,
    default: String,
    meaning: String,
}

/// The fields of `schema`, whose references point into `document`.
///
/// # Errors
/// The schema says something in a way that this does not read.
pub(crate) fn fields(document: &Value, schema: &Value) -> Result<String> {
    let mut fields = Vec::new();
    walk(document, schema, "", &mut fields)?;
    let rows = fields.iter().map(|field| {
        let path = format!("`{}`", field.path);
        vec![
            path,
            cell(&field.kind),
            field.default.clone(),
            cell(&field.meaning),
        ]
    });
    Ok(table(&["field", "type", "default", "meaning"], rows))
}

fn walk(document: &Value, schema: &Value, prefix: &str, fields: &mut Vec<Field>) -> Result<()> {
    let mut properties = Vec::new();
    collect(document, schema, &mut properties)?;
    // What must be there comes first; the rest as the schema has it, by name.
    properties.sort_by_key(|(_, _, is_required)| !is_required);
    for (name, property, is_required) in properties {
        let path = format!("{prefix}{name}");
        let target = resolved(document, optional_inner(property).unwrap_or(property))?;
        if is_object(target) {
            walk(document, target, &format!("{path}."), fields)?;
            continue;
        }
        let items = target
            .get("items")
            .map(|items| resolved(document, items))
            .transpose()?;
        let kind = kind(document, property)?;
        let meaning = meaning(property, target);
        let default = match property.get("default") {
            _ if is_required => "required".to_owned(),
            None | Some(Value::Null) => "–".to_owned(),
            Some(value) => format!("`{value}`"),
        };
        fields.push(Field {
            path: path.clone(),
            kind,
            default,
            meaning,
        });
        if let Some(items) = items.filter(|items| is_object(items)) {
            walk(document, items, &format!("{path}[]."), fields)?;
        }
    }
    Ok(())
}

/// The fields of an object, and of the objects it is made of.
fn collect<'a>(
    document: &'a Value,
    schema: &'a Value,
    properties: &mut Vec<(&'a str, &'a Value, bool)>,
) -> Result<()> {
    let schema = resolved(document, schema)?;
    if let Some(parts) = schema["allOf"].as_array() {
        for part in parts {
            collect(document, part, properties)?;
        }
        return Ok(());
    }
    let own = schema["properties"]
        .as_object()
        .context("not the schema of an object")?;
    let required = schema["required"].as_array();
    for (name, property) in own {
        let is_required = required.is_some_and(|names| names.iter().any(|needed| needed == name));
        properties.push((name, property, is_required));
    }
    Ok(())
}

/// Whether it has fields that can be told.
pub(crate) fn is_object(schema: &Value) -> bool {
    schema["properties"]
        .as_object()
        .is_some_and(|fields| !fields.is_empty())
        || schema["allOf"].is_array()
}

/// What a field is, in a word or two.
fn kind(document: &Value, schema: &Value) -> Result<String> {
    if let Some(inner) = optional_inner(schema) {
        return Ok(format!("{} or null", kind(document, inner)?));
    }
    let target = resolved(document, schema)?;
    if let Some(choices) = target.get("oneOf").and_then(Value::as_array) {
        let choices: Result<Vec<String>> = choices.iter().map(choice).collect();
        return Ok(choices?.join(", "));
    }
    if let Some(values) = target.get("enum").and_then(Value::as_array) {
        return Ok(values
            .iter()
            .map(|value| format!("`{value}`"))
            .collect::<Vec<_>>()
            .join(", "));
    }
    if let Some(items) = target.get("items") {
        return Ok(format!("list of {}", kind(document, items)?));
    }
    match &target["type"] {
        Value::String(name) => Ok(name.clone()),
        Value::Array(names) => {
            let names = names.iter().filter_map(Value::as_str);
            Ok(names.collect::<Vec<_>>().join(" or "))
        }
        _ if target.get("properties").is_some() || target["allOf"].is_array() => {
            Ok("object".to_owned())
        }
        _ => bail!("no type in {target}"),
    }
}

/// One of several: a word, or an object with one field.
fn choice(choice: &Value) -> Result<String> {
    if let Some(word) = choice.get("const") {
        return Ok(format!("`{word}`"));
    }
    if let Some(words) = choice["enum"].as_array() {
        return Ok(words
            .iter()
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", "));
    }
    let fields = choice["properties"]
        .as_object()
        .map(Map::keys)
        .map(Iterator::collect::<Vec<_>>);
    match fields.as_deref() {
        Some([field]) => Ok(format!("`{{\"{field}\": …}}`")),
        _ => bail!("a choice that is neither a word nor an object of one field: {choice}"),
    }
}

/// What a field means, and what each of its words does.
fn meaning(property: &Value, target: &Value) -> String {
    let text = |schema: &Value| {
        schema["description"]
            .as_str()
            .map(sentence)
            .unwrap_or_default()
    };
    let own = match text(property) {
        empty if empty.is_empty() => text(target),
        own => own,
    };
    let choices = target.get("oneOf").and_then(Value::as_array);
    let choices = choices.into_iter().flatten().filter_map(|choice_schema| {
        let text = text(choice_schema);
        (!text.is_empty()).then(|| Some(format!("{}: {text}", choice(choice_schema).ok()?)))?
    });
    std::iter::once(own)
        .chain(choices)
        .collect::<Vec<_>>()
        .join("<br>")
}

/// `{anyOf: [X, null]}` → X: how an optional field is written.
fn optional_inner(schema: &Value) -> Option<&Value> {
    let choices = schema
        .get("anyOf")
        .or_else(|| schema.get("oneOf"))?
        .as_array()?;
    match choices.as_slice() {
        [inner, null] | [null, inner] if null["type"] == "null" => Some(inner),
        _ => None,
    }
}

fn resolved<'a>(document: &'a Value, schema: &'a Value) -> Result<&'a Value> {
    match schema["$ref"].as_str() {
        None => Ok(schema),
        Some(reference) => {
            let place = reference
                .strip_prefix('#')
                .context("a reference to elsewhere")?;
            let target = document.pointer(place);
            target.with_context(|| format!("the schema has no {reference}"))
        }
    }
}

/// A doc comment as one line, ended by a full stop, without links into the code.
pub(crate) fn sentence(text: &str) -> String {
    let mut plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
    while let Some(start) = plain.find("](") {
        let Some(length) = plain.get(start..).and_then(|rest| rest.find(')')) else {
            break;
        };
        plain.replace_range(start..=start + length, "");
        if let Some(open) = plain.get(..start).and_then(|before| before.rfind('[')) {
            plain.remove(open);
        }
    }
    if !plain.is_empty() && !plain.ends_with('.') {
        plain.push('.');
    }
    plain
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{fields, sentence};

    #[test]
    fn nested_fields_stand_by_their_path_and_words_by_their_meaning() {
        let schema = json!({
            "properties": {
                "a": {"$ref": "#/$defs/A"},
                "list": {"type": "array", "items": {"type": "string"}, "description": "Some texts"},
            },
            "required": ["list"],
            "$defs": {"A": {"properties": {"mode": {
                "description": "How.", "default": "on",
                "oneOf": [{"const": "on", "description": "Does."}, {"const": "off"}],
            }}}},
        });
        let table = fields(&schema, &schema).unwrap();
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| `list` | list of string | required | Some texts. |",
                "| `a.mode` | `\"on\"`, `\"off\"` | `\"on\"` | How.<br>`\"on\"`: Does. |",
            ]
        );
    }

    #[test]
    fn links_into_the_code_are_dropped() {
        assert_eq!(
            sentence("See [`Rate`](super::Rate)\nfor it"),
            "See `Rate` for it."
        );
    }
}
