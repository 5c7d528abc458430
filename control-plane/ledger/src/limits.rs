//! Limited accounts: who pays where a customer has wallets limited to rules of the rate card.
//!
//! A request of a rule that some account is limited to is paid by that account, and by the
//! general one if that account can't; always by one of them as a whole. The gateway decides
//! it, since only the gateway knows what its cells hold. What it needs to know comes with
//! the answer to its question for a credential, and the credential version grows when that
//! changes. So customers without limited wallets cost a gateway nothing, whatever others have.

use creditgate_core::amount::{Amount, Currency};
use creditgate_core::protocol::LimitedAccount;

use crate::book::{Account, Book, Scope};
use crate::credential;
use crate::lend;
use crate::refusal::Refusal;
use crate::time::Timestamp;
use crate::wallet::WalletStatus;

/// Most rules that the limited accounts of one customer and currency name together: each
/// worker of each gateway keeps them for each of the customer's keys.
pub const LIMITED_RULES_MAX: usize = 256;

/// The limited accounts of a currency that have a wallet which is not closed.
pub fn accounts<'b>(book: &'b Book, currency: &Currency) -> impl Iterator<Item = &'b Account> {
    let currency = *currency;
    book.accounts.iter().filter(move |account| {
        let is_open = |id| {
            let mut wallets = book.wallets.iter();
            wallets.any(|wallet| wallet.account == id && wallet.status != WalletStatus::Closed)
        };
        account.currency == currency && !account.scope.is_general() && is_open(account.id)
    })
}

/// The account that is limited to a rule, if there is one.
#[must_use]
pub fn account_for<'b>(book: &'b Book, currency: &Currency, rule: &str) -> Option<&'b Account> {
    accounts(book, currency).find(|account| account.scope.rules.contains(rule))
}

/// What gateways are told of a customer's limited accounts.
#[must_use]
pub fn told(book: &Book, currency: &Currency) -> Vec<LimitedAccount> {
    accounts(book, currency)
        .map(|account| LimitedAccount {
            account: account.id,
            rules: account.scope.rules.iter().cloned().collect(),
        })
        .collect()
}

/// What the general account is to lend for a first request of `rule` that costs `need`:
/// nothing if a limited account has it, which then pays.
#[must_use]
pub fn need_of_general(
    book: &Book,
    currency: &Currency,
    rule: Option<&str>,
    need: Amount,
    now: Timestamp,
) -> Amount {
    let limited = rule.and_then(|rule| account_for(book, currency, rule));
    let pays = |account: &Account| {
        book.block(account.id).is_none() && lend::balance(book, account.id, now) >= need
    };
    if limited.is_some_and(pays) {
        Amount::ZERO
    } else {
        need
    }
}

/// Whether the general account pays at once what a limited one lacks: then nobody need wait
/// for what other gateways' requests might yet give back to the limited one.
pub(crate) fn general_pays(book: &Book, place: usize, need: Amount, now: Timestamp) -> bool {
    let account = &book.accounts[place];
    let general = book.account_in(&account.currency);
    !account.scope.is_general()
        && general.is_some_and(|general| {
            book.block(general.id).is_none() && lend::free(book, general.id, now) >= need
        })
}

/// A wallet of the account was made or closed: gateways ask again for every key of the
/// customer, and hear of its limited accounts.
pub fn changed(book: &mut Book, place: usize, now: Timestamp) {
    let is_limited = book
        .accounts
        .get(place)
        .is_some_and(|account| !account.scope.is_general());
    if is_limited {
        credential::forget(book, now);
    }
}

/// Whether one more account of this scope stays within [`LIMITED_RULES_MAX`].
///
/// # Errors
/// [`Refusal::Conflict`] `limited_rules_max`.
pub fn check(book: &Book, currency: &Currency, scope: &Scope) -> Result<(), Refusal> {
    let others = accounts(book, currency).filter(|account| account.scope != *scope);
    let known: usize = others.map(|account| account.scope.rules.len()).sum();
    if known.saturating_add(scope.rules.len()) <= LIMITED_RULES_MAX {
        return Ok(());
    }
    Err(Refusal::Conflict {
        code: "limited_rules_max",
        problem: format!(
            "the customer's wallets in {currency} are limited to {known} rules already, and may be to {LIMITED_RULES_MAX}; \
             limit this wallet to fewer, or close another"
        ),
    })
}
