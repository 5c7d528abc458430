//! Prices in the text they were written in.

use crate::amount::{Amount, AmountError, Scale, parse_exact, parse_fine};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;
use std::fmt;
use std::str::FromStr;

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

    /// Its worth in units of 10 to the minus `digits`, up to 10³⁷ of them.
    ///
    /// # Errors
    /// If that can't hold it exactly.
    pub(in crate::rate_card) fn fine(&self, digits: u8) -> Result<i128, AmountError> {
        parse_fine(&self.0, digits)
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

/// For how many a price is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub enum Per {
    /// For one.
    #[default]
    One,
    /// For a thousand.
    Thousand,
    /// For a million.
    Million,
    /// For a thousand million.
    Billion,
}

impl Per {
    /// The number is 10 to this.
    pub(in crate::rate_card) const fn digits(self) -> u8 {
        match self {
            Self::One => 0,
            Self::Thousand => 3,
            Self::Million => 6,
            Self::Billion => 9,
        }
    }

    /// What the price of a model is for if nothing is said.
    pub(super) const fn million() -> Self {
        Self::Million
    }
}

impl From<Per> for u64 {
    fn from(per: Per) -> Self {
        10_u64.saturating_pow(u32::from(per.digits()))
    }
}

impl TryFrom<u64> for Per {
    type Error = &'static str;

    fn try_from(number: u64) -> Result<Self, &'static str> {
        match number {
            1 => Ok(Self::One),
            1_000 => Ok(Self::Thousand),
            1_000_000 => Ok(Self::Million),
            1_000_000_000 => Ok(Self::Billion),
            _ => Err("a price is per 1, 1000, 1000000 or 1000000000"),
        }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Per {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Per".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "For how many a price is",
            "type": "integer",
            "enum": [1, 1_000, 1_000_000, 1_000_000_000],
        })
    }
}
