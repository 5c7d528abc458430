//! Events: what happened, as webhooks tell it.

use axum::Json;
use axum::extract::State;
use creditgate_ledger::{Event, EventKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{customer, id};
use crate::http::Shared;
use crate::http::body::{Params, Path};
use crate::http::input::{Lower, When};
use crate::http::list::{List, PageQuery};
use crate::problem::Problem;
use crate::storage::EventFilter;
use crate::webhooks::data;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_events))
        .routes(routes!(get_event))
}

/// Something that happened.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
struct EventView {
    /// The id, `evt_…`: the `webhook-id` of its messages. Later events have larger ids.
    id: String,
    /// What happened.
    r#type: &'static str,
    /// When.
    timestamp: String,
    /// To whom, if it was to a customer.
    customer_id: Option<String>,
    /// What there is to say; as in messages.
    #[schema(value_type = Object)]
    data: Value,
}

impl EventView {
    fn of(event: Event) -> Self {
        Self {
            id: event.id.to_string(),
            r#type: event.kind.as_str(),
            timestamp: event.at.to_string(),
            customer_id: event.customer.map(|customer| customer.to_string()),
            data: data(&event),
        }
    }
}

/// Which events; what is absent does not matter.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EventQuery {
    /// Of this customer: id or external id.
    customer_id: Option<String>,
    /// Of this type, such as `wallet.alert`.
    #[param(value_type = Option<String>)]
    r#type: Option<Lower<EventKind>>,
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

/// Lists events, newest first, whether an endpoint wanted them or not. They are kept for
/// thirty days.
#[utoipa::path(get, path = "/v1/events", tag = "webhooks", params(EventQuery),
    responses((status = 200, body = List<EventView>)))]
async fn list_events(
    State(app): State<Shared>,
    Params(query): Params<EventQuery>,
) -> Result<Json<List<EventView>>, Problem> {
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    }
    .request()?;
    let mut filter = EventFilter {
        customer: None,
        kind: query.r#type.map(|kind| kind.0),
        from: query.from.map(|from| from.0),
        before: query.before.map(|before| before.0),
    };
    let found = app
        .read(move |reader| {
            if let Some(named) = &query.customer_id {
                let owner = reader.customer(&customer(named))?;
                let owner = owner.ok_or_else(|| Problem::not_found("customer", named))?;
                filter.customer = Some(owner.id);
            }
            Ok(reader.events(filter, page)?)
        })
        .await?;
    Ok(Json(List::of(found, EventView::of)))
}

/// Shows an event.
#[utoipa::path(get, path = "/v1/events/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "Id of the event")),
    responses((status = 200, body = EventView)))]
async fn get_event(
    State(app): State<Shared>,
    Path(text): Path,
) -> Result<Json<EventView>, Problem> {
    let wanted = id("event", &text)?;
    let found = app.read(move |reader| Ok(reader.event(wanted)?)).await?;
    let found = found.ok_or_else(|| Problem::not_found("event", &text))?;
    Ok(Json(EventView::of(found)))
}
