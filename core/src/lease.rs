//! The arithmetic of one lease: escrow with five counters that only ever grow.
//!
//! `granted` grows at the control plane, the other four at the gateway. Both sides
//! merge by maximum, so a message that is lost, repeated, late or out of order can do
//! no harm. Everything else (remaining, held, outstanding) is derived.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::amount::Amount;

/// A counter at or above this is a reason to turn the lease: far below overflow.
pub const COUNTER_LIMIT: Amount = Amount::new(1 << 62);

/// How many low bits of a lease number are random; the bits above are milliseconds.
const RANDOM_BITS: u32 = 22;

/// Names one episode of lending. Drawn by the gateway; later episodes have larger numbers.
///
/// The high 42 bits are the process's monotonic clock in milliseconds when it was drawn,
/// the low 22 bits are random. Zero is no lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LeaseNumber(pub u64);

impl LeaseNumber {
    /// No lease.
    pub const NONE: Self = Self(0);

    /// Draws a number that is larger than `after`.
    #[must_use]
    pub fn draw(now_ms: u64, random: u32, after: Self) -> Self {
        let low = u64::from(random) & ((1 << RANDOM_BITS) - 1);
        let drawn = (now_ms << RANDOM_BITS) | low;
        Self(drawn.max(after.0.saturating_add(1)))
    }

    /// The gateway's monotonic milliseconds when the number was drawn.
    #[must_use]
    pub const fn drawn_at_ms(self) -> u64 {
        self.0 >> RANDOM_BITS
    }

    /// Whether this names no lease.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl core::fmt::Display for LeaseNumber {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Serialize for LeaseNumber {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        crate::protocol::text_u64::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for LeaseNumber {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::protocol::text_u64::deserialize(deserializer).map(Self)
    }
}

/// The five counters of a lease, in smallest units of the account's currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counters {
    /// Credit lent in this lease. Grows at the control plane.
    pub granted: Amount,
    /// Credit given back unused.
    pub returned: Amount,
    /// Estimates at admission, plus whatever actual cost exceeded them.
    pub reserved: Amount,
    /// Estimates less actual cost, and refunds.
    pub released: Amount,
    /// Actual cost.
    pub settled: Amount,
}

/// A report whose counters contradict one another (invariant 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OutOfOrder {
    /// A counter below zero or above [`COUNTER_LIMIT`] + what is in flight.
    #[error("a counter is outside its range")]
    Range,
    /// `settled` above `reserved − released`.
    #[error("settled exceeds reserved less released")]
    SettledExceedsReserved,
    /// `returned` above `granted`.
    #[error("returned exceeds granted")]
    ReturnedExceedsGranted,
}

impl Counters {
    /// What may still be reserved. Below zero after an overrun not yet covered.
    #[must_use]
    pub fn remaining(&self) -> Amount {
        self.granted
            .saturating_sub(self.returned)
            .saturating_sub(self.reserved)
            .saturating_add(self.released)
    }

    /// What requests in flight hold.
    #[must_use]
    pub fn held(&self) -> Amount {
        self.reserved
            .saturating_sub(self.released)
            .saturating_sub(self.settled)
    }

    /// What was lent and is neither settled nor given back: remaining + held.
    #[must_use]
    pub fn outstanding(&self) -> Amount {
        self.granted
            .saturating_sub(self.returned)
            .saturating_sub(self.settled)
    }

    /// What was used up or set aside beyond what is lent; zero in strict mode.
    #[must_use]
    pub fn overrun(&self) -> Amount {
        Amount::ZERO
            .saturating_sub(self.remaining())
            .max(Amount::ZERO)
    }

    /// Nothing is out: the lease can be closed without anyone noticing.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.outstanding().is_zero()
    }

    /// Takes the larger of each counter: applying a report twice, late or out of order
    /// changes nothing.
    #[must_use]
    pub fn merged(&self, other: &Self) -> Self {
        Self {
            granted: self.granted.max(other.granted),
            returned: self.returned.max(other.returned),
            reserved: self.reserved.max(other.reserved),
            released: self.released.max(other.released),
            settled: self.settled.max(other.settled),
        }
    }

    /// Checks invariant 4 as far as one report can tell; an overrun is not an error here,
    /// its bound is the control plane's to judge.
    ///
    /// # Errors
    /// [`OutOfOrder`] names the first relation that does not hold.
    pub fn check(&self) -> Result<(), OutOfOrder> {
        let range = Amount::ZERO..=COUNTER_LIMIT.saturating_add(COUNTER_LIMIT);
        let all = [
            self.granted,
            self.returned,
            self.reserved,
            self.released,
            self.settled,
        ];
        if !all.iter().all(|counter| range.contains(counter)) {
            return Err(OutOfOrder::Range);
        }
        if self.held() < Amount::ZERO {
            return Err(OutOfOrder::SettledExceedsReserved);
        }
        if self.returned > self.granted {
            return Err(OutOfOrder::ReturnedExceedsGranted);
        }
        Ok(())
    }

    /// Whether a counter has come so far that the lease should be turned.
    #[must_use]
    pub fn near_limit(&self) -> bool {
        self.granted.max(self.reserved) >= COUNTER_LIMIT
    }

    /// A number that changes whenever a counter that grows at the gateway grows.
    #[must_use]
    pub fn mark(&self) -> u64 {
        [self.returned, self.reserved, self.released, self.settled]
            .iter()
            .fold(0_u64, |sum, counter| {
                sum.wrapping_add(counter.get().cast_unsigned())
            })
    }
}
