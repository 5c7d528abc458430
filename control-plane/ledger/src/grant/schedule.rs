//! When the applications of a grant are due, and until when their lots can be spent.

use std::ops::Range;

use chrono_tz::Tz;

use super::calendar::{Recurrence, later, zone};
use super::{Cadence, Grant, GrantCadence, GrantExpiry, Schedule, rollover};
use crate::book::Book;
use crate::context::Context;
use crate::id::{GrantId, SubscriptionId};
use crate::journal::Journal;
use crate::registry::Registry;
use crate::subscription::{Subscription, SubscriptionStatus};
use crate::time::Timestamp;

/// A grant with whom it is for: all that its instants depend on.
pub(super) struct Terms<'a> {
    grant: &'a Grant,
    subscription: Option<&'a Subscription>,
    zone: Tz,
}

impl<'a> Terms<'a> {
    pub(super) fn new(grant: &'a Grant, subscription: Option<&'a Subscription>, zone: Tz) -> Self {
        Self {
            grant,
            subscription,
            zone,
        }
    }

    /// The schedule of a grant that is taken up at `now`. If its anchor has passed, the first
    /// application is that of the period which runs, at once; those before are not made up for.
    pub(super) fn begin(&self, now: Timestamp) -> Schedule {
        let began_at = self
            .subscription
            .map_or(now, |subscription| subscription.started_at.max(now));
        let offset = self
            .recurrence()
            .and_then(|recurrence| recurrence.last_by(began_at));
        let mut schedule = Schedule {
            grant: self.grant.id,
            subscription: self.subscription.map(|subscription| subscription.id),
            began_at,
            offset: offset.unwrap_or(0),
            occurrence: 0,
            next_at: None,
        };
        schedule.next_at = self.due_at(&schedule, 0);
        schedule
    }

    /// When application `occurrence` is due; none: there is none.
    pub(super) fn due_at(&self, schedule: &Schedule, occurrence: u32) -> Option<Timestamp> {
        match self.grant.cadence {
            GrantCadence::Onetime => (occurrence == 0).then_some(schedule.began_at),
            GrantCadence::Recurring(_) => {
                let period = schedule.offset.checked_add(occurrence)?;
                let start = self.recurrence()?.nth(period)?;
                Some(start.max(schedule.began_at))
            }
        }
    }

    /// The last application that is due at or before `at`; 0 if there is none.
    pub(super) fn occurrence_by(&self, schedule: &Schedule, at: Timestamp) -> u32 {
        self.recurrence()
            .and_then(|recurrence| recurrence.last_by(at))
            .map_or(0, |period| period.saturating_sub(schedule.offset))
    }

    /// When the lot of the application that is due at `due` expires, if the one after it is due
    /// at `next`; none: never. What is to be carried on lasts until then: from the midst of a
    /// period it may be longer to the next application than the duration.
    pub(super) fn expires_at(&self, due: Timestamp, next: Option<Timestamp>) -> Option<Timestamp> {
        let by_terms = match self.grant.expiry {
            GrantExpiry::Never => None,
            GrantExpiry::Duration(duration) => self.after(due, duration),
            GrantExpiry::BillingCycle => {
                let subscription = self.subscription?;
                Recurrence::new(subscription.started_at, self.zone, subscription.billing)?
                    .next_after(due)
            }
        }?;
        let next = next.filter(|_| self.grant.rollover.is_some());
        Some(next.map_or(by_terms, |next| next.max(by_terms)))
    }

    /// When the application after `occurrence` is due.
    pub(super) fn due_after(&self, schedule: &Schedule, occurrence: u32) -> Option<Timestamp> {
        self.due_at(schedule, occurrence.checked_add(1)?)
    }

    /// How long after `due` the duration is over. At the start of a period it is counted as
    /// the periods are, so that a month of a monthly grant ends when the next begins.
    fn after(&self, due: Timestamp, duration: Cadence) -> Option<Timestamp> {
        let at_start = self.recurrence().and_then(|recurrence| {
            let n = recurrence.last_by(due)?;
            (recurrence.nth(n) == Some(due)).then_some((recurrence, n))
        });
        match at_start {
            Some((recurrence, n)) => recurrence.nth_and(n, duration),
            None => later(due, self.zone, duration),
        }
    }

    fn recurrence(&self) -> Option<Recurrence> {
        let GrantCadence::Recurring(cadence) = self.grant.cadence else {
            return None;
        };
        let anchor = self.grant.anchor.unwrap_or_else(|| {
            self.subscription
                .map_or(self.grant.created_at, |subscription| {
                    subscription.started_at
                })
        });
        Recurrence::new(anchor, self.zone, cadence)
    }
}

/// Where a grant stands; none if nothing more is applied of it.
pub(super) fn schedule_of(
    book: &Book,
    grant: GrantId,
    subscription: Option<SubscriptionId>,
) -> Option<&Schedule> {
    book.schedules
        .iter()
        .find(|schedule| schedule.grant == grant && schedule.subscription == subscription)
}

/// A grant that a schedule of the book is of, archived or not.
pub(super) fn grant_of<'a>(
    book: &'a Book,
    registry: &'a Registry,
    id: GrantId,
) -> Option<&'a Grant> {
    let own = book.grants.iter().find(|grant| grant.id == id);
    own.or_else(|| registry.plan_grant(id))
}

/// A subscription of the book that is not over.
pub(super) fn subscription_of(book: &Book, id: SubscriptionId) -> Option<&Subscription> {
    book.subscriptions
        .iter()
        .find(|subscription| subscription.id == id)
        .filter(|subscription| subscription.status != SubscriptionStatus::Cancelled)
}

/// Puts a grant into the book's schedules.
pub(crate) fn take_up(
    book: &mut Book,
    grant: &Grant,
    subscription: Option<SubscriptionId>,
    now: Timestamp,
) {
    let zone = zone(&book.customer.time_zone);
    let subscription = subscription.and_then(|id| subscription_of(book, id));
    let schedule = Terms::new(grant, subscription, zone).begin(now);
    book.schedules.push(schedule);
}

/// Nothing more is applied of the schedules that are `over`.
pub(crate) fn end(book: &mut Book, over: impl Fn(&Schedule) -> bool) {
    for schedule in book.schedules.iter_mut().filter(|schedule| over(schedule)) {
        schedule.next_at = None;
    }
}

/// Counts what is still to come anew, after the customer's zone has changed. Applications keep
/// their numbers, so none is lost and none happens twice. Credit that lasted until the next one
/// still does.
pub fn reschedule(book: &mut Book, journal: &mut Journal, context: &mut Context<'_>) {
    let zone = zone(&book.customer.time_zone);
    for place in 0..book.schedules.len() {
        let schedule = &book.schedules[place];
        let Some(before) = schedule.next_at else {
            continue;
        };
        let subscription = schedule
            .subscription
            .and_then(|id| subscription_of(book, id));
        let Some(grant) = grant_of(book, context.registry, schedule.grant) else {
            continue;
        };
        let terms = Terms::new(grant, subscription, zone);
        let next_at = terms.due_at(schedule, schedule.occurrence);
        book.schedules[place].next_at = next_at;
        if let Some(next_at) = next_at.filter(|next_at| before < *next_at) {
            extend(book, journal, context, place, before..next_at);
        }
    }
}

/// Puts off to its end what of a schedule's credit would expire in the gap that a move makes
/// between the instant at which the next application would have been due and the new one.
fn extend(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    gap: Range<Timestamp>,
) {
    let (grant, subscription) = {
        let schedule = &book.schedules[place];
        (schedule.grant, schedule.subscription)
    };
    for lot in 0..book.lots.len() {
        let row = &book.lots[lot];
        let is_in_gap = row.expires_at.is_some_and(|at| gap.contains(&at));
        let is_due = is_in_gap && !row.has_expired(context.now);
        if is_due && rollover::is_given_by(row, grant, subscription) {
            let reason = row.reason;
            rollover::extend(book, journal, context, lot, gap.end, reason);
        }
    }
}
