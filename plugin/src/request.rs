//! One request, from its first header to its log line.
//!
//! Host calls of a paid request, each 1 to 3 µs: the request's header map, the clock, the
//! cell and its compare-and-set; then the response's status and two headers; then, when the
//! stream is over, the cell and its compare-and-set again, and the access log's fields. A
//! price that is always charged settles when it reserves, so its second pair falls away. The first
//! few of a worker make two more (`crossing`).
//! Nothing on this path depends on how many customers or rules there are.

pub(crate) mod access_log;
pub(crate) mod balance;
mod belief;
pub(crate) mod body;
pub(crate) mod book;
mod burn;
mod by_lease;
pub(crate) mod crossing;
pub(crate) mod drip;
pub(crate) mod held;
pub(crate) mod identify;
pub(crate) mod judge;
mod limited;
pub(crate) mod line;
pub(crate) mod lookups;
pub(crate) mod meter;
mod outage;
pub(crate) mod own_prices;
pub(crate) mod price;
pub(crate) mod rate_limit;
pub(crate) mod refusal;
pub(crate) mod reply;
pub(crate) mod response;
pub(crate) mod settle;
mod stream;
mod stream_end;
mod who;

use std::rc::Rc;

use creditgate_core::amount::{Amount, Currency};
use creditgate_core::key::CredentialHash;
use creditgate_core::lease::LeaseNumber;
use creditgate_core::rate_card::{EstimateError, Foreseen, Readings, Rule};
use creditgate_core::usage::ModelName;

use crate::config::Mode;
use crate::credential::Credential;
use crate::gate::Gate;
use crate::host::{Host, Reply};
use crate::metrics::Metric;
use held::Held;
use identify::Seen;
use line::Place;
use refusal::Refusal;
use reply::Money;

/// What a callback tells the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Go on.
    Continue,
    /// Hold the request, or what has come of its answer; all that is held is shown next time.
    Pause,
    /// Hold what has come of its answer, and take no more of it than there is room for. What is held
    /// is out of sight until it goes on; next time what is new is shown.
    Throttle,
}

/// How far a request has come. Requests that cost nothing have no stage.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Nothing is known yet; it is paused.
    Held(Box<Held>),
    /// Its body is read before it is priced; it is paused.
    Reading(Box<body::Reading>),
    /// It goes, or went, to the upstream at a price.
    Admitted(Box<Admitted>),
    /// It goes to the upstream; no money moves.
    Shadowed(Box<Shadowed>),
    /// The filter answered it.
    Refused(Box<Refused>),
}

/// A request that was admitted.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) credential: Rc<Credential>,
    pub(crate) terms: Terms,
    pub(crate) slot: u32,
    pub(crate) lease: LeaseNumber,
    /// What it costs, as people read it.
    pub(crate) cost_text: String,
    /// What is left to spend after it, as far as known.
    pub(crate) remaining: Amount,
    /// What the credit that is left came to when it was issued.
    pub(crate) issued: Amount,
    /// It was settled when it was admitted.
    pub(crate) is_settled: bool,
    /// It was admitted on the offline allowance.
    pub(crate) is_offline: bool,
    pub(crate) is_grpc: bool,
    pub(crate) response: response::Seen,
    /// What is measured of it; none if its price is fixed.
    pub(crate) meter: Option<Box<meter::Meter>>,
    /// How its answer stands; none unless it is paid for while it passes.
    pub(crate) burning: Option<Box<burn::Burning>>,
}

/// A request in shadow mode.
#[derive(Debug)]
pub(crate) struct Shadowed {
    pub(crate) terms: Option<Terms>,
    pub(crate) credential: Option<Rc<Credential>>,
    /// What it would have been told.
    pub(crate) refusal: Option<Refusal>,
}

/// A request the filter answered.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) terms: Option<Terms>,
    pub(crate) credential: Option<Rc<Credential>>,
    /// None for an answer that is no refusal.
    pub(crate) refusal: Option<Refusal>,
}

/// What a request costs, and by which rule. It settles by the card that admitted it.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) rule: Rule,
    pub(crate) card_version: u64,
    pub(crate) currency: Currency,
    /// What is set aside for it: its cost, if its price is fixed. Or why nothing can be.
    pub(crate) reserved: Result<Amount, EstimateError>,
    /// What the cost depends on besides what is measured; none if its price is fixed.
    pub(crate) known: Option<Rc<Foreknown>>,
    /// The version of the customer's pricing that the rule was given; 0: prices as listed.
    pub(crate) pricing_version: u32,
}

impl Terms {
    pub(crate) const fn cost(&self) -> Amount {
        match self.reserved {
            Ok(reserved) => reserved,
            Err(_) => Amount::ZERO,
        }
    }
}

/// What is known of a request before it is served, and needed to settle it.
#[derive(Debug)]
pub(crate) struct Foreknown {
    /// The model that it asks for.
    pub(crate) model: Option<ModelName>,
    /// What its headers say to meters.
    pub(crate) readings: Readings,
    /// The length of its body, if that is known.
    pub(crate) request_bytes: Option<u64>,
    /// Whether the body was read whole; if not, its bytes are counted as they pass.
    pub(crate) is_read: bool,
    /// The limit that it names for the output of each choice, in tokens.
    pub(crate) output_tokens_max: Option<u64>,
    /// How many answers it asks for.
    pub(crate) choices: u64,
}

impl Foreknown {
    /// What an estimate goes by.
    pub(crate) fn foreseen(&self) -> Foreseen<'_> {
        Foreseen {
            request_bytes: self.request_bytes,
            model: self.model.as_ref().map(ModelName::as_str),
            output_tokens_max: self.output_tokens_max,
            choices: self.choices,
            readings: self.readings,
        }
    }
}

/// What a request wants, once it is priced.
#[derive(Debug, Clone)]
pub(crate) struct Demand {
    pub(crate) credential: CredentialHash,
    /// The customer's name, where it is known without a key.
    pub(crate) customer: Option<Rc<str>>,
    pub(crate) purpose: Purpose,
    pub(crate) mode: Mode,
    pub(crate) is_grpc: bool,
    #[cfg(feature = "test-trap")]
    pub(crate) trap: bool,
}

/// What a request wants its account for.
#[derive(Debug, Clone)]
pub(crate) enum Purpose {
    /// To be let through.
    Pay(Terms),
    /// To be told the balance.
    Balance,
}

impl Demand {
    pub(crate) const fn cost(&self) -> Amount {
        match &self.purpose {
            Purpose::Pay(terms) => terms.cost(),
            Purpose::Balance => Amount::ZERO,
        }
    }

    pub(crate) fn terms(&self) -> Option<&Terms> {
        match &self.purpose {
            Purpose::Pay(terms) => Some(terms),
            Purpose::Balance => None,
        }
    }
}

/// What is to be done with a request.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It costs nothing.
    Pass,
    /// It is paid.
    Admit(Box<Admitted>),
    /// Shadow mode: it passes, whatever was found.
    Shadow(Box<Shadowed>),
    /// No.
    Refuse(Box<Refused>, Option<Money>),
    /// The filter has the answer.
    Answer(Box<Refused>, Box<Reply>),
    /// Not known yet.
    Wait(Place, Option<Demand>),
    /// The price is in the body, which may have so many bytes.
    Read(u64, Mode),
}

impl Verdict {
    pub(crate) fn refuse(refusal: Refusal) -> Self {
        let refused = Refused {
            terms: None,
            credential: None,
            refusal: Some(refusal),
        };
        Self::Refuse(Box::new(refused), None)
    }
}

impl Gate {
    /// Decides a request, or holds it.
    pub fn on_request_headers(&mut self, host: &dyn Host, id: u32, is_end: bool) -> Action {
        if self.config.mode == Mode::Off {
            self.count(Metric::Passed);
            return Action::Continue;
        }
        if self.is_decided_elsewhere(host) {
            self.count(Metric::DecidedElsewhere);
            return Action::Continue;
        }
        let Some(pairs) = host.request_headers() else {
            let verdict = Verdict::refuse(Refusal::NotReady);
            return self.begin(host, id, verdict, &Seen::default().client.to_owned());
        };
        let mut seen = Seen::read(&pairs);
        if is_end {
            seen.content_length = Some(0);
        }
        #[cfg(feature = "test-trap")]
        if let Some(how) = seen.spoil {
            crate::spoil::every_cell(host, how, self.config.limits.cells_max);
        }
        for name in &seen.forged {
            host.remove_request_header(name);
        }
        let question = price::Question::of(&seen, &pairs, host);
        let mut verdict = self.weigh(host, &question);
        if is_end && matches!(verdict, Verdict::Read(..)) {
            // There is no body to wait for.
            verdict = self.weigh(
                host,
                &price::Question {
                    body: price::Body::Whole(b""),
                    ..question
                },
            );
        }
        match verdict {
            // The common case: nothing of the request need be kept.
            Verdict::Pass | Verdict::Admit(_) => {
                self.begin(host, id, verdict, &identify::Client::default())
            }
            verdict => {
                let action = self.begin(host, id, verdict, &seen.client.to_owned());
                if is_end && let Some(Stage::Held(held)) = self.requests.get_mut(&id) {
                    held.buffered.is_whole = true;
                }
                action
            }
        }
    }

    /// Carries out what was found of a request whose callback is running.
    pub(crate) fn begin(
        &mut self,
        host: &dyn Host,
        id: u32,
        verdict: Verdict,
        client: &identify::Client,
    ) -> Action {
        self.leave_mark(host, &verdict);
        match verdict {
            Verdict::Pass => {
                self.count(Metric::Passed);
                Action::Continue
            }
            Verdict::Admit(admitted) => {
                self.count(Metric::Admitted);
                self.requests.insert(id, Stage::Admitted(admitted));
                Action::Continue
            }
            Verdict::Shadow(shadowed) => {
                self.shadow(id, shadowed);
                Action::Continue
            }
            Verdict::Refuse(refused, money) => {
                self.refuse(host, id, refused, money, client);
                Action::Pause
            }
            Verdict::Answer(refused, mut reply) => {
                reply.headers.extend(reply::headers_for(client));
                self.requests.insert(id, Stage::Refused(refused));
                host.reply(&reply);
                Action::Pause
            }
            Verdict::Wait(place, demand) => self.hold(host, id, place, demand, client),
            Verdict::Read(bytes_max, mode) => {
                let client = client.clone();
                let reading = body::Reading {
                    bytes_max,
                    client,
                    mode,
                };
                self.requests.insert(id, Stage::Reading(Box::new(reading)));
                Action::Pause
            }
        }
    }

    pub(crate) fn shadow(&mut self, id: u32, shadowed: Box<Shadowed>) {
        if shadowed.refusal.is_some() {
            self.count(Metric::WouldRefuse);
        }
        if shadowed.refusal == Some(Refusal::ControlPlaneUnreachable) {
            self.count(Metric::PassedUnavailable);
        }
        self.requests.insert(id, Stage::Shadowed(shadowed));
    }

    pub(crate) fn refuse(
        &mut self,
        host: &dyn Host,
        id: u32,
        refused: Box<Refused>,
        money: Option<Money>,
        client: &identify::Client,
    ) {
        if let Some(refusal) = refused.refusal {
            self.count(refusal.metric());
            let mut reply = reply::reply(refusal, client, money, self.top_up_url());
            if let (Some(terms), Some(money)) = (&refused.terms, money)
                && self.config.rate_limit_headers
                && reply.status == 402
            {
                let left = rate_limit::Left {
                    remaining: Amount::ZERO,
                    issued: money.issued,
                    price: money.required,
                };
                let fields = rate_limit::fields(&terms.rule, left);
                reply
                    .headers
                    .extend(fields.map(|(name, value)| (name, value.into())));
            }
            host.reply(&reply);
        }
        self.requests.insert(id, Stage::Refused(refused));
    }
}
