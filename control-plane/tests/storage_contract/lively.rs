//! A customer to whom everything has happened that makes entries.

use creditgate_core::amount::{Amount, Scale};
use creditgate_core::lease::{Counters, LeaseNumber};
use creditgate_core::protocol::Report;
use creditgate_ledger::alert::{AlertCondition, AlertSettings, AlertThreshold};
use creditgate_ledger::claim::{self, ClaimLots, ClaimPurpose, NewClaim};
use creditgate_ledger::id::InstanceId;
use creditgate_ledger::lease::QuarantineCause;
use creditgate_ledger::report::{self, Reporter};
use creditgate_ledger::top_up::{self, TopUp};
use creditgate_ledger::wallet::{self, NewWallet, WalletChange};
use creditgate_ledger::{
    Credits, ReasonCode, ResolutionKind, Scope, Timestamp, Wallet, WalletStatus, WalletType, lot,
    payment, quarantine,
};

use crate::desk::{Backend, Desk};

pub(crate) const ONE: InstanceId = InstanceId(1);

/// Everything; answers the customer's first wallet.
pub(crate) fn lively<B: Backend>(desk: &mut Desk<B>, name: &str) -> Wallet {
    let wallet = lent_and_used(desk, name);
    orders_changed(desk, &wallet);
    claimed_and_moved(desk, &wallet);
    overdrawn(desk, &wallet);
    wallet
}

/// Top-ups, use, turning, expiry, a void, debt and its repayment, quarantine resolved either
/// way, late reports, alerts.
fn lent_and_used<B: Backend>(desk: &mut Desk<B>, name: &str) -> Wallet {
    desk.registry.settings.overrun_max = Amount::new(1_000_000);
    let wallet = desk.funded(name);
    let customer = wallet.customer;
    let warned = alerts("0.9");
    let change = WalletChange {
        alert_settings: Some(Some(warned)),
        ..WalletChange::default()
    };
    desk.decide(customer, |book, journal, context| {
        wallet::change(book, journal, context, wallet.id, change).unwrap();
    });
    let expiry = desk.now.plus_ms(10_000);
    desk.top_up_dated(&wallet, 300, None, Some(expiry.0));
    let voided = desk.top_up(&wallet, 200);
    let first = desk.lend(&wallet, ONE, 5, 250);
    desk.report(&first, customer, 120, 130, None);
    let silent = desk.lend(&wallet, ONE, 6, 100);
    desk.decide(customer, |book, journal, context| {
        top_up::void(book, journal, context, voided.id, "by mistake").unwrap()
    });
    for (number, kind) in [
        (6_u32, ResolutionKind::Release),
        (7, ResolutionKind::Consume),
        (8, ResolutionKind::Release),
    ] {
        if number > 6 {
            desk.lend(&wallet, InstanceId(number.into()), number.into(), 60);
        }
        let instance = if number > 6 {
            InstanceId(number.into())
        } else {
            ONE
        };
        let lease = desk.lease(&wallet, instance, number.into());
        desk.report(&lease, customer, 10, 0, None);
        desk.decide(customer, |book, journal, context| {
            let place = book.account_place(wallet.account).unwrap();
            let number = LeaseNumber(number.into());
            let lease = book.lease_place(wallet.account, instance, number).unwrap();
            let cause = QuarantineCause::InstanceSilent;
            quarantine::set_aside(book, journal, context, place, lease, cause);
            let id = book.leases[lease].id;
            if number < LeaseNumber(8) {
                quarantine::resolve(book, journal, context, id, kind, "looked at the access log")
                    .unwrap();
            }
        });
        if number < 8 {
            desk.report(&lease, customer, 25, 0, None);
        }
    }
    assert_eq!(silent.number, LeaseNumber(6));
    desk.now = Timestamp(expiry.0 + 1);
    let last = desk.lend(&wallet, InstanceId(9), 9, 30);
    desk.report(&last, customer, 2_000, 0, None);
    assert!(
        !desk.book(customer).accounts[0].balances.owed().is_zero(),
        "something is owed"
    );
    desk.top_up(&wallet, 5_000);
    wallet
}

fn alerts(below: &str) -> AlertSettings {
    let threshold = AlertThreshold {
        threshold: Credits::parse(below, Scale::MAX).unwrap(),
        condition: AlertCondition::Below,
        hysteresis: None,
    };
    AlertSettings {
        enabled: true,
        info: None,
        warning: Some(threshold),
        critical: None,
    }
}

/// Priorities of a lot and of a wallet, a wallet frozen and thawed.
fn orders_changed<B: Backend>(desk: &mut Desk<B>, wallet: &Wallet) {
    let (id, customer) = (wallet.id, wallet.customer);
    let lot = desk.top_up(wallet, 90).id;
    desk.decide(customer, |book, journal, context| {
        lot::set_priority(book, journal, context, lot, Some(-7), Some("it is to go")).unwrap();
        let change = WalletChange {
            priority: Some(Some(2)),
            ..WalletChange::default()
        };
        wallet::change(book, journal, context, id, change).unwrap();
        for status in [WalletStatus::Frozen, WalletStatus::Active] {
            wallet::set_status(book, journal, context, id, status, Some("a look")).unwrap();
        }
    });
}

/// A debit, a transfer to an account of its own and one that waits for a gateway, a lot that was
/// paid and one that was not.
fn claimed_and_moved<B: Backend>(desk: &mut Desk<B>, wallet: &Wallet) {
    let (customer, currency) = (wallet.customer, wallet.currency);
    let limited = desk.decide(customer, |book, journal, context| {
        let new = NewWallet {
            scope: Scope {
                rules: ["chat".to_owned()].into(),
            },
            ..NewWallet::plain(currency, Scale::new(3).unwrap())
        };
        wallet::create(book, journal, context, new).unwrap()
    });
    for (purpose, asked) in [
        (ClaimPurpose::Debit, 70),
        (ClaimPurpose::Transfer { to: limited.id }, 400),
    ] {
        desk.decide(customer, |book, journal, context| {
            let new = new_claim(wallet, purpose, asked);
            claim::open(book, journal, context, new).unwrap()
        });
    }
    let reporter = Reporter {
        instance: ONE,
        barred: None,
    };
    desk.decide(customer, |book, journal, context| {
        let question = Report {
            account: limited.account,
            lease: LeaseNumber(20),
            counters: Counters::default(),
            previous: None,
            need: Amount::new(150),
            wanted: Amount::new(150),
        };
        report::report(book, journal, context, reporter, &question).unwrap();
    });
    let waiting = desk.decide(customer, |book, journal, context| {
        let new = new_claim(&limited, ClaimPurpose::Debit, 300);
        claim::open(book, journal, context, new).unwrap()
    });
    assert!(waiting.is_open() && !waiting.done.is_zero(), "{waiting:?}");
    for is_paid in [true, false] {
        let order = TopUp {
            awaits_payment: true,
            external_id: Some(format!("{customer} paid {is_paid}")),
            ..TopUp::new(
                wallet.id,
                Amount::new(40),
                ReasonCode::PurchasedCreditInvoiced,
            )
        };
        let unpaid = desk.decide(customer, |book, journal, context| {
            top_up::top_up(book, journal, context, order).unwrap()
        });
        desk.decide(customer, |book, journal, context| {
            if is_paid {
                let reference = Some("wire 7".to_owned());
                payment::pay(book, journal, context, unpaid.id, reference, None).unwrap();
            } else {
                top_up::void(book, journal, context, unpaid.id, "not ordered").unwrap();
            }
        });
    }
    desk.top_up(wallet, 15);
}

fn new_claim(wallet: &Wallet, purpose: ClaimPurpose, asked: i64) -> NewClaim {
    NewClaim {
        wallet: wallet.id,
        purpose,
        lots: ClaimLots::Any,
        reason: ReasonCode::ManualBalanceDebit,
        note: Some("a correction".to_owned()),
        asked: Amount::new(asked),
    }
}

/// A post-paid wallet: used, repaid, its limit lowered.
fn overdrawn<B: Backend>(desk: &mut Desk<B>, wallet: &Wallet) {
    let (customer, currency) = (wallet.customer, wallet.currency);
    let new = NewWallet {
        scope: Scope {
            rules: ["batch".to_owned()].into(),
        },
        wallet_type: WalletType::PostPaid,
        credit_limit: Amount::new(500),
        ..NewWallet::plain(currency, Scale::new(3).unwrap())
    };
    let owing = desk.decide(customer, |book, journal, context| {
        wallet::create(book, journal, context, new).unwrap()
    });
    let reporter = Reporter {
        instance: ONE,
        barred: None,
    };
    for (settled, need) in [(0, 350), (200, 0)] {
        desk.decide(customer, |book, journal, context| {
            let counters = Counters {
                granted: Amount::new(if settled > 0 { 350 } else { 0 }),
                reserved: Amount::new(settled),
                settled: Amount::new(settled),
                ..Counters::default()
            };
            let report = Report {
                account: owing.account,
                lease: LeaseNumber(30),
                counters,
                previous: None,
                need: Amount::new(need),
                wanted: Amount::new(need),
            };
            report::report(book, journal, context, reporter, &report).unwrap();
        });
    }
    desk.top_up(&owing, 120);
    desk.decide(customer, |book, journal, context| {
        let change = WalletChange {
            credit_limit: Some(Amount::new(100)),
            ..WalletChange::default()
        };
        wallet::change(book, journal, context, owing.id, change).unwrap()
    });
}
