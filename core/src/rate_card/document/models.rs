//! What the tokens of models cost.
//!
//! A kind of token without a price of its own costs what its nearest kin does, never
//! nothing: what a provider adds to its price list must not be free until someone notices.

use super::given;
use super::price::{Per, Price};
use crate::usage::TokenKind;
use serde::{Deserialize, Serialize};

/// Prices of tokens, as they are listed.
pub(in crate::rate_card) trait TokenPrices {
    /// The price of tokens read.
    fn input(&self) -> &Price;
    /// The price of a kind of tokens, if it has one of its own.
    fn own(&self, kind: TokenKind) -> Option<&Price>;
}

/// A document with a price for each kind of token, between fields of its own: one list for all,
/// since a flattened one could not refuse unknown fields.
macro_rules! with_token_prices {
    (
        $(#[$about:meta])*
        pub struct $name:ident {
            $($(#[$about_before:meta])* pub $before:ident: $before_type:ty,)*
            .. $(, $(#[$about_after:meta])* pub $after:ident: $after_type:ty)*
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$about_before])* pub $before: $before_type,)*
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
            $($(#[$about_after])* pub $after: $after_type,)*
        }

        impl TokenPrices for $name {
            fn input(&self) -> &Price {
                &self.input
            }

            fn own(&self, kind: TokenKind) -> Option<&Price> {
                match kind {
                    TokenKind::Input => Some(&self.input),
                    TokenKind::CachedInput => self.cached_input.as_ref(),
                    TokenKind::CacheWrite => self.cache_write.as_ref(),
                    TokenKind::CacheWrite1h => self.cache_write_1h.as_ref(),
                    TokenKind::Output => self.output.as_ref(),
                    TokenKind::Reasoning => self.reasoning.as_ref(),
                    TokenKind::AudioInput => self.audio_input.as_ref(),
                    TokenKind::AudioOutput => self.audio_output.as_ref(),
                    TokenKind::Image => self.image.as_ref(),
                    TokenKind::ImageOutput => self.image_output.as_ref(),
                }
            }
        }
    };
}

with_token_prices! {
    /// What the tokens of a model, or of a family of models, cost. Prices may be finer than the
    /// currency's digits; only the cost of a whole request is rounded.
    pub struct ModelDocument {
        /// Its name: 1 to 128 printable ASCII characters. `*` stands for any characters or none,
        /// at most 4 times. Letter case makes a difference.
        pub model: String,
        /// For how many tokens the prices are: 1, 1000, 1000000 or 1000000000.
        #[serde(default = "Per::million")]
        pub per: Per,
        ..,
        /// Other prices for requests of which the model reads more than so many tokens: at most 8,
        /// in ascending order, none of whose prices is lower than before. They are for all tokens
        /// of the request.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub context_tiers: Vec<ContextTierDocument>
    }
}

with_token_prices! {
    /// The prices of a model for long requests. What is absent costs what its kin costs here.
    pub struct ContextTierDocument {
        /// It is for requests of which the model reads more tokens than this.
        pub above_input_tokens: u64,
        ..
    }
}
