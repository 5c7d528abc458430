//! JSON (RFC 8259) read byte by byte, in memory that doesn't grow with it.
//!
//! The scanner knows where it is by a stack of bounded depth: a bit for each container, and
//! for the outermost few the set of watched paths that lead there. Only keys and values on
//! watched paths are looked at; everything else is checked and forgotten. It accepts what
//! a strict reader accepts, but for two things that only a reader of the strings themselves
//! would notice: bytes that are no UTF-8, and halves of surrogate pairs.

mod number;
mod paths;
mod place;
mod sink;
mod text;

pub(super) use paths::PathSet;
pub(super) use sink::{Sink, Value};

use number::Number;
use place::Place;
use text::Text;

/// How deep containers may nest.
const DEPTH_MAX: u8 = 128;
/// How many steps a watched path may have.
pub(super) const STEPS_MAX: usize = 8;
/// A longer key is none that is watched.
const KEY_BYTES_MAX: usize = 64;

/// The bytes are no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotJson;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A value must come.
    Value,
    /// After `[`: a value or `]`.
    FirstElement,
    /// After `{`: a key or `}`.
    FirstKey,
    /// After `,` in an object.
    Key,
    Colon,
    /// After a value: `,` or the end of its container.
    Next,
    Text {
        is_key: bool,
    },
    Number,
    /// So many bytes of `true`, `false` or `null` have passed.
    Word(&'static str, usize),
    /// Nothing but white space may come.
    Done,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Scanner {
    state: State,
    /// Every watched path.
    watched: PathSet,
    /// Those whose texts are counted rather than kept.
    counted: PathSet,
    /// Whether a list at the top is one of documents.
    lists_documents: bool,
    place: Place,
    /// Paths that lead to the value at hand, and where it began.
    leads: PathSet,
    start: usize,
    /// Bytes scanned of this text.
    at: usize,
    text: Text,
    number: Number,
}

impl Scanner {
    /// A scanner for a document, watching so many paths.
    pub(super) fn new(watched: PathSet, counted: PathSet, lists_documents: bool) -> Self {
        Self {
            state: State::Value,
            watched,
            counted,
            lists_documents,
            place: Place::default(),
            leads: PathSet::NONE,
            start: 0,
            at: 0,
            text: Text::default(),
            number: Number::default(),
        }
    }

    /// Makes it ready for another document.
    pub(super) fn reset(&mut self) {
        self.state = State::Value;
        self.place = Place::default();
        self.at = 0;
    }

    /// Whether nothing but white space has come.
    pub(super) fn is_fresh(&self) -> bool {
        self.state == State::Value && self.place.is_top()
    }

    /// Whether the document is complete.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether a list of documents has begun.
    pub(super) fn is_in_documents(&self) -> bool {
        self.place.has_documents()
    }

    /// Whether a list of documents has begun, and none of them is incomplete.
    pub(super) fn is_between_documents(&self) -> bool {
        self.place.has_documents() && self.place.is_document()
    }

    /// Takes the next bytes. After an error only [`Scanner::reset`] makes sense.
    pub(super) fn push(&mut self, bytes: &[u8], sink: &mut dyn Sink) -> Result<(), NotJson> {
        let mut rest = bytes;
        loop {
            if matches!(self.state, State::Text { .. }) {
                let (plain, after) = self.text.split_plain(rest);
                self.at = self.at.saturating_add(plain.len());
                self.take_text(plain, sink);
                rest = after;
            }
            let Some((&byte, after)) = rest.split_first() else {
                return Ok(());
            };
            self.step(byte, sink)?;
            self.at = self.at.saturating_add(1);
            rest = after;
        }
    }

    /// There are no more bytes. An error if the document isn't complete.
    pub(super) fn finish(&mut self, sink: &mut dyn Sink) -> Result<(), NotJson> {
        if self.state == State::Number && self.place.is_top() {
            self.end_number(sink)?;
        }
        if self.state == State::Done {
            Ok(())
        } else {
            Err(NotJson)
        }
    }

    fn step(&mut self, byte: u8, sink: &mut dyn Sink) -> Result<(), NotJson> {
        match self.state {
            State::Text { is_key } => {
                if self.text.is_end(byte) {
                    return self.end_text(is_key, sink);
                }
                let before = self.text.length();
                self.text.escape(byte)?;
                self.count_text(before, sink);
                return Ok(());
            }
            State::Word(word, passed) => return self.word(word, passed, byte, sink),
            State::Number => {
                if self.number.push(byte)? {
                    return Ok(());
                }
                self.end_number(sink)?;
            }
            _ => {}
        }
        match (self.state, byte) {
            (_, b' ' | b'\t' | b'\n' | b'\r') => Ok(()),
            (State::FirstElement, b']') | (State::FirstKey, b'}') => self.close(byte, sink),
            (State::Value | State::FirstElement, _) => self.begin_value(byte, sink),
            (State::FirstKey | State::Key, b'"') => {
                let is_watched = !self.place.around().paths.is_none();
                let keep = if is_watched { KEY_BYTES_MAX } else { 0 };
                self.text.begin(keep, false);
                self.state = State::Text { is_key: true };
                Ok(())
            }
            (State::Colon, b':') => {
                self.state = State::Value;
                Ok(())
            }
            (State::Next, b',') => {
                self.state = if self.place.is_in_list() {
                    State::Value
                } else {
                    State::Key
                };
                Ok(())
            }
            (State::Next, b']' | b'}') => self.close(byte, sink),
            _ => Err(NotJson),
        }
    }

    fn begin_value(&mut self, byte: u8, sink: &mut dyn Sink) -> Result<(), NotJson> {
        let is_list = byte == b'[';
        if is_list && self.lists_documents && self.place.is_top() {
            self.state = State::FirstElement;
            return self.place.open_documents();
        }
        let level = self.place.level();
        self.leads = if self.place.is_document() {
            self.watched
        } else if self.place.is_in_list() {
            self.place.next_element(sink)
        } else {
            // Its key said where it leads.
            self.leads
        };
        self.start = self.at;
        if !self.leads.is_none() {
            sink.enter(self.leads, level);
        }
        match byte {
            b'{' | b'[' => {
                self.state = if is_list {
                    State::FirstElement
                } else {
                    State::FirstKey
                };
                return self.place.open(is_list, self.leads, self.start);
            }
            b'"' => {
                let ends = self.ending(self.leads, level, sink);
                let counts = !ends.and(self.counted).is_none();
                let keeps = !ends.without(self.counted).is_none();
                let keep = if keeps { text::KEPT_MAX } else { 0 };
                self.text.begin(keep, counts);
                self.state = State::Text { is_key: false };
            }
            b't' => self.state = State::Word("true", 1),
            b'f' => self.state = State::Word("false", 1),
            b'n' => self.state = State::Word("null", 1),
            _ => {
                self.number = Number::begin(byte)?;
                self.state = State::Number;
            }
        }
        Ok(())
    }

    fn close(&mut self, byte: u8, sink: &mut dyn Sink) -> Result<(), NotJson> {
        let is_list = self.place.is_in_list();
        if is_list != (byte == b']') {
            return Err(NotJson);
        }
        match self.place.close() {
            Some(left) => {
                self.leads = left.paths;
                self.start = left.start;
                let value = if is_list { Value::List } else { Value::Object };
                self.end_value(value, self.at.saturating_add(1), sink);
            }
            None => self.state = State::Done,
        }
        Ok(())
    }

    fn end_text(&mut self, is_key: bool, sink: &mut dyn Sink) -> Result<(), NotJson> {
        let before = self.text.length();
        self.text.end();
        self.count_text(before, sink);
        if is_key {
            let paths = self.place.around().paths;
            let level = self.place.level_around();
            self.leads = match self.text.kept() {
                Some(key) => paths.filter(|path| sink.fits_key(path, level, key)),
                None => PathSet::NONE,
            };
            self.state = State::Colon;
            return Ok(());
        }
        let end = self.at.saturating_add(1);
        if self.leads.is_none() {
            self.end_value(Value::OddText, end, sink);
            return Ok(());
        }
        // A copy, so that what it keeps can be lent while the rest changes.
        let text = self.text.clone();
        let value = match text.kept().map(std::str::from_utf8) {
            Some(Ok(text)) => Value::Text(text),
            _ => Value::OddText,
        };
        self.end_value(value, end, sink);
        Ok(())
    }

    fn end_number(&mut self, sink: &mut dyn Sink) -> Result<(), NotJson> {
        let value = match self.number.end()? {
            Some(count) => Value::Count(count),
            None => Value::OddNumber,
        };
        self.end_value(value, self.at, sink);
        Ok(())
    }

    fn word(
        &mut self,
        word: &'static str,
        passed: usize,
        byte: u8,
        sink: &mut dyn Sink,
    ) -> Result<(), NotJson> {
        if word.as_bytes().get(passed) != Some(&byte) {
            return Err(NotJson);
        }
        let passed = passed.saturating_add(1);
        if passed < word.len() {
            self.state = State::Word(word, passed);
            return Ok(());
        }
        let value = match word {
            "null" => Value::Null,
            other => Value::Bool(other == "true"),
        };
        self.end_value(value, self.at.saturating_add(1), sink);
        Ok(())
    }

    fn end_value(&mut self, value: Value<'_>, end: usize, sink: &mut dyn Sink) {
        let level = self.place.level();
        for path in self.ending(self.leads, level, sink).iter() {
            sink.value(path, value, self.start..end);
        }
        if self.place.is_document() {
            sink.document();
        }
        self.state = if self.place.is_top() {
            State::Done
        } else {
            State::Next
        };
    }

    fn take_text(&mut self, plain: &[u8], sink: &mut dyn Sink) {
        if !plain.is_empty() {
            let before = self.text.length();
            self.text.push(plain);
            self.count_text(before, sink);
        }
    }

    fn count_text(&self, before: u64, sink: &mut dyn Sink) {
        if self.text.counts() {
            sink.text(self.text.length().saturating_sub(before));
        }
    }

    fn ending(&self, paths: PathSet, level: usize, sink: &mut dyn Sink) -> PathSet {
        paths.filter(|path| sink.ends(path, level))
    }
}
