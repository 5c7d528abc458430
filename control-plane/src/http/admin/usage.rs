//! What credit was used for: sums of usage detail, and what of an account's spending is in it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use creditgate_core::detail::SettledBy;
use creditgate_ledger::usage::{Attribution, Day, Total};
use creditgate_ledger::{Account, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{customer, id};
use crate::http::Shared;
use crate::http::body::{Params, Path};
use crate::http::list::{List, PageQuery};
use crate::http::money::wide_decimal;
use crate::problem::Problem;
use crate::storage::{Reader, UsageFilter, UsagePage, UsageQuery};
use cursor::{place_of, text_of};
use kept::GROUPS_MAX;
use view::UsageView;

mod cursor;
mod kept;
mod view;

pub use kept::KeptSums;

/// The days that are summed up if none are named.
const DAYS_DEFAULT: i32 = 31;
/// Most days of one question.
const DAYS_MAX: i32 = 366;
/// The longest name of a rule or a model, in bytes.
const NAME_MAX: usize = 128;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_usage))
        .routes(routes!(get_customer_usage))
}

/// Which rows, and how they are put together.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct UsageParams {
    /// Of this customer: id or external id.
    customer: Option<String>,
    /// Of this rule, by its id.
    rule: Option<String>,
    /// Of this model, as answers name it.
    model: Option<String>,
    /// Of this consumer key, by its id.
    key: Option<String>,
    /// Of requests whose charge went by this: `price`, `usage`, `passed`, `ended`, `estimate`,
    /// `minimum`, `nothing`, `mixed`.
    settled_by: Option<String>,
    /// The first day, of UTC; 31 days before `to` if absent.
    #[param(format = Date, example = "2026-01-01")]
    from: Option<String>,
    /// The day after the last, of UTC; tomorrow if absent. At most 366 days after `from`.
    #[param(format = Date, example = "2026-02-01")]
    to: Option<String>,
    /// One sum for each of these, separated by commas: `customer`, `day`, `rule`, `model`, `key`,
    /// `status_class`, `settled_by`, `rate_card_version`. One sum for each currency if absent.
    #[param(example = "customer,rule")]
    group_by: Option<String>,
    /// `next_cursor` of the page before; none for the first page.
    cursor: Option<String>,
    /// Most items of the page, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Sums usage detail up, by days of UTC. Pages that are fetched within a minute of the first are
/// of its sums, up to 5,000; later ones are summed up anew from their cursor on. Groups come in the order of currency, customer, day,
/// rule, model, key, class of statuses, what charges went by, rate card and version, as far as they are asked for.
#[utoipa::path(get, path = "/v1/usage", tag = "usage", params(UsageParams),
    responses((status = 200, body = List<UsageView>)))]
async fn list_usage(
    State(app): State<Shared>,
    Params(params): Params<UsageParams>,
) -> Result<Json<List<UsageView>>, Problem> {
    let (from, before) = days(&params, Day::of(app.clock.now()))?;
    let by = view::dimensions(params.group_by.as_deref())?;
    let page = PageQuery {
        cursor: None,
        limit: params.limit,
    };
    let after = params.cursor.as_deref();
    let mut query = UsageQuery {
        filter: UsageFilter {
            customer: None,
            rule: name("rule", params.rule)?,
            model: name("model", params.model)?,
            key: params
                .key
                .as_deref()
                .map(|text| id("key", text))
                .transpose()?,
            settled_by: settled_by(params.settled_by.as_deref())?,
            from,
            before,
        },
        after: after.map(|text| place_of(text, &by)).transpose()?,
        by,
        limit: page.request()?.limit,
    };
    let (sums, now) = (Arc::clone(&app), app.clock.now());
    let list = app
        .read(move |reader| {
            if let Some(named) = &params.customer {
                let owner = reader.customer(&customer(named))?;
                let owner = owner.ok_or_else(|| Problem::not_found("customer", named))?;
                query.filter.customer = Some(owner.id);
            }
            let found = summed_page(reader, &sums.usage_sums, query.clone(), now)?;
            let last = found.groups.last().filter(|_| found.has_more);
            let next_cursor = last.map(|group| text_of(&group.place()));
            let groups = found.groups.iter();
            let data = groups
                .map(|group| UsageView::of(group, &query.by))
                .collect();
            Ok(List { data, next_cursor })
        })
        .await?;
    Ok(Json(list))
}

/// A page of sums. One look sums up as much as a question may want of its pages.
fn summed_page(
    reader: &dyn Reader,
    sums: &KeptSums,
    query: UsageQuery,
    now: Timestamp,
) -> Result<UsagePage, Problem> {
    if let Some(page) = sums.find(&query, now) {
        return Ok(page);
    }
    let all = UsageQuery {
        limit: GROUPS_MAX,
        ..query.clone()
    };
    let all = reader.usage(&all)?;
    Ok(sums.keep(query, all, now))
}

fn invalid(parameter: &str, problem: impl std::fmt::Display) -> Problem {
    Problem::new("query_invalid", format!("{parameter}: {problem}"))
}

fn days(params: &UsageParams, today: Day) -> Result<(Day, Day), Problem> {
    let day = |parameter, text: &Option<String>| {
        let day = text.as_deref().map(str::parse::<Day>).transpose();
        day.map_err(|error| invalid(parameter, error))
    };
    let before = day("to", &params.to)?.unwrap_or_else(|| today.plus(1));
    let from = day("from", &params.from)?.unwrap_or_else(|| before.plus(-DAYS_DEFAULT));
    if from >= before {
        return Err(invalid("to", format!("must be a day after from, {from}")));
    }
    if before > from.plus(DAYS_MAX) {
        return Err(invalid(
            "to",
            format!("must be at most {DAYS_MAX} days after from, {from}"),
        ));
    }
    Ok((from, before))
}

fn settled_by(word: Option<&str>) -> Result<Option<SettledBy>, Problem> {
    let Some(word) = word else { return Ok(None) };
    let mut all = SettledBy::ALL.into_iter();
    let found = all.find(|by| by.as_str() == word);
    found.map(Some).ok_or_else(|| {
        let words = SettledBy::ALL.map(SettledBy::as_str).join(", ");
        invalid("settled_by", format!("{word:?} is none of {words}"))
    })
}

fn name(parameter: &str, name: Option<String>) -> Result<Option<String>, Problem> {
    let fits = |name: &String| (1..=NAME_MAX).contains(&name.len());
    if name.as_ref().is_none_or(fits) {
        return Ok(name);
    }
    Err(invalid(
        parameter,
        format!("must have 1 to {NAME_MAX} bytes"),
    ))
}

/// How much of what an account spent is explained by usage detail.
#[derive(Serialize, ToSchema)]
struct AccountUsage {
    /// The account, `acc_…`, as access logs name it.
    account_id: String,
    /// What it counts in.
    currency: String,
    /// The rules that the account's wallets are limited to; empty for the general one.
    rules: Vec<String>,
    /// What the books have as spent, ever: reported, or charged without a report.
    spent: String,
    /// What usage detail tells of it, forgotten days too.
    attributed: String,
    /// `spent` - `attributed`. Below zero while detail is ahead of the reports, and where credit
    /// was released of a lease whose use could not be reported.
    unattributed: String,
}

impl AccountUsage {
    fn of(account: &Account, total: &Total) -> Self {
        let attribution = Attribution::of(account, total);
        let amount = |units| wide_decimal(units, account.scale);
        Self {
            account_id: account.id.to_string(),
            currency: account.currency.to_string(),
            rules: account.scope.rules.iter().cloned().collect(),
            spent: amount(attribution.spent),
            attributed: amount(attribution.attributed),
            unattributed: amount(attribution.unattributed),
        }
    }
}

/// Holds what a customer spent against what usage detail tells of it, account by account.
#[utoipa::path(get, path = "/v1/customers/{id}/usage", tag = "usage",
    params(("id" = String, Path, description = "Id or external id of the customer"), PageQuery),
    responses((status = 200, body = List<AccountUsage>)))]
async fn get_customer_usage(
    State(app): State<Shared>,
    Path(named): Path,
    Params(page): Params<PageQuery>,
) -> Result<Json<List<AccountUsage>>, Problem> {
    let page = page.request()?;
    let list = app
        .read(move |reader| {
            let reader = reader.snapshot()?;
            let book = reader.book(&customer(&named))?;
            let book = book.ok_or_else(|| Problem::not_found("customer", &named))?;
            let mut accounts = Vec::with_capacity(book.accounts.len());
            for account in &book.accounts {
                accounts.push((account, reader.usage_total(account.id)?));
            }
            let id = |(account, _): &(&Account, Total)| account.id.0;
            let view = |(account, total): (&Account, Total)| AccountUsage::of(account, &total);
            Ok(List::by_id(accounts.into_iter(), page, id, view))
        })
        .await?;
    Ok(Json(list))
}
