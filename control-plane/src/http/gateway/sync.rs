//! Counters up, credit down.

use axum::Json;
use axum::extract::State;
use creditgate_core::protocol::{
    AccountState, LeaseAnswer, REPORTS_MAX, Report, SyncAnswer, SyncRequest,
};
use creditgate_ledger::report::closed;

use super::{Message, is_of_another_epoch};
use crate::command::{Command, Failure, Outcome};
use crate::http::Shared;
use crate::problem::Problem;
use crate::writer::{WriteError, Written};

/// Merges reports and lends. For gateways.
#[utoipa::path(post, path = "/v1/gateway/sync", tag = "gateway protocol", request_body = Object,
    responses((status = 200, body = Object)))]
pub(super) async fn gateway_sync(
    State(app): State<Shared>,
    Message { speaker, message }: Message<SyncRequest>,
) -> Result<Json<SyncAnswer>, Problem> {
    metrics::counter!("creditgate_syncs_total").increment(1);
    metrics::counter!("creditgate_reports_total")
        .increment(u64::try_from(message.reports.len()).unwrap_or(u64::MAX));
    if message.reports.len() > REPORTS_MAX {
        return Err(Problem::new(
            "too_many_reports",
            format!("a sync may have {REPORTS_MAX} reports"),
        ));
    }
    app.meet(speaker, &message.hello).await?;
    let registry = app.writer.registry();
    let epoch = registry.epoch;
    if is_of_another_epoch(&message.hello, &registry) {
        let answers = message.reports.iter().map(refused).collect();
        return Ok(Json(SyncAnswer { epoch, answers }));
    }
    let instance = message.hello.instance;
    let mut submitted = Vec::with_capacity(message.reports.len());
    for report in message.reports {
        // If the queue fills up on the way, those before are carried out and the gateway
        // asks again with all: reports are cumulative.
        let command = Command::Report {
            instance,
            report: report.clone(),
        };
        submitted.push((app.writer.submit("gateway", command, None, None)?, report));
    }
    let mut answers = Vec::with_capacity(submitted.len());
    for (reply, report) in submitted {
        let written = reply.await.unwrap_or(Err(WriteError::Stopping));
        answers.push(answer(written, &report)?);
    }
    Ok(Json(SyncAnswer { epoch, answers }))
}

fn answer(written: Result<Written, WriteError>, report: &Report) -> Result<LeaseAnswer, Problem> {
    match written {
        Ok(Written::Outcome(Outcome::Answer(answer))) => Ok(*answer),
        Ok(_) => Err(Problem::new("internal", "the writer gave another answer")),
        Err(WriteError::Failed(Failure::Impossible(impossible))) => {
            tracing::error!(%impossible, "an impossible report; its instance is frozen");
            metrics::counter!("creditgate_impossible_reports_total").increment(1);
            Ok(refused(report))
        }
        Err(WriteError::Failed(Failure::Refused(refusal))) => {
            tracing::warn!(%refusal, "a report was refused");
            Ok(refused(report))
        }
        Err(error) => Err(error.into()),
    }
}

/// The answer to a report of a lease that is none here: give everything up.
fn refused(report: &Report) -> LeaseAnswer {
    closed(report, AccountState::unknown())
}
