//! What is charged by how a request ended.

mod flag;

pub use flag::Flag;

use super::given;
use serde::{Deserialize, Serialize};

/// What is charged if a request ended so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SettleDocument {
    /// How it ended: at least one field; all that are given must hold.
    pub when: EndingDocument,
    /// What is charged.
    pub then: Verdict,
}

/// How a request ended. Of each list any one may hold; at most 16 in each.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct EndingDocument {
    /// HTTP statuses, such as `404`, or classes of them, such as `5xx`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<String>,
    /// gRPC statuses: 0 to 16.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub grpc_status: Vec<u32>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cause: Vec<Cause>,
    /// Response flags of the proxy, by the short names of its access log, such as `UO`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flag: Vec<Flag>,
    /// The upstream was tried again at least so often: 1 to 100.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "u32"))]
    pub retries_min: Option<u32>,
}

/// What went wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The client went away.
    ClientAbort,
    /// The upstream cut the connection or the stream off.
    UpstreamReset,
    /// It took too long: until the answer began, between two pieces of it, or in all.
    Timeout,
    /// The upstream was asked and no answer began, though the client waited.
    NoResponse,
    /// The proxy, or another filter of it, answered and the upstream was not asked.
    LocalReply,
    /// The upstream was tried again until no tries were left.
    Retries,
}

/// What is charged for a request that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Its cost.
    Charge,
    /// Nothing.
    Release,
    /// The rule's `minimum`.
    Minimum,
}
