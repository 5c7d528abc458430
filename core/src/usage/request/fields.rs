//! The fields of a request that matter, and where in the body they stand.

use super::RequestFormat;
use crate::usage::ModelName;
use crate::usage::format::Format;
use crate::usage::scanner::{PathSet, Sink, Value};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// What a field of a request says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Model,
    /// The most tokens of output.
    OutputMax,
    /// How many answers to each prompt.
    Choices,
    /// A prompt, or a list of them.
    Prompts,
    /// An element of such a list.
    Prompt,
    Stream,
    /// The object that [`Field::IncludeUsage`] stands in.
    Options,
    IncludeUsage,
    /// The object that Gemini's limits stand in.
    Config,
}

/// A field of requests that limits the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OutputLimitField {
    /// OpenAI's today.
    MaxCompletionTokens,
    /// OpenAI's before, and that of most of what is compatible.
    MaxTokens,
    /// Only of `pointers`.
    MaxOutputTokens,
}

impl OutputLimitField {
    /// Its key in a body.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MaxCompletionTokens => "max_completion_tokens",
            Self::MaxTokens => "max_tokens",
            Self::MaxOutputTokens => "max_output_tokens",
        }
    }

    /// Whether requests of the format may have it beside others, so that there is a choice.
    #[must_use]
    pub const fn is_choice_of(self, format: &Format) -> bool {
        match format {
            Format::OpenAiChat => !matches!(self, Self::MaxOutputTokens),
            Format::Pointers(_) => true,
            Format::OpenAiResponses
            | Format::OpenAiEmbeddings
            | Format::AnthropicMessages
            | Format::Gemini => false,
        }
    }
}

/// A field's place: its keys, from the top. `*` is every element of a list.
pub(super) struct Path {
    pub(super) steps: &'static [&'static str],
    pub(super) field: Field,
}

/// The step to every element of a list.
const EACH: &str = "*";

const fn at(steps: &'static [&'static str], field: Field) -> Path {
    Path { steps, field }
}

// `best_of` is of the older Completions: so many are made, of which `n` are shown. So is
// `prompt`, each element of which is answered; vLLM answers those of `prompt_embeds` besides.
static OPENAI_CHAT: &[Path] = &[
    at(&["model"], Field::Model),
    at(&["max_completion_tokens"], Field::OutputMax),
    at(&["max_tokens"], Field::OutputMax),
    at(&["n"], Field::Choices),
    at(&["best_of"], Field::Choices),
    at(&["prompt"], Field::Prompts),
    at(&["prompt", "*"], Field::Prompt),
    at(&["prompt_embeds"], Field::Prompts),
    at(&["prompt_embeds", "*"], Field::Prompt),
    at(&["stream"], Field::Stream),
    at(&["stream_options"], Field::Options),
    at(&["stream_options", "include_usage"], Field::IncludeUsage),
];

static OPENAI_RESPONSES: &[Path] = &[
    at(&["model"], Field::Model),
    at(&["max_output_tokens"], Field::OutputMax),
    at(&["stream"], Field::Stream),
];

static MODEL: &[Path] = &[at(&["model"], Field::Model)];

static ANTHROPIC_MESSAGES: &[Path] = &[
    at(&["model"], Field::Model),
    at(&["max_tokens"], Field::OutputMax),
    at(&["stream"], Field::Stream),
];

static GEMINI: &[Path] = &[
    at(&["generationConfig"], Field::Config),
    at(&["generationConfig", "maxOutputTokens"], Field::OutputMax),
    at(&["generationConfig", "candidateCount"], Field::Choices),
];

static ANY: &[Path] = &[
    at(&["model"], Field::Model),
    at(&["max_tokens"], Field::OutputMax),
    at(&["max_completion_tokens"], Field::OutputMax),
    at(&["max_output_tokens"], Field::OutputMax),
    at(&["n"], Field::Choices),
    at(&["prompt"], Field::Prompts),
    at(&["prompt", "*"], Field::Prompt),
    at(&["stream"], Field::Stream),
];

/// The longest of the lists above.
const FIELDS_MAX: usize = 12;

pub(super) fn paths(format: &Format) -> &'static [Path] {
    match format {
        Format::OpenAiChat => OPENAI_CHAT,
        Format::OpenAiResponses => OPENAI_RESPONSES,
        Format::OpenAiEmbeddings => MODEL,
        Format::AnthropicMessages => ANTHROPIC_MESSAGES,
        Format::Gemini => GEMINI,
        Format::Pointers(_) => ANY,
    }
}

/// A value, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Count(u64),
    Text,
    Object,
    Other,
}

/// A field's value, and which bytes of the body it takes.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) value: Kind,
    pub(super) span: Range<usize>,
}

/// A body whose fields are being found.
pub(super) struct Body<'a> {
    pub(super) text: &'a str,
    pub(super) paths: &'static [Path],
    takes_both_spellings: bool,
    output_limit: Option<OutputLimitField>,
    found: [Option<Found>; FIELDS_MAX],
    /// Of each path, a bit for each level that was entered.
    entered: [u8; FIELDS_MAX],
    pub(super) model: Option<ModelName>,
    pub(super) prompts: Prompts,
    pub(super) is_ambiguous: bool,
}

/// How many prompts there are. A list of numbers is one prompt, in tokens.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Prompts {
    count: u64,
    /// Elements of the list at hand.
    numbers: u64,
    others: u64,
}

impl Prompts {
    /// How many are answered: at least one.
    pub(super) fn answered(self) -> u64 {
        self.count.max(1)
    }

    fn element(&mut self, value: Value<'_>) {
        let count = match value {
            Value::Count(_) | Value::OddNumber => &mut self.numbers,
            _ => &mut self.others,
        };
        *count = count.saturating_add(1);
    }

    fn end(&mut self, value: Value<'_>) {
        let more = match value {
            Value::Null => 0,
            Value::List if self.others > 0 => self.others.saturating_add(self.numbers),
            _ => 1,
        };
        (self.numbers, self.others) = (0, 0);
        self.count = self.count.saturating_add(more);
    }
}

impl<'a> Body<'a> {
    pub(super) fn new(text: &'a str, form: RequestFormat<'_>) -> Self {
        Self {
            takes_both_spellings: matches!(form.format, Format::Gemini),
            output_limit: form.output_limit,
            ..Self::watching(text, paths(form.format))
        }
    }

    /// One of which nothing but the model is looked for.
    pub(super) fn of_model(text: &'a str) -> Self {
        Self::watching(text, MODEL)
    }

    fn watching(text: &'a str, paths: &'static [Path]) -> Self {
        Self {
            text,
            paths,
            takes_both_spellings: false,
            output_limit: None,
            found: [const { None }; FIELDS_MAX],
            entered: [0; FIELDS_MAX],
            model: None,
            prompts: Prompts::default(),
            is_ambiguous: false,
        }
    }

    pub(super) fn watched(&self) -> PathSet {
        PathSet::first(self.paths.len())
    }

    /// The fields that stand in the body and that count.
    pub(super) fn told(&self) -> impl Iterator<Item = (Field, &Found)> {
        let found = self.paths.iter().zip(&self.found);
        found
            .filter(|(path, _)| path.field != Field::OutputMax || self.is_limit(path))
            .filter_map(|(path, found)| Some((path.field, found.as_ref()?)))
    }

    /// Whether the upstream obeys this limit.
    fn is_limit(&self, path: &Path) -> bool {
        let obeyed = self.output_limit.map(OutputLimitField::as_str);
        obeyed.is_none_or(|name| path.steps == [name])
    }

    fn path(&self, path: u32) -> Option<&'static Path> {
        self.paths.get(usize::try_from(path).ok()?)
    }

    fn step(&self, path: u32, level: usize) -> Option<&'static str> {
        self.path(path)?.steps.get(level).copied()
    }
}

impl Sink for Body<'_> {
    /// A key that only some readers would take for a field's is held against the body.
    fn fits_key(&mut self, path: u32, level: usize, key: &[u8]) -> bool {
        let Some(step) = self.step(path, level).filter(|step| *step != EACH) else {
            return false;
        };
        if step.as_bytes() == key {
            return true;
        }
        let Ok(key) = std::str::from_utf8(key) else {
            return false;
        };
        // Protocol buffers' JSON takes `max_output_tokens` for `maxOutputTokens`.
        if self.takes_both_spellings && snake_case(step).eq(key.chars()) {
            return true;
        }
        let ignores = |character: &char| self.takes_both_spellings && *character == '_';
        let is_alike = folded(key)
            .filter(|character| !ignores(character))
            .eq(folded(step));
        self.is_ambiguous |= is_alike;
        is_alike
    }

    fn fits_element(&mut self, path: u32, level: usize, _: u32) -> bool {
        self.step(path, level) == Some(EACH)
    }

    fn ends(&self, path: u32, level: usize) -> bool {
        self.path(path)
            .is_some_and(|path| path.steps.len() <= level)
    }

    fn enter(&mut self, paths: PathSet, level: usize) {
        let bit = u32::try_from(level).ok();
        let bit = bit.and_then(|level| 1_u8.checked_shl(level)).unwrap_or(0);
        for path in paths.iter() {
            // Elements come one after the other.
            let last = level.checked_sub(1);
            if last.and_then(|last| self.step(path, last)) == Some(EACH) {
                continue;
            }
            let place = usize::try_from(path).ok();
            if let Some(entered) = place.and_then(|place| self.entered.get_mut(place)) {
                self.is_ambiguous |= *entered & bit != 0;
                *entered |= bit;
            }
        }
    }

    fn value(&mut self, path: u32, value: Value<'_>, span: Range<usize>) {
        match (self.path(path).map(|path| path.field), value) {
            (Some(Field::Model), Value::Text(model)) => self.model = ModelName::new(model),
            (Some(Field::Prompt), value) => return self.prompts.element(value),
            (Some(Field::Prompts), value) => return self.prompts.end(value),
            _ => {}
        }
        let place = usize::try_from(path).ok();
        if let Some(found) = place.and_then(|place| self.found.get_mut(place)) {
            *found = Some(Found {
                value: value.into(),
                span,
            });
        }
    }

    fn text(&mut self, _: u64) {}

    fn document(&mut self) {}
}

/// A key as Go's JSON reader compares it: without letter case, the long s and the Kelvin
/// sign being letters too.
fn folded(key: &str) -> impl Iterator<Item = char> {
    key.chars().map(|character| match character {
        'ſ' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    })
}

/// `maxOutputTokens` as `max_output_tokens`.
fn snake_case(key: &str) -> impl Iterator<Item = char> {
    key.chars().flat_map(|character| {
        let underscore = character.is_ascii_uppercase().then_some('_');
        underscore
            .into_iter()
            .chain([character.to_ascii_lowercase()])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_its_place() {
        let lists = [OPENAI_CHAT, OPENAI_RESPONSES, MODEL];
        for list in lists.into_iter().chain([ANTHROPIC_MESSAGES, GEMINI, ANY]) {
            assert!(list.len() <= FIELDS_MAX);
            // A bit for each level, that of the whole body included.
            assert!(list.iter().all(|path| path.steps.len() < 8));
        }
    }

    #[test]
    fn keys_are_compared_as_their_readers_do() {
        assert!(folded("MAX_To\u{212a}enſ").eq("max_tokens".chars()));
        assert!(snake_case("maxOutputTokens").eq("max_output_tokens".chars()));
    }
}
