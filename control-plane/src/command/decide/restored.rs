//! What a restored database makes of the leases that it knows.
//!
//! Since the backup a gateway may have spent, returned or been lent more: nobody here knows.
//! So what was out is set aside, and versions go on far above those that gateways may have
//! heard of in the meantime: what they are told from now on counts as newer.

use creditgate_core::lease::{Counters, LeaseNumber};
use creditgate_core::protocol::{LeaseAnswer, PreviousAnswer, Report};
use creditgate_ledger::context::Context;
use creditgate_ledger::id::{AccountId, InstanceId};
use creditgate_ledger::report::{self, Impossible, Reporter};
use creditgate_ledger::{Book, Journal, LeaseState, QuarantineCause, expiry, lend, quarantine};

/// More than any version grows between a backup and its restoration.
pub(super) const VERSIONS_SKIPPED: u64 = 1 << 32;

/// As [`VERSIONS_SKIPPED`], for versions of half the width.
const CREDENTIAL_VERSIONS_SKIPPED: u32 = 1 << 16;

/// Sets all leases of a customer's aside that are not closed, and skips versions.
pub(super) fn begin_anew(book: &mut Book, journal: &mut Journal, context: &mut Context<'_>) {
    for place in 0..book.accounts.len() {
        expiry::pass(book, journal, context, place);
    }
    for lease in 0..book.leases.len() {
        let row = &book.leases[lease];
        if row.state == LeaseState::Closed {
            continue;
        }
        if let Some(place) = book.account_place(row.account) {
            let cause = QuarantineCause::DatabaseRestored;
            quarantine::set_aside(book, journal, context, place, lease, cause);
        }
        // Also of one that was quarantined before: it may have been accounted for since.
        let row = &mut book.leases[lease];
        row.quarantine_cause = Some(QuarantineCause::DatabaseRestored);
        if row.state == LeaseState::Quarantined {
            row.quarantined_at = Some(context.now);
        }
    }
    for place in 0..book.accounts.len() {
        lend::settle_waiters(book, journal, context, place);
    }
    for account in &mut book.accounts {
        account.version = account.version.saturating_add(VERSIONS_SKIPPED);
        account.last_instant = account.last_instant.max(context.now);
    }
    let version = &mut book.customer.credential_version;
    *version = version.wrapping_add(CREDENTIAL_VERSIONS_SKIPPED);
}

/// Merges a report, as the ledger does; but counters that a lease from before the restoration
/// came to in the ledger that is gone are no contradiction: that lease stays aside, and the
/// gateway is told that it is over.
pub(super) fn report(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    reporter: Reporter,
    report: &Report,
) -> Result<LeaseAnswer, Impossible> {
    let outgrew = |lease, counters: &Counters| {
        outgrew(book, report.account, reporter.instance, lease, counters)
    };
    if outgrew(report.lease, &report.counters) {
        let state = creditgate_core::protocol::AccountState::unknown();
        return Ok(report::closed(report, state));
    }
    let over = report
        .previous
        .as_ref()
        .filter(|previous| outgrew(previous.lease, &previous.counters));
    let Some(over) = over else {
        return report::report(book, journal, context, reporter, report);
    };
    let rest = Report {
        previous: None,
        ..report.clone()
    };
    let answer = report::report(book, journal, context, reporter, &rest)?;
    Ok(LeaseAnswer {
        previous: Some(PreviousAnswer {
            lease: over.lease,
            settled: over.counters.settled,
            closed: true,
        }),
        ..answer
    })
}

fn outgrew(
    book: &Book,
    account: AccountId,
    instance: InstanceId,
    lease: LeaseNumber,
    counters: &Counters,
) -> bool {
    let known = book.lease_place(account, instance, lease);
    let known = known.and_then(|place| book.leases.get(place));
    known.is_some_and(|known| {
        known.quarantine_cause == Some(QuarantineCause::DatabaseRestored)
            && counters.granted > known.counters.granted
    })
}
