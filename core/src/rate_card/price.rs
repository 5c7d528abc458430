//! From the text of a price to what it is worth.

use super::document::{Per, Price};
use super::sum::{FINE_DIGITS, UnitPrice};
use super::{PRICE_MAX, RateCardError};
use crate::amount::{Amount, AmountError, Scale};

/// What a count is counted in, as against what its price is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// The same.
    Whole,
    /// The thousandth part.
    Thousandth,
}

/// A price of a whole request, in smallest units. It is never rounded.
pub(super) fn whole_price(
    price: &Price,
    scale: Scale,
    pointer: &str,
) -> Result<Amount, RateCardError> {
    let amount = price.amount(scale).map_err(|error| {
        let message = match error {
            AmountError::TooPrecise => format!(
                "{price} has more than the currency's {} digits after the point, and a price is not rounded",
                scale.digits()
            ),
            other => format!("{price}: {other}"),
        };
        RateCardError::new(pointer, error.code(), message)
    })?;
    if amount.is_negative() {
        return Err(negative(pointer));
    }
    if amount > PRICE_MAX {
        return Err(too_large(pointer));
    }
    Ok(amount)
}

/// What one costs of that which the price is for `per` of.
pub(super) fn unit_price(
    price: &Price,
    unit: Unit,
    per: Per,
    scale: Scale,
    pointer: &str,
) -> Result<UnitPrice, RateCardError> {
    // One of a million costs the millionth part: six digits fewer of the price are counted.
    let shared = match unit {
        Unit::Whole => per.digits(),
        Unit::Thousandth => per.digits().saturating_add(3),
    };
    let digits = FINE_DIGITS
        .saturating_sub(shared)
        .saturating_add(scale.digits());
    let parts = price.fine(digits).map_err(|error| {
        let message = match error {
            AmountError::TooPrecise => format!(
                "{price} has more than {digits} digits after the point, and a price is not rounded"
            ),
            other => format!("{price}: {other}"),
        };
        RateCardError::new(pointer, error.code(), message)
    })?;
    if parts < 0 {
        return Err(negative(pointer));
    }
    let most = i128::from(PRICE_MAX.get())
        .saturating_mul(10_i128.saturating_pow(u32::from(FINE_DIGITS.saturating_sub(shared))));
    if parts > most {
        return Err(too_large(pointer));
    }
    Ok(UnitPrice::new(parts))
}

fn negative(pointer: &str) -> RateCardError {
    RateCardError::new(pointer, "price_negative", "a price is at least 0")
}

fn too_large(pointer: &str) -> RateCardError {
    RateCardError::new(
        pointer,
        "price_too_large",
        "no balance could pay this price",
    )
}
