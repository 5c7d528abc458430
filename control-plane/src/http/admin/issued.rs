//! Keys that are handed out once.
//!
//! Only the hash of a key is kept. But a repeat under the same idempotency key must get the
//! key again, byte for byte, and no plain key may lie in the table of answers. So a key is
//! made of a random salt and a seed that only the caller's own key gives, the answer is
//! kept with the salt, and the key is put in its place on the way out.

use creditgate_core::key::{self, CredentialHash, KeyKind};
use sha2::{Digest, Sha256};

use crate::clock::random_bytes;
use crate::http::auth::Caller;

/// Where the key goes in an answer. Quotes inside JSON texts are escaped, so nothing a
/// client sent can look like it.
const MARK: &str = "\"key\":\"!";

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
        let digits: String = self.salt.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("!{digits}")
    }
}

/// Puts the key into an answer that holds a sealed one.
pub(super) fn reveal(body: Vec<u8>, kind: KeyKind, caller: &Caller) -> Vec<u8> {
    let opened = String::from_utf8(body).map(|text| open(&text, kind, caller).unwrap_or(text));
    opened.map_or_else(std::string::FromUtf8Error::into_bytes, String::into_bytes)
}

fn open(text: &str, kind: KeyKind, caller: &Caller) -> Option<String> {
    let (before, rest) = text.split_once(MARK)?;
    let (digits, after) = rest.split_at_checked(SALT_LENGTH * 2)?;
    // A salt has the form of a hash.
    let salt: CredentialHash = digits.parse().ok()?;
    let key = compose(kind, &caller.seed, salt.as_bytes());
    Some(format!("{before}\"key\":\"{key}{after}"))
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
    use super::*;

    #[test]
    fn a_sealed_key_opens_for_its_caller_alone() {
        let caller = |seed| Caller {
            principal: String::new(),
            actor: String::new(),
            seed: [seed; 32],
        };
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
