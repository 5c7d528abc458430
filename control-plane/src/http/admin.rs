//! For operators: customers, their keys and wallets, credit, gateways, prices, settings.

use std::str::FromStr;

use creditgate_ledger::Timestamp;
use creditgate_ledger::id::{CustomerId, LotId, WalletId};
use utoipa_axum::router::OpenApiRouter;

use super::Shared;
use crate::problem::Problem;
use crate::storage::Target;

mod applications;
mod audit;
mod balances;
mod breakdown;
mod claims;
mod credit_grants;
mod currencies;
mod customers;
mod deliveries;
mod events;
mod export;
mod gateways;
mod instances;
pub(super) mod issued;
mod keys;
mod leases;
mod lots;
mod operator_keys;
mod plans;
mod pricing;
mod rate_cards;
mod settings;
mod subscriptions;
mod transactions;
mod usage;

pub use usage::KeptSums;
mod wallets;
mod webhook_endpoints;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .merge(customers::routes())
        .merge(keys::routes())
        .merge(wallets::routes())
        .merge(lots::routes())
        .merge(claims::routes())
        .merge(balances::routes())
        .merge(breakdown::routes())
        .merge(transactions::routes())
        .merge(usage::routes())
        .merge(plans::routes())
        .merge(subscriptions::routes())
        .merge(credit_grants::routes())
        .merge(applications::routes())
        .merge(currencies::routes())
        .merge(gateways::routes())
        .merge(rate_cards::routes())
        .merge(pricing::routes())
        .merge(instances::routes())
        .merge(leases::routes())
        .merge(settings::routes())
        .merge(operator_keys::routes())
        .merge(webhook_endpoints::routes())
        .merge(deliveries::routes())
        .merge(events::routes())
        .merge(audit::routes())
        .merge(export::routes())
}

/// A customer by id or by the operator's name.
fn customer(named: &str) -> Target {
    named
        .parse::<CustomerId>()
        .map_or_else(|_| Target::ExternalId(named.to_owned()), Target::Customer)
}

/// A wallet by id or by the operator's name.
fn wallet(named: &str) -> Target {
    named
        .parse::<WalletId>()
        .map_or_else(|_| Target::WalletName(named.to_owned()), Target::Wallet)
}

/// A lot by id or by the operator's name.
fn lot(named: &str) -> Target {
    named
        .parse::<LotId>()
        .map_or_else(|_| Target::LotName(named.to_owned()), Target::Lot)
}

/// An id of a path. One that can't be an id names nothing.
fn id<T: FromStr>(what: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::not_found(what, text))
}

/// An instant, as clients read it.
fn instant(at: Option<Timestamp>) -> Option<String> {
    at.map(|at| at.to_string())
}
