//! A cost on its way to being an amount: a sum that is exact until it is rounded, once.
//!
//! Prices are kept in 10⁻¹⁸ of the currency's smallest unit, since one token or byte may
//! cost far less than that unit. Nothing here is negative, so where a product or a sum
//! leaves 128 bits the cost is beyond every balance, and saturating says just that.

use super::PRICE_MAX;
use crate::amount::Amount;
use serde::{Deserialize, Serialize};

/// Digits after the smallest unit that prices are kept with.
pub(super) const FINE_DIGITS: u8 = 18;
/// The parts of a smallest unit.
const FINE: i128 = 10_i128.pow(FINE_DIGITS as u32);
/// A discount is told in parts of this.
const DISCOUNT_WHOLE: i128 = 1_000_000;

/// How a cost becomes a count of smallest units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// To the next unit above.
    #[default]
    Up,
    /// To the next unit below.
    Down,
    /// To the nearest unit; from halfway, to the one above.
    HalfUp,
    /// To the nearest unit; from halfway, to the even one.
    HalfEven,
}

/// What a customer pays less than the price, in parts per million of it: 0 to 1,000,000.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "u32", into = "u32")]
pub struct Discount(u32);

/// A discount above 1,000,000 parts per million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a discount is 0 to 1000000 parts per million")]
pub struct DiscountOutOfRange;

impl Discount {
    /// The full price is paid.
    pub const NONE: Self = Self(0);
    /// Nothing is paid.
    pub const ALL: Self = Self(1_000_000);

    /// So many parts per million off.
    ///
    /// # Errors
    /// If they are more than the whole.
    pub const fn new(parts_per_million: u32) -> Result<Self, DiscountOutOfRange> {
        if parts_per_million > Self::ALL.0 {
            return Err(DiscountOutOfRange);
        }
        Ok(Self(parts_per_million))
    }

    /// Parts per million off.
    #[must_use]
    pub const fn parts_per_million(self) -> u32 {
        self.0
    }

    /// Whether the full price is paid.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl TryFrom<u32> for Discount {
    type Error = DiscountOutOfRange;

    fn try_from(parts_per_million: u32) -> Result<Self, DiscountOutOfRange> {
        Self::new(parts_per_million)
    }
}

impl From<Discount> for u32 {
    fn from(discount: Discount) -> Self {
        discount.0
    }
}

/// What one of something costs, in 10⁻¹⁸ of a smallest unit. Never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct UnitPrice(i128);

impl UnitPrice {
    /// A price of so many 10⁻¹⁸ of a smallest unit.
    pub(super) const fn new(parts: i128) -> Self {
        Self(parts)
    }

    pub(super) const fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub(super) fn times(self, count: u64) -> Sum {
        Sum(self.0.saturating_mul(i128::from(count)))
    }
}

/// A cost that is not rounded yet, in 10⁻¹⁸ of a smallest unit. Never negative; the largest
/// number stands for everything that can't be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Sum(i128);

impl Sum {
    /// More than can be counted.
    pub(super) const UNBOUNDED: Self = Self(i128::MAX);

    pub(super) fn of(amount: Amount) -> Self {
        Self(i128::from(amount.get()).saturating_mul(FINE))
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// What is left after the discount, in whole units. `None` if it is more than any
    /// request may cost.
    pub(super) fn rounded(self, discount: Discount, rounding: Rounding) -> Option<Amount> {
        if self == Self::UNBOUNDED {
            return None;
        }
        let due = DISCOUNT_WHOLE.saturating_sub(i128::from(discount.0));
        // The whole units and the parts are discounted apart, for together they might leave
        // 128 bits: whole × due < 10²⁷, and what is then left over is below 2 × 10²⁴.
        let (whole, parts) = divided(self.0, FINE);
        let (units, left) = divided(whole.saturating_mul(due), DISCOUNT_WHOLE);
        let left = left
            .saturating_mul(FINE)
            .saturating_add(parts.saturating_mul(due));
        let unit = FINE.saturating_mul(DISCOUNT_WHOLE);
        let (carried, left) = divided(left, unit);
        let units = units.saturating_add(carried);

        let twice = left.saturating_mul(2);
        let is_up = match rounding {
            Rounding::Up => left > 0,
            Rounding::Down => false,
            Rounding::HalfUp => twice >= unit,
            Rounding::HalfEven => twice > unit || (twice == unit && units & 1 == 1),
        };
        let units = units.saturating_add(i128::from(is_up));
        let amount = i64::try_from(units).ok().map(Amount::new)?;
        (amount <= PRICE_MAX).then_some(amount)
    }
}

/// Quotient and remainder, by one of the constants above.
fn divided(number: i128, by: i128) -> (i128, i128) {
    (
        number.checked_div(by).unwrap_or_default(),
        number.checked_rem(by).unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_rounded_by_the_named_rule() {
        let rounded = |parts: i128| {
            [
                Rounding::Up,
                Rounding::Down,
                Rounding::HalfUp,
                Rounding::HalfEven,
            ]
            .map(|rule| {
                Sum(parts)
                    .rounded(Discount::NONE, rule)
                    .map_or(-1, Amount::get)
            })
        };
        assert_eq!(rounded(0), [0, 0, 0, 0]);
        assert_eq!(rounded(FINE), [1, 1, 1, 1]);
        assert_eq!(rounded(FINE + 1), [2, 1, 1, 1]);
        assert_eq!(rounded(FINE + FINE / 2), [2, 1, 2, 2]);
        assert_eq!(rounded(FINE / 2), [1, 0, 1, 0]);
        assert_eq!(rounded(2 * FINE - 1), [2, 1, 2, 2]);
        assert_eq!(rounded(i128::MAX - 1), [-1, -1, -1, -1]);
    }

    #[test]
    fn a_discount_is_taken_before_rounding() {
        let half = Discount::new(500_000).unwrap();
        let rounded = |units, discount| Sum::of(Amount::new(units)).rounded(discount, Rounding::Up);
        assert_eq!(rounded(3, half), Some(Amount::new(2)));
        assert_eq!(rounded(1 << 60, half), Some(Amount::new(1 << 59)));
        assert_eq!(rounded(7, Discount::ALL), Some(Amount::ZERO));
        assert_eq!(
            rounded(1, Discount::new(999_999).unwrap()),
            Some(Amount::new(1))
        );
        assert_eq!(Sum::UNBOUNDED.rounded(Discount::ALL, Rounding::Up), None);
        assert_eq!(Discount::new(1_000_001), Err(DiscountOutOfRange));
    }

    #[test]
    fn more_than_any_price_is_no_cost() {
        let rounded = |units| Sum::of(Amount::new(units)).rounded(Discount::NONE, Rounding::Up);
        assert_eq!(rounded(PRICE_MAX.get()), Some(PRICE_MAX));
        assert_eq!(rounded(PRICE_MAX.get() + 1), None);
        assert_eq!(rounded(i64::MAX), None);
    }
}
