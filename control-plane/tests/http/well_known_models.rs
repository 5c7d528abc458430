//! The ready rate card of well-known models: it is taken, and each name finds its own prices.

use creditgate_core::amount::Amount;
use creditgate_core::rate_card::{Decision, Measures, Models, RateCard, RateCardDocument, Request};
use creditgate_core::usage::{TokenCounts, TokenKind};
use serde_json::Value;

use crate::plane::Plane;

const CARD: &str = include_str!("../../../examples/rate-cards/well-known-models.json");

fn card() -> RateCard {
    let document = RateCardDocument::from_json(CARD.as_bytes()).unwrap();
    RateCard::compile(&document, 1).unwrap()
}

/// What so many tokens read and a million written cost, in nano-dollars.
fn cost(card: &RateCard, model: &str, read: u64) -> Option<i64> {
    let mut tokens = TokenCounts::default();
    tokens.set(TokenKind::Input, read);
    tokens.set(TokenKind::Output, 1_000_000);
    let measures = Measures {
        tokens,
        ..Measures::default()
    };
    let models = Models {
        asked: Some(model),
        answered: None,
    };
    let cost = card.rule("chat")?.cost(&measures, &models);
    cost.ok().map(Amount::get)
}

#[tokio::test]
async fn the_card_is_taken_as_it_stands() {
    let plane = Plane::start();
    let put = plane
        .put("/v1/rate-cards/models", serde_json::from_str(CARD).unwrap())
        .await;
    assert_eq!(put.status, 200, "{}", put.body);
}

#[test]
fn every_name_of_the_list_finds_its_own_row() {
    let document: Value = serde_json::from_str(CARD).unwrap();
    let card = card();
    let rows = document["models"].as_array().unwrap();
    assert!(rows.len() > 60);
    for row in rows {
        let listed = row["model"].as_str().unwrap();
        let name = listed.replace("20*", "2026-11-22");
        assert_eq!(card.model(&name), Some(listed), "{name}");
    }
}

#[test]
fn kin_with_like_names_are_priced_apart() {
    let card = card();
    for (model, row, cents) in [
        ("gpt-4o", "gpt-4o", 1250),
        ("gpt-4o-2024-08-06", "gpt-4o-20*", 1250),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13", 2000),
        ("gpt-4o-mini", "gpt-4o-mini", 75),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini-20*", 75),
        ("gpt-4.1", "gpt-4.1", 1000),
        ("gpt-4.1-nano-2025-04-14", "gpt-4.1-nano-20*", 50),
        ("gpt-5", "gpt-5", 1125),
        ("gpt-5-mini-2025-08-07", "gpt-5-mini-20*", 225),
        ("gpt-5.1", "gpt-5.1", 1125),
        ("gpt-5.6-luna", "gpt-5.6-luna", 1100),
        ("o3", "o3", 1000),
        ("o3-mini", "o3-mini", 550),
        ("claude-opus-4-20250514", "claude-opus-4-20*", 9000),
        ("claude-opus-4-1-20250805", "claude-opus-4-1-20*", 9000),
        ("claude-opus-4-5-20251101", "claude-opus-4-5-20*", 3000),
        ("claude-opus-5", "claude-opus-5", 3000),
        ("claude-opus-5-5", "claude-opus-5-5", 2400),
        ("claude-sonnet-4-6", "claude-sonnet-4-6", 1800),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5-20*", 2850),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5-20*", 600),
        ("gemini-2.5-flash", "gemini-2.5-flash", 280),
        ("gemini-2.5-flash-lite", "gemini-2.5-flash-lite", 50),
        ("gemini-2.5-pro", "gemini-2.5-pro", 1750),
    ] {
        assert_eq!(card.model(model), Some(row), "{model}");
        let expected = cents * 10_000_000;
        assert_eq!(cost(&card, model, 1_000_000), Some(expected), "{model}");
    }
    assert_eq!(
        cost(&card, "claude-haiku-5-5", 100_000),
        Some(10_000_000 + 500_000_000)
    );
    assert_eq!(
        cost(&card, "claude-haiku-5-5", 100_001),
        Some(50_000_500 + 2_500_000_000)
    );
}

#[test]
fn counting_a_gemini_models_tokens_is_free_and_asking_it_is_not() {
    let document: Value = serde_json::from_str(CARD).unwrap();
    let card = card();
    let rule = |path: String| {
        let request = Request {
            method: b"POST",
            path: path.as_bytes(),
            ..Request::default()
        };
        match card.price(request) {
            Decision::Rule(rule) => (rule.id().to_owned(), rule.is_free()),
            other => panic!("{path}: {other:?}"),
        }
    };
    let rows = document["models"].as_array().unwrap();
    let names = rows.iter().map(|row| row["model"].as_str().unwrap());
    let names: Vec<&str> = names.filter(|name| name.starts_with("gemini")).collect();
    assert!(names.len() > 5);
    for name in names {
        let call = |verb: &str| rule(format!("/v1beta/models/{name}:{verb}"));
        assert_eq!(call("countTokens"), (format!("count-{name}"), true));
        for verb in ["generateContent", "streamGenerateContent?alt=sse"] {
            assert_eq!(call(verb), ("gemini".to_owned(), false), "{name}:{verb}");
        }
    }
}

#[test]
fn a_model_that_is_not_listed_is_not_priced_as_its_kin() {
    let card = card();
    for model in [
        "gpt-5.9",
        "gpt-4o-audio-preview",
        "gpt-4o-mini-tts",
        "gpt-5-pro",
        "o3-pro",
        "o3-deep-research",
        "claude-opus-6",
        "claude-opus-4-9",
        "gemini-2.5-pro-preview-tts",
        "gemini-2.5-flash-image",
        "text-embedding-4",
        "deepseek-v5",
        "gpt-4",
        "",
    ] {
        assert_eq!(card.model(model), None, "{model}");
    }
}
