//! What a request costs: the document operators write, and the card made from it.
//!
//! [`RateCard::compile`] turns a [`RateCardDocument`] into a card that prices a request by
//! method and path without allocating. Which rule is taken is decided in this order:
//!
//! 1. a CORS preflight or a free path: free;
//! 2. an exact path, before a template (more literal segments first), before a prefix
//!    (longest first), each only if the rule's methods fit;
//! 3. among rules for the same path: those that name the method, before `HEAD` by a rule
//!    for `GET`, before those for any method;
//! 4. the rule that stands first in the document;
//! 5. no rule: the card's default.
//!
//! A path that readers could take for different ones is refused, whatever the default; see
//! [`normalize`].

mod compile;
mod document;
mod error;
mod matcher;
mod path;
mod pattern;

pub use compile::{
    DEFAULT_RULE_ID, FREE_PATHS_MAX, METHODS_MAX, NAME_LENGTH_MAX, PRICE_MAX, RULE_ID_LENGTH_MAX,
    RULES_MAX,
};
pub use document::{Charge, Mode, PathPattern, Price, RateCardDocument, RuleDocument, Unmatched};
pub use error::RateCardError;
pub use path::{AmbiguousPath, normalize};
pub use pattern::{PATH_LENGTH_MAX, PATH_SEGMENTS_MAX};

use crate::amount::{Amount, Currency, Scale};
use matcher::{Matcher, MethodFit};
use std::sync::Arc;

/// A rate card, checked and ready to price requests.
#[derive(Debug)]
pub struct RateCard {
    version: u64,
    name: String,
    currency: Currency,
    scale: Scale,
    unmatched: Default,
    free: Matcher,
    matcher: Matcher,
    rules: Vec<Rule>,
}

#[derive(Debug)]
enum Default {
    Deny,
    Free,
    Price(Rule),
}

/// One rule of a card. Cloning it allocates nothing, so that a request can keep the terms
/// it was admitted by.
#[derive(Debug, Clone)]
pub struct Rule {
    id: Arc<str>,
    methods: Arc<[Box<str>]>,
    price: Amount,
    charge: Charge,
    mode: Mode,
}

/// What a price depends on, as it stands in the request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a [u8],
    /// The request target, with its query; empty if there is none (`CONNECT`).
    pub path: &'a [u8],
    /// Whether it has both `origin` and `access-control-request-method`.
    pub is_cors_preflight: bool,
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
    /// It is refused: its path could mean different things to different readers.
    Ambiguous(AmbiguousPath),
}

impl RateCard {
    /// Prices a request.
    ///
    /// A request without a path has no rule and so gets the default: `OPTIONS *`, and
    /// `CONNECT` to an authority. Any other target that is no path (Envoy turns absolute
    /// URLs into paths before filters see them) is refused as ambiguous.
    #[must_use]
    pub fn price(&self, request: Request<'_>) -> Decision<'_> {
        let is = |method: &[u8]| request.method.eq_ignore_ascii_case(method);
        if request.is_cors_preflight && is(b"OPTIONS") {
            return Decision::Free;
        }
        let path = match normalize(request.path) {
            Ok(path) => path,
            Err(AmbiguousPath::NotAPath)
                if is(b"CONNECT") || (is(b"OPTIONS") && request.path == b"*") =>
            {
                return self.unmatched();
            }
            Err(reason) => return Decision::Ambiguous(reason),
        };
        if self.free.find(&path, |_| Some(MethodFit::Any)).is_some() {
            return Decision::Free;
        }
        let fit = |rule: usize| self.rules.get(rule)?.fit(request.method);
        match self
            .matcher
            .find(&path, fit)
            .and_then(|rule| self.rules.get(rule))
        {
            Some(rule) => Decision::Rule(rule),
            None => self.unmatched(),
        }
    }

    fn unmatched(&self) -> Decision<'_> {
        match &self.unmatched {
            Default::Deny => Decision::Deny,
            Default::Free => Decision::Free,
            Default::Price(rule) => Decision::Rule(rule),
        }
    }

    /// The version it was compiled as.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Its name, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its prices are in.
    #[must_use]
    pub const fn currency(&self) -> Currency {
        self.currency
    }

    /// The digits after the point its prices are counted in.
    #[must_use]
    pub const fn scale(&self) -> Scale {
        self.scale
    }

    /// Its rules, as they stand in the document; without the default.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

impl Rule {
    /// What names it in logs, metrics and usage; `default` for the card's default.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The price of one request, in smallest units; never negative.
    #[must_use]
    pub const fn price(&self) -> Amount {
        self.price
    }

    /// Whether a failure of the upstream is charged too.
    #[must_use]
    pub const fn charge(&self) -> Charge {
        self.charge
    }

    /// Whether it refuses, only watches, or rests.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Methods are told apart without regard to case: `get` must not be cheaper than `GET`.
    fn fit(&self, method: &[u8]) -> Option<MethodFit> {
        let named = |method: &[u8]| {
            let mut methods = self.methods.iter();
            methods.any(|own| own.as_bytes().eq_ignore_ascii_case(method))
        };
        if self.methods.is_empty() {
            Some(MethodFit::Any)
        } else if named(method) {
            Some(MethodFit::Named)
        } else if method.eq_ignore_ascii_case(b"HEAD") && named(b"GET") {
            Some(MethodFit::HeadByGet)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests;
