//! Watching balances: what a decision's outcome does to the alert states of a customer.
//!
//! The state is worked out once at the end of a decision, before and after the auto top-ups
//! it sets off. A gateway's report that settles much in one go may cross several levels: that
//! is one change, to the state it led to. Each change is a fact in the account's chain and an
//! event, both with the wallet's sequence number.

use std::collections::BTreeSet;

use creditgate_core::amount::Amount;
use serde_json::json;

use super::{AlertLevel, AlertSettings, AlertState, Crossed};
use crate::balance;
use crate::book::Book;
use crate::burn_order::Lot;
use crate::context::Context;
use crate::event::EventKind;
use crate::event::tell::Tale;
use crate::fact::Fact;
use crate::id::{EntryId, WalletId};
use crate::journal::{About, Entry, Journal, LedgerAccount, ReasonCode};
use crate::registry::Settings;
use crate::time::Timestamp;
use crate::wallet::{Wallet, WalletStatus};

/// The settings that hold for a wallet, if its balance is watched at all.
#[must_use]
pub fn settings_of<'a>(wallet: &'a Wallet, settings: &'a Settings) -> Option<&'a AlertSettings> {
    let own = wallet.alert_settings.as_ref();
    own.or(settings.default_alerts.as_ref())
        .filter(|settings| settings.enabled && wallet.status != WalletStatus::Closed)
}

/// Lots whose instant has come since the last decision change a balance without an entry.
pub fn begin(book: &mut Book, now: Timestamp) {
    for place in 0..book.accounts.len() {
        let (id, last) = (book.accounts[place].id, book.accounts[place].last_instant);
        let has_come = |instant: Timestamp| last < instant && instant <= now;
        let mut lots = book.lots.iter().filter(|lot| lot.account == id);
        let is_due = |lot: &Lot| has_come(lot.effective_at) || lot.expires_at.is_some_and(has_come);
        if lots.any(is_due) {
            book.touch(place, now);
        }
    }
}

/// Follows the balances of all wallets that this decision may have changed.
pub fn follow(book: &mut Book, journal: &mut Journal, context: &mut Context<'_>) {
    let settings = &context.registry.settings;
    let is_due = |wallet: &&Wallet| {
        let is_watched = settings_of(wallet, settings).is_some();
        (is_watched || wallet.alert_state.level != AlertLevel::Ok)
            && journal.has_changed(book, wallet.account, context.now)
    };
    let due: BTreeSet<WalletId> = book
        .wallets
        .iter()
        .filter(is_due)
        .map(|wallet| wallet.id)
        .collect();
    if due.is_empty() {
        return;
    }
    let balances = balance::of_wallets(book, &due, context.now);
    for place in 0..book.wallets.len() {
        if let Some(balance) = balances.get(&book.wallets[place].id) {
            follow_one(book, journal, context, place, *balance);
        }
    }
}

fn follow_one(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    balance: Amount,
) {
    let wallet = &book.wallets[place];
    let Some(account) = book.account_place(wallet.account) else {
        return;
    };
    let (before, scale) = (wallet.alert_state, book.accounts[account].scale);
    let settings = settings_of(wallet, &context.registry.settings).cloned();
    let were = settings
        .as_ref()
        .map(|settings| before.crossed_under(settings));
    let were = were.unwrap_or_default();
    let crossed = |settings: &AlertSettings, balance| {
        settings.crossed(were, balance, &wallet.conversion_rate, scale)
    };
    let now_crossed = settings
        .as_ref()
        .map_or_else(Crossed::default, |settings| crossed(settings, balance));
    let level = now_crossed.level();
    let mut after = before.with(now_crossed, settings.as_ref());
    if level != before.level {
        after.level = level;
        after.sequence = before.sequence.saturating_add(1);
        let was_other = |balance| {
            let settings = settings.as_ref();
            settings.is_some_and(|settings| crossed(settings, balance).level() != level)
        };
        let cause = cause(book, journal, context, wallet, balance, was_other);
        let fact = Fact::AlertState {
            wallet: wallet.id,
            sequence: after.sequence,
            from: before.level,
            to: level,
            balance,
        };
        let about = About {
            wallet: Some(wallet.id),
            ..About::default()
        };
        let reason = ReasonCode::AlertStateChanged;
        journal.note(context, &mut book.accounts[account], reason, fact, about);
        let change = (before, after);
        tell(
            book,
            journal,
            context,
            (place, settings.as_ref()),
            change,
            balance,
            cause,
        );
    }
    book.wallets[place].alert_state = after;
}

/// The entry that crossed: the last of this decision before which the state was another; if
/// none moved credit over a level, the last that says something of the wallet (credit became
/// effective, is wanted back for a debit). None if there is no such entry: lent credit
/// expired, or the settings changed.
fn cause(
    book: &Book,
    journal: &Journal,
    context: &Context<'_>,
    wallet: &Wallet,
    balance: Amount,
    was_other: impl Fn(Amount) -> bool,
) -> Option<EntryId> {
    let entries = journal.entries.iter().rev();
    let of_decision = || {
        let entries = entries.clone();
        entries
            .take_while(|entry| entry.booked_at == context.now)
            .filter(|entry| entry.account == wallet.account)
    };
    let mut after = balance;
    for entry in of_decision() {
        let before = after.saturating_sub(added(book, entry, wallet));
        if before != after && was_other(before) {
            return Some(entry.id);
        }
        after = before;
    }
    let says = |entry: &&Entry| {
        let is_alert = matches!(entry.fact, Some(Fact::AlertState { .. }));
        entry.wallet == Some(wallet.id) && entry.fact.is_some() && !is_alert
    };
    of_decision().find(says).map(|entry| entry.id)
}

/// What an entry added to the balance of a wallet.
fn added(book: &Book, entry: &Entry, wallet: &Wallet) -> Amount {
    let posted = entry
        .posted(LedgerAccount::Available)
        .saturating_add(entry.posted(LedgerAccount::Lent));
    if posted.is_zero() {
        return Amount::ZERO;
    }
    let drawn = entry
        .draws
        .iter()
        .filter(|draw| {
            book.lot(draw.lot)
                .is_some_and(|lot| lot.wallet == wallet.id)
        })
        .fold(Amount::ZERO, |sum, draw| sum.saturating_add(draw.amount));
    if posted.is_negative() {
        Amount::ZERO.saturating_sub(drawn)
    } else {
        drawn
    }
}

fn tell(
    book: &Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    (place, settings): (usize, Option<&AlertSettings>),
    (before, after): (AlertState, AlertState),
    balance: Amount,
    cause: Option<EntryId>,
) {
    // The level that was reached decides; back to ok, the one that was left.
    let deciding = if after.level == AlertLevel::Ok {
        before.level
    } else {
        after.level
    };
    let threshold = settings.and_then(|settings| settings.level(deciding));
    let mut tale = Tale::of_wallet(book, book.wallets[place].id);
    tale.say("from", before.level.as_str());
    tale.say("to", after.level.as_str());
    tale.say("sequence", after.sequence);
    tale.say_balance(balance);
    tale.say("level", threshold.map(|_| deciding.as_str()));
    tale.say("threshold", threshold.map(|threshold| json!(threshold)));
    tale.say("cause", cause.map(|cause| cause.to_string()));
    tale.say("at", context.now.to_string());
    tale.tell(book, journal, context, EventKind::WalletAlert);
}
