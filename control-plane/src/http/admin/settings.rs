//! The installation's settings: time limits, quarantine, overruns, and the defaults of wallets.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::shape::{SettingsBody, SettingsView};
use crate::command::{Command, Outcome};
use crate::http::Shared;
use crate::http::answer::write;
use crate::http::body::Write;
use crate::problem::Problem;

mod bonus_slabs;
mod shape;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(get_settings, put_settings, change_settings))
}

/// Shows the settings.
#[utoipa::path(get, path = "/v1/settings", tag = "settings", responses((status = 200, body = SettingsView)))]
async fn get_settings(State(app): State<Shared>) -> Json<SettingsView> {
    Json(SettingsView::of(&app.writer.registry().settings))
}

/// Replaces the settings; what is absent gets its default. Gateways hear of it at once.
#[utoipa::path(put, path = "/v1/settings", tag = "settings", request_body = SettingsBody,
    responses((status = 200, body = SettingsView)))]
async fn put_settings(
    State(app): State<Shared>,
    asked: Write<SettingsBody>,
) -> Result<Response, Problem> {
    store(&app, asked, true).await
}

/// Changes some settings; what is absent stays. Gateways hear of it at once.
#[utoipa::path(patch, path = "/v1/settings", tag = "settings", request_body = SettingsBody,
    responses((status = 200, body = SettingsView)))]
async fn change_settings(
    State(app): State<Shared>,
    asked: Write<SettingsBody>,
) -> Result<Response, Problem> {
    store(&app, asked, false).await
}

async fn store(
    app: &Shared,
    asked: Write<SettingsBody>,
    replace: bool,
) -> Result<Response, Problem> {
    let Write { body, raw } = asked;
    let command = Command::ChangeSettings {
        change: Box::new(body.change()?),
        replace,
    };
    write(app, &raw, command, StatusCode::OK, |outcome| {
        let Outcome::Settings(settings) = outcome else {
            return None;
        };
        Some(SettingsView::of(settings))
    })
    .await
}
