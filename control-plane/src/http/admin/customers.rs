//! Customers.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use creditgate_core::outage::OnUnavailable;
use creditgate_core::protocol::EnforcementMode;
use creditgate_ledger::customer::{CustomerChange, NewCustomer};
use creditgate_ledger::{Customer, CustomerStatus};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::customer;
use crate::command::{Command, Outcome};
use crate::http::Shared;
use crate::http::answer::write;
use crate::http::body::{Params, Path, Write};
use crate::http::input::{ExternalId, Lower, Metadata, Name, Note, TimeZone, given};
use crate::http::list::{List, PageQuery};
use crate::problem::Problem;
use crate::storage::CustomerFilter;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(create_customer, list_customers))
        .routes(routes!(get_customer, change_customer))
        .routes(routes!(suspend_customer))
        .routes(routes!(resume_customer))
}

/// Who pays.
#[derive(Serialize, ToSchema)]
#[schema(as = Customer)]
struct CustomerView {
    /// The id, `cus_…`.
    id: String,
    /// The operator's name; serves wherever the id does.
    external_id: String,
    /// For people.
    name: Option<String>,
    /// IANA time zone.
    time_zone: String,
    /// `active` or `suspended`.
    #[schema(value_type = String)]
    status: CustomerStatus,
    /// `enforce`, `shadow` (count what would be refused) or `off`.
    #[schema(value_type = String)]
    mode: EnforcementMode,
    /// What befalls a request that can't be decided because a gateway can't reach us: `deny`,
    /// `allow` or `shadow`; null leaves it to rule and gateway.
    #[schema(value_type = Option<String>)]
    on_unavailable: Option<OnUnavailable>,
    /// The operator's own data.
    metadata: BTreeMap<String, String>,
    /// When it was made.
    created_at: String,
}

impl CustomerView {
    fn of(customer: &Customer) -> Self {
        Self {
            id: customer.id.to_string(),
            external_id: customer.external_id.clone(),
            name: customer.name.clone(),
            time_zone: customer.time_zone.clone(),
            status: customer.status,
            mode: customer.mode,
            on_unavailable: customer.on_unavailable,
            metadata: customer.metadata.clone(),
            created_at: customer.created_at.to_string(),
        }
    }

    fn shown(outcome: &Outcome) -> Option<Self> {
        let Outcome::Customer(customer) = outcome else {
            return None;
        };
        Some(Self::of(customer))
    }
}

/// What makes a customer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateCustomer {
    /// The operator's name, unique; 1 to 128 printable characters.
    #[schema(value_type = String, max_length = 128)]
    external_id: ExternalId,
    /// For people.
    #[schema(value_type = Option<String>, max_length = 200)]
    name: Option<Name>,
    /// IANA time zone; UTC if absent.
    #[schema(value_type = Option<String>)]
    time_zone: Option<TimeZone>,
    /// The operator's own data: at most 50 entries, keys to 40 and values to 500 characters.
    #[serde(default)]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    metadata: Option<Metadata>,
}

/// Makes a customer.
#[utoipa::path(post, path = "/v1/customers", tag = "customers", request_body = CreateCustomer,
    responses((status = 201, body = CustomerView)))]
async fn create_customer(
    State(app): State<Shared>,
    Write { body, raw }: Write<CreateCustomer>,
) -> Result<Response, Problem> {
    let new = NewCustomer {
        external_id: body.external_id.0,
        name: body.name.map(|name| name.0),
        time_zone: body
            .time_zone
            .map_or_else(|| "UTC".to_owned(), |zone| zone.0),
        metadata: body.metadata.unwrap_or_default().0,
    };
    write(
        &app,
        &raw,
        Command::CreateCustomer(new),
        StatusCode::CREATED,
        CustomerView::shown,
    )
    .await
}

/// Which customers; what is absent does not matter.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CustomerQuery {
    /// `active` or `suspended`.
    #[param(value_type = Option<String>)]
    status: Option<Lower<CustomerStatus>>,
    /// `enforce`, `shadow` or `off`.
    #[param(value_type = Option<String>)]
    mode: Option<Lower<EnforcementMode>>,
    /// `next_cursor` of the page before; none for the first page.
    cursor: Option<String>,
    /// Most items of the page, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Lists customers, oldest first.
#[utoipa::path(get, path = "/v1/customers", tag = "customers", params(CustomerQuery),
    responses((status = 200, body = List<CustomerView>)))]
async fn list_customers(
    State(app): State<Shared>,
    Params(query): Params<CustomerQuery>,
) -> Result<Json<List<CustomerView>>, Problem> {
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    }
    .request()?;
    let filter = CustomerFilter {
        status: query.status.map(|status| status.0),
        mode: query.mode.map(|mode| mode.0),
    };
    let customers = app
        .read(move |reader| Ok(reader.customers(filter, page)?))
        .await?;
    Ok(Json(List::of(customers, |customer| {
        CustomerView::of(&customer)
    })))
}

/// Shows a customer.
#[utoipa::path(get, path = "/v1/customers/{id}", tag = "customers",
    params(("id" = String, Path, description = "Id or external id")),
    responses((status = 200, body = CustomerView)))]
async fn get_customer(
    State(app): State<Shared>,
    Path(named): Path,
) -> Result<Json<CustomerView>, Problem> {
    let found = app
        .read(move |reader| {
            let found = reader.customer(&customer(&named))?;
            found.ok_or_else(|| Problem::not_found("customer", &named))
        })
        .await?;
    Ok(Json(CustomerView::of(&found)))
}

/// What is to change; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeCustomer {
    /// For people.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 200)]
    name: Option<Name>,
    /// IANA time zone.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    time_zone: Option<TimeZone>,
    /// `enforce`, `shadow` or `off`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    mode: Option<Lower<EnforcementMode>>,
    /// `deny`, `allow` or `shadow`; null leaves it to rule and gateway.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    on_unavailable: Option<Option<Lower<OnUnavailable>>>,
    /// The operator's own data, replaced as a whole.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    metadata: Option<Metadata>,
}

/// Changes a customer.
#[utoipa::path(patch, path = "/v1/customers/{id}", tag = "customers", request_body = ChangeCustomer,
    params(("id" = String, Path, description = "Id or external id")),
    responses((status = 200, body = CustomerView)))]
async fn change_customer(
    State(app): State<Shared>,
    Path(named): Path,
    Write { body, raw }: Write<ChangeCustomer>,
) -> Result<Response, Problem> {
    let change = CustomerChange {
        name: body.name.map(|name| name.0),
        time_zone: body.time_zone.map(|zone| zone.0),
        mode: body.mode.map(|mode| mode.0),
        on_unavailable: body.on_unavailable.map(|word| word.map(|word| word.0)),
        metadata: body.metadata.map(|metadata| metadata.0),
        status: None,
    };
    let command = Command::ChangeCustomer {
        customer: customer(&named),
        change,
        reason: None,
    };
    write(&app, &raw, command, StatusCode::OK, CustomerView::shown).await
}

/// Why. It goes to the audit log with the key that asked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Because {
    /// 1 to 500 printable characters.
    #[schema(value_type = Option<String>, max_length = 500)]
    reason: Option<Note>,
}

/// Suspends a customer: nothing is admitted until it is resumed.
#[utoipa::path(post, path = "/v1/customers/{id}/suspend", tag = "customers", request_body = Because,
    params(("id" = String, Path, description = "Id or external id")),
    responses((status = 200, body = CustomerView)))]
async fn suspend_customer(
    State(app): State<Shared>,
    Path(named): Path,
    write: Write<Because>,
) -> Result<Response, Problem> {
    set_status(&app, &named, write, CustomerStatus::Suspended).await
}

/// Resumes a suspended customer.
#[utoipa::path(post, path = "/v1/customers/{id}/resume", tag = "customers", request_body = Because,
    params(("id" = String, Path, description = "Id or external id")),
    responses((status = 200, body = CustomerView)))]
async fn resume_customer(
    State(app): State<Shared>,
    Path(named): Path,
    write: Write<Because>,
) -> Result<Response, Problem> {
    set_status(&app, &named, write, CustomerStatus::Active).await
}

async fn set_status(
    app: &Shared,
    named: &str,
    Write { body, raw }: Write<Because>,
    status: CustomerStatus,
) -> Result<Response, Problem> {
    let change = CustomerChange {
        status: Some(status),
        ..CustomerChange::default()
    };
    let command = Command::ChangeCustomer {
        customer: customer(named),
        change,
        reason: body.reason.map(|reason| reason.0),
    };
    write(app, &raw, command, StatusCode::OK, CustomerView::shown).await
}
