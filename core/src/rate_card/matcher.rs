//! Finds the rule for a path, in a tree of path segments.
//!
//! A lookup walks the request's segments once; at each it takes the branch of that very
//! segment and, where there is one, the branch of the parameter. So it costs the depth of
//! the path times the logarithm of the siblings, whatever the number of rules, unless
//! templates overlap; and even then each node is visited at most once. Nothing is allocated.

use super::Ambiguity;
use super::conditions::Holds;
use super::pattern::{Pattern, PatternKind, Segment};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::str::Split;

#[derive(Debug, Default)]
pub(super) struct Matcher {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    literals: BTreeMap<Box<str>, Node>,
    parameter: Option<Box<Node>>,
    /// Rules for exactly this path.
    here: Vec<Entry>,
    /// Rules for this path and all below it.
    below: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    rule: usize,
    rank: Rank,
}

/// How closely a pattern describes a path: first by its kind, then by its literals (of
/// which the longer of two prefixes has more).
type Rank = (PatternKind, usize);

/// How closely a rule describes a method. In ascending order of precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum MethodFit {
    /// The rule is for any method.
    Any,
    /// `HEAD`, by a rule for `GET`.
    HeadByGet,
    /// The rule names the method.
    Named,
}

impl Matcher {
    /// Adds the pattern of the rule of this number. Returns the numbers of the rules that
    /// are there already for just the same paths.
    pub(super) fn insert(&mut self, pattern: &Pattern, rule: usize) -> Vec<usize> {
        let mut node = &mut self.root;
        for segment in &pattern.segments {
            node = match segment {
                Segment::Literal(name) => node.literals.entry(name.clone()).or_default(),
                Segment::Parameter => node.parameter.get_or_insert_default(),
            };
        }
        let entries = match pattern.kind {
            PatternKind::Prefix => &mut node.below,
            PatternKind::Exact | PatternKind::Template => &mut node.here,
        };
        let earlier = entries.iter().map(|entry| entry.rule).collect();
        let rank = (pattern.kind, pattern.literals());
        entries.push(Entry { rule, rank });
        earlier
    }

    /// The number of the rule that describes the normalised path most closely, among those
    /// whose methods fit and whose conditions hold. If a closer one may hold, it is not said
    /// which: that is what must be found out first.
    pub(super) fn find(
        &self,
        path: &str,
        fit: impl Fn(usize) -> Option<Closeness>,
        hold: impl Fn(usize) -> Holds,
    ) -> Found {
        let mut search = Search {
            fit,
            hold,
            best: None,
            doubt: None,
            body_bytes_max: 0,
        };
        let path = path.strip_prefix('/').unwrap_or(path);
        if path.is_empty() {
            search.consider(&self.root.below);
            search.consider(&self.root.here);
        } else {
            search.walk(&self.root, path.split('/'));
        }
        match search.doubt {
            Some((place, doubt)) if Some(place) > search.best => match doubt {
                Doubt::Reading(ambiguity) => Found::Ambiguous(ambiguity),
                Doubt::Model => Found::NeedsModel {
                    body_bytes_max: search.body_bytes_max,
                },
            },
            _ => search
                .best
                .map_or(Found::Nothing, |(_, _, Reverse(rule))| Found::Rule(rule)),
        }
    }

    /// Whether there is a pattern for the normalised path.
    pub(super) fn has(&self, path: &str) -> bool {
        let any = |_| Some((MethodFit::Any, 0));
        self.find(path, any, |_| Holds::Yes) != Found::Nothing
    }
}

/// How closely a rule describes a request beyond its path: the method, then how many
/// conditions it has.
pub(super) type Closeness = (MethodFit, usize);

/// What a search came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// The rule of this number.
    Rule(usize),
    /// No rule.
    Nothing,
    /// It hangs on how the upstream reads the request.
    Ambiguous(Ambiguity),
    /// It hangs on the model, which may stand in a body of so many bytes.
    NeedsModel { body_bytes_max: u64 },
}

/// Compared in this order: the path, the method and the conditions, the place in the document.
type Precedence = (Rank, Closeness, Reverse<usize>);

#[derive(Debug, Clone, Copy)]
enum Doubt {
    Reading(Ambiguity),
    Model,
}

struct Search<Fit, Hold> {
    fit: Fit,
    hold: Hold,
    best: Option<Precedence>,
    /// The closest rule of which it can't be said whether its conditions hold.
    doubt: Option<(Precedence, Doubt)>,
    /// The longest body that any rule in doubt may have read.
    body_bytes_max: u64,
}

impl<Fit, Hold> Search<Fit, Hold>
where
    Fit: Fn(usize) -> Option<Closeness>,
    Hold: Fn(usize) -> Holds,
{
    /// Goes no deeper than the deepest pattern.
    fn walk(&mut self, node: &Node, mut segments: Split<'_, char>) {
        self.consider(&node.below);
        let Some(segment) = segments.next() else {
            self.consider(&node.here);
            return;
        };
        if let Some(child) = node.literals.get(segment) {
            self.walk(child, segments.clone());
        }
        if let Some(child) = &node.parameter {
            self.walk(child, segments);
        }
    }

    fn consider(&mut self, entries: &[Entry]) {
        for entry in entries {
            let Some(closeness) = (self.fit)(entry.rule) else {
                continue;
            };
            let place = (entry.rank, closeness, Reverse(entry.rule));
            // What would not be taken need not hold.
            if self.best >= Some(place) {
                continue;
            }
            match (self.hold)(entry.rule) {
                Holds::Yes => self.best = Some(place),
                Holds::No => {}
                Holds::HeaderDecides => self.doubt(place, Doubt::Reading(Ambiguity::Header)),
                Holds::QueryDecides => self.doubt(place, Doubt::Reading(Ambiguity::Query)),
                Holds::ModelDecides { body_bytes_max } => {
                    self.body_bytes_max = self.body_bytes_max.max(body_bytes_max);
                    self.doubt(place, Doubt::Model);
                }
            }
        }
    }

    fn doubt(&mut self, place: Precedence, doubt: Doubt) {
        if self.doubt.is_none_or(|(other, _)| place > other) {
            self.doubt = Some((place, doubt));
        }
    }
}
