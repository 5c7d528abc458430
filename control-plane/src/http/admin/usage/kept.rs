//! Sums that were made for a first page, kept for the pages after it: to sum up a range again
//! for each page would cost as much each time, and the pages would not be of one moment.
//!
//! Few are kept, and briefly. A page whose sums are gone is summed up anew from its cursor on.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use creditgate_ledger::Timestamp;

use crate::storage::{Dimension, Part, UsageFilter, UsagePage, UsageQuery};

/// Most groups that are summed up at once.
pub(super) const GROUPS_MAX: u32 = 5_000;
/// Most questions whose sums are kept.
const QUESTIONS_MAX: usize = 4;
/// How long they are kept.
const KEPT_MS: i64 = 60_000;

/// The sums of the last questions that had more than one page.
#[derive(Default)]
pub struct KeptSums(Mutex<VecDeque<Arc<Kept>>>);

struct Kept {
    filter: UsageFilter,
    by: Vec<Dimension>,
    /// They are of groups after this one.
    after: Option<Vec<Part>>,
    page: UsagePage,
    at: Timestamp,
}

impl Kept {
    fn is_of(&self, query: &UsageQuery) -> bool {
        self.filter == query.filter && self.by == query.by
    }

    fn is_old(&self, now: Timestamp) -> bool {
        !(0..=KEPT_MS).contains(&now.0.saturating_sub(self.at.0))
    }

    /// The page after the query's place, if it begins here.
    fn cut(&self, query: &UsageQuery) -> Option<UsagePage> {
        let groups = &self.page.groups;
        let first = match &query.after {
            Some(after) if self.after.as_ref().is_some_and(|begin| after < begin) => return None,
            Some(after) => groups.partition_point(|group| group.place() <= *after),
            None if self.after.is_some() => return None,
            None => 0,
        };
        let rest = groups.get(first..)?;
        if rest.is_empty() && self.page.has_more {
            return None;
        }
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        Some(UsagePage {
            groups: rest.iter().take(limit).cloned().collect(),
            has_more: rest.len() > limit || self.page.has_more,
        })
    }
}

impl KeptSums {
    /// The page, from sums that are kept. A first page is always summed up anew.
    pub(super) fn find(&self, query: &UsageQuery, now: Timestamp) -> Option<UsagePage> {
        query.after.as_ref()?;
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = all.iter().filter(|kept| !kept.is_old(now));
        let found = all.find(|kept| kept.is_of(query)).map(Arc::clone)?;
        drop(all);
        found.cut(query)
    }

    /// Cuts the page of these sums, and keeps them if there are pages after it.
    pub(super) fn keep(&self, query: UsageQuery, page: UsagePage, now: Timestamp) -> UsagePage {
        let limit = query.limit;
        let is_last = page.groups.len() <= usize::try_from(limit).unwrap_or(usize::MAX);
        if is_last {
            return page;
        }
        let kept = Arc::new(Kept {
            filter: query.filter.clone(),
            by: query.by.clone(),
            after: query.after.clone(),
            page,
            at: now,
        });
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|known| !known.is_of(&query) && !known.is_old(now));
        all.push_front(Arc::clone(&kept));
        all.truncate(QUESTIONS_MAX);
        drop(all);
        let UsagePage { groups, has_more } = &kept.page;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        UsagePage {
            has_more: *has_more || groups.len() > limit,
            groups: groups.iter().take(limit).cloned().collect(),
        }
    }
}
