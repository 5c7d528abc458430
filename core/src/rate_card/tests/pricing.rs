//! What a customer pays otherwise: which of what is set counts, and what makes no sense.

use super::*;
use crate::amount::Amount;
use crate::usage::{TokenCounts, TokenKind};

fn listed() -> RateCard {
    try_card(json!({
        "name": "n", "currency": "usd", "default": {"price": "0.5"},
        "models": [
            {"model": "gpt-4o*", "per": 1, "input": 2, "output": 10},
            {"model": "gpt-4o-mini*", "per": 1, "input": 1, "output": 4},
        ],
        "rules": [
            {"id": "hello", "path": {"exact": "/hello"}, "price": 2},
            {"id": "free", "path": {"exact": "/free"}, "price": 0},
            {"id": "chat", "path": {"exact": "/chat"}, "price": 100,
                "tokens": {"format": "openai_chat", "unknown_model": {"as": "gpt-4o"}}},
            {"id": "bytes", "path": {"exact": "/bytes"}, "minimum": 3, "maximum": 30,
                "meters": [{"meter": "request_bytes", "price": 1}]},
            {"id": "units", "path": {"exact": "/units"},
                "meters": [{"meter": {"response_header": "x-units"}, "price": 0},
                    {"meter": "seconds", "price": 1, "estimate": 10}]},
            {"id": "steps", "path": {"exact": "/steps"}, "meters": [
                {"meter": "request_bytes", "price": 1, "max": 10},
                {"meter": "request_bytes", "price": 1}]},
        ],
    }))
    .unwrap()
}

fn document(pricing: Value) -> PricingDocument {
    serde_json::from_value(pricing).unwrap()
}

/// What a request of a rule costs in whole dollars, under a pricing.
fn cost(pricing: &Value, rule: &str, model: &str, count: u64) -> i64 {
    let card = listed();
    let pricing = Pricing::compile(&document(pricing.clone()), "api", card.scale()).unwrap();
    let mut tokens = TokenCounts::default();
    tokens.set(TokenKind::Input, count);
    let measures = Measures {
        request_bytes: count,
        tokens,
        ..Measures::default()
    };
    let models = Models {
        asked: Some(model),
        answered: None,
    };
    let rule = pricing.apply(card.rule(rule).unwrap());
    let cost = rule.cost(&measures, &models).unwrap();
    assert_eq!(cost.get() % 1_000_000_000, 0, "{cost}");
    cost.get() / 1_000_000_000
}

#[test]
fn what_is_set_closest_counts_alone() {
    let pricing = json!({
        "discount_ppm": 500_000,
        "rate_cards": [{
            "rate_card": "api", "discount_ppm": 250_000,
            "rules": [{"rule": "hello"}, {"rule": "bytes", "discount_ppm": 1_000_000}],
            "models": [{"model": "gpt-4o-mini-5", "per": 1, "input": 3}],
            "model_discounts": [{"model": "gpt-4o-mini*", "discount_ppm": 1_000_000},
                {"model": "gpt-*", "discount_ppm": 500_000}],
        }, {"rate_card": "other", "discount_ppm": 1_000_000}],
    });
    for (rule, model, count, expected) in [
        // Named, with nothing off.
        ("hello", "", 0, 2),
        ("bytes", "", 10, 0),
        // A quarter off the price; of the tokens what their model says.
        ("chat", "gpt-4o", 8, 75 + 8),
        ("chat", "gpt-4o-mini", 8, 75),
        ("chat", "gpt-4o-mini-5", 8, 75 + 24),
        // What stands in has its own name.
        ("chat", "unlisted", 8, 75 + 8),
    ] {
        assert_eq!(
            cost(&pricing, rule, model, count),
            expected,
            "{rule} {model}"
        );
    }
    let everything = json!({"discount_ppm": 500_000, "rate_cards": [{"rate_card": "other"}]});
    assert_eq!(cost(&everything, "hello", "", 0), 1);
    assert_eq!(cost(&everything, "chat", "gpt-4o", 4), 54);
}

#[test]
fn bounds_are_discounted_with_what_they_bound_and_hold_for_own_prices() {
    let discount = json!({"rate_cards": [{"rate_card": "api",
        "rules": [{"rule": "bytes", "discount_ppm": 500_000,
            "meters": [{"meter": "request_bytes", "price": 4}]}]}]});
    // Half of 4 a byte, within half of 3 to half of 30: a cent less would show.
    let in_dollars = |count| cost(&discount, "bytes", "", count);
    assert_eq!([1, 5, 7, 8].map(in_dollars), [2, 10, 14, 15]);
}

#[test]
fn a_pricing_for_another_card_or_none_leaves_the_listed_prices() {
    for pricing in [
        json!({}),
        json!({"rate_cards": [{"rate_card": "other", "rules": [{"rule": "hello", "price": 9}]}]}),
    ] {
        assert_eq!(cost(&pricing, "hello", "", 0), 2);
    }
    let card = listed();
    let pricing = Pricing::compile(&document(json!({})), "api", card.scale()).unwrap();
    assert!(pricing.apply(card.rule("hello").unwrap()).is_as_listed());
}

#[test]
fn a_rule_that_had_prices_of_one_pricing_gets_those_of_the_next() {
    let card = listed();
    let of = |price: Value| {
        let document = document(json!({"rate_cards": [{"rate_card": "api", "rules": price}]}));
        Pricing::compile(&document, "api", card.scale()).unwrap()
    };
    let price = |rule: &Rule| rule.estimate(&Foreseen::default()).unwrap().get();
    let first = of(json!([{"rule": "hello", "price": 1}])).apply(card.rule("hello").unwrap());
    assert_eq!(price(&first), 1_000_000_000);
    let next = of(json!([{"rule": "default", "price": 1}]));
    assert_eq!(price(&next.apply(&first)), 2_000_000_000, "none of its own");
    assert_eq!(
        price(&next.apply(card.rule("default").unwrap())),
        1_000_000_000
    );
}

#[test]
fn an_own_price_has_no_effect_once_the_card_does_not_say_how_much_to_reserve() {
    let card = listed();
    let meters = json!([{"meter": {"response_header": "x-units"}, "price": 1}]);
    let document = document(json!({"rate_cards": [{"rate_card": "api", "rules": [
        {"rule": "units", "meters": meters}]}]}));
    let pricing = Pricing::compile(&document, "api", card.scale()).unwrap();
    let units = pricing.apply(card.rule("units").unwrap());
    let reserved = units.estimate(&Foreseen::default()).unwrap();
    assert_eq!(reserved.get(), 10_000_000_000, "ten seconds, as listed");
}

#[test]
fn a_rule_without_a_length_costs_nothing_to_who_pays_nothing() {
    let card = listed();
    let chunked = Foreseen {
        model: Some("gpt-4o"),
        ..Foreseen::default()
    };
    let of = |ppm: u32| {
        let document = document(json!({"discount_ppm": ppm}));
        let pricing = Pricing::compile(&document, "api", card.scale()).unwrap();
        pricing.apply(card.rule("chat").unwrap()).estimate(&chunked)
    };
    assert_eq!(of(1_000_000), Ok(Amount::ZERO));
    assert_eq!(of(999_999), Err(EstimateError::LengthUnknown));
}

#[test]
fn what_makes_no_sense_is_named_with_its_place() {
    let rules = |rules: Value| json!({"rate_cards": [{"rate_card": "api", "rules": rules}]});
    let models = |models: Value| json!({"rate_cards": [{"rate_card": "api", "models": models}]});
    let bytes = |price: Value| json!({"meter": "request_bytes", "price": price});
    let meters = |meters: Value| rules(json!([{"rule": "bytes", "meters": meters}]));
    let units = json!([{"rule": "units", "meters": [{"meter": {"response_header": "X-Units"}, "price": 1}]}]);
    for (code, pointer, pricing) in [
        (
            "rule_unknown",
            "/rate_cards/0/rules/0/rule",
            rules(json!([{"rule": "other"}])),
        ),
        (
            "rule_free",
            "/rate_cards/0/rules/0/rule",
            rules(json!([{"rule": "free", "price": 1}])),
        ),
        (
            "rule_taken",
            "/rate_cards/0/rules/1/rule",
            rules(json!([{"rule": "hello"}, {"rule": "hello"}])),
        ),
        (
            "price_negative",
            "/rate_cards/0/rules/0/price",
            rules(json!([{"rule": "hello", "price": -1}])),
        ),
        (
            "meter_unknown",
            "/rate_cards/0/rules/0/meters/0/meter",
            meters(json!([{"meter": "seconds", "price": 1}])),
        ),
        (
            "meter_ambiguous",
            "/rate_cards/0/rules/0/meters/0/meter",
            rules(json!([{"rule": "steps", "meters": [bytes(json!(1))]}])),
        ),
        (
            "meter_taken",
            "/rate_cards/0/rules/0/meters/1/meter",
            meters(json!([bytes(json!(1)), bytes(json!(2))])),
        ),
        (
            "price_negative",
            "/rate_cards/0/rules/0/meters/0/price",
            meters(json!([bytes(json!("-0.1"))])),
        ),
        (
            "estimate_missing",
            "/rate_cards/0/rules/0/meters/0/price",
            rules(units),
        ),
        (
            "model_unknown",
            "/rate_cards/0/models/0/model",
            models(json!([{"model": "claude*", "input": 1}])),
        ),
        (
            "price_negative",
            "/rate_cards/0/models/0/input",
            models(json!([{"model": "gpt*", "input": -1}])),
        ),
        (
            "model_taken",
            "/rate_cards/0/model_discounts/0/model",
            json!({"rate_cards": [{"rate_card": "api",
            "models": [{"model": "gpt*", "input": 1}],
            "model_discounts": [{"model": "gpt*", "discount_ppm": 1}]}]}),
        ),
    ] {
        let error = listed()
            .check_pricing(&document(pricing), "api")
            .unwrap_err();
        assert_eq!((error.code(), error.pointer()), (code, pointer), "{error}");
    }
    let fine = json!([{"rule": "units", "meters": [{"meter": "seconds", "price": 9}]}, {"rule": "default", "price": 0}]);
    listed()
        .check_pricing(&document(rules(fine)), "api")
        .unwrap();
}

#[test]
fn there_is_only_so_much_of_everything() {
    let card = |name: usize, rules: usize| {
        let rules: Vec<Value> = (0..rules)
            .map(|rule| json!({"rule": format!("r{rule}")}))
            .collect();
        json!({"rate_card": name.to_string(), "rules": rules})
    };
    let check = |cards: Vec<Value>| document(json!({"rate_cards": cards})).check_bounds();
    check((0..16).map(|name| card(name, 16)).collect()).unwrap();
    for (code, pointer, cards) in [
        (
            "too_many_overrides",
            "/rate_cards",
            (0..17).map(|name| card(name, 0)).collect::<Vec<_>>(),
        ),
        (
            "too_many_overrides",
            "/rate_cards/1/rules",
            vec![card(0, 128), card(1, 129)],
        ),
        (
            "rate_card_taken",
            "/rate_cards/1/rate_card",
            vec![card(7, 0), card(7, 0)],
        ),
    ] {
        let error = check(cards).unwrap_err();
        assert_eq!((error.code(), error.pointer()), (code, pointer));
    }
}
