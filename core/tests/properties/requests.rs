//! Requests: what they ask for is what a reader of the whole sees, and an edit changes
//! what it is to change and nothing else.

use crate::answers::{json_text, kinds};
use crate::generator::Generator;
use creditgate_core::usage::{Format, Unreadable, asked, with_output_max, with_usage};
use serde_json::{Value, json};

property! {
    fn what_is_asked_is_what_a_reader_of_the_whole_sees(generator) {
        let format = any_format(generator);
        let body = request(&format, generator);
        let whole: Value = serde_json::from_str(&body).unwrap();
        let Ok(asked) = asked(&format, body.as_bytes()) else {
            panic!("{body}");
        };
        let told = limits(&format).iter().filter_map(|pointer| whole.pointer(pointer)?.as_u64());
        let told: Vec<u64> = told.collect();
        let is_none = told.contains(&0) && !matches!(format, Format::AnthropicMessages);
        let limit = told.into_iter().max().filter(|_| !is_none);
        assert_eq!(asked.output_tokens_max, limit, "{body}");
        assert_eq!(asked.body_bytes, body.len() as u64);
        if !matches!(format, Format::Gemini) {
            let model = whole.get("model").and_then(Value::as_str);
            assert_eq!(asked.model.as_ref().map(|model| model.as_str()), model, "{body}");
        }
        if matches!(format, Format::OpenAiChat) {
            assert_eq!(asked.is_stream, whole.get("stream") == Some(&json!(true)), "{body}");
            let includes = whole.pointer("/stream_options/include_usage") == Some(&json!(true));
            assert_eq!(asked.includes_usage, includes, "{body}");
            let choices = whole.get("n").and_then(Value::as_u64).unwrap_or(1);
            assert_eq!(asked.choices, choices.max(1), "{body}");
        }
    }
}

property! {
    fn asking_for_usage_changes_nothing_else(generator) {
        let body = request(&Format::OpenAiChat, generator);
        let edited = with_usage(body.as_bytes()).unwrap();
        let mut expected: Value = serde_json::from_str(&body).unwrap();
        if expected["stream_options"].is_null() {
            expected["stream_options"] = json!({});
        }
        expected["stream_options"]["include_usage"] = json!(true);
        assert_eq!(serde_json::from_slice::<Value>(&edited).unwrap(), expected, "{body}");
        assert!(asked(&Format::OpenAiChat, &edited).unwrap().includes_usage, "{body}");
        assert_eq!(with_usage(&edited).unwrap(), edited, "{body}");
    }
}

property! {
    fn limiting_output_changes_nothing_else(generator) {
        let format = any_format(generator);
        let body = request(&format, generator);
        let bits = generator.below(20);
        let max = 1 + generator.below(1 << bits);
        let edited = match with_output_max(&format, body.as_bytes(), max) {
            Ok(edited) => edited,
            Err(error) => {
                let is_blind = matches!(format, Format::Pointers(_)) && error == Unreadable::Unsupported;
                assert!(is_blind && asked(&format, body.as_bytes()).unwrap().output_tokens_max.is_none());
                continue;
            }
        };
        let before: Value = serde_json::from_str(&body).unwrap();
        let after: Value = serde_json::from_slice(&edited).unwrap();
        let limit = asked(&format, &edited).unwrap().output_tokens_max;
        let asked_before = asked(&format, body.as_bytes()).unwrap().output_tokens_max;
        if !limits(&format).is_empty() {
            assert_eq!(limit, Some(asked_before.unwrap_or(max).min(max)), "{body}");
        }
        assert_eq!(without_limits(&format, after), without_limits(&format, before), "{body}");
        assert_eq!(with_output_max(&format, &edited, max).unwrap(), edited, "{body}");
    }
}

property! {
    fn a_field_that_matters_is_said_once(generator) {
        let format = any_format(generator);
        let body = request(&format, generator);
        let mut keys: Vec<&str> = limits(&format).iter().map(|pointer| &pointer[1..]).collect();
        keys.retain(|key| !key.contains('/'));
        keys.push(if matches!(format, Format::Gemini) { "generationConfig" } else { "model" });
        let key = generator.pick(&keys);
        let respelt = match generator.below(4) {
            0 => key.to_uppercase(),
            1 => key.replace('o', "\\u006f"),
            2 => key.replacen('k', "\u{212a}", 1),
            _ => key.to_owned(),
        };
        let members = [format!("\"{respelt}\":null,"), format!("\"{key}\":null,")];
        let twice = body.replacen('{', &format!("{{{}", members.concat()), 1);
        assert_eq!(asked(&format, twice.as_bytes()), Err(Unreadable::Ambiguous), "{twice}");
        assert_eq!(with_output_max(&format, twice.as_bytes(), 1), Err(Unreadable::Ambiguous), "{twice}");
    }
}

property! {
    fn any_body_is_read_or_refused(generator) {
        let format = any_format(generator);
        any_body_is_safe(&format, &generator.bytes(60));
        let pieces = ["{", "}", "\"n\":", "\"stream_options\":", "\"include_usage\":", "\"max_tokens\":",
            "\"generationConfig\":", "1", "null", "true", ",", "[", "]", "\"", " ", "é"];
        any_body_is_safe(&format, generator.text(&pieces, 12).as_bytes());
    }
}

pub(crate) fn any_body_is_safe(format: &Format, body: &[u8]) {
    let read = asked(format, body).map(|_| body.to_vec());
    let edited = [read, with_usage(body), with_output_max(format, body, 5)];
    for edited in edited.into_iter().flatten() {
        for json in [body, &edited] {
            let is_json = serde_json::from_slice::<Value>(json).is_ok();
            assert!(is_json, "{}", json.escape_ascii());
        }
    }
}

fn any_format(generator: &mut Generator) -> Format {
    let kinds = kinds();
    kinds[generator.below(kinds.len() as u64) as usize]
        .0
        .clone()
}

fn limits(format: &Format) -> &'static [&'static str] {
    match format {
        Format::OpenAiChat => &["/max_completion_tokens", "/max_tokens"],
        Format::OpenAiResponses => &["/max_output_tokens"],
        Format::OpenAiEmbeddings => &[],
        Format::AnthropicMessages => &["/max_tokens"],
        Format::Gemini => &["/generationConfig/maxOutputTokens"],
        Format::Pointers(_) => &[
            "/max_tokens",
            "/max_completion_tokens",
            "/max_output_tokens",
        ],
    }
}

/// The document but for its limits, and for objects that held nothing else.
fn without_limits(format: &Format, mut document: Value) -> Value {
    let top = document.as_object_mut().unwrap();
    for pointer in limits(format) {
        match pointer[1..].split_once('/') {
            None => {
                top.remove(&pointer[1..]);
            }
            Some((parent, key)) => {
                if let Some(Value::Object(parent)) = top.get_mut(parent) {
                    parent.remove(key);
                }
                if top
                    .get(parent)
                    .is_some_and(|rest| rest.is_null() || rest == &json!({}))
                {
                    top.remove(parent);
                }
            }
        }
    }
    document
}

/// A request of this format: each field that matters at most once, others as they come.
fn request(format: &Format, generator: &mut Generator) -> String {
    let mut members = vec![
        ("a", json_text(generator, 1)),
        ("messages", json_text(generator, 1)),
    ];
    if generator.one_in(2) {
        members.push(("b", json_text(generator, 1)));
    }
    let mut add = |key, choices: &[&str]| {
        if generator.one_in(2) {
            members.push((key, generator.pick(choices).to_owned()));
        }
    };
    let counts = ["0", "1", "77", "5000", "null", " 12\n"];
    if matches!(format, Format::Gemini) {
        add(
            "generationConfig",
            &[
                "null",
                "{}",
                "{ }",
                r#"{"topK":1}"#,
                r#"{"maxOutputTokens":700,"topK":1}"#,
                r#"{"a":{},"maxOutputTokens": null }"#,
            ],
        );
    } else {
        add("model", &["\"gpt-4o\"", r#""gpt\u002d4o""#, "null"]);
        add("stream", &["true", "false", "null"]);
        for pointer in limits(format) {
            add(&pointer[1..], &counts);
        }
    }
    if matches!(format, Format::OpenAiChat) {
        add("n", &counts);
        add(
            "stream_options",
            &[
                "null",
                "{}",
                " { \n} ",
                r#"{"x":[{}]}"#,
                r#"{"include_usage":false}"#,
                r#"{"x":1,"include_usage" : true }"#,
                r#"{"include_usage":null,"x":"}"}"#,
            ],
        );
    }
    let shift = generator.below(members.len() as u64) as usize;
    members.rotate_left(shift);
    let written = members
        .iter()
        .map(|(key, value)| format!("\"{key}\":{value}"));
    format!("{{{}}} ", written.collect::<Vec<_>>().join(","))
}
