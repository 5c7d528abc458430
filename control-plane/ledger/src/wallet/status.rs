//! Freezing a wallet, and thawing it.

use super::{PaidCredit, Wallet, WalletStatus, close, open_place};
use crate::book::Book;
use crate::context::Context;
use crate::event::{EventKind, tell};
use crate::expiry;
use crate::fact::Fact;
use crate::id::WalletId;
use crate::journal::{About, Journal, ReasonCode};
use crate::lend;
use crate::refusal::Refusal;

/// Freezes or thaws a wallet. Nothing of a frozen one is lent, and what is lent is recalled.
///
/// # Errors
/// Unknown or closed wallet. To close one, and say what becomes of what was paid for, there is
/// [`close`](super::close()); here it stays.
pub fn set_status(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    id: WalletId,
    status: WalletStatus,
    reason: Option<&str>,
) -> Result<Wallet, Refusal> {
    if status == WalletStatus::Closed {
        let why = reason.unwrap_or_default();
        let closing = close::close(book, journal, context, id, PaidCredit::Keep, why)?;
        return Ok(closing.wallet);
    }
    let (found, place) = open_place(book, id)?;
    if book.wallets[found].status != status {
        note(book, journal, context, found, place, status, reason);
        let kind = match status {
            WalletStatus::Frozen => EventKind::WalletFrozen,
            _ => EventKind::WalletUnfrozen,
        };
        tell::wallet(book, journal, context, kind, id, |tale| {
            tale.say("reason", reason);
        });
    }
    settle(book, journal, context, place);
    Ok(book.wallets[found].clone())
}

/// Books another status.
pub(super) fn note(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    found: usize,
    place: usize,
    to: WalletStatus,
    reason: Option<&str>,
) {
    let wallet = &mut book.wallets[found];
    let from = wallet.status;
    wallet.status = to;
    let fact = Fact::WalletStatus {
        wallet: wallet.id,
        from,
        to,
    };
    let about = About {
        wallet: Some(wallet.id),
        note: reason.map(str::to_owned),
        ..About::default()
    };
    let code = match to {
        WalletStatus::Closed => ReasonCode::WalletTermination,
        _ => ReasonCode::WalletStatusChanged,
    };
    journal.note(context, &mut book.accounts[place], code, fact, about);
}

/// Recalls what is not to be spent any more, and tells gateways.
pub(super) fn settle(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
) {
    expiry::turn_spoiled_leases(book, place, context.now);
    book.touch(place, context.now);
    let account = book.accounts[place].id;
    book.push(account);
    lend::settle_waiters(book, journal, context, place);
}
