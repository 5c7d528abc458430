//! What must hold for a rule to be taken, beyond path and method.

use serde::{Deserialize, Serialize};

/// What a request must be like, besides its path and method. All that is given must hold; a
/// rule with more conditions is taken before one with fewer for the same path and method.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ConditionsDocument {
    /// Hosts, any of which may be asked for: `api.example.com`, or `*.example.com` for all
    /// below it. Without port; letter case makes no difference. At most 8.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// What headers must be like; at most 8, each with a name of its own. A header that occurs
    /// more than once and only partly fits makes the request ambiguous.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<FieldConditionDocument>,
    /// What parameters of the query must be like; at most 8, each with a name of its own.
    /// Names and values are unescaped before they are compared. A parameter that occurs more
    /// than once and only partly fits makes the request ambiguous.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<FieldConditionDocument>,
    /// The name of the proxy's route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The model that the request asks for; with `*` for any characters, at most 4 of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// What one header or parameter must be like: exactly one of `equals`, `prefix` and `present`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FieldConditionDocument {
    /// The name of the header, in any case, or of the parameter.
    pub name: String,
    /// The value is this, byte for byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<String>,
    /// The value begins with this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// `true`: it is there, whatever its value. `false`: it isn't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<bool>,
}
