//! Test builds only: what a careless neighbour with the same `vm_id` could do to the cells.
//!
//! Shared data belongs to every plugin of a `vm_id`. A request with `x-test-spoil` overwrites
//! all cells before it is decided, so that tests can show that a cell which is lost, however,
//! never lends the same credit twice.

use creditgate_core::cell::Cell;
use creditgate_core::id::AccountId;
use creditgate_core::lease::LeaseNumber;

use crate::host::{Expect, Host};

/// Overwrites every cell: with nothing, with another account's (`recycle`), or with bytes that
/// are no cell.
pub(crate) fn every_cell(host: &dyn Host, how: &[u8], cells_max: u32) {
    let stranger = Cell::fresh(AccountId(1), LeaseNumber(1)).to_bytes();
    for slot in 0..cells_max {
        let key = format!("c{slot}");
        if host.shared_get(&key).is_none() {
            continue;
        }
        let value: &[u8] = match how {
            b"erase" => &[],
            b"recycle" => &stranger,
            _ => &[0xff; 192],
        };
        // Blind, as such a neighbour would be.
        let _ = host.shared_set(&key, value, Expect::Anything);
    }
}
