//! For gateways: resolve, sync, poll, usage. The messages are those of `creditgate_core::protocol`.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use creditgate_core::protocol::{Hello, PROTOCOL_VERSION};
use creditgate_ledger::Registry;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Speaker;
use super::{App, Shared, body};
use crate::command::Command;
use crate::problem::Problem;

mod poll;
mod resolve;
mod sync;
mod usage;

/// The largest message, in bytes.
const MESSAGE_MAX: usize = 256 * 1024;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(resolve::gateway_resolve))
        .routes(routes!(sync::gateway_sync))
        .routes(routes!(poll::gateway_poll))
        .routes(routes!(usage::gateway_usage))
}

/// A message of a gateway, and which gateway it is from.
pub(crate) struct Message<T> {
    speaker: Speaker,
    message: T,
}

/// What can be read of a message whatever its version.
#[derive(Deserialize)]
struct Head {
    protocol: u32,
}

impl<T: DeserializeOwned> FromRequest<Shared> for Message<T> {
    type Rejection = Problem;

    async fn from_request(request: Request<Body>, _: &Shared) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let speaker = parts.extensions.get::<Speaker>().copied();
        let speaker =
            speaker.ok_or_else(|| Problem::new("internal", "the route lacks its guard"))?;
        let bytes = body::bytes(body, MESSAGE_MAX).await?;
        let head: Head = body::object(&bytes)?;
        if head.protocol != PROTOCOL_VERSION {
            let detail = format!(
                "the filter speaks protocol version {}, this service {PROTOCOL_VERSION}; use a filter of the same release",
                head.protocol
            );
            return Err(Problem::new("protocol_version", detail));
        }
        Ok(Self {
            speaker,
            message: body::object(&bytes)?,
        })
    }
}

impl App {
    /// Notes that the instance spoke, and makes it known if it is new.
    async fn meet(&self, speaker: Speaker, hello: &Hello) -> Result<(), Problem> {
        let known = self
            .writer
            .registry()
            .instance(hello.instance)
            .is_some_and(|known| known.gateway == speaker.gateway);
        if !known {
            let command = Command::SeeInstance {
                gateway: speaker.gateway,
                instance: hello.instance,
            };
            self.writer.execute("gateway", command).await?;
        }
        self.presence.spoke(hello.instance);
        Ok(())
    }
}

/// Whether the gateway speaks of another ledger than this: one from before a restore.
const fn is_of_another_epoch(hello: &Hello, registry: &Registry) -> bool {
    hello.epoch != 0 && hello.epoch != registry.epoch
}
