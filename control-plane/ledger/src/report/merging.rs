//! What larger counters move: settled credit is spent, returned credit goes
//! [back](super::returning).

use creditgate_core::amount::Amount;
use creditgate_core::lease::Counters;

use super::Impossible;
use super::returning::{book_return, burn};
use crate::book::Book;
use crate::context::Context;
use crate::journal::{About, EntryKind, Journal, LedgerAccount, ReasonCode};
use crate::lease::{Lease, LeaseState, Pin, ResolutionKind};
use crate::lend;
use crate::quarantine;
use crate::time::Timestamp;

/// Why credit comes back that a gateway gives back.
const RETURNED: (ReasonCode, Option<&str>) = (ReasonCode::LeaseLending, None);

/// Takes over counters that are larger than known, and moves credit accordingly.
pub(super) fn merge(
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
    let bound = context.registry.settings.overrun_bound();
    if after.overrun() > bound {
        return Err(impossible(format!(
            "it used {} more than was lent; the bound is {}",
            after.overrun().get(),
            bound.get()
        )));
    }
    note_burn(&mut book.leases[lease], &after, context);
    if before == after {
        return Ok(());
    }
    book.touch(place, context.now);
    if book.leases[lease].resolution.is_some() {
        let beyond = quarantine::merge_late(book, journal, context, place, lease, &after);
        lend_beyond(book, journal, context, place, lease, beyond);
        book_usage(book, journal, context, place, lease, beyond, from);
        return Ok(());
    }
    book.leases[lease].counters = after;
    let overrun = after.overrun();
    lend_beyond(book, journal, context, place, lease, overrun);
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
        RETURNED,
    );
    let lease = &mut book.leases[lease];
    if lease.state != LeaseState::Open || !lease.newest {
        lease.state = match lease.counters.is_balanced() {
            true => LeaseState::Closed,
            // It was closed with nothing out, and has been overrun since.
            false if lease.state == LeaseState::Closed => LeaseState::Draining,
            false => lease.state,
        };
    }
    lease.reported_at = context.now;
    Ok(())
}

/// A gateway admits nothing under a lease it has turned, so whatever still remains there as
/// far as we know (credit whose answer was lost, or is on its way) is back already: the
/// gateway will return it unused as soon as it sees it, by the very counter that grows here.
pub(super) fn take_back_unseen(
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
    book_return(book, journal, context, place, lease, unseen, RETURNED);
    book.touch(place, context.now);
    let lease = &mut book.leases[lease];
    if lease.state != LeaseState::Open && lease.counters.is_balanced() {
        lease.state = LeaseState::Closed;
    }
}

/// What was used beyond what was lent is lent now: from what is free, the rest as debt.
fn lend_beyond(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    lease: usize,
    overrun: Amount,
) {
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

/// Which resolution charges the customer already.
pub(crate) const fn was_charged(kind: ResolutionKind) -> bool {
    matches!(
        kind,
        ResolutionKind::Consume | ResolutionKind::UnsettledHold
    )
}
