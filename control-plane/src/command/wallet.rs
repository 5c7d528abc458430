//! Commands on wallets, their lots, and credit that is taken out of them.

use std::collections::{BTreeMap, BTreeSet};

use creditgate_core::amount::{Amount, Currency};
use creditgate_ledger::alert::AlertSettings;
use creditgate_ledger::auto_top_up::AutoTopUp;
use creditgate_ledger::claim::Claim;
use creditgate_ledger::top_up::Voided;
use creditgate_ledger::wallet::Closing;
use creditgate_ledger::{Account, Lot, ReasonCode, Timestamp, Wallet, WalletStatus, WalletType};

use super::Command;
use crate::storage::Target;

/// Something to be written about a wallet.
#[derive(Debug, Clone)]
pub enum WalletCommand {
    /// Makes a wallet.
    Create(Box<CreateWallet>),
    /// Changes a wallet.
    Change(Box<ChangeWallet>),
    /// Freezes or thaws a wallet.
    SetStatus {
        /// Which.
        wallet: Target,
        /// To what.
        status: WalletStatus,
        /// Why.
        reason: Option<String>,
    },
    /// Closes a wallet.
    Close {
        /// Which.
        wallet: Target,
        /// Where credit goes that was paid for; none: it stays.
        transfer_to: Option<Target>,
        /// Why.
        reason: String,
    },
    /// Adds a lot.
    TopUp(Box<TopUpCommand>),
    /// Marks a lot as paid.
    PayLot {
        /// Which.
        lot: Target,
        /// The operator's name for the payment.
        reference: Option<String>,
        /// What the actor says.
        reason: Option<String>,
    },
    /// Changes the order in which a lot burns.
    RankLot {
        /// Which.
        lot: Target,
        /// Smaller burns first; none burns last.
        priority: Option<i32>,
        /// Why.
        reason: Option<String>,
    },
    /// Voids a lot.
    VoidLot {
        /// Which.
        lot: Target,
        /// Why.
        reason: String,
    },
    /// Takes credit out.
    Debit {
        /// Of which wallet.
        wallet: Target,
        /// How much.
        value: HowMuch,
        /// Of which of its lots; none: of all, as they burn.
        lot: Option<Target>,
        /// The reason for revenue recognition.
        reason_code: ReasonCode,
        /// Why.
        reason: String,
    },
    /// Adds credit, or takes some out, to set things right.
    Adjust {
        /// Of which wallet.
        wallet: Target,
        /// How much; below zero it is taken out.
        value: HowMuch,
        /// Why.
        reason: String,
    },
    /// Moves credit to another wallet of the customer.
    Transfer {
        /// Of which wallet.
        wallet: Target,
        /// To which.
        to: Target,
        /// How much.
        value: HowMuch,
        /// Why.
        reason: String,
    },
}

/// What makes a wallet. Credits and rates are decimal text.
#[derive(Debug, Clone)]
pub struct CreateWallet {
    /// Whose.
    pub customer: Target,
    /// The operator's name.
    pub external_id: Option<String>,
    /// What it counts in.
    pub currency: Currency,
    /// For people.
    pub name: Option<String>,
    /// Its place among the wallets of the account.
    pub priority: Option<i32>,
    /// The rules of the rate card it is limited to; none: it pays for all requests.
    pub rules: BTreeSet<String>,
    /// How it is paid.
    pub wallet_type: WalletType,
    /// How far it may be overdrawn, in credits.
    pub credit_limit: Option<String>,
    /// Amount per credit.
    pub conversion_rate: String,
    /// Money paid per credit.
    pub topup_conversion_rate: String,
    /// How it fills itself.
    pub auto_topup: Option<AutoTopUp>,
    /// When its balance is told.
    pub alert_settings: Option<AlertSettings>,
    /// The operator's own data.
    pub metadata: BTreeMap<String, String>,
}

impl CreateWallet {
    /// A general pre-paid wallet with rates of 1.
    #[must_use]
    pub fn plain(customer: Target, currency: Currency) -> Self {
        Self {
            customer,
            external_id: None,
            currency,
            name: None,
            priority: None,
            rules: BTreeSet::new(),
            wallet_type: WalletType::PrePaid,
            credit_limit: None,
            conversion_rate: "1".to_owned(),
            topup_conversion_rate: "1".to_owned(),
            auto_topup: None,
            alert_settings: None,
            metadata: BTreeMap::new(),
        }
    }
}

/// A change of a wallet; what is `None` stays, `Some(None)` takes it away.
#[derive(Debug, Clone)]
pub struct ChangeWallet {
    /// Which.
    pub wallet: Target,
    /// For people.
    pub name: Option<Option<String>>,
    /// Its place among the wallets of the account.
    pub priority: Option<Option<i32>>,
    /// How far it may be overdrawn, in credits.
    pub credit_limit: Option<String>,
    /// How it fills itself.
    pub auto_topup: Option<Option<AutoTopUp>>,
    /// When its balance is told.
    pub alert_settings: Option<Option<AlertSettings>>,
    /// The operator's own data, replaced as a whole.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Why.
    pub reason: Option<String>,
}

/// What a top-up adds.
#[derive(Debug, Clone)]
pub struct TopUpCommand {
    /// Into which wallet.
    pub wallet: Target,
    /// How much.
    pub value: HowMuch,
    /// Why.
    pub reason: ReasonCode,
    /// The operator's name for the lot.
    pub external_id: Option<String>,
    /// Smaller burns first.
    pub priority: Option<i32>,
    /// From when.
    pub effective_at: Option<Timestamp>,
    /// Until when.
    pub expires_at: Option<Timestamp>,
    /// What was, or is to be, paid; none: by the wallet's price of a credit.
    pub paid: Option<Paid>,
    /// What comes on top, in credits; none: as the settings say.
    pub bonus_credits: Option<String>,
    /// What the operator says of it.
    pub description: Option<String>,
    /// The operator's own data.
    pub metadata: BTreeMap<String, String>,
}

impl TopUpCommand {
    /// Credit at once and for ever.
    #[must_use]
    pub const fn new(wallet: Target, value: HowMuch, reason: ReasonCode) -> Self {
        Self {
            wallet,
            value,
            reason,
            external_id: None,
            priority: None,
            effective_at: None,
            expires_at: None,
            paid: None,
            bonus_credits: None,
            description: None,
            metadata: BTreeMap::new(),
        }
    }
}

/// Money for a purchase, as decimal text.
#[derive(Debug, Clone)]
pub struct Paid {
    /// How much, without tax.
    pub amount: String,
    /// Tax on it; nothing if none.
    pub tax: Option<String>,
    /// What money; the wallet's currency if none.
    pub currency: Option<Currency>,
    /// The operator's name for the payment.
    pub reference: Option<String>,
}

/// How much credit, as decimal text.
#[derive(Debug, Clone)]
pub enum HowMuch {
    /// In credits of the wallet.
    Credits(String),
    /// In the wallet's currency.
    Amount(String),
}

/// A wallet with all that showing it needs.
#[derive(Debug, Clone)]
pub struct WalletNow {
    /// The wallet.
    pub wallet: Wallet,
    /// Its account.
    pub account: Account,
    /// available + lent + held.
    pub balance: Amount,
    /// What is used of its credit limit and not repaid.
    pub owed: Amount,
    /// The customer's.
    pub time_zone: String,
    /// The instant of all this.
    pub at: Timestamp,
}

/// A lot with all that showing it needs.
#[derive(Debug, Clone)]
pub struct LotNow {
    /// The lot.
    pub lot: Lot,
    /// Its wallet.
    pub wallet: Wallet,
    /// Its account.
    pub account: Account,
    /// The lot that came on top of it.
    pub bonus: Option<Lot>,
    /// The instant of all this.
    pub at: Timestamp,
}

/// What came of a command on a wallet.
#[derive(Debug, Clone)]
pub enum WalletOutcome {
    /// A wallet.
    Wallet(WalletNow),
    /// A closed wallet, and what became of its credit.
    Closed(WalletNow, Closing),
    /// A lot.
    Lot(LotNow),
    /// A voided lot, and what became of it.
    Voided(LotNow, Voided),
    /// Credit that was taken, or is yet to be.
    Claim(WalletNow, Claim),
}

impl WalletOutcome {
    /// The id of the object that was made or changed.
    #[must_use]
    pub fn subject(&self) -> String {
        match self {
            Self::Wallet(now) | Self::Closed(now, _) => now.wallet.id.to_string(),
            Self::Lot(now) | Self::Voided(now, _) => now.lot.id.to_string(),
            Self::Claim(_, claim) => claim.id.to_string(),
        }
    }

    /// The wallet.
    #[must_use]
    pub const fn wallet(&self) -> &Wallet {
        match self {
            Self::Wallet(now) | Self::Closed(now, _) | Self::Claim(now, _) => &now.wallet,
            Self::Lot(now) | Self::Voided(now, _) => &now.wallet,
        }
    }
}

impl From<WalletCommand> for Command {
    fn from(command: WalletCommand) -> Self {
        Self::Wallet(command)
    }
}

impl WalletCommand {
    /// What it is called in metrics and in the audit log.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Create(_) => "create_wallet",
            Self::Change(_) => "change_wallet",
            Self::SetStatus { .. } => "set_wallet_status",
            Self::Close { .. } => "close_wallet",
            Self::TopUp(_) => "top_up",
            Self::PayLot { .. } => "pay_lot",
            Self::RankLot { .. } => "change_lot",
            Self::VoidLot { .. } => "void_lot",
            Self::Debit { .. } => "debit_wallet",
            Self::Adjust { .. } => "adjust_wallet",
            Self::Transfer { .. } => "transfer",
        }
    }

    /// Why, as far as the client said so.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Create(_) | Self::TopUp(_) => None,
            Self::Change(change) => change.reason.as_deref(),
            Self::SetStatus { reason, .. }
            | Self::PayLot { reason, .. }
            | Self::RankLot { reason, .. } => reason.as_deref(),
            Self::Close { reason, .. }
            | Self::VoidLot { reason, .. }
            | Self::Debit { reason, .. }
            | Self::Adjust { reason, .. }
            | Self::Transfer { reason, .. } => Some(reason),
        }
    }

    /// Which books it needs: the one it changes first; then, those whose rows may have a
    /// name that it gives.
    #[must_use]
    pub fn targets(&self) -> Vec<Target> {
        match self {
            Self::Create(new) => {
                let name = new.external_id.clone().map(Target::WalletName);
                std::iter::once(new.customer.clone()).chain(name).collect()
            }
            Self::TopUp(top_up) => {
                let name = top_up.external_id.clone().map(Target::LotName);
                std::iter::once(top_up.wallet.clone()).chain(name).collect()
            }
            Self::Change(change) => vec![change.wallet.clone()],
            Self::SetStatus { wallet, .. }
            | Self::Close { wallet, .. }
            | Self::Debit { wallet, .. }
            | Self::Adjust { wallet, .. }
            | Self::Transfer { wallet, .. } => vec![wallet.clone()],
            Self::PayLot { lot, .. } | Self::RankLot { lot, .. } | Self::VoidLot { lot, .. } => {
                vec![lot.clone()]
            }
        }
    }
}
