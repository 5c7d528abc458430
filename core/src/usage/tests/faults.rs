//! Answers that can't be relied on: an error each, never free, never a panic.

use super::{read, usage_of, used};
use crate::usage::TokenKind::{Input, Output};
use crate::usage::{Format, Framing, Unreadable, UsageReader};

fn chat(body: &str) -> Result<crate::usage::Usage, Unreadable> {
    usage_of(&Format::OpenAiChat, Framing::Json, body)
}

#[test]
fn a_number_that_cannot_be_true_is_absurd() {
    for number in [
        "-1",
        "-0",
        "1.0",
        "1.5",
        "1e3",
        "1000000000001",
        "99999999999999999999999999",
        "\"12\"",
        "true",
        "[1]",
        "{}",
    ] {
        let body = format!(r#"{{"usage":{{"prompt_tokens":{number},"completion_tokens":2}}}}"#);
        assert_eq!(chat(&body), Err(Unreadable::Absurd), "{number}");
    }
    let largest = r#"{"usage":{"prompt_tokens":1000000000000,"completion_tokens":0}}"#;
    assert_eq!(chat(largest), Ok(used("", &[(Input, 1_000_000_000_000)])));
}

#[test]
fn usage_that_is_not_there_is_missing() {
    for body in [
        "",
        "  \n",
        "{}",
        "null",
        r#"{"usage":null}"#,
        r#"{"usage":{}}"#,
        r#"{"usage":7}"#,
        r#"{"usage":{"prompt_tokens":5}}"#,
        r#"{"usage":{"prompt_tokens":5,"completion_tokens":null}}"#,
        r#"{"error":{"message":"no","usage":{"prompt_tokens":5,"completion_tokens":5}}}"#,
        r#"[{"usage":{"prompt_tokens":5,"completion_tokens":5}}]"#,
    ] {
        assert_eq!(chat(body), Err(Unreadable::Missing), "{body}");
    }
}

#[test]
fn an_answer_that_used_nothing_at_all_did_not_tell() {
    let pointers = serde_json::from_str(r#"{"pointers":{"output":"/out"}}"#).unwrap();
    for (format, zero, one) in [
        (
            Format::OpenAiChat,
            r#"{"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}"#,
            r#"{"usage":{"prompt_tokens":1,"completion_tokens":0}}"#,
        ),
        (
            Format::OpenAiResponses,
            r#"{"usage":{"input_tokens":0,"output_tokens":0}}"#,
            r#"{"usage":{"input_tokens":0,"output_tokens":1}}"#,
        ),
        (
            Format::OpenAiEmbeddings,
            r#"{"usage":{"prompt_tokens":0}}"#,
            r#"{"usage":{"prompt_tokens":1}}"#,
        ),
        (
            Format::AnthropicMessages,
            r#"{"usage":{"input_tokens":0,"output_tokens":0}}"#,
            r#"{"usage":{"input_tokens":0,"cache_read_input_tokens":1,"output_tokens":0}}"#,
        ),
        (
            Format::Gemini,
            r#"{"usageMetadata":{"promptTokenCount":0,"totalTokenCount":0}}"#,
            r#"{"usageMetadata":{"promptTokenCount":0,"totalTokenCount":1}}"#,
        ),
        (pointers, r#"{"out":0}"#, r#"{"out":1}"#),
    ] {
        let usage = usage_of(&format, Framing::Json, zero);
        assert_eq!(usage, Err(Unreadable::Missing), "{zero}");
        assert!(usage_of(&format, Framing::Json, one).is_ok(), "{one}");
    }
}

#[test]
fn the_last_of_equal_keys_wins() {
    for (body, expected) in [
        (
            r#"{"usage":{"prompt_tokens":1,"prompt_tokens":2,"completion_tokens":3}}"#,
            Ok(used("", &[(Input, 2), (Output, 3)])),
        ),
        (
            r#"{"usage":{"prompt_tokens":-1,"completion_tokens":3},"usage":{"prompt_tokens":2,"completion_tokens":4}}"#,
            Ok(used("", &[(Input, 2), (Output, 4)])),
        ),
        (
            r#"{"usage":{"prompt_tokens":1,"completion_tokens":3},"usage":{"prompt_tokens":2}}"#,
            Err(Unreadable::Missing),
        ),
        (
            r#"{"usage":{"prompt_tokens":1,"completion_tokens":3},"us\u0061ge":null}"#,
            Err(Unreadable::Missing),
        ),
    ] {
        assert_eq!(chat(body), expected, "{body}");
    }
}

#[test]
fn what_is_no_json_is_refused_even_after_its_usage() {
    let usage = r#""usage":{"prompt_tokens":5,"completion_tokens":5}"#;
    for body in [
        "{",
        "hello",
        "{'a':1}",
        &format!("{{{usage}"),
        &format!("{{{usage}}}}}"),
        &format!("{{{usage}}} {{}}"),
        &format!("{{{usage},}}"),
        &format!("{{{usage},\"a\":NaN}}"),
        &format!("{{{usage},\"a\":01}}"),
        &format!("{{{usage},\"a\":\"\n\"}}"),
        &format!("{{{usage},\"a\":[1,]}}"),
        &format!("{{{usage},\"a\":[}}"),
        &format!("{{{usage},\"a\":{{]}}"),
        &format!("{{{usage},\"a\":[1}}"),
        &format!("{{{usage},\"a\":[1}}}}"),
        &format!("{{{usage},\"a\":[{{\"b\":1]]}}"),
        &format!("{{{usage}]"),
        &format!("{{{usage},\"a\":trux}}"),
        &format!("\u{feff}{{{usage}}}"),
    ] {
        assert_eq!(chat(body), Err(Unreadable::NotJson), "{body}");
    }
    let event = format!("data: {{{usage}}}\n\n");
    for broken in [
        "data: {\"a\":\n\n",
        "data: [DONE\n\n",
        "data: [DONE]x\n\n",
        "data: oops\n\n",
    ] {
        for stream in [format!("{event}{broken}"), format!("{broken}{event}")] {
            let read = usage_of(&Format::OpenAiChat, Framing::Sse, &stream);
            assert_eq!(read, Err(Unreadable::NotJson), "{stream}");
        }
    }
}

#[test]
fn text_is_still_seen_after_a_broken_event() {
    let stream = "data: oops\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"four\"}}]}\n\ndata: [DONE]\n\n";
    let (usage, seen) = read(&Format::OpenAiChat, Framing::Sse, stream);
    assert_eq!(usage, Err(Unreadable::NotJson));
    assert_eq!((seen.output_bytes, seen.is_ended), (4, true));
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"a":{open}{close},"usage":{{"prompt_tokens":5,"completion_tokens":5}}}}"#)
    };
    assert_eq!(chat(&nested(127)), Ok(used("", &[(Input, 5), (Output, 5)])));
    assert_eq!(chat(&nested(128)), Err(Unreadable::NotJson));
    let mixed = "{\"usage\":[".repeat(70);
    assert_eq!(chat(&mixed), Err(Unreadable::NotJson));
}

#[test]
fn odd_keys_and_names_are_passed_over() {
    let key = "k".repeat(5000);
    let name = "m".repeat(129);
    let body = format!(
        r#"{{"{key}":1,"model":"{name}","usage":{{"prompt_tokens":5,"completion_tokens":5,"{key}":-1}}}}"#
    );
    assert_eq!(chat(&body), Ok(used("", &[(Input, 5), (Output, 5)])));
}

#[test]
fn what_is_not_read_says_so() {
    let reader = |framing| {
        let mut reader = UsageReader::new(Format::OpenAiChat, framing);
        reader.push(b"\x1f\x8b");
        reader.finish()
    };
    assert_eq!(reader(Framing::Encoded), Err(Unreadable::Encoded));
    assert_eq!(reader(Framing::Unsupported), Err(Unreadable::Unsupported));
}

/// Nothing in a reader grows, but for the name of the model.
#[test]
fn a_reader_is_small() {
    let size = size_of::<UsageReader>();
    assert!(size <= 1536, "{size} bytes");
}
