//! What of an account's spending is told in detail.

use creditgate_core::amount::Amount;

use crate::{Account, LedgerAccount};

/// All detail that was ever booked for an account. It outlives the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Total {
    /// What was charged, in smallest units.
    pub cost: Amount,
    /// How much of it was in rows that were forgotten since.
    pub forgotten: Amount,
}

/// Invariant 11: detail + unattributed = spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribution {
    /// What the books have as spent, reported or charged without a report.
    pub spent: i128,
    /// What detail tells of it.
    pub attributed: i128,
    /// The rest. Below zero where detail tells of use that the books were never told of: for
    /// moments while reports are on their way; for good where credit was released of a lease
    /// whose use nobody could report.
    pub unattributed: i128,
}

impl Attribution {
    /// Of an account and its detail.
    #[must_use]
    pub fn of(account: &Account, total: &Total) -> Self {
        let balance = |of| i128::from(account.balances.get(of).get());
        let spent =
            balance(LedgerAccount::Spent).saturating_add(balance(LedgerAccount::Unattributed));
        let attributed = i128::from(total.cost.get());
        Self {
            spent,
            attributed,
            unattributed: spent.saturating_sub(attributed),
        }
    }
}
