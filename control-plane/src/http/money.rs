//! Amounts as clients read them: decimal text, never a float.

use creditgate_core::amount::{Amount, Scale, format};

/// An amount of a currency, in whole units with a fraction.
pub(crate) fn decimal(amount: Amount, scale: Scale) -> String {
    format(amount, scale).to_string()
}
