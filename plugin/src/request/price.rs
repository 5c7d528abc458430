//! The price: what a request is, by the rate card, before anybody asks who pays.
//!
//! [`Gate::weigh`] starts from a request's headers, and hands on to [`Gate::judge`] what
//! costs something. Where the price is in the body, it asks for that first, and is asked again
//! with it; so it is when a request was held because there was no rate card.

use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;

use creditgate_core::amount::Amount;
use creditgate_core::rate_card::{
    AskedModel, Decision, EstimateError, Facts, MeterSource, Mode as RuleMode, OutputLimit,
    RateCard, Readings, Request, Rule, TokenTerms, normalize, reading,
};
use creditgate_core::usage::{
    Asked, Format, ModelName, asked, asked_model, model_in_path, with_output_max, with_usage,
};

use super::identify::Seen;
use super::line::Place;
use super::refusal::Refusal;
use super::{Demand, Foreknown, Purpose, Shadowed, Terms, Verdict};
use crate::config::{Config, Mode};
use crate::gate::Gate;
use crate::host::Host;
use crate::pairs::Pairs;

/// Where a route of the proxy names the rule of its requests.
const RULE_OF_ROUTE: [&str; 5] = [
    "xds",
    "route_metadata",
    "filter_metadata",
    "creditgate",
    "rule",
];

/// What has to be known of a request to price it.
#[derive(Clone)]
pub(crate) struct Question<'a> {
    pub(crate) method: &'a [u8],
    pub(crate) path: &'a [u8],
    pub(crate) is_cors_preflight: bool,
    pub(crate) is_grpc: bool,
    pub(crate) proxy: &'a dyn Host,
    pub(crate) authority: &'a [u8],
    /// What it says its body's length is; 0 for no body.
    pub(crate) body_bytes: Option<u64>,
    pub(crate) headers: &'a Pairs,
    pub(crate) body: Body<'a>,
    #[cfg(feature = "test-trap")]
    pub(crate) trap: bool,
}

/// The body of a request, as far as it was read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Body<'a> {
    /// Nobody has asked for it.
    Unread,
    /// The whole of it.
    Whole(&'a [u8]),
}

impl<'a> Question<'a> {
    pub(crate) fn of(seen: &Seen<'a>, headers: &'a Pairs, proxy: &'a dyn Host) -> Self {
        Self {
            method: seen.method,
            path: seen.path,
            is_cors_preflight: seen.is_cors_preflight,
            is_grpc: seen.client.is_grpc,
            proxy,
            authority: seen.authority,
            body_bytes: seen.content_length,
            headers,
            body: Body::Unread,
            #[cfg(feature = "test-trap")]
            trap: seen.trap,
        }
    }

    /// What is wanted of whoever pays; `None` if nobody needs to.
    fn demand(
        &self,
        config: &'a Config,
        purpose: Purpose,
        mode: Mode,
    ) -> Result<Option<Demand>, Refusal> {
        let who = self.who(config)?;
        Ok(who.map(|who| Demand {
            credential: who.hash,
            customer: who.customer,
            purpose,
            mode,
            is_grpc: self.is_grpc,
            #[cfg(feature = "test-trap")]
            trap: self.trap,
        }))
    }

    /// The values of every header of this name.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let named = self
            .headers
            .iter()
            .filter(move |(own, _)| *own == name.as_bytes());
        named.map(|(_, value)| value)
    }

    fn asks_for_balance(&self, balance_path: Option<&str>) -> bool {
        let path = self.path.split(|byte| *byte == b'?').next();
        self.method == b"GET" && balance_path.is_some_and(|own| path == Some(own.as_bytes()))
    }

    /// The model that stands in the path, in whatever spelling.
    fn model_in_path(&self) -> Option<ModelName> {
        model_in_path(&normalize(self.path).ok()?)
    }

    /// What the card says. A model is looked for where one may stand: in the path, else in the
    /// body if that was read. A body that tells none for certain must not choose the rule.
    fn decision<'c>(&self, card: &'c RateCard) -> Result<Decision<'c>, Refusal> {
        let request = Request {
            method: self.method,
            path: self.path,
            is_cors_preflight: self.is_cors_preflight,
            facts: self,
            model: AskedModel::Unread,
        };
        let first = card.price(request);
        if !matches!(first, Decision::NeedsBody { .. }) {
            return Ok(first);
        }
        let model = match (self.model_in_path(), self.body) {
            (Some(model), _) => Some(model),
            (None, Body::Unread) => return Ok(first),
            (None, Body::Whole(body)) => asked_model(body).map_err(|_| Refusal::BodyUnreadable)?,
        };
        let model = model.as_ref().map(ModelName::as_str);
        Ok(card.price(Request {
            model: model.map_or(AskedModel::None, AskedModel::Named),
            ..request
        }))
    }

    /// What the request's headers say to the meters of a rule. What the upstream might read otherwise
    /// is refused.
    fn readings(&self, rule: &Rule) -> Result<Readings, Refusal> {
        let mut readings = Readings::default();
        for (place, meter) in readings.iter_mut().zip(rule.meters()) {
            if let MeterSource::RequestHeader(name) = meter.source() {
                let mut values = self.values(name);
                *place = match (values.next(), values.next()) {
                    (None, _) => None,
                    (Some(value), None) => Some(reading(value).ok_or(Refusal::RequestAmbiguous)?),
                    (Some(_), Some(_)) => return Err(Refusal::RequestAmbiguous),
                };
            }
        }
        Ok(readings)
    }
}

impl fmt::Debug for Question<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its headers hold keys.
        f.write_str("Question")
    }
}

impl Facts for Question<'_> {
    fn host(&self) -> Option<Cow<'_, [u8]>> {
        (!self.authority.is_empty()).then_some(Cow::Borrowed(self.authority))
    }

    fn route(&self) -> Option<Cow<'_, [u8]>> {
        self.proxy.property(&["xds", "route_name"]).map(Cow::Owned)
    }

    fn rule(&self) -> Option<Cow<'_, [u8]>> {
        let named = self.proxy.property(&RULE_OF_ROUTE)?;
        (!named.is_empty()).then_some(Cow::Owned(named))
    }

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        self.values(name).for_each(each);
    }
}

impl Gate {
    /// Decides from what is known of a request.
    pub(crate) fn weigh(&mut self, host: &dyn Host, question: &Question<'_>) -> Verdict {
        if question.asks_for_balance(self.config.balance_path.as_deref()) {
            return match question.demand(&self.config, Purpose::Balance, Mode::Enforce) {
                Ok(Some(demand)) => self.judge(host, &demand, None),
                Ok(None) => Verdict::refuse(Refusal::CredentialMissing),
                Err(refusal) => Verdict::refuse(refusal),
            };
        }
        if self.settings.is_none() {
            self.load_settings(host);
        }
        let Some(settings) = self.settings.clone() else {
            return match self.config.mode {
                Mode::Enforce => Verdict::Wait(Place::Settings, None),
                Mode::Shadow | Mode::Off => Verdict::Pass,
            };
        };
        let decision = match question.decision(&settings.card) {
            Ok(decision) => decision,
            Err(refusal) => return self.unpriced(refusal),
        };
        let rule = match decision {
            Decision::Free => return Verdict::Pass,
            Decision::Deny => return self.unpriced(Refusal::RouteDenied),
            Decision::UnknownRule => return self.unpriced(Refusal::RuleUnknown),
            Decision::Ambiguous(ambiguity) => {
                return self.unpriced(Refusal::ambiguous(ambiguity));
            }
            Decision::NeedsBody { bytes_max } => {
                return self.read(question, bytes_max, self.config.mode);
            }
            Decision::Rule(rule) => rule,
        };
        let mode = self.config.mode.max(mode_of_rule(rule.mode()));
        if mode == Mode::Off || rule.is_free() {
            return Verdict::Pass;
        }
        let terms = match terms_of(question, rule, mode) {
            Ok(Priced::At(reserved, known)) => Terms {
                rule: rule.clone(),
                card_version: settings.card.version(),
                currency: settings.card.currency(),
                reserved,
                known,
                pricing_version: 0,
            },
            Ok(Priced::InBody(bytes_max)) => return self.read(question, bytes_max, mode),
            Err(refusal) => return refused(refusal, mode),
        };
        match question.demand(&self.config, Purpose::Pay(terms), mode) {
            Ok(Some(demand)) => self.judge(host, &demand, None),
            Ok(None) => Verdict::Pass,
            Err(refusal) => refused(refusal, mode),
        }
    }

    /// Asks for the body. `mode`: whether what can't be read is refused.
    fn read(&self, question: &Question<'_>, bytes_max: u64, mode: Mode) -> Verdict {
        if matches!(question.body, Body::Whole(_)) {
            return refused(Refusal::BodyUnreadable, mode);
        }
        if question.body_bytes.is_some_and(|bytes| bytes > bytes_max) {
            return refused(Refusal::BodyTooLarge, mode);
        }
        if !self.config.reads_bodies {
            return refused(Refusal::BodiesOff, mode);
        }
        Verdict::Read(bytes_max, mode)
    }

    pub(crate) fn unpriced(&self, refusal: Refusal) -> Verdict {
        refused(refusal, self.config.mode)
    }
}

/// What is to be reserved, and what settling must know of the request. Only a request that
/// pays is changed on its way.
fn terms_of(question: &Question<'_>, rule: &Rule, mode: Mode) -> Result<Priced, Refusal> {
    if rule.is_fixed() {
        return Ok(Priced::At(Ok(rule.price()), None));
    }
    let mut known = Foreknown {
        model: None,
        readings: question.readings(rule)?,
        request_bytes: question.body_bytes,
        is_read: matches!(question.body, Body::Whole(_)),
        output_tokens_max: None,
        choices: 0,
    };
    if let Some(tokens) = rule.tokens() {
        let is_in_path = *tokens.format() == Format::Gemini;
        known.model = question.model_in_path().filter(|_| is_in_path);
        match question.body {
            Body::Unread if rule.needs_body() => {
                return Ok(Priced::InBody(tokens.request_body_bytes_max()));
            }
            Body::Unread => {}
            Body::Whole(body) => {
                let read = asked(tokens.request_format(), body);
                let told = read.map_err(|_| Refusal::BodyUnreadable)?;
                let limit = tokens.output_limit(told.output_tokens_max);
                if mode == Mode::Enforce {
                    let edited = edited(body, tokens, limit, &told)?;
                    replace_body(question, body, edited);
                }
                known.request_bytes = Some(body.len() as u64);
                known.output_tokens_max = told.output_tokens_max;
                known.choices = told.choices;
                // What a body says of the model is nothing where the path says it.
                known.model = known.model.or(told.model.filter(|_| !is_in_path));
            }
        }
        if mode == Mode::Enforce {
            // Compressed answers can't be read as they pass.
            question
                .proxy
                .set_request_header("accept-encoding", "identity");
        }
    }
    let reserved = rule.estimate(&known.foreseen());
    if let Err(error @ (EstimateError::OverMax { .. } | EstimateError::UnknownModel)) = reserved {
        // Whatever the prices of whoever pays.
        return Err(Refusal::estimate(error));
    }
    Ok(Priced::At(reserved, Some(Rc::new(known))))
}

/// What a rule comes to for a request.
enum Priced {
    At(Result<Amount, EstimateError>, Option<Rc<Foreknown>>),
    /// The body must be read first, which may have so many bytes.
    InBody(u64),
}

/// The body with what the rule demands: a limit to the output, and that a stream tells its
/// usage.
fn edited<'b>(
    body: &'b [u8],
    tokens: &TokenTerms,
    limit: OutputLimit,
    told: &Asked,
) -> Result<Cow<'b, [u8]>, Refusal> {
    let unreadable = |_| Refusal::BodyUnreadable;
    let form = tokens.request_format();
    let mut edited = Cow::Borrowed(body);
    if let OutputLimit::Write(max) = limit {
        edited = Cow::Owned(with_output_max(form, &edited, max).map_err(unreadable)?);
    }
    let is_silent = told.is_stream && !told.includes_usage;
    if is_silent && tokens.includes_usage() && *form.format == Format::OpenAiChat {
        edited = Cow::Owned(with_usage(&edited).map_err(unreadable)?);
    }
    Ok(edited)
}

fn replace_body(question: &Question<'_>, body: &[u8], edited: Cow<'_, [u8]>) {
    if let Cow::Owned(edited) = edited {
        question.proxy.replace_request_body(body.len(), &edited);
        // One that comes in chunks has no length to be put right.
        if question.body_bytes.is_some() {
            question
                .proxy
                .set_request_header("content-length", &edited.len().to_string());
        }
    }
}

pub(super) fn refused(refusal: Refusal, mode: Mode) -> Verdict {
    match mode {
        Mode::Enforce => Verdict::refuse(refusal),
        Mode::Shadow | Mode::Off => Verdict::Shadow(Box::new(Shadowed {
            terms: None,
            credential: None,
            refusal: Some(refusal),
        })),
    }
}

const fn mode_of_rule(mode: RuleMode) -> Mode {
    match mode {
        RuleMode::Enforce => Mode::Enforce,
        RuleMode::Shadow => Mode::Shadow,
        RuleMode::Off => Mode::Off,
    }
}
