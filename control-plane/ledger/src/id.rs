//! The control plane's own identifiers; see [`creditgate_core::id`] for their form.

use creditgate_core::typed_id;

pub use creditgate_core::id::{AccountId, InstanceId};

typed_id!(
    /// A customer.
    CustomerId,
    "cus"
);
typed_id!(
    /// A wallet.
    WalletId,
    "wal"
);
typed_id!(
    /// A lot: one dated block of value.
    LotId,
    "lot"
);
typed_id!(
    /// An entry of the journal.
    EntryId,
    "ent"
);
typed_id!(
    /// A lease, as operators name it; on the wire to gateways it is account, instance and number.
    LeaseId,
    "lse"
);
typed_id!(
    /// A consumer's, gateway's or operator's key.
    KeyId,
    "key"
);
typed_id!(
    /// A gateway: a named installation with its own keys.
    GatewayId,
    "gtw"
);
typed_id!(
    /// A plan: what subscriptions are to, and what comes with them.
    PlanId,
    "pln"
);
typed_id!(
    /// A customer's subscription to a plan.
    SubscriptionId,
    "sub"
);
typed_id!(
    /// A credit grant: a template each application of which makes a lot.
    GrantId,
    "grt"
);
typed_id!(
    /// One application of a credit grant.
    ApplicationId,
    "apl"
);
typed_id!(
    /// Credit that is wanted for something else than requests; see [`crate::claim`].
    ClaimId,
    "clm"
);
typed_id!(
    /// Something that happened, for webhooks.
    EventId,
    "evt"
);
typed_id!(
    /// Where webhooks are sent.
    EndpointId,
    "whe"
);
typed_id!(
    /// One event on its way to one endpoint.
    DeliveryId,
    "dlv"
);
typed_id!(
    /// One line of the log of who changed what.
    AuditId,
    "aud"
);
