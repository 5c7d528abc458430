//! Tokens by kind. A token is of one kind, so that prices times counts is the cost.

use serde::{Deserialize, Serialize};

/// What a token was. The kinds are disjoint: a cached input token is not an input token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// Read by the model, and none of the other kinds that are read.
    Input,
    /// Read from a prompt cache.
    CachedInput,
    /// Read, and written to a prompt cache for the usual time.
    CacheWrite,
    /// Read, and written to a prompt cache that is kept for an hour.
    #[serde(rename = "cache_write_1h")]
    CacheWrite1h,
    /// Written by the model, and none of the other kinds that are written.
    Output,
    /// Written by the model to itself.
    Reasoning,
    /// Sound that the model read.
    AudioInput,
    /// Sound that the model made.
    AudioOutput,
    /// Images that the model read.
    Image,
    /// Images that the model made.
    ImageOutput,
}

impl TokenKind {
    /// How many kinds there are.
    pub const COUNT: usize = 10;

    /// Every kind, in the order of declaration.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Input,
        Self::CachedInput,
        Self::CacheWrite,
        Self::CacheWrite1h,
        Self::Output,
        Self::Reasoning,
        Self::AudioInput,
        Self::AudioOutput,
        Self::Image,
        Self::ImageOutput,
    ];

    /// The word for it in documents and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::CachedInput => "cached_input",
            Self::CacheWrite => "cache_write",
            Self::CacheWrite1h => "cache_write_1h",
            Self::Output => "output",
            Self::Reasoning => "reasoning",
            Self::AudioInput => "audio_input",
            Self::AudioOutput => "audio_output",
            Self::Image => "image",
            Self::ImageOutput => "image_output",
        }
    }

    /// Whether the model read it, rather than made it.
    #[must_use]
    pub const fn is_input(self) -> bool {
        match self {
            Self::Input
            | Self::CachedInput
            | Self::CacheWrite
            | Self::CacheWrite1h
            | Self::AudioInput
            | Self::Image => true,
            Self::Output | Self::Reasoning | Self::AudioOutput | Self::ImageOutput => false,
        }
    }
}

/// How many tokens of each kind. Sums saturate: a count that large is refused long before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TokenCounts([u64; TokenKind::COUNT]);

impl TokenCounts {
    /// None of any kind.
    pub const ZERO: Self = Self([0; TokenKind::COUNT]);

    /// Tokens of this kind.
    #[must_use]
    pub fn get(&self, kind: TokenKind) -> u64 {
        self.0.get(kind as usize).copied().unwrap_or_default()
    }

    /// Sets the count of this kind.
    pub fn set(&mut self, kind: TokenKind, count: u64) {
        if let Some(place) = self.0.get_mut(kind as usize) {
            *place = count;
        }
    }

    /// Adds to the count of this kind.
    pub fn add(&mut self, kind: TokenKind, count: u64) {
        self.set(kind, self.get(kind).saturating_add(count));
    }

    /// Adds every count of `other`.
    pub fn add_all(&mut self, other: &Self) {
        for (kind, count) in other.iter() {
            self.add(kind, count);
        }
    }

    /// Tokens of all kinds.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().copied().fold(0, u64::saturating_add)
    }

    /// Tokens of all kinds that the model read: what context tiers go by.
    #[must_use]
    pub fn input_total(&self) -> u64 {
        self.iter()
            .filter(|(kind, _)| kind.is_input())
            .fold(0, |sum, (_, count)| sum.saturating_add(count))
    }

    /// Whether there is none of any kind.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.total() == 0
    }

    /// The count of each kind, in the order of [`TokenKind::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (TokenKind, u64)> + '_ {
        TokenKind::ALL.into_iter().zip(self.0.iter().copied())
    }
}

impl FromIterator<(TokenKind, u64)> for TokenCounts {
    /// Counts of the same kind add up.
    fn from_iter<I: IntoIterator<Item = (TokenKind, u64)>>(counts: I) -> Self {
        let mut sum = Self::ZERO;
        for (kind, count) in counts {
            sum.add(kind, count);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_model_read_is_what_context_tiers_count() {
        let mut counts: TokenCounts = (1..)
            .zip(TokenKind::ALL)
            .map(|(n, kind)| (kind, n))
            .collect();
        assert_eq!(counts.total(), 55);
        assert_eq!(counts.input_total(), 1 + 2 + 3 + 4 + 7 + 9);
        counts.add(TokenKind::Input, u64::MAX);
        assert_eq!(counts.get(TokenKind::Input), u64::MAX);
        assert_eq!(counts.total(), u64::MAX);
        assert!(!counts.is_zero() && TokenCounts::ZERO.is_zero());
    }

    #[test]
    fn a_kind_is_written_as_the_word_it_gives() {
        for (place, kind) in TokenKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
