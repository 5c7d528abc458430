//! Post-paid wallets: credit up to a limit, paid afterwards.
//!
//! The limit is one lot of its own, the *line*: it burns after everything else and never
//! expires. What of it is spent is owed. Credit that comes in is spent on that first, and so
//! much of the line becomes free again. The line's amount is the limit, and as long as that was
//! lowered below what is used, also what is used above it: that part goes for good when it is
//! repaid or comes back from gateways (it is the line's `excess`).

use creditgate_core::amount::Amount;

use crate::book::Book;
use crate::burn_order::{Lot, LotKind, LotSource};
use crate::context::Context;
use crate::expiry;
use crate::fact::Fact;
use crate::id::{LotId, WalletId};
use crate::journal::{About, Draw, EntryKind, Journal, LedgerAccount, ReasonCode};
use crate::lend;
use crate::lot::{self, FUNDED_MAX, Origin};
use crate::refusal::Refusal;
use crate::wallet::{self, Wallet, WalletStatus, WalletType};

/// Where the line of a wallet is, if it is post-paid and open.
#[must_use]
pub fn line_of(book: &Book, wallet: WalletId) -> Option<usize> {
    book.lots.iter().position(|lot| {
        lot.wallet == wallet && lot.kind == LotKind::CreditLine && lot.voided_at.is_none()
    })
}

/// What was used of a wallet's credit limit and is not repaid.
#[must_use]
pub fn owed(book: &Book, wallet: WalletId) -> Amount {
    line_of(book, wallet).map_or(Amount::ZERO, |line| book.lots[line].spent)
}

/// Gives a post-paid wallet its line, with a limit of nothing.
pub(crate) fn open(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    wallet: WalletId,
) {
    let of = (wallet, book.accounts[place].id);
    let reason = ReasonCode::CreditLimit;
    let line = lot::blank(
        context,
        of,
        LotKind::CreditLine,
        reason,
        LotSource::CreditLimit,
    );
    let origin = Origin {
        from: LedgerAccount::CreditLine,
        kind: EntryKind::CreditLimit,
        reason,
    };
    lot::make(book, journal, context, place, origin, line);
}

/// Changes the limit of a post-paid wallet. Raised, it can be spent at once. Lowered, what is
/// free of it goes at once, what gateways have of it is recalled, and what is used above it
/// stays owed.
///
/// # Errors
/// Unknown, closed or pre-paid wallet; a limit below nothing, or beyond what can be counted.
pub fn set(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    id: WalletId,
    to: Amount,
    reason: Option<&str>,
) -> Result<Wallet, Refusal> {
    let (found, place) = wallet::open_place(book, id)?;
    let Some(line) = line_of(book, id) else {
        return Err(Refusal::Invalid {
            field: "/credit_limit",
            code: "wallet_not_post_paid",
            problem: format!("wallet {id} is PRE_PAID; only a POST_PAID wallet has a credit limit"),
        });
    };
    if to.is_negative() {
        return Err(Refusal::Invalid {
            field: "/credit_limit",
            code: "amount_negative",
            problem: "must not be less than zero".to_owned(),
        });
    }
    let from = book.wallets[found].credit_limit;
    let more = to.saturating_sub(from).max(Amount::ZERO);
    let funded = book.accounts[place].balances.funded();
    if funded.checked_add(more).is_none_or(|sum| sum > FUNDED_MAX) {
        return Err(Refusal::Overflow);
    }
    if from != to {
        book.wallets[found].credit_limit = to;
        move_limit(book, journal, context, place, line, (from, to), reason);
        bound_excess(book, journal, context, place, line, to);
        book.touch(place, context.now);
        expiry::turn_spoiled_leases(book, place, context.now);
        lend::settle_waiters(book, journal, context, place);
    }
    Ok(book.wallets[found].clone())
}

/// What the line has above the limit, after this was lowered.
fn above(line: &Lot, limit: Amount) -> Amount {
    line.amount.saturating_sub(limit).max(Amount::ZERO)
}

fn move_limit(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    line: usize,
    (from, to): (Amount, Amount),
    reason: Option<&str>,
) {
    let row = &mut book.lots[line];
    let (movement, moved) = if to > from {
        // What is used above the limit is within it again, first.
        let grown = to.saturating_sub(from).saturating_sub(above(row, from));
        let grown = grown.max(Amount::ZERO);
        row.amount = row.amount.saturating_add(grown);
        row.free = row.free.saturating_add(grown);
        ((LedgerAccount::CreditLine, LedgerAccount::Available), grown)
    } else {
        let cut = from.saturating_sub(to).min(row.free);
        row.amount = row.amount.saturating_sub(cut);
        row.free = row.free.saturating_sub(cut);
        ((LedgerAccount::Available, LedgerAccount::CreditLine), cut)
    };
    let about = About {
        wallet: Some(row.wallet),
        note: reason.map(str::to_owned),
        fact: Some(Fact::CreditLimit {
            wallet: row.wallet,
            from,
            to,
        }),
        ..About::default()
    };
    let draws = vec![Draw {
        lot: row.id,
        amount: moved,
    }];
    journal.transfer(
        context,
        &mut book.accounts[place],
        EntryKind::CreditLimit,
        ReasonCode::CreditLimit,
        (movement.0, movement.1, moved),
        draws,
        about,
    );
}

/// What gateways have of the line is taken when it comes back, as far as it is above the limit.
fn bound_excess(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    line: usize,
    limit: Amount,
) {
    let row = &mut book.lots[line];
    let excess = above(row, limit).min(row.pinned);
    if row.excess == excess {
        return;
    }
    row.excess = excess;
    let fact = Fact::LotExcess {
        lot: row.id,
        excess,
    };
    let about = About {
        wallet: Some(row.wallet),
        ..About::default()
    };
    let account = &mut book.accounts[place];
    journal.note(context, account, ReasonCode::CreditLimit, fact, about);
}

/// Repays what is owed of a wallet's limit from a lot of it that can be spent.
pub(crate) fn repay(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    lot: usize,
) {
    let wallet = book.lots[lot].wallet;
    let Some(line) = line_of(book, wallet).filter(|line| *line != lot) else {
        return;
    };
    let limit = book
        .wallet(wallet)
        .map_or(Amount::ZERO, |wallet| wallet.credit_limit);
    let owed = book.lots[line].spent;
    let row = &mut book.lots[lot];
    let repaid = owed.min(row.free);
    if repaid <= Amount::ZERO {
        return;
    }
    row.free = row.free.saturating_sub(repaid);
    row.spent = row.spent.saturating_add(repaid);
    let draw = (row.id, repaid);
    let route = (LedgerAccount::Available, LedgerAccount::Spent);
    book_part(book, journal, context, place, wallet, route, draw);
    let row = &mut book.lots[line];
    let gone = above(row, limit).min(repaid);
    let back = repaid.saturating_sub(gone);
    row.spent = row.spent.saturating_sub(repaid);
    row.amount = row.amount.saturating_sub(gone);
    row.free = row.free.saturating_add(back);
    let id = row.id;
    let route = (LedgerAccount::Spent, LedgerAccount::CreditLine);
    book_part(book, journal, context, place, wallet, route, (id, gone));
    let route = (LedgerAccount::Spent, LedgerAccount::Available);
    book_part(book, journal, context, place, wallet, route, (id, back));
    bound_excess(book, journal, context, place, line, limit);
}

fn book_part(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    wallet: WalletId,
    (from, to): (LedgerAccount, LedgerAccount),
    (lot, amount): (LotId, Amount),
) {
    let (kind, reason) = if from == LedgerAccount::Available {
        (EntryKind::Repayment, ReasonCode::CreditLimitRepaid)
    } else {
        (EntryKind::CreditLimit, ReasonCode::CreditLimit)
    };
    let about = About {
        wallet: Some(wallet),
        ..About::default()
    };
    let draws = vec![Draw { lot, amount }];
    let account = &mut book.accounts[place];
    journal.transfer(
        context,
        account,
        kind,
        reason,
        (from, to, amount),
        draws,
        about,
    );
}

/// Takes the line away from a wallet that is being closed; see [`check_close`].
pub(crate) fn close(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    wallet: usize,
) {
    let row = &mut book.wallets[wallet];
    let (id, from) = (row.id, row.credit_limit);
    let Some(line) = line_of(book, id) else {
        return;
    };
    book.wallets[wallet].credit_limit = Amount::ZERO;
    let bounds = (from, Amount::ZERO);
    move_limit(book, journal, context, place, line, bounds, None);
    let row = &mut book.lots[line];
    row.voided_at = Some(context.now);
    let fact = Fact::LotVoided { lot: row.id };
    let about = About {
        wallet: Some(id),
        ..About::default()
    };
    let account = &mut book.accounts[place];
    journal.note(context, account, ReasonCode::WalletTermination, fact, about);
}

/// Whether a wallet can be closed as far as its line is concerned.
///
/// # Errors
/// `wallet_owes`: something of it is used, or still with gateways.
pub(crate) fn check_close(book: &Book, wallet: &Wallet) -> Result<(), Refusal> {
    let Some(line) = line_of(book, wallet.id) else {
        return Ok(());
    };
    let line = &book.lots[line];
    if line.spent.is_zero() && line.pinned.is_zero() {
        return Ok(());
    }
    let freeze = match wallet.status {
        WalletStatus::Frozen => "",
        _ => "freeze it, ",
    };
    Err(Refusal::Conflict {
        code: "wallet_owes",
        problem: format!(
            "of the credit limit of wallet {} {} units are used and {} are with gateways; {freeze}wait until these are back, and top up what is owed",
            wallet.id, line.spent, line.pinned
        ),
    })
}

/// A line follows its wallet's limit.
pub(crate) fn not_by_itself(line: LotId) -> Refusal {
    Refusal::Conflict {
        code: "lot_is_credit_limit",
        problem: format!(
            "lot {line} is the credit limit of its wallet; change credit_limit of the wallet instead"
        ),
    }
}

/// What a new wallet's limit may be.
///
/// # Errors
/// A pre-paid wallet has none.
pub(crate) fn check_new(wallet_type: WalletType, limit: Amount) -> Result<(), Refusal> {
    if limit.is_negative() {
        return Err(Refusal::Invalid {
            field: "/credit_limit",
            code: "amount_negative",
            problem: "must not be less than zero".to_owned(),
        });
    }
    if wallet_type == WalletType::PrePaid && !limit.is_zero() {
        return Err(Refusal::Invalid {
            field: "/credit_limit",
            code: "wallet_not_post_paid",
            problem: "only a POST_PAID wallet has a credit limit".to_owned(),
        });
    }
    Ok(())
}
