//! How a claim of a token is named: text with dots between the keys of a nested one, or a
//! list of keys. Names may be URLs, whose dots lead nowhere; only the list can say them.

use core::fmt;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Keys of a nested claim at most.
const KEYS_MAX: usize = 8;

/// The keys that lead to a claim, from the outside in: text such as `org.id`, or a list such
/// as `["https://example.com/org", "id"]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Claim(Vec<String>);

impl Claim {
    /// The keys, from the outside in.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Why it can't be a claim's name.
    pub(super) fn fault(&self) -> Option<&'static str> {
        // The proxy is told the keys with a NUL between each two.
        let is_key = |key: &String| !key.is_empty() && !key.contains('\0');
        if self.0.is_empty() || !self.0.iter().all(is_key) {
            Some("must have keys that are not empty")
        } else if self.0.len() > KEYS_MAX {
            Some("must have at most 8 keys")
        } else {
            None
        }
    }
}

impl<'de> Deserialize<'de> for Claim {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Named)
    }
}

struct Named;

impl<'de> Visitor<'de> for Named {
    type Value = Claim;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a claim's name, or a list of keys")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Claim, E> {
        Ok(Claim(name.split('.').map(str::to_owned).collect()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, keys: A) -> Result<Claim, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(keys)).map(Claim)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Claim {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Claim".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "The keys that lead to a claim: text with dots between them, or a list.",
            "anyOf": [
                { "type": "string" },
                { "type": "array", "items": { "type": "string" } },
            ],
        })
    }
}
