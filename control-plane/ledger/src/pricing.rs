//! What a customer pays otherwise than the rate cards say: discounts and prices of its own.
//!
//! The gateways price by it. They learn of it as they learn of limited accounts: with the answer
//! for a credential, and the credential version grows when it changes. What was admitted before
//! settles at the prices that admitted it.

use std::sync::Arc;

use creditgate_core::amount::{Amount, Currency};
use creditgate_core::protocol::CustomerPricing;
use creditgate_core::rate_card::{PricingDocument, RateCard, RateCardError};

use crate::book::Book;
use crate::context::Context;
use crate::credential;
use crate::lend;
use crate::refusal::Refusal;
use crate::registry::Registry;
use crate::time::Timestamp;

/// One version of a customer's pricing. All of them are kept: access logs name them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricingVersion {
    /// Grows by one with each change.
    pub version: u32,
    /// The discounts and prices; empty if there are none any more.
    pub document: Arc<PricingDocument>,
    /// When it was set.
    pub changed_at: Timestamp,
}

impl PricingVersion {
    /// What there is to know of it without its prices.
    #[must_use]
    pub const fn head(&self) -> PricingHead {
        PricingHead {
            version: self.version,
            changed_at: self.changed_at,
        }
    }
}

/// A version of a customer's pricing, without its prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PricingHead {
    /// Grows by one with each change.
    pub version: u32,
    /// When it was set.
    pub changed_at: Timestamp,
}

/// Sets a customer's pricing. An empty document leaves the customer the listed prices. Gateways
/// ask again for every key of the customer; what changes nothing they need not hear of.
///
/// # Errors
/// [`Refusal::InvalidAt`] if it does not fit the rate cards as they are now.
pub fn set(
    book: &mut Book,
    context: &mut Context<'_>,
    document: PricingDocument,
) -> Result<PricingVersion, Refusal> {
    check(&document, context.registry, context.now).map_err(refusal)?;
    let before = book.pricing.as_ref();
    if let Some(same) = before.filter(|before| *before.document == document) {
        return Ok(same.clone());
    }
    let pricing = PricingVersion {
        version: before.map_or(1, |before| before.version.saturating_add(1)),
        document: Arc::new(document),
        changed_at: context.now,
    };
    let replaced = book.pricing.replace(pricing.clone());
    book.replaced_pricings.extend(replaced);
    credential::forget(book, context.now);
    Ok(pricing)
}

/// What gateways are told of a customer's pricing.
#[must_use]
pub fn told(book: &Book) -> Option<Box<CustomerPricing>> {
    let pricing = book.pricing.as_ref().filter(|_| is_own(book))?;
    Some(Box::new(CustomerPricing {
        version: pricing.version,
        document: PricingDocument::clone(&pricing.document),
    }))
}

/// Whether anything differs from the rate cards.
fn is_own(book: &Book) -> bool {
    let pricing = book.pricing.as_ref();
    pricing.is_some_and(|pricing| *pricing.document != PricingDocument::default())
}

/// What a request must find lent when its credential is first asked for. Gateways ask at the
/// listed price then; if the customer has its own, which may be far less, no credit is fetched
/// from others for it: what the request really needs is asked for next.
#[must_use]
pub fn need_at_lookup(book: &Book, currency: &Currency, need: Amount, now: Timestamp) -> Amount {
    if !is_own(book) {
        return need;
    }
    let general = book.account_in(currency);
    need.min(general.map_or(Amount::ZERO, |general| lend::free(book, general.id, now)))
}

fn check(
    document: &PricingDocument,
    registry: &Registry,
    now: Timestamp,
) -> Result<(), RateCardError> {
    document.check_bounds()?;
    for (index, own) in document.rate_cards.iter().enumerate() {
        let Some(card) = registry.rate_card(&own.rate_card, now) else {
            let message = format!("no rate card {:?}", own.rate_card);
            let pointer = format!("/rate_cards/{index}/rate_card");
            return Err(RateCardError::new(pointer, "rate_card_unknown", message));
        };
        let (name, version) = (&card.head.name, card.head.version);
        RateCard::compile(&card.document, version)?.check_pricing(document, name)?;
    }
    Ok(())
}

fn refusal(error: RateCardError) -> Refusal {
    Refusal::InvalidAt {
        field: error.pointer().to_owned(),
        code: error.code(),
        problem: error.message().to_owned(),
    }
}
