//! Usage detail.

use std::collections::{BTreeMap, BTreeSet};

use creditgate_core::detail::{Counts, Units};
use creditgate_ledger::id::{AccountId, CustomerId};
use creditgate_ledger::usage::{
    Batch, Booked, Day, Known, MODELS_A_DAY_MAX, Models, Total, UsageRow,
};
use creditgate_ledger::{Account, Book};

use super::tables::Tables;
use crate::storage::{FORGET_MAX, ForgetUsage, Part, UsageGroup, UsagePage, UsageQuery};

impl Tables {
    /// What must be known to book these batches.
    pub(super) fn usage_known(&self, batches: &[impl AsRef<Batch>]) -> Known {
        let mut known = Known::default();
        for batch in batches.iter().map(AsRef::as_ref) {
            let number = self.usage_sources.get(&batch.source);
            known
                .last
                .extend(number.map(|(number, _)| (batch.source, *number)));
            for row in &batch.rows {
                let owner = self.accounts.get(&row.account);
                known
                    .owners
                    .extend(owner.map(|owner| (row.account, *owner)));
                let key = row
                    .credential
                    .and_then(|hash| Some((hash, *self.hashes.get(&hash)?)));
                known.keys.extend(key);
                let models = known.models.entry((row.account, batch.day));
                let models = models.or_insert_with(|| self.models(row.account, batch.day));
                debug_assert!(models.count <= MODELS_A_DAY_MAX);
            }
        }
        known
    }

    fn models(&self, account: AccountId, day: Day) -> Models {
        let rows = self.usage.keys();
        let rows = rows.filter(|key| key.account == account && key.day == day);
        let known: BTreeSet<String> = rows.filter_map(|key| key.model.clone()).collect();
        let count = known.len().min(MODELS_A_DAY_MAX);
        Models { known, count }
    }

    pub(super) fn add_usage(&mut self, batches: &[Booked]) {
        for batch in batches {
            for row in &batch.rows {
                let total = self.usage_totals.entry(row.key.account).or_default();
                total.cost = total.cost.saturating_add(row.cost);
                match self.usage.get_mut(&row.key) {
                    Some(known) => known.add(row),
                    None => {
                        self.usage.insert(row.key.clone(), row.clone());
                    }
                }
            }
            self.usage_sources
                .insert(batch.source, (batch.number, batch.at));
        }
    }

    pub(super) fn forget_usage(&mut self, forget: ForgetUsage) {
        let old = self.usage.keys().filter(|key| key.day < forget.rows_before);
        let mut old: Vec<_> = old.cloned().collect();
        old.sort_by_key(|key| key.day);
        old.truncate(FORGET_MAX);
        for row in old.iter().filter_map(|key| self.usage.remove(key)) {
            let total = self.usage_totals.entry(row.key.account).or_default();
            total.forgotten = total.forgotten.saturating_add(row.cost);
        }
        self.usage_sources
            .retain(|_, (_, heard_at)| *heard_at >= forget.sources_before);
    }

    pub(super) fn usage(&self, query: &UsageQuery) -> UsagePage {
        let filter = &query.filter;
        let rows = self.usage.values();
        let rows = rows
            .filter(|row| (filter.from..filter.before).contains(&row.key.day))
            .filter(|row| filter.customer.is_none_or(|of| of == row.customer))
            .filter(|row| filter.key.is_none_or(|of| row.key.key == Some(of)))
            .filter(|row| filter.rule.as_ref().is_none_or(|of| *of == row.key.rule))
            .filter(|row| filter.model.is_none() || filter.model == row.key.model)
            .filter(|row| filter.settled_by.is_none_or(|of| of == row.key.settled_by));
        let mut groups: BTreeMap<Vec<Part>, UsageGroup> = BTreeMap::new();
        for row in rows {
            let Some(account) = self.account_of(row) else {
                continue;
            };
            let parts = query
                .by
                .iter()
                .flat_map(|by| by.parts(&row.key, row.customer));
            let fresh = UsageGroup {
                currency: account.currency,
                scale: account.scale,
                parts: parts.collect(),
                cost: 0,
                counts: Counts::default(),
                units: Units::new(),
            };
            let group = groups.entry(fresh.place()).or_insert(fresh);
            group.cost = group.cost.saturating_add(i128::from(row.cost.get()));
            group.counts.add(&row.counts);
            group.units.add_all(&row.units);
        }
        for group in groups.values_mut() {
            let units = std::mem::take(&mut group.units);
            units
                .iter()
                .for_each(|(meter, units)| group.add_units(meter, units));
        }
        let later = groups.into_iter().filter(|(place, _)| {
            let after = query.after.as_ref();
            after.is_none_or(|after| place > after)
        });
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let groups = later.map(|(_, group)| group).take(limit.saturating_add(1));
        UsagePage::cut(groups.collect(), query.limit)
    }

    fn account_of(&self, row: &UsageRow) -> Option<&Account> {
        let book: &Book = self.books.get::<CustomerId>(&row.customer)?;
        book.account(row.key.account)
    }

    pub(super) fn usage_total(&self, account: AccountId) -> Total {
        self.usage_totals.get(&account).copied().unwrap_or_default()
    }

    pub(super) fn usage_kept(&self, account: AccountId) -> i128 {
        let rows = self.usage.values().filter(|row| row.key.account == account);
        rows.fold(0, |sum, row| sum.saturating_add(row.cost.get().into()))
    }
}
