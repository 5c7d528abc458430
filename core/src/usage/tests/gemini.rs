//! Shapes after Google's API reference.

use super::{read, usage_of, used};
use crate::usage::TokenKind::{
    AudioInput, AudioOutput, CachedInput, Image, ImageOutput, Input, Output, Reasoning,
};
use crate::usage::{Format, Framing, Unreadable, UsageReader};

const ANSWER: &str = r#"{
  "candidates": [{
    "content": {"parts": [{"text": "Grüße"}, {"functionCall": {"name": "f", "args": {"a": [1]}}}], "role": "model"},
    "finishReason": "STOP", "avgLogprobs": -0.1
  }],
  "usageMetadata": {
    "promptTokenCount": 300, "candidatesTokenCount": 40, "totalTokenCount": 468,
    "cachedContentTokenCount": 100, "thoughtsTokenCount": 120, "toolUsePromptTokenCount": 8,
    "promptTokensDetails": [
      {"modality": "TEXT", "tokenCount": 180}, {"modality": "AUDIO", "tokenCount": 70},
      {"tokenCount": 50, "modality": "IMAGE"}],
    "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 80}, {"modality": "AUDIO", "tokenCount": 20}],
    "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 30}, {"modality": "AUDIO", "tokenCount": 10}]
  },
  "modelVersion": "gemini-2.5-flash", "responseId": "r"
}"#;

const DOCUMENTS: [&str; 3] = [
    r#"{"candidates":[{"content":{"parts":[{"text":"The"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":12,"totalTokenCount":75,"thoughtsTokenCount":63},"modelVersion":"gemini-2.5-pro"}"#,
    r#"{"candidates":[{"content":{"parts":[{"text":" end"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":12,"candidatesTokenCount":1,"totalTokenCount":76,"thoughtsTokenCount":63},"modelVersion":"gemini-2.5-pro"}"#,
    r#"{"candidates":[{"content":{"parts":[{"text":"."}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":12,"candidatesTokenCount":3,"totalTokenCount":78,"thoughtsTokenCount":63},"modelVersion":"gemini-2.5-pro"}"#,
];

#[test]
fn an_answer_tells_kinds_and_modalities() {
    let (usage, seen) = read(&Format::Gemini, Framing::Json, ANSWER);
    let counts = [
        (Input, 100 + 8),
        (CachedInput, 100),
        (AudioInput, 50),
        (Image, 50),
        (Output, 30),
        (AudioOutput, 10),
        (Reasoning, 120),
    ];
    assert_eq!(usage, Ok(used("gemini-2.5-flash", &counts)));
    assert_eq!(seen.output_bytes, "Grüße{\"a\": [1]}".len() as u64);
    assert!(seen.is_ended);
}

#[test]
fn each_document_of_a_stream_tells_the_usage_so_far() {
    let usage = Ok(used(
        "gemini-2.5-pro",
        &[(Input, 12), (Output, 3), (Reasoning, 63)],
    ));
    let events = DOCUMENTS
        .map(|document| format!("data: {document}\r\n\r\n"))
        .concat();
    let (read_usage, seen) = read(&Format::Gemini, Framing::Sse, &events);
    assert_eq!(read_usage, usage);
    assert_eq!((seen.output_bytes, seen.is_ended), (8, true));

    let list = format!("[{}\n]\n", DOCUMENTS.join("\n,\r\n"));
    let (read_usage, seen) = read(&Format::Gemini, Framing::Json, &list);
    assert_eq!(read_usage, usage);
    assert_eq!((seen.output_bytes, seen.is_ended), (8, true));
}

#[test]
fn a_stream_that_broke_off_told_the_usage_so_far() {
    let events = DOCUMENTS.map(|document| format!("data: {document}\n\n"));
    let (usage, seen) = read(&Format::Gemini, Framing::Sse, &events[..2].concat());
    let counts = [(Input, 12), (Output, 1), (Reasoning, 63)];
    assert_eq!(usage, Ok(used("gemini-2.5-pro", &counts)));
    assert!(!seen.is_ended);

    let list = format!("[{},", DOCUMENTS[..2].join(","));
    let (usage, seen) = read(&Format::Gemini, Framing::Json, &list);
    assert_eq!(usage, Err(Unreadable::NotJson));
    assert_eq!(seen.tokens.map(|tokens| tokens.total()), Some(76));
    assert!(!seen.is_ended);
}

/// Its older models', and some that stand in between, say why they stopped in every document.
#[test]
fn a_stream_ends_with_its_last_document_only() {
    let finished = DOCUMENTS.map(|document| {
        let document = document.replace(",\"finishReason\":\"STOP\"", "");
        document.replace(r#""index":0}"#, r#""finishReason":"STOP","index":0}"#)
    });
    let events = finished
        .clone()
        .map(|document| format!("data: {document}\n\n"));
    let usage = |output| {
        Ok(used(
            "gemini-2.5-pro",
            &[(Input, 12), (Output, output), (Reasoning, 63)],
        ))
    };
    let (whole, seen) = read(&Format::Gemini, Framing::Sse, &events.concat());
    assert_eq!((whole, seen.is_ended), (usage(3), true));
    let (_, seen) = read(&Format::Gemini, Framing::Sse, &events[..2].concat());
    assert!(seen.is_ended, "none has come after it");
    let within = format!("{}{}", events[..2].concat(), &events[2][..40]);
    let (_, seen) = read(&Format::Gemini, Framing::Sse, &within);
    assert!(!seen.is_ended, "another one has begun");
    let unsaid = format!("{}data: {}\n\n", events[0], DOCUMENTS[1]);
    let (_, seen) = read(&Format::Gemini, Framing::Sse, &unsaid);
    assert!(!seen.is_ended, "the last one doesn't say so");

    for end in ["", "\n", ",", "\n]"] {
        let list = format!("[{}{end}", finished.join(","));
        let (whole, seen) = read(&Format::Gemini, Framing::Json, &list);
        assert_eq!((whole, seen.is_ended), (usage(3), true), "{end:?}");
    }
    let within = format!("[{},{}", finished[..2].join(","), &finished[2][..40]);
    let (whole, seen) = read(&Format::Gemini, Framing::Json, &within);
    assert_eq!((whole, seen.is_ended), (Err(Unreadable::NotJson), false));
}

#[test]
fn a_list_of_documents_tells_as_it_goes() {
    let tells = |framing, body: &str| {
        let mut reader = UsageReader::new(Format::Gemini, framing);
        reader.push(body.as_bytes());
        reader.tells_as_it_goes()
    };
    assert!(tells(Framing::Json, " [") && tells(Framing::Json, &format!("[{}", DOCUMENTS[0])));
    assert!(!tells(Framing::Json, "") && !tells(Framing::Json, DOCUMENTS[0]));
    assert!(tells(Framing::Sse, ""));
    assert!(!tells(Framing::Unsupported, "["));
    let mut chat = UsageReader::new(Format::OpenAiChat, Framing::Json);
    chat.push(b"[");
    assert!(!chat.tells_as_it_goes(), "no list of documents");
}

fn answer(usage: &str) -> Result<crate::usage::Usage, Unreadable> {
    let body = format!(r#"{{"usageMetadata":{usage},"modelVersion":"m"}}"#);
    usage_of(&Format::Gemini, Framing::Json, &body)
}

#[test]
fn zeros_may_be_left_out() {
    let blocked = r#"{"promptFeedback":{"blockReason":"SAFETY"},
        "usageMetadata":{"promptTokenCount":9,"totalTokenCount":9},"modelVersion":"m"}"#;
    let (usage, seen) = read(&Format::Gemini, Framing::Json, blocked);
    assert_eq!(usage, Ok(used("m", &[(Input, 9)])));
    assert!(seen.is_ended);
    let text = blocked.replace(
        '{',
        r#"{"candidates":[{"content":{"parts":[{"text":"x"}]}}],"#,
    );
    let usage = usage_of(&Format::Gemini, Framing::Json, &text);
    assert_eq!(usage, Err(Unreadable::Missing), "text without tokens");
}

#[test]
fn what_only_the_total_tells_is_thought() {
    let usage = answer(r#"{"promptTokenCount":10,"candidatesTokenCount":5,"totalTokenCount":115}"#);
    assert_eq!(
        usage,
        Ok(used("m", &[(Input, 10), (Output, 5), (Reasoning, 100)]))
    );
}

#[test]
fn cached_sound_without_a_list_counts_as_fresh() {
    let usage = answer(
        r#"{"promptTokenCount":100,"cachedContentTokenCount":90,"candidatesTokenCount":1,
            "promptTokensDetails":[{"modality":"AUDIO","tokenCount":60},{"modality":"TEXT","tokenCount":40}]}"#,
    );
    let counts = [(AudioInput, 60), (CachedInput, 40), (Output, 1)];
    assert_eq!(usage, Ok(used("m", &counts)));
}

#[test]
fn images_that_were_made_are_no_plain_output() {
    let usage = answer(
        r#"{"promptTokenCount":9,"candidatesTokenCount":1300,"totalTokenCount":1309,
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":9}],
            "candidatesTokensDetails":[{"modality":"TEXT","tokenCount":10},{"modality":"IMAGE","tokenCount":1290}]}"#,
    );
    let counts = [(Input, 9), (Output, 10), (ImageOutput, 1290)];
    assert_eq!(usage, Ok(used("m", &counts)));
}

#[test]
fn a_part_larger_than_its_whole_is_absurd() {
    for usage in [
        r#"{"promptTokenCount":5,"cachedContentTokenCount":6}"#,
        r#"{"promptTokenCount":5,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":3},{"modality":"AUDIO","tokenCount":3}]}"#,
        r#"{"promptTokenCount":5,"candidatesTokenCount":1,"candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":2}]}"#,
        r#"{"promptTokenCount":5,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":-1}]}"#,
    ] {
        assert_eq!(answer(usage), Err(Unreadable::Absurd), "{usage}");
    }
}
