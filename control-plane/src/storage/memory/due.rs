//! What is due for someone: changes for gateways, reports that are missing, instants to come.

use std::collections::{BTreeMap, BTreeSet};

use creditgate_core::amount::Amount;
use creditgate_core::lease::LeaseNumber;
use creditgate_ledger::id::{AccountId, CustomerId, InstanceId, LeaseId};
use creditgate_ledger::{Lease, LeaseState, Timestamp};

use super::tables::Tables;
use crate::storage::live;
use crate::storage::{LeaseTotal, OwedTotal};

impl Tables {
    pub(super) fn changes(
        &self,
        instance: InstanceId,
        after: u64,
        limit: u32,
    ) -> Vec<(u64, CustomerId, AccountId, LeaseNumber)> {
        let first = (instance, after.saturating_add(1), LeaseId(0));
        let last = (instance, u64::MAX, LeaseId(u128::MAX));
        self.changes
            .range(first..=last)
            .filter_map(|(_, number, id)| {
                let (customer, lease) = (self.leases.get(id)?, self.find_lease(*id)?);
                Some((*number, *customer, lease.account, lease.number))
            })
            .take(limit as usize)
            .collect()
    }

    pub(super) fn last_change(&self) -> u64 {
        self.last_change
    }

    fn live_leases(&self) -> impl Iterator<Item = (CustomerId, &Lease)> {
        self.books
            .iter()
            .flat_map(|(id, book)| book.leases.iter().map(|lease| (*id, lease)))
    }

    pub(super) fn overdue(
        &self,
        instance: InstanceId,
        reported_before: Timestamp,
        limit: u32,
    ) -> Vec<AccountId> {
        let mut oldest: BTreeMap<AccountId, Timestamp> = BTreeMap::new();
        let held = self.live_leases().map(|(_, lease)| lease).filter(|lease| {
            lease.instance == instance
                && matches!(lease.state, LeaseState::Open | LeaseState::Draining)
                && lease.counters.outstanding() > Amount::ZERO
                && lease.reported_at < reported_before
        });
        for lease in held {
            let known = oldest.entry(lease.account).or_insert(lease.reported_at);
            *known = lease.reported_at.min(*known);
        }
        let rising: BTreeSet<_> = oldest
            .into_iter()
            .map(|(account, reported_at)| (reported_at, account))
            .collect();
        rising
            .into_iter()
            .map(|(_, account)| account)
            .take(limit as usize)
            .collect()
    }

    pub(super) fn outstanding_instances(&self) -> Vec<InstanceId> {
        let open = self
            .live_leases()
            .filter(|(_, lease)| lease.state != LeaseState::Closed);
        let instances: BTreeSet<_> = open.map(|(_, lease)| lease.instance).collect();
        instances.into_iter().collect()
    }

    pub(super) fn lease_totals(&self) -> Vec<LeaseTotal> {
        let mut totals: BTreeMap<_, (u64, i128)> = BTreeMap::new();
        for (customer, lease) in self.live_leases() {
            let account = self
                .books
                .get(&customer)
                .and_then(|book| book.account(lease.account));
            let Some(account) = account.filter(|_| lease.state != LeaseState::Closed) else {
                continue;
            };
            let is_quarantined = lease.state == LeaseState::Quarantined;
            let total = totals
                .entry((account.currency, account.scale, is_quarantined))
                .or_default();
            total.0 = total.0.saturating_add(1);
            total.1 = total
                .1
                .saturating_add(lease.counters.outstanding().get().into());
        }
        let rising = totals.into_iter();
        rising
            .map(
                |((currency, scale, is_quarantined), (leases, outstanding))| LeaseTotal {
                    currency,
                    scale,
                    is_quarantined,
                    leases,
                    outstanding,
                },
            )
            .collect()
    }

    pub(super) fn owed_totals(&self) -> Vec<OwedTotal> {
        let mut totals: BTreeMap<_, (i128, i128)> = BTreeMap::new();
        for account in self.books.values().flat_map(|book| &book.accounts) {
            let owed = i128::from(account.balances.owed().get());
            if owed > 0 {
                let total = totals.entry((account.currency, account.scale)).or_default();
                *total = (total.0.saturating_add(owed), total.1.max(owed));
            }
        }
        let rising = totals.into_iter();
        rising
            .map(|((currency, scale), (owed, most))| OwedTotal {
                currency,
                scale,
                owed,
                most,
            })
            .collect()
    }

    pub(super) fn leases_quarantined_before(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Vec<(CustomerId, LeaseId)> {
        let rising: BTreeSet<_> = self
            .live_leases()
            .filter(|(_, lease)| lease.state == LeaseState::Quarantined && lease.hold.is_none())
            .filter_map(|(customer, lease)| Some((lease.quarantined_at?, lease.id, customer)))
            .filter(|(since, _, _)| *since < before)
            .collect();
        rising
            .into_iter()
            .map(|(_, lease, customer)| (customer, lease))
            .take(limit as usize)
            .collect()
    }

    pub(super) fn next_instants(
        &self,
        after: (Timestamp, CustomerId),
        limit: u32,
    ) -> Vec<(Timestamp, CustomerId)> {
        let all = self
            .books
            .iter()
            .flat_map(|(id, book)| live::instants(book).map(|instant| (instant, *id)));
        let rising: BTreeSet<_> = all.filter(|next| *next > after).collect();
        rising.into_iter().take(limit as usize).collect()
    }
}
