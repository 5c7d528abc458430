//! Who is lent what, who waits, who is told a ceiling.

mod common;

use common::*;
use creditgate_core::cell::{Cell, Reception};
use creditgate_core::lease::{Counters, LeaseNumber};
use creditgate_core::protocol::Phase;
use creditgate_ledger::customer::{self, CustomerChange};
use creditgate_ledger::{CustomerStatus, quarantine, report};
use creditgate_ledger::{LeaseState, LedgerAccount, QuarantineCause, ReasonCode, ResolutionKind};

#[test]
fn need_is_lent_and_leaves_the_available_balance() {
    let mut bench = Bench::with_credit(100);
    let answer = bench.ask(A, 1, Counters::default(), 30);
    assert_eq!((answer.phase, answer.granted), (Phase::Open, amount(30)));
    assert_eq!(bench.balance(LedgerAccount::Available), 70);
    assert_eq!(bench.balance(LedgerAccount::Lent), 30);
    assert_eq!(answer.state.balance, amount(100));
}

#[test]
fn what_was_issued_stays_until_a_lot_is_used_up_or_expires() {
    let mut bench = Bench::new();
    let expires_at = bench.now.plus_ms(5_000);
    bench.top_up_with(100, |lot| lot.expires_at = Some(expires_at));
    bench.top_up_with(10, |_| {});
    let issued = |bench: &mut Bench, used: Counters| bench.ask(A, 1, used, 0).state.issued;
    assert_eq!(
        bench.ask(A, 1, Counters::default(), 110).state.issued,
        amount(110)
    );
    assert_eq!(issued(&mut bench, used(110, 60, 0)), amount(110));
    assert_eq!(issued(&mut bench, used(110, 100, 0)), amount(10));
    bench.top_up_with(50, |lot| lot.expires_at = Some(expires_at));
    assert_eq!(issued(&mut bench, used(110, 105, 0)), amount(60));
    bench.later(5_000);
    assert_eq!(issued(&mut bench, used(110, 105, 0)), amount(10));
}

#[test]
fn same_report_twice_moves_nothing() {
    let mut bench = Bench::with_credit(100);
    bench.ask(A, 1, Counters::default(), 30);
    let report = question(bench.account(), 1, used(30, 20, 5), 0);
    let first = bench.report(A, &report).unwrap();
    let entries = bench.journal.entries.len();
    assert_eq!(bench.report(A, &report).unwrap(), first);
    assert_eq!(bench.journal.entries.len(), entries);
    assert_eq!(bench.balance(LedgerAccount::Spent), 20);
}

#[test]
fn late_report_changes_nothing() {
    let mut bench = Bench::with_credit(100);
    bench.ask(A, 1, Counters::default(), 30);
    bench.ask(A, 1, used(30, 20, 0), 0);
    bench.ask(A, 1, used(30, 5, 5), 0);
    assert_eq!(bench.balance(LedgerAccount::Spent), 20);
}

#[test]
fn question_with_unused_credit_elsewhere_waits_for_its_recall() {
    let mut bench = Bench::with_credit(10);
    bench.ask(A, 1, Counters::default(), 10);
    bench.later(1_000);
    let waiting = bench.ask(B, 1, Counters::default(), 4);
    assert!(waiting.waiting);
    assert_eq!(waiting.state.ceiling, None);
    let recalled = bench.ask(A, 1, used(10, 2, 0), 0);
    assert_eq!(recalled.keep, Some(amount(0)));
    bench.ask(A, 1, returned(used(10, 2, 0), 8), 0);
    let lease = bench
        .book
        .leases
        .iter()
        .find(|lease| lease.instance == B)
        .unwrap();
    assert_eq!(lease.counters.granted, amount(4));
    assert_eq!(lease.pushes, 1);
}

#[test]
fn credit_given_to_a_waiter_is_not_recalled_before_it_was_used() {
    let mut bench = Bench::with_credit(5);
    bench.ask(A, 1, Counters::default(), 5);
    bench.later(1_000);
    bench.ask(B, 1, Counters::default(), 5);
    bench.ask(A, 1, returned(used(5, 0, 0), 5), 5);
    let kept = bench.ask(B, 1, used(5, 0, 0), 0);
    assert_eq!(kept.granted, amount(5));
    assert_eq!(
        kept.keep, None,
        "nothing to recall: what B has was given to its waiter"
    );
}

#[test]
fn waiters_are_served_in_order_and_asking_again_keeps_the_place() {
    let mut bench = Bench::with_credit(10);
    let c = creditgate_ledger::id::InstanceId(0xc);
    bench.ask(A, 1, Counters::default(), 10);
    bench.later(1_000);
    bench.ask(B, 1, Counters::default(), 6);
    bench.ask(c, 1, Counters::default(), 6);
    bench.ask(B, 1, Counters::default(), 6);
    bench.ask(A, 1, returned(used(10, 2, 0), 8), 0);
    let granted = |instance| {
        let lease = bench
            .book
            .leases
            .iter()
            .find(|lease| lease.instance == instance)
            .unwrap();
        lease.counters.granted.get()
    };
    assert_eq!((granted(B), granted(c)), (6, 0));
}

#[test]
fn ceiling_is_told_once_a_need_is_hopeless_and_raised_by_a_top_up() {
    let mut bench = Bench::with_credit(3);
    let told = bench.ask(A, 1, Counters::default(), 5);
    assert_eq!(
        (told.granted, told.state.ceiling, told.waiting),
        (amount(0), Some(amount(3)), false)
    );
    bench.top_up(1);
    assert_eq!(bench.book.leases[0].told.unwrap().ceiling, amount(4));
    bench.top_up(10);
    assert_eq!(bench.book.leases[0].told, None);
    assert_eq!(bench.book.leases[0].pushes, 2);
}

#[test]
fn credit_released_elsewhere_raises_a_ceiling() {
    let mut bench = Bench::with_credit(5);
    bench.ask(A, 1, Counters::default(), 5);
    bench.ask(A, 1, used(5, 0, 5), 0);
    let hopes = bench.ask(B, 1, Counters::default(), 5);
    assert!(hopes.waiting, "what A's request holds may come back");
    bench.later(1_000);
    let told = bench.ask(B, 1, Counters::default(), 5);
    assert_eq!((told.state.ceiling, told.waiting), (Some(amount(0)), false));
    assert_eq!(
        told.state.balance,
        amount(5),
        "held credit is still the customer's"
    );
    bench.ask(
        A,
        1,
        Counters {
            released: amount(5),
            ..used(5, 0, 5)
        },
        0,
    );
    let lease = bench
        .book
        .leases
        .iter()
        .find(|lease| lease.instance == B)
        .unwrap();
    assert_eq!(lease.told, None);
}

#[test]
fn busy_lease_is_refilled_for_a_few_seconds_of_its_own_use() {
    let mut bench = Bench::with_credit(1_000_000);
    bench.ask(A, 1, Counters::default(), 100);
    bench.later(250);
    let answer = bench.ask(A, 1, used(100, 100, 0), 0);
    assert_eq!(answer.granted, amount(100 + 400 * 3));
}

#[test]
fn refill_leaves_half_of_what_is_free_to_others() {
    let mut bench = Bench::with_credit(1_000);
    bench.ask(A, 1, Counters::default(), 100);
    bench.later(250);
    let answer = bench.ask(A, 1, used(100, 100, 0), 0);
    assert_eq!(answer.granted, amount(100 + 450));
}

#[test]
fn lease_may_not_be_spent_past_the_expiry_of_a_lot_behind_it() {
    let mut bench = Bench::new();
    let expires_at = bench.now.plus_ms(5_000);
    bench.top_up_with(10, |lot| lot.expires_at = Some(expires_at));
    bench.later(1_000);
    let answer = bench.ask(A, 1, Counters::default(), 10);
    assert_eq!(answer.use_by_ms, 4_000);
}

#[test]
fn credit_that_expired_while_lent_expires_when_returned_and_is_spent_when_it_was_used_before() {
    let mut bench = Bench::new();
    let expires_at = bench.now.plus_ms(5_000);
    bench.top_up_with(10, |lot| lot.expires_at = Some(expires_at));
    bench.ask(A, 1, Counters::default(), 10);
    bench.later(5_000);
    let answer = bench.ask(A, 1, used(10, 3, 2), 0);
    assert_eq!(answer.phase, Phase::Turn);
    assert_eq!(answer.state.balance, amount(0));
    bench.ask(A, 1, returned(used(10, 3, 2), 5), 0);
    bench.ask(A, 1, returned(used(10, 5, 0), 5), 0);
    assert_eq!(bench.balance(LedgerAccount::Spent), 5);
    assert_eq!(bench.balance(LedgerAccount::Expired), 5);
    assert_eq!(bench.book.leases[0].state, LeaseState::Closed);
}

#[test]
fn lost_cell_is_quarantined_and_its_credit_is_not_lent_again() {
    let mut bench = Bench::with_credit(10);
    bench.ask(A, 1, Counters::default(), 6);
    let answer = bench.ask(A, 2, Counters::default(), 5);
    assert_eq!(bench.balance(LedgerAccount::Quarantined), 6);
    assert_eq!(answer.granted, amount(0));
    assert_eq!(answer.state.ceiling, Some(amount(4)));
}

#[test]
fn turn_is_not_a_loss() {
    let mut bench = Bench::with_credit(10);
    bench.ask(A, 1, Counters::default(), 6);
    let turn = turned(
        question(bench.account(), 2, Counters::default(), 5),
        1,
        returned(used(6, 1, 1), 4),
        false,
    );
    let answer = bench.report(A, &turn).unwrap();
    assert_eq!((answer.lease, answer.granted), (LeaseNumber(2), amount(5)));
    assert!(
        !answer.previous.as_ref().unwrap().closed,
        "one request is in flight"
    );
    let settled = turned(
        question(bench.account(), 2, used(5, 0, 0), 0),
        1,
        returned(used(6, 2, 0), 4),
        false,
    );
    assert!(bench.report(A, &settled).unwrap().previous.unwrap().closed);
    assert_eq!(bench.balance(LedgerAccount::Quarantined), 0);
}

#[test]
fn hold_that_outlived_its_stream_is_charged() {
    let mut bench = Bench::with_credit(10);
    bench.ask(A, 1, Counters::default(), 6);
    let dead = turned(
        question(bench.account(), 2, Counters::default(), 0),
        1,
        returned(used(6, 1, 1), 4),
        true,
    );
    assert!(bench.report(A, &dead).unwrap().previous.unwrap().closed);
    assert_eq!(bench.balance(LedgerAccount::Unattributed), 1);
    assert_eq!(bench.balance(LedgerAccount::Lent), 0);
}

#[test]
fn delayed_question_under_an_old_number_opens_nothing() {
    let mut bench = Bench::with_credit(10);
    bench.ask(A, 5, Counters::default(), 1);
    let answer = bench.ask(A, 4, Counters::default(), 5);
    assert_eq!((answer.phase, answer.granted), (Phase::Closed, amount(0)));
    assert_eq!(bench.book.leases.len(), 1);
}

#[test]
fn report_of_more_than_was_lent_is_not_merged() {
    let mut bench = Bench::with_credit(10);
    bench.ask(A, 1, Counters::default(), 5);
    let account = bench.account();
    assert!(
        bench
            .report(A, &question(account, 1, used(5, 6, 0), 0))
            .is_err()
    );
    assert!(
        bench
            .report(A, &question(account, 1, used(7, 6, 0), 0))
            .is_err()
    );
    assert_eq!(bench.balance(LedgerAccount::Spent), 0);
}

#[test]
fn overrun_within_its_bound_is_covered_and_then_owed_and_repaid_first() {
    let mut bench = Bench::with_credit(10);
    bench.registry.settings.overrun_max = amount(5);
    bench.ask(A, 1, Counters::default(), 8);
    bench.ask(A, 1, used(8, 13, 0), 0);
    assert_eq!(bench.balance(LedgerAccount::Spent), 13);
    assert_eq!(bench.balance(LedgerAccount::Debt), -3);
    bench.top_up(5);
    assert_eq!(bench.balance(LedgerAccount::Debt), 0);
    assert_eq!(bench.balance(LedgerAccount::Available), 2);
}

fn quarantined(bench: &mut Bench) -> creditgate_ledger::id::LeaseId {
    bench.ask(A, 1, Counters::default(), 6);
    bench.ask(A, 1, used(6, 1, 0), 0);
    bench.run(|book, journal, context| {
        quarantine::set_aside(
            book,
            journal,
            context,
            0,
            0,
            QuarantineCause::InstanceSilent,
        );
    });
    assert_eq!(bench.balance(LedgerAccount::Quarantined), 5);
    bench.book.leases[0].id
}

#[test]
fn a_released_quarantine_has_its_reason_code() {
    let mut bench = Bench::with_credit(10);
    let lease = quarantined(&mut bench);
    let before = bench.journal.entries.len();
    let release = ResolutionKind::Release;
    bench
        .run(|book, journal, context| {
            quarantine::resolve(book, journal, context, lease, release, "found in its log")
        })
        .unwrap();
    let entries = bench.journal.entries[before..].iter();
    let entries: Vec<_> = entries
        .map(|entry| (entry.reason, entry.posted(LedgerAccount::Available)))
        .collect();
    assert_eq!(entries, [(ReasonCode::LeaseReleased, amount(5))]);
}

#[test]
fn late_report_accounts_for_quarantined_credit() {
    let mut bench = Bench::with_credit(10);
    quarantined(&mut bench);
    let answer = bench.ask(A, 1, returned(used(6, 4, 0), 2), 0);
    assert_eq!(answer.phase, Phase::Closed);
    assert_eq!(bench.balance(LedgerAccount::Quarantined), 0);
    assert_eq!(bench.balance(LedgerAccount::Spent), 4);
    assert_eq!(bench.balance(LedgerAccount::Available), 6);
}

#[test]
fn use_reported_after_a_release_is_the_operators_loss_and_not_the_customers() {
    let mut bench = Bench::with_credit(10);
    let lease = quarantined(&mut bench);
    bench
        .run(|book, journal, context| {
            quarantine::resolve(
                book,
                journal,
                context,
                lease,
                ResolutionKind::Release,
                "gone",
            )
        })
        .unwrap();
    assert_eq!(bench.balance(LedgerAccount::Available), 9);
    bench.ask(A, 1, returned(used(6, 4, 0), 2), 0);
    assert_eq!(bench.balance(LedgerAccount::Available), 9);
    assert_eq!(bench.balance(LedgerAccount::LeaseLoss), -3);
    assert_eq!(bench.balance(LedgerAccount::Spent), 4);
}

#[test]
fn use_reported_after_a_consume_is_attributed_and_charged_once() {
    let mut bench = Bench::with_credit(10);
    let lease = quarantined(&mut bench);
    bench
        .run(|book, journal, context| {
            quarantine::resolve(
                book,
                journal,
                context,
                lease,
                ResolutionKind::Consume,
                "gone",
            )
        })
        .unwrap();
    assert_eq!(bench.balance(LedgerAccount::Unattributed), 5);
    bench.ask(A, 1, returned(used(6, 4, 0), 2), 0);
    assert_eq!(bench.balance(LedgerAccount::Unattributed), 2);
    assert_eq!(bench.balance(LedgerAccount::Spent), 4);
    assert_eq!(bench.balance(LedgerAccount::Available), 4);
}

#[test]
fn second_worker_that_resolves_at_the_same_time_opens_nothing() {
    let mut bench = Bench::with_credit(10);
    let usd = (
        bench.book.accounts[0].currency,
        bench.book.accounts[0].scale,
    );
    let reporter = report::Reporter {
        instance: A,
        barred: None,
    };
    let (first, lent) = bench.run(|book, journal, context| {
        report::resolve(
            book,
            journal,
            context,
            reporter,
            usd,
            (LeaseNumber(7), amount(2)),
        )
    });
    let (second, seen) = bench.run(|book, journal, context| {
        report::resolve(
            book,
            journal,
            context,
            reporter,
            usd,
            (LeaseNumber(8), amount(2)),
        )
    });
    assert!(first && !second);
    assert_eq!((lent.lease, seen.lease), (LeaseNumber(7), LeaseNumber(7)));
    assert_eq!(bench.balance(LedgerAccount::Lent), 2);
}

#[test]
fn balance_of_a_cell_that_turns_by_a_resolve_does_not_lose_what_was_spent_before() {
    let mut bench = Bench::with_credit(10);
    let reporter = report::Reporter {
        instance: A,
        barred: None,
    };
    let usd = (
        bench.book.accounts[0].currency,
        bench.book.accounts[0].scale,
    );
    let resolve = |bench: &mut Bench, number| {
        bench
            .run(|book, journal, context| {
                report::resolve(
                    book,
                    journal,
                    context,
                    reporter,
                    usd,
                    (LeaseNumber(number), amount(4)),
                )
            })
            .1
    };
    let reception = Reception {
        sent_at_ms: 1_000,
        now_ms: 1_000,
        sent_mark: None,
    };
    let mut cell = Cell::fresh(bench.account(), LeaseNumber(7));
    cell.apply(&resolve(&mut bench, 7), reception);
    cell.charge(amount(4), 1_000).unwrap();
    cell.give_back(amount(0));
    let told = cell.report(amount(0), amount(0));
    cell.apply(&bench.report(A, &told).unwrap(), reception);
    assert_eq!(cell.balance(), amount(6));

    // Another worker of the process, which has not seen the credential yet, asks.
    let answer = resolve(&mut bench, 9);
    cell.turn(answer.lease, 1_000);
    cell.apply(&answer, reception);
    assert_eq!((cell.balance(), cell.previous), (amount(6), None));
}

#[test]
fn question_whose_answer_was_lost_gets_the_same_lease_again() {
    let mut bench = Bench::with_credit(10);
    let usd = (
        bench.book.accounts[0].currency,
        bench.book.accounts[0].scale,
    );
    let reporter = report::Reporter {
        instance: A,
        barred: None,
    };
    for _ in 0..2 {
        let (opened, answer) = bench.run(|book, journal, context| {
            report::resolve(
                book,
                journal,
                context,
                reporter,
                usd,
                (LeaseNumber(7), amount(2)),
            )
        });
        assert!(opened);
        assert_eq!(answer.granted, amount(2));
    }
    assert_eq!(bench.balance(LedgerAccount::Lent), 2);
}

#[test]
fn overrun_reported_by_a_quarantined_lease_is_covered_where_the_lease_is_booked() {
    let mut bench = Bench::with_credit(100);
    bench.registry.settings.overrun_max = amount(50);
    bench.ask(A, 1, Counters::default(), 6);
    bench.run(|book, journal, context| {
        quarantine::set_aside(
            book,
            journal,
            context,
            0,
            0,
            QuarantineCause::InstanceSilent,
        );
    });
    bench.ask(A, 1, used(6, 10, 0), 0);
    assert_eq!(bench.balance(LedgerAccount::Quarantined), 0);
    assert_eq!(bench.balance(LedgerAccount::Spent), 10);
}

#[test]
fn waiter_of_a_suspended_customer_is_lent_nothing() {
    let mut bench = Bench::with_credit(10);
    bench.ask(A, 1, Counters::default(), 10);
    bench.later(1_000);
    assert!(bench.ask(B, 1, Counters::default(), 4).waiting);
    bench.run(|book, journal, context| {
        let change = CustomerChange {
            status: Some(CustomerStatus::Suspended),
            ..CustomerChange::default()
        };
        customer::change(book, journal, context, change)
    });
    bench.ask(A, 1, returned(used(10, 0, 0), 10), 0);
    assert_eq!(bench.balance(LedgerAccount::Lent), 0);
    assert_eq!(bench.balance(LedgerAccount::Available), 10);
}
