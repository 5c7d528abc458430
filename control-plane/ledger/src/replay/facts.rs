//! What entries say besides their amounts, and whether it follows from what was said before.

use creditgate_core::amount::Amount;

use super::{Part, Replay};
use crate::alert::{AlertLevel, AlertSettings};
use crate::auto_top_up::AutoTopUp;
use crate::burn_order::Lot;
use crate::claim::cover::Cover;
use crate::claim::{ClaimLots, ClaimPurpose};
use crate::credits::Rate;
use crate::fact::Fact;
use crate::id::{ClaimId, LotId, WalletId};
use crate::journal::Entry;
use crate::time::Timestamp;
use crate::verify::invariant;
use crate::wallet::{WalletStatus, WalletType};

/// What the journal tells of a wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayedWallet {
    /// Which.
    pub id: WalletId,
    /// How it is paid.
    pub wallet_type: WalletType,
    /// Whether it may be spent from.
    pub status: WalletStatus,
    /// Its place among the wallets of the account.
    pub priority: Option<i32>,
    /// Amount per credit.
    pub conversion_rate: Rate,
    /// Money paid per credit.
    pub topup_conversion_rate: Rate,
    /// How it fills itself.
    pub auto_topup: Option<Box<AutoTopUp>>,
    /// When its balance is told.
    pub alert_settings: Option<Box<AlertSettings>>,
    /// How far it may be overdrawn.
    pub credit_limit: Amount,
    /// The alert that was told last.
    pub alert_level: AlertLevel,
    /// How many were told.
    pub alert_sequence: u64,
}

/// What the journal tells of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayedClaim {
    /// On which wallet.
    pub wallet: WalletId,
    /// What for.
    pub purpose: ClaimPurpose,
    /// Of which lots.
    pub lots: ClaimLots,
    /// Since when.
    pub since: Timestamp,
    /// How much.
    pub asked: Amount,
    /// Taken so far.
    pub done: Amount,
    /// What turned out to be spent, once it is closed.
    pub short: Amount,
    /// When it was over.
    pub closed_at: Option<Timestamp>,
}

impl ReplayedClaim {
    /// Which lots it is about.
    pub(super) const fn cover(&self, claim: ClaimId) -> Cover {
        Cover {
            claim,
            wallet: self.wallet,
            lots: self.lots,
            since: self.since,
        }
    }
}

impl Replay {
    pub(super) fn fact(&mut self, entry: &Entry, fact: &Fact) {
        match fact {
            Fact::WalletOpened {
                wallet,
                wallet_type,
                priority,
                conversion_rate,
                topup_conversion_rate,
                auto_topup,
                alert_settings,
            } => {
                let opened = ReplayedWallet {
                    id: *wallet,
                    wallet_type: *wallet_type,
                    status: WalletStatus::Active,
                    priority: *priority,
                    conversion_rate: conversion_rate.clone(),
                    topup_conversion_rate: topup_conversion_rate.clone(),
                    auto_topup: auto_topup.clone(),
                    alert_settings: alert_settings.clone(),
                    credit_limit: Amount::ZERO,
                    alert_level: AlertLevel::Ok,
                    alert_sequence: 0,
                };
                if self.wallets.insert(*wallet, opened).is_some() {
                    self.contradicts(entry, format!("it opens {wallet}, which was open"));
                }
            }
            Fact::WalletPriority { wallet, from, to } => {
                self.wallet_fact(entry, *wallet, from, to, |wallet| &mut wallet.priority);
                self.rank_lots_of(*wallet);
            }
            Fact::AutoTopUpTerms { wallet, from, to } => {
                self.wallet_fact(entry, *wallet, from, to, |wallet| &mut wallet.auto_topup);
            }
            Fact::AlertTerms { wallet, from, to } => {
                self.wallet_fact(entry, *wallet, from, to, |wallet| {
                    &mut wallet.alert_settings
                });
            }
            Fact::WalletStatus { wallet, from, to } => {
                self.wallet_fact(entry, *wallet, from, to, |wallet| &mut wallet.status);
            }
            Fact::CreditLimit { wallet, from, to } => {
                self.wallet_fact(entry, *wallet, from, to, |wallet| &mut wallet.credit_limit);
            }
            Fact::LotMade(terms) => self.make_lot(entry, terms),
            Fact::LotPaid { lot, reference } => self.lot_paid(entry, *lot, reference.as_deref()),
            Fact::LotGrew { lot, cost } => {
                self.lot_fact(entry, *lot, |row| {
                    row.cost.clone_from(cost);
                    None
                });
            }
            Fact::LotEffective { lot } => self.lot_effective(entry, *lot),
            Fact::LotPriority { lot, from, to } => {
                self.lot_fact(entry, *lot, |row| {
                    let before = std::mem::replace(&mut row.priority, *to);
                    (before != *from).then(|| format!("its priority was {before:?}"))
                });
            }
            Fact::LotExtended { lot, from, to } => {
                self.lot_fact(entry, *lot, |row| {
                    let before = row.expires_at.replace(*to);
                    (before != Some(*from)).then(|| format!("its expiry was {before:?}"))
                });
            }
            Fact::LotExcess { lot, excess } => {
                self.lot_fact(entry, *lot, |row| {
                    row.excess = *excess;
                    (*excess > row.pinned).then(|| format!("only {} is lent", row.pinned.get()))
                });
            }
            Fact::LotVoided { lot } => {
                self.lot_fact(entry, *lot, |row| {
                    let before = row.voided_at.replace(entry.booked_at);
                    before.map(|at| format!("it was voided at {at}"))
                });
            }
            Fact::ClaimOpened {
                claim,
                wallet,
                purpose,
                lots,
                asked,
            } => {
                let opened = ReplayedClaim {
                    wallet: *wallet,
                    purpose: *purpose,
                    lots: *lots,
                    since: entry.booked_at,
                    asked: *asked,
                    done: taken(entry),
                    short: Amount::ZERO,
                    closed_at: None,
                };
                self.claims_opened = self.claims_opened.saturating_add(1);
                if self.claims.insert(*claim, opened).is_some() {
                    self.contradicts(entry, format!("it opens {claim}, which was open"));
                }
            }
            Fact::ClaimTook { claim } => self.claim_took(entry, *claim),
            Fact::ClaimClosed { claim, done, short } => {
                self.claim_closed(entry, *claim, *done, *short);
            }
            Fact::AlertState {
                wallet,
                sequence,
                from,
                to,
                balance,
            } => self.alert(entry, *wallet, *sequence, (*from, *to), *balance),
        }
    }

    /// What an entry says is not what those before it said.
    fn contradicts(&mut self, entry: &Entry, problem: String) {
        self.found(invariant::FACTS, entry.id, problem);
    }

    fn wallet_fact<T: PartialEq + Clone + std::fmt::Debug>(
        &mut self,
        entry: &Entry,
        id: WalletId,
        from: &T,
        to: &T,
        field: impl FnOnce(&mut ReplayedWallet) -> &mut T,
    ) {
        let Some(wallet) = self.wallets.get_mut(&id) else {
            let problem = format!("it speaks of {id}, which was not opened");
            return self.contradicts(entry, problem);
        };
        let was = std::mem::replace(field(wallet), to.clone());
        if was != *from {
            let problem = format!("it changes {id} from {from:?} to {to:?}, but it was {was:?}");
            self.contradicts(entry, problem);
        }
    }

    /// Brings the lots of a wallet to their new places.
    fn rank_lots_of(&mut self, wallet: WalletId) {
        let lots = &self.lots;
        let is_of = |id: &LotId| lots.get(id).is_some_and(|lot| lot.wallet == wallet);
        self.order.retain(|_, id| !is_of(id));
        let of_wallet = self.lots.values().filter(|lot| lot.wallet == wallet);
        let ranked: Vec<_> = of_wallet
            .filter(|lot| lot.free > Amount::ZERO)
            .map(|lot| (self.burn_key(lot), lot.id))
            .collect();
        self.order.extend(ranked);
    }

    /// Changes a lot as a fact says; `change` answers what does not fit.
    fn lot_fact(
        &mut self,
        entry: &Entry,
        id: LotId,
        change: impl FnOnce(&mut Lot) -> Option<String>,
    ) {
        match self.change(id, change) {
            Some(None) => {}
            Some(Some(problem)) => {
                self.contradicts(entry, format!("it changes {id}, but {problem}"));
            }
            None => {
                let problem = format!("it speaks of {id}, which was never made or is used up");
                self.contradicts(entry, problem);
            }
        }
    }

    fn lot_paid(&mut self, entry: &Entry, id: LotId, reference: Option<&str>) {
        self.lot_fact(entry, id, |lot| {
            if let (Some(cost), Some(reference)) = (&mut lot.cost, reference) {
                cost.reference = Some(reference.to_owned());
            }
            lot.paid_at = Some(entry.booked_at);
            lot.unpaid
                .is_zero()
                .then(|| "it did not wait for payment".to_owned())
        });
    }

    fn lot_effective(&mut self, entry: &Entry, id: LotId) {
        self.lot_fact(entry, id, |lot| {
            let early = entry.booked_at < lot.effective_at;
            early.then(|| format!("it becomes effective at {}", lot.effective_at))
        });
    }

    fn claim_took(&mut self, entry: &Entry, id: ClaimId) {
        let took = taken(entry);
        let over = match self.claims.get_mut(&id) {
            Some(claim) => {
                claim.done = claim.done.saturating_add(took);
                claim.done > claim.asked
            }
            None => true,
        };
        if over {
            let problem = format!(
                "it takes {} for {id}, which is not open or has it",
                took.get()
            );
            self.contradicts(entry, problem);
        }
    }

    fn claim_closed(&mut self, entry: &Entry, id: ClaimId, done: Amount, short: Amount) {
        let Some(mut claim) = self.claims.remove(&id) else {
            return self.contradicts(entry, format!("it closes {id}, which is not open"));
        };
        claim.done = claim.done.saturating_add(taken(entry));
        claim.short = short;
        claim.closed_at = Some(entry.booked_at);
        if claim.done != done || done.saturating_add(short) != claim.asked {
            let problem = format!(
                "it closes {id} with {} done and {} short, but of {} asked {} was taken",
                done.get(),
                short.get(),
                claim.asked.get(),
                claim.done.get()
            );
            self.found(invariant::FUNDED, entry.id, problem);
        }
        self.closed_claims.push((id, claim));
    }

    fn alert(
        &mut self,
        entry: &Entry,
        id: WalletId,
        sequence: u64,
        (from, to): (AlertLevel, AlertLevel),
        balance: Amount,
    ) {
        let is_balance = self.wallet_balance(id, entry.booked_at);
        let Some(wallet) = self.wallets.get_mut(&id) else {
            let problem = format!("it speaks of {id}, which was not opened");
            return self.contradicts(entry, problem);
        };
        let level = std::mem::replace(&mut wallet.alert_level, to);
        let before = std::mem::replace(&mut wallet.alert_sequence, sequence);
        if sequence != before.saturating_add(1) || from != level || to == from {
            let problem = format!(
                "it tells change {sequence} of {id}, from {from:?} to {to:?}, after change {before} to {level:?}"
            );
            self.found(invariant::ALERTS, entry.id, problem);
        }
        if i128::from(balance.get()) != is_balance {
            let problem = format!(
                "it tells a balance of {} of {id}, which has {is_balance}",
                balance.get()
            );
            self.found(invariant::ALERTS, entry.id, problem);
        }
    }
}

/// What an entry takes out of lots.
fn taken(entry: &Entry) -> Amount {
    match super::Movement::of(entry) {
        Some(movement) if Part::joined(movement.to) == Part::Withdrawn => movement.amount,
        _ => Amount::ZERO,
    }
}
