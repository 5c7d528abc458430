//! A number, checked digit by digit. Only counts keep their value.

use super::NotJson;

/// A number whose first bytes have passed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Number {
    part: Part,
    /// Held at the largest `u64`, which is absurd anyway.
    value: u64,
    /// Whether there was a sign, a point or an exponent.
    is_odd: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Part {
    /// After the sign: a digit must come.
    #[default]
    Minus,
    /// After a leading zero: no digit may come.
    Zero,
    Whole,
    /// After the point: a digit must come.
    Point,
    Fraction,
    /// After `e`: a sign or a digit must come.
    Exponent,
    /// After the exponent's sign: a digit must come.
    ExponentSign,
    ExponentDigits,
}

impl Number {
    pub(super) fn begin(byte: u8) -> Result<Self, NotJson> {
        let mut number = Self::default();
        if byte == b'-' {
            number.is_odd = true;
        } else if !number.push(byte)? {
            return Err(NotJson);
        }
        Ok(number)
    }

    /// Takes a byte; whether it belongs to the number.
    pub(super) fn push(&mut self, byte: u8) -> Result<bool, NotJson> {
        self.part = match (self.part, byte) {
            (Part::Minus, b'0') => Part::Zero,
            (Part::Minus, b'1'..=b'9') | (Part::Whole, b'0'..=b'9') => {
                let digit = u64::from(byte.wrapping_sub(b'0'));
                self.value = self.value.saturating_mul(10).saturating_add(digit);
                Part::Whole
            }
            (Part::Zero | Part::Whole, b'.') => Part::Point,
            (Part::Point | Part::Fraction, b'0'..=b'9') => Part::Fraction,
            (Part::Zero | Part::Whole | Part::Fraction, b'e' | b'E') => Part::Exponent,
            (Part::Exponent, b'+' | b'-') => Part::ExponentSign,
            (Part::Exponent | Part::ExponentSign | Part::ExponentDigits, b'0'..=b'9') => {
                Part::ExponentDigits
            }
            // What can't follow, a digit after a zero for one, is what the scanner stumbles over.
            _ => return self.is_whole().then_some(false).ok_or(NotJson),
        };
        Ok(true)
    }

    /// The number is at its end: its value, if it is a count.
    pub(super) fn end(self) -> Result<Option<u64>, NotJson> {
        if !self.is_whole() {
            return Err(NotJson);
        }
        let is_count = !self.is_odd && matches!(self.part, Part::Zero | Part::Whole);
        Ok(is_count.then_some(self.value))
    }

    /// Whether a number may end here.
    fn is_whole(self) -> bool {
        use Part::{ExponentDigits, Fraction, Whole, Zero};
        matches!(self.part, Zero | Whole | Fraction | ExponentDigits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<u64>, NotJson> {
        let (first, rest) = text.as_bytes().split_first().unwrap();
        let mut number = Number::begin(*first)?;
        for byte in rest {
            if !number.push(*byte)? {
                return Err(NotJson);
            }
        }
        number.end()
    }

    #[test]
    fn only_plain_whole_numbers_are_counts() {
        for (text, count) in [
            ("0", 0),
            ("7", 7),
            ("1000000000000", 1_000_000_000_000),
            ("18446744073709551615", u64::MAX),
            ("18446744073709551616", u64::MAX),
            (&"9".repeat(400), u64::MAX),
        ] {
            assert_eq!(read(text), Ok(Some(count)), "{text}");
        }
        for text in ["-0", "-1", "1.0", "0.5", "1e3", "1E+3", "1.5e-30", "0e0"] {
            assert_eq!(read(text), Ok(None), "{text}");
        }
        for text in [
            "-", "01", "-01", "1.", "1.e3", "1e", "1e+", ".5", "+1", "--1", "1a", "NaN",
        ] {
            assert_eq!(read(text), Err(NotJson), "{text}");
        }
    }
}
