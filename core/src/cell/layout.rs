//! The cell as 24 little-endian words of 64 bits.
//!
//! A reader that meets another layout, another length or an impossible value must treat
//! the cell as lost: it starts a new lease at zero. Hence the magic number carries the
//! layout's version and is changed with any change here.

use thiserror::Error;

use super::{Cell, Previous};
use crate::amount::Amount;
use crate::id::AccountId;
use crate::lease::{Counters, LeaseNumber};
use crate::outage::OnUnavailable;
use crate::protocol::{Block, EnforcementMode};

/// The size of every cell.
pub const CELL_BYTES: usize = 192;

const WORDS: usize = 24;
const MAGIC: u64 = 0x43_4704;
const MAGIC_MASK: u64 = 0xff_ffff;
const WORD_BYTES: usize = 8;
const TIME_BITS: u32 = 48;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
const PART_MASK: u64 = 0xffff;

const FLAG_BLOCK: u64 = 0b11;
const FLAG_MODE_SHIFT: u32 = 2;
const FLAG_SPENT_OUT: u64 = 1 << 4;
const FLAG_PREVIOUS: u64 = 1 << 5;
const FLAG_PREVIOUS_DEAD: u64 = 1 << 6;
const FLAG_CEILING: u64 = 1 << 7;
const FLAG_ON_UNAVAILABLE_SHIFT: u32 = 8;
const FLAG_OWES: u64 = 1 << 10;
const FLAGS: u64 = 0xffff;
/// The first word: 24 bits of magic, 16 of flags, 24 of the ledger's mark.
const FLAGS_SHIFT: u32 = 24;
const LEDGER_SHIFT: u32 = 40;
pub(super) const LEDGER_MASK: u64 = 0xff_ffff;

/// Why bytes are not a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CellError {
    /// Not [`CELL_BYTES`] long.
    #[error("not the length of a cell")]
    Length,
    /// Written by another version of the filter, or not by it at all.
    #[error("not a cell of this layout")]
    Layout,
    /// A value that no cell can have.
    #[error("a value outside its range")]
    Value,
}

impl Cell {
    /// The cell as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; CELL_BYTES] {
        let previous = self.previous.unwrap_or(Previous {
            lease: LeaseNumber::NONE,
            counters: Counters::default(),
            turned_at_ms: 0,
            dead: false,
        });
        let account = self.account.0;
        let [first_times, second_times, third_times] = packed([
            self.use_by_ms,
            self.reported_at_ms,
            self.claimed_until_ms,
            previous.turned_at_ms,
        ]);
        let words: [u64; WORDS] = [
            MAGIC
                | (self.flags() << FLAGS_SHIFT)
                | ((u64::from(self.ledger) & LEDGER_MASK) << LEDGER_SHIFT),
            low_word(account >> 64),
            low_word(account),
            self.lease.0,
            word(self.counters.granted),
            word(self.counters.returned),
            word(self.counters.reserved),
            word(self.counters.released),
            word(self.counters.settled),
            previous.lease.0,
            word(previous.counters.granted),
            word(previous.counters.returned),
            word(previous.counters.reserved),
            word(previous.counters.released),
            word(previous.counters.settled),
            word(self.ceiling.unwrap_or(Amount::ZERO)),
            self.version,
            u64::from(self.credential_version) | (u64::from(self.balance_at_s) << 32),
            self.reported_mark,
            word(self.balance_base),
            word(self.issued),
            first_times,
            second_times,
            third_times,
        ];
        let mut bytes = [0_u8; CELL_BYTES];
        for (chunk, value) in bytes.chunks_exact_mut(WORD_BYTES).zip(words) {
            chunk.copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }

    /// Reads a cell.
    ///
    /// # Errors
    /// [`CellError`]: the cell is to be treated as lost.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CellError> {
        if bytes.len() != CELL_BYTES {
            return Err(CellError::Length);
        }
        let (chunks, _) = bytes.as_chunks::<WORD_BYTES>();
        let mut words = chunks.iter().map(|chunk| u64::from_le_bytes(*chunk));
        let mut next = || words.next().ok_or(CellError::Length);
        let head = next()?;
        let flags = (head >> FLAGS_SHIFT) & FLAGS;
        if head & MAGIC_MASK != MAGIC {
            return Err(CellError::Layout);
        }
        let account = (u128::from(next()?) << 64) | u128::from(next()?);
        let lease = LeaseNumber(next()?);
        let counters = counters(&mut next)?;
        let previous_lease = LeaseNumber(next()?);
        let previous_counters = self::counters(&mut next)?;
        let ceiling = amount(next()?);
        let version = next()?;
        let packed = next()?;
        let reported_mark = next()?;
        let balance_base = amount(next()?);
        let issued = amount(next()?);
        let times = [next()?, next()?, next()?];
        let [use_by_ms, reported_at_ms, claimed_until_ms, turned_at_ms] = unpacked(times);
        Ok(Self {
            account: AccountId(account),
            lease,
            counters,
            spent_out: flags & FLAG_SPENT_OUT != 0,
            previous: (flags & FLAG_PREVIOUS != 0).then_some(Previous {
                lease: previous_lease,
                counters: previous_counters,
                turned_at_ms,
                dead: flags & FLAG_PREVIOUS_DEAD != 0,
            }),
            use_by_ms,
            ceiling: (flags & FLAG_CEILING != 0).then_some(ceiling),
            version,
            credential_version: half(packed),
            block: block_of(flags),
            mode: mode_of(flags)?,
            on_unavailable: on_unavailable_of(flags),
            owes: flags & FLAG_OWES != 0,
            balance_base,
            issued,
            balance_at_s: half(packed >> 32),
            reported_mark,
            reported_at_ms,
            claimed_until_ms,
            ledger: half(head >> LEDGER_SHIFT),
        })
    }

    fn flags(&self) -> u64 {
        let block = match self.block {
            None => 0,
            Some(Block::CustomerSuspended) => 1,
            Some(Block::WalletFrozen) => 2,
            Some(Block::WalletClosed) => 3,
        };
        let mode = match self.mode {
            EnforcementMode::Enforce => 0,
            EnforcementMode::Shadow => 1,
            EnforcementMode::Off => 2,
        };
        let on_unavailable = match self.on_unavailable {
            None => 0,
            Some(OnUnavailable::Deny) => 1,
            Some(OnUnavailable::Allow) => 2,
            Some(OnUnavailable::Shadow) => 3,
        };
        let dead = self.previous.is_some_and(|previous| previous.dead);
        block
            | (mode << FLAG_MODE_SHIFT)
            | (on_unavailable << FLAG_ON_UNAVAILABLE_SHIFT)
            | when(self.owes, FLAG_OWES)
            | when(self.spent_out, FLAG_SPENT_OUT)
            | when(self.previous.is_some(), FLAG_PREVIOUS)
            | when(dead, FLAG_PREVIOUS_DEAD)
            | when(self.ceiling.is_some(), FLAG_CEILING)
    }
}

/// Four instants in three words, 48 bits each: milliseconds of nine thousand years.
fn packed(times: [u64; 4]) -> [u64; 3] {
    let [first, second, third, fourth] = times.map(|time| time.min(TIME_MASK));
    let part = |at: u32| ((fourth >> at) & PART_MASK) << TIME_BITS;
    [first | part(0), second | part(16), third | part(32)]
}

fn unpacked(words: [u64; 3]) -> [u64; 4] {
    let [first, second, third] = words.map(|word| word & TIME_MASK);
    let [low, middle, high] = words.map(|word| word >> TIME_BITS);
    [first, second, third, low | (middle << 16) | (high << 32)]
}

fn when(condition: bool, flag: u64) -> u64 {
    if condition { flag } else { 0 }
}

fn word(value: Amount) -> u64 {
    value.get().cast_unsigned()
}

fn amount(word: u64) -> Amount {
    Amount::new(word.cast_signed())
}

/// The low 64 bits.
fn low_word(value: u128) -> u64 {
    u64::try_from(value & u128::from(u64::MAX)).unwrap_or(0)
}

/// The low 32 bits.
fn half(word: u64) -> u32 {
    u32::try_from(word & u64::from(u32::MAX)).unwrap_or(0)
}

fn counters(next: &mut impl FnMut() -> Result<u64, CellError>) -> Result<Counters, CellError> {
    let counters = Counters {
        granted: amount(next()?),
        returned: amount(next()?),
        reserved: amount(next()?),
        released: amount(next()?),
        settled: amount(next()?),
    };
    counters.check().map_err(|_| CellError::Value)?;
    Ok(counters)
}

const fn block_of(flags: u64) -> Option<Block> {
    match flags & FLAG_BLOCK {
        0 => None,
        1 => Some(Block::CustomerSuspended),
        2 => Some(Block::WalletFrozen),
        _ => Some(Block::WalletClosed),
    }
}

const fn on_unavailable_of(flags: u64) -> Option<OnUnavailable> {
    match (flags >> FLAG_ON_UNAVAILABLE_SHIFT) & 0b11 {
        0 => None,
        1 => Some(OnUnavailable::Deny),
        2 => Some(OnUnavailable::Allow),
        _ => Some(OnUnavailable::Shadow),
    }
}

fn mode_of(flags: u64) -> Result<EnforcementMode, CellError> {
    match (flags >> FLAG_MODE_SHIFT) & 0b11 {
        0 => Ok(EnforcementMode::Enforce),
        1 => Ok(EnforcementMode::Shadow),
        2 => Ok(EnforcementMode::Off),
        _ => Err(CellError::Value),
    }
}

#[cfg(test)]
mod tests {
    use super::super::epoch_mark;
    use super::*;

    #[test]
    fn a_mode_that_nobody_writes_makes_the_cell_unreadable() {
        let mut bytes = Cell::fresh(AccountId(1), LeaseNumber(1)).to_bytes();
        bytes[3] |= 0b11 << FLAG_MODE_SHIFT;
        assert_eq!(Cell::from_bytes(&bytes), Err(CellError::Value));
    }

    #[test]
    fn instants_keep_48_bits_each_and_later_ones_are_the_last() {
        let last = (1 << 48) - 1;
        for times in [
            [0, 0, 0, 0],
            [1, 2, 3, 4],
            [last, 0, last, 0],
            [0, last, 0, last],
            [0x1234_5678_9abc, 0xba98_7654_3210, last, 0xfedc_ba98_7654],
        ] {
            assert_eq!(unpacked(packed(times)), times);
        }
        assert_eq!(unpacked(packed([u64::MAX; 4])), [last; 4]);
    }

    #[test]
    fn every_block_is_read_back_as_it_was_written() {
        let mut cell = Cell::fresh(AccountId(1), LeaseNumber(1));
        let blocks = [
            Block::CustomerSuspended,
            Block::WalletFrozen,
            Block::WalletClosed,
        ];
        for block in blocks.map(Some).into_iter().chain([None]) {
            cell.block = block;
            assert_eq!(Cell::from_bytes(&cell.to_bytes()), Ok(cell.clone()));
        }
    }

    #[test]
    fn a_cell_that_starts_over_keeps_its_account_and_the_ledgers_mark() {
        let mut cell = Cell::fresh(AccountId(1), LeaseNumber(9));
        (cell.version, cell.block, cell.ledger) = (50, Some(Block::WalletFrozen), epoch_mark(7));
        cell.counters.granted = Amount::new(5);
        let mark = epoch_mark(u64::MAX);
        cell.start_over(LeaseNumber(3), mark);
        let read = Cell::from_bytes(&cell.to_bytes());
        assert_eq!(read, Ok(cell.clone()));
        assert_eq!((cell.account, cell.ledger), (AccountId(1), mark));
        assert_eq!((cell.version, cell.block, cell.is_lent()), (0, None, false));
        assert!(cell.lease > LeaseNumber(9));
        assert!(cell.is_of(mark) && !cell.is_of(epoch_mark(7)));
    }
}
