//! What an answer says it used, read while it passes.
//!
//! A [`UsageReader`] is fed an answer's body in whatever chunks it comes in and never
//! holds more than its own kilobyte or so: a scanner of JSON keeps only where it is and
//! the numbers at the paths that matter, and skips the rest. What providers tell in their
//! own ways becomes [`TokenCounts`] of disjoint kinds. [`asked`] reads the other side: what
//! a request's body asks for, and so what its answer may cost at most.
//!
//! An answer that can't be read is never free and never a trap: it is an [`Unreadable`],
//! by which the caller settles at the estimate.

mod answer;
mod event_end;
mod format;
mod framing;
mod model;
mod reader;
mod request;
mod scanner;
mod sse;
#[cfg(test)]
mod tests;

mod tokens;

pub use event_end::EventEnd;
pub use format::Format;
pub use format::pointers::{POINTER_STEPS_MAX, Pointers, PointersDocument, PointersError};
pub use framing::Framing;
pub use model::{MODEL_NAME_BYTES_MAX, ModelName, model_in_path};
pub use reader::{Seen, Usage, UsageReader};
pub use request::{
    Asked, OutputLimitField, RequestFormat, asked, asked_model, with_output_max, with_usage,
};
pub use tokens::{TokenCounts, TokenKind};

/// The largest count that is believed. No answer uses a trillion tokens.
pub const COUNT_MAX: u64 = 1_000_000_000_000;

/// Why a body told no usage, or no limits, that could be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// It told nothing, or no tokens at all, or broke off before it told everything.
    #[error("the body tells no usage")]
    Missing,
    /// It is no JSON, or JSON nested deeper than 128 levels.
    #[error("the body is no JSON")]
    NotJson,
    /// A number that is negative, fractional, in exponent form or above [`COUNT_MAX`]; a
    /// part larger than its whole; a value of another type than the field's.
    #[error("the body has a number that can't be true")]
    Absurd,
    /// Two readers may read it differently: a field that matters occurs twice, or in an odd
    /// spelling, or the whole is no object.
    #[error("the body can be read in two ways")]
    Ambiguous,
    /// It is compressed.
    #[error("the body is compressed")]
    Encoded,
    /// Its content type is none that is read, or the edit has no place in this format.
    #[error("the body is of a kind that isn't read")]
    Unsupported,
    /// Its tokens are of more than one model, and one price can't be that of all.
    #[error("the body has tokens of more than one model")]
    SeveralModels,
}

impl Unreadable {
    /// A stable word for this reason, for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "usage_missing",
            Self::NotJson => "not_json",
            Self::Absurd => "absurd",
            Self::Ambiguous => "ambiguous",
            Self::Encoded => "encoded",
            Self::Unsupported => "unsupported",
            Self::SeveralModels => "several_models",
        }
    }
}
