//! Voiding: what is free of a lot is withdrawn, what is lent is recalled.

use creditgate_core::amount::Amount;
use serde::{Deserialize, Serialize};

use crate::book::Book;
use crate::burn_order::{Lot, LotKind};
use crate::context::Context;
use crate::credit_limit;
use crate::event::{EventKind, tell};
use crate::expiry;
use crate::fact::Fact;
use crate::id::LotId;
use crate::journal::{About, Draw, EntryKind, Journal, LedgerAccount, ReasonCode};
use crate::lend;
use crate::lot;
use crate::payment;
use crate::refusal::Refusal;

/// What became of a voided lot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voided {
    /// Withdrawn at once.
    pub withdrawn: Amount,
    /// Lent; withdrawn as gateways return it, spent as they report its use.
    pub pending_recall: Amount,
    /// Spent before.
    pub spent: Amount,
}

/// Voids a lot: what is free is withdrawn, what is lent is recalled. One that waits for its
/// payment is cancelled, and so is the bonus that would have come with it.
///
/// # Errors
/// Unknown lot, one of which nothing is left, or a credit limit.
pub fn void(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    id: LotId,
    reason: &str,
) -> Result<(Lot, Voided), Refusal> {
    let found = lot::place_of(book, id)?;
    let row = &book.lots[found];
    if row.kind == LotKind::CreditLine {
        return Err(credit_limit::not_by_itself(id));
    }
    if row.voided_at.is_some() {
        return Err(Refusal::Conflict {
            code: "lot_not_live",
            problem: format!("lot {id} is voided already"),
        });
    }
    let place = book
        .account_place(row.account)
        .ok_or_else(|| Refusal::NotFound {
            what: "account",
            id: row.account.to_string(),
        })?;
    if !row.unpaid.is_zero() {
        payment::cancel_bonus_of(book, journal, context, place, id, Some(reason));
    }
    let why = (ReasonCode::CreditVoided, Some(reason));
    let voided = book_void(book, journal, context, place, found, why);
    expiry::turn_spoiled_leases(book, place, context.now);
    lend::settle_waiters(book, journal, context, place);
    Ok((book.lots[found].clone(), voided))
}

/// Books that a lot is void. Its leases are still to be turned.
pub(crate) fn book_void(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    lot: usize,
    (reason, note): (ReasonCode, Option<&str>),
) -> Voided {
    let row = &mut book.lots[lot];
    let withdrawn = row.free;
    row.voided_at = Some(context.now);
    row.free = Amount::ZERO;
    row.withdrawn = row.withdrawn.saturating_add(withdrawn);
    let voided = Voided {
        withdrawn,
        pending_recall: row.pinned,
        spent: row.spent,
    };
    let about = About {
        wallet: Some(row.wallet),
        note: note.map(str::to_owned),
        fact: Some(Fact::LotVoided { lot: row.id }),
        ..About::default()
    };
    let draws = vec![Draw {
        lot: row.id,
        amount: withdrawn,
    }];
    let movement = (
        LedgerAccount::Available,
        LedgerAccount::Withdrawn,
        withdrawn,
    );
    let row = row.clone();
    journal.transfer(
        context,
        &mut book.accounts[place],
        EntryKind::Void,
        reason,
        movement,
        draws,
        about,
    );
    let kind = if reason == ReasonCode::PaymentLapsed {
        EventKind::LotLapsed
    } else {
        EventKind::LotVoided
    };
    tell::lot(book, journal, context, kind, &row, |tale| {
        tale.say("reason", note);
        tale.say("void_reason_code", reason.as_str());
        tale.say_amount("withdrawn", voided.withdrawn);
        tale.say_amount("pending_recall", voided.pending_recall);
        tale.say_amount("spent", voided.spent);
    });
    book.touch(place, context.now);
    voided
}
