//! Auto top-ups: made by the decision that crosses, once, within bounds, and never silently not.

mod common;

use common::{A, B, Bench, amount, used};
use creditgate_core::amount::Scale;
use creditgate_ledger::auto_top_up::{AutoTopUp, AutoTopUpRefusal, Fill};
use creditgate_ledger::customer::{self, CustomerChange};
use creditgate_ledger::top_up;
use creditgate_ledger::{
    Credits, CustomerStatus, Event, EventKind, Lot, Rate, ReasonCode, Refusal, Timestamp,
    WalletStatus, balance, wallet,
};
use serde_json::json;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

fn credits(text: &str) -> Credits {
    Credits::parse(text, Scale::MAX).unwrap()
}

/// 500 at 100 or below, at once.
fn terms() -> AutoTopUp {
    AutoTopUp {
        enabled: true,
        threshold: credits("100"),
        fill: Fill::Amount(credits("500")),
        invoicing: false,
        cooldown_ms: None,
        per_day_max: None,
        per_month_max: None,
    }
}

/// A wallet with lots of so many, and these terms.
fn filling(lots: &[i64], terms: AutoTopUp) -> Bench {
    let mut bench = Bench::new();
    for units in lots {
        bench.top_up(*units);
    }
    set(&mut bench, Some(terms));
    bench
}

fn set(bench: &mut Bench, terms: Option<AutoTopUp>) {
    bench.fill_by(bench.first(), terms);
}

/// Takes the oldest lot out that has so much.
fn take(bench: &mut Bench, units: i64) {
    let lots = bench.book.lots.iter();
    let mut lots = lots.filter(|lot| lot.free == amount(units) && lot.voided_at.is_none());
    let lot = lots.next().expect("a lot of that size").id;
    bench.run(|book, journal, context| {
        top_up::void(book, journal, context, lot, "taken out").unwrap();
    });
}

/// Time passes, and is booked.
fn wait(bench: &mut Bench, ms: u64) {
    bench.later(ms);
    bench.run(|_, _, _| ());
}

fn made(bench: &Bench) -> usize {
    told(bench, EventKind::AutoTopUpApplied).len()
}

fn told(bench: &Bench, kind: EventKind) -> Vec<&Event> {
    let events = bench.journal.events.iter();
    events.filter(|event| event.kind == kind).collect()
}

/// The reasons that were told.
fn refusals(bench: &Bench) -> Vec<String> {
    told(bench, EventKind::AutoTopUpRefused)
        .iter()
        .map(|event| event.data["reason"].as_str().unwrap().to_owned())
        .collect()
}

fn has(bench: &Bench) -> i64 {
    let wallet = bench.book.wallets[0].id;
    let parts = balance::parts(&bench.book, bench.account(), Some(wallet), bench.now);
    parts.balance().get()
}

#[test]
fn the_debit_that_crosses_tops_up_in_the_same_decision() {
    let mut bench = filling(&[1_000, 100], terms());
    take(&mut bench, 1_000);
    assert_eq!(has(&bench), 600);
    let lot: &Lot = bench.book.lots.last().unwrap();
    assert_eq!(lot.reason, ReasonCode::PurchasedCreditDirect);
    let wallet = &bench.book.wallets[0];
    let expected = json!({
        "wallet_id": wallet.id.to_string(),
        "wallet_external_id": null,
        "customer_id": bench.book.customer.id.to_string(),
        "customer_external_id": "cust",
        "currency": "usd",
        "balance": "600",
        "credit_balance": "600",
        "lot_id": lot.id.to_string(),
        "amount": "500",
        "credits": "500",
        "lapses_at": null,
        "in_day": 1,
        "in_month": 1,
        "at": bench.now,
    });
    assert_eq!(told(&bench, EventKind::AutoTopUpApplied)[0].data, expected);
    let entry = bench.journal.entries.last().unwrap();
    assert_eq!(entry.actor, "auto_topup", "not whoever debited");
}

#[test]
fn it_acts_at_the_threshold_and_not_above() {
    let mut bench = filling(&[1_000, 101], terms());
    take(&mut bench, 1_000);
    assert_eq!((made(&bench), has(&bench)), (0, 101));
    let mut bench = filling(&[1_000, 100], terms());
    take(&mut bench, 1_000);
    assert_eq!((made(&bench), has(&bench)), (1, 600));
}

#[test]
fn the_report_that_empties_the_wallet_is_answered_with_the_new_credit() {
    let mut bench = filling(&[1_000], terms());
    bench.ask(A, 1, used(0, 0, 0), 1_000);
    // All of it is used, and a request waits for fifty more.
    let answer = bench.ask(A, 1, used(1_000, 1_000, 0), 50);
    assert!(answer.granted >= amount(1_050), "{answer:?}");
    assert_eq!((answer.state.ceiling, answer.waiting), (None, false));
    assert_eq!((made(&bench), has(&bench)), (1, 500));
}

#[test]
fn a_gateways_report_crosses() {
    let mut bench = filling(&[1_000], terms());
    bench.ask(A, 1, used(0, 0, 0), 1_000);
    assert_eq!(made(&bench), 0, "lent is still the customer's");
    bench.ask(A, 1, used(1_000, 899, 0), 0);
    assert_eq!(made(&bench), 0);
    bench.ask(A, 1, used(1_000, 900, 0), 0);
    assert_eq!((made(&bench), has(&bench)), (1, 600));
}

#[test]
fn an_expiry_crosses_at_its_instant_also_of_credit_that_is_all_lent() {
    let mut bench = Bench::new();
    let expires_at = bench.now.plus_ms(1_000);
    bench.top_up_with(1_000, |top_up| top_up.expires_at = Some(expires_at));
    bench.top_up(10);
    set(&mut bench, Some(terms()));
    bench.ask(A, 1, used(0, 0, 0), 1_000);
    wait(&mut bench, 999);
    assert_eq!(made(&bench), 0);
    wait(&mut bench, 1);
    assert_eq!((made(&bench), has(&bench)), (1, 510));
}

#[test]
fn two_evaluations_of_one_crossing_make_one() {
    let mut bench = filling(
        &[1_000, 90],
        AutoTopUp {
            fill: Fill::Target(credits("1000")),
            ..terms()
        },
    );
    // Both gateways use what they have; both reports find the balance low.
    bench.ask(A, 1, used(0, 0, 0), 500);
    bench.ask(B, 1, used(0, 0, 0), 500);
    bench.ask(A, 1, used(500, 500, 0), 0);
    bench.ask(B, 1, used(500, 495, 0), 0);
    bench.ask(B, 1, used(500, 500, 0), 0);
    bench.ask(A, 1, used(500, 500, 0), 0);
    assert_eq!((made(&bench), has(&bench)), (1, 995));
}

#[test]
fn a_new_wallet_and_new_terms_begin_no_crossing_and_neither_does_credit() {
    let mut bench = filling(&[], terms());
    bench.top_up(50);
    assert_eq!((made(&bench), has(&bench)), (0, 50), "nothing fell");
    bench.top_up(10);
    take(&mut bench, 10);
    assert_eq!((made(&bench), has(&bench)), (1, 550));
}

#[test]
fn terms_for_a_customer_who_is_being_refused_act_at_once() {
    let mut bench = Bench::new();
    let answer = bench.ask(A, 1, used(0, 0, 0), 20);
    assert_eq!(answer.state.ceiling, Some(amount(0)));
    set(&mut bench, Some(terms()));
    assert_eq!((made(&bench), has(&bench)), (1, 500));
    let answer = bench.ask(A, 1, used(0, 0, 0), 20);
    assert_eq!((answer.granted, answer.state.ceiling), (amount(20), None));
}

#[test]
fn a_request_that_finds_no_credit_sets_it_off() {
    let mut bench = filling(&[], terms());
    bench.ask(A, 1, used(0, 0, 0), 20);
    assert_eq!((made(&bench), has(&bench)), (1, 500));
}

#[test]
fn a_target_is_reached_whatever_was_left_and_whatever_is_owed() {
    let target = AutoTopUp {
        fill: Fill::Target(credits("1000")),
        ..terms()
    };
    let mut bench = filling(&[700, 33], target.clone());
    take(&mut bench, 700);
    assert_eq!((made(&bench), has(&bench)), (1, 1_000));

    for held in [0, 20] {
        let mut bench = filling(&[700], target.clone());
        bench.registry.settings.overrun_max = amount(1_000);
        bench.ask(A, 1, used(0, 0, 0), 700);
        bench.ask(A, 1, used(700, 750, held), 0);
        assert_eq!((made(&bench), has(&bench)), (1, 1_000), "{held} is held");
        let lot = bench.book.lots.last().unwrap();
        assert_eq!((lot.amount, lot.spent), (amount(1_050), amount(50)));
    }
}

#[test]
fn amounts_are_credits_of_the_wallet() {
    let mut bench = Bench::of(|new| {
        new.conversion_rate = Rate::parse("0.4", "/conversion_rate").unwrap();
    });
    bench.top_up(700);
    bench.top_up(40);
    set(&mut bench, Some(terms()));
    take(&mut bench, 700);
    assert_eq!((made(&bench), has(&bench)), (1, 240), "200 more at 40");
}

#[test]
fn after_one_the_next_waits_for_the_cool_down_and_comes_by_itself() {
    let mut bench = filling(&[1_000, 50], terms());
    take(&mut bench, 1_000);
    take(&mut bench, 500);
    assert_eq!((made(&bench), has(&bench)), (1, 50));
    assert_eq!(refusals(&bench), ["cooldown"]);
    let state = bench.book.wallets[0].auto_topup_state.clone();
    assert_eq!(state.refused, Some(AutoTopUpRefusal::Cooldown));
    assert_eq!(state.retry_at, Some(bench.now.plus_ms(MINUTE)));
    wait(&mut bench, MINUTE - 1);
    assert_eq!((made(&bench), has(&bench)), (1, 50));
    wait(&mut bench, 1);
    assert_eq!((made(&bench), has(&bench)), (2, 550));
    assert_eq!(refusals(&bench), ["cooldown"], "told once");
    let state = &bench.book.wallets[0].auto_topup_state;
    assert_eq!((state.refused, state.retry_at), (None, None));
}

#[test]
fn a_retry_is_among_the_instants_that_time_must_start() {
    let mut bench = filling(&[1_000, 50], terms());
    take(&mut bench, 1_000);
    take(&mut bench, 500);
    let next = creditgate_ledger::expiry::next_instant(&bench.book, bench.now);
    assert_eq!(next, Some(bench.now.plus_ms(MINUTE)));
}

#[test]
fn an_amount_that_is_too_little_does_not_silently_stop() {
    let mut bench = filling(
        &[1_000, 5],
        AutoTopUp {
            fill: Fill::Amount(credits("40")),
            ..terms()
        },
    );
    take(&mut bench, 1_000);
    assert_eq!((made(&bench), has(&bench)), (1, 45));
    assert_eq!(
        refusals(&bench),
        ["cooldown"],
        "it says that it is not done"
    );
    wait(&mut bench, MINUTE);
    wait(&mut bench, MINUTE);
    assert_eq!((made(&bench), has(&bench)), (3, 125));
    wait(&mut bench, MINUTE);
    assert_eq!((made(&bench), has(&bench)), (3, 125), "until it is enough");
}

#[test]
fn direct_top_ups_do_not_run_away() {
    let mut bench = filling(
        &[1_000, 5],
        AutoTopUp {
            threshold: credits("500"),
            fill: Fill::Amount(credits("1")),
            cooldown_ms: Some(SECOND),
            ..terms()
        },
    );
    take(&mut bench, 1_000);
    for _ in 0..1_000 {
        wait(&mut bench, SECOND);
    }
    assert_eq!(made(&bench), 10, "as many as the settings allow a day");
    assert_eq!(refusals(&bench).last().unwrap(), "daily_cap");
    for _ in 0..58 {
        wait(&mut bench, 12 * HOUR);
        for _ in 0..20 {
            wait(&mut bench, SECOND);
        }
    }
    assert_eq!(made(&bench), 100, "as many as the settings allow a month");
}

#[test]
fn caps_count_days_and_months_of_the_customers_zone() {
    let terms = AutoTopUp {
        cooldown_ms: Some(SECOND),
        per_day_max: Some(1),
        per_month_max: Some(2),
        ..terms()
    };
    let mut bench = Bench::new();
    bench.book.customer.time_zone = "Asia/Singapore".into();
    bench.now = Timestamp::parse("2026-01-30T10:00:00+08:00").unwrap();
    for units in [7, 8, 9, 10, 1_000] {
        bench.top_up(units);
    }
    set(&mut bench, Some(terms));
    let fall = |bench: &mut Bench| {
        wait(bench, SECOND);
        let largest = bench.book.lots.iter().map(|lot| lot.free.get()).max();
        take(bench, largest.unwrap());
    };
    fall(&mut bench);
    fall(&mut bench);
    assert_eq!(
        (made(&bench), refusals(&bench).as_slice()),
        (1, ["daily_cap".to_owned()].as_slice())
    );
    let retry_at = bench.book.wallets[0].auto_topup_state.retry_at;
    assert_eq!(retry_at, Timestamp::parse("2026-01-31T00:00:00+08:00").ok());
    bench.now = retry_at.unwrap();
    bench.run(|_, _, _| ());
    assert_eq!(made(&bench), 2, "the next day");
    fall(&mut bench);
    assert_eq!(refusals(&bench), ["daily_cap", "monthly_cap"]);
    let state = bench.book.wallets[0].auto_topup_state.clone();
    assert_eq!((state.in_day, state.in_month), (1, 2));
    assert_eq!(
        state.retry_at,
        Timestamp::parse("2026-02-01T00:00:00+08:00").ok()
    );
    bench.now = state.retry_at.unwrap();
    bench.run(|_, _, _| ());
    assert_eq!(made(&bench), 3, "the next month");
    let state = &bench.book.wallets[0].auto_topup_state;
    assert_eq!((state.in_day, state.in_month), (1, 1));
}

#[test]
fn each_reason_is_told_once_for_a_crossing_and_again_for_the_next() {
    let mut bench = filling(&[1_000, 50, 1], terms());
    let id = bench.book.wallets[0].id;
    let status = |bench: &mut Bench, status| {
        bench.run(|book, journal, context| {
            wallet::set_status(book, journal, context, id, status, None).unwrap();
        });
    };
    status(&mut bench, WalletStatus::Frozen);
    take(&mut bench, 1_000);
    take(&mut bench, 1);
    assert_eq!(refusals(&bench), ["wallet_frozen"]);
    status(&mut bench, WalletStatus::Active);
    assert_eq!(
        (made(&bench), has(&bench)),
        (1, 550),
        "answered when it can be"
    );
    wait(&mut bench, MINUTE);
    status(&mut bench, WalletStatus::Frozen);
    take(&mut bench, 500);
    assert_eq!(refusals(&bench), ["wallet_frozen", "wallet_frozen"]);
    status(&mut bench, WalletStatus::Closed);
    assert_eq!(refusals(&bench).last().unwrap(), "wallet_closed");
    assert_eq!(made(&bench), 1);
}

#[test]
fn a_suspended_customer_is_topped_up_when_resumed() {
    let mut bench = filling(&[1_000, 50], terms());
    let change = |bench: &mut Bench, status| {
        let change = CustomerChange {
            status: Some(status),
            ..CustomerChange::default()
        };
        bench.run(|book, journal, context| customer::change(book, journal, context, change));
    };
    change(&mut bench, CustomerStatus::Suspended);
    take(&mut bench, 1_000);
    assert_eq!(refusals(&bench), ["customer_suspended"]);
    change(&mut bench, CustomerStatus::Active);
    assert_eq!((made(&bench), has(&bench)), (1, 550));
}

#[test]
fn what_can_not_be_counted_is_refused_and_told() {
    let mut bench = filling(
        &[1_000, 50],
        AutoTopUp {
            fill: Fill::Amount(credits("2305843009213693951")),
            ..terms()
        },
    );
    take(&mut bench, 1_000);
    assert_eq!(refusals(&bench), ["amount_overflow"]);
    let mut bench = filling(
        &[1_000, 1],
        AutoTopUp {
            threshold: credits("1"),
            fill: Fill::Target(credits("1.4")),
            ..terms()
        },
    );
    take(&mut bench, 1_000);
    assert_eq!(refusals(&bench), ["too_small"]);
}

#[test]
fn better_terms_answer_a_crossing_that_stands_and_none_end_it() {
    let mut bench = filling(
        &[1_000, 50],
        AutoTopUp {
            per_day_max: Some(1),
            cooldown_ms: Some(SECOND),
            ..terms()
        },
    );
    take(&mut bench, 1_000);
    wait(&mut bench, SECOND);
    take(&mut bench, 500);
    assert_eq!(refusals(&bench), ["daily_cap"]);
    set(
        &mut bench,
        Some(AutoTopUp {
            per_day_max: Some(2),
            cooldown_ms: Some(SECOND),
            ..terms()
        }),
    );
    assert_eq!((made(&bench), has(&bench)), (2, 550));
    wait(&mut bench, SECOND);
    take(&mut bench, 500);
    assert_eq!(refusals(&bench), ["daily_cap", "daily_cap"]);
    set(&mut bench, None);
    let state = &bench.book.wallets[0].auto_topup_state;
    assert!(!state.is_crossed && state.refused.is_none() && state.retry_at.is_none());
    assert_eq!(state.in_day, 2, "off and on does not lift a cap");
}

#[test]
fn terms_that_could_never_work_are_refused_where_the_fault_is() {
    let at = |change: &dyn Fn(&mut AutoTopUp)| {
        let mut terms = terms();
        change(&mut terms);
        match terms.check("/auto_topup", &Rate::default(), Scale::new(0).unwrap()) {
            Ok(()) => "fine".to_owned(),
            Err(Refusal::InvalidAt { field, code, .. }) => {
                assert_eq!(code, "auto_topup_invalid");
                field
            }
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(at(&|_| ()), "fine");
    assert_eq!(
        at(&|terms| terms.threshold = credits("-1")),
        "/auto_topup/threshold"
    );
    let amount =
        |text: &'static str| move |terms: &mut AutoTopUp| terms.fill = Fill::Amount(credits(text));
    assert_eq!(at(&amount("0")), "/auto_topup/amount");
    assert_eq!(at(&amount("0.5")), "/auto_topup/amount", "half a unit");
    assert_eq!(at(&amount("2305843009213693952")), "/auto_topup/amount");
    assert_eq!(at(&amount("1e27")), "/auto_topup/amount");
    let target =
        |text: &'static str| move |terms: &mut AutoTopUp| terms.fill = Fill::Target(credits(text));
    assert_eq!(at(&target("100")), "/auto_topup/target");
    assert_eq!(at(&target("101")), "fine");
    assert_eq!(
        at(&|terms| terms.cooldown_ms = Some(999)),
        "/auto_topup/cooldown_ms"
    );
    assert_eq!(
        at(&|terms| terms.per_day_max = Some(0)),
        "/auto_topup/max_per_day"
    );
    assert_eq!(
        at(&|terms| terms.per_month_max = Some(10_001)),
        "/auto_topup/max_per_month"
    );
}

#[test]
fn a_reason_is_told_once_a_crossing_however_often_that_is_answered() {
    let little = AutoTopUp {
        fill: Fill::Amount(credits("10")),
        per_day_max: Some(3),
        ..terms()
    };
    let mut bench = filling(&[700], little);
    take(&mut bench, 700);
    for _ in 0..4 {
        wait(&mut bench, MINUTE);
    }
    assert_eq!((made(&bench), has(&bench)), (3, 30));
    assert_eq!(refusals(&bench), ["cooldown", "daily_cap"]);
    bench.top_up(1_000);
    take(&mut bench, 1_000);
    assert_eq!(refusals(&bench), ["cooldown", "daily_cap", "daily_cap"]);
}
