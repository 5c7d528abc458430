//! Subscriptions: a customer is on a plan, from an instant on, in billing cycles.

mod changing;

pub use changing::{
    CancelAt, NewSubscription, STARTED_AGO_MAX_MS, STARTS_AHEAD_MAX_MS, cancel, create, over,
    pause, resume,
};
pub(crate) use changing::{end, void_unspent};

use std::collections::BTreeMap;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::grant::Cadence;
use crate::grant::calendar::Recurrence;
use crate::id::{CustomerId, PlanId, SubscriptionId};
use crate::time::Timestamp;

/// Most subscriptions of a customer that are not cancelled.
pub const SUBSCRIPTIONS_MAX: usize = 100;

/// A customer's subscription to a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// The id.
    pub id: SubscriptionId,
    /// The operator's name; unique.
    pub external_id: Option<String>,
    /// Whose.
    pub customer: CustomerId,
    /// To which plan.
    pub plan: PlanId,
    /// Where it stands.
    pub status: SubscriptionStatus,
    /// How long a billing cycle is. Cycles, and grants without an anchor of their own, are
    /// counted from `started_at`.
    pub billing: Cadence,
    /// When it began.
    pub started_at: Timestamp,
    /// Since when it is paused.
    pub paused_at: Option<Timestamp>,
    /// It ends then: cancelled at the end of its cycle.
    pub ends_at: Option<Timestamp>,
    /// What happens when it ends; none: it was not cancelled.
    pub ending: Option<Ending>,
    /// When it was cancelled, or ended.
    pub cancelled_at: Option<Timestamp>,
    /// The operator's own data.
    pub metadata: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// How a subscription was cancelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// What becomes of the credit its grants gave and that is not spent.
    pub granted_credit: GrantedCredit,
    /// Why, if the actor said so.
    pub reason: Option<String>,
    /// Who cancelled it.
    pub actor: String,
}

/// What becomes of the unspent credit of a subscription that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantedCredit {
    /// It can be spent until it expires.
    Keep,
    /// It is voided.
    Void,
}

/// Where a subscription stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionStatus {
    /// Its grants are applied.
    Active,
    /// What would be applied meanwhile is skipped.
    Paused,
    /// Over.
    Cancelled,
}

/// When time alone changes the subscription.
#[must_use]
pub fn next_instant(subscription: &Subscription) -> Option<Timestamp> {
    subscription
        .ends_at
        .filter(|_| subscription.status != SubscriptionStatus::Cancelled)
}

/// When the billing cycle that runs at `at` began; none before the first.
#[must_use]
pub fn cycle_start(subscription: &Subscription, zone: Tz, at: Timestamp) -> Option<Timestamp> {
    let cycles = Recurrence::new(subscription.started_at, zone, subscription.billing)?;
    cycles.nth(cycles.last_by(at)?)
}

/// When the billing cycle that runs at `at` ends; before the first, when that begins.
#[must_use]
pub fn cycle_end(subscription: &Subscription, zone: Tz, at: Timestamp) -> Option<Timestamp> {
    Recurrence::new(subscription.started_at, zone, subscription.billing)?.next_after(at)
}
