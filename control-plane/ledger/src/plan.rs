//! Plans: what customers subscribe to. A plan's credit grants are its [`Grant`](crate::grant::Grant)s.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::PlanId;
use crate::refusal::Refusal;
use crate::registry::Registry;
use crate::time::Timestamp;

/// Most plans of an installation, archived ones too.
pub const PLANS_MAX: usize = 1_000;

/// What customers subscribe to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The id.
    pub id: PlanId,
    /// The operator's name; unique.
    pub external_id: String,
    /// For people.
    pub name: String,
    /// What the operator says of it.
    pub description: Option<String>,
    /// The operator's own data.
    pub metadata: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// No new subscriptions from then on.
    pub archived_at: Option<Timestamp>,
}

/// What makes a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPlan {
    /// The operator's name.
    pub external_id: String,
    /// For people.
    pub name: String,
    /// What the operator says of it.
    pub description: Option<String>,
    /// The operator's own data.
    pub metadata: BTreeMap<String, String>,
}

/// What may be changed of a plan; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlanChange {
    /// For people.
    pub name: Option<String>,
    /// What the operator says of it.
    pub description: Option<String>,
    /// The operator's own data, replaced as a whole.
    pub metadata: Option<BTreeMap<String, String>>,
}

/// A new plan.
///
/// # Errors
/// A name that is taken, or [`PLANS_MAX`] plans.
pub fn create(
    registry: &Registry,
    id: PlanId,
    now: Timestamp,
    new: NewPlan,
) -> Result<Plan, Refusal> {
    let plans = &registry.plans;
    if plans.iter().any(|plan| plan.external_id == new.external_id) {
        return Err(Refusal::Exists {
            field: "/external_id",
            what: "plan",
            id: new.external_id,
        });
    }
    if plans.len() >= PLANS_MAX {
        return Err(Refusal::Conflict {
            code: "plans_max",
            problem: format!("there are {PLANS_MAX} plans, archived ones included"),
        });
    }
    Ok(Plan {
        id,
        external_id: new.external_id,
        name: new.name,
        description: new.description,
        metadata: new.metadata,
        created_at: now,
        archived_at: None,
    })
}

impl Plan {
    /// Changes it.
    pub fn change(&mut self, change: PlanChange) {
        if let Some(name) = change.name {
            self.name = name;
        }
        if change.description.is_some() {
            self.description = change.description;
        }
        if let Some(metadata) = change.metadata {
            self.metadata = metadata;
        }
    }

    /// Archives it: nobody can subscribe to it any more. Subscriptions that exist go on, with
    /// their grants.
    ///
    /// # Errors
    /// One that is archived.
    pub fn archive(&mut self, now: Timestamp) -> Result<(), Refusal> {
        if self.archived_at.is_some() {
            return Err(Refusal::Conflict {
                code: "plan_archived",
                problem: format!("plan {} is archived already", self.id),
            });
        }
        self.archived_at = Some(now);
        Ok(())
    }
}
