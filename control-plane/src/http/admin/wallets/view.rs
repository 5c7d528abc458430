//! Wallets as clients read them.

use std::collections::BTreeMap;

use creditgate_ledger::{Book, Timestamp, Wallet, WalletStatus, WalletType, balance, credit_limit};
use serde::Serialize;
use utoipa::ToSchema;

use super::alerts::AlertSettingsView;
use super::auto_topup::{AutoTopupStateView, AutoTopupView};
use crate::command::{Outcome, WalletNow, WalletOutcome};
use crate::http::admin::instant;
use crate::http::money::decimal;

/// A customer's purse in one currency.
#[derive(Serialize, ToSchema)]
#[schema(as = Wallet)]
pub(crate) struct WalletView {
    /// The id, `wal_…`.
    id: String,
    /// The operator's name.
    external_id: Option<String>,
    /// Whose.
    customer_id: String,
    /// The account that gateways see; wallets of one customer, currency and set of rules share it.
    account_id: String,
    /// The rules of the rate card it is limited to; if there are none, it pays for all requests.
    rules: Vec<String>,
    /// For people.
    name: Option<String>,
    /// What it counts in.
    currency: String,
    /// What can be spent, now, in the currency: available + lent + held, credit limit included.
    balance: String,
    /// The same in credits: balance ÷ conversion rate.
    credit_balance: String,
    /// `active`, `frozen` or `closed`.
    #[schema(value_type = String)]
    wallet_status: WalletStatus,
    /// `PRE_PAID` or `POST_PAID`.
    #[schema(value_type = String)]
    wallet_type: WalletType,
    /// Wallets of an account burn by this, smaller first, none last; those that have the same
    /// burn together.
    priority: Option<i32>,
    /// How far a post-paid wallet may be overdrawn, in credits.
    credit_limit: Option<String>,
    /// What is used of the credit limit and not repaid, in the currency.
    owed: Option<String>,
    /// Amount per credit; fixed for the wallet's life.
    conversion_rate: String,
    /// Money paid per credit; only the cost of lots depends on it, never a balance.
    topup_conversion_rate: String,
    /// How it fills itself, as it was set.
    auto_topup: Option<AutoTopupView>,
    /// How that went so far.
    auto_topup_state: AutoTopupStateView,
    /// When its balance is told, as it was set; null: as the settings' default says.
    alert_settings: Option<AlertSettingsView>,
    /// `ok`, `info`, `warning` or `in_alarm`: the most severe level that is crossed.
    alert_state: String,
    /// How often the alert state changed; the number of the last `wallet.alert` event.
    alert_sequence: u64,
    /// The operator's own data.
    metadata: BTreeMap<String, String>,
    /// When it was made.
    created_at: String,
    /// When it was closed.
    closed_at: Option<String>,
}

impl WalletView {
    pub(crate) fn of(now: &WalletNow) -> Self {
        let (wallet, account) = (&now.wallet, &now.account);
        let scale = account.scale;
        let is_post_paid = wallet.wallet_type == WalletType::PostPaid;
        let in_credits = |amount| wallet.conversion_rate.credits(amount, scale);
        Self {
            id: wallet.id.to_string(),
            external_id: wallet.external_id.clone(),
            customer_id: wallet.customer.to_string(),
            account_id: wallet.account.to_string(),
            rules: account.scope.rules.iter().cloned().collect(),
            name: wallet.name.clone(),
            currency: wallet.currency.to_string(),
            balance: decimal(now.balance, scale),
            credit_balance: in_credits(now.balance),
            wallet_status: wallet.status,
            wallet_type: wallet.wallet_type,
            priority: wallet.priority,
            credit_limit: is_post_paid.then(|| in_credits(wallet.credit_limit)),
            owed: is_post_paid.then(|| decimal(now.owed, scale)),
            conversion_rate: wallet.conversion_rate.as_str().to_owned(),
            topup_conversion_rate: wallet.topup_conversion_rate.as_str().to_owned(),
            auto_topup: wallet.auto_topup.as_ref().map(AutoTopupView::of),
            auto_topup_state: AutoTopupStateView::of(wallet, (now.time_zone.as_str(), now.at)),
            alert_settings: wallet.alert_settings.as_ref().map(AlertSettingsView::of),
            alert_state: wallet.alert_state.level.as_str().to_owned(),
            alert_sequence: wallet.alert_state.sequence,
            metadata: wallet.metadata.clone(),
            created_at: wallet.created_at.to_string(),
            closed_at: instant(wallet.closed_at),
        }
    }

    /// None if the wallet has lost its account, as `creditgate verify` finds.
    pub(crate) fn in_book(book: &Book, wallet: &Wallet, clock: Timestamp) -> Option<Self> {
        let at = book.instant(clock);
        let parts = balance::parts(book, wallet.account, Some(wallet.id), at);
        Some(Self::of(&WalletNow {
            wallet: wallet.clone(),
            account: book.account(wallet.account)?.clone(),
            balance: parts.balance(),
            owed: credit_limit::owed(book, wallet.id),
            time_zone: book.customer.time_zone.clone(),
            at,
        }))
    }

    pub(crate) fn shown(outcome: &Outcome) -> Option<Self> {
        let Outcome::Wallet(outcome) = outcome else {
            return None;
        };
        match &**outcome {
            WalletOutcome::Wallet(now) => Some(Self::of(now)),
            _ => None,
        }
    }
}
