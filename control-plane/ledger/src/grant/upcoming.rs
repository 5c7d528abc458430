//! What is to be applied, as things stand: computed, never kept.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::calendar::zone;
use super::schedule::{Terms, grant_of, subscription_of};
use super::{Grant, GrantCadence, Schedule};
use crate::book::Book;
use crate::id::{GrantId, SubscriptionId};
use crate::registry::Registry;
use crate::subscription::{Subscription, SubscriptionStatus};
use crate::time::Timestamp;

/// An application to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upcoming {
    /// Of which grant.
    pub grant: Grant,
    /// For which subscription.
    pub subscription: Option<SubscriptionId>,
    /// Which one, from 0.
    pub occurrence: u32,
    /// When.
    pub scheduled_for: Timestamp,
    /// Until when its lot could be spent.
    pub expires_at: Option<Timestamp>,
    /// Why it would be skipped, as things stand.
    pub would_skip: Option<&'static str>,
}

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UpcomingFilter {
    /// For this subscription.
    pub subscription: Option<SubscriptionId>,
    /// After this place.
    pub after: Option<UpcomingPlace>,
}

/// A place in the order of what is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UpcomingPlace {
    /// When.
    pub at: Timestamp,
    /// How many of those of the same instant come before.
    pub nth: u32,
}

/// The next applications, soonest first, at most `limit`, each with its place.
#[must_use]
pub fn upcoming(
    book: &Book,
    registry: &Registry,
    filter: UpcomingFilter,
    limit: usize,
) -> Vec<(UpcomingPlace, Upcoming)> {
    let zone = zone(&book.customer.time_zone);
    let lines: Vec<Line<'_>> = book
        .schedules
        .iter()
        .filter(|schedule| {
            filter
                .subscription
                .is_none_or(|wanted| schedule.subscription == Some(wanted))
        })
        .filter_map(|schedule| Line::of(book, registry, schedule, zone))
        .collect();
    let mut heap: BinaryHeap<_> = lines
        .iter()
        .enumerate()
        .filter_map(|(place, line)| line.entry(place, line.start(filter.after)))
        .collect();
    let mut found = Vec::new();
    let mut last: Option<UpcomingPlace> = None;
    while let Some(Reverse((at, _, place, occurrence))) = heap.pop() {
        let Some(line) = lines.get(place) else { break };
        heap.extend(
            occurrence
                .checked_add(1)
                .and_then(|next| line.entry(place, next)),
        );
        let nth = last
            .filter(|last| last.at == at)
            .map_or(0, |last| last.nth.saturating_add(1));
        let here = UpcomingPlace { at, nth };
        last = Some(here);
        if filter.after.is_some_and(|after| here <= after) {
            continue;
        }
        if found.len() >= limit {
            break;
        }
        found.push((here, line.application(occurrence, at)));
    }
    found
}

type HeapEntry = Reverse<(Timestamp, (GrantId, Option<SubscriptionId>), usize, u32)>;

/// One schedule, to be followed into the future.
struct Line<'a> {
    schedule: &'a Schedule,
    grant: &'a Grant,
    subscription: Option<&'a Subscription>,
    terms: Terms<'a>,
}

impl<'a> Line<'a> {
    fn of(
        book: &'a Book,
        registry: &'a Registry,
        schedule: &'a Schedule,
        zone: chrono_tz::Tz,
    ) -> Option<Self> {
        schedule.next_at?;
        let grant = grant_of(book, registry, schedule.grant)?;
        let subscription = match schedule.subscription {
            Some(id) => Some(subscription_of(book, id)?),
            None => None,
        };
        Some(Self {
            schedule,
            grant,
            subscription,
            terms: Terms::new(grant, subscription, zone),
        })
    }

    /// The first occurrence to look at: what lies well before `after` need not be gone through.
    fn start(&self, after: Option<UpcomingPlace>) -> u32 {
        let by = after.map_or(0, |after| self.terms.occurrence_by(self.schedule, after.at));
        self.schedule.occurrence.max(by.saturating_sub(1))
    }

    fn entry(&self, place: usize, occurrence: u32) -> Option<HeapEntry> {
        if self.grant.cadence == GrantCadence::Onetime && occurrence > 0 {
            return None;
        }
        let at = self.terms.due_at(self.schedule, occurrence)?;
        let ends_at = self
            .subscription
            .and_then(|subscription| subscription.ends_at);
        let is_over = ends_at.is_some_and(|ends_at| at >= ends_at) || self.grant.is_archived(at);
        let key = (self.schedule.grant, self.schedule.subscription);
        (!is_over).then_some(Reverse((at, key, place, occurrence)))
    }

    fn application(&self, occurrence: u32, at: Timestamp) -> Upcoming {
        let is_paused = self
            .subscription
            .is_some_and(|subscription| subscription.status == SubscriptionStatus::Paused);
        let next = self.terms.due_after(self.schedule, occurrence);
        Upcoming {
            grant: self.grant.clone(),
            subscription: self.schedule.subscription,
            occurrence,
            scheduled_for: at,
            expires_at: self.terms.expires_at(at, next),
            would_skip: is_paused.then_some(super::apply::SUBSCRIPTION_PAUSED),
        }
    }
}
