//! The chain of an account's entries: each carries the hash of the one before it.
//!
//! `hash = SHA-256(hash before ‖ canonical JSON of the entry)`; before the first entry the hash
//! is 32 zero bytes. Entries are numbered from 1. So an edited, missing or reordered entry is
//! found by anyone who has the entries and the head: see [`Chain::follows`].

use core::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use crate::journal::Entry;

/// SHA-256 of an entry and all that came before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ChainHash([u8; 32]);

impl ChainHash {
    /// Of so many bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash after `canonical`, the canonical JSON of the next entry.
    #[must_use]
    pub fn then(&self, canonical: &[u8]) -> Self {
        let digest = Sha256::new()
            .chain_update(self.0)
            .chain_update(canonical)
            .finalize();
        Self(digest.into())
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainHash({self})")
    }
}

impl FromStr for ChainHash {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "a hash is 64 hexadecimal digits";
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(WRONG);
        }
        let mut bytes = [0; 32];
        for (place, byte) in bytes.iter_mut().enumerate() {
            let digits = text.get(place * 2..place * 2 + 2).ok_or(WRONG)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| WRONG)?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for ChainHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChainHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// How far the chain of an account has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Chain {
    /// How many entries it has.
    pub entries: u64,
    /// The hash of the last; zero bytes if there is none.
    pub head: ChainHash,
}

impl Chain {
    /// Adds an entry: gives it its number and its hash.
    pub fn add(&mut self, entry: &mut Entry) {
        self.entries = self.entries.saturating_add(1);
        entry.number = self.entries;
        self.head = self.head.then(&entry.canonical());
        entry.hash = self.head;
    }

    /// Whether `entry` is the next of this chain, unchanged; if so, the chain goes on to it.
    pub fn follows(&mut self, entry: &Entry) -> bool {
        let number = self.entries.saturating_add(1);
        let head = self.head.then(&entry.canonical());
        let is_next = entry.number == number && entry.hash == head;
        if is_next {
            *self = Self {
                entries: number,
                head,
            };
        }
        is_next
    }
}
