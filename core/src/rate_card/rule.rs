//! One rule of a card.

use super::conditions::Conditions;
use super::discount::Discount;
use super::document::{Charge, Mode, OnEmpty, Promise};
use super::matcher::MethodFit;
use super::meters::Meter;
use super::pricing::Own;
use super::settling::SettleRule;
use super::sum::Rounding;
use super::tokens::TokenTerms;
use crate::amount::Amount;
use crate::outage::OnUnavailable;
use crate::usage::Format;
use std::sync::Arc;

/// One rule of a card. Cloning it allocates nothing, so that a request can keep the terms
/// it was admitted by.
#[derive(Debug, Clone)]
pub struct Rule {
    pub(super) id: Arc<str>,
    pub(super) methods: Arc<[Box<str>]>,
    pub(super) price: Amount,
    pub(super) charge: Charge,
    pub(super) mode: Mode,
    pub(super) on_unavailable: Option<OnUnavailable>,
    pub(super) conditions: Option<Arc<Conditions>>,
    /// All that makes it more than a price; `None` for most rules.
    pub(super) terms: Option<Arc<Terms>>,
    /// What a customer pays otherwise; `None` for most customers.
    pub(super) own: Option<Arc<Own>>,
}

/// What makes a rule more than a price.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) meters: Vec<Meter>,
    pub(super) tokens: Option<TokenTerms>,
    pub(super) promise: Promise,
    pub(super) on_empty: OnEmpty,
    pub(super) minimum: Amount,
    pub(super) maximum: Option<Amount>,
    pub(super) rounding: Rounding,
    pub(super) settle: Vec<SettleRule>,
}

impl Rule {
    /// What names it in logs, metrics and usage; `default` for the card's default.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The listed price of one request, in smallest units; never negative. Of a rule that is not
    /// [fixed](Self::is_fixed) it is only what meters and tokens come on top of.
    #[must_use]
    pub const fn price(&self) -> Amount {
        self.price
    }

    /// Whether each request of a customer costs the same, so that the cost is known without
    /// measuring anything.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        match &self.terms {
            None => true,
            Some(terms) => terms.meters.is_empty() && terms.tokens.is_none(),
        }
    }

    /// Whether no request costs anything, whoever sends it.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.price.is_zero() && self.is_fixed()
    }

    /// Whether a failure of the upstream is charged too.
    #[must_use]
    pub const fn charge(&self) -> Charge {
        self.charge
    }

    /// Whether it refuses, only watches, or rests.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// What befalls its requests when the control plane does not answer, if it says so.
    #[must_use]
    pub const fn on_unavailable(&self) -> Option<OnUnavailable> {
        self.on_unavailable
    }

    /// What must be sure when a request is admitted.
    #[must_use]
    pub fn promise(&self) -> Promise {
        self.terms
            .as_ref()
            .map_or(Promise::Strict, |terms| terms.promise)
    }

    /// What becomes of a metered answer when the credit is used up.
    #[must_use]
    pub fn on_empty(&self) -> OnEmpty {
        self.terms
            .as_ref()
            .map_or(OnEmpty::End, |terms| terms.on_empty)
    }

    /// What it measures, in the order in which readings stand.
    #[must_use]
    pub fn meters(&self) -> &[Meter] {
        self.terms.as_ref().map_or(&[], |terms| &terms.meters)
    }

    /// How it charges tokens, if it does.
    #[must_use]
    pub fn tokens(&self) -> Option<&TokenTerms> {
        self.terms.as_ref()?.tokens.as_ref()
    }

    /// How its requests and answers are written, if it charges tokens.
    #[must_use]
    pub fn format(&self) -> Option<&Format> {
        self.tokens().map(TokenTerms::format)
    }

    /// Whether what is reserved hangs on the request's body.
    #[must_use]
    pub fn needs_body(&self) -> bool {
        self.tokens().is_some_and(TokenTerms::needs_body)
    }

    /// No request costs less, before discounts. In smallest units.
    #[must_use]
    pub fn minimum(&self) -> Amount {
        self.terms
            .as_ref()
            .map_or(Amount::ZERO, |terms| terms.minimum)
    }

    /// No request costs more. In smallest units.
    #[must_use]
    pub fn maximum(&self) -> Option<Amount> {
        self.terms.as_ref()?.maximum
    }

    /// Whether no prices of a customer were put in the place of the listed ones.
    #[must_use]
    pub const fn is_as_listed(&self) -> bool {
        self.own.is_none()
    }

    /// What is off all but the tokens of models that have something of their own.
    pub(super) fn discount(&self) -> Discount {
        self.own.as_ref().map_or(Discount::NONE, |own| own.discount)
    }

    pub(super) fn settle_rules(&self) -> &[SettleRule] {
        self.terms.as_ref().map_or(&[], |terms| &terms.settle)
    }

    /// Methods are told apart without regard to case: `get` must not be cheaper than `GET`.
    pub(super) fn fit(&self, method: &[u8]) -> Option<MethodFit> {
        let named = |method: &[u8]| {
            let mut methods = self.methods.iter();
            methods.any(|own| own.as_bytes().eq_ignore_ascii_case(method))
        };
        if self.methods.is_empty() {
            Some(MethodFit::Any)
        } else if named(method) {
            Some(MethodFit::Named)
        } else if method.eq_ignore_ascii_case(b"HEAD") && named(b"GET") {
            Some(MethodFit::HeadByGet)
        } else {
            None
        }
    }
}
