//! Lots: dated blocks of credit. Adding them is in [`top_up`], what becomes of them in [`changing`].

use axum::Json;
use axum::extract::State;
use creditgate_core::amount::Scale;
use creditgate_ledger::burn_order::LotStatus;
use creditgate_ledger::{Lot, LotKind};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) use self::view::LotView;
use super::wallets::in_book;
use super::{lot, wallet};
use crate::http::Shared;
use crate::http::body::{Params, Path};
use crate::http::input::Lower;
use crate::http::list::{List, PageQuery};
use crate::problem::Problem;
use crate::storage::{LotFilter, Reader, Target};

mod changing;
mod top_up;
mod view;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .merge(top_up::routes())
        .routes(routes!(list_lots))
        .routes(routes!(get_lot))
        .merge(changing::routes())
}

/// Which lots of a wallet; what is absent does not matter.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LotQuery {
    /// `purchased`, `granted`, `promotional`, `bonus`, `refund` or `credit_line`.
    #[param(value_type = Option<String>)]
    kind: Option<Lower<LotKind>>,
    /// `pending`, `active`, `depleted`, `expired` or `voided`, as of now.
    #[param(value_type = Option<String>)]
    status: Option<Lower<LotStatus>>,
    /// `next_cursor` of the page before; none for the first page.
    cursor: Option<String>,
    /// Most items of the page, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Lists a wallet's lots, those that are used up too, in the order they were made.
#[utoipa::path(get, path = "/v1/wallets/{id}/lots", tag = "credit",
    params(("id" = String, Path, description = "Id or external id of the wallet"), LotQuery),
    responses((status = 200, body = List<LotView>)))]
async fn list_lots(
    State(app): State<Shared>,
    Path(named): Path,
    Params(query): Params<LotQuery>,
) -> Result<Json<List<LotView>>, Problem> {
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    }
    .request()?;
    app.catch_up(wallet(&named)).await?;
    let now = app.clock.now();
    let list = app
        .read(move |reader| {
            let reader = reader.snapshot()?;
            let (book, wallet) = in_book(&*reader, &named)?;
            let now = book.instant(now);
            let scale = book
                .account(wallet.account)
                .map_or(Scale::MAX, |account| account.scale);
            let filter = LotFilter::Some {
                wallet: wallet.id,
                kind: query.kind.map(|kind| kind.0),
                status: query.status.map(|status| (status.0, now)),
            };
            let lots = reader.lots(filter, page)?;
            Ok(List::of(lots, |lot| LotView::of(&lot, &wallet, scale, now)))
        })
        .await?;
    Ok(Json(list))
}

/// A lot, also one that is history.
///
/// # Errors
/// `not_found`.
pub(super) fn find(reader: &dyn Reader, named: &str) -> Result<Lot, Problem> {
    let found = match lot(named) {
        Target::Lot(id) => reader.lot(id)?,
        _ => reader.lot_named(named)?,
    };
    let found = found.ok_or_else(|| Problem::not_found("lot", named))?;
    Ok(found.1)
}

/// Shows a lot.
#[utoipa::path(get, path = "/v1/lots/{id}", tag = "credit",
    params(("id" = String, Path, description = "Id or external id of the lot")),
    responses((status = 200, body = LotView)))]
async fn get_lot(State(app): State<Shared>, Path(named): Path) -> Result<Json<LotView>, Problem> {
    app.catch_up(lot(&named)).await?;
    let now = app.clock.now();
    let view = app
        .read(move |reader| {
            let reader = reader.snapshot()?;
            let found = find(&*reader, &named)?;
            let (book, wallet) = in_book(&*reader, &found.wallet.to_string())?;
            let scale = book
                .account(wallet.account)
                .map_or(Scale::MAX, |account| account.scale);
            Ok(LotView::of(&found, &wallet, scale, book.instant(now)))
        })
        .await?;
    Ok(Json(view))
}
