//! Whether what was lent could be lent then, and whether it was the first to burn.

use super::{Movement, Replay};
use crate::burn_order::Lot;
use crate::journal::{Entry, EntryKind, LedgerAccount};
use crate::time::Timestamp;
use crate::verify::invariant;
use crate::wallet::WalletStatus;

impl Replay {
    /// Invariants 6 and 7, before an entry moves anything: draws are what the postings move, and
    /// what it lends is of lots that may be lent, in their order.
    pub(super) fn judge(&mut self, entry: &Entry, movement: Movement) {
        let drawn: i128 = entry
            .draws
            .iter()
            .map(|draw| i128::from(draw.amount.get()))
            .sum();
        let moved = i128::from(movement.amount.get());
        if drawn > moved || entry.draws.iter().any(|draw| draw.amount.get() <= 0) {
            let problem = format!("it moves {moved} but draws {drawn} from lots");
            self.found(invariant::LOTS, entry.id, problem);
        }
        if !lends(movement) && entry.kind != EntryKind::Debit {
            return;
        }
        let mut faults = Vec::new();
        let mut before: Option<&Lot> = None;
        let lots = entry
            .draws
            .iter()
            .filter_map(|draw| self.lots.get(&draw.lot));
        for lot in lots {
            if let Some(why) = self
                .not_lendable(lot, entry.booked_at)
                .filter(|_| lends(movement))
            {
                let problem = format!("it lends of {} at {}, {why}", lot.id, entry.booked_at);
                faults.push((invariant::IN_TIME, problem));
            }
            if let Some(before) =
                before.filter(|before| self.burn_key(before) >= self.burn_key(lot))
            {
                let problem = format!(
                    "it takes {} before {}, which burns first",
                    before.id, lot.id
                );
                faults.push((invariant::LOTS, problem));
            }
            before = Some(lot);
        }
        for (invariant, problem) in faults {
            self.found(invariant, entry.id, problem);
        }
    }

    /// Invariant 7, after an entry: nothing that burns before what it lent last was passed over.
    pub(super) fn judge_order(&mut self, entry: &Entry, movement: Movement) {
        let last = entry.draws.last().and_then(|draw| self.lots.get(&draw.lot));
        let Some(last) = last.filter(|_| lends(movement)) else {
            return;
        };
        let earlier = self.order.range(..self.burn_key(last));
        let passed_over = earlier
            .filter_map(|(_, id)| self.lots.get(id))
            .find(|lot| self.not_lendable(lot, entry.booked_at).is_none());
        if let Some(lot) = passed_over {
            let problem = format!(
                "it takes {}, but {} burns first and has {} free",
                last.id,
                lot.id,
                lot.free.get()
            );
            self.found(invariant::LOTS, entry.id, problem);
        }
    }

    fn not_lendable(&self, lot: &Lot, at: Timestamp) -> Option<String> {
        let wallet = self.wallets.get(&lot.wallet);
        if at < lot.effective_at {
            Some(format!("before it was effective at {}", lot.effective_at))
        } else if lot.has_expired(at) {
            let expiry = lot.expires_at.unwrap_or(at);
            Some(format!("after its expiry at {expiry}"))
        } else if let Some(voided_at) = lot.voided_at {
            Some(format!("after it was voided at {voided_at}"))
        } else if !lot.unpaid.is_zero() {
            Some("before it was paid".to_owned())
        } else if wallet.is_some_and(|wallet| wallet.status != WalletStatus::Active) {
            Some("while its wallet was not active".to_owned())
        } else if self.claims().any(|(id, claim)| claim.cover(id).has(lot)) {
            Some("while it was claimed".to_owned())
        } else {
            None
        }
    }
}

/// Free credit goes to a gateway.
fn lends(movement: Movement) -> bool {
    let to_gateway = matches!(
        movement.to,
        LedgerAccount::Lent | LedgerAccount::Quarantined
    );
    movement.from == LedgerAccount::Available && to_gateway
}
