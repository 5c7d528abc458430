//! Answering a crossing: at the end of the decision that made it.
//!
//! A crossing begins when a decision leaves the balance lower than it was, and at the
//! threshold or below; also when requests are refused for want of credit while it is so low.
//! A new wallet, or new terms, begin none by themselves. A crossing is answered once: by
//! credit at once, or by a lot that waits for its payment. If it still stands after that
//! (what came was too little, or was never paid), it is answered again after the cool-down,
//! within the caps; so no top-up silently stops, and none runs away.

use std::collections::BTreeSet;

use creditgate_core::amount::Amount;

use super::bounds::{Refused, allowed, counts};
use super::calendar::Day;
use super::{AutoTopUp, AutoTopUpRefusal, AutoTopUpState};
use crate::balance;
use crate::book::Book;
use crate::burn_order::{Lot, LotSource};
use crate::context::Context;
use crate::debt;
use crate::event::EventKind;
use crate::event::tell::Tale;
use crate::id::WalletId;
use crate::journal::{Journal, ReasonCode};
use crate::lease::LeaseState;
use crate::refusal::Refusal;
use crate::time::Timestamp;
use crate::top_up::{self, TopUp};
use crate::wallet::Wallet;

/// Who makes them.
const ACTOR: &str = "auto_topup";

/// Notes what wallets that fill themselves had when they were last decided over.
pub fn begin(book: &Book, journal: &mut Journal) {
    journal.before.clear();
    for account in &book.accounts {
        let wallets = book.wallets.iter();
        let fills: BTreeSet<WalletId> = wallets
            .filter(|wallet| wallet.account == account.id && terms_of(wallet).is_some())
            .map(|wallet| wallet.id)
            .collect();
        if !fills.is_empty() {
            // As of the last decision: what time has taken since counts as lost by this one.
            let balances = balance::of_wallets(book, &fills, account.last_instant);
            journal.before.extend(balances);
        }
    }
}

/// Answers the crossings that stand, or says why not. True if any balance changed.
pub fn conclude(book: &mut Book, journal: &mut Journal, context: &mut Context<'_>) -> bool {
    let mut changed = false;
    for place in 0..book.wallets.len() {
        let wallet = &book.wallets[place];
        let state = &wallet.auto_topup_state;
        if state.pending.is_some() {
            follow_payment(book, place, context.now);
        }
        let wallet = &book.wallets[place];
        let has_changed = wallet.auto_topup_state.is_crossed
            || journal.has_changed(book, wallet.account, context.now);
        if let Some(terms) = terms_of(wallet).filter(|_| has_changed).cloned() {
            changed |= conclude_one(book, journal, context, place, &terms);
        }
    }
    changed
}

fn terms_of(wallet: &Wallet) -> Option<&AutoTopUp> {
    wallet.auto_topup.as_ref().filter(|terms| terms.enabled)
}

/// Finds out whether the lot that waits for its payment still does.
fn follow_payment(book: &mut Book, place: usize, now: Timestamp) {
    let pending = book.wallets[place].auto_topup_state.pending;
    let lot = pending.and_then(|lot| book.lot(lot));
    let waits = lot.is_some_and(|lot| !lot.unpaid.is_zero() && lot.voided_at.is_none());
    if waits {
        return;
    }
    let is_void = lot.is_some_and(|lot| lot.voided_at.is_some());
    let state = &mut book.wallets[place].auto_topup_state;
    state.pending = None;
    state.is_answered = false;
    if is_void {
        state.unpaid_at = Some(now);
    }
}

fn conclude_one(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    terms: &AutoTopUp,
) -> bool {
    let balance = balance_of(book, place, context.now);
    if !is_low(book, place, terms, balance) {
        book.wallets[place].auto_topup_state.end_crossing();
        return false;
    }
    let wallet = &book.wallets[place];
    let begins = has_fallen(journal, wallet.id, balance) || is_wanted(book, wallet);
    let state = &mut book.wallets[place].auto_topup_state;
    state.is_crossed |= begins;
    if !state.is_crossed || state.is_answered {
        return false;
    }
    let made = allowed(book, context, place, terms)
        .and_then(|day| Ok((make(book, journal, context, place, terms, balance)?, day)));
    match made {
        Ok((lot, day)) => {
            answered(book, journal, context, place, &lot, day);
            let balance = balance_of(book, place, context.now);
            if !lot.unpaid.is_zero() {
                return false;
            }
            if is_low(book, place, terms, balance) {
                // It was too little; the next may come after the cool-down.
                if let Err(refused) = allowed(book, context, place, terms) {
                    refuse(book, journal, context, place, terms, balance, refused);
                }
            } else {
                book.wallets[place].auto_topup_state.end_crossing();
            }
            true
        }
        Err(refused) => {
            refuse(book, journal, context, place, terms, balance, refused);
            false
        }
    }
}

fn balance_of(book: &Book, place: usize, now: Timestamp) -> Amount {
    let id = book.wallets[place].id;
    let balances = balance::of_wallets(book, &BTreeSet::from([id]), now);
    balances.get(&id).copied().unwrap_or_default()
}

fn is_low(book: &Book, place: usize, terms: &AutoTopUp, balance: Amount) -> bool {
    let wallet = &book.wallets[place];
    let scale = book.account(wallet.account).map(|account| account.scale);
    let threshold = terms.threshold.nano();
    let rate = &wallet.conversion_rate;
    rate.compare(balance, scale.unwrap_or_default(), threshold)
        .is_le()
}

fn has_fallen(journal: &Journal, wallet: WalletId, balance: Amount) -> bool {
    let mut before = journal.before.iter();
    before.any(|(known, before)| *known == wallet && *before > balance)
}

/// Whether requests are being refused for want of credit.
fn is_wanted(book: &Book, wallet: &Wallet) -> bool {
    let mut leases = book.leases.iter();
    leases.any(|lease| {
        lease.account == wallet.account && lease.state == LeaseState::Open && lease.told.is_some()
    })
}

fn make(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    terms: &AutoTopUp,
    balance: Amount,
) -> Result<Lot, Refused> {
    let refused = |refusal: &Refusal| {
        let reason = match refusal.code() {
            "lots_max" => AutoTopUpRefusal::LotsMax,
            "amount_not_positive" => AutoTopUpRefusal::TooSmall,
            _ => AutoTopUpRefusal::AmountOverflow,
        };
        (reason, None)
    };
    let wallet = &book.wallets[place];
    let account = book.account(wallet.account);
    let (owed, scale) = account.map_or_else(Default::default, |account| {
        (debt::used(book, account.id), account.scale)
    });
    let rate = &wallet.conversion_rate;
    let amount = terms
        .fill
        .amount(balance, owed, rate, scale)
        .map_err(|refusal| refused(&refusal))?;
    let reason = if terms.invoicing {
        ReasonCode::PurchasedCreditInvoiced
    } else {
        ReasonCode::PurchasedCreditDirect
    };
    let command = TopUp {
        source: LotSource::AutoTopUp,
        awaits_payment: terms.invoicing,
        ..TopUp::new(wallet.id, amount, reason)
    };
    let mut context = Context {
        now: context.now,
        ids: &mut *context.ids,
        registry: context.registry,
        actor: ACTOR,
    };
    top_up::top_up(book, journal, &mut context, command).map_err(|refusal| refused(&refusal))
}

fn answered(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    lot: &Lot,
    day: Day,
) {
    let is_pending = !lot.unpaid.is_zero();
    let state = &mut book.wallets[place].auto_topup_state;
    let (in_day, in_month) = counts(state, day);
    *state = AutoTopUpState {
        is_crossed: true,
        is_answered: is_pending,
        last_at: Some(context.now),
        day: day.name(),
        in_day: in_day.saturating_add(1),
        in_month: in_month.saturating_add(1),
        pending: is_pending.then_some(lot.id),
        told: std::mem::take(&mut state.told),
        ..AutoTopUpState::default()
    };
    let kind = if is_pending {
        EventKind::AutoTopUpPending
    } else {
        EventKind::AutoTopUpApplied
    };
    let mut tale = Tale::of_wallet(book, lot.wallet);
    tale.say("lot_id", lot.id.to_string());
    tale.say_value(lot.amount);
    tale.say("lapses_at", lot.lapses_at.map(|at| at.to_string()));
    tale.say_balance(balance_of(book, place, context.now));
    let state = &book.wallets[place].auto_topup_state;
    tale.say("in_day", state.in_day);
    tale.say("in_month", state.in_month);
    tale.say("at", context.now.to_string());
    tale.tell(book, journal, context, kind);
}

/// Keeps why not, and tells it, once for each crossing and reason.
fn refuse(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    terms: &AutoTopUp,
    balance: Amount,
    (reason, retry_at): Refused,
) {
    let state = &mut book.wallets[place].auto_topup_state;
    state.refused = Some(reason);
    state.retry_at = retry_at;
    if state.told.contains(&reason) {
        return;
    }
    state.told.push(reason);
    let mut tale = Tale::of_wallet(book, book.wallets[place].id);
    tale.say("reason", reason.as_str());
    tale.say("retry_at", retry_at.map(|at| at.to_string()));
    tale.say_balance(balance);
    tale.say("threshold", terms.threshold.as_str());
    tale.say("at", context.now.to_string());
    tale.tell(book, journal, context, EventKind::AutoTopUpRefused);
}
