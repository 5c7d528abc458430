//! A lease at the control plane: its counters, its state and the lots it has pinned.

use std::collections::HashMap;

use creditgate_core::amount::Amount;
use creditgate_core::lease::{Counters, LeaseNumber};
use serde::{Deserialize, Serialize};

use crate::id::{AccountId, InstanceId, LeaseId, LotId};
use crate::journal::LedgerAccount;
use crate::time::Timestamp;

/// One episode of lending from an account to an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// As operators name it.
    pub id: LeaseId,
    /// From which account.
    pub account: AccountId,
    /// To which process.
    pub instance: InstanceId,
    /// As the gateway names it.
    pub number: LeaseNumber,
    /// Where it stands.
    pub state: LeaseState,
    /// No later number of the account is known from this instance.
    pub newest: bool,
    /// `granted` is ours; the others the largest ever reported.
    pub counters: Counters,
    /// The lots behind what is outstanding, in the order they were lent.
    pub pins: Vec<Pin>,
    /// The ceiling that the gateway was told, and the need it was told for.
    pub told: Option<ToldCeiling>,
    /// Unused credit is wanted back for others.
    pub recall: bool,
    /// Credit given to a waiter, not to be recalled before it was used.
    pub protection: Option<Protection>,
    /// Use a second, as of the last reports.
    pub burn_per_second: Amount,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it was last reported; before `opened_at` if it was lent and never heard of.
    pub reported_at: Timestamp,
    /// When it was quarantined.
    pub quarantined_at: Option<Timestamp>,
    /// Why it was quarantined.
    pub quarantine_cause: Option<QuarantineCause>,
    /// Kept from the operator's policy, by whom and why. Stays to be read when it was resolved.
    pub hold: Option<Hold>,
    /// How its quarantine, or its hold, was decided.
    pub resolution: Option<Resolution>,
    /// Grows whenever the gateway must hear of it.
    pub pushes: u64,
}

/// Where a lease stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseState {
    /// Lent from and spent from.
    Open,
    /// Gets no more; waits for its last settlements.
    Draining,
    /// Its instance fell silent or lost it: set aside.
    Quarantined,
    /// Nothing is out.
    Closed,
}

/// Why a lease was quarantined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuarantineCause {
    /// The instance did not speak for too long.
    InstanceSilent,
    /// The instance asked under a new number without accounting for this one.
    CellLost,
    /// The instance reported counters that contradict one another.
    ImpossibleReport,
    /// The database was restored: what became of the lease since the backup is not known.
    DatabaseRestored,
}

/// A part of a lot that a lease has out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The lot; none for what is covered by debt.
    pub lot: Option<LotId>,
    /// How much of it is still out.
    pub amount: Amount,
}

/// A ceiling that a gateway was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldCeiling {
    /// The largest cost that could be paid.
    pub ceiling: Amount,
    /// The need that could not.
    pub need: Amount,
}

/// Credit a waiter was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    /// Used, once `reserved` has come this far.
    pub until_reserved: Amount,
    /// Or once this instant has come.
    pub until: Timestamp,
}

/// A quarantined lease is kept as it is until someone decides over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Since when.
    pub at: Timestamp,
    /// Who wants it so.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// How a quarantine or a hold was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// What was decided.
    pub kind: ResolutionKind,
    /// Over how much.
    pub amount: Amount,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// What the lease had settled and returned by then; later counters count from here.
    pub counters: Counters,
}

/// What is done with credit whose use is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResolutionKind {
    /// Given back to the customer; use reported later is the operator's loss.
    Release,
    /// Charged to the customer.
    Consume,
    /// A reservation that outlived the longest stream, charged.
    UnsettledHold,
}

impl Lease {
    /// A lease that holds nothing yet.
    #[must_use]
    pub fn opened(
        id: LeaseId,
        account: AccountId,
        instance: InstanceId,
        number: LeaseNumber,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            account,
            instance,
            number,
            state: LeaseState::Open,
            newest: true,
            counters: Counters::default(),
            pins: Vec::new(),
            told: None,
            recall: false,
            protection: None,
            burn_per_second: Amount::ZERO,
            opened_at: now,
            reported_at: now,
            quarantined_at: None,
            quarantine_cause: None,
            hold: None,
            resolution: None,
            pushes: 0,
        }
    }

    /// Whether it was lent in answer to a question and nothing was heard of it yet. The answer
    /// may have been lost: then the asker repeats the question, to take the lease or to hand
    /// it back, and a report under a later number does not mean that a cell was lost.
    #[must_use]
    pub fn is_offer(&self) -> bool {
        matches!(self.state, LeaseState::Open | LeaseState::Draining)
            && self.reported_at < self.opened_at
    }

    /// Whether what became of it was decided without evidence, and none has come since: its
    /// gateway may yet report, in a cell, what was really used.
    #[must_use]
    pub fn awaits_evidence(&self) -> bool {
        let decided = self.resolution.as_ref().map(|resolution| resolution.at);
        decided.is_some_and(|at| self.reported_at <= at)
    }

    /// Makes an opened lease an offer.
    pub fn offer(&mut self) {
        self.reported_at = Timestamp(self.opened_at.0.saturating_sub(1));
    }

    /// Which of the journal's accounts holds what is outstanding.
    #[must_use]
    pub const fn holder(&self) -> LedgerAccount {
        match self.state {
            LeaseState::Quarantined => LedgerAccount::Quarantined,
            LeaseState::Open | LeaseState::Draining | LeaseState::Closed => LedgerAccount::Lent,
        }
    }

    /// Credit given to a waiter here and not used yet.
    #[must_use]
    pub fn protected(&self, now: Timestamp) -> Amount {
        match self.protection {
            Some(protection) if now < protection.until => protection
                .until_reserved
                .saturating_sub(self.counters.reserved)
                .max(Amount::ZERO),
            _ => Amount::ZERO,
        }
    }

    /// What could be recalled from it, as far as its last report tells.
    #[must_use]
    pub fn recallable(&self, now: Timestamp) -> Amount {
        let spare = self
            .counters
            .remaining()
            .saturating_sub(self.protected(now));
        spare.max(Amount::ZERO)
    }

    /// The sum of its pins; equals what is outstanding while it is not resolved.
    #[must_use]
    pub fn pinned(&self) -> Amount {
        self.pins
            .iter()
            .fold(Amount::ZERO, |sum, pin| sum.saturating_add(pin.amount))
    }

    /// Adds a pin at the end.
    pub fn push_pin(&mut self, pin: Pin) {
        match self.pins.last_mut() {
            Some(last) if last.lot == pin.lot => {
                last.amount = last.amount.saturating_add(pin.amount)
            }
            _ => self.pins.push(pin),
        }
    }

    /// Takes `amount` from the front: what was lent first is used first.
    pub fn take_front(&mut self, amount: Amount) -> Vec<Pin> {
        let mut taken = Vec::new();
        let mut missing = amount;
        while !missing.is_zero() && !self.pins.is_empty() {
            take_part(&mut self.pins, 0, &mut missing, &mut taken);
        }
        taken
    }

    /// Takes `amount` from the back: what was lent last is returned first.
    pub fn take_back(&mut self, amount: Amount) -> Vec<Pin> {
        let mut taken = Vec::new();
        let mut missing = amount;
        while !missing.is_zero() && !self.pins.is_empty() {
            let last = self.pins.len().saturating_sub(1);
            take_part(&mut self.pins, last, &mut missing, &mut taken);
        }
        taken
    }
}

/// How much of which lot pins are of.
pub(crate) fn by_lot<'a>(pins: impl Iterator<Item = &'a Pin>) -> HashMap<LotId, Amount> {
    let mut sums: HashMap<LotId, Amount> = HashMap::new();
    for pin in pins {
        if let Some(lot) = pin.lot {
            let sum = sums.entry(lot).or_default();
            *sum = sum.saturating_add(pin.amount);
        }
    }
    sums
}

fn take_part(pins: &mut Vec<Pin>, place: usize, missing: &mut Amount, taken: &mut Vec<Pin>) {
    let Some(pin) = pins.get_mut(place) else {
        return;
    };
    let part = pin.amount.min(*missing);
    pin.amount = pin.amount.saturating_sub(part);
    *missing = missing.saturating_sub(part);
    if !part.is_zero() {
        taken.push(Pin {
            lot: pin.lot,
            amount: part,
        });
    }
    if pin.amount.is_zero() {
        pins.remove(place);
    }
}
