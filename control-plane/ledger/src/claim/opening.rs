//! How claims are made: what may be asked for, and what is done about it at once.

use creditgate_core::amount::{Amount, format};

use super::{CLAIMS_MAX, Claim, ClaimLots, ClaimPurpose, can_take, serving};
use crate::book::Book;
use crate::burn_order::{Lot, LotKind};
use crate::context::Context;
use crate::credit_limit;
use crate::event::{EventKind, tell};
use crate::expiry;
use crate::fact::Fact;
use crate::id::{ClaimId, WalletId};
use crate::journal::{About, Journal, ReasonCode};
use crate::lease::{self, Lease, LeaseState};
use crate::lend;
use crate::lot;
use crate::refusal::Refusal;
use crate::time::Timestamp;
use crate::wallet::{self, Wallet, WalletStatus};

/// What makes a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewClaim {
    /// From which wallet; it may be frozen or closed.
    pub wallet: WalletId,
    /// What for.
    pub purpose: ClaimPurpose,
    /// Of which of its lots.
    pub lots: ClaimLots,
    /// The reason of its entries.
    pub reason: ReasonCode,
    /// What the actor says.
    pub note: Option<String>,
    /// How much.
    pub asked: Amount,
}

/// Claims credit: takes what is free at once, recalls the rest.
///
/// # Errors
/// Unknown wallet or lot; more than there is (`balance_insufficient`); a wallet to transfer to
/// that can't take it; too many open claims.
pub fn open(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    new: NewClaim,
) -> Result<Claim, Refusal> {
    check(book, context.now, &new)?;
    let found = wallet::place_of(book, new.wallet)?;
    let place = wallet::account_place(book, &book.wallets[found])?;
    let id = ClaimId(context.ids.next());
    let fact = Fact::ClaimOpened {
        claim: id,
        wallet: new.wallet,
        purpose: new.purpose,
        lots: new.lots,
        asked: new.asked,
    };
    let about = About {
        wallet: Some(new.wallet),
        note: new.note.clone(),
        ..About::default()
    };
    let account = &mut book.accounts[place];
    journal.note(context, account, ReasonCode::ClaimPending, fact, about);
    book.claims.push(Claim {
        id,
        wallet: new.wallet,
        account: book.accounts[place].id,
        purpose: new.purpose,
        lots: new.lots,
        reason: new.reason,
        note: new.note,
        actor: context.actor.to_owned(),
        asked: new.asked,
        done: Amount::ZERO,
        short: Amount::ZERO,
        created_at: context.now,
        closed_at: None,
    });
    book.touch(place, context.now);
    serving::begin(book, journal, context, place, Some(id));
    expiry::turn_spoiled_leases(book, place, context.now);
    lend::settle_waiters(book, journal, context, place);
    let claim = super::of(book, id).cloned();
    let claim = claim.ok_or_else(|| Refusal::NotFound {
        what: "claim",
        id: id.to_string(),
    })?;
    let kind = match claim.purpose {
        ClaimPurpose::Debit => EventKind::WalletDebited,
        ClaimPurpose::Transfer { .. } => EventKind::WalletTransferred,
    };
    tell::claim(book, journal, context, kind, &claim);
    Ok(claim)
}

/// Whether a claim may be made.
///
/// # Errors
/// As of [`open`].
pub(crate) fn check(book: &Book, now: Timestamp, new: &NewClaim) -> Result<(), Refusal> {
    let found = wallet::place_of(book, new.wallet)?;
    let wallet = &book.wallets[found];
    if new.asked <= Amount::ZERO {
        return Err(Refusal::Invalid {
            field: "/amount",
            code: "amount_not_positive",
            problem: "must be more than zero of the currency's smallest unit".to_owned(),
        });
    }
    let open = book.claims.iter().filter(|claim| claim.is_open()).count();
    if open >= CLAIMS_MAX {
        return Err(Refusal::Conflict {
            code: "claims_max",
            problem: format!("{CLAIMS_MAX} debits and transfers of the customer wait for gateways"),
        });
    }
    if let ClaimLots::One(id) = new.lots {
        let lot = book.lot(id);
        let lot = lot.filter(|lot| lot.wallet == wallet.id && lot.is_live());
        let lot = lot.ok_or_else(|| Refusal::NotFound {
            what: "lot",
            id: id.to_string(),
        })?;
        if lot.kind == LotKind::CreditLine {
            return Err(credit_limit::not_by_itself(id));
        }
    }
    let there = claimable(book, new.wallet, new.lots, now);
    if new.asked > there {
        return Err(insufficient(book, wallet, there));
    }
    if let ClaimPurpose::Transfer { to } = new.purpose {
        let place = check_target(book, new.wallet, to)?;
        let covered = |lot: &&Lot| would_cover(new.wallet, new.lots, lot, now);
        let lots = book.lots.iter().filter(covered).count();
        let is_within = book.accounts[place].id == wallet.account;
        let more = if is_within { Amount::ZERO } else { new.asked };
        lot::check_room(book, place, more, lots)?;
    }
    Ok(())
}

fn would_cover(wallet: WalletId, lots: ClaimLots, lot: &Lot, now: Timestamp) -> bool {
    let is_there = lot.wallet == wallet && lot.kind != LotKind::CreditLine && can_take(lot, now);
    is_there
        && match lots {
            ClaimLots::Any => lot.effective_at <= now,
            ClaimLots::Purchased => lot.kind.is_paid_for(),
            ClaimLots::One(id) => lot.id == id,
        }
}

/// What there is to be claimed: what is free, and what gateways have that still speak; less
/// what is to be taken of that for good, and what claims on any of it wait for. Of a wallet's
/// paid credit, quarantined credit as well.
pub(crate) fn claimable(book: &Book, wallet: WalletId, lots: ClaimLots, now: Timestamp) -> Amount {
    let with_quarantined = lots == ClaimLots::Purchased;
    let speaks = |lease: &&Lease| lease.state != LeaseState::Quarantined || with_quarantined;
    let leases = book.leases.iter().filter(speaks);
    let out = lease::by_lot(leases.flat_map(|lease| &lease.pins));
    let of = |lot: &Lot| {
        let out = out.get(&lot.id).copied().unwrap_or_default();
        let lent = out.saturating_sub(lot.excess).max(Amount::ZERO);
        lot.free.saturating_add(lent)
    };
    let covered = |lot: &&Lot| would_cover(wallet, lots, lot, now);
    let lots: Vec<&Lot> = book.lots.iter().filter(covered).collect();
    let add = |sum: Amount, more| sum.saturating_add(more);
    let sum = lots.iter().map(|lot| of(lot)).fold(Amount::ZERO, add);
    let open = book.claims.iter().filter(|claim| claim.is_open());
    let waiting = open.filter(|claim| lots.iter().any(|lot| claim.covers(lot)));
    let waiting = waiting.map(Claim::pending).fold(Amount::ZERO, add);
    sum.saturating_sub(waiting).max(Amount::ZERO)
}

fn insufficient(book: &Book, wallet: &Wallet, there: Amount) -> Refusal {
    let scale = book.account(wallet.account).map(|account| account.scale);
    let there = scale.map_or_else(
        || there.to_string(),
        |scale| format(there, scale).to_string(),
    );
    Refusal::Conflict {
        code: "balance_insufficient",
        problem: format!(
            "there are {there} {} to be taken; a credit limit is for requests only",
            wallet.currency
        ),
    }
}

/// The account of a wallet that credit of another can be transferred to.
///
/// # Errors
/// Unknown or closed wallet, the same one, or one in another currency.
pub(crate) fn check_target(book: &Book, from: WalletId, to: WalletId) -> Result<usize, Refusal> {
    let source = &book.wallets[wallet::place_of(book, from)?];
    let target = &book.wallets[wallet::place_of(book, to)?];
    let field = "/to";
    if from == to {
        return Err(Refusal::Invalid {
            field,
            code: "transfer_to_itself",
            problem: "must be another wallet of the customer".to_owned(),
        });
    }
    if source.currency != target.currency {
        return Err(Refusal::Invalid {
            field,
            code: "currency_mismatch",
            problem: format!("must be a wallet in {}", source.currency),
        });
    }
    if target.status == WalletStatus::Closed {
        return Err(Refusal::Invalid {
            field,
            code: "wallet_closed",
            problem: format!("wallet {to} is closed"),
        });
    }
    wallet::account_place(book, target)
}
