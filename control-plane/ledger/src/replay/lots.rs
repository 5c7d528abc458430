//! What entries make of lots: each draw moves a part of its lot as the postings move credit.

use creditgate_core::amount::Amount;

use super::leases::repays_what_is_out;
use super::{Movement, Replay};
use crate::burn_order::{BurnKey, Lot};
use crate::fact::LotTerms;
use crate::id::LotId;
use crate::journal::{Entry, LedgerAccount};
use crate::time::Timestamp;
use crate::verify::invariant;

/// The sums of the parts of some lots, in smallest units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Breakdown {
    /// All of them.
    pub amount: i128,
    /// Not paid yet.
    pub unpaid: i128,
    /// Neither lent nor gone.
    pub free: i128,
    /// In leases.
    pub pinned: i128,
    /// Used.
    pub spent: i128,
    /// Unused at the expiry.
    pub expired: i128,
    /// Voided, debited or transferred.
    pub withdrawn: i128,
}

impl Breakdown {
    /// Counts a lot in.
    pub fn add(&mut self, lot: &Lot) {
        self.count(lot, 1);
    }

    fn count(&mut self, lot: &Lot, times: i128) {
        let parts = [
            (&mut self.amount, lot.amount),
            (&mut self.unpaid, lot.unpaid),
            (&mut self.free, lot.free),
            (&mut self.pinned, lot.pinned),
            (&mut self.spent, lot.spent),
            (&mut self.expired, lot.expired),
            (&mut self.withdrawn, lot.withdrawn),
        ];
        for (sum, part) in parts {
            *sum = sum.saturating_add(i128::from(part.get()).saturating_mul(times));
        }
    }
}

/// A part of a lot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Free,
    Pinned,
    Spent,
    Expired,
    Withdrawn,
    /// None: the credit comes into the books, or leaves them.
    Outside,
}

impl Part {
    /// What leaves one of the books' accounts leaves this part of a lot.
    pub(super) const fn left(from: LedgerAccount) -> Self {
        match from {
            LedgerAccount::Available => Self::Free,
            LedgerAccount::Lent | LedgerAccount::Quarantined => Self::Pinned,
            LedgerAccount::Spent | LedgerAccount::Unattributed => Self::Spent,
            LedgerAccount::Expired => Self::Expired,
            LedgerAccount::Withdrawn => Self::Withdrawn,
            LedgerAccount::Funding
            | LedgerAccount::Debt
            | LedgerAccount::LeaseLoss
            | LedgerAccount::CreditLine
            | LedgerAccount::Transferred => Self::Outside,
        }
    }

    /// What comes into one of the books' accounts comes into this part of a lot: what repays
    /// debt was spent before (unless it [is still out](super::leases::repays_what_is_out)), what
    /// is transferred is withdrawn here.
    pub(super) const fn joined(to: LedgerAccount) -> Self {
        match to {
            LedgerAccount::Debt => Self::Spent,
            LedgerAccount::Transferred => Self::Withdrawn,
            other => Self::left(other),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Pinned => "pinned",
            Self::Spent => "spent",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Outside => "outside",
        }
    }

    fn of(self, lot: &mut Lot) -> Option<&mut Amount> {
        match self {
            Self::Free => Some(&mut lot.free),
            Self::Pinned => Some(&mut lot.pinned),
            Self::Spent => Some(&mut lot.spent),
            Self::Expired => Some(&mut lot.expired),
            Self::Withdrawn => Some(&mut lot.withdrawn),
            Self::Outside => None,
        }
    }
}

impl Replay {
    /// Changes a lot, and with it the order in which lots burn and the breakdown. None: there is
    /// no such lot.
    pub(super) fn change<T>(&mut self, id: LotId, change: impl FnOnce(&mut Lot) -> T) -> Option<T> {
        let before = self.key(id);
        let lot = self.lots.get_mut(&id)?;
        let sums = self.breakdown.entry((lot.wallet, lot.kind)).or_default();
        sums.count(lot, -1);
        let answer = change(lot);
        sums.count(lot, 1);
        if !lot.is_live() {
            self.ended.push(id);
        }
        if let Some(before) = before {
            self.order.remove(&before);
        }
        if let Some(after) = self.key(id) {
            self.order.insert(after, id);
        }
        Some(answer)
    }

    /// The place of a lot with something free.
    fn key(&self, id: LotId) -> Option<BurnKey> {
        let lot = self.lots.get(&id)?;
        (lot.free > Amount::ZERO).then(|| self.burn_key(lot))
    }

    pub(super) fn burn_key(&self, lot: &Lot) -> BurnKey {
        let wallet = self.wallets.get(&lot.wallet);
        lot.burn_key(wallet.and_then(|wallet| wallet.priority))
    }

    pub(super) fn make_lot(&mut self, entry: &Entry, terms: &LotTerms) {
        let lot = lot_of(entry, terms);
        if !self.wallets.contains_key(&lot.wallet) {
            let problem = format!(
                "it makes {} in {}, which was not opened",
                lot.id, lot.wallet
            );
            self.found(invariant::FUNDED, entry.id, problem);
        }
        if self.lots.contains_key(&lot.id) {
            let problem = format!("it makes {}, which there was before", lot.id);
            self.found(invariant::LOTS, entry.id, problem);
            return;
        }
        self.lots_made = self.lots_made.saturating_add(1);
        let sums = self.breakdown.entry((lot.wallet, lot.kind)).or_default();
        sums.add(&lot);
        if lot.amount.is_zero() {
            self.ended.push(lot.id);
        }
        self.lots.insert(lot.id, lot);
    }

    /// Moves the drawn parts of lots. `made` is the lot that comes into being, or is paid, here.
    pub(super) fn move_lots(&mut self, entry: &Entry, movement: Movement, made: Option<LotId>) {
        let (from, mut to) = (Part::left(movement.from), Part::joined(movement.to));
        if repays_what_is_out(entry, movement) {
            to = Part::Pinned;
        }
        for draw in &entry.draws {
            let (at, amount) = (entry.booked_at, draw.amount);
            let is_new = made == Some(draw.lot);
            let moved = self.change(draw.lot, |lot| {
                // A limit that is raised or lowered is a larger or smaller lot; and what comes
                // from another wallet later goes into the lot that the first part of it made.
                let grows = matches!(
                    movement.from,
                    LedgerAccount::CreditLine | LedgerAccount::Transferred
                );
                if grows && !is_new {
                    lot.amount = lot.amount.saturating_add(amount);
                }
                if movement.to == LedgerAccount::CreditLine {
                    lot.amount = lot.amount.saturating_sub(amount);
                }
                if is_new {
                    lot.unpaid = Amount::ZERO;
                }
                shift(lot, from, to, amount, at)
            });
            match moved {
                Some(None) => {}
                Some(Some(had)) => {
                    let part = from.name();
                    let problem = format!(
                        "it takes {} of what is {part} of {}, which was {}",
                        amount.get(),
                        draw.lot,
                        had.get()
                    );
                    self.found(invariant::LOTS, entry.id, problem);
                }
                None => {
                    let problem = format!(
                        "it draws on {}, which was never made or is used up",
                        draw.lot
                    );
                    self.found(invariant::LOTS, entry.id, problem);
                }
            }
        }
    }

    /// After an entry the parts of each lot that it drew on or speaks of sum to its amount.
    pub(super) fn settle_lots(&mut self, entry: &Entry) {
        let spoken = entry.fact.as_ref().and_then(|fact| fact.lot());
        let drawn = entry.draws.iter().map(|draw| draw.lot);
        let broken: Vec<LotId> = drawn
            .chain(spoken)
            .filter(|id| self.lots.get(id).is_some_and(|lot| !lot.adds_up()))
            .collect();
        for id in broken {
            let problem = format!("after it the parts of {id} do not sum to its amount");
            self.found(invariant::FUNDED, entry.id, problem);
        }
    }
}

/// Moves a part of a lot; answers what there was of it, if that was too little.
fn shift(lot: &mut Lot, from: Part, to: Part, amount: Amount, at: Timestamp) -> Option<Amount> {
    let mut had = None;
    if let Some(part) = from.of(lot) {
        had = (*part < amount).then_some(*part);
        *part = part.saturating_sub(amount);
    }
    if let Some(part) = to.of(lot) {
        *part = part.saturating_add(amount);
    }
    if from == Part::Pinned {
        // What came back is taken only because it was to be taken, unless the lot is over.
        let is_over = lot.voided_at.is_some() || lot.has_expired(at);
        let was_taken = matches!(to, Part::Expired | Part::Withdrawn | Part::Outside) && !is_over;
        if was_taken {
            lot.excess = lot.excess.saturating_sub(amount);
        }
        lot.excess = lot.excess.min(lot.pinned).max(Amount::ZERO);
    }
    had
}

/// A lot as its terms say. What it has comes with the postings.
fn lot_of(entry: &Entry, terms: &LotTerms) -> Lot {
    let unpaid = if terms.is_unpaid {
        terms.amount
    } else {
        Amount::ZERO
    };
    Lot {
        id: terms.lot,
        external_id: terms.external_id.clone(),
        wallet: terms.wallet,
        account: entry.account,
        kind: terms.kind,
        reason: terms.reason,
        source: terms.source,
        priority: terms.priority,
        effective_at: terms.effective_at,
        expires_at: terms.expires_at,
        created_at: entry.booked_at,
        amount: terms.amount,
        unpaid,
        lapses_at: None,
        paid_at: None,
        free: Amount::ZERO,
        pinned: Amount::ZERO,
        spent: Amount::ZERO,
        expired: Amount::ZERO,
        withdrawn: Amount::ZERO,
        excess: Amount::ZERO,
        cost: terms.cost.clone(),
        voided_at: None,
        description: None,
        metadata: Default::default(),
    }
}
