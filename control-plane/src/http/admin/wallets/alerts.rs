//! Alert settings on the wire: of a wallet, and the installation's default.

use creditgate_ledger::alert::{AlertCondition, AlertSettings, AlertThreshold};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::input::{CreditsText, Lower};

/// When a wallet's balance (available + lent + held) is told. A level that is absent or null
/// is not kept.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAlertSettings)]
pub(crate) struct AlertSettingsBody {
    /// The most severe level; crossed, the state is `in_alarm`.
    critical: Option<AlertThresholdBody>,
    /// The middle level.
    warning: Option<AlertThresholdBody>,
    /// The mildest level.
    info: Option<AlertThresholdBody>,
    /// Whether the state is kept at all; true if absent. Disabled, it goes back to `ok`.
    alert_enabled: Option<bool>,
}

/// When a level is crossed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAlertThreshold)]
struct AlertThresholdBody {
    /// In credits of the wallet, 0 or more. A number or a decimal string.
    #[schema(value_type = String, example = "100")]
    threshold: CreditsText,
    /// `below` (at the threshold or less) or `above` (at it or more), in any case.
    #[schema(value_type = String, example = "below")]
    condition: Lower<AlertCondition>,
    /// In credits: the level ends when the balance is further than this on the other side.
    #[schema(value_type = Option<String>, example = "10")]
    hysteresis: Option<CreditsText>,
}

impl AlertSettingsBody {
    /// As the ledger has them; not checked yet.
    pub(crate) fn settings(self) -> AlertSettings {
        let level = |level: Option<AlertThresholdBody>| {
            level.map(|level| AlertThreshold {
                threshold: level.threshold.0,
                condition: level.condition.0,
                hysteresis: level.hysteresis.map(|hysteresis| hysteresis.0),
            })
        };
        AlertSettings {
            enabled: self.alert_enabled.unwrap_or(true),
            info: level(self.info),
            warning: level(self.warning),
            critical: level(self.critical),
        }
    }
}

/// When a wallet's balance is told.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertSettings)]
pub(crate) struct AlertSettingsView {
    /// The most severe level.
    critical: Option<AlertThresholdView>,
    /// The middle level.
    warning: Option<AlertThresholdView>,
    /// The mildest level.
    info: Option<AlertThresholdView>,
    /// Whether the state is kept at all.
    alert_enabled: bool,
}

/// When a level is crossed.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertThreshold)]
struct AlertThresholdView {
    /// In credits of the wallet.
    threshold: String,
    /// `below` or `above`.
    #[schema(value_type = String)]
    condition: AlertCondition,
    /// In credits: the level ends when the balance is further than this on the other side.
    hysteresis: Option<String>,
}

impl AlertSettingsView {
    /// As they were set.
    pub(crate) fn of(settings: &AlertSettings) -> Self {
        let level = |level: &Option<AlertThreshold>| {
            level.as_ref().map(|level| AlertThresholdView {
                threshold: level.threshold.to_string(),
                condition: level.condition,
                hysteresis: level.hysteresis.as_ref().map(ToString::to_string),
            })
        };
        Self {
            critical: level(&settings.critical),
            warning: level(&settings.warning),
            info: level(&settings.info),
            alert_enabled: settings.enabled,
        }
    }
}
