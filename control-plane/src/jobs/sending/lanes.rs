//! Who is under way to which endpoint. Knows no time and no connections.

use std::collections::{HashMap, HashSet};

use creditgate_ledger::Event;
use creditgate_ledger::id::{CustomerId, DeliveryId, EndpointId};
use creditgate_ledger::webhook::Delivery;

/// Most deliveries under way to one endpoint. With the most endpoints there may be, that is
/// also the bound of all.
const WIDTH: usize = 8;

/// Of an endpoint whose last attempt failed one is tried at a time, until one gets through.
const WIDTH_FAILING: usize = 1;

/// How many due deliveries of an endpoint are looked at in one go.
pub(super) const DUE_MAX: u32 = 64;

/// What is under way, by endpoint.
#[derive(Default)]
pub(super) struct Lanes(HashMap<EndpointId, Lane>);

#[derive(Default)]
struct Lane {
    deliveries: HashSet<DeliveryId>,
    customers: HashSet<CustomerId>,
    width: usize,
}

/// What a delivery takes up in its lane.
pub(super) struct Place {
    endpoint: EndpointId,
    delivery: DeliveryId,
    customer: Option<CustomerId>,
}

impl Lanes {
    /// The endpoints to which nothing more may be started now.
    pub(super) fn full(&self) -> HashSet<EndpointId> {
        let full = |(endpoint, lane): (&EndpointId, &Lane)| {
            (lane.deliveries.len() >= lane.width).then_some(*endpoint)
        };
        self.0.iter().filter_map(full).collect()
    }

    /// The customers that have a delivery under way to an endpoint.
    pub(super) fn busy(&self) -> HashMap<EndpointId, Vec<CustomerId>> {
        let busy = |(endpoint, lane): (&EndpointId, &Lane)| {
            (*endpoint, lane.customers.iter().copied().collect())
        };
        self.0.iter().map(busy).collect()
    }

    /// Whether an endpoint that has something under way has room for more.
    pub(super) fn has_room(&self, endpoint: EndpointId) -> bool {
        let lane = self.0.get(&endpoint);
        lane.is_some_and(|lane| lane.deliveries.len() < lane.width)
    }

    /// Takes as many of the deliveries, in their order, as there is room for: none twice, and
    /// none of a customer that has one under way.
    pub(super) fn enter(
        &mut self,
        endpoint: EndpointId,
        is_failing: bool,
        due: Vec<(Delivery, Event)>,
    ) -> Vec<(Place, Delivery, Event)> {
        let lane = self.0.entry(endpoint).or_default();
        lane.width = if is_failing { WIDTH_FAILING } else { WIDTH };
        let mut entered = Vec::new();
        for (delivery, event) in due {
            if lane.deliveries.len() >= lane.width {
                break;
            }
            let busy = |customer| lane.customers.contains(&customer);
            if lane.deliveries.contains(&delivery.id) || event.customer.is_some_and(busy) {
                continue;
            }
            lane.deliveries.insert(delivery.id);
            lane.customers.extend(event.customer);
            let place = Place {
                endpoint,
                delivery: delivery.id,
                customer: event.customer,
            };
            entered.push((place, delivery, event));
        }
        if lane.deliveries.is_empty() {
            self.0.remove(&endpoint);
        }
        entered
    }

    /// Those that are not under way.
    pub(super) fn idle(
        &self,
        endpoint: EndpointId,
        due: Vec<(Delivery, Event)>,
    ) -> Vec<(Delivery, Event)> {
        let under_way = |delivery: &Delivery| {
            let lane = self.0.get(&endpoint);
            lane.is_some_and(|lane| lane.deliveries.contains(&delivery.id))
        };
        let idle = due.into_iter().filter(|(delivery, _)| !under_way(delivery));
        idle.collect()
    }

    /// Makes room for another.
    pub(super) fn leave(&mut self, place: &Place) {
        let Some(lane) = self.0.get_mut(&place.endpoint) else {
            return;
        };
        lane.deliveries.remove(&place.delivery);
        if let Some(customer) = place.customer {
            lane.customers.remove(&customer);
        }
        if lane.deliveries.is_empty() {
            self.0.remove(&place.endpoint);
        }
    }
}

#[cfg(test)]
mod tests {
    use creditgate_ledger::id::EventId;
    use creditgate_ledger::webhook::outbox;
    use creditgate_ledger::{EventKind, Ids, Timestamp};
    use serde_json::Value;

    use super::*;

    struct One(u128);

    impl Ids for One {
        fn next(&mut self) -> u128 {
            self.0
        }
    }

    const ENDPOINT: EndpointId = EndpointId(1);

    fn due(id: u128, customer: u128) -> (Delivery, Event) {
        let event = Event {
            id: EventId(id),
            kind: EventKind::LotPaid,
            at: Timestamp(0),
            customer: (customer > 0).then_some(CustomerId(customer)),
            data: Value::Null,
        };
        let mut ids = One(id);
        let delivery = outbox::delivery(event.id, event.kind, ENDPOINT, event.at, &mut ids);
        (delivery, event)
    }

    fn ids(entered: &[(Place, Delivery, Event)]) -> Vec<u128> {
        entered
            .iter()
            .map(|(_, delivery, _)| delivery.id.0)
            .collect()
    }

    #[test]
    fn a_lane_has_room_for_so_many_and_takes_none_twice() {
        let mut lanes = Lanes::default();
        let all: Vec<_> = (1..=20).map(|id| due(id, id)).collect();
        let first = lanes.enter(ENDPOINT, false, all.clone());
        assert_eq!(ids(&first), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert!(lanes.full().contains(&ENDPOINT));
        assert!(lanes.enter(ENDPOINT, false, all.clone()).is_empty());
        lanes.leave(&first[2].0);
        assert!(lanes.full().is_empty());
        // The one that left was booked, so it is not due any more.
        let rest: Vec<_> = all
            .into_iter()
            .filter(|(delivery, _)| delivery.id.0 != 3)
            .collect();
        assert_eq!(ids(&lanes.enter(ENDPOINT, false, rest)), [9]);
        let other = lanes.enter(EndpointId(2), false, vec![due(1, 1)]);
        assert_eq!(ids(&other), [1], "another lane is not concerned");
    }

    #[test]
    fn events_of_one_customer_go_one_after_the_other() {
        let mut lanes = Lanes::default();
        let all = vec![
            due(1, 7),
            due(2, 7),
            due(3, 8),
            due(4, 0),
            due(5, 0),
            due(6, 8),
        ];
        let first = lanes.enter(ENDPOINT, false, all.clone());
        assert_eq!(ids(&first), [1, 3, 4, 5]);
        lanes.leave(&first[0].0);
        assert_eq!(ids(&lanes.enter(ENDPOINT, false, all[1..].to_vec())), [2]);
    }

    #[test]
    fn an_endpoint_that_fails_is_tried_by_one_at_a_time() {
        let mut lanes = Lanes::default();
        let all: Vec<_> = (1..=3).map(|id| due(id, id)).collect();
        let first = lanes.enter(ENDPOINT, true, all.clone());
        assert_eq!(ids(&first), [1]);
        assert!(lanes.full().contains(&ENDPOINT));
        assert_eq!(lanes.idle(ENDPOINT, all).len(), 2);
        lanes.leave(&first[0].0);
        assert!(lanes.full().is_empty());
    }
}
