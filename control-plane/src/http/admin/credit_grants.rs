//! Credit grants of plans, subscriptions and customers.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use creditgate_ledger::grant::{Grant, GrantCadence, GrantExpiry, GrantScope, Period};
use creditgate_ledger::id::CustomerId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) use self::terms::cadence;
use self::terms::{CreateCreditGrant, DurationUnit};
use super::instant;
use super::plans::Archive;
use super::subscriptions::{owner, subscription};
use crate::command::grant::grant_target;
use crate::command::{Command, GrantCommand, GrantOutcome, Outcome};
use crate::http::Shared;
use crate::http::answer::write;
use crate::http::body::{Params, Path, Write};
use crate::http::list::{List, PageQuery};
use crate::problem::Problem;
use crate::storage::{GrantFilter, Reader};

mod terms;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(create_credit_grant, list_credit_grants))
        .routes(routes!(get_credit_grant))
        .routes(routes!(archive_credit_grant))
}

/// A template for lots, each application of which makes one. Its terms never change: archive
/// it and make another.
#[derive(Serialize, ToSchema)]
#[schema(as = CreditGrant)]
struct GrantView {
    /// The id, `grt_…`.
    id: String,
    /// The operator's name; serves wherever the id does.
    external_id: Option<String>,
    /// For people.
    name: String,
    /// `PLAN`, `SUBSCRIPTION` or `CUSTOMER`.
    scope: &'static str,
    /// Whose subscriptions take it up, if it is a plan's.
    plan_id: Option<String>,
    /// Whose it is, if it is a subscription's.
    subscription_id: Option<String>,
    /// Whose it is, if it is a customer's.
    customer_id: Option<String>,
    /// How much, in credits of the wallet it lands in.
    credit_amount: String,
    /// Which wallet: the customer's active general one of this currency with the smallest
    /// priority, made if there is none.
    currency: String,
    /// `ONETIME` or `RECURRING`.
    cadence: &'static str,
    /// What recurrences are counted in.
    #[schema(value_type = Option<String>)]
    period: Option<Period>,
    /// How many of it lie between two.
    period_count: Option<u32>,
    /// Recurrences are counted from here; null: from the start of the subscription, or from
    /// when the grant was made.
    anchor: Option<String>,
    /// `NEVER`, `DURATION` or `BILLING_CYCLE`.
    expiration_type: &'static str,
    /// How long its lots can be spent.
    expiration_duration: Option<u32>,
    /// In what that is counted.
    #[schema(value_type = Option<String>)]
    expiration_duration_unit: Option<DurationUnit>,
    /// What is carried on from one application to the next.
    rollover: Option<RolloverView>,
    /// Of its lots: smaller burns first; none burns last.
    priority: Option<i32>,
    /// What kind of credit its lots are: `granted` or `promotional`.
    credit_kind: &'static str,
    /// The operator's own data.
    metadata: BTreeMap<String, String>,
    /// When it was made.
    created_at: String,
    /// Nothing is applied from then on.
    archived_at: Option<String>,
}

/// What is carried on: min(maximum, max(what remains, minimum)), in credits.
#[derive(Serialize, ToSchema)]
#[schema(as = Rollover)]
struct RolloverView {
    /// At least.
    minimum: String,
    /// At most.
    maximum: String,
}

impl GrantView {
    fn of(grant: &Grant) -> Self {
        let (cadence, every) = match grant.cadence {
            GrantCadence::Onetime => ("ONETIME", None),
            GrantCadence::Recurring(every) => ("RECURRING", Some(every)),
        };
        let (expiration_type, duration) = match grant.expiry {
            GrantExpiry::Never => ("NEVER", None),
            GrantExpiry::Duration(duration) => ("DURATION", Some(duration)),
            GrantExpiry::BillingCycle => ("BILLING_CYCLE", None),
        };
        let (scope, plan, subscription, customer) = match grant.scope {
            GrantScope::Plan(id) => ("PLAN", Some(id.to_string()), None, None),
            GrantScope::Subscription(id) => ("SUBSCRIPTION", None, Some(id.to_string()), None),
            GrantScope::Customer(id) => ("CUSTOMER", None, None, Some(id.to_string())),
        };
        let rollover = grant.rollover.as_ref().map(|rollover| RolloverView {
            minimum: rollover.minimum.to_string(),
            maximum: rollover.maximum.to_string(),
        });
        Self {
            id: grant.id.to_string(),
            external_id: grant.external_id.clone(),
            name: grant.name.clone(),
            scope,
            plan_id: plan,
            subscription_id: subscription,
            customer_id: customer,
            credit_amount: grant.credits.to_string(),
            currency: grant.currency.to_string(),
            cadence,
            period: every.map(|every| every.period),
            period_count: every.map(|every| every.count),
            anchor: instant(grant.anchor),
            expiration_type,
            expiration_duration: duration.map(|duration| duration.count),
            expiration_duration_unit: duration.map(|duration| DurationUnit::of(duration.period)),
            rollover,
            priority: grant.priority,
            credit_kind: if grant.is_promotional {
                "promotional"
            } else {
                "granted"
            },
            metadata: grant.metadata.clone(),
            created_at: grant.created_at.to_string(),
            archived_at: instant(grant.archived_at),
        }
    }

    fn shown(outcome: &Outcome) -> Option<Self> {
        let Outcome::Grant(outcome) = outcome else {
            return None;
        };
        match &**outcome {
            GrantOutcome::Grant(grant, _) => Some(Self::of(grant)),
            _ => None,
        }
    }
}

/// Makes a credit grant. One of a subscription or a customer is applied at once if it is due;
/// a plan's is taken up by subscriptions made from now on.
#[utoipa::path(post, path = "/v1/credit-grants", tag = "credit grants", request_body = CreateCreditGrant,
    responses((status = 201, body = GrantView)))]
async fn create_credit_grant(
    State(app): State<Shared>,
    Write { body, raw }: Write<CreateCreditGrant>,
) -> Result<Response, Problem> {
    let (owner, new) = body.read()?;
    let new = Box::new(new);
    let command = Command::Grant(GrantCommand::Create { owner, new });
    write(&app, &raw, command, StatusCode::CREATED, GrantView::shown).await
}

/// Which credit grants: those of one plan, subscription or customer, or all.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct GrantQuery {
    /// Of this plan: id or external id.
    plan_id: Option<String>,
    /// Of this subscription: id or external id.
    subscription_id: Option<String>,
    /// Of this customer itself: id or external id.
    customer_id: Option<String>,
    /// Whether archived ones, too; false if absent.
    with_archived: Option<bool>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Most items of the page, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

impl GrantQuery {
    fn scope(&self, reader: &dyn Reader) -> Result<Option<GrantScope>, Problem> {
        let named = [&self.plan_id, &self.subscription_id, &self.customer_id];
        if named.into_iter().flatten().count() > 1 {
            let words = "name a plan, a subscription or a customer, not several";
            return Err(Problem::new("query_invalid", words));
        }
        if let Some(named) = &self.plan_id {
            let registry = reader.registry()?;
            let plan = registry.plan_named(named);
            let plan = plan.ok_or_else(|| Problem::not_found("plan", named))?;
            return Ok(Some(GrantScope::Plan(plan.id)));
        }
        if let Some(named) = &self.subscription_id {
            let found = reader.subscription(&subscription(named))?;
            let found = found.ok_or_else(|| Problem::not_found("subscription", named))?;
            return Ok(Some(GrantScope::Subscription(found.id)));
        }
        let owner: Option<CustomerId> = owner(reader, self.customer_id.as_deref())?;
        Ok(owner.map(GrantScope::Customer))
    }
}

/// Lists credit grants, oldest first.
#[utoipa::path(get, path = "/v1/credit-grants", tag = "credit grants", params(GrantQuery),
    responses((status = 200, body = List<GrantView>)))]
async fn list_credit_grants(
    State(app): State<Shared>,
    Params(query): Params<GrantQuery>,
) -> Result<Json<List<GrantView>>, Problem> {
    let page = PageQuery {
        cursor: query.cursor.clone(),
        limit: query.limit,
    }
    .request()?;
    let grants = app.read(move |reader| {
        let reader = reader.snapshot()?;
        let filter = GrantFilter {
            scope: query.scope(&*reader)?,
            with_archived: query.with_archived.unwrap_or(false),
        };
        Ok(reader.grants(filter, page)?)
    });
    Ok(Json(List::of(grants.await?, |grant| GrantView::of(&grant))))
}

/// Shows a credit grant.
#[utoipa::path(get, path = "/v1/credit-grants/{id}", tag = "credit grants",
    params(("id" = String, Path, description = "Id or external id")),
    responses((status = 200, body = GrantView)))]
async fn get_credit_grant(
    State(app): State<Shared>,
    Path(named): Path,
) -> Result<Json<GrantView>, Problem> {
    let found = app.read(move |reader| {
        let found = reader.grant(&grant_target(&named))?;
        found.ok_or_else(|| Problem::not_found("credit grant", &named))
    });
    Ok(Json(GrantView::of(&found.await?)))
}

/// Archives a credit grant: nothing is applied of it any more. The lots it made stay.
#[utoipa::path(post, path = "/v1/credit-grants/{id}/archive", tag = "credit grants", request_body = Archive,
    params(("id" = String, Path, description = "Id or external id")),
    responses((status = 200, body = GrantView)))]
async fn archive_credit_grant(
    State(app): State<Shared>,
    Path(grant): Path,
    Write {
        body: Archive {},
        raw,
    }: Write<Archive>,
) -> Result<Response, Problem> {
    let command = Command::Grant(GrantCommand::Archive { grant });
    write(&app, &raw, command, StatusCode::OK, GrantView::shown).await
}
