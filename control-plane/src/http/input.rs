//! Values as clients write them. Each checks itself while it is read, so that the error
//! carries the place of the field; `[code]` before its words becomes the problem's code.

use std::collections::BTreeMap;
use std::fmt::Display;

use creditgate_core::amount::{AmountError, Currency, Scale, parse_exact};
use creditgate_core::rate_card::RULE_ID_LENGTH_MAX;
use creditgate_ledger::{Credits, Timestamp};
use serde::de::value::StringDeserializer;
use serde::de::{self, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

const EXTERNAL_ID_MAX: usize = 128;
const NAME_MAX: usize = 200;
const NOTE_MAX: usize = 500;
const METADATA_MAX: usize = 50;
const METADATA_KEY_MAX: usize = 40;
const METADATA_VALUE_MAX: usize = 500;

/// The earliest and latest instants that are taken: years 2000 to 9999.
const INSTANTS: (Timestamp, Timestamp) =
    (Timestamp(946_684_800_000), Timestamp(253_402_300_799_999));

fn coded<E: de::Error>(code: &str, words: impl Display) -> E {
    E::custom(format_args!("[{code}] {words}"))
}

fn text<'de, D: Deserializer<'de>>(deserializer: D, max: usize) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let length = text.chars().count();
    if length == 0 || length > max {
        return Err(coded(
            "text_invalid",
            format_args!("must have 1 to {max} characters, has {length}"),
        ));
    }
    if text.chars().any(char::is_control) || text.trim().len() != text.len() {
        return Err(coded(
            "text_invalid",
            "must have no control characters, and no spaces at its ends",
        ));
    }
    Ok(text)
}

/// The operator's own name for an object.
pub(crate) struct ExternalId(pub(crate) String);

impl<'de> Deserialize<'de> for ExternalId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = text(deserializer, EXTERNAL_ID_MAX)?;
        // Objects answer to both; so one must never be taken for the other.
        let own = text.split_once('_').is_some_and(|(prefix, digits)| {
            prefix.len() == 3
                && digits.len() == 32
                && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        if own {
            return Err(coded(
                "external_id_reserved",
                "must not look like an id of this service",
            ));
        }
        Ok(Self(text))
    }
}

/// A name for people.
pub(crate) struct Name(pub(crate) String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, NAME_MAX).map(Self)
    }
}

/// A reason or a description.
pub(crate) struct Note(pub(crate) String);

impl<'de> Deserialize<'de> for Note {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, NOTE_MAX).map(Self)
    }
}

/// The operator's own data.
#[derive(Default)]
pub(crate) struct Metadata(pub(crate) BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = BTreeMap::<String, String>::deserialize(deserializer)?;
        if entries.len() > METADATA_MAX {
            return Err(coded(
                "metadata_invalid",
                format_args!("may have {METADATA_MAX} entries, has {}", entries.len()),
            ));
        }
        for (key, value) in &entries {
            let key_length = key.chars().count();
            if key_length == 0 || key_length > METADATA_KEY_MAX || key.chars().any(char::is_control)
            {
                let words = format_args!(
                    "a key must have 1 to {METADATA_KEY_MAX} printable characters: {key:?}"
                );
                return Err(coded("metadata_invalid", words));
            }
            if value.chars().count() > METADATA_VALUE_MAX {
                let words =
                    format_args!("the value of {key:?} may have {METADATA_VALUE_MAX} characters");
                return Err(coded("metadata_invalid", words));
            }
        }
        Ok(Self(entries))
    }
}

/// A time zone of the IANA database.
pub(crate) struct TimeZone(pub(crate) String);

impl<'de> Deserialize<'de> for TimeZone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        match name.parse::<chrono_tz::Tz>() {
            Ok(zone) => Ok(Self(zone.name().to_owned())),
            Err(_) => Err(coded(
                "time_zone_unknown",
                "must be an IANA time zone, such as Europe/Berlin or UTC",
            )),
        }
    }
}

/// A decimal by its text: a JSON number or a string. No float comes between.
pub(crate) struct DecimalText(pub(crate) String);

impl<'de> Deserialize<'de> for DecimalText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let text = raw.get();
        let text: String = match text.as_bytes().first() {
            Some(b'"') => serde_json::from_str(text).map_err(D::Error::custom)?,
            Some(b'-' | b'0'..=b'9') => text.to_owned(),
            _ => {
                return Err(coded(
                    "amount_invalid",
                    "must be a number, or a decimal number in a string",
                ));
            }
        };
        match parse_exact(&text, Scale::MAX) {
            // What is too large or too fine for this scale may be right for the currency's.
            Ok(_) | Err(AmountError::Overflow | AmountError::TooPrecise) => Ok(Self(text)),
            Err(error) => Err(coded(error.code(), error)),
        }
    }
}

/// A number of credits, to nine places; the rest is rounded half-even.
pub(crate) struct CreditsText(pub(crate) Credits);

impl<'de> Deserialize<'de> for CreditsText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let DecimalText(text) = DecimalText::deserialize(deserializer)?;
        Credits::parse(&text, Scale::MAX)
            .map(Self)
            .map_err(|error| coded(error.code(), error))
    }
}

/// The name of a currency.
pub(crate) struct CurrencyName(pub(crate) Currency);

impl<'de> Deserialize<'de> for CurrencyName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Currency::new(&name)
            .map(Self)
            .map_err(|error| coded(error.code(), error))
    }
}

/// The id of a rule of a rate card. Whether there is such a rule, nobody asks: cards change.
pub(crate) struct RuleId(pub(crate) String);

impl<'de> Deserialize<'de> for RuleId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = String::deserialize(deserializer)?;
        let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if id.is_empty() || id.len() > RULE_ID_LENGTH_MAX || !id.bytes().all(is_fine) {
            return Err(coded(
                "rule_id_invalid",
                format_args!("must have 1 to {RULE_ID_LENGTH_MAX} letters, digits, _, - or ."),
            ));
        }
        Ok(Self(id))
    }
}

/// An instant, RFC 3339.
pub(crate) struct When(pub(crate) Timestamp);

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong =
            || D::Error::custom("must be an RFC 3339 date and time, such as 2026-01-31T00:00:00Z");
        let instant = Timestamp::parse(&text).map_err(|_| wrong())?;
        if instant < INSTANTS.0 || instant > INSTANTS.1 {
            return Err(D::Error::custom("must be in the years 2000 to 9999"));
        }
        Ok(Self(instant))
    }
}

/// A word of an enumeration that is written in capitals, read in any case.
pub(crate) struct Upper<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Upper<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?.to_ascii_uppercase();
        T::deserialize(StringDeserializer::<D::Error>::new(word)).map(Self)
    }
}

/// A word of an enumeration that is written small, read in any case.
pub(crate) struct Lower<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lower<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?.to_ascii_lowercase();
        T::deserialize(StringDeserializer::<D::Error>::new(word)).map(Self)
    }
}

/// A field that is known but that this version can't honour: anything but null is refused.
pub(crate) struct NotYet;

impl<'de> Deserialize<'de> for NotYet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        de::IgnoredAny::deserialize(deserializer)?;
        Err(coded(
            "not_supported_yet",
            "is not supported by this version; leave it out",
        ))
    }
}

/// For fields that may be left out but not be null.
pub(crate) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
