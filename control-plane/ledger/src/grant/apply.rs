//! Applying what is due: subscriptions that end, applications that failed before, applications
//! whose instant has come. Whatever is due at once is done in the order of its instants, as
//! if each had been decided then; only what was booked meanwhile shows that it was later.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::calendar::zone;
use super::schedule::{Terms, grant_of, schedule_of, subscription_of};
use super::{Application, ApplicationState, Grant, landing};
use crate::book::Book;
use crate::context::Context;
use crate::event::EventKind;
use crate::event::tell::{Tale, word};
use crate::expiry;
use crate::id::{AccountId, ApplicationId, GrantId, SubscriptionId};
use crate::journal::Journal;
use crate::lend;
use crate::refusal::Refusal;
use crate::subscription::{self, Subscription, SubscriptionStatus};
use crate::time::Timestamp;

/// How often an application is tried by itself.
pub const ATTEMPTS_MAX: u32 = 10;

/// Most applications that one decision catches up with.
pub const CATCH_UP_MAX: usize = 10_000;

/// Between the first attempt and the second; each further pause is longer.
const RETRY_FIRST_MS: u64 = 60_000;

/// How much longer each pause is than the one before.
const RETRY_FACTOR: u64 = 4;

/// The longest pause between two attempts.
const RETRY_MAX_MS: u64 = 24 * 60 * 60 * 1_000;

/// Why an application is skipped: its subscription was paused when it was due.
pub(super) const SUBSCRIPTION_PAUSED: &str = "subscription_paused";

/// Its lot would have expired before it was booked.
const PERIOD_OVER: &str = "period_over";

/// It had failed, and its subscription ended before it was tried again.
pub(crate) const SUBSCRIPTION_CANCELLED: &str = "subscription_cancelled";

/// It had failed, and its grant was archived before it was tried again.
const GRANT_ARCHIVED: &str = "grant_archived";

/// What is due. At the same instant a subscription ends before anything is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    End(SubscriptionId),
    Retry(ApplicationId),
    Application(GrantId, Option<SubscriptionId>, usize),
}

/// Whether something is due that [`pass`] did not come to.
#[must_use]
pub fn is_behind(book: &Book, now: Timestamp) -> bool {
    behind_since(book, now).is_some()
}

/// The first instant of what is due and [`pass`] did not come to.
pub(crate) fn behind_since(book: &Book, now: Timestamp) -> Option<Timestamp> {
    let ends = book.subscriptions.iter().map(subscription::next_instant);
    let retries = book.applications.iter().map(|known| known.retry_at);
    let next = book.schedules.iter().map(|schedule| schedule.next_at);
    let instants = ends.chain(retries).chain(next).flatten();
    instants.filter(|instant| *instant <= now).min()
}

/// Does all that is due, at most [`CATCH_UP_MAX`] of it.
pub fn pass(book: &mut Book, journal: &mut Journal, context: &mut Context<'_>) {
    if !is_behind(book, context.now) {
        return;
    }
    // What is booked here moves the accounts' time on; what became effective must show first.
    for place in 0..book.accounts.len() {
        expiry::note_effective(book, journal, context, place);
    }
    let versions: Vec<(AccountId, u64)> = book
        .accounts
        .iter()
        .map(|account| (account.id, account.version))
        .collect();
    let mut due = due(book, context.now);
    let mut ended = Vec::new();
    for _ in 0..CATCH_UP_MAX {
        let Some(Reverse((at, what))) = due.pop() else {
            break;
        };
        match what {
            Due::End(id) => ended.extend(subscription::end(book, journal, context, id)),
            Due::Retry(id) => {
                let place = book.applications.iter().position(|known| known.id == id);
                if let Some(place) =
                    place.filter(|place| book.applications[*place].retry_at == Some(at))
                {
                    again(book, journal, context, place);
                }
            }
            Due::Application(grant, subscription, place) => {
                if book.schedules[place].next_at != Some(at) {
                    continue;
                }
                apply(book, journal, context, place);
                let next_at = book.schedules[place].next_at;
                due.extend(
                    next_at
                        .filter(|next| *next <= context.now)
                        .map(|next| Reverse((next, Due::Application(grant, subscription, place)))),
                );
            }
        }
    }
    for place in 0..book.accounts.len() {
        expiry::pass(book, journal, context, place);
    }
    // Only now, when what has expired was booked as such.
    for ended in ended {
        subscription::void_unspent(book, journal, context, &ended);
    }
    for place in 0..book.accounts.len() {
        let account = &book.accounts[place];
        if !versions.contains(&(account.id, account.version)) {
            lend::settle_waiters(book, journal, context, place);
        }
    }
}

fn due(book: &Book, now: Timestamp) -> BinaryHeap<Reverse<(Timestamp, Due)>> {
    let ends = book.subscriptions.iter().filter_map(|row| {
        let ends_at = subscription::next_instant(row)?;
        Some((ends_at, Due::End(row.id)))
    });
    let retries = book
        .applications
        .iter()
        .filter_map(|row| Some((row.retry_at?, Due::Retry(row.id))));
    let next = book
        .schedules
        .iter()
        .enumerate()
        .filter_map(|(place, row)| {
            let due = Due::Application(row.grant, row.subscription, place);
            Some((row.next_at?, due))
        });
    ends.chain(retries)
        .chain(next)
        .filter(|(instant, _)| *instant <= now)
        .map(Reverse)
        .collect()
}

/// What an application is decided by, besides the book.
pub(super) struct Case {
    pub(super) grant: Grant,
    subscription: Option<Subscription>,
    /// When its lot expires.
    pub(super) expires_at: Option<Timestamp>,
    /// Its lot would be over, but the next application, which is due too, carries it on.
    is_carried_on: bool,
}

/// Decides the next application of a schedule, and moves the schedule on.
fn apply(book: &mut Book, journal: &mut Journal, context: &mut Context<'_>, place: usize) {
    let schedule = book.schedules[place].clone();
    let Some(scheduled_for) = schedule.next_at else {
        return;
    };
    book.schedules[place].next_at = None;
    let grant = grant_of(book, context.registry, schedule.grant);
    let Some(grant) = grant.filter(|grant| !grant.is_archived(scheduled_for)) else {
        return;
    };
    let subscription = match schedule.subscription.map(|id| subscription_of(book, id)) {
        Some(None) => return,
        found => found.flatten(),
    };
    let terms = Terms::new(grant, subscription, zone(&book.customer.time_zone));
    let next_at = terms.due_after(&schedule, schedule.occurrence);
    let ends_at = subscription.and_then(|subscription| subscription.ends_at);
    let is_carried_on = grant.rollover.is_some()
        && next_at.is_some_and(|next_at| {
            let goes_on = ends_at.is_none_or(|ends_at| next_at < ends_at);
            next_at <= context.now && goes_on && !grant.is_archived(next_at)
        });
    let case = Case {
        expires_at: terms.expires_at(scheduled_for, next_at),
        grant: grant.clone(),
        subscription: subscription.cloned(),
        is_carried_on,
    };
    let schedule = &mut book.schedules[place];
    schedule.next_at = next_at;
    let mut application = Application {
        id: ApplicationId(context.ids.next()),
        grant: schedule.grant,
        subscription: schedule.subscription,
        customer: book.customer.id,
        occurrence: schedule.occurrence,
        scheduled_for,
        state: ApplicationState::Scheduled,
        cause: None,
        attempts: 0,
        retry_at: None,
        wallet: None,
        lot: None,
        amount: creditgate_core::amount::Amount::ZERO,
        rolled_over: creditgate_core::amount::Amount::ZERO,
        carried: false,
        decided_at: context.now,
    };
    schedule.occurrence = schedule.occurrence.saturating_add(1);
    decide(book, journal, context, &mut application, &case);
    book.applications.push(application);
}

/// Tries an application that failed once more.
///
/// # Errors
/// An unknown application, or one that did not fail.
pub fn retry(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    id: ApplicationId,
) -> Result<Application, Refusal> {
    let found = book.applications.iter().position(|known| known.id == id);
    let place = found.ok_or_else(|| Refusal::NotFound {
        what: "application",
        id: id.to_string(),
    })?;
    if book.applications[place].state != ApplicationState::Failed {
        return Err(Refusal::Conflict {
            code: "application_not_failed",
            problem: "only an application that failed can be tried again".to_owned(),
        });
    }
    again(book, journal, context, place);
    let application = book.applications[place].clone();
    let account = application.wallet.and_then(|wallet| book.wallet(wallet));
    let place = account.and_then(|wallet| book.account_place(wallet.account));
    if let Some(place) = place {
        expiry::pass(book, journal, context, place);
        lend::settle_waiters(book, journal, context, place);
    }
    Ok(application)
}

fn again(book: &mut Book, journal: &mut Journal, context: &mut Context<'_>, place: usize) {
    let mut application = book.applications[place].clone();
    let grant = grant_of(book, context.registry, application.grant);
    let grant = grant.filter(|grant| !grant.is_archived(context.now));
    let subscription = application.subscription.map(|id| subscription_of(book, id));
    match (grant, subscription) {
        (Some(grant), None | Some(Some(_))) => {
            let subscription = subscription.flatten();
            let terms = Terms::new(grant, subscription, zone(&book.customer.time_zone));
            let schedule = schedule_of(book, application.grant, application.subscription);
            let next =
                schedule.and_then(|schedule| terms.due_after(schedule, application.occurrence));
            let case = Case {
                expires_at: terms.expires_at(application.scheduled_for, next),
                grant: grant.clone(),
                subscription: subscription.cloned(),
                is_carried_on: false,
            };
            decide(book, journal, context, &mut application, &case);
        }
        (None, _) => skip(book, journal, context, &mut application, GRANT_ARCHIVED),
        (_, Some(None)) => skip(
            book,
            journal,
            context,
            &mut application,
            SUBSCRIPTION_CANCELLED,
        ),
    }
    book.applications[place] = application;
}

fn decide(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    application: &mut Application,
    case: &Case,
) {
    let is_paused = case.subscription.as_ref().is_some_and(|subscription| {
        subscription.status == SubscriptionStatus::Paused
            && subscription
                .paused_at
                .is_none_or(|paused_at| paused_at <= application.scheduled_for)
    });
    let is_over = case
        .expires_at
        .is_some_and(|expires_at| expires_at <= context.now);
    if is_paused {
        return skip(book, journal, context, application, SUBSCRIPTION_PAUSED);
    }
    if is_over && !case.is_carried_on {
        return skip(book, journal, context, application, PERIOD_OVER);
    }
    application.attempts = application.attempts.saturating_add(1);
    application.decided_at = context.now;
    match landing::give(book, journal, context, application, case) {
        Ok(()) => {
            application.state = ApplicationState::Applied;
            application.cause = None;
            application.retry_at = None;
            tell(book, journal, context, EventKind::GrantApplied, application);
        }
        Err(refusal) => {
            application.state = ApplicationState::Failed;
            application.cause = Some(refusal.code().to_owned());
            application.retry_at = retry_at(context.now, application.attempts);
            tell(book, journal, context, EventKind::GrantFailed, application);
        }
    }
}

/// Decides that an application is not to be.
pub(crate) fn skip(
    book: &Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    application: &mut Application,
    cause: &str,
) {
    application.state = ApplicationState::Skipped;
    application.cause = Some(cause.to_owned());
    application.retry_at = None;
    application.decided_at = context.now;
    tell(book, journal, context, EventKind::GrantSkipped, application);
}

fn retry_at(now: Timestamp, attempts: u32) -> Option<Timestamp> {
    if attempts >= ATTEMPTS_MAX {
        return None;
    }
    let factor = RETRY_FACTOR.saturating_pow(attempts.saturating_sub(1));
    Some(now.plus_ms(RETRY_FIRST_MS.saturating_mul(factor).min(RETRY_MAX_MS)))
}

fn tell(
    book: &Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    kind: EventKind,
    application: &Application,
) {
    let mut tale = application
        .wallet
        .map_or_else(|| Tale::of_customer(book), |id| Tale::of_wallet(book, id));
    let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
    tale.say("application_id", application.id.to_string());
    tale.say("grant_id", application.grant.to_string());
    tale.say(
        "subscription_id",
        application.subscription.map(|id| id.to_string()),
    );
    tale.say("occurrence", application.occurrence);
    tale.say("scheduled_for", application.scheduled_for.to_string());
    tale.say("state", word(&application.state));
    tale.say("cause", application.cause.clone());
    tale.say("attempts", application.attempts);
    tale.say("retry_at", text(application.retry_at));
    tale.say("lot_id", application.lot.map(|id| id.to_string()));
    tale.say_value(application.amount);
    tale.say_amount("rolled_over", application.rolled_over);
    tale.tell(book, journal, context, kind);
}
