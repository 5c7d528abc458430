//! Which endpoints an event goes to.
//!
//! Deliveries are made for the endpoints that are there when the event happens, and at once:
//! so it does not matter which commands share a transaction. An endpoint that is disabled gets
//! nothing; what it missed can be sent to it later.

use super::{Delivery, DeliveryState, Endpoint, EndpointStatus};
use crate::context::Ids;
use crate::event::{Event, EventKind};
use crate::id::{DeliveryId, EndpointId, EventId};
use crate::time::Timestamp;

impl Endpoint {
    /// Whether it is there and gets anything.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.status == EndpointStatus::Enabled && self.deleted_at.is_none()
    }

    /// Whether it is to hear of events of this kind. Of a test only the endpoint that is tried
    /// hears, whatever it wants.
    #[must_use]
    pub fn wants(&self, kind: EventKind) -> bool {
        let subscribed = self.events.is_empty() || self.events.contains(&kind);
        kind != EventKind::Test && subscribed
    }
}

/// A delivery of every endpoint that is to hear of the event.
pub fn deliveries(event: &Event, endpoints: &[Endpoint], ids: &mut dyn Ids) -> Vec<Delivery> {
    endpoints
        .iter()
        .filter(|endpoint| endpoint.is_enabled() && endpoint.wants(event.kind))
        .map(|endpoint| delivery(event.id, event.kind, endpoint.id, event.at, ids))
        .collect()
}

/// A delivery that is due at once.
pub fn delivery(
    event: EventId,
    kind: EventKind,
    endpoint: EndpointId,
    now: Timestamp,
    ids: &mut dyn Ids,
) -> Delivery {
    Delivery {
        id: DeliveryId(ids.next()),
        event,
        kind,
        endpoint,
        state: DeliveryState::Pending,
        attempts: 0,
        next_at: Some(now),
        last_at: None,
        last_status: None,
        created_at: now,
    }
}
