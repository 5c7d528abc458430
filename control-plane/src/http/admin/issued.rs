//! Keys that are handed out once, and secrets of webhook endpoints.
//!
//! Only the hash of a key is kept. But a repeat under the same idempotency key must get the
//! key again, byte for byte, and no plain key may lie in the table of answers. So a key is
//! made of a random salt and a seed that only the caller's own key gives, the answer is
//! kept with the salt, and the key is put in its place on the way out. A webhook secret has to
//! be kept, since messages are signed with it; but only with its endpoint, and only as long as
//! it is valid: in the table of answers it is sealed in the same way.

use creditgate_core::key::{self, CredentialHash, KeyKind};
use sha2::{Digest, Sha256};

use crate::clock::random_bytes;
use crate::http::auth::Caller;
use crate::webhooks::secret_of;

/// Where the key goes in an answer. Quotes inside JSON texts are escaped, so nothing a
/// client sent can look like it.
const MARK: &str = "\"key\":\"!";

/// The same of a secret. It stands before all that a client sent, metadata too.
const SECRET_MARK: &str = "\"secret\":\"!";

const SALT_LENGTH: usize = 32;

/// A key about to be handed out.
pub(super) struct Issued {
    kind: KeyKind,
    salt: [u8; SALT_LENGTH],
    seed: [u8; 32],
}

impl Issued {
    pub(super) fn new(kind: KeyKind, caller: &Caller) -> Self {
        Self {
            kind,
            salt: random_bytes(),
            seed: caller.seed,
        }
    }

    /// What is stored.
    pub(super) fn hash(&self) -> CredentialHash {
        key::credential_hash(&compose(self.kind, &self.seed, &self.salt))
    }

    /// What stands in the answer's field `key` until it is revealed.
    pub(super) fn sealed(&self) -> String {
        sealed(&self.salt)
    }
}

/// A webhook secret about to be handed out.
pub(super) struct IssuedSecret {
    salt: [u8; SALT_LENGTH],
    seed: [u8; 32],
}

impl IssuedSecret {
    pub(super) fn new(caller: &Caller) -> Self {
        Self {
            salt: random_bytes(),
            seed: caller.seed,
        }
    }

    /// What messages are signed with.
    pub(super) fn secret(&self) -> String {
        compose_secret(&self.seed, &self.salt)
    }

    /// What stands in the answer's field `secret` until it is revealed.
    pub(super) fn sealed(&self) -> String {
        sealed(&self.salt)
    }
}

fn sealed(salt: &[u8; SALT_LENGTH]) -> String {
    let digits: String = salt.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("!{digits}")
}

/// Puts the key into an answer that holds a sealed one.
pub(super) fn reveal(body: Vec<u8>, kind: KeyKind, caller: &Caller) -> Vec<u8> {
    opened(body, MARK, |salt| compose(kind, &caller.seed, salt))
}

/// Puts the webhook secret into an answer that holds a sealed one.
pub(super) fn reveal_secret(body: Vec<u8>, caller: &Caller) -> Vec<u8> {
    opened(body, SECRET_MARK, |salt| compose_secret(&caller.seed, salt))
}

fn opened(
    body: Vec<u8>,
    mark: &str,
    compose: impl FnOnce(&[u8; SALT_LENGTH]) -> String,
) -> Vec<u8> {
    let opened = String::from_utf8(body).map(|text| open(&text, mark, compose).unwrap_or(text));
    opened.map_or_else(std::string::FromUtf8Error::into_bytes, String::into_bytes)
}

fn open(
    text: &str,
    mark: &str,
    compose: impl FnOnce(&[u8; SALT_LENGTH]) -> String,
) -> Option<String> {
    let (before, rest) = text.split_once(mark)?;
    let (digits, after) = rest.split_at_checked(SALT_LENGTH * 2)?;
    // A salt has the form of a hash.
    let salt: CredentialHash = digits.parse().ok()?;
    let opened = compose(salt.as_bytes());
    let mark = mark.trim_end_matches('!');
    Some(format!("{before}{mark}{opened}{after}"))
}

fn compose_secret(seed: &[u8; 32], salt: &[u8; SALT_LENGTH]) -> String {
    let secret: [u8; 32] = Sha256::new()
        .chain_update(b"creditgate webhook secret\0")
        .chain_update(seed)
        .chain_update(salt)
        .finalize()
        .into();
    secret_of(&secret)
}

fn compose(kind: KeyKind, seed: &[u8; 32], salt: &[u8; SALT_LENGTH]) -> String {
    let secret: [u8; 32] = Sha256::new()
        .chain_update(seed)
        .chain_update(salt)
        .finalize()
        .into();
    key::compose(kind, &secret)
}

#[cfg(test)]
mod tests {
    use creditgate_ledger::registry::OperatorRole;

    use super::*;

    fn caller(seed: u8) -> Caller {
        Caller {
            principal: String::new(),
            actor: String::new(),
            role: OperatorRole::Admin,
            seed: [seed; 32],
        }
    }

    #[test]
    fn a_sealed_secret_opens_for_its_caller_alone_and_nothing_a_client_sent_does() {
        let issued = IssuedSecret::new(&caller(1));
        let (sealed, forged) = (issued.sealed(), "!".to_owned() + &"0".repeat(64));
        let body = format!(r#"{{"secret":"{sealed}","metadata":{{"secret":"{forged}"}}}}"#);
        let opened = |seed| reveal_secret(body.clone().into_bytes(), &caller(seed));
        let secret = issued.secret();
        let shown = format!(r#"{{"secret":"{secret}","metadata":{{"secret":"{forged}"}}}}"#);
        assert_eq!(String::from_utf8(opened(1)).unwrap(), shown);
        assert_ne!(opened(1), opened(2));
        assert!(secret.starts_with("whsec_"));
        assert!(!body.contains(&secret));
    }

    #[test]
    fn a_sealed_key_opens_for_its_caller_alone() {
        let issued = Issued::new(KeyKind::Consumer, &caller(1));
        let body = format!(
            r#"{{"name":"a \"key\":\"!","key":"{}","x":1}}"#,
            issued.sealed()
        )
        .into_bytes();
        let opened =
            String::from_utf8(reveal(body.clone(), KeyKind::Consumer, &caller(1))).unwrap();
        let key = opened
            .split("\"key\":\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        assert_eq!(key::check(key), Ok(KeyKind::Consumer));
        assert_eq!(key::credential_hash(key), issued.hash());
        assert_eq!(
            opened.as_bytes(),
            reveal(body.clone(), KeyKind::Consumer, &caller(1))
        );
        assert_ne!(
            opened.as_bytes(),
            reveal(body, KeyKind::Consumer, &caller(2))
        );
    }
}
