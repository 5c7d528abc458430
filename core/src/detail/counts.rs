//! What was counted of requests.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::rate_card::Measures;
use crate::usage::TokenKind;

/// What of something was counted. Sums saturate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Counts([u64; Counts::KINDS]);

impl Counts {
    /// How many kinds of things are counted.
    pub const KINDS: usize = 5 + TokenKind::COUNT;

    /// What is counted, in order: first what is not tokens, then [`TokenKind::ALL`].
    pub const NAMES: [&'static str; Self::KINDS] = [
        "requests",
        "request_bytes",
        "response_bytes",
        "duration_ms",
        "units",
        "input_tokens",
        "cached_input_tokens",
        "cache_write_tokens",
        "cache_write_1h_tokens",
        "output_tokens",
        "reasoning_tokens",
        "audio_input_tokens",
        "audio_output_tokens",
        "image_tokens",
        "image_output_tokens",
    ];

    /// These counts, in the order of [`Self::NAMES`].
    #[must_use]
    pub const fn new(counts: [u64; Self::KINDS]) -> Self {
        Self(counts)
    }

    /// One request, and what was measured of it. Its units are the sum of what headers,
    /// trailers and filter state told.
    #[must_use]
    pub fn of_request(measures: &Measures) -> Self {
        let units = measures.readings.iter().flatten();
        let units = units.fold(0, |sum: u64, reading| sum.saturating_add(*reading));
        let others = [
            1,
            measures.request_bytes,
            measures.response_bytes,
            measures.duration_ms,
            units,
        ];
        let tokens = measures.tokens.iter().map(|(_, count)| count);
        let mut counts = Self::default();
        let all = others.into_iter().chain(tokens);
        counts
            .0
            .iter_mut()
            .zip(all)
            .for_each(|(place, count)| *place = count);
        counts
    }

    /// Adds every count of `other`.
    pub fn add(&mut self, other: &Self) {
        for (place, count) in self.0.iter_mut().zip(other.0) {
            *place = place.saturating_add(count);
        }
    }

    /// The counts, in the order of [`Self::NAMES`].
    #[must_use]
    pub const fn get(&self) -> &[u64; Self::KINDS] {
        &self.0
    }

    /// How many requests.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        let [requests, ..] = self.0;
        requests
    }

    /// How many units, of all meters together.
    #[must_use]
    pub const fn units(&self) -> u64 {
        let [_, _, _, _, units, ..] = self.0;
        units
    }

    fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let all = Self::NAMES.into_iter().zip(self.0);
        all.filter(|(_, count)| *count > 0)
    }
}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.named().map(|(name, count)| (name, TextCount(count))))
    }
}

pub(super) struct TextCount(pub(super) u64);

impl Serialize for TextCount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Counts {
    /// What this version does not know is left out: a newer filter may count more.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let told = BTreeMap::<String, String>::deserialize(deserializer)?;
        let mut counts = Self::default();
        for (place, name) in counts.0.iter_mut().zip(Self::NAMES) {
            if let Some(count) = told.get(name) {
                *place = count.parse().map_err(de::Error::custom)?;
            }
        }
        Ok(counts)
    }
}
