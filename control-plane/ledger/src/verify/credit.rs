//! What must hold of lots, credit limits, claims and transfers.

use std::collections::BTreeMap;

use creditgate_core::amount::{Amount, Currency};

use super::{Finding, invariant};
use crate::book::{Account, Book};
use crate::burn_order::{Lot, LotKind};
use crate::claim::Claim;
use crate::credit_limit;
use crate::debt;
use crate::journal::LedgerAccount;
use crate::wallet::{Wallet, WalletStatus, WalletType};

pub(super) fn check(book: &Book, findings: &mut Vec<Finding>) {
    for lot in &book.lots {
        check_lot(lot, findings);
    }
    for wallet in &book.wallets {
        check_limit(book, wallet, findings);
    }
    for account in &book.accounts {
        check_lines(book, account, findings);
        check_debt(book, account, findings);
    }
    for claim in &book.claims {
        check_claim(book, claim, findings);
    }
    check_transfers(book, findings);
}

fn found(findings: &mut Vec<Finding>, subject: impl ToString, problem: impl Into<String>) {
    findings.push(Finding {
        invariant: invariant::FUNDED,
        subject: subject.to_string(),
        problem: problem.into(),
    });
}

fn check_lot(lot: &Lot, findings: &mut Vec<Finding>) {
    if !lot.adds_up() {
        found(findings, lot.id, "its parts do not sum to its amount");
    }
    if lot.excess.is_negative() || lot.excess > lot.pinned {
        let problem = format!(
            "{} of it is to be taken when it comes back, but {} is out",
            lot.excess, lot.pinned
        );
        found(findings, lot.id, problem);
    }
    if !lot.unpaid.is_zero() && lot.unpaid != lot.amount {
        let problem = format!("{} of its {} is not paid", lot.unpaid, lot.amount);
        found(findings, lot.id, problem);
    }
}

/// A post-paid wallet's line is its limit, and what is used above that.
fn check_limit(book: &Book, wallet: &Wallet, findings: &mut Vec<Finding>) {
    let lines = book.lots.iter().filter(|lot| {
        lot.wallet == wallet.id && lot.kind == LotKind::CreditLine && lot.voided_at.is_none()
    });
    let has_one =
        wallet.wallet_type == WalletType::PostPaid && wallet.status != WalletStatus::Closed;
    let count = lines.count();
    if count != usize::from(has_one) {
        let problem = format!("it has {count} credit lines");
        found(findings, wallet.id, problem);
    }
    if !has_one && !wallet.credit_limit.is_zero() {
        let problem = format!("it has a limit of {} and no line", wallet.credit_limit);
        found(findings, wallet.id, problem);
    }
    let Some(line) = credit_limit::line_of(book, wallet.id) else {
        return;
    };
    let line = &book.lots[line];
    let above = line.amount.saturating_sub(wallet.credit_limit);
    let is_sound = !above.is_negative()
        && (above.is_zero() || line.free.is_zero())
        && line.excess == above.min(line.pinned);
    if !is_sound {
        let problem = format!(
            "its limit is {}, but its line is of {} with {} free and {} to be taken",
            wallet.credit_limit, line.amount, line.free, line.excess
        );
        found(findings, wallet.id, problem);
    }
}

fn check_lines(book: &Book, account: &Account, findings: &mut Vec<Finding>) {
    let lines = book
        .lots
        .iter()
        .filter(|lot| lot.account == account.id && lot.kind == LotKind::CreditLine);
    let sum = lines.fold(Amount::ZERO, |sum, line| sum.saturating_add(line.amount));
    let booked = account.balances.get(LedgerAccount::CreditLine);
    if booked != Amount::ZERO.saturating_sub(sum) {
        let problem = format!(
            "its credit lines are of {sum} but {booked} is booked as {}",
            LedgerAccount::CreditLine
        );
        found(findings, account.id, problem);
    }
}

/// Debt is never in the customer's favour, and what is out as debt is a part of what is owed.
fn check_debt(book: &Book, account: &Account, findings: &mut Vec<Finding>) {
    let (owed, out) = (account.balances.owed(), debt::out(book, account.id));
    if owed.is_negative() || owed < out {
        let problem = format!("it owes {owed}, but {out} is out as debt");
        found(findings, account.id, problem);
    }
}

fn check_claim(book: &Book, claim: &Claim, findings: &mut Vec<Finding>) {
    let pending = claim.pending();
    let is_sound = !claim.done.is_negative()
        && !claim.short.is_negative()
        && if claim.is_open() {
            claim.short.is_zero() && pending > Amount::ZERO
        } else {
            pending.is_zero()
        };
    if !is_sound {
        let problem = format!(
            "of {} asked {} is done and {} short, and it is {}",
            claim.asked,
            claim.done,
            claim.short,
            if claim.is_open() { "open" } else { "closed" }
        );
        found(findings, claim.id, problem);
    }
    let lots = book.lots.iter().filter(|lot| claim.covers(lot));
    let free = lots.fold(Amount::ZERO, |sum, lot| sum.saturating_add(lot.free));
    if claim.is_open() && !free.is_zero() {
        let problem = format!("it is open, but {free} of its lots is free");
        found(findings, claim.id, problem);
    }
}

/// What left an account of a customer came into another.
fn check_transfers(book: &Book, findings: &mut Vec<Finding>) {
    let mut sums: BTreeMap<Currency, i128> = BTreeMap::new();
    for account in &book.accounts {
        let between = account.balances.get(LedgerAccount::Transferred);
        *sums.entry(account.currency).or_default() += i128::from(between.get());
    }
    for (currency, sum) in sums.into_iter().filter(|(_, sum)| *sum != 0) {
        let problem = format!("its accounts in {currency} have {sum} more transferred out than in");
        found(findings, book.customer.id, problem);
    }
}
