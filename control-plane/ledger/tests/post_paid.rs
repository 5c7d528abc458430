//! Post-paid wallets: the line burns last, is repaid first, and follows its limit.

mod common;

use common::credit::code;
use common::*;
use creditgate_core::lease::Counters;
use creditgate_ledger::id::WalletId;
use creditgate_ledger::wallet::{PaidCredit, WalletChange};
use creditgate_ledger::{
    EntryKind, LedgerAccount, Lot, LotKind, ReasonCode, WalletStatus, credit_limit, top_up, wallet,
};

/// A post-paid wallet with a limit of 100, beside the empty first one.
fn bench() -> (Bench, WalletId) {
    let mut bench = Bench::new();
    // Nothing is lent ahead of need.
    bench.registry.settings.refill_seconds = 0;
    let wallet = bench.open_post_paid(100);
    (bench, wallet)
}

fn line(bench: &Bench, wallet: WalletId) -> Lot {
    let line = credit_limit::line_of(&bench.book, wallet).unwrap();
    bench.book.lots[line].clone()
}

fn owed(bench: &Bench, wallet: WalletId) -> i64 {
    credit_limit::owed(&bench.book, wallet).get()
}

/// Gateway A spends `units` under a lease of this number.
fn spend(bench: &mut Bench, number: u64, units: i64) {
    let granted = bench
        .ask(A, number, Counters::default(), units)
        .granted
        .get();
    assert_eq!(granted, units);
    bench.ask(A, number, used(granted, units, 0), 0);
}

fn top_up_into(bench: &mut Bench, wallet: WalletId, units: i64) -> Lot {
    bench.top_up_with(units, |lot| lot.wallet = wallet)
}

#[test]
fn credit_limit_can_be_spent_and_is_owed_then() {
    let (mut bench, wallet) = bench();
    assert_eq!(bench.has(wallet), 100);
    assert_eq!(bench.balance(LedgerAccount::CreditLine), -100);
    spend(&mut bench, 1, 30);
    assert_eq!((bench.has(wallet), owed(&bench, wallet)), (70, 30));
    let told = bench.ask(A, 1, used(30, 30, 0), 71);
    assert_eq!(told.state.ceiling, Some(amount(70)));
}

#[test]
fn line_burns_after_everything_else_of_the_account() {
    let (mut bench, wallet) = bench();
    bench.top_up_with(10, |lot| lot.priority = Some(900));
    spend(&mut bench, 1, 15);
    assert_eq!(owed(&bench, wallet), 5);
    assert_eq!(line(&bench, wallet).spent, amount(5));
}

#[test]
fn what_is_owed_is_repaid_first_and_can_be_spent_again() {
    let (mut bench, wallet) = bench();
    spend(&mut bench, 1, 30);
    let lot = top_up_into(&mut bench, wallet, 20);
    assert_eq!((lot.free, lot.spent), (amount(0), amount(20)));
    assert_eq!((owed(&bench, wallet), bench.has(wallet)), (10, 90));
    let lot = top_up_into(&mut bench, wallet, 50);
    assert_eq!((lot.free, lot.spent), (amount(40), amount(10)));
    assert_eq!((owed(&bench, wallet), bench.has(wallet)), (0, 140));
    assert_eq!(
        bench.balance(LedgerAccount::Spent),
        30,
        "used once, whoever paid for it"
    );
    let repaid: Vec<_> = bench
        .journal
        .entries
        .iter()
        .filter(|entry| entry.kind == EntryKind::Repayment)
        .map(|entry| (entry.reason, entry.draws[0].amount.get()))
        .collect();
    let reason = ReasonCode::CreditLimitRepaid;
    assert_eq!(repaid, [(reason, 20), (reason, 10)]);
}

#[test]
fn credit_of_another_wallet_repays_nothing() {
    let (mut bench, wallet) = bench();
    spend(&mut bench, 1, 30);
    bench.top_up(50);
    assert_eq!(owed(&bench, wallet), 30);
    bench.transfer(bench.first(), wallet, 30).unwrap();
    assert_eq!(
        owed(&bench, wallet),
        0,
        "transferred into the wallet, it does"
    );
}

#[test]
fn credit_of_later_repays_when_it_becomes_effective() {
    let (mut bench, wallet) = bench();
    spend(&mut bench, 1, 30);
    let at = bench.now.plus_ms(1_000);
    bench.top_up_with(50, |lot| {
        lot.wallet = wallet;
        lot.effective_at = Some(at);
    });
    assert_eq!(owed(&bench, wallet), 30);
    bench.later(1_000);
    bench.run(|_, _, _| ());
    assert_eq!((owed(&bench, wallet), bench.has(wallet)), (0, 120));
}

#[test]
fn raised_limit_can_be_spent_at_once() {
    let (mut bench, wallet) = bench();
    let told = bench.ask(A, 1, Counters::default(), 150);
    assert_eq!(told.state.ceiling, Some(amount(100)));
    let changed = bench.set_limit(wallet, 150);
    assert_eq!(changed.credit_limit, amount(150));
    assert_eq!(bench.book.leases[0].told, None);
    assert_eq!(
        bench.ask(A, 1, Counters::default(), 150).granted,
        amount(150)
    );
}

#[test]
fn lowered_limit_takes_what_is_free_and_what_comes_back_above_it() {
    let (mut bench, wallet) = bench();
    spend(&mut bench, 1, 20);
    bench.ask(A, 1, used(20, 20, 0), 60);
    bench.set_limit(wallet, 30);
    // 100 = 20 used + 60 lent + 20 free; 30 may stay.
    assert_eq!(bench.balance(LedgerAccount::CreditLine), -80);
    assert_eq!(line(&bench, wallet).excess, amount(50));
    let lease = returned(used(80, 25, 0), 55);
    let report = turned(
        question(bench.account(), 2, Counters::default(), 0),
        1,
        lease,
        false,
    );
    bench.report(A, &report).unwrap();
    let line = line(&bench, wallet);
    assert_eq!(
        (line.amount, line.spent, line.free),
        (amount(30), amount(25), amount(5))
    );
    assert_eq!(bench.balance(LedgerAccount::CreditLine), -30);
}

#[test]
fn what_is_used_above_a_lowered_limit_stays_owed_and_goes_when_it_is_repaid() {
    let (mut bench, wallet) = bench();
    spend(&mut bench, 1, 80);
    bench.set_limit(wallet, 30);
    assert_eq!((owed(&bench, wallet), bench.has(wallet)), (80, 0));
    top_up_into(&mut bench, wallet, 50);
    assert_eq!((owed(&bench, wallet), bench.has(wallet)), (30, 0));
    assert_eq!(line(&bench, wallet).amount, amount(30));
    top_up_into(&mut bench, wallet, 10);
    assert_eq!((owed(&bench, wallet), bench.has(wallet)), (20, 10));
    bench.set_limit(wallet, 35);
    assert_eq!(bench.has(wallet), 15);
}

#[test]
fn limit_that_is_raised_to_what_is_used_above_it_gives_nothing_free() {
    let (mut bench, wallet) = bench();
    spend(&mut bench, 1, 80);
    bench.set_limit(wallet, 30);
    bench.set_limit(wallet, 80);
    assert_eq!(bench.has(wallet), 0);
    bench.set_limit(wallet, 81);
    assert_eq!(bench.has(wallet), 1);
}

#[test]
fn credit_limit_is_for_requests_only() {
    let (mut bench, wallet) = bench();
    assert_eq!(code(bench.debit(wallet, 1)), "balance_insufficient");
    let line = line(&bench, wallet).id;
    let voided =
        bench.run(|book, journal, context| top_up::void(book, journal, context, line, "because"));
    assert_eq!(code(voided), "lot_is_credit_limit");
}

#[test]
fn wallet_that_owes_is_not_closed() {
    let (mut bench, wallet) = bench();
    bench.ask(A, 1, Counters::default(), 30);
    assert_eq!(code(bench.close(wallet, PaidCredit::Keep)), "wallet_owes");
    bench.ask(A, 1, used(30, 30, 0), 0);
    assert_eq!(code(bench.close(wallet, PaidCredit::Keep)), "wallet_owes");
    top_up_into(&mut bench, wallet, 30);
    bench.close(wallet, PaidCredit::Keep).unwrap();
    assert_eq!(bench.balance(LedgerAccount::CreditLine), 0);
    assert_eq!(bench.book.wallet(wallet).unwrap().credit_limit, amount(0));
}

#[test]
fn frozen_post_paid_wallet_lends_nothing_of_its_limit() {
    let (mut bench, wallet) = bench();
    bench
        .run(|book, journal, context| {
            let to = WalletStatus::Frozen;
            wallet::set_status(book, journal, context, wallet, to, Some("late"))
        })
        .unwrap();
    assert_eq!(
        bench.ask(A, 1, Counters::default(), 1).state.ceiling,
        Some(amount(0))
    );
}

#[test]
fn pre_paid_wallet_has_no_limit() {
    let mut bench = Bench::new();
    let change = WalletChange {
        credit_limit: Some(amount(5)),
        ..WalletChange::default()
    };
    assert_eq!(
        code(bench.change(bench.first(), change)),
        "wallet_not_post_paid"
    );
    assert!(
        bench
            .book
            .lots
            .iter()
            .all(|lot| lot.kind != LotKind::CreditLine)
    );
}

#[test]
fn consumed_quarantine_of_a_line_is_owed_like_use() {
    let (mut bench, wallet) = bench();
    bench.ask(A, 1, Counters::default(), 40);
    bench.ask(A, 2, Counters::default(), 1);
    let lease = bench.book.leases[0].id;
    bench
        .run(|book, journal, context| {
            let kind = creditgate_ledger::ResolutionKind::Consume;
            creditgate_ledger::quarantine::resolve(book, journal, context, lease, kind, "lost")
        })
        .unwrap();
    assert_eq!(owed(&bench, wallet), 40);
    top_up_into(&mut bench, wallet, 40);
    assert_eq!(owed(&bench, wallet), 0);
    assert_eq!(bench.balance(LedgerAccount::Unattributed), 40);
    assert_eq!(bench.balance(LedgerAccount::Spent), 0);
}
