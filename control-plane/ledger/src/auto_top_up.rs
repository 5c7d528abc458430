//! Auto top-up: a wallet that fills itself when its balance falls to a threshold.
//!
//! The decision that leaves the balance at the threshold or below, whatever it was about,
//! makes the top-up itself, in the same transaction: see [`answer`]. So two debits at the same
//! time can't both make one. How often is bounded: a cool-down, and so many a day and a month
//! in the customer's zone. What stands against it is kept and told, once for each crossing
//! and reason, and tried again.

use creditgate_core::amount::{Amount, Scale};
use serde::{Deserialize, Serialize};

use crate::credits::{Credits, Rate};
use crate::id::LotId;
use crate::refusal::Refusal;
use crate::time::Timestamp;
use crate::top_up::FUNDED_MAX;
use crate::wallet::Wallet;

pub mod answer;
pub mod bounds;
mod calendar;

/// The shortest cool-down.
pub const COOLDOWN_MIN_MS: u64 = 1_000;

/// The longest cool-down: 31 days.
pub const COOLDOWN_MAX_MS: u64 = 31 * 24 * 60 * 60 * 1_000;

/// Most auto top-ups of a wallet that a day may be allowed.
pub const PER_DAY_MAX: u32 = 1_000;

/// Most auto top-ups of a wallet that a month may be allowed.
pub const PER_MONTH_MAX: u32 = 10_000;

/// The terms. Amounts in credits of the wallet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoTopUp {
    /// Whether it acts.
    pub enabled: bool,
    /// It acts when the balance falls to this or below.
    pub threshold: Credits,
    /// How much it adds.
    pub fill: Fill,
    /// Whether an invoice comes first: then the lot is pending until it is paid.
    pub invoicing: bool,
    /// At least so long between two, in milliseconds; none: as the settings say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooldown_ms: Option<u64>,
    /// Most in a day of the customer's zone; none: as the settings say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_day_max: Option<u32>,
    /// Most in a month of the customer's zone; none: as the settings say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_month_max: Option<u32>,
}

/// How much is added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// Always so much.
    Amount(Credits),
    /// As much as is missing to this balance.
    Target(Credits),
}

/// What happened so far.
///
/// A *crossing* begins when the balance falls to the threshold or below, and lasts until it
/// is above again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AutoTopUpState {
    /// There is a crossing.
    #[serde(default)]
    pub is_crossed: bool,
    /// It was answered by a lot that waits for its payment: nothing more until that is decided.
    #[serde(default)]
    pub is_answered: bool,
    /// When the last one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_at: Option<Timestamp>,
    /// The day of [`Self::in_day`], as the customer's zone names it (`2026-01-31`).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub day: String,
    /// How many were made on that day.
    #[serde(default)]
    pub in_day: u32,
    /// How many were made in that day's month.
    #[serde(default)]
    pub in_month: u32,
    /// The lot that waits for its payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<LotId>,
    /// When the last one that was not paid was voided or lapsed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpaid_at: Option<Timestamp>,
    /// Why the present crossing is not answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<AutoTopUpRefusal>,
    /// The reasons that were told of the present crossing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<AutoTopUpRefusal>,
    /// When the present crossing is looked at again without another debit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
}

/// Why an auto top-up was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoTopUpRefusal {
    /// Too soon after the last one.
    Cooldown,
    /// As many as a day may have were made.
    DailyCap,
    /// As many as a month may have were made.
    MonthlyCap,
    /// The last one is not paid yet.
    PaymentPending,
    /// The wallet is frozen.
    WalletFrozen,
    /// The wallet is closed.
    WalletClosed,
    /// The customer is suspended.
    CustomerSuspended,
    /// The customer has as many lots as can be.
    LotsMax,
    /// The account would hold more than can be counted.
    AmountOverflow,
    /// What would be added is less than the currency's smallest unit.
    TooSmall,
}

impl AutoTopUpRefusal {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cooldown => "cooldown",
            Self::DailyCap => "daily_cap",
            Self::MonthlyCap => "monthly_cap",
            Self::PaymentPending => "payment_pending",
            Self::WalletFrozen => "wallet_frozen",
            Self::WalletClosed => "wallet_closed",
            Self::CustomerSuspended => "customer_suspended",
            Self::LotsMax => "lots_max",
            Self::AmountOverflow => "amount_overflow",
            Self::TooSmall => "too_small",
        }
    }
}

impl Fill {
    /// What is added to a balance, if `owed` of it goes to repay debt at once.
    ///
    /// # Errors
    /// [`Refusal::Overflow`].
    pub fn amount(
        &self,
        balance: Amount,
        owed: Amount,
        rate: &Rate,
        scale: Scale,
    ) -> Result<Amount, Refusal> {
        match self {
            Self::Amount(credits) => credits.amount(rate, scale),
            Self::Target(target) => target
                .amount(rate, scale)?
                .saturating_sub(balance)
                .checked_add(owed)
                .ok_or(Refusal::Overflow),
        }
    }
}

impl AutoTopUp {
    /// Whether the terms are such as a wallet of this rate can keep; `at` is their JSON pointer.
    ///
    /// # Errors
    /// [`Refusal::InvalidAt`] `auto_topup_invalid`, with the place of the fault.
    pub fn check(&self, at: &str, rate: &Rate, scale: Scale) -> Result<(), Refusal> {
        let refuse = |field: &str, problem: String| {
            Err(Refusal::InvalidAt {
                field: format!("{at}/{field}"),
                code: "auto_topup_invalid",
                problem,
            })
        };
        if self.threshold.is_negative() {
            let problem = "must not be negative: no balance is".to_owned();
            return refuse("threshold", problem);
        }
        let (field, credits) = match &self.fill {
            Fill::Amount(credits) => ("amount", credits),
            Fill::Target(credits) => ("target", credits),
        };
        let is_target = matches!(self.fill, Fill::Target(_));
        if is_target && credits.nano() <= self.threshold.nano() {
            return refuse(field, "must be more than the threshold".to_owned());
        }
        match credits.amount(rate, scale) {
            Ok(amount) if amount > FUNDED_MAX => {
                return refuse(field, "is more than a wallet can hold".to_owned());
            }
            Ok(amount) if amount <= Amount::ZERO => {
                let problem = "must be more than zero of the currency's smallest unit".to_owned();
                return refuse(field, problem);
            }
            Ok(_) => {}
            Err(_) => return refuse(field, "is more than a wallet can hold".to_owned()),
        }
        let within = |field, value: Option<u64>, least: u64, most: u64| match value {
            Some(value) if !(least..=most).contains(&value) => {
                refuse(field, format!("must be {least} to {most}, is {value}"))
            }
            _ => Ok(()),
        };
        let (day, month) = (self.per_day_max, self.per_month_max);
        let cooldown = self.cooldown_ms;
        within("cooldown_ms", cooldown, COOLDOWN_MIN_MS, COOLDOWN_MAX_MS)?;
        within("max_per_day", day.map(u64::from), 1, PER_DAY_MAX.into())?;
        let per_month_max = PER_MONTH_MAX.into();
        within("max_per_month", month.map(u64::from), 1, per_month_max)
    }
}

/// Whether the terms, if any, are such as a wallet of this rate can keep.
///
/// # Errors
/// As [`AutoTopUp::check`].
pub fn check(terms: Option<&AutoTopUp>, rate: &Rate, scale: Scale) -> Result<(), Refusal> {
    terms.map_or(Ok(()), |terms| terms.check("/auto_topup", rate, scale))
}

/// Gives a wallet other terms, or none. What stood against the old ones is forgotten, so that a
/// crossing that stands is answered by the new ones; how many there were today is not, nor a
/// lot that waits for its payment, nor what was told of the crossing.
pub(crate) fn set(wallet: &mut Wallet, terms: Option<AutoTopUp>) {
    let state = &mut wallet.auto_topup_state;
    if terms.as_ref().is_some_and(|terms| terms.enabled) {
        state.refused = None;
        state.retry_at = None;
    } else {
        state.end_crossing();
    }
    wallet.auto_topup = terms;
}

impl AutoTopUpState {
    /// The balance is above the threshold again, or there is none any more.
    pub fn end_crossing(&mut self) {
        self.is_crossed = false;
        self.is_answered = false;
        self.refused = None;
        self.told.clear();
        self.retry_at = None;
    }
}
