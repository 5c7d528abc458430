//! Usage detail: what customers' credit was used for, by day.
//!
//! Gateways' workers tell it in numbered batches and repeat a batch until it is acknowledged;
//! so the last number of each worker is all that must be known to count each batch once. Detail
//! explains the books and moves nothing in them: what was spent and is in no row is
//! *unattributed*, because a worker died before it told, or a lease was charged unheard.

mod day;
mod total;

use std::collections::{BTreeSet, HashMap};

use creditgate_core::amount::Amount;
use creditgate_core::detail::{Counts, OTHER, Row, SettledBy, StatusClass, Units};
use creditgate_core::key::CredentialHash;

pub use day::{Day, DayError};
pub use total::{Attribution, Total};

use crate::Timestamp;
use crate::id::{AccountId, CustomerId, InstanceId, KeyId};

/// Models that are told apart in one account's detail of one day; further ones are counted
/// under [`OTHER`], since clients can invent names.
pub const MODELS_A_DAY_MAX: usize = 256;

/// The largest sum of any kind: what storage can keep.
pub const SUM_MAX: u64 = i64::MAX as u64;

/// One worker of a gateway's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// The process.
    pub instance: InstanceId,
    /// Drawn by the worker when it started.
    pub worker: u64,
}

/// A batch as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// From whom.
    pub source: Source,
    /// Its number; grows with each of the source's.
    pub number: u64,
    /// The name of the gateway's rate card.
    pub rate_card: String,
    /// The day that it is counted to.
    pub day: Day,
    /// What was used.
    pub rows: Vec<Row>,
}

/// What is one row: requests that are alike in all of this.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UsageKey {
    /// Which account paid.
    pub account: AccountId,
    /// On which day it was booked.
    pub day: Day,
    /// The model that answered, or was asked for; [`OTHER`] beyond [`MODELS_A_DAY_MAX`].
    pub model: Option<String>,
    /// The id of the rule, or [`OTHER`].
    pub rule: String,
    /// The consumer key; none for a customer who was known without one.
    pub key: Option<KeyId>,
    /// The name of the rate card.
    pub rate_card: String,
    /// Its version.
    pub card_version: u64,
    /// The class of the answer's status.
    pub status: StatusClass,
    /// What the charge went by.
    pub settled_by: SettledBy,
}

/// A row of usage detail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// What it is about.
    pub key: UsageKey,
    /// Whose account it is.
    pub customer: CustomerId,
    /// What was charged, in smallest units; never negative.
    pub cost: Amount,
    /// What was counted; no count above [`SUM_MAX`].
    pub counts: Counts,
    /// Units by meter; none above [`SUM_MAX`].
    pub units: Units,
}

impl UsageRow {
    /// Adds what another row of the same key has. Sums stop at [`SUM_MAX`].
    pub fn add(&mut self, other: &Self) {
        self.cost = self.cost.saturating_add(other.cost);
        self.counts.add(&other.counts);
        self.counts = bounded(&self.counts);
        self.units.add_all(&other.units);
        self.units = std::mem::take(&mut self.units).at_most(SUM_MAX);
    }
}

/// A batch that is new, as it is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booked {
    /// From whom.
    pub source: Source,
    /// Its number: the last of the source's from now on.
    pub number: u64,
    /// When it came.
    pub at: Timestamp,
    /// What is added; several may have the same key.
    pub rows: Vec<UsageRow>,
    /// How many rows were left out: their accounts are not here.
    pub left_out: usize,
}

/// What is known before batches are booked.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The last number of each source that has one.
    pub last: HashMap<Source, u64>,
    /// Whose the accounts are that exist.
    pub owners: HashMap<AccountId, CustomerId>,
    /// The keys behind credentials, revoked ones too.
    pub keys: HashMap<CredentialHash, KeyId>,
    /// The models of accounts' days.
    pub models: HashMap<(AccountId, Day), Models>,
}

/// The models that have rows in one account's detail of one day.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Models {
    /// Those of the batch that have.
    pub known: BTreeSet<String>,
    /// How many have, counted up to [`MODELS_A_DAY_MAX`].
    pub count: usize,
}

impl Models {
    /// The name under which a model is counted.
    fn admit(&mut self, model: String) -> String {
        if model == OTHER || self.known.contains(&model) {
            return model;
        }
        if self.count >= MODELS_A_DAY_MAX {
            return OTHER.to_owned();
        }
        self.count = self.count.saturating_add(1);
        self.known.insert(model.clone());
        model
    }
}

impl Known {
    /// Takes a batch up, unless it is known already. Rows of accounts that are not here are left
    /// out: they belong to another ledger, from before a restore.
    pub fn book(&mut self, batch: &Batch, at: Timestamp) -> Option<Booked> {
        let last = self.last.entry(batch.source).or_default();
        if batch.number <= *last {
            return None;
        }
        *last = batch.number;
        let rows = batch.rows.iter();
        let rows: Vec<_> = rows.filter_map(|row| self.row(batch, row)).collect();
        Some(Booked {
            left_out: batch.rows.len().saturating_sub(rows.len()),
            source: batch.source,
            number: batch.number,
            at,
            rows,
        })
    }

    fn row(&mut self, batch: &Batch, row: &Row) -> Option<UsageRow> {
        let customer = *self.owners.get(&row.account)?;
        let key = row.credential.and_then(|hash| self.keys.get(&hash));
        let models = self.models.entry((row.account, batch.day)).or_default();
        let is_other = row.rule == OTHER;
        Some(UsageRow {
            key: UsageKey {
                account: row.account,
                day: batch.day,
                model: row.model.clone().map(|model| models.admit(model)),
                rule: row.rule.clone(),
                key: key.copied(),
                // Requests by several cards may be in one.
                rate_card: if is_other { OTHER } else { &batch.rate_card }.to_owned(),
                card_version: row.card_version.min(SUM_MAX),
                status: row.status,
                settled_by: row.settled_by,
            },
            customer,
            cost: row.cost,
            counts: bounded(&row.counts),
            units: row.units.clone().at_most(SUM_MAX),
        })
    }
}

fn bounded(counts: &Counts) -> Counts {
    Counts::new(counts.get().map(|count| count.min(SUM_MAX)))
}
