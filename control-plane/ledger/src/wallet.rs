//! Wallets: making, freezing, thawing.

use std::collections::BTreeMap;

use creditgate_core::amount::{Amount, AmountError, Currency, Scale, parse_decimal};

use crate::book::{Book, Wallet, WalletStatus, WalletType};
use crate::context::Context;
use crate::expiry;
use crate::id::WalletId;
use crate::journal::Journal;
use crate::lend;
use crate::refusal::Refusal;
use crate::report::ensure_account;

/// Most wallets of a customer.
pub const WALLETS_MAX: usize = 100;

/// The digits kept of a conversion rate.
const RATE_SCALE_DIGITS: u8 = 9;

/// What makes a wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWallet {
    /// What it counts in.
    pub currency: Currency,
    /// Digits of that currency.
    pub scale: Scale,
    /// For people.
    pub name: Option<String>,
    /// Amount per credit, decimal text above zero with at most nine digits after the point.
    pub conversion_rate: String,
    /// The operator's own data.
    pub metadata: BTreeMap<String, String>,
}

/// Makes a wallet, and the account it pays into if there is none.
///
/// # Errors
/// A conversion rate that is not above zero, or [`WALLETS_MAX`] wallets.
pub fn create(
    book: &mut Book,
    context: &mut Context<'_>,
    new: NewWallet,
) -> Result<Wallet, Refusal> {
    if book.wallets.len() >= WALLETS_MAX {
        return Err(Refusal::Conflict {
            code: "wallets_max",
            problem: format!("the customer has {WALLETS_MAX} wallets"),
        });
    }
    rate(&new.conversion_rate)?;
    let place = ensure_account(book, context, new.currency, new.scale);
    let wallet = Wallet {
        id: WalletId(context.ids.next()),
        customer: book.customer.id,
        account: book.accounts[place].id,
        name: new.name,
        currency: new.currency,
        wallet_type: WalletType::PrePaid,
        status: WalletStatus::Active,
        conversion_rate: new.conversion_rate,
        metadata: new.metadata,
        created_at: context.now,
    };
    let account = wallet.account;
    book.wallets.push(wallet.clone());
    book.touch(place, context.now);
    book.push(account);
    Ok(wallet)
}

/// The amount that `credits` of a wallet are: credits × conversion rate, half-even.
///
/// # Errors
/// Text that is no decimal, or a product beyond the range of an amount.
pub fn credits_to_amount(wallet: &Wallet, credits: &str, scale: Scale) -> Result<Amount, Refusal> {
    let overflow = Refusal::Overflow;
    let units = parse_decimal(credits, scale).map_err(|error| match error {
        AmountError::Overflow => overflow.clone(),
        other => Refusal::amount("/credits_to_add", &other),
    })?;
    let rate = rate(&wallet.conversion_rate)?;
    let one = 10_i128.pow(u32::from(RATE_SCALE_DIGITS));
    let product = i128::from(units.get()) * i128::from(rate.get());
    let (whole, rest) = (product / one, product % one);
    let up = rest * 2 > one || (rest * 2 == one && whole % 2 == 1);
    i64::try_from(whole + i128::from(up))
        .map(Amount::new)
        .map_err(|_| overflow)
}

/// Freezes a wallet: nothing of it is lent any more, what is lent is recalled.
///
/// # Errors
/// Unknown wallet.
pub fn set_status(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    id: WalletId,
    status: WalletStatus,
) -> Result<Wallet, Refusal> {
    let wallet = book.wallets.iter_mut().find(|wallet| wallet.id == id);
    let wallet = wallet.ok_or_else(|| Refusal::NotFound {
        what: "wallet",
        id: id.to_string(),
    })?;
    wallet.status = status;
    let wallet = wallet.clone();
    if let Some(place) = book.account_place(wallet.account) {
        expiry::pass(book, journal, context, place);
        book.touch(place, context.now);
        book.push(wallet.account);
        lend::settle_waiters(book, journal, context, place);
    }
    Ok(wallet)
}

fn rate(text: &str) -> Result<Amount, Refusal> {
    let scale = Scale::new(RATE_SCALE_DIGITS)
        .map_err(|error| Refusal::amount("/conversion_rate", &error))?;
    let rate =
        parse_decimal(text, scale).map_err(|error| Refusal::amount("/conversion_rate", &error))?;
    if rate <= Amount::ZERO {
        return Err(Refusal::Invalid {
            field: "/conversion_rate",
            code: "conversion_rate_not_positive",
            problem: "must be more than zero".to_owned(),
        });
    }
    Ok(rate)
}
