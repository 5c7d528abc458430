//! How a rule charges tokens, compiled.

use super::discount::Discount;
use super::document::{EstimateDocument, OverMax, PricedBy, Promise, TokensDocument, UnknownModel};
use super::due::Due;
use super::models::{ModelPrices, ModelTable};
use super::pricing::{Own, OwnModel};
use super::sum::Sum;
use super::{Foreseen, Models, RateCardError};
use crate::usage::{Format, OutputLimitField, RequestFormat, TokenCounts};
use std::sync::Arc;

/// The most output tokens that a rule may allow, and the most that an estimate may name.
pub const TOKENS_MAX: u64 = 10_000_000;
/// The most bytes of a request body that a rule may have read.
pub const REQUEST_BODY_BYTES_MAX: u64 = 1 << 20;
/// How many bytes of a request body are read if a rule doesn't say.
pub const REQUEST_BODY_BYTES_DEFAULT: u64 = 1 << 17;
/// The most bytes that are taken for one token.
pub const BYTES_PER_TOKEN_MAX: u64 = 16;

/// How the tokens of a rule's requests are read, priced and kept within bounds.
#[derive(Debug)]
pub struct TokenTerms {
    format: Format,
    priced_by: PricedBy,
    /// The name of the model that unlisted ones are priced as.
    stand_in: Option<Box<str>>,
    output_tokens_max: u64,
    output_limit_field: Option<OutputLimitField>,
    over_max: OverMax,
    request_body_bytes_max: u64,
    includes_usage: bool,
    promise: Promise,
    bytes_per_token: u64,
    input_tokens_extra: u64,
    /// What is expected of each choice, where the promise isn't strict.
    output_tokens: Option<u64>,
    models: Arc<ModelTable>,
}

/// What becomes of the limit to its output that a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputLimit {
    /// The request passes as it is; each choice is taken to have at most so many tokens.
    Keep(u64),
    /// The limit is lowered to this, or put in where there is none.
    Write(u64),
    /// The request is refused: it asks for more than this.
    Refuse(u64),
}

/// The model is not in the card, and the rule has no stand-in for it.
pub(super) struct Unlisted;

impl TokenTerms {
    pub(super) fn compile(
        document: &TokensDocument,
        estimate: Option<&EstimateDocument>,
        promise: Promise,
        models: &Arc<ModelTable>,
        pointer: &str,
    ) -> Result<Self, RateCardError> {
        let fault = |field: &str, code, message: String| {
            RateCardError::new(format!("{pointer}/{field}"), code, message)
        };
        let within = |field: &str, count: u64, least: u64, most: u64| {
            if (least..=most).contains(&count) {
                return Ok(count);
            }
            Err(fault(
                field,
                "count_out_of_range",
                format!("{least} to {most}"),
            ))
        };
        if models.is_empty() {
            let message = "the card has no models to price tokens by";
            return Err(fault("tokens", "models_missing", message.to_owned()));
        }
        let named = [
            (document.priced_by.model(), "tokens/priced_by/model"),
            (document.unknown_model.stand_in(), "tokens/unknown_model/as"),
        ];
        for (model, field) in named {
            if let Some(model) = model.filter(|model| models.find(model).is_none()) {
                let message = format!("{model} is not among the card's models");
                return Err(fault(field, "model_unknown", message));
            }
        }
        let limit = document.output_limit_field;
        if limit.is_some_and(|field| !field.is_choice_of(&document.format)) {
            let message = "openai_chat has max_completion_tokens and max_tokens, pointers has max_output_tokens too; in other formats there is no choice";
            let field = "tokens/output_limit_field";
            return Err(fault(field, "output_limit_field_invalid", message.into()));
        }
        let default = EstimateDocument::default();
        let estimate = estimate.unwrap_or(&default);
        let bytes_per_token = match (estimate.bytes_per_token, promise) {
            (Some(bytes), _) => bytes,
            (None, Promise::Strict) => 1,
            (None, Promise::Metered | Promise::Expected) => 4,
        };
        let field = "estimate/output_tokens";
        let output_tokens = estimate
            .output_tokens
            .map(|count| within(field, count, 0, TOKENS_MAX));
        let extra = estimate.input_tokens_extra;
        let body_max = document.request_body_bytes_max;
        Ok(Self {
            format: document.format.clone(),
            priced_by: document.priced_by.clone(),
            stand_in: document.unknown_model.stand_in().map(Into::into),
            output_tokens_max: within(
                "tokens/output_tokens_max",
                document.output_tokens_max,
                1,
                TOKENS_MAX,
            )?,
            output_limit_field: document.output_limit_field,
            over_max: document.over_max,
            request_body_bytes_max: within(
                "tokens/request_body_bytes_max",
                body_max,
                1,
                REQUEST_BODY_BYTES_MAX,
            )?,
            includes_usage: document.include_usage,
            promise,
            bytes_per_token: within(
                "estimate/bytes_per_token",
                bytes_per_token,
                1,
                BYTES_PER_TOKEN_MAX,
            )?,
            input_tokens_extra: within("estimate/input_tokens_extra", extra, 0, TOKENS_MAX)?,
            output_tokens: output_tokens.transpose()?,
            models: Arc::clone(models),
        })
    }

    /// How requests and answers are written.
    #[must_use]
    pub const fn format(&self) -> &Format {
        &self.format
    }

    /// How requests are written.
    #[must_use]
    pub const fn request_format(&self) -> RequestFormat<'_> {
        RequestFormat {
            format: &self.format,
            output_limit: self.output_limit_field,
        }
    }

    /// The longest request body that is read, in bytes.
    #[must_use]
    pub const fn request_body_bytes_max(&self) -> u64 {
        self.request_body_bytes_max
    }

    /// Whether streamed answers are asked to say what they used.
    #[must_use]
    pub const fn includes_usage(&self) -> bool {
        self.includes_usage
    }

    /// Whether the request's body must be read: for its model and the limit to its output. Not
    /// if it may be no JSON at all and something is reserved without them.
    #[must_use]
    pub fn needs_body(&self) -> bool {
        let has_model = self.fixed_model().is_some() || self.stand_in.is_some();
        let has_all = has_model && self.output_limit_field.is_none();
        !(matches!(self.format, Format::Pointers(_)) && has_all)
    }

    /// The model whose prices are charged, whatever requests and answers name.
    #[must_use]
    pub fn fixed_model(&self) -> Option<&str> {
        self.priced_by.model()
    }

    /// Why an answer is not charged as the model that it names, where it should be: it names none, or
    /// one that the card doesn't list.
    #[must_use]
    pub fn passes_over(&self, answered: Option<&str>) -> Option<PassedOver> {
        if self.priced_by != PricedBy::Answered {
            return None;
        }
        let Some(answered) = answered else {
            return Some(PassedOver::Missing);
        };
        let is_listed = self.models.find(answered).is_some();
        (!is_listed).then_some(PassedOver::Unlisted)
    }

    /// How many tokens so many bytes of text are taken for.
    #[must_use]
    pub fn tokens_in(&self, bytes: u64) -> u64 {
        bytes.div_ceil(self.bytes_per_token.max(1))
    }

    /// How many tokens the model is taken to read of a request whose body has so many bytes.
    #[must_use]
    pub fn tokens_read(&self, bytes: u64) -> u64 {
        let shown = self.tokens_in(bytes);
        shown.saturating_add(self.input_tokens_extra)
    }

    /// What becomes of the limit that a request names for the output of each choice. Under a
    /// strict promise a request without one gets one, where its format has a place for it.
    #[must_use]
    pub fn output_limit(&self, asked: Option<u64>) -> OutputLimit {
        let max = self.output_tokens_max;
        match (asked, self.over_max) {
            (Some(asked), _) if asked <= max => OutputLimit::Keep(asked),
            (Some(_), OverMax::Refuse) => OutputLimit::Refuse(max),
            (Some(_), OverMax::Rewrite) => OutputLimit::Write(max),
            (Some(asked), OverMax::Allow) => OutputLimit::Keep(asked),
            (None, _) if self.promise == Promise::Strict && self.has_limit_field() => {
                OutputLimit::Write(max)
            }
            (None, _) => OutputLimit::Keep(max),
        }
    }

    const fn has_limit_field(&self) -> bool {
        match self.format {
            Format::OpenAiEmbeddings => false,
            Format::Pointers(_) => self.output_limit_field.is_some(),
            _ => true,
        }
    }

    /// What is due for the tokens of an answer.
    pub(super) fn cost(
        &self,
        tokens: &TokenCounts,
        models: &Models<'_>,
        own: Option<&Own>,
    ) -> Result<Due, Unlisted> {
        let answered = match self.priced_by {
            PricedBy::Answered => models.answered.and_then(|model| self.priced(model, own)),
            PricedBy::Requested | PricedBy::Model(_) => None,
        };
        let asked = self.asked(models.asked, own);
        let due = |priced: Priced<'_>| priced.prices.cost(tokens).due(priced.discount);
        match (asked, answered) {
            // What was reserved was reserved for the model that was asked for.
            (Some(asked), Some(answered)) if self.promise == Promise::Strict => {
                Ok(due(answered).min(due(asked)))
            }
            (_, Some(priced)) | (Some(priced), None) => Ok(due(priced)),
            (None, None) => Err(Unlisted),
        }
    }

    /// What is reserved for the tokens of a request whose output has at most `limit` tokens in
    /// each choice.
    pub(super) fn estimate(
        &self,
        foreseen: &Foreseen<'_>,
        limit: u64,
        own: Option<&Own>,
    ) -> Result<Due, Unlisted> {
        let Priced { prices, discount } = self.asked(foreseen.model, own).ok_or(Unlisted)?;
        let bytes = match (foreseen.request_bytes, self.promise) {
            (Some(bytes), _) => bytes,
            (None, Promise::Strict) => return Ok(Sum::UNBOUNDED.due(discount)),
            (None, Promise::Metered | Promise::Expected) => self.request_body_bytes_max,
        };
        let read = self.tokens_read(bytes);
        let each = match self.promise {
            _ if self.format == Format::OpenAiEmbeddings => 0,
            Promise::Strict => limit,
            Promise::Metered => self.output_tokens.unwrap_or(0).min(limit),
            Promise::Expected => self.output_tokens.unwrap_or(limit).min(limit),
        };
        let written = each.saturating_mul(foreseen.choices.max(1));
        let cost = match self.promise {
            Promise::Strict => prices.cost_at_most(read, written),
            Promise::Metered | Promise::Expected => prices.cost_plain(read, written),
        };
        Ok(cost.due(discount))
    }

    /// What so many tokens of output cost, as far as the model is known.
    pub(super) fn ahead(&self, model: Option<&str>, tokens: u64, own: Option<&Own>) -> Option<Due> {
        let Priced { prices, discount } = self.asked(model, own)?;
        Some(prices.cost_plain(0, tokens).due(discount))
    }

    /// How a model that is asked for is priced, or what stands in its place.
    fn asked<'a>(&'a self, model: Option<&str>, own: Option<&'a Own>) -> Option<Priced<'a>> {
        let asked = self
            .fixed_model()
            .or(model)
            .and_then(|model| self.priced(model, own));
        asked.or_else(|| self.priced(self.stand_in.as_deref()?, own))
    }

    /// How a model is priced, if the card lists it.
    fn priced<'a>(&'a self, model: &str, own: Option<&'a Own>) -> Option<Priced<'a>> {
        let (_, listed) = self.models.find(model)?;
        let priced = |prices, discount| Priced { prices, discount };
        let Some(own) = own else {
            return Some(priced(listed, Discount::NONE));
        };
        Some(match own.model(model) {
            Some(OwnModel::Prices(prices)) => priced(prices, Discount::NONE),
            Some(OwnModel::Discount(discount)) => priced(listed, *discount),
            None => priced(listed, own.discount),
        })
    }
}

/// Why an answer is charged as the model that was asked for, though it should be as the one that
/// answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassedOver {
    /// It names none.
    Missing,
    /// The card doesn't list what it names.
    Unlisted,
}

impl PassedOver {
    /// A stable word for it, for logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "model_missing",
            Self::Unlisted => "model_unlisted",
        }
    }
}

impl PricedBy {
    fn model(&self) -> Option<&str> {
        match self {
            Self::Model(model) => Some(model),
            Self::Answered | Self::Requested => None,
        }
    }
}

impl UnknownModel {
    fn stand_in(&self) -> Option<&str> {
        match self {
            Self::As(model) => Some(model),
            Self::Deny => None,
        }
    }
}

/// What the tokens of a model cost, and what is off that.
struct Priced<'a> {
    prices: &'a ModelPrices,
    discount: Discount,
}
