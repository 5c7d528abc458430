//! An auditor of a customer's account: a second, simple model that shares no code with the ledger.
//!
//! It goes through an exported journal in its serial order, is told what was moved from where
//! to where, and works out by itself which lots that must have taken: lots burn by the
//! priority of their wallet, their own, their expiry and their age; gateways spend the front
//! of what they were lent and give back its end. The journal must say the same of each entry.

use std::collections::{BTreeMap, VecDeque};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// A lot as the auditor has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditedLot {
    wallet: String,
    priority: Option<i64>,
    expires_at: Option<String>,
    age: usize,
    /// Neither lent nor gone.
    pub free: i128,
    /// At gateways.
    pub out: i128,
    /// Used.
    pub spent: i128,
    /// Unused at its expiry.
    pub expired: i128,
    /// Voided, debited or transferred.
    pub withdrawn: i128,
}

/// The model.
#[derive(Debug, Default)]
pub struct Auditor {
    /// The wallets' priorities.
    pub wallets: BTreeMap<String, Option<i64>>,
    /// What it has come to.
    pub lots: BTreeMap<String, AuditedLot>,
    leases: BTreeMap<String, VecDeque<(String, i128)>>,
    /// Of open claims, the wallet, and how many lots there were: later ones are free of it.
    claimed: BTreeMap<String, (String, usize)>,
}

type Draws = Vec<(String, i128)>;

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value) -> Result<i128> {
    text(value).parse().with_context(|| format!("{value}"))
}

impl Auditor {
    /// Goes through an exported journal.
    ///
    /// # Errors
    /// The first entry that took other lots than it should have.
    pub fn go_through(&mut self, journal: &str) -> Result<()> {
        for line in journal.lines() {
            let line: Value = serde_json::from_str(line)?;
            let entry = &line["entry"];
            let expected = self.foretell(entry).with_context(|| entry.to_string())?;
            let drawn = entry["draws"].as_array().into_iter().flatten();
            let drawn = drawn.map(|draw| Ok((text(&draw["lot"]), number(&draw["amount"])?)));
            let drawn: Draws = drawn.collect::<Result<_>>()?;
            let found = || drawn.iter().map(|(lot, _)| (lot, self.lots.get(lot)));
            ensure!(
                drawn == expected,
                "expected {expected:?}, not of {:?} (claimed {:?}): {entry}",
                found().collect::<Vec<_>>(),
                self.claimed
            );
        }
        Ok(())
    }

    /// Which lots the entry must have taken, and moves them.
    fn foretell(&mut self, entry: &Value) -> Result<Draws> {
        let fact = &entry["fact"];
        match fact["fact"].as_str() {
            Some("claim_opened") => {
                self.claimed.insert(
                    text(&fact["claim"]),
                    (text(&fact["wallet"]), self.lots.len()),
                );
            }
            Some("claim_closed") => drop(self.claimed.remove(&text(&fact["claim"]))),
            _ => {}
        }
        let postings = entry["postings"].as_array().context("postings")?;
        let (mut from, mut to, mut amount) = (String::new(), String::new(), 0);
        for posting in postings {
            let posted = number(&posting["amount"])?;
            match posted > 0 {
                true => (to, amount) = (text(&posting["account"]), posted),
                false => from = text(&posting["account"]),
            }
        }
        let lease = text(&entry["lease"]);
        let wallet = text(&entry["wallet"]);
        let at = text(&entry["booked_at"]);
        match (from.as_str(), to.as_str()) {
            ("", _) => Ok(Vec::new()),
            ("funding" | "transferred", "available") => {
                let lot = text(&fact["lot"]);
                let age = self.lots.len();
                let row = self.lots.entry(lot.clone()).or_insert(AuditedLot {
                    wallet: text(&fact["wallet"]),
                    priority: fact["priority"].as_i64(),
                    expires_at: fact["expires_at"].as_str().map(str::to_owned),
                    age,
                    ..AuditedLot::default()
                });
                row.free += amount;
                Ok(vec![(lot, amount)])
            }
            ("available", "lent") => {
                let covers = |claim: &(String, usize), lot: &AuditedLot| {
                    claim.0 == lot.wallet && lot.age < claim.1
                };
                let is_claimed =
                    |lot: &AuditedLot| self.claimed.values().any(|claim| covers(claim, lot));
                let order = self.in_order(&at, |lot| !is_claimed(lot));
                let draws = self.take(&order, amount)?;
                let queue = self.leases.entry(lease).or_default();
                for (lot, part) in &draws {
                    self.lots.get_mut(lot).context("the lot")?.out += part;
                    queue.push_back((lot.clone(), *part));
                }
                Ok(draws)
            }
            ("lent", "spent") => {
                self.give_back(&lease, amount, true, |lot, part| lot.spent += part)
            }
            ("lent", "available") => {
                self.give_back(&lease, amount, false, |lot, part| lot.free += part)
            }
            ("lent", "expired") => {
                self.give_back(&lease, amount, false, |lot, part| lot.expired += part)
            }
            ("lent", "withdrawn") => {
                self.give_back(&lease, amount, false, |lot, part| lot.withdrawn += part)
            }
            ("available", "withdrawn" | "transferred") => {
                let order = match fact["fact"].as_str() {
                    Some("lot_voided") => vec![text(&fact["lot"])],
                    _ => self.in_order(&at, |lot| lot.wallet == wallet),
                };
                let draws = self.take(&order, amount)?;
                for (lot, part) in &draws {
                    self.lots.get_mut(lot).context("the lot")?.withdrawn += part;
                }
                Ok(draws)
            }
            ("available", "expired") => {
                let is_over = |lot: &AuditedLot| lot.expires_at.as_ref().is_some_and(|e| *e <= at);
                let over = self
                    .lots
                    .iter()
                    .filter(|(_, lot)| is_over(lot) && lot.free > 0);
                let oldest = over.min_by_key(|(_, lot)| lot.age);
                let lot = oldest.context("no lot is over")?.0.clone();
                let row = self.lots.get_mut(&lot).context("the lot")?;
                row.expired += row.free;
                Ok(vec![(lot, std::mem::take(&mut row.free))])
            }
            other => anyhow::bail!("not foreseen: {other:?}"),
        }
    }

    /// Lots that can be used at an instant, as they burn.
    fn in_order(&self, at: &str, of: impl Fn(&AuditedLot) -> bool) -> Vec<String> {
        let is_over = |lot: &AuditedLot| lot.expires_at.as_ref().is_some_and(|e| e.as_str() <= at);
        let usable = |lot: &AuditedLot| of(lot) && !is_over(lot) && lot.free > 0;
        let mut order: Vec<_> = self.lots.iter().filter(|(_, lot)| usable(lot)).collect();
        order.sort_by_key(|(_, lot)| {
            let wallet = self.wallets.get(&lot.wallet).copied().flatten();
            let expiry = (lot.expires_at.is_none(), lot.expires_at.clone());
            let priority = (lot.priority.is_none(), lot.priority);
            ((wallet.is_none(), wallet), priority, expiry, lot.age)
        });
        order.into_iter().map(|(id, _)| id.clone()).collect()
    }

    fn take(&mut self, order: &[String], amount: i128) -> Result<Draws> {
        let (mut missing, mut draws) = (amount, Vec::new());
        for id in order {
            let lot = self.lots.get_mut(id).context("the lot")?;
            let part = lot.free.min(missing);
            if part > 0 {
                lot.free -= part;
                missing -= part;
                draws.push((id.clone(), part));
            }
        }
        ensure!(missing == 0, "{missing} are not there to be taken");
        Ok(draws)
    }

    fn give_back(
        &mut self,
        lease: &str,
        amount: i128,
        from_front: bool,
        mut add: impl FnMut(&mut AuditedLot, i128),
    ) -> Result<Draws> {
        let queue = self.leases.entry(lease.to_owned()).or_default();
        let (mut missing, mut draws) = (amount, Draws::new());
        while missing > 0 {
            let piece = if from_front {
                queue.front_mut()
            } else {
                queue.back_mut()
            };
            let (id, left) = piece.context("the lease has no more")?;
            let part = missing.min(*left);
            *left -= part;
            missing -= part;
            let lot = self.lots.get_mut(id).context("the lot")?;
            lot.out -= part;
            add(lot, part);
            match draws.last_mut() {
                Some((last, sum)) if last == id => *sum += part,
                _ => draws.push((id.clone(), part)),
            }
            if *left == 0 {
                if from_front {
                    queue.pop_front()
                } else {
                    queue.pop_back()
                };
            }
        }
        Ok(draws)
    }
}
