//! What an account or a wallet has, taken apart, as of an instant.
//!
//! A lot leaves the balance at its instant, booked or not, lent or not; so the parts are
//! counted from lots and pins, and what may no longer be spent but is still out is told
//! apart as pending recall.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use creditgate_core::amount::Amount;

use crate::book::Book;
use crate::burn_order::Lot;
use crate::id::{AccountId, LotId, WalletId};
use crate::lease::{Lease, LeaseState, Pin};
use crate::time::Timestamp;

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
    /// At gateways, but no longer to be spent: it expired, was voided, or covers debt.
    pub pending_recall: Amount,
    /// At gateways that fell silent or lost it.
    pub quarantined: Amount,
    /// Expired, and not booked as such yet.
    pub lapsed: Amount,
}

impl Parts {
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
    let counted =
        |lot: &Lot| lot.account == account && wallet.is_none_or(|wallet| lot.wallet == wallet);
    let mut parts = Parts::default();
    for lot in book.lots.iter().filter(|lot| counted(lot)) {
        let part = if lot.is_lendable(now) {
            &mut parts.available
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
            if lot.map_or(wallet.is_none(), counted) {
                count_pin(
                    &mut parts,
                    lease,
                    pin,
                    held,
                    lot.is_some_and(|lot| lot.is_lendable(now)),
                );
            }
        }
    }
    parts
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
    let mut add = |wallet: WalletId, amount: Amount| {
        if let Some(balance) = balances.get_mut(&wallet) {
            *balance = balance.saturating_add(amount);
        }
    };
    let usable: HashMap<LotId, WalletId> = book
        .lots
        .iter()
        .filter(|lot| wallets.contains(&lot.wallet) && lot.is_lendable(now))
        .inspect(|lot| add(lot.wallet, lot.free))
        .map(|lot| (lot.id, lot.wallet))
        .collect();
    let lent = |lease: &&Lease| matches!(lease.state, LeaseState::Open | LeaseState::Draining);
    for pin in book
        .leases
        .iter()
        .filter(lent)
        .flat_map(|lease| &lease.pins)
    {
        if let Some(wallet) = pin.lot.and_then(|lot| usable.get(&lot)) {
            add(*wallet, pin.amount);
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
