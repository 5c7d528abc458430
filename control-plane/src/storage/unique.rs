//! What must be unique, and how a conflict is told, alike for every backend.

use super::StorageError;

/// A name or key that only one row may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unique {
    Customer,
    CustomerExternalId,
    AccountScope,
    WalletExternalId,
    LotExternalId,
    SubscriptionExternalId,
    GrantExternalId,
    PlanExternalId,
    EndpointExternalId,
    ApplicationOnce,
    Event,
    Attempt,
    AuditRecord,
    LeaseNumber,
    Credential,
    Currency,
    GatewayExternalId,
    GatewayCredential,
    OperatorCredential,
    Instance,
    RateCardVersion,
    Entry,
    IdempotencyKey,
}

impl Unique {
    /// As people read it.
    pub(crate) const fn what(self) -> &'static str {
        match self {
            Self::Customer => "a customer of this id",
            Self::CustomerExternalId => "a customer of this external_id",
            Self::AccountScope => "the customer's account of this currency and scope",
            Self::WalletExternalId => "a wallet of this external_id",
            Self::LotExternalId => "a lot of this external_id",
            Self::SubscriptionExternalId => "a subscription of this external_id",
            Self::GrantExternalId => "a credit grant of this external_id",
            Self::PlanExternalId => "a plan of this external_id",
            Self::EndpointExternalId => "a webhook endpoint of this external_id",
            Self::ApplicationOnce => "this application of the credit grant",
            Self::Event => "an event of this id",
            Self::Attempt => "an attempt of this number",
            Self::AuditRecord => "a line of the audit log of this id",
            Self::LeaseNumber => "a lease of this number",
            Self::Credential => "a consumer key of this hash",
            Self::Currency => "a currency of this code",
            Self::GatewayExternalId => "a gateway of this external_id",
            Self::GatewayCredential => "a gateway key of this hash",
            Self::OperatorCredential => "an operator's key of this hash",
            Self::Instance => "an instance of this id",
            Self::RateCardVersion => "this version of the rate card",
            Self::Entry => "an entry of this number",
            Self::IdempotencyKey => "an answer under this idempotency key",
        }
    }
}

impl From<Unique> for StorageError {
    fn from(unique: Unique) -> Self {
        Self::Conflict(unique.what().to_owned())
    }
}
