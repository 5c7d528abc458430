//! Reports of gateways: counters are merged, credit moves with them, the answer is due.
//!
//! A report is cumulative and may come twice, late or out of order; only what is *above*
//! the largest counters known so far moves anything. A report that contradicts itself or
//! what was lent is not merged at all: its instance is to be frozen. How leases come to be
//! is in [`opening`], what counters move in [`merging`].

mod merging;
mod opening;
mod returning;

pub(crate) use merging::was_charged;
pub use opening::{ensure_account, resolve};
pub(crate) use returning::{book_return, burn};

use creditgate_core::amount::Amount;
use creditgate_core::lease::LeaseNumber;
use creditgate_core::protocol::{AccountState, Barred, LeaseAnswer, Phase, PreviousAnswer, Report};
use thiserror::Error;

use self::merging::{merge, take_back_unseen};
use self::opening::{is_offline, open_as_reported, open_offline};
use crate::book::Book;
use crate::context::Context;
use crate::decision;
use crate::expiry;
use crate::id::{AccountId, InstanceId};
use crate::journal::Journal;
use crate::lease::{LeaseState, QuarantineCause};
use crate::lend::{self, Need};
use crate::quarantine;

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
    if let Some(previous) = &report.previous
        && let Some(lease) = book
            .lease_place(report.account, reporter.instance, previous.lease)
            .or_else(|| {
                let lease = (previous.lease, &previous.counters);
                open_offline(book, context, report.account, reporter, lease)
            })
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
        None if is_offline(&report.counters) => {
            let lease = (report.lease, &report.counters);
            let lease = open_offline(book, context, report.account, reporter, lease);
            if let Some(lease) = lease {
                merge(book, journal, context, place, lease, &report.counters)?;
                is_busy = true;
            }
            lease
        }
        None => open_as_reported(book, journal, context, place, reporter, report),
    };
    set_aside_unnamed(book, journal, context, place, reporter, report);
    // A report that empties a wallet is answered with what the wallet then tops up by itself.
    decision::conclude(book, journal, context);
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
        let is_long_ago =
            context.now.since_ms(row.reported_at) >= context.registry.settings.silent_after_ms;
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
    let use_by_ms = context.registry.settings.timing.use_by_ms;
    match lease {
        Some(lease) => LeaseAnswer {
            previous,
            ..lend::answer(book, &book.leases[lease], None, context.now, use_by_ms)
        },
        None => closed_answer(
            report.account,
            report.lease,
            previous,
            lend::state(book, report.account, context.now),
        ),
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

pub(super) fn closed_answer(
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
