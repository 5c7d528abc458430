//! Plans.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use creditgate_ledger::plan::{NewPlan, Plan, PlanChange};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::instant;
use crate::command::{Command, GrantCommand, GrantOutcome, Outcome};
use crate::http::Shared;
use crate::http::answer::write;
use crate::http::body::{Params, Path, Write};
use crate::http::input::{ExternalId, Metadata, Name, Note, given};
use crate::http::list::{List, PageQuery};
use crate::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(create_plan, list_plans))
        .routes(routes!(get_plan, change_plan))
        .routes(routes!(archive_plan))
}

/// What customers subscribe to. Its credit grants are listed under `/v1/credit-grants?plan_id=`.
#[derive(Serialize, ToSchema)]
#[schema(as = Plan)]
struct PlanView {
    /// The id, `pln_…`.
    id: String,
    /// The operator's name; serves wherever the id does.
    external_id: String,
    /// For people.
    name: String,
    /// What the operator says of it.
    description: Option<String>,
    /// The operator's own data.
    metadata: BTreeMap<String, String>,
    /// When it was made.
    created_at: String,
    /// No new subscriptions from then on.
    archived_at: Option<String>,
}

impl PlanView {
    fn of(plan: &Plan) -> Self {
        Self {
            id: plan.id.to_string(),
            external_id: plan.external_id.clone(),
            name: plan.name.clone(),
            description: plan.description.clone(),
            metadata: plan.metadata.clone(),
            created_at: plan.created_at.to_string(),
            archived_at: instant(plan.archived_at),
        }
    }

    fn shown(outcome: &Outcome) -> Option<Self> {
        let Outcome::Grant(outcome) = outcome else {
            return None;
        };
        match &**outcome {
            GrantOutcome::Plan(plan) => Some(Self::of(plan)),
            _ => None,
        }
    }
}

/// What makes a plan.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "external_id": "plan_starter", "name": "Starter" }))]
struct CreatePlan {
    /// The operator's name, unique; 1 to 128 printable characters.
    #[schema(value_type = String, max_length = 128)]
    external_id: ExternalId,
    /// For people.
    #[schema(value_type = String, max_length = 200)]
    name: Name,
    /// What the operator says of it.
    #[schema(value_type = Option<String>, max_length = 500)]
    description: Option<Note>,
    /// The operator's own data: at most 50 entries, keys to 40 and values to 500 characters.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    metadata: Option<Metadata>,
}

/// Makes a plan.
#[utoipa::path(post, path = "/v1/plans", tag = "plans", request_body = CreatePlan,
    responses((status = 201, body = PlanView)))]
async fn create_plan(
    State(app): State<Shared>,
    Write { body, raw }: Write<CreatePlan>,
) -> Result<Response, Problem> {
    let new = NewPlan {
        external_id: body.external_id.0,
        name: body.name.0,
        description: body.description.map(|text| text.0),
        metadata: body.metadata.unwrap_or_default().0,
    };
    let command = Command::Grant(GrantCommand::CreatePlan(Box::new(new)));
    write(&app, &raw, command, StatusCode::CREATED, PlanView::shown).await
}

/// Which plans.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PlanQuery {
    /// Whether archived ones, too; false if absent.
    with_archived: Option<bool>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Most items of the page, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Lists plans, oldest first.
#[utoipa::path(get, path = "/v1/plans", tag = "plans", params(PlanQuery),
    responses((status = 200, body = List<PlanView>)))]
async fn list_plans(
    State(app): State<Shared>,
    Params(query): Params<PlanQuery>,
) -> Result<Json<List<PlanView>>, Problem> {
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    }
    .request()?;
    let with_archived = query.with_archived.unwrap_or(false);
    let registry = app.writer.registry();
    let is_wanted = |plan: &&Plan| with_archived || plan.archived_at.is_none();
    let plans = registry.plans.iter().filter(is_wanted);
    Ok(Json(List::by_id(
        plans,
        page,
        |plan| plan.id.0,
        PlanView::of,
    )))
}

/// Shows a plan.
#[utoipa::path(get, path = "/v1/plans/{id}", tag = "plans",
    params(("id" = String, Path, description = "Id or external id")),
    responses((status = 200, body = PlanView)))]
async fn get_plan(State(app): State<Shared>, Path(named): Path) -> Result<Json<PlanView>, Problem> {
    let registry = app.writer.registry();
    let plan = registry.plan_named(&named);
    let plan = plan.ok_or_else(|| Problem::not_found("plan", &named))?;
    Ok(Json(PlanView::of(plan)))
}

/// What is to change; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangePlan {
    /// For people.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 200)]
    name: Option<Name>,
    /// What the operator says of it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 500)]
    description: Option<Note>,
    /// The operator's own data, replaced as a whole.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    metadata: Option<Metadata>,
}

/// Changes a plan.
#[utoipa::path(patch, path = "/v1/plans/{id}", tag = "plans", request_body = ChangePlan,
    params(("id" = String, Path, description = "Id or external id")),
    responses((status = 200, body = PlanView)))]
async fn change_plan(
    State(app): State<Shared>,
    Path(plan): Path,
    Write { body, raw }: Write<ChangePlan>,
) -> Result<Response, Problem> {
    let change = PlanChange {
        name: body.name.map(|name| name.0),
        description: body.description.map(|text| text.0),
        metadata: body.metadata.map(|metadata| metadata.0),
    };
    let change = Box::new(change);
    let command = Command::Grant(GrantCommand::ChangePlan { plan, change });
    write(&app, &raw, command, StatusCode::OK, PlanView::shown).await
}

/// Nothing is needed to archive something.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Archive {}

/// Archives a plan: nobody can subscribe to it any more. Its subscriptions go on.
#[utoipa::path(post, path = "/v1/plans/{id}/archive", tag = "plans", request_body = Archive,
    params(("id" = String, Path, description = "Id or external id")),
    responses((status = 200, body = PlanView)))]
async fn archive_plan(
    State(app): State<Shared>,
    Path(plan): Path,
    Write {
        body: Archive {},
        raw,
    }: Write<Archive>,
) -> Result<Response, Problem> {
    let command = Command::Grant(GrantCommand::ArchivePlan { plan });
    write(&app, &raw, command, StatusCode::OK, PlanView::shown).await
}
