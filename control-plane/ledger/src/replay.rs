//! The journal of an account, folded back into what it made: lots, balances, pins of leases,
//! wallets' states, alerts, claims and the breakdown by kind.
//!
//! Entries are taken in the order of their chain. Each is held against what those before it
//! came to, so an entry that contradicts them is found where it stands; what all of them come
//! to can be [held against the rows](compare). Accounts are replayed one by one: those of a
//! customer only meet in [`LedgerAccount::Transferred`], which sums to zero over all of them.
//!
//! Only what is live is kept. Lots of which nothing is left to decide are handed out by
//! [`Replay::used_up`], so that a history of any length is replayed in bounded memory.

mod compare;
mod facts;
mod judge;
mod leases;
mod lots;

pub use compare::{claim_difference, lot_differences};
pub use facts::{ReplayedClaim, ReplayedWallet};
pub use lots::Breakdown;

use std::collections::BTreeMap;
use std::fmt::Display;

use creditgate_core::amount::Amount;

use crate::burn_order::{BurnKey, Lot, LotKind};
use crate::chain::Chain;
use crate::fact::Fact;
use crate::id::{AccountId, ClaimId, LeaseId, LotId, WalletId};
use crate::journal::{Entry, EntryKind, LedgerAccount};
use crate::lease::Pin;
use crate::time::Timestamp;
use crate::verify::{Finding, invariant};
use leases::Out;
use lots::Part;

/// What the entries of one account come to, as far as they were taken.
#[derive(Debug, Clone)]
pub struct Replay {
    account: AccountId,
    chain: Chain,
    at: Timestamp,
    sums: [i128; LedgerAccount::ALL.len()],
    wallets: BTreeMap<WalletId, ReplayedWallet>,
    lots: BTreeMap<LotId, Lot>,
    /// Lots with something free, in the order in which they burn.
    order: BTreeMap<BurnKey, LotId>,
    /// Lots that may have become history since they were last handed out.
    ended: Vec<LotId>,
    lots_made: u64,
    breakdown: BTreeMap<(WalletId, LotKind), Breakdown>,
    leases: BTreeMap<LeaseId, Out>,
    claims: BTreeMap<ClaimId, ReplayedClaim>,
    closed_claims: Vec<(ClaimId, ReplayedClaim)>,
    claims_opened: u64,
    findings: Vec<Finding>,
}

/// From where to where an entry moves how much.
#[derive(Debug, Clone, Copy)]
struct Movement {
    from: LedgerAccount,
    to: LedgerAccount,
    amount: Amount,
}

impl Movement {
    /// Entries move from one account to one other; one of another form is not from here.
    fn of(entry: &Entry) -> Option<Self> {
        let [a, b] = entry.postings.as_slice() else {
            return None;
        };
        let (from, to) = if a.amount.is_negative() {
            (a, b)
        } else {
            (b, a)
        };
        let balanced = i128::from(from.amount.get()) + i128::from(to.amount.get()) == 0;
        (balanced && from.amount.is_negative()).then_some(Self {
            from: from.account,
            to: to.account,
            amount: to.amount,
        })
    }
}

impl Replay {
    /// Nothing of an account yet.
    #[must_use]
    pub fn of(account: AccountId) -> Self {
        Self {
            account,
            chain: Chain::default(),
            at: Timestamp(i64::MIN),
            sums: [0; LedgerAccount::ALL.len()],
            wallets: BTreeMap::new(),
            lots: BTreeMap::new(),
            order: BTreeMap::new(),
            ended: Vec::new(),
            lots_made: 0,
            breakdown: BTreeMap::new(),
            leases: BTreeMap::new(),
            claims: BTreeMap::new(),
            closed_claims: Vec::new(),
            claims_opened: 0,
            findings: Vec::new(),
        }
    }

    /// Takes in the next entry.
    pub fn take(&mut self, entry: &Entry) {
        self.link(entry);
        if entry.booked_at < self.at {
            let problem = format!(
                "it was booked at {}, before the entry before it",
                entry.booked_at
            );
            self.found(invariant::CHAIN, entry.id, problem);
        }
        self.at = self.at.max(entry.booked_at);
        let movement = self.post(entry);
        let made = self.apply_fact(entry);
        let Some(movement) = movement else {
            self.settle_lots(entry);
            return;
        };
        self.judge(entry, movement);
        self.move_lots(entry, movement, made);
        self.move_pins(entry, movement);
        self.settle_lots(entry);
        self.judge_order(entry, movement);
    }

    /// How far the chain has come.
    #[must_use]
    pub const fn chain(&self) -> Chain {
        self.chain
    }

    /// The sum of all postings to one of the books' accounts.
    #[must_use]
    pub fn balance(&self, account: LedgerAccount) -> i128 {
        self.sums.get(account as usize).copied().unwrap_or_default()
    }

    /// The lots that were not handed out as used up, without what the journal does not tell:
    /// description, metadata, and when they lapse.
    pub fn lots(&self) -> impl Iterator<Item = &Lot> {
        self.lots.values()
    }

    /// How many lots were ever made.
    #[must_use]
    pub const fn lots_made(&self) -> u64 {
        self.lots_made
    }

    /// The wallets.
    pub fn wallets(&self) -> impl Iterator<Item = &ReplayedWallet> {
        self.wallets.values()
    }

    /// The claims that are open.
    pub fn claims(&self) -> impl Iterator<Item = (ClaimId, &ReplayedClaim)> {
        self.claims.iter().map(|(id, claim)| (*id, claim))
    }

    /// What leases have out, and the lots behind it; those that have nothing out are not named.
    pub fn pins(&self) -> impl Iterator<Item = (LeaseId, &[Pin])> {
        self.leases.iter().map(|(id, out)| (*id, out.pins()))
    }

    /// All that a wallet ever had, by kind of lot.
    pub fn breakdown(&self, wallet: WalletId) -> impl Iterator<Item = (LotKind, &Breakdown)> {
        self.breakdown
            .iter()
            .filter(move |((of, _), _)| *of == wallet)
            .map(|((_, kind), parts)| (*kind, parts))
    }

    /// Hands out the lots of which nothing is left to decide since the last time.
    pub fn used_up(&mut self) -> Vec<Lot> {
        let mut over = Vec::new();
        for id in std::mem::take(&mut self.ended) {
            if self.lots.get(&id).is_some_and(|lot| !lot.is_live()) {
                over.extend(self.lots.remove(&id));
            }
        }
        over
    }

    /// How many claims were ever opened.
    #[must_use]
    pub const fn claims_opened(&self) -> u64 {
        self.claims_opened
    }

    /// Hands out the claims that were closed since the last time.
    pub fn closed_claims(&mut self) -> Vec<(ClaimId, ReplayedClaim)> {
        std::mem::take(&mut self.closed_claims)
    }

    /// Hands out what was found since the last time.
    pub fn findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    fn found(&mut self, invariant: u8, subject: impl Display, problem: impl Into<String>) {
        self.findings.push(Finding {
            invariant,
            subject: subject.to_string(),
            problem: problem.into(),
        });
    }

    /// The entry must be the next of the chain. After a break the chain goes on from it, so
    /// that each break is told once.
    fn link(&mut self, entry: &Entry) {
        if entry.account != self.account {
            let problem = format!("it is of {}, not of {}", entry.account, self.account);
            self.found(invariant::CHAIN, entry.id, problem);
        }
        let due = self.chain.entries.saturating_add(1);
        if self.chain.follows(entry) {
            return;
        }
        let problem = if entry.number == due {
            "its hash is not that of its text after the entry before it; one of them was changed"
                .to_owned()
        } else {
            format!(
                "it is number {} of its account where number {due} was to come; entries were removed, added or moved",
                entry.number
            )
        };
        self.found(invariant::CHAIN, entry.id, problem);
        self.chain = Chain {
            entries: entry.number,
            head: entry.hash,
        };
    }

    /// Sums the postings; answers what they move.
    fn post(&mut self, entry: &Entry) -> Option<Movement> {
        for posting in &entry.postings {
            if let Some(sum) = self.sums.get_mut(posting.account as usize) {
                *sum = sum.saturating_add(i128::from(posting.amount.get()));
            }
        }
        let is_note = entry.kind == EntryKind::Note;
        if is_note && entry.postings.is_empty() && entry.draws.is_empty() && entry.fact.is_some() {
            return None;
        }
        let movement = Movement::of(entry);
        if movement.is_none() || is_note {
            let total: i128 = entry
                .postings
                .iter()
                .map(|posting| i128::from(posting.amount.get()))
                .sum();
            let count = entry.postings.len();
            let problem = if total == 0 {
                format!("its {count} postings are not one movement")
            } else {
                format!("its {count} postings sum to {total}")
            };
            self.found(invariant::BALANCED, entry.id, problem);
        }
        movement
    }

    /// Applies the entry's fact; answers the lot that it makes or that was paid by it.
    fn apply_fact(&mut self, entry: &Entry) -> Option<LotId> {
        let fact = entry.fact.as_ref()?;
        self.fact(entry, fact);
        match fact {
            Fact::LotMade(terms) => Some(terms.lot),
            Fact::LotPaid { lot, .. } => Some(*lot),
            _ => None,
        }
    }
}
