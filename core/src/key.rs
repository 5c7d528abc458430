//! Keys: what consumers, gateways and administrators show to say who they are.
//!
//! `cgk_` + 43 characters of base64url (32 random bytes) + `_` + 6 characters of checksum.
//! The prefix lets secret scanners find a leaked key. The checksum (CRC-32 of all that
//! stands before it, in base 62) lets the filter refuse a mistyped or invented key without
//! asking anyone; it is no protection, the 256 random bits are. What is stored, sent and
//! compared is never the key but its SHA-256: a secret of this size needs no slow hash.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// The length of every key, in characters.
pub const KEY_LENGTH: usize = PREFIX_LENGTH + SECRET_LENGTH + 1 + CHECKSUM_LENGTH;

const PREFIX_LENGTH: usize = 4;
const SECRET_LENGTH: usize = 43;
const CHECKSUM_LENGTH: usize = 6;

const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Whose key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// `cgk_`: a customer's, sent with each request through the gateway.
    Consumer,
    /// `cgg_`: a gateway's, for the control plane's gateway endpoints.
    Gateway,
    /// `cga_`: for the control plane's API; what it may do there is the control plane's matter.
    Admin,
}

impl KeyKind {
    const ALL: [Self; 3] = [Self::Consumer, Self::Gateway, Self::Admin];

    /// What a key of this kind begins with.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Consumer => "cgk_",
            Self::Gateway => "cgg_",
            Self::Admin => "cga_",
        }
    }
}

/// Writes a key. The 32 bytes must come from a cryptographic source of randomness.
#[must_use]
pub fn compose(kind: KeyKind, random: &[u8; 32]) -> String {
    let mut key = String::with_capacity(KEY_LENGTH);
    key.push_str(kind.prefix());
    let mut bits: u32 = 0;
    let mut bits_held: u32 = 0;
    for byte in random {
        bits = (bits << 8) | u32::from(*byte);
        bits_held = bits_held.saturating_add(8);
        while bits_held >= 6 {
            bits_held = bits_held.saturating_sub(6);
            key.push(symbol(BASE64URL, bits.wrapping_shr(bits_held) & 63));
        }
    }
    // 256 bits are 42 characters of six and one of four, filled up with zeros.
    key.push(symbol(BASE64URL, (bits << 2) & 63));
    let checksum = checksum(key.as_bytes());
    key.push('_');
    key.extend(checksum.map(char::from));
    key
}

/// Tells a well-formed key from anything else. Allocates nothing.
///
/// # Errors
/// The first thing wrong with it. A key that passes need not exist.
pub fn check(key: &str) -> Result<KeyKind, KeyError> {
    let key = key.as_bytes();
    if key.len() != KEY_LENGTH {
        return Err(KeyError::Length);
    }
    let kind = KeyKind::ALL
        .into_iter()
        .find(|kind| key.starts_with(kind.prefix().as_bytes()))
        .ok_or(KeyError::Kind)?;
    let (signed, rest) = key
        .split_at_checked(PREFIX_LENGTH + SECRET_LENGTH)
        .ok_or(KeyError::Length)?;
    let secret = signed.get(PREFIX_LENGTH..).ok_or(KeyError::Length)?;
    let given = rest.strip_prefix(b"_").ok_or(KeyError::Alphabet)?;
    let mut last = 0;
    for byte in secret {
        last = sextet(*byte).ok_or(KeyError::Alphabet)?;
    }
    if last & 0b11 != 0 || !given.iter().all(u8::is_ascii_alphanumeric) {
        return Err(KeyError::Alphabet);
    }
    if given != checksum(signed) {
        return Err(KeyError::Checksum);
    }
    Ok(kind)
}

/// Why a text is no key, or no hash of one. Names no part of the text, which may be secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not [`KEY_LENGTH`] characters.
    #[error("a key is {KEY_LENGTH} characters long; copy it whole")]
    Length,
    /// It begins with none of the prefixes.
    #[error("a key begins with cgk_ (consumer), cgg_ (gateway) or cga_ (administrator)")]
    Kind,
    /// A character that keys don't have, or one out of place.
    #[error("the key has a character that keys don't have; copy it whole")]
    Alphabet,
    /// The checksum isn't that of the characters before it.
    #[error("the key's checksum is wrong: it was mistyped, cut or made up")]
    Checksum,
    /// Not the hash of a credential.
    #[error("a credential's hash is 64 hexadecimal digits")]
    Hash,
}

impl KeyError {
    /// A stable word for this error, for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Length => "key_length",
            Self::Kind => "key_kind",
            Self::Alphabet => "key_alphabet",
            Self::Checksum => "key_checksum",
            Self::Hash => "credential_hash_invalid",
        }
    }
}

/// The SHA-256 of a credential: how it is stored, looked up and sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialHash([u8; 32]);

/// The hash of a credential, of whatever form.
#[must_use]
pub fn credential_hash(credential: &str) -> CredentialHash {
    CredentialHash(Sha256::digest(credential.as_bytes()).into())
}

/// The hash that stands for a customer who is known by name, without a key. No key has it:
/// keys begin otherwise.
#[must_use]
pub fn customer_hash(external_id: &str) -> CredentialHash {
    let digest = Sha256::new()
        .chain_update(b"creditgate customer\0")
        .chain_update(external_id.as_bytes());
    CredentialHash(digest.finalize().into())
}

impl CredentialHash {
    /// A hash read back from where it was stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for CredentialHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for CredentialHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialHash({self})")
    }
}

impl FromStr for CredentialHash {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut bytes = [0; 32];
        let (pairs, odd) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != bytes.len() || !odd.is_empty() {
            return Err(KeyError::Hash);
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte =
                (nibble(*high).ok_or(KeyError::Hash)? << 4) | nibble(*low).ok_or(KeyError::Hash)?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for CredentialHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CredentialHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Hex;

        impl de::Visitor<'_> for Hex {
            type Value = CredentialHash;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("64 hexadecimal digits")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<CredentialHash, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Hex)
    }
}

fn symbol(alphabet: &[u8], value: u32) -> char {
    let place = usize::try_from(value).unwrap_or(usize::MAX);
    char::from(alphabet.get(place).copied().unwrap_or_default())
}

fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte.wrapping_sub(b'A')),
        b'a'..=b'z' => Some(byte.wrapping_sub(b'a').wrapping_add(26)),
        b'0'..=b'9' => Some(byte.wrapping_sub(b'0').wrapping_add(52)),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}

fn nibble(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(byte.wrapping_sub(b'a').wrapping_add(10)),
        _ => None,
    }
}

/// Six digits of base 62 hold any 32 bits.
fn checksum(signed: &[u8]) -> [u8; CHECKSUM_LENGTH] {
    let mut rest = crc32(signed);
    let mut digits = [0; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        let place = usize::try_from(rest % 62).unwrap_or(usize::MAX);
        *digit = BASE62.get(place).copied().unwrap_or_default();
        rest /= 62;
    }
    digits
}

/// CRC-32 as in IEEE 802.3 and zip, four bits a step: small, and quick enough for 47 bytes.
fn crc32(bytes: &[u8]) -> u32 {
    const STEP: [u32; 16] = [
        0x0000_0000,
        0x1db7_1064,
        0x3b6e_20c8,
        0x26d9_30ac,
        0x76dc_4190,
        0x6b6b_51f4,
        0x4db2_6158,
        0x5005_713c,
        0xedb8_8320,
        0xf00f_9344,
        0xd6d6_a3e8,
        0xcb61_b38c,
        0x9b64_c2b0,
        0x86d3_d2d4,
        0xa00a_e278,
        0xbdbd_f21c,
    ];
    let step = |crc: u32| {
        let place = usize::try_from(crc & 15).unwrap_or(usize::MAX);
        (crc >> 4) ^ STEP.get(place).copied().unwrap_or_default()
    };
    !bytes
        .iter()
        .fold(u32::MAX, |crc, byte| step(step(crc ^ u32::from(*byte))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> String {
        compose(KeyKind::Consumer, &std::array::from_fn(|i| (i * 7) as u8))
    }

    #[test]
    fn a_composed_key_passes_the_check() {
        for kind in KeyKind::ALL {
            for byte in [0, 1, 0x55, 0xff] {
                let key = compose(kind, &[byte; 32]);
                assert_eq!(key.len(), KEY_LENGTH);
                assert_eq!(check(&key), Ok(kind));
            }
        }
    }

    #[test]
    fn the_form_of_keys_never_changes() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(
            sample(),
            "cgk_AAcOFRwjKjE4P0ZNVFtiaXB3foWMk5qhqK-2vcTL0tk_2uU1vX"
        );
    }

    #[test]
    fn any_one_changed_character_is_noticed() {
        let key = sample();
        for place in 0..key.len() {
            for other in ['A', 'b', '0', '-', '_', '.', ' '] {
                let mut changed: Vec<char> = key.chars().collect();
                if changed[place] == other {
                    continue;
                }
                changed[place] = other;
                let changed: String = changed.into_iter().collect();
                assert!(check(&changed).is_err(), "{changed}");
            }
        }
    }

    #[test]
    fn each_fault_has_its_own_error() {
        let key = sample();
        assert_eq!(check(""), Err(KeyError::Length));
        assert_eq!(check(&key[1..]), Err(KeyError::Length));
        assert_eq!(check(&key.replace("cgk_", "sk__")), Err(KeyError::Kind));
        assert_eq!(check(&key.replace("AAc", "AA=")), Err(KeyError::Alphabet));
        assert_eq!(check(&key.replace("AAc", "AAd")), Err(KeyError::Checksum));
        // Other characters with the same random bytes: refused, a key has one spelling.
        assert_eq!(check(&key.replace("0tk_", "0tl_")), Err(KeyError::Alphabet));
        assert_eq!(check(&"é".repeat(KEY_LENGTH / 2)), Err(KeyError::Kind));
    }

    #[test]
    fn a_hash_reads_back_from_its_hex() {
        let hash = credential_hash("abc");
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash.to_string(), hex);
        assert_eq!(hex.parse(), Ok(hash));
        let json = serde_json::to_string(&hash).unwrap();
        assert_eq!(serde_json::from_str::<CredentialHash>(&json).unwrap(), hash);
        for text in ["", "ba78", &hex.replace('b', "g"), &format!("{hex}0")] {
            assert_eq!(text.parse::<CredentialHash>(), Err(KeyError::Hash));
        }
    }
}
