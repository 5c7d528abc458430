//! Bounds of what the filter keeps in memory: each has a name, a unit and a range.

use serde::{Deserialize, Serialize};

use super::{ConfigError, within};

/// Bounds of what the filter keeps in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Cells a process: accounts that hold credit at once. 16 to 16777216.
    pub cells_max: u32,
    /// Credentials remembered by each worker. At least 1.
    pub credentials_max: usize,
    /// Requests held at once by each worker.
    pub waiters_max: usize,
    /// Unknown credentials remembered by each worker.
    pub unknown_keys_max: usize,
    /// Unknown credentials that each worker looks up in a second. At least 1.
    pub unknown_lookups_per_second: u32,
    /// Credentials that each worker looks up at once, a quarter of it kept for those it knew
    /// before. At least 1.
    pub lookups_max: usize,
    /// Calls under way at once by each worker, the long poll aside. At least 1.
    pub calls_max: usize,
    /// Lost races after which a request is refused. At least 1.
    pub cas_attempts: u32,
    /// Settlements that each worker keeps for the tick.
    pub settlements_max: usize,
    /// Rows of usage detail that each worker gathers between two batches; what is beyond them
    /// is added to one row for each account. 16 to 65536.
    pub usage_rows_max: usize,
    /// The longest header that is read as a credential, in bytes.
    pub header_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cells_max: 65_536,
            credentials_max: 65_536,
            waiters_max: 4_096,
            unknown_keys_max: 4_096,
            unknown_lookups_per_second: 50,
            lookups_max: 8_192,
            calls_max: 64,
            cas_attempts: 16,
            settlements_max: 65_536,
            usage_rows_max: 2_048,
            header_bytes_max: 8_192,
        }
    }
}

impl Limits {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within(u64::from(self.cells_max), 16, 1 << 24, "limits.cells_max")?;
        let bound = 1 << 24;
        let size = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
        within(
            size(self.credentials_max),
            1,
            bound,
            "limits.credentials_max",
        )?;
        within(size(self.waiters_max), 0, bound, "limits.waiters_max")?;
        within(
            size(self.unknown_keys_max),
            0,
            bound,
            "limits.unknown_keys_max",
        )?;
        within(
            u64::from(self.unknown_lookups_per_second),
            1,
            100_000,
            "limits.unknown_lookups_per_second",
        )?;
        within(size(self.lookups_max), 1, bound, "limits.lookups_max")?;
        within(size(self.calls_max), 1, 10_000, "limits.calls_max")?;
        within(
            u64::from(self.cas_attempts),
            1,
            10_000,
            "limits.cas_attempts",
        )?;
        within(
            size(self.settlements_max),
            0,
            bound,
            "limits.settlements_max",
        )?;
        within(
            size(self.usage_rows_max),
            16,
            65_536,
            "limits.usage_rows_max",
        )?;
        within(
            size(self.header_bytes_max),
            64,
            1 << 20,
            "limits.header_bytes_max",
        )
    }
}
