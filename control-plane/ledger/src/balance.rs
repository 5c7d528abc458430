//! What an account or a wallet has, taken apart, as of an instant.
//!
//! A lot leaves the balance at its instant, booked or not, lent or not; so the parts are
//! counted from lots and pins, and what may no longer be spent but is still out is told
//! apart as pending recall.

use std::collections::{BTreeMap, BTreeSet};

use creditgate_core::amount::Amount;

use crate::book::Book;
use crate::burn_order::{Lot, LotKind};
use crate::claim;
use crate::id::{AccountId, WalletId};
use crate::lease::{self, Lease, LeaseState, Pin};
use crate::time::Timestamp;
use crate::wallet::{Wallet, WalletStatus};

/// The parts of a balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Parts {
    /// Free to be lent now.
    pub available: Amount,
    /// Not effective yet.
    pub pending: Amount,
    /// At gateways, unused as of their last reports.
    pub lent: Amount,
    /// Set aside there for requests in flight, as of the last reports.
    pub held: Amount,
    /// At gateways, but no longer to be spent: it expired, was voided, is above a credit limit
    /// or what a grant carries on, is claimed for a debit or a transfer, or covers debt.
    pub pending_recall: Amount,
    /// At gateways that fell silent or lost it.
    pub quarantined: Amount,
    /// Expired, and not booked as such yet.
    pub lapsed: Amount,
    /// In a closed wallet: paid for, and not to be spent.
    pub kept: Amount,
    /// Waiting for its payment; not funded yet.
    pub unpaid: Amount,
}

impl Parts {
    /// These and others, together.
    #[must_use]
    pub fn plus(self, other: &Self) -> Self {
        Self {
            available: self.available.saturating_add(other.available),
            pending: self.pending.saturating_add(other.pending),
            lent: self.lent.saturating_add(other.lent),
            held: self.held.saturating_add(other.held),
            pending_recall: self.pending_recall.saturating_add(other.pending_recall),
            quarantined: self.quarantined.saturating_add(other.quarantined),
            lapsed: self.lapsed.saturating_add(other.lapsed),
            kept: self.kept.saturating_add(other.kept),
            unpaid: self.unpaid.saturating_add(other.unpaid),
        }
    }

    /// What the customer has: available + lent + held.
    #[must_use]
    pub fn balance(&self) -> Amount {
        self.available
            .saturating_add(self.lent)
            .saturating_add(self.held)
    }
}

/// The parts of an account's balance; of one of its wallets, if one is named.
#[must_use]
pub fn parts(book: &Book, account: AccountId, wallet: Option<WalletId>, now: Timestamp) -> Parts {
    let counted = |lot: &Lot| wallet.is_none_or(|wallet| lot.wallet == wallet);
    parts_of(book, account, counted, wallet.is_none(), now)
}

/// The parts of a wallet's balance, by kind of credit; kinds of which nothing is there are left out.
#[must_use]
pub fn by_kind(book: &Book, wallet: &Wallet, now: Timestamp) -> Vec<(LotKind, Parts)> {
    let of_kind = |kind| {
        let counted = |lot: &Lot| lot.wallet == wallet.id && lot.kind == kind;
        (kind, parts_of(book, wallet.account, counted, false, now))
    };
    let kinds = LotKind::ALL.into_iter().map(of_kind);
    kinds
        .filter(|(_, parts)| *parts != Parts::default())
        .collect()
}

fn parts_of(
    book: &Book,
    account: AccountId,
    counted: impl Fn(&Lot) -> bool,
    with_debt: bool,
    now: Timestamp,
) -> Parts {
    let counted = |lot: &Lot| lot.account == account && counted(lot);
    let usable = |lot: &Lot| lot.is_lendable(now) && !is_kept(book, lot);
    let mut parts = Parts::default();
    for lot in book.lots.iter().filter(|lot| counted(lot)) {
        if lot.voided_at.is_none() {
            parts.unpaid = parts.unpaid.saturating_add(lot.unpaid);
        }
        let part = if usable(lot) {
            &mut parts.available
        } else if is_kept(book, lot) && !lot.has_expired(now) {
            &mut parts.kept
        } else if lot.has_expired(now) {
            &mut parts.lapsed
        } else {
            &mut parts.pending
        };
        *part = part.saturating_add(lot.free);
    }
    for lease in book.leases.iter().filter(|lease| lease.account == account) {
        let mut held_left = lease.counters.held();
        for pin in &lease.pins {
            // What was lent first is used first: the front of the pins is what is in flight.
            let held = pin.amount.min(held_left).max(Amount::ZERO);
            held_left = held_left.saturating_sub(held);
            let lot = pin
                .lot
                .and_then(|pinned| book.lots.iter().find(|lot| lot.id == pinned));
            if lot.map_or(with_debt, counted) {
                count_pin(&mut parts, lease, pin, held, lot.is_some_and(usable));
            }
        }
    }
    let back = claim::recalled(book, now);
    for lot in book.lots.iter().filter(|lot| counted(lot) && usable(lot)) {
        let recalled = back.get(&lot.id).copied().unwrap_or_default();
        // What lies unused comes back first.
        let unused = recalled.min(parts.lent);
        parts.lent = parts.lent.saturating_sub(unused);
        parts.held = parts.held.saturating_sub(recalled.saturating_sub(unused));
        parts.pending_recall = parts.pending_recall.saturating_add(recalled);
    }
    parts
}

/// Whether a lot is in a closed wallet.
fn is_kept(book: &Book, lot: &Lot) -> bool {
    let wallet = book.wallet(lot.wallet);
    wallet.is_some_and(|wallet| wallet.status == WalletStatus::Closed)
}

/// The balances of some wallets, available + lent + held: as [`parts`] has them, in one pass.
#[must_use]
pub fn of_wallets(
    book: &Book,
    wallets: &BTreeSet<WalletId>,
    now: Timestamp,
) -> BTreeMap<WalletId, Amount> {
    let mut balances: BTreeMap<WalletId, Amount> = wallets
        .iter()
        .map(|wallet| (*wallet, Amount::ZERO))
        .collect();
    // What is at gateways, less what is not the wallet's any more. Few of many lots are there.
    let lent = |lease: &&Lease| matches!(lease.state, LeaseState::Open | LeaseState::Draining);
    let leases = book.leases.iter().filter(lent);
    let mut out = lease::by_lot(leases.flat_map(|lease| &lease.pins));
    for (lot, recalled) in claim::recalled(book, now) {
        let sum = out.entry(lot).or_default();
        *sum = sum.saturating_sub(recalled);
    }
    let is_closed = |id: &WalletId| {
        let wallet = book.wallet(*id);
        wallet.is_some_and(|wallet| wallet.status == WalletStatus::Closed)
    };
    let closed: Vec<WalletId> = wallets.iter().copied().filter(is_closed).collect();
    for lot in book.lots.iter().filter(|lot| lot.is_lendable(now)) {
        let Some(balance) = balances.get_mut(&lot.wallet) else {
            continue;
        };
        if !closed.contains(&lot.wallet) {
            let out = out.get(&lot.id).copied().unwrap_or_default();
            *balance = balance.saturating_add(lot.free).saturating_add(out);
        }
    }
    balances
}

fn count_pin(parts: &mut Parts, lease: &Lease, pin: &Pin, held: Amount, usable: bool) {
    let add = |part: &mut Amount, amount: Amount| *part = part.saturating_add(amount);
    match lease.state {
        LeaseState::Quarantined => add(&mut parts.quarantined, pin.amount),
        LeaseState::Open | LeaseState::Draining if usable => {
            add(&mut parts.held, held);
            add(&mut parts.lent, pin.amount.saturating_sub(held));
        }
        LeaseState::Open | LeaseState::Draining => add(&mut parts.pending_recall, pin.amount),
        LeaseState::Closed => {}
    }
}
