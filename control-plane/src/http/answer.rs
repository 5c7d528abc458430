//! From an outcome to the bytes of an answer.
//!
//! Answers to writes are rendered by the writer before the commit, so that a repeat under
//! the same idempotency key gets the same bytes, also after a restart.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Shared;
use super::body::RawWrite;
use crate::command::{Command, Outcome};
use crate::problem::Problem;
use crate::writer::Written;

/// Says whether an answer is the repetition of an earlier one.
const REPLAYED: &str = "idempotency-replayed";

/// Carries out a command and shows its outcome. `view` answers none for an outcome that is
/// not the command's.
pub(crate) async fn write<V: Serialize>(
    app: &Shared,
    raw: &RawWrite,
    command: Command,
    status: StatusCode,
    view: impl Fn(&Outcome) -> Option<V> + Send + 'static,
) -> Result<Response, Problem> {
    let (status, body, replayed) = written(app, raw, command, status, view).await?;
    Ok(json_bytes(status, body, replayed))
}

/// As [`write`], but hands out the bytes.
pub(crate) async fn written<V: Serialize>(
    app: &Shared,
    raw: &RawWrite,
    command: Command,
    status: StatusCode,
    view: impl Fn(&Outcome) -> Option<V> + Send + 'static,
) -> Result<(StatusCode, Vec<u8>, bool), Problem> {
    let status = status.as_u16();
    let render = move |outcome: &Outcome| match view(outcome) {
        Some(view) => (status, serde_json::to_vec(&view).unwrap_or_default()),
        None => (500, Vec::new()),
    };
    match app
        .writer
        .answer(
            &raw.caller.actor,
            command,
            raw.idempotency(),
            Box::new(render),
        )
        .await?
    {
        Written::Answer {
            status,
            body,
            replayed,
        } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Ok((status, body, replayed))
        }
        Written::Outcome(_) => Err(Problem::new("internal", "the writer gave no answer")),
    }
}

/// An answer of bytes that are JSON.
pub(crate) fn json_bytes(status: StatusCode, body: Vec<u8>, replayed: bool) -> Response {
    let mut response = (status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
    if replayed {
        response
            .headers_mut()
            .insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}
