//! Answers in the shapes that the providers document, and what goes wrong with them.

mod anthropic;
mod faults;
mod gemini;
mod limits;
mod openai;
mod pointers;
mod requests;

use super::{
    Format, Framing, ModelName, Seen, TokenCounts, TokenKind, Unreadable, Usage, UsageReader,
};

/// Reads an answer whole, then split in two at every byte, then byte by byte: it must come
/// to the same. Also what had been seen at its end.
fn read(format: &Format, framing: Framing, body: &str) -> (Result<Usage, Unreadable>, Seen) {
    let pushed = |pieces: &[&[u8]]| {
        let mut reader = UsageReader::new(format.clone(), framing);
        for piece in pieces {
            reader.push(piece);
        }
        (reader.seen(), reader.finish())
    };
    let body = body.as_bytes();
    let (seen, usage) = pushed(&[body]);
    for place in 0..=body.len() {
        let (head, tail) = body.split_at(place);
        assert_eq!(
            pushed(&[head, tail]),
            (seen, usage.clone()),
            "split at {place}"
        );
    }
    let bytes: Vec<&[u8]> = body.chunks(1).collect();
    assert_eq!(pushed(&bytes), (seen, usage.clone()), "byte by byte");
    (usage, seen)
}

fn usage_of(format: &Format, framing: Framing, body: &str) -> Result<Usage, Unreadable> {
    read(format, framing, body).0
}

fn used(model: &str, counts: &[(TokenKind, u64)]) -> Usage {
    Usage {
        tokens: tokens(counts),
        model: ModelName::new(model),
    }
}

fn tokens(counts: &[(TokenKind, u64)]) -> TokenCounts {
    counts.iter().copied().collect()
}
