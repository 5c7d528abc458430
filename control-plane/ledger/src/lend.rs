//! Lending: who gets how much, at once or ahead of need.
//!
//! Everything lent is pinned to lots in burn order at once. While credit is plenty, a
//! lease is filled for a few seconds of its own use. What can't be met from what is free
//! waits, or is told its ceiling: see [`waiting`].

mod waiting;

pub(crate) use waiting::serve_waiters;
pub use waiting::settle_waiters;

use creditgate_core::amount::Amount;
use creditgate_core::protocol::{AccountState, LeaseAnswer, Phase, PreviousAnswer};

use self::waiting::{promised, wait_or_tell, waiter_place};
use crate::book::Book;
use crate::burn_order::{self, BurnKey, Lot};
use crate::claim;
use crate::context::Context;
use crate::expiry::wallet_is_frozen;
use crate::id::{AccountId, WalletId};
use crate::journal::{About, EntryKind, Journal, LedgerAccount, ReasonCode};
use crate::lease::{Lease, LeaseState, Pin, Protection};
use crate::time::Timestamp;
use crate::wallet::WalletStatus;

/// What a gateway asks for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Need {
    /// What must remain in the lease for the first waiting request; zero if none waits.
    pub first: Amount,
    /// What all waiting requests cost.
    pub all: Amount,
    /// Something was reserved since the last report. An idle lease gets nothing ahead of its
    /// need: what it just gave back would only come again.
    pub is_busy: bool,
}

/// Lends to a lease what it needs and what it will soon use; else notes a waiter or a ceiling.
pub fn question(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    lease: usize,
    need: Need,
) {
    let id = book.accounts[place].id;
    if book.leases[lease].state != LeaseState::Open || book.block(id).is_some() {
        return;
    }
    // A report of another worker, that needs nothing, does not end the waiting of the first.
    let own_turn = waiter_place(book, place, lease).filter(|_| !need.first.is_zero());
    let remaining = book.leases[lease].counters.remaining();
    let promised = promised(book, place, own_turn, context.now);
    let free = free(book, id, context.now)
        .saturating_sub(promised)
        .max(Amount::ZERO);
    let short = need.first.saturating_sub(remaining);
    if short > free {
        wait_or_tell(book, context, place, lease, need);
        return;
    }
    if let Some(own_turn) = own_turn {
        book.accounts[place].waiters.remove(own_turn);
    }
    let wanted = need
        .all
        .max(need.first)
        .saturating_sub(remaining)
        .max(Amount::ZERO)
        .min(free);
    let may_refill =
        book.accounts[place].waiters.is_empty() && (need.is_busy || !need.first.is_zero());
    let ahead = if may_refill {
        refill(&book.leases[lease], free, context)
    } else {
        Amount::ZERO
    };
    let amount = wanted.max(ahead);
    if !wanted.is_zero() {
        protect(
            &mut book.leases[lease],
            remaining.saturating_add(wanted),
            context,
        );
    }
    lend(book, journal, context, place, lease, amount);
}

/// What may be lent of an account at `now`.
#[must_use]
pub fn free(book: &Book, account: AccountId, now: Timestamp) -> Amount {
    let lots = book
        .lots
        .iter()
        .filter(|lot| lot.account == account && is_for_requests(book, lot));
    burn_order::lendable(lots, now)
}

/// Whether requests may be paid from a lot as far as its wallet and what is claimed allow.
#[must_use]
pub fn is_for_requests(book: &Book, lot: &Lot) -> bool {
    !wallet_is_frozen(book, lot.wallet) && !claim::is_claimed(book, lot)
}

/// available + lent + held as of `now`: what expired, was voided, is claimed or is to be taken
/// when it comes back is not in it, lent or not, nor is what a closed wallet keeps.
#[must_use]
pub fn balance(book: &Book, account: AccountId, now: Timestamp) -> Amount {
    let usable = |lot: &Lot| lot.is_lendable(now) && !wallet_is_closed(book, lot.wallet);
    let of_account = |lot: &&Lot| lot.account == account && usable(lot);
    let free = book
        .lots
        .iter()
        .filter(of_account)
        .fold(Amount::ZERO, |sum, lot| sum.saturating_add(lot.free));
    let with_lent = book
        .lending_leases(account)
        .flat_map(|lease| &lease.pins)
        .filter(|pin| {
            pin.lot
                .is_some_and(|pinned| book.lots.iter().any(|lot| lot.id == pinned && usable(lot)))
        })
        .fold(free, |sum, pin| sum.saturating_add(pin.amount));
    let back = claim::recalled(book, now);
    let lots = book.lots.iter().filter(of_account);
    lots.filter_map(|lot| back.get(&lot.id))
        .fold(with_lent, |sum, recalled| sum.saturating_sub(*recalled))
}

fn wallet_is_closed(book: &Book, wallet: WalletId) -> bool {
    let wallet = book.wallet(wallet);
    wallet.is_some_and(|wallet| wallet.status == WalletStatus::Closed)
}

/// The control plane's word on a lease, as of now.
#[must_use]
pub fn answer(
    book: &Book,
    lease: &Lease,
    previous: Option<&Lease>,
    context_now: Timestamp,
    use_by_ms: u64,
) -> LeaseAnswer {
    let now = context_now;
    let account = book.account(lease.account);
    let waiting = account.is_some_and(|account| {
        account
            .waiters
            .iter()
            .any(|w| w.instance == lease.instance && w.lease == lease.number)
    });
    LeaseAnswer {
        account: lease.account,
        lease: lease.number,
        phase: match lease.state {
            LeaseState::Open => Phase::Open,
            LeaseState::Draining => Phase::Turn,
            LeaseState::Quarantined | LeaseState::Closed => Phase::Closed,
        },
        granted: lease.counters.granted,
        use_by_ms: usable_for_ms(book, lease, now).min(use_by_ms),
        settled: lease.counters.settled,
        previous: previous.map(|previous| PreviousAnswer {
            lease: previous.number,
            settled: previous.counters.settled,
            closed: previous.state == LeaseState::Closed,
        }),
        keep: lease.recall.then(|| lease.protected(now)),
        waiting,
        state: AccountState {
            // Nobody raises the ceiling of a lease that is over: the next lease hears its own.
            ceiling: lease
                .told
                .filter(|_| lease.state == LeaseState::Open)
                .map(|told| told.ceiling),
            ..state(book, lease.account, now)
        },
    }
}

/// What gateways are told of an account, the ceiling of a lease aside.
#[must_use]
pub fn state(book: &Book, id: AccountId, now: Timestamp) -> AccountState {
    let account = book.account(id);
    AccountState {
        version: account.map_or(0, |account| account.version),
        ceiling: None,
        block: book.block(id),
        mode: book.customer.mode,
        on_unavailable: book.customer.on_unavailable,
        owes: account.is_some_and(|account| !account.balances.owed().is_zero()),
        credential_version: book.customer.credential_version,
        balance: balance(book, id, now),
        issued: issued(book, id, now),
    }
}

/// All of each lot that is in the balance and not used up.
fn issued(book: &Book, account: AccountId, now: Timestamp) -> Amount {
    let of_account = book.lots.iter().filter(|lot| lot.account == account);
    let left = of_account.filter(|lot| {
        let is_left = !(lot.free.is_zero() && lot.pinned.is_zero());
        is_left && lot.is_lendable(now) && !wallet_is_closed(book, lot.wallet)
    });
    left.fold(Amount::ZERO, |sum, lot| {
        let usable = lot.amount.saturating_sub(lot.withdrawn);
        sum.saturating_add(usable.max(Amount::ZERO))
    })
}

/// How long until the first lot behind the lease expires.
fn usable_for_ms(book: &Book, lease: &Lease, now: Timestamp) -> u64 {
    lease
        .pins
        .iter()
        .filter_map(|pin| pin.lot)
        .filter_map(|pinned| book.lots.iter().find(|lot| lot.id == pinned))
        .filter_map(|lot| lot.expires_at)
        .min()
        .map_or(u64::MAX, |expires_at| expires_at.since_ms(now))
}

/// Raises `granted`: credit leaves the free lots in burn order. Lends less if less is free.
pub fn lend(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    lease: usize,
    amount: Amount,
) -> Amount {
    if amount <= Amount::ZERO {
        return Amount::ZERO;
    }
    let id = book.accounts[place].id;
    let keys: Vec<Option<BurnKey>> = book
        .lots
        .iter()
        .map(|lot| {
            let usable = lot.account == id && !lot.free.is_zero() && is_for_requests(book, lot);
            usable.then(|| book.burn_key(lot))
        })
        .collect();
    let mut lots: Vec<(BurnKey, &mut Lot)> = keys
        .into_iter()
        .zip(book.lots.iter_mut())
        .filter_map(|(key, lot)| Some((key?, lot)))
        .collect();
    let draws = burn_order::pin(&mut lots, amount, context.now);
    let lease = &mut book.leases[lease];
    let mut lent = Amount::ZERO;
    for draw in &draws {
        lease.push_pin(Pin {
            lot: Some(draw.lot),
            amount: draw.amount,
        });
        lent = lent.saturating_add(draw.amount);
    }
    lease.counters.granted = lease.counters.granted.saturating_add(lent);
    let about = About {
        lease: Some(lease.id),
        ..About::default()
    };
    let movement = (LedgerAccount::Available, lease.holder(), lent);
    let account = &mut book.accounts[place];
    journal.transfer(
        context,
        account,
        EntryKind::Lending,
        ReasonCode::LeaseLending,
        movement,
        draws,
        about,
    );
    book.touch(place, context.now);
    lent
}

/// A few seconds of the lease's own use, if it has fallen below half of that; at most half
/// of what is free, so that others find something.
fn refill(lease: &Lease, free: Amount, context: &Context<'_>) -> Amount {
    let seconds = i64::from(context.registry.settings.refill_seconds);
    let target = lease
        .burn_per_second
        .checked_mul(seconds)
        .unwrap_or(Amount::MAX);
    let target = target.min(Amount::new(free.get() / 2));
    let remaining = lease.counters.remaining();
    if remaining.get() < target.get() / 2 {
        target.saturating_sub(remaining).min(free)
    } else {
        Amount::ZERO
    }
}

pub(super) fn protect(lease: &mut Lease, remaining: Amount, context: &Context<'_>) {
    lease.protection = Some(Protection {
        until_reserved: lease.counters.reserved.saturating_add(remaining),
        until: context
            .now
            .plus_ms(context.registry.settings.timing.wait_ms),
    });
}
