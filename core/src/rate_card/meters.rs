//! What is measured of a request, compiled.

use super::conditions::header_name;
use super::document::{MeterDocument, MeterSource, Per, Price, Promise};
use super::price::{Unit, unit_price};
use super::sum::{Sum, UnitPrice};
use super::{Foreseen, Measures, RateCardError};
use crate::amount::Scale;

/// The most meters of a rule.
pub const METERS_MAX: usize = 16;
/// The largest count in a meter's `estimate` and `max`.
pub const COUNT_MAX: u64 = 1_000_000_000_000_000;
/// The longest name of filter state, in bytes.
const FILTER_STATE_LENGTH_MAX: usize = 128;
/// The most digits of a number in a header.
const READING_DIGITS_MAX: usize = 15;

/// What the headers and trailers that meters read say, each at the place of its meter.
pub type Readings = [Option<u64>; METERS_MAX];

/// A measure of a request and its price.
#[derive(Debug)]
pub struct Meter {
    source: MeterSource,
    price: UnitPrice,
    /// Like `max`: in what is counted, for time in milliseconds.
    estimate: Option<u64>,
    max: Option<u64>,
}

impl Meter {
    pub(super) fn compile(
        document: &MeterDocument,
        scale: Scale,
        promise: Promise,
        has_maximum: bool,
        pointer: &str,
    ) -> Result<Self, RateCardError> {
        let (source, price) = meter_price(
            &document.meter,
            &document.price,
            document.per,
            scale,
            pointer,
        )?;
        let counted = |count: u64| match unit_of(&source) {
            Unit::Whole => count,
            Unit::Thousandth => count.saturating_mul(1000),
        };
        let meter = Self {
            estimate: document.estimate.map(counted),
            max: document.max.map(counted),
            source,
            price,
        };
        let is_bounded = has_maximum || promise != Promise::Strict;
        if !price.is_zero() && !meter.can_be_reserved(is_bounded) {
            let message = "how much to reserve isn't known before; say it here, for a strict promise as much as a request can have";
            let pointer = format!("{pointer}/estimate");
            return Err(RateCardError::new(pointer, "estimate_missing", message));
        }
        for (count, field) in [(document.estimate, "estimate"), (document.max, "max")] {
            if count.is_some_and(|count| count > COUNT_MAX) {
                let message = format!("at most {COUNT_MAX}");
                let pointer = format!("{pointer}/{field}");
                return Err(RateCardError::new(pointer, "count_too_large", message));
            }
        }
        if document
            .max
            .is_some_and(|max| document.estimate.is_some_and(|estimate| estimate > max))
        {
            let message = "more than is ever charged; lower it, or raise max";
            let pointer = format!("{pointer}/estimate");
            return Err(RateCardError::new(pointer, "estimate_over_max", message));
        }
        Ok(meter)
    }

    /// Whether there is something to reserve for it, whatever it costs. `is_bounded`: nothing
    /// need be certain, or the rule has a maximum.
    pub(super) fn can_be_reserved(&self, is_bounded: bool) -> bool {
        let is_told = match self.source {
            // Most requests say it.
            MeterSource::RequestBytes => true,
            MeterSource::ResponseBytes | MeterSource::Seconds => is_bounded || self.max.is_some(),
            MeterSource::RequestHeader(_)
            | MeterSource::ResponseHeader(_)
            | MeterSource::ResponseTrailer(_)
            | MeterSource::FilterState(_) => false,
        };
        is_told || self.estimate.is_some()
    }

    /// What is measured; the names of headers and trailers are in lower case.
    #[must_use]
    pub const fn source(&self) -> &MeterSource {
        &self.source
    }

    /// Whether the end of a request must tell it, and what it then doesn't is charged as
    /// estimated.
    #[must_use]
    pub const fn is_told_last(&self) -> bool {
        match self.source {
            MeterSource::ResponseHeader(_)
            | MeterSource::ResponseTrailer(_)
            | MeterSource::FilterState(_) => true,
            MeterSource::RequestBytes
            | MeterSource::ResponseBytes
            | MeterSource::Seconds
            | MeterSource::RequestHeader(_) => false,
        }
    }

    /// What one of it costs.
    pub(super) const fn price(&self) -> UnitPrice {
        self.price
    }

    /// What it adds to the cost of a request, at a customer's own price if it has one. A reading
    /// that is missing counts as estimated.
    pub(super) fn cost(
        &self,
        own: Option<UnitPrice>,
        measures: &Measures,
        reading: Option<u64>,
    ) -> Sum {
        let count = match self.source {
            MeterSource::RequestBytes => measures.request_bytes,
            MeterSource::ResponseBytes => measures.response_bytes,
            MeterSource::Seconds => measures.duration_ms,
            MeterSource::RequestHeader(_)
            | MeterSource::ResponseHeader(_)
            | MeterSource::ResponseTrailer(_)
            | MeterSource::FilterState(_) => {
                reading.or(self.estimate).or(self.max).unwrap_or_default()
            }
        };
        self.charged(own.unwrap_or(self.price), count)
    }

    /// What is reserved for it. Under a strict promise nothing less than it can cost: if that
    /// isn't known, more than can be counted.
    pub(super) fn estimate(
        &self,
        own: Option<UnitPrice>,
        foreseen: &Foreseen<'_>,
        reading: Option<u64>,
        promise: Promise,
    ) -> Sum {
        let price = own.unwrap_or(self.price);
        if price.is_zero() {
            return Sum::default();
        }
        let known = match self.source {
            MeterSource::RequestBytes => foreseen.request_bytes,
            MeterSource::RequestHeader(_) => reading,
            _ => None,
        };
        let count = known.or(self.estimate);
        match promise {
            Promise::Strict => self.at_most(price, count),
            // What goes to the upstream is not paid for while it passes.
            Promise::Metered if self.source == MeterSource::RequestBytes => {
                self.at_most(price, count)
            }
            Promise::Metered | Promise::Expected => self.charged(price, count.unwrap_or_default()),
        }
    }

    fn at_most(&self, price: UnitPrice, count: Option<u64>) -> Sum {
        let count = count.or(self.max);
        count.map_or(Sum::UNBOUNDED, |count| self.charged(price, count))
    }

    fn charged(&self, price: UnitPrice, count: u64) -> Sum {
        price.times(self.max.map_or(count, |max| count.min(max)))
    }
}

/// What is measured, with the names of headers and trailers in lower case, and what one of it
/// costs; of time, the thousandth of a second.
pub(super) fn meter_price(
    meter: &MeterSource,
    price: &Price,
    per: Per,
    scale: Scale,
    pointer: &str,
) -> Result<(MeterSource, UnitPrice), RateCardError> {
    let mut source = meter.clone();
    match &mut source {
        MeterSource::RequestBytes | MeterSource::ResponseBytes | MeterSource::Seconds => {}
        MeterSource::RequestHeader(name) => *name = header(name, "request_header", pointer)?,
        MeterSource::ResponseHeader(name) => *name = header(name, "response_header", pointer)?,
        MeterSource::ResponseTrailer(name) => *name = header(name, "response_trailer", pointer)?,
        MeterSource::FilterState(name) => check_filter_state(name, pointer)?,
    }
    let pointer = format!("{pointer}/price");
    let price = unit_price(price, unit_of(&source), per, scale, &pointer)?;
    Ok((source, price))
}

const fn unit_of(source: &MeterSource) -> Unit {
    match source {
        MeterSource::Seconds => Unit::Thousandth,
        _ => Unit::Whole,
    }
}

/// The number in a header that a meter reads: up to 15 decimal digits, with blanks around
/// them if any. Anything else is no reading.
#[must_use]
pub fn reading(value: &[u8]) -> Option<u64> {
    let digits = value.trim_ascii();
    if digits.is_empty()
        || digits.len() > READING_DIGITS_MAX
        || !digits.iter().all(u8::is_ascii_digit)
    {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn check_filter_state(name: &str, pointer: &str) -> Result<(), RateCardError> {
    let fits = (1..=FILTER_STATE_LENGTH_MAX).contains(&name.len());
    if fits && name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    let message = format!("1 to {FILTER_STATE_LENGTH_MAX} printable ASCII characters");
    let pointer = format!("{pointer}/meter/filter_state");
    Err(RateCardError::new(pointer, "filter_state_invalid", message))
}

fn header(name: &str, field: &str, pointer: &str) -> Result<String, RateCardError> {
    header_name(name, &format!("{pointer}/meter/{field}")).map(Into::into)
}
