//! Auto top-up: a wallet that fills itself when its balance falls to a threshold.

use serde::{Deserialize, Serialize};

use crate::credits::Credits;
use crate::id::LotId;
use crate::time::Timestamp;

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
    /// The reasons that were told of the present crossing, since its last answer.
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
    AmountTooSmall,
}
