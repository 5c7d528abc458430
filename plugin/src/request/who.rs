//! Who pays, by the sources of the configuration.
//!
//! All of them are looked at: where two name somebody, another layer may believe the other
//! one, so such a request is refused, and so is one that says the same thing twice. A key
//! must be one by its checksum; a customer's name is believed as it stands.

use std::borrow::Cow;
use std::rc::Rc;

use creditgate_core::key::{
    CredentialHash, KEY_LENGTH, KeyKind, check, credential_hash, customer_hash,
};

use super::price::Question;
use super::refusal::Refusal;
use crate::config::{Anonymous, CUSTOMER_BYTES_MAX, Certificate, Config, From, Names, Source};

/// Where the proxy's JWT filter puts what it has checked.
const JWT_FILTER: &str = "envoy.filters.http.jwt_authn";

/// Who pays, as far as the request says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Who {
    /// Of the key, or of the customer's name.
    pub(crate) hash: CredentialHash,
    /// The customer's name, where it is known without a key.
    pub(crate) customer: Option<Rc<str>>,
}

impl Who {
    fn customer(name: &str) -> Self {
        Self {
            hash: customer_hash(name),
            customer: Some(name.into()),
        }
    }
}

impl<'a> Question<'a> {
    /// Who pays; `None` if nobody needs to.
    pub(crate) fn who(&self, config: &'a Config) -> Result<Option<Who>, Refusal> {
        let mut found = None;
        for source in &config.identity.sources {
            let Some(value) = self.value(&source.from)? else {
                continue;
            };
            if value.len() > config.limits.header_bytes_max {
                return Err(Refusal::CredentialMalformed);
            }
            let Some(who) = who(source, &value)? else {
                continue;
            };
            if found.replace(who).is_some() {
                return Err(Refusal::CredentialAmbiguous);
            }
        }
        match (found, &config.identity.anonymous) {
            (Some(who), _) => Ok(Some(who)),
            (None, Anonymous::Deny) => Err(Refusal::CredentialMissing),
            (None, Anonymous::Free) => Ok(None),
            (None, Anonymous::Customer(name)) => Ok(Some(Who::customer(name))),
        }
    }

    /// What stands at a source. Twice is once too often.
    fn value(&self, from: &'a From) -> Result<Option<Cow<'a, [u8]>>, Refusal> {
        let property = |path: &[&str]| Ok(self.proxy.property(path).map(Cow::Owned));
        match from {
            From::Header(name) => one(self.values(name).map(Cow::Borrowed)),
            From::Query(name) => one(query(self.path, name.as_bytes())),
            From::Cookie(name) => {
                let cookies = self.values("cookie");
                let pairs = cookies.flat_map(|value| value.split(|byte| *byte == b';'));
                one(pairs.filter_map(|pair| {
                    let (own, value) = split(pair.trim_ascii(), b'=')?;
                    let value = value.strip_prefix(b"\"").unwrap_or(value);
                    let value = value.strip_suffix(b"\"").unwrap_or(value);
                    (own == name.as_bytes()).then_some(Cow::Borrowed(value))
                }))
            }
            From::JwtClaim(claim) => {
                let mut path = vec!["metadata", "filter_metadata", JWT_FILTER, &claim.payload];
                path.extend(claim.claim.keys());
                property(&path)
            }
            From::Certificate(part) => property(&[
                "connection",
                match part {
                    Certificate::UriSan => "uri_san_peer_certificate",
                    Certificate::DnsSan => "dns_san_peer_certificate",
                    Certificate::Subject => "subject_peer_certificate",
                },
            ]),
            From::FilterState(key) => property(&["filter_state", key]),
        }
    }
}

fn one<'a>(
    mut values: impl Iterator<Item = Cow<'a, [u8]>>,
) -> Result<Option<Cow<'a, [u8]>>, Refusal> {
    let first = values.next();
    match values.next() {
        Some(_) => Err(Refusal::CredentialAmbiguous),
        None => Ok(first),
    }
}

fn split(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = bytes.iter().position(|byte| *byte == at)?;
    let (before, rest) = bytes.split_at_checked(place)?;
    Some((before, rest.split_first()?.1))
}

/// The values of a parameter, unescaped.
fn query<'a>(path: &'a [u8], name: &'a [u8]) -> impl Iterator<Item = Cow<'a, [u8]>> {
    let query = split(path, b'?').map_or(&[][..], |(_, query)| query);
    query.split(|byte| *byte == b'&').filter_map(move |pair| {
        let (own, value) = split(pair, b'=').unwrap_or((pair, b""));
        (*unescaped(own) == *name).then(|| unescaped(value))
    })
}

fn unescaped(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%')
            .then(|| Some((digit(after.first())?, digit(after.get(1))?)))
            .flatten();
        if let Some((high, low)) = escaped {
            plain.extend(u8::try_from(high.saturating_mul(16).saturating_add(low)));
            rest = after.get(2..).unwrap_or_default();
        } else {
            plain.push(if *first == b'+' { b' ' } else { *first });
            rest = after;
        }
    }
    Cow::Owned(plain)
}

/// Who is named by what stands at a source; `None` if it names nobody.
fn who(source: &Source, value: &[u8]) -> Result<Option<Who>, Refusal> {
    let text = std::str::from_utf8(value).map_err(|_| Refusal::CredentialMalformed)?;
    let text = match &source.scheme {
        None => text.trim(),
        Some(scheme) => after_scheme(text.trim(), scheme).unwrap_or_default(),
    };
    if text.is_empty() {
        return Ok(None);
    }
    match source.names() {
        // The checksum keeps mistyped and invented keys from costing a question.
        Names::Key if text.len() != KEY_LENGTH || check(text) != Ok(KeyKind::Consumer) => {
            Err(Refusal::CredentialMalformed)
        }
        Names::Key => Ok(Some(Who {
            hash: credential_hash(text),
            customer: None,
        })),
        Names::Customer => {
            // So are numbers and lists, which the proxy gives as bytes. They are not nobody.
            if text.chars().any(char::is_control) {
                return Err(Refusal::CredentialMalformed);
            }
            let prefix = source.strip_prefix.as_deref().unwrap_or_default();
            let parts = text.split_at_checked(prefix.len());
            let named = parts.filter(|(before, name)| {
                let fits = match source.lowercase {
                    true => before.eq_ignore_ascii_case(prefix),
                    false => *before == prefix,
                };
                fits && !name.is_empty()
            });
            let Some((_, name)) = named else {
                return Ok(None);
            };
            if name.len() > CUSTOMER_BYTES_MAX {
                return Err(Refusal::CredentialMalformed);
            }
            Ok(Some(if source.lowercase {
                Who::customer(&name.to_ascii_lowercase())
            } else {
                Who::customer(name)
            }))
        }
    }
}

fn after_scheme<'t>(text: &'t str, scheme: &str) -> Option<&'t str> {
    let (word, rest) = text.split_once(' ')?;
    word.eq_ignore_ascii_case(scheme).then(|| rest.trim_start())
}
