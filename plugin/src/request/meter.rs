//! What is measured of a request while it passes: bytes, time, and what its answer says it
//! used. Only requests whose price depends on it have a meter; it holds no body.

use creditgate_core::rate_card::{
    self, Measures, MeterSource, Models, Promise, Rule, TokenTerms, reading,
};
use creditgate_core::usage::{
    Framing, ModelName, Seen, TokenCounts, TokenKind, Unreadable, UsageReader,
};

use super::{Admitted, Terms};
use crate::host::Host;
use crate::pairs::Pairs;

/// What is measured of one request.
#[derive(Debug)]
pub(crate) struct Meter {
    measures: Measures,
    /// When it was admitted.
    since_ms: u64,
    /// Reads the answer's usage, once there is an answer that should tell it.
    reader: Option<UsageReader>,
    /// The answer is made of events.
    is_stream: bool,
    /// The first that was amiss with what meters read.
    misread: Option<Misread>,
}

/// What settling learns from a meter.
pub(crate) struct Measured {
    pub(crate) measures: Measures,
    pub(crate) answered: Option<ModelName>,
    pub(crate) told: Told,
    /// Why a meter's estimate takes the place of what it should have read.
    pub(crate) misread: Option<Misread>,
}

/// Why a header, a trailer or filter state is no reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misread {
    Missing,
    NoNumber,
    Twice,
}

impl Misread {
    /// A stable word for it, for logs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "meter_missing",
            Self::NoNumber => "meter_unreadable",
            Self::Twice => "meter_ambiguous",
        }
    }
}

/// How much is known of what the answer used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// All that counts.
    All,
    /// What of it had passed when it broke off.
    Passed,
    /// Nothing that could be read, for this reason.
    Nothing(Unreadable),
}

impl Meter {
    /// A meter for a request that is admitted at this instant; none for a fixed price.
    pub(crate) fn of(terms: &Terms, now_ms: u64) -> Option<Box<Self>> {
        let known = terms.known.as_ref()?;
        Some(Box::new(Self {
            measures: Measures {
                request_bytes: known.request_bytes.filter(|_| known.is_read).unwrap_or(0),
                readings: known.readings,
                ..Measures::default()
            },
            since_ms: now_ms,
            reader: None,
            is_stream: false,
            misread: None,
        }))
    }

    /// Response headers come by. Those that meters read go no further.
    pub(crate) fn begin_answer(&mut self, host: &dyn Host, rule: &Rule, status: u16) {
        self.read(rule, header_of, || host.response_headers());
        for name in rule.meters().iter().filter_map(header_of) {
            host.remove_response_header(name);
        }
        // Only an answer that is one tells what it used.
        let format = rule.format().filter(|_| (200..300).contains(&status));
        if format.is_none() && rule.promise() != Promise::Metered {
            return;
        }
        let value = |name| host.response_header(name).unwrap_or_default();
        let framing = Framing::of(&value("content-type"));
        let framing = framing.encoded(&value("content-encoding"));
        self.is_stream = framing == Framing::Sse;
        self.reader = format.map(|format| UsageReader::new(format.clone(), framing));
    }

    /// A piece of the response body comes by, of which so many bytes were measured before.
    /// Answers what of it was read.
    pub(crate) fn pass(&mut self, host: &dyn Host, measured: usize, bytes: usize) -> Vec<u8> {
        let fresh = bytes.saturating_sub(measured);
        let counted = u64::try_from(fresh).unwrap_or(u64::MAX);
        self.measures.response_bytes = self.measures.response_bytes.saturating_add(counted);
        let is_read = self.reader.is_some() || self.is_stream;
        if fresh == 0 || !is_read {
            return Vec::new();
        }
        let piece = host.response_body(measured, fresh);
        if let Some(reader) = &mut self.reader {
            reader.push(&piece);
        }
        piece
    }

    /// The answer has told all that it used, and that it is over.
    pub(crate) fn has_ended(&self) -> bool {
        let reader = self.reader.as_ref();
        reader.is_some_and(|reader| reader.seen().is_ended)
    }

    /// The answer is made of events.
    pub(crate) const fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// What was measured until now. Each byte of an answer that can't be read counts as text.
    pub(crate) fn so_far(&self, host: &dyn Host, rule: &Rule) -> Measures {
        let mut measures = self.measures;
        if is_timed(rule) {
            measures.duration_ms = host.now_ms().saturating_sub(self.since_ms);
        }
        if let (Some(tokens), Some(reader)) = (rule.tokens(), &self.reader) {
            let mut seen = reader.seen();
            if !reader.reads() {
                seen.output_bytes = measures.response_bytes;
            }
            let read = measures.request_bytes;
            measures.tokens = so_far(seen, tokens, read);
        }
        measures
    }

    /// Response trailers come by.
    pub(crate) fn end_answer(&mut self, rule: &Rule, trailers: impl FnOnce() -> Option<Pairs>) {
        self.read(rule, trailer_of, trailers);
    }

    /// Reads what meters look for among the pairs, which are asked for only if there are such.
    fn read(
        &mut self,
        rule: &Rule,
        name_of: fn(&rate_card::Meter) -> Option<&str>,
        pairs: impl FnOnce() -> Option<Pairs>,
    ) {
        if !rule.meters().iter().any(|meter| name_of(meter).is_some()) {
            return;
        }
        let pairs = pairs().unwrap_or_default();
        for (place, meter) in self.measures.readings.iter_mut().zip(rule.meters()) {
            if let Some(name) = name_of(meter) {
                let read = only_reading(&pairs, name);
                *place = read.ok();
                self.misread = self.misread.or(read.err());
            }
        }
    }

    /// All that was measured. An answer that broke off is taken by what of it has passed.
    pub(crate) fn end(mut self, host: &dyn Host, rule: &Rule, is_complete: bool) -> Measured {
        if is_timed(rule) {
            self.measures.duration_ms = host.now_ms().saturating_sub(self.since_ms);
        }
        for (place, meter) in self.measures.readings.iter_mut().zip(rule.meters()) {
            if let MeterSource::FilterState(name) = meter.source() {
                let state = host.property(&["filter_state", name]);
                let read = state.ok_or(Misread::Missing);
                let read = read.and_then(|state| reading(&state).ok_or(Misread::NoNumber));
                *place = read.ok();
                self.misread = self.misread.or(read.err());
            }
        }
        let has_to_guess = rule.has_to_guess(&self.measures.readings);
        let misread = self.misread.unwrap_or(Misread::Missing);
        let mut measured = Measured {
            measures: self.measures,
            answered: None,
            told: Told::All,
            misread: has_to_guess.then_some(misread),
        };
        let Some(tokens) = rule.tokens() else {
            return measured;
        };
        let Some(reader) = self.reader else {
            measured.told = Told::Nothing(Unreadable::Missing);
            return measured;
        };
        let seen = reader.seen();
        if reader.tells_as_it_goes() && !is_complete && !seen.is_ended {
            // Counts that it told may be a beginning.
            let read = self.measures.request_bytes;
            measured.measures.tokens = so_far(seen, tokens, read);
            measured.told = Told::Passed;
            return measured;
        }
        match reader.finish() {
            Ok(usage) => {
                measured.measures.tokens = usage.tokens;
                measured.answered = usage.model;
            }
            Err(fault) => measured.told = Told::Nothing(fault),
        }
        measured
    }
}

fn header_of(meter: &rate_card::Meter) -> Option<&str> {
    match meter.source() {
        MeterSource::ResponseHeader(name) => Some(name),
        _ => None,
    }
}

fn trailer_of(meter: &rate_card::Meter) -> Option<&str> {
    match meter.source() {
        MeterSource::ResponseTrailer(name) => Some(name),
        _ => None,
    }
}

/// What the only value of this name says. One that is sent twice is not believed.
fn only_reading(pairs: &Pairs, name: &str) -> Result<u64, Misread> {
    let named = pairs.iter().filter(|(own, _)| *own == name.as_bytes());
    let mut values = named.map(|(_, value)| value);
    match (values.next(), values.next()) {
        (None, _) => Err(Misread::Missing),
        (Some(value), None) => reading(value).ok_or(Misread::NoNumber),
        (Some(_), Some(_)) => Err(Misread::Twice),
    }
}

/// Whether time counts.
pub(crate) fn is_timed(rule: &Rule) -> bool {
    let mut sources = rule.meters().iter().map(|meter| meter.source());
    sources.any(|source| matches!(source, MeterSource::Seconds))
}

/// The tokens of an answer that broke off: what it told, and at least what has passed of it.
fn so_far(seen: Seen, terms: &TokenTerms, request_bytes: u64) -> TokenCounts {
    let mut tokens = seen.tokens.unwrap_or_default();
    if tokens.input_total() == 0 {
        tokens.set(TokenKind::Input, terms.tokens_read(request_bytes));
    }
    let written = tokens.total().saturating_sub(tokens.input_total());
    let passed = terms.tokens_in(seen.output_bytes);
    tokens.add(TokenKind::Output, passed.saturating_sub(written));
    tokens
}

impl Admitted {
    /// A piece of the request's body passes.
    pub(crate) fn count_request(&mut self, bytes: usize) {
        if let Some(meter) = &mut self.meter {
            let counted = u64::try_from(bytes).unwrap_or(u64::MAX);
            let sum = meter.measures.request_bytes.saturating_add(counted);
            meter.measures.request_bytes = sum;
        }
    }

    /// The models that the request and its answer name.
    pub(crate) fn models<'a>(&'a self, answered: Option<&'a ModelName>) -> Models<'a> {
        let known = self.terms.known.as_ref();
        let asked = known.and_then(|known| known.model.as_ref());
        Models {
            asked: asked.map(ModelName::as_str),
            answered: answered.map(ModelName::as_str),
        }
    }
}
