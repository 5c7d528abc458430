//! What value is counted in: `usd`, `jpy`, or a unit of the operator's own.
//!
//! A name is at most sixteen bytes and kept in place, so that a currency is copied like
//! a number and costs no allocation in the filter.

use super::{AmountError, Scale};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// The longest name of a currency, in characters.
pub const CURRENCY_LENGTH_MAX: usize = 16;

/// The name of a currency: 1 to 16 of `a-z`, `0-9`, `_`, `-`. Read in any case, kept lower.
// Unused bytes at the end are zero, which is no character of a name; so the derived
// comparisons are those of the names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; CURRENCY_LENGTH_MAX]);

impl Currency {
    /// Reads a name.
    ///
    /// # Errors
    /// [`AmountError::Currency`] if it is empty, too long, or has other characters.
    pub fn new(name: &str) -> Result<Self, AmountError> {
        if name.is_empty() || name.len() > CURRENCY_LENGTH_MAX {
            return Err(AmountError::Currency);
        }
        let mut bytes = [0; CURRENCY_LENGTH_MAX];
        for (slot, byte) in bytes.iter_mut().zip(name.bytes()) {
            *slot = match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' => byte,
                b'A'..=b'Z' => byte.to_ascii_lowercase(),
                _ => return Err(AmountError::Currency),
            };
        }
        Ok(Self(bytes))
    }

    /// The name, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let name = self.0.split(|byte| *byte == 0).next().unwrap_or_default();
        std::str::from_utf8(name).unwrap_or_default()
    }
}

/// The scale a currency gets unless its creator chooses another.
///
/// Three letters are taken for a currency of the world: nine places, so that the price of
/// one token of a cheap model can still be told; fewer where a unit is worth so little that
/// nine would not leave room for a large customer's balance. Any other name is a unit of the
/// operator's own, such as `tokens`: three places.
#[must_use]
pub fn default_scale(currency: &Currency) -> Scale {
    let name = currency.as_str();
    match name {
        // Some hundred to two thousand units to a US dollar: 9.2 million million of them fit.
        "amd" | "ars" | "clp" | "crc" | "djf" | "huf" | "isk" | "jpy" | "kmf" | "krw" | "kzt"
        | "lkr" | "mwk" | "ngn" | "pkr" | "rwf" | "vuv" | "xaf" | "xof" | "xpf" | "yer" => Scale(6),
        // More than that.
        "bif" | "cop" | "gnf" | "idr" | "iqd" | "irr" | "khr" | "lak" | "lbp" | "mga" | "mmk"
        | "pyg" | "sll" | "tzs" | "ugx" | "uzs" | "vnd" => Scale(4),
        _ if name.len() == 3 && name.bytes().all(|byte| byte.is_ascii_lowercase()) => Scale(9),
        _ => Scale(3),
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Currency({})", self.as_str())
    }
}

impl FromStr for Currency {
    type Err = AmountError;

    fn from_str(name: &str) -> Result<Self, AmountError> {
        Self::new(name)
    }
}

impl AsRef<str> for Currency {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;

        impl de::Visitor<'_> for Name {
            type Value = Currency;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a currency")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Currency, E> {
                Currency::new(name).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Name)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Currency {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Currency".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "The name of a currency, such as usd or tokens; read in any case",
            "type": "string",
            "pattern": "^[A-Za-z0-9_-]{1,16}$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_in_any_case_and_kept_lower() {
        let currency: Currency = serde_json::from_str("\"USD\"").unwrap();
        assert_eq!(currency.as_str(), "usd");
        assert_eq!(serde_json::to_string(&currency).unwrap(), "\"usd\"");
        assert_eq!(
            Currency::new("a-token_of_1234x").unwrap().as_str(),
            "a-token_of_1234x"
        );
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in ["", "us d", "é", "usd\0", "12345678901234567", "$"] {
            assert_eq!(Currency::new(name), Err(AmountError::Currency), "{name:?}");
        }
    }

    #[test]
    fn units_of_low_value_get_fewer_places() {
        let scale = |name| default_scale(&Currency::new(name).unwrap()).digits();
        assert_eq!(scale("usd"), 9);
        assert_eq!(scale("jpy"), 6);
        assert_eq!(scale("vnd"), 4);
        assert_eq!(scale("tokens"), 3);
        assert_eq!(scale("c4"), 3);
    }
}
