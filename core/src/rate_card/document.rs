//! The rate card as operators write it, in JSON.
//!
//! Unknown fields are refused, so that a misspelt `metods` can't make a rule cheaper than
//! it was meant. Prices keep the text they were written in; no float comes between.

use super::RateCardError;
use crate::amount::{Amount, AmountError, Currency, Scale, parse_exact};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;
use std::fmt;
use std::str::FromStr;

/// What requests cost. [`RateCard::compile`](super::RateCard::compile) checks it whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RateCardDocument {
    /// A name for people, 1 to 128 characters.
    pub name: String,
    /// What the prices are in.
    pub currency: Currency,
    /// The currency's digits after the point; if absent, the default for the currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// What befalls a request that no rule matches. Required: whatever the rules leave open,
    /// by oversight or because a client found an odd spelling of a path, ends here.
    pub default: Unmatched,
    /// Paths that are free for everyone, whatever the method, even without a credential:
    /// health checks. Exact paths, at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub free_paths: Vec<String>,
    /// At most 1000 rules.
    #[serde(default)]
    pub rules: Vec<RuleDocument>,
}

/// What befalls a request that no rule matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Unmatched {
    /// It is refused.
    Deny,
    /// It passes and costs nothing.
    Free,
    /// It costs so much, charged on success.
    Price(Price),
}

/// What the requests to one path, or to a family of paths, cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RuleDocument {
    /// Names the rule in logs, metrics and usage: 1 to 64 of letters, digits, `_`, `-`, `.`.
    /// `default` is taken.
    pub id: String,
    /// Methods it is for; any, if empty. `GET` is also for `HEAD`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Paths it is for.
    pub path: PathPattern,
    /// The price of one request, at least 0.
    pub price: Price,
    /// Whether a failure of the upstream is charged too.
    #[serde(default)]
    pub charge: Charge,
    /// Whether the rule refuses, only watches, or rests.
    #[serde(default)]
    pub mode: Mode,
}

/// Which paths a rule is for. Matched without the query, letter case and all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PathPattern {
    /// This path alone. A slash at the end makes no difference.
    Exact(String),
    /// This path and all below it: `/v1` is for `/v1` and `/v1/x`, not for `/v12`.
    Prefix(String),
    /// A path some of whose segments may be anything: `/v1/items/{id}`.
    Template(String),
}

/// When the price is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Charge {
    /// Not if the upstream failed: 5xx, reset, or no response.
    #[default]
    OnSuccess,
    /// Once the request was admitted.
    Always,
}

/// How much a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It charges, and refuses who can't pay.
    #[default]
    Enforce,
    /// It moves no money; what it would have refused is counted and logged.
    Shadow,
    /// Its requests pass as if free.
    Off,
}

impl RateCardDocument {
    /// Reads a document. It is well-formed then; whether it makes sense, `compile` says.
    ///
    /// # Errors
    /// The first fault, with the place it was found at.
    pub fn from_json(json: &[u8]) -> Result<Self, RateCardError> {
        let mut json = serde_json::Deserializer::from_slice(json);
        let document: Self = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let pointer = pointer_of(error.path());
            RateCardError::new(pointer, "rate_card_invalid", error.inner().to_string())
        })?;
        json.end()
            .map_err(|error| RateCardError::new("", "rate_card_invalid", error.to_string()))?;
        Ok(document)
    }
}

fn pointer_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    use std::fmt::Write;

    let mut pointer = String::new();
    for segment in path.iter() {
        // Writing to a string can't fail.
        let _ = match segment {
            Segment::Seq { index } => write!(pointer, "/{index}"),
            Segment::Map { key } | Segment::Enum { variant: key } => {
                write!(pointer, "/{}", key.replace('~', "~0").replace('/', "~1"))
            }
            Segment::Unknown => write!(pointer, "/?"),
        };
    }
    pointer
}

/// A price as it was written: a decimal of any precision, whose worth the scale decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price(Box<str>);

impl Price {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its worth in smallest units. A price is never rounded.
    ///
    /// # Errors
    /// If the scale can't hold it exactly.
    pub fn amount(&self, scale: Scale) -> Result<Amount, AmountError> {
        parse_exact(&self.0, scale)
    }
}

impl FromStr for Price {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        match parse_exact(text, Scale::MAX) {
            // What is wrong for one scale may be right for another.
            Ok(_) | Err(AmountError::Overflow | AmountError::TooPrecise) => Ok(Self(text.into())),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Takes a JSON number by its text, or a string.
impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let text = raw.get();
        let price = if text.starts_with('"') {
            let text: String = serde_json::from_str(text).map_err(de::Error::custom)?;
            text.parse()
        } else {
            text.parse()
        };
        price.map_err(|error: AmountError| {
            de::Error::custom(format_args!(
                "a price is a number or a decimal string: {error}"
            ))
        })
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Price {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Price".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A decimal, as a string or a number; read exactly from its text",
            "type": ["string", "number"],
            "pattern": "^\\+?[0-9]+(\\.[0-9]+)?([eE][+-]?[0-9]+)?$",
            "minimum": 0,
            "maxLength": crate::amount::DECIMAL_LENGTH_MAX,
        })
    }
}
