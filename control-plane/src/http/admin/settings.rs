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

use crate::command::{Command, Outcome, SettingsChange};
use crate::http::Shared;
use crate::http::answer::write;
use crate::http::body::Write;
use crate::http::input::{Lower, given};
use crate::problem::Problem;

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
    #[schema(minimum = 200, maximum = 86_400_000)]
    use_by_ms: Option<u64>,
    /// 10 to 1 minute, at most a quarter of `use_by_ms`.
    #[serde(default, deserialize_with = "given")]
    #[schema(minimum = 10, maximum = 60_000)]
    sync_ms: Option<u64>,
    /// 10 to 1 hour.
    #[serde(default, deserialize_with = "given")]
    #[schema(minimum = 10, maximum = 3_600_000)]
    idle_ms: Option<u64>,
    /// 10 to 1 minute, at most `use_by_ms`.
    #[serde(default, deserialize_with = "given")]
    #[schema(minimum = 10, maximum = 60_000)]
    wait_ms: Option<u64>,
    /// 100 to 1 day.
    #[serde(default, deserialize_with = "given")]
    #[schema(minimum = 100, maximum = 86_400_000)]
    max_stream_ms: Option<u64>,
    /// `use_by_ms` to 7 days.
    #[serde(default, deserialize_with = "given")]
    #[schema(minimum = 200, maximum = 604_800_000)]
    silent_after_ms: Option<u64>,
    /// `hold`, `release` or `consume`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    quarantine_policy: Option<Lower<QuarantinePolicy>>,
    /// 1 second to 1 year.
    #[serde(default, deserialize_with = "given")]
    #[schema(minimum = 1_000, maximum = 31_622_400_000_i64)]
    quarantine_policy_after_ms: Option<u64>,
    /// 1 to 60.
    #[serde(default, deserialize_with = "given")]
    #[schema(minimum = 1, maximum = 60)]
    refill_seconds: Option<u32>,
    /// 0 to 10^15 smallest units of the currency.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    overrun_max: Option<Amount>,
    /// 0 to 1 hour.
    #[serde(default, deserialize_with = "given")]
    #[schema(minimum = 0, maximum = 3_600_000)]
    unknown_key_ttl_ms: Option<u64>,
    /// An http or https URL; null for none.
    #[serde(default, deserialize_with = "given")]
    #[schema(max_length = 2_000)]
    top_up_url: Option<Option<String>>,
}

impl SettingsBody {
    fn change(self) -> SettingsChange {
        SettingsChange {
            use_by_ms: self.use_by_ms,
            sync_ms: self.sync_ms,
            idle_ms: self.idle_ms,
            wait_ms: self.wait_ms,
            max_stream_ms: self.max_stream_ms,
            silent_after_ms: self.silent_after_ms,
            quarantine_policy: self.quarantine_policy.map(|policy| policy.0),
            quarantine_policy_after_ms: self.quarantine_policy_after_ms,
            refill_seconds: self.refill_seconds,
            overrun_max: self.overrun_max,
            unknown_key_ttl_ms: self.unknown_key_ttl_ms,
            top_up_url: self.top_up_url,
        }
    }
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
        change: Box::new(body.change()),
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
