//! Commands on plans, subscriptions and credit grants.

use creditgate_core::amount::{Currency, Scale};
use creditgate_ledger::grant::{Application, Grant, NewGrant};
use creditgate_ledger::id::{ApplicationId, CustomerId, GrantId};
use creditgate_ledger::plan::{NewPlan, Plan, PlanChange};
use creditgate_ledger::subscription::{CancelAt, GrantedCredit, Subscription};
use creditgate_ledger::{Timestamp, grant};

use crate::storage::Target;

/// Something to be written about plans, subscriptions or credit grants. Plans and grants go by
/// id or by the operator's name.
#[derive(Debug, Clone)]
pub enum GrantCommand {
    /// Makes a plan.
    CreatePlan(Box<NewPlan>),
    /// Changes a plan.
    ChangePlan {
        /// Which.
        plan: String,
        /// What.
        change: Box<PlanChange>,
    },
    /// Archives a plan.
    ArchivePlan {
        /// Which.
        plan: String,
    },
    /// Makes a subscription.
    Subscribe(Box<Subscribe>),
    /// Pauses a subscription.
    Pause {
        /// Which.
        subscription: Target,
        /// Why.
        reason: Option<String>,
    },
    /// Resumes a paused subscription.
    Resume {
        /// Which.
        subscription: Target,
        /// Why.
        reason: Option<String>,
    },
    /// Cancels a subscription.
    Cancel {
        /// Which.
        subscription: Target,
        /// When it ends.
        at: CancelAt,
        /// What becomes of its unspent credit.
        granted_credit: GrantedCredit,
        /// Why.
        reason: Option<String>,
    },
    /// Makes a credit grant.
    Create {
        /// Whose.
        owner: GrantOwner,
        /// What.
        new: Box<NewGrant>,
    },
    /// Archives a credit grant.
    Archive {
        /// Which.
        grant: String,
    },
    /// Tries an application that failed once more.
    Retry {
        /// Which.
        application: ApplicationId,
    },
}

/// What makes a subscription.
#[derive(Debug, Clone)]
pub struct Subscribe {
    /// Whose.
    pub customer: Target,
    /// To which plan.
    pub plan: String,
    /// The operator's name.
    pub external_id: Option<String>,
    /// How long a billing cycle is.
    pub billing: grant::Cadence,
    /// When it begins; none: now.
    pub started_at: Option<Timestamp>,
    /// The operator's own data.
    pub metadata: std::collections::BTreeMap<String, String>,
}

/// Whose a credit grant is.
#[derive(Debug, Clone)]
pub enum GrantOwner {
    /// A plan's.
    Plan(String),
    /// A subscription's.
    Subscription(Target),
    /// A customer's.
    Customer(Target),
}

/// What came of such a command.
#[derive(Debug, Clone)]
pub enum GrantOutcome {
    /// A plan.
    Plan(Plan),
    /// A subscription, with what its cycles are counted by.
    Subscription(Subscribed),
    /// A credit grant, and whose it is if it is no plan's.
    Grant(Grant, Option<CustomerId>),
    /// An application, and what it counts in if it found a wallet.
    Application(Application, Option<(Currency, Scale)>),
}

/// A subscription as of an instant.
#[derive(Debug, Clone)]
pub struct Subscribed {
    /// It.
    pub subscription: Subscription,
    /// The customer's time zone.
    pub time_zone: String,
    /// The instant.
    pub at: Timestamp,
}

/// A grant of a customer or a subscription by id or by the operator's name.
pub(crate) fn grant_target(named: &str) -> Target {
    named
        .parse::<GrantId>()
        .map_or_else(|_| Target::GrantName(named.to_owned()), Target::Grant)
}

impl GrantCommand {
    /// What it is called in metrics and in the log of changes.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::CreatePlan(_) => "create_plan",
            Self::ChangePlan { .. } => "change_plan",
            Self::ArchivePlan { .. } => "archive_plan",
            Self::Subscribe(_) => "create_subscription",
            Self::Pause { .. } => "pause_subscription",
            Self::Resume { .. } => "resume_subscription",
            Self::Cancel { .. } => "cancel_subscription",
            Self::Create { .. } => "create_credit_grant",
            Self::Archive { .. } => "archive_credit_grant",
            Self::Retry { .. } => "retry_application",
        }
    }

    /// Which books it needs, and which names of other books it must not take.
    #[must_use]
    pub fn targets(&self) -> Vec<Target> {
        match self {
            Self::CreatePlan(_) | Self::ChangePlan { .. } | Self::ArchivePlan { .. } => Vec::new(),
            Self::Subscribe(new) => {
                let name = new.external_id.clone().map(Target::SubscriptionName);
                std::iter::once(new.customer.clone()).chain(name).collect()
            }
            Self::Pause { subscription, .. }
            | Self::Resume { subscription, .. }
            | Self::Cancel { subscription, .. } => vec![subscription.clone()],
            Self::Create { owner, new } => {
                let whose = match owner {
                    GrantOwner::Plan(_) => None,
                    GrantOwner::Subscription(target) | GrantOwner::Customer(target) => {
                        Some(target.clone())
                    }
                };
                let name = new.external_id.clone().map(Target::GrantName);
                whose.into_iter().chain(name).collect()
            }
            Self::Archive { grant } => vec![grant_target(grant)],
            Self::Retry { application } => vec![Target::Application(*application)],
        }
    }

    /// Why, as far as the client said so.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Pause { reason, .. }
            | Self::Resume { reason, .. }
            | Self::Cancel { reason, .. } => reason.as_deref(),
            _ => None,
        }
    }
}

impl GrantOutcome {
    /// The id of the object that was made or changed.
    #[must_use]
    pub fn subject(&self) -> String {
        match self {
            Self::Plan(plan) => plan.id.to_string(),
            Self::Subscription(row) => row.subscription.id.to_string(),
            Self::Grant(grant, _) => grant.id.to_string(),
            Self::Application(row, _) => row.id.to_string(),
        }
    }

    /// Whose object that is.
    #[must_use]
    pub const fn customer(&self) -> Option<CustomerId> {
        match self {
            Self::Plan(_) => None,
            Self::Subscription(row) => Some(row.subscription.customer),
            Self::Grant(_, customer) => *customer,
            Self::Application(row, _) => Some(row.customer),
        }
    }
}
