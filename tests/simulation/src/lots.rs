//! The auditor's own account of lots: what is free of each, from the journal's draws alone.
//!
//! With it the burn order is checked when credit is lent: nothing is taken from a lot while
//! another that burns before it has something left.

use std::collections::{BTreeMap, BTreeSet};

use creditgate_ledger::id::{AccountId, LotId, WalletId};
use creditgate_ledger::{Book, Entry, EntryKind, LedgerAccount, Lot, Timestamp, WalletStatus};

use super::auditor::Broken;

#[derive(Debug, Clone)]
struct Known {
    account: AccountId,
    wallet: WalletId,
    priority: Option<i32>,
    effective_at: Timestamp,
    expires_at: Option<Timestamp>,
    created_at: Timestamp,
    is_voided: bool,
    amount: i64,
    free: i64,
    spent: i64,
}

/// All lots there ever were.
#[derive(Debug, Default)]
pub(super) struct Lots {
    all: BTreeMap<LotId, Known>,
    frozen: BTreeSet<WalletId>,
}

impl Lots {
    /// Learns of new lots, and of wallets that are frozen now.
    pub(super) fn note(&mut self, book: &Book) {
        for lot in &book.lots {
            self.all.entry(lot.id).or_insert_with(|| Known {
                account: lot.account,
                wallet: lot.wallet,
                priority: lot.priority,
                effective_at: lot.effective_at,
                expires_at: lot.expires_at,
                created_at: lot.created_at,
                is_voided: false,
                amount: lot.amount.get(),
                free: 0,
                spent: 0,
            });
        }
        for wallet in &book.wallets {
            match wallet.status {
                WalletStatus::Frozen => self.frozen.insert(wallet.id),
                _ => self.frozen.remove(&wallet.id),
            };
        }
    }

    /// When a lot expires.
    #[must_use]
    pub(super) fn expiry(&self, lot: LotId) -> Option<Timestamp> {
        self.all.get(&lot)?.expires_at
    }

    /// Follows an entry; lending is held against the burn order.
    ///
    /// # Errors
    /// Invariant 7.
    pub(super) fn entry(&mut self, now: Timestamp, entry: &Entry) -> Result<(), Broken> {
        let available = entry.posted(LedgerAccount::Available).get();
        let is_lending = available < 0 && entry.posted(LedgerAccount::Lent).get() > 0;
        let mut drawn = 0;
        for draw in &entry.draws {
            let amount = draw.amount.get();
            drawn += amount;
            if is_lending {
                self.check_order(now, draw.lot)?;
            }
            let Some(lot) = self.all.get_mut(&draw.lot) else {
                return Err(format!(
                    "{} draws from {}, which nobody made",
                    entry.id, draw.lot
                ));
            };
            if available != 0 {
                lot.free += if available > 0 { amount } else { -amount };
            }
            if entry.posted(LedgerAccount::Spent).get() > 0
                || entry.posted(LedgerAccount::Unattributed).get() > 0
                || entry.kind == EntryKind::Repayment && entry.lease.is_none()
            {
                lot.spent += amount;
            }
            if entry.posted(LedgerAccount::Withdrawn).get() > 0 {
                lot.is_voided = true;
            }
            if lot.free < 0 || lot.spent > lot.amount {
                return Err(format!(
                    "invariant 2: more than all of {} was drawn",
                    draw.lot
                ));
            }
        }
        if available != 0 && drawn != available.abs() {
            return Err(format!(
                "invariant 7: {} moves {available} of what is available but says of which lot for {drawn}",
                entry.id
            ));
        }
        Ok(())
    }

    fn check_order(&self, now: Timestamp, drawn: LotId) -> Result<(), Broken> {
        let Some(taken) = self.all.get(&drawn) else {
            return Ok(());
        };
        if !self.is_lendable(taken, now) {
            return Err(format!(
                "invariant 6: {drawn} was lent although it is not to be spent now"
            ));
        }
        let earlier = self.all.iter().find(|(id, lot)| {
            lot.account == taken.account
                && lot.free > 0
                && self.is_lendable(lot, now)
                && order(lot, **id) < order(taken, drawn)
        });
        match earlier {
            Some((id, _)) => Err(format!("invariant 7: {drawn} was lent before {id}")),
            None => Ok(()),
        }
    }

    fn is_lendable(&self, lot: &Known, now: Timestamp) -> bool {
        let in_time =
            lot.effective_at <= now && lot.expires_at.is_none_or(|expires_at| now < expires_at);
        in_time && !lot.is_voided && !self.frozen.contains(&lot.wallet)
    }

    /// Holds a lot of a book against what the journal says of it.
    ///
    /// # Errors
    /// Invariant 2.
    pub(super) fn check(&self, lot: &Lot) -> Result<(), Broken> {
        let known = self.all.get(&lot.id);
        if known.is_none_or(|known| known.free != lot.free.get() || known.spent != lot.spent.get())
        {
            return Err(format!(
                "invariant 2: the journal's draws do not make {} what it is: {known:?} but {lot:?}",
                lot.id
            ));
        }
        Ok(())
    }
}

/// Priority (none last), soonest expiry (none last), oldest, id.
fn order(lot: &Known, id: LotId) -> (i64, i64, i64, u128) {
    (
        lot.priority.map_or(i64::MAX, i64::from),
        lot.expires_at.map_or(i64::MAX, |expires_at| expires_at.0),
        lot.created_at.0,
        id.0,
    )
}
