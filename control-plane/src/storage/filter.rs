//! What of a list is wanted. A part that is none does not matter.

use creditgate_core::amount::Currency;
use creditgate_core::lease::LeaseNumber;
use creditgate_core::protocol::EnforcementMode;
use creditgate_ledger::grant::{ApplicationState, GrantScope};
use creditgate_ledger::id::{
    AccountId, CustomerId, EndpointId, EventId, GrantId, InstanceId, LeaseId, LotId, PlanId,
    SubscriptionId, WalletId,
};
use creditgate_ledger::subscription::SubscriptionStatus;
use creditgate_ledger::webhook::DeliveryState;
use creditgate_ledger::{
    CustomerStatus, EntryKind, EventKind, LeaseState, LotKind, LotStatus, ReasonCode, Timestamp,
    WalletStatus,
};

/// Which customers; what is none does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CustomerFilter {
    /// Standing so.
    pub status: Option<CustomerStatus>,
    /// In this mode.
    pub mode: Option<EnforcementMode>,
}

/// Whose lots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LotFilter {
    /// Of a wallet.
    Wallet(WalletId),
    /// Of all wallets of a customer.
    Customer(CustomerId),
    /// Of a wallet, of one kind, or as they stand at an instant.
    Some {
        /// Which wallet.
        wallet: WalletId,
        /// What kind.
        kind: Option<LotKind>,
        /// Where they stand.
        status: Option<(LotStatus, Timestamp)>,
    },
}

/// Which wallets; what is none does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WalletFilter {
    /// Of this customer.
    pub customer: Option<CustomerId>,
    /// In this currency.
    pub currency: Option<Currency>,
    /// Standing so.
    pub status: Option<WalletStatus>,
}

/// Which subscriptions; what is none does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubscriptionFilter {
    /// Of this customer.
    pub customer: Option<CustomerId>,
    /// To this plan.
    pub plan: Option<PlanId>,
    /// Standing so.
    pub status: Option<SubscriptionStatus>,
}

/// Which credit grants; what is none does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GrantFilter {
    /// Of this scope.
    pub scope: Option<GrantScope>,
    /// Whether archived ones, too.
    pub with_archived: bool,
}

/// Which applications; what is none does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ApplicationFilter {
    /// To this customer.
    pub customer: Option<CustomerId>,
    /// For this subscription.
    pub subscription: Option<SubscriptionId>,
    /// Of this grant.
    pub grant: Option<GrantId>,
    /// In this state.
    pub state: Option<ApplicationState>,
}

/// Which claims; what is none does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClaimFilter {
    /// On this wallet.
    pub wallet: Option<WalletId>,
    /// Whether only those that are not over.
    pub open_only: bool,
}

/// Which events; what is none does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventFilter {
    /// Of this customer.
    pub customer: Option<CustomerId>,
    /// Of this kind.
    pub kind: Option<EventKind>,
    /// At or after this instant.
    pub from: Option<Timestamp>,
    /// Before this instant.
    pub before: Option<Timestamp>,
}

/// Which deliveries; what is none does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeliveryFilter {
    /// To this endpoint.
    pub endpoint: Option<EndpointId>,
    /// Of this event.
    pub event: Option<EventId>,
    /// Standing so.
    pub state: Option<DeliveryState>,
}

/// Which lines of the audit log; what is none does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    /// About this customer.
    pub customer: Option<CustomerId>,
    /// Of this actor.
    pub actor: Option<String>,
    /// Of this action.
    pub action: Option<String>,
    /// About one of these objects.
    pub subjects: Option<Vec<String>>,
    /// At or after this instant.
    pub from: Option<Timestamp>,
    /// Before this instant.
    pub before: Option<Timestamp>,
}

/// Which leases; what is none does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeaseFilter {
    /// To this process.
    pub instance: Option<InstanceId>,
    /// From an account of this customer.
    pub customer: Option<CustomerId>,
    /// In this state.
    pub state: Option<LeaseState>,
    /// From this account.
    pub account: Option<AccountId>,
    /// As its process names it.
    pub number: Option<LeaseNumber>,
}

/// Which entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryFilter {
    /// All of an account.
    Account(AccountId),
    /// Those about a wallet, and those that drew from one of its lots.
    Wallet(WalletId),
    /// Of these, those that are so; what is none does not matter.
    Some {
        /// About which wallet.
        wallet: WalletId,
        /// Of which kind.
        kind: Option<EntryKind>,
        /// For which reason.
        reason: Option<ReasonCode>,
        /// Booked at or after this instant.
        from: Option<Timestamp>,
        /// Booked before this instant.
        before: Option<Timestamp>,
    },
    /// Those that drew from one lot or say something of it.
    Lot(LotId),
    /// Those about a lease; what is none does not matter.
    Lease {
        /// Which.
        lease: LeaseId,
        /// Of which kind.
        kind: Option<EntryKind>,
        /// Booked at or after this instant.
        from: Option<Timestamp>,
        /// Booked before this instant.
        before: Option<Timestamp>,
    },
}
