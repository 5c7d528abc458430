//! What is measured of a request, and what it costs.

use super::is_default;
use super::price::{Per, Price};
use serde::{Deserialize, Serialize};

/// A measure of a request and its price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MeterDocument {
    /// What is measured.
    pub meter: MeterSource,
    /// The price of `per` of it, at least 0. It may be finer than the currency's digits.
    pub price: Price,
    /// For how many the price is: 1 (if absent), 1000, 1000000 or 1000000000.
    #[serde(default, skip_serializing_if = "is_default")]
    pub per: Per,
    /// What is reserved before the count is known, and charged where it never is; at most
    /// 10¹⁵. Headers and filter state need it. Under a strict promise bytes and seconds need it too, unless
    /// they have a `max` or the rule a `maximum`: it must then be more than any request has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<u64>,
    /// A larger count is charged as this; without it, in full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
}

/// What is measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MeterSource {
    /// Bytes of the request's body.
    RequestBytes,
    /// Bytes of the response's body.
    ResponseBytes,
    /// How long the request took, in seconds; counted by the millisecond.
    Seconds,
    /// The whole number in this header of the request.
    RequestHeader(String),
    /// The whole number in this header of the response.
    ResponseHeader(String),
    /// The whole number in this trailer of the response.
    ResponseTrailer(String),
    /// The whole number in this filter state, which another filter of the proxy wrote by the end;
    /// of a Wasm filter `wasm.` and its key. Its name has 1 to 128 printable ASCII characters.
    FilterState(String),
}
