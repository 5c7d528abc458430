//! What clients are told when something can't be done: RFC 9457, with a stable code.
//!
//! [`CODES`] lists every code with its status and title; the reference of errors is made
//! from it. This is the one place where refusals of the ledger, of the writer and of
//! storage become statuses: the layers below know nothing of HTTP.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use creditgate_core::amount::AmountError;
use creditgate_core::rate_card::RateCardError;
use creditgate_ledger::Refusal;
use serde::Serialize;

use crate::command::Failure;
use crate::storage::{CursorError, StorageError};
use crate::writer::WriteError;

mod codes;

pub use codes::{CODES, Code};

/// After how many seconds a client should come back when the service is busy.
const RETRY_AFTER_S: u32 = 1;

/// An error as clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    code: &'static Code,
    detail: String,
    pointer: Option<String>,
    retry_after_s: Option<u32>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'p> {
    /// A stable word for programs; see the list of codes.
    #[schema(value_type = String, example = "not_found")]
    code: &'static str,
    /// The code in words.
    #[schema(value_type = String)]
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened, to what, and what to do.
    #[schema(value_type = String)]
    detail: &'p str,
    /// The field at fault, as a JSON pointer into the body; absent if what is wrong is not in the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "/amount")]
    pointer: Option<&'p str>,
}

impl Problem {
    /// A problem of a code of [`CODES`]. A code that is not listed becomes `internal`:
    /// a test keeps the list whole.
    #[must_use]
    pub fn new(code: &str, detail: impl Into<String>) -> Self {
        Self {
            code: Code::find(code),
            detail: detail.into(),
            pointer: None,
            retry_after_s: None,
        }
    }

    /// With the field at fault, as a JSON pointer.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// A field that this version does not know how to honour.
    #[must_use]
    pub fn not_supported_yet(pointer: &str, what: &str) -> Self {
        Self::new(
            "not_supported_yet",
            format!("{what} is not supported by this version; leave it out"),
        )
        .at(pointer)
    }

    /// An object that does not exist.
    #[must_use]
    pub fn not_found(what: &str, id: &str) -> Self {
        Self::new("not_found", format!("no {what} {id:?}"))
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code.code
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.code.status
    }

    fn busy(code: &str, detail: impl Into<String>) -> Self {
        Self {
            retry_after_s: Some(RETRY_AFTER_S),
            ..Self::new(code, detail)
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            code: self.code.code,
            title: self.code.title,
            status: self.code.status,
            detail: &self.detail,
            pointer: self.pointer.as_deref(),
        };
        let status =
            StatusCode::from_u16(self.code.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        metrics::counter!("creditgate_refusals_total", "code" => self.code.code).increment(1);
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (
            status,
            [(header::CONTENT_TYPE, "application/problem+json")],
            body,
        )
            .into_response();
        if let Some(seconds) = self.retry_after_s {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.code.status == 401 {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let problem = Self::new(refusal.code(), refusal.to_string());
        match refusal {
            Refusal::Invalid {
                field,
                problem: text,
                ..
            } => Self {
                detail: text,
                ..problem
            }
            .at(field),
            Refusal::InvalidAt {
                field,
                problem: text,
                ..
            } => Self {
                detail: text,
                ..problem
            }
            .at(field),
            Refusal::Exists { field, .. } => problem.at(field),
            _ => problem,
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => refusal.into(),
            Failure::Impossible(impossible) => {
                Self::new("report_impossible", impossible.to_string())
            }
        }
    }
}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        let detail = error.to_string();
        match error {
            WriteError::Failed(failure) => failure.into(),
            WriteError::KeyReused => Self::new("idempotency_key_reused", detail),
            WriteError::Busy => {
                Self::busy("busy", "too many writes are waiting; come back in a second")
            }
            WriteError::Defect => Self::new("internal", detail),
            WriteError::Stopping => {
                Self::busy("stopping", "the service is stopping; come back in a second")
            }
            WriteError::Storage(error) => (*error).clone().into(),
        }
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Conflict(what) => {
                Self::new("already_exists", format!("{what} exists already"))
            }
            StorageError::Unavailable(_) => {
                tracing::error!(%error, "storage");
                Self::busy(
                    "storage_unavailable",
                    "the database can't be reached now; nothing was written",
                )
            }
            StorageError::Corrupt(_) => {
                tracing::error!(%error, "storage");
                Self::new(
                    "internal",
                    "the database holds what this version can't read; see the service's log",
                )
            }
        }
    }
}

impl From<CursorError> for Problem {
    fn from(error: CursorError) -> Self {
        Self::new("cursor_invalid", error.to_string())
    }
}

impl From<RateCardError> for Problem {
    fn from(error: RateCardError) -> Self {
        Self::new(error.code(), error.message()).at(error.pointer())
    }
}

impl From<(&'static str, AmountError)> for Problem {
    /// The field and what is wrong with its amount.
    fn from((pointer, error): (&'static str, AmountError)) -> Self {
        Self::new(error.code(), error.to_string()).at(pointer)
    }
}
