//! Google's answers.
//!
//! Sources: Gemini API reference, "Generating content", `UsageMetadata`; Vertex AI's
//! `GenerateContentResponse`. The prompt's count includes cached content; thoughts, and
//! prompts of tools, are counted beside prompt and candidates, and all of it in the total.
//! Lists say how much of each was of which modality. Zeros are left out. Each document of
//! a stream tells the usage so far.

use super::{Field, Item, List, Path, Slot};
use crate::usage::answer::Told;
use crate::usage::{TokenCounts, TokenKind, Unreadable};

pub(in crate::usage) static GENERATE: &[Path] = &[
    Path::at(
        &["usageMetadata", "promptTokenCount"],
        Field::Count(Slot::Input),
    ),
    Path::at(
        &["usageMetadata", "cachedContentTokenCount"],
        Field::Count(Slot::CachedInput),
    ),
    Path::at(
        &["usageMetadata", "toolUsePromptTokenCount"],
        Field::Count(Slot::ToolInput),
    ),
    Path::at(
        &["usageMetadata", "candidatesTokenCount"],
        Field::Count(Slot::Output),
    ),
    Path::at(
        &["usageMetadata", "thoughtsTokenCount"],
        Field::Count(Slot::Reasoning),
    ),
    Path::at(
        &["usageMetadata", "totalTokenCount"],
        Field::Count(Slot::Total),
    ),
    Path::at(
        &["usageMetadata", "promptTokensDetails"],
        Field::List(List::Prompt),
    ),
    Path::at(
        &["usageMetadata", "promptTokensDetails", "*"],
        Field::Element(List::Prompt),
    ),
    Path::at(
        &["usageMetadata", "promptTokensDetails", "*", "modality"],
        Field::Modality,
    ),
    Path::at(
        &["usageMetadata", "promptTokensDetails", "*", "tokenCount"],
        Field::Item(Item::Tokens),
    ),
    Path::at(
        &["usageMetadata", "cacheTokensDetails"],
        Field::List(List::Cache),
    ),
    Path::at(
        &["usageMetadata", "cacheTokensDetails", "*"],
        Field::Element(List::Cache),
    ),
    Path::at(
        &["usageMetadata", "cacheTokensDetails", "*", "modality"],
        Field::Modality,
    ),
    Path::at(
        &["usageMetadata", "cacheTokensDetails", "*", "tokenCount"],
        Field::Item(Item::Tokens),
    ),
    Path::at(
        &["usageMetadata", "candidatesTokensDetails"],
        Field::List(List::Candidates),
    ),
    Path::at(
        &["usageMetadata", "candidatesTokensDetails", "*"],
        Field::Element(List::Candidates),
    ),
    Path::at(
        &["usageMetadata", "candidatesTokensDetails", "*", "modality"],
        Field::Modality,
    ),
    Path::at(
        &[
            "usageMetadata",
            "candidatesTokensDetails",
            "*",
            "tokenCount",
        ],
        Field::Item(Item::Tokens),
    ),
    Path::at(&["modelVersion"], Field::Model),
    Path::at(&["candidates", "*", "finishReason"], Field::Finish),
    Path::at(&["promptFeedback", "blockReason"], Field::Finish),
    Path::at(
        &["candidates", "*", "content", "parts", "*", "text"],
        Field::Text,
    ),
    Path::at(
        &[
            "candidates",
            "*",
            "content",
            "parts",
            "*",
            "functionCall",
            "args",
        ],
        Field::Text,
    ),
    Path::at(
        &[
            "candidates",
            "*",
            "content",
            "parts",
            "*",
            "executableCode",
            "code",
        ],
        Field::Text,
    ),
];

/// Takes the parts out of the wholes; what the total has beside them is thought.
pub(super) fn counts(told: &Told) -> Result<TokenCounts, Unreadable> {
    let prompt = told.count(Slot::Input)?;
    let cached = told.count(Slot::CachedInput)?;
    let tools = told.count(Slot::ToolInput)?;
    let output = told.count(Slot::Output)?;
    let thoughts = told.count(Slot::Reasoning)?;
    let audio = part(
        told.count(Slot::AudioInput)?,
        told.count(Slot::CachedAudio)?,
    )?;
    let image = part(told.count(Slot::Image)?, told.count(Slot::CachedImage)?)?;
    let audio_output = told.count(Slot::AudioOutput)?;
    let image_output = told.count(Slot::ImageOutput)?;
    let written = part(output, audio_output.saturating_add(image_output))?;

    // Without the cache's list its sound and images are told of twice: they count as fresh.
    part(prompt, cached)?;
    let plain = part(prompt, audio.saturating_add(image))?;
    let cached = cached.min(plain);
    let told_of = [prompt, tools, output, thoughts]
        .into_iter()
        .fold(0, u64::saturating_add);
    let surplus = told.count(Slot::Total)?.saturating_sub(told_of);

    Ok(TokenCounts::from_iter([
        (TokenKind::Input, part(plain, cached)?.saturating_add(tools)),
        (TokenKind::CachedInput, cached),
        (TokenKind::AudioInput, audio),
        (TokenKind::Image, image),
        (TokenKind::Output, written),
        (TokenKind::AudioOutput, audio_output),
        (TokenKind::ImageOutput, image_output),
        (TokenKind::Reasoning, thoughts.saturating_add(surplus)),
    ]))
}

/// What is left of the whole without this part of it.
fn part(whole: u64, part: u64) -> Result<u64, Unreadable> {
    whole.checked_sub(part).ok_or(Unreadable::Absurd)
}
