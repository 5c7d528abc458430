//! Why the ledger does not do what it was asked. Knows nothing of HTTP.

use creditgate_core::amount::AmountError;
use thiserror::Error;

/// A refusal; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The object does not exist.
    #[error("no {what} {id:?}")]
    NotFound {
        /// What kind of object.
        what: &'static str,
        /// As it was named.
        id: String,
    },
    /// An object of that name exists.
    #[error("a {what} named {id:?} exists already")]
    Exists {
        /// JSON pointer of the field with the name.
        field: &'static str,
        /// What kind of object.
        what: &'static str,
        /// Its name.
        id: String,
    },
    /// A value of the command is not acceptable.
    #[error("{field}: {problem}")]
    Invalid {
        /// JSON pointer of the field.
        field: &'static str,
        /// A stable code.
        code: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// As [`Self::Invalid`], for a field whose place is known only at run time.
    #[error("{field}: {problem}")]
    InvalidAt {
        /// JSON pointer of the field.
        field: String,
        /// A stable code.
        code: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The object's state does not allow it.
    #[error("{problem}")]
    Conflict {
        /// A stable code.
        code: &'static str,
        /// What stands against it and what to do.
        problem: String,
    },
    /// A balance would leave the range of an amount.
    #[error("the balance would exceed the largest amount of its currency")]
    Overflow,
}

impl Refusal {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not_found",
            Self::Exists { .. } => "already_exists",
            Self::Invalid { code, .. }
            | Self::InvalidAt { code, .. }
            | Self::Conflict { code, .. } => code,
            Self::Overflow => "amount_overflow",
        }
    }

    /// A field's amount that could not be read.
    #[must_use]
    pub fn amount(field: &'static str, error: &AmountError) -> Self {
        Self::Invalid {
            field,
            code: error.code(),
            problem: error.to_string(),
        }
    }
}
