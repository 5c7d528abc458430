//! The HTTP side: for operators (`admin`), for gateways (`gateway`), and for whoever runs
//! the service (`service`).
//!
//! Handlers read a request, make a command or a look-up of it, and show the outcome. They
//! hold no rules: what may be done the ledger decides, and the writer is the only one that
//! writes. The OpenAPI document is made from the handlers themselves.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use creditgate_core::key::CredentialHash;
use creditgate_ledger::grant;
use tokio::sync::watch;
use utoipa_axum::router::OpenApiRouter;

use crate::clock::Clock;
use crate::command::{Command, Outcome};
use crate::jobs::Presence;
use crate::problem::Problem;
use crate::storage::{Reader, Target};
use crate::webhooks::Guard;
use crate::writer::Writer;

mod admin;
mod answer;
mod auth;
mod body;
mod gateway;
mod input;
mod list;
mod money;
mod openapi;
mod service;

pub use admin::KeptSums;
pub use service::Exposition;

/// What every handler needs.
pub struct App {
    /// The one who writes.
    pub writer: Writer,
    /// Who looks things up.
    pub reader: Arc<dyn Reader>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// SHA-256 of the administrator's key from the environment, if one was given.
    pub admin_key: Option<CredentialHash>,
    /// Sums of usage whose later pages may be asked for.
    pub usage_sums: KeptSums,
    /// When each instance last spoke.
    pub presence: Presence,
    /// Where webhooks may go.
    pub guard: Arc<Guard>,
    /// Becomes true when the service is to end.
    pub stopping: watch::Receiver<bool>,
    /// Writes the metrics out.
    pub exposition: Exposition,
}

/// As handlers share it.
pub type Shared = Arc<App>;

impl App {
    /// Looks something up on a thread that may block.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&dyn Reader) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let reader = Arc::clone(&self.reader);
        tokio::task::spawn_blocking(move || look(&*reader))
            .await
            .unwrap_or_else(|error| Err(Problem::new("internal", error.to_string())))
    }

    /// Has booked what time has brought about for a customer, if that is more than instants
    /// that every look sees by itself: a grant that is due is in the balance at its instant,
    /// not when a job has come to it.
    pub(crate) async fn catch_up(&self, target: Target) -> Result<(), Problem> {
        let now = self.clock.now();
        let looked = target.clone();
        let is_behind = self.read(move |reader| {
            let book = reader.book(&looked)?;
            Ok(book.is_some_and(|book| grant::is_behind(&book, now)))
        });
        if is_behind.await? {
            let command = Command::PassTime { customer: target };
            // After a very long downtime there is more than one command does.
            while let Outcome::Unfinished = self.writer.execute("time", command.clone()).await? {}
        }
        Ok(())
    }
}

/// All routes.
pub fn router(app: Shared) -> Router {
    let (router, document) = documented(&app).split_for_parts();
    let document = openapi::json(&document);
    router
        .route(
            "/openapi.json",
            axum::routing::get(move || service::openapi(document)),
        )
        .fallback(service::not_found)
        .method_not_allowed_fallback(service::method_not_allowed)
        .with_state(app)
}

/// The OpenAPI document, as JSON.
#[must_use]
pub fn openapi_json() -> String {
    let (_, document) = admin::routes()
        .merge(gateway::routes())
        .merge(service::routes())
        .split_for_parts();
    openapi::json(&document)
}

fn documented(app: &Shared) -> OpenApiRouter<Shared> {
    let operators =
        admin::routes().route_layer(from_fn_with_state(Arc::clone(app), auth::operators));
    let gateways =
        gateway::routes().route_layer(from_fn_with_state(Arc::clone(app), auth::gateways));
    operators.merge(gateways).merge(service::routes())
}
