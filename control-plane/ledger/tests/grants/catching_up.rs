//! Nobody decided anything for a while: each application happens once, in order, as of its instant.

use creditgate_ledger::grant::ApplicationState::{Applied, Skipped};
use creditgate_ledger::grant::{self, GrantCadence, GrantExpiry, Period};
use creditgate_ledger::{EventKind, Timestamp, subscription};
use proptest::prelude::*;

use crate::desk::{DAY, MONTH, bench, days, monthly, rollover};

#[test]
fn months_without_a_decision_are_made_up_for_once_each_and_in_order() {
    let mut bench = bench("2027-01-31T00:00:00Z", "Asia/Singapore");
    let plan = bench.plan("starter", vec![monthly("50")]);
    bench.subscribe(plan);
    bench.pass("2027-06-15T00:00:00Z");
    let lots: Vec<_> = bench.lots().into_iter().map(|lot| lot.0).collect();
    assert_eq!(
        lots,
        [
            "2027-01-31",
            "2027-02-28",
            "2027-03-31",
            "2027-04-30",
            "2027-05-31"
        ]
    );
    let made: Vec<_> = bench.book.lots.iter().map(|lot| lot.created_at).collect();
    assert_eq!(
        made[1..],
        [bench.now; 4],
        "when it was booked stays visible"
    );
    let before = bench.book.clone();
    bench.pass("2027-06-15T00:00:01Z");
    assert_eq!(bench.book.applications, before.applications, "once");
}

#[test]
fn what_would_be_over_already_is_skipped_and_says_so() {
    let mut bench = bench("2027-01-01T00:00:00Z", "UTC");
    let mut daily = monthly("10");
    daily.cadence = GrantCadence::Recurring(DAY);
    daily.expiry = GrantExpiry::Duration(days(2));
    bench.grant(daily);
    bench.pass("2027-01-05T00:00:00Z");
    assert_eq!(
        bench.applications(),
        [
            (0, "2027-01-01".to_owned(), Applied),
            (1, "2027-01-02".to_owned(), Skipped),
            (2, "2027-01-03".to_owned(), Skipped),
            (3, "2027-01-04".to_owned(), Applied),
            (4, "2027-01-05".to_owned(), Applied),
        ]
    );
    assert_eq!(
        bench.book.applications[1].cause.as_deref(),
        Some("period_over")
    );
    assert_eq!(bench.free(), 20);
}

#[test]
fn what_would_have_been_carried_on_is_there_however_late_it_is_booked() {
    let steps = |late: bool| {
        let mut bench = bench("2027-01-01T00:00:00Z", "UTC");
        let mut rolling = monthly("10");
        rolling.expiry = GrantExpiry::Duration(MONTH);
        rolling.rollover = rollover("0", "25");
        bench.grant(rolling);
        if late {
            bench.pass("2027-06-15T00:00:00Z");
        } else {
            bench.step("2027-06-15T00:00:00Z");
        }
        let states: Vec<_> = bench.applications().into_iter().map(|row| row.2).collect();
        assert_eq!(states, [Applied; 6]);
        let left: Vec<_> = bench.lots().into_iter().filter(|lot| lot.2 > 0).collect();
        (bench.free(), left)
    };
    let (in_time, too_late) = (steps(false), steps(true));
    assert_eq!(in_time.0, 35);
    assert_eq!(in_time, too_late);
}

#[test]
fn a_subscription_that_ended_meanwhile_gets_what_came_before_its_end() {
    let mut bench = bench("2027-01-31T00:00:00Z", "UTC");
    let mut weekly = monthly("1");
    weekly.cadence = GrantCadence::Recurring(days(7));
    let plan = bench.plan("starter", vec![weekly]);
    let subscription = bench.subscribe(plan);
    bench.run(|book, journal, context| {
        let end = subscription::CancelAt::PeriodEnd;
        let keep = (subscription::GrantedCredit::Keep, None);
        subscription::cancel(book, journal, context, subscription, end, keep).unwrap()
    });
    bench.pass("2027-12-31T00:00:00Z");
    let days: Vec<_> = bench.applications().into_iter().map(|row| row.1).collect();
    assert_eq!(
        days,
        ["2027-01-31", "2027-02-07", "2027-02-14", "2027-02-21"],
        "not that of 28 February, when it ended"
    );
    assert_eq!(bench.told(EventKind::SubscriptionCancelled).len(), 1);
}

#[test]
fn an_absurd_backlog_is_bounded_and_gone_through_in_several_decisions() {
    let mut bench = bench("2000-01-01T00:00:00Z", "UTC");
    let mut daily = monthly("1");
    daily.cadence = GrantCadence::Recurring(DAY);
    daily.expiry = GrantExpiry::Duration(DAY);
    bench.grant(daily);
    bench.pass("2060-01-01T00:00:00Z");
    assert_eq!(bench.book.applications.len(), 1 + grant::CATCH_UP_MAX);
    assert!(grant::is_behind(&bench.book, bench.now));
    bench.run(|_, _, _| ());
    bench.run(|_, _, _| ());
    assert!(!grant::is_behind(&bench.book, bench.now));
    assert_eq!(bench.free(), 1);
    assert_eq!(
        bench.book.applications.len(),
        21_916,
        "60 years, 15 leap days"
    );
}

#[test]
fn what_is_carried_on_survives_a_catch_up_in_several_decisions() {
    let mut bench = bench("2000-01-01T00:00:00Z", "UTC");
    let mut rolling = monthly("10");
    rolling.expiry = GrantExpiry::Duration(MONTH);
    rolling.rollover = rollover("0", "250");
    bench.grant(rolling);
    let mut daily = monthly("1");
    daily.cadence = GrantCadence::Recurring(DAY);
    daily.expiry = GrantExpiry::Duration(DAY);
    bench.grant(daily);
    // The months of 27 years and all but the last of their days: the rest is left behind.
    bench.pass("2026-12-31T00:00:00Z");
    assert!(grant::is_behind(&bench.book, bench.now));
    bench.run(|_, _, _| ());
    assert!(!grant::is_behind(&bench.book, bench.now));
    assert_eq!(bench.free(), 250 + 10 + 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn however_decisions_fall_in_time_each_number_is_decided_once(
        pauses in proptest::collection::vec((1_u64..40, 0_u8..4), 1..30),
        period in prop_oneof![Just(Period::Daily), Just(Period::Weekly), Just(Period::Monthly)],
        zone in prop_oneof![Just("UTC"), Just("America/New_York"), Just("Pacific/Apia")],
    ) {
        let mut bench = bench("2027-01-31T07:30:00Z", zone);
        let mut new = monthly("1");
        new.cadence = GrantCadence::Recurring(grant::Cadence { period, count: 1 });
        let plan = bench.plan("starter", vec![new]);
        let id = bench.subscribe(plan);
        for (hours, what) in pauses {
            bench.now = Timestamp(bench.now.0 + i64::try_from(hours * 3_600_000).unwrap());
            bench.run(|book, journal, context| match what {
                0 => drop(subscription::pause(book, journal, context, id)),
                1 => drop(subscription::resume(book, journal, context, id)),
                2 => {
                    let zone = if context.now.0 % 2 == 0 { "Asia/Singapore" } else { "UTC" };
                    let change = creditgate_ledger::customer::CustomerChange {
                        time_zone: Some(zone.to_owned()),
                        ..Default::default()
                    };
                    creditgate_ledger::customer::change(book, journal, context, change);
                }
                _ => {}
            });
        }
        let rows = &bench.book.applications;
        for (number, row) in rows.iter().enumerate() {
            prop_assert_eq!(row.occurrence as usize, number);
            prop_assert!(row.scheduled_for <= bench.now);
        }
        prop_assert!(rows.is_sorted_by_key(|row| row.id));
        let applied = rows.iter().filter(|row| row.state == Applied).count();
        prop_assert_eq!(bench.book.lots.len(), applied);
        let next = bench.book.schedules[0].next_at.unwrap();
        prop_assert!(next > bench.now);
    }
}
