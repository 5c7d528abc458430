//! Time passing: lots that become effective or expire, payments that do not come, leases
//! whose lots are over.
//!
//! A lot enters and leaves the balance at its instants: every read and every decision looks
//! at the instant itself. What is done here is the booking of it, before any other decision
//! on the account, and the recall of what was lent of it.

use creditgate_core::amount::Amount;

use crate::book::Book;
use crate::burn_order::Lot;
use crate::context::Context;
use crate::event::{EventKind, tell};
use crate::fact::Fact;
use crate::grant;
use crate::journal::{About, Draw, EntryKind, Journal, LedgerAccount, ReasonCode};
use crate::lease::{Lease, LeaseState};
use crate::lend;
use crate::lot;
use crate::payment;
use crate::subscription;
use crate::time::Timestamp;
use crate::wallet::WalletStatus;

/// Books all that time has done to an account since the last decision.
pub fn pass(book: &mut Book, journal: &mut Journal, context: &mut Context<'_>, place: usize) {
    // First: what is booked otherwise moves the account's time past what became effective.
    note_effective(book, journal, context, place);
    payment::lapse(book, journal, context, place);
    let id = book.accounts[place].id;
    let now = context.now;
    let mut due: Vec<usize> = (0..book.lots.len())
        .filter(|lot| {
            let lot = &book.lots[*lot];
            lot.account == id && lot.has_expired(now) && !lot.free.is_zero()
        })
        .collect();
    if !due.is_empty()
        && let Some(since) = grant::behind_since(book, now)
    {
        // It may be carried on by what is due and was not come to yet. Until that is decided it
        // can't be spent, having expired, but is not booked as such either.
        due.retain(|lot| book.lots[*lot].has_expired_before(since));
    }
    for lot in due {
        expire(book, journal, context, place, lot);
    }
    turn_spoiled_leases(book, place, now);
    retire_closed_leases(book, place, now);
}

/// Notes that lots have become effective, and repays what is owed from them. One decision
/// sees it to be so: the first on the account at or after the instant.
pub(crate) fn note_effective(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
) {
    let account = &book.accounts[place];
    let (id, seen_until, now) = (account.id, account.last_instant, context.now);
    let began: Vec<usize> = (0..book.lots.len())
        .filter(|lot| {
            let lot = &book.lots[*lot];
            let in_between = seen_until < lot.effective_at && lot.effective_at <= now;
            lot.account == id && in_between && lot.created_at < lot.effective_at
        })
        .filter(|lot| book.lots[*lot].is_lendable(now) && book.lots[*lot].is_live())
        .collect();
    for lot in began {
        let row = &book.lots[lot];
        let fact = Fact::LotEffective { lot: row.id };
        let about = About {
            wallet: Some(row.wallet),
            ..About::default()
        };
        let account = &mut book.accounts[place];
        journal.note(context, account, ReasonCode::CreditEffective, fact, about);
        book.touch(place, now);
        lot::land(book, journal, context, place, lot);
    }
}

fn expire(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    lot: usize,
) {
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
    let lot = lot.clone();
    journal.transfer(
        context,
        &mut book.accounts[place],
        EntryKind::Expiry,
        ReasonCode::CreditExpired,
        movement,
        draws,
        about,
    );
    tell::lot(
        book,
        journal,
        context,
        EventKind::LotExpired,
        &lot,
        |tale| {
            tale.say_amount("expired", lost);
            tale.say_amount("pending_recall", lot.pinned);
        },
    );
    book.touch(place, context.now);
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
            lease.account == id && lease.state == LeaseState::Open && pins_spoiled(book, lease, now)
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

fn pins_spoiled(book: &Book, lease: &Lease, now: Timestamp) -> bool {
    lease.pins.iter().filter_map(|pin| pin.lot).any(|pinned| {
        let lot = book.lots.iter().find(|lot| lot.id == pinned);
        lot.is_none_or(|lot| is_spoiled(book, lot, now))
    })
}

/// Whether what gateways have of a lot is wanted back for good: it is over, or not for
/// requests, or a part of it is to be taken.
#[must_use]
pub fn is_spoiled(book: &Book, lot: &Lot, now: Timestamp) -> bool {
    !lot.is_lendable(now) || !lot.excess.is_zero() || !lend::is_for_requests(book, lot)
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
        [effective, lot.expires_at, lot.lapses_at]
    });
    let keys = book.keys.iter().map(|key| key.expires_at);
    let retries = book.wallets.iter();
    let retries = retries.map(|wallet| wallet.auto_topup_state.retry_at);
    let ends = book.subscriptions.iter().map(subscription::next_instant);
    let grants = book.schedules.iter().map(|schedule| schedule.next_at);
    let again = book.applications.iter().map(|known| known.retry_at);
    lots.chain(keys)
        .chain(ends)
        .chain(grants)
        .chain(again)
        .chain(retries)
        .flatten()
        .filter(|instant| *instant > now)
        .min()
}
