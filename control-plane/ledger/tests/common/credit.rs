//! What operators do with wallets, lots and claims.

use creditgate_ledger::alert::AlertSettings;
use creditgate_ledger::auto_top_up::AutoTopUp;
use creditgate_ledger::claim::{self, Claim, ClaimLots, ClaimPurpose, NewClaim};
use creditgate_ledger::id::{ClaimId, LotId, WalletId};
use creditgate_ledger::wallet::{self, Closing, NewWallet, PaidCredit, WalletChange};
use creditgate_ledger::{
    Book, Context, Event, EventKind, Journal, Lot, ReasonCode, Refusal, Wallet, WalletType, balance,
};

use super::{Bench, amount};

impl Bench {
    /// Runs a decision on a copy, as the service does: refused, it leaves nothing behind.
    pub(crate) fn attempt<T>(
        &mut self,
        decide: impl FnOnce(&mut Book, &mut Journal, &mut Context<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let before = (self.book.clone(), self.journal.clone());
        let replays = (self.replays.clone(), self.replayed);
        let outcome = self.run(decide);
        if outcome.is_err() {
            (self.book, self.journal) = before;
            (self.replays, self.replayed) = replays;
        }
        outcome
    }

    /// The wallet that every bench has.
    pub(crate) fn first(&self) -> WalletId {
        self.book.wallets[0].id
    }

    /// Another wallet in the same currency.
    pub(crate) fn open(&mut self, change: impl FnOnce(&mut NewWallet)) -> WalletId {
        let first = self.book.wallets[0].currency;
        let mut new = NewWallet::plain(first, self.book.accounts[0].scale);
        change(&mut new);
        let made = self.run(|book, journal, context| wallet::create(book, journal, context, new));
        made.unwrap().id
    }

    /// A post-paid wallet with this limit.
    pub(crate) fn open_post_paid(&mut self, limit: i64) -> WalletId {
        self.open(|new| {
            new.wallet_type = WalletType::PostPaid;
            new.credit_limit = amount(limit);
        })
    }

    pub(crate) fn change(&mut self, id: WalletId, change: WalletChange) -> Result<Wallet, Refusal> {
        self.run(|book, journal, context| wallet::change(book, journal, context, id, change))
    }

    /// Gives a wallet terms by which it fills itself.
    pub(crate) fn fill_by(&mut self, id: WalletId, terms: Option<AutoTopUp>) {
        let change = WalletChange {
            auto_topup: Some(terms),
            ..WalletChange::default()
        };
        self.change(id, change).unwrap();
    }

    /// Gives a wallet alerts of its own.
    pub(crate) fn alert_by(&mut self, id: WalletId, settings: Option<AlertSettings>) {
        let change = WalletChange {
            alert_settings: Some(settings),
            ..WalletChange::default()
        };
        self.change(id, change).unwrap();
    }

    pub(crate) fn set_limit(&mut self, id: WalletId, limit: i64) -> Wallet {
        let change = WalletChange {
            credit_limit: Some(amount(limit)),
            ..WalletChange::default()
        };
        self.change(id, change).unwrap()
    }

    pub(crate) fn close(&mut self, id: WalletId, paid: PaidCredit) -> Result<Closing, Refusal> {
        self.run(|book, journal, context| {
            wallet::close(book, journal, context, id, paid, "no longer needed")
        })
    }

    pub(crate) fn claim(&mut self, new: NewClaim) -> Result<Claim, Refusal> {
        self.run(|book, journal, context| claim::open(book, journal, context, new))
    }

    pub(crate) fn debit(&mut self, wallet: WalletId, units: i64) -> Result<Claim, Refusal> {
        self.claim(debit_of(wallet, units))
    }

    pub(crate) fn transfer(
        &mut self,
        wallet: WalletId,
        to: WalletId,
        units: i64,
    ) -> Result<Claim, Refusal> {
        self.claim(NewClaim {
            purpose: ClaimPurpose::Transfer { to },
            reason: ReasonCode::WalletTransfer,
            ..debit_of(wallet, units)
        })
    }

    pub(crate) fn lot(&self, id: LotId) -> &Lot {
        self.book.lot(id).unwrap()
    }

    pub(crate) fn lots_of(&self, wallet: WalletId) -> Vec<&Lot> {
        let lots = self.book.lots.iter();
        lots.filter(|lot| lot.wallet == wallet).collect()
    }

    pub(crate) fn claimed(&self, id: ClaimId) -> &Claim {
        claim::of(&self.book, id).unwrap()
    }

    /// available + lent + held of a wallet.
    pub(crate) fn has(&self, wallet: WalletId) -> i64 {
        self.parts(wallet).balance().get()
    }

    pub(crate) fn parts(&self, wallet: WalletId) -> balance::Parts {
        let account = self.book.wallet(wallet).unwrap().account;
        balance::parts(&self.book, account, Some(wallet), self.now)
    }

    /// The events of a kind that were told.
    pub(crate) fn told(&self, kind: EventKind) -> Vec<&Event> {
        let events = self.journal.events.iter();
        events.filter(|event| event.kind == kind).collect()
    }
}

pub(crate) fn debit_of(wallet: WalletId, units: i64) -> NewClaim {
    NewClaim {
        wallet,
        purpose: ClaimPurpose::Debit,
        lots: ClaimLots::Any,
        reason: ReasonCode::ManualBalanceDebit,
        note: Some("asked by mail".into()),
        asked: amount(units),
    }
}

/// The code of a refusal.
pub(crate) fn code<T: std::fmt::Debug>(refused: Result<T, Refusal>) -> &'static str {
    refused.unwrap_err().code()
}
