//! Who pays: where the filter looks for what names the customer.

use serde::{Deserialize, Serialize};

use super::claim::Claim;
use super::{ConfigError, check, is_header_name, is_visible};

/// Sources at most.
pub const SOURCES_MAX: usize = 16;
/// The longest name that a request can be paid under, in bytes.
pub const CUSTOMER_BYTES_MAX: usize = 128;

/// Who pays for a request. All sources are looked at; a request that more than one of them
/// names somebody for is refused, for another layer may believe the other one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Identity {
    /// The header that a key is in, in lower case. Short for one source; not beside `sources`.
    pub header: Option<String>,
    /// A word before the key in that header, such as `Bearer`.
    pub scheme: Option<String>,
    /// Where to look: 1 to 16. If there is neither this nor `header`: keys in `x-api-key`.
    pub sources: Vec<Source>,
    /// What befalls a request that names nobody.
    pub anonymous: Anonymous,
}

/// One place to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Where.
    pub from: From,
    /// What is found there. If absent: a key in headers, cookies and the query, else a customer.
    #[serde(default)]
    pub names: Option<Names>,
    /// A word before it, such as `Bearer`. Letter case makes no difference; without the word
    /// the source names nobody.
    #[serde(default)]
    pub scheme: Option<String>,
    /// What a customer's name begins with there and does not in Creditgate, such as
    /// `spiffe://example.com/`. Without it the source names nobody.
    #[serde(default)]
    pub strip_prefix: Option<String>,
    /// Whether a customer's name is put into lower case (ASCII letters), and `strip_prefix`
    /// taken off in whatever case it is.
    #[serde(default)]
    pub lowercase: bool,
}

/// What a source says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Names {
    /// A consumer key, which the control plane knows the customer of.
    Key,
    /// The customer's external id. It is believed as it stands: only for what clients can't
    /// write themselves.
    Customer,
}

/// Where a source looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum From {
    /// A header, in lower case.
    Header(String),
    /// A parameter of the query.
    Query(String),
    /// A cookie.
    Cookie(String),
    /// A claim of a token that the proxy's JWT filter has checked.
    JwtClaim(JwtClaim),
    /// The client's certificate, checked by the proxy.
    Certificate(Certificate),
    /// Filter state, which another filter wrote.
    FilterState(String),
}

/// A claim of a checked token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct JwtClaim {
    /// The key that the provider's `payload_in_metadata` names.
    pub payload: String,
    /// The claim: text with dots between the keys of a nested one, or a list of keys, for
    /// names that have dots; at most 8. Its value must be a string.
    pub claim: Claim,
}

/// What of a client's certificate names the customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Certificate {
    /// Its first URI among the alternative names.
    UriSan,
    /// Its first DNS name among the alternative names.
    DnsSan,
    /// Its subject, as a distinguished name.
    Subject,
}

/// What befalls a request that names nobody.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Anonymous {
    /// It is refused with 401.
    #[default]
    Deny,
    /// It passes and costs nothing.
    Free,
    /// This customer pays for it: an external id of 1 to 128 bytes.
    Customer(String),
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            header: None,
            scheme: None,
            sources: vec![Source::key_in("x-api-key", None)],
            anonymous: Anonymous::Deny,
        }
    }
}

impl Source {
    fn key_in(header: &str, scheme: Option<String>) -> Self {
        Self {
            from: From::Header(header.to_owned()),
            names: None,
            scheme,
            strip_prefix: None,
            lowercase: false,
        }
    }

    /// What is found there.
    #[must_use]
    pub fn names(&self) -> Names {
        self.names.unwrap_or(match self.from {
            From::Header(_) | From::Query(_) | From::Cookie(_) => Names::Key,
            From::JwtClaim(_) | From::Certificate(_) | From::FilterState(_) => Names::Customer,
        })
    }

    fn check(&self, place: &str) -> Result<(), ConfigError> {
        let field = |name: &str| format!("{place}.{name}");
        let not_empty = "must not be empty";
        match &self.from {
            From::Header(name) => {
                let reason = "must be a header's name in lower case";
                check(is_header_name(name), &field("from.header"), reason)?;
                let reason = "must not begin with x-credit-, which the filter strips";
                check(
                    !name.starts_with("x-credit-"),
                    &field("from.header"),
                    reason,
                )?;
            }
            From::Query(name) => check(is_visible(name), &field("from.query"), not_empty)?,
            From::Cookie(name) => check(is_visible(name), &field("from.cookie"), not_empty)?,
            From::FilterState(key) => {
                check(!key.is_empty(), &field("from.filter_state"), not_empty)?;
            }
            From::JwtClaim(claim) => {
                let has_payload = !claim.payload.is_empty();
                check(has_payload, &field("from.jwt_claim.payload"), not_empty)?;
                let fault = claim.claim.fault();
                let reason = fault.unwrap_or_default();
                check(fault.is_none(), &field("from.jwt_claim.claim"), reason)?;
            }
            From::Certificate(_) => {}
        }
        let reason = "must be one word, such as Bearer";
        let scheme = self.scheme.as_deref().unwrap_or("x");
        check(is_visible(scheme), &field("scheme"), reason)?;
        let reason = "is only for sources that name a customer";
        let is_customer = self.names() == Names::Customer;
        let fine = is_customer || self.strip_prefix.is_none();
        check(fine, &field("strip_prefix"), reason)?;
        check(is_customer || !self.lowercase, &field("lowercase"), reason)
    }
}

impl Identity {
    /// Brings the short form into the long one, and checks it.
    pub(super) fn complete(&mut self) -> Result<(), ConfigError> {
        if let Some(header) = self.header.take() {
            // `sources` holds the default if the document names none.
            let given = self.sources != Self::default().sources;
            let reason = "is short for one source; leave it out beside sources";
            check(!given, "identity.header", reason)?;
            let source = Source::key_in(&header, self.scheme.take());
            source.check("identity").map_err(|mut error| {
                error.field = error.field.replace("from.", "");
                error
            })?;
            self.sources = vec![source];
        }
        let reason = "belongs to header";
        check(self.scheme.is_none(), "identity.scheme", reason)?;
        let counts = (1..=SOURCES_MAX).contains(&self.sources.len());
        check(counts, "identity.sources", "must be 1 to 16")?;
        for (place, source) in self.sources.iter().enumerate() {
            source.check(&format!("identity.sources[{place}]"))?;
        }
        if let Anonymous::Customer(name) = &self.anonymous {
            let fits = (1..=CUSTOMER_BYTES_MAX).contains(&name.len());
            let reason = "must have 1 to 128 bytes";
            check(fits, "identity.anonymous.customer", reason)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_pays_for_nobody_has_a_name_that_a_customer_can_have() {
        for (bytes, fine) in [(0, false), (1, true), (128, true), (129, false)] {
            let mut identity = Identity {
                anonymous: Anonymous::Customer("a".repeat(bytes)),
                ..Identity::default()
            };
            let fault = identity.complete().err().map(|error| error.field);
            let expected = (!fine).then(|| "identity.anonymous.customer".to_owned());
            assert_eq!(fault, expected, "{bytes}");
        }
    }
}
