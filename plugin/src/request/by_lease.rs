//! Amounts by lease: what one request reserved, or was booked, under each.

use std::ops::Deref;

use creditgate_core::amount::Amount;
use creditgate_core::lease::LeaseNumber;

/// Amounts by lease, in the order in which an account had the leases.
#[derive(Debug, Default)]
pub(crate) struct ByLease(Vec<(LeaseNumber, Amount)>);

impl ByLease {
    /// Adds to what there is under a lease, if that is the last one; else under a new last one.
    pub(crate) fn add(&mut self, lease: LeaseNumber, amount: Amount) {
        match self.0.last_mut() {
            Some((last, sum)) if *last == lease => *sum = sum.saturating_add(amount),
            _ => self.0.push((lease, amount)),
        }
    }

    /// Whether adding under this lease makes no new entry.
    pub(crate) fn ends_with(&self, lease: LeaseNumber) -> bool {
        self.0.last().is_some_and(|(last, _)| *last == lease)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Deref for ByLease {
    type Target = [(LeaseNumber, Amount)];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
