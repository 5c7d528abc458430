//! Lots, leases and the journal.

use std::ops::Bound;

use creditgate_ledger::id::{AccountId, CustomerId, LeaseId, LotId, WalletId};
use creditgate_ledger::{Entry, Fact, Lease, Lot};

use super::names::Kind;
use super::reads::rising;
use super::tables::Tables;
use crate::storage::Target;
use crate::storage::{EntryFilter, LeaseFilter, LotFilter, Page, PageRequest};

fn is_wanted(lot: &Lot, filter: LotFilter) -> bool {
    match filter {
        LotFilter::Customer(_) => true,
        LotFilter::Wallet(wallet) => lot.wallet == wallet,
        LotFilter::Some {
            wallet,
            kind,
            status,
        } => {
            lot.wallet == wallet
                && kind.is_none_or(|kind| kind == lot.kind)
                && status.is_none_or(|(status, now)| status == lot.status(now))
        }
    }
}

impl Tables {
    fn find_lot(&self, id: LotId) -> Option<&Lot> {
        let live = self
            .owned(&Target::Lot(id))?
            .lots
            .iter()
            .find(|lot| lot.id == id);
        live.or_else(|| self.past_lots.get(&id))
    }

    pub(super) fn lot(&self, id: LotId) -> Option<(CustomerId, Lot)> {
        self.lots.get(&id).copied().zip(self.find_lot(id).cloned())
    }

    pub(super) fn lot_named(&self, name: &str) -> Option<(CustomerId, Lot)> {
        self.lot(LotId(self.names.find(Kind::Lot, name)?))
    }

    pub(super) fn lots(&self, filter: LotFilter, page: PageRequest) -> Page<Lot> {
        let after = page
            .cursor
            .map_or(Bound::Unbounded, |cursor| Bound::Excluded(LotId(cursor.0)));
        let lots = self
            .lots
            .range((after, Bound::Unbounded))
            .filter(|(_, customer)| !matches!(filter, LotFilter::Customer(wanted) if wanted != **customer))
            .filter_map(|(id, _)| self.find_lot(*id))
            .filter(|lot| is_wanted(lot, filter))
            .cloned();
        rising(lots, page, |lot| lot.id.0)
    }

    pub(super) fn find_lease(&self, id: LeaseId) -> Option<&Lease> {
        let live = self
            .owned(&Target::Lease(id))?
            .leases
            .iter()
            .find(|lease| lease.id == id);
        live.or_else(|| self.past_leases.get(&id))
    }

    pub(super) fn lease(&self, id: LeaseId) -> Option<(CustomerId, Lease)> {
        self.leases
            .get(&id)
            .copied()
            .zip(self.find_lease(id).cloned())
    }

    pub(super) fn leases(
        &self,
        filter: LeaseFilter,
        page: PageRequest,
    ) -> Page<(CustomerId, Lease)> {
        let before = page.cursor.map_or(Bound::Unbounded, |cursor| {
            Bound::Excluded(LeaseId(cursor.0))
        });
        let leases = self
            .leases
            .range((Bound::Unbounded, before))
            .rev()
            .filter(|(_, customer)| filter.customer.is_none_or(|wanted| wanted == **customer))
            .filter_map(|(id, customer)| self.find_lease(*id).map(|lease| (*customer, lease)))
            .filter(|(_, lease)| {
                filter
                    .instance
                    .is_none_or(|wanted| wanted == lease.instance)
            })
            .filter(|(_, lease)| filter.state.is_none_or(|wanted| wanted == lease.state))
            .filter(|(_, lease)| filter.account.is_none_or(|wanted| wanted == lease.account))
            .filter(|(_, lease)| filter.number.is_none_or(|wanted| wanted == lease.number))
            .map(|(customer, lease)| (customer, lease.clone()));
        rising(leases, page, |(_, lease)| lease.id.0)
    }

    pub(super) fn entries(&self, filter: EntryFilter, page: PageRequest) -> Page<Entry> {
        let account = match filter {
            EntryFilter::Account(account) => Some(account),
            EntryFilter::Wallet(wallet) | EntryFilter::Some { wallet, .. } => {
                self.wallet(wallet).map(|wallet| wallet.account)
            }
            EntryFilter::Lot(lot) => self.find_lot(lot).map(|lot| lot.account),
            EntryFilter::Lease { lease, .. } => self.find_lease(lease).map(|lease| lease.account),
        };
        let account = account.unwrap_or(AccountId(0));
        let before = page.cursor.map_or(u64::MAX, |cursor| {
            u64::try_from(cursor.0).unwrap_or(u64::MAX)
        });
        let entries = self
            .entries
            .range((account, 0)..(account, before))
            .rev()
            .map(|(_, entry)| entry)
            .filter(|entry| self.matches(entry, filter))
            .cloned();
        rising(entries, page, |entry| entry.number.into())
    }

    fn matches(&self, entry: &Entry, filter: EntryFilter) -> bool {
        match filter {
            EntryFilter::Account(_) => true,
            EntryFilter::Wallet(wallet) => self.concerns(entry, wallet),
            EntryFilter::Lot(lot) => {
                let says = entry.fact.as_ref().and_then(lot_of);
                says == Some(lot) || entry.draws.iter().any(|draw| draw.lot == lot)
            }
            EntryFilter::Lease {
                lease,
                kind,
                from,
                before,
            } => {
                entry.lease == Some(lease)
                    && kind.is_none_or(|kind| kind == entry.kind)
                    && from.is_none_or(|from| entry.booked_at >= from)
                    && before.is_none_or(|before| entry.booked_at < before)
            }
            EntryFilter::Some {
                wallet,
                kind,
                reason,
                from,
                before,
            } => {
                self.concerns(entry, wallet)
                    && kind.is_none_or(|kind| kind == entry.kind)
                    && reason.is_none_or(|reason| reason == entry.reason)
                    && from.is_none_or(|from| entry.booked_at >= from)
                    && before.is_none_or(|before| entry.booked_at < before)
            }
        }
    }

    fn concerns(&self, entry: &Entry, wallet: WalletId) -> bool {
        let drew = |lot| self.find_lot(lot).is_some_and(|lot| lot.wallet == wallet);
        entry.wallet == Some(wallet) || entry.draws.iter().any(|draw| drew(draw.lot))
    }

    pub(super) fn chain(&self, account: AccountId, after: u64, limit: u32) -> Vec<Entry> {
        let first = after.saturating_add(1);
        self.entries
            .range((account, first)..=(account, u64::MAX))
            .map(|(_, entry)| entry.clone())
            .take(limit as usize)
            .collect()
    }
}

/// The lot that a fact is about.
fn lot_of(fact: &Fact) -> Option<LotId> {
    let fact = serde_json::to_value(fact).ok()?;
    fact.get("lot")?.as_str()?.parse().ok()
}
