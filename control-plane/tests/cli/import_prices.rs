//! `creditgate import-prices`: a list in the public shape, with numbers made up by hand.

use std::fs;
use std::path::Path;
use std::process::Output;

use creditgate_core::rate_card::{RateCard, RateCardDocument};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::creditgate;

fn list() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/price_list.json");
    path.display().to_string()
}

fn import(arguments: &[&str]) -> Output {
    let mut command = creditgate();
    command.arg("import-prices").args(arguments);
    command.output().unwrap()
}

fn models(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn prices_of_a_token_become_prices_of_a_million_to_the_last_digit() {
    let output = import(&[&list(), "--provider", "alpha"]);
    assert_eq!(
        models(&output),
        json!([
            {"model": "alpha-chat", "per": 1_000_000, "input": "0.15", "cached_input": "0.075", "output": "0.6"},
            {"model": "alpha-embeds", "per": 1_000_000, "input": "0.02", "output": "0"},
            {"model": "alpha-hears", "per": 1_000_000, "input": "2.5", "output": "10", "reasoning": "12",
                "audio_input": "40", "audio_output": "80", "image": "3", "image_output": "30",
                "cache_write_1h": "5", "context_tiers": [
                    {"above_input_tokens": 200_000, "input": "5", "cache_write_1h": "10", "output": "10",
                        "reasoning": "12", "audio_input": "40", "audio_output": "80", "image": "3",
                        "image_output": "30"},
                ]},
            {"model": "alpha-long", "per": 1_000_000, "input": "1.25", "cached_input": "0.31",
                "cache_write": "1.5", "output": "10", "context_tiers": [
                    {"above_input_tokens": 200_000, "input": "2.5", "cached_input": "0.31",
                        "cache_write": "1.5", "output": "15"},
                    {"above_input_tokens": 400_000, "input": "2.5", "cached_input": "0.6",
                        "cache_write": "1.5", "output": "20"},
                ]},
        ])
    );
    assert_eq!(told(&output), "4 models\n");
}

#[test]
fn what_a_rate_card_can_not_say_is_told_line_by_line_and_left_out() {
    let output = import(&[&list()]);
    let names: Vec<Value> = models(&output)
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["model"].clone())
        .collect();
    assert_eq!(
        names,
        [
            "alpha-chat",
            "alpha-embeds",
            "alpha-hears",
            "alpha-long",
            "beta/alpha-chat",
            "beta/deluxe",
            "beta/same",
            "by-no-range",
            "same",
            "zeros"
        ]
    );
    let zeros = &models(&output)[9];
    assert_eq!(
        *zeros,
        json!({"model": "zeros", "per": 1_000_000, "input": "1", "output": "2"})
    );
    let told = told(&output);
    let lines: Vec<&str> = told.lines().collect();
    for (line, expected) in lines.iter().zip([
        "a*star: left out: its name has a * in it",
        "beta/deluxe: without input_cost_per_token_priority, \
         regional_processing_uplift_multiplier_eu, search_context_cost_per_query, which",
        "by-odd-step: left out: input_cost_per_token_above_0.2m_tokens is a price by steps that are not read",
        "by-range: left out: tiered_pricing is a price by steps that are not read",
        "by-word: left out: input_cost_per_token \"cheap\" is not a number",
        "cheaper-when-long: left out: context_tiers/0: the price of input tokens is lower",
        "draws: left out: mode image_generation is not counted in tokens",
        "free: left out: it has no price of a token read",
        "half-free: left out: it has no price of a token written",
        "listed-twice: left out: listed more than once, at different prices",
        "modeless: left out: it has no mode",
        "negative: left out: input_cost_per_token -1e-06 is negative",
        "too-fine: left out: input: 0.0000000000000000000000000000000001 has more than 21 digits",
        "twice-priced: left out: input_cost_per_token is there twice",
        "two words: left out: model: ",
        "zeros: without cache_creation_input_token_cost, cache_read_input_token_cost, \
         input_cost_per_audio_token, input_cost_per_token_above_200k_tokens, \
         output_cost_per_reasoning_token, 0 in the list: as if it were not there",
        "10 models",
    ]) {
        assert!(line.starts_with(expected), "{line}\nis not\n{expected}");
    }
    assert_eq!(lines.len(), 17, "{told}");
}

#[test]
fn names_are_stripped_and_those_that_then_mean_two_things_are_left_out() {
    let output = import(&[
        &list(),
        "--strip-prefix",
        "beta/",
        "--models",
        "*alpha-chat",
        "--models",
        "*same",
    ]);
    assert_eq!(
        models(&output),
        json!([{"model": "same", "per": 1_000_000, "input": "1", "output": "2"}]),
        "both of that name say the same"
    );
    let told = told(&output);
    assert!(told.starts_with("alpha-chat: left out: listed more than once, at different prices: alpha-chat, beta/alpha-chat\n"), "{told}");
}

#[test]
fn a_markup_comes_on_top_of_every_price_exactly() {
    let output = import(&[&list(), "--models", "alpha-chat", "--markup", "12.5"]);
    assert_eq!(
        models(&output),
        json!([{"model": "alpha-chat", "per": 1_000_000, "input": "0.16875", "cached_input": "0.084375", "output": "0.675"}])
    );
    for markup in ["-5", "much"] {
        let refused = import(&[&list(), "--markup", markup]);
        assert!(
            !refused.status.success() && refused.stdout.is_empty(),
            "{refused:?}"
        );
    }
}

#[test]
fn the_same_list_gives_the_same_bytes_and_a_card_that_can_be_put() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("card.json");
    let card = json!({
        "name": "models", "currency": "usd", "default": "deny",
        "models": [{"model": "old", "input": 1}],
        "rules": [{"id": "chat", "path": {"prefix": "/v1"}, "tokens": {"format": "openai_chat"}}],
    });
    fs::write(&path, card.to_string()).unwrap();
    let path = path.display().to_string();
    let arguments = [&list(), "--provider", "alpha", "--card", &path];
    let output = import(&arguments);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(import(&arguments).stdout, output.stdout);
    let document = RateCardDocument::from_json(&output.stdout).unwrap();
    let card = RateCard::compile(&document, 1).unwrap();
    assert_eq!(
        (card.model("alpha-chat"), card.model("old")),
        (Some("alpha-chat"), None)
    );
    assert_eq!(card.rules().len(), 1);
}

#[test]
fn prices_in_dollars_are_not_put_into_a_card_in_another_currency() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("card.json");
    let card = json!({"name": "models", "currency": "jpy", "default": "deny", "rules": []});
    fs::write(&path, card.to_string()).unwrap();
    let path = path.display().to_string();
    let output = import(&[&list(), "--card", &path]);
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(told(&output).contains("is in jpy"), "{output:?}");
}

#[test]
fn a_list_that_can_not_be_read_or_has_nothing_wanted_is_an_error() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("list.json");
    for text in [
        "",
        "[]",
        "{\"a\": 1}",
        "{\"a\": {\"input_cost_per_token\": 1e-06",
    ] {
        fs::write(&path, text).unwrap();
        let output = import(&[&path.display().to_string()]);
        assert!(
            !output.status.success() && output.stdout.is_empty(),
            "{text}: {output:?}"
        );
    }
    let none = import(&[&list(), "--models", "gamma*"]);
    assert!(!none.status.success() && none.stdout.is_empty(), "{none:?}");
    let missing = import(&["/nowhere/list.json"]);
    assert!(
        told(&missing).contains("can't read /nowhere/list.json"),
        "{missing:?}"
    );
}
