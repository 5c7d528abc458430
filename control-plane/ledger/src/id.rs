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
