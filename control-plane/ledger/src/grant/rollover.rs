//! What is left of a grant's credit is carried on from one application to the next.

use creditgate_core::amount::{Amount, Scale};

use super::Application;
use super::apply::Case;
use crate::book::Book;
use crate::burn_order::Lot;
use crate::context::Context;
use crate::credits::{Credits, Rate};
use crate::fact::Fact;
use crate::id::{GrantId, SubscriptionId};
use crate::journal::{About, Draw, EntryKind, Journal, LedgerAccount, ReasonCode};
use crate::time::Timestamp;

/// Carries on what is left as of the application's instant, at most `maximum`, to the expiry
/// of its lot; answers how much. What is above the maximum expires: the oldest credit first,
/// from what is free at once, from what gateways have out as they give it back.
///
/// A credit is what it is in the wallet it is in. Where wallets of several rates have some, the
/// maximum is for those with the newest first.
pub(super) fn carry(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    application: &Application,
    case: &Case,
    maximum: &Credits,
) -> Amount {
    let mut lots: Vec<usize> = (0..book.lots.len())
        .filter(|lot| is_left(&book.lots[*lot], application))
        .collect();
    let mut room = maximum.clone();
    let mut sum = Amount::ZERO;
    while let Some(newest) = lots.last() {
        let (rate, scale) = measure(book, *newest);
        let (alike, others): (Vec<_>, Vec<_>) = lots
            .into_iter()
            .partition(|lot| measure(book, *lot).0 == rate);
        // More than there can be is no bound.
        let most = room.amount(&rate, scale).unwrap_or(Amount::MAX);
        let carried = carry_at_most(book, journal, context, &alike, case.expires_at, most);
        room = room.without(carried, &rate, scale);
        sum = sum.saturating_add(carried);
        lots = others;
    }
    sum
}

/// What a credit of a lot is.
fn measure(book: &Book, lot: usize) -> (Rate, Scale) {
    let lot = &book.lots[lot];
    let rate = book
        .wallet(lot.wallet)
        .map(|row| row.conversion_rate.clone());
    let scale = book.account(lot.account).map(|row| row.scale);
    (rate.unwrap_or_default(), scale.unwrap_or(Scale::MAX))
}

/// Carries on what is left of these lots, the oldest first, at most `maximum`.
fn carry_at_most(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    lots: &[usize],
    expires_at: Option<Timestamp>,
    maximum: Amount,
) -> Amount {
    let left = lots.iter().fold(Amount::ZERO, |sum, lot| {
        sum.saturating_add(remaining(&book.lots[*lot]))
    });
    let mut surplus = left.saturating_sub(maximum).max(Amount::ZERO);
    let carried = left.saturating_sub(surplus);
    for lot in lots {
        let taken = book.lots[*lot].free.min(surplus);
        surplus = surplus.saturating_sub(taken);
        expire(book, journal, context, *lot, taken);
    }
    for lot in lots {
        let out = &book.lots[*lot];
        let taken = out.pinned.saturating_sub(out.excess).min(surplus);
        surplus = surplus.saturating_sub(taken);
        reclaim(book, journal, context, *lot, taken);
    }
    for lot in lots {
        if remaining(&book.lots[*lot]).is_zero() {
            continue;
        }
        if let Some(to) = expires_at {
            let why = ReasonCode::CreditRolledOver;
            extend(book, journal, context, *lot, to, why);
        }
    }
    carried
}

/// Whether something may be left of a lot of the same grant, to the same whom, as of the
/// application's instant: a lot that expires in that very instant is carried on.
fn is_left(lot: &Lot, application: &Application) -> bool {
    let is_unexpired = lot
        .expires_at
        .is_none_or(|expires_at| expires_at >= application.scheduled_for);
    is_given_by(lot, application.grant, application.subscription) && is_unexpired
}

/// Whether a grant gave the lot, to this whom, and something is left of it.
pub(super) fn is_given_by(lot: &Lot, by: GrantId, to: Option<SubscriptionId>) -> bool {
    let origin = lot.source.granted_by();
    let is_given = origin.is_some_and(|origin| origin.grant == by && origin.subscription == to);
    is_given && lot.voided_at.is_none() && !remaining(lot).is_zero()
}

fn remaining(lot: &Lot) -> Amount {
    lot.free
        .saturating_add(lot.pinned)
        .saturating_sub(lot.excess)
}

fn expire(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    lot: usize,
    amount: Amount,
) {
    if amount.is_zero() {
        return;
    }
    let lot = &mut book.lots[lot];
    lot.free = lot.free.saturating_sub(amount);
    lot.expired = lot.expired.saturating_add(amount);
    let about = About {
        wallet: Some(lot.wallet),
        ..About::default()
    };
    let draws = vec![Draw {
        lot: lot.id,
        amount,
    }];
    let account = lot.account;
    let Some(place) = book.account_place(account) else {
        return;
    };
    let movement = (LedgerAccount::Available, LedgerAccount::Expired, amount);
    journal.transfer(
        context,
        &mut book.accounts[place],
        EntryKind::Expiry,
        ReasonCode::RolloverCapped,
        movement,
        draws,
        about,
    );
    book.touch(place, context.now);
}

fn reclaim(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    lot: usize,
    amount: Amount,
) {
    if amount.is_zero() {
        return;
    }
    let row = &mut book.lots[lot];
    row.excess = row.excess.saturating_add(amount);
    let fact = Fact::LotExcess {
        lot: row.id,
        excess: row.excess,
    };
    note(
        book,
        journal,
        context,
        lot,
        (ReasonCode::RolloverCapped, fact),
    );
}

/// An expiry is put off, never brought forward.
pub(super) fn extend(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    lot: usize,
    to: Timestamp,
    reason: ReasonCode,
) {
    let row = &mut book.lots[lot];
    let Some(from) = row.expires_at.filter(|from| *from < to) else {
        return;
    };
    row.expires_at = Some(to);
    let fact = Fact::LotExtended {
        lot: row.id,
        from,
        to,
    };
    note(book, journal, context, lot, (reason, fact));
}

fn note(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    lot: usize,
    (reason, fact): (ReasonCode, Fact),
) {
    let lot = &book.lots[lot];
    let about = About {
        wallet: Some(lot.wallet),
        ..About::default()
    };
    let Some(place) = book.account_place(lot.account) else {
        return;
    };
    journal.note(context, &mut book.accounts[place], reason, fact, about);
    book.touch(place, context.now);
}
