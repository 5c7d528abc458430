//! What is told of changes: events, their deliveries, and the log of who changed what.

use std::collections::BTreeMap;

use creditgate_ledger::audit::AuditRecord;
use creditgate_ledger::id::{AuditId, CustomerId, DeliveryId, EndpointId, EventId};
use creditgate_ledger::webhook::{Attempt, Delivery, DeliveryState};
use creditgate_ledger::{Event, Timestamp};

use super::reads::rising;
use super::tables::Tables;
use crate::storage::{AuditFilter, DeliveryFilter, EventFilter, Page, PageRequest};
use crate::storage::{Cursor, FORGET_MAX};

impl Tables {
    pub(super) fn event(&self, id: EventId) -> Option<Event> {
        self.events.get(&id).cloned()
    }

    pub(super) fn events(&self, filter: EventFilter, page: PageRequest) -> Page<Event> {
        let events = self
            .events
            .values()
            .filter(|row| filter.customer.is_none_or(|of| row.customer == Some(of)))
            .filter(|row| filter.kind.is_none_or(|of| of == row.kind))
            .filter(|row| is_within(row.at, filter.from, filter.before));
        let at = |Cursor(id)| self.events.get(&EventId(id)).map(|row| row.at);
        newest(events, page, at, |row| (row.at, row.id.0))
    }

    /// Forgets old events with their deliveries and attempts, but none that is still to be told.
    pub(super) fn forget_events(&mut self, before: Timestamp) {
        let pending = |id| {
            let mut deliveries = self.deliveries.values();
            deliveries.any(|row| row.event == id && row.state == DeliveryState::Pending)
        };
        let mut old: Vec<_> = self
            .events
            .values()
            .filter(|row| row.at < before && !pending(row.id))
            .map(|row| (row.at, row.id))
            .collect();
        old.sort_unstable();
        for (_, event) in old.into_iter().take(FORGET_MAX) {
            self.events.remove(&event);
            let gone = self.deliveries.extract_if(.., |_, row| row.event == event);
            let gone: Vec<_> = gone.map(|(id, _)| id).collect();
            self.attempts
                .retain(|(delivery, _), _| !gone.contains(delivery));
        }
    }

    pub(super) fn delivery(&self, id: DeliveryId) -> Option<Delivery> {
        self.deliveries.get(&id).cloned()
    }

    pub(super) fn deliveries(&self, filter: DeliveryFilter, page: PageRequest) -> Page<Delivery> {
        let deliveries = self
            .deliveries
            .values()
            .rev()
            .filter(|row| page.cursor.is_none_or(|cursor| row.id.0 < cursor.0))
            .filter(|row| filter.endpoint.is_none_or(|of| of == row.endpoint))
            .filter(|row| filter.event.is_none_or(|of| of == row.event))
            .filter(|row| filter.state.is_none_or(|of| of == row.state))
            .cloned();
        rising(deliveries, page, |row| row.id.0)
    }

    fn pending(&self) -> impl Iterator<Item = &Delivery> {
        let deliveries = self.deliveries.values();
        deliveries.filter(|row| row.state == DeliveryState::Pending)
    }

    pub(super) fn due_deliveries(
        &self,
        endpoint: EndpointId,
        at: Timestamp,
        without: &[CustomerId],
        limit: u32,
    ) -> Vec<(Delivery, Event)> {
        let is_without = |event: &Event| event.customer.is_some_and(|of| without.contains(&of));
        let due = self.pending().filter(|row| row.endpoint == endpoint);
        let mut due: Vec<_> = due
            .filter(|row| row.next_at.is_some_and(|next| next <= at))
            .collect();
        due.sort_by_key(|row| (row.next_at, row.event, row.id));
        due.into_iter()
            .filter_map(|row| Some((row.clone(), self.event(row.event)?)))
            .filter(|(_, event)| !is_without(event))
            .take(limit as usize)
            .collect()
    }

    pub(super) fn next_deliveries(&self) -> Vec<(EndpointId, Timestamp)> {
        let mut next: BTreeMap<EndpointId, Timestamp> = BTreeMap::new();
        for row in self.pending() {
            let Some(at) = row.next_at else { continue };
            let known = next.entry(row.endpoint).or_insert(at);
            *known = at.min(*known);
        }
        next.into_iter().collect()
    }

    pub(super) fn pending_deliveries(&self) -> (u64, Option<Timestamp>) {
        let oldest = self.pending().map(|row| row.created_at).min();
        let count = u64::try_from(self.pending().count()).unwrap_or(u64::MAX);
        (count, oldest)
    }

    pub(super) fn attempts(&self, delivery: DeliveryId) -> Vec<Attempt> {
        let all = (delivery, 0)..=(delivery, u32::MAX);
        let attempts = self.attempts.range(all);
        attempts.map(|(_, attempt)| attempt.clone()).collect()
    }

    pub(super) fn audit(&self, filter: &AuditFilter, page: PageRequest) -> Page<AuditRecord> {
        let records = self
            .audit
            .values()
            .filter(|row| filter.customer.is_none_or(|of| row.customer == Some(of)))
            .filter(|row| filter.actor.as_ref().is_none_or(|of| *of == row.actor))
            .filter(|row| filter.action.as_ref().is_none_or(|of| *of == row.action))
            .filter(|row| {
                let is_among =
                    |of: &Vec<String>| of.iter().any(|of| row.subject.as_ref() == Some(of));
                filter.subjects.as_ref().is_none_or(is_among)
            })
            .filter(|row| is_within(row.at, filter.from, filter.before));
        let at = |Cursor(id)| self.audit.get(&AuditId(id)).map(|row| row.at);
        newest(records, page, at, |row| (row.at, row.id.0))
    }
}

fn is_within(at: Timestamp, from: Option<Timestamp>, before: Option<Timestamp>) -> bool {
    from.is_none_or(|from| at >= from) && before.is_none_or(|before| at < before)
}

/// A page of rows that have an instant: newest first, those of one instant by falling ids.
/// `at` is the instant of the row that the cursor names.
fn newest<'a, T: Clone + 'a>(
    rows: impl Iterator<Item = &'a T>,
    page: PageRequest,
    at: impl Fn(Cursor) -> Option<Timestamp>,
    place: impl Fn(&T) -> (Timestamp, u128),
) -> Page<T> {
    let mut rows: Vec<&T> = rows.collect();
    rows.sort_by_key(|row| core::cmp::Reverse(place(row)));
    let last = page.cursor.map(|cursor| Some((at(cursor)?, cursor.0)));
    let rows = rows
        .into_iter()
        .filter(|row| last.is_none_or(|last| last.is_some_and(|last| place(row) < last)))
        .cloned();
    rising(rows, page, |row| place(row).1)
}
