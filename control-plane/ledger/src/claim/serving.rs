//! How claims get what they want: what is free of their lots is theirs, before anyone else.

use creditgate_core::amount::Amount;

use super::{Claim, ClaimPurpose, can_take, depositing};
use crate::book::Book;
use crate::burn_order::{BurnKey, Lot};
use crate::context::Context;
use crate::event::{EventKind, tell};
use crate::fact::Fact;
use crate::id::ClaimId;
use crate::journal::{About, Draw, EntryKind, Journal, LedgerAccount, ReasonCode};
use crate::lend;

/// Takes what has become free of claimed lots, and closes the claims that are over. Whoever
/// waits for credit in an account that gets some of it is served.
pub fn settle(book: &mut Book, journal: &mut Journal, context: &mut Context<'_>, place: usize) {
    begin(book, journal, context, place, None);
}

/// As [`settle`], right after a claim was made: who made it hears the outcome in the answer.
pub(super) fn begin(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    new: Option<ClaimId>,
) {
    for other in serve(book, journal, context, place, new) {
        if other != place {
            lend::serve_waiters(book, journal, context, other);
        }
    }
}

/// Serves the claims on an account in the order they were made. Answers which accounts got credit.
fn serve(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    new: Option<ClaimId>,
) -> Vec<usize> {
    let account = book.accounts[place].id;
    let mut fed = Vec::new();
    for claim in 0..book.claims.len() {
        let row = &book.claims[claim];
        if row.account != account || !row.is_open() {
            continue;
        }
        take(book, journal, context, place, claim, &mut fed);
        if is_over(book, &book.claims[claim], context) {
            let is_told = Some(book.claims[claim].id) != new;
            close(book, journal, context, place, claim, is_told);
        }
    }
    fed
}

fn take(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    claim: usize,
    fed: &mut Vec<usize>,
) {
    let wanted = in_order(book, &book.claims[claim], context);
    let mut missing = book.claims[claim].pending();
    let mut parts: Vec<(usize, Amount)> = Vec::new();
    for lot in wanted {
        let part = book.lots[lot].free.min(missing);
        if part > Amount::ZERO {
            missing = missing.saturating_sub(part);
            parts.push((lot, part));
        }
    }
    if parts.is_empty() {
        return;
    }
    let actor = book.claims[claim].actor.clone();
    let mut context = Context {
        now: context.now,
        ids: &mut *context.ids,
        registry: context.registry,
        actor: &actor,
    };
    match book.claims[claim].purpose {
        ClaimPurpose::Debit => debit(book, journal, &mut context, place, claim, &parts),
        ClaimPurpose::Transfer { to } => {
            let to = (claim, to);
            fed.extend(depositing::transfer(
                book,
                journal,
                &mut context,
                place,
                to,
                &parts,
            ));
        }
    }
    let taken = parts
        .iter()
        .fold(Amount::ZERO, |sum, (_, part)| sum.saturating_add(*part));
    let row = &mut book.claims[claim];
    row.done = row.done.saturating_add(taken);
    book.touch(place, context.now);
}

/// The claim's lots that something can be taken of, as they burn.
fn in_order(book: &Book, claim: &Claim, context: &Context<'_>) -> Vec<usize> {
    let mut wanted: Vec<(BurnKey, usize)> = book
        .lots
        .iter()
        .enumerate()
        .filter(|(_, lot)| claim.covers(lot) && can_take(lot, context.now))
        .map(|(place, lot)| (book.burn_key(lot), place))
        .collect();
    wanted.sort_unstable();
    wanted.into_iter().map(|(_, place)| place).collect()
}

fn debit(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    claim: usize,
    parts: &[(usize, Amount)],
) {
    let mut draws = Vec::new();
    let mut sum = Amount::ZERO;
    for (lot, part) in parts {
        let lot = &mut book.lots[*lot];
        lot.free = lot.free.saturating_sub(*part);
        lot.withdrawn = lot.withdrawn.saturating_add(*part);
        sum = sum.saturating_add(*part);
        draws.push(Draw {
            lot: lot.id,
            amount: *part,
        });
    }
    let row = &book.claims[claim];
    let about = About {
        wallet: Some(row.wallet),
        note: row.note.clone(),
        fact: Some(Fact::ClaimTook { claim: row.id }),
        ..About::default()
    };
    let movement = (LedgerAccount::Available, LedgerAccount::Withdrawn, sum);
    journal.transfer(
        context,
        &mut book.accounts[place],
        EntryKind::Debit,
        row.reason,
        movement,
        draws,
        about,
    );
}

/// A claim is over when it has all, or when nothing more can come.
fn is_over(book: &Book, claim: &Claim, context: &Context<'_>) -> bool {
    let is_out = |lot: &Lot| can_take(lot, context.now) && !lot.pinned.is_zero();
    let mut lots = book.lots.iter();
    claim.pending().is_zero() || !lots.any(|lot| claim.covers(lot) && is_out(lot))
}

fn close(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    claim: usize,
    is_told: bool,
) {
    let now = context.now;
    let row = &mut book.claims[claim];
    row.short = row.pending();
    row.closed_at = Some(now);
    let row = row.clone();
    let fact = Fact::ClaimClosed {
        claim: row.id,
        done: row.done,
        short: row.short,
    };
    let about = About {
        wallet: Some(row.wallet),
        note: row.note.clone(),
        ..About::default()
    };
    let account = &mut book.accounts[place];
    journal.note(context, account, ReasonCode::ClaimPending, fact, about);
    book.touch(place, now);
    if is_told {
        tell::claim(book, journal, context, EventKind::ClaimClosed, &row);
    }
}
