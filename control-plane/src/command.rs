//! Commands: everything that can be written, and the pure step from loaded state to outcome.
//!
//! [`Command::targets`] says which books a command needs; [`Work::decide`] changes copies
//! of them. Nothing here does I/O; the [`writer`](crate::writer) loads, commits and answers.

mod audited;
mod decide;
pub(crate) mod grant;
mod settings;
mod wallet;
mod webhook;

pub use decide::{Failure, Work};
pub use grant::{GrantCommand, GrantOutcome, GrantOwner, Subscribe, Subscribed};
pub use settings::{AMOUNT_MAX, SettingsChange};
pub use wallet::{
    ChangeWallet, CreateWallet, HowMuch, LotNow, Paid, TopUpCommand, WalletCommand, WalletNow,
    WalletOutcome,
};
pub use webhook::{REPLAY_MAX, WebhookCommand};

use std::sync::Arc;

use creditgate_core::amount::{Amount, Currency, Scale};
use creditgate_core::key::CredentialHash;
use creditgate_core::lease::LeaseNumber;
use creditgate_core::protocol::{LeaseAnswer, Report, Resolved};
use creditgate_core::rate_card::{PricingDocument, RateCardDocument};
use creditgate_ledger::customer::{CustomerChange, NewCustomer};
use creditgate_ledger::id::{CustomerId, EndpointId, GatewayId, InstanceId, KeyId, LeaseId};
use creditgate_ledger::pricing::PricingVersion;
use creditgate_ledger::rate_card::{RateCardHead, RateCardVersion};
use creditgate_ledger::registry::{
    CurrencyDefinition, Gateway, GatewayKey, Instance, InstanceState, OperatorKey, OperatorRole,
    Settings,
};
use creditgate_ledger::usage::Batch;
use creditgate_ledger::webhook::{Delivery, Endpoint};
use creditgate_ledger::{
    Account, ConsumerKey, Customer, CustomerStatus, Lease, QuarantineCause, Refusal,
    ResolutionKind, Timestamp,
};

use crate::storage::{ForgetUsage, NamedLease, Target};

/// Something to be written.
#[derive(Debug, Clone)]
pub enum Command {
    /// Makes a customer.
    CreateCustomer(NewCustomer),
    /// Changes, suspends or resumes a customer.
    ChangeCustomer {
        /// Whom.
        customer: Target,
        /// What.
        change: CustomerChange,
        /// Why, as far as the client said so.
        reason: Option<String>,
    },
    /// Sets what a customer pays otherwise than the rate cards say.
    SetPricing {
        /// Whom.
        customer: Target,
        /// What.
        document: Box<PricingDocument>,
    },
    /// Adds a consumer key.
    AddKey {
        /// Whose.
        customer: Target,
        /// For people.
        name: Option<String>,
        /// SHA-256 of the key.
        hash: CredentialHash,
    },
    /// Revokes a consumer key, now or later.
    RevokeKey {
        /// Which.
        key: KeyId,
        /// When; none: now.
        at: Option<Timestamp>,
    },
    /// Adds a key and lets the old one expire.
    RotateKey {
        /// The old one.
        key: KeyId,
        /// SHA-256 of the new one.
        hash: CredentialHash,
        /// How long the old one stays valid, in milliseconds.
        overlap_ms: u64,
    },
    /// Gives a key to another customer.
    MoveKey {
        /// Which.
        key: KeyId,
        /// To whom.
        customer: Target,
    },
    /// Makes or changes a wallet or a lot, or takes credit out.
    Wallet(WalletCommand),
    /// Resolves a credential, and lends.
    Resolve {
        /// The gateway that asks.
        gateway: GatewayId,
        /// Its process.
        instance: InstanceId,
        /// SHA-256 of the credential.
        credential: CredentialHash,
        /// The customer, where the gateway knows who it is without a key.
        customer: Option<String>,
        /// The number a lease may be opened under.
        lease: LeaseNumber,
        /// What the first request costs.
        need: Amount,
        /// The rule that it is priced by.
        rule: Option<String>,
    },
    /// Merges a report, and lends.
    Report {
        /// The process that reports.
        instance: InstanceId,
        /// What.
        report: Report,
    },
    /// Decides over quarantined credit.
    ResolveLease {
        /// Which lease.
        lease: LeaseId,
        /// How.
        kind: ResolutionKind,
        /// Why.
        reason: String,
    },
    /// Keeps a quarantined lease from the policy.
    HoldLease {
        /// Which lease.
        lease: LeaseId,
        /// Why.
        reason: String,
    },
    /// Decides over quarantined credit as the settings say, unless it is held.
    ApplyPolicy {
        /// Which lease.
        lease: LeaseId,
        /// How.
        kind: ResolutionKind,
    },
    /// Recalls all leases of an instance from one customer.
    TurnLeases {
        /// From whom.
        customer: Target,
        /// Which process.
        instance: InstanceId,
    },
    /// Sets aside all leases of an instance from one customer.
    Quarantine {
        /// From whom.
        customer: Target,
        /// Which process.
        instance: InstanceId,
        /// Why.
        cause: QuarantineCause,
    },
    /// Sets aside whatever is out of a customer's after the database was restored.
    BeginAnew {
        /// Of whom.
        customer: Target,
    },
    /// Makes the database another one than it was before it was restored.
    BeginEpoch {
        /// The new epoch.
        epoch: u64,
    },
    /// Books what time has done.
    PassTime {
        /// To whom.
        customer: Target,
    },
    /// Replaces the settings, whatever they are: for simulations, whose times are shorter than
    /// an operator's may be.
    PutSettings(Settings),
    /// Changes the settings, if the outcome is acceptable.
    ChangeSettings {
        /// What is given.
        change: Box<SettingsChange>,
        /// What is not given gets its default; else it stays.
        replace: bool,
    },
    /// Defines a currency.
    DefineCurrency {
        /// Its code.
        code: Currency,
        /// Digits after the point.
        scale: Scale,
    },
    /// Makes a gateway.
    CreateGateway {
        /// The operator's name.
        external_id: String,
        /// For people.
        name: Option<String>,
        /// The name of its rate card.
        rate_card: String,
    },
    /// Changes a gateway; what is none stays.
    ChangeGateway {
        /// Which: an id or an external id.
        gateway: String,
        /// For people.
        name: Option<String>,
        /// The name of its rate card.
        rate_card: Option<String>,
    },
    /// Adds a key of a gateway.
    AddGatewayKey {
        /// Whose: an id or an external id.
        gateway: String,
        /// SHA-256 of the key.
        hash: CredentialHash,
    },
    /// Revokes a key of a gateway.
    RevokeGatewayKey {
        /// Which.
        key: KeyId,
    },
    /// Adds a key for the API.
    AddOperatorKey {
        /// For people.
        name: Option<String>,
        /// What it may do.
        role: OperatorRole,
        /// SHA-256 of the key.
        hash: CredentialHash,
    },
    /// Revokes a key for the API.
    RevokeOperatorKey {
        /// Which.
        key: KeyId,
    },
    /// Makes a new version of a rate card.
    PutRateCard {
        /// Its name.
        name: String,
        /// The rules.
        document: Box<RateCardDocument>,
        /// From when on it is in force; from now, if absent.
        effective_at: Option<Timestamp>,
    },
    /// Cancels a version of a rate card that is to come.
    CancelRateCard {
        /// The card's name.
        name: String,
        /// Which version.
        version: u64,
    },
    /// Brings versions of rate cards into force whose instant has come.
    PassRateCards,
    /// Makes an instance known.
    SeeInstance {
        /// Of which gateway.
        gateway: GatewayId,
        /// Which.
        instance: InstanceId,
    },
    /// Forgets an instance that has long been silent and holds nothing.
    ForgetInstance {
        /// Which.
        instance: InstanceId,
    },
    /// Forgets answers to idempotency keys that were first given before an instant.
    ForgetAnswers {
        /// The instant.
        before: Timestamp,
    },
    /// Lets an instance have credit, or not.
    SetInstanceState {
        /// Which.
        instance: InstanceId,
        /// To what.
        state: InstanceState,
        /// Why.
        reason: Option<String>,
    },
    /// Counts usage detail, if the batch is new.
    BookUsage(Arc<Batch>),
    /// Forgets usage detail.
    ForgetUsage(ForgetUsage),
    /// Something about webhooks.
    Webhook(WebhookCommand),
    /// Something about plans, subscriptions or credit grants.
    Grant(GrantCommand),
    /// What was found wrong before a command could be made. It is refused with this; but the
    /// repetition of a write that was answered gets that answer, whatever has become since of
    /// what it was about.
    Refuse(Refusal),
}

/// What came of a command.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// A customer, as it is now.
    Customer(Customer),
    /// A customer's pricing.
    Pricing(CustomerId, Box<PricingVersion>),
    /// A consumer key.
    Key(ConsumerKey),
    /// A wallet, a lot, or credit that was taken out.
    Wallet(Box<WalletOutcome>),
    /// The answer to a resolve, if the credential is known.
    Resolved(Option<Box<Resolved>>),
    /// The answer to a report.
    Answer(Box<LeaseAnswer>),
    /// A resolved or held lease, and over how much was decided.
    LeaseResolved(Box<(Lease, Amount, Account)>),
    /// The settings.
    Settings(Box<Settings>),
    /// A currency.
    Currency(CurrencyDefinition),
    /// A gateway.
    Gateway(Gateway),
    /// A gateway's key.
    GatewayKey(GatewayKey),
    /// An operator's key.
    OperatorKey(OperatorKey),
    /// A version of a rate card.
    RateCard(Box<RateCardVersion>),
    /// A version of a rate card, without its rules.
    RateCardHead(Box<RateCardHead>),
    /// The number of the source's last batch of usage.
    Usage(u64),
    /// An instance.
    Instance(Instance),
    /// A webhook endpoint.
    Endpoint(Box<Endpoint>),
    /// Deliveries to an endpoint that are new, or as they are now; there may be none.
    Deliveries(EndpointId, Vec<Delivery>),
    /// A plan, a subscription, a credit grant or an application.
    Grant(Box<GrantOutcome>),
    /// A part is done; the same command does the next.
    Unfinished,
    /// Done; there is nothing to say.
    Done,
}

impl Command {
    /// What it is called in metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::CreateCustomer(_) => "create_customer",
            Self::ChangeCustomer { change, .. } => match change.status {
                None => "change_customer",
                Some(CustomerStatus::Suspended) => "suspend_customer",
                Some(CustomerStatus::Active) => "resume_customer",
            },
            Self::SetPricing { .. } => "set_pricing",
            Self::AddKey { .. } => "add_key",
            Self::RevokeKey { .. } => "revoke_key",
            Self::RotateKey { .. } => "rotate_key",
            Self::MoveKey { .. } => "move_key",
            Self::Wallet(command) => command.kind(),
            Self::Resolve { .. } => "resolve",
            Self::Report { .. } => "report",
            Self::ResolveLease { .. } => "resolve_lease",
            Self::HoldLease { .. } => "hold_lease",
            Self::ApplyPolicy { .. } => "apply_policy",
            Self::TurnLeases { .. } => "turn_leases",
            Self::Quarantine { .. } => "quarantine",
            Self::BeginAnew { .. } => "begin_anew",
            Self::BeginEpoch { .. } => "begin_epoch",
            Self::PassTime { .. } => "pass_time",
            Self::PutSettings(_) => "put_settings",
            Self::ChangeSettings { .. } => "change_settings",
            Self::DefineCurrency { .. } => "define_currency",
            Self::CreateGateway { .. } => "create_gateway",
            Self::ChangeGateway { .. } => "change_gateway",
            Self::AddGatewayKey { .. } => "add_gateway_key",
            Self::RevokeGatewayKey { .. } => "revoke_gateway_key",
            Self::AddOperatorKey { .. } => "add_operator_key",
            Self::RevokeOperatorKey { .. } => "revoke_operator_key",
            Self::PutRateCard { .. } => "put_rate_card",
            Self::CancelRateCard { .. } => "cancel_rate_card",
            Self::PassRateCards => "pass_rate_cards",
            Self::SeeInstance { .. } => "see_instance",
            Self::ForgetInstance { .. } => "forget_instance",
            Self::ForgetAnswers { .. } => "forget_answers",
            Self::SetInstanceState { .. } => "set_instance_state",
            Self::BookUsage(_) => "book_usage",
            Self::ForgetUsage(_) => "forget_usage",
            Self::Webhook(command) => command.kind(),
            Self::Grant(command) => command.kind(),
            Self::Refuse(_) => "refuse",
        }
    }

    /// Leases that it speaks of and that may be history; see [`LoadPlan::reported`](crate::storage::LoadPlan).
    #[must_use]
    pub fn reported(&self) -> Vec<NamedLease> {
        let Self::Report { instance, report } = self else {
            return Vec::new();
        };
        let named = |number| NamedLease {
            account: report.account,
            instance: *instance,
            number,
        };
        let previous = report
            .previous
            .as_ref()
            .map(|previous| named(previous.lease));
        std::iter::once(named(report.lease))
            .chain(previous)
            .collect()
    }

    /// The batch of usage detail that it books.
    #[must_use]
    pub fn usage(&self) -> Option<Arc<Batch>> {
        match self {
            Self::BookUsage(batch) => Some(Arc::clone(batch)),
            _ => None,
        }
    }

    /// Which books it needs. What does not exist is found out when it is decided.
    #[must_use]
    pub fn targets(&self) -> Vec<Target> {
        match self {
            Self::CreateCustomer(new) => vec![Target::ExternalId(new.external_id.clone())],
            Self::ChangeCustomer { customer, .. }
            | Self::SetPricing { customer, .. }
            | Self::AddKey { customer, .. }
            | Self::TurnLeases { customer, .. }
            | Self::Quarantine { customer, .. }
            | Self::BeginAnew { customer }
            | Self::PassTime { customer } => vec![customer.clone()],
            Self::RevokeKey { key, .. } | Self::RotateKey { key, .. } => vec![Target::Key(*key)],
            Self::MoveKey { key, customer } => vec![Target::Key(*key), customer.clone()],
            Self::Wallet(command) => command.targets(),
            Self::Resolve {
                credential,
                customer,
                ..
            } => vec![match customer {
                Some(name) => Target::ExternalId(name.clone()),
                None => Target::Credential(*credential),
            }],
            Self::Report { report, .. } => vec![Target::Account(report.account)],
            Self::ResolveLease { lease, .. }
            | Self::HoldLease { lease, .. }
            | Self::ApplyPolicy { lease, .. } => vec![Target::Lease(*lease)],
            Self::Grant(command) => command.targets(),
            Self::PutSettings(_)
            | Self::ChangeSettings { .. }
            | Self::BeginEpoch { .. }
            | Self::DefineCurrency { .. }
            | Self::CreateGateway { .. }
            | Self::ChangeGateway { .. }
            | Self::AddGatewayKey { .. }
            | Self::RevokeGatewayKey { .. }
            | Self::AddOperatorKey { .. }
            | Self::RevokeOperatorKey { .. }
            | Self::PutRateCard { .. }
            | Self::CancelRateCard { .. }
            | Self::PassRateCards
            | Self::SeeInstance { .. }
            | Self::ForgetInstance { .. }
            | Self::ForgetAnswers { .. }
            | Self::SetInstanceState { .. }
            | Self::BookUsage(_)
            | Self::ForgetUsage(_)
            | Self::Webhook(_)
            | Self::Refuse(_) => Vec::new(),
        }
    }
}
