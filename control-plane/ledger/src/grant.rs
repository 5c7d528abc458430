//! Credit grants: templates, each application of which makes a lot.
//!
//! A grant belongs to a plan, a subscription or a customer. Where it stands with each
//! subscription, or with the customer, is its [`Schedule`]: which application is next, and
//! when. What is due is applied before any other decision on the customer, so an application
//! takes place at its instant whenever it is booked, once, and in order; what was due while
//! nobody decided anything is caught up with.

mod apply;
pub mod calendar;
mod landing;
mod making;
mod rollover;
mod schedule;
mod upcoming;

pub use apply::{ATTEMPTS_MAX, CATCH_UP_MAX, is_behind, pass, retry};
pub(crate) use apply::{SUBSCRIPTION_CANCELLED, behind_since, skip};
pub use making::{NewGrant, NewRollover, archive, archive_of_plan, create, create_for_plan};
pub use schedule::reschedule;
pub(crate) use schedule::{end, take_up};
pub use upcoming::{Upcoming, UpcomingFilter, UpcomingPlace, upcoming};

use std::collections::BTreeMap;

use creditgate_core::amount::{Amount, Currency};
use serde::{Deserialize, Serialize};

use crate::credits::Credits;
use crate::id::{ApplicationId, CustomerId, GrantId, LotId, PlanId, SubscriptionId, WalletId};
use crate::time::Timestamp;

/// Most grants of one plan, subscription or customer that are not archived.
pub const GRANTS_MAX: usize = 100;

/// Most grants of all plans, archived ones too.
pub const PLAN_GRANTS_MAX: usize = 10_000;

/// The most of a period that a cadence or a duration may have.
pub const PERIODS_MAX: u32 = 1_000;

/// A template for lots. Its terms never change; archive it and make another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The id.
    pub id: GrantId,
    /// The operator's name; unique.
    pub external_id: Option<String>,
    /// For people.
    pub name: String,
    /// Who gets it.
    pub scope: GrantScope,
    /// How much, in credits of the wallet it lands in.
    pub credits: Credits,
    /// Which wallet: the customer's general one of this currency with the smallest priority.
    pub currency: Currency,
    /// When.
    pub cadence: GrantCadence,
    /// Recurrences are counted from here; none: from the start of the subscription, or from
    /// when the grant was made.
    pub anchor: Option<Timestamp>,
    /// Until when its lots can be spent.
    pub expiry: GrantExpiry,
    /// What is carried on from one application to the next.
    pub rollover: Option<Rollover>,
    /// Of its lots: smaller burns first; none burns last.
    pub priority: Option<i32>,
    /// Whether its lots are promotional rather than granted.
    pub is_promotional: bool,
    /// The operator's own data.
    pub metadata: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Nothing is applied from then on.
    pub archived_at: Option<Timestamp>,
}

/// Who gets a grant's credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum GrantScope {
    /// Whoever subscribes to the plan after the grant was made.
    Plan(PlanId),
    /// This subscription.
    Subscription(SubscriptionId),
    /// This customer.
    Customer(CustomerId),
}

/// When a grant is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum GrantCadence {
    /// Once: when the subscription, or the grant itself, begins.
    Onetime,
    /// Then, and each time a period has passed.
    Recurring(Cadence),
}

/// So many of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cadence {
    /// The period.
    pub period: Period,
    /// How many of it; 1 to 1,000.
    pub count: u32,
}

/// A period of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Period {
    /// A day.
    Daily,
    /// Seven days.
    Weekly,
    /// A month.
    Monthly,
    /// Three months.
    Quarterly,
    /// Six months.
    HalfYearly,
    /// Twelve months.
    Annual,
}

/// Until when a grant's lots can be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum GrantExpiry {
    /// For ever.
    Never,
    /// For so long after the application, by the calendar of the customer's zone.
    Duration(Cadence),
    /// Until the billing cycle of the subscription in which it was applied ends.
    BillingCycle,
}

/// What is carried on: `min(maximum, max(what remains, minimum))`, as of the next application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollover {
    /// At least so many credits.
    pub minimum: Credits,
    /// At most so many credits.
    pub maximum: Credits,
}

/// Where a grant stands with one subscription or customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Which grant.
    pub grant: GrantId,
    /// For which subscription; none for a customer's grant.
    pub subscription: Option<SubscriptionId>,
    /// Since when: nothing is due before.
    pub began_at: Timestamp,
    /// How many periods after the anchor the period of application 0 starts: if the anchor had
    /// passed when it began, it began in the midst of that period.
    pub offset: u32,
    /// The number of the next application, from 0.
    pub occurrence: u32,
    /// When it is due; none: there is none.
    pub next_at: Option<Timestamp>,
}

/// One application of a grant: it happens once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// The id.
    pub id: ApplicationId,
    /// Of which grant.
    pub grant: GrantId,
    /// For which subscription.
    pub subscription: Option<SubscriptionId>,
    /// To whom.
    pub customer: CustomerId,
    /// Which one, from 0.
    pub occurrence: u32,
    /// When it was due.
    pub scheduled_for: Timestamp,
    /// What became of it.
    pub state: ApplicationState,
    /// A stable code for why it was skipped or failed.
    pub cause: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried again.
    pub retry_at: Option<Timestamp>,
    /// The wallet it went to.
    pub wallet: Option<WalletId>,
    /// The lot it made.
    pub lot: Option<LotId>,
    /// How much it gave, in the currency's smallest units.
    pub amount: Amount,
    /// How much was carried on from the application before.
    pub rolled_over: Amount,
    /// Whether that was done: it is, when the application is first tried, and not again.
    #[serde(default)]
    pub carried: bool,
    /// When that was decided.
    pub decided_at: Timestamp,
}

/// What became of an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplicationState {
    /// Still to come; such are shown, not kept.
    Scheduled,
    /// It made a lot.
    Applied,
    /// It was not to be: the subscription was paused, or its time was over.
    Skipped,
    /// It could not be applied. It is tried again while `retry_at` says so.
    Failed,
}

impl Grant {
    /// Whether it is applied no more at `at`.
    #[must_use]
    pub fn is_archived(&self, at: Timestamp) -> bool {
        self.archived_at
            .is_some_and(|archived_at| archived_at <= at)
    }

    /// Whose subscriptions take it up, if it is a plan's.
    #[must_use]
    pub const fn plan(&self) -> Option<PlanId> {
        match self.scope {
            GrantScope::Plan(plan) => Some(plan),
            GrantScope::Subscription(_) | GrantScope::Customer(_) => None,
        }
    }
}

impl Application {
    /// Whether it is still to be tried.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        self.retry_at.is_some()
    }
}
