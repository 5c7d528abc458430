//! What may be changed of a wallet.

use std::collections::BTreeMap;

use creditgate_core::amount::Amount;

use super::{Wallet, open_place};
use crate::alert::{self, AlertSettings};
use crate::auto_top_up::{self, AutoTopUp};
use crate::book::Book;
use crate::context::Context;
use crate::credit_limit;
use crate::fact::Fact;
use crate::id::WalletId;
use crate::journal::{About, Journal, ReasonCode};
use crate::refusal::Refusal;

/// A change of a wallet; what is `None` stays, `Some(None)` takes it away.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WalletChange {
    /// For people.
    pub name: Option<Option<String>>,
    /// Its place among the wallets of the account, for all that is lent from now on.
    pub priority: Option<Option<i32>>,
    /// How far it may be overdrawn.
    pub credit_limit: Option<Amount>,
    /// How it fills itself.
    pub auto_topup: Option<Option<AutoTopUp>>,
    /// When its balance is told.
    pub alert_settings: Option<Option<AlertSettings>>,
    /// The operator's own data, replaced as a whole.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Why; kept in the journal with a new priority, limit, or terms.
    pub reason: Option<String>,
}

/// Changes a wallet.
///
/// # Errors
/// Unknown or closed wallet; a credit limit, levels or terms that can't be.
pub fn change(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    id: WalletId,
    change: WalletChange,
) -> Result<Wallet, Refusal> {
    let (found, place) = open_place(book, id)?;
    let (rate, scale) = (
        &book.wallets[found].conversion_rate,
        book.accounts[place].scale,
    );
    auto_top_up::check(change.auto_topup.iter().flatten().next(), rate, scale)?;
    alert::check(change.alert_settings.iter().flatten().next())?;
    let reason = change.reason.as_deref();
    if let Some(limit) = change.credit_limit {
        credit_limit::set(book, journal, context, id, limit, reason)?;
    }
    if let Some(priority) = change.priority {
        set_priority(book, journal, context, found, place, priority, reason);
    }
    let is_watched_anew = change.auto_topup.is_some() || change.alert_settings.is_some();
    let wallet = &mut book.wallets[found];
    if let Some(name) = change.name {
        wallet.name = name;
    }
    if let Some(metadata) = change.metadata {
        wallet.metadata = metadata;
    }
    let from = wallet.auto_topup.clone();
    if let Some(to) = change.auto_topup.filter(|to| *to != from) {
        auto_top_up::set(wallet, to.clone());
        let fact = Fact::AutoTopUpTerms {
            wallet: id,
            from: from.map(Box::new),
            to: to.map(Box::new),
        };
        note_terms(book, journal, context, place, (id, fact), reason);
    }
    let wallet = &mut book.wallets[found];
    let from = wallet.alert_settings.clone();
    if let Some(to) = change.alert_settings.filter(|to| *to != from) {
        alert::set(wallet, to.clone());
        let fact = Fact::AlertTerms {
            wallet: id,
            from: from.map(Box::new),
            to: to.map(Box::new),
        };
        note_terms(book, journal, context, place, (id, fact), reason);
    }
    let wallet = book.wallets[found].clone();
    if is_watched_anew {
        // This decision looks at the balance by the new terms.
        book.touch(place, context.now);
    }
    Ok(wallet)
}

fn note_terms(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    (wallet, fact): (WalletId, Fact),
    reason: Option<&str>,
) {
    let about = About {
        wallet: Some(wallet),
        note: reason.map(str::to_owned),
        ..About::default()
    };
    let code = ReasonCode::WalletTermsChanged;
    journal.note(context, &mut book.accounts[place], code, fact, about);
}

fn set_priority(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    found: usize,
    place: usize,
    to: Option<i32>,
    reason: Option<&str>,
) {
    let wallet = &mut book.wallets[found];
    let (id, from) = (wallet.id, wallet.priority);
    if from == to {
        return;
    }
    wallet.priority = to;
    let fact = Fact::WalletPriority {
        wallet: id,
        from,
        to,
    };
    let about = About {
        wallet: Some(id),
        note: reason.map(str::to_owned),
        ..About::default()
    };
    let account = &mut book.accounts[place];
    journal.note(context, account, ReasonCode::PriorityChanged, fact, about);
    book.touch(place, context.now);
}
