//! What lies in shared data, where every worker of the process sees it.
//!
//! Keys can be neither listed nor deleted, so they are few and fixed: `i` the instance's id,
//! `l` the leader's record, `g` the gateway configuration, `n` the list of filters, `x` that
//! requests are charged by several of them, `c0`, `c1`, … the cells. A cell is found by probing
//! from its account's hash. Since keys never vanish, the first absent one ends the search.

use creditgate_core::cell::Cell;
use creditgate_core::id::{AccountId, InstanceId};
use creditgate_core::lease::LeaseNumber;
use creditgate_core::protocol::Timing;

use crate::host::{Expect, Host, Lost, Shared};

/// The key of the gateway configuration.
pub(crate) const CONFIG_KEY: &str = "g";
/// The key of the leader's record.
pub(crate) const LEADER_KEY: &str = "l";
/// The key of the list of the process's filters.
pub(crate) const NEIGHBOURS_KEY: &str = "n";
/// The key that says that the log has it that requests are charged by several filters.
pub(crate) const CROSSED_KEY: &str = "x";
const INSTANCE_KEY: &str = "i";

/// How many places an account's cell may be at.
const PROBES: u32 = 16;

/// Background work tries this often; what it loses is repeated by the next report.
const UPDATE_ATTEMPTS: u32 = 64;

/// A cell and where it was read.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) slot: u32,
    pub(crate) cell: Cell,
    pub(crate) cas: u32,
}

/// What became of a new cell.
#[derive(Debug)]
pub(crate) enum Placed {
    /// It is there now.
    Made(u32),
    /// The account has one already.
    Exists(Box<Found>),
    /// Every place is taken by cells that hold something.
    Full,
}

/// The id of this process: the first worker to ask draws it.
pub(crate) fn instance(host: &dyn Host) -> InstanceId {
    let drawn = (u128::from(host.random()) << 64) | u128::from(host.random());
    // Loses when another worker was first; then its number is read.
    let _ = host.shared_set(INSTANCE_KEY, &drawn.to_le_bytes(), Expect::Absent);
    let stored = host.shared_get(INSTANCE_KEY).map(|shared| shared.value);
    match stored.as_deref().map(<[u8; 16]>::try_from) {
        Some(Ok(bytes)) => InstanceId(u128::from_le_bytes(bytes)),
        _ => InstanceId(drawn),
    }
}

/// The key of a slot, without an allocation.
struct SlotKey {
    text: [u8; 11],
    start: usize,
}

impl SlotKey {
    fn new(slot: u32) -> Self {
        let mut text = [0_u8; 11];
        let mut start = text.len();
        let mut rest = slot;
        for place in text.iter_mut().skip(1).rev() {
            let digit = u8::try_from(rest % 10).unwrap_or_default();
            *place = b'0'.wrapping_add(digit);
            start = start.saturating_sub(1);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        start = start.saturating_sub(1);
        if let Some(place) = text.get_mut(start) {
            *place = b'c';
        }
        Self { text, start }
    }

    fn as_str(&self) -> &str {
        let text = self.text.get(self.start..).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }
}

fn get(host: &dyn Host, slot: u32) -> Option<Shared> {
    host.shared_get(SlotKey::new(slot).as_str())
}

fn set(host: &dyn Host, slot: u32, cell: &Cell, expect: Expect) -> Result<(), Lost> {
    host.shared_set(SlotKey::new(slot).as_str(), &cell.to_bytes(), expect)
}

/// Reads the cell at a slot, if it is this account's.
pub(crate) fn read(host: &dyn Host, slot: u32, account: AccountId) -> Option<Found> {
    let shared = get(host, slot)?;
    let cell = Cell::from_bytes(&shared.value).ok()?;
    (cell.account == account).then_some(Found {
        slot,
        cell,
        cas: shared.cas,
    })
}

/// Writes a cell over the one that was read.
pub(crate) fn write(host: &dyn Host, found: &Found) -> Result<(), Lost> {
    set(host, found.slot, &found.cell, Expect::Unchanged(found.cas))
}

/// Changes a cell until no one else came between. `None` if it is gone or was not changed.
pub(crate) fn update(
    host: &dyn Host,
    slot: u32,
    account: AccountId,
    mut change: impl FnMut(&mut Cell),
) -> Option<Cell> {
    for _ in 0..UPDATE_ATTEMPTS {
        let mut found = read(host, slot, account)?;
        let before = found.cell.clone();
        change(&mut found.cell);
        if found.cell == before || write(host, &found).is_ok() {
            return Some(found.cell);
        }
    }
    None
}

fn slots_of(account: AccountId, cells_max: u32) -> impl Iterator<Item = u32> {
    const ODD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
    let mixed = (account.0 ^ (account.0 >> 64)).wrapping_mul(ODD) >> 64;
    let start = mixed.checked_rem(u128::from(cells_max)).unwrap_or_default();
    let start = u64::try_from(start).unwrap_or_default();
    (0..u64::from(PROBES.min(cells_max))).map(move |probe| {
        let slot = start
            .saturating_add(probe)
            .checked_rem(u64::from(cells_max));
        u32::try_from(slot.unwrap_or_default()).unwrap_or_default()
    })
}

/// Where an account's cell is if no other was there before it.
pub(crate) fn first_slot(account: AccountId, cells_max: u32) -> u32 {
    slots_of(account, cells_max).next().unwrap_or_default()
}

/// The account's cell, wherever it is.
pub(crate) fn find(host: &dyn Host, account: AccountId, cells_max: u32) -> Option<Found> {
    for slot in slots_of(account, cells_max) {
        let shared = get(host, slot)?;
        if let Ok(cell) = Cell::from_bytes(&shared.value)
            && cell.account == account
        {
            return Some(Found {
                slot,
                cell,
                cas: shared.cas,
            });
        }
    }
    None
}

/// Puts a new cell where there is room, unless the account has one.
///
/// Two workers may do this at once at different slots. Whoever then finds the other's cell
/// takes its own back, as long as nobody has used it; if both do, the next question starts
/// anew. If one was used meanwhile, both stay: they are leases of their own.
pub(crate) fn place(
    host: &dyn Host,
    cell: &Cell,
    cells_max: u32,
    now_ms: u64,
    timing: &Timing,
) -> Placed {
    for _ in 0..UPDATE_ATTEMPTS {
        if let Some(found) = find(host, cell.account, cells_max) {
            return Placed::Exists(Box::new(found));
        }
        let Some((slot, expect)) = room(host, cell.account, cells_max, now_ms, timing) else {
            return Placed::Full;
        };
        if set(host, slot, cell, expect).is_err() {
            continue;
        }
        let elsewhere = slots_of(cell.account, cells_max)
            .filter(|other| *other != slot)
            .find_map(|other| read(host, other, cell.account));
        return match elsewhere {
            Some(other) if take_back(host, slot, cell) => Placed::Exists(Box::new(other)),
            _ => Placed::Made(slot),
        };
    }
    Placed::Full
}

fn room(
    host: &dyn Host,
    account: AccountId,
    cells_max: u32,
    now_ms: u64,
    timing: &Timing,
) -> Option<(u32, Expect)> {
    slots_of(account, cells_max).find_map(|slot| {
        let Some(shared) = get(host, slot) else {
            return Some((slot, Expect::Absent));
        };
        // What can't be read is lost already.
        let reusable =
            Cell::from_bytes(&shared.value).map_or(true, |cell| cell.is_reusable(now_ms, timing));
        reusable.then_some((slot, Expect::Unchanged(shared.cas)))
    })
}

/// Removes a cell just placed, unless it was touched since.
fn take_back(host: &dyn Host, slot: u32, cell: &Cell) -> bool {
    let Some(now) = read(host, slot, cell.account) else {
        return true;
    };
    let nobody = Cell::fresh(AccountId(0), LeaseNumber::NONE);
    now.cell == *cell && set(host, slot, &nobody, Expect::Unchanged(now.cas)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slot_keys_are_the_letter_and_the_number() {
        for slot in [0, 7, 10, 65_535, u32::MAX] {
            assert_eq!(SlotKey::new(slot).as_str(), format!("c{slot}"));
        }
    }

    #[test]
    fn an_account_has_its_own_distinct_slots_within_the_bound() {
        for cells_max in [16, 17, 65_536] {
            let slots: Vec<_> = slots_of(AccountId(0x0192 << 100 | 5), cells_max).collect();
            let distinct: std::collections::HashSet<_> = slots.iter().collect();
            assert_eq!((slots.len(), distinct.len()), (16, 16));
            assert!(slots.iter().all(|slot| *slot < cells_max));
        }
    }
}
