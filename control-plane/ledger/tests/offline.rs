//! What gateways spent while nobody answered: reported late, booked once, bounded.

mod common;

use common::{A, B, Bench, amount, question, returned, turned, used};
use creditgate_core::amount::Scale;
use creditgate_core::lease::{Counters, LeaseNumber};
use creditgate_core::protocol::{Barred, Phase};
use creditgate_ledger::report::{self, Reporter};
use creditgate_ledger::{LeaseState, LedgerAccount, QuarantineCause, ResolutionKind, quarantine};

/// A customer of whom each gateway may spend 10 while nobody answers.
fn bench_with(credit: i64) -> Bench {
    let mut bench = match credit {
        0 => Bench::new(),
        credit => Bench::with_credit(credit),
    };
    let settings = &mut bench.registry.settings;
    settings.offline_allowance = amount(10);
    settings.offline_allowance_ever = amount(10);
    bench
}

fn spent_and_owed(bench: &Bench) -> (i64, i64) {
    let owed = bench.book.accounts[0].balances.owed().get();
    (bench.balance(LedgerAccount::Spent), owed)
}

/// An account is there once somebody asked for it.
fn asked(bench: &mut Bench) {
    bench.ask(A, 1, Counters::default(), 0);
}

#[test]
fn what_was_spent_offline_is_booked_once_however_often_it_is_reported() {
    let mut bench = bench_with(100);
    asked(&mut bench);
    for _ in 0..3 {
        let answer = bench.ask(A, 5, used(0, 7, 0), 0);
        assert!(answer.granted >= amount(7), "{answer:?}");
        assert_eq!(answer.phase, Phase::Open);
        assert_eq!(spent_and_owed(&bench), (7, 0));
    }
    assert_eq!(bench.ask(A, 5, used(0, 9, 0), 0).settled, amount(9));
    assert_eq!(spent_and_owed(&bench), (9, 0));
}

#[test]
fn what_nobody_funded_is_owed_and_ends_the_allowance_until_it_is_repaid() {
    let mut bench = bench_with(4);
    asked(&mut bench);
    let answer = bench.ask(A, 5, used(0, 7, 2), 0);
    assert_eq!(spent_and_owed(&bench), (7, 5));
    assert!(answer.state.owes);
    assert!(bench.ask(B, 1, Counters::default(), 0).state.owes);
    bench.top_up(5);
    assert_eq!(spent_and_owed(&bench), (7, 0));
    assert!(!bench.ask(A, 5, used(9, 9, 0), 0).state.owes);
    assert_eq!(spent_and_owed(&bench), (9, 0));
}

#[test]
fn a_lease_begun_offline_is_booked_also_if_a_later_number_was_opened_before_it_was_heard_of() {
    let mut bench = bench_with(100);
    bench.ask(A, 9, Counters::default(), 3);
    for _ in 0..2 {
        let both = turned(
            question(bench.account(), 9, used(3, 0, 0), 0),
            5,
            used(0, 6, 1),
            false,
        );
        let answer = bench.report(A, &both).unwrap();
        assert_eq!((answer.lease, answer.phase), (LeaseNumber(9), Phase::Open));
        assert!(!answer.previous.unwrap().closed, "one is in flight");
        assert_eq!(spent_and_owed(&bench), (6, 0));
    }
    let after = turned(
        question(bench.account(), 9, used(3, 0, 0), 0),
        5,
        used(0, 7, 0),
        false,
    );
    assert!(bench.report(A, &after).unwrap().previous.unwrap().closed);
    assert_eq!(spent_and_owed(&bench), (7, 0));
    let newest: Vec<u64> = bench
        .book
        .leases
        .iter()
        .filter(|lease| lease.newest)
        .map(|lease| lease.number.0)
        .collect();
    assert_eq!(newest, [9]);
}

#[test]
fn an_instance_that_gets_no_credit_is_still_booked_what_it_spent() {
    for barred in [Barred::Draining, Barred::Frozen] {
        let mut bench = bench_with(100);
        asked(&mut bench);
        let report = question(bench.account(), 5, used(0, 4, 0), 3);
        let reporter = Reporter {
            instance: A,
            barred: Some(barred),
        };
        let answer = bench.run(|book, journal, context| {
            report::report(book, journal, context, reporter, &report).unwrap()
        });
        assert_ne!(answer.phase, Phase::Open);
        assert_eq!(answer.granted, amount(4), "no more than it used");
        assert_eq!(spent_and_owed(&bench), (4, 0));
    }
}

#[test]
fn more_than_the_allowance_is_impossible_and_moves_nothing() {
    let mut bench = bench_with(100);
    asked(&mut bench);
    let report = question(bench.account(), 5, used(0, 11, 0), 0);
    assert!(bench.report(A, &report).is_err());
    assert_eq!(spent_and_owed(&bench), (0, 0));
}

#[test]
fn a_gateway_that_has_not_heard_of_a_smaller_allowance_is_not_taken_for_broken() {
    let mut bench = bench_with(100);
    bench.registry.settings.offline_allowance = amount(1);
    asked(&mut bench);
    bench.ask(A, 5, used(0, 10, 0), 0);
    assert_eq!(spent_and_owed(&bench), (10, 0));
}

#[test]
fn a_lease_begun_offline_of_which_nothing_is_left_is_lent_to_like_any_other() {
    let mut bench = bench_with(100);
    asked(&mut bench);
    let released = Counters {
        reserved: amount(6),
        released: amount(6),
        ..Counters::default()
    };
    let answer = bench.ask(A, 5, released, 3);
    assert_eq!(answer.phase, Phase::Open);
    assert!(answer.granted >= amount(3), "{answer:?}");
    assert_eq!(spent_and_owed(&bench), (0, 0));
}

#[test]
fn a_lease_with_anything_lent_is_never_opened_by_a_report() {
    let mut bench = bench_with(100);
    asked(&mut bench);
    for counters in [used(5, 7, 0), returned(used(5, 0, 0), 5)] {
        assert_eq!(bench.ask(A, 5, counters, 0).phase, Phase::Closed);
        assert_eq!(spent_and_owed(&bench), (0, 0));
    }
}

#[test]
fn what_a_lease_that_was_closed_is_overrun_by_is_out_until_it_is_settled() {
    let mut bench = bench_with(10);
    bench.ask(A, 1, Counters::default(), 10);
    bench.ask(A, 1, used(10, 10, 0), 0);
    bench.run(|book, journal, context| {
        let cause = QuarantineCause::InstanceSilent;
        quarantine::set_aside(book, journal, context, 0, 0, cause);
    });
    assert_eq!(bench.book.leases[0].state, LeaseState::Closed);
    bench.ask(A, 1, used(10, 12, 3), 0);
    assert_eq!(bench.book.leases[0].state, LeaseState::Draining);
    assert_eq!(spent_and_owed(&bench), (12, 5));
    bench.ask(A, 1, used(10, 15, 0), 0);
    assert_eq!(bench.book.leases[0].state, LeaseState::Closed);
    assert_eq!(spent_and_owed(&bench), (15, 5));
}

#[test]
fn use_beyond_what_was_decided_over_is_the_customers_and_booked_once() {
    for kind in [ResolutionKind::Release, ResolutionKind::Consume] {
        let mut bench = bench_with(20);
        bench.ask(A, 1, Counters::default(), 10);
        bench.ask(A, 1, used(10, 4, 0), 0);
        let out = 6 + bench.book.leases[0].counters.granted.get() - 10;
        bench.run(|book, journal, context| {
            let cause = QuarantineCause::InstanceSilent;
            quarantine::set_aside(book, journal, context, 0, 0, cause);
            let id = book.leases[0].id;
            quarantine::resolve(book, journal, context, id, kind, "test").unwrap();
        });
        let granted = bench.book.leases[0].counters.granted.get();
        let lost = match kind {
            ResolutionKind::Release => out,
            ResolutionKind::Consume | ResolutionKind::UnsettledHold => 0,
        };
        for _ in 0..2 {
            bench.ask(A, 1, used(granted, 4 + out + 5, 0), 0);
            assert_eq!(bench.balance(LedgerAccount::Spent), 4 + out + 5);
            assert_eq!(bench.balance(LedgerAccount::LeaseLoss), -lost);
            assert_eq!(bench.balance(LedgerAccount::Unattributed), 0);
        }
    }
}

#[test]
fn of_released_credit_that_came_back_unused_nothing_is_the_operators_loss() {
    let mut bench = bench_with(20);
    bench.ask(A, 1, Counters::default(), 10);
    bench.run(|book, journal, context| {
        let cause = QuarantineCause::InstanceSilent;
        quarantine::set_aside(book, journal, context, 0, 0, cause);
        let (id, release) = (book.leases[0].id, ResolutionKind::Release);
        quarantine::resolve(book, journal, context, id, release, "test").unwrap();
    });
    let granted = bench.book.leases[0].counters.granted.get();
    bench.ask(A, 1, returned(used(granted, 5, 0), granted), 0);
    assert_eq!(bench.balance(LedgerAccount::LeaseLoss), 0);
    assert_eq!(spent_and_owed(&bench), (5, 0));
}

#[test]
fn a_resolve_that_comes_first_does_not_lose_what_was_spent_before_it() {
    let mut bench = bench_with(50);
    asked(&mut bench);
    let reporter = Reporter {
        instance: A,
        barred: None,
    };
    let usd = ("usd".parse().unwrap(), Scale::new(0).unwrap());
    bench.run(|book, journal, context| {
        let asked = (LeaseNumber(9), amount(2));
        report::resolve(book, journal, context, reporter, usd, asked)
    });
    // It stays with the lease it has, and hands the other back.
    bench.ask(A, 5, used(0, 8, 0), 0);
    assert_eq!(spent_and_owed(&bench), (8, 0));
}
