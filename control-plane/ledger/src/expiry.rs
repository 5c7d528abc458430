//! Time passing: lots that expire, leases whose lots did.
//!
//! A lot leaves the balance at its instant: every read and every decision looks at the
//! instant itself. What is done here is the booking of it, before any other decision on
//! the account, and the recall of what was lent of it.

use creditgate_core::amount::Amount;

use crate::book::Book;
use crate::context::Context;
use crate::journal::{About, Draw, EntryKind, Journal, LedgerAccount, ReasonCode};
use crate::lease::{Lease, LeaseState};
use crate::time::Timestamp;
use crate::wallet::WalletStatus;

/// Books all that time has done to an account since the last decision.
pub fn pass(book: &mut Book, journal: &mut Journal, context: &mut Context<'_>, place: usize) {
    let id = book.accounts[place].id;
    let now = context.now;
    let due: Vec<usize> = (0..book.lots.len())
        .filter(|lot| {
            let lot = &book.lots[*lot];
            lot.account == id && lot.has_expired(now) && !lot.free.is_zero()
        })
        .collect();
    for lot in due {
        let lot = &mut book.lots[lot];
        let lost = lot.free;
        lot.free = Amount::ZERO;
        lot.expired = lot.expired.saturating_add(lost);
        let about = About {
            wallet: Some(lot.wallet),
            ..About::default()
        };
        let draws = vec![Draw {
            lot: lot.id,
            amount: lost,
        }];
        let movement = (LedgerAccount::Available, LedgerAccount::Expired, lost);
        let account = &mut book.accounts[place];
        journal.transfer(
            context,
            account,
            EntryKind::Expiry,
            ReasonCode::CreditExpired,
            movement,
            draws,
            about,
        );
        book.touch(place, now);
    }
    turn_spoiled_leases(book, place, now);
    retire_closed_leases(book, place, now);
}

/// How long a closed lease is kept at hand for late reports of its instance.
const RETIRE_AFTER_MS: u64 = 7 * 24 * 60 * 60 * 1_000;

/// Lets closed leases of instances that have long been silent become history.
fn retire_closed_leases(book: &mut Book, place: usize, now: Timestamp) {
    let id = book.accounts[place].id;
    for lease in book
        .leases
        .iter_mut()
        .filter(|lease| lease.account == id && lease.newest)
    {
        if lease.state == LeaseState::Closed && now.since_ms(lease.reported_at) >= RETIRE_AFTER_MS {
            lease.newest = false;
        }
    }
}

/// Makes the leases turn that hold a part of a lot which may no longer be spent.
pub fn turn_spoiled_leases(book: &mut Book, place: usize, now: Timestamp) {
    let id = book.accounts[place].id;
    let spoiled: Vec<usize> = (0..book.leases.len())
        .filter(|lease| {
            let lease = &book.leases[*lease];
            lease.account == id && lease.state == LeaseState::Open && is_spoiled(book, lease, now)
        })
        .collect();
    for lease in spoiled {
        book.touch(place, now);
        turn(&mut book.leases[lease]);
    }
}

/// No more credit in this lease; its gateway is told to turn it.
pub fn turn(lease: &mut Lease) {
    if lease.state == LeaseState::Open {
        lease.state = if lease.counters.is_balanced() {
            LeaseState::Closed
        } else {
            LeaseState::Draining
        };
        lease.pushes = lease.pushes.saturating_add(1);
    }
}

fn is_spoiled(book: &Book, lease: &Lease, now: Timestamp) -> bool {
    lease.pins.iter().filter_map(|pin| pin.lot).any(|pinned| {
        let lot = book.lots.iter().find(|lot| lot.id == pinned);
        lot.is_none_or(|lot| !lot.is_lendable(now) || wallet_is_frozen(book, lot.wallet))
    })
}

/// Whether lots of the wallet may not be lent.
#[must_use]
pub fn wallet_is_frozen(book: &Book, wallet: crate::id::WalletId) -> bool {
    book.wallets
        .iter()
        .any(|known| known.id == wallet && known.status != WalletStatus::Active)
}

/// The next instant at which time alone changes something, for the job that waits for it.
#[must_use]
pub fn next_instant(book: &Book, now: Timestamp) -> Option<Timestamp> {
    let lots = book.lots.iter().flat_map(|lot| {
        let effective = Some(lot.effective_at);
        [effective, lot.expires_at]
    });
    let keys = book.keys.iter().map(|key| key.expires_at);
    let retries = book.wallets.iter();
    let retries = retries.map(|wallet| wallet.auto_topup_state.retry_at);
    lots.chain(keys)
        .chain(retries)
        .flatten()
        .filter(|instant| *instant > now)
        .min()
}
