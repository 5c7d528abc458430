//! The price: what a request is, by the rate card, before anybody asks who pays.
//!
//! [`Gate::weigh`] starts from a request's headers, and hands on to [`Gate::judge`] what
//! costs something. It is asked again, in the same words, when a request was held because
//! there was no rate card.

use creditgate_core::key::CredentialHash;
use creditgate_core::rate_card::{Decision, Mode as RuleMode, Request};

use super::identify::Seen;
use super::line::Place;
use super::refusal::Refusal;
use super::{Demand, Purpose, Shadowed, Terms, Verdict};
use crate::config::{Config, Mode};
use crate::gate::Gate;
use crate::host::Host;

/// What has to be known of a request to price it.
#[derive(Debug, Clone)]
pub(crate) struct Question<'a> {
    pub(crate) method: &'a [u8],
    pub(crate) path: &'a [u8],
    pub(crate) is_cors_preflight: bool,
    pub(crate) is_grpc: bool,
    pub(crate) credential: Result<CredentialHash, Refusal>,
    #[cfg(feature = "test-trap")]
    pub(crate) trap: bool,
}

impl<'a> Question<'a> {
    pub(crate) fn of(seen: &Seen<'a>, config: &Config) -> Self {
        Self {
            method: seen.method,
            path: seen.path,
            is_cors_preflight: seen.is_cors_preflight,
            is_grpc: seen.client.is_grpc,
            credential: seen.credential(config),
            #[cfg(feature = "test-trap")]
            trap: seen.trap,
        }
    }

    fn demand(&self, purpose: Purpose, mode: Mode) -> Result<Demand, Refusal> {
        Ok(Demand {
            credential: self.credential?,
            purpose,
            mode,
            is_grpc: self.is_grpc,
            #[cfg(feature = "test-trap")]
            trap: self.trap,
        })
    }

    fn asks_for_balance(&self, balance_path: Option<&str>) -> bool {
        let path = self.path.split(|byte| *byte == b'?').next();
        self.method == b"GET" && balance_path.is_some_and(|own| path == Some(own.as_bytes()))
    }
}

impl Gate {
    /// Decides from the headers.
    pub(crate) fn weigh(&mut self, host: &dyn Host, question: &Question<'_>) -> Verdict {
        if question.asks_for_balance(self.config.balance_path.as_deref()) {
            return match question.demand(Purpose::Balance, Mode::Enforce) {
                Ok(demand) => self.judge(host, &demand, None),
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
        let request = Request {
            method: question.method,
            path: question.path,
            is_cors_preflight: question.is_cors_preflight,
            ..Request::default()
        };
        let rule = match settings.card.price(request) {
            Decision::Free => return Verdict::Pass,
            Decision::Deny => return self.unpriced(Refusal::RouteDenied),
            Decision::Ambiguous(_) => return self.unpriced(Refusal::PathAmbiguous),
            // What has to be measured or read can't be charged yet, and is not free.
            Decision::NeedsBody { .. } => return self.unpriced(Refusal::RouteDenied),
            Decision::Rule(rule) if !rule.is_fixed() => {
                return self.unpriced(Refusal::RouteDenied);
            }
            Decision::Rule(rule) => rule,
        };
        let mode = self.config.mode.max(mode_of_rule(rule.mode()));
        if mode == Mode::Off || rule.is_free() {
            return Verdict::Pass;
        }
        let terms = Terms {
            rule: rule.clone(),
            card_version: settings.card.version(),
            currency: settings.card.currency(),
        };
        match question.demand(Purpose::Pay(terms), mode) {
            Ok(demand) => self.judge(host, &demand, None),
            Err(refusal) if mode == Mode::Shadow => Verdict::Shadow(Box::new(Shadowed {
                terms: None,
                credential: None,
                refusal: Some(refusal),
            })),
            Err(refusal) => Verdict::refuse(refusal),
        }
    }

    fn unpriced(&self, refusal: Refusal) -> Verdict {
        match self.config.mode {
            Mode::Enforce => Verdict::refuse(refusal),
            Mode::Shadow | Mode::Off => Verdict::Shadow(Box::new(Shadowed {
                terms: None,
                credential: None,
                refusal: Some(refusal),
            })),
        }
    }
}

const fn mode_of_rule(mode: RuleMode) -> Mode {
    match mode {
        RuleMode::Enforce => Mode::Enforce,
        RuleMode::Shadow => Mode::Shadow,
        RuleMode::Off => Mode::Off,
    }
}
