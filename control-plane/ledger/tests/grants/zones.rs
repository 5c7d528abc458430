//! A year of grants in three zones, and a customer that moves.

use creditgate_ledger::customer::{self, CustomerChange};
use creditgate_ledger::grant::{
    Cadence, GrantCadence, GrantExpiry, Period, UpcomingFilter, UpcomingPlace, upcoming,
};
use creditgate_ledger::id::SubscriptionId;
use creditgate_ledger::subscription;

use crate::common::Bench;
use crate::desk::{MONTH, at, bench, day, days, monthly, once, rollover};

/// The instants of a year of monthly grants from `start` on, as applied one by one.
fn a_year(zone: &str, start: &str, end: &str) -> Vec<String> {
    let mut bench = bench(start, zone);
    let plan = bench.plan("starter", vec![monthly("1")]);
    bench.subscribe(plan);
    bench.step(end);
    assert_eq!(
        bench.free(),
        i64::try_from(bench.book.applications.len()).unwrap()
    );
    bench.applications().into_iter().map(|row| row.1).collect()
}

#[test]
fn a_year_of_grants_in_singapore_with_a_leap_day() {
    assert_eq!(
        a_year(
            "Asia/Singapore",
            "2027-08-30T16:00:00Z",
            "2028-08-30T16:00:00Z"
        ),
        [
            "2027-08-30T16:00:00Z",
            "2027-09-29T16:00:00Z",
            "2027-10-30T16:00:00Z",
            "2027-11-29T16:00:00Z",
            "2027-12-30T16:00:00Z",
            "2028-01-30T16:00:00Z",
            "2028-02-28T16:00:00Z",
            "2028-03-30T16:00:00Z",
            "2028-04-29T16:00:00Z",
            "2028-05-30T16:00:00Z",
            "2028-06-29T16:00:00Z",
            "2028-07-30T16:00:00Z",
            "2028-08-30T16:00:00Z",
        ],
        "midnight of the last day of each month, 29 February included"
    );
}

#[test]
fn a_year_of_grants_in_new_york_with_both_changes_of_the_clocks() {
    assert_eq!(
        a_year(
            "America/New_York",
            "2027-01-14T07:30:00Z",
            "2028-01-14T07:30:00Z"
        ),
        [
            "2027-01-14T07:30:00Z",
            "2027-02-14T07:30:00Z",
            "2027-03-14T07:00:00Z",
            "2027-04-14T06:30:00Z",
            "2027-05-14T06:30:00Z",
            "2027-06-14T06:30:00Z",
            "2027-07-14T06:30:00Z",
            "2027-08-14T06:30:00Z",
            "2027-09-14T06:30:00Z",
            "2027-10-14T06:30:00Z",
            "2027-11-14T07:30:00Z",
            "2027-12-14T07:30:00Z",
            "2028-01-14T07:30:00Z",
        ],
        "half past two, which 14 March did not have"
    );
}

#[test]
fn a_year_of_grants_in_apia_when_it_skipped_a_day() {
    assert_eq!(
        a_year(
            "Pacific/Apia",
            "2011-06-30T20:00:00Z",
            "2012-06-30T00:00:00Z"
        ),
        [
            "2011-06-30T20:00:00Z",
            "2011-07-30T20:00:00Z",
            "2011-08-30T20:00:00Z",
            "2011-09-30T19:00:00Z",
            "2011-10-30T19:00:00Z",
            "2011-11-30T19:00:00Z",
            "2011-12-30T10:00:00Z",
            "2012-01-29T19:00:00Z",
            "2012-02-28T19:00:00Z",
            "2012-03-29T19:00:00Z",
            "2012-04-29T20:00:00Z",
            "2012-05-29T20:00:00Z",
            "2012-06-29T20:00:00Z",
        ],
        "nine o'clock on the 30th, which December did not have"
    );
}

fn move_to(bench: &mut Bench, zone: &str) {
    let change = CustomerChange {
        time_zone: Some(zone.to_owned()),
        ..CustomerChange::default()
    };
    bench.run(|book, journal, context| customer::change(book, journal, context, change));
}

#[test]
fn a_customer_that_moves_gets_what_is_to_come_by_the_new_clocks_and_nothing_twice() {
    let mut bench = bench("2027-01-31T05:00:00Z", "America/New_York");
    let plan = bench.plan("starter", vec![monthly("1")]);
    bench.subscribe(plan);
    bench.step("2027-04-30T04:00:00Z");
    // An hour after this month's midnight in New York, before this month's in Los Angeles.
    bench.now = at("2027-04-30T05:00:00Z");
    move_to(&mut bench, "America/Los_Angeles");
    move_to(&mut bench, "Asia/Singapore");
    bench.step("2027-07-31T23:00:00Z");
    assert_eq!(
        bench
            .applications()
            .into_iter()
            .map(|row| row.1)
            .collect::<Vec<_>>(),
        [
            "2027-01-31T05:00:00Z",
            "2027-02-28T05:00:00Z",
            "2027-03-31T04:00:00Z",
            "2027-04-30T04:00:00Z",
            "2027-05-31T05:00:00Z",
            "2027-06-30T05:00:00Z",
            "2027-07-31T05:00:00Z",
        ],
        "one o'clock in the afternoon in Singapore, all year"
    );
}

fn to_come(
    bench: &Bench,
    subscription: Option<SubscriptionId>,
    limit: usize,
) -> Vec<(String, u32)> {
    let filter = UpcomingFilter {
        subscription,
        after: None,
    };
    upcoming(&bench.book, &bench.registry, filter, limit)
        .into_iter()
        .map(|(_, next)| (day(next.scheduled_for), next.occurrence))
        .collect()
}

#[test]
fn what_is_to_come_is_told_in_order_and_by_pages() {
    let mut bench = bench("2027-01-31T00:00:00Z", "UTC");
    let mut quarterly = monthly("2");
    let quarter = Cadence {
        period: Period::Quarterly,
        count: 1,
    };
    quarterly.cadence = GrantCadence::Recurring(quarter);
    let plan = bench.plan("starter", vec![monthly("1"), quarterly, once("1")]);
    let subscription = bench.subscribe(plan);
    bench.grant(monthly("3"));
    let dates = |list: &[(&str, u32)]| -> Vec<(String, u32)> {
        list.iter()
            .map(|(day, number)| ((*day).to_owned(), *number))
            .collect()
    };
    let expected = dates(&[
        ("2027-02-28", 1),
        ("2027-03-31", 2),
        ("2027-04-30", 3),
        ("2027-04-30", 1),
        ("2027-05-31", 4),
    ]);
    assert_eq!(to_come(&bench, Some(subscription), 5), expected);
    let all = upcoming(&bench.book, &bench.registry, UpcomingFilter::default(), 40);
    assert_eq!(all.len(), 40);
    let mut paged = Vec::new();
    let mut after: Option<UpcomingPlace> = None;
    while paged.len() < 40 {
        let filter = UpcomingFilter {
            subscription: None,
            after,
        };
        let page = upcoming(&bench.book, &bench.registry, filter, 3);
        after = page.last().map(|(place, _)| *place);
        paged.extend(page);
    }
    assert_eq!(paged[..40], all[..]);
    let promised: Vec<_> = all
        .iter()
        .map(|(_, next)| (next.scheduled_for, next.occurrence))
        .collect();
    bench.step("2027-12-31T00:00:00Z");
    let applied: Vec<_> = bench.book.applications[4..]
        .iter()
        .map(|row| (row.scheduled_for, row.occurrence))
        .collect();
    assert_eq!(promised[..applied.len()], applied, "and so it came");
}

#[test]
fn what_is_to_come_says_what_a_pause_or_an_end_would_do() {
    let mut bench = bench("2027-01-31T00:00:00Z", "UTC");
    let plan = bench.plan("starter", vec![monthly("1")]);
    let id = bench.subscribe(plan);
    bench.run(|book, journal, context| subscription::pause(book, journal, context, id).unwrap());
    let next = upcoming(&bench.book, &bench.registry, UpcomingFilter::default(), 1);
    assert_eq!(next[0].1.would_skip, Some("subscription_paused"));
    bench.run(|book, journal, context| {
        let how = (subscription::GrantedCredit::Keep, None);
        let end = subscription::CancelAt::PeriodEnd;
        subscription::cancel(book, journal, context, id, end, how).unwrap()
    });
    assert_eq!(to_come(&bench, None, 10), []);
}

#[test]
fn a_customer_that_moves_keeps_what_is_carried_on() {
    for bounds in [None, rollover("0", "500")] {
        let mut bench = bench("2027-01-15T05:00:00Z", "America/New_York");
        let mut new = monthly("100");
        new.expiry = GrantExpiry::Duration(MONTH);
        new.rollover = bounds.clone();
        bench.grant(new);
        bench.step("2027-02-20T00:00:00Z");
        let last = |bench: &Bench| bench.lots().pop().unwrap();
        assert_eq!(last(&bench).1, "2027-03-15T04:00:00Z");
        move_to(&mut bench, "Asia/Singapore");
        assert_eq!(last(&bench).1, "2027-03-15T05:00:00Z");
        bench.step("2027-03-15T04:59:59.999Z");
        let carried = if bounds.is_some() { 200 } else { 100 };
        assert_eq!(bench.free(), carried, "no hour without credit");
        bench.step("2027-03-15T05:00:00Z");
        assert_eq!(bench.free(), if bounds.is_some() { 300 } else { 100 });
    }
}

#[test]
fn a_move_changes_no_expiry_that_is_not_that_of_the_next_application() {
    let mut bench = bench("2027-01-15T05:00:00Z", "America/New_York");
    let mut longer = monthly("1");
    longer.expiry = GrantExpiry::Duration(Cadence { count: 2, ..MONTH });
    bench.grant(longer);
    let mut shorter = monthly("1");
    shorter.expiry = GrantExpiry::Duration(days(20));
    bench.grant(shorter);
    bench.step("2027-01-20T00:00:00Z");
    let before = bench.lots();
    for zone in ["Asia/Singapore", "America/Los_Angeles"] {
        move_to(&mut bench, zone);
        assert_eq!(bench.lots(), before);
    }
}
