//! Subscriptions: a customer is on a plan.

use std::collections::{BTreeMap, HashMap};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use creditgate_ledger::grant::{Period, calendar};
use creditgate_ledger::id::{CustomerId, SubscriptionId};
use creditgate_ledger::subscription::{
    CancelAt, GrantedCredit, SubscriptionStatus, cycle_end, cycle_start,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::credit_grants::cadence;
use super::{customer, instant};
use crate::command::{Command, GrantCommand, GrantOutcome, Outcome, Subscribe, Subscribed};
use crate::http::Shared;
use crate::http::answer::write;
use crate::http::body::{Params, Path, Write};
use crate::http::input::{ExternalId, Lower, Metadata, Note, Upper, When};
use crate::http::list::{List, PageQuery};
use crate::problem::Problem;
use crate::storage::{Reader, SubscriptionFilter, Target};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(create_subscription, list_subscriptions))
        .routes(routes!(get_subscription))
        .routes(routes!(pause_subscription))
        .routes(routes!(resume_subscription))
        .routes(routes!(cancel_subscription))
}

/// A customer's subscription to a plan.
#[derive(Serialize, ToSchema)]
#[schema(as = Subscription)]
struct SubscriptionView {
    /// The id, `sub_…`.
    id: String,
    /// The operator's name; serves wherever the id does.
    external_id: Option<String>,
    /// Whose.
    customer_id: String,
    /// To which plan.
    plan_id: String,
    /// `active`, `paused` or `cancelled`.
    #[schema(value_type = String)]
    status: SubscriptionStatus,
    /// What billing cycles are counted in.
    #[schema(value_type = String)]
    billing_period: Period,
    /// How many of it a cycle has.
    billing_period_count: u32,
    /// When it began. Cycles are counted from then, by the clocks of the customer's zone.
    started_at: String,
    /// When the cycle that runs began; null before the first, and after the end.
    current_period_start: Option<String>,
    /// When the cycle that runs ends; before the first, when that begins; null after the end.
    current_period_end: Option<String>,
    /// Since when it is paused.
    paused_at: Option<String>,
    /// When it ends, if it was cancelled.
    ends_at: Option<String>,
    /// What becomes of unspent credit of its grants when it ends: `keep` or `void`.
    #[schema(value_type = Option<String>)]
    granted_credit: Option<GrantedCredit>,
    /// Why it was cancelled.
    cancel_reason: Option<String>,
    /// When it ended.
    cancelled_at: Option<String>,
    /// The operator's own data.
    metadata: BTreeMap<String, String>,
    /// When it was made.
    created_at: String,
}

impl SubscriptionView {
    fn of(row: &Subscribed) -> Self {
        let subscription = &row.subscription;
        let zone = calendar::zone(&row.time_zone);
        let runs = subscription.status != SubscriptionStatus::Cancelled;
        let runs = runs.then_some(subscription);
        let ending = subscription.ending.as_ref();
        Self {
            id: subscription.id.to_string(),
            external_id: subscription.external_id.clone(),
            customer_id: subscription.customer.to_string(),
            plan_id: subscription.plan.to_string(),
            status: subscription.status,
            billing_period: subscription.billing.period,
            billing_period_count: subscription.billing.count,
            started_at: subscription.started_at.to_string(),
            current_period_start: instant(runs.and_then(|runs| cycle_start(runs, zone, row.at))),
            current_period_end: instant(runs.and_then(|runs| cycle_end(runs, zone, row.at))),
            paused_at: instant(subscription.paused_at),
            ends_at: instant(subscription.ends_at),
            granted_credit: ending.map(|ending| ending.granted_credit),
            cancel_reason: ending.and_then(|ending| ending.reason.clone()),
            cancelled_at: instant(subscription.cancelled_at),
            metadata: subscription.metadata.clone(),
            created_at: subscription.created_at.to_string(),
        }
    }

    fn shown(outcome: &Outcome) -> Option<Self> {
        let Outcome::Grant(outcome) = outcome else {
            return None;
        };
        match &**outcome {
            GrantOutcome::Subscription(row) => Some(Self::of(row)),
            _ => None,
        }
    }
}

/// What makes a subscription.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "customer_id": "cust_ABC123", "plan_id": "plan_starter" }))]
struct CreateSubscription {
    /// Whose: id or external id.
    customer_id: String,
    /// To which plan: id or external id.
    plan_id: String,
    /// The operator's name, unique; 1 to 128 printable characters.
    #[schema(value_type = Option<String>, max_length = 128)]
    external_id: Option<ExternalId>,
    /// When it begins; now if absent. At most a year ahead, or ten years ago: then cycles are
    /// counted from there, and of the plan's grants the period that runs is applied, those
    /// before it are not.
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<When>,
    /// `DAILY`, `WEEKLY`, `MONTHLY`, `QUARTERLY`, `HALF_YEARLY` or `ANNUAL`; monthly if absent.
    #[schema(value_type = Option<String>)]
    billing_period: Option<Upper<Period>>,
    /// How many of it a billing cycle has, 1 to 1,000; 1 if absent.
    #[schema(minimum = 1, maximum = 1000)]
    billing_period_count: Option<u32>,
    /// The operator's own data: at most 50 entries, keys to 40 and values to 500 characters.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    metadata: Option<Metadata>,
}

/// Subscribes a customer to a plan. The plan's grants that are due are applied with it.
#[utoipa::path(post, path = "/v1/subscriptions", tag = "subscriptions", request_body = CreateSubscription,
    responses((status = 201, body = SubscriptionView)))]
async fn create_subscription(
    State(app): State<Shared>,
    Write { body, raw }: Write<CreateSubscription>,
) -> Result<Response, Problem> {
    let period = body
        .billing_period
        .map_or(Period::Monthly, |period| period.0);
    let new = Subscribe {
        customer: customer(&body.customer_id),
        plan: body.plan_id,
        external_id: body.external_id.map(|name| name.0),
        billing: cadence(period, body.billing_period_count, "/billing_period_count")?,
        started_at: body.started_at.map(|at| at.0),
        metadata: body.metadata.unwrap_or_default().0,
    };
    let command = Command::Grant(GrantCommand::Subscribe(Box::new(new)));
    write(
        &app,
        &raw,
        command,
        StatusCode::CREATED,
        SubscriptionView::shown,
    )
    .await
}

/// Which subscriptions.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SubscriptionQuery {
    /// Of this customer: id or external id.
    customer_id: Option<String>,
    /// To this plan: id or external id.
    plan_id: Option<String>,
    /// `active`, `paused` or `cancelled`.
    #[param(value_type = Option<String>)]
    status: Option<Lower<SubscriptionStatus>>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Most items of the page, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Lists subscriptions, oldest first.
#[utoipa::path(get, path = "/v1/subscriptions", tag = "subscriptions", params(SubscriptionQuery),
    responses((status = 200, body = List<SubscriptionView>)))]
async fn list_subscriptions(
    State(app): State<Shared>,
    Params(query): Params<SubscriptionQuery>,
) -> Result<Json<List<SubscriptionView>>, Problem> {
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    }
    .request()?;
    let at = app.clock.now();
    let list = app.read(move |reader| {
        let reader = reader.snapshot()?;
        let registry = reader.registry()?;
        let plan = query.plan_id.as_deref().map(|named| {
            let plan = registry.plan_named(named);
            plan.map(|plan| plan.id)
                .ok_or_else(|| Problem::not_found("plan", named))
        });
        let filter = SubscriptionFilter {
            customer: owner(&*reader, query.customer_id.as_deref())?,
            plan: plan.transpose()?,
            status: query.status.map(|status| status.0),
        };
        let rows = reader.subscriptions(filter, page)?;
        let mut zones: HashMap<CustomerId, String> = HashMap::new();
        for row in &rows.items {
            if !zones.contains_key(&row.customer) {
                let owner = reader.customer(&Target::Customer(row.customer))?;
                zones.extend(owner.map(|owner| (owner.id, owner.time_zone)));
            }
        }
        Ok(List::of(rows, |subscription| {
            let time_zone = zones
                .get(&subscription.customer)
                .cloned()
                .unwrap_or_default();
            SubscriptionView::of(&Subscribed {
                subscription,
                time_zone,
                at,
            })
        }))
    });
    list.await.map(Json)
}

/// The id of a customer that a query names.
pub(super) fn owner(
    reader: &dyn Reader,
    named: Option<&str>,
) -> Result<Option<CustomerId>, Problem> {
    let Some(named) = named else { return Ok(None) };
    let found = reader.customer(&customer(named))?;
    let found = found.ok_or_else(|| Problem::not_found("customer", named))?;
    Ok(Some(found.id))
}

/// A subscription by id or by the operator's name.
pub(super) fn subscription(named: &str) -> Target {
    named.parse::<SubscriptionId>().map_or_else(
        |_| Target::SubscriptionName(named.to_owned()),
        Target::Subscription,
    )
}

/// Shows a subscription.
#[utoipa::path(get, path = "/v1/subscriptions/{id}", tag = "subscriptions",
    params(("id" = String, Path, description = "Id or external id")),
    responses((status = 200, body = SubscriptionView)))]
async fn get_subscription(
    State(app): State<Shared>,
    Path(named): Path,
) -> Result<Json<SubscriptionView>, Problem> {
    app.catch_up(subscription(&named)).await?;
    let at = app.clock.now();
    let found = app.read(move |reader| {
        let reader = reader.snapshot()?;
        let found = reader.subscription(&subscription(&named))?;
        let subscription = found.ok_or_else(|| Problem::not_found("subscription", &named))?;
        let owner = reader.customer(&Target::Customer(subscription.customer))?;
        let time_zone = owner.map(|owner| owner.time_zone).unwrap_or_default();
        Ok(Subscribed {
            subscription,
            time_zone,
            at,
        })
    });
    Ok(Json(SubscriptionView::of(&found.await?)))
}

/// Why. It goes to the audit log.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Because {
    /// 1 to 500 printable characters.
    #[schema(value_type = Option<String>, max_length = 500)]
    reason: Option<Note>,
}

/// Pauses a subscription: what would be applied meanwhile is skipped. Credit that was given
/// stays.
#[utoipa::path(post, path = "/v1/subscriptions/{id}/pause", tag = "subscriptions", request_body = Because,
    params(("id" = String, Path, description = "Id or external id")),
    responses((status = 200, body = SubscriptionView)))]
async fn pause_subscription(
    State(app): State<Shared>,
    Path(named): Path,
    Write { body, raw }: Write<Because>,
) -> Result<Response, Problem> {
    let command = Command::Grant(GrantCommand::Pause {
        subscription: subscription(&named),
        reason: body.reason.map(|reason| reason.0),
    });
    write(&app, &raw, command, StatusCode::OK, SubscriptionView::shown).await
}

/// Resumes a paused subscription. Cycles and grants go on as they were counted before; what
/// was skipped is not made up for.
#[utoipa::path(post, path = "/v1/subscriptions/{id}/resume", tag = "subscriptions", request_body = Because,
    params(("id" = String, Path, description = "Id or external id")),
    responses((status = 200, body = SubscriptionView)))]
async fn resume_subscription(
    State(app): State<Shared>,
    Path(named): Path,
    Write { body, raw }: Write<Because>,
) -> Result<Response, Problem> {
    let command = Command::Grant(GrantCommand::Resume {
        subscription: subscription(&named),
        reason: body.reason.map(|reason| reason.0),
    });
    write(&app, &raw, command, StatusCode::OK, SubscriptionView::shown).await
}

/// When a subscription is to end.
#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum EndsAt {
    Now,
    PeriodEnd,
}

/// How a subscription is to end.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CancelSubscription {
    /// `now`, or `period_end`: when the billing cycle that runs is over; now if absent.
    #[schema(value_type = Option<String>)]
    at: Option<Lower<EndsAt>>,
    /// What becomes of unspent credit of its grants: `keep` (it can be spent until it expires)
    /// or `void`, when the subscription ends; keep if absent.
    #[schema(value_type = Option<String>)]
    granted_credit: Option<Lower<GrantedCredit>>,
    /// Why; 1 to 500 printable characters.
    #[schema(value_type = Option<String>, max_length = 500)]
    reason: Option<Note>,
}

/// Cancels a subscription: nothing is applied any more once it ends. One that is to end with
/// its cycle may be cancelled again, with another choice.
#[utoipa::path(post, path = "/v1/subscriptions/{id}/cancel", tag = "subscriptions",
    request_body = CancelSubscription,
    params(("id" = String, Path, description = "Id or external id")),
    responses((status = 200, body = SubscriptionView)))]
async fn cancel_subscription(
    State(app): State<Shared>,
    Path(named): Path,
    Write { body, raw }: Write<CancelSubscription>,
) -> Result<Response, Problem> {
    let at = match body.at.map(|at| at.0) {
        Some(EndsAt::PeriodEnd) => CancelAt::PeriodEnd,
        Some(EndsAt::Now) | None => CancelAt::Now,
    };
    let command = Command::Grant(GrantCommand::Cancel {
        subscription: subscription(&named),
        at,
        granted_credit: body
            .granted_credit
            .map_or(GrantedCredit::Keep, |word| word.0),
        reason: body.reason.map(|reason| reason.0),
    });
    write(&app, &raw, command, StatusCode::OK, SubscriptionView::shown).await
}
