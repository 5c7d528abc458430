//! When a recurrence happens, in a time zone.
//!
//! The n-th instant is counted from the anchor, never from the instant before: a month after
//! 31 January is the end of February, and a month later it is 31 March again. A local time
//! that a zone leaves out (clocks go forward, a day is dropped) moves to the first instant
//! after the gap; one that happens twice is the earlier.

use chrono::{DateTime, Datelike, Days, Months, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use super::{Cadence, Period};
use crate::time::Timestamp;

/// The zone of this name. Names are checked when they are taken in; should one be unknown
/// nevertheless, it counts as UTC.
#[must_use]
pub fn zone(name: &str) -> Tz {
    name.parse().unwrap_or(Tz::UTC)
}

/// How long after `at` the `duration` is over, by the calendar of `zone`.
#[must_use]
pub fn later(at: Timestamp, zone: Tz, duration: Cadence) -> Option<Timestamp> {
    Recurrence::new(at, zone, duration)?.nth(1)
}

/// Instants that recur.
#[derive(Debug, Clone, Copy)]
pub struct Recurrence {
    anchor: Timestamp,
    /// The anchor as clocks in the zone show it.
    local: NaiveDateTime,
    zone: Tz,
    step: Step,
}

impl Recurrence {
    /// Counted from `anchor`; none beyond the end of the calendar.
    #[must_use]
    pub fn new(anchor: Timestamp, zone: Tz, cadence: Cadence) -> Option<Self> {
        Some(Self {
            anchor,
            local: local(anchor, zone)?,
            zone,
            step: Step::of(cadence),
        })
    }

    /// The n-th instant; the anchor is number 0. None beyond the end of the calendar.
    #[must_use]
    pub fn nth(&self, n: u32) -> Option<Timestamp> {
        if n == 0 {
            return Some(self.anchor);
        }
        first_instant(self.step.times(n)?.after(self.local)?, self.zone)
    }

    /// How long after the n-th instant the `duration` is over. Months are counted from the
    /// anchor as well, so that a month after the n-th is the next, with no days between.
    #[must_use]
    pub fn nth_and(&self, n: u32, duration: Cadence) -> Option<Timestamp> {
        let (steps, duration) = (self.step.times(n)?, Step::of(duration));
        let sum = match (steps, duration) {
            (Step::Months(months), Step::Months(more)) => Step::Months(months.checked_add(more)?),
            (Step::Days(days), Step::Days(more)) => Step::Days(days.checked_add(more)?),
            _ => {
                let then = steps.after(self.local)?;
                return first_instant(duration.after(then)?, self.zone);
            }
        };
        first_instant(sum.after(self.local)?, self.zone)
    }

    /// The number of the last instant at or before `at`; none if that is before the anchor.
    #[must_use]
    pub fn last_by(&self, at: Timestamp) -> Option<u32> {
        if at < self.anchor {
            return None;
        }
        let at_local = local(at, self.zone)?;
        let mut n = match self.step {
            Step::Months(months) => months_between(self.local, at_local) / months.max(1),
            Step::Days(days) => {
                let between = (at_local.date() - self.local.date()).num_days();
                u32::try_from(between.max(0)).ok()? / days.max(1)
            }
        };
        // The estimate knows neither times of day nor gaps; it is off by a few at most.
        while n > 0 && self.nth(n).is_none_or(|instant| instant > at) {
            n = n.saturating_sub(1);
        }
        while self.nth(n.checked_add(1)?).is_some_and(|next| next <= at) {
            n = n.checked_add(1)?;
        }
        Some(n)
    }

    /// The first instant after `at`; the anchor if that is before it.
    #[must_use]
    pub fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        match self.last_by(at) {
            Some(n) => self.nth(n.checked_add(1)?),
            None => Some(self.anchor),
        }
    }
}

/// A length of the calendar: days have no fixed length in hours, nor months in days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// So many days.
    Days(u32),
    /// So many months.
    Months(u32),
}

impl Step {
    pub(super) const fn of(cadence: Cadence) -> Self {
        let count = cadence.count;
        match cadence.period {
            Period::Daily => Self::Days(count),
            Period::Weekly => Self::Days(count.saturating_mul(7)),
            Period::Monthly => Self::Months(count),
            Period::Quarterly => Self::Months(count.saturating_mul(3)),
            Period::HalfYearly => Self::Months(count.saturating_mul(6)),
            Period::Annual => Self::Months(count.saturating_mul(12)),
        }
    }

    fn times(self, n: u32) -> Option<Self> {
        Some(match self {
            Self::Days(days) => Self::Days(days.checked_mul(n)?),
            Self::Months(months) => Self::Months(months.checked_mul(n)?),
        })
    }

    /// A day that a month lacks becomes its last.
    fn after(self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        match self {
            Self::Days(days) => local.checked_add_days(Days::new(u64::from(days))),
            Self::Months(months) => local.checked_add_months(Months::new(months)),
        }
    }
}

fn months_between(from: NaiveDateTime, to: NaiveDateTime) -> u32 {
    let years = to.year().saturating_sub(from.year());
    let months = i64::from(years) * 12 + i64::from(to.month()) - i64::from(from.month());
    u32::try_from(months).unwrap_or(0)
}

pub(crate) fn local(at: Timestamp, zone: Tz) -> Option<NaiveDateTime> {
    let utc = DateTime::<Utc>::from_timestamp_millis(at.0)?.naive_utc();
    local_of(utc, zone)
}

fn local_of(utc: NaiveDateTime, zone: Tz) -> Option<NaiveDateTime> {
    use chrono::Offset;
    let offset = zone.offset_from_utc_datetime(&utc).fix();
    utc.checked_add_offset(offset)
}

/// The first instant at which clocks in the zone show `wanted` or later.
pub(crate) fn first_instant(wanted: NaiveDateTime, zone: Tz) -> Option<Timestamp> {
    if let Some(instant) = zone.from_local_datetime(&wanted).earliest() {
        return Some(Timestamp(instant.timestamp_millis()));
    }
    // No zone is further from UTC than a day, so the end of the gap lies in these two.
    let around = |days| wanted.checked_add_signed(TimeDelta::days(days));
    let millis = |utc: NaiveDateTime| utc.and_utc().timestamp_millis();
    let (mut before, mut from) = (millis(around(-1)?), millis(around(1)?));
    while from - before > 1 {
        let middle = before + (from - before) / 2;
        let utc = DateTime::<Utc>::from_timestamp_millis(middle)?.naive_utc();
        if local_of(utc, zone)? >= wanted {
            from = middle;
        } else {
            before = middle;
        }
    }
    Some(Timestamp(from))
}
