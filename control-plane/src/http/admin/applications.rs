//! Applications of credit grants: what was applied, skipped or failed, and what is to come.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use creditgate_core::amount::{Amount, Currency, Scale};
use creditgate_ledger::Timestamp;
use creditgate_ledger::grant::{
    Application, ApplicationState, Upcoming, UpcomingFilter, UpcomingPlace, upcoming,
};
use creditgate_ledger::id::{ApplicationId, SubscriptionId, WalletId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::subscriptions::{owner, subscription};
use super::{customer, id, instant};
use crate::command::grant::grant_target;
use crate::command::{Command, GrantCommand, GrantOutcome, Outcome};
use crate::http::Shared;
use crate::http::answer::write;
use crate::http::body::{Params, Path, Write};
use crate::http::input::Lower;
use crate::http::list::{List, PageQuery};
use crate::http::money::decimal;
use crate::problem::Problem;
use crate::storage::{ApplicationFilter, Cursor, Page, PageRequest, Reader, Target};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_applications))
        .routes(routes!(get_application))
        .routes(routes!(retry_application))
        .routes(routes!(list_upcoming_of_subscription))
        .routes(routes!(list_upcoming_of_customer))
}

/// One application of a credit grant. Each happens once.
#[derive(Serialize, ToSchema)]
#[schema(as = CreditGrantApplication)]
struct ApplicationView {
    /// The id, `apl_…`.
    id: String,
    /// Of which grant.
    grant_id: String,
    /// For which subscription.
    subscription_id: Option<String>,
    /// To whom.
    customer_id: String,
    /// Which one, from 0.
    occurrence: u32,
    /// When it was due; the lot is effective from then.
    scheduled_for: String,
    /// `applied`, `skipped` or `failed`.
    #[schema(value_type = String)]
    state: ApplicationState,
    /// Why it was skipped (`subscription_paused`, `period_over`, `subscription_cancelled`,
    /// `grant_archived`), or the code of the error for which it failed.
    cause: Option<String>,
    /// How often it was tried.
    attempts: u32,
    /// When it is tried again by itself.
    retry_at: Option<String>,
    /// The wallet it went to.
    wallet_id: Option<String>,
    /// The lot it made.
    lot_id: Option<String>,
    /// What the amounts count in.
    currency: Option<String>,
    /// How much it gave.
    amount: String,
    /// How much was carried on from the application before.
    rolled_over: String,
    /// When that was decided.
    decided_at: String,
}

/// The currency of a wallet, and its digits.
type Unit = Option<(Currency, Scale)>;

impl ApplicationView {
    fn of(row: &Application, unit: Unit) -> Self {
        // Without a wallet it gave nothing.
        let scale = unit.map_or(Scale::MAX, |(_, scale)| scale);
        let text = |amount: Amount| decimal(amount, scale);
        Self {
            id: row.id.to_string(),
            grant_id: row.grant.to_string(),
            subscription_id: row.subscription.map(|id| id.to_string()),
            customer_id: row.customer.to_string(),
            occurrence: row.occurrence,
            scheduled_for: row.scheduled_for.to_string(),
            state: row.state,
            cause: row.cause.clone(),
            attempts: row.attempts,
            retry_at: instant(row.retry_at),
            wallet_id: row.wallet.map(|id| id.to_string()),
            lot_id: row.lot.map(|id| id.to_string()),
            currency: unit.map(|(currency, _)| currency.to_string()),
            amount: text(row.amount),
            rolled_over: text(row.rolled_over),
            decided_at: row.decided_at.to_string(),
        }
    }
}

fn unit(reader: &dyn Reader, wallet: Option<WalletId>) -> Result<Unit, Problem> {
    let Some(wallet) = wallet else {
        return Ok(None);
    };
    let (wallet, registry) = (reader.wallet(wallet)?, reader.registry()?);
    Ok(wallet.map(|wallet| (wallet.currency, registry.scale(&wallet.currency))))
}

/// Which applications.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ApplicationQuery {
    /// To this customer: id or external id.
    customer_id: Option<String>,
    /// For this subscription: id or external id.
    subscription_id: Option<String>,
    /// Of this credit grant: id or external id.
    grant_id: Option<String>,
    /// `applied`, `skipped` or `failed`.
    #[param(value_type = Option<String>)]
    state: Option<Lower<ApplicationState>>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Most items of the page, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

impl ApplicationQuery {
    fn filter(&self, reader: &dyn Reader) -> Result<ApplicationFilter, Problem> {
        let mut filter = ApplicationFilter {
            customer: owner(reader, self.customer_id.as_deref())?,
            state: self.state.as_ref().map(|state| state.0),
            ..ApplicationFilter::default()
        };
        if let Some(named) = &self.subscription_id {
            let found = reader.subscription(&subscription(named))?;
            let found = found.ok_or_else(|| Problem::not_found("subscription", named))?;
            filter.subscription = Some(found.id);
        }
        if let Some(named) = &self.grant_id {
            let found = reader.grant(&grant_target(named))?;
            let found = found.ok_or_else(|| Problem::not_found("credit grant", named))?;
            filter.grant = Some(found.id);
        }
        Ok(filter)
    }
}

/// Lists applications of credit grants, newest first.
#[utoipa::path(get, path = "/v1/credit-grant-applications", tag = "credit grants", params(ApplicationQuery),
    responses((status = 200, body = List<ApplicationView>)))]
async fn list_applications(
    State(app): State<Shared>,
    Params(query): Params<ApplicationQuery>,
) -> Result<Json<List<ApplicationView>>, Problem> {
    let page = PageQuery {
        cursor: query.cursor.clone(),
        limit: query.limit,
    }
    .request()?;
    let list = app.read(move |reader| {
        let reader = reader.snapshot()?;
        let rows = reader.applications(query.filter(&*reader)?, page)?;
        let mut units: HashMap<Option<WalletId>, Unit> = HashMap::new();
        for row in &rows.items {
            if let Entry::Vacant(place) = units.entry(row.wallet) {
                place.insert(unit(&*reader, row.wallet)?);
            }
        }
        Ok(List::of(rows, |row| {
            let unit = units.get(&row.wallet).copied().flatten();
            ApplicationView::of(&row, unit)
        }))
    });
    list.await.map(Json)
}

/// Shows an application of a credit grant.
#[utoipa::path(get, path = "/v1/credit-grant-applications/{id}", tag = "credit grants",
    params(("id" = String, Path, description = "Id")),
    responses((status = 200, body = ApplicationView)))]
async fn get_application(
    State(app): State<Shared>,
    Path(named): Path,
) -> Result<Json<ApplicationView>, Problem> {
    let wanted: ApplicationId = id("application", &named)?;
    let view = app.read(move |reader| {
        let found = reader.application(wanted)?;
        let row = found.ok_or_else(|| Problem::not_found("application", &named))?;
        Ok(ApplicationView::of(&row, unit(reader, row.wallet)?))
    });
    view.await.map(Json)
}

/// Nothing is needed to try again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Retry {}

/// Tries an application that failed once more, now. The answer says whether it was applied.
#[utoipa::path(post, path = "/v1/credit-grant-applications/{id}/retry", tag = "credit grants",
    request_body = Retry, params(("id" = String, Path, description = "Id")),
    responses((status = 200, body = ApplicationView)))]
async fn retry_application(
    State(app): State<Shared>,
    Path(named): Path,
    Write {
        body: Retry {},
        raw,
    }: Write<Retry>,
) -> Result<Response, Problem> {
    let application: ApplicationId = id("application", &named)?;
    let command = Command::Grant(GrantCommand::Retry { application });
    write(&app, &raw, command, StatusCode::OK, |outcome| {
        let Outcome::Grant(outcome) = outcome else {
            return None;
        };
        match &**outcome {
            GrantOutcome::Application(row, unit) => Some(ApplicationView::of(row, *unit)),
            _ => None,
        }
    })
    .await
}

/// An application to come, as things stand.
#[derive(Serialize, ToSchema)]
#[schema(as = UpcomingApplication)]
struct UpcomingView {
    /// Of which grant.
    grant_id: String,
    /// What people call it.
    grant_name: String,
    /// For which subscription.
    subscription_id: Option<String>,
    /// Which one, from 0.
    occurrence: u32,
    /// When.
    scheduled_for: String,
    /// Until when its lot could be spent; null: for ever.
    expires_at: Option<String>,
    /// How much, in credits of the wallet.
    credit_amount: String,
    /// Of which wallet.
    currency: String,
    /// `scheduled`; `skipped` if it would be, as things stand.
    #[schema(value_type = String)]
    state: ApplicationState,
    /// Why it would be skipped: `subscription_paused`.
    cause: Option<&'static str>,
}

impl UpcomingView {
    fn of(row: &Upcoming) -> Self {
        Self {
            grant_id: row.grant.id.to_string(),
            grant_name: row.grant.name.clone(),
            subscription_id: row.subscription.map(|id| id.to_string()),
            occurrence: row.occurrence,
            scheduled_for: row.scheduled_for.to_string(),
            expires_at: instant(row.expires_at),
            credit_amount: row.grant.credits.to_string(),
            currency: row.grant.currency.to_string(),
            state: match row.would_skip {
                Some(_) => ApplicationState::Skipped,
                None => ApplicationState::Scheduled,
            },
            cause: row.would_skip,
        }
    }
}

/// Lists what a subscription's grants are to give, soonest first. It goes on for ever where
/// grants recur: read as many pages as you need.
#[utoipa::path(get, path = "/v1/subscriptions/{id}/upcoming-applications", tag = "subscriptions",
    params(("id" = String, Path, description = "Id or external id"), PageQuery),
    responses((status = 200, body = List<UpcomingView>)))]
async fn list_upcoming_of_subscription(
    State(app): State<Shared>,
    Path(named): Path,
    Params(page): Params<PageQuery>,
) -> Result<Json<List<UpcomingView>>, Problem> {
    let page = page.request()?;
    app.catch_up(subscription(&named)).await?;
    let list = app.read(move |reader| {
        let reader = reader.snapshot()?;
        let found = reader.subscription(&subscription(&named))?;
        let found = found.ok_or_else(|| Problem::not_found("subscription", &named))?;
        to_come(
            &*reader,
            &Target::Customer(found.customer),
            Some(found.id),
            page,
        )
    });
    list.await.map(Json)
}

/// Lists what all grants are to give a customer, soonest first. It goes on for ever where
/// grants recur: read as many pages as you need.
#[utoipa::path(get, path = "/v1/customers/{id}/upcoming-applications", tag = "customers",
    params(("id" = String, Path, description = "Id or external id"), PageQuery),
    responses((status = 200, body = List<UpcomingView>)))]
async fn list_upcoming_of_customer(
    State(app): State<Shared>,
    Path(named): Path,
    Params(page): Params<PageQuery>,
) -> Result<Json<List<UpcomingView>>, Problem> {
    let page = page.request()?;
    app.catch_up(customer(&named)).await?;
    let list = app.read(move |reader| {
        let reader = reader.snapshot()?;
        let found = reader.customer(&customer(&named))?;
        let found = found.ok_or_else(|| Problem::not_found("customer", &named))?;
        to_come(&*reader, &Target::Customer(found.id), None, page)
    });
    list.await.map(Json)
}

fn to_come(
    reader: &dyn Reader,
    customer: &Target,
    subscription: Option<SubscriptionId>,
    page: PageRequest,
) -> Result<List<UpcomingView>, Problem> {
    let registry = reader.registry()?;
    let book = reader.book(customer)?;
    let book = book.ok_or_else(|| Problem::not_found("customer", ""))?;
    let filter = UpcomingFilter {
        subscription,
        after: page.cursor.map(place),
    };
    let one_more = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let rows = upcoming(&book, &registry, filter, one_more.saturating_add(1));
    let page = Page::cut(rows, page.limit, |(place, _)| cursor(*place).0);
    Ok(List::of(page, |(_, row)| UpcomingView::of(&row)))
}

/// The instant in the upper half, which of those of the same instant in the lower.
fn cursor(place: UpcomingPlace) -> Cursor {
    let at = u128::from(place.at.0.cast_unsigned());
    Cursor((at << 64) | u128::from(place.nth))
}

fn place(cursor: Cursor) -> UpcomingPlace {
    let at = u64::try_from(cursor.0 >> 64).unwrap_or_default();
    let nth = cursor.0 & u128::from(u64::MAX);
    UpcomingPlace {
        at: Timestamp(at.cast_signed()),
        nth: u32::try_from(nth).unwrap_or(u32::MAX),
    }
}
