//! Lots as clients read them.

use std::collections::BTreeMap;

use creditgate_core::amount::Scale;
use creditgate_ledger::burn_order::LotStatus;
use creditgate_ledger::{CostBasis, Lot, LotKind, LotSource, ReasonCode, Timestamp, Wallet};
use serde::Serialize;
use utoipa::ToSchema;

use crate::command::{LotNow, Outcome, WalletOutcome};
use crate::http::admin::instant;
use crate::http::money::decimal;

/// One dated block of credit.
/// `amount` = `unpaid` + `free` + `out` + `spent` + `expired` + `withdrawn`.
#[derive(Serialize, ToSchema)]
#[schema(as = Lot)]
pub(crate) struct LotView {
    /// The id, `lot_…`.
    id: String,
    /// The operator's name.
    external_id: Option<String>,
    /// In which wallet.
    wallet_id: String,
    /// What kind of credit.
    #[schema(value_type = String)]
    kind: LotKind,
    /// Why it exists, for revenue recognition.
    #[schema(value_type = String)]
    reason_code: ReasonCode,
    /// Where it comes from.
    source: SourceView,
    /// Smaller burns first; none burns last.
    priority: Option<i32>,
    /// `pending` (not effective, or not paid, yet), `active`, `depleted`, `expired` or `voided`.
    #[schema(value_type = String)]
    status: LotStatus,
    /// What it counts in.
    currency: String,
    /// All of it.
    amount: String,
    /// All of it, in credits of the wallet.
    credits: String,
    /// Not paid yet: all of it, or nothing. In no balance.
    unpaid: String,
    /// Neither lent nor gone.
    free: String,
    /// At gateways, or quarantined.
    out: String,
    /// Used, or taken to repay what was owed.
    spent: String,
    /// Unused at its expiry.
    expired: String,
    /// Voided, debited, or transferred.
    withdrawn: String,
    /// What was, or is to be, paid for it.
    cost: Option<CostView>,
    /// It can be spent from then.
    effective_at: String,
    /// It can't be spent from then on.
    expires_at: Option<String>,
    /// It is voided then if it is not paid until then.
    lapses_at: Option<String>,
    /// When it was made.
    created_at: String,
    /// When it was voided.
    voided_at: Option<String>,
    /// What the operator said of it.
    description: Option<String>,
    /// The operator's own data.
    metadata: BTreeMap<String, String>,
    /// In the answer to a top-up: the lot that came on top of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    bonus_lot_id: Option<String>,
}

/// Where a lot comes from.
#[derive(Serialize, ToSchema)]
#[schema(as = LotSource)]
struct SourceView {
    /// `top_up`, `auto_top_up`, `bonus`, `credit_grant`, `transfer` or `credit_limit`.
    r#type: &'static str,
    /// The purchase that it is a bonus of, or the lot that it was transferred from.
    #[serde(skip_serializing_if = "Option::is_none")]
    lot_id: Option<String>,
    /// The grant that was applied, also if the credit was transferred since.
    #[serde(skip_serializing_if = "Option::is_none")]
    credit_grant_id: Option<String>,
    /// Which application of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    application_id: Option<String>,
    /// For which subscription.
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription_id: Option<String>,
}

/// Money for a lot.
#[derive(Serialize, ToSchema)]
#[schema(as = LotCost)]
struct CostView {
    /// What money.
    currency: String,
    /// How much, without tax.
    received: String,
    /// Tax on it.
    tax: String,
    /// The operator's name for the payment.
    reference: Option<String>,
}

impl SourceView {
    fn of(source: LotSource) -> Self {
        let by = source.granted_by();
        let subscription = by.and_then(|by| by.subscription);
        let plain = |r#type| Self {
            r#type,
            lot_id: None,
            credit_grant_id: by.map(|by| by.grant.to_string()),
            application_id: by.map(|by| by.application.to_string()),
            subscription_id: subscription.map(|subscription| subscription.to_string()),
        };
        match source {
            LotSource::TopUp => plain("top_up"),
            LotSource::AutoTopUp => plain("auto_top_up"),
            LotSource::CreditLimit => plain("credit_limit"),
            LotSource::Bonus(lot) => Self {
                lot_id: Some(lot.to_string()),
                ..plain("bonus")
            },
            LotSource::Transfer { lot, .. } => Self {
                lot_id: Some(lot.to_string()),
                ..plain("transfer")
            },
            LotSource::Application(_) => plain("credit_grant"),
        }
    }
}

impl CostView {
    fn of(cost: &CostBasis) -> Self {
        Self {
            currency: cost.currency.to_string(),
            received: cost.received.clone(),
            tax: cost.tax.clone(),
            reference: cost.reference.clone(),
        }
    }
}

impl LotView {
    pub(crate) fn of(lot: &Lot, wallet: &Wallet, scale: Scale, now: Timestamp) -> Self {
        let amount = |amount| decimal(amount, scale);
        Self {
            id: lot.id.to_string(),
            external_id: lot.external_id.clone(),
            wallet_id: lot.wallet.to_string(),
            kind: lot.kind,
            reason_code: lot.reason,
            source: SourceView::of(lot.source),
            priority: lot.priority,
            status: lot.status(now),
            currency: wallet.currency.to_string(),
            amount: amount(lot.amount),
            credits: wallet.conversion_rate.credits(lot.amount, scale),
            unpaid: amount(lot.unpaid),
            free: amount(lot.free),
            out: amount(lot.pinned),
            spent: amount(lot.spent),
            expired: amount(lot.expired),
            withdrawn: amount(lot.withdrawn),
            cost: lot.cost.as_ref().map(CostView::of),
            effective_at: lot.effective_at.to_string(),
            expires_at: instant(lot.expires_at),
            lapses_at: instant(lot.lapses_at),
            created_at: lot.created_at.to_string(),
            voided_at: instant(lot.voided_at),
            description: lot.description.clone(),
            metadata: lot.metadata.clone(),
            bonus_lot_id: None,
        }
    }

    /// A lot right after a command.
    pub(crate) fn now(now: &LotNow) -> Self {
        let bonus = now.bonus.as_ref();
        Self {
            bonus_lot_id: bonus.map(|bonus| bonus.id.to_string()),
            ..Self::of(&now.lot, &now.wallet, now.account.scale, now.at)
        }
    }

    pub(crate) fn shown(outcome: &Outcome) -> Option<Self> {
        let Outcome::Wallet(outcome) = outcome else {
            return None;
        };
        match &**outcome {
            WalletOutcome::Lot(now) => Some(Self::now(now)),
            _ => None,
        }
    }
}
