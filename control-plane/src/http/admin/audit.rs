//! The log of who changed what.

use axum::Json;
use axum::extract::State;
use creditgate_ledger::audit::AuditRecord;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::customer;
use crate::http::Shared;
use crate::http::body::Params;
use crate::http::input::When;
use crate::http::list::{List, PageQuery};
use crate::problem::Problem;
use crate::storage::{AuditFilter, Reader, Target};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list_audit))
}

/// One write of a client.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditRecord)]
struct AuditView {
    /// The id, `aud_…`; later lines have larger ids.
    id: String,
    /// When.
    at: String,
    /// With which key: its id, or `admin` for the one of the environment.
    actor: String,
    /// What was done: `top_up`, `void_lot`, `change_settings`, …
    action: String,
    /// Of which customer, if it was about one.
    customer_id: Option<String>,
    /// The id or name of the object that was made or changed.
    subject: Option<String>,
    /// Why, if the client said so.
    reason: Option<String>,
}

impl AuditView {
    fn of(record: AuditRecord) -> Self {
        Self {
            id: record.id.to_string(),
            at: record.at.to_string(),
            actor: record.actor,
            action: record.action,
            customer_id: record.customer.map(|customer| customer.to_string()),
            subject: record.subject,
            reason: record.reason,
        }
    }
}

/// Which lines; what is absent does not matter.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    /// Of this key: its id, or `admin`.
    actor: Option<String>,
    /// Of this action.
    action: Option<String>,
    /// About this customer: id or external id.
    customer_id: Option<String>,
    /// About the object of this id, of this name if it has no id (`settings`, a currency, a rate
    /// card), or of this external id, as objects are called now. All of them, if several share it.
    subject: Option<String>,
    /// At or after this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<When>,
    /// Before this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    before: Option<When>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Most items of the page, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// What lines may say of the objects that are called so: the log has ids, since names change.
fn subjects(reader: &dyn Reader, named: String) -> Result<Vec<String>, Problem> {
    let registry = reader.registry()?;
    let is = |known: &str| known == named;
    let mut ids = Vec::new();
    let customer = reader.customer(&Target::ExternalId(named.clone()))?;
    ids.extend(customer.map(|customer| customer.id.to_string()));
    let book = reader.book(&Target::WalletName(named.clone()))?;
    let wallets = book.iter().flat_map(|book| &book.wallets);
    let wallets = wallets.filter(|wallet| wallet.external_id.as_deref().is_some_and(is));
    ids.extend(wallets.map(|wallet| wallet.id.to_string()));
    let lot = reader.lot_named(&named)?;
    ids.extend(lot.map(|(_, lot)| lot.id.to_string()));
    let subscription = reader.subscription(&Target::SubscriptionName(named.clone()))?;
    ids.extend(subscription.map(|subscription| subscription.id.to_string()));
    let grant = reader.grant(&Target::GrantName(named.clone()))?;
    ids.extend(grant.map(|grant| grant.id.to_string()));
    let plans = registry.plans.iter().filter(|plan| is(&plan.external_id));
    ids.extend(plans.map(|plan| plan.id.to_string()));
    let gateways = registry.gateways.iter();
    let gateways = gateways.filter(|gateway| is(&gateway.external_id));
    ids.extend(gateways.map(|gateway| gateway.id.to_string()));
    let endpoints = registry.endpoints.iter();
    let endpoints = endpoints.filter(|endpoint| endpoint.external_id.as_deref().is_some_and(is));
    ids.extend(endpoints.map(|endpoint| endpoint.id.to_string()));
    ids.push(named);
    Ok(ids)
}

/// Lists the writes of clients, newest first: who, when, with which key, what, and why.
#[utoipa::path(get, path = "/v1/audit", tag = "audit", params(AuditQuery), responses((status = 200, body = List<AuditView>)))]
async fn list_audit(
    State(app): State<Shared>,
    Params(query): Params<AuditQuery>,
) -> Result<Json<List<AuditView>>, Problem> {
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    }
    .request()?;
    let mut filter = AuditFilter {
        customer: None,
        actor: query.actor,
        action: query.action,
        subjects: None,
        from: query.from.map(|from| from.0),
        before: query.before.map(|before| before.0),
    };
    let found = app
        .read(move |reader| {
            let reader = reader.snapshot()?;
            if let Some(named) = &query.customer_id {
                let owner = reader.customer(&customer(named))?;
                let owner = owner.ok_or_else(|| Problem::not_found("customer", named))?;
                filter.customer = Some(owner.id);
            }
            let subjects = query.subject.map(|named| subjects(&*reader, named));
            filter.subjects = subjects.transpose()?;
            Ok(reader.audit(&filter, page)?)
        })
        .await?;
    Ok(Json(List::of(found, AuditView::of)))
}
