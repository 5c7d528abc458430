//! Reads an answer's usage from its body as it passes.

use super::answer::Answer;
use super::format::{Field, Format};
use super::scanner::{PathSet, Scanner};
use super::sse::{Events, Sse};
use super::{Framing, ModelName, TokenCounts, Unreadable};

/// What ends a stream of OpenAI's, and of those that followed it. It is no JSON.
const DONE: &[u8] = b"[DONE]";

/// What an answer used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Its tokens, by kind.
    pub tokens: TokenCounts,
    /// The model it says it comes from. `None` if it names none, or one that is no
    /// [`ModelName`].
    pub model: Option<ModelName>,
}

/// What an answer has shown so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// The counts told so far, which may be a beginning. `None` if none were, or if they
    /// are absurd.
    pub tokens: Option<TokenCounts>,
    /// Bytes of text that the model wrote and that have passed, unescaped: content,
    /// arguments of calls, reasoning that is shown.
    pub output_bytes: u64,
    /// Whether it said that it ends here: `[DONE]`, `message_stop`, `response.completed`, a
    /// finish reason of Gemini's that no document came after, or the last byte of a JSON
    /// document. A stream that isn't
    /// ended may have used more than it told.
    pub is_ended: bool,
}

/// Reads usage from an answer, in whatever chunks it comes. It holds no more than its own
/// size and a model's name, however long the answer is, and never panics.
#[derive(Debug)]
pub struct UsageReader {
    framing: Framing,
    sse: Sse,
    documents: Documents,
}

impl UsageReader {
    /// A reader for an answer of this format and framing. One that can't be read is
    /// accepted too: [`UsageReader::finish`] says so.
    #[must_use]
    pub fn new(format: Format, framing: Framing) -> Self {
        let framing = if framing == Framing::Sse && !format.has_events() {
            Framing::Unsupported
        } else {
            framing
        };
        let watched = PathSet::first(format.paths().len());
        let counted = watched.filter(|path| {
            let place = usize::try_from(path).ok();
            let path = place.and_then(|place| format.paths().get(place));
            path.is_some_and(|path| path.field == Field::Text)
        });
        let lists_documents = framing == Framing::Json && format.lists_documents();
        Self {
            framing,
            sse: Sse::default(),
            documents: Documents {
                scanner: Scanner::new(watched, counted, lists_documents),
                answer: Answer::new(format, framing == Framing::Sse),
                mark: Mark::Awaited(0),
                failure: None,
            },
        }
    }

    /// Takes the next chunk of the body.
    pub fn push(&mut self, chunk: &[u8]) {
        match self.framing {
            Framing::Sse => self.sse.push(chunk, &mut self.documents),
            Framing::Json => self.documents.scan(chunk),
            Framing::Encoded | Framing::Unsupported => {}
        }
    }

    /// Whether what passes is read at all.
    #[must_use]
    pub const fn reads(&self) -> bool {
        matches!(self.framing, Framing::Sse | Framing::Json)
    }

    /// Whether it tells by and by, so that what it told counts if it breaks off: events, or a
    /// list of documents that has begun.
    #[must_use]
    pub fn tells_as_it_goes(&self) -> bool {
        self.framing == Framing::Sse || self.documents.scanner.is_in_documents()
    }

    /// What has been seen so far.
    #[must_use]
    pub fn seen(&self) -> Seen {
        let answer = &self.documents.answer;
        let told = answer.told();
        let tokens = answer.format().counts(told).ok();
        Seen {
            tokens: tokens.filter(|_| !told.is_nothing()),
            output_bytes: answer.text_bytes,
            is_ended: answer.is_ended || self.documents.scanner.is_done(),
        }
    }

    /// The body is complete, or broke off: what it used. Of a stream that broke off, it is
    /// what was told until then if the format tells the usage so far all along; whether it
    /// was ended, [`UsageReader::seen`] tells before.
    ///
    /// # Errors
    /// If the usage can't be relied on. The caller settles at the estimate then.
    pub fn finish(mut self) -> Result<Usage, Unreadable> {
        match self.framing {
            Framing::Sse => self.sse.finish(&mut self.documents),
            Framing::Json => self.documents.end_of_json(),
            Framing::Encoded => return Err(Unreadable::Encoded),
            Framing::Unsupported => return Err(Unreadable::Unsupported),
        }
        let Documents {
            answer, failure, ..
        } = &self.documents;
        if let Some(failure) = failure {
            return Err(*failure);
        }
        let told = answer.told();
        if told.is_nothing() {
            return Err(Unreadable::Missing);
        }
        let tokens = answer.format().counts(told)?;
        if !answer.format().is_whole(told) {
            return Err(Unreadable::Missing);
        }
        let wrote_tokens = tokens.total() > tokens.input_total();
        if tokens.is_zero() || (answer.text_bytes > 0 && !wrote_tokens) {
            // Nothing was read, or text has no tokens: the count is yet to come, or a blank.
            return Err(Unreadable::Missing);
        }
        if told.has_several_models() {
            return Err(Unreadable::SeveralModels);
        }
        Ok(Usage {
            tokens,
            model: told.model().cloned(),
        })
    }
}

/// The documents of an answer, one after the other.
#[derive(Debug)]
struct Documents {
    scanner: Scanner,
    answer: Answer,
    mark: Mark,
    failure: Option<Unreadable>,
}

/// Whether an event's data is [`DONE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// So many bytes of it have come, and nothing else.
    Awaited(usize),
    /// The event is a document.
    Absent,
    /// The event is neither; the rest of it is skipped.
    Broken,
}

impl Documents {
    fn scan(&mut self, bytes: &[u8]) {
        if self.mark == Mark::Broken {
            return;
        }
        if self.scanner.push(bytes, &mut self.answer).is_err() {
            self.fail();
        }
    }

    fn fail(&mut self) {
        self.mark = Mark::Broken;
        self.failure = Some(Unreadable::NotJson);
        self.answer.forget_document();
    }

    fn end_of_json(&mut self) {
        if self.scanner.is_fresh() {
            // An empty body told nothing.
            return;
        }
        // A list whose last document said that it was lacks nothing but its end.
        let has_all = self.answer.is_ended && self.scanner.is_between_documents();
        if has_all || self.mark == Mark::Broken {
            return;
        }
        if self.scanner.finish(&mut self.answer).is_err() {
            self.fail();
        }
    }
}

impl Events for Documents {
    fn data(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while let Mark::Awaited(passed) = self.mark {
            let Some((&byte, after)) = rest.split_first() else {
                return;
            };
            if DONE.get(passed) == Some(&byte) {
                self.mark = Mark::Awaited(passed.saturating_add(1));
                rest = after;
            } else if byte.is_ascii_whitespace() && (passed == 0 || passed == DONE.len()) {
                rest = after;
            } else {
                self.mark = Mark::Absent;
                self.scan(DONE.get(..passed).unwrap_or_default());
            }
        }
        self.scan(rest);
    }

    fn end(&mut self, broke_off: bool) {
        match self.mark {
            Mark::Awaited(0) | Mark::Broken => {}
            Mark::Awaited(passed) if passed == DONE.len() => self.answer.is_ended = true,
            Mark::Awaited(_) | Mark::Absent => {
                let is_complete =
                    self.mark == Mark::Absent && self.scanner.finish(&mut self.answer).is_ok();
                if !is_complete && !broke_off {
                    self.fail();
                }
            }
        }
        self.scanner.reset();
        self.mark = Mark::Awaited(0);
    }
}
