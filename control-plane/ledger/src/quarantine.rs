//! Credit whose use is unknown: set aside, never taken back by time alone.
//!
//! A lease is quarantined when its instance fell silent or lost its cell. What it had out
//! stays out of the balance until a late report accounts for it, or an operator (or the
//! operator's policy) decides. A decided lease is fenced: reports that come later move
//! money only between that decision's booking and spent, never the customer's balance.

use creditgate_core::amount::Amount;
use creditgate_core::lease::Counters;

use crate::book::Book;
use crate::context::Context;
use crate::id::LeaseId;
use crate::journal::{About, EntryKind, Journal, LedgerAccount, ReasonCode};
use crate::lease::{Hold, Lease, LeaseState, QuarantineCause, Resolution, ResolutionKind};
use crate::lend;
use crate::refusal::Refusal;
use crate::report;

/// Sets a lease aside. One that has nothing out is closed.
pub fn set_aside(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    lease: usize,
    cause: QuarantineCause,
) {
    let row = &mut book.leases[lease];
    if !matches!(row.state, LeaseState::Open | LeaseState::Draining) {
        return;
    }
    row.pushes = row.pushes.saturating_add(1);
    row.recall = false;
    row.protection = None;
    let outstanding = row.counters.outstanding();
    if outstanding.is_zero() {
        row.state = LeaseState::Closed;
        book.touch(place, context.now);
        return;
    }
    #[cfg(feature = "defects")]
    if cause == QuarantineCause::InstanceSilent
        && creditgate_core::defects::is_planted(
            creditgate_core::defects::Defect::ReclaimedByTimeOut,
        )
    {
        row.counters.returned = row.counters.returned.saturating_add(outstanding);
        row.state = LeaseState::Closed;
        let why = (ReasonCode::LeaseLending, None);
        report::book_return(book, journal, context, place, lease, outstanding, why);
        return;
    }
    row.state = LeaseState::Quarantined;
    row.quarantined_at = Some(context.now);
    row.quarantine_cause = Some(cause);
    let about = About {
        lease: Some(row.id),
        ..About::default()
    };
    let movement = (LedgerAccount::Lent, LedgerAccount::Quarantined, outstanding);
    let account = &mut book.accounts[place];
    journal.transfer(
        context,
        account,
        EntryKind::Quarantine,
        ReasonCode::LeaseQuarantined,
        movement,
        Vec::new(),
        about,
    );
    book.touch(place, context.now);
}

/// Decides over a quarantined lease.
///
/// # Errors
/// [`Refusal::Conflict`] `lease_not_quarantined`.
pub fn resolve(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    id: LeaseId,
    kind: ResolutionKind,
    reason: &str,
) -> Result<Amount, Refusal> {
    let lease = quarantined(book, id)?;
    let row = &book.leases[lease];
    let account = book.account_place(row.account);
    let place = account.ok_or_else(|| Refusal::NotFound {
        what: "account",
        id: row.account.to_string(),
    })?;
    let outstanding = row.counters.outstanding();
    match kind {
        ResolutionKind::Release => {
            let why = (ReasonCode::LeaseReleased, Some("quarantine released"));
            report::book_return(book, journal, context, place, lease, outstanding, why);
        }
        ResolutionKind::Consume | ResolutionKind::UnsettledHold => {
            charge(
                book,
                journal,
                context,
                place,
                lease,
                ReasonCode::LeaseConsumed,
                reason,
            );
        }
    }
    close(book, context, lease, kind, outstanding, reason);
    book.touch(place, context.now);
    lend::settle_waiters(book, journal, context, place);
    Ok(outstanding)
}

/// Keeps a quarantined lease from the operator's policy until someone decides over it.
///
/// # Errors
/// [`Refusal::Conflict`] `lease_not_quarantined`, `lease_on_hold`.
pub fn hold(
    book: &mut Book,
    context: &Context<'_>,
    id: LeaseId,
    reason: &str,
) -> Result<(), Refusal> {
    let lease = quarantined(book, id)?;
    let row = &mut book.leases[lease];
    not_held(row.hold.as_ref(), id)?;
    row.hold = Some(Hold {
        at: context.now,
        actor: context.actor.to_owned(),
        reason: reason.to_owned(),
    });
    Ok(())
}

/// Decides over a quarantined lease by the operator's policy, unless it is held.
///
/// # Errors
/// As of [`resolve`], and [`Refusal::Conflict`] `lease_on_hold`.
pub fn resolve_by_policy(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    id: LeaseId,
    kind: ResolutionKind,
) -> Result<Amount, Refusal> {
    let lease = quarantined(book, id)?;
    not_held(book.leases[lease].hold.as_ref(), id)?;
    let reason = "the quarantine lasted as long as the settings say";
    resolve(book, journal, context, id, kind, reason)
}

fn not_held(hold: Option<&Hold>, id: LeaseId) -> Result<(), Refusal> {
    match hold {
        None => Ok(()),
        Some(hold) => Err(Refusal::Conflict {
            code: "lease_on_hold",
            problem: format!(
                "lease {id} is held since {} by {}; release or consume it",
                hold.at, hold.actor
            ),
        }),
    }
}

/// A lease that is not in the book any more is history, and so is not quarantined either.
fn quarantined(book: &Book, id: LeaseId) -> Result<usize, Refusal> {
    let is_it = |lease: &Lease| lease.id == id && lease.state == LeaseState::Quarantined;
    let found = book.leases.iter().position(is_it);
    found.ok_or_else(|| Refusal::Conflict {
        code: "lease_not_quarantined",
        problem: format!("lease {id} is not quarantined; only quarantined credit can be resolved"),
    })
}

/// Books what a turned lease still holds after the longest stream: charged, and closed.
pub fn book_hold(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    lease: usize,
) {
    let row = &book.leases[lease];
    let outstanding = row.counters.outstanding();
    if row.resolution.is_some() || outstanding.is_zero() {
        return;
    }
    let reason = "outlived the longest stream";
    charge(
        book,
        journal,
        context,
        place,
        lease,
        ReasonCode::UnsettledHold,
        reason,
    );
    close(
        book,
        context,
        lease,
        ResolutionKind::UnsettledHold,
        outstanding,
        reason,
    );
    book.touch(place, context.now);
}

/// Takes over counters of a lease that was decided over already. Answers what was settled
/// beyond what was decided over, and so is the customer's still to pay.
pub fn merge_late(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    lease: usize,
    after: &Counters,
) -> Amount {
    let row = &mut book.leases[lease];
    let settled = after.settled.saturating_sub(row.counters.settled);
    row.counters = *after;
    let Some(resolution) = &row.resolution else {
        return Amount::ZERO;
    };
    let (from, reason) = if report::was_charged(resolution.kind) {
        (LedgerAccount::Unattributed, ReasonCode::Usage)
    } else {
        (LedgerAccount::LeaseLoss, ReasonCode::LeaseLoss)
    };
    let late = after.settled.saturating_sub(resolution.counters.settled);
    // Of released credit only what was not returned can have been used.
    let unused = match resolution.kind {
        ResolutionKind::Release => after.returned.saturating_sub(resolution.counters.returned),
        ResolutionKind::Consume | ResolutionKind::UnsettledHold => Amount::ZERO,
    };
    let all = settled;
    let settled = all.min(
        resolution
            .amount
            .saturating_sub(unused)
            .saturating_sub(late.saturating_sub(all))
            .max(Amount::ZERO),
    );
    let about = About {
        lease: Some(row.id),
        usage_from: Some(resolution.at),
        ..About::default()
    };
    let account = &mut book.accounts[place];
    let movement = (from, LedgerAccount::Spent, settled);
    journal.transfer(
        context,
        account,
        EntryKind::Usage,
        reason,
        movement,
        Vec::new(),
        about,
    );
    all.saturating_sub(settled)
}

fn charge(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    lease: usize,
    reason: ReasonCode,
    note: &str,
) {
    let outstanding = book.leases[lease].counters.outstanding();
    let pins = book.leases[lease].take_front(outstanding);
    let draws = report::burn(book, &pins);
    let row = &book.leases[lease];
    let about = About {
        lease: Some(row.id),
        note: Some(note.to_owned()),
        ..About::default()
    };
    let movement = (row.holder(), LedgerAccount::Unattributed, outstanding);
    let account = &mut book.accounts[place];
    journal.transfer(
        context,
        account,
        EntryKind::Resolution,
        reason,
        movement,
        draws,
        about,
    );
}

fn close(
    book: &mut Book,
    context: &Context<'_>,
    lease: usize,
    kind: ResolutionKind,
    amount: Amount,
    reason: &str,
) {
    let row = &mut book.leases[lease];
    row.resolution = Some(Resolution {
        kind,
        amount,
        at: context.now,
        actor: context.actor.to_owned(),
        reason: reason.to_owned(),
        counters: row.counters,
    });
    row.state = LeaseState::Closed;
    row.pushes = row.pushes.saturating_add(1);
}
