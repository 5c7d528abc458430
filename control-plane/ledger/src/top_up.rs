//! Money in, and taking a lot back out.

use std::collections::BTreeMap;

use creditgate_core::amount::Amount;
use serde::{Deserialize, Serialize};

use crate::book::Book;
use crate::burn_order::{Lot, LotKind, LotSource};
use crate::context::Context;
use crate::expiry;
use crate::fact::{Fact, LotTerms};
use crate::id::{LotId, WalletId};
use crate::journal::{About, Draw, EntryKind, Journal, LedgerAccount, ReasonCode};
use crate::lend;
use crate::refusal::Refusal;
use crate::time::Timestamp;

/// The most that may ever be funded into one account; leaves room above for sums.
pub const FUNDED_MAX: Amount = Amount::new(i64::MAX / 4);

/// Most live lots of a customer.
pub const LOTS_MAX: usize = 10_000;

/// What a top-up makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopUp {
    /// Into which wallet.
    pub wallet: WalletId,
    /// How much, in smallest units.
    pub amount: Amount,
    /// Why.
    pub reason: ReasonCode,
    /// Smaller burns first.
    pub priority: Option<i32>,
    /// From when it can be spent; none: at once.
    pub effective_at: Option<Timestamp>,
    /// Until when.
    pub expires_at: Option<Timestamp>,
    /// What the operator says of it.
    pub description: Option<String>,
}

/// Adds a lot; debt is repaid from it first.
///
/// # Errors
/// Unknown wallet, an amount that is not above zero, an expiry that has passed or comes
/// before the lot is effective, too many lots, or a sum above [`FUNDED_MAX`].
pub fn top_up(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    command: TopUp,
) -> Result<Lot, Refusal> {
    let wallet = book
        .wallets
        .iter()
        .find(|wallet| wallet.id == command.wallet);
    let wallet = wallet.ok_or_else(|| Refusal::NotFound {
        what: "wallet",
        id: command.wallet.to_string(),
    })?;
    let place = book
        .account_place(wallet.account)
        .ok_or_else(|| Refusal::NotFound {
            what: "account",
            id: wallet.account.to_string(),
        })?;
    let account = wallet.account;
    let effective_at = command.effective_at.unwrap_or(context.now);
    check(book, context, &command, place, effective_at)?;
    expiry::pass(book, journal, context, place);
    let mut lot = Lot {
        id: LotId(context.ids.next()),
        external_id: None,
        wallet: command.wallet,
        account,
        kind: LotKind::of(command.reason),
        reason: command.reason,
        source: LotSource::TopUp,
        priority: command.priority,
        effective_at,
        expires_at: command.expires_at,
        created_at: context.now,
        amount: command.amount,
        unpaid: Amount::ZERO,
        lapses_at: None,
        free: command.amount,
        pinned: Amount::ZERO,
        spent: Amount::ZERO,
        expired: Amount::ZERO,
        withdrawn: Amount::ZERO,
        excess: Amount::ZERO,
        cost: None,
        voided_at: None,
        description: command.description,
        metadata: BTreeMap::new(),
    };
    let about = About {
        wallet: Some(lot.wallet),
        note: lot.description.clone(),
        fact: Some(Fact::LotMade(Box::new(LotTerms::of(&lot)))),
        ..About::default()
    };
    let draws = vec![Draw {
        lot: lot.id,
        amount: lot.amount,
    }];
    let movement = (LedgerAccount::Funding, LedgerAccount::Available, lot.amount);
    journal.transfer(
        context,
        &mut book.accounts[place],
        EntryKind::TopUp,
        lot.reason,
        movement,
        draws,
        about,
    );
    repay(book, journal, context, place, &mut lot);
    book.lots.push(lot.clone());
    book.touch(place, context.now);
    lend::settle_waiters(book, journal, context, place);
    let placed = book.lots.iter().find(|placed| placed.id == lot.id);
    Ok(placed.cloned().unwrap_or(lot))
}

fn check(
    book: &Book,
    context: &Context<'_>,
    command: &TopUp,
    place: usize,
    effective_at: Timestamp,
) -> Result<(), Refusal> {
    let invalid = |field, code, problem: &str| {
        Err(Refusal::Invalid {
            field,
            code,
            problem: problem.to_owned(),
        })
    };
    if command.amount <= Amount::ZERO {
        return invalid(
            "/amount",
            "amount_not_positive",
            "must be more than zero of the currency's smallest unit",
        );
    }
    if command
        .expires_at
        .is_some_and(|expires_at| expires_at <= context.now)
    {
        return invalid("/expires_at", "expiry_in_the_past", "must be after now");
    }
    if command
        .expires_at
        .is_some_and(|expires_at| expires_at <= effective_at)
    {
        return invalid(
            "/expires_at",
            "expiry_before_effective",
            "must be after effective_at",
        );
    }
    let funded = book.accounts[place].balances.funded();
    if funded
        .checked_add(command.amount)
        .is_none_or(|sum| sum > FUNDED_MAX)
    {
        return Err(Refusal::Overflow);
    }
    if book.lots.len() >= LOTS_MAX {
        return Err(Refusal::Conflict {
            code: "lots_max",
            problem: format!(
                "the customer has {LOTS_MAX} lots that are not used up; void or merge some first"
            ),
        });
    }
    Ok(())
}

fn repay(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    lot: &mut Lot,
) {
    let owed = book.accounts[place].balances.owed();
    let repaid = owed.min(lot.free).max(Amount::ZERO);
    lot.free = lot.free.saturating_sub(repaid);
    lot.spent = lot.spent.saturating_add(repaid);
    let about = About {
        wallet: Some(lot.wallet),
        ..About::default()
    };
    let draws = vec![Draw {
        lot: lot.id,
        amount: repaid,
    }];
    let movement = (LedgerAccount::Available, LedgerAccount::Debt, repaid);
    let account = &mut book.accounts[place];
    journal.transfer(
        context,
        account,
        EntryKind::Repayment,
        ReasonCode::DebtRepaid,
        movement,
        draws,
        about,
    );
}

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

/// Voids a lot: what is free is withdrawn, what is lent is recalled.
///
/// # Errors
/// Unknown lot, or one that is voided already.
pub fn void(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    id: LotId,
    reason: &str,
) -> Result<(Lot, Voided), Refusal> {
    let found = book.lots.iter().position(|lot| lot.id == id);
    let lot = found.ok_or_else(|| Refusal::NotFound {
        what: "lot",
        id: id.to_string(),
    })?;
    let place = book
        .account_place(book.lots[lot].account)
        .ok_or_else(|| Refusal::NotFound {
            what: "account",
            id: book.lots[lot].account.to_string(),
        })?;
    expiry::pass(book, journal, context, place);
    let row = &mut book.lots[lot];
    if row.voided_at.is_some() || !row.is_live() {
        return Err(Refusal::Conflict {
            code: "lot_not_live",
            problem: format!("nothing of lot {id} is left to void"),
        });
    }
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
        note: Some(reason.to_owned()),
        fact: Some(Fact::LotVoided { lot: id }),
        ..About::default()
    };
    let draws = vec![Draw {
        lot: id,
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
        ReasonCode::CreditVoided,
        movement,
        draws,
        about,
    );
    book.touch(place, context.now);
    expiry::turn_spoiled_leases(book, place, context.now);
    Ok((row, voided))
}
