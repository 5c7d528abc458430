//! How wallets end: what was not paid for is voided, what was stays or goes to another wallet.

use creditgate_core::amount::Amount;

use super::{Wallet, WalletStatus, open_place, status};
use crate::book::Book;
use crate::burn_order::LotKind;
use crate::claim::{self, Claim, ClaimLots, ClaimPurpose, NewClaim};
use crate::context::Context;
use crate::credit_limit;
use crate::event::{EventKind, tell};
use crate::id::WalletId;
use crate::journal::{Journal, ReasonCode};
use crate::limits;
use crate::refusal::Refusal;
use crate::void;

/// What becomes of credit that was paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaidCredit {
    /// It stays in the closed wallet and can't be spent. It can be debited, or transferred.
    Keep,
    /// It goes to another wallet of the customer.
    Transfer(WalletId),
}

/// What became of a closed wallet's credit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// The wallet.
    pub wallet: Wallet,
    /// What was not paid for and could be withdrawn at once.
    pub withdrawn: Amount,
    /// What was not paid for and is at gateways: withdrawn as they return it.
    pub pending_recall: Amount,
    /// What was paid for and stays.
    pub kept: Amount,
    /// The transfer of what was paid for.
    pub claim: Option<Claim>,
}

/// Closes a wallet for good.
///
/// # Errors
/// Unknown or closed wallet; `wallet_owes`; a wallet to transfer to that can't take it.
pub fn close(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    id: WalletId,
    paid: PaidCredit,
    reason: &str,
) -> Result<Closing, Refusal> {
    let (found, place) = open_place(book, id)?;
    credit_limit::check_close(book, &book.wallets[found])?;
    check_claims(book, id)?;
    // What another claim waits for is not this wallet's to keep or to give.
    let purchased = claim::claimable(book, id, ClaimLots::Purchased, context.now);
    let new = match paid {
        PaidCredit::Keep => None,
        PaidCredit::Transfer(to) => {
            claim::check_target(book, id, to)?;
            let new = NewClaim {
                wallet: id,
                purpose: ClaimPurpose::Transfer { to },
                lots: ClaimLots::Purchased,
                reason: ReasonCode::WalletTermination,
                note: Some(reason.to_owned()),
                asked: purchased,
            };
            (!purchased.is_zero()).then_some(new)
        }
    };
    if let Some(new) = &new {
        claim::check(book, context.now, new)?;
    }
    let (withdrawn, pending_recall) = void_unpaid_for(book, journal, context, place, id, reason);
    let claim = new.map(|new| claim::open(book, journal, context, new));
    let claim = claim.transpose()?;
    credit_limit::close(book, journal, context, place, found);
    let (to, why) = (WalletStatus::Closed, Some(reason));
    status::note(book, journal, context, found, place, to, why);
    let row = &mut book.wallets[found];
    row.closed_at = Some(context.now);
    row.auto_topup_state.retry_at = None;
    let wallet = row.clone();
    limits::changed(book, place, context.now);
    status::settle(book, journal, context, place);
    let claim = claim.and_then(|claim| claim::of(book, claim.id).cloned());
    let kept = match claim {
        Some(_) => Amount::ZERO,
        None => purchased,
    };
    tell::wallet(
        book,
        journal,
        context,
        EventKind::WalletClosed,
        id,
        |tale| {
            tale.say("reason", reason);
            tale.say_amount("withdrawn", withdrawn);
            tale.say_amount("pending_recall", pending_recall);
            tale.say_amount("kept", kept);
            let claim = claim.as_ref().map(|claim| claim.id.to_string());
            tale.say("claim_id", claim);
        },
    );
    Ok(Closing {
        wallet,
        withdrawn,
        pending_recall,
        kept,
        claim,
    })
}

/// Voids what was given, and what was to be paid and is not.
fn void_unpaid_for(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    wallet: WalletId,
    reason: &str,
) -> (Amount, Amount) {
    let given: Vec<usize> = (0..book.lots.len())
        .filter(|lot| {
            let lot = &book.lots[*lot];
            let is_given = !lot.kind.is_paid_for() && lot.kind != LotKind::CreditLine;
            let is_there =
                lot.voided_at.is_none() && lot.is_live() && !lot.has_expired(context.now);
            lot.wallet == wallet && is_there && (is_given || !lot.unpaid.is_zero())
        })
        .collect();
    let (mut withdrawn, mut pending_recall) = (Amount::ZERO, Amount::ZERO);
    for lot in given {
        let why = (ReasonCode::WalletTermination, Some(reason));
        let voided = void::book_void(book, journal, context, place, lot, why);
        withdrawn = withdrawn.saturating_add(voided.withdrawn);
        pending_recall = pending_recall.saturating_add(voided.pending_recall);
    }
    (withdrawn, pending_recall)
}

/// A wallet that a transfer is on its way to is not closed under it.
fn check_claims(book: &Book, wallet: WalletId) -> Result<(), Refusal> {
    let coming = book
        .claims
        .iter()
        .filter(|claim| claim.is_open())
        .find(|claim| claim.purpose == ClaimPurpose::Transfer { to: wallet });
    match coming {
        None => Ok(()),
        Some(claim) => Err(Refusal::Conflict {
            code: "wallet_awaits_transfer",
            problem: format!(
                "transfer {} into wallet {wallet} waits for credit from gateways; close it when that is over",
                claim.id
            ),
        }),
    }
}
