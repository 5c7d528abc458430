//! The auditor's view of offline allowances: what was used beyond what the ledger knows as lent.
//!
//! A process may spend so much of each account on its own word while it can't reach the control
//! plane, and once more for each cell that vanished with what it had not reported. What is owed
//! in all stays within that, too.

use std::collections::{BTreeSet, HashMap};

use creditgate_core::cell::Cell;
use creditgate_core::id::{AccountId, InstanceId};

use super::auditor::{Broken, LeaseKey};

/// Who spent beyond what was lent, and how far.
#[derive(Debug, Default)]
pub(super) struct Allowances {
    /// The allowance of an instance and account.
    pub(super) most: i64,
    /// By how much leases are overrun that the ledger has yet to cover.
    over: HashMap<(InstanceId, AccountId), HashMap<LeaseKey, i64>>,
    /// Who ever spent so, and each cell that was lost with what it had not reported.
    spenders: HashMap<AccountId, BTreeSet<(InstanceId, u32)>>,
    /// Leases whose cell is gone, with so much that nobody will ever report.
    unreported: HashMap<LeaseKey, i64>,
}

impl Allowances {
    /// More was used or can be under a lease than is lent there, by so much.
    ///
    /// # Errors
    /// If that is more than the instance may.
    pub(super) fn note(&mut self, key: LeaseKey, over: i64) -> Result<(), Broken> {
        let (instance, account, _) = key;
        let leases = self.over.entry((instance, account)).or_default();
        if over <= 0 {
            leases.remove(&key);
            return Ok(());
        }
        leases.insert(key, over);
        let sum: i64 = leases.values().sum();
        let spenders = self.spenders.entry(account).or_default();
        spenders.insert((instance, 0));
        let times = spenders.iter().filter(|(of, _)| *of == instance).count();
        if sum > times_of(self.most, times) {
            return Err(format!(
                "overspend: {sum} was used or can be by {instance} beyond what is lent, lease {} by {over}; the allowance is {}",
                key.2, self.most
            ));
        }
        Ok(())
    }

    /// A cell is overrun, by whatever: what a trapped worker reserved counts, too, although
    /// nothing of it is used.
    pub(super) fn spends(&mut self, instance: InstanceId, account: AccountId) {
        let spenders = self.spenders.entry(account).or_default();
        spenders.insert((instance, 0));
    }

    /// What an account owes, after something was booked.
    ///
    /// # Errors
    /// If it is more than all who spent could.
    pub(super) fn owes(&self, account: AccountId, owed: i128) -> Result<(), Broken> {
        let times = self.spenders.get(&account).map_or(0, BTreeSet::len);
        let bound = times_of(self.most, times);
        if owed > i128::from(bound) {
            return Err(format!(
                "{account} owes {owed}; {times} times the allowance are {bound}"
            ));
        }
        Ok(())
    }

    /// A cell is gone, with whatever it had not reported.
    pub(super) fn erased(&mut self, instance: InstanceId, cell: &Cell) {
        let before = cell
            .previous
            .map(|previous| (previous.lease, previous.counters));
        let leases = [Some((cell.lease, cell.counters)), before];
        let over: Vec<(LeaseKey, i64)> = leases
            .into_iter()
            .flatten()
            .map(|(lease, counters)| ((instance, cell.account, lease), counters.overrun().get()))
            .filter(|(_, over)| *over > 0)
            .collect();
        if over.is_empty() {
            return;
        }
        let spenders = self.spenders.entry(cell.account).or_default();
        let lost = spenders.iter().filter(|(of, _)| *of == instance).count();
        spenders.insert((instance, u32::try_from(lost).unwrap_or(u32::MAX)));
        self.unreported.extend(over);
    }

    /// How much of a lease nobody reports any more.
    pub(super) fn unreported(&self, key: &LeaseKey) -> i64 {
        self.unreported.get(key).copied().unwrap_or_default()
    }
}

fn times_of(most: i64, times: usize) -> i64 {
    most.saturating_mul(i64::try_from(times).unwrap_or(i64::MAX))
}
