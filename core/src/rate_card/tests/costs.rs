//! What requests cost, reckoned by hand.

mod models;

use super::*;
use crate::amount::Amount;
use crate::usage::{TokenCounts, TokenKind};

fn metered(rule: Value) -> RateCard {
    let mut whole = json!({"id": "r", "path": {"prefix": "/"}});
    whole
        .as_object_mut()
        .unwrap()
        .extend(rule.as_object().unwrap().clone());
    try_card(json!({
        "name": "n", "currency": "usd", "default": "deny", "rules": [whole],
        "models": [
            {"model": "gpt-4o", "input": 2.5, "cached_input": 1.25, "output": 10},
            {"model": "gpt-4o-*", "input": "0.15", "cached_input": "0.075", "output": "0.6"},
            {"model": "gemini", "input": 1.25, "output": 10, "context_tiers": [
                {"above_input_tokens": 200_000, "input": 2.5, "output": 15}]},
            {"model": "embed", "per": 1000, "input": 0.0001},
        ],
    }))
    .unwrap()
}

fn rule(card: &RateCard) -> &Rule {
    card.rules().first().unwrap()
}

/// The rule for a customer with so much off everything.
fn discounted(card: &RateCard, discount_ppm: Discount) -> Rule {
    let document = PricingDocument {
        discount_ppm,
        ..PricingDocument::default()
    };
    let pricing = Pricing::compile(&document, "n", card.scale()).unwrap();
    pricing.apply(rule(card))
}

fn tokens(counts: &[(TokenKind, u64)]) -> Measures {
    let mut tokens = TokenCounts::default();
    for (kind, count) in counts {
        tokens.set(*kind, *count);
    }
    Measures {
        tokens,
        ..Measures::default()
    }
}

fn asked(model: &str) -> Models<'_> {
    Models {
        asked: Some(model),
        answered: None,
    }
}

fn cost(card: &RateCard, measures: &Measures, models: Models<'_>) -> Result<i64, CostError> {
    rule(card).cost(measures, &models).map(Amount::get)
}

const CHAT: &str = "openai_chat";

#[test]
fn tokens_cost_what_their_model_lists() {
    let card = metered(json!({"tokens": {"format": CHAT}}));
    let used = tokens(&[
        (TokenKind::Input, 1000),
        (TokenKind::CachedInput, 500),
        (TokenKind::Output, 200),
        (TokenKind::Reasoning, 100),
        (TokenKind::AudioInput, 10),
    ]);
    // Per token, in nano-dollars: 2500, 1250, 10000; reasoning as output, audio as input.
    let expected = 1000 * 2500 + 500 * 1250 + 300 * 10_000 + 10 * 2500;
    assert_eq!(cost(&card, &used, asked("gpt-4o")), Ok(expected));
    let mini = 1000 * 150 + 500 * 75 + 300 * 600 + 10 * 150;
    assert_eq!(cost(&card, &used, asked("gpt-4o-mini")), Ok(mini));
    assert_eq!(
        cost(&card, &used, asked("o4")),
        Err(CostError::UnknownModel)
    );
    assert_eq!(
        cost(&card, &used, Models::default()),
        Err(CostError::UnknownModel)
    );
    assert_eq!(card.model("gpt-4o-2024"), Some("gpt-4o-*"));
    // No output price is listed, and none is free: 0.0001 a thousand is 100 nano-dollars each.
    let written = tokens(&[(TokenKind::Output, 7)]);
    assert_eq!(cost(&card, &written, asked("embed")), Ok(700));
}

#[test]
fn a_long_context_is_dearer_for_all_tokens_of_the_request() {
    let card = metered(json!({"tokens": {"format": "gemini"}}));
    let used = |input| tokens(&[(TokenKind::CachedInput, input), (TokenKind::Output, 1)]);
    assert_eq!(
        cost(&card, &used(200_000), asked("gemini")),
        Ok(200_000 * 1250 + 10_000)
    );
    assert_eq!(
        cost(&card, &used(200_001), asked("gemini")),
        Ok(200_001 * 2500 + 15_000)
    );
}

#[test]
fn meters_are_summed_exactly_and_rounded_once() {
    let card = metered(json!({
        "price": "0.000000001",
        "promise": "expected",
        "meters": [
            {"meter": "request_bytes", "price": "0.1", "per": 1_000_000_000},
            {"meter": "response_bytes", "price": "0.4", "per": 1_000_000_000, "max": 10},
            {"meter": "seconds", "price": "0.0036", "per": 1},
            {"meter": {"response_header": "X-Units"}, "price": "0.00000001", "estimate": 3},
        ],
    }));
    let mut measures = Measures {
        request_bytes: 3,
        response_bytes: 1_000_000,
        duration_ms: 7,
        ..Measures::default()
    };
    // 1 + 0.3 + 4 + 25200 + 3 × 10, the header being missing.
    assert_eq!(cost(&card, &measures, Models::default()), Ok(25_236));
    measures.readings[3] = reading(b" 20 ");
    assert_eq!(cost(&card, &measures, Models::default()), Ok(25_406));
    for (rounding, units) in [("down", 0), ("half_up", 0), ("half_even", 0), ("up", 1)] {
        let card = metered(json!({
            "rounding": rounding,
            "promise": "expected",
            "meters": [
                {"meter": "request_bytes", "price": "0.0000000002"},
                {"meter": "response_bytes", "price": "0.0000000002"},
            ],
        }));
        let measures = Measures {
            request_bytes: 1,
            response_bytes: 1,
            ..Measures::default()
        };
        assert_eq!(
            cost(&card, &measures, Models::default()),
            Ok(units),
            "{rounding}"
        );
    }
    let mut names = rule(&card).meters().iter().map(Meter::source);
    assert_eq!(
        names.next_back(),
        Some(&MeterSource::ResponseHeader("x-units".to_owned()))
    );
}

#[test]
fn a_header_has_a_reading_only_if_it_is_a_whole_number() {
    assert_eq!(reading(b"0012"), Some(12));
    assert_eq!(reading(b"999999999999999"), Some(999_999_999_999_999));
    for bad in [
        "",
        " ",
        "-1",
        "1.5",
        "1e3",
        "1,2",
        "0x1",
        "1000000000000000",
    ] {
        assert_eq!(reading(bad.as_bytes()), None, "{bad}");
    }
}

#[test]
fn bounds_hold_for_the_whole_cost_before_the_discount() {
    let card = metered(json!({
        "minimum": "0.01", "maximum": "0.02",
        "meters": [{"meter": "request_bytes", "price": "0.001"}],
    }));
    let of = |bytes, discount| {
        let measures = Measures {
            request_bytes: bytes,
            ..Measures::default()
        };
        discounted(&card, discount)
            .cost(&measures, &Models::default())
            .unwrap()
            .get()
    };
    assert_eq!(of(0, Discount::NONE), 10_000_000);
    assert_eq!(of(15, Discount::NONE), 15_000_000);
    assert_eq!(of(u64::MAX, Discount::NONE), 20_000_000);
    let tenth = Discount::new(100_000).unwrap();
    assert_eq!((of(0, tenth), of(u64::MAX, tenth)), (9_000_000, 18_000_000));
    assert_eq!(discounted(&card, tenth).minimum_cost().get(), 9_000_000);
    assert_eq!(of(15, Discount::ALL), 0);
}

#[test]
fn a_fixed_price_is_known_without_measuring() {
    let fixed = metered(json!({"price": 1, "minimum": 2, "settle": [
        {"when": {"status": ["4xx"]}, "then": "minimum"}]}));
    let rule_of = |card: &RateCard| {
        let rule = rule(card);
        (rule.is_fixed(), rule.is_free(), rule.price().get())
    };
    assert_eq!(rule_of(&fixed), (true, false, 2_000_000_000));
    assert_eq!(rule_of(&metered(json!({"price": 0}))), (true, true, 0));
    let bytes = json!({"meters": [{"meter": "request_bytes", "price": 0}]});
    assert_eq!(rule_of(&metered(bytes)), (false, false, 0));
    let third = Discount::new(333_333).unwrap();
    let third = discounted(&fixed, third);
    let cost = third.cost(&Measures::default(), &Models::default());
    assert_eq!(cost, Ok(Amount::new(1_333_334_000)));
    assert_eq!(
        third.estimate(&Foreseen::default()),
        Ok(Amount::new(1_333_334_000))
    );
}

#[test]
fn absurd_counts_have_no_cost() {
    let card = metered(json!({"price": 1, "meters": [{"meter": "request_bytes", "price": 1000}]}));
    let measures = Measures {
        request_bytes: u64::MAX,
        ..Measures::default()
    };
    assert_eq!(
        cost(&card, &measures, Models::default()),
        Err(CostError::Absurd)
    );
}

#[test]
fn a_strict_estimate_takes_every_token_for_the_dearest() {
    let card = metered(json!({"tokens": {"format": CHAT, "output_tokens_max": 100}}));
    let of = |foreseen: Foreseen<'_>| rule(&card).estimate(&foreseen).map(Amount::get);
    let foreseen = Foreseen {
        request_bytes: Some(40),
        model: Some("gpt-4o"),
        ..Foreseen::default()
    };
    assert_eq!(of(foreseen), Ok(40 * 2500 + 100 * 10_000));
    let limited = Foreseen {
        output_tokens_max: Some(7),
        choices: 3,
        ..foreseen
    };
    assert_eq!(of(limited), Ok(40 * 2500 + 21 * 10_000));
    let over = Foreseen {
        output_tokens_max: Some(101),
        ..foreseen
    };
    assert_eq!(of(over), Err(EstimateError::OverMax { max: 100 }));
    let other = Foreseen {
        model: Some("o4"),
        ..foreseen
    };
    assert_eq!(of(other), Err(EstimateError::UnknownModel));
    let endless = Foreseen {
        request_bytes: None,
        ..foreseen
    };
    assert_eq!(of(endless), Err(EstimateError::LengthUnknown));
    let absurd = Foreseen {
        choices: u64::MAX,
        output_tokens_max: Some(1),
        ..foreseen
    };
    assert_eq!(of(absurd), Err(EstimateError::Absurd));
}

#[test]
fn other_promises_reserve_what_is_expected() {
    let of = |promise: &str, estimate: Value| {
        let card = metered(json!({
            "promise": promise, "estimate": estimate,
            "tokens": {"format": CHAT, "output_tokens_max": 100},
        }));
        let foreseen = Foreseen {
            request_bytes: Some(41),
            model: Some("gpt-4o"),
            ..Foreseen::default()
        };
        rule(&card).estimate(&foreseen).unwrap().get()
    };
    assert_eq!(of("expected", json!({})), 11 * 2500 + 100 * 10_000);
    assert_eq!(
        of("expected", json!({"output_tokens": 60})),
        11 * 2500 + 60 * 10_000
    );
    assert_eq!(
        of("expected", json!({"output_tokens": 600})),
        11 * 2500 + 100 * 10_000
    );
    assert_eq!(of("metered", json!({})), 11 * 2500);
    let given = json!({"output_tokens": 5, "bytes_per_token": 2, "input_tokens_extra": 9});
    assert_eq!(of("metered", given), 30 * 2500 + 5 * 10_000);
}

#[test]
fn a_metered_answer_is_paid_for_a_step_ahead() {
    let card = metered(
        json!({"promise": "metered", "tokens": {"format": CHAT}, "meters": [
            {"meter": "response_bytes", "price": "1", "per": 1000},
            {"meter": "seconds", "price": "2"}, {"meter": "request_bytes", "price": 1000},
        ]}),
    );
    let bytes = 65_536 * 1_000_000;
    let step = |model| rule(&card).step(model).get();
    assert_eq!(step(Some("gpt-4o")), 64 * 10_000 + bytes + 2_000_000_000);
    assert_eq!(step(Some("other")), bytes + 2_000_000_000);
}

#[test]
fn what_goes_to_the_upstream_is_paid_for_before_under_a_metered_promise() {
    let of = |meter: Value, request_bytes| {
        let card = metered(json!({"promise": "metered", "meters": [meter]}));
        let foreseen = Foreseen {
            request_bytes,
            ..Foreseen::default()
        };
        let estimate = rule(&card).estimate(&foreseen);
        estimate.map(Amount::get)
    };
    let bytes = |more: Value| {
        let mut meter = json!({"meter": "request_bytes", "price": "0.000000001"});
        let fields = meter.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        meter
    };
    assert_eq!(of(bytes(json!({})), Some(7)), Ok(7));
    assert_eq!(
        of(bytes(json!({})), None),
        Err(EstimateError::LengthUnknown)
    );
    assert_eq!(of(bytes(json!({"estimate": 3})), None), Ok(3));
    assert_eq!(of(bytes(json!({"max": 9})), None), Ok(9));
}

#[test]
fn a_limit_is_kept_written_or_refused() {
    let limits = |promise: &str, over: &str, format: Value| {
        let unknown = json!({"as": "gpt-4o"});
        let card = metered(json!({"promise": promise, "tokens": {
            "format": format, "over_max": over, "output_tokens_max": 10, "unknown_model": unknown}}));
        let tokens = rule(&card).tokens().unwrap();
        [Some(9), Some(11), None].map(|asked| tokens.output_limit(asked))
    };
    use OutputLimit::{Keep, Refuse, Write};
    let chat = || json!(CHAT);
    assert_eq!(
        limits("strict", "refuse", chat()),
        [Keep(9), Refuse(10), Write(10)]
    );
    assert_eq!(
        limits("strict", "rewrite", chat()),
        [Keep(9), Write(10), Write(10)]
    );
    assert_eq!(
        limits("strict", "allow", chat()),
        [Keep(9), Keep(11), Write(10)]
    );
    assert_eq!(
        limits("metered", "refuse", chat()),
        [Keep(9), Refuse(10), Keep(10)]
    );
    let pointers = json!({"pointers": {"input": "/usage/in"}});
    assert_eq!(
        limits("strict", "allow", pointers),
        [Keep(9), Keep(11), Keep(10)]
    );
}
