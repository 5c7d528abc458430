//! Wallets: a customer's purses, several in a currency if wanted.
//!
//! Each pays into an account, which is what gateways see. How wallets come to be is in
//! [`open`], how they are frozen and thawed in [`status`], what may be changed of them in
//! [`change`], and how they end in [`close`].

use std::collections::BTreeMap;

use creditgate_core::amount::{Amount, Currency, Scale};
use serde::{Deserialize, Serialize};

mod change;
mod close;
mod open;
mod status;

pub use change::{WalletChange, change};
pub use close::{Closing, PaidCredit, close};
pub use open::{SCOPE_RULES_MAX, create};
pub use status::set_status;

use crate::alert::{AlertSettings, AlertState};
use crate::auto_top_up::{AutoTopUp, AutoTopUpState};
use crate::book::{Book, Scope};
use crate::credits::Rate;
use crate::id::{AccountId, CustomerId, WalletId};
use crate::refusal::Refusal;
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
    /// How it is paid.
    pub wallet_type: WalletType,
    /// How far it may be overdrawn, if it is post-paid.
    pub credit_limit: Amount,
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
            wallet_type: WalletType::PrePaid,
            credit_limit: Amount::ZERO,
            conversion_rate: Rate::default(),
            topup_conversion_rate: Rate::default(),
            auto_topup: None,
            alert_settings: None,
            metadata: BTreeMap::new(),
        }
    }
}

/// The place of a wallet.
///
/// # Errors
/// [`Refusal::NotFound`].
pub(crate) fn place_of(book: &Book, id: WalletId) -> Result<usize, Refusal> {
    let found = book.wallets.iter().position(|wallet| wallet.id == id);
    found.ok_or_else(|| Refusal::NotFound {
        what: "wallet",
        id: id.to_string(),
    })
}

/// The places of a wallet that is not closed and of its account.
///
/// # Errors
/// [`Refusal::NotFound`]; `wallet_closed`.
pub(crate) fn open_place(book: &Book, id: WalletId) -> Result<(usize, usize), Refusal> {
    let found = place_of(book, id)?;
    let wallet = &book.wallets[found];
    if wallet.status == WalletStatus::Closed {
        return Err(Refusal::Conflict {
            code: "wallet_closed",
            problem: format!("wallet {id} is closed; use another"),
        });
    }
    Ok((found, account_place(book, wallet)?))
}

/// The place of a wallet's account.
///
/// # Errors
/// [`Refusal::NotFound`].
pub(crate) fn account_place(book: &Book, wallet: &Wallet) -> Result<usize, Refusal> {
    let found = book.account_place(wallet.account);
    found.ok_or_else(|| Refusal::NotFound {
        what: "account",
        id: wallet.account.to_string(),
    })
}
