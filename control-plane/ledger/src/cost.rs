//! Cost basis: what money was, or is to be, paid for a lot.
//!
//! A balance never depends on it. When a lot is transferred in parts, each part takes its
//! share of the money along, and all parts together take exactly what was paid.

use creditgate_core::amount::{Amount, Scale, format, parse_wide};

use crate::burn_order::{CostBasis, Lot};
use crate::credits::written;
use crate::refusal::Refusal;
use crate::wallet::Wallet;

/// What a purchase of `amount` costs by the wallet's price of a credit.
///
/// # Errors
/// [`Refusal::Overflow`].
pub fn of_amount(wallet: &Wallet, amount: Amount, scale: Scale) -> Result<CostBasis, Refusal> {
    let (price, per) = (&wallet.topup_conversion_rate, &wallet.conversion_rate);
    Ok(untaxed(wallet, price.price_of(amount, per)?, scale))
}

/// What a purchase of so many credits costs by the wallet's price of a credit.
///
/// # Errors
/// Text that is no decimal; [`Refusal::Overflow`].
pub fn of_credits(wallet: &Wallet, credits: &str, scale: Scale) -> Result<CostBasis, Refusal> {
    let received = wallet.topup_conversion_rate.times(credits, scale)?;
    Ok(untaxed(wallet, received, scale))
}

fn untaxed(wallet: &Wallet, received: Amount, scale: Scale) -> CostBasis {
    CostBasis {
        currency: wallet.currency,
        received: format(received, scale).to_string(),
        tax: "0".to_owned(),
        reference: None,
    }
}

/// What was paid for `part` of a lot, of which `before` had been taken already.
#[must_use]
pub fn share(lot: &Lot, before: Amount, part: Amount) -> Option<CostBasis> {
    let cost = lot.cost.as_ref()?;
    let of = |text: &str| {
        let whole = nano(text)?;
        let upto = |taken: Amount| share_of(whole, taken, lot.amount);
        Some(written(
            upto(before.saturating_add(part)).saturating_sub(upto(before)),
        ))
    };
    Some(CostBasis {
        currency: cost.currency,
        received: of(&cost.received)?,
        tax: of(&cost.tax)?,
        reference: cost.reference.clone(),
    })
}

/// What was paid for two parts of one purchase.
#[must_use]
pub fn sum(a: Option<&CostBasis>, b: Option<&CostBasis>) -> Option<CostBasis> {
    let (Some(a), Some(b)) = (a, b) else {
        return a.or(b).cloned();
    };
    let sum = |a: &str, b: &str| Some(written(nano(a)?.saturating_add(nano(b)?)));
    Some(CostBasis {
        currency: a.currency,
        received: sum(&a.received, &b.received)?,
        tax: sum(&a.tax, &b.tax)?,
        reference: a.reference.clone(),
    })
}

/// Money in 10^-9; no scale has more places.
fn nano(text: &str) -> Option<i128> {
    parse_wide(text, Scale::MAX).ok()
}

/// `whole` × `taken` ÷ `of`, rounded down, without leaving the range in between.
fn share_of(whole: i128, taken: Amount, of: Amount) -> i128 {
    let (taken, of) = (i128::from(taken.get()), i128::from(of.get().max(1)));
    let (each, rest) = (whole.div_euclid(of), whole.rem_euclid(of));
    each.saturating_mul(taken)
        .saturating_add((rest * taken).div_euclid(of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_a_cost_add_up_to_it() {
        let whole = 100_000_000_007_i128;
        let of = Amount::new(7);
        let parts: Vec<i128> = (0..7)
            .map(|taken| {
                share_of(whole, Amount::new(taken + 1), of)
                    - share_of(whole, Amount::new(taken), of)
            })
            .collect();
        assert_eq!(parts.iter().sum::<i128>(), whole);
        assert!(parts.iter().all(|part| (part - whole / 7).abs() <= 1));
    }

    #[test]
    fn share_of_the_largest_cost_stays_in_range() {
        let whole = i128::from(i64::MAX) * 1_000_000_000;
        let of = Amount::MAX;
        assert_eq!(share_of(whole, of, of), whole);
    }
}
