//! Units by meter: what headers, trailers and filter state told, told apart by where it stood.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Counts;
use super::counts::TextCount;
use crate::rate_card::{METERS_MAX, Measures, Meter, MeterSource, Rule};

/// The longest name of a meter, in bytes.
pub const METER_NAME_BYTES_MAX: usize = 280;

/// Units by the name of their meter: where they stand and, after a colon, the name there, such
/// as `response_header:x-pages`. None is 0. Sums saturate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Units(BTreeMap<String, u64>);

/// What was counted of requests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counted<'a> {
    /// The counts; their units are those of all meters together.
    pub counts: Counts,
    named: Named<'a>,
}

/// Where units by meter are to be found.
#[derive(Debug, Clone, Copy, Default)]
enum Named<'a> {
    #[default]
    Nowhere,
    /// At the places of their meters.
    Read(&'a [Meter], &'a Measures),
    Summed(&'a Units),
}

impl<'a> Counted<'a> {
    /// One request, and what was measured of it.
    #[must_use]
    pub fn of_request(rule: &'a Rule, measures: &'a Measures) -> Self {
        Self {
            counts: Counts::of_request(measures),
            named: Named::Read(rule.meters(), measures),
        }
    }

    pub(super) const fn of_row(counts: Counts, units: &'a Units) -> Self {
        Self {
            counts,
            named: Named::Summed(units),
        }
    }

    /// These, of no meter in particular.
    #[must_use]
    pub const fn plain(counts: Counts) -> Self {
        Self {
            counts,
            named: Named::Nowhere,
        }
    }
}

impl Units {
    /// No units.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds units of a meter.
    pub fn add(&mut self, name: String, units: u64) {
        if units > 0 {
            let sum = self.0.entry(name).or_default();
            *sum = sum.saturating_add(units);
        }
    }

    /// Adds all units of others.
    pub fn add_all(&mut self, others: &Self) {
        for (name, units) in &others.0 {
            match self.0.get_mut(name) {
                Some(sum) => *sum = sum.saturating_add(*units),
                None => self.add(name.clone(), *units),
            }
        }
    }

    /// Adds what was counted. Meters of which there are units already cost no allocation;
    /// beyond [`METERS_MAX`] further ones are left to the sum of all.
    pub(super) fn add_counted(&mut self, counted: &Counted<'_>) {
        match counted.named {
            Named::Nowhere => {}
            Named::Summed(units) => {
                for (name, units) in &units.0 {
                    self.add_bounded(*units, |known| known == name, || name.clone());
                }
            }
            Named::Read(meters, measures) => {
                for (meter, reading) in meters.iter().zip(measures.readings) {
                    if let (Some((place, name)), Some(units)) = (place_of(meter.source()), reading)
                    {
                        let is_it = |known: &str| {
                            let rest = known.strip_prefix(place);
                            rest.and_then(|rest| rest.strip_prefix(':')) == Some(name)
                        };
                        self.add_bounded(units, is_it, || format!("{place}:{name}"));
                    }
                }
            }
        }
    }

    fn add_bounded(
        &mut self,
        units: u64,
        is_it: impl Fn(&str) -> bool,
        name: impl FnOnce() -> String,
    ) {
        if let Some((_, sum)) = self.0.iter_mut().find(|(known, _)| is_it(known)) {
            *sum = sum.saturating_add(units);
        } else if units > 0 && self.0.len() < METERS_MAX {
            self.add(name(), units);
        }
    }

    /// By the names of their meters.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, units)| (name.as_str(), *units))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many meters they are of.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// No sum above this.
    #[must_use]
    pub fn at_most(mut self, most: u64) -> Self {
        self.0.values_mut().for_each(|sum| *sum = most.min(*sum));
        self
    }

    /// Whether a filter can have counted them.
    pub(super) fn are_sane(&self) -> bool {
        let fits = |name: &String| {
            (1..=METER_NAME_BYTES_MAX).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_graphic())
        };
        self.0.len() <= METERS_MAX && self.0.keys().all(fits)
    }
}

/// Where a meter finds its units, and the name there; none of meters that count by themselves.
fn place_of(source: &MeterSource) -> Option<(&'static str, &str)> {
    match source {
        MeterSource::RequestBytes | MeterSource::ResponseBytes | MeterSource::Seconds => None,
        MeterSource::RequestHeader(name) => Some(("request_header", name)),
        MeterSource::ResponseHeader(name) => Some(("response_header", name)),
        MeterSource::ResponseTrailer(name) => Some(("response_trailer", name)),
        MeterSource::FilterState(name) => Some(("filter_state", name)),
    }
}

impl Serialize for Units {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(name, units)| (name, TextCount(units))))
    }
}

impl<'de> Deserialize<'de> for Units {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut all = Self::new();
        for (name, units) in BTreeMap::<String, String>::deserialize(deserializer)? {
            all.add(name, units.parse().map_err(de::Error::custom)?);
        }
        Ok(all)
    }
}
