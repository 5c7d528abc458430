//! Events: what happened, as webhooks tell it.
//!
//! Decisions note events beside entries; both are written in one transaction, so an event is
//! told if and only if its cause was booked.

use core::fmt;

pub mod tell;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{CustomerId, EventId};
use crate::time::Timestamp;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The id; the `webhook-id` of its messages.
    pub id: EventId,
    /// What.
    pub kind: EventKind,
    /// When.
    pub at: Timestamp,
    /// To whom, if it was to a customer.
    pub customer: Option<CustomerId>,
    /// What there is to say; amounts are decimal strings.
    pub data: Value,
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $kind:ident = $name:literal,)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum EventKind {
            $($(#[doc = $doc])* #[serde(rename = $name)] $kind,)*
        }

        impl EventKind {
            /// All of them, with their names and what they mean.
            pub const ALL: &'static [(Self, &'static str, &'static str)] =
                &[$((Self::$kind, $name, concat!($($doc),*)),)*];

            /// The name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }
        }
    };
}

kinds! {
    /// A customer was suspended.
    CustomerSuspended = "customer.suspended",
    /// A suspended customer was resumed.
    CustomerResumed = "customer.resumed",
    /// A wallet was opened.
    WalletOpened = "wallet.opened",
    /// A wallet was frozen.
    WalletFrozen = "wallet.frozen",
    /// A frozen wallet was thawed.
    WalletUnfrozen = "wallet.unfrozen",
    /// A wallet was closed.
    WalletClosed = "wallet.closed",
    /// A wallet's alert state changed.
    WalletAlert = "wallet.alert",
    /// A wallet topped itself up; the credit can be spent.
    AutoTopUpApplied = "wallet.auto_topup.applied",
    /// A wallet topped itself up; the credit waits for its payment.
    AutoTopUpPending = "wallet.auto_topup.pending",
    /// A wallet should have topped itself up and could not; the reason is told.
    AutoTopUpRefused = "wallet.auto_topup.refused",
    /// A lot was made.
    LotCreated = "lot.created",
    /// A lot that waited for its payment was paid.
    LotPaid = "lot.paid",
    /// A lot waited for its payment too long and was voided.
    LotLapsed = "lot.lapsed",
    /// Credit of a lot was unused at its expiry.
    LotExpired = "lot.expired",
    /// A lot was voided.
    LotVoided = "lot.voided",
    /// Credit was taken out of a wallet.
    WalletDebited = "wallet.debited",
    /// Credit went from a wallet to another of the customer.
    WalletTransferred = "wallet.transferred",
    /// A debit or transfer that waited for credit from gateways is over.
    ClaimClosed = "claim.closed",
    /// A subscription was made.
    SubscriptionCreated = "subscription.created",
    /// A subscription was paused.
    SubscriptionPaused = "subscription.paused",
    /// A paused subscription was resumed.
    SubscriptionResumed = "subscription.resumed",
    /// A subscription was cancelled, or ended.
    SubscriptionCancelled = "subscription.cancelled",
    /// A credit grant was applied.
    GrantApplied = "credit_grant.applied",
    /// An application of a credit grant was skipped.
    GrantSkipped = "credit_grant.skipped",
    /// A credit grant could not be applied.
    GrantFailed = "credit_grant.failed",
    /// An endpoint failed for too long and gets nothing any more.
    EndpointDisabled = "webhook_endpoint.disabled",
    /// Asked for by an operator, to try an endpoint.
    Test = "webhook_endpoint.test",
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
