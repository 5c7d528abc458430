//! Lots: how they are made, and what of their credit is taken up by what is owed.

use std::collections::BTreeMap;

use creditgate_core::amount::Amount;

use crate::book::Book;
use crate::burn_order::{Lot, LotKind, LotSource};
use crate::context::Context;
use crate::credit_limit;
use crate::debt;
use crate::event::{EventKind, tell};
use crate::fact::{Fact, LotTerms};
use crate::id::{AccountId, LotId, WalletId};
use crate::journal::{About, Draw, EntryKind, Journal, LedgerAccount, ReasonCode};
use crate::refusal::Refusal;
use crate::time::Timestamp;

/// The most that may ever be funded into one account; leaves room above for sums.
pub const FUNDED_MAX: Amount = Amount::new(i64::MAX / 4);

/// Most live lots of a customer.
pub const LOTS_MAX: usize = 10_000;

/// Where a lot's credit comes from, and why it is booked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) from: LedgerAccount,
    pub(crate) kind: EntryKind,
    pub(crate) reason: ReasonCode,
}

/// What a new lot is of; the rest of it is nothing yet.
pub(crate) fn blank(
    context: &mut Context<'_>,
    (wallet, account): (WalletId, AccountId),
    kind: LotKind,
    reason: ReasonCode,
    source: LotSource,
) -> Lot {
    Lot {
        id: LotId(context.ids.next()),
        external_id: None,
        wallet,
        account,
        kind,
        reason,
        source,
        priority: None,
        effective_at: context.now,
        expires_at: None,
        created_at: context.now,
        amount: Amount::ZERO,
        unpaid: Amount::ZERO,
        lapses_at: None,
        paid_at: None,
        free: Amount::ZERO,
        pinned: Amount::ZERO,
        spent: Amount::ZERO,
        expired: Amount::ZERO,
        withdrawn: Amount::ZERO,
        excess: Amount::ZERO,
        cost: None,
        voided_at: None,
        description: None,
        metadata: BTreeMap::new(),
    }
}

/// Books a new lot, tells of it, and puts it into the book.
pub(crate) fn make(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    origin: Origin,
    lot: Lot,
) -> usize {
    let about = About {
        wallet: Some(lot.wallet),
        note: lot.description.clone(),
        fact: Some(Fact::LotMade(Box::new(LotTerms::of(&lot)))),
        ..About::default()
    };
    let draws = vec![Draw {
        lot: lot.id,
        amount: lot.free,
    }];
    let movement = (origin.from, LedgerAccount::Available, lot.free);
    journal.transfer(
        context,
        &mut book.accounts[place],
        origin.kind,
        origin.reason,
        movement,
        draws,
        about,
    );
    if lot.kind != LotKind::CreditLine {
        tell::lot(book, journal, context, EventKind::LotCreated, &lot, |_| ());
    }
    book.lots.push(lot);
    book.touch(place, context.now);
    book.lots.len().saturating_sub(1)
}

/// Credit of a lot can be spent from now on: what is owed is repaid from it first.
pub(crate) fn land(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    lot: usize,
) {
    if !book.lots[lot].is_lendable(context.now) {
        return;
    }
    debt::repay(book, journal, context, place, lot);
    credit_limit::repay(book, journal, context, place, lot);
}

/// Whether an account and its customer have room for `lots` more lots of `amount` together.
pub(crate) fn check_room(
    book: &Book,
    place: usize,
    amount: Amount,
    lots: usize,
) -> Result<(), Refusal> {
    let account = &book.accounts[place];
    let unpaid = book
        .lots
        .iter()
        .filter(|lot| lot.account == account.id && lot.voided_at.is_none())
        .fold(Amount::ZERO, |sum, lot| sum.saturating_add(lot.unpaid));
    let sum = account.balances.funded().saturating_add(unpaid);
    if sum.checked_add(amount).is_none_or(|sum| sum > FUNDED_MAX) {
        return Err(Refusal::Overflow);
    }
    let live = book.lots.iter().filter(|lot| lot.is_live()).count();
    if live.saturating_add(lots) > LOTS_MAX {
        return Err(Refusal::Conflict {
            code: "lots_max",
            problem: format!(
                "the customer has {LOTS_MAX} lots that are not used up; void or merge some first"
            ),
        });
    }
    Ok(())
}

/// The place of a live lot. One that is not in the book any more is history, and refused as one
/// that has just become so.
///
/// # Errors
/// `lot_not_live`.
pub(crate) fn place_of(book: &Book, id: LotId) -> Result<usize, Refusal> {
    let found = book
        .lots
        .iter()
        .position(|lot| lot.id == id && lot.is_live());
    found.ok_or_else(|| Refusal::Conflict {
        code: "lot_not_live",
        problem: format!("nothing of lot {id} is left"),
    })
}

/// Changes the order in which a lot burns, for all that is lent from now on.
///
/// # Errors
/// Unknown lot, or one of which nothing is left.
pub fn set_priority(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    id: LotId,
    to: Option<i32>,
    reason: Option<&str>,
) -> Result<Lot, Refusal> {
    let found = place_of(book, id)?;
    let lot = &mut book.lots[found];
    if lot.kind == LotKind::CreditLine {
        return Err(credit_limit::not_by_itself(id));
    }
    if lot.voided_at.is_some() {
        return Err(Refusal::Conflict {
            code: "lot_not_live",
            problem: format!("lot {id} is voided; nothing of it will be lent"),
        });
    }
    let from = lot.priority;
    if from == to {
        return Ok(lot.clone());
    }
    lot.priority = to;
    let lot = lot.clone();
    let about = About {
        wallet: Some(lot.wallet),
        note: reason.map(str::to_owned),
        ..About::default()
    };
    if let Some(place) = book.account_place(lot.account) {
        let fact = Fact::LotPriority { lot: id, from, to };
        let account = &mut book.accounts[place];
        journal.note(context, account, ReasonCode::PriorityChanged, fact, about);
        book.touch(place, context.now);
    }
    Ok(lot)
}

/// Whether a lot was made before an instant, or in it but earlier.
#[must_use]
pub(crate) fn is_older(lot: &Lot, at: Timestamp, id: u128) -> bool {
    (lot.created_at, lot.id.0) < (at, id)
}
