//! Amounts as clients read them: decimal text, never a float.

use creditgate_core::amount::{Amount, Scale, format};

/// An amount of a currency, in whole units with a fraction.
pub(crate) fn decimal(amount: Amount, scale: Scale) -> String {
    format(amount, scale).to_string()
}

/// A sum of amounts, which may be more than one amount can be.
pub(crate) fn wide_decimal(units: i128, scale: Scale) -> String {
    let whole = i128::from(scale.whole().get());
    let fraction = i64::try_from(units.unsigned_abs() % whole.unsigned_abs());
    let fraction = decimal(Amount::new(fraction.unwrap_or_default()), scale);
    let sign = if units < 0 { "-" } else { "" };
    let whole = (units / whole).unsigned_abs();
    format!(
        "{sign}{whole}{}",
        fraction.strip_prefix('0').unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_written_like_an_amount() {
        for digits in [0, 2, 9] {
            let scale = Scale::new(digits).unwrap();
            for units in [
                0,
                1,
                -1,
                10,
                -150,
                1_000_000_000,
                1_234_567_890,
                i64::MAX,
                -i64::MAX,
            ] {
                assert_eq!(
                    wide_decimal(units.into(), scale),
                    decimal(Amount::new(units), scale)
                );
            }
        }
        let large = i128::from(i64::MAX) * 100 + 5;
        assert_eq!(
            wide_decimal(-large, Scale::new(2).unwrap()),
            "-9223372036854775807.05"
        );
    }
}
