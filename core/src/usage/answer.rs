//! What an answer has told so far: what its documents say at the paths that matter.

use super::format::{Field, Format, Item, List, Path, Slot, anthropic, openai};
use super::scanner::{PathSet, Sink, Value};
use super::{COUNT_MAX, ModelName, Unreadable};
use std::ops::Range;

/// A number, if one was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Number {
    #[default]
    Nothing,
    Count(u64),
    Absurd,
}

impl Number {
    fn of(value: Value<'_>) -> Self {
        match value {
            Value::Null => Self::Nothing,
            Value::Count(count) if count <= COUNT_MAX => Self::Count(count),
            _ => Self::Absurd,
        }
    }

    fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Absurd, _) | (_, Self::Absurd) => Self::Absurd,
            (Self::Count(a), Self::Count(b)) => Self::Count(a.saturating_add(b)),
            (Self::Nothing, told) | (told, Self::Nothing) => told,
        }
    }
}

/// Whose an answer's rounds were.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum RoundModel {
    /// Not told: the answer's own.
    #[default]
    Untold,
    One(ModelName),
    /// Several, or one that is no name.
    Mixed,
}

impl RoundModel {
    fn of(value: Value<'_>) -> Self {
        match value {
            Value::Null => Self::Untold,
            Value::Text(model) => ModelName::new(model).map_or(Self::Mixed, Self::One),
            _ => Self::Mixed,
        }
    }

    fn add(&mut self, other: Self) {
        match (&*self, &other) {
            (_, Self::Untold) => {}
            (Self::Untold, _) => *self = other,
            (Self::One(one), Self::One(other)) if one.is_version_of(other) => {}
            _ => *self = Self::Mixed,
        }
    }
}

/// The numbers and the model that were told.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    numbers: [Number; Slot::COUNT],
    model: Option<ModelName>,
    /// Of the rounds, if the answer took several.
    rounds: RoundModel,
    /// Whether the output's count is more than a beginning, where a format has such.
    pub(super) is_final: bool,
}

impl Told {
    /// The count told for this, or 0 if there was none.
    pub(super) fn count(&self, slot: Slot) -> Result<u64, Unreadable> {
        match self.get(slot) {
            Number::Nothing => Ok(0),
            Number::Count(count) => Ok(count),
            Number::Absurd => Err(Unreadable::Absurd),
        }
    }

    /// Whether a count was told for this.
    pub(super) fn has(&self, slot: Slot) -> bool {
        self.get(slot) != Number::Nothing
    }

    /// Whether no count was told at all.
    pub(super) fn is_nothing(&self) -> bool {
        self.numbers.iter().all(|number| *number == Number::Nothing)
    }

    /// The model that was told.
    pub(super) fn model(&self) -> Option<&ModelName> {
        self.model.as_ref()
    }

    /// Whether some of the tokens are another model's than the one that was told.
    pub(super) fn has_several_models(&self) -> bool {
        match (&self.rounds, &self.model) {
            (RoundModel::Untold, _) => false,
            (RoundModel::One(one), Some(model)) => !one.is_version_of(model),
            _ => true,
        }
    }

    fn get(&self, slot: Slot) -> Number {
        self.numbers.get(slot as usize).copied().unwrap_or_default()
    }

    fn set(&mut self, slot: Slot, number: Number) {
        if let Some(place) = self.numbers.get_mut(slot as usize) {
            *place = number;
        }
    }

    /// Takes what a later document tells in the place of what was told. If counts only
    /// grow, a smaller one is a proxy's blank and not believed.
    fn update(&mut self, later: &mut Self, only_grows: bool) {
        for (told, later) in self.numbers.iter_mut().zip(&mut later.numbers) {
            match (*told, std::mem::take(later)) {
                (_, Number::Nothing) => {}
                (Number::Count(before), Number::Count(after)) if only_grows => {
                    *told = Number::Count(before.max(after));
                }
                (_, number) => *told = number,
            }
        }
        if later.model.is_some() {
            self.model = later.model.take();
        }
        if later.rounds != RoundModel::Untold {
            self.rounds = std::mem::take(&mut later.rounds);
        }
        self.is_final |= std::mem::take(&mut later.is_final);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Modality {
    #[default]
    Other,
    Audio,
    Image,
}

/// An answer, as its documents pass.
#[derive(Debug)]
pub(super) struct Answer {
    format: Format,
    /// Whether the documents are events, rather than the whole answer at once.
    is_streamed: bool,
    told: Told,
    /// What the document at hand tells, until it is complete.
    document: Told,
    /// The list's element at hand.
    items: [Number; Item::COUNT],
    modality: Modality,
    round: RoundModel,
    /// Whether the document at hand says that it is the last.
    is_last: bool,
    pub(super) is_ended: bool,
    pub(super) text_bytes: u64,
}

impl Answer {
    pub(super) fn new(format: Format, is_streamed: bool) -> Self {
        Self {
            format,
            is_streamed,
            told: Told::default(),
            document: Told::default(),
            items: [Number::Nothing; Item::COUNT],
            modality: Modality::Other,
            round: RoundModel::Untold,
            is_last: false,
            is_ended: false,
            text_bytes: 0,
        }
    }

    pub(super) const fn format(&self) -> &Format {
        &self.format
    }

    pub(super) const fn told(&self) -> &Told {
        &self.told
    }

    /// Forgets what the document at hand told: it broke off.
    pub(super) fn forget_document(&mut self) {
        self.document = Told::default();
        self.is_last = false;
    }

    fn path(&self, path: u32) -> Option<&Path> {
        self.format.paths().get(usize::try_from(path).ok()?)
    }

    fn field(&self, path: u32) -> Option<Field> {
        self.path(path).map(|path| path.field)
    }

    fn event(&mut self, event: &str) {
        match self.format {
            Format::OpenAiResponses => self.is_last |= openai::ends_response(event),
            Format::AnthropicMessages => {
                self.is_last |= event == anthropic::END;
                self.document.is_final |= event == anthropic::FINAL_COUNTS;
            }
            _ => {}
        }
    }

    /// Adds a list's element to its sums.
    fn sum_up(&mut self, list: List) {
        let [tokens, cached_input, cache_write, cache_write_1h, output] = self.items;
        let mut add = |slot, number| {
            let sum = self.document.get(slot).plus(number);
            self.document.set(slot, sum);
        };
        match (list, self.modality) {
            (List::Rounds, _) => {
                add(Slot::RoundsInput, tokens);
                add(Slot::RoundsCachedInput, cached_input);
                add(Slot::RoundsCacheWrite, cache_write);
                add(Slot::RoundsCacheWrite1h, cache_write_1h);
                add(Slot::RoundsOutput, output);
                self.document.rounds.add(std::mem::take(&mut self.round));
            }
            (List::Prompt, Modality::Audio) => add(Slot::AudioInput, tokens),
            (List::Prompt, Modality::Image) => add(Slot::Image, tokens),
            (List::Cache, Modality::Audio) => add(Slot::CachedAudio, tokens),
            (List::Cache, Modality::Image) => add(Slot::CachedImage, tokens),
            (List::Candidates, Modality::Audio) => add(Slot::AudioOutput, tokens),
            (List::Candidates, Modality::Image) => add(Slot::ImageOutput, tokens),
            _ => {}
        }
    }

    fn void(&mut self, field: Field) {
        let slots: &[Slot] = match field {
            Field::Count(slot) => &[slot],
            Field::List(List::Prompt) => &[Slot::AudioInput, Slot::Image],
            Field::List(List::Cache) => &[Slot::CachedAudio, Slot::CachedImage],
            Field::List(List::Candidates) => &[Slot::AudioOutput, Slot::ImageOutput],
            Field::List(List::Rounds) => &[
                Slot::RoundsInput,
                Slot::RoundsCachedInput,
                Slot::RoundsCacheWrite,
                Slot::RoundsCacheWrite1h,
                Slot::RoundsOutput,
            ],
            Field::Item(item) => {
                if let Some(place) = self.items.get_mut(item as usize) {
                    *place = Number::Nothing;
                }
                return;
            }
            Field::Modality => {
                self.modality = Modality::Other;
                return;
            }
            Field::RoundModel => {
                self.round = RoundModel::Untold;
                return;
            }
            Field::Model => {
                self.document.model = None;
                return;
            }
            Field::Event => {
                self.is_last = false;
                self.document.is_final = false;
                return;
            }
            Field::Element(_) | Field::Finish | Field::Text => return,
        };
        if field == Field::List(List::Rounds) {
            self.document.rounds = RoundModel::Untold;
        }
        for slot in slots {
            self.document.set(*slot, Number::Nothing);
        }
    }
}

impl Sink for Answer {
    fn fits_key(&mut self, path: u32, level: usize, key: &[u8]) -> bool {
        self.path(path)
            .is_some_and(|path| path.steps.fits_key(level, key))
    }

    fn fits_element(&mut self, path: u32, level: usize, index: u32) -> bool {
        self.path(path)
            .is_some_and(|path| path.steps.fits_element(level, index))
    }

    fn ends(&self, path: u32, level: usize) -> bool {
        self.path(path)
            .is_some_and(|path| path.steps.get(level).is_none())
    }

    fn enter(&mut self, paths: PathSet, level: usize) {
        // Gemini may say why it stopped in each document: only the last one's counts.
        let goes_on = level == 0 && matches!(self.format, Format::Gemini);
        self.is_ended &= !goes_on;
        for path in paths.iter() {
            if let Some(field) = self.field(path) {
                self.void(field);
            }
        }
    }

    fn value(&mut self, path: u32, value: Value<'_>, span: Range<usize>) {
        match (self.field(path), value) {
            (Some(Field::Count(slot)), _) => self.document.set(slot, Number::of(value)),
            (Some(Field::Item(item)), _) => {
                if let Some(place) = self.items.get_mut(item as usize) {
                    *place = Number::of(value);
                }
            }
            (Some(Field::Element(list)), Value::Object) => self.sum_up(list),
            (Some(Field::Modality), Value::Text(modality)) => {
                self.modality = match modality {
                    "AUDIO" => Modality::Audio,
                    "IMAGE" => Modality::Image,
                    _ => Modality::Other,
                };
            }
            (Some(Field::RoundModel), _) => self.round = RoundModel::of(value),
            (Some(Field::Model), Value::Text(model)) => {
                self.document.model = ModelName::new(model);
            }
            (Some(Field::Event), Value::Text(event)) => self.event(event),
            (Some(Field::Finish), Value::Text(_)) => self.is_last = true,
            // Not a string: parts, or arguments as JSON. What they take is near enough.
            (Some(Field::Text), Value::Object | Value::List) => self.text(span.len() as u64),
            _ => {}
        }
    }

    fn text(&mut self, bytes: u64) {
        self.text_bytes = self.text_bytes.saturating_add(bytes);
    }

    fn document(&mut self) {
        let only_grows = matches!(self.format, Format::AnthropicMessages);
        self.document.is_final |= !self.is_streamed;
        self.told.update(&mut self.document, only_grows);
        self.is_ended |= std::mem::take(&mut self.is_last);
    }
}
