//! What is wrong with a rate card, and where.

/// The first fault found in a rate card.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", if pointer.is_empty() { "the rate card" } else { pointer.as_str() })]
pub struct RateCardError {
    pointer: String,
    code: &'static str,
    message: String,
}

impl RateCardError {
    /// A fault of this code at a field. For those who check what this crate can't.
    #[must_use]
    pub fn new(pointer: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            code,
            message: message.into(),
        }
    }

    /// The JSON pointer (RFC 6901) of the field at fault, such as `/rules/3/price`;
    /// empty for the document as a whole.
    #[must_use]
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// A stable word for this error, for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// What is wrong and what to do, for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}
