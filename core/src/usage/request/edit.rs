//! Edits of a request's body: a splice of its text, so that all else stays as it came.

use super::fields::{Body, Field, Found, Kind};
use super::{RequestFormat, read};
use crate::usage::format::Format;
use crate::usage::{OutputLimitField, Unreadable};
use std::ops::Range;

/// The body with `stream_options.include_usage` set, so that a stream of OpenAI's chat
/// tells its usage. To be used on requests for streams only: others are refused for it.
///
/// # Errors
/// As [`asked`](super::asked).
pub fn with_usage(body: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let body = read((&Format::OpenAiChat).into(), body)?;
    let find = |wanted| body.told().find(|(field, _)| *field == wanted);
    let options = find(Field::Options).map(|(_, found)| found);
    let edit = match (options, find(Field::IncludeUsage)) {
        (_, Some((_, set))) if set.flag()? => return Ok(body.text.into()),
        (_, Some((_, unset))) => unset.replaced_by("true"),
        (Some(options), None) => body.in_object(options, "include_usage", "true")?,
        (None, None) => body.at_top("stream_options", r#"{"include_usage":true}"#),
    };
    Ok(body.spliced(vec![edit]))
}

/// The body with a limit on its output of at most so many tokens: larger limits are
/// lowered, a 0 that upstreams may read as no limit is replaced, and where there is none it is inserted, under the name that was chosen, or that
/// the format's documentation gives it today (`max_completion_tokens` of OpenAI's chat).
///
/// # Errors
/// As [`asked`](super::asked); [`Unreadable::Unsupported`] if there is no limit and the
/// format is [`Format::Pointers`], and nobody said what it would be called.
pub fn with_output_max<'a>(
    format: impl Into<RequestFormat<'a>>,
    body: &[u8],
    max: u64,
) -> Result<Vec<u8>, Unreadable> {
    let form = format.into();
    let body = read(form, body)?;
    let text = max.to_string();
    let mut edits = Vec::new();
    let mut blank = None;
    let mut has_limit = false;
    for (_, found) in body.told().filter(|(field, _)| *field == Field::OutputMax) {
        match found.count()? {
            Some(limit) => {
                has_limit = true;
                let is_none = limit == 0 && !form.has_limit_of_nothing();
                if limit > max || is_none {
                    edits.push(found.replaced_by(&text));
                }
            }
            None => blank = Some(found),
        }
    }
    if let Some(blank) = blank.filter(|_| !has_limit) {
        edits.push(blank.replaced_by(&text));
    } else if !has_limit {
        use OutputLimitField::{MaxCompletionTokens, MaxOutputTokens, MaxTokens};
        let name = match form.format {
            Format::OpenAiChat => form.output_limit.unwrap_or(MaxCompletionTokens),
            Format::OpenAiResponses => MaxOutputTokens,
            Format::AnthropicMessages => MaxTokens,
            Format::Pointers(_) => form.output_limit.ok_or(Unreadable::Unsupported)?,
            Format::Gemini => return Ok(body.spliced(vec![body.in_config(&text)?])),
            Format::OpenAiEmbeddings => return Ok(body.text.into()),
        };
        edits.push(body.at_top(name.as_str(), &text));
    }
    Ok(body.spliced(edits))
}

/// These bytes shall be replaced by this text.
type Edit = (Range<usize>, String);

impl Found {
    fn replaced_by(&self, text: &str) -> Edit {
        (self.span.clone(), text.to_owned())
    }
}

impl Body<'_> {
    fn in_config(&self, max: &str) -> Result<Edit, Unreadable> {
        match self.told().find(|(field, _)| *field == Field::Config) {
            Some((_, config)) => self.in_object(config, "maxOutputTokens", max),
            None => Ok(self.at_top(
                "generationConfig",
                &format!(r#"{{"maxOutputTokens":{max}}}"#),
            )),
        }
    }

    /// Adds a member to the object, which is made if it is null.
    fn in_object(&self, object: &Found, key: &str, value: &str) -> Result<Edit, Unreadable> {
        match object.value {
            Kind::Null => Ok(object.replaced_by(&format!(r#"{{"{key}":{value}}}"#))),
            Kind::Object => Ok(self.member(object.span.start, key, value)),
            _ => Err(Unreadable::Absurd),
        }
    }

    fn at_top(&self, key: &str, value: &str) -> Edit {
        self.member(self.text.find('{').unwrap_or_default(), key, value)
    }

    /// Adds a member to the object that begins there, before its first.
    fn member(&self, start: usize, key: &str, value: &str) -> Edit {
        let start = start.saturating_add(1);
        let inside = self.text.get(start..).unwrap_or_default();
        let is_empty = inside.trim_ascii_start().starts_with('}');
        let comma = if is_empty { "" } else { "," };
        (start..start, format!(r#""{key}":{value}{comma}"#))
    }

    fn spliced(&self, mut edits: Vec<Edit>) -> Vec<u8> {
        edits.sort_by_key(|(span, _)| span.start);
        let added = edits.iter().map(|(_, text)| text.len());
        let added = added.fold(0, usize::saturating_add);
        let mut spliced = String::with_capacity(self.text.len().saturating_add(added));
        let mut copied = 0;
        for (span, text) in edits {
            spliced.push_str(self.text.get(copied..span.start).unwrap_or_default());
            spliced.push_str(&text);
            copied = span.end;
        }
        spliced.push_str(self.text.get(copied..).unwrap_or_default());
        spliced.into_bytes()
    }
}
