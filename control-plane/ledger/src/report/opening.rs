//! How leases come to be: by a resolve, or by a report under a number that is new.

use creditgate_core::amount::{Amount, Currency, Scale};
use creditgate_core::lease::{Counters, LeaseNumber};
use creditgate_core::protocol::{LeaseAnswer, Report};

use super::{Reporter, closed_answer};
use crate::book::{Account, Balances, Book, Scope};
use crate::chain::Chain;
use crate::context::Context;
use crate::expiry;
use crate::id::{AccountId, InstanceId, LeaseId};
use crate::journal::Journal;
use crate::lease::{Lease, LeaseState, QuarantineCause};
use crate::lend::{self, Need};
use crate::quarantine;

/// Asks for a lease of the account in `currency` under a number that is not known yet, or
/// that the same question, whose answer was lost, opened before. Answers whether the lease
/// is the asker's to put into a cell: another thread's is not.
pub fn resolve(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    reporter: Reporter,
    (currency, scale): (Currency, Scale),
    (number, need): (LeaseNumber, Amount),
) -> (bool, LeaseAnswer) {
    let place = ensure_account(book, context, currency, scale, Scope::general());
    let account = book.accounts[place].id;
    let newest = newest(book, account, reporter.instance);
    let asked_before = book
        .lease_place(account, reporter.instance, number)
        .filter(|lease| book.leases[*lease].is_offer());
    let usable = newest.is_none_or(|lease| {
        let lease = &book.leases[lease];
        let is_over = lease.state == LeaseState::Closed && !lease.awaits_evidence();
        number > lease.number && (is_over || lease.counters.is_balanced())
    });
    let opened = (usable || asked_before.is_some()) && reporter.barred.is_none();
    let lease = if opened && usable {
        if let Some(old) = newest {
            expiry::turn(&mut book.leases[old]);
        }
        let offered = open(book, context, account, reporter.instance, number);
        book.leases[offered].offer();
        Some(offered)
    } else {
        asked_before.or(newest)
    };
    if opened && let Some(lease) = lease {
        lend::question(
            book,
            journal,
            context,
            place,
            lease,
            Need {
                first: need,
                all: need,
                is_busy: false,
            },
        );
        lend::settle_waiters(book, journal, context, place);
    }
    let use_by_ms = context.registry.settings.timing.use_by_ms;
    let answer = match lease {
        Some(lease) => {
            // What the lease before has settled is out of the balance already; a cell that turns must know.
            let before = newest
                .filter(|before| *before != lease)
                .map(|before| &book.leases[before]);
            lend::answer(book, &book.leases[lease], before, context.now, use_by_ms)
        }
        None => {
            let state = lend::state(book, account, context.now);
            closed_answer(account, number, None, state)
        }
    };
    (opened, answer)
}

/// The account of a currency and scope, made if there is none.
pub fn ensure_account(
    book: &mut Book,
    context: &mut Context<'_>,
    currency: Currency,
    scale: Scale,
    scope: Scope,
) -> usize {
    if let Some(place) = book
        .accounts
        .iter()
        .position(|account| account.currency == currency && account.scope == scope)
    {
        return place;
    }
    book.accounts.push(Account {
        id: AccountId(context.ids.next()),
        customer: book.customer.id,
        currency,
        scale,
        scope,
        version: 1,
        last_instant: context.now,
        balances: Balances::default(),
        waiters: Vec::new(),
        chain: Chain::default(),
    });
    book.accounts.len().saturating_sub(1)
}

pub(super) fn open_as_reported(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    reporter: Reporter,
    report: &Report,
) -> Option<usize> {
    let newest = newest(book, report.account, reporter.instance);
    let overtaken = newest.is_some_and(|lease| report.lease <= book.leases[lease].number);
    let untouched = report.counters == Counters::default();
    if overtaken || reporter.barred.is_some() || !untouched || report.lease.is_none() {
        return None;
    }
    let named = report.previous.as_ref().map(|previous| previous.lease);
    let lost: Vec<usize> = (0..book.leases.len())
        .filter(|lease| {
            let lease = &book.leases[*lease];
            lease.account == report.account
                && lease.instance == reporter.instance
                && matches!(lease.state, LeaseState::Open | LeaseState::Draining)
                && Some(lease.number) != named
                && !lease.is_offer()
        })
        .collect();
    for lease in lost {
        quarantine::set_aside(
            book,
            journal,
            context,
            place,
            lease,
            QuarantineCause::CellLost,
        );
    }
    Some(open(
        book,
        context,
        report.account,
        reporter.instance,
        report.lease,
    ))
}

/// Whether a lease says that requests were admitted under it although it was lent nothing: on
/// an offline allowance. They may all have been released since.
pub(super) fn is_offline(counters: &Counters) -> bool {
    counters.granted.is_zero() && counters.returned.is_zero() && !counters.reserved.is_zero()
}

/// Opens a lease that was begun while nobody answered, as the gateway names it, to be merged.
/// Every lease that ever was is known by its number, so a report that comes again finds it. One
/// that another number has overtaken, or whose instance gets no credit, gets nothing but what
/// it used.
pub(super) fn open_offline(
    book: &mut Book,
    context: &mut Context<'_>,
    account: AccountId,
    reporter: Reporter,
    (number, counters): (LeaseNumber, &Counters),
) -> Option<usize> {
    if number.is_none() || !is_offline(counters) {
        return None;
    }
    let newest = newest(book, account, reporter.instance);
    let is_overtaken = newest.is_some_and(|lease| number < book.leases[lease].number);
    let before = newest.filter(|_| is_overtaken);
    let lease = open(book, context, account, reporter.instance, number);
    if let Some(before) = before {
        book.leases[before].newest = true;
        book.leases[lease].newest = false;
    }
    if is_overtaken || reporter.barred.is_some() {
        expiry::turn(&mut book.leases[lease]);
    }
    Some(lease)
}

fn open(
    book: &mut Book,
    context: &mut Context<'_>,
    account: AccountId,
    instance: InstanceId,
    number: LeaseNumber,
) -> usize {
    let mut burn = Amount::ZERO;
    for lease in book
        .leases
        .iter_mut()
        .filter(|lease| lease.account == account && lease.instance == instance)
    {
        if lease.newest {
            burn = lease.burn_per_second;
        }
        lease.newest = false;
    }
    let id = LeaseId(context.ids.next());
    let mut lease = Lease::opened(id, account, instance, number, context.now);
    lease.burn_per_second = burn;
    book.leases.push(lease);
    book.leases.len().saturating_sub(1)
}

/// The newest lease of an instance, unless it is history: whether the book still has it then hangs on
/// when it was loaded.
fn newest(book: &Book, account: AccountId, instance: InstanceId) -> Option<usize> {
    (0..book.leases.len())
        .filter(|lease| {
            let lease = &book.leases[*lease];
            let is_history = lease.state == LeaseState::Closed && !lease.newest;
            lease.account == account && lease.instance == instance && !is_history
        })
        .max_by_key(|lease| book.leases[*lease].number)
}
