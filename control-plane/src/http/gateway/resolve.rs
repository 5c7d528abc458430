//! Who a credential belongs to, and a first lease.

use axum::Json;
use axum::extract::State;
use creditgate_core::protocol::{ResolveAnswer, ResolveRequest};

use super::Message;
use crate::command::{Command, Outcome};
use crate::http::Shared;
use crate::problem::Problem;

/// Resolves a credential. For gateways.
#[utoipa::path(post, path = "/v1/gateway/resolve", tag = "gateway protocol", request_body = Object,
    responses((status = 200, body = Object)))]
pub(super) async fn gateway_resolve(
    State(app): State<Shared>,
    Message { speaker, message }: Message<ResolveRequest>,
) -> Result<Json<ResolveAnswer>, Problem> {
    metrics::counter!("creditgate_resolves_total").increment(1);
    app.meet(speaker, &message.hello).await?;
    let registry = app.writer.registry();
    let instance = message.hello.instance;
    if let Some(reason) = registry
        .instance(instance)
        .and_then(|known| known.state.barred())
    {
        return Ok(Json(ResolveAnswer::Barred { reason }));
    }
    let command = Command::Resolve {
        gateway: speaker.gateway,
        instance,
        credential: message.credential,
        customer: message.customer,
        lease: message.lease,
        need: message.need,
        rule: message.rule,
    };
    let answer = match app.writer.execute("gateway", command).await? {
        Outcome::Resolved(Some(resolved)) => ResolveAnswer::Known(resolved),
        _ => ResolveAnswer::Unknown {
            retry_after_ms: registry.settings.unknown_key_ttl_ms,
        },
    };
    Ok(Json(answer))
}
