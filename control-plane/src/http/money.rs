//! Amounts as clients read them: decimal text, never a float.

use creditgate_core::amount::{Amount, Scale, format, parse_decimal};

/// The digits of a conversion rate, and of credits.
const CREDIT_DIGITS: u32 = 9;

/// An amount of a currency, in whole units with a fraction.
pub(crate) fn decimal(amount: Amount, scale: Scale) -> String {
    format(amount, scale).to_string()
}

/// An amount in credits of a wallet: amount ÷ conversion rate, half-even, nine places.
pub(crate) fn credits(amount: Amount, scale: Scale, conversion_rate: &str) -> String {
    let rate = parse_decimal(conversion_rate, Scale::MAX).map_or(0, Amount::get);
    let rate = i128::from(rate.max(1));
    // units ÷ 10^scale ÷ (rate ÷ 10^9) in 10^-9 credits; below 10^37, so it fits.
    let missing = CREDIT_DIGITS.saturating_sub(u32::from(scale.digits()));
    let units = i128::from(amount.get()) * 10_i128.pow(CREDIT_DIGITS + missing);
    let (whole, rest) = (units.div_euclid(rate), units.rem_euclid(rate));
    let up = rest * 2 > rate || (rest * 2 == rate && whole % 2 != 0);
    written(whole + i128::from(up))
}

/// Canonical decimal text of a count of 10^-9.
fn written(nano: i128) -> String {
    let one = 10_u128.pow(CREDIT_DIGITS);
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
        credits(Amount::new(units), Scale::new(digits).unwrap(), rate)
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
}
