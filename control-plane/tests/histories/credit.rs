//! Acts on wallets. They go by name, so that one may be made and used in one batch.

use creditgate::command::{
    ChangeWallet, Command, CreateWallet, HowMuch, TopUpCommand, WalletCommand,
};
use creditgate::storage::Target;
use creditgate_core::amount::{Currency, Scale};
use creditgate_ledger::alert::{AlertCondition, AlertSettings, AlertThreshold};
use creditgate_ledger::auto_top_up::{AutoTopUp, Fill};
use creditgate_ledger::{Credits, ReasonCode, Timestamp, WalletStatus, WalletType};
use proptest::option::of;
use proptest::prelude::*;

use crate::history::CUSTOMERS;

#[derive(Debug, Clone)]
pub(crate) enum CreditAct {
    Open {
        rules: Option<bool>,
        priority: Option<i32>,
        limit: Option<u32>,
        watched: bool,
        fills: Option<bool>,
    },
    Change {
        priority: Option<i32>,
        limit: Option<u32>,
        watched: Option<bool>,
        fills: Option<Option<bool>>,
    },
    Close {
        to: Option<u8>,
    },
    TopUp {
        units: u32,
        reason: ReasonCode,
        named: Option<u8>,
        bonus: Option<u32>,
        priority: Option<i32>,
        starts_ms: Option<u64>,
        lives_ms: Option<u64>,
    },
    Freeze {
        frozen: bool,
    },
    Debit {
        units: u32,
        lot: Option<u8>,
    },
    Adjust {
        units: i32,
    },
    Transfer {
        units: u32,
        to: u8,
    },
}

impl CreditAct {
    /// Opens a wallet like most.
    pub(crate) const fn plain() -> Self {
        Self::Open {
            rules: None,
            priority: None,
            limit: None,
            watched: true,
            fills: None,
        }
    }
}

pub(crate) fn credit_act() -> impl Strategy<Value = CreditAct> {
    let ms = || of(1_u64..40_000);
    let priority = || of(-2_i32..3);
    prop_oneof![
        2 => (of(any::<bool>()), priority(), of(0_u32..60), any::<bool>(), of(any::<bool>()))
            .prop_map(|(rules, priority, limit, watched, fills)| CreditAct::Open { rules, priority, limit, watched, fills }),
        1 => (priority(), of(0_u32..60), of(any::<bool>()), of(of(any::<bool>())))
            .prop_map(|(priority, limit, watched, fills)| CreditAct::Change { priority, limit, watched, fills }),
        1 => of(0_u8..6).prop_map(|to| CreditAct::Close { to }),
        8 => (1_u32..100, reason(), of(0_u8..4), of(0_u32..20), priority(), ms(), ms()).prop_map(
            |(units, reason, named, bonus, priority, starts_ms, lives_ms)| CreditAct::TopUp {
                units, reason, named, bonus, priority, starts_ms, lives_ms,
            }
        ),
        1 => any::<bool>().prop_map(|frozen| CreditAct::Freeze { frozen }),
        3 => (1_u32..60, of(0_u8..4)).prop_map(|(units, lot)| CreditAct::Debit { units, lot }),
        1 => (-30_i32..30).prop_map(|units| CreditAct::Adjust { units }),
        3 => (1_u32..60, 0_u8..6).prop_map(|(units, to)| CreditAct::Transfer { units, to }),
    ]
}

/// Why credit is added.
fn reason() -> impl Strategy<Value = ReasonCode> {
    prop_oneof![
        6 => Just(ReasonCode::PurchasedCreditInvoiced),
        6 => Just(ReasonCode::PurchasedCreditDirect),
        1 => Just(ReasonCode::FreeCreditGrant),
        1 => Just(ReasonCode::CreditNote),
        1 => Just(ReasonCode::InvoiceVoidRefund),
    ]
}

fn named(wallet: u8) -> Target {
    Target::WalletName(format!("wallet {wallet}"))
}

fn credits(units: u32) -> Credits {
    Credits::parse(&units.to_string(), Scale::MAX).unwrap()
}

fn how_much(units: impl ToString) -> HowMuch {
    HowMuch::Credits(units.to_string())
}

/// The command of an act on the wallet of this number.
pub(crate) fn credit_command(wallet: u8, act: CreditAct, now: Timestamp) -> Command {
    let of = named(wallet);
    let why = || "chance".to_owned();
    let command = match act {
        CreditAct::Open { .. } => return open(wallet, act),
        CreditAct::TopUp { .. } => return top_up(of, act, now),
        CreditAct::Change {
            priority,
            limit,
            watched,
            fills,
        } => WalletCommand::Change(Box::new(ChangeWallet {
            wallet: of,
            name: None,
            priority: Some(priority),
            credit_limit: limit.map(|limit| limit.to_string()),
            auto_topup: fills.map(|fills| fills.map(auto_topup)),
            alert_settings: watched.map(|watched| watched.then(alerts)),
            metadata: None,
            reason: None,
        })),
        CreditAct::Close { to } => WalletCommand::Close {
            wallet: of,
            transfer_to: to.map(named),
            reason: why(),
        },
        CreditAct::Freeze { frozen } => WalletCommand::SetStatus {
            wallet: of,
            status: if frozen {
                WalletStatus::Frozen
            } else {
                WalletStatus::Active
            },
            reason: None,
        },
        CreditAct::Debit { units, lot } => WalletCommand::Debit {
            wallet: of,
            value: how_much(units),
            lot: lot.map(|lot| Target::LotName(format!("lot {lot}"))),
            reason_code: if units % 4 == 0 {
                ReasonCode::InvoicePayment
            } else {
                ReasonCode::ManualBalanceDebit
            },
            reason: why(),
        },
        CreditAct::Adjust { units } => WalletCommand::Adjust {
            wallet: of,
            value: how_much(units),
            reason: why(),
        },
        CreditAct::Transfer { units, to } => WalletCommand::Transfer {
            wallet: of,
            to: named(to),
            value: how_much(units),
            reason: why(),
        },
    };
    command.into()
}

fn open(wallet: u8, act: CreditAct) -> Command {
    let CreditAct::Open {
        rules,
        priority,
        limit,
        watched,
        fills,
    } = act
    else {
        panic!("{act:?}")
    };
    let customer = CUSTOMERS[usize::from(wallet) % CUSTOMERS.len()];
    let customer = Target::ExternalId(customer.to_owned());
    let rules = rules.map(|chat| if chat { "chat" } else { "batch" });
    let new = CreateWallet {
        external_id: Some(format!("wallet {wallet}")),
        priority,
        rules: rules.into_iter().map(str::to_owned).collect(),
        wallet_type: limit.map_or(WalletType::PrePaid, |_| WalletType::PostPaid),
        credit_limit: limit.map(|limit| limit.to_string()),
        alert_settings: watched.then(alerts),
        auto_topup: fills.map(auto_topup),
        ..CreateWallet::plain(customer, Currency::new("usd").unwrap())
    };
    WalletCommand::Create(Box::new(new)).into()
}

fn top_up(of: Target, act: CreditAct, now: Timestamp) -> Command {
    let CreditAct::TopUp {
        units,
        reason,
        named,
        bonus,
        priority,
        starts_ms,
        lives_ms,
    } = act
    else {
        panic!("{act:?}")
    };
    let effective_at = starts_ms.map(|ms| now.plus_ms(ms));
    let from = effective_at.unwrap_or(now);
    let top_up = TopUpCommand {
        external_id: named.map(|lot| format!("lot {lot}")),
        bonus_credits: bonus.map(|bonus| bonus.to_string()),
        priority,
        effective_at,
        expires_at: lives_ms.map(|ms| from.plus_ms(ms)),
        ..TopUpCommand::new(of, how_much(units), reason)
    };
    WalletCommand::TopUp(Box::new(top_up)).into()
}

fn alerts() -> AlertSettings {
    let below = |units: u32| {
        Some(AlertThreshold {
            threshold: credits(units),
            condition: AlertCondition::Below,
            hysteresis: Some(credits(5)),
        })
    };
    AlertSettings {
        enabled: true,
        info: None,
        warning: below(40),
        critical: below(10),
    }
}

fn auto_topup(invoicing: bool) -> AutoTopUp {
    AutoTopUp {
        enabled: true,
        threshold: credits(5),
        fill: Fill::Target(credits(30)),
        invoicing,
        cooldown_ms: Some(2_000),
        per_day_max: Some(3),
        per_month_max: None,
    }
}
