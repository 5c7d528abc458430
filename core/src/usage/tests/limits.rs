//! Limits to the output: what counts as one, and how one is written.

use super::requests::{pointers, text};
use crate::usage::OutputLimitField::{self, MaxCompletionTokens, MaxOutputTokens, MaxTokens};
use crate::usage::{Format, RequestFormat, Unreadable, asked, with_output_max};

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
