//! Money: nothing is lost between text and count, and rounding is what it says.

use creditgate_core::amount::{
    Amount, AmountError, Currency, Scale, format, parse_decimal, parse_exact,
};

property! {
    fn a_written_decimal_reads_back_as_the_same_amount(generator) {
        written_reads_back(generator.integer(), generator.below(10) as u8);
    }
}

property! {
    fn reading_rounds_half_to_even_by_the_book(generator) {
        let places = generator.below(19) as u32;
        rounds_by_the_book(generator.integer(), places, generator.below(10) as u8);
    }
}

property! {
    fn any_text_is_read_or_refused(generator) {
        let pieces = ["0", "1", "5", "9", "99", ".", "-", "+", "e", "E", "e-", " ", "é", "000000"];
        any_text_is_safe(&generator.text(&pieces, 20), generator.below(10) as u8);
    }
}

property! {
    fn arithmetic_is_that_of_whole_numbers(generator) {
        arithmetic_is_exact(generator.integer(), generator.integer());
    }
}

property! {
    fn the_wire_form_reads_back(generator) {
        let amount = Amount::new(generator.integer());
        let wire = serde_json::to_string(&amount).unwrap();
        assert_eq!(wire, format!("\"{}\"", amount.get()));
        assert_eq!(serde_json::from_str::<Amount>(&wire).unwrap(), amount);
        assert_eq!(serde_json::from_str::<Amount>(&amount.get().to_string()).unwrap(), amount);
        assert!(serde_json::from_str::<Amount>(&format!("{}.0", amount.get())).is_err());
    }
}

property! {
    fn a_currency_reads_back_in_lower_case(generator) {
        let name = generator.text(&["u", "S", "d", "-", "_", "7", "é", " "], 18);
        match Currency::new(&name) {
            Ok(currency) => {
                assert_eq!(currency.as_str(), name.to_lowercase());
                assert_eq!(Currency::new(currency.as_str()), Ok(currency));
            }
            Err(error) => {
                let foreign = name.contains(['é', ' ']);
                assert!(foreign || name.is_empty() || name.len() > 16, "{name:?}: {error}");
            }
        }
    }
}

pub(crate) fn written_reads_back(units: i64, digits: u8) {
    let (amount, scale) = (Amount::new(units), Scale::new(digits).unwrap());
    let text = format(amount, scale).to_string();
    assert_eq!(parse_exact(&text, scale), Ok(amount), "{text}");
    assert_eq!(parse_decimal(&text, scale), Ok(amount), "{text}");
    assert!(!text.contains('.') || !text.ends_with(['0', '.']), "{text}");
    assert_eq!(
        serde_json::from_str::<serde_json::Number>(&text)
            .map(|_| ())
            .ok(),
        Some(())
    );
}

/// `mantissa` × 10^-`places`, read at a scale of `digits`, against plain long division.
pub(crate) fn rounds_by_the_book(mantissa: i64, places: u32, digits: u8) {
    let scale = Scale::new(digits).unwrap();
    let numerator = i128::from(mantissa) * 10_i128.pow(u32::from(digits));
    let divisor = 10_i128.pow(places);
    let below = numerator.div_euclid(divisor);
    let rest = numerator.rem_euclid(divisor);
    let up = rest * 2 > divisor || (rest * 2 == divisor && below % 2 != 0);
    let expected = i64::try_from(below + i128::from(up)).map(Amount::new);
    let expected = expected.map_err(|_| AmountError::Overflow);

    let exponent = format!("{mantissa}e-{places}");
    assert_eq!(
        parse_decimal(&exponent, scale),
        expected,
        "{exponent} at {digits}"
    );
    let sign = if mantissa < 0 { "-" } else { "" };
    let width = places as usize + 1;
    let magnitude = format!("{:0width$}", mantissa.unsigned_abs());
    let (whole, fraction) = magnitude.split_at(magnitude.len() - places as usize);
    let point = if fraction.is_empty() { "" } else { "." };
    let plain = format!("{sign}{whole}{point}{fraction}");
    assert_eq!(
        parse_decimal(&plain, scale),
        expected,
        "{plain} at {digits}"
    );

    let exact = if rest == 0 {
        expected
    } else {
        Err(AmountError::TooPrecise)
    };
    match parse_exact(&plain, scale) {
        // A number can be both; which is told first is not promised.
        Err(AmountError::Overflow) => assert_eq!(expected, Err(AmountError::Overflow), "{plain}"),
        read => assert_eq!(read, exact, "{plain} at {digits}"),
    }
}

pub(crate) fn any_text_is_safe(text: &str, digits: u8) {
    let scale = Scale::new(digits).unwrap();
    if let Ok(exact) = parse_exact(text, scale) {
        assert_eq!(parse_decimal(text, scale), Ok(exact), "{text:?}");
    }
    if let Ok(amount) = parse_decimal(text, scale) {
        written_reads_back(amount.get(), digits);
    }
}

pub(crate) fn arithmetic_is_exact(left: i64, right: i64) {
    let (a, b) = (Amount::new(left), Amount::new(right));
    let fits = |value: i128| i64::try_from(value).ok().map(Amount::new);
    let (l, r) = (i128::from(left), i128::from(right));
    assert_eq!(a.checked_add(b), fits(l + r));
    assert_eq!(a.checked_sub(b), fits(l - r));
    assert_eq!(a.checked_mul(right), fits(l * r));
    assert_eq!(a.saturating_add(b).get(), left.saturating_add(right));
    assert_eq!(a.saturating_sub(b).get(), left.saturating_sub(right));
    assert_eq!(a.min(b).get(), left.min(right));
    assert_eq!(a.max(b).get(), left.max(right));
}
