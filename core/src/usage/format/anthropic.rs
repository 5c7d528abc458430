//! Anthropic's answers.
//!
//! Sources: Anthropic API reference, "Messages"; "Streaming messages"; "Prompt caching",
//! "Compaction". Input, cache reads and cache writes are counted apart. A stream tells the
//! input in `message_start`, with a beginning of the output, and the rest in
//! `message_delta`, whose counts are cumulative. An answer that took several rounds counts
//! them in `iterations`; what is paid is their sum, of which the counts at the top may
//! leave out some.

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
    Path::at(&["usage", "output_tokens"], Field::Count(Slot::Output)),
    Path::at(&["usage", "iterations"], Field::List(List::Rounds)),
    Path::at(&["usage", "iterations", "*"], Field::Element(List::Rounds)),
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
    let mut counts = TokenCounts::ZERO;
    for (kind, slot, rounds) in [
        (TokenKind::Input, Slot::Input, Slot::RoundsInput),
        (
            TokenKind::CachedInput,
            Slot::CachedInput,
            Slot::RoundsCachedInput,
        ),
        (
            TokenKind::CacheWrite,
            Slot::CacheWrite,
            Slot::RoundsCacheWrite,
        ),
        (TokenKind::Output, Slot::Output, Slot::RoundsOutput),
    ] {
        counts.set(kind, told.count(slot)?.max(told.count(rounds)?));
    }
    Ok(counts)
}
