//! Rows with something in every field, drawn from a seed: what a backend forgets to write or
//! to read shows. They make no sense as books; storage knows no rules.

use std::collections::{BTreeMap, BTreeSet};

use creditgate_core::amount::{Amount, Currency, Scale};
use creditgate_ledger::alert::{
    AlertCondition, AlertLevel, AlertSettings, AlertState, AlertThreshold, Crossed,
};
use creditgate_ledger::auto_top_up::{
    AutoTopUp, AutoTopUpRefusal, AutoTopUpState, Fill as TopUpFill,
};
use creditgate_ledger::book::Balances;
use creditgate_ledger::burn_order::{CostBasis, GrantedBy, LotSource};
use creditgate_ledger::chain::{Chain, ChainHash};
use creditgate_ledger::claim::{Claim, ClaimLots, ClaimPurpose};
use creditgate_ledger::id::{
    AccountId, ApplicationId, ClaimId, CustomerId, GrantId, LotId, SubscriptionId, WalletId,
};
use creditgate_ledger::{
    Account, Credits, LedgerAccount, Lot, LotKind, Rate, ReasonCode, Scope, Timestamp, Wallet,
    WalletStatus, WalletType,
};

mod terms;
mod told;

/// Draws values. `full` leaves no option empty.
pub(crate) struct Fill {
    state: u64,
    pub(crate) full: bool,
    next_id: u128,
}

impl Fill {
    pub(crate) fn new(seed: u64, full: bool) -> Self {
        Self {
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            full,
            next_id: 0x10_0000 + (u128::from(seed) << 64),
        }
    }

    /// Ids rise.
    pub(crate) fn id(&mut self) -> u128 {
        self.next_id += 1 + u128::from(self.below(3));
        self.next_id
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % bound
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        let place = usize::try_from(self.below(from.len() as u64)).unwrap();
        from[place].clone()
    }

    pub(crate) fn is(&mut self) -> bool {
        self.below(2) == 1
    }

    pub(crate) fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.full || self.is()).then(|| make(self))
    }

    pub(crate) fn count(&mut self) -> u32 {
        u32::try_from(self.below(1 << 31)).unwrap()
    }

    pub(crate) fn time(&mut self) -> Timestamp {
        Timestamp(i64::try_from(self.below(1 << 40)).unwrap() + 1)
    }

    pub(crate) fn amount(&mut self) -> Amount {
        Amount::new(i64::try_from(self.below(1 << 62)).unwrap() + 1)
    }

    fn priority(&mut self) -> i32 {
        i32::try_from(self.below(2_000)).unwrap() - 1_000
    }

    pub(crate) fn text(&mut self) -> String {
        let odd = [
            "a \"b\"",
            "ü – 漢字 🦀",
            "line\nline\t\\",
            "' OR 1=1 --",
            "%_",
        ];
        let (text, number) = (self.pick(&odd), self.below(1_000));
        format!("{text}{number}")
    }

    /// A name that no other row has.
    pub(crate) fn name(&mut self) -> String {
        let id = self.id();
        format!("{}-{id}", self.text())
    }

    pub(crate) fn metadata(&mut self) -> BTreeMap<String, String> {
        let entries = self.below(3) + u64::from(self.full);
        (0..entries).map(|_| (self.text(), self.text())).collect()
    }

    pub(crate) fn credits(&mut self) -> Credits {
        let text = format!("{}.{}", self.below(1 << 30), self.below(1_000_000_000));
        Credits::parse(&text, Scale::MAX).unwrap()
    }

    fn rate(&mut self) -> Rate {
        let text = format!("{}.{}", self.below(1 << 20), self.below(1_000_000_000) + 1);
        Rate::parse(&text, "/rate").unwrap()
    }

    pub(crate) fn currency(&mut self) -> Currency {
        Currency::new(self.pick(&["tokens", "USD", "EUR"])).unwrap()
    }

    fn reason(&mut self) -> ReasonCode {
        self.pick(&[
            ReasonCode::PurchasedCreditInvoiced,
            ReasonCode::SubscriptionCreditGrant,
            ReasonCode::WalletTransfer,
            ReasonCode::CreditLimit,
        ])
    }

    /// What is never changed once it was written is taken from `old`.
    pub(crate) fn account(&mut self, customer: CustomerId, old: Option<&Account>) -> Account {
        let mut balances = Balances::default();
        for account in LedgerAccount::ALL {
            let sign = if self.is() { 1 } else { -1 };
            balances.add(account, Amount::new(self.amount().get() * sign));
        }
        let mut head = [0; 32];
        head.fill_with(|| u8::try_from(self.below(256)).unwrap());
        let rules = 0..=self.below(3);
        let scope = Scope {
            rules: rules.map(|_| self.name()).collect::<BTreeSet<_>>(),
        };
        let digits = u8::try_from(self.below(10)).unwrap();
        let fresh = Account {
            id: AccountId(self.id()),
            customer,
            currency: self.currency(),
            scale: Scale::new(digits).unwrap(),
            scope,
            version: self.below(u64::MAX),
            last_instant: self.time(),
            balances,
            waiters: Vec::new(),
            chain: Chain {
                entries: self.below(1 << 62),
                head: ChainHash::from_bytes(head),
            },
        };
        match old.cloned() {
            None => fresh,
            Some(old) => Account {
                version: fresh.version,
                last_instant: fresh.last_instant,
                balances: fresh.balances,
                chain: fresh.chain,
                ..old
            },
        }
    }

    fn threshold(&mut self) -> AlertThreshold {
        AlertThreshold {
            threshold: self.credits(),
            condition: self.pick(&[AlertCondition::Above, AlertCondition::Below]),
            hysteresis: self.maybe(Self::credits),
        }
    }

    pub(crate) fn alert_settings(&mut self) -> AlertSettings {
        AlertSettings {
            enabled: self.is(),
            info: self.maybe(Self::threshold),
            warning: self.maybe(Self::threshold),
            critical: self.maybe(Self::threshold),
        }
    }

    fn auto_topup(&mut self) -> AutoTopUp {
        AutoTopUp {
            enabled: self.is(),
            threshold: self.credits(),
            fill: if self.is() {
                TopUpFill::Amount(self.credits())
            } else {
                TopUpFill::Target(self.credits())
            },
            invoicing: self.is(),
            cooldown_ms: self.maybe(|fill| fill.below(1 << 40)),
            per_day_max: self.maybe(Self::count),
            per_month_max: self.maybe(Self::count),
        }
    }

    fn refusal(&mut self) -> AutoTopUpRefusal {
        self.pick(&[AutoTopUpRefusal::Cooldown, AutoTopUpRefusal::LotsMax])
    }

    fn auto_topup_state(&mut self) -> AutoTopUpState {
        AutoTopUpState {
            is_crossed: self.is(),
            is_answered: self.is(),
            last_at: self.maybe(Self::time),
            day: "2026-01-31".to_owned(),
            in_day: self.count(),
            in_month: self.count(),
            pending: self.maybe(|fill| LotId(fill.id())),
            unpaid_at: self.maybe(Self::time),
            refused: self.maybe(Self::refusal),
            told: (0..self.below(3)).map(|_| self.refusal()).collect(),
            retry_at: self.maybe(Self::time),
        }
    }

    pub(crate) fn wallet(&mut self, account: &Account) -> Wallet {
        Wallet {
            id: WalletId(self.id()),
            external_id: self.maybe(Self::name),
            customer: account.customer,
            account: account.id,
            name: self.maybe(Self::text),
            currency: account.currency,
            wallet_type: self.pick(&[WalletType::PrePaid, WalletType::PostPaid]),
            status: self.pick(&[
                WalletStatus::Active,
                WalletStatus::Frozen,
                WalletStatus::Closed,
            ]),
            priority: self.maybe(Self::priority),
            conversion_rate: self.rate(),
            topup_conversion_rate: self.rate(),
            credit_limit: self.amount(),
            auto_topup: self.maybe(Self::auto_topup),
            auto_topup_state: self.auto_topup_state(),
            alert_settings: self.maybe(Self::alert_settings),
            alert_state: AlertState {
                level: self.pick(&[AlertLevel::Ok, AlertLevel::Warning, AlertLevel::InAlarm]),
                sequence: self.below(1 << 62),
                crossed: Crossed {
                    info: self.is(),
                    warning: self.is(),
                    critical: self.is(),
                },
                crossed_of: self.below(u64::MAX),
            },
            metadata: self.metadata(),
            created_at: self.time(),
            closed_at: self.maybe(Self::time),
        }
    }

    fn source(&mut self) -> LotSource {
        let (lot, application) = (LotId(self.id()), ApplicationId(self.id()));
        let by = GrantedBy {
            application,
            grant: GrantId(self.id()),
            subscription: self.maybe(|fill| SubscriptionId(fill.id())),
        };
        let granted_by = self.maybe(|_| by);
        self.pick(&[
            LotSource::TopUp,
            LotSource::AutoTopUp,
            LotSource::Bonus(lot),
            LotSource::Application(by),
            LotSource::Transfer { lot, granted_by },
            LotSource::CreditLimit,
        ])
    }

    fn part(&mut self) -> Amount {
        let amount = self.amount();
        self.pick(&[Amount::ZERO, amount])
    }

    /// Live or not, as its parts say.
    pub(crate) fn lot(&mut self, wallet: &Wallet) -> Lot {
        Lot {
            id: LotId(self.id()),
            external_id: self.maybe(Self::name),
            wallet: wallet.id,
            account: wallet.account,
            kind: self.pick(&[LotKind::Purchased, LotKind::Bonus, LotKind::CreditLine]),
            reason: self.reason(),
            source: self.source(),
            priority: self.maybe(Self::priority),
            effective_at: self.time(),
            expires_at: self.maybe(Self::time),
            created_at: self.time(),
            amount: self.amount(),
            unpaid: self.part(),
            lapses_at: self.maybe(Self::time),
            paid_at: self.maybe(Self::time),
            free: self.part(),
            pinned: self.part(),
            spent: self.part(),
            expired: self.part(),
            withdrawn: self.part(),
            excess: self.part(),
            cost: self.maybe(|fill| CostBasis {
                currency: fill.currency(),
                received: fill.credits().to_string(),
                tax: fill.credits().to_string(),
                reference: fill.maybe(Self::text),
            }),
            voided_at: if self.is() { Some(self.time()) } else { None },
            description: self.maybe(Self::text),
            metadata: self.metadata(),
        }
    }

    /// What is never changed once it was written is taken from `old`.
    pub(crate) fn claim(&mut self, wallet: &Wallet, old: Option<&Claim>) -> Claim {
        let lot = LotId(self.id());
        let fresh = Claim {
            id: ClaimId(self.id()),
            wallet: wallet.id,
            account: wallet.account,
            purpose: self.pick(&[
                ClaimPurpose::Debit,
                ClaimPurpose::Transfer { to: wallet.id },
            ]),
            lots: self.pick(&[ClaimLots::Any, ClaimLots::Purchased, ClaimLots::One(lot)]),
            reason: self.reason(),
            note: self.maybe(Self::text),
            actor: self.text(),
            asked: self.amount(),
            done: self.amount(),
            short: self.amount(),
            created_at: self.time(),
            closed_at: if self.is() { Some(self.time()) } else { None },
        };
        match old.cloned() {
            None => fresh,
            Some(old) => Claim {
                done: fresh.done,
                short: fresh.short,
                closed_at: fresh.closed_at,
                ..old
            },
        }
    }
}
