//! What must be unique, and how a conflict is told, alike for every backend.

use super::StorageError;

/// A name or key that only one row may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unique {
    Customer,
    CustomerExternalId,
    AccountCurrency,
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
            Self::AccountCurrency => "the customer's account in this currency",
            Self::LeaseNumber => "a lease of this number",
            Self::Credential => "a consumer key of this hash",
            Self::Currency => "a currency of this code",
            Self::GatewayExternalId => "a gateway of this external_id",
            Self::GatewayCredential => "a gateway key of this hash",
            Self::OperatorCredential => "an operator's key of this hash",
            Self::Instance => "an instance of this id",
            Self::RateCardVersion => "this version of the rate card",
            Self::Entry => "an entry of this id",
            Self::IdempotencyKey => "an answer under this idempotency key",
        }
    }
}

impl From<Unique> for StorageError {
    fn from(unique: Unique) -> Self {
        Self::Conflict(unique.what().to_owned())
    }
}
