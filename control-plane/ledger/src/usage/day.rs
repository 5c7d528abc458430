//! Days of usage detail: those of UTC, whatever the customer's zone.

use core::fmt;
use core::str::FromStr;

use chrono::NaiveDate;
use serde::{Serialize, Serializer};
use thiserror::Error;

use crate::Timestamp;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// A day of UTC, counted from 1970-01-01; on the wire `2026-01-31`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Day(pub i32);

/// A text that is no day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be a date of the years 2000 to 9999, such as 2026-01-31")]
pub struct DayError;

impl Day {
    /// The day of an instant.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        Self(i32::try_from(at.0.div_euclid(DAY_MS)).unwrap_or(i32::MAX))
    }

    /// So many days later, or earlier if negative.
    #[must_use]
    pub const fn plus(self, days: i32) -> Self {
        Self(self.0.saturating_add(days))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NaiveDate::from_epoch_days(self.0) {
            Some(date) => write!(f, "{}", date.format("%Y-%m-%d")),
            None => write!(f, "day {}", self.0),
        }
    }
}

impl FromStr for Day {
    type Err = DayError;

    fn from_str(text: &str) -> Result<Self, DayError> {
        let has_form = text.len() == 10
            && text
                .bytes()
                .all(|byte| byte == b'-' || byte.is_ascii_digit());
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| DayError)?;
        let day = Self(date.to_epoch_days());
        let is_sane = (Self(10_957)..=Self(2_932_896)).contains(&day);
        if has_form && is_sane {
            Ok(day)
        } else {
            Err(DayError)
        }
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_of_utc() {
        let day = |text| Day::of(Timestamp::parse(text).unwrap()).to_string();
        assert_eq!(day("2026-01-31T23:59:59.999Z"), "2026-01-31");
        assert_eq!(day("2026-02-01T00:00:00Z"), "2026-02-01");
        assert_eq!(day("2024-02-29T12:00:00+14:00"), "2024-02-28");
        assert_eq!(Day::of(Timestamp(-1)).to_string(), "1969-12-31");
    }

    #[test]
    fn a_day_is_read_as_it_is_written_and_nothing_else() {
        for text in ["2000-01-01", "2024-02-29", "9999-12-31"] {
            assert_eq!(text.parse::<Day>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "1999-12-31",
            "2023-02-29",
            "2026-1-31",
            "+2026-01-1",
            "2026-01-31T00:00:00Z",
        ] {
            assert_eq!(text.parse::<Day>(), Err(DayError), "{text}");
        }
    }
}
