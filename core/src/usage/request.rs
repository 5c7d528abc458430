//! What a request's body asks for, and so what its answer may cost at most.
//!
//! A client could try to be read in two ways: a small limit here, a large one upstream. So
//! what matters must be said once. Where readers are known to differ (equal keys, Go's
//! blindness to letter case, the two spellings that Google's reader takes) the body is
//! [`Unreadable::Ambiguous`].

mod edit;
mod fields;

pub use edit::{with_output_max, with_usage};
pub use fields::OutputLimitField;

use super::format::Format;
use super::scanner::{Scanner, Value};
use super::{COUNT_MAX, ModelName, Unreadable};
use fields::{Body, Field, Found};

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The model, unless it stands in the path ([`model_in_path`](super::model_in_path)).
    /// `None` if none is named, or one that is no [`ModelName`].
    pub model: Option<ModelName>,
    /// The limit on tokens of output, for each choice; the largest if there are several.
    /// `None` if there is none, or a 0 that upstreams may read as none.
    pub output_tokens_max: Option<u64>,
    /// How many answers to make, to all prompts together; at least 1.
    pub choices: u64,
    /// Whether the answer shall come as events. Gemini's says that in the path.
    pub is_stream: bool,
    /// Whether `stream_options.include_usage` is set.
    pub includes_usage: bool,
    /// The length of the body.
    pub body_bytes: u64,
}

/// How requests are written.
#[derive(Debug, Clone, Copy)]
pub struct RequestFormat<'a> {
    /// The format of the whole.
    pub format: &'a Format,
    /// The one field that limits the output, where the format knows more than one. If `None`,
    /// each of them does, and the largest counts.
    pub output_limit: Option<OutputLimitField>,
}

impl RequestFormat<'_> {
    /// Whether a limit of 0 is one. Anthropic's is ("Prompt caching": such a request fills the
    /// cache). OpenAI refuses it, but to many that are compatible (llama.cpp's server in Python,
    /// IBM's watsonx, whatever leaves out zeros on the way) it means no limit.
    pub(super) const fn has_limit_of_nothing(&self) -> bool {
        matches!(self.format, Format::AnthropicMessages)
    }
}

impl<'a> From<&'a Format> for RequestFormat<'a> {
    fn from(format: &'a Format) -> Self {
        Self {
            format,
            output_limit: None,
        }
    }
}

/// Reads a complete body. How long it may be is up to the caller.
///
/// Of [`Format::Pointers`] the names that are common elsewhere are looked for: `model`,
/// `max_tokens`, `max_completion_tokens`, `max_output_tokens`, `n`, `prompt`, `stream`.
///
/// # Errors
/// If it can't be relied on that the upstream reads the same.
pub fn asked<'a>(format: impl Into<RequestFormat<'a>>, body: &[u8]) -> Result<Asked, Unreadable> {
    let body_bytes = body.len() as u64;
    let format = format.into();
    let body = read(format, body)?;
    let mut is_unlimited = false;
    let mut asked = Asked {
        model: body.model.clone(),
        output_tokens_max: None,
        choices: 1,
        is_stream: false,
        includes_usage: false,
        body_bytes,
    };
    for (field, found) in body.told() {
        match field {
            Field::OutputMax => {
                let limit = found.count()?;
                is_unlimited |= limit == Some(0) && !format.has_limit_of_nothing();
                asked.output_tokens_max = asked.output_tokens_max.max(limit);
            }
            Field::Choices => asked.choices = asked.choices.max(found.count()?.unwrap_or(1)),
            Field::Stream => asked.is_stream = found.flag()?,
            Field::IncludeUsage => asked.includes_usage = found.flag()?,
            Field::Model => found.text()?,
            Field::Options | Field::Config => found.object()?,
            Field::Prompts | Field::Prompt => {}
        }
    }
    if is_unlimited {
        asked.output_tokens_max = None;
    }
    asked.choices = asked.choices.saturating_mul(body.prompts.answered());
    Ok(asked)
}

/// The model that a complete body names, of whatever API it is: nothing else in it matters.
///
/// # Errors
/// If it can't be relied on that the upstream reads the same.
pub fn asked_model(body: &[u8]) -> Result<Option<ModelName>, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|_| Unreadable::NotJson)?;
    let body = scan(Body::of_model(text))?;
    for (_, found) in body.told() {
        found.text()?;
    }
    Ok(body.model)
}

/// Reads a complete body, whatever its fields say.
fn read<'a>(format: RequestFormat<'_>, body: &'a [u8]) -> Result<Body<'a>, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|_| Unreadable::NotJson)?;
    scan(Body::new(text, format))
}

fn scan(mut sink: Body<'_>) -> Result<Body<'_>, Unreadable> {
    let text = sink.text;
    let mut scanner = Scanner::new(sink.watched(), super::scanner::PathSet::NONE, false);
    scanner
        .push(text.as_bytes(), &mut sink)
        .and_then(|()| scanner.finish(&mut sink))
        .map_err(|_| Unreadable::NotJson)?;
    let is_object = text.trim_ascii_start().starts_with('{');
    if sink.is_ambiguous || !is_object {
        return Err(Unreadable::Ambiguous);
    }
    Ok(sink)
}

impl Found {
    /// A count, or `None` for null.
    fn count(&self) -> Result<Option<u64>, Unreadable> {
        match self.value {
            fields::Kind::Null => Ok(None),
            fields::Kind::Count(count) if count <= COUNT_MAX => Ok(Some(count)),
            _ => Err(Unreadable::Absurd),
        }
    }

    fn flag(&self) -> Result<bool, Unreadable> {
        match self.value {
            fields::Kind::Null => Ok(false),
            fields::Kind::Bool(flag) => Ok(flag),
            _ => Err(Unreadable::Absurd),
        }
    }

    fn text(&self) -> Result<(), Unreadable> {
        match self.value {
            fields::Kind::Null | fields::Kind::Text => Ok(()),
            _ => Err(Unreadable::Absurd),
        }
    }

    fn object(&self) -> Result<(), Unreadable> {
        match self.value {
            fields::Kind::Null | fields::Kind::Object => Ok(()),
            _ => Err(Unreadable::Absurd),
        }
    }
}

impl From<Value<'_>> for fields::Kind {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(flag) => Self::Bool(flag),
            Value::Count(count) => Self::Count(count),
            Value::Text(_) | Value::OddText => Self::Text,
            Value::Object => Self::Object,
            Value::OddNumber | Value::List => Self::Other,
        }
    }
}
