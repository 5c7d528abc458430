//! What is really so: an independent account of every request and every cell.
//!
//! The auditor sees what no part of the system sees: which request was admitted when, where
//! and at which cost, whether the process that admitted it is still alive, and what every
//! cell holds. It reads the journal line by line and holds it against that. It shares no
//! arithmetic with the ledger.

use std::collections::{BTreeMap, HashMap};

use creditgate::storage::{BookChange, ChangeSet};
use creditgate_core::amount::Amount;
use creditgate_core::cell::Cell;
use creditgate_core::id::{AccountId, InstanceId};
use creditgate_core::lease::{Counters, LeaseNumber};
use creditgate_core::protocol::{Block, LeaseAnswer};
use creditgate_ledger::id::{LeaseId, LotId};
use creditgate_ledger::verify::verify;
use creditgate_ledger::{Entry, EntryKind, Lease, LedgerAccount, ResolutionKind, Timestamp};

use super::allowance::Allowances;
use super::control_plane::wall_clock;
use super::lots::Lots;

/// A lease, as processes name it.
pub(super) type LeaseKey = (InstanceId, AccountId, LeaseNumber);

/// One request that was admitted.
#[derive(Debug, Clone, Copy)]
struct Admission {
    at_ms: u64,
    /// The estimate while it runs, the actual cost after.
    amount: i64,
}

/// What really happened under a lease.
#[derive(Debug, Clone, Default)]
struct Truth {
    admissions: Vec<Admission>,
    /// Σ of their amounts: what is settled and what requests in flight hold.
    used: i64,
    /// What remains in a cell.
    remaining: i64,
    /// Σ of actual costs.
    settled: i64,
}

/// What the ledger says of a lease.
#[derive(Debug, Clone)]
struct Booked {
    id: LeaseId,
    lease: Lease,
}

/// What an instance was last told of an account.
#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    version: u64,
    block: Option<Block>,
}

/// The auditor.
#[derive(Debug, Default)]
pub(super) struct Auditor {
    truths: HashMap<LeaseKey, Truth>,
    booked: HashMap<LeaseKey, Booked>,
    by_id: HashMap<LeaseId, LeaseKey>,
    sums: BTreeMap<AccountId, [i128; LedgerAccount::ALL.len()]>,
    /// What was taken of a lot by a lease as used.
    burned: HashMap<(LeaseId, LotId), i64>,
    lots: Lots,
    pub(super) allowances: Allowances,
    heard: HashMap<(InstanceId, AccountId), Heard>,
    /// How many checks were made.
    pub(super) checks: u64,
}

/// What does not hold.
pub(super) type Broken = String;

impl Auditor {
    /// One that knows how much each instance may spend of an account on its own word.
    pub(super) fn allowing(allowance: Amount) -> Self {
        let mut new = Self::default();
        new.allowances.most = allowance.get();
        new
    }

    /// A request was admitted under a lease, by a cell that now stands so.
    ///
    /// # Errors
    /// If it should not have been.
    pub(super) fn admitted(
        &mut self,
        instance: InstanceId,
        cell: &Cell,
        (cost, at_once): (i64, bool),
        at_ms: u64,
    ) -> Result<(), Broken> {
        let key = (instance, cell.account, cell.lease);
        let truth = self.truths.entry(key).or_default();
        truth.settled += if at_once { cost } else { 0 };
        truth.admissions.push(Admission {
            at_ms,
            amount: cost,
        });
        truth.used += cost;
        self.pays_from_live_lots(key, cell, at_ms)?;
        let heard = self
            .heard
            .get(&(instance, cell.account))
            .copied()
            .unwrap_or_default();
        if let Some(block) = heard.block {
            return Err(format!(
                "a request was admitted although the newest state (version {}) says {block:?}",
                heard.version
            ));
        }
        Ok(())
    }

    /// No lot behind what the cell has seen lent, and has not settled, may have expired.
    fn pays_from_live_lots(&self, key: LeaseKey, cell: &Cell, at_ms: u64) -> Result<(), Broken> {
        let Some(booked) = self.booked.get(&key) else {
            return Ok(());
        };
        let seen = cell.counters.granted.get() - cell.counters.returned.get();
        let mut start = booked.lease.counters.settled.get();
        for pin in &booked.lease.pins {
            if start >= seen {
                break;
            }
            let expiry = pin.lot.and_then(|lot| self.lots.expiry(lot));
            if expiry.is_some_and(|expires_at| wall_clock(at_ms) >= expires_at) {
                return Err(format!(
                    "invariant 6: a request was admitted under lease {} after the expiry of {:?}, which is behind it",
                    booked.id, pin.lot
                ));
            }
            start += pin.amount.get();
        }
        Ok(())
    }

    /// A request ended at its actual cost, whether or not anything could be booked.
    pub(super) fn ended(&mut self, key: LeaseKey, at_ms: u64, estimate: i64, actual: i64) {
        let truth = self.truths.entry(key).or_default();
        truth.used += actual - estimate;
        truth.settled += actual;
        let mut admissions = truth.admissions.iter_mut();
        if let Some(admission) =
            admissions.find(|known| known.at_ms == at_ms && known.amount == estimate)
        {
            admission.amount = actual;
        }
    }

    /// A process is told of an account.
    pub(super) fn told(&mut self, instance: InstanceId, answer: &LeaseAnswer) {
        let heard = self.heard.entry((instance, answer.account)).or_default();
        if answer.state.version >= heard.version {
            *heard = Heard {
                version: answer.state.version,
                block: answer.state.block,
            };
        }
    }

    /// A cell was written.
    ///
    /// # Errors
    /// If more is in it, or was used under its lease, than was lent.
    pub(super) fn wrote(&mut self, instance: InstanceId, cell: &Cell) -> Result<(), Broken> {
        let key = (instance, cell.account, cell.lease);
        if let Some(previous) = &cell.previous {
            let previous = (instance, cell.account, previous.lease);
            self.truths.entry(previous).or_default().remaining = 0;
            self.check(previous)?;
        }
        let counters = cell.counters;
        let truth = self.truths.entry(key).or_default();
        truth.remaining = counters.remaining().get().max(0);
        let overrun = |counters: &Counters| (-counters.remaining().get()).max(0);
        let before = cell
            .previous
            .map_or(0, |previous| overrun(&previous.counters));
        let is_over = overrun(&counters) + before > self.allowances.most;
        if overrun(&counters) + before > 0 {
            self.allowances.spends(instance, cell.account);
        }
        if is_over || counters.held().is_negative() {
            return Err(format!(
                "a cell went below zero, beyond its allowance: {counters:?}"
            ));
        }
        self.check(key)
    }

    /// A cell is gone: lost, given to another account, or its whole process ended.
    pub(super) fn erased(&mut self, instance: InstanceId, cell: &Cell) {
        let key = (instance, cell.account, cell.lease);
        self.truths.entry(key).or_default().remaining = 0;
        self.allowances.erased(instance, cell);
        self.heard.remove(&(instance, cell.account));
    }

    /// Invariants 3 and 5 for one lease: what was really used or can be, is within what the
    /// ledger knows as lent and not given back.
    fn check(&mut self, key: LeaseKey) -> Result<(), Broken> {
        self.checks += 1;
        let Some(truth) = self.truths.get(&key) else {
            return Ok(());
        };
        let really = truth.used + truth.remaining;
        let counters = self
            .booked
            .get(&key)
            .map(|booked| booked.lease.counters)
            .unwrap_or_default();
        // What was charged as if it had been used is not charged again if it was.
        let charged = self.booked.get(&key).and_then(|booked| {
            let decided = booked.lease.resolution.as_ref();
            decided.filter(|decided| decided.kind != ResolutionKind::Release)
        });
        let returned = charged.map_or(counters.returned, |decided| decided.counters.returned);
        let lent = counters.granted.get() - returned.get();
        self.allowances.note(key, really - lent).map_err(|broken| {
            let state = self.booked.get(&key).map(|booked| booked.lease.state);
            format!(
                "{broken} (used {}, remaining {}, granted {}, returned {}, {state:?})",
                truth.used,
                truth.remaining,
                counters.granted.get(),
                counters.returned.get()
            )
        })?;
        if counters.settled.get() > truth.settled {
            return Err(format!(
                "lease {} was booked {} as used, but only {} really was",
                key.2,
                counters.settled.get(),
                truth.settled
            ));
        }
        Ok(())
    }

    /// Something was committed.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub(super) fn committed(&mut self, now_ms: u64, changes: &ChangeSet) -> Result<(), Broken> {
        for change in &changes.books {
            self.lots.note(&change.after);
        }
        for entry in &changes.entries {
            self.entry(now_ms, entry)?;
        }
        for change in &changes.books {
            self.book(change)?;
        }
        Ok(())
    }

    fn entry(&mut self, now_ms: u64, entry: &Entry) -> Result<(), Broken> {
        let sum: i128 = entry
            .postings
            .iter()
            .map(|posting| i128::from(posting.amount.get()))
            .sum();
        if sum != 0 {
            return Err(format!(
                "invariant 1: the postings of {} sum to {sum}",
                entry.id
            ));
        }
        let sums = self.sums.entry(entry.account).or_default();
        for posting in &entry.postings {
            sums[posting.account as usize] += i128::from(posting.amount.get());
        }
        let debt = sums[LedgerAccount::Debt as usize];
        if debt > 0 {
            return Err(format!(
                "invariant 2: after {} {} owes less than nothing: {debt} was put into its debt",
                entry.id, entry.account
            ));
        }
        self.lots
            .entry(wall_clock(now_ms).max(entry.booked_at), entry)?;
        self.burn(entry)
    }

    /// Invariant 6: what a lease burned of a lot that has expired was admitted before that. Of
    /// credit that a process had not heard of yet it may spend its allowance after that.
    fn burn(&mut self, entry: &Entry) -> Result<(), Broken> {
        let (EntryKind::Usage, Some(lease)) = (entry.kind, entry.lease) else {
            return Ok(());
        };
        for draw in &entry.draws {
            let burned = self.burned.entry((lease, draw.lot)).or_default();
            *burned += draw.amount.get();
            let burned = *burned;
            let Some(expires_at) = self
                .lots
                .expiry(draw.lot)
                .filter(|expires_at| *expires_at <= entry.booked_at)
            else {
                continue;
            };
            let key = self.by_id.get(&lease);
            let truth = key.and_then(|key| self.truths.get(key));
            let before: i64 = truth.map_or(0, |truth| truth.admitted_before(expires_at));
            if burned > before + self.allowances.most {
                return Err(format!(
                    "invariant 6: {burned} of {} was burned by lease {lease}, but only {before} was admitted there before it expired",
                    draw.lot
                ));
            }
        }
        Ok(())
    }

    fn book(&mut self, change: &BookChange) -> Result<(), Broken> {
        let book = &change.after;
        if let Some(finding) = verify(book).first() {
            return Err(format!(
                "invariant {}: {}: {}",
                finding.invariant, finding.subject, finding.problem
            ));
        }
        for account in &book.accounts {
            let sums = self.sums.entry(account.id).or_default();
            let owed = -sums[LedgerAccount::Debt as usize];
            self.allowances.owes(account.id, owed)?;
            for ledger in LedgerAccount::ALL {
                let booked = i128::from(account.balances.get(ledger).get());
                if booked != sums[ledger as usize] {
                    return Err(format!(
                        "invariant 1: the balance {ledger} is {booked}, its postings sum to {}",
                        sums[ledger as usize]
                    ));
                }
            }
        }
        for lot in &book.lots {
            self.lots.check(lot)?;
        }
        for lease in &book.leases {
            self.lease(change, lease)?;
        }
        Ok(())
    }

    fn lease(&mut self, change: &BookChange, lease: &Lease) -> Result<(), Broken> {
        let key = (lease.instance, lease.account, lease.number);
        let before = change
            .before
            .as_ref()
            .and_then(|before| before.leases.iter().find(|old| old.id == lease.id));
        if before == Some(lease) {
            return Ok(());
        }
        if let Some(known) = self.booked.get(&key) {
            let (old, new) = (&known.lease.counters, &lease.counters);
            if old.merged(new) != *new {
                return Err(format!(
                    "invariant 5: counters of lease {} went back from {old:?} to {new:?}",
                    lease.number
                ));
            }
            if known.id != lease.id {
                return Err(format!(
                    "invariant 5: lease {} was opened twice",
                    lease.number
                ));
            }
        }
        self.by_id.insert(lease.id, key);
        self.booked.insert(
            key,
            Booked {
                id: lease.id,
                lease: lease.clone(),
            },
        );
        self.check(key)
    }

    /// At the end, when everything was reported or decided: each lease is charged what was
    /// really used, but for what was decided over.
    ///
    /// # Errors
    /// The first lease for which it is not so.
    pub(super) fn reconcile(&self) -> Result<(), Broken> {
        for (key, truth) in &self.truths {
            let Some(booked) = self.booked.get(key) else {
                if truth.used > self.allowances.unreported(key) {
                    return Err(format!(
                        "{} was used under lease {}, which the ledger does not know",
                        truth.used, key.2
                    ));
                }
                continue;
            };
            let counters = booked.lease.counters;
            let missing = truth.settled - counters.settled.get();
            let unreported = self.allowances.unreported(key);
            match &booked.lease.resolution {
                None if !(0..=unreported).contains(&missing) => {
                    return Err(format!(
                        "lease {} is charged {}, but {} was used",
                        key.2,
                        counters.settled.get(),
                        truth.settled
                    ));
                }
                Some(decided) => {
                    let most = decided.counters.settled.get() + decided.amount.get();
                    // What nobody will ever settle there is not charged a second time.
                    let held = counters.held().get();
                    let known = most.max(counters.settled.get());
                    if truth.settled > known + unreported + held {
                        return Err(format!(
                            "lease {}: {} was used, beyond the {most} that were decided over",
                            key.2, truth.settled
                        ));
                    }
                }
                None => {}
            }
        }
        self.losses()
    }

    /// What was used of released credit, and that only, is the operator's loss.
    fn losses(&self) -> Result<(), Broken> {
        for (account, sums) in &self.sums {
            let lost = -sums[LedgerAccount::LeaseLoss as usize];
            let released: i64 = self
                .booked
                .iter()
                .filter(|((_, of, _), _)| of == account)
                .filter_map(|(key, booked)| {
                    let decided = booked.lease.resolution.as_ref()?;
                    let late = self.truths.get(key).map_or(0, |truth| truth.settled)
                        - decided.counters.settled.get();
                    (decided.kind == ResolutionKind::Release)
                        .then_some(late.min(decided.amount.get()))
                })
                .sum();
            if lost > i128::from(released) || sums[LedgerAccount::Debt as usize] != 0 {
                return Err(format!(
                    "a loss of {lost} is booked for {account}; {released} of released credit was used; debt {}",
                    sums[LedgerAccount::Debt as usize]
                ));
            }
        }
        Ok(())
    }

    /// What an account is booked as having in one of the journal's accounts.
    #[must_use]
    pub(super) fn booked_in(&self, account: AccountId, ledger: LedgerAccount) -> i128 {
        self.sums
            .get(&account)
            .map_or(0, |sums| sums[ledger as usize])
    }
}

impl Truth {
    fn admitted_before(&self, instant: Timestamp) -> i64 {
        let admissions = self.admissions.iter();
        admissions
            .filter(|admission| wall_clock(admission.at_ms) < instant)
            .map(|admission| admission.amount)
            .sum()
    }
}
