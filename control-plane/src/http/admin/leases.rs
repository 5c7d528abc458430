//! Leases: credit lent to instances, and what becomes of it when they fall silent.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use creditgate_core::amount::{Amount, Currency, Scale};
use creditgate_core::lease::LeaseNumber;
use creditgate_ledger::id::{AccountId, CustomerId, LeaseId};
use creditgate_ledger::{Lease, LeaseState, ResolutionKind};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{customer, id, instant};
use crate::command::{Command, Outcome};
use crate::http::Shared;
use crate::http::answer::write;
use crate::http::body::{Params, Path, Write};
use crate::http::input::{Lower, Note};
use crate::http::list::{List, PageQuery};
use crate::http::money::decimal;
use crate::problem::Problem;
use crate::storage::{LeaseFilter, Reader, Target};
use explained::LeaseExplained;

mod explained;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_leases))
        .routes(routes!(explain_lease))
        .routes(routes!(resolve_lease))
}

/// One episode of lending from a customer's account to an instance.
#[derive(Serialize, ToSchema)]
#[schema(as = Lease)]
struct LeaseView {
    /// The id, `lse_…`.
    id: String,
    /// Whose credit.
    customer_id: String,
    /// From which account.
    account_id: String,
    /// To which process.
    instance_id: String,
    /// As the process names it.
    number: String,
    /// `open`, `draining`, `quarantined` or `closed`.
    #[schema(value_type = String)]
    state: LeaseState,
    /// What it counts in.
    currency: String,
    /// Credit ever lent in it.
    granted: String,
    /// Given back unused.
    returned: String,
    /// Used.
    settled: String,
    /// Set aside for requests in flight, as of the last report.
    held: String,
    /// Lent and neither used nor given back.
    outstanding: String,
    /// When it was opened.
    opened_at: String,
    /// When it was last reported.
    reported_at: String,
    /// When it was quarantined.
    quarantined_at: Option<String>,
}

impl LeaseView {
    fn of(lease: &Lease, owner: CustomerId, (currency, scale): (Currency, Scale)) -> Self {
        let amount = |amount| decimal(amount, scale);
        let counters = &lease.counters;
        // What was decided over is no longer out, whatever its counters say.
        let outstanding = if lease.resolution.is_some() {
            Amount::ZERO
        } else {
            counters.outstanding()
        };
        let held = if lease.resolution.is_some() {
            Amount::ZERO
        } else {
            counters.held()
        };
        Self {
            id: lease.id.to_string(),
            customer_id: owner.to_string(),
            account_id: lease.account.to_string(),
            instance_id: lease.instance.to_string(),
            number: lease.number.to_string(),
            state: lease.state,
            currency: currency.to_string(),
            granted: amount(counters.granted),
            returned: amount(counters.returned),
            settled: amount(counters.settled),
            held: amount(held),
            outstanding: amount(outstanding),
            opened_at: lease.opened_at.to_string(),
            reported_at: lease.reported_at.to_string(),
            quarantined_at: instant(lease.quarantined_at),
        }
    }
}

/// What an account counts in; each account is looked up once.
pub(super) fn unit(
    reader: &dyn Reader,
    known: &mut BTreeMap<AccountId, (Currency, Scale)>,
    account: AccountId,
) -> Result<(Currency, Scale), Problem> {
    match known.entry(account) {
        Entry::Occupied(unit) => Ok(*unit.get()),
        Entry::Vacant(place) => {
            let book = reader.book(&Target::Account(account))?;
            let row = book.as_ref().and_then(|book| book.account(account));
            let row = row.ok_or_else(|| Problem::not_found("account", &account.to_string()))?;
            Ok(*place.insert((row.currency, row.scale)))
        }
    }
}

/// Which leases.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LeaseQuery {
    /// To this process.
    instance: Option<String>,
    /// Of this customer's credit: id or external id.
    customer: Option<String>,
    /// From this account.
    account: Option<String>,
    /// As the process names it: `lease` in access logs. `instance` must be given too.
    number: Option<String>,
    /// `open`, `draining`, `quarantined` or `closed`.
    #[param(value_type = Option<String>)]
    state: Option<Lower<LeaseState>>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Most items of the page, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Lists leases, newest first.
#[utoipa::path(get, path = "/v1/leases", tag = "leases", params(LeaseQuery), responses((status = 200, body = List<LeaseView>)))]
async fn list_leases(
    State(app): State<Shared>,
    Params(query): Params<LeaseQuery>,
) -> Result<Json<List<LeaseView>>, Problem> {
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    }
    .request()?;
    let instance = query
        .instance
        .as_deref()
        .map(|text| id("instance", text))
        .transpose()?;
    let state = query.state.map(|state| state.0);
    let account = query.account.as_deref();
    let account = account.map(|text| id("account", text)).transpose()?;
    let number = query.number.as_deref().map(lease_number).transpose()?;
    if number.is_some() && instance.is_none() {
        let detail = "number: processes name leases by themselves, so name the instance too";
        return Err(Problem::new("query_invalid", detail));
    }
    let list = app
        .read(move |reader| {
            let reader = reader.snapshot()?;
            let owner = match &query.customer {
                Some(named) => {
                    let found = reader.customer(&customer(named))?;
                    Some(
                        found
                            .ok_or_else(|| Problem::not_found("customer", named))?
                            .id,
                    )
                }
                None => None,
            };
            let found = reader.leases(
                LeaseFilter {
                    instance,
                    customer: owner,
                    state,
                    account,
                    number,
                },
                page,
            )?;
            let mut units = BTreeMap::new();
            let next_cursor = found.next.map(|cursor| cursor.to_string());
            let data = found
                .items
                .iter()
                .map(|(owner, lease)| {
                    Ok(LeaseView::of(
                        lease,
                        *owner,
                        unit(&*reader, &mut units, lease.account)?,
                    ))
                })
                .collect::<Result<_, Problem>>()?;
            Ok(List { data, next_cursor })
        })
        .await?;
    Ok(Json(list))
}

fn lease_number(text: &str) -> Result<LeaseNumber, Problem> {
    let number = text.parse().map(LeaseNumber);
    number.map_err(|_| Problem::new("query_invalid", "number: must be a number of 64 bits"))
}

/// Explains a lease: its state, what is behind it, and what may be done.
#[utoipa::path(get, path = "/v1/leases/{id}", tag = "leases",
    params(("id" = String, Path, description = "Id of the lease")),
    responses((status = 200, body = LeaseExplained)))]
async fn explain_lease(
    State(app): State<Shared>,
    Path(text): Path,
) -> Result<Json<LeaseExplained>, Problem> {
    let lease: LeaseId = id("lease", &text)?;
    let explained = app
        .read(move |reader| {
            let reader = reader.snapshot()?;
            let found = reader.lease(lease)?;
            let (owner, lease) =
                found.ok_or_else(|| Problem::not_found("lease", &lease.to_string()))?;
            let unit = unit(&*reader, &mut BTreeMap::new(), lease.account)?;
            Ok(LeaseExplained::of(&lease, owner, unit))
        })
        .await?;
    Ok(Json(explained))
}

/// What is done with quarantined credit.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ResolveLease {
    /// `release`: back to the customer; use reported later is the operator's loss.
    /// `consume`: charged to the customer. `hold`: stays aside, whatever the policy of the
    /// settings says, until it is released, consumed or accounted for by a late report.
    action: String,
    /// 1 to 500 printable characters; kept with the lease and in the journal.
    #[schema(value_type = String, max_length = 500)]
    reason: Note,
}

/// Decides over quarantined credit. A lease that is released or consumed is closed, and fenced
/// against late reports.
#[utoipa::path(post, path = "/v1/leases/{id}/resolve", tag = "leases", request_body = ResolveLease,
    params(("id" = String, Path, description = "Id of the lease")),
    responses((status = 200, body = LeaseExplained)))]
async fn resolve_lease(
    State(app): State<Shared>,
    Path(text): Path,
    Write { body, raw }: Write<ResolveLease>,
) -> Result<Response, Problem> {
    let kind = match body.action.to_ascii_lowercase().as_str() {
        "release" => Some(ResolutionKind::Release),
        "consume" => Some(ResolutionKind::Consume),
        "hold" => None,
        _ => {
            let detail = "must be release, consume or hold";
            return Err(Problem::new("body_invalid", detail).at("/action"));
        }
    };
    let (lease, reason) = (id("lease", &text)?, body.reason.0);
    let command = match kind {
        Some(kind) => Command::ResolveLease {
            lease,
            kind,
            reason,
        },
        None => Command::HoldLease { lease, reason },
    };
    write(&app, &raw, command, StatusCode::OK, |outcome| {
        let Outcome::LeaseResolved(resolved) = outcome else {
            return None;
        };
        let (lease, _, account) = &**resolved;
        Some(LeaseExplained::of(
            lease,
            account.customer,
            (account.currency, account.scale),
        ))
    })
    .await
}
