//! Days and months of a customer's zone.

use chrono::{Datelike, Days, Months, NaiveDate};
use chrono_tz::Tz;

use crate::grant::calendar::{first_instant, local, zone};
use crate::time::Timestamp;

/// A day as clocks in the zone show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Day {
    date: NaiveDate,
    zone: Tz,
}

impl Day {
    /// The day of an instant in the zone of this name.
    pub(super) fn of(instant: Timestamp, name: &str) -> Self {
        let zone = zone(name);
        let date = local(instant, zone).unwrap_or_default().date();
        Self { date, zone }
    }

    /// Its name: `2026-01-31`.
    pub(super) fn name(self) -> String {
        self.date.format("%Y-%m-%d").to_string()
    }

    /// Whether a day of this name is in the same month.
    pub(super) fn is_in_month_of(self, name: &str) -> bool {
        name.get(..7) == self.name().get(..7)
    }

    /// When the next day begins.
    pub(super) fn next(self) -> Option<Timestamp> {
        first_instant(self.date.checked_add_days(Days::new(1))?.into(), self.zone)
    }

    /// When the next month begins.
    pub(super) fn next_month(self) -> Option<Timestamp> {
        let next = self.date.with_day(1)?.checked_add_months(Months::new(1))?;
        first_instant(next.into(), self.zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn days_and_months_are_those_of_the_zone() {
        let day = Day::of(at("2026-01-31T23:30:00+08:00"), "Asia/Singapore");
        assert_eq!(day.name(), "2026-01-31");
        assert_eq!(day.next(), Some(at("2026-02-01T00:00:00+08:00")));
        assert_eq!(day.next_month(), day.next());
        let day = Day::of(at("2026-12-05T12:00:00Z"), "UTC");
        assert_eq!(day.next_month(), Some(at("2027-01-01T00:00:00Z")));
        assert!(day.is_in_month_of("2026-12-31"));
        assert!(!day.is_in_month_of("2025-12-05"));
        assert!(!day.is_in_month_of(""));
    }

    #[test]
    fn a_day_begins_where_its_zone_has_no_midnight() {
        // Clocks in Cairo went from 24 April 2026, 0:00 to 1:00.
        let day = Day::of(at("2026-04-23T10:00:00Z"), "Africa/Cairo");
        assert_eq!(day.next(), Some(at("2026-04-24T01:00:00+03:00")));
        // Apia went from 29 to 31 December 2011.
        let day = Day::of(at("2011-12-29T12:00:00-10:00"), "Pacific/Apia");
        assert_eq!(day.name(), "2011-12-29");
        assert_eq!(day.next(), Some(at("2011-12-31T00:00:00+14:00")));
    }

    #[test]
    fn a_midnight_that_comes_twice_begins_the_day_once() {
        // Clocks in Havana went from 1 November 2026, 1:00 back to 0:00.
        let day = Day::of(at("2026-10-31T12:00:00-04:00"), "America/Havana");
        assert_eq!(day.next(), Some(at("2026-11-01T00:00:00-04:00")));
    }
}
