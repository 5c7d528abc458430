//! Settings on the wire.

use creditgate_core::amount::Amount;
use creditgate_core::protocol::Timing;
use creditgate_ledger::Settings;
use creditgate_ledger::registry::QuarantinePolicy;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::bonus_slabs::{BonusSlabBody, BonusSlabView, slabs};
use crate::command::SettingsChange;
use crate::http::admin::wallets::alerts::{AlertSettingsBody, AlertSettingsView};
use crate::http::input::{Lower, given};
use crate::problem::Problem;

/// The installation's settings. Durations in milliseconds.
#[derive(Serialize, ToSchema)]
#[schema(as = Settings)]
pub(super) struct SettingsView {
    /// How long a gateway may spend from a lease after it last heard of us.
    use_by_ms: u64,
    /// How often a busy account is reported.
    sync_ms: u64,
    /// After how long without use a gateway gives credit back.
    idle_ms: u64,
    /// How long a request waits for credit that is being recalled.
    wait_ms: u64,
    /// The longest a stream may last; must be the proxy's own limit.
    max_stream_ms: u64,
    /// When an instance that does not speak counts as silent: its leases are quarantined.
    silent_after_ms: u64,
    /// What becomes of quarantined credit without an operator's word: `hold`, `release` or `consume`.
    #[schema(value_type = String)]
    quarantine_policy: QuarantinePolicy,
    /// When the policy acts.
    quarantine_policy_after_ms: u64,
    /// For how many seconds of use a lease is filled.
    refill_seconds: u32,
    /// How far the use of a lease may exceed what was lent before its instance is frozen,
    /// in smallest units of the currency.
    #[schema(value_type = String)]
    overrun_max: Amount,
    /// How much an instance may spend of each account beyond what it was lent while it can't
    /// reach us, where rule or customer say `allow`; in smallest units of the currency.
    #[schema(value_type = String)]
    offline_allowance: Amount,
    /// Whoever has less left is told so in responses (`x-credit-warning`); in smallest units of
    /// the currency.
    #[schema(value_type = String)]
    warn_below: Amount,
    /// How long a gateway may believe that a key is unknown.
    unknown_key_ttl_ms: u64,
    /// Where customers buy credit; shown in refusals.
    top_up_url: Option<String>,
    /// Purchases by invoice can be spent at once: payment is authorised before.
    auto_complete_purchased_credit_transaction: bool,
    /// A lot that is not paid for so long is voided.
    unpaid_lot_ttl_ms: u64,
    /// Alerts of wallets that have none of their own.
    default_alerts: Option<AlertSettingsView>,
    /// What comes on top of purchases, by rising size.
    bonus_slabs: Vec<BonusSlabView>,
    /// At least so long between two auto top-ups of a wallet, unless it says otherwise.
    auto_topup_cooldown_ms: u64,
    /// Most auto top-ups of a wallet in a day, unless it says otherwise.
    auto_topups_per_day_max: u32,
    /// Most auto top-ups of a wallet in a month, unless it says otherwise.
    auto_topups_per_month_max: u32,
}

impl SettingsView {
    pub(super) fn of(settings: &Settings) -> Self {
        let Timing {
            use_by_ms,
            sync_ms,
            idle_ms,
            wait_ms,
            max_stream_ms,
        } = settings.timing;
        Self {
            use_by_ms,
            sync_ms,
            idle_ms,
            wait_ms,
            max_stream_ms,
            silent_after_ms: settings.silent_after_ms,
            quarantine_policy: settings.quarantine_policy,
            quarantine_policy_after_ms: settings.quarantine_policy_after_ms,
            refill_seconds: settings.refill_seconds,
            overrun_max: settings.overrun_max,
            offline_allowance: settings.offline_allowance,
            warn_below: settings.warn_below,
            unknown_key_ttl_ms: settings.unknown_key_ttl_ms,
            top_up_url: settings.top_up_url.clone(),
            auto_complete_purchased_credit_transaction: settings
                .auto_complete_purchased_credit_transaction,
            unpaid_lot_ttl_ms: settings.unpaid_lot_ttl_ms,
            default_alerts: settings.default_alerts.as_ref().map(AlertSettingsView::of),
            bonus_slabs: settings.bonus_slabs.iter().map(BonusSlabView::of).collect(),
            auto_topup_cooldown_ms: settings.auto_topup_cooldown_ms,
            auto_topups_per_day_max: settings.auto_topups_per_day_max,
            auto_topups_per_month_max: settings.auto_topups_per_month_max,
        }
    }
}

/// Settings as they are to be; see [`SettingsView`].
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SettingsBody {
    /// 200 to 1 day.
    #[serde(default, deserialize_with = "given")]
    #[schema(minimum = 200, maximum = 86_400_000)]
    use_by_ms: Option<u64>,
    /// 10 to 1 minute, at most a quarter of `use_by_ms`.
    #[serde(default, deserialize_with = "given")]
    #[schema(minimum = 10, maximum = 60_000)]
    sync_ms: Option<u64>,
    /// 10 to 1 hour.
    #[serde(default, deserialize_with = "given")]
    #[schema(minimum = 10, maximum = 3_600_000)]
    idle_ms: Option<u64>,
    /// 10 to 1 minute, at most `use_by_ms`.
    #[serde(default, deserialize_with = "given")]
    #[schema(minimum = 10, maximum = 60_000)]
    wait_ms: Option<u64>,
    /// 100 to 1 day.
    #[serde(default, deserialize_with = "given")]
    #[schema(minimum = 100, maximum = 86_400_000)]
    max_stream_ms: Option<u64>,
    /// `use_by_ms` to 7 days.
    #[serde(default, deserialize_with = "given")]
    #[schema(minimum = 200, maximum = 604_800_000)]
    silent_after_ms: Option<u64>,
    /// `hold`, `release` or `consume`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    quarantine_policy: Option<Lower<QuarantinePolicy>>,
    /// 1 second to 1 year.
    #[serde(default, deserialize_with = "given")]
    #[schema(minimum = 1_000, maximum = 31_622_400_000_i64)]
    quarantine_policy_after_ms: Option<u64>,
    /// 1 to 60.
    #[serde(default, deserialize_with = "given")]
    #[schema(minimum = 1, maximum = 60)]
    refill_seconds: Option<u32>,
    /// 0 to 10^15 smallest units of the currency.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    overrun_max: Option<Amount>,
    /// 0 to 10^15 smallest units of the currency.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    offline_allowance: Option<Amount>,
    /// 0 to 10^15 smallest units of the currency; 0 warns nobody.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    warn_below: Option<Amount>,
    /// 0 to 1 hour.
    #[serde(default, deserialize_with = "given")]
    #[schema(minimum = 0, maximum = 3_600_000)]
    unknown_key_ttl_ms: Option<u64>,
    /// An http or https URL; null for none.
    #[serde(default, deserialize_with = "given")]
    #[schema(max_length = 2_000)]
    top_up_url: Option<Option<String>>,
    /// Whether purchases by invoice can be spent at once.
    #[serde(default, deserialize_with = "given")]
    auto_complete_purchased_credit_transaction: Option<bool>,
    /// 1 second to 1 year.
    #[serde(default, deserialize_with = "given")]
    #[schema(minimum = 1_000, maximum = 31_622_400_000_i64)]
    unpaid_lot_ttl_ms: Option<u64>,
    /// Replaced as a whole; null for none.
    #[serde(default, deserialize_with = "given")]
    default_alerts: Option<Option<AlertSettingsBody>>,
    /// Replaced as a whole: at most 20, by rising `from`.
    #[serde(default, deserialize_with = "given")]
    #[schema(max_items = 20)]
    bonus_slabs: Option<Vec<BonusSlabBody>>,
    /// 1 second to 31 days.
    #[serde(default, deserialize_with = "given")]
    #[schema(minimum = 1_000, maximum = 2_678_400_000_i64)]
    auto_topup_cooldown_ms: Option<u64>,
    /// 0 to 1000; 0 stops auto top-ups of all wallets that don't say otherwise.
    #[serde(default, deserialize_with = "given")]
    #[schema(minimum = 0, maximum = 1_000)]
    auto_topups_per_day_max: Option<u32>,
    /// 0 to 10000.
    #[serde(default, deserialize_with = "given")]
    #[schema(minimum = 0, maximum = 10_000)]
    auto_topups_per_month_max: Option<u32>,
}

impl SettingsBody {
    /// What is given, for the writer to merge and check.
    pub(super) fn change(self) -> Result<SettingsChange, Problem> {
        Ok(SettingsChange {
            use_by_ms: self.use_by_ms,
            sync_ms: self.sync_ms,
            idle_ms: self.idle_ms,
            wait_ms: self.wait_ms,
            max_stream_ms: self.max_stream_ms,
            silent_after_ms: self.silent_after_ms,
            quarantine_policy: self.quarantine_policy.map(|policy| policy.0),
            quarantine_policy_after_ms: self.quarantine_policy_after_ms,
            refill_seconds: self.refill_seconds,
            overrun_max: self.overrun_max,
            offline_allowance: self.offline_allowance,
            warn_below: self.warn_below,
            unknown_key_ttl_ms: self.unknown_key_ttl_ms,
            top_up_url: self.top_up_url,
            auto_complete_purchased_credit_transaction: self
                .auto_complete_purchased_credit_transaction,
            unpaid_lot_ttl_ms: self.unpaid_lot_ttl_ms,
            default_alerts: self
                .default_alerts
                .map(|alerts| alerts.map(AlertSettingsBody::settings)),
            bonus_slabs: self.bonus_slabs.map(slabs).transpose()?,
            auto_topup_cooldown_ms: self.auto_topup_cooldown_ms,
            auto_topups_per_day_max: self.auto_topups_per_day_max,
            auto_topups_per_month_max: self.auto_topups_per_month_max,
        })
    }
}
