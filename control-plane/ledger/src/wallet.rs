//! Wallets: making, freezing, thawing.

use std::collections::BTreeMap;

use creditgate_core::amount::{Amount, Currency, Scale};
use serde::{Deserialize, Serialize};

use crate::alert::{AlertSettings, AlertState};
use crate::auto_top_up::{AutoTopUp, AutoTopUpState};
use crate::book::{Book, Scope};
use crate::context::Context;
use crate::credits::Rate;
use crate::expiry;
use crate::fact::Fact;
use crate::id::{AccountId, CustomerId, WalletId};
use crate::journal::{About, Journal, ReasonCode};
use crate::lend;
use crate::limits;
use crate::refusal::Refusal;
use crate::report::ensure_account;
use crate::time::Timestamp;

/// Most wallets of a customer.
pub const WALLETS_MAX: usize = 100;

/// A customer's purse in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wallet {
    /// The id.
    pub id: WalletId,
    /// The operator's name; unique.
    pub external_id: Option<String>,
    /// Whose.
    pub customer: CustomerId,
    /// The account its lots pay into.
    pub account: AccountId,
    /// For people.
    pub name: Option<String>,
    /// What it counts in.
    pub currency: Currency,
    /// How it is paid.
    pub wallet_type: WalletType,
    /// Whether it may be spent from.
    pub status: WalletStatus,
    /// Wallets of an account burn by this, smaller first, none last; those that have the same
    /// burn together.
    pub priority: Option<i32>,
    /// Amount per credit; fixed for the wallet's life.
    pub conversion_rate: Rate,
    /// Money paid per credit, in the wallet's currency.
    pub topup_conversion_rate: Rate,
    /// How far a post-paid wallet may be overdrawn.
    pub credit_limit: Amount,
    /// How it fills itself.
    pub auto_topup: Option<AutoTopUp>,
    /// How that went so far.
    pub auto_topup_state: AutoTopUpState,
    /// When its balance is told; none: as the settings say.
    pub alert_settings: Option<AlertSettings>,
    /// What was told last.
    pub alert_state: AlertState,
    /// The operator's own data.
    pub metadata: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
}

/// How a wallet is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WalletType {
    /// Credit is bought before it is used.
    PrePaid,
    /// Credit is used up to a limit, and paid afterwards.
    PostPaid,
}

/// Whether a wallet may be spent from; in order, the most usable first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WalletStatus {
    /// Yes.
    Active,
    /// Not now.
    Frozen,
    /// Never again.
    Closed,
}

/// What makes a wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWallet {
    /// The operator's name.
    pub external_id: Option<String>,
    /// What it counts in.
    pub currency: Currency,
    /// Digits of that currency.
    pub scale: Scale,
    /// The rules of the rate card it is limited to; none: it pays for all requests.
    pub scope: Scope,
    /// For people.
    pub name: Option<String>,
    /// Its place among the wallets of the account.
    pub priority: Option<i32>,
    /// Amount per credit.
    pub conversion_rate: Rate,
    /// Money paid per credit.
    pub topup_conversion_rate: Rate,
    /// How it fills itself.
    pub auto_topup: Option<AutoTopUp>,
    /// When its balance is told.
    pub alert_settings: Option<AlertSettings>,
    /// The operator's own data.
    pub metadata: BTreeMap<String, String>,
}

impl NewWallet {
    /// A general pre-paid wallet with rates of 1.
    #[must_use]
    pub fn plain(currency: Currency, scale: Scale) -> Self {
        Self {
            external_id: None,
            currency,
            scale,
            scope: Scope::general(),
            name: None,
            priority: None,
            conversion_rate: Rate::default(),
            topup_conversion_rate: Rate::default(),
            auto_topup: None,
            alert_settings: None,
            metadata: BTreeMap::new(),
        }
    }
}

/// Makes a wallet, and the account it pays into if there is none.
///
/// # Errors
/// A conversion rate that is not above zero, or [`WALLETS_MAX`] wallets.
pub fn create(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    new: NewWallet,
) -> Result<Wallet, Refusal> {
    if book.wallets.len() >= WALLETS_MAX {
        return Err(Refusal::Conflict {
            code: "wallets_max",
            problem: format!("the customer has {WALLETS_MAX} wallets"),
        });
    }
    limits::check(book, &new.currency, &new.scope)?;
    let place = ensure_account(book, context, new.currency, new.scale, new.scope);
    let wallet = Wallet {
        id: WalletId(context.ids.next()),
        external_id: new.external_id,
        customer: book.customer.id,
        account: book.accounts[place].id,
        name: new.name,
        currency: new.currency,
        wallet_type: WalletType::PrePaid,
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
    };
    let account = wallet.account;
    let fact = Fact::WalletOpened {
        wallet: wallet.id,
        wallet_type: wallet.wallet_type,
        priority: wallet.priority,
    };
    let about = About {
        wallet: Some(wallet.id),
        ..About::default()
    };
    journal.note(
        context,
        &mut book.accounts[place],
        ReasonCode::WalletOpened,
        fact,
        about,
    );
    book.wallets.push(wallet.clone());
    book.touch(place, context.now);
    book.push(account);
    limits::changed(book, place, context.now);
    Ok(wallet)
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
    reason: Option<&str>,
) -> Result<Wallet, Refusal> {
    let wallet = book.wallets.iter_mut().find(|wallet| wallet.id == id);
    let wallet = wallet.ok_or_else(|| Refusal::NotFound {
        what: "wallet",
        id: id.to_string(),
    })?;
    let from = wallet.status;
    wallet.status = status;
    let wallet = wallet.clone();
    if let Some(place) = book.account_place(wallet.account) {
        expiry::pass(book, journal, context, place);
        if from != status {
            let fact = Fact::WalletStatus {
                wallet: id,
                from,
                to: status,
            };
            let about = About {
                wallet: Some(id),
                note: reason.map(str::to_owned),
                ..About::default()
            };
            journal.note(
                context,
                &mut book.accounts[place],
                ReasonCode::WalletStatusChanged,
                fact,
                about,
            );
        }
        book.touch(place, context.now);
        book.push(wallet.account);
        if from != status && status == WalletStatus::Closed {
            limits::changed(book, place, context.now);
        }
        lend::settle_waiters(book, journal, context, place);
    }
    Ok(wallet)
}
