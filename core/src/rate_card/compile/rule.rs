//! One rule, from the document to what is priced by.

use super::{DEFAULT_RULE_ID, METHODS_MAX, PRICE_MAX, RULE_ID_LENGTH_MAX};
use crate::amount::{Amount, Scale};
use crate::rate_card::conditions::Conditions;
use crate::rate_card::meters::{METERS_MAX, Meter};
use crate::rate_card::models::ModelTable;
use crate::rate_card::price::whole_price;
use crate::rate_card::rule::Terms;
use crate::rate_card::settling::{SETTLE_RULES_MAX, SettleRule};
use crate::rate_card::tokens::{REQUEST_BODY_BYTES_DEFAULT, TokenTerms};
use crate::rate_card::{OnEmpty, Price, Promise, RateCardError, Rounding, Rule, RuleDocument};
use std::sync::Arc;

const METHOD_LENGTH_MAX: usize = 32;

pub(super) fn compile(
    source: &RuleDocument,
    scale: Scale,
    models: &Arc<ModelTable>,
    pointer: &str,
) -> Result<Rule, RateCardError> {
    check_id(source, pointer)?;
    let body_bytes_max = match &source.tokens {
        Some(tokens) => tokens.request_body_bytes_max,
        None => REQUEST_BODY_BYTES_DEFAULT,
    };
    let conditions = match &source.conditions {
        Some(conditions) => {
            Conditions::compile(conditions, body_bytes_max, &format!("{pointer}/match"))?
        }
        None => None,
    };
    let terms = terms(source, scale, models, pointer)?;
    let mut price = match &source.price {
        Some(price) => whole_price(price, scale, &format!("{pointer}/price"))?,
        None if source.meters.is_empty() && source.tokens.is_none() => {
            let message = "a rule has a price, meters or tokens; for free requests say 0";
            let pointer = format!("{pointer}/price");
            return Err(RateCardError::new(pointer, "price_missing", message));
        }
        None => Amount::ZERO,
    };
    if let Some(terms) = &terms
        && terms.meters.is_empty()
        && terms.tokens.is_none()
    {
        // So that the cost of a fixed price is just the price.
        price = price
            .max(terms.minimum)
            .min(terms.maximum.unwrap_or(PRICE_MAX));
    }
    Ok(Rule {
        id: source.id.as_str().into(),
        methods: methods(source, pointer)?,
        price,
        charge: source.charge,
        mode: source.mode,
        on_unavailable: source.on_unavailable,
        conditions: conditions.map(Arc::new),
        terms: terms.map(Arc::new),
        own: None,
    })
}

/// What makes a rule more than a price; `None` if nothing does.
fn terms(
    source: &RuleDocument,
    scale: Scale,
    models: &Arc<ModelTable>,
    pointer: &str,
) -> Result<Option<Terms>, RateCardError> {
    let bound = |price: &Option<Price>, field: &str| {
        let price = price.as_ref();
        price
            .map(|price| whole_price(price, scale, &format!("{pointer}/{field}")))
            .transpose()
    };
    let fault = |field: &str, code, message: String| {
        Err(RateCardError::new(
            format!("{pointer}/{field}"),
            code,
            message,
        ))
    };
    let minimum = bound(&source.minimum, "minimum")?;
    let maximum = bound(&source.maximum, "maximum")?;
    if maximum.is_some_and(|maximum| minimum > Some(maximum)) {
        let message = "more than the maximum".to_owned();
        return fault("minimum", "minimum_over_maximum", message);
    }
    if source.estimate.is_some() && source.tokens.is_none() {
        let message = "is about tokens, and the rule has none; a meter has an estimate of its own";
        return fault("estimate", "estimate_without_tokens", message.to_owned());
    }
    if source.on_empty != OnEmpty::End && source.promise != Promise::Metered {
        let message = "only an answer that is paid for while it passes can be ended; say \"promise\": \"metered\", or leave this out";
        return fault("on_empty", "on_empty_without_metered", message.to_owned());
    }
    if source.meters.len() > METERS_MAX {
        return fault(
            "meters",
            "too_many_meters",
            format!("at most {METERS_MAX} meters"),
        );
    }
    if source.settle.len() > SETTLE_RULES_MAX {
        return fault(
            "settle",
            "too_many_settle_rules",
            format!("at most {SETTLE_RULES_MAX}"),
        );
    }
    let meters = source.meters.iter().enumerate().map(|(index, meter)| {
        let pointer = format!("{pointer}/meters/{index}");
        Meter::compile(meter, scale, source.promise, maximum.is_some(), &pointer)
    });
    let settle = source.settle.iter().enumerate().map(|(index, settle)| {
        SettleRule::compile(
            settle,
            minimum.is_some(),
            &format!("{pointer}/settle/{index}"),
        )
    });
    let tokens = source.tokens.as_ref().map(|tokens| {
        let estimate = source.estimate.as_ref();
        TokenTerms::compile(tokens, estimate, source.promise, models, pointer)
    });
    let terms = Terms {
        meters: meters.collect::<Result<_, _>>()?,
        tokens: tokens.transpose()?,
        promise: source.promise,
        on_empty: source.on_empty,
        minimum: minimum.unwrap_or(Amount::ZERO),
        maximum,
        rounding: source.rounding,
        settle: settle.collect::<Result<_, _>>()?,
    };
    let is_plain = terms.meters.is_empty()
        && terms.tokens.is_none()
        && terms.settle.is_empty()
        && (minimum, maximum) == (None, None)
        && terms.rounding == Rounding::Up
        && terms.promise == Promise::Strict;
    Ok((!is_plain).then_some(terms))
}

fn check_id(source: &RuleDocument, pointer: &str) -> Result<(), RateCardError> {
    let id_character = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if source.id.is_empty()
        || source.id.len() > RULE_ID_LENGTH_MAX
        || !source.id.bytes().all(id_character)
    {
        let message = format!("an id is 1 to {RULE_ID_LENGTH_MAX} letters, digits, _, - or .");
        return Err(RateCardError::new(
            format!("{pointer}/id"),
            "rule_id_invalid",
            message,
        ));
    }
    if source.id == DEFAULT_RULE_ID {
        let message = "this id means the card's default; take another";
        return Err(RateCardError::new(
            format!("{pointer}/id"),
            "rule_id_taken",
            message,
        ));
    }
    Ok(())
}

fn methods(source: &RuleDocument, pointer: &str) -> Result<Arc<[Box<str>]>, RateCardError> {
    if source.methods.len() > METHODS_MAX {
        let message = format!("at most {METHODS_MAX} methods; none means any");
        return Err(RateCardError::new(
            format!("{pointer}/methods"),
            "too_many_methods",
            message,
        ));
    }
    source
        .methods
        .iter()
        .enumerate()
        .map(|(index, method)| {
            let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            if method.is_empty() || method.len() > METHOD_LENGTH_MAX || !method.bytes().all(token) {
                let message = "not an HTTP method; leave the list empty for any method";
                let pointer = format!("{pointer}/methods/{index}");
                return Err(RateCardError::new(pointer, "method_invalid", message));
            }
            Ok(method.to_ascii_uppercase().into())
        })
        .collect::<Result<_, _>>()
}
