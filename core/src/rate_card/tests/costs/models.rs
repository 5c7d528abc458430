//! Whose prices are charged.

use super::*;

#[test]
fn the_model_that_answers_is_charged_but_never_above_a_strict_promise() {
    let used = tokens(&[(TokenKind::Input, 10)]);
    let models = |asked, answered| Models {
        asked: Some(asked),
        answered: Some(answered),
    };
    let strict = metered(json!({"tokens": {"format": CHAT}}));
    let expected = metered(json!({"tokens": {"format": CHAT}, "promise": "expected"}));
    let requested = metered(json!({"tokens": {"format": CHAT, "priced_by": "requested"}}));
    for (card, models, units) in [
        (&strict, models("gpt-4o", "gpt-4o-mini"), 1500),
        (&strict, models("gpt-4o-mini", "gpt-4o"), 1500),
        (&strict, models("gpt-4o", "other"), 25_000),
        (&expected, models("gpt-4o-mini", "gpt-4o"), 25_000),
        (&expected, models("other", "gpt-4o"), 25_000),
        (&requested, models("gpt-4o", "gpt-4o-mini"), 25_000),
    ] {
        assert_eq!(cost(card, &used, models), Ok(units), "{models:?}");
    }
    let stand_in = json!({"tokens": {"format": CHAT, "unknown_model": {"as": "gpt-4o-x"}}});
    assert_eq!(cost(&metered(stand_in), &used, asked("other")), Ok(1500));
}

#[test]
fn a_rule_that_fixes_its_model_hears_neither_the_request_nor_the_answer() {
    let fixed = json!({"tokens": {"format": CHAT, "priced_by": {"model": "gpt-4o"}}});
    let card = metered(fixed);
    let used = tokens(&[(TokenKind::Input, 10)]);
    for (asked, answered) in [
        (Some("gpt-4o-mini"), Some("gpt-4o-mini")),
        (Some("gpt-4o-mini"), None),
        (Some("other"), Some("another")),
        (None, None),
    ] {
        let models = Models { asked, answered };
        assert_eq!(cost(&card, &used, models), Ok(25_000), "{models:?}");
        let foreseen = Foreseen {
            request_bytes: Some(100),
            model: asked,
            output_tokens_max: Some(10),
            ..Foreseen::default()
        };
        let estimate = rule(&card).estimate(&foreseen).map(Amount::get);
        assert_eq!(estimate, Ok(100 * 2500 + 10 * 10_000), "{models:?}");
        assert_eq!(rule(&card).step(asked).get(), 64 * 10_000);
    }
}

#[test]
fn a_model_that_is_known_needs_no_body_of_any_form() {
    let needs_body = |priced_by: Value| {
        let format = json!({"pointers": {"output": "/units"}});
        let card = metered(json!({"tokens": {"format": format, "priced_by": priced_by}}));
        rule(&card).needs_body()
    };
    assert!(needs_body(json!("requested")));
    assert!(!needs_body(json!({"model": "embed"})));
}

#[test]
fn a_kind_without_a_price_costs_what_its_nearest_kin_does() {
    let card = |more: Value| {
        let mut model = json!({"model": "m", "per": 1, "input": 1, "output": 10});
        let more = more.as_object().unwrap().clone();
        model.as_object_mut().unwrap().extend(more);
        let rule = json!({"id": "r", "path": {"prefix": "/"}, "tokens": {"format": CHAT}});
        let card = json!({"name": "n", "currency": "tokens", "scale": 0, "default": "deny",
            "rules": [rule], "models": [model]});
        try_card(card).unwrap()
    };
    let of = |card: &RateCard, kind| cost(card, &tokens(&[(kind, 1)]), asked("m")).unwrap();
    let plain = card(json!({}));
    assert_eq!(of(&plain, TokenKind::CacheWrite1h), 1);
    assert_eq!(of(&plain, TokenKind::ImageOutput), 10);
    let written = card(json!({"cache_write": 2}));
    assert_eq!(of(&written, TokenKind::CacheWrite1h), 2);
    let all = card(
        json!({"cache_write": 2, "cache_write_1h": 3, "image_output": 40,
        "context_tiers": [{"above_input_tokens": 0, "input": 2, "cache_write": 4, "cache_write_1h": 6,
            "output": 20, "image_output": 80}]}),
    );
    assert_eq!(of(&all, TokenKind::ImageOutput), 40);
    assert_eq!(of(&all, TokenKind::CacheWrite1h), 6);
    // A strict promise takes each token for the dearest, which these may be.
    let foreseen = Foreseen {
        request_bytes: Some(1),
        model: Some("m"),
        output_tokens_max: Some(1),
        ..Foreseen::default()
    };
    assert_eq!(rule(&all).estimate(&foreseen).unwrap().get(), 6 + 80);
}
