//! Costs and estimates: exact, monotone, and never above what a strict promise reserved.

mod any;

use any::{
    add, any_card, any_discount, any_document, any_kind, any_measures, any_pricing, compiled,
    discounted, fits, only_rule, pricing, share,
};
use creditgate_core::amount::Amount;
use creditgate_core::rate_card::{
    CostError, Discount, EstimateError, Foreseen, Measures, Models, OutputLimit,
};
use creditgate_core::usage::{TokenCounts, TokenKind};
use serde_json::{Value, json};

const NAMES: [&str; 6] = ["gpt-4o", "gpt-4o-mini", "gpt-5", "o4", "claude-4", "gpt"];

property! {
    fn no_answer_within_the_limits_costs_more_than_a_strict_estimate(generator) {
        let card = any_card(generator, "strict");
        let pricing = any_pricing(generator, &card);
        let rule = pricing.apply(only_rule(&card));
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
        let reserved = match rule.estimate(&foreseen) {
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
            let cost = rule.cost(&measures, &models).unwrap();
            assert!(
                cost <= reserved,
                "{cost} > {reserved}: {measures:?} {models:?} {foreseen:?} {card:?} {pricing:?}"
            );
        }
    }
}

property! {
    fn the_cost_is_monotone_in_each_count(generator) {
        let card = any_card(generator, "expected");
        let pricing = any_pricing(generator, &card);
        let rule = pricing.apply(only_rule(&card));
        let models = Models { asked: Some("o4"), answered: Some(generator.pick(&NAMES)) };
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
        let (less_cost, more_cost) = (rule.cost(&less, &models), rule.cost(&more, &models));
        assert!(less_cost.unwrap() <= more_cost.unwrap(), "{less:?} {more:?} {card:?} {pricing:?}");
    }
}

property! {
    fn a_discount_never_makes_dearer_and_none_changes_nothing(generator) {
        let card = any_card(generator, "expected");
        let rule = only_rule(&card);
        let measures = any_measures(generator);
        let models = Models { asked: Some("o4"), answered: Some(generator.pick(&NAMES)) };
        let cost = |discount| discounted(rule, discount).cost(&measures, &models).unwrap();
        let full = rule.cost(&measures, &models).unwrap();
        assert_eq!(full, cost(Discount::NONE));
        assert_eq!(cost(Discount::ALL), Amount::ZERO);
        let (one, other) = (any_discount(generator), any_discount(generator));
        let (small, large) = (one.min(other), one.max(other));
        assert!(cost(large) <= cost(small) && cost(small) <= full, "{small:?} {large:?}");
    }
}

property! {
    fn prices_put_in_the_place_of_the_listed_ones_cost_as_if_they_were_listed(generator) {
        let listed = any_document(generator, "expected");
        let other = any_document(generator, "expected");
        let (rule, own) = (&listed["rules"][0], &other["rules"][0]);
        let mut meters = own["meters"].clone();
        for meter in meters.as_array_mut().unwrap() {
            let fields = meter.as_object_mut().unwrap();
            fields.retain(|field, _| ["meter", "price", "per"].contains(&field.as_str()));
        }
        let pricing = pricing(&json!({"rate_cards": [{
            "rate_card": "n", "models": other["models"],
            "rules": [{"rule": "r", "price": own["price"], "meters": meters}],
        }]}));
        // The listed card, had it these prices.
        let mut merged = listed.clone();
        merged["models"] = other["models"].clone();
        merged["rules"][0]["price"] = own["price"].clone();
        for (place, meter) in own["meters"].as_array().unwrap().iter().enumerate() {
            merged["rules"][0]["meters"][place]["price"] = meter["price"].clone();
        }
        let (listed, merged) = (compiled(listed.clone()), compiled(merged));
        let own = pricing.apply(only_rule(&listed));
        let foreseen = Foreseen {
            request_bytes: Some(generator.below(2000)),
            model: Some(generator.pick(&NAMES)),
            ..Foreseen::default()
        };
        assert_eq!(own.estimate(&foreseen), only_rule(&merged).estimate(&foreseen), "{rule}");
        let models = Models { asked: foreseen.model, answered: Some(generator.pick(&NAMES)) };
        let measures = any_measures(generator);
        assert_eq!(own.cost(&measures, &models), only_rule(&merged).cost(&measures, &models), "{rule}");
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
            let cost = |measures| rule.cost(&measures, &Models::default()).unwrap().get();
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
            let found = card.model(&asked);
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
        let rule = discounted(rule, discount);
        assert_eq!(rule.cost(&any_measures(generator), &Models::default()), Ok(expected));
        assert_eq!(rule.estimate(&Foreseen::default()), Ok(expected));
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
        let rule = any_pricing(generator, &card).apply(only_rule(&card));
        let cost = rule.cost(&measures, &models);
        let has_maximum = only_rule(&card).maximum().is_some();
        assert!(cost.is_ok() || (cost == Err(CostError::Absurd) && !has_maximum));
    }
}
