//! Any JSON: an operator's JSON pointers say where the counts are.

use super::{Field, Path, STEPS_MAX, Slot, Steps};
use crate::usage::answer::Told;
use crate::usage::{TokenCounts, TokenKind, Unreadable};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::sync::Arc;

/// How many steps a pointer may have.
pub const POINTER_STEPS_MAX: usize = STEPS_MAX;

/// The longest step of a pointer, in bytes.
const STEP_BYTES_MAX: usize = 64;

/// Where an answer tells its counts and its model: JSON pointers (RFC 6901) such as
/// `/usage/tokens_in`. Each count is taken as it stands, so that the kinds pointed at must
/// be disjoint in the answer too.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct PointersDocument {
    /// Tokens, or whatever else is counted, that were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// Those read from a cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<String>,
    /// Those written to a cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<String>,
    /// Those written to a cache that is kept for an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<String>,
    /// Those that were made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Those of a model's reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Those of sound that was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_input: Option<String>,
    /// Those of sound that was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_output: Option<String>,
    /// Those of images that were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Those of images that were made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_output: Option<String>,
    /// The model's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Whether answers may be event streams: each event's data is JSON then, or `[DONE]`,
    /// and what a later event tells takes the place of what an earlier one told.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
}

/// Pointers that were checked.
#[derive(Debug)]
pub struct Pointers {
    document: PointersDocument,
    paths: Vec<Path>,
}

impl Pointers {
    /// Checks the pointers.
    ///
    /// # Errors
    /// If there is no pointer to a count, or one that isn't within the bounds.
    pub fn new(document: PointersDocument) -> Result<Self, PointersError> {
        let mut paths = Vec::new();
        for (pointer, field) in [
            (&document.input, Field::Count(Slot::Input)),
            (&document.cached_input, Field::Count(Slot::CachedInput)),
            (&document.cache_write, Field::Count(Slot::CacheWrite)),
            (&document.cache_write_1h, Field::Count(Slot::CacheWrite1h)),
            (&document.output, Field::Count(Slot::Output)),
            (&document.reasoning, Field::Count(Slot::Reasoning)),
            (&document.audio_input, Field::Count(Slot::AudioInput)),
            (&document.audio_output, Field::Count(Slot::AudioOutput)),
            (&document.image, Field::Count(Slot::Image)),
            (&document.image_output, Field::Count(Slot::ImageOutput)),
            (&document.model, Field::Model),
        ] {
            if let Some(pointer) = pointer {
                let steps = Steps::Own(steps(pointer)?);
                paths.push(Path { steps, field });
            }
        }
        if !paths.iter().any(|path| path.field != Field::Model) {
            return Err(PointersError::NoCount);
        }
        Ok(Self { document, paths })
    }

    /// The pointers as they were written.
    #[must_use]
    pub const fn document(&self) -> &PointersDocument {
        &self.document
    }

    pub(super) fn paths(&self) -> &[Path] {
        &self.paths
    }

    pub(super) const fn has_events(&self) -> bool {
        self.document.stream
    }

    /// Input and output must be told if they are pointed at, and something in any case.
    pub(super) fn is_whole(&self, told: &Told) -> bool {
        let has = |pointer: &Option<String>, slot| pointer.is_none() || told.has(slot);
        has(&self.document.input, Slot::Input)
            && has(&self.document.output, Slot::Output)
            && !told.is_nothing()
    }
}

impl PartialEq for Pointers {
    fn eq(&self, other: &Self) -> bool {
        self.document == other.document
    }
}

impl Eq for Pointers {}

/// Why pointers are none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PointersError {
    /// None of them points at a count.
    #[error("no pointer to a count; give at least one, such as \"output\"")]
    NoCount,
    /// Not a JSON pointer, or a pointer to the whole answer.
    #[error("{0:?} is no JSON pointer to a field; write it like /usage/tokens")]
    Syntax(String),
    /// More than [`POINTER_STEPS_MAX`] steps, or a step of more than 64 bytes.
    #[error("{0:?} has more than {POINTER_STEPS_MAX} steps, or one of more than 64 bytes")]
    TooLong(String),
    /// A step `*`, which elsewhere means every element.
    #[error("{0:?} has a step *; point at one field")]
    Wildcard(String),
}

fn steps(pointer: &str) -> Result<Box<[Box<str>]>, PointersError> {
    let syntax = || PointersError::Syntax(pointer.to_owned());
    let rest = pointer.strip_prefix('/').ok_or_else(syntax)?;
    let mut steps = Vec::new();
    for step in rest.split('/') {
        // A tilde is an escape: ~0 and ~1, nothing else.
        let escapes = step.split('~').skip(1);
        if !escapes
            .into_iter()
            .all(|after| after.starts_with(['0', '1']))
        {
            return Err(syntax());
        }
        if step == "*" {
            return Err(PointersError::Wildcard(pointer.to_owned()));
        }
        let step = step.replace("~1", "/").replace("~0", "~");
        if steps.len() >= POINTER_STEPS_MAX || step.len() > STEP_BYTES_MAX {
            return Err(PointersError::TooLong(pointer.to_owned()));
        }
        steps.push(step.into_boxed_str());
    }
    Ok(steps.into_boxed_slice())
}

/// Each count is of the kind that was pointed at as such.
pub(super) fn counts(told: &Told) -> Result<TokenCounts, Unreadable> {
    let mut counts = TokenCounts::ZERO;
    for (kind, slot) in [
        (TokenKind::Input, Slot::Input),
        (TokenKind::CachedInput, Slot::CachedInput),
        (TokenKind::CacheWrite, Slot::CacheWrite),
        (TokenKind::CacheWrite1h, Slot::CacheWrite1h),
        (TokenKind::Output, Slot::Output),
        (TokenKind::Reasoning, Slot::Reasoning),
        (TokenKind::AudioInput, Slot::AudioInput),
        (TokenKind::AudioOutput, Slot::AudioOutput),
        (TokenKind::Image, Slot::Image),
        (TokenKind::ImageOutput, Slot::ImageOutput),
    ] {
        counts.set(kind, told.count(slot)?);
    }
    Ok(counts)
}

pub(super) fn write<S: Serializer>(pointers: &Arc<Pointers>, to: S) -> Result<S::Ok, S::Error> {
    pointers.document.serialize(to)
}

pub(super) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<Pointers>, D::Error> {
    let document = PointersDocument::deserialize(from)?;
    Pointers::new(document)
        .map(Arc::new)
        .map_err(de::Error::custom)
}
