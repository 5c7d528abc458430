//! What leases have out, by the journal: pins in the order they were lent.

use std::collections::VecDeque;

use creditgate_core::amount::Amount;

use super::lots::Part;
use super::{Movement, Replay, ReplayedWallet};
use crate::burn_order::Lot;
use crate::claim::cover;
use crate::debt;
use crate::id::WalletId;
use crate::journal::{Draw, Entry, LedgerAccount};
use crate::lease::{self, Pin};
use crate::time::Timestamp;
use crate::verify::invariant;
use crate::wallet::WalletStatus;

/// What one lease has out.
#[derive(Debug, Clone, Default)]
pub(super) struct Out {
    pins: VecDeque<Pin>,
    is_quarantined: bool,
}

impl Out {
    /// In the order they were lent.
    pub(super) fn pins(&self) -> &[Pin] {
        self.pins.as_slices().0
    }

    fn push(&mut self, pin: Pin) {
        match self.pins.back_mut() {
            Some(last) if last.lot == pin.lot => {
                last.amount = last.amount.saturating_add(pin.amount);
            }
            _ => self.pins.push_back(pin),
        }
        self.pins.make_contiguous();
    }

    /// Takes from one end; answers what was taken of which lots, and what was missing.
    fn take(&mut self, amount: Amount, from_front: bool) -> (Vec<Draw>, Amount) {
        let mut missing = amount;
        let mut draws = Vec::new();
        while missing > Amount::ZERO {
            let end = if from_front {
                self.pins.front_mut()
            } else {
                self.pins.back_mut()
            };
            let Some(pin) = end else { break };
            let part = pin.amount.min(missing);
            pin.amount = pin.amount.saturating_sub(part);
            missing = missing.saturating_sub(part);
            draws.extend(pin.lot.map(|lot| Draw { lot, amount: part }));
            if pin.amount.is_zero() {
                let _empty = if from_front {
                    self.pins.pop_front()
                } else {
                    self.pins.pop_back()
                };
            }
        }
        self.pins.make_contiguous();
        (draws, missing)
    }

    /// Puts lots behind what is out as debt; answers behind how much.
    fn cover(&mut self, draws: &[Draw]) -> i128 {
        let mut pins: Vec<Pin> = std::mem::take(&mut self.pins).into();
        let covered = draws
            .iter()
            .map(|draw| i128::from(debt::cover(&mut pins, draw.lot, draw.amount).get()))
            .sum();
        self.pins = pins.into();
        covered
    }
}

impl Replay {
    /// Invariant 7: what was lent first is used first, what was lent last comes back first.
    pub(super) fn move_pins(&mut self, entry: &Entry, movement: Movement) {
        if repays_what_is_out(entry, movement) {
            return self.cover_pins(entry);
        }
        let (from, to) = (Part::left(movement.from), Part::joined(movement.to));
        let is_lent = |part| part == Part::Pinned;
        if !is_lent(from) && !is_lent(to) {
            return;
        }
        let Some(lease) = entry.lease else {
            let problem = "it lends or takes back, but names no lease";
            return self.found(invariant::LOTS, entry.id, problem);
        };
        let out = self.leases.entry(lease).or_default();
        if !is_lent(from) {
            let drawn = entry.draws.iter().map(|draw| Pin {
                lot: Some(draw.lot),
                amount: draw.amount,
            });
            drawn.for_each(|pin| out.push(pin));
            if movement.from == LedgerAccount::Debt {
                out.push(Pin {
                    lot: None,
                    amount: movement.amount,
                });
            }
            return;
        }
        if is_lent(to) {
            out.is_quarantined = movement.to == LedgerAccount::Quarantined;
            return;
        }
        let (draws, missing) = out.take(movement.amount, to == Part::Spent && !is_debt(movement));
        if out.pins.is_empty() {
            self.leases.remove(&lease);
        }
        if !missing.is_zero() {
            let problem = format!(
                "{lease} gives up {}, {} more than it has out",
                movement.amount.get(),
                missing.get()
            );
            self.found(invariant::LOTS, entry.id, problem);
        } else if draws != entry.draws {
            let problem = format!("it does not draw on what {lease} has out in its order");
            self.found(invariant::LOTS, entry.id, problem);
        }
    }

    /// Lots repay what a lease has out as debt, and stand behind that from now on.
    fn cover_pins(&mut self, entry: &Entry) {
        let lease = entry.lease.and_then(|lease| self.leases.get_mut(&lease));
        let covered = lease.map_or(0, |lease| lease.cover(&entry.draws));
        let drawn = entry.draws.iter().map(|draw| i128::from(draw.amount.get()));
        let missing = drawn.sum::<i128>().saturating_sub(covered);
        if missing != 0 {
            let problem = format!("it repays {missing} more than its lease has out as debt");
            self.found(invariant::LOTS, entry.id, problem);
        }
    }

    /// available + lent + held of a wallet at an instant.
    pub(super) fn wallet_balance(&self, wallet: WalletId, at: Timestamp) -> i128 {
        let is_closed = |row: &ReplayedWallet| row.status == WalletStatus::Closed;
        if self.wallets.get(&wallet).is_some_and(is_closed) {
            return 0;
        }
        let usable = |lot| {
            let lot = self.lots.get(lot)?;
            (lot.wallet == wallet && lot.is_lendable(at)).then_some(lot)
        };
        let free = self.order.values().filter_map(usable).map(|lot| lot.free);
        let out = self
            .leases
            .values()
            .filter(|out| !out.is_quarantined)
            .flat_map(|out| &out.pins)
            .filter(|pin| pin.lot.as_ref().and_then(usable).is_some())
            .map(|pin| pin.amount);
        let sum: i128 = free.chain(out).map(|part| i128::from(part.get())).sum();
        sum.saturating_sub(self.recalled_of(wallet, at))
    }

    /// What is lent of a wallet, but is not its any more.
    fn recalled_of(&self, wallet: WalletId, at: Timestamp) -> i128 {
        let claims = self
            .claims
            .iter()
            .filter(|(_, claim)| claim.wallet == wallet);
        let claims: Vec<_> = claims
            .map(|(id, claim)| (claim.cover(*id), claim.asked.saturating_sub(claim.done)))
            .collect();
        let of_wallet = self.lots.values().filter(|lot| lot.wallet == wallet);
        let mut lots: Vec<&Lot> = of_wallet.filter(|lot| lot.is_lendable(at)).collect();
        if claims.is_empty() && lots.iter().all(|lot| lot.excess.is_zero()) {
            return 0;
        }
        let lending = self.leases.values().filter(|out| !out.is_quarantined);
        let mut out = lease::by_lot(lending.flat_map(|out| &out.pins));
        lots.sort_by_cached_key(|lot| self.burn_key(lot));
        let wanted = cover::wanted_back(claims, &lots, &mut out);
        wanted.values().map(|part| i128::from(part.get())).sum()
    }
}

/// Debt is repaid that is still out: the lot that repays it stands behind it from now on.
pub(super) fn repays_what_is_out(entry: &Entry, movement: Movement) -> bool {
    movement.from == LedgerAccount::Available && is_debt(movement) && entry.lease.is_some()
}

/// Credit that was lent as debt and comes back.
fn is_debt(movement: Movement) -> bool {
    movement.to == LedgerAccount::Debt
}
