//! For whoever runs the service: is it alive, is it ready, what does it count.

use std::sync::OnceLock;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use creditgate_core::amount::Scale;
use creditgate_ledger::Timestamp;
use creditgate_ledger::registry::{InstanceState, Registry};
use creditgate_ledger::webhook::EndpointStatus;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Shared;
use crate::problem::Problem;
use crate::storage::{LeaseTotal, OwedTotal};

/// Writes the metrics of the process out.
#[derive(Clone)]
pub struct Exposition(PrometheusHandle);

impl Exposition {
    /// The process's metrics, counted from the first call on.
    pub fn of_process() -> Self {
        static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();
        let handle = INSTALLED.get_or_init(|| {
            let recorder = PrometheusBuilder::new().build_recorder();
            let handle = recorder.handle();
            if metrics::set_global_recorder(recorder).is_err() {
                tracing::warn!(
                    "metrics are recorded elsewhere in this process; /metrics stays empty"
                );
            }
            handle
        });
        Self(handle.clone())
    }
}

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(metrics_text))
}

/// How the service is.
#[derive(Serialize, ToSchema)]
struct Health {
    /// `ok`.
    #[schema(value_type = String)]
    status: &'static str,
    /// The service's version.
    #[schema(value_type = String)]
    version: &'static str,
}

const HEALTHY: Health = Health {
    status: "ok",
    version: env!("CARGO_PKG_VERSION"),
};

/// Says that the process is alive.
#[utoipa::path(get, path = "/healthz", tag = "service", security(()), responses((status = 200, body = Health)))]
async fn healthz() -> Json<Health> {
    Json(HEALTHY)
}

/// Says that the database can be read, and that the service is not about to end.
#[utoipa::path(get, path = "/readyz", tag = "service", security(()), responses((status = 200, body = Health)))]
async fn readyz(State(app): State<Shared>) -> Result<Json<Health>, Problem> {
    if *app.stopping.borrow() {
        return Err(Problem::new("stopping", "the service is stopping"));
    }
    app.read(|reader| Ok(reader.last_change()?)).await?;
    Ok(Json(HEALTHY))
}

/// The service's metrics, in the text format of Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "service", security(()),
    responses((status = 200, body = String, content_type = "text/plain")))]
async fn metrics_text(State(app): State<Shared>) -> Response {
    let registry = app.writer.registry();
    // When the database can't be read, the levels stay as they were; /readyz tells.
    if let Ok(totals) = app.read(|reader| Ok(reader.lease_totals()?)).await {
        lending_levels(&registry, &totals);
    }
    if let Ok(totals) = app.read(|reader| Ok(reader.owed_totals()?)).await {
        debt_levels(&registry, &totals);
    }
    if let Ok(pending) = app.read(|reader| Ok(reader.pending_deliveries()?)).await {
        webhook_levels(&registry, pending, app.clock.now());
    }
    for (state, name) in [
        (InstanceState::Active, "active"),
        (InstanceState::Draining, "draining"),
        (InstanceState::Frozen, "frozen"),
    ] {
        let count = registry
            .instances
            .iter()
            .filter(|known| known.state == state)
            .count();
        metrics::gauge!("creditgate_instances", "state" => name)
            .set(u32::try_from(count).unwrap_or(u32::MAX));
    }
    metrics::gauge!("creditgate_queue_depth")
        .set(u32::try_from(app.writer.queued()).unwrap_or(u32::MAX));
    app.exposition.0.run_upkeep();
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        app.exposition.0.render(),
    )
        .into_response()
}

/// Webhooks on their way: how many, for how long, and how many endpoints get none.
fn webhook_levels(
    registry: &Registry,
    (pending, oldest): (u64, Option<Timestamp>),
    now: Timestamp,
) {
    metrics::gauge!("creditgate_webhook_deliveries_pending")
        .set(u32::try_from(pending).unwrap_or(u32::MAX));
    let age_ms = oldest.map_or(0, |oldest| now.since_ms(oldest));
    metrics::gauge!("creditgate_webhook_oldest_pending_seconds")
        .set(u32::try_from(age_ms / 1_000).unwrap_or(u32::MAX));
    for (status, name) in [
        (EndpointStatus::Enabled, "enabled"),
        (EndpointStatus::Disabled, "disabled"),
    ] {
        let there = registry.endpoints.iter();
        let there = there.filter(|known| known.deleted_at.is_none() && known.status == status);
        metrics::gauge!("creditgate_webhook_endpoints", "status" => name)
            .set(u32::try_from(there.count()).unwrap_or(u32::MAX));
    }
}

/// Credit that is out, by currency. Every currency is told each time: one of which nothing
/// is out any more must fall to zero.
fn lending_levels(registry: &Registry, totals: &[LeaseTotal]) {
    for currency in &registry.currencies {
        for (is_quarantined, state) in [(false, "lending"), (true, "quarantined")] {
            let of_these = |total: &&LeaseTotal| {
                total.currency == currency.code && total.is_quarantined == is_quarantined
            };
            let found = totals.iter().find(of_these);
            let leases = found.map_or(0, |total| total.leases);
            let outstanding = found.map_or(0, |total| total.outstanding);
            let name = currency.code.to_string();
            metrics::gauge!("creditgate_leases", "state" => state, "currency" => name.clone())
                .set(u32::try_from(leases).unwrap_or(u32::MAX));
            metrics::gauge!("creditgate_credit_out", "state" => state, "currency" => name)
                .set(whole_units(outstanding, currency.scale));
        }
    }
}

/// What is owed, by currency, beside the most that one account can come to owe because gateways
/// could not reach us.
fn debt_levels(registry: &Registry, totals: &[OwedTotal]) {
    let allowance = registry.settings.offline_allowance_ever.get();
    let instances = i128::try_from(registry.instances.len()).unwrap_or(i128::MAX);
    let bound = i128::from(allowance).saturating_mul(instances);
    for currency in &registry.currencies {
        let found = totals.iter().find(|total| total.currency == currency.code);
        let (owed, most) = found.map_or((0, 0), |total| (total.owed, total.most));
        let name = currency.code.to_string();
        let scale = currency.scale;
        metrics::gauge!("creditgate_owed", "currency" => name.clone())
            .set(whole_units(owed, scale));
        metrics::gauge!("creditgate_owed_most", "currency" => name.clone())
            .set(whole_units(most, scale));
        metrics::gauge!("creditgate_offline_bound", "currency" => name)
            .set(whole_units(bound, scale));
    }
}

/// Prometheus knows floats only; this one is looked at, never counted with.
fn whole_units(units: i128, scale: Scale) -> f64 {
    format!("{units}e-{}", scale.digits())
        .parse()
        .unwrap_or(f64::NAN)
}

pub(super) async fn openapi(document: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], document).into_response()
}

pub(super) async fn not_found(request: Request) -> Problem {
    Problem::new(
        "route_unknown",
        format!("nothing is at {}; see /openapi.json", request.uri().path()),
    )
}

pub(super) async fn method_not_allowed(request: Request) -> Problem {
    Problem::new(
        "method_not_allowed",
        format!(
            "{} has no {}; see /openapi.json",
            request.uri().path(),
            request.method()
        ),
    )
}
