//! Reports of gateways: counters are merged, credit moves with them, the answer is due.
//!
//! A report is cumulative and may come twice, late or out of order; only what is *above*
//! the largest counters known so far moves anything. A report that contradicts itself or
//! what was lent is not merged at all: its instance is to be frozen.

use creditgate_core::amount::{Amount, Currency, Scale};
use creditgate_core::lease::{Counters, LeaseNumber};
use creditgate_core::protocol::{AccountState, Barred, LeaseAnswer, Phase, PreviousAnswer, Report};
use thiserror::Error;

use crate::book::{Account, Balances, Book};
use crate::context::Context;
use crate::expiry;
use crate::id::{AccountId, InstanceId, LeaseId};
use crate::journal::{About, Draw, EntryKind, Journal, LedgerAccount, ReasonCode};
use crate::lease::{Lease, LeaseState, Pin, QuarantineCause, ResolutionKind};
use crate::lend::{self, Need};
use crate::quarantine;
use crate::time::Timestamp;

/// A report that can't be true; nothing of it was merged.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("lease {lease} of {account}: {problem}")]
pub struct Impossible {
    /// The account.
    pub account: AccountId,
    /// The lease.
    pub lease: LeaseNumber,
    /// What contradicts what.
    pub problem: String,
}

/// Who reports.
#[derive(Debug, Clone, Copy)]
pub struct Reporter {
    /// The process.
    pub instance: InstanceId,
    /// Why it gets no credit, if so.
    pub barred: Option<Barred>,
}

/// Merges a report, lends what it asks for, and answers it.
///
/// # Errors
/// [`Impossible`]: the book may be half changed and is to be thrown away; the instance is to be frozen.
pub fn report(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    reporter: Reporter,
    report: &Report,
) -> Result<LeaseAnswer, Impossible> {
    let Some(place) = book.account_place(report.account) else {
        return Ok(closed(report, AccountState::unknown()));
    };
    expiry::pass(book, journal, context, place);
    if let Some(previous) = &report.previous
        && let Some(lease) = book.lease_place(report.account, reporter.instance, previous.lease)
    {
        merge(book, journal, context, place, lease, &previous.counters)?;
        take_back_unseen(book, journal, context, place, lease);
        expiry::turn(&mut book.leases[lease]);
        if previous.dead {
            quarantine::book_hold(book, journal, context, place, lease);
        }
    }
    let mut is_busy = false;
    let lease = match book.lease_place(report.account, reporter.instance, report.lease) {
        Some(lease) => {
            let reserved = book.leases[lease].counters.reserved;
            merge(book, journal, context, place, lease, &report.counters)?;
            is_busy = book.leases[lease].counters.reserved > reserved;
            Some(lease)
        }
        None => open_as_reported(book, journal, context, place, reporter, report),
    };
    set_aside_unnamed(book, journal, context, place, reporter, report);
    if let Some(lease) = lease {
        if reporter.barred.is_some() {
            expiry::turn(&mut book.leases[lease]);
        }
        let need = Need {
            first: report.need,
            all: report.wanted,
            is_busy,
        };
        lend::question(book, journal, context, place, lease, need);
    }
    lend::settle_waiters(book, journal, context, place);
    Ok(answer(book, context, reporter, report, lease))
}

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
    let place = ensure_account(book, context, currency, scale);
    let account = book.accounts[place].id;
    expiry::pass(book, journal, context, place);
    let newest = newest(book, account, reporter.instance);
    let asked_before = book
        .lease_place(account, reporter.instance, number)
        .filter(|lease| book.leases[*lease].is_offer());
    let usable = newest.is_none_or(|lease| {
        let lease = &book.leases[lease];
        number > lease.number && (lease.state == LeaseState::Closed || lease.counters.is_balanced())
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
    let use_by_ms = context.settings.timing.use_by_ms;
    let answer = match lease {
        Some(lease) => {
            // What the lease before has settled is out of the balance already; a cell that turns must know.
            let before = newest
                .filter(|before| *before != lease)
                .map(|before| &book.leases[before]);
            lend::answer(book, &book.leases[lease], before, context.now, use_by_ms)
        }
        None => {
            let state = state(book, account, context);
            closed_answer(account, number, None, state)
        }
    };
    (opened, answer)
}

/// The account of a currency, made if there is none.
pub fn ensure_account(
    book: &mut Book,
    context: &mut Context<'_>,
    currency: Currency,
    scale: Scale,
) -> usize {
    if let Some(place) = book
        .accounts
        .iter()
        .position(|account| account.currency == currency)
    {
        return place;
    }
    book.accounts.push(Account {
        id: AccountId(context.ids.next()),
        customer: book.customer.id,
        currency,
        scale,
        version: 1,
        last_instant: context.now,
        balances: Balances::default(),
        waiters: Vec::new(),
    });
    book.accounts.len().saturating_sub(1)
}

fn open_as_reported(
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

/// An instance that reports an account names every lease it has of it. One that went unnamed
/// for as long as would make the instance silent is in no cell: the answer that lent it was
/// lost with the worker that had asked.
fn set_aside_unnamed(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    reporter: Reporter,
    report: &Report,
) {
    if report.lease.is_none() {
        return;
    }
    let named = [
        Some(report.lease),
        report.previous.as_ref().map(|previous| previous.lease),
    ];
    for lease in 0..book.leases.len() {
        let row = &book.leases[lease];
        let is_of_cell = row.account == report.account && row.instance == reporter.instance;
        let is_long_ago = context.now.since_ms(row.reported_at) >= context.settings.silent_after_ms;
        if is_of_cell && is_long_ago && !named.contains(&Some(row.number)) {
            quarantine::set_aside(
                book,
                journal,
                context,
                place,
                lease,
                QuarantineCause::CellLost,
            );
        }
    }
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

fn newest(book: &Book, account: AccountId, instance: InstanceId) -> Option<usize> {
    (0..book.leases.len())
        .filter(|lease| {
            let lease = &book.leases[*lease];
            lease.account == account && lease.instance == instance
        })
        .max_by_key(|lease| book.leases[*lease].number)
}

/// Takes over counters that are larger than known, and moves credit accordingly.
fn merge(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    lease: usize,
    reported: &Counters,
) -> Result<(), Impossible> {
    let known = &book.leases[lease];
    #[cfg(feature = "defects")]
    let reported = &creditgate_core::defects::understood(&known.counters, reported);
    let impossible = |problem: String| Impossible {
        account: known.account,
        lease: known.number,
        problem,
    };
    reported
        .check()
        .map_err(|error| impossible(error.to_string()))?;
    if reported.granted > known.counters.granted {
        return Err(impossible(
            "more was reported as granted than was ever lent".to_owned(),
        ));
    }
    let (before, from) = (known.counters, known.reported_at);
    let after = before.merged(reported);
    if after.overrun() > context.settings.overrun_max && known.resolution.is_none() {
        return Err(impossible(format!(
            "it used {} more than was lent; the bound is {}",
            after.overrun().get(),
            context.settings.overrun_max.get()
        )));
    }
    note_burn(&mut book.leases[lease], &after, context);
    if before == after {
        return Ok(());
    }
    book.touch(place, context.now);
    if book.leases[lease].resolution.is_some() {
        quarantine::merge_late(book, journal, context, place, lease, &after);
        return Ok(());
    }
    book.leases[lease].counters = after;
    cover_overrun(book, journal, context, place, lease);
    book_usage(
        book,
        journal,
        context,
        place,
        lease,
        after.settled.saturating_sub(before.settled),
        from,
    );
    book_return(
        book,
        journal,
        context,
        place,
        lease,
        after.returned.saturating_sub(before.returned),
    );
    let lease = &mut book.leases[lease];
    if (lease.state != LeaseState::Open || !lease.newest) && lease.counters.is_balanced() {
        lease.state = LeaseState::Closed;
    }
    lease.reported_at = context.now;
    Ok(())
}

/// A gateway admits nothing under a lease it has turned, so whatever still remains there as
/// far as we know (credit whose answer was lost, or is on its way) is back already: the
/// gateway will return it unused as soon as it sees it, by the very counter that grows here.
fn take_back_unseen(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    lease: usize,
) {
    let row = &mut book.leases[lease];
    let unseen = row.counters.remaining();
    if row.resolution.is_some() || unseen <= Amount::ZERO {
        return;
    }
    row.counters.returned = row.counters.returned.saturating_add(unseen);
    book_return(book, journal, context, place, lease, unseen);
    book.touch(place, context.now);
    let lease = &mut book.leases[lease];
    if lease.state != LeaseState::Open && lease.counters.is_balanced() {
        lease.state = LeaseState::Closed;
    }
}

/// What was used beyond what was lent is lent now: from what is free, the rest as debt.
fn cover_overrun(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    lease: usize,
) {
    let overrun = book.leases[lease].counters.overrun();
    let lent = lend::lend(book, journal, context, place, lease, overrun);
    let debt = overrun.saturating_sub(lent);
    if debt.is_zero() {
        return;
    }
    let lease = &mut book.leases[lease];
    lease.push_pin(Pin {
        lot: None,
        amount: debt,
    });
    lease.counters.granted = lease.counters.granted.saturating_add(debt);
    let about = About {
        lease: Some(lease.id),
        ..About::default()
    };
    let movement = (LedgerAccount::Debt, lease.holder(), debt);
    journal.transfer(
        context,
        &mut book.accounts[place],
        EntryKind::Lending,
        ReasonCode::Overrun,
        movement,
        Vec::new(),
        about,
    );
}

fn book_usage(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    lease: usize,
    settled: Amount,
    from: Timestamp,
) {
    let pins = book.leases[lease].take_front(settled);
    let draws = burn(book, &pins);
    let lease = &book.leases[lease];
    let about = About {
        lease: Some(lease.id),
        usage_from: Some(from),
        ..About::default()
    };
    let movement = (lease.holder(), LedgerAccount::Spent, settled);
    journal.transfer(
        context,
        &mut book.accounts[place],
        EntryKind::Usage,
        ReasonCode::Usage,
        movement,
        draws,
        about,
    );
}

/// Marks pinned credit as spent; says how much of which lot.
pub(crate) fn burn(book: &mut Book, pins: &[Pin]) -> Vec<Draw> {
    let mut draws = Vec::new();
    for pin in pins {
        let Some(lot) = book.lots.iter_mut().find(|lot| Some(lot.id) == pin.lot) else {
            continue;
        };
        lot.pinned = lot.pinned.saturating_sub(pin.amount);
        lot.spent = lot.spent.saturating_add(pin.amount);
        draws.push(Draw {
            lot: lot.id,
            amount: pin.amount,
        });
    }
    draws
}

/// Credit came back: to its lots if they still live, else to where they went.
pub(crate) fn book_return(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    lease: usize,
    returned: Amount,
) {
    let pins = book.leases[lease].take_back(returned);
    let holder = book.leases[lease].holder();
    let about = About {
        lease: Some(book.leases[lease].id),
        ..About::default()
    };
    let account = &mut book.accounts[place];
    for pin in pins {
        let lot = book.lots.iter_mut().find(|lot| Some(lot.id) == pin.lot);
        let (to, kind, reason, draws) = match lot {
            None => (
                LedgerAccount::Debt,
                EntryKind::Lending,
                ReasonCode::LeaseLending,
                Vec::new(),
            ),
            Some(lot) => {
                let draws = vec![Draw {
                    lot: lot.id,
                    amount: pin.amount,
                }];
                lot.pinned = lot.pinned.saturating_sub(pin.amount);
                if lot.voided_at.is_some() {
                    lot.withdrawn = lot.withdrawn.saturating_add(pin.amount);
                    (
                        LedgerAccount::Withdrawn,
                        EntryKind::Void,
                        ReasonCode::CreditVoided,
                        draws,
                    )
                } else if lot.has_expired(context.now) {
                    lot.expired = lot.expired.saturating_add(pin.amount);
                    (
                        LedgerAccount::Expired,
                        EntryKind::Expiry,
                        ReasonCode::CreditExpired,
                        draws,
                    )
                } else {
                    lot.free = lot.free.saturating_add(pin.amount);
                    (
                        LedgerAccount::Available,
                        EntryKind::Lending,
                        ReasonCode::LeaseLending,
                        draws,
                    )
                }
            }
        };
        journal.transfer(
            context,
            account,
            kind,
            reason,
            (holder, to, pin.amount),
            draws,
            about.clone(),
        );
    }
}

/// Use a second since the last report: what grows at once, and falls by half in a second.
fn note_burn(lease: &mut Lease, after: &Counters, context: &Context<'_>) {
    /// Reports may follow one another at once; what they show is spread over at least this.
    const SHORTEST_MS: u64 = 100;
    const HALF_LIFE_MS: i128 = 1_000;
    let elapsed_ms = i128::from(context.now.since_ms(lease.reported_at));
    let used =
        |counters: &Counters| i128::from(counters.reserved.saturating_sub(counters.released).get());
    let rate = (used(after) - used(&lease.counters)).max(0) * 1_000
        / elapsed_ms.max(i128::from(SHORTEST_MS));
    let kept = i128::from(lease.burn_per_second.get()) * HALF_LIFE_MS / (HALF_LIFE_MS + elapsed_ms);
    lease.burn_per_second = Amount::new(i64::try_from(rate.max(kept)).unwrap_or(i64::MAX));
    lease.reported_at = lease.reported_at.max(context.now);
}

fn answer(
    book: &Book,
    context: &Context<'_>,
    reporter: Reporter,
    report: &Report,
    lease: Option<usize>,
) -> LeaseAnswer {
    let previous = report.previous.as_ref().map(|told| {
        match book.lease_place(report.account, reporter.instance, told.lease) {
            Some(known) => PreviousAnswer {
                lease: told.lease,
                settled: book.leases[known].counters.settled,
                closed: book.leases[known].state == LeaseState::Closed,
            },
            None => PreviousAnswer {
                lease: told.lease,
                settled: told.counters.settled,
                closed: true,
            },
        }
    });
    let use_by_ms = context.settings.timing.use_by_ms;
    match lease {
        Some(lease) => LeaseAnswer {
            previous,
            ..lend::answer(book, &book.leases[lease], None, context.now, use_by_ms)
        },
        None => closed_answer(
            report.account,
            report.lease,
            previous,
            state(book, report.account, context),
        ),
    }
}

fn state(book: &Book, account: AccountId, context: &Context<'_>) -> AccountState {
    AccountState {
        version: book.account(account).map_or(0, |account| account.version),
        ceiling: None,
        block: book.block(account),
        mode: book.customer.mode,
        credential_version: book.customer.credential_version,
        balance: lend::balance(book, account, context.now),
    }
}

/// The answer to a report on an account or a lease that is not known.
#[must_use]
pub fn closed(report: &Report, state: AccountState) -> LeaseAnswer {
    let previous = report.previous.as_ref().map(|told| PreviousAnswer {
        lease: told.lease,
        settled: told.counters.settled,
        closed: true,
    });
    closed_answer(report.account, report.lease, previous, state)
}

fn closed_answer(
    account: AccountId,
    lease: LeaseNumber,
    previous: Option<PreviousAnswer>,
    state: AccountState,
) -> LeaseAnswer {
    LeaseAnswer {
        account,
        lease,
        phase: Phase::Closed,
        granted: Amount::ZERO,
        use_by_ms: 0,
        settled: Amount::ZERO,
        previous,
        keep: None,
        waiting: false,
        state,
    }
}

/// Which resolution charges the customer already.
pub(crate) const fn was_charged(kind: ResolutionKind) -> bool {
    matches!(
        kind,
        ResolutionKind::Consume | ResolutionKind::UnsettledHold
    )
}
