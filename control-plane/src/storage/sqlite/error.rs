//! What SQLite's errors mean to the caller.

use rusqlite::{Error, ErrorCode, ffi};

use crate::storage::StorageError;
use crate::storage::unique::Unique;

impl From<Error> for StorageError {
    fn from(error: Error) -> Self {
        let Error::SqliteFailure(failure, text) = &error else {
            return Self::Corrupt(error.to_string());
        };
        match failure.code {
            ErrorCode::ConstraintViolation => {
                constraint(failure.extended_code, text.as_deref().unwrap_or_default())
            }
            ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::TypeMismatch
            | ErrorCode::Unknown => Self::Corrupt(error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

fn constraint(code: i32, text: &str) -> StorageError {
    if !matches!(
        code,
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
    ) {
        return StorageError::Corrupt(text.to_owned());
    }
    let columns = text
        .strip_prefix("UNIQUE constraint failed: ")
        .unwrap_or(text);
    let unique = match columns {
        "customer.id" => Unique::Customer,
        "customer.external_id" => Unique::CustomerExternalId,
        "account.customer, account.currency, account.scope" => Unique::AccountScope,
        "wallet.external_id" => Unique::WalletExternalId,
        "lot.external_id" => Unique::LotExternalId,
        "subscription.external_id" => Unique::SubscriptionExternalId,
        "credit_grant.external_id" => Unique::GrantExternalId,
        "plan.external_id" => Unique::PlanExternalId,
        "endpoint.external_id" => Unique::EndpointExternalId,
        "index 'grant_application_once'" => Unique::ApplicationOnce,
        "event.id" => Unique::Event,
        "attempt.delivery, attempt.number" => Unique::Attempt,
        "audit.id" => Unique::AuditRecord,
        "lease.account, lease.instance, lease.number" => Unique::LeaseNumber,
        "consumer_key.hash" => Unique::Credential,
        "currency.code" => Unique::Currency,
        "gateway.external_id" => Unique::GatewayExternalId,
        "gateway_key.hash" => Unique::GatewayCredential,
        "operator_key.hash" => Unique::OperatorCredential,
        "instance.id" => Unique::Instance,
        "rate_card.name, rate_card.version" => Unique::RateCardVersion,
        "entry.account, entry.number" => Unique::Entry,
        "answer.principal, answer.key" => Unique::IdempotencyKey,
        other => return StorageError::Conflict(other.to_owned()),
    };
    unique.into()
}
