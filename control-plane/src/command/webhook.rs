//! Commands on webhooks: their endpoints, and what became of deliveries.

use creditgate_ledger::EventKind;
use creditgate_ledger::Timestamp;
use creditgate_ledger::id::EventId;
use creditgate_ledger::webhook::endpoint::{EndpointChange, NewEndpoint};
use creditgate_ledger::webhook::retry::Jitter;
use creditgate_ledger::webhook::{Attempt, Delivery, EndpointSecret};

/// Most events that one command sends again.
pub const REPLAY_MAX: usize = 1_000;

/// Something to be written about webhooks. Endpoints go by id or by the operator's name.
#[derive(Debug, Clone)]
pub enum WebhookCommand {
    /// Makes an endpoint.
    Create(Box<NewEndpoint>),
    /// Changes an endpoint.
    Change {
        /// Which.
        endpoint: String,
        /// What.
        change: Box<EndpointChange>,
    },
    /// Puts a new secret in place of the present one.
    Rotate {
        /// Of which endpoint.
        endpoint: String,
        /// The new one.
        secret: EndpointSecret,
        /// How long the present one stays valid beside it, in milliseconds.
        overlap_ms: u64,
    },
    /// Lets an endpoint get events.
    Enable {
        /// Which.
        endpoint: String,
    },
    /// Lets an endpoint get nothing.
    Disable {
        /// Which.
        endpoint: String,
    },
    /// Deletes an endpoint.
    Delete {
        /// Which.
        endpoint: String,
    },
    /// Tells one endpoint, and no other, of a test.
    Test {
        /// Which.
        endpoint: String,
    },
    /// Sends events to an endpoint, whether it got them before or not.
    Send {
        /// To which.
        endpoint: String,
        /// Which events, in the order in which they are to be sent; at most [`REPLAY_MAX`].
        events: Vec<(EventId, EventKind)>,
    },
    /// Books an attempt.
    Book {
        /// The delivery as it was before.
        delivery: Delivery,
        /// How it went.
        attempt: Box<Attempt>,
        /// How the wait for the next is varied.
        jitter: Jitter,
    },
    /// Books that deliveries are not tried any more, each with what says why.
    GiveUp(Vec<(Delivery, Attempt)>),
    /// Forgets events that happened before an instant, with their deliveries.
    Forget {
        /// The instant.
        before: Timestamp,
    },
}

impl WebhookCommand {
    /// What it is called in metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Create(_) => "create_webhook_endpoint",
            Self::Change { .. } => "change_webhook_endpoint",
            Self::Rotate { .. } => "rotate_webhook_secret",
            Self::Enable { .. } => "enable_webhook_endpoint",
            Self::Disable { .. } => "disable_webhook_endpoint",
            Self::Delete { .. } => "delete_webhook_endpoint",
            Self::Test { .. } => "test_webhook_endpoint",
            Self::Send { .. } => "send_webhooks",
            Self::Book { .. } => "book_webhook_attempt",
            Self::GiveUp(_) => "give_up_webhooks",
            Self::Forget { .. } => "forget_events",
        }
    }
}
