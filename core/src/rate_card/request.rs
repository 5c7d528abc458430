//! What a price depends on, and what a card says of it.

use super::{AmbiguousPath, Rule};
use std::borrow::Cow;
use std::fmt;

/// What a price depends on, as it stands in the request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a [u8],
    /// The request target, with its query; empty if there is none (`CONNECT`).
    pub path: &'a [u8],
    /// Whether it has both `origin` and `access-control-request-method`.
    pub is_cors_preflight: bool,
    /// What else rules may ask for; nobody asks if the card's rules have no conditions.
    pub facts: &'a dyn Facts,
    /// The model that it asks for.
    pub model: AskedModel<'a>,
}

impl Default for Request<'_> {
    /// A request that nothing is known of.
    fn default() -> Self {
        Self {
            method: b"",
            path: b"",
            is_cors_preflight: false,
            facts: &NoFacts,
            model: AskedModel::Unread,
        }
    }
}

/// What a rule's conditions may ask of a request.
pub trait Facts: fmt::Debug {
    /// The host it is for (`:authority`), with its port if it has one.
    fn host(&self) -> Option<Cow<'_, [u8]>>;

    /// The name of the proxy's route.
    fn route(&self) -> Option<Cow<'_, [u8]>>;

    /// The rule that the proxy's route names; asked only of cards that let routes do so.
    fn rule(&self) -> Option<Cow<'_, [u8]>> {
        None
    }

    /// Calls `each` with every value of the header of this name, which is in lower case. A
    /// header that occurs more than once has more than one value, in any order; a value that
    /// is a list is one.
    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8]));
}

/// A request without host, route and headers.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFacts;

impl Facts for NoFacts {
    fn host(&self) -> Option<Cow<'_, [u8]>> {
        None
    }

    fn route(&self) -> Option<Cow<'_, [u8]>> {
        None
    }

    fn header(&self, _: &str, _: &mut dyn FnMut(&[u8])) {}
}

/// The model that a request asks for, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AskedModel<'a> {
    /// Nobody has looked.
    #[default]
    Unread,
    /// It names none.
    None,
    /// This one.
    Named(&'a str),
}

/// What a card says of a request.
#[derive(Debug, Clone, Copy)]
pub enum Decision<'a> {
    /// It costs what this rule says.
    Rule(&'a Rule),
    /// It costs nothing and needs no credential.
    Free,
    /// It is refused: no rule is for it.
    Deny,
    /// It is refused: its route names a rule that the card doesn't have.
    UnknownRule,
    /// It is refused: it could mean different things to different readers.
    Ambiguous(Ambiguity),
    /// The model decides, and nobody has looked for it yet: in the path where a model stands
    /// there, else in the body. To be asked again with the model. A request whose body is
    /// longer than this, or can't be read, must be refused: else padding it would choose the
    /// rule.
    NeedsBody {
        /// How much of the body may be read, in bytes.
        bytes_max: u64,
    },
}

/// What could be taken for different things in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Ambiguity {
    /// Its path.
    #[error(transparent)]
    Path(#[from] AmbiguousPath),
    /// A header that a rule goes by.
    #[error("a header that the price depends on occurs more than once")]
    Header,
    /// A parameter that a rule goes by.
    #[error("a query parameter that the price depends on can be read in more than one way")]
    Query,
}

impl Ambiguity {
    /// A stable word for this reason, for logs and metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Path(path) => path.code(),
            Self::Header => "ambiguous_header",
            Self::Query => "ambiguous_query",
        }
    }
}
