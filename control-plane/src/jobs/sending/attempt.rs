//! One attempt, from the message to its booking.

use std::time::Duration;

use creditgate_ledger::webhook::retry::Jitter;
use creditgate_ledger::webhook::{Attempt, AttemptError, Delivery, Endpoint};
use creditgate_ledger::{Event, Timestamp};

use super::AGAIN;
use crate::clock::random_bytes;
use crate::command::{Command, WebhookCommand};
use crate::jobs::Jobs;
use crate::webhooks::{Message, Sent};
use crate::writer::WriteError;

/// In whose name attempts are booked.
const ACTOR: &str = "webhooks";

/// An attempt that can't be booked is not made again before this, lest the endpoint be flooded.
const UNBOOKED: Duration = Duration::from_secs(60);

/// Sends an event to an endpoint once, and books how it went.
pub(super) async fn deliver(mut jobs: Jobs, endpoint: Endpoint, delivery: Delivery, event: Event) {
    let at = jobs.clock.now();
    let message = Message::of(&event, &endpoint.secrets, at);
    let sent = jobs.webhooks.client.send(&endpoint.url, message).await;
    let result = sent.error.map_or("delivered", AttemptError::as_str);
    metrics::counter!("creditgate_webhook_attempts_total", "result" => result).increment(1);
    let attempt = booked(&delivery, at, sent);
    if let Some(error) = &attempt.error {
        tracing::info!(endpoint = %endpoint.id, delivery = %delivery.id, attempt = attempt.number, error, "a webhook was not taken");
    }
    let command = Command::Webhook(WebhookCommand::Book {
        delivery,
        attempt: Box::new(attempt),
        jitter: Jitter::of(u32::from_be_bytes(random_bytes())),
    });
    let wait = loop {
        match book(&jobs, command.clone()).await {
            Ok(()) => break Duration::ZERO,
            Err(error) if error.may_pass() => {
                if !jobs.sleep(AGAIN).await {
                    return;
                }
            }
            Err(error) => {
                tracing::error!(%error, endpoint = %endpoint.id, "an attempt could not be booked");
                break UNBOOKED;
            }
        }
    };
    let registry = jobs.writer.registry();
    let mut known = registry.endpoints.iter();
    let known = known.find(|known| known.id == endpoint.id);
    if let Some(reason) = known.and_then(|known| known.disabled_reason.as_deref()) {
        tracing::warn!(endpoint = %endpoint.id, reason, "a webhook endpoint is disabled");
    }
    jobs.sleep(wait).await;
}

/// Behind all that someone outside waits for.
async fn book(jobs: &Jobs, command: Command) -> Result<(), WriteError> {
    let reply = jobs.writer.submit_later(ACTOR, command)?.await;
    reply.unwrap_or(Err(WriteError::Stopping)).map(drop)
}

fn booked(delivery: &Delivery, at: Timestamp, sent: Sent) -> Attempt {
    Attempt {
        delivery: delivery.id,
        number: delivery.attempts.saturating_add(1),
        at,
        status: sent.status,
        error: sent.error.map(|error| error.as_str().to_owned()),
        response: sent.response,
        duration_ms: sent.duration_ms,
    }
}

/// Books that deliveries are not tried any more, because their endpoint gets nothing. Answers
/// false if that must be done again.
pub(super) async fn give_up(
    jobs: &Jobs,
    deliveries: Vec<(Delivery, Event)>,
    is_deleted: bool,
) -> bool {
    if deliveries.is_empty() {
        return true;
    }
    let at = jobs.clock.now();
    let why = if is_deleted {
        AttemptError::EndpointDeleted
    } else {
        AttemptError::EndpointDisabled
    };
    let given_up = deliveries.into_iter().map(|(delivery, _)| {
        let sent = Sent {
            status: None,
            error: Some(why),
            response: None,
            duration_ms: 0,
        };
        let attempt = booked(&delivery, at, sent);
        (delivery, attempt)
    });
    let command = WebhookCommand::GiveUp(given_up.collect());
    jobs.give(ACTOR, vec![Command::Webhook(command)]).await
}
