//! Webhooks: endpoints, and events on their way to them. Pure; the sending is elsewhere.
//!
//! An event is told to an endpoint by a [`Delivery`], which is made in the transaction that
//! writes the event ([`outbox`]). Each try is an [`Attempt`]; what follows from it, for the
//! delivery and for its endpoint, is decided by [`retry`]. A delivery is made again, never
//! reopened, when an operator wants an event told again.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::event::EventKind;
use crate::id::{DeliveryId, EndpointId, EventId};
use crate::time::Timestamp;

pub mod endpoint;
pub mod outbox;
pub mod retry;

/// Most endpoints of an installation.
pub const ENDPOINTS_MAX: usize = 50;

/// Where events are sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The id.
    pub id: EndpointId,
    /// The operator's name; unique.
    pub external_id: Option<String>,
    /// The address, http or https.
    pub url: String,
    /// What the operator says of it.
    pub description: Option<String>,
    /// Which events it gets; all if empty.
    pub events: BTreeSet<EventKind>,
    /// Newest first; messages are signed with each that is valid.
    pub secrets: Vec<EndpointSecret>,
    /// Whether it gets anything.
    pub status: EndpointStatus,
    /// Why it was disabled.
    pub disabled_reason: Option<String>,
    /// Since when every attempt failed.
    pub failing_since: Option<Timestamp>,
    /// The operator's own data.
    pub metadata: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// It is gone; kept for its deliveries.
    pub deleted_at: Option<Timestamp>,
}

/// What messages are signed with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSecret {
    /// `whsec_` and base64, as Standard Webhooks writes it.
    pub secret: String,
    /// Signed with until then; none: until another takes its place.
    pub expires_at: Option<Timestamp>,
}

/// A secret is not shown by accident.
impl core::fmt::Debug for EndpointSecret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("EndpointSecret")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Whether an endpoint gets anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointStatus {
    /// Yes.
    Enabled,
    /// No: an operator wants it so, or it failed for too long.
    Disabled,
}

/// One event on its way to one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The id.
    pub id: DeliveryId,
    /// Which event.
    pub event: EventId,
    /// Of what kind.
    pub kind: EventKind,
    /// Where to.
    pub endpoint: EndpointId,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next; none: never.
    pub next_at: Option<Timestamp>,
    /// When it was last tried.
    pub last_at: Option<Timestamp>,
    /// The HTTP status of the last answer.
    pub last_status: Option<u16>,
    /// When it was made: an event may be sent again by a delivery of its own.
    pub created_at: Timestamp,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// To be tried.
    Pending,
    /// The endpoint took it.
    Delivered,
    /// Given up.
    Failed,
}

/// One try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Of which delivery.
    pub delivery: DeliveryId,
    /// Which try, from 1.
    pub number: u32,
    /// When.
    pub at: Timestamp,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// A stable word for what went wrong, if something did.
    pub error: Option<String>,
    /// The beginning of the answer, as text.
    pub response: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

macro_rules! failures {
    ($($(#[doc = $doc:literal])* $failure:ident = $word:literal,)*) => {
        /// Why an attempt failed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum AttemptError {
            $($(#[doc = $doc])* $failure,)*
        }

        impl AttemptError {
            /// All of them, with their words and what they mean.
            pub const ALL: &'static [(Self, &'static str, &'static str)] =
                &[$((Self::$failure, $word, concat!($($doc),*)),)*];

            /// The stable word, as attempts carry it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$failure => $word,)* }
            }
        }
    };
}

failures! {
    /// The answer's status was none of 200 to 299.
    Status = "http_status",
    /// The answer was a redirect; none is followed.
    Redirect = "redirect_not_followed",
    /// There was no whole answer in time.
    TimedOut = "timed_out",
    /// The host's name has no address.
    NameUnknown = "name_not_resolved",
    /// An address of the host is none that webhooks may be sent to.
    AddressNotAllowed = "address_not_allowed",
    /// Nobody listens there, or no secure connection came about.
    NotConnected = "not_connected",
    /// The connection ended before the answer, or the answer was none of HTTP.
    Broken = "connection_broken",
    /// Not tried: the endpoint was disabled.
    EndpointDisabled = "endpoint_disabled",
    /// Not tried: the endpoint was deleted.
    EndpointDeleted = "endpoint_deleted",
}

impl Attempt {
    /// Whether the endpoint took the event.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        self.error.is_none() && self.status.is_some_and(|status| status / 100 == 2)
    }
}
