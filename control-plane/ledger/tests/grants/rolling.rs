//! What is left is carried on, within its bounds, also if gateways have it.

use creditgate_core::lease::Counters;
use creditgate_ledger::grant::{ApplicationState, GrantExpiry, NewGrant, UpcomingFilter, upcoming};
use creditgate_ledger::id::WalletId;
use creditgate_ledger::journal::ReasonCode;
use creditgate_ledger::{LedgerAccount, Rate, WalletStatus, balance, lend, wallet};

use crate::common::credit::code;
use crate::common::{A, Bench, amount, question, returned, turned, used};
use crate::desk::{MONTH, at, bench, monthly, rollover};

fn rolling(minimum: &str, maximum: &str) -> NewGrant {
    let mut grant = monthly("100");
    grant.expiry = GrantExpiry::Duration(MONTH);
    grant.rollover = rollover(minimum, maximum);
    grant
}

fn begun(minimum: &str, maximum: &str) -> Bench {
    let mut bench = bench("2027-01-01T00:00:00Z", "UTC");
    bench.grant(rolling(minimum, maximum));
    bench
}

fn set(bench: &mut Bench, wallet: WalletId, status: WalletStatus) {
    bench.run(|book, journal, context| {
        wallet::set_status(book, journal, context, wallet, status, None).unwrap()
    });
}

/// Spends through a gateway that gives back the rest.
fn spend(bench: &mut Bench, lease: u64, units: i64) {
    let lent = bench
        .ask(A, lease, Counters::default(), units)
        .granted
        .get();
    assert!(lent >= units);
    let granted = bench.ask(A, lease, used(lent, units, 0), 0).granted.get();
    bench.ask(
        A,
        lease,
        returned(used(granted, units, 0), granted - units),
        0,
    );
}

#[test]
fn what_is_left_is_carried_on_to_the_next_expiry() {
    let mut bench = begun("0", "500");
    spend(&mut bench, 1, 30);
    bench.step("2027-02-01T00:00:00Z");
    assert_eq!(
        bench.lots(),
        [
            ("2027-01-01".to_owned(), "2027-03-01".to_owned(), 70),
            ("2027-02-01".to_owned(), "2027-03-01".to_owned(), 100),
        ]
    );
    assert_eq!(bench.book.applications[1].rolled_over, amount(70));
    bench.step("2027-03-01T00:00:00Z");
    assert_eq!(bench.free(), 270);
}

#[test]
fn above_the_maximum_the_oldest_expires() {
    let mut bench = begun("0", "120");
    bench.step("2027-02-01T00:00:00Z");
    bench.step("2027-03-01T00:00:00Z");
    assert_eq!(
        bench.lots(),
        [
            ("2027-01-01".to_owned(), "2027-04-01".to_owned(), 20),
            ("2027-02-01".to_owned(), "2027-04-01".to_owned(), 100),
            ("2027-03-01".to_owned(), "2027-04-01".to_owned(), 100),
        ]
    );
    assert_eq!(bench.balance(LedgerAccount::Expired), 80);
    let capped = bench.journal.entries.iter();
    let capped = capped.filter(|entry| entry.reason == ReasonCode::RolloverCapped);
    assert_eq!(capped.count(), 1);
}

#[test]
fn a_maximum_of_nothing_carries_nothing() {
    let mut bench = begun("0", "0");
    bench.step("2027-02-01T00:00:00Z");
    assert_eq!(bench.free(), 100);
    assert_eq!(bench.balance(LedgerAccount::Expired), 100);
}

#[test]
fn below_the_minimum_the_rest_is_given() {
    let mut bench = begun("50", "200");
    spend(&mut bench, 1, 80);
    bench.step("2027-02-01T00:00:00Z");
    assert_eq!(bench.free(), 150);
    assert_eq!(
        bench.book.applications[0].rolled_over,
        amount(0),
        "nothing came before it"
    );
    assert_eq!(bench.book.applications[1].rolled_over, amount(50));
    let free: Vec<_> = bench.lots().into_iter().map(|lot| lot.2).collect();
    assert_eq!(free, [20, 30, 100]);
}

#[test]
fn what_gateways_have_is_carried_on_with_the_rest() {
    let mut bench = begun("0", "500");
    let lent = bench.ask(A, 1, Counters::default(), 40).granted.get();
    bench.step("2027-02-01T00:00:00Z");
    assert_eq!(bench.book.applications[1].rolled_over, amount(100));
    let lease = &bench.book.leases[0];
    assert_eq!(
        lease.state,
        creditgate_ledger::LeaseState::Open,
        "it need not turn"
    );
    let counters = used(lent, 10, 0);
    bench.ask(A, 1, counters, 0);
    assert_eq!(bench.book.lots[0].spent, amount(10));
    assert_eq!(bench.book.lots[0].expired, amount(0));
}

#[test]
fn what_gateways_have_above_the_maximum_expires_when_they_give_it_back() {
    let mut bench = begun("0", "30");
    let lent = bench.ask(A, 1, Counters::default(), 50).granted.get();
    assert_eq!(lent, 50);
    bench.step("2027-02-01T00:00:00Z");
    let old = bench.book.lots[0].clone();
    assert_eq!(
        (old.free, old.pinned, old.excess, old.expired),
        (amount(0), amount(50), amount(20), amount(50))
    );
    assert_eq!(bench.book.applications[1].rolled_over, amount(30));
    // Five are spent, and the rest comes back: the excess of it expires.
    let report = turned(
        question(bench.account(), 2, Counters::default(), 0),
        1,
        returned(used(50, 5, 0), 45),
        false,
    );
    bench.report(A, &report).unwrap();
    let old = bench.book.lots[0].clone();
    assert_eq!(
        (old.free, old.pinned, old.excess, old.expired, old.spent),
        (amount(25), amount(0), amount(0), amount(70), amount(5))
    );
}

#[test]
fn what_is_above_the_maximum_leaves_the_balance_at_its_instant_also_where_it_is_lent() {
    let mut bench = begun("0", "30");
    bench.registry.settings.refill_seconds = 0;
    assert_eq!(bench.ask(A, 1, Counters::default(), 50).granted, amount(50));
    bench.ask(A, 1, used(50, 0, 45), 0);
    bench.step("2027-02-01T00:00:00Z");
    let wallet = bench.first();
    let parts = bench.parts(wallet);
    assert_eq!(
        (parts.available, parts.pending_recall),
        (amount(100), amount(20))
    );
    assert_eq!((parts.lent, parts.held), (amount(0), amount(30)));
    assert_eq!(bench.has(wallet), 130);
    let account = bench.account();
    assert_eq!(lend::balance(&bench.book, account, bench.now), amount(130));
    let at_once = balance::of_wallets(&bench.book, &[wallet].into(), bench.now);
    assert_eq!(at_once[&wallet], amount(130));
    assert_eq!(code(bench.debit(wallet, 131)), "balance_insufficient");
    let claim = bench.debit(wallet, 130).unwrap();
    assert_eq!(bench.has(wallet), 0);
    let over = returned(
        Counters {
            released: amount(45),
            ..used(50, 0, 45)
        },
        50,
    );
    let report = turned(question(account, 2, Counters::default(), 0), 1, over, false);
    bench.report(A, &report).unwrap();
    assert_eq!(bench.claimed(claim.id).done, amount(130));
}

#[test]
fn each_subscription_carries_its_own() {
    let mut bench = bench("2027-01-01T00:00:00Z", "UTC");
    let plan = bench.plan("starter", vec![rolling("0", "150")]);
    bench.subscribe(plan);
    bench.subscribe(plan);
    bench.step("2027-03-01T00:00:00Z");
    let carried: Vec<_> = bench
        .book
        .applications
        .iter()
        .map(|row| row.rolled_over.get())
        .collect();
    assert_eq!(carried, [0, 0, 100, 100, 150, 150]);
}

#[test]
fn a_lot_that_was_over_before_is_not_carried_on() {
    let mut bench = begun("0", "500");
    let lot = bench.book.lots[0].id;
    bench.run(|book, journal, context| {
        creditgate_ledger::void::void(book, journal, context, lot, "a test").unwrap()
    });
    bench.step("2027-02-01T00:00:00Z");
    assert_eq!(bench.book.applications[1].rolled_over, amount(0));
}

#[test]
fn what_is_left_is_carried_on_also_when_the_first_attempt_fails() {
    for expiry in [GrantExpiry::Never, GrantExpiry::Duration(MONTH)] {
        let mut bench = bench("2027-01-01T00:00:00Z", "UTC");
        let mut grant = rolling("50", "100");
        grant.expiry = expiry;
        bench.grant(grant);
        spend(&mut bench, 1, 20);
        bench.pass("2027-01-31T23:59:00Z");
        let wallet = bench.first();
        set(&mut bench, wallet, WalletStatus::Frozen);
        bench.pass("2027-02-01T00:00:00Z");
        let failed = &bench.book.applications[1];
        assert_eq!(
            (failed.state, failed.rolled_over),
            (ApplicationState::Failed, amount(80))
        );
        bench.pass("2027-02-01T00:00:30Z");
        set(&mut bench, wallet, WalletStatus::Active);
        bench.pass("2027-02-01T00:01:00Z");
        assert_eq!(bench.free(), 180, "{expiry:?}");
        assert_eq!(bench.book.applications[1].rolled_over, amount(80));
    }
}

#[test]
fn the_maximum_is_in_credits_of_the_wallets_that_what_is_left_is_in() {
    let mut bench = bench("2027-01-01T00:00:00Z", "UTC");
    let double = bench.open(|new| {
        new.priority = Some(1);
        new.conversion_rate = Rate::parse("2", "/conversion_rate").unwrap();
    });
    bench.grant(rolling("0", "150"));
    assert_eq!(bench.has(double), 200);
    bench.pass("2027-01-31T00:00:00Z");
    set(&mut bench, double, WalletStatus::Frozen);
    bench.pass("2027-02-01T00:00:00Z");
    set(&mut bench, double, WalletStatus::Active);
    let plain = bench.first();
    assert_eq!((bench.has(double), bench.has(plain)), (200, 100));
    // 100 credits are left there, and 100 here: the older 50 are above the maximum.
    bench.pass("2027-03-01T00:00:00Z");
    assert_eq!(bench.book.applications[2].rolled_over, amount(200));
    assert_eq!((bench.has(double), bench.has(plain)), (300, 100));
}

#[test]
fn a_grant_taken_up_in_mid_period_carries_on_over_a_month_end() {
    let mut bench = bench("2027-01-31T00:00:00Z", "UTC");
    let plan = bench.plan("starter", vec![]);
    let subscription = bench.subscribe(plan);
    bench.pass("2027-02-28T12:00:00Z");
    let rolling = rolling("0", "500");
    bench.try_grant(Some(subscription), rolling).unwrap();
    let upcoming = upcoming(&bench.book, &bench.registry, UpcomingFilter::default(), 1);
    assert_eq!(upcoming[0].1.scheduled_for, at("2027-03-31T00:00:00Z"));
    assert_eq!(
        bench.lots(),
        [(
            "2027-02-28T12:00:00Z".to_owned(),
            "2027-03-31".to_owned(),
            100
        )],
        "a month later is 28 March, which would leave three days without credit"
    );
    bench.step("2027-03-31T00:00:00Z");
    assert_eq!(bench.book.applications[1].rolled_over, amount(100));
    assert_eq!(bench.free(), 200);
}

#[test]
fn the_bounds_hold_for_credit_in_whatever_wallet_it_is() {
    let mut bench = begun("0", "30");
    let first = bench.first();
    let other = bench.open(|_| ());
    bench.transfer(first, other, 90).unwrap();
    let third = bench.open(|_| ());
    bench.transfer(other, third, 40).unwrap();
    bench.step("2027-02-01T00:00:00Z");
    assert_eq!(bench.book.applications[1].rolled_over, amount(30));
    let parts = [first, other, third].map(|wallet| bench.has(wallet));
    assert_eq!(parts, [100, 0, 30], "the oldest lots expire first");
}
