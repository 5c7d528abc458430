//! Commands on webhooks, and the outbox: an event is put on its way by the command that told
//! it, so that both are written or neither.

use creditgate_ledger::id::{EndpointId, EventId};
use creditgate_ledger::webhook::endpoint;
use creditgate_ledger::webhook::retry::{self, Disabled, Jitter};
use creditgate_ledger::webhook::{Attempt, Delivery, Endpoint, outbox};
use creditgate_ledger::{Event, EventKind, Refusal};
use serde_json::{Value, json};

use super::{Failure, Work};
use crate::command::{Outcome, WebhookCommand};

impl Work<'_> {
    pub(super) fn decide_webhook(&mut self, command: WebhookCommand) -> Result<Outcome, Failure> {
        let now = self.clock;
        let endpoint = match command {
            WebhookCommand::Create(new) => {
                let id = EndpointId(self.ids.next());
                endpoint::create(&mut self.registry_mut().endpoints, id, *new, now)?
            }
            WebhookCommand::Change { endpoint, change } => {
                endpoint::change(&mut self.registry_mut().endpoints, &endpoint, *change)?
            }
            WebhookCommand::Rotate {
                endpoint,
                secret,
                overlap_ms,
            } => {
                let endpoints = &mut self.registry_mut().endpoints;
                endpoint::rotate(endpoints, &endpoint, secret, overlap_ms, now)?
            }
            WebhookCommand::Enable { endpoint } => {
                endpoint::enable(&mut self.registry_mut().endpoints, &endpoint)?
            }
            WebhookCommand::Disable { endpoint } => {
                endpoint::disable(&mut self.registry_mut().endpoints, &endpoint)?
            }
            WebhookCommand::Delete { endpoint } => {
                endpoint::delete(&mut self.registry_mut().endpoints, &endpoint, now)?
            }
            WebhookCommand::Test { endpoint } => return self.test_endpoint(&endpoint),
            WebhookCommand::Send { endpoint, events } => {
                let endpoint = self.enabled(&endpoint)?.id;
                let sent = self.send(endpoint, &events);
                return Ok(Outcome::Deliveries(endpoint, sent));
            }
            WebhookCommand::Book {
                delivery,
                attempt,
                jitter,
            } => return Ok(self.book_attempt(delivery, *attempt, jitter)),
            WebhookCommand::GiveUp(deliveries) => return Ok(self.give_up(deliveries)),
            WebhookCommand::Forget { before } => {
                self.forget_events_before = Some(before);
                return Ok(Outcome::Done);
            }
        };
        Ok(Outcome::Endpoint(Box::new(endpoint)))
    }

    /// Puts the events from the `told`th on their way to the endpoints that are there now.
    pub(super) fn send_out(&mut self, told: usize) {
        for event in self.events.iter().skip(told) {
            let deliveries = outbox::deliveries(event, &self.registry.endpoints, self.ids);
            self.deliveries.extend(deliveries);
        }
    }

    fn enabled(&self, named: &str) -> Result<&Endpoint, Refusal> {
        let endpoint = endpoint::find(&self.registry.endpoints, named)?;
        if endpoint.is_enabled() {
            return Ok(endpoint);
        }
        Err(Refusal::Conflict {
            code: "webhook_endpoint_disabled",
            problem: format!("webhook endpoint {named:?} is disabled; enable it first"),
        })
    }

    fn test_endpoint(&mut self, named: &str) -> Result<Outcome, Failure> {
        let endpoint = self.enabled(named)?.id;
        let data = json!({ "endpoint_id": endpoint.to_string() });
        let event = self.tell(EventKind::Test, data);
        let sent = self.send(endpoint, &[(event, EventKind::Test)]);
        Ok(Outcome::Deliveries(endpoint, sent))
    }

    /// Tells something that is about no customer.
    fn tell(&mut self, kind: EventKind, data: Value) -> EventId {
        let id = EventId(self.ids.next());
        self.events.push(Event {
            id,
            kind,
            at: self.clock,
            customer: None,
            data,
        });
        id
    }

    fn send(&mut self, endpoint: EndpointId, events: &[(EventId, EventKind)]) -> Vec<Delivery> {
        let now = self.clock;
        let deliveries: Vec<Delivery> = events
            .iter()
            .map(|(event, kind)| outbox::delivery(*event, *kind, endpoint, now, self.ids))
            .collect();
        self.deliveries.extend(deliveries.iter().cloned());
        deliveries
    }

    fn book_attempt(
        &mut self,
        mut delivery: Delivery,
        attempt: Attempt,
        jitter: Jitter,
    ) -> Outcome {
        let to = delivery.endpoint;
        let known = self
            .registry
            .endpoints
            .iter()
            .position(|endpoint| endpoint.id == to && endpoint.deleted_at.is_none());
        // The registry is copied only if the endpoint's state changes: mostly it does not.
        let before = known.map(|place| &self.registry.endpoints[place]);
        let mut endpoint = before.cloned();
        let disabled = retry::book(&mut delivery, endpoint.as_mut(), &attempt, jitter);
        if let Some((place, endpoint)) = known.zip(endpoint)
            && self.registry.endpoints[place] != endpoint
        {
            if let Some(why) = disabled {
                self.tell(
                    EventKind::EndpointDisabled,
                    told_of(&endpoint, why, &attempt),
                );
            }
            self.registry_mut().endpoints[place] = endpoint;
        }
        self.deliveries.push(delivery.clone());
        self.attempts.push(attempt);
        Outcome::Deliveries(to, vec![delivery])
    }

    fn give_up(&mut self, deliveries: Vec<(Delivery, Attempt)>) -> Outcome {
        for (mut delivery, attempt) in deliveries {
            retry::give_up(&mut delivery, &attempt);
            self.deliveries.push(delivery);
            self.attempts.push(attempt);
        }
        Outcome::Done
    }
}

/// What the other endpoints are told. Not the address: many hold a token.
fn told_of(endpoint: &Endpoint, why: Disabled, attempt: &Attempt) -> Value {
    json!({
        "endpoint_id": endpoint.id.to_string(),
        "external_id": endpoint.external_id,
        "description": endpoint.description,
        "reason": why.as_str(),
        "failing_since": endpoint.failing_since,
        "last_status": attempt.status,
        "last_error": attempt.error,
    })
}
