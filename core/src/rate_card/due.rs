//! What is due of a cost once its discount is taken off, exactly, and how it becomes an amount.
//!
//! Parts of one cost may have different discounts. So each part is discounted alone, by whole
//! millionths of a smallest unit and what is left over, and all of them are rounded together.

use super::PRICE_MAX;
use super::discount::Discount;
use super::sum::{FINE, Rounding};
use crate::amount::Amount;

/// A discount is told in parts of this.
const WHOLE: i128 = 1_000_000;

/// A cost after its discount that is not rounded yet. Never negative; the largest number
/// stands for everything that can't be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Due {
    /// Millionths of a smallest unit.
    millionths: i128,
    /// And so many 10⁻²⁴ of a smallest unit, fewer than make a millionth.
    parts: i128,
}

impl Due {
    /// More than can be counted.
    pub(super) const UNBOUNDED: Self = Self {
        millionths: i128::MAX,
        parts: 0,
    };

    /// What is due of so many whole units and so many 10⁻¹⁸ of one.
    pub(super) fn of(whole: i128, parts: i128, discount: Discount) -> Self {
        let due = WHOLE.saturating_sub(i128::from(discount.parts_per_million()));
        // Neither product leaves 128 bits: whole < 2 × 10²⁰, parts < 10¹⁸.
        let (carried, parts) = divided(parts.saturating_mul(due), FINE);
        Self {
            millionths: whole.saturating_mul(due).saturating_add(carried),
            parts,
        }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        let (carried, parts) = divided(self.parts.saturating_add(other.parts), FINE);
        let millionths = self.millionths.saturating_add(other.millionths);
        match millionths.saturating_add(carried) {
            i128::MAX => Self::UNBOUNDED,
            millionths => Self { millionths, parts },
        }
    }

    /// In whole units. `None` if it is more than any request may cost.
    pub(super) fn rounded(self, rounding: Rounding) -> Option<Amount> {
        let (units, left) = divided(self.millionths, WHOLE);
        let left = left.saturating_mul(FINE).saturating_add(self.parts);
        let unit = WHOLE.saturating_mul(FINE);
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

/// Quotient and remainder, by one of the constants.
pub(super) fn divided(number: i128, by: i128) -> (i128, i128) {
    (
        number.checked_div(by).unwrap_or_default(),
        number.checked_rem(by).unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::super::sum::{Sum, UnitPrice};
    use super::*;

    const HALF: Discount = match Discount::new(500_000) {
        Ok(half) => half,
        Err(_) => panic!(),
    };

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
                let sum = UnitPrice::new(parts).times(1);
                let rounded = sum.due(Discount::NONE).rounded(rule);
                rounded.map_or(-1, Amount::get)
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
        let rounded = |units, discount| {
            let sum = Sum::of(Amount::new(units));
            sum.due(discount).rounded(Rounding::Up)
        };
        assert_eq!(rounded(3, HALF), Some(Amount::new(2)));
        assert_eq!(rounded(1 << 60, HALF), Some(Amount::new(1 << 59)));
        assert_eq!(rounded(7, Discount::ALL), Some(Amount::ZERO));
        let almost = Discount::new(999_999).unwrap();
        assert_eq!(rounded(1, almost), Some(Amount::new(1)));
        assert_eq!(Sum::UNBOUNDED.due(almost), Due::UNBOUNDED);
        assert_eq!(Sum::UNBOUNDED.due(Discount::ALL), Due::default());
    }

    #[test]
    fn parts_of_different_discounts_are_rounded_together() {
        // A unit and a half at half its price, and the least there is: not two roundings.
        let sum = UnitPrice::new(FINE + FINE / 2).times(1).due(HALF);
        let least = UnitPrice::new(1).times(1).due(HALF);
        let quarter = Sum::of(Amount::new(1)).due(Discount::new(750_000).unwrap());
        let whole = sum.plus(quarter);
        assert_eq!(whole.rounded(Rounding::Up), Some(Amount::new(1)));
        let more = whole.plus(least);
        assert_eq!(more.rounded(Rounding::Up), Some(Amount::new(2)));
        assert_eq!(more.rounded(Rounding::Down), Some(Amount::new(1)));
        assert_eq!(least.plus(Due::UNBOUNDED), Due::UNBOUNDED);
        assert_eq!(Due::UNBOUNDED.rounded(Rounding::Down), None);
    }

    #[test]
    fn more_than_any_price_is_no_cost() {
        let rounded = |units| {
            let sum = Sum::of(Amount::new(units));
            sum.due(Discount::NONE).rounded(Rounding::Up)
        };
        assert_eq!(rounded(PRICE_MAX.get()), Some(PRICE_MAX));
        assert_eq!(rounded(PRICE_MAX.get() + 1), None);
        assert_eq!(rounded(i64::MAX), None);
    }
}
