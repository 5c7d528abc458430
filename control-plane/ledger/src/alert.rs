//! Balance alerts: levels, states, and what a change says.
//!
//! The compared balance is the wallet's available + lent + held.

use serde::{Deserialize, Serialize};

use crate::credits::Credits;

/// Thresholds of a wallet, or of all that have none of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertSettings {
    /// Whether the state is kept at all.
    pub enabled: bool,
    /// The mildest level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<AlertThreshold>,
    /// The middle level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<AlertThreshold>,
    /// The most severe level; crossed, the state is `in_alarm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critical: Option<AlertThreshold>,
}

/// When a level is crossed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertThreshold {
    /// In credits of the wallet.
    pub threshold: Credits,
    /// On which side the level is crossed.
    pub condition: AlertCondition,
    /// In credits: how far the balance must come back past the threshold for the level to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hysteresis: Option<Credits>,
}

/// On which side of its threshold a level is crossed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertCondition {
    /// While the balance is more than the threshold.
    Above,
    /// While the balance is less than the threshold.
    Below,
}

/// The most severe level that is crossed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum AlertLevel {
    /// None.
    #[default]
    Ok,
    /// Info.
    Info,
    /// Warning.
    Warning,
    /// Critical.
    InAlarm,
}

/// Where a wallet stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AlertState {
    /// The most severe level that is crossed.
    pub level: AlertLevel,
    /// How many changes there were.
    pub sequence: u64,
    /// Which levels are crossed, also those that a more severe one hides: with hysteresis a
    /// level may go on where it would not begin.
    #[serde(default)]
    pub crossed: Crossed,
}

/// Which levels are crossed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Crossed {
    /// The mildest.
    pub info: bool,
    /// The middle one.
    pub warning: bool,
    /// The most severe.
    pub critical: bool,
}
