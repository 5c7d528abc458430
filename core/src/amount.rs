//! Money and other value, counted exactly.
//!
//! An [`Amount`] is an `i64` count of a currency's smallest unit; a [`Scale`] says how
//! many digits after the point that unit is (`usd`: 9, so one unit is 10⁻⁹ dollars).
//! Arithmetic is checked or says that it saturates; there is no `+` to overflow and no
//! float anywhere. People's decimals ("12.50", `1e-3`) are read and written by
//! [`parse_decimal`], [`parse_exact`] and [`format`]; between the halves an amount
//! travels as a decimal string of smallest units, since JSON readers lose integers
//! above 2⁵³.

mod currency;
mod decimal;

pub use currency::{CURRENCY_LENGTH_MAX, Currency, default_scale};
pub use decimal::{
    DECIMAL_LENGTH_MAX, Decimal, format, parse_decimal, parse_exact, parse_fine, parse_wide,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// A count of a currency's smallest units. May be negative (debts, reversals).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(i64);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount that can be counted.
    pub const MAX: Self = Self(i64::MAX);

    /// An amount of this many smallest units.
    #[must_use]
    pub const fn new(units: i64) -> Self {
        Self(units)
    }

    /// The count of smallest units.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Whether it is exactly nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Whether it is less than nothing.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// The sum, or `None` where it can't be counted.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(units) => Some(Self(units)),
            None => None,
        }
    }

    /// The difference, or `None` where it can't be counted.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(units) => Some(Self(units)),
            None => None,
        }
    }

    /// This amount so many times over, or `None` where it can't be counted.
    #[must_use]
    pub const fn checked_mul(self, times: i64) -> Option<Self> {
        match self.0.checked_mul(times) {
            Some(units) => Some(Self(units)),
            None => None,
        }
    }

    /// The sum, held at the ends of the range.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, held at the ends of the range. It may be negative.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The smaller of two amounts.
    #[must_use]
    pub const fn min(self, other: Self) -> Self {
        if other.0 < self.0 { other } else { self }
    }

    /// The larger of two amounts.
    #[must_use]
    pub const fn max(self, other: Self) -> Self {
        if other.0 > self.0 { other } else { self }
    }
}

/// The wire form: smallest units, in decimal.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Reads the wire form: an optional minus and decimal digits, nothing else.
impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        if text.len() > DECIMAL_LENGTH_MAX {
            return Err(AmountError::TooLong);
        }
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(AmountError::Syntax);
        }
        text.parse().map(Self).map_err(|_| AmountError::Overflow)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Accepts the decimal string, and an integer; never a float.
impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Units;

        impl de::Visitor<'_> for Units {
            type Value = Amount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a count of smallest units, as a decimal string or an integer")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, units: i64) -> Result<Amount, E> {
                Ok(Amount(units))
            }

            fn visit_u64<E: de::Error>(self, units: u64) -> Result<Amount, E> {
                i64::try_from(units)
                    .map(Amount)
                    .map_err(|_| E::custom(AmountError::Overflow))
            }
        }

        deserializer.deserialize_any(Units)
    }
}

/// How many digits after the point a currency is counted in: 0 to 9.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "u8", into = "u8")]
pub struct Scale(u8);

impl Scale {
    /// The finest scale: nine places, so that 9.2 billion whole units still fit an [`Amount`].
    pub const MAX: Self = Self(9);

    /// A scale of so many digits; refuses more than nine.
    pub const fn new(digits: u8) -> Result<Self, AmountError> {
        if digits > Self::MAX.0 {
            return Err(AmountError::ScaleOutOfRange);
        }
        Ok(Self(digits))
    }

    /// Digits after the point.
    #[must_use]
    pub const fn digits(self) -> u8 {
        self.0
    }

    /// How many smallest units make one whole: 10 to the number of digits.
    #[must_use]
    pub fn whole(self) -> Amount {
        Amount(10_i64.saturating_pow(u32::from(self.0)))
    }
}

impl TryFrom<u8> for Scale {
    type Error = AmountError;

    fn try_from(digits: u8) -> Result<Self, AmountError> {
        Self::new(digits)
    }
}

impl From<Scale> for u8 {
    fn from(scale: Scale) -> Self {
        scale.0
    }
}

/// Why a text is no amount, scale or currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AmountError {
    /// Not a decimal number.
    #[error("not a decimal number; write it like 12.5, with digits on both sides of the point")]
    Syntax,
    /// Longer than [`DECIMAL_LENGTH_MAX`] characters.
    #[error("the number is longer than {DECIMAL_LENGTH_MAX} characters")]
    TooLong,
    /// Beyond what 64 bits of smallest units can count.
    #[error("the number is larger than the currency's scale can count")]
    Overflow,
    /// More digits after the point than the scale has, where rounding isn't wanted.
    #[error("the number has more digits after the point than the currency's scale")]
    TooPrecise,
    /// A scale above nine.
    #[error("a scale is a number of digits from 0 to 9")]
    ScaleOutOfRange,
    /// Not a currency's name.
    #[error("a currency is 1 to {CURRENCY_LENGTH_MAX} letters, digits, - or _")]
    Currency,
}

impl AmountError {
    /// A stable word for this error, for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Syntax => "amount_invalid",
            Self::TooLong => "amount_too_long",
            Self::Overflow => "amount_overflow",
            Self::TooPrecise => "amount_too_precise",
            Self::ScaleOutOfRange => "scale_invalid",
            Self::Currency => "currency_invalid",
        }
    }
}

#[cfg(feature = "schema")]
mod schema {
    use super::{Amount, Scale};
    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
    use std::borrow::Cow;

    impl JsonSchema for Amount {
        fn schema_name() -> Cow<'static, str> {
            "Amount".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "description": "A count of the currency's smallest units",
                "type": ["string", "integer"],
                "pattern": "^-?[0-9]+$",
            })
        }
    }

    impl JsonSchema for Scale {
        fn schema_name() -> Cow<'static, str> {
            "Scale".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "description": "Digits after the point that a currency is counted in",
                "type": "integer", "minimum": 0, "maximum": 9,
            })
        }
    }
}
