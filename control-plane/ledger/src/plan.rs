//! Plans: what customers subscribe to. A plan's credit grants are its [`Grant`](crate::grant::Grant)s.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::PlanId;
use crate::time::Timestamp;

/// Most plans of an installation.
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
