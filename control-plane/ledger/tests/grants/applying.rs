//! What is applied, to whom, and when.

use creditgate_ledger::grant::ApplicationState::{Applied, Skipped};
use creditgate_ledger::grant::{self, GrantExpiry};
use creditgate_ledger::{EventKind, LotKind, ReasonCode, WalletStatus, subscription, wallet};

use crate::desk::{DAY, MONTH, at, bench, days, monthly, once};

#[test]
fn a_plan_s_grant_is_applied_when_someone_subscribes_and_then_each_month() {
    let mut bench = bench("2027-01-31T00:00:00Z", "UTC");
    let plan = bench.plan("starter", vec![monthly("50")]);
    bench.subscribe(plan);
    assert_eq!(bench.free(), 50);
    bench.step("2027-04-01T00:00:00Z");
    assert_eq!(
        bench.applications(),
        [
            (0, "2027-01-31".to_owned(), Applied),
            (1, "2027-02-28".to_owned(), Applied),
            (2, "2027-03-31".to_owned(), Applied),
        ]
    );
    assert_eq!(bench.free(), 150);
    let lot = &bench.book.lots[0];
    assert_eq!(
        (lot.kind, lot.reason),
        (LotKind::Granted, ReasonCode::SubscriptionCreditGrant)
    );
    assert_eq!(lot.description.as_deref(), Some("50 a month"));
    assert_eq!(bench.told(EventKind::GrantApplied).len(), 3);
}

#[test]
fn a_onetime_grant_is_applied_once() {
    let mut bench = bench("2027-01-31T00:00:00Z", "UTC");
    let plan = bench.plan("starter", vec![once("50")]);
    bench.subscribe(plan);
    bench.step("2030-01-31T00:00:00Z");
    assert_eq!(
        bench.applications(),
        [(0, "2027-01-31".to_owned(), Applied)]
    );
    bench.subscribe(plan);
    assert_eq!(bench.free(), 100, "each subscription has its own");
}

#[test]
fn a_customer_s_grant_is_free_credit_and_may_be_promotional() {
    let mut bench = bench("2027-01-31T00:00:00Z", "UTC");
    bench.grant(once("5"));
    let mut promotional = once("7");
    promotional.is_promotional = true;
    promotional.priority = Some(3);
    bench.grant(promotional);
    let lots: Vec<_> = bench.book.lots.iter().collect();
    let nature = |place: usize| (lots[place].kind, lots[place].reason, lots[place].priority);
    assert_eq!(
        nature(0),
        (LotKind::Granted, ReasonCode::FreeCreditGrant, None)
    );
    assert_eq!(
        nature(1),
        (LotKind::Promotional, ReasonCode::FreeCreditGrant, Some(3))
    );
}

#[test]
fn a_subscription_that_began_before_gets_the_period_that_runs_and_no_other() {
    let mut bench = bench("2027-03-20T10:00:00Z", "UTC");
    let plan = bench.plan("starter", vec![monthly("50"), once("1")]);
    let mut cycle = monthly("9");
    cycle.expiry = GrantExpiry::BillingCycle;
    bench.plan_grant(plan, cycle).unwrap();
    let began = |new: &mut subscription::NewSubscription| {
        new.started_at = Some(at("2025-01-15T00:00:00Z"));
    };
    bench.try_subscribe(plan, began).unwrap();
    let now = "2027-03-20T10:00:00Z".to_owned();
    assert_eq!(
        bench.lots(),
        [
            (now.clone(), "never".to_owned(), 50),
            (now.clone(), "never".to_owned(), 1),
            (now.clone(), "2027-04-15".to_owned(), 9),
        ]
    );
    bench.step("2027-04-15T00:00:00Z");
    assert_eq!(
        bench.applications()[3..],
        [
            (1, "2027-04-15".to_owned(), Applied),
            (1, "2027-04-15".to_owned(), Applied),
        ]
    );
}

#[test]
fn a_subscription_may_begin_later() {
    let mut bench = bench("2027-03-20T10:00:00Z", "UTC");
    let plan = bench.plan("starter", vec![monthly("50"), once("1")]);
    let begins = |new: &mut subscription::NewSubscription| {
        new.started_at = Some(at("2027-04-01T00:00:00Z"));
    };
    bench.try_subscribe(plan, begins).unwrap();
    assert_eq!(bench.applications(), []);
    bench.step("2027-05-01T00:00:00Z");
    let days: Vec<_> = bench.applications().into_iter().map(|row| row.1).collect();
    assert_eq!(days, ["2027-04-01", "2027-04-01", "2027-05-01"]);
}

#[test]
fn an_anchor_of_its_own_moves_a_grant_off_the_cycle() {
    let mut bench = bench("2027-03-20T10:00:00Z", "UTC");
    let mut past = monthly("1");
    past.anchor = Some(at("2026-01-01T00:00:00Z"));
    past.expiry = GrantExpiry::Duration(days(7));
    let mut ahead = monthly("2");
    ahead.anchor = Some(at("2027-04-05T00:00:00Z"));
    let plan = bench.plan("starter", vec![past, ahead]);
    bench.subscribe(plan);
    bench.step("2027-05-05T00:00:00Z");
    assert_eq!(
        bench.applications(),
        [
            (0, "2027-03-20T10:00:00Z".to_owned(), Applied),
            (1, "2027-04-01".to_owned(), Applied),
            (0, "2027-04-05".to_owned(), Applied),
            (2, "2027-05-01".to_owned(), Applied),
            (1, "2027-05-05".to_owned(), Applied),
        ]
    );
    let expiries: Vec<_> = bench.lots().into_iter().map(|lot| lot.1).collect();
    assert_eq!(
        expiries,
        [
            "2027-03-27T10:00:00Z",
            "2027-04-08",
            "never",
            "2027-05-08",
            "never"
        ],
        "seven days from the application, also if it was in the midst of a period"
    );
}

#[test]
fn expiries_are_counted_by_the_calendar_of_the_zone() {
    let mut bench = bench("2027-02-13T05:00:00Z", "America/New_York");
    let mut thirty = monthly("1");
    thirty.expiry = GrantExpiry::Duration(days(30));
    let plan = bench.plan("starter", vec![thirty]);
    bench.subscribe(plan);
    assert_eq!(
        bench.lots(),
        [(
            "2027-02-13T05:00:00Z".to_owned(),
            "2027-03-15T04:00:00Z".to_owned(),
            1
        )],
        "midnight to midnight, although an hour is missing between"
    );
}

#[test]
fn a_lot_of_a_month_is_followed_by_the_next_without_a_gap() {
    let mut bench = bench("2027-01-31T00:00:00Z", "UTC");
    let mut month = monthly("1");
    month.expiry = GrantExpiry::Duration(MONTH);
    bench.grant(month);
    bench.step("2027-03-31T00:00:00Z");
    let spans: Vec<_> = bench.lots().into_iter().map(|lot| (lot.0, lot.1)).collect();
    let text = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    assert_eq!(
        spans,
        [
            text("2027-01-31", "2027-02-28"),
            text("2027-02-28", "2027-03-31"),
            text("2027-03-31", "2027-04-30"),
        ]
    );
}

#[test]
fn a_question_just_after_midnight_is_paid_by_the_grant_of_that_midnight() {
    let mut bench = bench("2027-01-15T00:00:00Z", "UTC");
    let mut daily = monthly("10");
    daily.cadence = grant::GrantCadence::Recurring(DAY);
    daily.expiry = GrantExpiry::Duration(DAY);
    bench.grant(daily);
    bench.now = at("2027-01-16T00:00:00.001Z");
    let answer = bench.ask(
        crate::common::A,
        1,
        creditgate_core::lease::Counters::default(),
        10,
    );
    assert_eq!(answer.granted.get(), 10);
    let pinned: Vec<_> = bench.book.lots.iter().map(|lot| lot.pinned.get()).collect();
    assert_eq!(
        pinned,
        [0, 10],
        "the new lot, not the one that has just expired"
    );
}

#[test]
fn it_lands_in_the_active_wallet_of_the_smallest_priority() {
    let mut bench = bench("2027-01-31T00:00:00Z", "UTC");
    let usd = creditgate_core::amount::Currency::new("usd").unwrap();
    let mut make = |priority| {
        bench.run(|book, journal, context| {
            let new = wallet::NewWallet {
                priority,
                ..wallet::NewWallet::plain(usd, crate::desk::whole())
            };
            wallet::create(book, journal, context, new).unwrap().id
        })
    };
    let (later, first) = (make(Some(7)), make(Some(2)));
    bench.grant(once("1"));
    assert_eq!(bench.book.lots[0].wallet, first);
    bench.run(|book, journal, context| {
        wallet::set_status(book, journal, context, first, WalletStatus::Frozen, None).unwrap()
    });
    bench.grant(once("1"));
    assert_eq!(bench.book.lots[1].wallet, later);
}

#[test]
fn a_wallet_is_made_if_there_is_none() {
    let mut bench = bench("2027-01-31T00:00:00Z", "UTC");
    let mut tokens = once("12");
    tokens.currency = creditgate_core::amount::Currency::new("tokens").unwrap();
    bench.grant(tokens);
    let made = bench.book.wallets.last().unwrap();
    assert_eq!(made.currency.as_str(), "tokens");
    assert_eq!(bench.book.lots[0].wallet, made.id);
}

#[test]
fn what_would_be_applied_during_a_pause_is_skipped_and_the_rest_goes_on_as_counted() {
    let mut bench = bench("2027-01-31T00:00:00Z", "UTC");
    let plan = bench.plan("starter", vec![monthly("50")]);
    let subscription = bench.subscribe(plan);
    bench.step("2027-02-20T00:00:00Z");
    bench.run(|book, journal, context| {
        subscription::pause(book, journal, context, subscription).unwrap()
    });
    bench.pass("2027-04-10T00:00:00Z");
    bench.run(|book, journal, context| {
        subscription::resume(book, journal, context, subscription).unwrap()
    });
    bench.step("2027-04-30T00:00:00Z");
    assert_eq!(
        bench.applications(),
        [
            (0, "2027-01-31".to_owned(), Applied),
            (1, "2027-02-28".to_owned(), Skipped),
            (2, "2027-03-31".to_owned(), Skipped),
            (3, "2027-04-30".to_owned(), Applied),
        ]
    );
    let causes: Vec<_> = bench.book.applications[1..3]
        .iter()
        .map(|row| row.cause.as_deref())
        .collect();
    assert_eq!(causes, [Some("subscription_paused"); 2]);
    assert_eq!(bench.told(EventKind::GrantSkipped).len(), 2);
}
