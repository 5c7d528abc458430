//! Counts where an operator says they are.

use super::{usage_of, used};
use crate::usage::TokenKind::{CachedInput, Input, Output};
use crate::usage::format::Path;
use crate::usage::scanner::STEPS_MAX;
use crate::usage::{Format, Framing, Unreadable};

fn format(pointers: &str) -> Format {
    serde_json::from_str(&format!("{{\"pointers\":{pointers}}}")).unwrap()
}

#[test]
fn pointers_find_keys_and_elements() {
    let format = format(
        r#"{"input":"/stats/0/in","cached_input":"/stats/1/in","output":"/a~1b/~0/","model":"/by"}"#,
    );
    let body = r#"{"by":"m-1","stats":[{"in":5},{"in":3},{"in":9}],"a/b":{"~":{"":7,"x":8}}}"#;
    let usage = usage_of(&format, Framing::Json, body);
    let counts = [(Input, 5), (CachedInput, 3), (Output, 7)];
    assert_eq!(usage, Ok(used("m-1", &counts)));
    let keyed = r#"{"stats":{"0":{"in":5},"00":{"in":1}},"a/b":{"~":{"":7}}}"#;
    let usage = usage_of(&format, Framing::Json, keyed);
    assert_eq!(usage, Ok(used("", &[(Input, 5), (Output, 7)])));
}

#[test]
fn input_and_output_that_are_pointed_at_must_be_told() {
    let both = format(r#"{"input":"/in","output":"/out"}"#);
    for body in [
        "{}",
        r#"{"in":1}"#,
        r#"{"out":1}"#,
        r#"{"in":1,"out":null}"#,
        "[]",
        "7",
    ] {
        let usage = usage_of(&both, Framing::Json, body);
        assert_eq!(usage, Err(Unreadable::Missing), "{body}");
    }
    let cached = format(r#"{"cached_input":"/c","image":"/i"}"#);
    let usage = usage_of(&cached, Framing::Json, r#"{"c":1}"#);
    assert_eq!(usage, Ok(used("", &[(CachedInput, 1)])));
    assert_eq!(
        usage_of(&cached, Framing::Json, "{}"),
        Err(Unreadable::Missing)
    );
}

#[test]
fn events_are_read_only_if_the_operator_says_so() {
    let events = "data: {\"in\":1}\n\ndata: {\"in\":2}\n\ndata: [DONE]\n\n";
    let pointers = r#"{"input":"/in","stream":true}"#;
    let usage = usage_of(&format(pointers), Framing::Sse, events);
    assert_eq!(usage, Ok(used("", &[(Input, 2)])));
    let usage = usage_of(&format(r#"{"input":"/in"}"#), Framing::Sse, events);
    assert_eq!(usage, Err(Unreadable::Unsupported));
}

#[test]
fn a_format_is_written_as_it_is_read() {
    for text in [
        r#""openai_chat""#,
        r#""openai_responses""#,
        r#""openai_embeddings""#,
        r#""anthropic_messages""#,
        r#""gemini""#,
        r#"{"pointers":{"output":"/usage/out","model":"/model","stream":true}}"#,
    ] {
        let format: Format = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&format).unwrap(), text);
        let paths = format.paths();
        let is_short = |path: &Path| path.steps.get(STEPS_MAX).is_none();
        assert!(paths.len() <= 64 && paths.iter().all(is_short), "{text}");
    }
}

#[test]
fn pointers_that_lead_nowhere_are_refused() {
    let long = format!("{{\"input\":\"/{}\"}}", "k".repeat(65));
    for (pointers, reason) in [
        ("{}", "no pointer to a count"),
        (r#"{"model":"/model"}"#, "no pointer to a count"),
        (r#"{"input":""}"#, "no JSON pointer"),
        (r#"{"input":"usage/in"}"#, "no JSON pointer"),
        (r#"{"input":"/a~2"}"#, "no JSON pointer"),
        (r#"{"input":"/a~"}"#, "no JSON pointer"),
        (r#"{"input":"/list/*/in"}"#, "step *"),
        (r#"{"input":"/1/2/3/4/5/6/7/8/9"}"#, "more than 8 steps"),
        (&long, "64 bytes"),
        (r#"{"inputs":"/a"}"#, "unknown field"),
    ] {
        let text = format!("{{\"pointers\":{pointers}}}");
        let error = serde_json::from_str::<Format>(&text)
            .unwrap_err()
            .to_string();
        assert!(error.contains(reason), "{pointers}: {error}");
    }
}
