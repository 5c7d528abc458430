//! What every decision about a customer begins and ends with.
//!
//! Before a decision, all that time has brought about is done; after it, what its outcome
//! sets off. So a grant, an expiry or an alert does not wait for a job to come by: a job only
//! sees to it that someone decides something when an instant has come.

use crate::alert;
use crate::auto_top_up;
use crate::book::Book;
use crate::claim;
use crate::context::{Context, TIME};
use crate::expiry;
use crate::grant;
use crate::journal::Journal;

/// Does what time has brought about for the customer since the last decision; not in the name
/// of who happens to come by.
pub fn begin(book: &mut Book, journal: &mut Journal, context: &mut Context<'_>) {
    let context = &mut context.of(TIME);
    auto_top_up::answer::begin(book, journal);
    // Before any expiry is booked: what a grant carries on must not expire first.
    grant::pass(book, journal, context);
    for place in 0..book.accounts.len() {
        expiry::pass(book, journal, context, place);
    }
    alert::watch::begin(book, context.now);
}

/// Does what the decision sets off.
pub fn conclude(book: &mut Book, journal: &mut Journal, context: &mut Context<'_>) {
    for place in 0..book.accounts.len() {
        claim::settle(book, journal, context, place);
    }
    alert::watch::follow(book, journal, context);
    if auto_top_up::answer::conclude(book, journal, context) {
        alert::watch::follow(book, journal, context);
    }
}
