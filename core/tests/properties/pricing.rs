//! Costs and estimates: exact, monotone, and never above what a strict promise reserved.

use crate::generator::Generator;
use creditgate_core::amount::Amount;
use creditgate_core::rate_card::{
    CostError, Discount, EstimateError, Foreseen, Measures, Models, OutputLimit, RateCard,
    RateCardDocument, Rule,
};
use creditgate_core::usage::{TokenCounts, TokenKind};
use serde_json::{Value, json};

const NAMES: [&str; 6] = ["gpt-4o", "gpt-4o-mini", "gpt-5", "o4", "claude-4", "gpt"];

property! {
    fn no_answer_within_the_limits_costs_more_than_a_strict_estimate(generator) {
        let card = any_card(generator, "strict");
        let rule = only_rule(&card);
        let discount = any_discount(generator);
        let output_max = generator.one_in(2).then(|| generator.below(300));
        let header = generator.one_in(2).then(|| generator.below(50));
        let mut foreseen = Foreseen {
            request_bytes: (!generator.one_in(8)).then(|| generator.below(2000)),
            model: Some(generator.pick(&NAMES)),
            output_tokens_max: output_max,
            choices: generator.below(4),
            ..Foreseen::default()
        };
        foreseen.readings[3] = header;
        let reserved = match rule.estimate(&foreseen, discount) {
            Ok(reserved) => reserved,
            Err(EstimateError::LengthUnknown) => {
                assert_eq!(foreseen.request_bytes, None);
                continue;
            }
            Err(EstimateError::OverMax { max }) => {
                assert!(output_max.is_some_and(|asked| asked > max));
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        let terms = rule.tokens().unwrap();
        let limit = match terms.output_limit(output_max) {
            OutputLimit::Keep(limit) | OutputLimit::Write(limit) => limit,
            OutputLimit::Refuse(max) => panic!("refused at {max}"),
        };
        for _ in 0..4 {
            // A body whose length wasn't told costs what the rule's maximum allows.
            let bytes = foreseen.request_bytes.unwrap_or_else(|| generator.below(1 << 40));
            let mut tokens = TokenCounts::default();
            share(generator, &mut tokens, bytes, true);
            share(generator, &mut tokens, limit * foreseen.choices.max(1), false);
            let mut measures = Measures {
                request_bytes: bytes,
                response_bytes: generator.below(5001),
                duration_ms: generator.below(30_001),
                tokens,
                ..Measures::default()
            };
            measures.readings[3] = header;
            measures.readings[4] = generator.one_in(2).then(|| generator.below(8));
            let answered = generator.one_in(2).then(|| generator.pick(&NAMES));
            let models = Models { asked: foreseen.model, answered };
            let cost = rule.cost(&measures, &models, discount).unwrap();
            assert!(cost <= reserved, "{cost} > {reserved}: {measures:?} {models:?} {foreseen:?} {card:?}");
        }
    }
}

property! {
    fn the_cost_is_monotone_in_each_count(generator) {
        let card = any_card(generator, "expected");
        let rule = only_rule(&card);
        let models = Models { asked: Some("o4"), answered: Some(generator.pick(&NAMES)) };
        let discount = any_discount(generator);
        let less = any_measures(generator);
        let mut more = less;
        let by = 1 + generator.below(1000);
        match generator.below(5) {
            0 => more.request_bytes += by,
            1 => more.response_bytes += by,
            2 => more.duration_ms += by,
            3 => {
                let place = 3 + generator.below(2) as usize;
                more.readings[place] = more.readings[place].or(Some(7)).map(|count| count + by);
            }
            _ => add(&mut more.tokens, any_kind(generator), by),
        }
        let (less_cost, more_cost) = (rule.cost(&less, &models, discount), rule.cost(&more, &models, discount));
        assert!(less_cost.unwrap() <= more_cost.unwrap(), "{less:?} {more:?} {card:?}");
    }
}

property! {
    fn a_discount_never_makes_dearer_and_none_changes_nothing(generator) {
        let card = any_card(generator, "expected");
        let rule = only_rule(&card);
        let measures = any_measures(generator);
        let models = Models { asked: Some("o4"), answered: Some(generator.pick(&NAMES)) };
        let cost = |discount| rule.cost(&measures, &models, discount).unwrap();
        let full = cost(Discount::NONE);
        assert_eq!(full, cost(Discount::default()));
        assert_eq!(cost(Discount::ALL), Amount::ZERO);
        let (one, other) = (any_discount(generator), any_discount(generator));
        let (small, large) = (one.min(other), one.max(other));
        assert!(cost(large) <= cost(small) && cost(small) <= full, "{small:?} {large:?}");
    }
}

property! {
    fn rounding_once_never_gains_by_splitting_a_request(generator) {
        for (rounding, is_up) in [("up", true), ("down", false)] {
            let prices = [generator.below(3_000_000), generator.below(3_000_000)];
            let card = compiled(json!({
                "name": "n", "currency": "usd", "default": "deny", "rules": [{
                    "id": "r", "path": {"prefix": "/"}, "promise": "expected", "rounding": rounding,
                    "meters": [
                        {"meter": "request_bytes", "price": format!("{}e-15", prices[0])},
                        {"meter": "seconds", "price": format!("{}e-15", prices[1])},
                    ],
                }],
            }));
            let rule = only_rule(&card);
            let one = any_measures(generator);
            let other = any_measures(generator);
            let both = Measures {
                request_bytes: one.request_bytes + other.request_bytes,
                duration_ms: one.duration_ms + other.duration_ms,
                ..Measures::default()
            };
            let cost = |measures| rule.cost(&measures, &Models::default(), Discount::NONE).unwrap().get();
            let (apart, together) = (cost(one) + cost(other), cost(both));
            assert!((together - apart).abs() <= 1);
            assert!(if is_up { together <= apart } else { together >= apart });
            // And exactly: in 10⁻¹⁸ of a nano-dollar a byte, and the thousandth of it a millisecond.
            let parts = i128::from(both.request_bytes) * i128::from(prices[0]) * 1000
                + i128::from(both.duration_ms) * i128::from(prices[1]);
            let unit = 1_000_000_000;
            let expected = parts / unit + i128::from(is_up && parts % unit > 0);
            assert_eq!(i128::from(together), expected);
        }
    }
}

property! {
    fn a_model_is_found_as_by_reading_the_list(generator) {
        let mut names: Vec<String> = Vec::new();
        for _ in 0..generator.below(10) {
            let name = generator.text(&["a", "b", "ab", "-", "*"], 6);
            if !name.is_empty() && name.matches('*').count() <= 4 && !names.contains(&name) {
                names.push(name);
            }
        }
        let models: Vec<Value> = names.iter().map(|name| json!({"model": name, "input": 1})).collect();
        let card = compiled(json!({
            "name": "n", "currency": "usd", "default": "deny", "models": models,
        }));
        for _ in 0..8 {
            let asked = generator.text(&["a", "b", "ab", "-"], 6);
            let found = card.model(&asked).map(|prices| prices.model());
            let exact = names.iter().find(|name| **name == asked);
            let mut best: Option<&String> = None;
            for name in names.iter().filter(|name| fits(name.as_bytes(), asked.as_bytes())) {
                let literals = |name: &str| name.len() - name.matches('*').count();
                if best.is_none_or(|best| literals(name) > literals(best)) {
                    best = Some(name);
                }
            }
            assert_eq!(found, exact.or(best).map(String::as_str), "{asked} in {names:?}");
        }
    }
}

property! {
    fn a_fixed_price_needs_no_reckoning(generator) {
        let price = generator.below(1 << 40);
        let card = compiled(json!({
            "name": "n", "currency": "tokens", "scale": 0, "default": "deny",
            "rules": [{"id": "r", "path": {"prefix": "/"}, "price": price}],
        }));
        let rule = only_rule(&card);
        assert!(rule.is_fixed());
        let discount = any_discount(generator);
        let due = u128::from(price) * u128::from(1_000_000 - discount.parts_per_million());
        let expected = Amount::new(i64::try_from(due.div_ceil(1_000_000)).unwrap());
        let cost = rule.cost(&any_measures(generator), &Models::default(), discount);
        assert_eq!(cost, Ok(expected));
        assert_eq!(rule.estimate(&Foreseen::default(), discount), Ok(expected));
    }
}

property! {
    fn no_count_however_absurd_does_harm(generator) {
        let card = any_card(generator, "expected");
        let mut measures = Measures {
            request_bytes: generator.bits(),
            response_bytes: generator.bits(),
            duration_ms: generator.bits(),
            ..Measures::default()
        };
        measures.readings = [Some(generator.bits()); 16];
        for kind in TokenKind::ALL {
            measures.tokens.set(kind, generator.bits());
        }
        let models = Models { asked: Some("o4"), answered: None };
        let cost = only_rule(&card).cost(&measures, &models, any_discount(generator));
        let has_maximum = only_rule(&card).maximum().is_some();
        assert!(cost.is_ok() || (cost == Err(CostError::Absurd) && !has_maximum));
    }
}

/// One rule that measures everything, at prices drawn by chance.
fn any_card(generator: &mut Generator, promise: &str) -> RateCard {
    // Many meters cost nothing, so that what they reserve too much hides no other fault.
    let price = |generator: &mut Generator| {
        if !generator.one_in(4) {
            return "0".to_owned();
        }
        format!("{}e-{}", generator.below(5000), 3 + generator.below(8))
    };
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
    let models: Vec<Value> = ["gpt-4o", "gpt*", "*-4", "o4"]
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
        .collect();
    let mut meters = vec![
        json!({"meter": "request_bytes", "price": price(generator)}),
        json!({"meter": "response_bytes", "price": price(generator), "per": 1000, "estimate": 5000}),
        json!({"meter": "seconds", "price": price(generator), "estimate": 30}),
        json!({"meter": {"request_header": "x-a"}, "price": price(generator), "estimate": 3}),
        json!({"meter": {"response_header": "x-b"}, "price": price(generator), "estimate": 7}),
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
            "priced_by": generator.pick(&["answered", "requested"]),
        },
    });
    if generator.one_in(2) {
        let minimum = generator.below(1000);
        rule["minimum"] = json!(format!("{minimum}e-3"));
        rule["maximum"] = json!(format!("{}e-3", minimum + generator.below(100_000)));
    }
    compiled(json!({
        "name": "n", "currency": "usd", "default": "deny", "models": models, "rules": [rule],
    }))
}

fn compiled(document: Value) -> RateCard {
    let text = document.to_string();
    let document = RateCardDocument::from_json(text.as_bytes());
    let card = document.and_then(|document| RateCard::compile(&document, 1));
    card.unwrap_or_else(|error| panic!("{error} in {text}"))
}

fn only_rule(card: &RateCard) -> &Rule {
    card.rules().first().unwrap()
}

fn any_discount(generator: &mut Generator) -> Discount {
    let parts = match generator.below(4) {
        0 => 0,
        1 => 1_000_000 - generator.below(3),
        _ => generator.below(1_000_001),
    };
    Discount::new(parts as u32).unwrap()
}

fn any_measures(generator: &mut Generator) -> Measures {
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

fn any_kind(generator: &mut Generator) -> TokenKind {
    TokenKind::ALL[generator.below(8) as usize]
}

fn add(tokens: &mut TokenCounts, kind: TokenKind, count: u64) {
    tokens.set(kind, tokens.get(kind) + count);
}

/// Spends up to `most` tokens on the kinds of one side; often all of them, often on one kind.
fn share(generator: &mut Generator, tokens: &mut TokenCounts, most: u64, is_input: bool) {
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
fn fits(glob: &[u8], name: &[u8]) -> bool {
    match glob.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|skipped| fits(rest, &name[skipped..])),
        Some((own, rest)) => name
            .split_first()
            .is_some_and(|(first, name)| first == own && fits(rest, name)),
    }
}
