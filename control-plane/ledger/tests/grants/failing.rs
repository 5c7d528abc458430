//! An application that can't be applied is tried again, while later ones go on.

use creditgate_ledger::grant::ApplicationState::{Applied, Failed, Skipped};
use creditgate_ledger::grant::{self, ATTEMPTS_MAX, GrantCadence, GrantExpiry};
use creditgate_ledger::subscription::{self, CancelAt, GrantedCredit};
use creditgate_ledger::{EventKind, Timestamp, WalletStatus, wallet};

use crate::common::Bench;
use crate::desk::{DAY, bench, days, monthly, once};

fn set(bench: &mut Bench, status: WalletStatus) {
    let id = bench.book.wallets[0].id;
    bench.run(|book, journal, context| {
        wallet::set_status(book, journal, context, id, status, None).unwrap()
    });
}

#[test]
fn it_is_tried_again_with_growing_pauses_and_then_left_to_people() {
    let mut bench = bench("2027-01-31T00:00:00Z", "UTC");
    set(&mut bench, WalletStatus::Frozen);
    bench.grant(once("5"));
    let mut minutes = Vec::new();
    while let Some(retry_at) = bench.book.applications[0].retry_at {
        minutes.push(retry_at.since_ms(bench.now) / 60_000);
        bench.now = retry_at;
        bench.run(|_, _, _| ());
    }
    assert_eq!(minutes, [1, 4, 16, 64, 256, 1_024, 1_440, 1_440, 1_440]);
    let row = bench.book.applications[0].clone();
    assert_eq!(
        (row.state, row.cause.as_deref(), row.attempts),
        (Failed, Some("wallet_frozen"), ATTEMPTS_MAX)
    );
    assert_eq!(bench.told(EventKind::GrantFailed).len(), 10);

    let retry = |bench: &mut Bench| {
        bench.run(|book, journal, context| grant::retry(book, journal, context, row.id))
    };
    assert_eq!(retry(&mut bench).unwrap().state, Failed);
    set(&mut bench, WalletStatus::Active);
    let applied = retry(&mut bench).unwrap();
    assert_eq!(
        (applied.state, applied.cause, applied.attempts),
        (Applied, None, 12)
    );
    assert_eq!(bench.free(), 5);
    assert_eq!(
        retry(&mut bench).unwrap_err().code(),
        "application_not_failed"
    );
}

#[test]
fn later_applications_go_on_and_the_late_one_is_as_of_its_own_instant() {
    let mut bench = bench("2027-01-01T00:00:00Z", "UTC");
    let mut daily = monthly("5");
    daily.cadence = GrantCadence::Recurring(DAY);
    daily.expiry = GrantExpiry::Duration(days(3));
    set(&mut bench, WalletStatus::Frozen);
    bench.grant(daily);
    bench.step("2027-01-01T23:00:00Z");
    set(&mut bench, WalletStatus::Active);
    bench.pass("2027-01-02T00:00:00Z");
    let states: Vec<_> = bench
        .applications()
        .into_iter()
        .map(|row| (row.0, row.2))
        .collect();
    assert_eq!(states, [(0, Failed), (1, Applied)]);
    bench.step("2027-01-02T23:00:00Z");
    assert_eq!(
        bench.lots(),
        [
            ("2027-01-02".to_owned(), "2027-01-05".to_owned(), 5),
            ("2027-01-01".to_owned(), "2027-01-04".to_owned(), 5),
        ]
    );
}

#[test]
fn what_is_over_when_it_could_be_applied_is_skipped() {
    let mut bench = bench("2027-01-01T00:00:00Z", "UTC");
    let mut daily = once("5");
    daily.expiry = GrantExpiry::Duration(DAY);
    set(&mut bench, WalletStatus::Frozen);
    bench.grant(daily);
    bench.pass("2027-01-03T00:00:00Z");
    let row = &bench.book.applications[0];
    assert_eq!(
        (row.state, row.cause.as_deref()),
        (Skipped, Some("period_over"))
    );
}

#[test]
fn a_cancelled_subscription_s_failures_are_given_up() {
    let mut bench = bench("2027-01-01T00:00:00Z", "UTC");
    let plan = bench.plan("starter", vec![monthly("50")]);
    set(&mut bench, WalletStatus::Frozen);
    let id = bench.subscribe(plan);
    bench.run(|book, journal, context| {
        let how = (GrantedCredit::Keep, None);
        subscription::cancel(book, journal, context, id, CancelAt::Now, how).unwrap()
    });
    set(&mut bench, WalletStatus::Active);
    bench.pass("2027-02-01T00:00:00Z");
    let row = &bench.book.applications[0];
    assert_eq!(
        (row.state, row.cause.as_deref(), row.retry_at),
        (Skipped, Some("subscription_cancelled"), None)
    );
}

#[test]
fn what_does_not_fit_fails_with_its_cause() {
    let mut bench = bench("2027-01-01T00:00:00Z", "UTC");
    bench.grant(once("9999999999999999999"));
    bench.grant(once("0.1"));
    let causes: Vec<_> = bench
        .book
        .applications
        .iter()
        .map(|row| row.cause.clone().unwrap())
        .collect();
    assert_eq!(causes, ["amount_overflow", "amount_not_positive"]);
    assert_eq!(bench.book.lots.len(), 0);
    assert_eq!(
        bench.book.applications[0].retry_at,
        Some(Timestamp(bench.now.0 + 60_000))
    );
}
