//! Cards, customers' pricing and measures drawn by chance.

use crate::generator::Generator;
use creditgate_core::amount::Scale;
use creditgate_core::rate_card::{
    Discount, Measures, Pricing, PricingDocument, RateCard, RateCardDocument, Rule,
};
use creditgate_core::usage::{TokenCounts, TokenKind};
use serde_json::{Value, json};

/// One rule that measures everything, at prices drawn by chance.
pub(super) fn any_card(generator: &mut Generator, promise: &str) -> RateCard {
    compiled(any_document(generator, promise))
}

pub(super) fn any_document(generator: &mut Generator, promise: &str) -> Value {
    let models = any_models(generator);
    let mut meters = vec![
        json!({"meter": "request_bytes", "price": any_price(generator)}),
        json!({"meter": "response_bytes", "price": any_price(generator), "per": 1000, "estimate": 5000}),
        json!({"meter": "seconds", "price": any_price(generator), "estimate": 30}),
        json!({"meter": {"request_header": "x-a"}, "price": any_price(generator), "estimate": 3}),
        json!({"meter": {"response_header": "x-b"}, "price": any_price(generator), "estimate": 7}),
    ];
    for meter in &mut meters {
        if generator.one_in(3) {
            meter["max"] = json!(5000 + generator.below(5000));
        }
    }
    let over = generator.pick(&["refuse", "rewrite", "allow"]);
    let mut rule = json!({
        "id": "r", "path": {"prefix": "/"}, "promise": promise, "meters": meters, "price": format!("{}e-7", generator.below(5000)),
        "rounding": generator.pick(&["up", "down", "half_up", "half_even"]),
        "tokens": {
            "format": generator.pick(&["openai_chat", "anthropic_messages"]), "over_max": over,
            "output_tokens_max": 1 + generator.below(200), "unknown_model": {"as": "o4"},
            "priced_by": match generator.below(3) {
                0 => json!("answered"),
                1 => json!("requested"),
                _ => json!({"model": "gpt*"}),
            },
        },
    });
    if generator.one_in(2) {
        let minimum = generator.below(1000);
        rule["minimum"] = json!(format!("{minimum}e-3"));
        rule["maximum"] = json!(format!("{}e-3", minimum + generator.below(100_000)));
    }
    json!({
        "name": "n", "currency": "usd", "default": "deny", "models": models, "rules": [rule],
    })
}

/// Many meters cost nothing, so that what they reserve too much hides no other fault.
pub(super) fn any_price(generator: &mut Generator) -> String {
    if !generator.one_in(4) {
        return "0".to_owned();
    }
    format!("{}e-{}", generator.below(5000), 3 + generator.below(8))
}

/// Prices of four models, with tiers.
pub(super) fn any_models(generator: &mut Generator) -> Vec<Value> {
    let list = |generator: &mut Generator, dearer: u64| {
        let mut list = serde_json::Map::new();
        for kind in TokenKind::ALL {
            // What tiers leave out might be cheaper than before; so they leave out nothing.
            if kind == TokenKind::Input || dearer > 0 || generator.one_in(2) {
                let price = generator.below(2000) + dearer * 2000;
                list.insert(kind.as_str().to_owned(), json!(price));
            }
        }
        list
    };
    ["gpt-4o", "gpt*", "*-4", "o4"]
        .iter()
        .map(|name| {
            let mut model = list(generator, 0);
            model.insert("model".to_owned(), json!(name));
            let tiers: Vec<Value> = (0..generator.below(3))
                .map(|place| {
                    let mut tier = list(generator, place + 1);
                    tier.insert(
                        "above_input_tokens".to_owned(),
                        json!(100 * place + generator.below(99)),
                    );
                    json!(tier)
                })
                .collect();
            model.insert("context_tiers".to_owned(), json!(tiers));
            json!(model)
        })
        .collect()
}

/// Discounts and prices of a customer that replace those of the card, some or all.
pub(super) fn any_pricing(generator: &mut Generator, card: &RateCard) -> Pricing {
    let ppm = |generator: &mut Generator| any_discount(generator).parts_per_million();
    let mut rules = Vec::new();
    if generator.one_in(2) {
        let mut rule = json!({"rule": "r", "discount_ppm": ppm(generator)});
        if generator.one_in(2) {
            rule["price"] = json!(format!("{}e-7", generator.below(5000)));
        }
        if generator.one_in(2) {
            let own = |meter: Value, generator: &mut Generator| json!({"meter": meter, "price": any_price(generator)});
            rule["meters"] = json!([
                own(json!("request_bytes"), generator),
                own(json!("seconds"), generator),
                own(json!({"response_header": "X-B"}), generator),
            ]);
        }
        rules.push(rule);
    }
    let mut models = any_models(generator);
    models.retain(|_| generator.one_in(3));
    let mut discounts = Vec::new();
    for name in ["gpt-4o-*", "*-mini", "claude*", "gpt-5"] {
        if generator.one_in(3) {
            discounts.push(json!({"model": name, "discount_ppm": ppm(generator)}));
        }
    }
    let document = json!({"discount_ppm": ppm(generator), "rate_cards": [
        {"rate_card": "n", "rules": rules, "models": models, "model_discounts": discounts},
    ]});
    let parsed: PricingDocument = serde_json::from_value(document.clone()).unwrap();
    let checked = parsed.check_bounds();
    let checked = checked.and_then(|()| card.check_pricing(&parsed, "n"));
    checked.unwrap_or_else(|error| panic!("{error} in {document}"));
    pricing(&document)
}

pub(super) fn pricing(document: &Value) -> Pricing {
    let parsed: PricingDocument = serde_json::from_value(document.clone()).unwrap();
    let usd = Scale::new(9).unwrap();
    Pricing::compile(&parsed, "n", usd).unwrap_or_else(|error| panic!("{error} in {document}"))
}

pub(super) fn discounted(rule: &Rule, discount: Discount) -> Rule {
    pricing(&json!({"discount_ppm": discount})).apply(rule)
}

pub(super) fn compiled(document: Value) -> RateCard {
    let text = document.to_string();
    let document = RateCardDocument::from_json(text.as_bytes());
    let card = document.and_then(|document| RateCard::compile(&document, 1));
    card.unwrap_or_else(|error| panic!("{error} in {text}"))
}

pub(super) fn only_rule(card: &RateCard) -> &Rule {
    card.rules().first().unwrap()
}

pub(super) fn any_discount(generator: &mut Generator) -> Discount {
    let parts = match generator.below(4) {
        0 => 0,
        1 => 1_000_000 - generator.below(3),
        _ => generator.below(1_000_001),
    };
    Discount::new(parts as u32).unwrap()
}

pub(super) fn any_measures(generator: &mut Generator) -> Measures {
    let mut measures = Measures {
        request_bytes: generator.below(1 << 20),
        response_bytes: generator.below(1 << 20),
        duration_ms: generator.below(100_000),
        ..Measures::default()
    };
    measures.readings[3] = Some(generator.below(100));
    measures.readings[4] = generator.one_in(2).then(|| generator.below(100));
    for kind in TokenKind::ALL {
        measures.tokens.set(kind, generator.below(200));
    }
    measures
}

pub(super) fn any_kind(generator: &mut Generator) -> TokenKind {
    TokenKind::ALL[generator.below(8) as usize]
}

pub(super) fn add(tokens: &mut TokenCounts, kind: TokenKind, count: u64) {
    tokens.set(kind, tokens.get(kind) + count);
}

/// Spends up to `most` tokens on the kinds of one side; often all of them, often on one kind.
pub(super) fn share(
    generator: &mut Generator,
    tokens: &mut TokenCounts,
    most: u64,
    is_input: bool,
) {
    let mut left = if generator.one_in(2) {
        most
    } else {
        generator.below(most + 1)
    };
    while left > 0 {
        let kind = any_kind(generator);
        if kind.is_input() == is_input {
            let part = if generator.one_in(2) {
                left
            } else {
                generator.below(left) + 1
            };
            add(tokens, kind, part);
            left -= part;
        }
    }
}

/// Whether the glob fits, by trying everything.
pub(super) fn fits(glob: &[u8], name: &[u8]) -> bool {
    match glob.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|skipped| fits(rest, &name[skipped..])),
        Some((own, rest)) => name
            .split_first()
            .is_some_and(|(first, name)| first == own && fits(rest, name)),
    }
}
