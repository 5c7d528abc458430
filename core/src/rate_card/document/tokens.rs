//! How a rule charges the tokens that an answer used.

use super::given;
use super::is_default;
use crate::usage::{Format, OutputLimitField};
use serde::{Deserialize, Serialize};

/// How the tokens of a rule's requests are read, priced and kept within bounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TokensDocument {
    /// How requests and answers are written.
    pub format: Format,
    /// Whose prices are charged; the `answered` model's if absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub priced_by: PricedBy,
    /// What befalls a request for a model that the card doesn't list, or for none; `deny` if
    /// absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unknown_model: UnknownModel,
    /// The most tokens that an answer may have, and what is taken for the limit of a request
    /// that names none: 1 to 10000000.
    #[serde(default = "default_output_tokens_max")]
    pub output_tokens_max: u64,
    /// The one field of requests that the upstream obeys as the limit to its output, of
    /// `openai_chat` and `pointers`: it alone counts as one, and is written. If absent, each that
    /// is known does, which a client can choose from.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "OutputLimitField"))]
    pub output_limit_field: Option<OutputLimitField>,
    /// What befalls a request that asks for more than `output_tokens_max`; `refuse` if absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub over_max: OverMax,
    /// The longest request body that is read, in bytes: 1 to 1048576.
    #[serde(default = "default_request_body_bytes_max")]
    pub request_body_bytes_max: u64,
    /// Whether streamed answers are asked to say what they used, where the format leaves them
    /// the choice.
    #[serde(default = "yes")]
    pub include_usage: bool,
}

/// Whose prices are charged.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PricedBy {
    /// Those of the model that the answer names; if it names none that is listed, of the model
    /// that was asked for. Under a strict promise never more than that one would have cost.
    #[default]
    Answered,
    /// Those of the model that the request asks for.
    Requested,
    /// Those of this model, which the card lists, whatever request and answer name: for upstreams
    /// that choose the model by the path.
    Model(String),
}

/// What befalls a request for a model that is not listed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum UnknownModel {
    /// It is refused.
    #[default]
    Deny,
    /// It costs what this model costs.
    As(String),
}

/// What befalls a request for more output than a rule allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OverMax {
    /// It is refused.
    #[default]
    Refuse,
    /// Its limit is lowered on the way to the upstream.
    Rewrite,
    /// It passes, and what it asks for is reserved.
    Allow,
}

/// What must be sure when a request is admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Promise {
    /// That the most it can cost is paid for.
    #[default]
    Strict,
    /// That what has passed of the answer is paid for.
    Metered,
    /// That what it is expected to cost is paid for.
    Expected,
}

/// What becomes of a metered answer when the credit is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnEmpty {
    /// It ends.
    #[default]
    End,
    /// It goes on to its end, and what it costs beyond becomes debt.
    Finish,
}

/// How much the tokens of an answer are taken to be before it came.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct EstimateDocument {
    /// How many bytes of a request body make a token the model reads: 1 to 16. If absent, 1
    /// under a strict promise, since no tokenizer makes more tokens than bytes; else 4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_token: Option<u64>,
    /// Tokens the model reads beyond the bytes of the request body: pictures, PDFs, sound and
    /// video, files and conversations by their id, what the provider's own tools find, instructions
    /// that it adds. 0 if absent; without it a strict promise counts on there being none.
    #[serde(skip_serializing_if = "is_default")]
    pub input_tokens_extra: u64,
    /// Tokens that an answer is expected to have, if the request allows as many; each choice
    /// has so many. Under a strict promise it is not used. If absent, what the request allows
    /// for `expected`, and 0 for `metered`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
}

const fn default_output_tokens_max() -> u64 {
    4096
}

const fn default_request_body_bytes_max() -> u64 {
    super::super::tokens::REQUEST_BODY_BYTES_DEFAULT
}

const fn yes() -> bool {
    true
}
