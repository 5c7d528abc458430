//! What requests ask for, and the edits of their bodies.

use super::ModelName;
use crate::usage::{Asked, Format, Unreadable, asked, asked_model, with_usage};

pub(super) fn pointers() -> Format {
    serde_json::from_str(r#"{"pointers":{"input":"/in"}}"#).unwrap()
}

#[test]
fn a_request_says_what_it_asks_for() {
    let body = r#"{"messages":[{"role":"user","content":"model: x","n":9}],"model":"gpt-4o",
        "max_completion_tokens":300,"n":2,"stream":true,"stream_options":{"include_usage":true}}"#;
    assert_eq!(
        asked(&Format::OpenAiChat, body.as_bytes()),
        Ok(Asked {
            model: ModelName::new("gpt-4o"),
            output_tokens_max: Some(300),
            choices: 2,
            is_stream: true,
            includes_usage: true,
            body_bytes: body.len() as u64,
        })
    );
}

#[test]
fn each_format_has_its_own_names() {
    let limit = |format: &Format, body: &str| {
        let asked = asked(format, body.as_bytes()).unwrap();
        (asked.output_tokens_max, asked.choices)
    };
    for (format, body, expected) in [
        (
            Format::OpenAiChat,
            r#"{"max_tokens":5,"best_of":3,"n":1}"#,
            (Some(5), 3),
        ),
        (
            Format::OpenAiChat,
            r#"{"max_tokens":5,"max_completion_tokens":7}"#,
            (Some(7), 1),
        ),
        (
            Format::OpenAiChat,
            r#"{"max_output_tokens":5,"n":0}"#,
            (None, 1),
        ),
        (
            Format::OpenAiResponses,
            r#"{"max_output_tokens":5,"n":4}"#,
            (Some(5), 1),
        ),
        (
            Format::OpenAiEmbeddings,
            r#"{"input":"a","max_tokens":5}"#,
            (None, 1),
        ),
        (
            Format::AnthropicMessages,
            r#"{"max_tokens":1024}"#,
            (Some(1024), 1),
        ),
        (
            Format::Gemini,
            r#"{"generationConfig":{"maxOutputTokens":9,"candidateCount":2}}"#,
            (Some(9), 2),
        ),
        (
            Format::Gemini,
            r#"{"generation_config":{"max_output_tokens":9,"candidate_count":2}}"#,
            (Some(9), 2),
        ),
        (pointers(), r#"{"max_output_tokens":5,"n":4}"#, (Some(5), 4)),
        (
            Format::OpenAiChat,
            r#"{"max_tokens":null,"n":null,"stream":null}"#,
            (None, 1),
        ),
    ] {
        assert_eq!(limit(&format, body), expected, "{body}");
    }
}

#[test]
fn each_prompt_of_a_list_is_answered_as_often_as_is_asked() {
    let thousand = format!(r#"{{"prompt":[{}"x"],"n":2}}"#, r#""x","#.repeat(999));
    for (body, answers) in [
        (r#"{"prompt":"abc"}"#, 1),
        (r#"{"prompt":null,"n":2}"#, 2),
        (r#"{"prompt":[],"n":2}"#, 2),
        (r#"{"prompt":["a"],"n":2}"#, 2),
        (r#"{"prompt":["a","b","c"],"best_of":4,"n":2}"#, 12),
        (r#"{"n":2,"prompt":[" ]", "\",["]}"#, 4),
        // One prompt, in tokens; two of them; what nobody should send counts as much as it can.
        (r#"{"prompt":[1,2,-3,4.5]}"#, 1),
        (r#"{"prompt":[[1,2],[3]]}"#, 2),
        (r#"{"prompt":[[]]}"#, 1),
        (r#"{"prompt":[1,"a",null]}"#, 3),
        (r#"{"prompt":{"*":["a","b"]}}"#, 1),
        (r#"{"prompt":"a","prompt_embeds":["eA==","eQ=="]}"#, 3),
        (&thousand, 2000),
    ] {
        let asked = asked(&Format::OpenAiChat, body.as_bytes()).unwrap();
        assert_eq!(asked.choices, answers, "{body}");
    }
    let asked = |format, body: &str| asked(&format, body.as_bytes());
    assert_eq!(asked(pointers(), &thousand).unwrap().choices, 2000);
    assert_eq!(
        asked(Format::AnthropicMessages, &thousand).unwrap().choices,
        1
    );
    for body in [
        r#"{"prompt":"a","prompt":["a","b"]}"#,
        r#"{"Prompt":["a","b"]}"#,
    ] {
        let read = asked(Format::OpenAiChat, body);
        assert_eq!(read, Err(Unreadable::Ambiguous), "{body}");
    }
}

#[test]
fn a_body_that_can_be_read_in_two_ways_is_refused() {
    for body in [
        r#"{"model":"a","model":"b"}"#,
        r#"{"model":"a","m\u006fdel":"a"}"#,
        r#"{"max_tokens":1,"messages":[],"max_tokens":1}"#,
        r#"{"stream_options":{},"stream_options":{"include_usage":true}}"#,
        r#"{"stream_options":{"include_usage":true,"include_usage":false}}"#,
        r#"{"Model":"a"}"#,
        r#"{"max_tokens":1,"MAX_TOKENS":100000}"#,
        r#"{"max_toKens":100000}"#,
        r#"{"max_token\u017f":100000}"#,
        "[]",
        "\"model\"",
        "7",
    ] {
        let read = asked(&Format::OpenAiChat, body.as_bytes());
        assert_eq!(read, Err(Unreadable::Ambiguous), "{body}");
    }
    for body in [
        r#"{"generationConfig":{"maxOutputTokens":1},"generation_config":{"maxOutputTokens":9}}"#,
        r#"{"generationConfig":{"maxOutputTokens":1,"max_output_tokens":9}}"#,
        r#"{"generationconfig":{"maxOutputTokens":1}}"#,
        r#"{"generation_Config":{"maxOutputTokens":1}}"#,
    ] {
        let read = asked(&Format::Gemini, body.as_bytes());
        assert_eq!(read, Err(Unreadable::Ambiguous), "{body}");
    }
    let elsewhere = r#"{"tools":[{"model":1,"model":2}],"user":"a","user":"b","model":"m"}"#;
    let read = asked(&Format::OpenAiChat, elsewhere.as_bytes()).unwrap();
    assert_eq!(read.model, ModelName::new("m"));
}

#[test]
fn a_body_that_no_upstream_could_mean_is_refused() {
    for body in [
        r#"{"max_tokens":-1}"#,
        r#"{"max_tokens":"100"}"#,
        r#"{"max_tokens":1e3}"#,
        r#"{"max_tokens":1000000000001}"#,
        r#"{"n":1.5}"#,
        r#"{"stream":"true"}"#,
        r#"{"stream":1}"#,
        r#"{"model":7}"#,
        r#"{"stream_options":true}"#,
    ] {
        let read = asked(&Format::OpenAiChat, body.as_bytes());
        assert_eq!(read, Err(Unreadable::Absurd), "{body}");
    }
    for body in [
        &b"{"[..],
        b"",
        b"{\"model\":\"a\xff\"}",
        b"{} {}",
        b"{\"a\":NaN}",
    ] {
        let read = asked(&Format::OpenAiChat, body);
        assert_eq!(read, Err(Unreadable::NotJson), "{}", body.escape_ascii());
    }
}

pub(super) fn text(edited: Result<Vec<u8>, Unreadable>) -> Result<String, Unreadable> {
    edited.map(|bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn usage_is_asked_for_in_one_splice() {
    for (body, edited) in [
        ("{}", r#"{"stream_options":{"include_usage":true}}"#),
        (" { } ", r#" {"stream_options":{"include_usage":true} } "#),
        (
            r#"{ "n":1}"#,
            r#"{"stream_options":{"include_usage":true}, "n":1}"#,
        ),
        (
            r#"{"stream_options": null,"é":1}"#,
            r#"{"stream_options": {"include_usage":true},"é":1}"#,
        ),
        (
            r#"{"stream_options":{ }}"#,
            r#"{"stream_options":{"include_usage":true }}"#,
        ),
        (
            r#"{"stream_options":{"a":[1]}}"#,
            r#"{"stream_options":{"include_usage":true,"a":[1]}}"#,
        ),
        (
            r#"{"stream_options":{"include_usage" : false }}"#,
            r#"{"stream_options":{"include_usage" : true }}"#,
        ),
        (
            r#"{"stream_options":{"include_usage":true},  "n":1}"#,
            r#"{"stream_options":{"include_usage":true},  "n":1}"#,
        ),
    ] {
        assert_eq!(text(with_usage(body.as_bytes())), Ok(edited.to_owned()));
    }
    for (body, error) in [
        (r#"{"stream_options":[]}"#, Unreadable::Absurd),
        (
            r#"{"stream_options":{"include_usage":1}}"#,
            Unreadable::Absurd,
        ),
        (
            r#"{"stream_options":{},"stream_options":{}}"#,
            Unreadable::Ambiguous,
        ),
        ("[]", Unreadable::Ambiguous),
        ("{", Unreadable::NotJson),
    ] {
        assert_eq!(text(with_usage(body.as_bytes())), Err(error), "{body}");
    }
}

#[test]
fn a_body_whose_model_alone_is_asked_for_may_say_anything_else() {
    for (body, model) in [
        (
            r#"{"model":"m","n":"x","stream":1,"max_tokens":{}}"#,
            Some("m"),
        ),
        (r#"{"n":1,"n":2,"stream_options":7}"#, None),
        (r#"{"model":null}"#, None),
    ] {
        let read = asked_model(body.as_bytes());
        assert_eq!(read, Ok(model.and_then(ModelName::new)), "{body}");
    }
    for (body, error) in [
        (r#"{"model":"a","model":"b"}"#, Unreadable::Ambiguous),
        (r#"{"Model":"a"}"#, Unreadable::Ambiguous),
        ("[]", Unreadable::Ambiguous),
        (r#"{"model":["a"]}"#, Unreadable::Absurd),
        ("model=a", Unreadable::NotJson),
    ] {
        assert_eq!(asked_model(body.as_bytes()), Err(error), "{body}");
    }
}
