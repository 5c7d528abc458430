//! Where a page of groups ended: the values of its last group, opaque to clients.

use serde_json::{Value, json};

use crate::storage::{CursorError, Dimension, Part};

/// The cursor after a group: hexadecimal JSON.
pub(super) fn text_of(place: &[Part]) -> String {
    let parts: Vec<Value> = place.iter().map(written).collect();
    let text = Value::from(parts).to_string();
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn written(part: &Part) -> Value {
    match part {
        Part::None => Value::Null,
        Part::Id(id) => json!({ "id": format!("{id:032x}") }),
        Part::Number(number) => json!(number),
        Part::Text(text) => json!(text),
    }
}

/// The place that a cursor names, if it is one of groups by these.
pub(super) fn place_of(text: &str, by: &[Dimension]) -> Result<Vec<Part>, CursorError> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(*high)? * 16 + digit(*low)?).ok();
    let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
    let bytes = bytes.filter(|_| rest.is_empty()).ok_or(CursorError)?;
    let parts: Vec<Value> = serde_json::from_slice(&bytes).map_err(|_| CursorError)?;
    let parts: Option<Vec<Part>> = parts.iter().map(read).collect();
    let parts = parts.ok_or(CursorError)?;
    if parts.iter().map(kind).eq(kinds(by)) {
        return Ok(parts);
    }
    Err(CursorError)
}

fn read(value: &Value) -> Option<Part> {
    match value {
        Value::Null => Some(Part::None),
        Value::Number(number) => number.as_i64().map(Part::Number),
        Value::String(text) => Some(Part::Text(text.clone())),
        Value::Object(fields) => {
            let digits = fields
                .get("id")?
                .as_str()
                .filter(|digits| digits.len() == 32)?;
            u128::from_str_radix(digits, 16).ok().map(Part::Id)
        }
        Value::Bool(_) | Value::Array(_) => None,
    }
}

#[derive(PartialEq)]
enum Kind {
    Id,
    Number,
    Text,
}

const fn kind(part: &Part) -> Kind {
    match part {
        Part::None | Part::Id(_) => Kind::Id,
        Part::Number(_) => Kind::Number,
        Part::Text(_) => Kind::Text,
    }
}

/// What a place has: currency, scale, and what the groups are told apart by.
fn kinds(by: &[Dimension]) -> impl Iterator<Item = Kind> {
    let of = |dimension: &Dimension| match dimension {
        Dimension::Customer | Dimension::Key => vec![Kind::Id],
        Dimension::Day => vec![Kind::Number],
        Dimension::Rule | Dimension::Model | Dimension::StatusClass | Dimension::SettledBy => {
            vec![Kind::Text]
        }
        Dimension::RateCardVersion => vec![Kind::Text, Kind::Number],
    };
    [Kind::Text, Kind::Number]
        .into_iter()
        .chain(by.iter().flat_map(of))
}
