//! What requests ask for, and the edits of their bodies.

use super::ModelName;
use crate::usage::OutputLimitField::{self, MaxCompletionTokens, MaxOutputTokens, MaxTokens};
use crate::usage::{
    Asked, Format, RequestFormat, Unreadable, asked, asked_model, with_output_max, with_usage,
};

fn pointers() -> Format {
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

fn text(edited: Result<Vec<u8>, Unreadable>) -> Result<String, Unreadable> {
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
fn a_limit_is_lowered_or_inserted() {
    let (chat, responses, gemini) = (Format::OpenAiChat, Format::OpenAiResponses, Format::Gemini);
    for (format, body, edited) in [
        (&chat, "{}", r#"{"max_completion_tokens":99}"#),
        (&chat, r#"{"n":1}"#, r#"{"max_completion_tokens":99,"n":1}"#),
        (&chat, r#"{"max_tokens":100}"#, r#"{"max_tokens":99}"#),
        (&chat, r#"{"max_tokens":99 }"#, r#"{"max_tokens":99 }"#),
        (&chat, r#"{"max_tokens":5}"#, r#"{"max_tokens":5}"#),
        (&chat, r#"{"max_tokens":null}"#, r#"{"max_tokens":99}"#),
        (
            &chat,
            r#"{"max_tokens":500,"a":0,"max_completion_tokens":700}"#,
            r#"{"max_tokens":99,"a":0,"max_completion_tokens":99}"#,
        ),
        (
            &chat,
            r#"{"max_completion_tokens":null,"max_tokens":700}"#,
            r#"{"max_completion_tokens":null,"max_tokens":99}"#,
        ),
        (&responses, "{}", r#"{"max_output_tokens":99}"#),
        (&Format::AnthropicMessages, "{}", r#"{"max_tokens":99}"#),
        (&Format::OpenAiEmbeddings, "{}", "{}"),
        (
            &gemini,
            "{}",
            r#"{"generationConfig":{"maxOutputTokens":99}}"#,
        ),
        (
            &gemini,
            r#"{"generationConfig":null}"#,
            r#"{"generationConfig":{"maxOutputTokens":99}}"#,
        ),
        (
            &gemini,
            r#"{"generation_config":{"topK":1}}"#,
            r#"{"generation_config":{"maxOutputTokens":99,"topK":1}}"#,
        ),
        (
            &gemini,
            r#"{"generation_config":{"max_output_tokens":100}}"#,
            r#"{"generation_config":{"max_output_tokens":99}}"#,
        ),
        (&pointers(), r#"{"max_tokens":100}"#, r#"{"max_tokens":99}"#),
    ] {
        let read = text(with_output_max(format, body.as_bytes(), 99));
        assert_eq!(read, Ok(edited.to_owned()), "{body}");
    }
    for (format, body, error) in [
        (&chat, r#"{"max_tokens":"100"}"#, Unreadable::Absurd),
        (
            &chat,
            r#"{"max_tokens":1,"max_tokens":2}"#,
            Unreadable::Ambiguous,
        ),
        (&gemini, r#"{"generationConfig":[]}"#, Unreadable::Absurd),
        (&pointers(), "{}", Unreadable::Unsupported),
    ] {
        let read = text(with_output_max(format, body.as_bytes(), 99));
        assert_eq!(read, Err(error), "{body}");
    }
}

#[test]
fn only_the_limit_that_the_upstream_obeys_is_one() {
    let both = r#"{"max_completion_tokens":1,"max_tokens":700}"#;
    let (chat, pointers) = (Format::OpenAiChat, pointers());
    let of = |format, field: OutputLimitField, body: &str| {
        let form = RequestFormat {
            format,
            output_limit: Some(field),
        };
        let limit = asked(form, body.as_bytes()).map(|asked| asked.output_tokens_max);
        (limit, text(with_output_max(form, body.as_bytes(), 99)))
    };
    for (format, field, body, limit, edited) in [
        (
            &chat,
            MaxTokens,
            r#"{"max_completion_tokens":1}"#,
            None,
            r#"{"max_tokens":99,"max_completion_tokens":1}"#,
        ),
        (
            &chat,
            MaxTokens,
            r#"{"max_completion_tokens":"odd","max_tokens":null}"#,
            None,
            r#"{"max_completion_tokens":"odd","max_tokens":99}"#,
        ),
        (
            &chat,
            MaxTokens,
            both,
            Some(700),
            r#"{"max_completion_tokens":1,"max_tokens":99}"#,
        ),
        (&chat, MaxCompletionTokens, both, Some(1), both),
        (
            &chat,
            MaxCompletionTokens,
            r#"{"max_tokens":1}"#,
            None,
            r#"{"max_completion_tokens":99,"max_tokens":1}"#,
        ),
        (
            &pointers,
            MaxOutputTokens,
            r#"{"max_tokens":1}"#,
            None,
            r#"{"max_output_tokens":99,"max_tokens":1}"#,
        ),
    ] {
        let expected = (Ok(limit), Ok(edited.to_owned()));
        assert_eq!(of(format, field, body), expected, "{body}");
    }
    // In another spelling Go's reader might still take it for the limit.
    let odd = r#"{"max_tokens":1,"MAX_TOKENS":9}"#;
    assert_eq!(of(&chat, MaxTokens, odd).0, Err(Unreadable::Ambiguous));
}

/// Some compatible upstreams read it as none, llama.cpp's among them.
#[test]
fn a_limit_of_nothing_is_no_limit() {
    let (chat, pointers) = (&Format::OpenAiChat, &pointers());
    for (format, field, body, edited) in [
        (chat, None, r#"{"max_tokens":0}"#, r#"{"max_tokens":99}"#),
        (
            chat,
            None,
            r#"{"max_tokens":0,"max_completion_tokens":0}"#,
            r#"{"max_tokens":99,"max_completion_tokens":99}"#,
        ),
        (
            chat,
            None,
            r#"{"max_tokens":0,"max_completion_tokens":null}"#,
            r#"{"max_tokens":99,"max_completion_tokens":null}"#,
        ),
        (
            chat,
            None,
            r#"{"max_completion_tokens":0,"max_tokens":5}"#,
            r#"{"max_completion_tokens":99,"max_tokens":5}"#,
        ),
        (
            chat,
            None,
            r#"{"max_completion_tokens":700,"max_tokens":0}"#,
            r#"{"max_completion_tokens":99,"max_tokens":99}"#,
        ),
        (
            chat,
            Some(MaxTokens),
            r#"{"max_completion_tokens":5,"max_tokens":0}"#,
            r#"{"max_completion_tokens":5,"max_tokens":99}"#,
        ),
        (
            chat,
            Some(MaxCompletionTokens),
            r#"{"max_tokens":0}"#,
            r#"{"max_completion_tokens":99,"max_tokens":0}"#,
        ),
        (
            pointers,
            None,
            r#"{"max_output_tokens":0}"#,
            r#"{"max_output_tokens":99}"#,
        ),
        (
            pointers,
            Some(MaxOutputTokens),
            r#"{"max_output_tokens":0,"max_tokens":7}"#,
            r#"{"max_output_tokens":99,"max_tokens":7}"#,
        ),
        (
            &Format::OpenAiResponses,
            None,
            r#"{"max_output_tokens":0}"#,
            r#"{"max_output_tokens":99}"#,
        ),
        (
            &Format::Gemini,
            None,
            r#"{"generationConfig":{"maxOutputTokens":0}}"#,
            r#"{"generationConfig":{"maxOutputTokens":99}}"#,
        ),
    ] {
        let form = RequestFormat {
            format,
            output_limit: field,
        };
        let limit = asked(form, body.as_bytes()).map(|asked| asked.output_tokens_max);
        assert_eq!(limit, Ok(None), "{body}");
        let read = text(with_output_max(form, body.as_bytes(), 99));
        assert_eq!(read, Ok(edited.to_owned()), "{body}");
    }
    // The limit that the upstream does not obey says nothing.
    let form = RequestFormat {
        format: chat,
        output_limit: Some(MaxTokens),
    };
    let body = r#"{"max_completion_tokens":0,"max_tokens":5}"#;
    let limit = asked(form, body.as_bytes()).map(|asked| asked.output_tokens_max);
    assert_eq!(limit, Ok(Some(5)));
    assert_eq!(
        text(with_output_max(form, body.as_bytes(), 99)),
        Ok(body.into())
    );
}

/// Anthropic's "Prompt caching": such a request fills the cache and gets no text.
#[test]
fn anthropics_limit_of_nothing_is_one() {
    let body = r#"{"max_tokens":0}"#;
    let limit = asked(&Format::AnthropicMessages, body.as_bytes()).unwrap();
    assert_eq!(limit.output_tokens_max, Some(0));
    let read = with_output_max(&Format::AnthropicMessages, body.as_bytes(), 99);
    assert_eq!(text(read), Ok(body.into()));
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
