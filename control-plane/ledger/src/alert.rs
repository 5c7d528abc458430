//! Balance alerts: levels, states, and what a change says.
//!
//! Three levels, each with a threshold of its own, crossed at it and above, or at it and below;
//! the state is the most severe level that is crossed. What is compared is the wallet's balance (available,
//! lent and held, in its currency) with the threshold in credits × the conversion rate,
//! neither rounded. With hysteresis a level ends only when the balance has come back further
//! than that past the threshold. [`watch`] follows the balance, decision by decision.

use creditgate_core::amount::{Amount, Scale};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::credits::{Credits, Rate};
use crate::refusal::Refusal;
use crate::wallet::Wallet;

pub mod watch;

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
    /// In credits: a level that is crossed ends when the balance is further than this on the
    /// other side of the threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hysteresis: Option<Credits>,
}

/// On which side of its threshold a level is crossed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertCondition {
    /// While the balance is the threshold or more.
    Above,
    /// While the balance is the threshold or less.
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
    /// Of which settings these are the levels: a short hash of them, zero while none is crossed.
    #[serde(default)]
    pub crossed_of: u64,
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

impl AlertLevel {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::InAlarm => "in_alarm",
        }
    }
}

impl Crossed {
    /// The most severe of them.
    #[must_use]
    pub const fn level(self) -> AlertLevel {
        if self.critical {
            AlertLevel::InAlarm
        } else if self.warning {
            AlertLevel::Warning
        } else if self.info {
            AlertLevel::Info
        } else {
            AlertLevel::Ok
        }
    }
}

impl AlertThreshold {
    /// Whether the level is crossed at `balance`, if it `was` crossed until now.
    #[must_use]
    pub fn is_crossed(&self, was: bool, balance: Amount, rate: &Rate, scale: Scale) -> bool {
        let back = match &self.hysteresis {
            Some(hysteresis) if was => hysteresis.nano(),
            _ => 0,
        };
        let threshold = self.threshold.nano();
        let compare = |edge| rate.compare(balance, scale, edge);
        match self.condition {
            AlertCondition::Below => compare(threshold.saturating_add(back)).is_le(),
            AlertCondition::Above => compare(threshold.saturating_sub(back)).is_ge(),
        }
    }
}

impl AlertState {
    /// Which levels were crossed under these settings. What was crossed under others, such as
    /// the installation's before they were changed, says nothing of their thresholds.
    #[must_use]
    pub(crate) fn crossed_under(&self, settings: &AlertSettings) -> Crossed {
        if self.crossed != Crossed::default() && self.crossed_of == settings.mark() {
            self.crossed
        } else {
            Crossed::default()
        }
    }

    /// The same with these levels of `settings` crossed.
    #[must_use]
    pub(crate) fn with(self, crossed: Crossed, settings: Option<&AlertSettings>) -> Self {
        let settings = settings.filter(|_| crossed != Crossed::default());
        Self {
            crossed,
            crossed_of: settings.map_or(0, AlertSettings::mark),
            ..self
        }
    }
}

impl AlertSettings {
    /// A short hash of them, to tell whether they are still the same.
    #[must_use]
    pub(crate) fn mark(&self) -> u64 {
        let text = serde_json::to_vec(self).unwrap_or_default();
        let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = Sha256::digest(text).into();
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// Which levels are crossed at `balance`, if these `were` until now.
    #[must_use]
    pub fn crossed(&self, were: Crossed, balance: Amount, rate: &Rate, scale: Scale) -> Crossed {
        let is_crossed = |level: &Option<AlertThreshold>, was| {
            let level = level.as_ref().filter(|_| self.enabled);
            level.is_some_and(|level| level.is_crossed(was, balance, rate, scale))
        };
        Crossed {
            info: is_crossed(&self.info, were.info),
            warning: is_crossed(&self.warning, were.warning),
            critical: is_crossed(&self.critical, were.critical),
        }
    }

    /// The terms of a level; none of `ok`.
    #[must_use]
    pub const fn level(&self, level: AlertLevel) -> Option<&AlertThreshold> {
        match level {
            AlertLevel::Ok => None,
            AlertLevel::Info => self.info.as_ref(),
            AlertLevel::Warning => self.warning.as_ref(),
            AlertLevel::InAlarm => self.critical.as_ref(),
        }
    }

    /// Whether the settings are such as can be kept; `at` is their JSON pointer.
    ///
    /// # Errors
    /// [`Refusal::InvalidAt`] with `code`: a negative threshold or hysteresis, or a hysteresis
    /// that would never let a level end.
    pub fn check(&self, at: &str, code: &'static str) -> Result<(), Refusal> {
        let levels = [
            ("critical", &self.critical),
            ("warning", &self.warning),
            ("info", &self.info),
        ];
        for (name, level) in levels {
            let Some(level) = level else { continue };
            let refuse = |field: &str, problem: &str| {
                Err(Refusal::InvalidAt {
                    field: format!("{at}/{name}/{field}"),
                    code,
                    problem: problem.to_owned(),
                })
            };
            if level.threshold.is_negative() {
                return refuse("threshold", "must not be negative: no balance is");
            }
            let Some(hysteresis) = &level.hysteresis else {
                continue;
            };
            if hysteresis.is_negative() {
                return refuse("hysteresis", "must not be negative");
            }
            let is_above = level.condition == AlertCondition::Above;
            let is_all = hysteresis.nano() >= level.threshold.nano();
            if is_above && is_all && !hysteresis.is_zero() {
                let problem = "must be less than the threshold: the level would never end";
                return refuse("hysteresis", problem);
            }
        }
        Ok(())
    }
}

/// Whether the settings, if any, are such as a wallet can have.
///
/// # Errors
/// As [`AlertSettings::check`], with code `alert_settings_invalid`.
pub fn check(settings: Option<&AlertSettings>) -> Result<(), Refusal> {
    settings.map_or(Ok(()), |settings| {
        settings.check("/alert_settings", "alert_settings_invalid")
    })
}

/// Gives a wallet other settings of its own, or takes them away: then the installation's hold.
/// What is crossed is found out anew, by the decision that this is part of.
pub(crate) fn set(wallet: &mut Wallet, settings: Option<AlertSettings>) {
    wallet.alert_settings = settings;
    wallet.alert_state = wallet.alert_state.with(Crossed::default(), None);
}
