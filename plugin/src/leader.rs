//! Which worker keeps the long poll, and how far the poll has come.
//!
//! The record lies in shared data and is changed by compare-and-set alone. Whoever holds it
//! renews its deadline at each tick; when the deadline is past, any worker takes over with a
//! new generation. Cursor and epoch are in the record, so that the next leader goes on where
//! the last one stopped.

use creditgate_core::protocol::Barred;

use crate::host::{Expect, Host, Lost};
use crate::shared::LEADER_KEY;

const WORDS: usize = 10;
const WORD_BYTES: usize = 8;
const MAGIC: u64 = 0x4347_4c45_0002;

/// The record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Leader {
    /// Grows with every change of leader.
    pub(crate) generation: u64,
    /// The worker's random number.
    pub(crate) holder: u64,
    /// Until when it leads unless it renews.
    pub(crate) deadline_ms: u64,
    /// The last cursor of the poll; 0 for none.
    pub(crate) cursor: u64,
    /// The ledger epoch; 0 while unknown.
    pub(crate) epoch: u64,
    /// When that was first heard: answers to older questions may be of the ledger before.
    pub(crate) epoch_since_ms: u64,
    /// When a poll was last answered; 0 for never.
    pub(crate) polled_at_ms: u64,
    /// The version of the configuration in shared data; 0 for none.
    pub(crate) config_version: u64,
    /// Why the instance gets no credit.
    pub(crate) barred: Option<Barred>,
}

impl Leader {
    /// Reads the record and the mark to change it by. What can't be read counts as absent.
    pub(crate) fn read(host: &dyn Host) -> (Self, Expect) {
        let Some(shared) = host.shared_get(LEADER_KEY) else {
            return (Self::default(), Expect::Absent);
        };
        (
            Self::from_bytes(&shared.value).unwrap_or_default(),
            Expect::Unchanged(shared.cas),
        )
    }

    /// Writes the record.
    pub(crate) fn write(&self, host: &dyn Host, expect: Expect) -> Result<(), Lost> {
        host.shared_set(LEADER_KEY, &self.to_bytes(), expect)
    }

    fn to_bytes(self) -> Vec<u8> {
        let barred = match self.barred {
            None => 0,
            Some(Barred::Draining) => 1,
            Some(Barred::Frozen) => 2,
        };
        let words: [u64; WORDS] = [
            MAGIC,
            self.generation,
            self.holder,
            self.deadline_ms,
            self.cursor,
            self.epoch,
            self.epoch_since_ms,
            self.polled_at_ms,
            self.config_version,
            barred,
        ];
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != WORDS.saturating_mul(WORD_BYTES) {
            return None;
        }
        let (chunks, _) = bytes.as_chunks::<WORD_BYTES>();
        let mut words = chunks.iter().map(|chunk| u64::from_le_bytes(*chunk));
        let mut next = || words.next();
        if next()? != MAGIC {
            return None;
        }
        Some(Self {
            generation: next()?,
            holder: next()?,
            deadline_ms: next()?,
            cursor: next()?,
            epoch: next()?,
            epoch_since_ms: next()?,
            polled_at_ms: next()?,
            config_version: next()?,
            barred: match next()? {
                1 => Some(Barred::Draining),
                2 => Some(Barred::Frozen),
                _ => None,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_reads_back_and_anything_else_counts_as_absent() {
        let leader = Leader {
            generation: 3,
            holder: u64::MAX,
            deadline_ms: 5,
            cursor: 6,
            epoch: 7,
            epoch_since_ms: 4,
            polled_at_ms: 8,
            config_version: 9,
            barred: Some(Barred::Draining),
        };
        let bytes = leader.to_bytes();
        assert_eq!(Leader::from_bytes(&bytes), Some(leader));
        assert_eq!(Leader::from_bytes(&bytes[1..]), None);
        assert_eq!(Leader::from_bytes(&[0; 80]), None);
    }
}
