//! What befalls a request that can't be decided because the control plane does not answer.

use serde::{Deserialize, Serialize};

/// What befalls a request when there is no basis to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnUnavailable {
    /// It is refused with 503.
    #[default]
    Deny,
    /// It passes as long as the offline allowance of its account lasts, and is booked when the
    /// control plane is back.
    Allow,
    /// It passes and moves no money; that it would have been refused is counted and logged.
    Shadow,
}

impl OnUnavailable {
    /// The most particular word holds: the customer's, else the rule's, else the filter's.
    #[must_use]
    pub fn chosen(customer: Option<Self>, rule: Option<Self>, filter: Self) -> Self {
        customer.or(rule).unwrap_or(filter)
    }
}
