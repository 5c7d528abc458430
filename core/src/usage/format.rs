//! The ways in which providers tell usage: which paths of a document matter, and what the
//! numbers there mean.

pub(super) mod anthropic;
pub(super) mod gemini;
pub(super) mod openai;
pub(super) mod pointers;

use super::answer::Told;
use super::scanner::STEPS_MAX;
use super::{TokenCounts, Unreadable};
use pointers::Pointers;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How an upstream's answers tell what they used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Format {
    /// OpenAI's Chat Completions, its older Completions, and what is compatible with them.
    #[serde(rename = "openai_chat")]
    OpenAiChat,
    /// OpenAI's Responses.
    #[serde(rename = "openai_responses")]
    OpenAiResponses,
    /// OpenAI's Embeddings.
    #[serde(rename = "openai_embeddings")]
    OpenAiEmbeddings,
    /// Anthropic's Messages.
    #[serde(rename = "anthropic_messages")]
    AnthropicMessages,
    /// Google's Gemini API and Vertex AI: `generateContent`, `streamGenerateContent`.
    #[serde(rename = "gemini")]
    Gemini,
    /// Any JSON: JSON pointers say where the counts are.
    #[serde(
        rename = "pointers",
        serialize_with = "pointers::write",
        deserialize_with = "pointers::read"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "pointers::PointersDocument"))]
    Pointers(Arc<Pointers>),
}

impl Format {
    /// The paths of an answer that matter. At most 64.
    pub(super) fn paths(&self) -> &[Path] {
        match self {
            Self::OpenAiChat => openai::CHAT,
            Self::OpenAiResponses => openai::RESPONSES,
            Self::OpenAiEmbeddings => openai::EMBEDDINGS,
            Self::AnthropicMessages => anthropic::MESSAGES,
            Self::Gemini => gemini::GENERATE,
            Self::Pointers(pointers) => pointers.paths(),
        }
    }

    /// Whether an answer's JSON may be a list of documents.
    pub(super) const fn lists_documents(&self) -> bool {
        matches!(self, Self::Gemini)
    }

    /// Whether events may be read.
    pub(super) fn has_events(&self) -> bool {
        match self {
            Self::Pointers(pointers) => pointers.has_events(),
            _ => true,
        }
    }

    /// Whether what was told is all that must be.
    pub(super) fn is_whole(&self, told: &Told) -> bool {
        match self {
            Self::OpenAiChat | Self::OpenAiResponses => {
                told.has(Slot::Input) && told.has(Slot::Output)
            }
            Self::OpenAiEmbeddings => told.has(Slot::Input),
            Self::AnthropicMessages => {
                told.has(Slot::Input) && told.has(Slot::Output) && told.is_final
            }
            Self::Gemini => told.has(Slot::Input) || told.has(Slot::Total),
            Self::Pointers(pointers) => pointers.is_whole(told),
        }
    }

    /// The counts by kind; what wasn't told counts as none.
    pub(super) fn counts(&self, told: &Told) -> Result<TokenCounts, Unreadable> {
        match self {
            Self::OpenAiChat | Self::OpenAiResponses | Self::OpenAiEmbeddings => {
                openai::counts(told)
            }
            Self::AnthropicMessages => anthropic::counts(told),
            Self::Gemini => gemini::counts(told),
            Self::Pointers(_) => pointers::counts(told),
        }
    }
}

/// A place in a document, and what stands there.
#[derive(Debug)]
pub(super) struct Path {
    pub(super) steps: Steps,
    pub(super) field: Field,
}

impl Path {
    pub(super) const fn at(steps: &'static [&'static str], field: Field) -> Self {
        Self {
            steps: Steps::Fixed(steps),
            field,
        }
    }
}

/// The keys that lead to a place. `*` is every element of a list, a number that one.
#[derive(Debug)]
pub(super) enum Steps {
    Fixed(&'static [&'static str]),
    Own(Box<[Box<str>]>),
}

impl Steps {
    pub(super) fn get(&self, level: usize) -> Option<&str> {
        match self {
            Self::Fixed(steps) => steps.get(level).copied(),
            Self::Own(steps) => steps.get(level).map(AsRef::as_ref),
        }
    }

    pub(super) fn fits_key(&self, level: usize, key: &[u8]) -> bool {
        self.get(level)
            .is_some_and(|step| step != "*" && step.as_bytes() == key)
    }

    pub(super) fn fits_element(&self, level: usize, index: u32) -> bool {
        self.get(level).is_some_and(|step| {
            let is_plain = !step.starts_with(['0', '+']) || step == "0";
            step == "*" || (is_plain && step.parse() == Ok(index))
        })
    }
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// A count.
    Count(Slot),
    /// A list whose elements' counts are summed up.
    List(List),
    /// Each element of it.
    Element(List),
    /// A count of an element.
    Item(Item),
    /// What an element's count is of.
    Modality,
    /// The name of the model that a round was of.
    RoundModel,
    /// The model's name.
    Model,
    /// The name of the event.
    Event,
    /// Why the model stopped; not there while it goes on.
    Finish,
    /// Text that the model wrote.
    Text,
}

/// A number that a document may tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Input,
    CachedInput,
    CacheWrite,
    /// Of [`Slot::CacheWrite`], what is kept for an hour.
    CacheWrite1h,
    Output,
    Reasoning,
    AudioInput,
    AudioOutput,
    Image,
    ImageOutput,
    Total,
    /// What a provider tells of its cache in a field of its own: at least so much of the input
    /// was cached.
    CacheHits,
    ToolInput,
    CachedAudio,
    CachedImage,
    /// The sums over what the answer took several rounds for.
    RoundsInput,
    RoundsCachedInput,
    RoundsCacheWrite,
    RoundsCacheWrite1h,
    RoundsOutput,
}

impl Slot {
    pub(super) const COUNT: usize = 20;
}

/// A list of counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    /// Input by modality.
    Prompt,
    /// Cached input by modality.
    Cache,
    /// Output by modality.
    Candidates,
    /// All counts by round.
    Rounds,
}

/// A count of a list's element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    /// Of a list by modality, the only one.
    Tokens,
    CachedInput,
    CacheWrite,
    CacheWrite1h,
    Output,
}

impl Item {
    /// Of a list of rounds, the first one.
    pub(super) const INPUT: Self = Self::Tokens;
    pub(super) const COUNT: usize = 5;
}
