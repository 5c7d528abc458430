//! What was used, in detail. It is counted once, however often it comes.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use creditgate_core::protocol::{USAGE_ROWS_MAX, UsageAnswer, UsageRequest};
use creditgate_ledger::usage::{Batch, Day, SUM_MAX, Source};

use super::Message;
use crate::command::{Command, Outcome};
use crate::http::Shared;
use crate::problem::Problem;
use crate::writer::{WriteError, Written};

/// Counts a batch of usage detail. For gateways.
#[utoipa::path(post, path = "/v1/gateway/usage", tag = "gateway protocol", request_body = Object,
    responses((status = 200, body = Object)))]
pub(super) async fn gateway_usage(
    State(app): State<Shared>,
    Message { speaker, message }: Message<UsageRequest>,
) -> Result<Json<UsageAnswer>, Problem> {
    metrics::counter!("creditgate_usage_batches_total").increment(1);
    check(&message)?;
    app.meet(speaker, &message.hello).await?;
    let registry = app.writer.registry();
    let gateway = registry
        .gateways
        .iter()
        .find(|known| known.id == speaker.gateway);
    // The epoch does not matter: what was used was used, whichever ledger it was lent by.
    let batch = Batch {
        source: Source {
            instance: message.hello.instance,
            worker: message.source,
        },
        number: message.number,
        rate_card: gateway
            .map(|known| known.rate_card.clone())
            .unwrap_or_default(),
        day: Day::of(app.clock.now()),
        rows: message.rows,
    };
    // Nothing waits for it at the gateway, so it comes after what something waits for.
    let command = Command::BookUsage(Arc::new(batch));
    let reply = app.writer.submit_later("gateway", command)?;
    match reply.await.unwrap_or(Err(WriteError::Stopping))? {
        Written::Outcome(Outcome::Usage(number)) => Ok(Json(UsageAnswer { number })),
        _ => Err(Problem::new("internal", "the writer gave another answer")),
    }
}

fn check(message: &UsageRequest) -> Result<(), Problem> {
    if message.rows.len() > USAGE_ROWS_MAX {
        let detail = format!("a batch may have {USAGE_ROWS_MAX} rows");
        return Err(Problem::new("too_many_rows", detail).at("/rows"));
    }
    if !(1..=SUM_MAX).contains(&message.number) {
        let detail = format!("must be 1 to {SUM_MAX}");
        return Err(Problem::new("body_invalid", detail).at("/number"));
    }
    match message.rows.iter().position(|row| !row.is_sane()) {
        Some(place) => {
            let detail = "a name is too long, there are too many meters, or the cost is negative";
            Err(Problem::new("body_invalid", detail).at(format!("/rows/{place}")))
        }
        None => Ok(()),
    }
}
