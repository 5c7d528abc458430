//! Usage: whatever comes, in whatever chunks, is read as a reader of the whole would.

use crate::answers::{answer, any_counts, any_kind, json_text, kinds, spoil};
use crate::generator::Generator;
use creditgate_core::usage::{
    COUNT_MAX, Format, Framing, Seen, TokenKind, Unreadable, Usage, UsageReader,
};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

property! {
    fn a_pointer_finds_what_a_reader_of_the_whole_finds(generator) {
        let document = json_text(generator, 0);
        let whole: Value = serde_json::from_str(&document).unwrap();
        for _ in 0..4 {
            let pointer: String = (0..=generator.below(3))
                .map(|_| format!("/{}", generator.pick(&["a", "b", "c", "0", "1", "01", "", "k~0", "x~1y", "é"])))
                .collect();
            let expected = match whole.pointer(&pointer) {
                None | Some(Value::Null) => Err(Unreadable::Missing),
                Some(value) => match value.as_u64().filter(|count| *count <= COUNT_MAX) {
                    // Nothing read, nothing written: no answer costs that.
                    Some(0) => Err(Unreadable::Missing),
                    Some(count) => Ok(count),
                    None => Err(Unreadable::Absurd),
                },
            };
            let format = serde_json::from_value(json!({"pointers": {"input": pointer}})).unwrap();
            let (_, usage) = in_pieces(&format, Framing::Json, document.as_bytes(), generator);
            let read = usage.map(|usage| usage.tokens.get(TokenKind::Input));
            assert_eq!(read, expected, "{pointer} in {document}");
        }
    }
}

property! {
    fn json_is_what_a_strict_reader_takes_for_it(generator) {
        let mut document = json_text(generator, 0).into_bytes();
        for _ in 0..generator.below(3) {
            spoil(&mut document, generator);
        }
        let is_json = serde_json::from_slice::<IgnoredAny>(&document).is_ok();
        let is_empty = document.trim_ascii().is_empty();
        let (_, usage) = in_pieces(&Format::OpenAiChat, Framing::Json, &document, generator);
        let was_refused = usage == Err(Unreadable::NotJson);
        assert_eq!(was_refused, !is_json && !is_empty, "{}", document.escape_ascii());
    }
}

property! {
    fn what_was_used_is_what_is_read(generator) {
        let (format, framing) = any_kind(generator);
        let used = any_counts(&format, generator);
        let body = answer(&format, framing, &used, generator);
        let (seen, usage) = in_pieces(&format, framing, body.as_bytes(), generator);
        assert_eq!(usage.map(|usage| usage.tokens), Ok(used), "{format:?} {body}");
        assert!(seen.is_ended && seen.tokens == Some(used), "{body}");
    }
}

property! {
    fn every_split_is_read_as_the_whole(generator) {
        let (format, framing) = any_kind(generator);
        let used = any_counts(&format, generator);
        let mut body = answer(&format, framing, &used, generator).into_bytes();
        for _ in 0..generator.below(3) {
            spoil(&mut body, generator);
        }
        let other = any_kind(generator);
        for (format, framing) in [(format, framing), other] {
            let whole = at_once(&format, framing, &body);
            let pieces = in_pieces(&format, framing, &body, generator);
            assert_eq!(pieces, whole, "{format:?} {framing:?} {}", body.escape_ascii());
        }
    }
}

property! {
    fn any_bytes_are_read_or_refused(generator) {
        let (format, framing) = any_kind(generator);
        any_bytes_are_safe(&format, framing, &generator.bytes(200), generator.below(200) as usize);
        let pieces = ["[", "{", "\"usage\":", "\"prompt_tokens\":", "\"", "\\", "u00", "1", "-", ".", "e", ",", "}", "]",
            ":", "data", "\n", "\r", "\u{feff}", "[DONE]", " ", "null", "true"];
        let text = generator.text(&pieces, 60);
        any_bytes_are_safe(&format, framing, text.as_bytes(), generator.below(200) as usize);
    }
}

/// A reader shows all that it holds; so if that stays short, it doesn't grow.
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
#[cfg_attr(not(target_arch = "wasm32"), test)]
fn nothing_makes_a_reader_grow() {
    let long = "x".repeat(1 << 18);
    for body in [
        long.clone(),
        format!("\"{long}"),
        format!("{{\"{long}"),
        format!("{{\"model\":\"{long}"),
        format!("{{\"usage\":{{\"prompt_tokens\":{}", "9".repeat(1 << 18)),
        format!("{{\"a\":[{}", "[1],".repeat(1 << 16)),
        "[".repeat(1 << 18),
        "{\"choices\":[".repeat(1 << 14),
        format!(
            "{{\"usage\":{{\"iterations\":[{}",
            "{\"input_tokens\":1},".repeat(1 << 14)
        ),
        format!("{{\"choices\":[{{\"delta\":{{\"content\":\"{long}"),
    ] {
        for prefix in ["", "data: ", "event: ", "\u{feff}data:"] {
            for (format, framing) in kinds() {
                let mut reader = UsageReader::new(format, framing);
                for piece in format!("{prefix}{body}").as_bytes().chunks(1000) {
                    reader.push(piece);
                }
                let held = format!("{reader:?}").len();
                assert!(held < 8192, "{held}: {reader:?}");
            }
        }
    }
}

pub(crate) fn any_bytes_are_safe(format: &Format, framing: Framing, bytes: &[u8], place: usize) {
    let (head, tail) = bytes.split_at(place.min(bytes.len()));
    let mut reader = UsageReader::new(format.clone(), framing);
    reader.push(head);
    reader.push(tail);
    let split = (reader.seen(), reader.finish());
    assert_eq!(
        split,
        at_once(format, framing, bytes),
        "{}",
        bytes.escape_ascii()
    );
}

fn at_once(format: &Format, framing: Framing, body: &[u8]) -> (Seen, Result<Usage, Unreadable>) {
    let mut reader = UsageReader::new(format.clone(), framing);
    reader.push(body);
    (reader.seen(), reader.finish())
}

/// The body in pieces of any length, some of them empty.
fn in_pieces(
    format: &Format,
    framing: Framing,
    body: &[u8],
    generator: &mut Generator,
) -> (Seen, Result<Usage, Unreadable>) {
    let mut reader = UsageReader::new(format.clone(), framing);
    let longest = generator.pick(&[&1, &7, &100]) + 1;
    let mut rest = body;
    while !rest.is_empty() {
        let length = generator.below(longest).min(rest.len() as u64) as usize;
        let (piece, after) = rest.split_at(length);
        reader.push(piece);
        rest = after;
    }
    (reader.seen(), reader.finish())
}
