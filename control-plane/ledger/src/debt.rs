//! Debt: what gateways used beyond what was funded, repaid first by the next credit.
//!
//! An overrun is lent as debt when it is reported, so a part of what is owed may still be out,
//! held by requests in flight, and come back unused. What was really used is repaid first. Credit
//! that repays what is out stays behind it: it is spent if that is used, and the customer's again
//! if not. So what is out as debt is always a part of what is owed.

use creditgate_core::amount::Amount;

use crate::book::Book;
use crate::context::Context;
use crate::id::{AccountId, LotId};
use crate::journal::{About, Draw, EntryKind, Journal, LedgerAccount, ReasonCode};
use crate::lease::Pin;

/// What leases have out that no lot stands behind.
#[must_use]
pub fn out(book: &Book, account: AccountId) -> Amount {
    let leases = book.leases.iter().filter(|lease| lease.account == account);
    let pins = leases.flat_map(|lease| &lease.pins);
    pins.filter(|pin| pin.lot.is_none())
        .fold(Amount::ZERO, |sum, pin| sum.saturating_add(pin.amount))
}

/// What was used and is not repaid; what is out as debt is not in it.
#[must_use]
pub fn used(book: &Book, account: AccountId) -> Amount {
    let owed = book.account(account);
    let owed = owed.map_or(Amount::ZERO, |account| account.balances.owed());
    owed.saturating_sub(out(book, account))
}

/// Repays what is owed from a lot that can be spent.
pub(crate) fn repay(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    lot: usize,
) {
    let used = used(book, book.accounts[place].id);
    let row = &mut book.lots[lot];
    let repaid = used.min(row.free).max(Amount::ZERO);
    row.free = row.free.saturating_sub(repaid);
    row.spent = row.spent.saturating_add(repaid);
    let about = About {
        wallet: Some(row.wallet),
        ..About::default()
    };
    let draw = Draw {
        lot: row.id,
        amount: repaid,
    };
    book_part(book, journal, context, place, draw, about);
    for lease in 0..book.leases.len() {
        if book.leases[lease].account == book.accounts[place].id {
            stand_behind(book, journal, context, place, lease, lot);
        }
    }
}

/// A lot takes over what a lease has out as debt, as far as it goes.
fn stand_behind(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    lease: usize,
    lot: usize,
) {
    let (row, lease) = (&mut book.lots[lot], &mut book.leases[lease]);
    let amount = cover(&mut lease.pins, row.id, row.free);
    row.free = row.free.saturating_sub(amount);
    row.pinned = row.pinned.saturating_add(amount);
    if !amount.is_zero() {
        // Its gateway must hear until when that may be used.
        lease.pushes = lease.pushes.saturating_add(1);
    }
    let about = About {
        wallet: Some(row.wallet),
        lease: Some(lease.id),
        ..About::default()
    };
    let lot = row.id;
    book_part(book, journal, context, place, Draw { lot, amount }, about);
}

fn book_part(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    draw: Draw,
    about: About,
) {
    let movement = (LedgerAccount::Available, LedgerAccount::Debt, draw.amount);
    journal.transfer(
        context,
        &mut book.accounts[place],
        EntryKind::Repayment,
        ReasonCode::DebtRepaid,
        movement,
        vec![draw],
        about,
    );
}

/// Puts a lot behind up to `amount` of the pins that have none, from the front; answers behind
/// how much.
pub(crate) fn cover(pins: &mut Vec<Pin>, lot: LotId, amount: Amount) -> Amount {
    let mut left = amount;
    let parts = pins.iter().flat_map(|pin| {
        let part = match pin.lot {
            None => pin.amount.min(left),
            Some(_) => Amount::ZERO,
        };
        left = left.saturating_sub(part);
        let covered = Pin {
            lot: Some(lot),
            amount: part,
        };
        let rest = Pin {
            amount: pin.amount.saturating_sub(part),
            ..*pin
        };
        [covered, rest]
    });
    let parts = parts.filter(|pin| !pin.amount.is_zero()).collect();
    *pins = parts;
    amount.saturating_sub(left)
}
