//! Where a grant's credit lands, and the lot it makes there.

use creditgate_core::amount::{Amount, Currency};

use super::apply::Case;
use super::{Application, Grant, GrantScope, rollover};
use crate::book::Book;
use crate::burn_order::{GrantedBy, LotKind, LotSource};
use crate::context::Context;
use crate::id::WalletId;
use crate::journal::{EntryKind, Journal, LedgerAccount, ReasonCode};
use crate::lot::{self, Origin};
use crate::refusal::Refusal;
use crate::wallet::{self, NewWallet, WalletStatus};

/// Makes the lot of an application, after what is left of those before was carried on: that
/// is as of the application's instant, so it does not wait for what may be refused.
pub(super) fn give(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    application: &mut Application,
    case: &Case,
) -> Result<(), Refusal> {
    let grant = &case.grant;
    let limits = grant.rollover.as_ref();
    let limits = limits.filter(|_| application.occurrence > 0);
    if let Some(limits) = limits.filter(|_| !application.carried) {
        application.rolled_over =
            rollover::carry(book, journal, context, application, case, &limits.maximum);
        application.carried = true;
    }
    let (wallet, place) = target(book, journal, context, grant.currency)?;
    application.wallet = Some(wallet);
    let (rate, scale) = {
        let rate = book
            .wallet(wallet)
            .map(|wallet| wallet.conversion_rate.clone());
        (rate.unwrap_or_default(), book.accounts[place].scale)
    };
    let amount = grant.credits.amount(&rate, scale)?;
    if amount <= Amount::ZERO {
        return Err(Refusal::Invalid {
            field: "/credit_amount",
            code: "amount_not_positive",
            problem: "the credits come to less than the currency's smallest unit".to_owned(),
        });
    }
    let mut missing = Amount::ZERO;
    if let Some(limits) = limits {
        let minimum = limits.minimum.amount(&rate, scale)?;
        missing = minimum
            .saturating_sub(application.rolled_over)
            .max(Amount::ZERO);
    }
    let sum = amount.checked_add(missing).ok_or(Refusal::Overflow)?;
    lot::check_room(book, place, sum, if missing.is_zero() { 1 } else { 2 })?;
    let landing = (wallet, place);
    if !missing.is_zero() {
        make(book, journal, context, landing, application, case, missing);
        application.rolled_over = application.rolled_over.saturating_add(missing);
    }
    let lot = make(book, journal, context, landing, application, case, amount);
    application.lot = Some(lot);
    application.amount = amount;
    Ok(())
}

/// The customer's active general wallet of a currency with the smallest priority; made, if it
/// has none. A customer whose wallets are frozen gets none beside them.
fn target(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    currency: Currency,
) -> Result<(WalletId, usize), Refusal> {
    let general = book.account_in(&currency).map(|account| account.id);
    let wallets = || {
        let of_account = |wallet: &&wallet::Wallet| Some(wallet.account) == general;
        book.wallets.iter().filter(of_account)
    };
    let active = wallets()
        .filter(|wallet| wallet.status == WalletStatus::Active)
        .min_by_key(|wallet| (wallet.priority.is_none(), wallet.priority, wallet.id));
    let wallet = match active {
        Some(wallet) => wallet.clone(),
        None if wallets().any(|wallet| wallet.status == WalletStatus::Frozen) => {
            return Err(Refusal::Conflict {
                code: "wallet_frozen",
                problem: format!("the customer's wallets of {} are frozen", currency.as_str()),
            });
        }
        None => {
            let scale = context.registry.scale(&currency);
            wallet::create(book, journal, context, NewWallet::plain(currency, scale))?
        }
    };
    let place = book.account_place(wallet.account);
    let place = place.ok_or_else(|| Refusal::NotFound {
        what: "account",
        id: wallet.account.to_string(),
    })?;
    Ok((wallet.id, place))
}

fn make(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    (wallet, place): (WalletId, usize),
    application: &Application,
    case: &Case,
    amount: Amount,
) -> crate::id::LotId {
    let (kind, reason) = nature(&case.grant);
    let source = LotSource::Application(GrantedBy {
        application: application.id,
        grant: application.grant,
        subscription: application.subscription,
    });
    let account = book.accounts[place].id;
    let mut made = lot::blank(context, (wallet, account), kind, reason, source);
    made.amount = amount;
    made.free = amount;
    made.priority = case.grant.priority;
    made.effective_at = application.scheduled_for;
    made.expires_at = case.expires_at;
    made.description = Some(case.grant.name.clone());
    let id = made.id;
    let origin = Origin {
        from: LedgerAccount::Funding,
        kind: EntryKind::TopUp,
        reason,
    };
    let made = lot::make(book, journal, context, place, origin, made);
    lot::land(book, journal, context, place, made);
    id
}

fn nature(grant: &Grant) -> (LotKind, ReasonCode) {
    let kind = if grant.is_promotional {
        LotKind::Promotional
    } else {
        LotKind::Granted
    };
    let reason = match grant.scope {
        GrantScope::Plan(_) | GrantScope::Subscription(_) => ReasonCode::SubscriptionCreditGrant,
        GrantScope::Customer(_) => ReasonCode::FreeCreditGrant,
    };
    (kind, reason)
}
