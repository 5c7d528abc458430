//! What a request says of itself, read from one pass over its headers.
//!
//! The whole header map is read, never a single getter: layers disagree on which of two
//! equal headers counts, so more than one credential is refused. Values may be any bytes.

use creditgate_core::key::{CredentialHash, KEY_LENGTH, KeyKind, check, credential_hash};
use creditgate_core::rate_card::reading;

use super::refusal::Refusal;
use crate::config::Config;
use crate::pairs::Pairs;

/// Headers of ours that a client must not be able to send.
const OWN_PREFIX: &[u8] = b"x-credit-";

/// A request's headers, as far as they matter. Borrows from the header block.
#[derive(Debug, Default)]
pub(crate) struct Seen<'a> {
    pub(crate) method: &'a [u8],
    pub(crate) path: &'a [u8],
    pub(crate) authority: &'a [u8],
    /// The length of the body, as the request tells it.
    pub(crate) content_length: Option<u64>,
    pub(crate) is_cors_preflight: bool,
    pub(crate) client: ClientSeen<'a>,
    /// Names to be removed before the upstream sees them.
    pub(crate) forged: Vec<&'a str>,
    #[cfg(feature = "test-trap")]
    pub(crate) trap: bool,
    /// What is to befall every cell before this request is decided.
    #[cfg(feature = "test-trap")]
    pub(crate) spoil: Option<&'a [u8]>,
    credential: Option<&'a [u8]>,
    credentials: u32,
}

/// How the client is to be answered.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct ClientSeen<'a> {
    pub(crate) is_grpc: bool,
    pub(crate) origin: Option<&'a [u8]>,
    pub(crate) request_id: Option<&'a [u8]>,
}

/// [`ClientSeen`], kept while the request is held.
#[derive(Debug, Default, Clone)]
pub(crate) struct Client {
    pub(crate) is_grpc: bool,
    pub(crate) origin: Option<String>,
    pub(crate) request_id: Option<String>,
}

/// The longest origin or request id that is repeated to the client.
const ECHO_BYTES_MAX: usize = 256;

impl ClientSeen<'_> {
    pub(crate) fn to_owned(self) -> Client {
        let echo = |value: Option<&[u8]>| {
            let text = std::str::from_utf8(value?).ok()?;
            let fine = text.len() <= ECHO_BYTES_MAX
                && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            fine.then(|| text.to_owned())
        };
        Client {
            is_grpc: self.is_grpc,
            origin: echo(self.origin),
            request_id: echo(self.request_id),
        }
    }
}

impl<'a> Seen<'a> {
    pub(crate) fn read(pairs: &'a Pairs, config: &Config) -> Self {
        let mut seen = Self::default();
        let mut has_preflight_method = false;
        for (name, value) in pairs.iter() {
            match name {
                b":method" => seen.method = value,
                b":path" => seen.path = value,
                b":authority" => seen.authority = value,
                b"content-length" => seen.content_length = reading(value),
                b"origin" => seen.client.origin = Some(value),
                b"access-control-request-method" => has_preflight_method = true,
                b"content-type" => seen.client.is_grpc = is_grpc(value),
                b"x-request-id" => seen.client.request_id = Some(value),
                #[cfg(feature = "test-trap")]
                b"x-test-trap" => seen.trap = true,
                #[cfg(feature = "test-trap")]
                b"x-test-spoil" => seen.spoil = Some(value),
                _ if name.starts_with(OWN_PREFIX) => seen.forged.extend(std::str::from_utf8(name)),
                _ => {}
            }
            if name == config.identity.header.as_bytes() {
                seen.credential = Some(value);
                seen.credentials = seen.credentials.saturating_add(1);
            }
        }
        seen.is_cors_preflight = has_preflight_method && seen.client.origin.is_some();
        seen
    }

    /// The hash of the one credential.
    pub(crate) fn credential(&self, config: &Config) -> Result<CredentialHash, Refusal> {
        if self.credentials > 1 {
            return Err(Refusal::CredentialAmbiguous);
        }
        let value = self.credential.ok_or(Refusal::CredentialMissing)?;
        if value.len() > config.limits.header_bytes_max {
            return Err(Refusal::CredentialMalformed);
        }
        let text = std::str::from_utf8(value).map_err(|_| Refusal::CredentialMalformed)?;
        let key = match &config.identity.scheme {
            None => text.trim(),
            Some(scheme) => {
                after_scheme(text.trim(), scheme).ok_or(Refusal::CredentialMalformed)?
            }
        };
        if key.is_empty() {
            return Err(Refusal::CredentialMissing);
        }
        // The checksum keeps mistyped and invented keys from costing a question.
        if key.len() != KEY_LENGTH || check(key) != Ok(KeyKind::Consumer) {
            return Err(Refusal::CredentialMalformed);
        }
        Ok(credential_hash(key))
    }
}

fn after_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let (word, rest) = text.split_once(' ')?;
    word.eq_ignore_ascii_case(scheme).then(|| rest.trim_start())
}

fn is_grpc(content_type: &[u8]) -> bool {
    let rest = content_type.strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"+") || rest.starts_with(b";"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use creditgate_core::key::compose;

    fn config(rest: &str) -> Config {
        Config::parse(format!(r#"{{"control_plane": {{"cluster": "c"}}{rest}}}"#).as_bytes())
            .unwrap()
    }

    fn credential(config: &Config, values: &[&[u8]]) -> Result<CredentialHash, Refusal> {
        let name = config.identity.header.as_bytes();
        let pairs = Pairs::of(values.iter().map(|value| (name, *value)));
        Seen::read(&pairs, config).credential(config)
    }

    #[test]
    fn one_well_formed_key_is_hashed_and_all_else_refused_by_name() {
        let config = config("");
        let key = compose(KeyKind::Consumer, &[3; 32]);
        let gateway = compose(KeyKind::Gateway, &[3; 32]);
        assert_eq!(
            credential(&config, &[key.as_bytes()]),
            Ok(credential_hash(&key))
        );
        assert_eq!(credential(&config, &[]), Err(Refusal::CredentialMissing));
        assert_eq!(credential(&config, &[b""]), Err(Refusal::CredentialMissing));
        assert_eq!(
            credential(&config, &[key.as_bytes(); 2]),
            Err(Refusal::CredentialAmbiguous)
        );
        let joined = format!("{key},{key}");
        for bad in [
            joined.as_bytes(),
            gateway.as_bytes(),
            b"\xff\xfe",
            &key.as_bytes()[1..],
            &[b'a'; 65_536],
        ] {
            assert_eq!(
                credential(&config, &[bad]),
                Err(Refusal::CredentialMalformed)
            );
        }
    }

    #[test]
    fn a_scheme_is_required_where_one_is_configured() {
        let config = config(r#", "identity": {"header": "authorization", "scheme": "Bearer"}"#);
        let key = compose(KeyKind::Consumer, &[3; 32]);
        let bearer = format!("bearer {key}");
        assert_eq!(
            credential(&config, &[bearer.as_bytes()]),
            Ok(credential_hash(&key))
        );
        assert_eq!(
            credential(&config, &[key.as_bytes()]),
            Err(Refusal::CredentialMalformed)
        );
        assert_eq!(
            credential(&config, &[b"Basic dXNlcg=="]),
            Err(Refusal::CredentialMalformed)
        );
    }

    #[test]
    fn forged_headers_grpc_and_preflight_are_recognised() {
        let config = config("");
        let pairs = Pairs::of([
            (&b":path"[..], &b"/x"[..]),
            (b"x-credit-cost", b"0"),
            (b"origin", b"https://app.example"),
            (b"access-control-request-method", b"POST"),
            (b"content-type", b"application/grpc+proto"),
            (b"x-request-id", b"\xff"),
        ]);
        let seen = Seen::read(&pairs, &config);
        assert_eq!(seen.forged, ["x-credit-cost"]);
        assert!(seen.is_cors_preflight && seen.client.is_grpc);
        assert_eq!(seen.client.to_owned().request_id, None);
        assert!(!is_grpc(b"application/grpc-web"));
    }
}
