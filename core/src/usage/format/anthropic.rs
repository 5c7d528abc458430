//! Anthropic's answers.
//!
//! Sources: Anthropic API reference, "Messages"; "Streaming messages"; "Prompt caching",
//! "Compaction"; "Advisor tool"; "Refusals and fallback". Input, cache reads and cache writes
//! are counted apart; of the writes, `cache_creation` tells which are kept for an hour, and of
//! the output `output_tokens_details` what was thought ("Thinking"). A stream tells the input
//! in `message_start`, with a beginning of the output, and the rest in `message_delta`, whose
//! counts are cumulative. An answer that took several rounds counts them in `iterations`; what
//! is paid is their sum, of which the counts at the top may leave out some. A round that
//! another model did (`advisor_message`, `fallback_message`) names it, and is paid at that
//! one's price.

use super::{Field, Item, List, Path, Slot};
use crate::usage::answer::Told;
use crate::usage::{TokenCounts, TokenKind, Unreadable};

pub(in crate::usage) static MESSAGES: &[Path] = &[
    Path::at(&["usage", "input_tokens"], Field::Count(Slot::Input)),
    Path::at(
        &["usage", "cache_read_input_tokens"],
        Field::Count(Slot::CachedInput),
    ),
    Path::at(
        &["usage", "cache_creation_input_tokens"],
        Field::Count(Slot::CacheWrite),
    ),
    Path::at(
        &["usage", "cache_creation", "ephemeral_1h_input_tokens"],
        Field::Count(Slot::CacheWrite1h),
    ),
    Path::at(&["usage", "output_tokens"], Field::Count(Slot::Output)),
    Path::at(
        &["usage", "output_tokens_details", "thinking_tokens"],
        Field::Count(Slot::Reasoning),
    ),
    Path::at(&["usage", "iterations"], Field::List(List::Rounds)),
    Path::at(&["usage", "iterations", "*"], Field::Element(List::Rounds)),
    Path::at(&["usage", "iterations", "*", "model"], Field::RoundModel),
    Path::at(
        &["usage", "iterations", "*", "input_tokens"],
        Field::Item(Item::INPUT),
    ),
    Path::at(
        &["usage", "iterations", "*", "cache_read_input_tokens"],
        Field::Item(Item::CachedInput),
    ),
    Path::at(
        &["usage", "iterations", "*", "cache_creation_input_tokens"],
        Field::Item(Item::CacheWrite),
    ),
    Path::at(
        &[
            "usage",
            "iterations",
            "*",
            "cache_creation",
            "ephemeral_1h_input_tokens",
        ],
        Field::Item(Item::CacheWrite1h),
    ),
    Path::at(
        &["usage", "iterations", "*", "output_tokens"],
        Field::Item(Item::Output),
    ),
    Path::at(
        &["message", "usage", "input_tokens"],
        Field::Count(Slot::Input),
    ),
    Path::at(
        &["message", "usage", "cache_read_input_tokens"],
        Field::Count(Slot::CachedInput),
    ),
    Path::at(
        &["message", "usage", "cache_creation_input_tokens"],
        Field::Count(Slot::CacheWrite),
    ),
    Path::at(
        &[
            "message",
            "usage",
            "cache_creation",
            "ephemeral_1h_input_tokens",
        ],
        Field::Count(Slot::CacheWrite1h),
    ),
    Path::at(
        &["message", "usage", "output_tokens"],
        Field::Count(Slot::Output),
    ),
    Path::at(&["model"], Field::Model),
    Path::at(&["message", "model"], Field::Model),
    Path::at(&["type"], Field::Event),
    Path::at(&["delta", "text"], Field::Text),
    Path::at(&["delta", "thinking"], Field::Text),
    Path::at(&["delta", "partial_json"], Field::Text),
    Path::at(&["content", "*", "text"], Field::Text),
    Path::at(&["content", "*", "thinking"], Field::Text),
    Path::at(&["content", "*", "input"], Field::Text),
];

/// The event whose output is no longer a beginning.
pub(in crate::usage) const FINAL_COUNTS: &str = "message_delta";
/// The event that ends a message.
pub(in crate::usage) const END: &str = "message_stop";

/// Of each kind what the top says, or the rounds together if that is more.
pub(super) fn counts(told: &Told) -> Result<TokenCounts, Unreadable> {
    let most = |slot, rounds| Ok(told.count(slot)?.max(told.count(rounds)?));
    let input = most(Slot::Input, Slot::RoundsInput)?;
    let cached = most(Slot::CachedInput, Slot::RoundsCachedInput)?;
    let written = most(Slot::CacheWrite, Slot::RoundsCacheWrite)?;
    let for_an_hour = most(Slot::CacheWrite1h, Slot::RoundsCacheWrite1h)?;
    let output = most(Slot::Output, Slot::RoundsOutput)?;
    let thought = told.count(Slot::Reasoning)?;
    let part = |whole: u64, part| whole.checked_sub(part).ok_or(Unreadable::Absurd);
    Ok(TokenCounts::from_iter([
        (TokenKind::Input, input),
        (TokenKind::CachedInput, cached),
        (TokenKind::CacheWrite, part(written, for_an_hour)?),
        (TokenKind::CacheWrite1h, for_an_hour),
        (TokenKind::Output, part(output, thought)?),
        (TokenKind::Reasoning, thought),
    ]))
}
