//! Holes that the simulation found, each as the shortest story that shows it.

mod common;

use common::{A, B, Bench, amount, question, returned, turned, used};
use creditgate_core::amount::{Currency, Scale};
use creditgate_core::lease::{Counters, LeaseNumber};
use creditgate_core::protocol::{Barred, LeaseAnswer, Phase, PreviousReport, Report};
use creditgate_ledger::report::{self, Reporter};
use creditgate_ledger::{LeaseState, LedgerAccount, QuarantineCause, ResolutionKind, quarantine};

fn resolve(bench: &mut Bench, number: u64, need: i64) -> (bool, LeaseAnswer) {
    resolve_as(bench, None, number, need)
}

fn resolve_as(
    bench: &mut Bench,
    barred: Option<Barred>,
    number: u64,
    need: i64,
) -> (bool, LeaseAnswer) {
    let currency = Currency::new("usd").unwrap();
    let scale = Scale::new(0).unwrap();
    let reporter = Reporter {
        instance: A,
        barred,
    };
    bench.run(|book, journal, context| {
        let question = (LeaseNumber(number), amount(need));
        report::resolve(
            book,
            journal,
            context,
            reporter,
            (currency, scale),
            question,
        )
    })
}

/// Of A, who fell silent: what was lent is taken for spent.
fn with_a_decided_lease() -> Bench {
    let mut bench = Bench::with_credit(10);
    bench.ask(A, 1, Counters::default(), 6);
    bench.later(3_000);
    bench.run(|book, journal, context| {
        let cause = QuarantineCause::InstanceSilent;
        quarantine::set_aside(book, journal, context, 0, 0, cause);
        let (lease, kind) = (book.leases[0].id, ResolutionKind::Consume);
        quarantine::resolve(book, journal, context, lease, kind, "gone").unwrap();
    });
    bench
}

fn state(bench: &Bench, number: u64) -> LeaseState {
    let lease = bench
        .book
        .leases
        .iter()
        .find(|lease| lease.number.0 == number);
    lease.unwrap().state
}

#[test]
fn resolve_opens_nothing_over_a_decided_lease_before_its_late_report_was_heard() {
    let mut bench = with_a_decided_lease();
    bench.later(100);
    // A worker that did not know the account asks before the cell's report is heard.
    let (opened, answer) = resolve(&mut bench, 2, 1);
    assert!(!opened);
    assert_eq!(
        (answer.lease, answer.phase),
        (LeaseNumber(1), Phase::Closed)
    );
    bench.ask(A, 1, returned(used(6, 4, 0), 2), 0);
    assert_eq!(bench.balance(LedgerAccount::Spent), 4);
    assert_eq!(bench.balance(LedgerAccount::Unattributed), 2);
    bench.later(100);
    assert!(resolve(&mut bench, 3, 1).0);
}

#[test]
fn a_lease_that_is_history_answers_nobody_while_it_is_still_in_the_book() {
    for barred in [None, Some(Barred::Frozen)] {
        let mut bench = with_a_decided_lease();
        bench.later(8 * 24 * 60 * 60 * 1_000);
        // A decision before in the same batch retired it: the next load would leave it out.
        bench.run(|book, _, _| book.leases[0].newest = false);
        let (opened, answer) = resolve_as(&mut bench, barred, 2, 1);
        assert_eq!((opened, answer.lease), (barred.is_none(), LeaseNumber(2)));
    }
}

#[test]
fn idle_lease_does_not_get_again_what_it_gave_back() {
    let mut bench = Bench::with_credit(1_000_000);
    bench.ask(A, 1, Counters::default(), 100);
    bench.later(250);
    let busy = bench.ask(A, 1, used(100, 100, 0), 0);
    let spare = busy.granted.get() - 100;
    assert!(spare > 0);
    bench.later(3_000);
    let idle = bench.ask(A, 1, returned(used(busy.granted.get(), 100, 0), spare), 0);
    assert_eq!(idle.granted, busy.granted);
    assert_eq!(bench.balance(LedgerAccount::Lent), 0);
}

#[test]
fn rate_of_use_falls_although_reports_follow_one_another() {
    let mut bench = Bench::with_credit(1_000_000);
    bench.ask(A, 1, Counters::default(), 1_000);
    bench.later(100);
    bench.ask(A, 1, used(1_000, 1_000, 0), 0);
    let high = bench.book.leases[0].burn_per_second;
    let counters = bench.book.leases[0].counters;
    for _ in 0..200 {
        bench.later(20);
        bench.ask(A, 1, counters, 0);
    }
    assert!(bench.book.leases[0].burn_per_second.get() < high.get() / 8);
}

#[test]
fn report_of_a_worker_without_need_does_not_end_the_waiting_of_another() {
    let mut bench = Bench::with_credit(10);
    bench.ask(B, 1, Counters::default(), 10);
    assert!(bench.ask(A, 1, Counters::default(), 4).waiting);
    assert!(bench.ask(A, 1, Counters::default(), 0).waiting);
    bench.ask(B, 1, returned(used(10, 0, 0), 10), 0);
    let lease = bench
        .book
        .leases
        .iter()
        .find(|lease| lease.instance == A)
        .unwrap();
    assert_eq!(lease.counters.granted, amount(4));
}

#[test]
fn what_a_turned_lease_never_saw_is_back_at_once() {
    let mut bench = Bench::with_credit(100);
    bench.ask(A, 1, Counters::default(), 10);
    // The answer that lends 30 more is lost; the gateway turns, knowing of 10 and using 4.
    bench.ask(A, 1, used(10, 4, 0), 36);
    let gateway = returned(used(10, 4, 0), 6);
    let report = turned(
        question(bench.account(), 2, Counters::default(), 0),
        1,
        gateway,
        false,
    );
    bench.report(A, &report).unwrap();
    assert_eq!(bench.balance(LedgerAccount::Lent), 0);
    assert_eq!(bench.balance(LedgerAccount::Spent), 4);
    assert_eq!(state(&bench, 1), LeaseState::Closed);
}

#[test]
fn hold_of_a_turned_lease_is_charged_without_what_it_never_saw() {
    let mut bench = Bench::with_credit(100);
    bench.ask(A, 1, Counters::default(), 10);
    bench.ask(A, 1, used(10, 0, 7), 30);
    let gateway = returned(used(10, 0, 7), 3);
    let report = turned(
        question(bench.account(), 2, Counters::default(), 0),
        1,
        gateway,
        true,
    );
    bench.report(A, &report).unwrap();
    assert_eq!(bench.balance(LedgerAccount::Unattributed), 7);
    assert_eq!(bench.balance(LedgerAccount::Available), 93);
}

#[test]
fn offer_is_kept_for_its_asker_when_a_later_number_is_reported() {
    let mut bench = Bench::with_credit(10);
    let (opened, _lost) = resolve(&mut bench, 5, 4);
    assert!(opened);
    bench.ask(A, 9, Counters::default(), 1);
    assert_eq!(state(&bench, 5), LeaseState::Open);
    let (again, offered) = resolve(&mut bench, 5, 4);
    assert!(again && offered.lease == LeaseNumber(5) && offered.granted == amount(4));
    let all = returned(used(4, 0, 0), 4);
    let handed_back = Report {
        previous: Some(PreviousReport {
            lease: LeaseNumber(5),
            counters: all,
            dead: false,
        }),
        ..question(bench.account(), 0, Counters::default(), 0)
    };
    bench.report(A, &handed_back).unwrap();
    assert_eq!(state(&bench, 5), LeaseState::Closed);
    assert_eq!(bench.balance(LedgerAccount::Lent), 1);
    assert_eq!(bench.balance(LedgerAccount::Quarantined), 0);
}

#[test]
fn offer_that_nobody_takes_up_is_set_aside_in_the_end() {
    let mut bench = Bench::with_credit(10);
    resolve(&mut bench, 5, 4);
    bench.ask(A, 9, Counters::default(), 1);
    bench.later(bench.registry.settings.silent_after_ms);
    bench.ask(A, 9, used(1, 0, 0), 0);
    assert_eq!(state(&bench, 5), LeaseState::Quarantined);
    assert_eq!(state(&bench, 9), LeaseState::Open);
}

#[test]
fn lease_that_is_over_tells_no_ceiling() {
    let mut bench = Bench::with_credit(3);
    assert_eq!(
        bench.ask(A, 1, Counters::default(), 5).state.ceiling,
        Some(amount(3))
    );
    let (opened, _) = resolve(&mut bench, 2, 1);
    assert!(opened);
    assert_eq!(bench.ask(A, 1, Counters::default(), 0).state.ceiling, None);
}
