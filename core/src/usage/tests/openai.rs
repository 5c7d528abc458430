//! Shapes after OpenAI's API reference, and of those who are compatible.

use super::{read, tokens, usage_of, used};
use crate::usage::TokenKind::{
    AudioInput, AudioOutput, CacheWrite, CachedInput, Image, ImageOutput, Input, Output, Reasoning,
};
use crate::usage::{Format, Framing, Unreadable};

const CHAT: &str = r#"{
  "id": "chatcmpl-A1", "object": "chat.completion", "created": 1741570283,
  "model": "gpt-4o-2024-08-06",
  "choices": [{
    "index": 0,
    "message": {"role": "assistant", "content": "Two caf\u00e9s — \"one\" here.\n", "refusal": null, "annotations": []},
    "logprobs": null, "finish_reason": "stop"
  }],
  "usage": {
    "prompt_tokens": 1117, "completion_tokens": 46, "total_tokens": 1163,
    "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
    "completion_tokens_details": {
      "reasoning_tokens": 10, "audio_tokens": 0,
      "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0
    }
  },
  "service_tier": "default", "system_fingerprint": "fp_fc9f1d7035"
}"#;

const CHAT_STREAM: &str = concat!(
    r#"data: {"id":"c","object":"chat.completion.chunk","model":"gpt-4o-mini","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}"#,
    "\n\n",
    r#"data: {"id":"c","object":"chat.completion.chunk","model":"gpt-4o-mini","choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}],"usage":null}"#,
    "\n\n",
    r#"data: {"id":"c","object":"chat.completion.chunk","model":"gpt-4o-mini","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":1}"}}]},"finish_reason":null}],"usage":null}"#,
    "\n\n",
    r#"data: {"id":"c","object":"chat.completion.chunk","model":"gpt-4o-mini","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#,
    "\n\n",
    r#"data: {"id":"c","object":"chat.completion.chunk","model":"gpt-4o-mini","choices":[],"usage":{"prompt_tokens":19,"completion_tokens":7,"total_tokens":26}}"#,
    "\n\ndata: [DONE]\n\n",
);

#[test]
fn a_chat_completion_tells_disjoint_kinds() {
    let (usage, seen) = read(&Format::OpenAiChat, Framing::Json, CHAT);
    let counts = [
        (Input, 93),
        (CachedInput, 1024),
        (Output, 36),
        (Reasoning, 10),
    ];
    assert_eq!(usage, Ok(used("gpt-4o-2024-08-06", &counts)));
    assert_eq!(seen.tokens, Some(tokens(&counts)));
    assert_eq!(
        seen.output_bytes,
        "Two cafés — \"one\" here.\n".len() as u64
    );
    assert!(seen.is_ended);
}

#[test]
fn a_stream_tells_its_usage_in_a_last_chunk() {
    let (usage, seen) = read(&Format::OpenAiChat, Framing::Sse, CHAT_STREAM);
    assert_eq!(usage, Ok(used("gpt-4o-mini", &[(Input, 19), (Output, 7)])));
    assert_eq!(seen.output_bytes, "Hello{\"a\":1}".len() as u64);
    assert!(seen.is_ended);
}

#[test]
fn line_endings_comments_and_spaces_make_no_difference() {
    let expected = usage_of(&Format::OpenAiChat, Framing::Sse, CHAT_STREAM);
    for ending in ["\r\n", "\r"] {
        let stream = CHAT_STREAM.replace('\n', ending);
        assert_eq!(
            usage_of(&Format::OpenAiChat, Framing::Sse, &stream),
            expected
        );
    }
    let odd = CHAT_STREAM
        .replace("data: ", ": keep-alive\n\ndata:\n\nevent: x\ndata:")
        .replace(",\"usage\"", "\ndata: ,\"usage\"");
    assert_eq!(usage_of(&Format::OpenAiChat, Framing::Sse, &odd), expected);
    let unended = CHAT_STREAM.trim_end();
    assert_eq!(
        usage_of(&Format::OpenAiChat, Framing::Sse, unended),
        expected
    );
}

#[test]
fn a_stream_without_a_usage_chunk_shows_only_its_text() {
    let stream: String = CHAT_STREAM
        .split_inclusive("\n\n")
        .filter(|event| !event.contains("prompt_tokens"))
        .collect();
    let (usage, seen) = read(&Format::OpenAiChat, Framing::Sse, &stream);
    assert_eq!(usage, Err(Unreadable::Missing));
    assert_eq!((seen.tokens, seen.output_bytes), (None, 12));
    assert!(seen.is_ended);
}

#[test]
fn a_stream_that_broke_off_is_not_ended() {
    let (whole, _) = CHAT_STREAM.split_once("data: [DONE]").unwrap();
    let (usage, seen) = read(&Format::OpenAiChat, Framing::Sse, whole);
    assert_eq!(usage, Ok(used("gpt-4o-mini", &[(Input, 19), (Output, 7)])));
    assert!(!seen.is_ended);
    let within_usage = whole.split_once("completion_tokens").unwrap().0;
    let (usage, seen) = read(&Format::OpenAiChat, Framing::Sse, within_usage);
    assert_eq!(usage, Err(Unreadable::Missing));
    assert_eq!((seen.tokens, seen.output_bytes), (None, 12));
}

/// Some servers tell the usage so far in every chunk.
#[test]
fn a_later_usage_takes_the_place_of_an_earlier_one() {
    let chunk = |text: &str, tokens: u64| {
        format!(
            "data: {{\"model\":\"m\",\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}],\
             \"usage\":{{\"prompt_tokens\":5,\"completion_tokens\":{tokens}}}}}\n\n"
        )
    };
    let first = chunk("a", 0);
    let usage = usage_of(&Format::OpenAiChat, Framing::Sse, &first);
    assert_eq!(usage, Err(Unreadable::Missing), "text without tokens");
    let stream = first + &chunk("b", 2) + &chunk("c", 3);
    let usage = usage_of(&Format::OpenAiChat, Framing::Sse, &stream);
    assert_eq!(usage, Ok(used("m", &[(Input, 5), (Output, 3)])));
}

fn chat(usage: &str) -> Result<crate::usage::Usage, Unreadable> {
    let body = format!("{{\"model\":\"m\",\"usage\":{usage}}}");
    usage_of(&Format::OpenAiChat, Framing::Json, &body)
}

#[test]
fn sound_and_cache_writes_are_kinds_of_their_own() {
    let usage = chat(
        r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
            "prompt_tokens_details":{"audio_tokens":60,"cached_tokens":20,"cache_write_tokens":15},
            "completion_tokens_details":{"audio_tokens":30,"reasoning_tokens":5}}"#,
    );
    let counts = [
        (Input, 5),
        (AudioInput, 60),
        (CachedInput, 20),
        (CacheWrite, 15),
        (Output, 15),
        (AudioOutput, 30),
        (Reasoning, 5),
    ];
    assert_eq!(usage, Ok(used("m", &counts)));
}

#[test]
fn sound_that_was_cached_is_counted_once() {
    let usage = chat(
        r#"{"prompt_tokens":100,"completion_tokens":1,
            "prompt_tokens_details":{"audio_tokens":60,"cached_tokens":70}}"#,
    );
    let counts = [(AudioInput, 60), (CachedInput, 40), (Output, 1)];
    assert_eq!(usage, Ok(used("m", &counts)));
}

#[test]
fn images_are_kinds_of_their_own() {
    let usage = chat(
        r#"{"prompt_tokens":100,"completion_tokens":50,
            "prompt_tokens_details":{"image_tokens":60,"audio_tokens":10,"cached_tokens":20},
            "completion_tokens_details":{"image_tokens":30,"audio_tokens":1,"reasoning_tokens":5}}"#,
    );
    let counts = [
        (Input, 10),
        (Image, 60),
        (AudioInput, 10),
        (CachedInput, 20),
        (Output, 14),
        (ImageOutput, 30),
        (AudioOutput, 1),
        (Reasoning, 5),
    ];
    assert_eq!(usage, Ok(used("m", &counts)));
    let usage = r#"{"input_tokens":100,"output_tokens":50,"input_tokens_details":{"image_tokens":60},
        "output_tokens_details":{"image_tokens":50}}"#;
    let counts = [(Input, 40), (Image, 60), (ImageOutput, 50)];
    let whole = format!(r#"{{"model":"m","usage":{usage}}}"#);
    let event = whole.replace('\n', "");
    let stream = format!("data: {{\"type\":\"response.completed\",\"response\":{event}}}\n\n");
    for (framing, body) in [(Framing::Json, whole), (Framing::Sse, stream)] {
        let usage = usage_of(&Format::OpenAiResponses, framing, &body);
        assert_eq!(usage, Ok(used("m", &counts)), "{body}");
    }
    let usage = chat(
        r#"{"prompt_tokens":5,"completion_tokens":5,"completion_tokens_details":{"image_tokens":6}}"#,
    );
    assert_eq!(usage, Err(Unreadable::Absurd));
}

/// After DeepSeek's API reference, "Create chat completion": the hits are in the prompt's tokens.
#[test]
fn hits_of_deepseeks_cache_are_cached_input() {
    const ANSWER: &str = r#"{"id":"930c60df","object":"chat.completion","created":1705651092,"model":"deepseek-v4-pro",
      "choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","reasoning_content":"Hm.","content":"Hello!"}}],
      "usage":{"prompt_tokens":102056,"completion_tokens":252,"total_tokens":102308,DETAILS
        "prompt_cache_hit_tokens":94464,"prompt_cache_miss_tokens":7592,
        "completion_tokens_details":{"reasoning_tokens":44}}}"#;
    let counts = [
        (Input, 7592),
        (CachedInput, 94464),
        (Output, 208),
        (Reasoning, 44),
    ];
    for details in [
        "",
        r#""prompt_tokens_details":{"cached_tokens":94464},"#,
        r#""prompt_tokens_details":{"cached_tokens":0},"#,
        r#""prompt_tokens_details":null,"#,
    ] {
        let whole = ANSWER.replace("DETAILS", details);
        let usage = usage_of(&Format::OpenAiChat, Framing::Json, &whole);
        assert_eq!(usage, Ok(used("deepseek-v4-pro", &counts)), "{details}");
    }
    let event = ANSWER.replace("DETAILS", "").replace('\n', "");
    let stream = format!("data: {event}\n\ndata: [DONE]\n\n");
    let usage = usage_of(&Format::OpenAiChat, Framing::Sse, &stream);
    assert_eq!(usage, Ok(used("deepseek-v4-pro", &counts)));
    let usage = chat(
        r#"{"prompt_tokens":9,"completion_tokens":1,"prompt_cache_hit_tokens":2,
            "prompt_tokens_details":{"cached_tokens":5}}"#,
    );
    let counts = [(Input, 4), (CachedInput, 5), (Output, 1)];
    assert_eq!(usage, Ok(used("m", &counts)), "the larger, not the sum");
    let usage = chat(r#"{"prompt_tokens":9,"completion_tokens":1,"prompt_cache_hit_tokens":10}"#);
    assert_eq!(usage, Err(Unreadable::Absurd));
}

/// xAI's way, and Google's behind an interface like OpenAI's.
#[test]
fn reasoning_beside_the_completion_shows_in_the_total() {
    let usage = chat(
        r#"{"prompt_tokens":12,"completion_tokens":1,"total_tokens":399,
            "completion_tokens_details":{"reasoning_tokens":386}}"#,
    );
    assert_eq!(
        usage,
        Ok(used("m", &[(Input, 12), (Output, 1), (Reasoning, 386)]))
    );
    let usage = chat(r#"{"prompt_tokens":12,"completion_tokens":9,"total_tokens":121}"#);
    assert_eq!(
        usage,
        Ok(used("m", &[(Input, 12), (Output, 9), (Reasoning, 100)]))
    );
    let usage = chat(
        r#"{"prompt_tokens":12,"completion_tokens":9,"total_tokens":31,
            "prompt_tokens_details":{"cached_tokens":10}}"#,
    );
    let counts = [(Input, 2), (CachedInput, 10), (Output, 9)];
    assert_eq!(usage, Ok(used("m", &counts)), "the cache counted twice");
}

#[test]
fn a_part_larger_than_its_whole_is_absurd() {
    for usage in [
        r#"{"prompt_tokens":5,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":6}}"#,
        r#"{"prompt_tokens":5,"completion_tokens":1,"prompt_tokens_details":{"audio_tokens":6}}"#,
        r#"{"prompt_tokens":5,"completion_tokens":1,"completion_tokens_details":{"reasoning_tokens":2}}"#,
        r#"{"prompt_tokens":5,"completion_tokens":1,"completion_tokens_details":{"audio_tokens":2}}"#,
    ] {
        assert_eq!(chat(usage), Err(Unreadable::Absurd), "{usage}");
    }
}

const RESPONSE: &str = r#"{"id":"resp_1","object":"response","status":"completed","model":"o4-mini-2025-04-16",
  "output":[
    {"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"Hm."}]},
    {"id":"msg_1","type":"message","role":"assistant","content":[{"type":"output_text","text":"Once upon","annotations":[]}]},
    {"id":"fc_1","type":"function_call","name":"f","arguments":"{}"}],
  "usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":6},
    "output_tokens":87,"output_tokens_details":{"reasoning_tokens":64},"total_tokens":123},
  "metadata":{"usage":"none"}}"#;

#[test]
fn a_response_tells_disjoint_kinds() {
    let (usage, seen) = read(&Format::OpenAiResponses, Framing::Json, RESPONSE);
    let counts = [(Input, 30), (CachedInput, 6), (Output, 23), (Reasoning, 64)];
    assert_eq!(usage, Ok(used("o4-mini-2025-04-16", &counts)));
    assert_eq!(seen.output_bytes, "Hm.Once upon{}".len() as u64);
}

#[test]
fn a_streamed_response_tells_in_the_event_that_ends_it() {
    for ending in [
        "response.completed",
        "response.incomplete",
        "response.failed",
    ] {
        let response = RESPONSE.replace('\n', "");
        let stream = [
            r#"{"type":"response.created","response":{"id":"resp_1","model":"o4-mini-2025-04-16","usage":null,"output":[]}}"#,
            r#"{"type":"response.output_item.added","item":{"type":"message","content":[]}}"#,
            r#"{"type":"response.output_text.delta","item_id":"msg_1","delta":"Once"}"#,
            r#"{"type":"response.output_text.delta","item_id":"msg_1","delta":" upon"}"#,
            r#"{"type":"response.output_text.done","item_id":"msg_1","text":"Once upon"}"#,
            &format!(r#"{{"response":{response},"type":"{ending}"}}"#),
        ]
        .map(|data| format!("event: any\ndata: {data}\n\n"))
        .concat();
        let (usage, seen) = read(&Format::OpenAiResponses, Framing::Sse, &stream);
        let counts = [(Input, 30), (CachedInput, 6), (Output, 23), (Reasoning, 64)];
        assert_eq!(usage, Ok(used("o4-mini-2025-04-16", &counts)));
        assert_eq!(seen.output_bytes, "Once upon".len() as u64);
        assert!(seen.is_ended);
    }
}

#[test]
fn embeddings_tell_their_input() {
    let body = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[-0.0069,1.5e-3]}],
        "model":"text-embedding-3-small","usage":{"prompt_tokens":5,"total_tokens":5}}"#;
    let usage = usage_of(&Format::OpenAiEmbeddings, Framing::Json, body);
    assert_eq!(usage, Ok(used("text-embedding-3-small", &[(Input, 5)])));
}
