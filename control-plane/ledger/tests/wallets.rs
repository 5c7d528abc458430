//! Several wallets of a customer: which burns first, what freezing and closing do.

mod common;

use common::credit::code;
use common::*;
use creditgate_core::amount::Scale;
use creditgate_core::lease::Counters;
use creditgate_ledger::alert::AlertSettings;
use creditgate_ledger::auto_top_up::{AutoTopUp, Fill};
use creditgate_ledger::credits::Rate;
use creditgate_ledger::id::{LotId, WalletId};
use creditgate_ledger::top_up::{self, TopUp};
use creditgate_ledger::wallet::{self, PaidCredit, WalletChange};
use creditgate_ledger::{
    Credits, EventKind, Fact, LeaseState, LedgerAccount, Lot, LotKind, LotStatus, ReasonCode,
    WalletStatus, cost, lot,
};

fn top_up_into(bench: &mut Bench, wallet: WalletId, units: i64, reason: ReasonCode) -> Lot {
    let command = TopUp::new(wallet, amount(units), reason);
    let made = bench.run(|book, journal, context| top_up::top_up(book, journal, context, command));
    made.unwrap()
}

fn bought(bench: &mut Bench, wallet: WalletId, units: i64) -> Lot {
    top_up_into(bench, wallet, units, ReasonCode::PurchasedCreditDirect)
}

fn set_status(bench: &mut Bench, id: WalletId, to: WalletStatus) {
    let done = bench.run(|book, journal, context| {
        wallet::set_status(book, journal, context, id, to, Some("chargeback"))
    });
    done.unwrap();
}

fn pinned(bench: &Bench) -> Vec<(LotId, i64)> {
    let pins = bench.book.leases.iter().flat_map(|lease| &lease.pins);
    pins.filter_map(|pin| Some((pin.lot?, pin.amount.get())))
        .collect()
}

#[test]
fn customer_may_have_two_wallets_in_one_currency_and_the_smaller_priority_burns_first() {
    let mut bench = Bench::new();
    let none = bench.top_up(10);
    let second = bench.open(|new| new.priority = Some(2));
    let second = bought(&mut bench, second, 10);
    let first = bench.open(|new| new.priority = Some(1));
    let first = bought(&mut bench, first, 10);
    bench.ask(A, 1, Counters::default(), 25);
    assert_eq!(
        pinned(&bench),
        [(first.id, 10), (second.id, 10), (none.id, 5)]
    );
}

#[test]
fn changed_priorities_count_for_what_is_lent_after_them() {
    let mut bench = Bench::new();
    let a = bench.top_up(10);
    let wallet = bench.open(|_| ());
    let b = bought(&mut bench, wallet, 10);
    bench.ask(A, 1, Counters::default(), 2);
    let sooner = WalletChange {
        priority: Some(Some(1)),
        reason: Some("promised".into()),
        ..WalletChange::default()
    };
    bench.change(wallet, sooner).unwrap();
    bench.ask(A, 1, used(2, 0, 0), 5);
    assert_eq!(pinned(&bench), [(a.id, 2), (b.id, 3)]);
    let c = bought(&mut bench, wallet, 10);
    bench
        .run(|book, journal, context| {
            lot::set_priority(book, journal, context, c.id, Some(-1), Some("expires soon"))
        })
        .unwrap();
    bench.ask(A, 1, used(5, 0, 0), 6);
    assert_eq!(pinned(&bench), [(a.id, 2), (b.id, 3), (c.id, 1)]);
    let notes: Vec<_> = bench
        .journal
        .entries
        .iter()
        .filter(|entry| entry.reason == ReasonCode::PriorityChanged)
        .map(|entry| entry.note.as_deref())
        .collect();
    assert_eq!(notes, [Some("promised"), Some("expires soon")]);
}

#[test]
fn frozen_wallet_is_not_lent_and_its_leases_are_turned_with_the_reason_in_the_journal() {
    let mut bench = Bench::with_credit(10);
    bench.ask(A, 1, Counters::default(), 4);
    let wallet = bench.first();
    set_status(&mut bench, wallet, WalletStatus::Frozen);
    assert_eq!(bench.book.leases[0].state, LeaseState::Draining);
    let entry = bench.journal.entries.last().unwrap();
    assert_eq!(entry.reason, ReasonCode::WalletStatusChanged);
    assert_eq!(entry.note.as_deref(), Some("chargeback"));
    assert_eq!(
        bench.has(bench.first()),
        10,
        "what it has is not what may be spent"
    );
    set_status(&mut bench, wallet, WalletStatus::Active);
    assert_eq!(bench.told(EventKind::WalletFrozen).len(), 1);
    assert_eq!(bench.told(EventKind::WalletUnfrozen).len(), 1);
}

#[test]
fn closing_voids_what_was_given_and_keeps_what_was_paid_for() {
    let mut bench = Bench::new();
    let wallet = bench.open(|_| ());
    let given = [
        ReasonCode::FreeCreditGrant,
        ReasonCode::SubscriptionCreditGrant,
        ReasonCode::PurchasedCreditBonus,
    ];
    let given = given.map(|reason| top_up_into(&mut bench, wallet, 10, reason));
    let paid = [ReasonCode::PurchasedCreditDirect, ReasonCode::CreditNote];
    let paid = paid.map(|reason| top_up_into(&mut bench, wallet, 7, reason));
    bench.ask(A, 1, Counters::default(), 12);
    let closing = bench.close(wallet, PaidCredit::Keep).unwrap();
    assert_eq!(
        (closing.withdrawn, closing.pending_recall),
        (amount(18), amount(12))
    );
    assert_eq!((closing.kept, closing.claim), (amount(14), None));
    for lot in &given {
        assert_eq!(bench.lot(lot.id).status(bench.now), LotStatus::Voided);
    }
    for lot in &paid {
        assert_eq!(bench.lot(lot.id).free, amount(7));
    }
    assert_eq!(
        (bench.has(wallet), bench.parts(wallet).kept),
        (0, amount(14))
    );
    let codes: Vec<_> = bench
        .journal
        .entries
        .iter()
        .filter(|entry| entry.posted(LedgerAccount::Withdrawn) > amount(0))
        .map(|entry| entry.reason)
        .collect();
    assert_eq!(codes, [ReasonCode::WalletTermination; 2]);
    bench.ask(A, 1, returned(used(12, 2, 0), 10), 0);
    let entry = bench.journal.entries.last().unwrap();
    assert_eq!(
        entry.reason,
        ReasonCode::WalletTermination,
        "also what came back later"
    );
    assert_eq!(bench.told(EventKind::WalletClosed)[0].data["kept"], "14");
}

#[test]
fn closed_wallet_takes_nothing_more_and_gives_back_what_it_kept() {
    let mut bench = Bench::new();
    let wallet = bench.open(|_| ());
    bought(&mut bench, wallet, 10);
    bench.close(wallet, PaidCredit::Keep).unwrap();
    assert_eq!(
        bench.ask(A, 1, Counters::default(), 1).state.ceiling,
        Some(amount(0))
    );
    let command = TopUp::new(wallet, amount(1), ReasonCode::FreeCreditGrant);
    let refused =
        bench.run(|book, journal, context| top_up::top_up(book, journal, context, command));
    assert_eq!(code(refused), "wallet_closed");
    assert_eq!(
        code(bench.change(wallet, WalletChange::default())),
        "wallet_closed"
    );
    assert_eq!(code(bench.close(wallet, PaidCredit::Keep)), "wallet_closed");
    let thaw = bench.run(|book, journal, context| {
        wallet::set_status(book, journal, context, wallet, WalletStatus::Active, None)
    });
    assert_eq!(code(thaw), "wallet_closed");
    bench.debit(wallet, 4).unwrap();
    bench.transfer(wallet, bench.first(), 6).unwrap();
    assert_eq!(bench.parts(wallet).kept, amount(0));
    assert_eq!(bench.has(bench.first()), 6);
}

#[test]
fn closing_can_transfer_what_was_paid_for_wherever_it_is() {
    let mut bench = Bench::new();
    let first = bench.first();
    let wallet = bench.open(|_| ());
    bought(&mut bench, wallet, 20);
    let at = bench.now.plus_ms(1_000);
    bench.top_up_with(5, |lot| {
        lot.wallet = wallet;
        lot.effective_at = Some(at);
    });
    bench.ask(A, 1, Counters::default(), 8);
    bench.later(1);
    assert_eq!(
        code(bench.close(wallet, PaidCredit::Transfer(wallet))),
        "transfer_to_itself"
    );
    let closing = bench.close(wallet, PaidCredit::Transfer(first)).unwrap();
    let claim = closing.claim.unwrap();
    assert_eq!(
        (claim.asked, claim.done, closing.kept),
        (amount(25), amount(17), amount(0))
    );
    assert_eq!(
        code(bench.close(first, PaidCredit::Keep)),
        "wallet_awaits_transfer"
    );
    bench.ask(A, 1, returned(used(8, 3, 0), 5), 0);
    let claim = bench.claimed(claim.id);
    assert_eq!((claim.done, claim.short), (amount(22), amount(3)));
    let moved: i64 = bench.lots_of(first).iter().map(|lot| lot.free.get()).sum();
    assert_eq!(moved, 22);
    let entry = bench
        .journal
        .entries
        .iter()
        .find(|entry| entry.id.0 > 0 && entry.posted(LedgerAccount::Transferred) > amount(0));
    assert_eq!(entry.unwrap().reason, ReasonCode::WalletTermination);
}

#[test]
fn unpaid_purchase_is_cancelled_when_its_wallet_is_closed() {
    let mut bench = Bench::new();
    let wallet = bench.open(|_| ());
    let lot = bench.top_up_with(9, |lot| {
        lot.wallet = wallet;
        lot.awaits_payment = true;
    });
    let closing = bench.close(wallet, PaidCredit::Keep).unwrap();
    assert_eq!((closing.withdrawn, closing.kept), (amount(0), amount(0)));
    assert_eq!(bench.lot(lot.id).status(bench.now), LotStatus::Voided);
}

/// The balance drifts when the two conversion rates differ: not here, for what is paid for a
/// credit and what a credit is worth never meet.
#[test]
fn balance_does_not_drift_when_the_two_conversion_rates_differ() {
    let mut bench = Bench::new();
    let rate = |text: &str| Rate::parse(text, "/rate").unwrap();
    let wallet = bench.open(|new| {
        new.conversion_rate = rate("3");
        new.topup_conversion_rate = rate("0.7");
    });
    for _ in 0..10 {
        let row = bench.book.wallet(wallet).unwrap().clone();
        let scale = bench.book.accounts[0].scale;
        let value = row.conversion_rate.times("7", scale).unwrap();
        let price = cost::of_credits(&row, "7", scale).unwrap();
        bench.top_up_with(value.get(), |lot| {
            lot.wallet = wallet;
            lot.cost = Some(price);
        });
    }
    assert_eq!(bench.has(wallet), 10 * 21);
    let row = bench.book.wallet(wallet).unwrap();
    assert_eq!(
        row.conversion_rate
            .credits(amount(210), bench.book.accounts[0].scale),
        "70"
    );
    let received: Vec<String> = bench
        .lots_of(wallet)
        .iter()
        .map(|lot| lot.cost.clone().unwrap().received)
        .collect();
    assert_eq!(received, ["5"; 10], "4.9 of a currency without places");
    bench.ask(A, 1, Counters::default(), 200);
    bench.ask(A, 1, used(200, 200, 0), 0);
    assert_eq!(bench.has(wallet), 10);
}

#[test]
fn purchase_costs_by_the_price_of_a_credit_and_a_gift_costs_nothing() {
    let mut bench = Bench::new();
    let rate = |text: &str| Rate::parse(text, "/rate").unwrap();
    let wallet = bench.open(|new| {
        new.conversion_rate = rate("2");
        new.topup_conversion_rate = rate("0.5");
    });
    let paid = bought(&mut bench, wallet, 100).cost.unwrap();
    assert_eq!((paid.received.as_str(), paid.tax.as_str()), ("25", "0"));
    let gift = top_up_into(&mut bench, wallet, 100, ReasonCode::FreeCreditGrant);
    assert_eq!((gift.cost, gift.kind), (None, LotKind::Promotional));
}

#[test]
fn changed_terms_of_a_wallet_are_noted_with_the_old_and_the_new() {
    let credits = |text| Credits::parse(text, Scale::MAX).unwrap();
    let terms = AutoTopUp {
        enabled: true,
        threshold: credits("5"),
        fill: Fill::Amount(credits("50")),
        invoicing: false,
        cooldown_ms: None,
        per_day_max: None,
        per_month_max: None,
    };
    let alerts = AlertSettings {
        enabled: true,
        info: None,
        warning: None,
        critical: None,
    };
    let mut bench = Bench::new();
    let wallet = bench.open(|new| new.auto_topup = Some(terms.clone()));
    let change = WalletChange {
        auto_topup: Some(None),
        alert_settings: Some(Some(alerts.clone())),
        reason: Some("asked by mail".into()),
        ..WalletChange::default()
    };
    bench.change(wallet, change.clone()).unwrap();
    bench.change(wallet, change).unwrap();
    let entries = bench.journal.entries.iter();
    let noted: Vec<_> = entries
        .filter(|entry| entry.reason == ReasonCode::WalletTermsChanged)
        .map(|entry| (entry.note.as_deref(), entry.fact.clone().unwrap()))
        .collect();
    let fills = Fact::AutoTopUpTerms {
        wallet,
        from: Some(Box::new(terms)),
        to: None,
    };
    let tells = Fact::AlertTerms {
        wallet,
        from: None,
        to: Some(Box::new(alerts)),
    };
    let why = Some("asked by mail");
    assert_eq!(
        noted,
        [(why, fills), (why, tells)],
        "what stays is no change"
    );
}
