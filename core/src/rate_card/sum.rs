//! A cost on its way to being an amount: a sum that is exact until it is rounded, once.
//!
//! Prices are kept in 10⁻¹⁸ of the currency's smallest unit, since one token or byte may
//! cost far less than that unit. Nothing here is negative, so where a product or a sum
//! leaves 128 bits the cost is beyond every balance, and saturating says just that.

use super::discount::Discount;
use super::due::{Due, divided};
use crate::amount::Amount;
use serde::{Deserialize, Serialize};

/// Digits after the smallest unit that prices are kept with.
pub(super) const FINE_DIGITS: u8 = 18;
/// The parts of a smallest unit.
pub(super) const FINE: i128 = 10_i128.pow(FINE_DIGITS as u32);

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

    /// What is left after the discount. Of what nothing is paid for no count matters.
    pub(super) fn due(self, discount: Discount) -> Due {
        if discount == Discount::ALL {
            return Due::default();
        }
        if self == Self::UNBOUNDED {
            return Due::UNBOUNDED;
        }
        let (whole, parts) = divided(self.0, FINE);
        Due::of(whole, parts, discount)
    }
}
