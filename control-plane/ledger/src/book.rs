//! A customer's book: everything a decision about the customer may look at or change.
//!
//! It holds the live rows only: a lot that is used up, expired or voided, and a lease that
//! is closed and not the newest of its instance, are history and not loaded.

use std::collections::{BTreeMap, BTreeSet};

use creditgate_core::amount::{Amount, Currency, Scale};
use creditgate_core::lease::LeaseNumber;
use creditgate_core::outage::OnUnavailable;
use creditgate_core::protocol::{Block, EnforcementMode};
use serde::{Deserialize, Serialize};

use crate::burn_order::{BurnKey, Lot};
use crate::chain::Chain;
use crate::claim::Claim;
use crate::credential::ConsumerKey;
use crate::grant::{Application, Grant, Schedule};
use crate::id::{AccountId, CustomerId, InstanceId, LotId, WalletId};
use crate::journal::LedgerAccount;
use crate::lease::{Lease, LeaseState};
use crate::pricing::PricingVersion;
use crate::subscription::Subscription;
use crate::time::Timestamp;
use crate::wallet::{Wallet, WalletStatus};

/// Who pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// The id.
    pub id: CustomerId,
    /// The operator's name; unique.
    pub external_id: String,
    /// For people.
    pub name: Option<String>,
    /// IANA time zone.
    pub time_zone: String,
    /// Whether the customer may spend.
    pub status: CustomerStatus,
    /// Whether refusals are carried out.
    pub mode: EnforcementMode,
    /// What befalls its requests when the control plane does not answer; none leaves it to
    /// rule and filter.
    pub on_unavailable: Option<OnUnavailable>,
    /// Grows whenever a key is revoked, rotated or moved, a limited account comes or goes, or the
    /// pricing changes: gateways then ask for every key again.
    pub credential_version: u32,
    /// The operator's own data.
    pub metadata: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Whether a customer may spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CustomerStatus {
    /// Yes.
    Active,
    /// Suspended by an operator.
    Suspended,
}

/// What gateways see: customer × currency × scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The id.
    pub id: AccountId,
    /// Whose.
    pub customer: CustomerId,
    /// What it counts in.
    pub currency: Currency,
    /// Digits after the point.
    pub scale: Scale,
    /// Which requests it pays for.
    pub scope: Scope,
    /// Grows with every change that a gateway may need to know.
    pub version: u64,
    /// The instant of the last decision; time never goes back for an account.
    pub last_instant: Timestamp,
    /// The balances of the journal's accounts.
    pub balances: Balances,
    /// Gateways whose need could not be met at once, in order.
    pub waiters: Vec<Waiter>,
    /// How far the chain of its entries has come.
    pub chain: Chain,
}

/// Which requests an account pays for: those of some rules of the rate card, or, if it names
/// none, all those that no other account of the customer and currency is limited to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scope {
    /// The ids of the rules.
    pub rules: BTreeSet<String>,
}

impl Scope {
    /// All requests.
    #[must_use]
    pub fn general() -> Self {
        Self::default()
    }

    /// Whether it is limited to no rules.
    #[must_use]
    pub fn is_general(&self) -> bool {
        self.rules.is_empty()
    }
}

/// A need that credit is being recalled for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiter {
    /// Which process.
    pub instance: InstanceId,
    /// Which lease is to get the credit.
    pub lease: LeaseNumber,
    /// What must remain in the lease for it to go on.
    pub need: Amount,
    /// Nobody waits any more after this.
    pub until: Timestamp,
}

/// Most waiters of an account; one more is told its ceiling instead.
pub const WAITERS_MAX: usize = 64;

/// The balance of each of the journal's accounts; the cache of its postings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Balances {
    sums: [Amount; LedgerAccount::ALL.len()],
}

impl Balances {
    /// The balance of one account.
    #[must_use]
    pub fn get(&self, account: LedgerAccount) -> Amount {
        self.sums[account as usize]
    }

    /// Posts to one account.
    pub fn add(&mut self, account: LedgerAccount, amount: Amount) {
        let sum = &mut self.sums[account as usize];
        *sum = sum.saturating_add(amount);
    }

    /// All that was ever funded: paid in or given, lent on a credit limit, transferred in.
    #[must_use]
    pub fn funded(&self) -> Amount {
        Amount::ZERO
            .saturating_sub(self.get(LedgerAccount::Funding))
            .saturating_sub(self.get(LedgerAccount::CreditLine))
            .saturating_sub(self.get(LedgerAccount::Transferred))
    }

    /// What is owed.
    #[must_use]
    pub fn owed(&self) -> Amount {
        Amount::ZERO.saturating_sub(self.get(LedgerAccount::Debt))
    }

    /// Invariant 2: all accounts together are zero.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.sums
            .iter()
            .map(|sum| i128::from(sum.get()))
            .sum::<i128>()
            == 0
    }
}

/// Everything about one customer that decisions need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Book {
    /// Who.
    pub customer: Customer,
    /// All wallets.
    pub wallets: Vec<Wallet>,
    /// All accounts.
    pub accounts: Vec<Account>,
    /// Live lots: something is free or pinned.
    pub lots: Vec<Lot>,
    /// Leases that are not closed, and the newest of each instance.
    pub leases: Vec<Lease>,
    /// Keys that are not revoked.
    pub keys: Vec<ConsumerKey>,
    /// Claims that are open.
    pub claims: Vec<Claim>,
    /// Subscriptions that are not cancelled.
    pub subscriptions: Vec<Subscription>,
    /// Grants of the customer and of its subscriptions that are not archived. Those of plans
    /// are in the registry.
    pub grants: Vec<Grant>,
    /// Where each grant, also of a plan, stands with the customer; those with a next application.
    pub schedules: Vec<Schedule>,
    /// Applications that are to be tried again.
    pub applications: Vec<Application>,
    /// What the customer pays otherwise than the rate cards say; none if that was never set.
    pub pricing: Option<PricingVersion>,
    /// Versions of the pricing that were replaced since the book was loaded, oldest first.
    pub replaced_pricings: Vec<PricingVersion>,
}

impl Book {
    /// An account by id.
    #[must_use]
    pub fn account(&self, id: AccountId) -> Option<&Account> {
        self.accounts.iter().find(|account| account.id == id)
    }

    /// A book of a customer that has nothing yet.
    #[must_use]
    pub const fn of(customer: Customer) -> Self {
        Self {
            customer,
            wallets: Vec::new(),
            accounts: Vec::new(),
            lots: Vec::new(),
            leases: Vec::new(),
            keys: Vec::new(),
            claims: Vec::new(),
            subscriptions: Vec::new(),
            grants: Vec::new(),
            schedules: Vec::new(),
            applications: Vec::new(),
            pricing: None,
            replaced_pricings: Vec::new(),
        }
    }

    /// The general account of a currency.
    #[must_use]
    pub fn account_in(&self, currency: &Currency) -> Option<&Account> {
        self.accounts
            .iter()
            .find(|account| account.currency == *currency && account.scope.is_general())
    }

    /// A wallet by id.
    #[must_use]
    pub fn wallet(&self, id: WalletId) -> Option<&Wallet> {
        self.wallets.iter().find(|wallet| wallet.id == id)
    }

    /// A lot by id.
    #[must_use]
    pub fn lot(&self, id: LotId) -> Option<&Lot> {
        self.lots.iter().find(|lot| lot.id == id)
    }

    /// The place of a lot in the order in which lots burn.
    #[must_use]
    pub fn burn_key(&self, lot: &Lot) -> BurnKey {
        let wallet = self.wallet(lot.wallet);
        lot.burn_key(wallet.and_then(|wallet| wallet.priority))
    }

    /// The place of an account; decisions that change several rows go by places.
    #[must_use]
    pub fn account_place(&self, id: AccountId) -> Option<usize> {
        self.accounts.iter().position(|account| account.id == id)
    }

    /// The place of an instance's lease of an account.
    #[must_use]
    pub fn lease_place(
        &self,
        account: AccountId,
        instance: InstanceId,
        number: LeaseNumber,
    ) -> Option<usize> {
        self.leases.iter().position(|lease| {
            lease.account == account && lease.instance == instance && lease.number == number
        })
    }

    /// Leases of an account that hold credit gateways may still use or return.
    pub fn lending_leases(&self, account: AccountId) -> impl Iterator<Item = &Lease> {
        self.leases.iter().filter(move |lease| {
            lease.account == account
                && matches!(lease.state, LeaseState::Open | LeaseState::Draining)
        })
    }

    /// Why the account may not spend, whatever it has.
    #[must_use]
    pub fn block(&self, account: AccountId) -> Option<Block> {
        if self.customer.status == CustomerStatus::Suspended {
            return Some(Block::CustomerSuspended);
        }
        let wallets = self
            .wallets
            .iter()
            .filter(|wallet| wallet.account == account);
        // An account is as usable as its most usable wallet.
        let statuses = wallets.map(|wallet| wallet.status);
        match statuses.min().unwrap_or(WalletStatus::Active) {
            WalletStatus::Active => None,
            WalletStatus::Frozen => Some(Block::WalletFrozen),
            WalletStatus::Closed => Some(Block::WalletClosed),
        }
    }

    /// Notes that gateways must hear of a change of this account: each of its leases is pushed.
    pub fn push(&mut self, account: AccountId) {
        for lease in self
            .leases
            .iter_mut()
            .filter(|lease| lease.account == account)
        {
            lease.pushes = lease.pushes.saturating_add(1);
        }
    }

    /// Starts a decision about an account: time moves on and the version grows.
    pub fn touch(&mut self, account: usize, now: Timestamp) {
        if let Some(account) = self.accounts.get_mut(account) {
            account.version = account.version.saturating_add(1);
            account.last_instant = account.last_instant.max(now);
        }
    }

    /// The instant at which a command that arrives at `clock` takes place.
    #[must_use]
    pub fn instant(&self, clock: Timestamp) -> Timestamp {
        self.accounts
            .iter()
            .fold(clock, |latest, account| latest.max(account.last_instant))
    }
}
