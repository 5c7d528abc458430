//! What a customer pays otherwise than the rate card says.
//!
//! It comes with the answer for the credential and is made ready to price by once for each
//! version of the configuration. A request is priced by the card before it is known who sends
//! it, and once more here for a customer with prices of its own; for all others that is one
//! look. The rule that a request keeps has these prices in it, so it settles by them too.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use creditgate_core::protocol::CustomerPricing;
use creditgate_core::rate_card::{Pricing, PricingDocument};

use super::{Demand, Foreknown, Purpose, Terms};
use crate::credential::Credential;
use crate::gate::{FAULTS_TOLD_MAX, Gate, Settings};
use crate::host::{Host, Level};
use crate::metrics::Metric;

/// A customer's prices, as they were told.
#[derive(Debug)]
pub(crate) struct OwnPrices {
    version: u32,
    document: PricingDocument,
    /// Ready to price by, for the configuration of this version.
    ready: RefCell<Option<(u64, Rc<Pricing>)>>,
}

impl OwnPrices {
    pub(crate) fn of(told: &CustomerPricing) -> Self {
        Self {
            version: told.version,
            document: told.document.clone(),
            ready: RefCell::new(None),
        }
    }

    /// Ready under the configuration in force, if it is known to be.
    fn ready(&self, settings: &Settings) -> Option<Rc<Pricing>> {
        let ready = self.ready.borrow();
        let (version, pricing) = ready.as_ref()?;
        (*version == settings.version).then(|| Rc::clone(pricing))
    }
}

impl Gate {
    /// What is demanded, at the prices of the customer whose credential it is.
    pub(crate) fn at_own_prices<'d>(
        &mut self,
        host: &dyn Host,
        credential: &Credential,
        demand: &'d Demand,
    ) -> Cow<'d, Demand> {
        let Purpose::Pay(terms) = &demand.purpose else {
            return Cow::Borrowed(demand);
        };
        let own = credential.own_prices.as_deref();
        if own.is_none() && terms.rule.is_as_listed() {
            return Cow::Borrowed(demand);
        }
        let pricing = own.map(|own| (own.version, self.pricing(host, credential, own)));
        Cow::Owned(Demand {
            purpose: Purpose::Pay(terms.repriced(pricing)),
            ..demand.clone()
        })
    }

    /// A customer's prices, ready for the rate card in force.
    fn pricing(
        &mut self,
        host: &dyn Host,
        credential: &Credential,
        own: &OwnPrices,
    ) -> Rc<Pricing> {
        let Some(settings) = self.settings.clone() else {
            return Rc::default();
        };
        if let Some(ready) = own.ready(&settings) {
            return ready;
        }
        let card = &settings.card;
        let compiled = Pricing::compile(&own.document, &settings.card_name, card.scale());
        let pricing = compiled.unwrap_or_else(|error| {
            self.ignore_prices(host, credential, "", &error.to_string());
            let everything = PricingDocument {
                discount_ppm: own.document.discount_ppm,
                rate_cards: Vec::new(),
            };
            Pricing::compile(&everything, "", card.scale()).unwrap_or_default()
        });
        for rule in pricing.rules().filter(|rule| card.rule(rule).is_none()) {
            self.ignore_prices(host, credential, rule, "the rate card has no such rule");
        }
        let pricing = Rc::new(pricing);
        *own.ready.borrow_mut() = Some((settings.version, Rc::clone(&pricing)));
        pricing
    }

    /// Counts prices that have no effect, and says so once for each rule.
    fn ignore_prices(&mut self, host: &dyn Host, credential: &Credential, rule: &str, why: &str) {
        self.count(Metric::PricesIgnored);
        let has_room = self.faults_told.len() < FAULTS_TOLD_MAX;
        if has_room && self.faults_told.insert((rule.into(), "prices_ignored")) {
            let customer = &credential.customer;
            host.log(
                Level::Warn,
                &format!("creditgate: prices of customer {customer:?} for rule {rule:?} have no effect: {why}. This is said once"),
            );
        }
    }
}

impl Terms {
    /// The same request under the pricing of this version, or at the listed prices.
    fn repriced(&self, pricing: Option<(u32, Rc<Pricing>)>) -> Self {
        let (version, pricing) = pricing.unwrap_or_default();
        let rule = pricing.apply(&self.rule);
        let known = self.known.as_deref();
        let foreseen = known.map(Foreknown::foreseen).unwrap_or_default();
        Self {
            reserved: rule.estimate(&foreseen),
            rule,
            pricing_version: version,
            ..self.clone()
        }
    }
}
