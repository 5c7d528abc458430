//! How wallets come to be.

use super::{NewWallet, WALLETS_MAX, Wallet, WalletStatus};
use crate::alert::{self, AlertState};
use crate::auto_top_up::{self, AutoTopUpState};
use crate::book::Book;
use crate::context::Context;
use crate::credit_limit;
use crate::event::{EventKind, tell};
use crate::fact::Fact;
use crate::id::WalletId;
use crate::journal::{About, Journal, ReasonCode};
use crate::limits;
use crate::refusal::Refusal;
use crate::report::ensure_account;
use crate::wallet::WalletType;
use creditgate_core::amount::Amount;

/// Most rules that a wallet may be limited to.
pub const SCOPE_RULES_MAX: usize = 50;

/// Makes a wallet, and the account it pays into if there is none.
///
/// # Errors
/// [`WALLETS_MAX`] wallets, too many rules or some that another account of the customer and
/// currency is limited to; a credit limit, levels or terms that can't be.
pub fn create(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    new: NewWallet,
) -> Result<Wallet, Refusal> {
    check(book, &new)?;
    let limit = new.credit_limit;
    let place = ensure_account(book, context, new.currency, new.scale, new.scope.clone());
    let wallet = row(book, context, place, new);
    let (id, wallet_type) = (wallet.id, wallet.wallet_type);
    let fact = Fact::WalletOpened {
        wallet: id,
        wallet_type,
        priority: wallet.priority,
        conversion_rate: wallet.conversion_rate.clone(),
        topup_conversion_rate: wallet.topup_conversion_rate.clone(),
        auto_topup: wallet.auto_topup.clone().map(Box::new),
        alert_settings: wallet.alert_settings.clone().map(Box::new),
    };
    let about = About {
        wallet: Some(id),
        ..About::default()
    };
    let account = &mut book.accounts[place];
    journal.note(context, account, ReasonCode::WalletOpened, fact, about);
    book.wallets.push(wallet);
    book.touch(place, context.now);
    if wallet_type == WalletType::PostPaid {
        credit_limit::open(book, journal, context, place, id);
        credit_limit::set(book, journal, context, id, limit, None)?;
    }
    let account = book.accounts[place].id;
    book.push(account);
    limits::changed(book, place, context.now);
    let found = super::place_of(book, id)?;
    let wallet = book.wallets[found].clone();
    tell::wallet(
        book,
        journal,
        context,
        EventKind::WalletOpened,
        id,
        |tale| {
            tale.say("wallet_type", word(wallet_type));
            tale.say("priority", wallet.priority);
            tale.say_amount("credit_limit", limit);
            let rules = &book.accounts[place].scope.rules;
            tale.say("rules", rules.iter().cloned().collect::<Vec<_>>());
        },
    );
    Ok(wallet)
}

const fn word(wallet_type: WalletType) -> &'static str {
    match wallet_type {
        WalletType::PrePaid => "PRE_PAID",
        WalletType::PostPaid => "POST_PAID",
    }
}

fn row(book: &Book, context: &mut Context<'_>, place: usize, new: NewWallet) -> Wallet {
    Wallet {
        id: WalletId(context.ids.next()),
        external_id: new.external_id,
        customer: book.customer.id,
        account: book.accounts[place].id,
        name: new.name,
        currency: new.currency,
        wallet_type: new.wallet_type,
        status: WalletStatus::Active,
        priority: new.priority,
        conversion_rate: new.conversion_rate,
        topup_conversion_rate: new.topup_conversion_rate,
        credit_limit: Amount::ZERO,
        auto_topup: new.auto_topup,
        auto_topup_state: AutoTopUpState::default(),
        alert_settings: new.alert_settings,
        alert_state: AlertState::default(),
        metadata: new.metadata,
        created_at: context.now,
        closed_at: None,
    }
}

fn check(book: &Book, new: &NewWallet) -> Result<(), Refusal> {
    if book.wallets.len() >= WALLETS_MAX {
        return Err(Refusal::Conflict {
            code: "wallets_max",
            problem: format!("the customer has {WALLETS_MAX} wallets, closed ones counted"),
        });
    }
    credit_limit::check_new(new.wallet_type, new.credit_limit)?;
    auto_top_up::check(new.auto_topup.as_ref(), &new.conversion_rate, new.scale)?;
    alert::check(new.alert_settings.as_ref())?;
    let rules = &new.scope.rules;
    if rules.len() > SCOPE_RULES_MAX {
        return Err(Refusal::Invalid {
            field: "/rules",
            code: "rules_max",
            problem: format!("may name {SCOPE_RULES_MAX} rules, has {}", rules.len()),
        });
    }
    limits::check(book, &new.currency, &new.scope)?;
    for other in limits::accounts(book, &new.currency) {
        let common = other.scope.rules.intersection(rules).next();
        if let Some(rule) = common.filter(|_| other.scope != new.scope) {
            return Err(Refusal::Conflict {
                code: "rules_overlap",
                problem: format!(
                    "another wallet of the customer in {} is limited to rule {rule:?} and to others; name the same rules as it does, or none of them",
                    new.currency
                ),
            });
        }
    }
    Ok(())
}
