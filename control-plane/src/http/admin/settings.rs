//! The installation's settings: time limits, quarantine, overruns.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use creditgate_core::amount::Amount;
use creditgate_core::protocol::Timing;
use creditgate_ledger::Settings;
use creditgate_ledger::registry::QuarantinePolicy;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::command::{Command, Outcome};
use crate::http::Shared;
use crate::http::answer::write;
use crate::http::body::{RawWrite, Write};
use crate::http::input::{Lower, given};
use crate::problem::Problem;

const URL_MAX: usize = 2_000;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(get_settings, put_settings, change_settings))
}

/// The installation's settings. Durations in milliseconds.
#[derive(Serialize, ToSchema)]
#[schema(as = Settings)]
struct SettingsView {
    /// How long a gateway may spend from a lease after it last heard of us.
    use_by_ms: u64,
    /// How often a busy account is reported.
    sync_ms: u64,
    /// After how long without use a gateway gives credit back.
    idle_ms: u64,
    /// How long a request waits for credit that is being recalled.
    wait_ms: u64,
    /// The longest a stream may last; must be the proxy's own limit.
    max_stream_ms: u64,
    /// When an instance that does not speak counts as silent: its leases are quarantined.
    silent_after_ms: u64,
    /// What becomes of quarantined credit without an operator's word: `hold`, `release` or `consume`.
    #[schema(value_type = String)]
    quarantine_policy: QuarantinePolicy,
    /// When the policy acts.
    quarantine_policy_after_ms: u64,
    /// For how many seconds of use a lease is filled.
    refill_seconds: u32,
    /// How far the use of a lease may exceed what was lent before its instance is frozen,
    /// in smallest units of the currency.
    #[schema(value_type = String)]
    overrun_max: Amount,
    /// How long a gateway may believe that a key is unknown.
    unknown_key_ttl_ms: u64,
    /// Where customers buy credit; shown in refusals.
    top_up_url: Option<String>,
}

impl SettingsView {
    fn of(settings: &Settings) -> Self {
        let Timing {
            use_by_ms,
            sync_ms,
            idle_ms,
            wait_ms,
            max_stream_ms,
        } = settings.timing;
        Self {
            use_by_ms,
            sync_ms,
            idle_ms,
            wait_ms,
            max_stream_ms,
            silent_after_ms: settings.silent_after_ms,
            quarantine_policy: settings.quarantine_policy,
            quarantine_policy_after_ms: settings.quarantine_policy_after_ms,
            refill_seconds: settings.refill_seconds,
            overrun_max: settings.overrun_max,
            unknown_key_ttl_ms: settings.unknown_key_ttl_ms,
            top_up_url: settings.top_up_url.clone(),
        }
    }
}

/// Settings as they are to be; see [`SettingsView`].
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SettingsBody {
    /// 200 to 1 day.
    #[serde(default, deserialize_with = "given")]
    use_by_ms: Option<u64>,
    /// 10 to 1 minute.
    #[serde(default, deserialize_with = "given")]
    sync_ms: Option<u64>,
    /// 10 to 1 hour.
    #[serde(default, deserialize_with = "given")]
    idle_ms: Option<u64>,
    /// 10 to 1 minute.
    #[serde(default, deserialize_with = "given")]
    wait_ms: Option<u64>,
    /// 100 to 1 day.
    #[serde(default, deserialize_with = "given")]
    max_stream_ms: Option<u64>,
    /// `use_by_ms` to 7 days.
    #[serde(default, deserialize_with = "given")]
    silent_after_ms: Option<u64>,
    /// `hold`, `release` or `consume`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    quarantine_policy: Option<Lower<QuarantinePolicy>>,
    /// 1 second to 1 year.
    #[serde(default, deserialize_with = "given")]
    quarantine_policy_after_ms: Option<u64>,
    /// 1 to 60.
    #[serde(default, deserialize_with = "given")]
    refill_seconds: Option<u32>,
    /// In smallest units of the currency, at least 0.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    overrun_max: Option<Amount>,
    /// 0 to 1 hour.
    #[serde(default, deserialize_with = "given")]
    unknown_key_ttl_ms: Option<u64>,
    /// An http or https URL; null for none.
    #[serde(default, deserialize_with = "given")]
    top_up_url: Option<Option<String>>,
}

impl SettingsBody {
    /// These settings, and for what is absent those of `base`.
    fn over(self, base: &Settings) -> Settings {
        let timing = base.timing;
        Settings {
            timing: Timing {
                use_by_ms: self.use_by_ms.unwrap_or(timing.use_by_ms),
                sync_ms: self.sync_ms.unwrap_or(timing.sync_ms),
                idle_ms: self.idle_ms.unwrap_or(timing.idle_ms),
                wait_ms: self.wait_ms.unwrap_or(timing.wait_ms),
                max_stream_ms: self.max_stream_ms.unwrap_or(timing.max_stream_ms),
            },
            silent_after_ms: self.silent_after_ms.unwrap_or(base.silent_after_ms),
            quarantine_policy: self
                .quarantine_policy
                .map_or(base.quarantine_policy, |policy| policy.0),
            quarantine_policy_after_ms: self
                .quarantine_policy_after_ms
                .unwrap_or(base.quarantine_policy_after_ms),
            refill_seconds: self.refill_seconds.unwrap_or(base.refill_seconds),
            overrun_max: self.overrun_max.unwrap_or(base.overrun_max),
            unknown_key_ttl_ms: self.unknown_key_ttl_ms.unwrap_or(base.unknown_key_ttl_ms),
            top_up_url: self.top_up_url.unwrap_or_else(|| base.top_up_url.clone()),
        }
    }
}

fn check(settings: &Settings) -> Result<(), Problem> {
    let within = |pointer: &str, value: u64, least: u64, most: u64| {
        let detail = || format!("must be {least} to {most}, is {value}");
        let fine = (least..=most).contains(&value);
        fine.then_some(())
            .ok_or_else(|| Problem::new("settings_invalid", detail()).at(pointer))
    };
    let timing = &settings.timing;
    within("/use_by_ms", timing.use_by_ms, 200, DAY_MS)?;
    within("/sync_ms", timing.sync_ms, 10, 60_000)?;
    within("/idle_ms", timing.idle_ms, 10, 3_600_000)?;
    within("/wait_ms", timing.wait_ms, 10, 60_000)?;
    within("/max_stream_ms", timing.max_stream_ms, 100, DAY_MS)?;
    // An instance whose poll is being held must not be taken for silent.
    within(
        "/silent_after_ms",
        settings.silent_after_ms,
        timing.use_by_ms,
        7 * DAY_MS,
    )?;
    within(
        "/quarantine_policy_after_ms",
        settings.quarantine_policy_after_ms,
        1_000,
        366 * DAY_MS,
    )?;
    within("/refill_seconds", u64::from(settings.refill_seconds), 1, 60)?;
    within(
        "/unknown_key_ttl_ms",
        settings.unknown_key_ttl_ms,
        0,
        3_600_000,
    )?;
    if settings.overrun_max.is_negative() {
        return Err(Problem::new("settings_invalid", "must be at least 0").at("/overrun_max"));
    }
    let url = settings.top_up_url.as_deref().unwrap_or("https://");
    let fine = (url.starts_with("https://") || url.starts_with("http://"))
        && url.len() <= URL_MAX
        && url.bytes().all(|byte| byte.is_ascii_graphic());
    fine.then_some(()).ok_or_else(|| {
        Problem::new("settings_invalid", "must be an http or https URL").at("/top_up_url")
    })
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
    Write { body, raw }: Write<SettingsBody>,
) -> Result<Response, Problem> {
    store(&app, &raw, body.over(&Settings::default())).await
}

/// Changes some settings; what is absent stays. Gateways hear of it at once.
#[utoipa::path(patch, path = "/v1/settings", tag = "settings", request_body = SettingsBody,
    responses((status = 200, body = SettingsView)))]
async fn change_settings(
    State(app): State<Shared>,
    Write { body, raw }: Write<SettingsBody>,
) -> Result<Response, Problem> {
    let settings = body.over(&app.writer.registry().settings);
    store(&app, &raw, settings).await
}

async fn store(app: &Shared, raw: &RawWrite, settings: Settings) -> Result<Response, Problem> {
    check(&settings)?;
    write(
        app,
        raw,
        Command::PutSettings(settings),
        StatusCode::OK,
        |outcome| {
            let Outcome::Settings(settings) = outcome else {
                return None;
            };
            Some(SettingsView::of(settings))
        },
    )
    .await
}
