//! Use beyond what was funded: covered as debt, repaid by the next credit, and never the
//! customer's loss when it turns out to be unused.

mod common;

use common::{A, Bench, amount, question, returned, turned, used};
use creditgate_core::lease::Counters;
use creditgate_ledger::id::LeaseId;
use creditgate_ledger::{LedgerAccount, QuarantineCause, ResolutionKind, quarantine, top_up};

/// Ten were lent to two requests that estimated five each; one cost ten, the other runs on.
fn overrun_by_one_while_another_runs() -> Bench {
    let mut bench = Bench::with_credit(10);
    bench.registry.settings.overrun_max = amount(100);
    bench.ask(A, 1, Counters::default(), 10);
    bench.ask(A, 1, used(10, 10, 5), 0);
    assert_eq!(bench.balance(LedgerAccount::Debt), -5);
    assert_eq!(bench.balance(LedgerAccount::Spent), 10);
    bench
}

/// The request that ran on cost nothing.
fn never_used() -> Counters {
    let mut counters = used(15, 10, 5);
    counters.released = amount(5);
    returned(counters, 5)
}

#[test]
fn credit_that_covered_a_debt_is_the_customers_again_when_it_comes_back_after_the_repayment() {
    let mut bench = overrun_by_one_while_another_runs();
    bench.top_up(20);
    assert_eq!(bench.balance(LedgerAccount::Debt), 0);
    assert_eq!(bench.has(bench.first()), 20, "15 are free, 5 are held");
    bench.ask(A, 1, never_used(), 0);
    assert_eq!(bench.balance(LedgerAccount::Debt), 0);
    assert_eq!(bench.balance(LedgerAccount::Available), 20);
}

#[test]
fn credit_that_covers_a_debt_lowers_it_when_it_comes_back_before_the_repayment() {
    let mut bench = overrun_by_one_while_another_runs();
    bench.ask(A, 1, never_used(), 0);
    assert_eq!(bench.balance(LedgerAccount::Debt), 0);
    bench.top_up(20);
    assert_eq!(bench.balance(LedgerAccount::Available), 20);
}

#[test]
fn what_was_used_is_repaid_before_what_may_come_back() {
    let mut bench = overrun_by_one_while_another_runs();
    bench.ask(A, 1, used(15, 18, 5), 0);
    assert_eq!(bench.balance(LedgerAccount::Debt), -13);
    let first = bench.top_up(8);
    assert_eq!(bench.balance(LedgerAccount::Debt), -5);
    assert_eq!(bench.lot(first.id).spent, amount(8));
    let second = bench.top_up(3);
    assert_eq!(bench.balance(LedgerAccount::Debt), -2);
    assert_eq!(bench.lot(second.id).pinned, amount(3));
    let mut over = used(23, 18, 5);
    over.released = amount(5);
    bench.ask(A, 1, returned(over, 5), 0);
    assert_eq!(bench.balance(LedgerAccount::Debt), 0);
    assert_eq!(bench.balance(LedgerAccount::Available), 3);
    assert_eq!(bench.lot(second.id).free, amount(3));
}

#[test]
fn what_repaid_a_debt_expires_with_its_lot_while_it_is_out() {
    let mut bench = overrun_by_one_while_another_runs();
    let at = bench.now.plus_ms(1_000);
    bench.top_up_with(20, |lot| lot.expires_at = Some(at));
    bench.later(1_000);
    bench.run(|_, _, _| ());
    let account = bench.account();
    let next = question(account, 2, Counters::default(), 0);
    bench
        .report(A, &turned(next, 1, never_used(), false))
        .unwrap();
    assert_eq!(bench.balance(LedgerAccount::Expired), 20);
    assert_eq!(bench.balance(LedgerAccount::Debt), 0);
}

#[test]
fn what_repaid_a_debt_is_withdrawn_when_it_comes_back_to_a_voided_lot() {
    let mut bench = overrun_by_one_while_another_runs();
    let lot = bench.top_up(20);
    let voided = bench
        .run(|book, journal, context| top_up::void(book, journal, context, lot.id, "no"))
        .unwrap();
    assert_eq!(voided.1.pending_recall, amount(5));
    bench.ask(A, 1, never_used(), 0);
    assert_eq!(bench.balance(LedgerAccount::Withdrawn), 20);
}

fn set_aside(bench: &mut Bench) -> LeaseId {
    bench.run(|book, journal, context| {
        let cause = QuarantineCause::InstanceSilent;
        quarantine::set_aside(book, journal, context, 0, 0, cause);
    });
    bench.book.leases[0].id
}

fn resolve(bench: &mut Bench, lease: LeaseId, kind: ResolutionKind) {
    bench
        .run(|book, journal, context| {
            quarantine::resolve(book, journal, context, lease, kind, "decided")
        })
        .unwrap();
}

#[test]
fn a_released_quarantine_gives_back_what_repaid_a_debt_meanwhile() {
    let mut bench = overrun_by_one_while_another_runs();
    let lease = set_aside(&mut bench);
    bench.top_up(20);
    assert_eq!(bench.balance(LedgerAccount::Quarantined), 5);
    resolve(&mut bench, lease, ResolutionKind::Release);
    assert_eq!(bench.balance(LedgerAccount::Debt), 0);
    assert_eq!(bench.balance(LedgerAccount::Available), 20);
}

#[test]
fn a_consumed_quarantine_keeps_what_repaid_a_debt_meanwhile() {
    let mut bench = overrun_by_one_while_another_runs();
    let lease = set_aside(&mut bench);
    let lot = bench.top_up(20);
    resolve(&mut bench, lease, ResolutionKind::Consume);
    assert_eq!(bench.balance(LedgerAccount::Unattributed), 5);
    assert_eq!(bench.balance(LedgerAccount::Available), 15);
    assert_eq!(bench.lot(lot.id).spent, amount(5));
}
