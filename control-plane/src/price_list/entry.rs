//! One model of a list, as a row of a rate card.

use std::collections::{BTreeMap, BTreeSet};

use creditgate_core::amount::{Currency, Scale, default_scale};
use creditgate_core::rate_card::{
    ContextTierDocument, ModelDocument, Per, Price, RateCard, RateCardDocument, Unmatched,
};
use creditgate_core::usage::TokenKind;

use super::Decimal;
use super::list::Entry;

/// Kinds of models whose use is counted in tokens, read and written.
const WRITING: [&str; 3] = ["chat", "completion", "responses"];
/// And of one that only reads.
const EMBEDDING: &str = "embedding";

/// A field that a rate card has a place for: what tokens of a kind cost, each.
const KINDS: [(&str, TokenKind); TokenKind::COUNT] = [
    ("input_cost_per_token", TokenKind::Input),
    ("cache_read_input_token_cost", TokenKind::CachedInput),
    ("cache_creation_input_token_cost", TokenKind::CacheWrite),
    (
        "cache_creation_input_token_cost_above_1hr",
        TokenKind::CacheWrite1h,
    ),
    ("output_cost_per_token", TokenKind::Output),
    ("output_cost_per_reasoning_token", TokenKind::Reasoning),
    ("input_cost_per_audio_token", TokenKind::AudioInput),
    ("output_cost_per_audio_token", TokenKind::AudioOutput),
    ("input_cost_per_image_token", TokenKind::Image),
    ("output_cost_per_image_token", TokenKind::ImageOutput),
];

/// Prices for a million tokens, by their kinds.
type Prices = BTreeMap<TokenKind, Decimal>;

/// What an entry of the list became.
pub(super) struct Row {
    pub(super) model: ModelDocument,
    /// Fields that a rate card has no place for.
    pub(super) unsayable: Vec<String>,
    /// Fields that say 0: an oversight more often than a gift. Such tokens cost what they would
    /// if nothing were said of them.
    pub(super) zero: Vec<String>,
}

/// The row, or why there is none.
pub(super) fn row(name: &str, entry: &Entry, markup: Decimal) -> Result<Row, String> {
    let mode = entry.text("mode");
    let mode = mode.as_deref().ok_or("it has no mode")?;
    if !WRITING.contains(&mode) && mode != EMBEDDING {
        return Err(format!("mode {mode} is not counted in tokens"));
    }
    if name.contains('*') {
        return Err("its name has a * in it, which would mean more than it".to_owned());
    }
    let mut seen = BTreeSet::new();
    let mut unsayable = Vec::new();
    let mut zero = Vec::new();
    // By the tokens above which they are for: 0 for the base.
    let mut tiers: BTreeMap<u64, Prices> = BTreeMap::new();
    for (field, value) in &entry.0 {
        if !seen.insert(field.as_str()) {
            return Err(format!("{field} is there twice"));
        }
        let is_nothing = matches!(value.get(), "null" | "0" | "0.0" | "[]");
        match place(field) {
            Some((kind, above)) if value.get() != "null" => {
                let price: Decimal = (value.get().parse())
                    .map_err(|error| format!("{field} {} {error}", value.get()))?;
                let price = price.shifted(6).marked_up(markup);
                let price = price.map_err(|error| format!("{field} {error}"))?;
                let is_meant = mode == EMBEDDING && kind == TokenKind::Output;
                if price.is_zero() && !is_meant {
                    zero.push(field.clone());
                } else {
                    tiers.entry(above).or_default().insert(kind, price);
                }
            }
            None if is_step(field) && !is_nothing => {
                return Err(format!("{field} is a price by steps that are not read"));
            }
            None if is_price(field) && !is_nothing => unsayable.push(field.clone()),
            _ => {}
        }
    }
    unsayable.sort();
    zero.sort();
    let base = tiers.remove(&0).unwrap_or_default();
    check_base(&base, mode)?;
    let model = document(name, &base, tiers)?;
    check_row(&model)?;
    Ok(Row {
        model,
        unsayable,
        zero,
    })
}

/// What a field is the price of, and above how many tokens read.
fn place(field: &str) -> Option<(TokenKind, u64)> {
    let mut kinds = KINDS.iter().filter_map(|(name, kind)| {
        let rest = field.strip_prefix(name)?;
        Some((*kind, rest))
    });
    kinds.find_map(|(kind, rest)| {
        if rest.is_empty() {
            return Some((kind, 0));
        }
        let tokens = rest.strip_prefix("_above_")?.strip_suffix("_tokens")?;
        let (count, factor) = match tokens.strip_suffix('k') {
            Some(thousands) => (thousands, 1_000),
            None => (tokens, 1),
        };
        let is_count = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
        let count: u64 = count.parse().ok().filter(|count| is_count && *count > 0)?;
        Some((kind, count.checked_mul(factor)?))
    })
}

/// Whether it says what tokens cost from some length on, in a form that [`place`] does not know.
/// Without it long requests would cost what short ones do.
fn is_step(field: &str) -> bool {
    let mut rests = KINDS
        .iter()
        .filter_map(|(name, _)| field.strip_prefix(name));
    let is_above = |rest: &str| rest.starts_with("_above_") && rest.ends_with("_tokens");
    field == "tiered_pricing" || rests.any(is_above)
}

/// Whether it says what something costs, or how many times more.
fn is_price(field: &str) -> bool {
    ["cost", "price", "pricing", "multiplier"]
        .iter()
        .any(|word| field.contains(word))
}

/// Without these nothing could be charged for what every request has.
fn check_base(base: &Prices, mode: &str) -> Result<(), String> {
    let known = |kind| base.get(&kind).copied().unwrap_or_default();
    if known(TokenKind::Input).is_zero() {
        return Err("it has no price of a token read".to_owned());
    }
    if mode != EMBEDDING && known(TokenKind::Output).is_zero() {
        return Err("it has no price of a token written".to_owned());
    }
    Ok(())
}

fn document(
    name: &str,
    base: &Prices,
    tiers: BTreeMap<u64, Prices>,
) -> Result<ModelDocument, String> {
    let whole = tier(0, base)?;
    let mut context_tiers = Vec::new();
    let mut before = base.clone();
    for (above_input_tokens, prices) in tiers {
        // What a tier doesn't name costs what it did before.
        before.extend(prices);
        context_tiers.push(tier(above_input_tokens, &before)?);
    }
    Ok(ModelDocument {
        model: name.to_owned(),
        per: Per::Million,
        input: whole.input,
        cached_input: whole.cached_input,
        cache_write: whole.cache_write,
        cache_write_1h: whole.cache_write_1h,
        output: whole.output,
        reasoning: whole.reasoning,
        audio_input: whole.audio_input,
        audio_output: whole.audio_output,
        image: whole.image,
        image_output: whole.image_output,
        context_tiers,
    })
}

/// The prices above so many tokens read.
fn tier(above_input_tokens: u64, prices: &Prices) -> Result<ContextTierDocument, String> {
    let price = |kind| -> Result<Option<Price>, String> {
        let price = prices.get(&kind).map(|price| price.to_string().parse());
        price
            .transpose()
            .map_err(|error| format!("a price: {error}"))
    };
    let input = price(TokenKind::Input)?;
    Ok(ContextTierDocument {
        above_input_tokens,
        input: input.ok_or("it has no price of a token read")?,
        cached_input: price(TokenKind::CachedInput)?,
        cache_write: price(TokenKind::CacheWrite)?,
        cache_write_1h: price(TokenKind::CacheWrite1h)?,
        output: price(TokenKind::Output)?,
        reasoning: price(TokenKind::Reasoning)?,
        audio_input: price(TokenKind::AudioInput)?,
        audio_output: price(TokenKind::AudioOutput)?,
        image: price(TokenKind::Image)?,
        image_output: price(TokenKind::ImageOutput)?,
    })
}

/// What a rate card would refuse.
fn check_row(row: &ModelDocument) -> Result<(), String> {
    let usd = Currency::new("usd").map_err(|error| error.to_string())?;
    let scale: Scale = default_scale(&usd);
    let card = RateCardDocument {
        name: "one model".to_owned(),
        currency: usd,
        scale: Some(scale),
        default: Unmatched::Deny,
        rules_by_route: false,
        free_paths: Vec::new(),
        models: vec![row.clone()],
        rules: Vec::new(),
    };
    let compiled = RateCard::compile(&card, 1).map(drop);
    compiled.map_err(|error| {
        let place = error.pointer().trim_start_matches("/models/0/");
        format!("{place}: {}", error.message())
    })
}
