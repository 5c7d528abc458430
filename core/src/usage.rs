//! What an answer says it used.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;

/// What a token was; each token is of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// Read by the model.
    Input,
    /// Read from the provider's cache.
    CachedInput,
    /// Read, and written to the provider's cache.
    CacheWrite,
    /// Written by the model.
    Output,
    /// Written by the model for itself.
    Reasoning,
    /// Sound that was read.
    AudioInput,
    /// Sound that was written.
    AudioOutput,
    /// Pictures that were read.
    Image,
}

impl TokenKind {
    /// Every kind, in the order of declaration.
    pub const ALL: [Self; 8] = [
        Self::Input,
        Self::CachedInput,
        Self::CacheWrite,
        Self::Output,
        Self::Reasoning,
        Self::AudioInput,
        Self::AudioOutput,
        Self::Image,
    ];

    /// The word for it in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::CachedInput => "cached_input",
            Self::CacheWrite => "cache_write",
            Self::Output => "output",
            Self::Reasoning => "reasoning",
            Self::AudioInput => "audio_input",
            Self::AudioOutput => "audio_output",
            Self::Image => "image",
        }
    }

    /// Whether the model read it, rather than made it.
    #[must_use]
    pub const fn is_input(self) -> bool {
        !matches!(self, Self::Output | Self::Reasoning | Self::AudioOutput)
    }
}

/// How many tokens of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenCounts([u64; 8]);

impl TokenCounts {
    /// Tokens of one kind.
    #[must_use]
    pub fn get(&self, kind: TokenKind) -> u64 {
        self.0.get(kind as usize).copied().unwrap_or_default()
    }

    /// Sets the tokens of one kind.
    pub fn set(&mut self, kind: TokenKind, count: u64) {
        if let Some(own) = self.0.get_mut(kind as usize) {
            *own = count;
        }
    }

    /// All that the model read; what the context tiers of a price list go by.
    #[must_use]
    pub fn input_total(&self) -> u64 {
        self.iter()
            .filter(|(kind, _)| kind.is_input())
            .fold(0, |sum, (_, count)| sum.saturating_add(count))
    }

    /// Each kind with its count.
    pub fn iter(&self) -> impl Iterator<Item = (TokenKind, u64)> {
        TokenKind::ALL.into_iter().zip(self.0)
    }
}

/// How an answer says what it used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Format {
    /// OpenAI's chat completions.
    #[serde(rename = "openai_chat")]
    OpenAiChat,
    /// OpenAI's responses.
    #[serde(rename = "openai_responses")]
    OpenAiResponses,
    /// OpenAI's embeddings.
    #[serde(rename = "openai_embeddings")]
    OpenAiEmbeddings,
    /// Anthropic's messages.
    #[serde(rename = "anthropic_messages")]
    AnthropicMessages,
    /// Gemini's generateContent.
    #[serde(rename = "gemini")]
    Gemini,
    /// Wherever these JSON pointers lead.
    #[serde(
        rename = "pointers",
        serialize_with = "write_shared",
        deserialize_with = "read_shared"
    )]
    Pointers(Arc<Pointers>),
}

/// Where an answer says what it used, as JSON pointers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Pointers {
    /// Tokens read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// Tokens written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// The model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

fn write_shared<S: Serializer>(pointers: &Arc<Pointers>, serializer: S) -> Result<S::Ok, S::Error> {
    pointers.as_ref().serialize(serializer)
}

fn read_shared<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Pointers>, D::Error> {
    Pointers::deserialize(deserializer).map(Arc::new)
}
