//! Decimals of any size, exactly: what a price list writes as `1.5e-07` is 15 × 10⁻⁸ and nothing
//! near it.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A number that is not negative: digits × 10^exponent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Decimal {
    digits: u128,
    exponent: i32,
}

/// A text that is no such number, or has more digits than are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecimalError {
    /// Not a decimal.
    #[error("is not a number")]
    NotANumber,
    /// Below 0.
    #[error("is negative")]
    Negative,
    /// Beyond 38 digits, or an exponent beyond ±60.
    #[error("has more digits than are counted")]
    TooLong,
}

/// The largest exponent that is read, up and down.
const EXPONENT_MAX: i32 = 60;

impl Decimal {
    /// Whether it is 0.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.digits == 0
    }

    /// This many times 10^`exponent`.
    #[must_use]
    pub const fn shifted(self, exponent: i32) -> Self {
        Self {
            digits: self.digits,
            exponent: self.exponent.saturating_add(exponent),
        }
    }

    /// With so many percent more.
    ///
    /// # Errors
    /// [`DecimalError::TooLong`].
    pub fn marked_up(self, percent: Self) -> Result<Self, DecimalError> {
        let whole = Self {
            digits: 100,
            exponent: 0,
        };
        let factor = whole.plus(percent)?.shifted(-2);
        let digits = self.digits.checked_mul(factor.digits);
        Ok(Self {
            digits: digits.ok_or(DecimalError::TooLong)?,
            exponent: self.exponent.saturating_add(factor.exponent),
        })
    }

    fn plus(self, other: Self) -> Result<Self, DecimalError> {
        let exponent = self.exponent.min(other.exponent);
        let at = |number: Self| {
            let more = u32::try_from(number.exponent.saturating_sub(exponent)).ok()?;
            number.digits.checked_mul(10_u128.checked_pow(more)?)
        };
        let sum = at(self)
            .zip(at(other))
            .and_then(|(one, two)| one.checked_add(two));
        let digits = sum.ok_or(DecimalError::TooLong)?;
        Ok(Self { digits, exponent })
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let unsigned = text.strip_prefix('-');
        let (mantissa, exponent) = match unsigned.unwrap_or(text).split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent),
            None => (unsigned.unwrap_or(text), "0"),
        };
        let exponent: i32 = exponent.parse().map_err(|_| DecimalError::NotANumber)?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let ends_in_point = mantissa.ends_with('.');
        if whole.is_empty() || ends_in_point || !are_digits(whole) || !are_digits(fraction) {
            return Err(DecimalError::NotANumber);
        }
        let digits: u128 = format!("{whole}{fraction}")
            .parse()
            .map_err(|_| DecimalError::TooLong)?;
        let places = i32::try_from(fraction.len()).map_err(|_| DecimalError::TooLong)?;
        if exponent.abs() > EXPONENT_MAX || places > EXPONENT_MAX {
            return Err(DecimalError::TooLong);
        }
        if unsigned.is_some() && digits > 0 {
            return Err(DecimalError::Negative);
        }
        Ok(Self {
            digits,
            exponent: exponent.saturating_sub(places),
        })
    }
}

impl fmt::Display for Decimal {
    /// In plain digits, without needless zeros.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.digits.to_string();
        let Ok(places) = usize::try_from(self.exponent.saturating_neg()) else {
            let zeros = usize::try_from(self.exponent).unwrap_or_default();
            let zeros = if self.is_zero() { 0 } else { zeros };
            return write!(f, "{digits}{}", "0".repeat(zeros));
        };
        let digits = format!("{digits:0>width$}", width = places.saturating_add(1));
        let (whole, fraction) = digits.split_at(digits.len().saturating_sub(places));
        match fraction.trim_end_matches('0') {
            "" => f.write_str(whole),
            fraction => write!(f, "{whole}.{fraction}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        let read = text.parse::<Decimal>();
        read.map_or_else(|error| error.to_string(), |number| number.to_string())
    }

    #[test]
    fn numbers_are_read_by_their_text() {
        for (text, expected) in [
            ("1.5e-07", "0.00000015"),
            ("3e-06", "0.000003"),
            ("0.00000125", "0.00000125"),
            ("1E+2", "100"),
            ("2.50", "2.5"),
            ("0.0", "0"),
            ("-0.0", "0"),
            ("0e5", "0"),
            ("5.46875e-07", "0.000000546875"),
            (
                "12345678901234567890.000000000000000001",
                "12345678901234567890.000000000000000001",
            ),
            ("-1e-07", "is negative"),
            ("1e-61", "has more digits than are counted"),
            (
                "1234567890123456789012345678901234567890",
                "has more digits than are counted",
            ),
            ("1.", "is not a number"),
            (".5", "is not a number"),
            ("1e", "is not a number"),
            ("one", "is not a number"),
            ("", "is not a number"),
            ("1_0", "is not a number"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn a_price_a_token_is_one_a_million_exactly() {
        let a_million = |text: &str| text.parse::<Decimal>().unwrap().shifted(6).to_string();
        assert_eq!(a_million("1.5e-07"), "0.15");
        assert_eq!(a_million("5e-06"), "5");
        assert_eq!(a_million("3.0e-5"), "30");
        assert_eq!(
            a_million("1.00000000000000000001e-06"),
            "1.00000000000000000001"
        );
    }

    #[test]
    fn a_markup_is_exact() {
        let marked_up = |price: &str, percent: &str| {
            let price = price.parse::<Decimal>().unwrap();
            price
                .marked_up(percent.parse().unwrap())
                .unwrap()
                .to_string()
        };
        assert_eq!(marked_up("2.5", "20"), "3");
        assert_eq!(marked_up("0.15", "12.5"), "0.16875");
        assert_eq!(marked_up("0.15", "0"), "0.15");
        assert_eq!(marked_up("0", "50"), "0");
        let long: Decimal = "99999999999999999999999999999999999999".parse().unwrap();
        assert_eq!(
            long.marked_up("5".parse().unwrap()),
            Err(DecimalError::TooLong)
        );
    }
}
