//! Which lots a claim is about, and what of lots will be taken once gateways give it back.

use std::collections::HashMap;

use creditgate_core::amount::Amount;

use super::{Claim, ClaimLots};
use crate::book::Book;
use crate::burn_order::{Lot, LotKind};
use crate::id::{ClaimId, LotId, WalletId};
use crate::lease::{self, Lease, LeaseState};
use crate::lot;
use crate::time::Timestamp;

/// What a claim is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cover {
    pub(crate) claim: ClaimId,
    pub(crate) wallet: WalletId,
    pub(crate) lots: ClaimLots,
    pub(crate) since: Timestamp,
}

impl Cover {
    /// Whether it takes from this lot: nothing of that is lent while the claim is open. Lots
    /// that were made, were paid, or became effective, after the claim are not its business.
    pub(crate) fn has(&self, lot: &Lot) -> bool {
        let was_there = lot.wallet == self.wallet
            && lot.kind != LotKind::CreditLine
            && lot.paid_at.is_none_or(|at| at <= self.since)
            && lot::is_older(lot, self.since, self.claim.0);
        was_there
            && match self.lots {
                ClaimLots::Any => lot.effective_at <= self.since,
                ClaimLots::Purchased => lot.kind.is_paid_for(),
                ClaimLots::One(id) => lot.id == id,
            }
    }
}

impl Claim {
    pub(crate) const fn cover(&self) -> Cover {
        Cover {
            claim: self.id,
            wallet: self.wallet,
            lots: self.lots,
            since: self.created_at,
        }
    }
}

/// What gateways have out of each lot, and is not the wallet's any more: what is to be taken when
/// it comes back, first; then what open claims want, the older first, of lots as they burn.
pub(crate) fn wanted_back(
    mut claims: Vec<(Cover, Amount)>,
    lots: &[&Lot],
    out: &mut HashMap<LotId, Amount>,
) -> HashMap<LotId, Amount> {
    let mut wanted: HashMap<LotId, Amount> = HashMap::new();
    let mut take = |lot: &Lot, most: Amount| {
        let left = out.get_mut(&lot.id)?;
        let part = most.min(*left);
        *left = left.saturating_sub(part);
        let sum = wanted.entry(lot.id).or_default();
        *sum = sum.saturating_add(part);
        Some(part)
    };
    for lot in lots.iter().filter(|lot| !lot.excess.is_zero()) {
        take(lot, lot.excess);
    }
    claims.sort_unstable_by_key(|(cover, _)| (cover.since, cover.claim));
    for (cover, pending) in claims {
        let mut missing = pending;
        for lot in lots.iter().filter(|lot| cover.has(lot)) {
            let part = take(lot, missing).unwrap_or_default();
            missing = missing.saturating_sub(part);
        }
    }
    wanted
}

/// As [`wanted_back`], of a book: what of lots that can be spent is lent or held, but not the
/// wallet's any more.
#[must_use]
pub fn recalled(book: &Book, now: Timestamp) -> HashMap<LotId, Amount> {
    let open = book.claims.iter().filter(|claim| claim.is_open());
    let claims: Vec<_> = open.map(|claim| (claim.cover(), claim.pending())).collect();
    if claims.is_empty() && book.lots.iter().all(|lot| lot.excess.is_zero()) {
        return HashMap::new();
    }
    let lending = |lease: &&Lease| matches!(lease.state, LeaseState::Open | LeaseState::Draining);
    let leases = book.leases.iter().filter(lending);
    let mut out = lease::by_lot(leases.flat_map(|lease| &lease.pins));
    let mut lots: Vec<&Lot> = book
        .lots
        .iter()
        .filter(|lot| out.contains_key(&lot.id) && lot.is_lendable(now))
        .collect();
    lots.sort_by_cached_key(|lot| book.burn_key(lot));
    wanted_back(claims, &lots, &mut out)
}
