//! Rows held against what the journal comes to.

use std::fmt::Debug;

use super::{Replay, ReplayedClaim, ReplayedWallet};
use crate::book::Account;
use crate::burn_order::Lot;
use crate::claim::Claim;
use crate::journal::LedgerAccount;
use crate::lease::Lease;
use crate::verify::invariant;
use crate::wallet::Wallet;

impl Replay {
    /// An account's row: how far its chain has come, and its balances.
    pub fn compare_account(&mut self, account: &Account) {
        if account.chain != self.chain {
            let problem = format!(
                "its row says that it has {} entries up to hash {}, but it has {} up to {}",
                account.chain.entries, account.chain.head, self.chain.entries, self.chain.head
            );
            self.found(invariant::CHAIN, account.id, problem);
        }
        for ledger_account in LedgerAccount::ALL {
            let balance = account.balances.get(ledger_account).get();
            let sum = self.balance(ledger_account);
            if i128::from(balance) != sum {
                let problem = format!(
                    "its balance of {ledger_account} is {balance} but its postings sum to {sum}"
                );
                self.found(invariant::BALANCED, account.id, problem);
            }
        }
    }

    /// A wallet's row: what the journal tells of it.
    pub fn compare_wallet(&mut self, wallet: &Wallet) {
        let Some(replayed) = self.wallets.get(&wallet.id) else {
            let problem = "the journal of its account does not open it";
            return self.found(invariant::FACTS, wallet.id, problem);
        };
        let row = ReplayedWallet {
            id: wallet.id,
            wallet_type: wallet.wallet_type,
            status: wallet.status,
            priority: wallet.priority,
            conversion_rate: wallet.conversion_rate.clone(),
            topup_conversion_rate: wallet.topup_conversion_rate.clone(),
            auto_topup: wallet.auto_topup.clone().map(Box::new),
            alert_settings: wallet.alert_settings.clone().map(Box::new),
            credit_limit: wallet.credit_limit,
            alert_level: wallet.alert_state.level,
            alert_sequence: wallet.alert_state.sequence,
        };
        let replayed = replayed.clone();
        let alert = |wallet: &ReplayedWallet| (wallet.alert_sequence, wallet.alert_level);
        if alert(&row) != alert(&replayed) {
            let problem = differs("its last alert", &alert(&row), &alert(&replayed));
            self.found(invariant::ALERTS, wallet.id, problem);
        }
        let others = [
            (
                "its type",
                differing(&row.wallet_type, &replayed.wallet_type),
            ),
            ("its status", differing(&row.status, &replayed.status)),
            ("its priority", differing(&row.priority, &replayed.priority)),
            (
                "its credit limit",
                differing(&row.credit_limit, &replayed.credit_limit),
            ),
            (
                "its conversion rate",
                differing(&row.conversion_rate, &replayed.conversion_rate),
            ),
            (
                "its top-up conversion rate",
                differing(&row.topup_conversion_rate, &replayed.topup_conversion_rate),
            ),
            (
                "its auto top-up",
                differing(&row.auto_topup, &replayed.auto_topup),
            ),
            (
                "its alerting",
                differing(&row.alert_settings, &replayed.alert_settings),
            ),
        ];
        for (what, difference) in others {
            if let Some(difference) = difference {
                self.found(invariant::FACTS, wallet.id, format!("{what} {difference}"));
            }
        }
    }

    /// A lot's row that is live. One that is history is compared with what [`Replay::used_up`]
    /// handed out.
    pub fn compare_lot(&mut self, lot: &Lot) {
        match self.lots.get(&lot.id) {
            Some(replayed) => {
                let problems = lot_differences(replayed, lot);
                for problem in problems {
                    self.found(invariant::LOTS, lot.id, problem);
                }
            }
            None => {
                let problem = "it is live, but by the journal it was never made or is used up";
                self.found(invariant::LOTS, lot.id, problem);
            }
        }
    }

    /// A lease's row: its pins.
    pub fn compare_lease(&mut self, lease: &Lease) {
        let out = self.leases.get(&lease.id);
        let replayed = out.map_or(&[][..], |out| out.pins());
        if lease.pins != replayed {
            let problem = differs("what it has out", &lease.pins, &replayed);
            self.found(invariant::LOTS, lease.id, problem);
        }
    }

    /// A claim's row that is open. One that is closed is compared with what
    /// [`Replay::closed_claims`] handed out.
    pub fn compare_claim(&mut self, claim: &Claim) {
        let difference = match self.claims.get(&claim.id) {
            Some(replayed) => claim_difference(replayed, claim),
            None => Some("it is open, but by the journal it is not".to_owned()),
        };
        if let Some(problem) = difference {
            self.found(invariant::FUNDED, claim.id, problem);
        }
    }
}

/// What a lot's row has that the journal does not tell so. Description, metadata and when it
/// lapses are the row's own.
#[must_use]
pub fn lot_differences(replayed: &Lot, row: &Lot) -> Vec<String> {
    let amounts = [
        ("amount", replayed.amount, row.amount),
        ("unpaid part", replayed.unpaid, row.unpaid),
        ("free part", replayed.free, row.free),
        ("pinned part", replayed.pinned, row.pinned),
        ("spent part", replayed.spent, row.spent),
        ("expired part", replayed.expired, row.expired),
        ("withdrawn part", replayed.withdrawn, row.withdrawn),
        ("excess", replayed.excess, row.excess),
    ];
    let mut problems: Vec<String> = amounts
        .into_iter()
        .filter(|(_, replayed, row)| replayed != row)
        .map(|(what, replayed, row)| {
            format!(
                "its {what} is {}, but by the journal {}",
                row.get(),
                replayed.get()
            )
        })
        .collect();
    let others = [
        ("wallet", differing(&row.wallet, &replayed.wallet)),
        ("account", differing(&row.account, &replayed.account)),
        (
            "external id",
            differing(&row.external_id, &replayed.external_id),
        ),
        ("kind", differing(&row.kind, &replayed.kind)),
        ("reason", differing(&row.reason, &replayed.reason)),
        ("source", differing(&row.source, &replayed.source)),
        ("priority", differing(&row.priority, &replayed.priority)),
        (
            "effective instant",
            differing(&row.effective_at, &replayed.effective_at),
        ),
        ("expiry", differing(&row.expires_at, &replayed.expires_at)),
        ("making", differing(&row.created_at, &replayed.created_at)),
        ("payment", differing(&row.paid_at, &replayed.paid_at)),
        ("voiding", differing(&row.voided_at, &replayed.voided_at)),
        ("cost", differing(&row.cost, &replayed.cost)),
    ];
    let others = others
        .into_iter()
        .filter_map(|(what, difference)| Some(format!("its {what} {}", difference?)));
    problems.extend(others);
    problems
}

/// What a claim's row has that the journal does not tell so.
#[must_use]
pub fn claim_difference(replayed: &ReplayedClaim, row: &Claim) -> Option<String> {
    let as_row = ReplayedClaim {
        wallet: row.wallet,
        purpose: row.purpose,
        lots: row.lots,
        since: row.created_at,
        asked: row.asked,
        done: row.done,
        short: row.short,
        closed_at: row.closed_at,
    };
    (as_row != *replayed).then(|| format!("it is {as_row:?}, but by the journal {replayed:?}"))
}

fn differing<T: PartialEq + Debug>(row: &T, replayed: &T) -> Option<String> {
    (row != replayed).then(|| format!("is {row:?}, but by the journal {replayed:?}"))
}

fn differs(what: &str, row: &impl Debug, replayed: &impl Debug) -> String {
    format!("{what} is {row:?}, but by the journal {replayed:?}")
}
