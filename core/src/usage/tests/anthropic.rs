//! Shapes after Anthropic's API reference.

use super::{read, tokens, usage_of, used};
use crate::usage::TokenKind::{CacheWrite, CacheWrite1h, CachedInput, Input, Output, Reasoning};
use crate::usage::{Format, Framing, Unreadable};

const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5",
  "content":[{"type":"thinking","thinking":"Hm","signature":"c2ln"},{"type":"text","text":"Hi!"},
    {"type":"tool_use","id":"toolu_1","name":"f","input":{"city":"Rome"}}],
  "stop_reason":"tool_use","stop_sequence":null,
  "usage":{"input_tokens":2095,"cache_creation_input_tokens":2051,"cache_read_input_tokens":1024,
    "cache_creation":{"ephemeral_5m_input_tokens":2051,"ephemeral_1h_input_tokens":0},
    "output_tokens":503,"server_tool_use":{"web_search_requests":1},"service_tier":"standard"}}"#;

const STREAM: &str = concat!(
    "event: message_start\n",
    r#"data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[],"stop_reason":null,"usage":{"input_tokens":472,"cache_creation_input_tokens":0,"cache_read_input_tokens":100,"output_tokens":2}}}"#,
    "\n\nevent: content_block_start\n",
    r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    "\n\nevent: ping\n",
    r#"data: {"type": "ping"}"#,
    "\n\nevent: content_block_delta\n",
    r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Okay"}}"#,
    "\n\nevent: content_block_delta\n",
    r#"data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"location\":"}}"#,
    "\n\nevent: content_block_stop\n",
    r#"data: {"type":"content_block_stop","index":1}"#,
    "\n\nevent: message_delta\n",
    r#"data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":89}}"#,
    "\n\nevent: message_stop\n",
    r#"data: {"type":"message_stop"}"#,
    "\n\n",
);

#[test]
fn a_message_counts_its_cache_apart() {
    let (usage, seen) = read(&Format::AnthropicMessages, Framing::Json, MESSAGE);
    let counts = [
        (Input, 2095),
        (CacheWrite, 2051),
        (CachedInput, 1024),
        (Output, 503),
    ];
    assert_eq!(usage, Ok(used("claude-sonnet-4-5", &counts)));
    assert_eq!(seen.output_bytes, "HmHi!{\"city\":\"Rome\"}".len() as u64);
}

#[test]
fn a_stream_tells_its_input_first_and_its_output_last() {
    let (usage, seen) = read(&Format::AnthropicMessages, Framing::Sse, STREAM);
    let counts = [(Input, 472), (CachedInput, 100), (Output, 89)];
    assert_eq!(usage, Ok(used("claude-sonnet-4-5", &counts)));
    assert_eq!(seen.output_bytes, "Okay{\"location\":".len() as u64);
    assert!(seen.is_ended);
}

#[test]
fn a_stream_that_broke_off_told_only_a_beginning() {
    let (head, _) = STREAM.split_once("event: message_delta").unwrap();
    let (usage, seen) = read(&Format::AnthropicMessages, Framing::Sse, head);
    assert_eq!(usage, Err(Unreadable::Missing));
    let counts = [(Input, 472), (CachedInput, 100), (Output, 2)];
    assert_eq!(seen.tokens, Some(tokens(&counts)));
    assert_eq!(seen.output_bytes, 16);
    assert!(!seen.is_ended);
    let error =
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n";
    let (usage, seen) = read(
        &Format::AnthropicMessages,
        Framing::Sse,
        &format!("{head}{error}"),
    );
    assert_eq!(usage, Err(Unreadable::Missing));
    assert!(!seen.is_ended);
}

#[test]
fn cumulative_counts_only_grow() {
    for (delta, counts) in [
        (
            r#"{"output_tokens":90}"#,
            [(Input, 472), (CachedInput, 100), (Output, 90)],
        ),
        (
            r#"{"input_tokens":500,"cache_read_input_tokens":null,"output_tokens":90}"#,
            [(Input, 500), (CachedInput, 100), (Output, 90)],
        ),
        (
            r#"{"input_tokens":0,"cache_read_input_tokens":0,"output_tokens":90}"#,
            [(Input, 472), (CachedInput, 100), (Output, 90)],
        ),
    ] {
        let more = format!("data: {{\"usage\":{delta},\"type\":\"message_delta\"}}\n\n");
        let stream = STREAM.replace("event: message_stop\n", &(more + "event: message_stop\n"));
        let usage = usage_of(&Format::AnthropicMessages, Framing::Sse, &stream);
        assert_eq!(usage, Ok(used("claude-sonnet-4-5", &counts)), "{delta}");
    }
}

#[test]
fn thinking_is_in_the_output() {
    let message = MESSAGE.replace(
        r#""output_tokens":503"#,
        r#""output_tokens":503,"output_tokens_details":{"thinking_tokens":400}"#,
    );
    let counts = [
        (Input, 2095),
        (CacheWrite, 2051),
        (CachedInput, 1024),
        (Output, 103),
        (Reasoning, 400),
    ];
    let usage = usage_of(&Format::AnthropicMessages, Framing::Json, &message);
    assert_eq!(usage, Ok(used("claude-sonnet-4-5", &counts)));
    let more = message.replace("400", "504");
    let usage = usage_of(&Format::AnthropicMessages, Framing::Json, &more);
    assert_eq!(usage, Err(Unreadable::Absurd), "a part above its whole");
    let stream = STREAM.replace(
        r#""output_tokens":89"#,
        r#""output_tokens_details":{"thinking_tokens":80},"output_tokens":89"#,
    );
    let counts = [
        (Input, 472),
        (CachedInput, 100),
        (Output, 9),
        (Reasoning, 80),
    ];
    let usage = usage_of(&Format::AnthropicMessages, Framing::Sse, &stream);
    assert_eq!(usage, Ok(used("claude-sonnet-4-5", &counts)));
}

#[test]
fn all_rounds_of_an_answer_count() {
    let body = r#"{"model":"m","usage":{"input_tokens":23000,"output_tokens":1000,
        "iterations":[
            {"type":"compaction","input_tokens":180000,"output_tokens":3500},
            {"type":"message","input_tokens":23000,"output_tokens":1000,"cache_read_input_tokens":7}]}}"#;
    let counts = [(Input, 203_000), (Output, 4500), (CachedInput, 7)];
    let usage = usage_of(&Format::AnthropicMessages, Framing::Json, body);
    assert_eq!(usage, Ok(used("m", &counts)));
    let twice = body.replace(
        "\"iterations\"",
        "\"iterations\":[{\"output_tokens\":9999}],\"iterations\"",
    );
    let usage = usage_of(&Format::AnthropicMessages, Framing::Json, &twice);
    assert_eq!(usage, Ok(used("m", &counts)), "the last of equal keys wins");
}

/// After the documentation of the advisor tool: its rounds are not in the counts at the top.
const ADVISED: &str = r#"{"model":"claude-sonnet-5-20260901","usage":{"input_tokens":412,"output_tokens":531,
    "iterations":[
        {"type":"message","input_tokens":412,"output_tokens":89},
        {"type":"advisor_message","model":"claude-opus-5","input_tokens":823,"output_tokens":1612},
        {"type":"message","model":"claude-sonnet-5","input_tokens":1348,"output_tokens":442}]}}"#;

#[test]
fn rounds_of_another_model_have_no_one_price() {
    let (usage, seen) = read(&Format::AnthropicMessages, Framing::Json, ADVISED);
    assert_eq!(usage, Err(Unreadable::SeveralModels));
    let counts = [(Input, 412 + 823 + 1348), (Output, 89 + 1612 + 442)];
    assert_eq!(seen.tokens, Some(tokens(&counts)), "what it told is seen");
    for (model, one) in [
        ("claude-opus-5", false),
        ("claude-sonnet-5-20260901", true),
        ("claude-sonnet-5", true),
        ("claude sonnet", false),
    ] {
        let body = ADVISED.replace("claude-opus-5", model);
        let usage = usage_of(&Format::AnthropicMessages, Framing::Json, &body);
        let expected = match one {
            true => Ok(used("claude-sonnet-5-20260901", &counts)),
            false => Err(Unreadable::SeveralModels),
        };
        assert_eq!(usage, expected, "{model}");
    }
    let nobody = ADVISED.replace(r#""model":"claude-sonnet-5-20260901","#, "");
    let usage = usage_of(&Format::AnthropicMessages, Framing::Json, &nobody);
    assert_eq!(
        usage,
        Err(Unreadable::SeveralModels),
        "whose it is isn't told"
    );
    let null = ADVISED.replace(r#""claude-opus-5""#, "null");
    let usage = usage_of(&Format::AnthropicMessages, Framing::Json, &null);
    assert_eq!(usage, Ok(used("claude-sonnet-5-20260901", &counts)));
    let twice = ADVISED.replace(
        r#""iterations":["#,
        r#""iterations":[{"model":"x","input_tokens":9}],"iterations":["#,
    );
    let fine = twice.replace("claude-opus-5", "claude-sonnet-5");
    let usage = usage_of(&Format::AnthropicMessages, Framing::Json, &fine);
    assert_eq!(
        usage,
        Ok(used("claude-sonnet-5-20260901", &counts)),
        "the last wins"
    );
}

#[test]
fn a_streamed_answer_of_several_models_has_no_one_price() {
    let told = r#""usage":{"output_tokens":89}"#;
    let rounds = r#""usage":{"output_tokens":89,"iterations":[
        {"type":"message","model":"claude-fable-5","input_tokens":408,"output_tokens":0},
        {"type":"fallback_message","model":"claude-sonnet-4-5","input_tokens":472,"output_tokens":89}]}"#;
    let stream = STREAM.replace(told, &rounds.replace('\n', ""));
    assert_ne!(stream, STREAM);
    let (usage, seen) = read(&Format::AnthropicMessages, Framing::Sse, &stream);
    assert_eq!(usage, Err(Unreadable::SeveralModels));
    assert!(seen.is_ended);
    let stream = stream.replace("claude-fable-5", "claude-sonnet-4-5");
    let usage = usage_of(&Format::AnthropicMessages, Framing::Sse, &stream);
    let counts = [(Input, 880), (CachedInput, 100), (Output, 89)];
    assert_eq!(usage, Ok(used("claude-sonnet-4-5", &counts)));
}

#[test]
fn an_error_tells_no_usage() {
    let body = r#"{"type":"error","error":{"type":"invalid_request_error","message":"no"}}"#;
    let usage = usage_of(&Format::AnthropicMessages, Framing::Json, body);
    assert_eq!(usage, Err(Unreadable::Missing));
}

#[test]
fn a_cache_that_is_kept_for_an_hour_is_a_kind_of_its_own() {
    let usage = |written: u64| {
        format!(
            r#""usage":{{"input_tokens":5,"cache_creation_input_tokens":{written},"output_tokens":7,
            "cache_creation":{{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":300}}}}"#
        )
        .replace('\n', "")
    };
    let counts = [
        (Input, 5),
        (CacheWrite, 100),
        (CacheWrite1h, 300),
        (Output, 7),
    ];
    let whole = format!("{{\"model\":\"m\",{}}}", usage(400));
    let read_usage = usage_of(&Format::AnthropicMessages, Framing::Json, &whole);
    assert_eq!(read_usage, Ok(used("m", &counts)));
    let stream = [
        format!(
            r#"{{"type":"message_start","message":{{"model":"m",{}}}}}"#,
            usage(400)
        ),
        r#"{"type":"message_delta","usage":{"output_tokens":7}}"#.to_owned(),
        r#"{"type":"message_stop"}"#.to_owned(),
    ];
    let stream = stream.map(|event| format!("data: {event}\n\n")).concat();
    let read_usage = usage_of(&Format::AnthropicMessages, Framing::Sse, &stream);
    assert_eq!(read_usage, Ok(used("m", &counts)));
    let rounds = r#"{"model":"m","usage":{"input_tokens":1,"output_tokens":2,"iterations":[
        {"input_tokens":1,"output_tokens":1,"cache_creation_input_tokens":9,"cache_creation":{"ephemeral_1h_input_tokens":4}},
        {"input_tokens":1,"output_tokens":1,"cache_creation_input_tokens":3,"cache_creation":{"ephemeral_1h_input_tokens":2}}]}}"#;
    let read_usage = usage_of(&Format::AnthropicMessages, Framing::Json, rounds);
    let counts = [(Input, 2), (CacheWrite, 6), (CacheWrite1h, 6), (Output, 2)];
    assert_eq!(read_usage, Ok(used("m", &counts)));
    let more = format!("{{{}}}", usage(299));
    let read_usage = usage_of(&Format::AnthropicMessages, Framing::Json, &more);
    assert_eq!(
        read_usage,
        Err(Unreadable::Absurd),
        "a part above its whole"
    );
}
