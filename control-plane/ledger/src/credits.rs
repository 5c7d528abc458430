//! Credits: how a wallet's owner sees money. Amount = credits × `conversion_rate`.
//!
//! Credits are kept as canonical decimal text and turned into amounts where they are used,
//! with the rate of the wallet at hand: what an owner wrote stays what the owner reads.
//! They are counted to nine places whatever the scale of the currency: at a rate of 1000,
//! half a credit is 500 of a currency without places.

use core::cmp::Ordering;
use core::fmt;

use creditgate_core::amount::{Amount, AmountError, Scale, format, parse_decimal, parse_wide};
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
    /// As [`parse_wide`].
    pub fn parse(text: &str, scale: Scale) -> Result<Self, AmountError> {
        let missing = DIGITS.saturating_sub(scale.digits());
        let nano = parse_wide(text, scale)?
            .checked_mul(10_i128.pow(u32::from(missing)))
            .ok_or(AmountError::Overflow)?;
        Ok(Self::of_nano(nano))
    }

    /// So many times 10⁻⁹.
    #[must_use]
    pub fn of_nano(nano: i128) -> Self {
        Self(written(nano))
    }

    /// How many times 10⁻⁹; not above 10³⁷.
    #[must_use]
    pub fn nano(&self) -> i128 {
        parse_wide(&self.0, Scale::MAX).unwrap_or_default()
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

    /// What is left of them when `amount` is taken; never less than nothing.
    #[must_use]
    pub(crate) fn without(&self, amount: Amount, rate: &Rate, scale: Scale) -> Self {
        let taken = parse_wide(&rate.credits(amount, scale), Scale::MAX).unwrap_or_default();
        Self::of_nano(self.nano().saturating_sub(taken).max(0))
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

    /// Whether a credit is one of the currency, as of wallets that say nothing.
    #[must_use]
    pub fn is_one(&self) -> bool {
        *self == Self::default()
    }

    /// What `credits` come to: credits, to nine places, × rate, half-even to `scale`.
    ///
    /// # Errors
    /// Text that is no decimal, or a product beyond the range of an amount.
    pub fn times(&self, credits: &str, scale: Scale) -> Result<Amount, Refusal> {
        let nano = parse_wide(credits, Scale::MAX).map_err(|error| match error {
            AmountError::Overflow => Refusal::Overflow,
            other => Refusal::amount("/credits_to_add", &other),
        })?;
        let product = nano.checked_mul(self.nano()).ok_or(Refusal::Overflow)?;
        quotient(product, smallest_unit(scale))
    }

    /// How an amount compares with so many times 10⁻⁹ credits, neither of them rounded.
    #[must_use]
    pub fn compare(&self, amount: Amount, scale: Scale, nano_credits: i128) -> Ordering {
        // An amount is below 2^63, so this fits; credits whose product does not are the more.
        let amount = i128::from(amount.get()) * smallest_unit(scale);
        amount.cmp(&nano_credits.saturating_mul(self.nano()))
    }

    /// What is paid for `amount`, if this is the price of a credit and `per` the amount of
    /// one: amount ÷ per × price, half-even, rounded once. Smallest units of the same scale.
    ///
    /// # Errors
    /// [`Refusal::Overflow`].
    pub fn price_of(&self, amount: Amount, per: &Self) -> Result<Amount, Refusal> {
        quotient(i128::from(amount.get()) * self.nano(), per.nano())
    }

    fn nano(&self) -> i128 {
        parse_decimal(&self.0, Scale::MAX).map_or(1, |rate| i128::from(rate.get().max(1)))
    }

    /// The credits that `amount` is: amount ÷ rate, half-even to nine places.
    #[must_use]
    pub fn credits(&self, amount: Amount, scale: Scale) -> String {
        let rate = self.nano();
        // units ÷ 10^scale ÷ (rate ÷ 10^9) in 10^-9 credits; below 10^37, so it fits.
        let digits = u32::from(DIGITS);
        let missing = digits.saturating_sub(u32::from(scale.digits()));
        let units = i128::from(amount.get()) * 10_i128.pow(digits + missing);
        let (whole, rest) = (units.div_euclid(rate), units.rem_euclid(rate));
        let up = rest * 2 > rate || (rest * 2 == rate && whole % 2 != 0);
        written(whole + i128::from(up))
    }
}

/// A smallest unit of a currency in 10^-18, which is what credits × rate counts in.
const fn smallest_unit(scale: Scale) -> i128 {
    10_i128.pow((2 * DIGITS - scale.digits()) as u32)
}

/// `of` ÷ `by`, half-even, as an amount.
///
/// # Errors
/// [`Refusal::Overflow`].
pub(crate) fn quotient(of: i128, by: i128) -> Result<Amount, Refusal> {
    let magnitude = of.abs();
    let (whole, rest) = (magnitude / by, magnitude % by);
    let up = rest > by - rest || (rest == by - rest && whole % 2 == 1);
    let rounded = (whole + i128::from(up)) * of.signum();
    i64::try_from(rounded)
        .map(Amount::new)
        .map_err(|_| Refusal::Overflow)
}

/// Canonical decimal text of a count of 10^-9.
pub(crate) fn written(nano: i128) -> String {
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
    fn price_is_that_of_the_credits_whatever_they_convert_to() {
        let rate = |text: &str| Rate::parse(text, "/rate").unwrap();
        let price = |units: i64, top_up: &str, conversion: &str| {
            rate(top_up).price_of(Amount::new(units), &rate(conversion))
        };
        assert_eq!(price(10_000, "0.8", "1"), Ok(Amount::new(8_000)));
        assert_eq!(price(10_000, "0.8", "2"), Ok(Amount::new(4_000)));
        assert_eq!(price(100, "1", "3"), Ok(Amount::new(33)));
        assert_eq!(price(i64::MAX, "2", "1"), Err(Refusal::Overflow));
    }

    #[test]
    fn halves_go_to_even() {
        assert_eq!(credits_of(1, 9, "2"), "0");
        assert_eq!(credits_of(3, 9, "2"), "0.000000002");
    }

    #[test]
    fn parts_of_credits_count_where_the_currency_has_no_places() {
        let whole = Scale::new(0).unwrap();
        let rate = Rate::parse("1000", "/conversion_rate").unwrap();
        assert_eq!(rate.times("0.5", whole).unwrap(), Amount::new(500));
        assert_eq!(rate.times("-0.0005", whole).unwrap(), Amount::ZERO);
        assert_eq!(rate.times("0.0015", whole).unwrap(), Amount::new(2));
        let rate = Rate::parse("1", "/conversion_rate").unwrap();
        let many = Credits::parse("50000000000", whole).unwrap();
        assert_eq!(
            many.amount(&rate, whole).unwrap(),
            Amount::new(50_000_000_000)
        );
        let stored = serde_json::to_string(&many).unwrap();
        assert_eq!(serde_json::from_str::<Credits>(&stored).unwrap(), many);
    }

    #[test]
    fn an_amount_and_credits_are_compared_without_rounding() {
        let whole = Scale::new(0).unwrap();
        let rate = Rate::parse("0.3", "/conversion_rate").unwrap();
        let credits = Credits::parse("1.5", Scale::MAX).unwrap().nano();
        assert_eq!(
            rate.compare(Amount::ZERO, whole, credits),
            Ordering::Less,
            "0 is less than 0.45, which rounds to 0"
        );
        let rate = Rate::parse("0.5", "/conversion_rate").unwrap();
        let compare = |units| rate.compare(Amount::new(units), whole, 4_000_000_000);
        let orders = [1, 2, 3].map(compare);
        assert_eq!(orders, [Ordering::Less, Ordering::Equal, Ordering::Greater]);
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
