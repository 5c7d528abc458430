//! Making and archiving grants. A grant whose terms could not be kept is refused here.

use std::collections::BTreeMap;

use creditgate_core::amount::{Currency, Scale};

use super::calendar::Step;
use super::schedule::{self, subscription_of};
use super::{
    Cadence, GRANTS_MAX, Grant, GrantCadence, GrantExpiry, GrantScope, PLAN_GRANTS_MAX, Rollover,
};
use crate::book::Book;
use crate::context::Context;
use crate::credits::Credits;
use crate::id::{GrantId, SubscriptionId};
use crate::journal::Journal;
use crate::plan::Plan;
use crate::refusal::Refusal;
use crate::registry::Registry;
use crate::subscription;
use crate::time::Timestamp;

/// What makes a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGrant {
    /// The operator's name.
    pub external_id: Option<String>,
    /// For people.
    pub name: String,
    /// How much, in credits; decimal text.
    pub credits: String,
    /// Of which wallet.
    pub currency: Currency,
    /// When.
    pub cadence: GrantCadence,
    /// Recurrences are counted from here.
    pub anchor: Option<Timestamp>,
    /// Until when its lots can be spent.
    pub expiry: GrantExpiry,
    /// What is carried on.
    pub rollover: Option<NewRollover>,
    /// Of its lots.
    pub priority: Option<i32>,
    /// Whether its lots are promotional.
    pub is_promotional: bool,
    /// The operator's own data.
    pub metadata: BTreeMap<String, String>,
}

/// What is carried on, in credits; decimal text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRollover {
    /// At least.
    pub minimum: Option<String>,
    /// At most.
    pub maximum: String,
}

/// Makes a grant of a plan. Subscriptions made from now on take it up.
///
/// # Errors
/// Terms that can't be kept, a plan that is archived or has [`GRANTS_MAX`] grants.
pub fn create_for_plan(
    context: &mut Context<'_>,
    plan: &Plan,
    new: NewGrant,
) -> Result<Grant, Refusal> {
    if plan.archived_at.is_some() {
        return Err(Refusal::Invalid {
            field: "/plan_id",
            code: "plan_archived",
            problem: format!("plan {} is archived and can't be changed", plan.id),
        });
    }
    let grants = &context.registry.plan_grants;
    let of_plan = grants
        .iter()
        .filter(|grant| grant.plan() == Some(plan.id) && grant.archived_at.is_none());
    if grants.len() >= PLAN_GRANTS_MAX {
        return Err(too_many("the plans together have", PLAN_GRANTS_MAX));
    }
    if of_plan.count() >= GRANTS_MAX {
        return Err(too_many("the plan has", GRANTS_MAX));
    }
    made(context, GrantScope::Plan(plan.id), None, new)
}

/// Makes a grant of a customer or of one of its subscriptions, and applies it if it is due.
///
/// # Errors
/// Terms that can't be kept, an unknown or cancelled subscription, [`GRANTS_MAX`] grants.
pub fn create(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    subscription: Option<SubscriptionId>,
    new: NewGrant,
) -> Result<Grant, Refusal> {
    let billing = match subscription {
        Some(id) => Some(active(book, id)?),
        None => None,
    };
    let scope = subscription.map_or(
        GrantScope::Customer(book.customer.id),
        GrantScope::Subscription,
    );
    let alike = book
        .grants
        .iter()
        .filter(|grant| grant.scope == scope && grant.archived_at.is_none());
    if alike.count() >= GRANTS_MAX {
        let whose = subscription.map_or("the customer has", |_| "the subscription has");
        return Err(too_many(whose, GRANTS_MAX));
    }
    let grant = made(context, scope, billing, new)?;
    book.grants.push(grant.clone());
    schedule::take_up(book, &grant, subscription, context.now);
    super::pass(book, journal, context);
    Ok(grant)
}

/// Archives a grant of a customer or a subscription: nothing is applied any more. Its lots stay.
///
/// # Errors
/// Unknown grant, or one that is archived.
pub fn archive(book: &mut Book, context: &mut Context<'_>, id: GrantId) -> Result<Grant, Refusal> {
    let found = book.grants.iter_mut().find(|grant| grant.id == id);
    let grant = archived(found, id, context.now)?;
    schedule::end(book, |schedule| schedule.grant == id);
    Ok(grant)
}

/// Archives a plan's grant. The subscriptions that took it up leave it when it is next due.
///
/// # Errors
/// Unknown grant, or one that is archived.
pub fn archive_of_plan(
    registry: &mut Registry,
    now: Timestamp,
    id: GrantId,
) -> Result<Grant, Refusal> {
    let found = registry.plan_grants.iter_mut().find(|grant| grant.id == id);
    archived(found, id, now)
}

fn archived(found: Option<&mut Grant>, id: GrantId, now: Timestamp) -> Result<Grant, Refusal> {
    let grant = found.ok_or_else(|| Refusal::NotFound {
        what: "credit grant",
        id: id.to_string(),
    })?;
    if grant.archived_at.is_some() {
        return Err(Refusal::Conflict {
            code: "grant_archived",
            problem: format!("credit grant {id} is archived already"),
        });
    }
    grant.archived_at = Some(now);
    Ok(grant.clone())
}

fn made(
    context: &mut Context<'_>,
    scope: GrantScope,
    billing: Option<Cadence>,
    new: NewGrant,
) -> Result<Grant, Refusal> {
    let credits = credits(&new.credits, "/credit_amount")?;
    if credits.is_zero() || credits.is_negative() {
        return Err(invalid(
            "/credit_amount",
            "amount_not_positive",
            "must be more than zero",
        ));
    }
    if matches!(scope, GrantScope::Customer(_)) && new.expiry == GrantExpiry::BillingCycle {
        return Err(invalid(
            "/expiration_type",
            "billing_cycle_needs_subscription",
            "a customer has no billing cycle; use DURATION, or a grant of a subscription or a plan",
        ));
    }
    if new.cadence == GrantCadence::Onetime && new.anchor.is_some() {
        return Err(invalid(
            "/anchor",
            "only_for_recurring",
            "a ONETIME grant is applied when the subscription, or the grant, begins",
        ));
    }
    let rollover = new.rollover.as_ref().map(checked_rollover).transpose()?;
    if rollover.is_some() {
        check_reach(&new, billing)?;
    }
    Ok(Grant {
        id: GrantId(context.ids.next()),
        external_id: new.external_id,
        name: new.name,
        scope,
        credits,
        currency: new.currency,
        cadence: new.cadence,
        anchor: new.anchor,
        expiry: new.expiry,
        rollover,
        priority: new.priority,
        is_promotional: new.is_promotional,
        metadata: new.metadata,
        created_at: context.now,
        archived_at: None,
    })
}

fn credits(text: &str, field: &'static str) -> Result<Credits, Refusal> {
    Credits::parse(text, Scale::MAX).map_err(|error| Refusal::amount(field, &error))
}

fn checked_rollover(rollover: &NewRollover) -> Result<Rollover, Refusal> {
    let minimum = rollover.minimum.as_deref().unwrap_or("0");
    let minimum = credits(minimum, "/rollover/minimum")?;
    let maximum = credits(&rollover.maximum, "/rollover/maximum")?;
    if minimum.is_negative() || maximum.nano() < minimum.nano() {
        return Err(invalid(
            "/rollover",
            "rollover_invalid",
            "must have 0 <= minimum <= maximum",
        ));
    }
    Ok(Rollover { minimum, maximum })
}

/// Terms by which credit would expire before the next application contradict a rollover.
fn check_reach(new: &NewGrant, billing: Option<Cadence>) -> Result<(), Refusal> {
    let GrantCadence::Recurring(cadence) = new.cadence else {
        return Err(invalid(
            "/rollover",
            "only_for_recurring",
            "a ONETIME grant has no next application to carry credit on to",
        ));
    };
    let reaches = match new.expiry {
        GrantExpiry::Never => true,
        GrantExpiry::Duration(duration) => is_as_long(duration, cadence),
        // A plan's grant meets the cycles of subscriptions that are yet to be made.
        GrantExpiry::BillingCycle => {
            new.anchor.is_none() && billing.is_none_or(|billing| divides(cadence, billing))
        }
    };
    if reaches {
        return Ok(());
    }
    Err(invalid(
        "/rollover",
        "rollover_needs_expiry",
        "credit must not expire before the next application; make the expiry as long as the longest period",
    ))
}

/// Whether `duration` always lasts until a `period` is over.
fn is_as_long(duration: Cadence, period: Cadence) -> bool {
    match (Step::of(duration), Step::of(period)) {
        (Step::Days(duration), Step::Days(period))
        | (Step::Months(duration), Step::Months(period)) => duration >= period,
        (Step::Days(days), Step::Months(months)) => days >= months.saturating_mul(31),
        (Step::Months(months), Step::Days(days)) => months.saturating_mul(28) >= days,
    }
}

/// Whether each cycle of `billing` ends where some `period` does.
fn divides(period: Cadence, billing: Cadence) -> bool {
    match (Step::of(period), Step::of(billing)) {
        (Step::Days(period), Step::Days(cycle)) | (Step::Months(period), Step::Months(cycle)) => {
            cycle % period.max(1) == 0
        }
        (Step::Days(days), Step::Months(_)) => days == 1,
        (Step::Months(_), Step::Days(_)) => false,
    }
}

/// The billing of a subscription that is not over.
fn active(book: &Book, id: SubscriptionId) -> Result<Cadence, Refusal> {
    let subscription =
        subscription_of(book, id).ok_or_else(|| subscription::over(&id.to_string()))?;
    Ok(subscription.billing)
}

fn too_many(whose: &str, max: usize) -> Refusal {
    Refusal::Conflict {
        code: "grants_max",
        problem: format!("{whose} {max} credit grants; archive some first"),
    }
}

fn invalid(field: &'static str, code: &'static str, problem: &str) -> Refusal {
    Refusal::Invalid {
        field,
        code,
        problem: problem.to_owned(),
    }
}
