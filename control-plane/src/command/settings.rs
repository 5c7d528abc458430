//! Changes of the settings: what is given, over what is there or over the defaults.
//!
//! Merged and checked where the command is decided, so that two changes at the same time
//! both last, and so that relations between settings hold whatever came before.

use creditgate_core::amount::Amount;
use creditgate_core::protocol::Timing;
use creditgate_ledger::alert::AlertSettings;
use creditgate_ledger::bonus::{self, BonusSlab};
use creditgate_ledger::registry::QuarantinePolicy;
use creditgate_ledger::{Refusal, Settings, auto_top_up};

/// The largest amount that a setting may be: far below what an account may hold, so that sums
/// with it fit.
pub const AMOUNT_MAX: Amount = Amount::new(1_000_000_000_000_000);

/// Of whatever is wrong with a setting.
const CODE: &str = "settings_invalid";

const URL_MAX: usize = 2_000;
const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Settings that are given; each as in [`Settings`].
#[derive(Debug, Clone, Default)]
pub struct SettingsChange {
    /// See [`Timing`].
    pub use_by_ms: Option<u64>,
    /// See [`Timing`].
    pub sync_ms: Option<u64>,
    /// See [`Timing`].
    pub idle_ms: Option<u64>,
    /// See [`Timing`].
    pub wait_ms: Option<u64>,
    /// See [`Timing`].
    pub max_stream_ms: Option<u64>,
    /// See [`Settings`], as of all below.
    pub silent_after_ms: Option<u64>,
    /// When nobody decides.
    pub quarantine_policy: Option<QuarantinePolicy>,
    /// When it acts.
    pub quarantine_policy_after_ms: Option<u64>,
    /// How far ahead.
    pub refill_seconds: Option<u32>,
    /// How far beyond.
    pub overrun_max: Option<Amount>,
    /// How much while nobody answers.
    pub offline_allowance: Option<Amount>,
    /// Who is warned.
    pub warn_below: Option<Amount>,
    /// For how long.
    pub unknown_key_ttl_ms: Option<u64>,
    /// Some of none takes it away.
    pub top_up_url: Option<Option<String>>,
    /// Whether invoiced credit can be spent at once.
    pub auto_complete_purchased_credit_transaction: Option<bool>,
    /// How long a payment is waited for.
    pub unpaid_lot_ttl_ms: Option<u64>,
    /// Some of none takes them away.
    pub default_alerts: Option<Option<AlertSettings>>,
    /// Replaced as a whole.
    pub bonus_slabs: Option<Vec<BonusSlab>>,
    /// How long between two.
    pub auto_topup_cooldown_ms: Option<u64>,
    /// How many.
    pub auto_topups_per_day_max: Option<u32>,
    /// How many.
    pub auto_topups_per_month_max: Option<u32>,
}

impl SettingsChange {
    /// These settings, and for what is not given those of `base`.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] or [`Refusal::InvalidAt`] `settings_invalid`, with the place of the setting.
    pub fn over(self, base: &Settings) -> Result<Settings, Refusal> {
        let timing = base.timing;
        let settings = Settings {
            timing: Timing {
                use_by_ms: self.use_by_ms.unwrap_or(timing.use_by_ms),
                sync_ms: self.sync_ms.unwrap_or(timing.sync_ms),
                idle_ms: self.idle_ms.unwrap_or(timing.idle_ms),
                wait_ms: self.wait_ms.unwrap_or(timing.wait_ms),
                max_stream_ms: self.max_stream_ms.unwrap_or(timing.max_stream_ms),
            },
            silent_after_ms: self.silent_after_ms.unwrap_or(base.silent_after_ms),
            quarantine_policy: self.quarantine_policy.unwrap_or(base.quarantine_policy),
            quarantine_policy_after_ms: self
                .quarantine_policy_after_ms
                .unwrap_or(base.quarantine_policy_after_ms),
            refill_seconds: self.refill_seconds.unwrap_or(base.refill_seconds),
            overrun_max: self.overrun_max.unwrap_or(base.overrun_max),
            offline_allowance: self.offline_allowance.unwrap_or(base.offline_allowance),
            offline_allowance_ever: base.offline_allowance_ever,
            warn_below: self.warn_below.unwrap_or(base.warn_below),
            unknown_key_ttl_ms: self.unknown_key_ttl_ms.unwrap_or(base.unknown_key_ttl_ms),
            top_up_url: self.top_up_url.unwrap_or_else(|| base.top_up_url.clone()),
            auto_complete_purchased_credit_transaction: self
                .auto_complete_purchased_credit_transaction
                .unwrap_or(base.auto_complete_purchased_credit_transaction),
            unpaid_lot_ttl_ms: self.unpaid_lot_ttl_ms.unwrap_or(base.unpaid_lot_ttl_ms),
            default_alerts: self
                .default_alerts
                .unwrap_or_else(|| base.default_alerts.clone()),
            bonus_slabs: self.bonus_slabs.unwrap_or_else(|| base.bonus_slabs.clone()),
            auto_topup_cooldown_ms: self
                .auto_topup_cooldown_ms
                .unwrap_or(base.auto_topup_cooldown_ms),
            auto_topups_per_day_max: self
                .auto_topups_per_day_max
                .unwrap_or(base.auto_topups_per_day_max),
            auto_topups_per_month_max: self
                .auto_topups_per_month_max
                .unwrap_or(base.auto_topups_per_month_max),
        };
        check(&settings)?;
        check_wallets(&settings)?;
        Ok(settings)
    }
}

fn invalid(field: &'static str, problem: impl Into<String>) -> Refusal {
    Refusal::Invalid {
        field,
        code: CODE,
        problem: problem.into(),
    }
}

fn within(field: &'static str, value: u64, least: u64, most: u64) -> Result<(), Refusal> {
    let fine = (least..=most).contains(&value);
    let problem = || invalid(field, format!("must be {least} to {most}, is {value}"));
    fine.then_some(()).ok_or_else(problem)
}

fn check(settings: &Settings) -> Result<(), Refusal> {
    let timing = &settings.timing;
    within("/use_by_ms", timing.use_by_ms, 200, DAY_MS)?;
    within("/sync_ms", timing.sync_ms, 10, MINUTE_MS)?;
    within("/idle_ms", timing.idle_ms, 10, HOUR_MS)?;
    within("/wait_ms", timing.wait_ms, 10, MINUTE_MS)?;
    within("/max_stream_ms", timing.max_stream_ms, 100, DAY_MS)?;
    within(
        "/silent_after_ms",
        settings.silent_after_ms,
        200,
        7 * DAY_MS,
    )?;
    let after_ms = settings.quarantine_policy_after_ms;
    within("/quarantine_policy_after_ms", after_ms, 1_000, 366 * DAY_MS)?;
    within("/refill_seconds", u64::from(settings.refill_seconds), 1, 60)?;
    within(
        "/unknown_key_ttl_ms",
        settings.unknown_key_ttl_ms,
        0,
        HOUR_MS,
    )?;
    for (field, amount) in [
        ("/overrun_max", settings.overrun_max),
        ("/offline_allowance", settings.offline_allowance),
        ("/warn_below", settings.warn_below),
    ] {
        if amount.is_negative() || amount > AMOUNT_MAX {
            let problem = format!("must be 0 to {} smallest units", AMOUNT_MAX.get());
            return Err(invalid(field, problem));
        }
    }
    check_relations(settings)?;
    let url = settings.top_up_url.as_deref().unwrap_or("https://");
    let fine = (url.starts_with("https://") || url.starts_with("http://"))
        && url.len() <= URL_MAX
        && url.bytes().all(|byte| byte.is_ascii_graphic());
    let problem = || invalid("/top_up_url", "must be an http or https URL");
    fine.then_some(()).ok_or_else(problem)
}

/// What holds for wallets that don't say otherwise.
fn check_wallets(settings: &Settings) -> Result<(), Refusal> {
    let ttl_ms = settings.unpaid_lot_ttl_ms;
    within("/unpaid_lot_ttl_ms", ttl_ms, SECOND_MS, 366 * DAY_MS)?;
    if let Some(alerts) = &settings.default_alerts {
        alerts.check("/default_alerts", CODE)?;
    }
    bonus::check(&settings.bonus_slabs, "/bonus_slabs", CODE)?;
    within(
        "/auto_topup_cooldown_ms",
        settings.auto_topup_cooldown_ms,
        auto_top_up::COOLDOWN_MIN_MS,
        auto_top_up::COOLDOWN_MAX_MS,
    )?;
    let (per_day, per_month) = (
        u64::from(settings.auto_topups_per_day_max),
        u64::from(settings.auto_topups_per_month_max),
    );
    let (day_max, month_max) = (auto_top_up::PER_DAY_MAX, auto_top_up::PER_MONTH_MAX);
    within("/auto_topups_per_day_max", per_day, 0, day_max.into())?;
    within("/auto_topups_per_month_max", per_month, 0, month_max.into())
}

/// Each relation is told at the setting that hangs on the other.
fn check_relations(settings: &Settings) -> Result<(), Refusal> {
    let timing = &settings.timing;
    let use_by_ms = timing.use_by_ms;
    // A lease is renewed by reports: some may be lost before it runs out.
    if timing.sync_ms > use_by_ms / 4 {
        let problem = format!(
            "must be at most a quarter of use_by_ms ({use_by_ms}), is {}",
            timing.sync_ms
        );
        return Err(invalid("/sync_ms", problem));
    }
    // Who waits is given credit that may be used at once.
    if timing.wait_ms > use_by_ms {
        let problem = format!(
            "must be at most use_by_ms ({use_by_ms}), is {}",
            timing.wait_ms
        );
        return Err(invalid("/wait_ms", problem));
    }
    // An instance whose poll is being held must not be taken for silent.
    if settings.silent_after_ms < use_by_ms {
        let problem = format!(
            "must be at least use_by_ms ({use_by_ms}), is {}",
            settings.silent_after_ms
        );
        return Err(invalid("/silent_after_ms", problem));
    }
    Ok(())
}
