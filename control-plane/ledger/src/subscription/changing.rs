//! Making, pausing, resuming and ending subscriptions.

use std::collections::BTreeMap;

use super::{
    Ending, GrantedCredit, SUBSCRIPTIONS_MAX, Subscription, SubscriptionStatus, cycle_end,
};
use crate::book::Book;
use crate::context::Context;
use crate::event::EventKind;
use crate::event::tell::{Tale, word};
use crate::grant::{self, Cadence, GrantScope};
use crate::id::{LotId, PlanId, SubscriptionId};
use crate::journal::Journal;
use crate::refusal::Refusal;
use crate::time::Timestamp;
use crate::void;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// How long ago a subscription may have begun when it is made: ten years.
pub const STARTED_AGO_MAX_MS: u64 = 3_660 * DAY_MS;

/// How far ahead a subscription may begin: a year.
pub const STARTS_AHEAD_MAX_MS: u64 = 366 * DAY_MS;

/// What makes a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSubscription {
    /// The operator's name.
    pub external_id: Option<String>,
    /// To which plan.
    pub plan: PlanId,
    /// How long a billing cycle is.
    pub billing: Cadence,
    /// When it begins, or began; none: now.
    pub started_at: Option<Timestamp>,
    /// The operator's own data.
    pub metadata: BTreeMap<String, String>,
}

/// Makes a subscription. It takes up the plan's grants, and those that are due are applied.
///
/// # Errors
/// An unknown or archived plan, a start out of range, [`SUBSCRIPTIONS_MAX`] subscriptions.
pub fn create(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    new: NewSubscription,
) -> Result<Subscription, Refusal> {
    let now = context.now;
    let plan = context.registry.plan(new.plan);
    let plan = plan.ok_or_else(|| Refusal::NotFound {
        what: "plan",
        id: new.plan.to_string(),
    })?;
    if plan.archived_at.is_some() {
        return Err(Refusal::Invalid {
            field: "/plan_id",
            code: "plan_archived",
            problem: format!(
                "plan {} is archived and takes no new subscriptions",
                plan.id
            ),
        });
    }
    let started_at = new.started_at.unwrap_or(now);
    let is_near = now.since_ms(started_at) <= STARTED_AGO_MAX_MS
        && started_at.since_ms(now) <= STARTS_AHEAD_MAX_MS;
    if !is_near {
        return Err(Refusal::Invalid {
            field: "/started_at",
            code: "started_at_out_of_range",
            problem: "must be at most ten years ago, and at most a year ahead".to_owned(),
        });
    }
    let running = book
        .subscriptions
        .iter()
        .filter(|known| known.status != SubscriptionStatus::Cancelled);
    if running.count() >= SUBSCRIPTIONS_MAX {
        return Err(Refusal::Conflict {
            code: "subscriptions_max",
            problem: format!("the customer has {SUBSCRIPTIONS_MAX} subscriptions"),
        });
    }
    let subscription = Subscription {
        id: SubscriptionId(context.ids.next()),
        external_id: new.external_id,
        customer: book.customer.id,
        plan: new.plan,
        status: SubscriptionStatus::Active,
        billing: new.billing,
        started_at,
        paused_at: None,
        ends_at: None,
        ending: None,
        cancelled_at: None,
        metadata: new.metadata,
        created_at: now,
    };
    let id = subscription.id;
    book.subscriptions.push(subscription.clone());
    tell(
        book,
        journal,
        context,
        EventKind::SubscriptionCreated,
        &subscription,
    );
    let offered =
        context.registry.plan_grants.iter().filter(|grant| {
            grant.scope == GrantScope::Plan(new.plan) && grant.archived_at.is_none()
        });
    for grant in offered {
        grant::take_up(book, grant, Some(id), now);
    }
    grant::pass(book, journal, context);
    Ok(subscription)
}

/// Pauses a subscription: what would be applied meanwhile is skipped.
///
/// # Errors
/// An unknown subscription, or one that is over.
pub fn pause(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    id: SubscriptionId,
) -> Result<Subscription, Refusal> {
    let now = context.now;
    let subscription = running(book, id)?;
    if subscription.status == SubscriptionStatus::Paused {
        return Ok(subscription.clone());
    }
    subscription.status = SubscriptionStatus::Paused;
    subscription.paused_at = Some(now);
    let subscription = subscription.clone();
    tell(
        book,
        journal,
        context,
        EventKind::SubscriptionPaused,
        &subscription,
    );
    Ok(subscription)
}

/// Resumes a paused subscription. Cycles and grants go on as they were counted before.
///
/// # Errors
/// An unknown subscription, or one that is over.
pub fn resume(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    id: SubscriptionId,
) -> Result<Subscription, Refusal> {
    let subscription = running(book, id)?;
    if subscription.status == SubscriptionStatus::Active {
        return Ok(subscription.clone());
    }
    subscription.status = SubscriptionStatus::Active;
    subscription.paused_at = None;
    let subscription = subscription.clone();
    tell(
        book,
        journal,
        context,
        EventKind::SubscriptionResumed,
        &subscription,
    );
    Ok(subscription)
}

/// When a subscription that is cancelled ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelAt {
    /// At once.
    Now,
    /// When the billing cycle that runs is over.
    PeriodEnd,
}

/// Cancels a subscription, or says anew how it ends.
///
/// # Errors
/// An unknown subscription, or one that is over.
pub fn cancel(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    id: SubscriptionId,
    at: CancelAt,
    (granted_credit, reason): (GrantedCredit, Option<String>),
) -> Result<Subscription, Refusal> {
    let zone = grant::calendar::zone(&book.customer.time_zone);
    let now = context.now;
    let subscription = running(book, id)?;
    subscription.ending = Some(Ending {
        granted_credit,
        reason,
        actor: context.actor.to_owned(),
    });
    // Beyond the end of the calendar no cycle ends.
    let cycle_end = cycle_end(subscription, zone, now).unwrap_or(now);
    subscription.ends_at = Some(match at {
        CancelAt::Now => now,
        CancelAt::PeriodEnd => cycle_end,
    });
    if at == CancelAt::Now {
        let ended = end(book, journal, context, id);
        if let Some(ended) = ended {
            void_unspent(book, journal, context, &ended);
        }
    }
    let row = book.subscriptions.iter().find(|known| known.id == id);
    row.cloned().ok_or_else(|| not_found(id))
}

/// A subscription that has ended and whose unspent credit is to be voided.
pub(crate) struct Ended {
    id: SubscriptionId,
    reason: String,
    /// Who wanted it so.
    actor: String,
}

/// Ends a subscription at its instant. Answers it if its unspent credit is still to be voided.
pub(crate) fn end(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    id: SubscriptionId,
) -> Option<Ended> {
    let now = context.now;
    let subscription = running(book, id).ok()?;
    subscription.status = SubscriptionStatus::Cancelled;
    subscription.cancelled_at = subscription.ends_at.or(Some(now));
    let subscription = subscription.clone();
    grant::end(book, |schedule| schedule.subscription == Some(id));
    for grant in &mut book.grants {
        if grant.scope == GrantScope::Subscription(id) {
            grant.archived_at = grant.archived_at.or(subscription.cancelled_at);
        }
    }
    for place in 0..book.applications.len() {
        let mut application = book.applications[place].clone();
        if application.subscription == Some(id) && application.is_live() {
            let cause = grant::SUBSCRIPTION_CANCELLED;
            grant::skip(book, journal, context, &mut application, cause);
            book.applications[place] = application;
        }
    }
    tell(
        book,
        journal,
        context,
        EventKind::SubscriptionCancelled,
        &subscription,
    );
    let ending = subscription.ending?;
    let reason = ending
        .reason
        .unwrap_or_else(|| "the subscription ended".to_owned());
    let actor = ending.actor;
    (ending.granted_credit == GrantedCredit::Void).then_some(Ended { id, reason, actor })
}

/// Voids what is left of the lots that a subscription's grants made, in the name of who
/// cancelled it.
pub(crate) fn void_unspent(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    ended: &Ended,
) {
    let context = &mut context.of(&ended.actor);
    let given: Vec<LotId> = book
        .lots
        .iter()
        .filter(|lot| {
            let of = lot.source.granted_by().and_then(|by| by.subscription);
            of == Some(ended.id) && lot.voided_at.is_none()
        })
        .map(|lot| lot.id)
        .collect();
    for lot in given {
        // One that is used up by now has nothing left to void.
        let _used_up = void::void(book, journal, context, lot, &ended.reason);
    }
}

fn running(book: &mut Book, id: SubscriptionId) -> Result<&mut Subscription, Refusal> {
    let found = book.subscriptions.iter_mut().find(|known| known.id == id);
    // One that is not in the book is over: whoever names it was shown to exist.
    found
        .filter(|known| known.status != SubscriptionStatus::Cancelled)
        .ok_or_else(|| over(&id.to_string()))
}

/// What is answered of a subscription that is over.
#[must_use]
pub fn over(named: &str) -> Refusal {
    Refusal::Conflict {
        code: "subscription_cancelled",
        problem: format!("subscription {named:?} is over; make another"),
    }
}

fn not_found(id: SubscriptionId) -> Refusal {
    Refusal::NotFound {
        what: "subscription",
        id: id.to_string(),
    }
}

fn tell(
    book: &Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    kind: EventKind,
    subscription: &Subscription,
) {
    let plan = context.registry.plan(subscription.plan);
    let plan = plan.map(|plan| plan.external_id.as_str());
    let ending = subscription.ending.as_ref();
    let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let mut tale = Tale::of_customer(book);
    tale.say("subscription_id", subscription.id.to_string());
    tale.say("subscription_external_id", subscription.external_id.clone());
    tale.say("plan_id", subscription.plan.to_string());
    tale.say("plan_external_id", plan);
    tale.say("status", word(&subscription.status));
    tale.say("started_at", subscription.started_at.to_string());
    tale.say("ends_at", text(subscription.ends_at));
    tale.say("cancelled_at", text(subscription.cancelled_at));
    let credit = ending.map(|ending| word(&ending.granted_credit));
    tale.say("granted_credit", credit);
    let reason = ending.and_then(|ending| ending.reason.clone());
    tale.say("reason", reason);
    tale.tell(book, journal, context, kind);
}
