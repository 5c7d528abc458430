//! When grants recur: against dates written by hand, and properties over all zones.

use chrono::{DateTime, Datelike, Months, Offset, TimeZone, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use creditgate_ledger::Timestamp;
use creditgate_ledger::grant::calendar::{Recurrence, later, zone};
use creditgate_ledger::grant::{Cadence, Period};
use proptest::prelude::*;

fn every(period: Period, count: u32) -> Cadence {
    Cadence { period, count }
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// The recurrence from the first of `expected` on gives exactly these.
fn recurs(zone_name: &str, cadence: Cadence, expected: &[&str]) {
    let zone = zone(zone_name);
    assert_eq!(zone.name(), zone_name);
    let recurrence = Recurrence::new(at(expected[0]), zone, cadence).unwrap();
    for (n, text) in expected.iter().enumerate() {
        let n = u32::try_from(n).unwrap();
        assert_eq!(
            recurrence.nth(n),
            Some(at(text)),
            "number {n} in {zone_name}"
        );
        assert_eq!(recurrence.last_by(at(text)), Some(n));
    }
}

#[test]
fn a_month_after_31_january_is_not_in_march() {
    let month = every(Period::Monthly, 1);
    let from = at("2027-01-31T00:00:00Z");
    assert_eq!(
        later(from, zone("UTC"), month),
        Some(at("2027-02-28T00:00:00Z"))
    );
    recurs(
        "UTC",
        month,
        &[
            "2027-01-31T00:00:00Z",
            "2027-02-28T00:00:00Z",
            "2027-03-31T00:00:00Z",
            "2027-04-30T00:00:00Z",
        ],
    );
}

#[test]
fn a_year_in_singapore() {
    recurs(
        "Asia/Singapore",
        every(Period::Monthly, 1),
        &[
            "2027-01-31T00:00:00+08:00",
            "2027-02-28T00:00:00+08:00",
            "2027-03-31T00:00:00+08:00",
            "2027-04-30T00:00:00+08:00",
            "2027-05-31T00:00:00+08:00",
            "2027-06-30T00:00:00+08:00",
            "2027-07-31T00:00:00+08:00",
            "2027-08-31T00:00:00+08:00",
            "2027-09-30T00:00:00+08:00",
            "2027-10-31T00:00:00+08:00",
            "2027-11-30T00:00:00+08:00",
            "2027-12-31T00:00:00+08:00",
            "2028-01-31T00:00:00+08:00",
            "2028-02-29T00:00:00+08:00",
        ],
    );
}

#[test]
fn a_year_in_new_york() {
    recurs(
        "America/New_York",
        every(Period::Monthly, 1),
        &[
            "2027-01-01T05:00:00Z",
            "2027-02-01T05:00:00Z",
            "2027-03-01T05:00:00Z",
            "2027-04-01T04:00:00Z",
            "2027-05-01T04:00:00Z",
            "2027-06-01T04:00:00Z",
            "2027-07-01T04:00:00Z",
            "2027-08-01T04:00:00Z",
            "2027-09-01T04:00:00Z",
            "2027-10-01T04:00:00Z",
            "2027-11-01T04:00:00Z",
            "2027-12-01T05:00:00Z",
            "2028-01-01T05:00:00Z",
        ],
    );
}

#[test]
fn a_year_in_apia_which_left_summer_time_in_it() {
    recurs(
        "Pacific/Apia",
        every(Period::Monthly, 1),
        &[
            "2020-08-31T11:00:00Z",
            "2020-09-30T10:00:00Z",
            "2020-10-31T10:00:00Z",
            "2020-11-30T10:00:00Z",
            "2020-12-31T10:00:00Z",
            "2021-01-31T10:00:00Z",
            "2021-02-28T10:00:00Z",
            "2021-03-31T10:00:00Z",
            "2021-04-30T11:00:00Z",
            "2021-05-31T11:00:00Z",
            "2021-06-30T11:00:00Z",
            "2021-07-31T11:00:00Z",
            "2021-08-31T11:00:00Z",
            "2021-09-30T11:00:00Z",
            "2021-10-31T11:00:00Z",
        ],
    );
}

#[test]
fn a_year_in_apia_of_today() {
    recurs(
        "Pacific/Apia",
        every(Period::Monthly, 1),
        &[
            "2026-12-31T00:00:00+13:00",
            "2027-01-31T00:00:00+13:00",
            "2027-02-28T00:00:00+13:00",
            "2027-03-31T00:00:00+13:00",
            "2027-04-30T00:00:00+13:00",
            "2027-05-31T00:00:00+13:00",
            "2027-06-30T00:00:00+13:00",
            "2027-07-31T00:00:00+13:00",
            "2027-08-31T00:00:00+13:00",
            "2027-09-30T00:00:00+13:00",
            "2027-10-31T00:00:00+13:00",
            "2027-11-30T00:00:00+13:00",
            "2027-12-31T00:00:00+13:00",
        ],
    );
}

#[test]
fn the_day_that_apia_skipped_moves_to_its_end() {
    recurs(
        "Pacific/Apia",
        every(Period::Daily, 1),
        &[
            "2011-12-28T09:00:00-10:00",
            "2011-12-29T09:00:00-10:00",
            "2011-12-31T00:00:00+14:00",
            "2011-12-31T09:00:00+14:00",
            "2012-01-01T09:00:00+14:00",
        ],
    );
}

#[test]
fn a_time_that_clocks_skip_moves_to_the_first_instant_after() {
    recurs(
        "America/New_York",
        every(Period::Daily, 1),
        &[
            "2027-03-12T02:30:00-05:00",
            "2027-03-13T02:30:00-05:00",
            "2027-03-14T03:00:00-04:00",
            "2027-03-15T02:30:00-04:00",
        ],
    );
}

#[test]
fn of_a_time_that_clocks_show_twice_the_first_counts() {
    recurs(
        "America/New_York",
        every(Period::Daily, 1),
        &[
            "2027-11-05T01:30:00-04:00",
            "2027-11-06T01:30:00-04:00",
            "2027-11-07T01:30:00-04:00",
            "2027-11-08T01:30:00-05:00",
        ],
    );
}

#[test]
fn an_anchor_in_the_second_of_two_equal_hours_stays_there() {
    recurs(
        "America/New_York",
        every(Period::Weekly, 1),
        &["2027-11-07T01:30:00-05:00", "2027-11-14T01:30:00-05:00"],
    );
}

#[test]
fn a_leap_day_comes_back_in_leap_years() {
    recurs(
        "Europe/Berlin",
        every(Period::Annual, 1),
        &[
            "2028-02-29T12:00:00+01:00",
            "2029-02-28T12:00:00+01:00",
            "2030-02-28T12:00:00+01:00",
            "2031-02-28T12:00:00+01:00",
            "2032-02-29T12:00:00+01:00",
        ],
    );
}

#[test]
fn halves_and_quarters_end_with_their_months() {
    recurs(
        "UTC",
        every(Period::HalfYearly, 1),
        &[
            "2027-08-31T00:00:00Z",
            "2028-02-29T00:00:00Z",
            "2028-08-31T00:00:00Z",
            "2029-02-28T00:00:00Z",
        ],
    );
    recurs(
        "UTC",
        every(Period::Quarterly, 1),
        &[
            "2026-11-30T00:00:00Z",
            "2027-02-28T00:00:00Z",
            "2027-05-30T00:00:00Z",
            "2027-08-30T00:00:00Z",
            "2027-11-30T00:00:00Z",
        ],
    );
}

#[test]
fn a_count_multiplies_the_period() {
    recurs(
        "Asia/Singapore",
        every(Period::Weekly, 2),
        &[
            "2028-02-15T08:00:00+08:00",
            "2028-02-29T08:00:00+08:00",
            "2028-03-14T08:00:00+08:00",
        ],
    );
    recurs(
        "America/New_York",
        every(Period::Daily, 30),
        &["2027-02-20T00:00:00-05:00", "2027-03-22T00:00:00-04:00"],
    );
}

#[test]
fn a_month_of_a_monthly_recurrence_ends_when_the_next_begins() {
    let month = every(Period::Monthly, 1);
    let recurrence = Recurrence::new(at("2027-01-31T00:00:00Z"), zone("UTC"), month).unwrap();
    for n in 0..24 {
        assert_eq!(recurrence.nth_and(n, month), recurrence.nth(n + 1));
    }
    assert_eq!(
        recurrence.nth_and(1, every(Period::Daily, 30)),
        Some(at("2027-03-30T00:00:00Z"))
    );
}

#[test]
fn what_lies_beyond_the_calendar_is_none() {
    let recurrence = Recurrence::new(
        at("2027-01-01T00:00:00Z"),
        zone("UTC"),
        every(Period::Annual, 1_000),
    )
    .unwrap();
    assert_eq!(recurrence.nth(u32::MAX), None);
    assert_eq!(recurrence.nth(1_000_000), None);
    assert_eq!(
        Recurrence::new(Timestamp(i64::MAX), zone("UTC"), every(Period::Daily, 1)).map(|_| ()),
        None
    );
    assert_eq!(zone("Nowhere/Land"), Tz::UTC);
}

fn a_zone() -> impl Strategy<Value = Tz> {
    prop_oneof![
        Just(Tz::Pacific__Apia),
        Just(Tz::America__New_York),
        Just(Tz::Australia__Lord_Howe),
        Just(Tz::Africa__Casablanca),
        proptest::sample::select(&TZ_VARIANTS[..]),
    ]
}

fn a_cadence() -> impl Strategy<Value = Cadence> {
    let period = prop_oneof![
        Just(Period::Daily),
        Just(Period::Weekly),
        Just(Period::Monthly),
        Just(Period::Quarterly),
        Just(Period::HalfYearly),
        Just(Period::Annual),
    ];
    (period, 1_u32..4).prop_map(|(period, count)| Cadence { period, count })
}

fn shown(at: Timestamp, zone: Tz) -> chrono::NaiveDateTime {
    let utc = DateTime::<Utc>::from_timestamp_millis(at.0).unwrap();
    let offset = zone.offset_from_utc_datetime(&utc.naive_utc()).fix();
    utc.naive_utc() + offset
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn recurrences_rise_and_are_found_again(
        zone in a_zone(),
        cadence in a_cadence(),
        anchor in 300_000_000_000_i64..4_000_000_000_000,
        n in 0_u32..400,
    ) {
        let recurrence = Recurrence::new(Timestamp(anchor), zone, cadence).unwrap();
        let (this, next) = (recurrence.nth(n).unwrap(), recurrence.nth(n + 1).unwrap());
        prop_assert!(this <= next);
        let by = recurrence.last_by(this).unwrap();
        prop_assert!(by >= n && recurrence.nth(by) == Some(this));
        let before = Timestamp(next.0 - 1);
        let by = recurrence.last_by(before);
        prop_assert!(by.is_none_or(|by| recurrence.nth(by).unwrap() <= before));
        prop_assert!(recurrence.next_after(before).unwrap() >= next);
        prop_assert!(recurrence.next_after(this).unwrap() > this);
    }

    #[test]
    fn recurrences_never_drift_from_their_anchor(
        zone in a_zone(),
        months in prop_oneof![Just(1_u32), Just(3), Just(6), Just(12)],
        anchor in 300_000_000_000_i64..4_000_000_000_000,
        n in 1_u32..400,
    ) {
        let cadence = Cadence { period: Period::Monthly, count: months };
        let recurrence = Recurrence::new(Timestamp(anchor), zone, cadence).unwrap();
        let from = shown(Timestamp(anchor), zone);
        let wanted = from.checked_add_months(Months::new(months * n)).unwrap();
        prop_assert!(wanted.day() == from.day() || wanted.day() >= 28);
        let instant = recurrence.nth(n).unwrap();
        let is = shown(instant, zone);
        if is != wanted {
            // Clocks never show it; this is the first instant after.
            prop_assert!(zone.from_local_datetime(&wanted).earliest().is_none());
            prop_assert!(is > wanted);
            prop_assert!(shown(Timestamp(instant.0 - 1), zone) < wanted);
        } else {
            let hour_before = Timestamp(instant.0 - 3_600_000);
            prop_assert!(shown(hour_before, zone) != wanted, "of two, the earlier");
        }
    }
}
