//! The paths of a rule card's rules, taken apart into segments.
//!
//! Patterns are brought into the same normal form as requests, so that both can be
//! compared byte by byte. A pattern that no request could match is refused.

use super::path::normalize;
use super::{GrpcPath, PathPattern};

/// The longest path a rule may have, in bytes.
pub const PATH_LENGTH_MAX: usize = 1024;

/// The most segments a rule's path may have; it bounds how deep a lookup goes.
pub const PATH_SEGMENTS_MAX: usize = 64;

/// A rule's path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) kind: PatternKind,
    pub(super) segments: Vec<Segment>,
}

/// In ascending order of precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PatternKind {
    Prefix,
    Template,
    Exact,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    Literal(Box<str>),
    Parameter,
}

impl Pattern {
    /// How many segments are spelled out.
    pub(super) fn literals(&self) -> usize {
        let literal = |segment: &&Segment| matches!(segment, Segment::Literal(_));
        self.segments.iter().filter(literal).count()
    }
}

/// Why a path can't be matched, as a sentence's end: "the path …".
pub(super) type Fault = &'static str;

pub(super) fn parse(pattern: &PathPattern) -> Result<Pattern, Fault> {
    match pattern {
        PathPattern::Exact(path) => Ok(Pattern {
            kind: PatternKind::Exact,
            segments: segments(path, literal)?,
        }),
        PathPattern::Prefix(path) => Ok(Pattern {
            kind: PatternKind::Prefix,
            segments: segments(path, literal)?,
        }),
        PathPattern::Template(path) => {
            let segments = segments(path, parameter_or_literal)?;
            // A template without parameters is the path itself, and as specific.
            let kind = if segments.contains(&Segment::Parameter) {
                PatternKind::Template
            } else {
                PatternKind::Exact
            };
            Ok(Pattern { kind, segments })
        }
        PathPattern::Grpc(path) => grpc(path),
    }
}

/// Calls go to `/package.Service/Method`.
fn grpc(path: &GrpcPath) -> Result<Pattern, Fault> {
    let identifier = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    if !path.service.split('.').all(identifier) {
        return Err("has a service that is not written like package.Service");
    }
    if !path.method.as_deref().is_none_or(identifier) {
        return Err("has a method that is no name of one");
    }
    let length = path
        .service
        .len()
        .saturating_add(path.method.as_deref().map_or(0, str::len));
    if length > PATH_LENGTH_MAX {
        return Err("is longer than 1024 bytes");
    }
    let names = std::iter::once(&path.service).chain(&path.method);
    Ok(Pattern {
        kind: match path.method {
            Some(_) => PatternKind::Exact,
            None => PatternKind::Prefix,
        },
        segments: names
            .map(|name| Segment::Literal(name.as_str().into()))
            .collect(),
    })
}

fn segments(path: &str, read: fn(&str) -> Result<Segment, Fault>) -> Result<Vec<Segment>, Fault> {
    if path.len() > PATH_LENGTH_MAX {
        return Err("is longer than 1024 bytes");
    }
    let Some(path) = path.strip_prefix('/') else {
        return Err("must begin with a slash");
    };
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let segments: Vec<Segment> = path.split('/').map(read).collect::<Result<_, _>>()?;
    if segments.len() > PATH_SEGMENTS_MAX {
        return Err("has more than 64 segments");
    }
    Ok(segments)
}

fn parameter_or_literal(segment: &str) -> Result<Segment, Fault> {
    let Some(name) = segment
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
    else {
        return literal(segment);
    };
    if name.is_empty()
        || !name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    {
        return Err("has a parameter whose name is not letters, digits and _");
    }
    Ok(Segment::Parameter)
}

fn literal(segment: &str) -> Result<Segment, Fault> {
    if segment.is_empty() {
        return Err("has an empty segment");
    }
    if segment.contains(['?', '#']) {
        return Err("has a query or a fragment; rules match without them");
    }
    if segment.contains(['{', '}']) {
        return Err("has a brace; a parameter is a whole segment of a template");
    }
    if segment.contains('*') {
        return Err("has a *; use a prefix, or a template with {names}");
    }
    let rooted = format!("/{segment}");
    let normal = normalize(rooted.as_bytes())
        .map_err(|_| "has a form that is refused in requests as ambiguous (such as .. or %2F)")?;
    let normal = normal.strip_prefix('/').unwrap_or(&normal);
    Ok(Segment::Literal(normal.into()))
}
