//! Credits: how a wallet's owner sees money. Amount = credits × `conversion_rate`.
//!
//! Credits are kept as canonical decimal text and turned into amounts where they are used,
//! with the rate of the wallet at hand: what an owner wrote stays what the owner reads.

use core::fmt;

use creditgate_core::amount::{Amount, AmountError, Scale, format, parse_decimal};
use serde::{Deserialize, Deserializer, Serialize};

use crate::refusal::Refusal;

/// Decimal text of a number of credits, canonical: no exponent, no needless zeros.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Credits(String);

impl Credits {
    /// None.
    #[must_use]
    pub fn zero() -> Self {
        Self("0".to_owned())
    }

    /// Reads a decimal, rounded half-even to `scale`.
    ///
    /// # Errors
    /// As [`parse_decimal`].
    pub fn parse(text: &str, scale: Scale) -> Result<Self, AmountError> {
        parse_decimal(text, scale).map(|units| Self(format(units, scale).to_string()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is less than nothing.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.0.starts_with('-')
    }

    /// Whether it is nothing.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.0 == "0"
    }

    /// The amount they are: credits × `rate`, half-even.
    ///
    /// # Errors
    /// [`Refusal::Overflow`]; a rate that is none.
    pub fn amount(&self, rate: &Rate, scale: Scale) -> Result<Amount, Refusal> {
        rate.times(&self.0, scale)
    }
}

impl fmt::Display for Credits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads text that was written by [`Credits`], or any decimal with at most nine places.
impl<'de> Deserialize<'de> for Credits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text, Scale::MAX).map_err(serde::de::Error::custom)
    }
}

/// What one credit is: decimal text above zero, with at most nine digits after the point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rate(String);

/// The digits kept of a rate.
const DIGITS: u8 = 9;

impl Default for Rate {
    fn default() -> Self {
        Self("1".to_owned())
    }
}

impl Rate {
    /// Reads a rate; `field` is named by the refusal.
    ///
    /// # Errors
    /// Text that is no decimal, or is not above zero.
    pub fn parse(text: &str, field: &'static str) -> Result<Self, Refusal> {
        let refused = |error: &AmountError| Refusal::amount(field, error);
        let scale = Scale::new(DIGITS).map_err(|error| refused(&error))?;
        let rate = parse_decimal(text, scale).map_err(|error| refused(&error))?;
        if rate <= Amount::ZERO {
            return Err(Refusal::Invalid {
                field,
                code: "conversion_rate_not_positive",
                problem: "must be more than zero".to_owned(),
            });
        }
        Ok(Self(format(rate, scale).to_string()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What `credits` come to: credits × rate, half-even to `scale`, rounded once.
    ///
    /// # Errors
    /// Text that is no decimal, or a product beyond the range of an amount.
    pub fn times(&self, credits: &str, scale: Scale) -> Result<Amount, Refusal> {
        let units = parse_decimal(credits, scale).map_err(|error| match error {
            AmountError::Overflow => Refusal::Overflow,
            other => Refusal::amount("/credits_to_add", &other),
        })?;
        let nine = Scale::new(DIGITS).map_err(|_| Refusal::Overflow)?;
        let rate = parse_decimal(&self.0, nine).map_err(|_| Refusal::Overflow)?;
        let one = 10_i128.pow(u32::from(DIGITS));
        let product = i128::from(units.get()) * i128::from(rate.get());
        let magnitude = product.abs();
        let (whole, rest) = (magnitude / one, magnitude % one);
        let up = rest * 2 > one || (rest * 2 == one && whole % 2 == 1);
        let rounded = (whole + i128::from(up)) * product.signum();
        i64::try_from(rounded)
            .map(Amount::new)
            .map_err(|_| Refusal::Overflow)
    }

    /// The credits that `amount` is: amount ÷ rate, half-even to nine places.
    #[must_use]
    pub fn credits(&self, amount: Amount, scale: Scale) -> String {
        let rate = parse_decimal(&self.0, Scale::MAX).map_or(1, |rate| rate.get().max(1));
        let rate = i128::from(rate);
        // units ÷ 10^scale ÷ (rate ÷ 10^9) in 10^-9 credits; below 10^37, so it fits.
        let digits = u32::from(DIGITS);
        let missing = digits.saturating_sub(u32::from(scale.digits()));
        let units = i128::from(amount.get()) * 10_i128.pow(digits + missing);
        let (whole, rest) = (units.div_euclid(rate), units.rem_euclid(rate));
        let up = rest * 2 > rate || (rest * 2 == rate && whole % 2 != 0);
        written(whole + i128::from(up))
    }
}

/// Canonical decimal text of a count of 10^-9.
fn written(nano: i128) -> String {
    let one = 10_u128.pow(u32::from(DIGITS));
    let magnitude = nano.unsigned_abs();
    let sign = if nano < 0 { "-" } else { "" };
    let (whole, fraction) = (magnitude / one, magnitude % one);
    if fraction == 0 {
        return format!("{sign}{whole}");
    }
    let digits = format!("{fraction:09}");
    format!("{sign}{whole}.{}", digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credits_of(units: i64, digits: u8, rate: &str) -> String {
        let rate = Rate::parse(rate, "/conversion_rate").unwrap();
        rate.credits(Amount::new(units), Scale::new(digits).unwrap())
    }

    #[test]
    fn credits_are_the_amount_by_the_rate() {
        assert_eq!(credits_of(12_500_000_000, 9, "1"), "12.5");
        assert_eq!(credits_of(12_500, 3, "0.5"), "25");
        assert_eq!(credits_of(1, 0, "3"), "0.333333333");
        assert_eq!(credits_of(-1, 0, "3"), "-0.333333333");
        assert_eq!(credits_of(0, 9, "7"), "0");
        assert_eq!(
            credits_of(i64::MAX, 0, "0.000000001"),
            "9223372036854775807000000000"
        );
    }

    #[test]
    fn halves_go_to_even() {
        assert_eq!(credits_of(1, 9, "2"), "0");
        assert_eq!(credits_of(3, 9, "2"), "0.000000002");
    }

    #[test]
    fn what_an_owner_wrote_is_rounded_once_and_kept() {
        let nine = Scale::MAX;
        let credits = Credits::parse("7954.136132619662", nine).unwrap();
        assert_eq!(credits.as_str(), "7954.13613262");
        let rate = Rate::parse("1", "/conversion_rate").unwrap();
        assert_eq!(
            credits.amount(&rate, nine).unwrap(),
            Amount::new(7_954_136_132_620)
        );
    }
}
