//! Rows in the making, in a worker's memory.

use std::ops::Range;

use super::{Counted, Heading, Row};
use crate::amount::Amount;
use crate::id::AccountId;

/// The part of all rows that one account may fill is one of so many, so that whoever invents
/// names of models costs others nothing.
const SHARES: usize = 8;

/// Where a request was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// To the row that it belongs to.
    Apart,
    /// To its account's row for [`OTHER`] things, since there are too many rows.
    Merged,
    /// To none: there is not even room for such a row.
    Dropped,
}

/// Rows that are being gathered. A request of which there is a row costs no allocation.
#[derive(Debug)]
pub struct Gathered {
    /// By their heading.
    rows: Vec<Row>,
    rows_max: usize,
}

impl Gathered {
    /// For at most so many rows, and as many again for accounts' [`OTHER`] things.
    #[must_use]
    pub const fn new(rows_max: usize) -> Self {
        let rows = Vec::new();
        Self { rows, rows_max }
    }

    /// Adds a request.
    pub fn add(&mut self, heading: &Heading<'_>, cost: Amount, counted: &Counted<'_>) -> Added {
        let place = match self.place(heading) {
            Ok(place) => return self.add_to(place, cost, counted, Added::Apart),
            Err(place) => place,
        };
        let own = self.rows_of(heading.account).len();
        if self.rows.len() < self.rows_max && own < (self.rows_max / SHARES).max(1) {
            self.rows.insert(place, Row::new(heading));
            return self.add_to(place, cost, counted, Added::Apart);
        }
        let other = Heading::other(heading.account);
        match self.place(&other) {
            Ok(place) => self.add_to(place, cost, counted, Added::Merged),
            Err(place) if self.rows.len() < self.rows_max.saturating_mul(2) => {
                self.rows.insert(place, Row::new(&other));
                self.add_to(place, cost, counted, Added::Merged)
            }
            Err(_) => Added::Dropped,
        }
    }

    fn place(&self, heading: &Heading<'_>) -> Result<usize, usize> {
        self.rows.binary_search_by(|row| row.heading().cmp(heading))
    }

    fn rows_of(&self, account: AccountId) -> Range<usize> {
        let first = self.rows.partition_point(|row| row.account < account);
        first..self.rows.partition_point(|row| row.account <= account)
    }

    fn add_to(&mut self, place: usize, cost: Amount, counted: &Counted<'_>, added: Added) -> Added {
        if let Some(row) = self.rows.get_mut(place) {
            row.add(cost, counted);
        }
        added
    }

    /// Whether there is nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Takes all rows.
    pub fn take(&mut self) -> Vec<Row> {
        std::mem::take(&mut self.rows)
    }
}
