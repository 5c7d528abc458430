//! Near zero: who waits for credit in order, whose is recalled, who is told a ceiling.
//!
//! When a need can't be met from what is free, unused credit is recalled from the other
//! leases and the need waits in order. When that would not do, but what other gateways'
//! requests hold might, it waits for their next reports; when these don't help either, the
//! lease is told its ceiling, and hears of it when more could be paid.

use creditgate_core::amount::Amount;

use super::{Need, free, lend, protect};
use crate::book::{Book, WAITERS_MAX, Waiter};
use crate::claim;
use crate::context::Context;
use crate::expiry;
use crate::id::{AccountId, LeaseId};
use crate::journal::Journal;
use crate::lease::{Lease, LeaseState, ToldCeiling};
use crate::limits;
use crate::time::Timestamp;

/// After anything that may have freed credit: gives open claims what is theirs, serves waiters
/// in order, then raises ceilings.
pub fn settle_waiters(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
) {
    claim::settle(book, journal, context, place);
    serve_waiters(book, journal, context, place);
}

/// As [`settle_waiters`], when claims have what is theirs.
pub(crate) fn serve_waiters(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
) {
    let now = context.now;
    let account = book.accounts[place].id;
    if book.block(account).is_some() {
        // Who may not spend waits for nothing.
        book.accounts[place].waiters.clear();
    }
    end_hopes(book, place, now);
    let mut next = 0;
    while let Some(waiter) = book.accounts[place].waiters.get(next).cloned() {
        let id = book.accounts[place].id;
        let lease = book
            .lease_place(id, waiter.instance, waiter.lease)
            .filter(|lease| book.leases[*lease].state == LeaseState::Open);
        let Some(lease) = lease else {
            book.accounts[place].waiters.remove(next);
            continue;
        };
        let remaining = book.leases[lease].counters.remaining();
        let short = waiter.need.saturating_sub(remaining).max(Amount::ZERO);
        if short <= free(book, id, now) {
            book.accounts[place].waiters.remove(next);
            protect(&mut book.leases[lease], waiter.need, context);
            lend(book, journal, context, place, lease, short);
            push_one(book, place, lease, now);
        } else if could_pay(book, place, lease, now) >= waiter.need {
            // What has come to be unused since the first recall is called back as well.
            let own = book.leases[lease].id;
            recall(book, id, own);
            break;
        } else if could_yet_pay(book, place, lease, now) < waiter.need {
            book.accounts[place].waiters.remove(next);
            tell(book, place, lease, waiter.need, now);
            push_one(book, place, lease, now);
        } else {
            // It waits for news of what others hold; nobody waits for it.
            next = next.saturating_add(1);
        }
    }
    if book.accounts[place].waiters.is_empty() {
        let id = book.accounts[place].id;
        for lease in book.leases.iter_mut().filter(|lease| lease.account == id) {
            lease.recall = false;
        }
    }
    raise_ceilings(book, place, now);
}

/// What waiters before `own_turn` will get of what is free: those whose need is sure to be met.
pub(super) fn promised(
    book: &Book,
    place: usize,
    own_turn: Option<usize>,
    now: Timestamp,
) -> Amount {
    let account = &book.accounts[place];
    account
        .waiters
        .iter()
        .take(own_turn.unwrap_or(usize::MAX))
        .filter(|waiter| now < waiter.until)
        .filter_map(|waiter| {
            let lease = book.lease_place(account.id, waiter.instance, waiter.lease)?;
            let remaining = book.leases[lease].counters.remaining();
            let is_sure = could_pay(book, place, lease, now) >= waiter.need;
            is_sure.then(|| waiter.need.saturating_sub(remaining).max(Amount::ZERO))
        })
        .fold(Amount::ZERO, Amount::saturating_add)
}

/// The largest cost the lease could be made to pay: what remains, is free, and can be recalled.
fn could_pay(book: &Book, place: usize, lease: usize, now: Timestamp) -> Amount {
    let id = book.accounts[place].id;
    let own = &book.leases[lease];
    let elsewhere = book
        .lending_leases(id)
        .filter(|other| {
            other.id != own.id && is_reachable(other) && !pins_spoiled(book, other, now)
        })
        .fold(Amount::ZERO, |sum, other| {
            sum.saturating_add(other.recallable(now))
        });
    own.counters
        .remaining()
        .max(Amount::ZERO)
        .saturating_add(free(book, id, now))
        .saturating_add(elsewhere)
}

/// As [`could_pay`], but with all that other gateways hold: their requests may have cost less
/// by now, and what was given to a waiter there may not have been used.
fn could_yet_pay(book: &Book, place: usize, lease: usize, now: Timestamp) -> Amount {
    let id = book.accounts[place].id;
    let own = &book.leases[lease];
    let held = book
        .lending_leases(id)
        .filter(|other| {
            other.id != own.id && is_reachable(other) && !pins_spoiled(book, other, now)
        })
        .fold(Amount::ZERO, |sum, other| {
            sum.saturating_add(other.counters.outstanding())
        });
    own.counters
        .remaining()
        .max(Amount::ZERO)
        .saturating_add(free(book, id, now))
        .saturating_add(held)
}

/// Whether what the lease returns would not come back to the balance.
fn pins_spoiled(book: &Book, lease: &Lease, now: Timestamp) -> bool {
    lease.pins.last().is_some_and(|pin| {
        let lot = pin
            .lot
            .and_then(|pinned| book.lots.iter().find(|lot| lot.id == pinned));
        lot.is_none_or(|lot| expiry::is_spoiled(book, lot, now))
    })
}

pub(super) fn wait_or_tell(
    book: &mut Book,
    context: &Context<'_>,
    place: usize,
    lease: usize,
    need: Need,
) {
    let now = context.now;
    let timing = &context.registry.settings.timing;
    let own_turn = waiter_place(book, place, lease);
    let waits_already = own_turn.and_then(|own_turn| book.accounts[place].waiters.get(own_turn));
    let asking = &book.leases[lease];
    let is_sure = could_pay(book, place, lease, now) >= need.first;
    let until = if is_sure {
        now.plus_ms(timing.wait_ms)
    } else {
        // The verdict should come before the requests' own time is over.
        let hope_until = now.plus_ms(timing.wait_ms - timing.wait_ms / 4);
        waits_already.map_or(hope_until, |waiter| waiter.until.min(hope_until))
    };
    let was_told = asking.told.is_some_and(|told| need.first > told.ceiling);
    let may_hope = !was_told
        && now < until
        && could_yet_pay(book, place, lease, now) >= need.first
        && !limits::general_pays(book, place, need.first, now);
    let full = own_turn.is_none() && book.accounts[place].waiters.len() >= WAITERS_MAX;
    if full || !(is_sure || may_hope) {
        if let Some(own_turn) = own_turn {
            book.accounts[place].waiters.remove(own_turn);
        }
        tell(book, place, lease, need.first, now);
        return;
    }
    let waiter = Waiter {
        instance: asking.instance,
        lease: asking.number,
        need: need.first,
        until,
    };
    let own = asking.id;
    let id = book.accounts[place].id;
    match own_turn.and_then(|own_turn| book.accounts[place].waiters.get_mut(own_turn)) {
        Some(known) => *known = waiter,
        None => book.accounts[place].waiters.push(waiter),
    }
    book.touch(place, now);
    recall(book, id, own);
}

/// Ends the waiting of those whose time is over. Who only hoped is told that it was in vain.
fn end_hopes(book: &mut Book, place: usize, now: Timestamp) {
    let id = book.accounts[place].id;
    let over: Vec<Waiter> = book.accounts[place]
        .waiters
        .extract_if(.., |waiter| now >= waiter.until)
        .collect();
    for waiter in over {
        let lease = book.lease_place(id, waiter.instance, waiter.lease);
        let Some(lease) = lease.filter(|lease| book.leases[*lease].state == LeaseState::Open)
        else {
            continue;
        };
        if could_pay(book, place, lease, now) < waiter.need {
            tell(book, place, lease, waiter.need, now);
            push_one(book, place, lease, now);
        }
    }
}

/// Calls back what the leases other than `own` don't use, and have no use for by and by.
/// Those that were told already are not told again.
fn recall(book: &mut Book, account: AccountId, own: LeaseId) {
    for other in book
        .leases
        .iter_mut()
        .filter(|other| other.account == account && other.id != own && !other.recall)
    {
        let lending = matches!(other.state, LeaseState::Open | LeaseState::Draining);
        if lending && !other.counters.outstanding().is_zero() {
            other.recall = true;
            other.pushes = other.pushes.saturating_add(1);
        }
    }
}

/// Where the lease stands among those who wait; asking again does not lose the place.
pub(super) fn waiter_place(book: &Book, place: usize, lease: usize) -> Option<usize> {
    let (instance, number) = (book.leases[lease].instance, book.leases[lease].number);
    book.accounts[place]
        .waiters
        .iter()
        .position(|waiter| waiter.instance == instance && waiter.lease == number)
}

fn tell(book: &mut Book, place: usize, lease: usize, need: Amount, now: Timestamp) {
    let ceiling = could_pay(book, place, lease, now);
    let told = Some(ToldCeiling { ceiling, need });
    if book.leases[lease].told != told {
        book.leases[lease].told = told;
        book.touch(place, now);
    }
}

/// Those who were told a ceiling hear of it when more could be paid.
fn raise_ceilings(book: &mut Book, place: usize, now: Timestamp) {
    let id = book.accounts[place].id;
    for lease in 0..book.leases.len() {
        let Some(told) = book.leases[lease].told else {
            continue;
        };
        if book.leases[lease].account != id || book.leases[lease].state == LeaseState::Closed {
            continue;
        }
        let ceiling = could_pay(book, place, lease, now);
        if ceiling > told.ceiling {
            book.leases[lease].told =
                (ceiling < told.need).then_some(ToldCeiling { ceiling, ..told });
            push_one(book, place, lease, now);
        }
    }
}

fn push_one(book: &mut Book, place: usize, lease: usize, now: Timestamp) {
    book.touch(place, now);
    book.leases[lease].pushes = book.leases[lease].pushes.saturating_add(1);
}

/// Whether a gateway can be asked to return what it does not use: not that of an offer which
/// a later lease has overtaken, for no cell has it.
const fn is_reachable(lease: &Lease) -> bool {
    lease.newest || matches!(lease.state, LeaseState::Draining)
}
