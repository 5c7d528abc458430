//! What the tokens of models cost.
//!
//! A kind of token without a price of its own costs what its nearest kin does, never
//! nothing: what a provider adds to its price list must not be free until someone notices.

use super::given;
use super::price::{Per, Price};
use serde::{Deserialize, Serialize};

/// What the tokens of a model, or of a family of models, cost. Prices may be finer than the
/// currency's digits; only the cost of a whole request is rounded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ModelDocument {
    /// Its name: 1 to 128 printable ASCII characters. `*` stands for any characters or none,
    /// at most 4 times. Letter case makes a difference.
    pub model: String,
    /// For how many tokens the prices are: 1, 1000, 1000000 or 1000000000.
    #[serde(default = "Per::million")]
    pub per: Per,
    /// The price of tokens read.
    pub input: Price,
    /// Tokens read from the provider's cache; if absent, as `input`.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Price"))]
    pub cached_input: Option<Price>,
    /// Tokens read and written to the provider's cache; if absent, as `input`.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Price"))]
    pub cache_write: Option<Price>,
    /// Tokens read and written to a cache of the provider's that is kept for an hour; if absent,
    /// as `cache_write`.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Price"))]
    pub cache_write_1h: Option<Price>,
    /// Tokens written; if absent, as `input`.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Price"))]
    pub output: Option<Price>,
    /// Tokens the model wrote for itself; if absent, as `output`.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Price"))]
    pub reasoning: Option<Price>,
    /// Tokens of sound read; if absent, as `input`.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Price"))]
    pub audio_input: Option<Price>,
    /// Tokens of sound written; if absent, as `output`.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Price"))]
    pub audio_output: Option<Price>,
    /// Tokens of pictures read; if absent, as `input`.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Price"))]
    pub image: Option<Price>,
    /// Tokens of pictures made; if absent, as `output`.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Price"))]
    pub image_output: Option<Price>,
    /// Other prices for requests of which the model reads more than so many tokens: at most 8,
    /// in ascending order, none of whose prices is lower than before. They are for all tokens
    /// of the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context_tiers: Vec<ContextTierDocument>,
}

/// The prices of a model for long requests. What is absent costs what its kin costs here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ContextTierDocument {
    /// It is for requests of which the model reads more tokens than this.
    pub above_input_tokens: u64,
    /// The price of tokens read.
    pub input: Price,
    /// Tokens read from the provider's cache; if absent, as `input`.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Price"))]
    pub cached_input: Option<Price>,
    /// Tokens read and written to the provider's cache; if absent, as `input`.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Price"))]
    pub cache_write: Option<Price>,
    /// Tokens read and written to a cache of the provider's that is kept for an hour; if absent,
    /// as `cache_write`.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Price"))]
    pub cache_write_1h: Option<Price>,
    /// Tokens written; if absent, as `input`.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Price"))]
    pub output: Option<Price>,
    /// Tokens the model wrote for itself; if absent, as `output`.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Price"))]
    pub reasoning: Option<Price>,
    /// Tokens of sound read; if absent, as `input`.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Price"))]
    pub audio_input: Option<Price>,
    /// Tokens of sound written; if absent, as `output`.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Price"))]
    pub audio_output: Option<Price>,
    /// Tokens of pictures read; if absent, as `input`.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Price"))]
    pub image: Option<Price>,
    /// Tokens of pictures made; if absent, as `output`.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Price"))]
    pub image_output: Option<Price>,
}
