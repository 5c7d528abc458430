//! OpenAI's answers, and those of the many that speak its language.
//!
//! Sources: OpenAI API reference, "The chat completion object", "The chat completion chunk
//! object", "The response object", "Streaming events" of Responses, "Create embeddings".
//! There the parts are counted in the whole: `cached_tokens`, `cache_write_tokens`,
//! `audio_tokens` and `image_tokens` in the prompt's tokens, `reasoning_tokens`,
//! `audio_tokens` and `image_tokens` in the completion's. A stream tells its usage once: in a last chunk without choices, if asked
//! to by `stream_options.include_usage`, or in the event that ends the response.
//!
//! DeepSeek's reference ("Create chat completion") counts what its cache had in
//! `prompt_cache_hit_tokens`, in the prompt's tokens too.
//!
//! xAI's documentation ("Consumption and rate limits") counts reasoning beside the
//! completion and in the total only; the total shows which way a provider counts.

use super::{Field, Path, Slot};
use crate::usage::answer::Told;
use crate::usage::{TokenCounts, TokenKind, Unreadable};

pub(in crate::usage) static CHAT: &[Path] = &[
    Path::at(&["usage", "prompt_tokens"], Field::Count(Slot::Input)),
    Path::at(&["usage", "completion_tokens"], Field::Count(Slot::Output)),
    Path::at(&["usage", "total_tokens"], Field::Count(Slot::Total)),
    Path::at(
        &["usage", "prompt_tokens_details", "cached_tokens"],
        Field::Count(Slot::CachedInput),
    ),
    Path::at(
        &["usage", "prompt_cache_hit_tokens"],
        Field::Count(Slot::CacheHits),
    ),
    Path::at(
        &["usage", "prompt_tokens_details", "cache_write_tokens"],
        Field::Count(Slot::CacheWrite),
    ),
    Path::at(
        &["usage", "prompt_tokens_details", "audio_tokens"],
        Field::Count(Slot::AudioInput),
    ),
    Path::at(
        &["usage", "prompt_tokens_details", "image_tokens"],
        Field::Count(Slot::Image),
    ),
    Path::at(
        &["usage", "completion_tokens_details", "image_tokens"],
        Field::Count(Slot::ImageOutput),
    ),
    Path::at(
        &["usage", "completion_tokens_details", "reasoning_tokens"],
        Field::Count(Slot::Reasoning),
    ),
    Path::at(
        &["usage", "completion_tokens_details", "audio_tokens"],
        Field::Count(Slot::AudioOutput),
    ),
    Path::at(&["model"], Field::Model),
    Path::at(&["choices", "*", "text"], Field::Text),
    Path::at(&["choices", "*", "delta", "content"], Field::Text),
    Path::at(&["choices", "*", "delta", "refusal"], Field::Text),
    Path::at(&["choices", "*", "delta", "reasoning"], Field::Text),
    Path::at(&["choices", "*", "delta", "reasoning_content"], Field::Text),
    Path::at(
        &["choices", "*", "delta", "audio", "transcript"],
        Field::Text,
    ),
    Path::at(
        &["choices", "*", "delta", "function_call", "arguments"],
        Field::Text,
    ),
    Path::at(
        &[
            "choices",
            "*",
            "delta",
            "tool_calls",
            "*",
            "function",
            "arguments",
        ],
        Field::Text,
    ),
    Path::at(&["choices", "*", "message", "content"], Field::Text),
    Path::at(&["choices", "*", "message", "refusal"], Field::Text),
    Path::at(&["choices", "*", "message", "reasoning"], Field::Text),
    Path::at(
        &["choices", "*", "message", "reasoning_content"],
        Field::Text,
    ),
    Path::at(
        &["choices", "*", "message", "audio", "transcript"],
        Field::Text,
    ),
    Path::at(
        &["choices", "*", "message", "function_call", "arguments"],
        Field::Text,
    ),
    Path::at(
        &[
            "choices",
            "*",
            "message",
            "tool_calls",
            "*",
            "function",
            "arguments",
        ],
        Field::Text,
    ),
];

/// The whole response stands at the top, or in `response` of the event that ends it. Text
/// passes in `delta`s; what repeats it is not counted again.
pub(in crate::usage) static RESPONSES: &[Path] = &[
    Path::at(&["usage", "input_tokens"], Field::Count(Slot::Input)),
    Path::at(&["usage", "output_tokens"], Field::Count(Slot::Output)),
    Path::at(&["usage", "total_tokens"], Field::Count(Slot::Total)),
    Path::at(
        &["usage", "input_tokens_details", "cached_tokens"],
        Field::Count(Slot::CachedInput),
    ),
    Path::at(
        &["usage", "input_tokens_details", "cache_write_tokens"],
        Field::Count(Slot::CacheWrite),
    ),
    Path::at(
        &["usage", "input_tokens_details", "image_tokens"],
        Field::Count(Slot::Image),
    ),
    Path::at(
        &["usage", "output_tokens_details", "image_tokens"],
        Field::Count(Slot::ImageOutput),
    ),
    Path::at(
        &["usage", "output_tokens_details", "reasoning_tokens"],
        Field::Count(Slot::Reasoning),
    ),
    Path::at(&["model"], Field::Model),
    Path::at(&["output", "*", "content", "*", "text"], Field::Text),
    Path::at(&["output", "*", "content", "*", "refusal"], Field::Text),
    Path::at(&["output", "*", "summary", "*", "text"], Field::Text),
    Path::at(&["output", "*", "arguments"], Field::Text),
    Path::at(&["output", "*", "input"], Field::Text),
    Path::at(&["type"], Field::Event),
    Path::at(&["delta"], Field::Text),
    Path::at(
        &["response", "usage", "input_tokens"],
        Field::Count(Slot::Input),
    ),
    Path::at(
        &["response", "usage", "output_tokens"],
        Field::Count(Slot::Output),
    ),
    Path::at(
        &["response", "usage", "total_tokens"],
        Field::Count(Slot::Total),
    ),
    Path::at(
        &["response", "usage", "input_tokens_details", "cached_tokens"],
        Field::Count(Slot::CachedInput),
    ),
    Path::at(
        &[
            "response",
            "usage",
            "input_tokens_details",
            "cache_write_tokens",
        ],
        Field::Count(Slot::CacheWrite),
    ),
    Path::at(
        &["response", "usage", "input_tokens_details", "image_tokens"],
        Field::Count(Slot::Image),
    ),
    Path::at(
        &["response", "usage", "output_tokens_details", "image_tokens"],
        Field::Count(Slot::ImageOutput),
    ),
    Path::at(
        &[
            "response",
            "usage",
            "output_tokens_details",
            "reasoning_tokens",
        ],
        Field::Count(Slot::Reasoning),
    ),
    Path::at(&["response", "model"], Field::Model),
];

pub(in crate::usage) static EMBEDDINGS: &[Path] = &[
    Path::at(&["usage", "prompt_tokens"], Field::Count(Slot::Input)),
    Path::at(&["model"], Field::Model),
];

/// The events that end a response.
pub(in crate::usage) fn ends_response(event: &str) -> bool {
    let ends = [
        "response.completed",
        "response.incomplete",
        "response.failed",
    ];
    ends.contains(&event)
}

/// Takes the parts out of the wholes.
pub(super) fn counts(told: &Told) -> Result<TokenCounts, Unreadable> {
    let input = told.count(Slot::Input)?;
    let output = told.count(Slot::Output)?;
    let hits = told.count(Slot::CacheHits)?;
    let cached = told.count(Slot::CachedInput)?.max(hits);
    let written = told.count(Slot::CacheWrite)?;
    let audio = told.count(Slot::AudioInput)?;
    let image = told.count(Slot::Image)?;
    let sensed = audio.saturating_add(image);

    let mut counts = TokenCounts::ZERO;
    let fresh = part(input, cached.saturating_add(written))?;
    // Cached sound and images are told of twice; which of the cached tokens were such isn't,
    // and so as many as can be were not.
    let text = part(input, sensed)?;
    let cached_text = cached.min(text.saturating_sub(written.min(text)));
    counts.set(TokenKind::AudioInput, audio);
    counts.set(TokenKind::Image, image);
    counts.set(TokenKind::CacheWrite, written.min(text));
    counts.set(TokenKind::CachedInput, cached_text);
    counts.set(TokenKind::Input, fresh.saturating_sub(sensed));

    let audio = told.count(Slot::AudioOutput)?;
    let image = told.count(Slot::ImageOutput)?;
    let reasoning = told.count(Slot::Reasoning)?;
    let outside = beside_output(told, reasoning, cached.saturating_add(written))?;
    let inside = reasoning.saturating_sub(outside);
    let shown = audio.saturating_add(image);
    counts.set(TokenKind::AudioOutput, audio);
    counts.set(TokenKind::ImageOutput, image);
    counts.set(TokenKind::Reasoning, outside.saturating_add(inside));
    counts.set(
        TokenKind::Output,
        part(output, inside.saturating_add(shown))?,
    );
    Ok(counts)
}

/// Tokens in the total that are neither in the prompt nor in the completion: reasoning
/// beside the completion, told or not. A surplus of just the cached tokens is not taken for
/// that: some providers add them to the total once more.
fn beside_output(told: &Told, reasoning: u64, in_cache: u64) -> Result<u64, Unreadable> {
    let told_of = told
        .count(Slot::Input)?
        .saturating_add(told.count(Slot::Output)?);
    let surplus = told.count(Slot::Total)?.saturating_sub(told_of);
    let is_cache = surplus == in_cache && surplus != reasoning;
    Ok(if is_cache { 0 } else { surplus })
}

/// What is left of the whole without this part of it.
fn part(whole: u64, part: u64) -> Result<u64, Unreadable> {
    whole.checked_sub(part).ok_or(Unreadable::Absurd)
}
