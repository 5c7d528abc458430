//! Finds the rule for a path, in a tree of path segments.
//!
//! A lookup walks the request's segments once; at each it takes the branch of that very
//! segment and, where there is one, the branch of the parameter. So it costs the depth of
//! the path times the logarithm of the siblings, whatever the number of rules, unless
//! templates overlap; and even then each node is visited at most once. Nothing is allocated.

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
    /// whose methods fit.
    pub(super) fn find(
        &self,
        path: &str,
        fit: impl Fn(usize) -> Option<MethodFit>,
    ) -> Option<usize> {
        let mut search = Search { fit, best: None };
        let path = path.strip_prefix('/').unwrap_or(path);
        if path.is_empty() {
            search.consider(&self.root.below);
            search.consider(&self.root.here);
        } else {
            search.walk(&self.root, path.split('/'));
        }
        search.best.map(|(_, _, Reverse(rule))| rule)
    }
}

struct Search<Fit> {
    fit: Fit,
    /// Compared in this order: the path, the method, the place in the document.
    best: Option<(Rank, MethodFit, Reverse<usize>)>,
}

impl<Fit: Fn(usize) -> Option<MethodFit>> Search<Fit> {
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
            if let Some(fit) = (self.fit)(entry.rule) {
                self.best = self.best.max(Some((entry.rank, fit, Reverse(entry.rule))));
            }
        }
    }
}
