//! What a rule asks of a request beyond its path and method.
//!
//! A condition holds, or it doesn't, or it can't be said: a header or a parameter that occurs
//! twice may be read either way by the upstream, and whichever way the filter chose, a client
//! could get the one price and the other service. So the third answer is kept, and a request
//! whose rule hangs on it is refused, as one with an ambiguous path is.
//!
//! Nothing is allocated, and only what a condition names is looked at.

mod compile;
mod query;

pub(super) use compile::header_name;

use super::glob::Glob;
use super::{AskedModel, Facts, Request};

/// The most hosts, headers or parameters that a rule's conditions name, each.
pub const CONDITIONS_MAX: usize = 8;
/// The longest name or value in a condition, in bytes.
pub const CONDITION_LENGTH_MAX: usize = 256;

/// The conditions of a rule.
#[derive(Debug, Clone)]
pub(super) struct Conditions {
    hosts: Vec<Host>,
    headers: Vec<Field>,
    query: Vec<Field>,
    route: Option<Box<str>>,
    model: Option<Glob>,
    /// The longest request body that is read for the model's sake.
    body_bytes_max: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Host {
    /// Just this one.
    Exact(Box<str>),
    /// Those that end in this, which begins with a point.
    Below(Box<str>),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Field {
    name: Box<str>,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Test {
    Equals(Box<str>),
    Prefix(Box<str>),
    Present,
    Absent,
}

/// Whether conditions hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Yes,
    No,
    /// The upstream decides by which of several headers it goes.
    HeaderDecides,
    /// The upstream decides by how it reads the query.
    QueryDecides,
    /// The model must be known, and a request body of so many bytes be read for it.
    ModelDecides {
        body_bytes_max: u64,
    },
}

impl Conditions {
    /// How many conditions these are; a list of hosts is one.
    pub(super) fn count(&self) -> usize {
        [
            usize::from(!self.hosts.is_empty()),
            self.headers.len(),
            self.query.len(),
            usize::from(self.route.is_some()),
            usize::from(self.model.is_some()),
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }

    /// A condition that doesn't hold settles it, whatever the others are. Else the model comes
    /// first: once it is known, the rule may be out.
    pub(super) fn hold(&self, request: Request<'_>) -> Holds {
        let Request { path, facts, .. } = request;
        if !self.host_holds(facts) || !self.route_holds(facts) {
            return Holds::No;
        }
        let model = self.model_holds(request.model);
        let mut outcome = Holds::Yes;
        let headers = self
            .headers
            .iter()
            .map(|field| (field.header(facts), Holds::HeaderDecides));
        let query = self
            .query
            .iter()
            .map(|field| (query::holds(field, path), Holds::QueryDecides));
        for (fits, doubt) in headers.chain(query) {
            match fits {
                Fits::Yes => {}
                Fits::No => return Holds::No,
                Fits::InPart => outcome = doubt,
            }
        }
        if model == Holds::Yes { outcome } else { model }
    }

    fn host_holds(&self, facts: &dyn Facts) -> bool {
        if self.hosts.is_empty() {
            return true;
        }
        facts.host().is_some_and(|host| {
            let host = without_port(&host);
            self.hosts.iter().any(|own| own.fits(host))
        })
    }

    fn route_holds(&self, facts: &dyn Facts) -> bool {
        let Some(own) = &self.route else { return true };
        facts.route().is_some_and(|route| *route == *own.as_bytes())
    }

    fn model_holds(&self, model: AskedModel<'_>) -> Holds {
        match (&self.model, model) {
            (None, _) => Holds::Yes,
            (Some(_), AskedModel::Unread) => Holds::ModelDecides {
                body_bytes_max: self.body_bytes_max,
            },
            (Some(glob), AskedModel::Named(model)) if glob.fits(model) => Holds::Yes,
            (Some(_), AskedModel::Named(_) | AskedModel::None) => Holds::No,
        }
    }
}

/// A host as it stands in a request, without its port and the point at its end.
fn without_port(host: &[u8]) -> &[u8] {
    let end = if host.starts_with(b"[") {
        host.iter()
            .position(|byte| *byte == b']')
            .map(|end| end.saturating_add(1))
    } else {
        host.iter().position(|byte| *byte == b':')
    };
    let host = end.and_then(|end| host.get(..end)).unwrap_or(host);
    host.strip_suffix(b".").unwrap_or(host)
}

impl Host {
    fn fits(&self, host: &[u8]) -> bool {
        match self {
            Self::Exact(own) => own.as_bytes().eq_ignore_ascii_case(host),
            Self::Below(end) => host
                .len()
                .checked_sub(end.len())
                .filter(|start| *start > 0)
                .and_then(|start| host.get(start..))
                .is_some_and(|host_end| end.as_bytes().eq_ignore_ascii_case(host_end)),
        }
    }
}

impl Field {
    fn header(&self, facts: &dyn Facts) -> Fits {
        let mut tally = Tally::default();
        facts.header(&self.name, &mut |value| {
            tally.count(self.test.fits(value.iter().copied()), true);
        });
        self.test.outcome(tally)
    }
}

/// Whether a field is as it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fits {
    Yes,
    No,
    /// To some readers.
    InPart,
}

/// What was found of a field.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    some_fit: bool,
    some_dont: bool,
    /// One had the very name; others may have had it in another letter case.
    is_exact: bool,
    is_near: bool,
}

impl Tally {
    fn count(&mut self, fits: bool, is_exact: bool) {
        self.some_fit |= fits;
        self.some_dont |= !fits;
        self.is_exact |= is_exact;
        self.is_near |= !is_exact;
    }
}

impl Test {
    fn fits(&self, mut value: impl Iterator<Item = u8>) -> bool {
        match self {
            Self::Equals(own) => value.eq(own.bytes()),
            Self::Prefix(own) => own.bytes().all(|byte| value.next() == Some(byte)),
            Self::Present | Self::Absent => true,
        }
    }

    fn outcome(&self, tally: Tally) -> Fits {
        let is_there = match (tally.is_exact, tally.is_near) {
            (true, _) => Fits::Yes,
            (false, true) => Fits::InPart,
            (false, false) => Fits::No,
        };
        match (self, is_there) {
            (Self::Present, _) => is_there,
            (Self::Absent, Fits::Yes) => Fits::No,
            (Self::Absent, Fits::No) => Fits::Yes,
            (Self::Absent, Fits::InPart) => Fits::InPart,
            _ if !tally.some_fit => Fits::No,
            (_, Fits::Yes) if !tally.some_dont => Fits::Yes,
            _ => Fits::InPart,
        }
    }
}
