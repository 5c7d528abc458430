//! Answers in the shapes that providers document: OpenAI's chat completions and Anthropic's
//! messages, whole and as events; a job that counts its units; and sheer bulk.
//!
//! `x-behave` holds words: `input=7`, `cached=2` (of the input), `output=5` (tokens), `events=3`
//! (pieces of text in a stream), `gap=20` (ms between pieces), `split=7` (pieces of up to so many
//! bytes, whatever an event is), `first=7` (so many bytes, and then all the rest at once), `pad=7` (bytes more in each event), `cut=3` (pieces, then the connection breaks), `silent` (tells no usage), `gzip`, `status=429`, `units=3`,
//! `bytes=1000`. Like the real ones it keeps to the limit that the request names, unless it `lies`, and tells the
//! usage of an OpenAI stream only if asked to.

use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::clock::ms;

/// A chunk of bulk.
const BULK_BYTES: u64 = 1 << 16;

/// `{"model": "small", "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}}`,
/// compressed.
const GZIPPED: [u8; 91] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0x56, 0xca, 0xcd, 0x4f, 0x49,
    0xcd, 0x51, 0xb2, 0x52, 0x50, 0x2a, 0xce, 0x4d, 0xcc, 0xc9, 0x51, 0xd2, 0x51, 0x50, 0x2a, 0x2d,
    0x4e, 0x4c, 0x4f, 0x05, 0x8a, 0x54, 0x2b, 0x15, 0x14, 0xe5, 0xe7, 0x16, 0x94, 0xc4, 0x97, 0xe4,
    0x67, 0xa7, 0xe6, 0x15, 0x03, 0x45, 0xcc, 0x81, 0xb2, 0xc9, 0x40, 0xa1, 0x9c, 0xd4, 0x92, 0xcc,
    0xfc, 0x3c, 0x84, 0xb8, 0x29, 0x50, 0xbc, 0x24, 0xbf, 0x24, 0x31, 0x07, 0x21, 0x64, 0x68, 0x54,
    0x5b, 0x0b, 0x00, 0xf5, 0x63, 0x08, 0xa8, 0x5d, 0x00, 0x00, 0x00,
];

/// What is answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// How long it waits between pieces.
    pub gap: Duration,
    /// After how many pieces the connection breaks.
    pub cut: Option<usize>,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Pieces(Vec<Bytes>),
    /// So many chunks of bulk.
    Bulk(u64),
}

/// What is asked of it: the words of `x-behave`, and the request.
struct Asked<'a> {
    behave: &'a str,
    body: Value,
}

impl Asked<'_> {
    fn is(&self, word: &str) -> bool {
        self.behave.split_whitespace().any(|own| own == word)
    }

    fn number(&self, name: &str, default: u64) -> u64 {
        let mut words = self.behave.split_whitespace();
        let found = words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        found
            .and_then(|number| number.parse().ok())
            .unwrap_or(default)
    }

    fn model(&self) -> &str {
        self.body["model"].as_str().unwrap_or_default()
    }

    /// Tokens of output: no more than the request allows.
    fn output(&self) -> u64 {
        if self.is("lies") {
            return self.number("output", 5);
        }
        let limits = ["max_completion_tokens", "max_tokens"];
        let limits = limits
            .iter()
            .filter_map(|name| self.body.get(*name)?.as_u64());
        self.number("output", 5)
            .min(limits.min().unwrap_or(u64::MAX))
    }

    fn words(&self) -> impl Iterator<Item = String> {
        (0..self.number("events", 3)).map(|number| format!("word-{number:04} "))
    }
}

impl Answer {
    /// What is answered at a path; nothing if no model lives there.
    #[must_use]
    pub fn to(path: &str, body: &[u8], behave: &str) -> Option<Self> {
        let asked = Asked {
            behave,
            body: serde_json::from_slice(body).unwrap_or_default(),
        };
        let is_stream = asked.body["stream"] == true;
        let events = match path {
            "/v1/jobs" => return Some(Self::job(&asked)),
            "/v1/bulk" => return Some(Self::bulk(&asked)),
            "/v1/chat/completions" if !is_stream => vec![chat(&asked)],
            "/v1/chat/completions" => chat_events(&asked),
            "/v1/messages" if !is_stream => vec![message(&asked)],
            "/v1/messages" => message_events(&asked),
            _ => return None,
        };
        let events = padded(events, asked.number("pad", 0));
        let content_type = match is_stream {
            true => "text/event-stream; charset=utf-8",
            false => "application/json",
        };
        let mut answer = Self {
            status: 200,
            headers: vec![("content-type", content_type.to_owned())],
            gap: ms(asked.number("gap", 0)),
            cut: usize::try_from(asked.number("cut", u64::MAX)).ok(),
            content: Content::Pieces(events.into_iter().map(Bytes::from).collect()),
        };
        let status = asked.number("status", 200);
        if status != 200 {
            answer.status = u16::try_from(status).unwrap_or(500);
            let error = json!({"error": {"type": "rate_limit_error", "message": "slow down"}});
            answer.headers = vec![("content-type", "application/json".to_owned())];
            answer.content = Content::Pieces(vec![Bytes::from(error.to_string())]);
        }
        if asked.is("gzip") {
            answer.headers.push(("content-encoding", "gzip".to_owned()));
            answer.content = Content::Pieces(vec![Bytes::from_static(&GZIPPED)]);
        }
        let split = usize::try_from(asked.number("split", 0)).unwrap_or_default();
        if split > 0 {
            answer.content = Content::Pieces(in_odd_pieces(&answer.body(), split));
        }
        let first = usize::try_from(asked.number("first", 0)).unwrap_or_default();
        if first > 0 {
            let mut body = answer.body();
            let rest = body.split_off(first.min(body.len()));
            answer.content = Content::Pieces(vec![body, rest]);
        }
        Some(answer)
    }

    /// Work that is told in a header.
    fn job(asked: &Asked<'_>) -> Self {
        let mut headers = vec![("content-type", "text/plain".to_owned())];
        if !asked.is("silent") {
            headers.push(("x-units", asked.number("units", 1).to_string()));
        }
        Self {
            status: 200,
            headers,
            gap: Duration::ZERO,
            cut: None,
            content: Content::Pieces(vec![Bytes::from_static(b"done\n")]),
        }
    }

    fn bulk(asked: &Asked<'_>) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type", "application/octet-stream".to_owned())],
            gap: ms(asked.number("gap", 0)),
            cut: None,
            content: Content::Bulk(asked.number("bytes", 0).div_ceil(BULK_BYTES)),
        }
    }

    /// The whole body, if it isn't bulk.
    #[must_use]
    pub fn body(&self) -> Bytes {
        match &self.content {
            Content::Pieces(pieces) => pieces.concat().into(),
            Content::Bulk(_) => Bytes::new(),
        }
    }

    /// The body as it is sent.
    pub(super) fn into_pieces(self) -> Box<dyn Iterator<Item = Bytes> + Send> {
        match self.content {
            Content::Pieces(pieces) => Box::new(pieces.into_iter()),
            Content::Bulk(count) => Box::new((0..count).map(bulk_chunk)),
        }
    }
}

/// A chunk of bulk: 64 KiB, none like another.
#[must_use]
pub fn bulk_chunk(number: u64) -> Bytes {
    let line = format!("{number:015}\n");
    let times = usize::try_from(BULK_BYTES).unwrap_or_default() / line.len();
    line.repeat(times).into()
}

/// Whether this is bulk of so many bytes, as it was sent.
///
/// # Errors
/// What is not as it was.
pub fn is_bulk(body: &[u8], bytes: u64) -> Result<()> {
    ensure!(body.len() as u64 == bytes, "{} bytes came", body.len());
    let chunk = usize::try_from(BULK_BYTES)?;
    for (number, came) in (0..).zip(body.chunks(chunk)) {
        ensure!(came == bulk_chunk(number), "chunk {number} came changed");
    }
    Ok(())
}

/// Pieces of 1 byte up to `most`, so that lines, numbers and characters are cut anywhere.
fn in_odd_pieces(body: &[u8], most: usize) -> Vec<Bytes> {
    let (mut pieces, mut rest) = (Vec::new(), body);
    while !rest.is_empty() {
        let length = (pieces.len() * 5 % most + 1).min(rest.len());
        let (piece, tail) = rest.split_at(length);
        pieces.push(Bytes::copy_from_slice(piece));
        rest = tail;
    }
    pieces
}

/// Events with so many bytes more in each, where OpenAI puts them to hide how long words are.
fn padded(events: Vec<String>, bytes: u64) -> Vec<String> {
    let bytes = usize::try_from(bytes).unwrap_or_default();
    if bytes == 0 {
        return events;
    }
    let begin = format!(r#"data: {{"obfuscation":"{}","#, "x".repeat(bytes));
    let pad = |event: String| event.replacen("data: {", &begin, 1);
    events.into_iter().map(pad).collect()
}

/// OpenAI's Chat Completions, "the chat completion object".
fn chat(asked: &Asked<'_>) -> String {
    let text: String = asked.words().collect();
    let mut answer = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_764_000_000,
        "model": asked.model(),
        "choices": [{"index": 0, "finish_reason": "stop", "logprobs": null,
            "message": {"role": "assistant", "content": text, "refusal": null}}],
    });
    if !asked.is("silent") {
        answer["usage"] = chat_usage(asked);
    }
    answer.to_string()
}

fn chat_usage(asked: &Asked<'_>) -> Value {
    let (read, written) = (asked.number("input", 7), asked.output());
    json!({
        "prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written,
        "prompt_tokens_details": {"cached_tokens": asked.number("cached", 0), "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    })
}

/// OpenAI's Chat Completions, "the chat completion chunk object".
fn chat_events(asked: &Asked<'_>) -> Vec<String> {
    let includes_usage = asked.body["stream_options"]["include_usage"] == true;
    let tells = includes_usage && !asked.is("silent");
    let event = |choices: Value, usage: Value| {
        let mut chunk = json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_764_000_000,
            "model": asked.model(), "choices": choices,
        });
        if tells {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n")
    };
    let delta = |text: String| {
        let choice = json!({"index": 0, "delta": {"content": text}, "finish_reason": null});
        event(json!([choice]), Value::Null)
    };
    let mut events: Vec<String> = asked.words().map(delta).collect();
    let end = json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]);
    events.push(event(end, Value::Null));
    if tells {
        events.push(event(json!([]), chat_usage(asked)));
    }
    events.push("data: [DONE]\n\n".to_owned());
    events
}

/// Anthropic's Messages.
fn message(asked: &Asked<'_>) -> String {
    let text: String = asked.words().collect();
    let mut answer = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": asked.model(),
        "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
    });
    if !asked.is("silent") {
        answer["usage"] = message_usage(asked, asked.output());
    }
    answer.to_string()
}

/// Cached tokens aren't among those of the input.
fn message_usage(asked: &Asked<'_>, written: u64) -> Value {
    let cached = asked.number("cached", 0);
    json!({
        "input_tokens": asked.number("input", 7).saturating_sub(cached),
        "cache_creation_input_tokens": 0, "cache_read_input_tokens": cached,
        "output_tokens": written,
    })
}

/// Anthropic's Messages, "streaming": what was written is told last, in all.
fn message_events(asked: &Asked<'_>) -> Vec<String> {
    let event = |kind: &str, data: Value| format!("event: {kind}\ndata: {data}\n\n");
    let mut start = json!({"type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": asked.model(),
        "content": [], "stop_reason": null, "stop_sequence": null,
    }});
    if !asked.is("silent") {
        start["message"]["usage"] = message_usage(asked, 1);
    }
    let block = json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
    let mut events = vec![
        event("message_start", start),
        event("content_block_start", block),
        event("ping", json!({"type": "ping"})),
    ];
    events.extend(asked.words().map(|text| {
        let delta = json!({"type": "text_delta", "text": text});
        let data = json!({"type": "content_block_delta", "index": 0, "delta": delta});
        event("content_block_delta", data)
    }));
    let stop = json!({"type": "content_block_stop", "index": 0});
    events.push(event("content_block_stop", stop));
    let mut end = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}});
    if !asked.is("silent") {
        end["usage"] = json!({"output_tokens": asked.output()});
    }
    events.push(event("message_delta", end));
    events.push(event("message_stop", json!({"type": "message_stop"})));
    events
}
