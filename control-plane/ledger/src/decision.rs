//! What every decision about a customer begins and ends with.
//!
//! Before a decision, all that time has brought about is done; after it, what its outcome
//! sets off. So a grant, an expiry or an alert does not wait for a job to come by: a job only
//! sees to it that someone decides something when an instant has come.

use crate::book::Book;
use crate::context::Context;
use crate::journal::Journal;

/// Does what time has brought about for the customer since the last decision.
pub fn begin(_book: &mut Book, _journal: &mut Journal, _context: &mut Context<'_>) {}

/// Does what the decision sets off.
pub fn conclude(_book: &mut Book, _journal: &mut Journal, _context: &mut Context<'_>) {}
