//! Credit that comes back from gateways: settled credit is spent from the front of a lease's
//! pins, returned credit goes back from their end, to its lots if they still live.

use creditgate_core::amount::Amount;

use crate::book::Book;
use crate::burn_order::{Lot, LotKind};
use crate::context::Context;
use crate::event::{EventKind, tell};
use crate::journal::{About, Draw, EntryKind, Journal, LedgerAccount, ReasonCode};
use crate::lease::Pin;
use crate::time::Timestamp;
use crate::wallet::Wallet;

/// Marks pinned credit as spent; says how much of which lot.
pub(crate) fn burn(book: &mut Book, pins: &[Pin]) -> Vec<Draw> {
    let mut draws = Vec::new();
    for pin in pins {
        let Some(lot) = book.lots.iter_mut().find(|lot| Some(lot.id) == pin.lot) else {
            continue;
        };
        lot.pinned = lot.pinned.saturating_sub(pin.amount);
        lot.excess = lot.excess.min(lot.pinned);
        lot.spent = lot.spent.saturating_add(pin.amount);
        draws.push(Draw {
            lot: lot.id,
            amount: pin.amount,
        });
    }
    draws
}

/// Credit came back: to its lots if they still live, for this reason, else to where they went.
pub(crate) fn book_return(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    lease: usize,
    returned: Amount,
    (reason, note): (ReasonCode, Option<&str>),
) {
    let pins = book.leases[lease].take_back(returned);
    let holder = book.leases[lease].holder();
    let about = About {
        lease: Some(book.leases[lease].id),
        note: note.map(str::to_owned),
        ..About::default()
    };
    for pin in pins {
        let lot = book.lots.iter().position(|lot| Some(lot.id) == pin.lot);
        let Some(lot) = lot else {
            // It was lent as debt, of which that much less is owed now: see [`debt`](crate::debt).
            let movement = (holder, LedgerAccount::Debt, pin.amount);
            let account = &mut book.accounts[place];
            journal.transfer(
                context,
                account,
                EntryKind::Lending,
                reason,
                movement,
                Vec::new(),
                about.clone(),
            );
            continue;
        };
        for (way, amount) in ways(book, lot, pin.amount, reason, context.now) {
            take_back(book, lot, way, amount);
            let movement = (holder, way.to, amount);
            let draws = vec![Draw {
                lot: book.lots[lot].id,
                amount,
            }];
            journal.transfer(
                context,
                &mut book.accounts[place],
                way.kind,
                way.reason,
                movement,
                draws,
                about.clone(),
            );
            if way.reason == ReasonCode::CreditExpired && !amount.is_zero() {
                tell_expired(book, journal, context, lot, amount);
            }
        }
    }
}

/// Where returned credit goes, and why.
#[derive(Debug, Clone, Copy)]
struct Way {
    to: LedgerAccount,
    kind: EntryKind,
    reason: ReasonCode,
    /// It was to be taken although the lot is not over.
    is_excess: bool,
}

/// How much of what comes back of a lot goes which way: what is in excess is taken first.
fn ways(
    book: &Book,
    lot: usize,
    amount: Amount,
    reason: ReasonCode,
    now: Timestamp,
) -> [(Way, Amount); 2] {
    let lot = &book.lots[lot];
    let gone = if lot.voided_at.is_some() || lot.has_expired(now) {
        amount
    } else {
        lot.excess.min(amount)
    };
    let free = Way {
        to: LedgerAccount::Available,
        kind: EntryKind::Lending,
        reason,
        is_excess: false,
    };
    let left = amount.saturating_sub(gone);
    [(gone_way(book, lot, now), gone), (free, left)]
}

/// Where credit of a lot goes that does not become free again.
fn gone_way(book: &Book, lot: &Lot, now: Timestamp) -> Way {
    if let Some(voided_at) = lot.voided_at {
        let closed_at = book
            .wallet(lot.wallet)
            .and_then(|wallet: &Wallet| wallet.closed_at);
        return Way {
            to: LedgerAccount::Withdrawn,
            kind: EntryKind::Void,
            reason: if closed_at == Some(voided_at) {
                ReasonCode::WalletTermination
            } else {
                ReasonCode::CreditVoided
            },
            is_excess: false,
        };
    }
    if lot.has_expired(now) {
        return Way {
            to: LedgerAccount::Expired,
            kind: EntryKind::Expiry,
            reason: ReasonCode::CreditExpired,
            is_excess: false,
        };
    }
    if lot.kind == LotKind::CreditLine {
        return Way {
            to: LedgerAccount::CreditLine,
            kind: EntryKind::CreditLimit,
            reason: ReasonCode::CreditLimit,
            is_excess: true,
        };
    }
    Way {
        to: LedgerAccount::Expired,
        kind: EntryKind::Expiry,
        reason: ReasonCode::RolloverCapped,
        is_excess: true,
    }
}

fn take_back(book: &mut Book, lot: usize, way: Way, amount: Amount) {
    let lot = &mut book.lots[lot];
    lot.pinned = lot.pinned.saturating_sub(amount);
    if way.is_excess {
        lot.excess = lot.excess.saturating_sub(amount);
    }
    lot.excess = lot.excess.min(lot.pinned);
    match way.to {
        LedgerAccount::Withdrawn => lot.withdrawn = lot.withdrawn.saturating_add(amount),
        LedgerAccount::Expired => lot.expired = lot.expired.saturating_add(amount),
        LedgerAccount::CreditLine => lot.amount = lot.amount.saturating_sub(amount),
        _ => lot.free = lot.free.saturating_add(amount),
    }
}

fn tell_expired(
    book: &Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    lot: usize,
    amount: Amount,
) {
    let lot = &book.lots[lot];
    tell::lot(book, journal, context, EventKind::LotExpired, lot, |tale| {
        tale.say_amount("expired", amount);
        tale.say_amount("pending_recall", lot.pinned);
    });
}
