//! Decimals as people and JSON write them, to and from smallest units.
//!
//! The text is never turned into a float. Its digits are read from the left; those the
//! scale has room for are counted in an `i128`, those it hasn't decide the rounding:
//! half to even, on the magnitude, so that a number and its negative round alike.

use super::{Amount, AmountError, Scale};
use std::fmt;

/// The longest decimal that is read, in characters.
pub const DECIMAL_LENGTH_MAX: usize = 64;

/// The most units that [`parse_wide`] and [`parse_fine`] count.
const WIDE_MAX: i128 = 10_i128.pow(37);

/// Far beyond what any amount needs, and far from overflowing the sums below.
const EXPONENT_MAX: i32 = 100_000;

/// Reads a decimal such as `12.5`, `-0.001` or `1e3`, rounding half-even to the scale.
///
/// Takes what JSON takes for a number, and besides a leading `+` and leading zeros.
///
/// # Errors
/// [`AmountError::TooLong`], [`AmountError::Syntax`] or [`AmountError::Overflow`].
pub fn parse_decimal(text: &str, scale: Scale) -> Result<Amount, AmountError> {
    Parts::read(text)?.to_amount(scale, Excess::RoundHalfEven)
}

/// Reads a decimal as [`parse_decimal`] does, but refuses digits that the scale can't
/// hold. Zeros beyond the scale are no such digits.
///
/// # Errors
/// As [`parse_decimal`], and [`AmountError::TooPrecise`].
pub fn parse_exact(text: &str, scale: Scale) -> Result<Amount, AmountError> {
    Parts::read(text)?.to_amount(scale, Excess::Refuse)
}

/// Reads a decimal as [`parse_decimal`] does, but counts up to 10³⁷ units: for numbers that
/// are no amount yet, such as those a rate is still to be applied to.
///
/// # Errors
/// As [`parse_decimal`].
pub fn parse_wide(text: &str, scale: Scale) -> Result<i128, AmountError> {
    Parts::read(text)?.to_units(scale.digits(), Excess::RoundHalfEven, WIDE_MAX)
}

/// Reads a decimal as [`parse_exact`] does, but counts up to 10³⁷ units of 10 to the minus
/// `digits`: for prices of things so cheap that one of them costs less than the smallest
/// unit of any scale.
///
/// # Errors
/// As [`parse_exact`].
pub fn parse_fine(text: &str, digits: u8) -> Result<i128, AmountError> {
    Parts::read(text)?.to_units(digits, Excess::Refuse, WIDE_MAX)
}

/// Writes an amount as a canonical decimal: no exponent, no plus, no trailing zeros
/// after the point, no point without digits ("12.5", "0", "-0.000000001").
#[must_use]
pub fn format(amount: Amount, scale: Scale) -> Decimal {
    Decimal { amount, scale }
}

/// An amount on its way to becoming text; see [`format`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    amount: Amount,
    scale: Scale,
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = self.amount.get().unsigned_abs();
        let whole = self.scale.whole().get().unsigned_abs().max(1);
        let mut fraction = units.checked_rem(whole).unwrap_or(0);
        let whole = units.checked_div(whole).unwrap_or(0);
        let sign = if self.amount.is_negative() { "-" } else { "" };
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        let mut places = usize::from(self.scale.digits());
        while fraction.is_multiple_of(10) {
            fraction /= 10;
            places = places.saturating_sub(1);
        }
        write!(f, "{sign}{whole}.{fraction:0places$}")
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Excess {
    RoundHalfEven,
    Refuse,
}

/// A decimal taken apart: ± whole.fraction × 10^exponent.
struct Parts<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    exponent: i32,
}

impl<'a> Parts<'a> {
    fn read(text: &'a str) -> Result<Self, AmountError> {
        if text.len() > DECIMAL_LENGTH_MAX {
            return Err(AmountError::TooLong);
        }
        let (negative, unsigned) = split_sign(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, read_exponent(exponent)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) => (whole, digits(fraction)?),
            None => (mantissa, ""),
        };
        Ok(Self {
            negative,
            whole: digits(whole)?,
            fraction,
            exponent,
        })
    }

    fn to_amount(&self, scale: Scale, excess: Excess) -> Result<Amount, AmountError> {
        let units = self.to_units(scale.digits(), excess, i128::from(u64::MAX))?;
        i64::try_from(units)
            .map(Amount::new)
            .map_err(|_| AmountError::Overflow)
    }

    fn to_units(&self, digits: u8, excess: Excess, most: i128) -> Result<i128, AmountError> {
        // How many of the written digits count whole units; the rest is dropped.
        // Lengths are at most 64 and the exponent is bounded, so nothing saturates.
        let kept = i32::try_from(self.whole.len())
            .unwrap_or(i32::MAX)
            .saturating_add(self.exponent)
            .saturating_add(i32::from(digits));

        let mut units: i128 = 0;
        let mut half = HalfWay::Nothing;
        let mut position: i32 = 0;
        for byte in self.whole.bytes().chain(self.fraction.bytes()) {
            let digit = byte.wrapping_sub(b'0');
            if position < kept {
                units = shift_in(units, digit, most)?;
            } else {
                half = half.then(digit, position == kept);
            }
            position = position.saturating_add(1);
        }
        while units != 0 && position < kept {
            units = shift_in(units, 0, most)?;
            position = position.saturating_add(1);
        }

        if half != HalfWay::Nothing && excess == Excess::Refuse {
            return Err(AmountError::TooPrecise);
        }
        let up = match half {
            HalfWay::Nothing | HalfWay::Below => false,
            HalfWay::Exactly => units & 1 == 1,
            HalfWay::Above => true,
        };
        let magnitude = units.saturating_add(i128::from(up));
        Ok(if self.negative {
            magnitude.saturating_neg()
        } else {
            magnitude
        })
    }
}

/// Where the dropped digits lie between two units.
#[derive(Clone, Copy, PartialEq, Eq)]
enum HalfWay {
    Nothing,
    Below,
    Exactly,
    Above,
}

impl HalfWay {
    /// `first` says that the digit is the one right after the last that is kept.
    fn then(self, digit: u8, first: bool) -> Self {
        match (self, digit, first) {
            (Self::Nothing, 0, _) => Self::Nothing,
            (Self::Nothing, 5, true) => Self::Exactly,
            (Self::Nothing, 6.., true) | (Self::Above, ..) => Self::Above,
            (Self::Nothing, ..) | (Self::Below, ..) => Self::Below,
            (Self::Exactly, 0, _) => Self::Exactly,
            (Self::Exactly, ..) => Self::Above,
        }
    }
}

fn split_sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// The text itself, if it is one or more ASCII digits.
fn digits(text: &str) -> Result<&str, AmountError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(AmountError::Syntax);
    }
    Ok(text)
}

fn read_exponent(text: &str) -> Result<i32, AmountError> {
    let (negative, unsigned) = split_sign(text);
    let mut exponent: i32 = 0;
    for byte in digits(unsigned)?.bytes() {
        let digit = i32::from(byte.wrapping_sub(b'0'));
        exponent = exponent
            .saturating_mul(10)
            .saturating_add(digit)
            .min(EXPONENT_MAX);
    }
    Ok(if negative {
        exponent.saturating_neg()
    } else {
        exponent
    })
}

/// Appends a digit. Stops as soon as the count is above `most`, so that even a
/// mantissa of 64 digits or a huge exponent costs a few steps.
fn shift_in(units: i128, digit: u8, most: i128) -> Result<i128, AmountError> {
    let units = units.saturating_mul(10).saturating_add(i128::from(digit));
    if units > most {
        return Err(AmountError::Overflow);
    }
    Ok(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(digits: u8) -> Scale {
        Scale::new(digits).unwrap()
    }

    fn nano(text: &str) -> Result<i64, AmountError> {
        parse_decimal(text, scale(9)).map(Amount::get)
    }

    #[test]
    fn decimals_are_read_exactly() {
        assert_eq!(nano("12.5"), Ok(12_500_000_000));
        assert_eq!(nano("0.1"), Ok(100_000_000));
        assert_eq!(nano("-0.000000001"), Ok(-1));
        assert_eq!(nano("+7"), Ok(7_000_000_000));
        assert_eq!(nano("007.10"), Ok(7_100_000_000));
        assert_eq!(nano("7954.136132619662"), Ok(7_954_136_132_620));
        assert_eq!(nano("181.8940595834384"), Ok(181_894_059_583));
        assert_eq!(nano("1e3"), Ok(1_000_000_000_000));
        assert_eq!(nano("1.5E-3"), Ok(1_500_000));
        assert_eq!(nano("0e99999999999999999999"), Ok(0));
        assert_eq!(nano("1e-99999999999999999999"), Ok(0));
        assert_eq!(nano("-0"), Ok(0));
        assert_eq!(nano("9223372036.854775807"), Ok(i64::MAX));
        assert_eq!(nano("-9223372036.854775808"), Ok(i64::MIN));
    }

    #[test]
    fn wide_decimals_count_beyond_an_amount_and_not_without_end() {
        let wide = |text: &str| parse_wide(text, scale(9));
        assert_eq!(wide("50000000000"), Ok(50_000_000_000_000_000_000));
        assert_eq!(wide("-0.0000000015"), Ok(-2));
        assert_eq!(wide("1e28"), Ok(10_i128.pow(37)));
        assert_eq!(wide("1e29"), Err(AmountError::Overflow));
        assert_eq!(wide("1e99999"), Err(AmountError::Overflow));
    }

    #[test]
    fn halves_round_to_even_and_negatives_alike() {
        let whole = |text: &str| parse_decimal(text, scale(0)).map(Amount::get);
        for (text, rounded) in [
            ("0.5", 0),
            ("1.5", 2),
            ("2.5", 2),
            ("2.50000000000000000001", 3),
            ("2.49999999999999999999", 2),
            ("0.05", 0),
            ("0.06", 0),
            ("0.95", 1),
            ("25e-1", 2),
            ("51e-2", 1),
            ("5e-2", 0),
        ] {
            assert_eq!(whole(text), Ok(rounded), "{text}");
            assert_eq!(whole(&format!("-{text}")), Ok(-rounded), "-{text}");
        }
    }

    #[test]
    fn exact_reading_refuses_what_the_scale_cannot_hold() {
        assert_eq!(parse_exact("1.2300", scale(2)), Ok(Amount::new(123)));
        assert_eq!(parse_exact("1.234", scale(2)), Err(AmountError::TooPrecise));
        assert_eq!(parse_exact("1e-3", scale(2)), Err(AmountError::TooPrecise));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "", "-", "+", ".", "1.", ".5", "1..2", "1,5", " 1", "1 ", "--1", "+-1", "1e", "1e+",
            "1e1.5", "e5", "0x10", "NaN", "inf", "1_000", "١", "1e5e5",
        ] {
            assert_eq!(nano(text), Err(AmountError::Syntax), "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        for text in [
            "9223372036.854775808",
            "-9223372036.854775809",
            "9223372036.8547758075",
            "1e10",
            "1e99999999999999999999",
            "99999999999999999999999999999999999999999999999999999999999999",
        ] {
            assert_eq!(nano(text), Err(AmountError::Overflow), "{text}");
        }
        assert_eq!(nano(&"1".repeat(65)), Err(AmountError::TooLong));
    }

    #[test]
    fn decimals_are_written_canonically() {
        let write = |units, digits| format(Amount::new(units), scale(digits)).to_string();
        assert_eq!(write(12_500_000_000, 9), "12.5");
        assert_eq!(write(0, 9), "0");
        assert_eq!(write(-1, 9), "-0.000000001");
        assert_eq!(write(10, 1), "1");
        assert_eq!(write(-1234, 0), "-1234");
        assert_eq!(write(1_050, 3), "1.05");
        assert_eq!(write(i64::MIN, 9), "-9223372036.854775808");
        assert_eq!(write(i64::MAX, 0), "9223372036854775807");
    }
}
