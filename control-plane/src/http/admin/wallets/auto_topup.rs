//! Auto top-up on the wire: the terms of a wallet, and how it went so far.

use creditgate_ledger::auto_top_up::{AutoTopUp, Fill, bounds};
use creditgate_ledger::{Timestamp, Wallet};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::input::CreditsText;
use crate::problem::Problem;

/// How a wallet fills itself. Amounts in credits of the wallet.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAutoTopup)]
pub(crate) struct AutoTopupBody {
    /// Whether it acts; true if absent.
    enabled: Option<bool>,
    /// It acts when the balance falls to this or below. A number or a decimal string.
    #[schema(value_type = String, example = "181.8940595834384")]
    threshold: CreditsText,
    /// How much it adds. Either this or `target`.
    #[schema(value_type = Option<String>, example = "7954.136132619662")]
    amount: Option<CreditsText>,
    /// The balance it fills up to; more than the threshold.
    #[schema(value_type = Option<String>)]
    target: Option<CreditsText>,
    /// Whether an invoice comes first: then the credit is pending until it is paid. False if absent.
    invoicing: Option<bool>,
    /// At least so many milliseconds between two, 1000 to 31 days; if absent, as the settings say.
    #[schema(minimum = 1_000, maximum = 2_678_400_000_i64)]
    cooldown_ms: Option<u64>,
    /// Most in a day of the customer's time zone, 1 to 1000; if absent, as the settings say.
    #[schema(minimum = 1, maximum = 1_000)]
    max_per_day: Option<u32>,
    /// Most in a month of the customer's time zone, 1 to 10000; if absent, as the settings say.
    #[schema(minimum = 1, maximum = 10_000)]
    max_per_month: Option<u32>,
}

impl AutoTopupBody {
    /// As the ledger has them; not checked yet.
    pub(crate) fn terms(self) -> Result<AutoTopUp, Problem> {
        let fill = match (self.amount, self.target) {
            (Some(amount), None) => Fill::Amount(amount.0),
            (None, Some(target)) => Fill::Target(target.0),
            (amount, _) => {
                let problem = "must have either an amount or a target";
                let at = amount.map_or("/auto_topup", |_| "/auto_topup/target");
                return Err(Problem::new("auto_topup_invalid", problem).at(at));
            }
        };
        Ok(AutoTopUp {
            enabled: self.enabled.unwrap_or(true),
            threshold: self.threshold.0,
            fill,
            invoicing: self.invoicing.unwrap_or(false),
            cooldown_ms: self.cooldown_ms,
            per_day_max: self.max_per_day,
            per_month_max: self.max_per_month,
        })
    }
}

/// How a wallet fills itself, as it was set.
#[derive(Serialize, ToSchema)]
#[schema(as = AutoTopup)]
pub(crate) struct AutoTopupView {
    /// Whether it acts.
    enabled: bool,
    /// It acts when the balance falls to this or below, in credits.
    threshold: String,
    /// How much it adds, in credits.
    amount: Option<String>,
    /// The balance it fills up to, in credits.
    target: Option<String>,
    /// Whether an invoice comes first.
    invoicing: bool,
    /// At least so many milliseconds between two; null: as the settings say.
    cooldown_ms: Option<u64>,
    /// Most in a day; null: as the settings say.
    max_per_day: Option<u32>,
    /// Most in a month; null: as the settings say.
    max_per_month: Option<u32>,
}

impl AutoTopupView {
    /// As they were set.
    pub(crate) fn of(terms: &AutoTopUp) -> Self {
        let (amount, target) = match &terms.fill {
            Fill::Amount(credits) => (Some(credits.to_string()), None),
            Fill::Target(credits) => (None, Some(credits.to_string())),
        };
        Self {
            enabled: terms.enabled,
            threshold: terms.threshold.to_string(),
            amount,
            target,
            invoicing: terms.invoicing,
            cooldown_ms: terms.cooldown_ms,
            max_per_day: terms.per_day_max,
            max_per_month: terms.per_month_max,
        }
    }
}

/// How auto top-up went so far.
#[derive(Serialize, ToSchema)]
#[schema(as = AutoTopupState)]
pub(crate) struct AutoTopupStateView {
    /// When the last one was made.
    last_at: Option<String>,
    /// How many were made today, as the customer's time zone has it.
    in_day: u32,
    /// How many were made this month.
    in_month: u32,
    /// Why none is made although the balance is at the threshold or below: `cooldown`,
    /// `daily_cap`, `monthly_cap`, `payment_pending`, `wallet_frozen`, `wallet_closed`,
    /// `customer_suspended`, `lots_max`, `amount_overflow` or `too_small`.
    refused: Option<String>,
    /// When it is tried again by itself; null: at the next change of the balance or the wallet.
    retry_at: Option<String>,
    /// The lot that waits for its payment.
    pending_lot_id: Option<String>,
}

impl AutoTopupStateView {
    /// As of an instant, in the customer's time zone.
    pub(crate) fn of(wallet: &Wallet, (zone, now): (&str, Timestamp)) -> Self {
        let state = &wallet.auto_topup_state;
        let (in_day, in_month) = bounds::made_by_now(wallet, zone, now);
        Self {
            last_at: state.last_at.map(|at| at.to_string()),
            in_day,
            in_month,
            refused: state.refused.map(|refused| refused.as_str().to_owned()),
            retry_at: state.retry_at.map(|at| at.to_string()),
            pending_lot_id: state.pending.map(|lot| lot.to_string()),
        }
    }
}
