//! Bonus credit: what comes on top of a purchase of some size.
//!
//! Slabs are by rising size; a purchase gets the bonus of the largest slab it reaches. A
//! bonus is a lot of its own, so that it can burn and expire apart from what was paid for.

use creditgate_core::amount::{Amount, Scale};
use serde::{Deserialize, Serialize};

use crate::credits::{Credits, Rate, quotient};
use crate::refusal::Refusal;

/// Most slabs.
pub const SLABS_MAX: usize = 20;

/// Most hundredths of a purchase that may come on top, in 10⁻⁹.
const PERCENT_MAX_NANO: i128 = 1_000_000_000_000;

/// Most days after which a bonus expires.
const EXPIRE_IN_DAYS_MAX: u32 = 36_600;

/// A purchase of `from` credits or more, up to the next slab, gets this bonus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BonusSlab {
    /// The smallest purchase, in credits.
    pub from: Credits,
    /// How much comes on top.
    pub bonus: Bonus,
    /// After how many days the bonus expires; never if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire_in_days: Option<u32>,
    /// Smaller burns first; none burns last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
}

/// How much comes on top.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bonus {
    /// So many credits.
    Credits(Credits),
    /// So many hundredths of the purchase, decimal text.
    Percent(Credits),
}

/// The bonus of a purchase: the slab it reached, and how much that is. Rounded half-even,
/// once; none if that is nothing.
///
/// # Errors
/// [`Refusal::Overflow`].
pub fn of_purchase<'a>(
    slabs: &'a [BonusSlab],
    purchase: Amount,
    rate: &Rate,
    scale: Scale,
) -> Result<Option<(&'a BonusSlab, Amount)>, Refusal> {
    let is_reached = |slab: &&BonusSlab| rate.compare(purchase, scale, slab.from.nano()).is_ge();
    let Some(slab) = slabs.iter().rev().find(is_reached) else {
        return Ok(None);
    };
    let amount = match &slab.bonus {
        Bonus::Credits(credits) => credits.amount(rate, scale)?,
        Bonus::Percent(percent) => {
            let product = i128::from(purchase.get())
                .checked_mul(percent.nano())
                .ok_or(Refusal::Overflow)?;
            quotient(product, 100 * 1_000_000_000)?
        }
    };
    Ok((amount > Amount::ZERO).then_some((slab, amount)))
}

/// Whether the slabs are such as can be kept; `at` is the JSON pointer of the list.
///
/// # Errors
/// [`Refusal::InvalidAt`] with `code`: more than [`SLABS_MAX`], sizes that do not rise, a
/// bonus that is nothing or beyond all measure.
pub fn check(slabs: &[BonusSlab], at: &str, code: &'static str) -> Result<(), Refusal> {
    let refuse = |place: String, problem: String| {
        Err(Refusal::InvalidAt {
            field: format!("{at}{place}"),
            code,
            problem,
        })
    };
    if slabs.len() > SLABS_MAX {
        let problem = format!("may have {SLABS_MAX} slabs, has {}", slabs.len());
        return refuse(String::new(), problem);
    }
    let mut before = -1;
    for (place, slab) in slabs.iter().enumerate() {
        let from = slab.from.nano();
        if from <= before {
            let problem = if place == 0 {
                "must not be negative".to_owned()
            } else {
                "must be more than that of the slab before".to_owned()
            };
            return refuse(format!("/{place}/from"), problem);
        }
        before = from;
        match &slab.bonus {
            Bonus::Credits(credits) if credits.nano() <= 0 => {
                let problem = "must be more than zero".to_owned();
                return refuse(format!("/{place}/bonus_credits"), problem);
            }
            Bonus::Percent(percent) if !(1..=PERCENT_MAX_NANO).contains(&percent.nano()) => {
                let problem = format!("must be more than 0 and at most 1000, is {percent}");
                return refuse(format!("/{place}/bonus_percent"), problem);
            }
            Bonus::Credits(_) | Bonus::Percent(_) => {}
        }
        let days = slab.expire_in_days.unwrap_or(1);
        if !(1..=EXPIRE_IN_DAYS_MAX).contains(&days) {
            let problem = format!("must be 1 to {EXPIRE_IN_DAYS_MAX}, is {days}");
            return refuse(format!("/{place}/expire_in_days"), problem);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NINE: Scale = Scale::MAX;

    fn credits(text: &str) -> Credits {
        Credits::parse(text, NINE).unwrap()
    }

    fn slab(from: &str, bonus: Bonus) -> BonusSlab {
        BonusSlab {
            from: credits(from),
            bonus,
            expire_in_days: None,
            priority: None,
        }
    }

    fn percent(from: &str, percent: &str) -> BonusSlab {
        slab(from, Bonus::Percent(credits(percent)))
    }

    fn fixed(from: &str, bonus: &str) -> BonusSlab {
        slab(from, Bonus::Credits(credits(bonus)))
    }

    fn bonus(slabs: &[BonusSlab], units: i64, digits: u8, rate: &str) -> i64 {
        let rate = Rate::parse(rate, "/conversion_rate").unwrap();
        let scale = Scale::new(digits).unwrap();
        let bonus = of_purchase(slabs, Amount::new(units), &rate, scale).unwrap();
        bonus.map_or(0, |(_, amount)| amount.get())
    }

    #[test]
    fn a_purchase_gets_the_bonus_of_the_largest_slab_it_reaches() {
        let slabs = [fixed("10", "1"), percent("100", "10"), fixed("1000", "250")];
        let bonus = |units| bonus(&slabs, units, 0, "1");
        assert_eq!(
            [9, 10, 99, 100, 999, 1000].map(bonus),
            [0, 1, 1, 10, 100, 250]
        );
    }

    #[test]
    fn slabs_are_in_credits_and_the_bonus_in_the_currency() {
        let slabs = [fixed("10", "2"), percent("20", "50")];
        let bonus = |units| bonus(&slabs, units, 0, "0.5");
        assert_eq!([4, 5, 9, 10].map(bonus), [0, 1, 1, 5]);
    }

    #[test]
    fn a_percentage_is_rounded_once_and_half_to_even() {
        let slabs = [percent("0", "2.5")];
        let bonus = |units| bonus(&slabs, units, 0, "1");
        assert_eq!([20, 60, 61, 140].map(bonus), [0, 2, 2, 4]);
    }

    #[test]
    fn slabs_that_make_no_sense_are_refused_where_the_fault_is() {
        let at = |slabs: &[BonusSlab]| match check(slabs, "/bonus_slabs", "settings_invalid") {
            Ok(()) => "fine".to_owned(),
            Err(Refusal::InvalidAt { field, .. }) => field,
            Err(other) => panic!("{other}"),
        };
        let many: Vec<_> = (0..21).map(|from| fixed(&from.to_string(), "1")).collect();
        assert_eq!(at(&many), "/bonus_slabs");
        assert_eq!(at(&many[..20]), "fine");
        let twice = [fixed("5", "1"), fixed("5", "1")];
        assert_eq!(at(&twice), "/bonus_slabs/1/from");
        assert_eq!(at(&[fixed("-1", "1")]), "/bonus_slabs/0/from");
        assert_eq!(at(&[fixed("0", "0")]), "/bonus_slabs/0/bonus_credits");
        assert_eq!(at(&[percent("0", "0")]), "/bonus_slabs/0/bonus_percent");
        let above = [percent("0", "1000.000000001")];
        assert_eq!(at(&above), "/bonus_slabs/0/bonus_percent");
        let days = BonusSlab {
            expire_in_days: Some(0),
            ..fixed("0", "1")
        };
        assert_eq!(at(&[days]), "/bonus_slabs/0/expire_in_days");
    }
}
