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
