//! What the log of who changed what says of a command: of whom, to what, and why.

use creditgate_ledger::id::CustomerId;

use super::{Command, Outcome};

impl Command {
    /// Why, as far as the client said so.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Wallet(command) => command.reason(),
            Self::ResolveLease { reason, .. } | Self::HoldLease { reason, .. } => Some(reason),
            Self::ChangeCustomer { reason, .. } | Self::SetInstanceState { reason, .. } => {
                reason.as_deref()
            }
            Self::Grant(command) => command.reason(),
            _ => None,
        }
    }
}

impl Outcome {
    /// The id, or the name, of the object that was made or changed.
    #[must_use]
    pub fn subject(&self) -> Option<String> {
        Some(match self {
            Self::Customer(customer) => customer.id.to_string(),
            Self::Pricing(customer, _) => customer.to_string(),
            Self::Key(key) => key.id.to_string(),
            Self::Wallet(outcome) => outcome.subject(),
            Self::LeaseResolved(resolved) => resolved.0.id.to_string(),
            Self::Settings(_) => "settings".to_owned(),
            Self::Currency(currency) => currency.code.to_string(),
            Self::Gateway(gateway) => gateway.id.to_string(),
            Self::GatewayKey(key) => key.id.to_string(),
            Self::OperatorKey(key) => key.id.to_string(),
            Self::RateCard(card) => card.head.name.clone(),
            Self::RateCardHead(head) => head.name.clone(),
            Self::Instance(instance) => instance.id.to_string(),
            Self::Endpoint(endpoint) => endpoint.id.to_string(),
            Self::Deliveries(endpoint, _) => endpoint.to_string(),
            Self::Grant(outcome) => outcome.subject(),
            Self::Resolved(_)
            | Self::Answer(_)
            | Self::Usage(_)
            | Self::Unfinished
            | Self::Done => return None,
        })
    }

    /// Whose object that is.
    #[must_use]
    pub fn customer(&self) -> Option<CustomerId> {
        match self {
            Self::Customer(customer) => Some(customer.id),
            Self::Pricing(customer, _) => Some(*customer),
            Self::Key(key) => Some(key.customer),
            Self::Wallet(outcome) => Some(outcome.wallet().customer),
            Self::LeaseResolved(resolved) => Some(resolved.2.customer),
            Self::Grant(outcome) => outcome.customer(),
            Self::Settings(_)
            | Self::Currency(_)
            | Self::Gateway(_)
            | Self::GatewayKey(_)
            | Self::OperatorKey(_)
            | Self::RateCard(_)
            | Self::RateCardHead(_)
            | Self::Instance(_)
            | Self::Endpoint(_)
            | Self::Deliveries(..)
            | Self::Resolved(_)
            | Self::Answer(_)
            | Self::Usage(_)
            | Self::Unfinished
            | Self::Done => None,
        }
    }
}
