//! Lots that wait for their payment: paid, cancelled, or lapsed.
//!
//! Nothing of such a lot is in any balance and nothing is posted of it. A bonus that comes with
//! a purchase waits with it, is paid with it and goes with it.

use creditgate_core::amount::Amount;

use crate::book::Book;
use crate::burn_order::{Lot, LotSource};
use crate::context::Context;
use crate::event::{EventKind, tell};
use crate::fact::Fact;
use crate::id::LotId;
use crate::journal::{About, Draw, EntryKind, Journal, LedgerAccount, ReasonCode};
use crate::lend;
use crate::lot;
use crate::refusal::Refusal;
use crate::void;
use crate::wallet;

/// Marks a lot as paid: from now on, or from its effective instant, it can be spent.
///
/// # Errors
/// Closed wallet, or a lot that waits for no payment: it was paid before, was voided, has
/// lapsed, or is the bonus of another that is to be paid.
pub fn pay(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    id: LotId,
    reference: Option<String>,
    reason: Option<&str>,
) -> Result<Lot, Refusal> {
    // One that is not in the book any more is history, and waits for nothing.
    let waits = |lot: &Lot| lot.id == id && !lot.unpaid.is_zero() && lot.voided_at.is_none();
    let found = book.lots.iter().position(waits);
    let found = found.ok_or_else(|| Refusal::Conflict {
        code: "lot_not_unpaid",
        problem: format!("lot {id} does not wait for its payment"),
    })?;
    let row = &book.lots[found];
    if let LotSource::Bonus(of) = row.source {
        return Err(Refusal::Conflict {
            code: "lot_is_bonus",
            problem: format!("lot {id} comes with lot {of}; mark that one as paid"),
        });
    }
    let (_, place) = wallet::open_place(book, row.wallet)?;
    book_payment(book, journal, context, place, found, reference, reason);
    if let Some(bonus) = bonus_of(book, id) {
        carry_expiry(book, journal, context, place, found, bonus);
        book_payment(book, journal, context, place, bonus, None, reason);
    }
    lend::settle_waiters(book, journal, context, place);
    Ok(book.lots[found].clone())
}

fn book_payment(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    lot: usize,
    reference: Option<String>,
    note: Option<&str>,
) {
    let row = &mut book.lots[lot];
    let paid = row.unpaid;
    row.unpaid = Amount::ZERO;
    row.lapses_at = None;
    row.paid_at = Some(context.now);
    row.free = paid;
    // Without a cost there is nothing that the payment could be of.
    let reference = reference.filter(|_| row.cost.is_some());
    if let Some(cost) = &mut row.cost
        && reference.is_some()
    {
        cost.reference.clone_from(&reference);
    }
    let row = row.clone();
    let about = About {
        wallet: Some(row.wallet),
        note: note.map(str::to_owned),
        fact: Some(Fact::LotPaid {
            lot: row.id,
            reference,
        }),
        ..About::default()
    };
    let draws = vec![Draw {
        lot: row.id,
        amount: paid,
    }];
    journal.transfer(
        context,
        &mut book.accounts[place],
        EntryKind::TopUp,
        row.reason,
        (LedgerAccount::Funding, LedgerAccount::Available, paid),
        draws,
        about,
    );
    tell::lot(book, journal, context, EventKind::LotPaid, &row, |tale| {
        let reference = row.cost.as_ref().and_then(|cost| cost.reference.clone());
        tale.say("payment_reference", reference);
    });
    book.touch(place, context.now);
    lot::land(book, journal, context, place, lot);
}

/// A bonus that expires some days after its purchase expires so long after the payment; one
/// that expires with its purchase does so still.
fn carry_expiry(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    purchase: usize,
    bonus: usize,
) {
    let with_purchase = book.lots[purchase].expires_at;
    let lot = &mut book.lots[bonus];
    let Some(from) = lot.expires_at.filter(|at| Some(*at) != with_purchase) else {
        return;
    };
    let waited_ms = context.now.since_ms(lot.created_at.max(lot.effective_at));
    let to = from.plus_ms(waited_ms);
    if to == from {
        return;
    }
    lot.expires_at = Some(to);
    let fact = Fact::LotExtended {
        lot: lot.id,
        from,
        to,
    };
    let about = About {
        wallet: Some(lot.wallet),
        ..About::default()
    };
    let (reason, account) = (lot.reason, &mut book.accounts[place]);
    journal.note(context, account, reason, fact, about);
}

/// Where the bonus is that waits with a purchase.
fn bonus_of(book: &Book, purchase: LotId) -> Option<usize> {
    book.lots.iter().position(|lot| {
        lot.source == LotSource::Bonus(purchase) && !lot.unpaid.is_zero() && lot.voided_at.is_none()
    })
}

/// Cancels the bonus that waits with a purchase which is being cancelled.
pub(crate) fn cancel_bonus_of(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    purchase: LotId,
    note: Option<&str>,
) {
    if let Some(bonus) = bonus_of(book, purchase) {
        let why = (ReasonCode::CreditVoided, note);
        void::book_void(book, journal, context, place, bonus, why);
    }
}

/// Voids what has waited for its payment too long.
pub(crate) fn lapse(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
) {
    let id = book.accounts[place].id;
    let has_lapsed = |lot: &Lot| {
        lot.account == id
            && !lot.unpaid.is_zero()
            && lot.voided_at.is_none()
            && lot.lapses_at.is_some_and(|at| context.now >= at)
    };
    let lapsed: Vec<usize> = (0..book.lots.len())
        .filter(|lot| has_lapsed(&book.lots[*lot]))
        .collect();
    for lot in lapsed {
        let why = (ReasonCode::PaymentLapsed, None);
        void::book_void(book, journal, context, place, lot, why);
    }
}
