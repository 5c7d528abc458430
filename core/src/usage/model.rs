//! A model's name, as a request asks for it or an answer gives it.

use std::fmt;

/// The longest name of a model that is kept.
pub const MODEL_NAME_BYTES_MAX: usize = 128;

/// The name of a model: 1 to [`MODEL_NAME_BYTES_MAX`] bytes of ASCII that can be seen, no
/// spaces. A longer or odder name is no name, so that it is in no price table either.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelName(Box<str>);

impl ModelName {
    /// The name, or `None` if it is empty, too long or odd.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let fits = (1..=MODEL_NAME_BYTES_MAX).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(name.into()))
    }

    /// Whether both are the same model, one of them perhaps with the date of its version
    /// (`-20250929`, on Vertex AI `@20250929`).
    pub(super) fn is_version_of(&self, other: &Self) -> bool {
        undated(&self.0) == undated(&other.0)
    }

    /// The name's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn undated(name: &str) -> &str {
    let split = name.rsplit_once(['-', '@']);
    let is_date = |date: &str| date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
    match split {
        Some((undated, date)) if is_date(date) => undated,
        _ => name,
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The model that a Gemini path names: `…/models/{model}:generateContent`, with or without
/// a query. Source: "Gemini API reference, Generating content", and Vertex AI's, whose
/// paths have more before `models`.
///
/// A name with an escape is none: the upstream would read another one.
#[must_use]
pub fn model_in_path(path: &str) -> Option<ModelName> {
    let path = path.split('?').next()?;
    let (before, last) = path.rsplit_once('/')?;
    let (model, verb) = last.rsplit_once(':')?;
    let is_call = before.ends_with("/models") && !verb.is_empty();
    (is_call && !model.contains('%')).then(|| ModelName::new(model))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_plain() {
        for name in [
            "gpt-4o",
            "a",
            "accounts/fireworks/models/x:y@2",
            &"m".repeat(128),
        ] {
            assert_eq!(ModelName::new(name).unwrap().as_str(), name);
        }
        for name in ["", "gpt 4o", "gpt-4\n", "modèle", &"m".repeat(129)] {
            assert_eq!(ModelName::new(name), None, "{name:?}");
        }
    }

    #[test]
    fn a_version_is_named_by_its_date() {
        let same = |one, other| {
            let name = |name| ModelName::new(name).unwrap();
            name(one).is_version_of(&name(other)) && name(other).is_version_of(&name(one))
        };
        for other in ["m-4-5", "m-4-5-20250929", "m-4-5@20250929"] {
            assert!(same("m-4-5", other), "{other}");
        }
        for other in [
            "m-4",
            "m-4-6",
            "m-4-5-fast",
            "m-4-5-2025092",
            "m-4-5-2025092x",
        ] {
            assert!(!same("m-4-5", other), "{other}");
        }
    }

    #[test]
    fn a_gemini_path_names_its_model() {
        let model = |path| model_in_path(path).map(|model| model.to_string());
        for path in [
            "/v1beta/models/gemini-2.5-pro:generateContent",
            "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse&x=/models/y:z",
            "/v1/projects/p/locations/l/publishers/google/models/gemini-2.5-pro:generateContent",
        ] {
            assert_eq!(model(path).as_deref(), Some("gemini-2.5-pro"), "{path}");
        }
        for path in [
            "/v1beta/models/gemini-2.5-pro",
            "/v1beta/models/gemini-2.5-pro:",
            "/v1beta/models/:generateContent",
            "/v1beta/models/a%2Fb:generateContent",
            "/v1beta/models/a/b:generateContent",
            "/v1beta/tunedModels/a:generateContent",
            "models",
            "",
        ] {
            assert_eq!(model(path), None, "{path}");
        }
    }
}
