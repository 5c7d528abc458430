//! Whatever operators do with wallets, lots, limits and claims while gateways spend: the books
//! stay sound, the journal replays to them, and no credit appears or is lost.
//!
//! [`common::Bench::run`] holds every decision to the invariants and to the journal. Here a
//! second tally is kept of what was put in and what gateways used, which the books must have.

mod common;

use std::collections::BTreeMap;

use common::credit::debit_of;
use common::{A, B, Bench, amount, question, turned};
use creditgate_core::lease::Counters;
use creditgate_core::protocol::Phase;
use creditgate_ledger::claim::{self, ClaimLots, ClaimPurpose, NewClaim};
use creditgate_ledger::id::{AccountId, InstanceId, LotId, WalletId};
use creditgate_ledger::top_up::{self, TopUp};
use creditgate_ledger::wallet::{self, NewWallet, PaidCredit, WalletChange};
use creditgate_ledger::{
    LedgerAccount, QuarantineCause, ReasonCode, Refusal, ResolutionKind, WalletStatus, WalletType,
    balance, lend, lot, payment, quarantine,
};
use proptest::prelude::*;
use proptest::sample::Index;

#[derive(Debug, Clone)]
enum Step {
    Open {
        post_paid: Option<i64>,
        limited: bool,
        priority: Option<i32>,
    },
    TopUp {
        wallet: Index,
        units: i64,
        reason: usize,
        unpaid: bool,
        bonus: Option<i64>,
        starts_ms: Option<u64>,
        lives_ms: Option<u64>,
    },
    Pay {
        lot: Index,
    },
    Void {
        lot: Index,
    },
    Rank {
        lot: Index,
        wallet: Index,
        priority: Option<i32>,
    },
    Debit {
        wallet: Index,
        units: i64,
        lot: Option<Index>,
    },
    Transfer {
        wallet: Index,
        to: Index,
        units: i64,
    },
    SetStatus {
        wallet: Index,
        freeze: bool,
    },
    SetLimit {
        wallet: Index,
        limit: i64,
    },
    Close {
        wallet: Index,
        to: Option<Index>,
    },
    Ask {
        gateway: usize,
        account: Index,
        need: i64,
    },
    Use {
        gateway: usize,
        account: Index,
        share: i64,
    },
    GiveBack {
        gateway: usize,
        account: Index,
    },
    Silence {
        gateway: usize,
        account: Index,
    },
    Resolve {
        lease: Index,
        release: bool,
    },
    Later {
        ms: u64,
    },
}

fn priority() -> impl Strategy<Value = Option<i32>> {
    proptest::option::of(-1..3)
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    prop_oneof![
        1 => (proptest::option::of(0_i64..200), any::<bool>(), priority())
            .prop_map(|(post_paid, limited, priority)| Step::Open { post_paid, limited, priority }),
        6 => (
            (index(), 1_i64..100, 0_usize..4, proptest::bool::weighted(0.2)),
            (
                proptest::option::of(0_i64..10),
                proptest::option::weighted(0.2, 0_u64..3_000),
                proptest::option::weighted(0.3, 1_u64..5_000),
            ),
        )
            .prop_map(|((wallet, units, reason, unpaid), (bonus, starts_ms, lives_ms))| {
                Step::TopUp { wallet, units, reason, unpaid, bonus, starts_ms, lives_ms }
            }),
        2 => index().prop_map(|lot| Step::Pay { lot }),
        1 => index().prop_map(|lot| Step::Void { lot }),
        1 => (index(), index(), priority())
            .prop_map(|(lot, wallet, priority)| Step::Rank { lot, wallet, priority }),
        4 => (index(), 1_i64..80, proptest::option::weighted(0.3, index()))
            .prop_map(|(wallet, units, lot)| Step::Debit { wallet, units, lot }),
        4 => (index(), index(), 1_i64..80)
            .prop_map(|(wallet, to, units)| Step::Transfer { wallet, to, units }),
        1 => (index(), any::<bool>())
            .prop_map(|(wallet, freeze)| Step::SetStatus { wallet, freeze }),
        2 => (index(), 0_i64..200).prop_map(|(wallet, limit)| Step::SetLimit { wallet, limit }),
        1 => (index(), proptest::option::of(index()))
            .prop_map(|(wallet, to)| Step::Close { wallet, to }),
        8 => (0_usize..2, index(), 0_i64..60)
            .prop_map(|(gateway, account, need)| Step::Ask { gateway, account, need }),
        8 => (0_usize..2, index(), 1_i64..101)
            .prop_map(|(gateway, account, share)| Step::Use { gateway, account, share }),
        4 => (0_usize..2, index())
            .prop_map(|(gateway, account)| Step::GiveBack { gateway, account }),
        1 => (0_usize..2, index())
            .prop_map(|(gateway, account)| Step::Silence { gateway, account }),
        1 => (index(), any::<bool>())
            .prop_map(|(lease, release)| Step::Resolve { lease, release }),
        3 => (1_u64..2_000).prop_map(|ms| Step::Later { ms }),
    ]
}

/// What a gateway knows of its lease of an account.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    number: u64,
    counters: Counters,
}

struct History {
    bench: Bench,
    cells: BTreeMap<(InstanceId, AccountId), Cell>,
    /// All that was paid in or given.
    funded: i64,
    /// All that gateways reported as used.
    used: i64,
}

impl History {
    fn new() -> Self {
        Self {
            bench: Bench::with_credit(50),
            cells: BTreeMap::new(),
            funded: 50,
            used: 0,
        }
    }

    fn wallet(&self, index: Index) -> WalletId {
        index.get(&self.bench.book.wallets).id
    }

    fn some_lot(&self, index: Index) -> LotId {
        index.get(&self.bench.book.lots).id
    }

    fn account(&self, index: Index) -> AccountId {
        index.get(&self.bench.book.accounts).id
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Open {
                post_paid,
                limited,
                priority,
            } => self.open(post_paid, limited, priority),
            Step::TopUp {
                wallet,
                units,
                reason,
                unpaid,
                bonus,
                starts_ms,
                lives_ms,
            } => {
                self.top_up(
                    (wallet, units, reason),
                    (unpaid, bonus),
                    (starts_ms, lives_ms),
                );
            }
            Step::Pay { lot } => self.pay(lot),
            Step::Void { lot } => {
                let id = self.some_lot(lot);
                let _refused = self.bench.attempt(|book, journal, context| {
                    top_up::void(book, journal, context, id, "void")
                });
            }
            Step::Rank {
                lot,
                wallet,
                priority,
            } => self.rank(lot, wallet, priority),
            Step::Debit { wallet, units, lot } => {
                let lots = lot.map_or(ClaimLots::Any, |lot| ClaimLots::One(self.some_lot(lot)));
                let new = NewClaim {
                    lots,
                    ..debit_of(self.wallet(wallet), units)
                };
                self.claim(new);
            }
            Step::Transfer { wallet, to, units } => {
                let purpose = ClaimPurpose::Transfer {
                    to: self.wallet(to),
                };
                let reason = ReasonCode::WalletTransfer;
                let new = NewClaim {
                    purpose,
                    reason,
                    ..debit_of(self.wallet(wallet), units)
                };
                self.claim(new);
            }
            Step::SetStatus { wallet, freeze } => {
                let id = self.wallet(wallet);
                let to = if freeze {
                    WalletStatus::Frozen
                } else {
                    WalletStatus::Active
                };
                let _closed = self.bench.attempt(|book, journal, context| {
                    wallet::set_status(book, journal, context, id, to, None)
                });
            }
            Step::SetLimit { wallet, limit } => {
                let id = self.wallet(wallet);
                let change = WalletChange {
                    credit_limit: Some(amount(limit)),
                    ..WalletChange::default()
                };
                let _pre_paid = self.bench.attempt(|book, journal, context| {
                    wallet::change(book, journal, context, id, change)
                });
            }
            Step::Close { wallet, to } => {
                let id = self.wallet(wallet);
                let paid = to.map_or(PaidCredit::Keep, |to| PaidCredit::Transfer(self.wallet(to)));
                let _refused = self.bench.attempt(|book, journal, context| {
                    wallet::close(book, journal, context, id, paid, "over")
                });
            }
            Step::Ask {
                gateway,
                account,
                need,
            } => self.report(gateway, account, 0, need),
            Step::Use {
                gateway,
                account,
                share,
            } => self.report(gateway, account, share, 0),
            Step::GiveBack { gateway, account } => self.give_back(gateway, account),
            Step::Silence { gateway, account } => self.silence(gateway, account),
            Step::Resolve { lease, release } => self.resolve(lease, release),
            Step::Later { ms } => {
                self.bench.later(ms);
                self.bench.run(|_, _, _| ());
            }
        }
        self.check();
    }

    fn open(&mut self, post_paid: Option<i64>, limited: bool, priority: Option<i32>) {
        if self.bench.book.wallets.len() > 5 {
            return;
        }
        let first = self.bench.book.wallets[0].currency;
        let mut new = NewWallet::plain(first, self.bench.book.accounts[0].scale);
        new.priority = priority;
        if let Some(limit) = post_paid {
            new.wallet_type = WalletType::PostPaid;
            new.credit_limit = amount(limit);
        }
        if limited {
            new.scope.rules = ["image".to_owned()].into();
        }
        self.bench
            .run(|book, journal, context| wallet::create(book, journal, context, new))
            .unwrap();
    }

    fn top_up(
        &mut self,
        (wallet, units, reason): (Index, i64, usize),
        (unpaid, bonus): (bool, Option<i64>),
        (starts_ms, lives_ms): (Option<u64>, Option<u64>),
    ) {
        let reasons = [
            ReasonCode::PurchasedCreditDirect,
            ReasonCode::FreeCreditGrant,
            ReasonCode::CreditNote,
            ReasonCode::SubscriptionCreditGrant,
        ];
        let starts = starts_ms.map(|ms| self.bench.now.plus_ms(ms));
        let from = starts.unwrap_or(self.bench.now);
        let command = TopUp {
            awaits_payment: unpaid,
            bonus: bonus.map(amount),
            effective_at: starts,
            expires_at: lives_ms.map(|ms| from.plus_ms(ms)),
            ..TopUp::new(self.wallet(wallet), amount(units), reasons[reason])
        };
        let done = self
            .bench
            .attempt(|book, journal, context| top_up::top_up(book, journal, context, command));
        if done.is_ok() && !unpaid {
            self.funded += units + bonus.unwrap_or(0);
        }
    }

    fn pay(&mut self, lot: Index) {
        let id = self.some_lot(lot);
        let unpaid = |bench: &Bench| -> i64 {
            let waits = bench.book.lots.iter().filter(|lot| lot.voided_at.is_none());
            waits.map(|lot| lot.unpaid.get()).sum()
        };
        let before = unpaid(&self.bench);
        let paid = self
            .bench
            .attempt(|book, journal, context| payment::pay(book, journal, context, id, None, None));
        if paid.is_ok() {
            self.funded += before - unpaid(&self.bench);
        }
    }

    fn rank(&mut self, lot: Index, wallet: Index, priority: Option<i32>) {
        let (lot, id) = (self.some_lot(lot), self.wallet(wallet));
        let _gone = self.bench.attempt(|book, journal, context| {
            lot::set_priority(book, journal, context, lot, priority, None)
        });
        let change = WalletChange {
            priority: Some(priority),
            ..WalletChange::default()
        };
        let _closed = self
            .bench
            .attempt(|book, journal, context| wallet::change(book, journal, context, id, change));
    }

    fn claim(&mut self, new: NewClaim) {
        let asked = new.asked;
        let made = self
            .bench
            .attempt(|book, journal, context| claim::open(book, journal, context, new));
        match made {
            Ok(claim) => assert_eq!(claim.asked, asked),
            Err(refusal) => assert!(
                matches!(
                    refusal,
                    Refusal::NotFound { .. } | Refusal::Conflict { .. } | Refusal::Invalid { .. }
                ),
                "{refusal}"
            ),
        }
    }

    fn report(&mut self, gateway: usize, account: Index, share: i64, need: i64) {
        let (instance, account) = ([A, B][gateway], self.account(account));
        let cell = self.cells.entry((instance, account)).or_insert(Cell {
            number: 1,
            counters: Counters::default(),
        });
        let spent = amount(cell.counters.remaining().get() * share / 100);
        cell.counters.reserved = cell.counters.reserved.saturating_add(spent);
        cell.counters.settled = cell.counters.settled.saturating_add(spent);
        self.used += spent.get();
        let cell = *cell;
        let report = question(account, cell.number, cell.counters, need);
        let answer = self.bench.report(instance, &report).unwrap();
        let known = self.cells.get_mut(&(instance, account)).unwrap();
        match answer.phase {
            Phase::Open => known.counters.granted = answer.granted,
            Phase::Turn => self.turn(instance, account),
            Phase::Closed => {
                *known = Cell {
                    number: cell.number + 1,
                    counters: Counters::default(),
                };
            }
        }
    }

    /// Everything unused goes back, and a new number is taken.
    fn turn(&mut self, instance: InstanceId, account: AccountId) {
        let cell = self.cells.get_mut(&(instance, account)).unwrap();
        let mut over = cell.counters;
        over.returned = over.returned.saturating_add(over.remaining());
        let number = cell.number;
        *cell = Cell {
            number: number + 1,
            counters: Counters::default(),
        };
        let next = question(account, number + 1, Counters::default(), 0);
        self.bench
            .report(instance, &turned(next, number, over, false))
            .unwrap();
    }

    fn give_back(&mut self, gateway: usize, account: Index) {
        let key = ([A, B][gateway], self.account(account));
        if let Some(cell) = self.cells.get_mut(&key) {
            let unused = cell.counters.remaining();
            cell.counters.returned = cell.counters.returned.saturating_add(unused);
            self.report(gateway, account, 0, 0);
        }
    }

    /// The gateway loses its cell, and what was in it is never heard of again.
    fn silence(&mut self, gateway: usize, account: Index) {
        let key = ([A, B][gateway], self.account(account));
        let Some(cell) = self.cells.get_mut(&key) else {
            return;
        };
        *cell = Cell {
            number: cell.number + 1,
            counters: Counters::default(),
        };
        self.bench.run(|book, journal, context| {
            for lease in 0..book.leases.len() {
                let row = &book.leases[lease];
                if (row.instance, row.account) == key {
                    let place = book.account_place(key.1).unwrap();
                    let cause = QuarantineCause::CellLost;
                    quarantine::set_aside(book, journal, context, place, lease, cause);
                }
            }
        });
    }

    fn resolve(&mut self, lease: Index, release: bool) {
        if self.bench.book.leases.is_empty() {
            return;
        }
        let id = lease.get(&self.bench.book.leases).id;
        let kind = if release {
            ResolutionKind::Release
        } else {
            ResolutionKind::Consume
        };
        let _not_aside = self.bench.attempt(|book, journal, context| {
            quarantine::resolve(book, journal, context, id, kind, "decided")
        });
    }

    fn check(&self) {
        let sum = |part: LedgerAccount| -> i64 {
            let accounts = self.bench.book.accounts.iter();
            accounts
                .map(|account| account.balances.get(part).get())
                .sum()
        };
        assert_eq!(-sum(LedgerAccount::Funding), self.funded, "what was put in");
        assert_eq!(sum(LedgerAccount::Spent), self.used, "what gateways used");
        assert_eq!(sum(LedgerAccount::Transferred), 0);
        assert_eq!(
            sum(LedgerAccount::Debt),
            0,
            "nobody used more than was lent"
        );
        self.check_balances();
        for claim in self
            .bench
            .book
            .claims
            .iter()
            .filter(|claim| !claim.is_open())
        {
            let told = claim.done.saturating_add(claim.short);
            assert_eq!(told, claim.asked, "{}", claim.id);
        }
    }
}

impl History {
    /// Whoever asks is told the same balance.
    fn check_balances(&self) {
        let (book, now) = (&self.bench.book, self.bench.now);
        for account in &book.accounts {
            let of_account = book.wallets.iter().filter(|row| row.account == account.id);
            let wallets = of_account.map(|wallet| wallet.id).collect();
            let balances = balance::of_wallets(book, &wallets, now);
            let sum: i64 = balances.values().map(|balance| balance.get()).sum();
            for (wallet, balance) in balances {
                assert_eq!(self.bench.has(wallet), balance.get(), "{wallet}");
            }
            let parts = balance::parts(book, account.id, None, now);
            assert_eq!(parts.balance().get(), sum, "{}", account.id);
            assert_eq!(lend::balance(book, account.id, now).get(), sum);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_history_of_wallets_and_claims_makes_or_loses_credit(
        steps in proptest::collection::vec(step(), 1..60)
    ) {
        let mut history = History::new();
        for step in steps {
            history.take(step);
        }
    }
}
