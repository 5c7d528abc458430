//! Instances: the proxy processes that hold credit.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use creditgate_core::amount::{Amount, Currency, Scale};
use creditgate_ledger::id::{AccountId, InstanceId};
use creditgate_ledger::registry::{Instance, InstanceState};
use creditgate_ledger::{LeaseState, Refusal};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::id;
use crate::command::{Command, Outcome};
use crate::http::answer::{json_bytes, written};
use crate::http::body::{Params, Path, Write};
use crate::http::input::Note;
use crate::http::list::{List, PageQuery};
use crate::http::money::decimal;
use crate::http::{App, Shared};
use crate::jobs::lending;
use crate::problem::Problem;
use crate::storage::{LeaseFilter, PageRequest, Reader, Target};
use crate::writer::WriteError;

const PAGE: u32 = 500;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_instances))
        .routes(routes!(get_instance))
        .routes(routes!(drain_instance))
        .routes(routes!(undrain_instance))
        .routes(routes!(thaw_instance))
}

/// A proxy process.
#[derive(Serialize, ToSchema)]
#[schema(as = Instance)]
struct InstanceView {
    /// The id, `ins_…`, drawn by the process.
    id: String,
    /// Of which gateway.
    gateway_id: String,
    /// `active`, `draining` or `frozen`.
    #[schema(value_type = String)]
    state: InstanceState,
    /// Why, if it is not active.
    reason: Option<String>,
    /// When it first spoke.
    first_seen_at: String,
    /// How long ago it spoke, in milliseconds; null if not since the service started.
    last_seen_ms_ago: Option<u64>,
}

/// A proxy process and what it holds.
#[derive(Serialize, ToSchema)]
struct InstanceDetail {
    /// The process.
    #[serde(flatten)]
    instance: InstanceView,
    /// What it holds.
    #[serde(flatten)]
    holding: Holding,
}

/// What a process holds.
#[derive(Serialize, ToSchema, Clone)]
struct Holding {
    /// Leases that are not closed, by state.
    leases: LeaseCounts,
    /// Credit that is out with it, by currency; quarantined credit is not in it.
    outstanding: BTreeMap<String, String>,
}

/// Leases by state.
#[derive(Serialize, ToSchema, Clone, Copy, Default)]
struct LeaseCounts {
    /// Lent from and spent from.
    open: u64,
    /// Waiting for their last settlements.
    draining: u64,
    /// Set aside.
    quarantined: u64,
}

impl InstanceView {
    fn of(instance: &Instance, silent: Option<Duration>) -> Self {
        Self {
            id: instance.id.to_string(),
            gateway_id: instance.gateway.to_string(),
            state: instance.state,
            reason: instance.reason.clone(),
            first_seen_at: instance.first_seen_at.to_string(),
            last_seen_ms_ago: silent
                .map(|silent| u64::try_from(silent.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

impl Holding {
    fn look(reader: &dyn Reader, instance: InstanceId) -> Result<Self, Problem> {
        let reader = reader.snapshot()?;
        let mut leases = LeaseCounts::default();
        let mut sums: BTreeMap<Currency, (Scale, Amount)> = BTreeMap::new();
        let mut accounts: BTreeMap<AccountId, (Currency, Scale)> = BTreeMap::new();
        for state in [
            LeaseState::Open,
            LeaseState::Draining,
            LeaseState::Quarantined,
        ] {
            let filter = LeaseFilter {
                instance: Some(instance),
                state: Some(state),
                ..LeaseFilter::default()
            };
            let mut page = PageRequest::first(PAGE);
            loop {
                let found = reader.leases(filter, page)?;
                let count = u64::try_from(found.items.len()).unwrap_or(u64::MAX);
                match state {
                    LeaseState::Open => leases.open += count,
                    LeaseState::Draining => leases.draining += count,
                    LeaseState::Quarantined | LeaseState::Closed => leases.quarantined += count,
                }
                for (_, lease) in found
                    .items
                    .iter()
                    .filter(|_| state != LeaseState::Quarantined)
                {
                    let outstanding = lease.counters.outstanding();
                    if outstanding.is_zero() {
                        continue;
                    }
                    let (currency, scale) =
                        super::leases::unit(&*reader, &mut accounts, lease.account)?;
                    let sum = &mut sums.entry(currency).or_insert((scale, Amount::ZERO)).1;
                    *sum = sum.saturating_add(outstanding);
                }
                page.cursor = found.next;
                if page.cursor.is_none() {
                    break;
                }
            }
        }
        let outstanding = sums
            .into_iter()
            .map(|(currency, (scale, sum))| (currency.to_string(), decimal(sum, scale)));
        Ok(Self {
            leases,
            outstanding: outstanding.collect(),
        })
    }
}

/// Lists the instances that are known.
#[utoipa::path(get, path = "/v1/instances", tag = "gateways", params(PageQuery),
    responses((status = 200, body = List<InstanceView>)))]
async fn list_instances(
    State(app): State<Shared>,
    Params(page): Params<PageQuery>,
) -> Result<Json<List<InstanceView>>, Problem> {
    let page = page.request()?;
    let registry = app.writer.registry();
    let view = |known: &Instance| InstanceView::of(known, app.presence.silent_for(known.id));
    let instances = registry.instances.iter();
    Ok(Json(List::by_id(instances, page, |known| known.id.0, view)))
}

/// Shows an instance and what it holds.
#[utoipa::path(get, path = "/v1/instances/{id}", tag = "gateways",
    params(("id" = String, Path, description = "Id of the instance")),
    responses((status = 200, body = InstanceDetail)))]
async fn get_instance(
    State(app): State<Shared>,
    Path(text): Path,
) -> Result<Json<InstanceDetail>, Problem> {
    let instance: InstanceId = id("instance", &text)?;
    let registry = app.writer.registry();
    let known = registry
        .instance(instance)
        .ok_or_else(|| Problem::not_found("instance", &text))?;
    let holding = app
        .read(move |reader| Holding::look(reader, instance))
        .await?;
    let silent = app.presence.silent_for(instance);
    Ok(Json(InstanceDetail {
        instance: InstanceView::of(known, silent),
        holding,
    }))
}

/// Why an instance's state is changed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct InstanceBecause {
    /// 1 to 500 printable characters; kept with the instance.
    #[schema(value_type = Option<String>, max_length = 500)]
    reason: Option<Note>,
}

/// Drains an instance: it gets no more credit, and gives back what it has. The answer says
/// what was out when this was asked; `GET` says what still is.
#[utoipa::path(post, path = "/v1/instances/{id}/drain", tag = "gateways", request_body = InstanceBecause,
    params(("id" = String, Path, description = "Id of the instance")),
    responses((status = 200, body = InstanceDetail)))]
async fn drain_instance(
    State(app): State<Shared>,
    Path(text): Path,
    asked: Write<InstanceBecause>,
) -> Result<Response, Problem> {
    let instance: InstanceId = id("instance", &text)?;
    let (response, replayed) =
        set_state(&app, instance, asked, InstanceState::Draining, None).await?;
    // A repeat acts again only if the drain goes on: the first may have ended half way.
    let registry = app.writer.registry();
    let known = registry.instance(instance);
    if !replayed || known.is_some_and(|known| known.state == InstanceState::Draining) {
        turn_leases(&app, instance).await?;
    }
    Ok(response)
}

/// Ends a drain: the instance may have credit again.
#[utoipa::path(post, path = "/v1/instances/{id}/undrain", tag = "gateways", request_body = InstanceBecause,
    params(("id" = String, Path, description = "Id of the instance")),
    responses((status = 200, body = InstanceDetail)))]
async fn undrain_instance(
    State(app): State<Shared>,
    Path(text): Path,
    asked: Write<InstanceBecause>,
) -> Result<Response, Problem> {
    resume(&app, &text, asked, InstanceState::Draining).await
}

/// Thaws an instance that was frozen for an impossible report: it may have credit again.
#[utoipa::path(post, path = "/v1/instances/{id}/thaw", tag = "gateways", request_body = InstanceBecause,
    params(("id" = String, Path, description = "Id of the instance")),
    responses((status = 200, body = InstanceDetail)))]
async fn thaw_instance(
    State(app): State<Shared>,
    Path(text): Path,
    asked: Write<InstanceBecause>,
) -> Result<Response, Problem> {
    resume(&app, &text, asked, InstanceState::Frozen).await
}

async fn resume(
    app: &Shared,
    text: &str,
    asked: Write<InstanceBecause>,
    from: InstanceState,
) -> Result<Response, Problem> {
    let instance: InstanceId = id("instance", text)?;
    let registry = app.writer.registry();
    let fault = match registry.instance(instance) {
        None => Some(Refusal::NotFound {
            what: "instance",
            id: text.to_owned(),
        }),
        Some(known) if known.state != from && known.state != InstanceState::Active => {
            Some(Refusal::Conflict {
                code: "instance_state",
                problem: format!(
                    "the instance is {:?}; drain ends with undrain, freezing with thaw",
                    known.state
                ),
            })
        }
        Some(_) => None,
    };
    let (response, _) = set_state(app, instance, asked, InstanceState::Active, fault).await?;
    Ok(response)
}

/// Answers also whether the answer is the repetition of an earlier one. `fault`: what stands
/// against it.
async fn set_state(
    app: &Shared,
    instance: InstanceId,
    asked: Write<InstanceBecause>,
    state: InstanceState,
    fault: Option<Refusal>,
) -> Result<(Response, bool), Problem> {
    let Write { body, raw } = asked;
    let reason = body.reason.map(|reason| reason.0);
    let holding = app
        .read(move |reader| Holding::look(reader, instance))
        .await?;
    let silent = app.presence.silent_for(instance);
    let command = match fault {
        Some(fault) => Command::Refuse(fault),
        None => Command::SetInstanceState {
            instance,
            state,
            reason,
        },
    };
    let (status, body, replayed) = written(app, &raw, command, StatusCode::OK, move |outcome| {
        let Outcome::Instance(instance) = outcome else {
            return None;
        };
        Some(InstanceDetail {
            instance: InstanceView::of(instance, silent),
            holding: holding.clone(),
        })
    })
    .await?;
    Ok((json_bytes(status, body, replayed), replayed))
}

/// Recalls all that the instance holds, customer by customer.
async fn turn_leases(app: &App, instance: InstanceId) -> Result<(), Problem> {
    loop {
        let customers = app.read(move |reader| open(reader, instance)).await?;
        if customers.is_empty() {
            return Ok(());
        }
        let mut replies = Vec::with_capacity(customers.len());
        for customer in customers {
            let command = Command::TurnLeases {
                customer: Target::Customer(customer),
                instance,
            };
            replies.push(app.writer.submit("drain", command, None, None)?);
        }
        for reply in replies {
            reply.await.unwrap_or(Err(WriteError::Stopping))?;
        }
    }
}

/// A batch of customers of whose credit the instance has an open lease.
fn open(
    reader: &dyn Reader,
    instance: InstanceId,
) -> Result<Vec<creditgate_ledger::id::CustomerId>, Problem> {
    Ok(lending(reader, instance, &[LeaseState::Open])?
        .into_iter()
        .collect())
}
