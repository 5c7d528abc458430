//! Answers in every format, and JSON of all kinds, for the properties of usage.

use crate::generator::Generator;
use creditgate_core::usage::{Format, Framing, TokenCounts, TokenKind};
use serde_json::json;

pub(crate) fn kinds() -> Vec<(Format, Framing)> {
    let pointers = json!({"pointers": {
        "input": "/usage/0/in", "cached_input": "/usage/0/cached", "cache_write": "/usage/0/written", "cache_write_1h": "/usage/0/kept",
        "output": "/usage/1/out", "reasoning": "/usage/1/thought", "audio_input": "/usage/0/heard",
        "audio_output": "/usage/1/said", "image": "/usage/0/seen", "image_output": "/usage/1/drawn", "model": "/model", "stream": true,
    }});
    let formats = [
        Format::OpenAiChat,
        Format::OpenAiResponses,
        Format::OpenAiEmbeddings,
        Format::AnthropicMessages,
        Format::Gemini,
        serde_json::from_value(pointers).unwrap(),
    ];
    let framings = [Framing::Json, Framing::Sse];
    let pairs = formats.into_iter();
    pairs
        .flat_map(|format| framings.map(|framing| (format.clone(), framing)))
        .collect()
}

pub(crate) fn any_kind(generator: &mut Generator) -> (Format, Framing) {
    let kinds = kinds();
    kinds[generator.below(kinds.len() as u64) as usize].clone()
}

/// Counts that the format can tell; some output at least, since the answer has text, or input.
pub(crate) fn any_counts(format: &Format, generator: &mut Generator) -> TokenCounts {
    use TokenKind::*;
    let kinds: &[TokenKind] = match format {
        Format::OpenAiChat => &[
            Input,
            CachedInput,
            CacheWrite,
            Output,
            Reasoning,
            AudioInput,
            AudioOutput,
            Image,
            ImageOutput,
        ],
        Format::OpenAiResponses => &[
            Input,
            CachedInput,
            CacheWrite,
            Output,
            Reasoning,
            Image,
            ImageOutput,
        ],
        Format::OpenAiEmbeddings => &[Input],
        Format::AnthropicMessages => &[Input, CachedInput, CacheWrite, CacheWrite1h, Output],
        Format::Gemini => &[
            Input,
            CachedInput,
            Output,
            Reasoning,
            AudioInput,
            AudioOutput,
            Image,
            ImageOutput,
        ],
        Format::Pointers(_) => &TokenKind::ALL,
    };
    let mut counts = TokenCounts::ZERO;
    for kind in kinds {
        let bits = generator.below(31);
        counts.set(*kind, generator.below(2) * generator.below(1 << bits));
    }
    let least = if kinds.contains(&Output) {
        Output
    } else {
        Input
    };
    counts.add(least, 1);
    counts
}

/// An answer that tells these counts in the format's way, among much else.
pub(crate) fn answer(
    format: &Format,
    framing: Framing,
    used: &TokenCounts,
    generator: &mut Generator,
) -> String {
    use TokenKind::*;
    let get = |kind| used.get(kind);
    let input = get(Input) + get(CachedInput) + get(CacheWrite) + get(AudioInput) + get(Image);
    let output = get(Output) + get(Reasoning) + get(AudioOutput) + get(ImageOutput);
    let streamed = framing == Framing::Sse;
    let text = generator.text(
        &["a", "é", "\n", "\"", "\\", "{", "data: ", "\u{2028}", "😀"],
        12,
    );
    // Raw line ends would end a data line.
    let other = json_text(generator, 2).replace(['\n', '\r'], " ");
    let documents = match format {
        Format::OpenAiChat | Format::OpenAiEmbeddings => {
            let usage = json!({
                "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
                "prompt_tokens_details": {"cached_tokens": get(CachedInput),
                    "cache_write_tokens": get(CacheWrite), "audio_tokens": get(AudioInput), "image_tokens": get(Image)},
                "completion_tokens_details": {"reasoning_tokens": get(Reasoning), "audio_tokens": get(AudioOutput),
                    "image_tokens": get(ImageOutput)},
            });
            let place = if streamed { "delta" } else { "message" };
            let choices = json!([{"index": 0, place: {"content": text}}]);
            if streamed {
                vec![
                    json!({"model": "m", "choices": choices, "usage": null}),
                    json!({"model": "m", "choices": [], "usage": usage}),
                ]
            } else {
                vec![json!({"model": "m", "choices": choices, "usage": usage})]
            }
        }
        Format::OpenAiResponses => {
            let response = json!({
                "model": "m", "output": [{"content": [{"text": text}]}], "usage": {
                "input_tokens": input, "output_tokens": output, "total_tokens": input + output,
                "input_tokens_details": {"cached_tokens": get(CachedInput), "cache_write_tokens": get(CacheWrite),
                    "image_tokens": get(Image)},
                "output_tokens_details": {"reasoning_tokens": get(Reasoning), "image_tokens": get(ImageOutput)},
            }});
            if streamed {
                vec![
                    json!({"type": "response.created", "response": {"model": "m", "usage": null}}),
                    json!({"type": "response.output_text.delta", "delta": text}),
                    json!({"type": "response.completed", "response": response}),
                ]
            } else {
                vec![response]
            }
        }
        Format::AnthropicMessages => {
            let usage = |output: u64| {
                json!({
                    "input_tokens": get(Input), "cache_read_input_tokens": get(CachedInput),
                    "cache_creation_input_tokens": get(CacheWrite) + get(CacheWrite1h), "output_tokens": output,
                    "cache_creation": {"ephemeral_5m_input_tokens": get(CacheWrite),
                        "ephemeral_1h_input_tokens": get(CacheWrite1h)},
                })
            };
            if streamed {
                vec![
                    json!({"type": "message_start", "message": {"model": "m", "usage": usage(1)}}),
                    json!({"type": "content_block_delta", "delta": {"text": text}}),
                    json!({"type": "message_delta", "usage": {"output_tokens": output}}),
                    json!({"type": "message_stop"}),
                ]
            } else {
                vec![json!({"model": "m", "content": [{"text": text}], "usage": usage(output)})]
            }
        }
        Format::Gemini => {
            let cached_audio = generator.below(get(CachedInput) + 1);
            let usage = json!({
                "promptTokenCount": input, "cachedContentTokenCount": get(CachedInput),
                "candidatesTokenCount": get(Output) + get(AudioOutput) + get(ImageOutput), "thoughtsTokenCount": get(Reasoning),
                "promptTokensDetails": [
                    {"modality": "AUDIO", "tokenCount": get(AudioInput)},
                    {"modality": "TEXT", "tokenCount": get(Input)},
                    {"modality": "AUDIO", "tokenCount": cached_audio},
                    {"modality": "IMAGE", "tokenCount": get(Image)},
                ],
                "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": cached_audio}],
                "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": get(AudioOutput)},
                    {"modality": "IMAGE", "tokenCount": get(ImageOutput)}],
                "totalTokenCount": input + output,
            });
            let parts = json!({"parts": [{"text": text}]});
            vec![
                json!({"candidates": [{"content": parts}], "usageMetadata": {"promptTokenCount": input}}),
                json!({"candidates": [{"finishReason": "STOP"}], "usageMetadata": usage, "modelVersion": "m"}),
            ]
        }
        Format::Pointers(_) => vec![json!({"model": "m", "usage": [
            {"in": get(Input), "cached": get(CachedInput), "written": get(CacheWrite), "kept": get(CacheWrite1h),
                "heard": get(AudioInput), "seen": get(Image)},
            {"out": get(Output), "thought": get(Reasoning), "said": get(AudioOutput), "drawn": get(ImageOutput)},
        ]})],
    };
    let documents: Vec<String> = documents
        .iter()
        .map(|document| {
            document
                .to_string()
                .replacen('{', &format!("{{\"other\":{other},"), 1)
        })
        .collect();
    if streamed {
        events(&documents, generator)
    } else if documents.len() > 1 {
        format!("[{}]", documents.join(", "))
    } else {
        documents.concat()
    }
}

/// An event stream of these documents, in any of the ways it may be written.
fn events(documents: &[String], generator: &mut Generator) -> String {
    let end = generator.pick(&["\n", "\r", "\r\n"]);
    let mut stream = generator.pick(&["", "\u{feff}"]).to_owned();
    for document in documents.iter().map(String::as_str).chain(["[DONE]"]) {
        let noise = generator.pick(&["", ": comment", "event: data", "id: 1", "datum: {"]);
        let document = if generator.one_in(2) {
            document
                .replacen(", ", &format!(",{end}data:"), 1)
                .replacen(":{", &format!(":{end}data: {{"), 1)
        } else {
            document.to_owned()
        };
        stream += &format!(
            "{noise}{end}data:{}{document}{end}{end}",
            generator.pick(&["", " "])
        );
    }
    stream
}

/// JSON of few keys, so that they meet; some are equal, some escaped.
pub(crate) fn json_text(generator: &mut Generator, depth: u64) -> String {
    let space = generator.pick(&["", "", " ", "\n\t", "\r"]);
    let text = match generator.below(if depth == 0 { 2 } else { 9 }) {
        0..=2 if depth < 4 => {
            let members = (0..generator.below(5)).map(|_| {
                let key = generator.pick(&[
                    "a", "b", "c", "0", "", "k~", "x/y", "é", r"\u0061", r"\u00e9", "1",
                ]);
                format!(
                    "{space}\"{key}\"{space}:{}",
                    json_text(generator, depth + 1)
                )
            });
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        3 | 4 if depth < 4 => {
            let elements = (0..generator.below(4)).map(|_| json_text(generator, depth + 1));
            format!("[{}]", elements.collect::<Vec<_>>().join(","))
        }
        5 => generator.pick(&["null", "true", "false"]).to_owned(),
        6 => {
            let pieces = [
                "x",
                "é",
                r"\n",
                r"\u00e9",
                r"\ud83d\ude00",
                r#"\""#,
                r"\\",
                "😀",
                " ",
                "}",
                "data:",
            ];
            format!("\"{}\"", generator.text(&pieces, 5))
        }
        _ => generator
            .pick(&[
                "0",
                "7",
                "12",
                "345",
                "-1",
                "-0",
                "1.5",
                "2.0",
                "1e3",
                "1E-2",
                "1000000000000",
                "1000000000001",
                "18446744073709551615",
                "18446744073709551616",
            ])
            .to_owned(),
    };
    format!("{space}{text}{space}")
}

/// Changes a byte, takes some out or puts some in.
pub(crate) fn spoil(body: &mut Vec<u8>, generator: &mut Generator) {
    let place = generator.below(body.len() as u64 + 1) as usize;
    let pieces = [
        "{", "}", "[", "]", "\"", "\\", ",", ":", "0", "-", ".", "e", "null", "\n", "\u{0}",
        "\\u12", "\\ud800", "data:",
    ];
    let piece = generator.pick(&pieces).bytes();
    let is_within = place < body.len();
    match generator.below(5) {
        0 => body.truncate(place),
        1 if is_within => body[place] = generator.bits() as u8,
        2 if is_within => {
            body.splice(place..=place, piece);
        }
        3 if is_within => {
            body.remove(place);
        }
        _ => {
            body.splice(place..place, piece);
        }
    }
}
