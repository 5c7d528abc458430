//! The journal is whole: whatever happened, replaying it gives the book.
//!
//! Random histories over several wallets and accounts. [`common::Bench::run`] replays each
//! entry as it is noted and compares with the book; here a second replay, which forgets what
//! is used up as it goes, and the breakdown by kind are compared at the end.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{A, B, Bench, amount};
use creditgate_core::amount::{Amount, Scale};
use creditgate_core::lease::{Counters, LeaseNumber};
use creditgate_core::protocol::{PreviousReport, Report};
use creditgate_ledger::alert::{AlertCondition, AlertSettings, AlertThreshold};
use creditgate_ledger::auto_top_up::{AutoTopUp, Fill};
use creditgate_ledger::claim::{self, ClaimLots, ClaimPurpose, NewClaim};
use creditgate_ledger::id::{AccountId, InstanceId, WalletId};
use creditgate_ledger::replay::{Breakdown, Replay, lot_differences};
use creditgate_ledger::top_up::{self, TopUp};
use creditgate_ledger::wallet::{self, NewWallet, PaidCredit, WalletChange};
use creditgate_ledger::{
    Book, Context, Credits, Journal, LeaseState, QuarantineCause, ReasonCode, Refusal,
    ResolutionKind, Scope, WalletStatus, WalletType, expiry, lend, lot, payment, quarantine,
};
use proptest::prelude::*;
use proptest::sample::Index;

#[derive(Debug, Clone)]
enum Step {
    Open {
        scope: usize,
        priority: Option<i32>,
        limit: Option<i64>,
    },
    Rank {
        wallet: Index,
        priority: Option<i32>,
    },
    Limit {
        wallet: Index,
        limit: i64,
    },
    Close {
        wallet: Index,
        to: Option<Index>,
    },
    RankLot {
        lot: Index,
        priority: Option<i32>,
    },
    Pay {
        lot: Index,
    },
    Claim {
        wallet: Index,
        to: Option<Index>,
        lot: Option<Index>,
        purchased: bool,
        units: i64,
    },
    TopUp {
        wallet: Index,
        units: i64,
        reason: ReasonCode,
        priority: Option<i32>,
        starts_ms: Option<u64>,
        lives_ms: Option<u64>,
        awaits_payment: bool,
        bonus: Option<i64>,
    },
    Void {
        lot: Index,
    },
    SetStatus {
        wallet: Index,
        status: WalletStatus,
    },
    Ask {
        gateway: usize,
        account: Index,
        uses: i64,
        returns: i64,
        need: i64,
    },
    Turn {
        gateway: usize,
        account: Index,
        dead: bool,
    },
    Lose {
        gateway: usize,
        account: Index,
    },
    Silence {
        gateway: usize,
    },
    Decide {
        release: bool,
    },
    Pass {
        ms: u64,
    },
    Alert {
        wallet: Index,
        warning: i64,
        hysteresis: Option<i64>,
        enabled: bool,
    },
    AutoTopUp {
        wallet: Index,
        threshold: i64,
        to: i64,
        invoicing: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let gateway = || 0_usize..2;
    let priority = || proptest::option::of(-2_i32..3);
    let reason = proptest::sample::select(vec![
        ReasonCode::PurchasedCreditDirect,
        ReasonCode::FreeCreditGrant,
        ReasonCode::CreditNote,
        ReasonCode::PurchasedCreditBonus,
    ]);
    let instant = || proptest::option::of(1_u64..40_000);
    let index = any::<Index>;
    prop_oneof![
        2 => (0_usize..3, priority(), proptest::option::of(0_i64..60))
            .prop_map(|(scope, priority, limit)| Step::Open { scope, priority, limit }),
        1 => (index(), priority()).prop_map(|(wallet, priority)| Step::Rank { wallet, priority }),
        2 => (index(), 0_i64..60).prop_map(|(wallet, limit)| Step::Limit { wallet, limit }),
        1 => (index(), proptest::option::of(index())).prop_map(|(wallet, to)| Step::Close { wallet, to }),
        2 => (index(), priority()).prop_map(|(lot, priority)| Step::RankLot { lot, priority }),
        2 => index().prop_map(|lot| Step::Pay { lot }),
        4 => (index(), proptest::option::of(index()), proptest::option::of(index()), any::<bool>(), 1_i64..60)
            .prop_map(|(wallet, to, lot, purchased, units)| Step::Claim { wallet, to, lot, purchased, units }),
        8 => (index(), 1_i64..100, reason, priority(), instant(), instant(), any::<bool>(), proptest::option::of(1_i64..20))
            .prop_map(|(wallet, units, reason, priority, starts_ms, lives_ms, awaits_payment, bonus)| {
                Step::TopUp { wallet, units, reason, priority, starts_ms, lives_ms, awaits_payment, bonus }
            }),
        1 => index().prop_map(|lot| Step::Void { lot }),
        1 => (index(), any::<bool>()).prop_map(|(wallet, frozen)| Step::SetStatus {
            wallet,
            status: if frozen { WalletStatus::Frozen } else { WalletStatus::Active },
        }),
        12 => (gateway(), index(), 0_i64..40, 0_i64..40, 0_i64..60)
            .prop_map(|(gateway, account, uses, returns, need)| Step::Ask { gateway, account, uses, returns, need }),
        2 => (gateway(), index(), any::<bool>())
            .prop_map(|(gateway, account, dead)| Step::Turn { gateway, account, dead }),
        1 => (gateway(), index()).prop_map(|(gateway, account)| Step::Lose { gateway, account }),
        1 => gateway().prop_map(|gateway| Step::Silence { gateway }),
        1 => any::<bool>().prop_map(|release| Step::Decide { release }),
        3 => (1_u64..10_000).prop_map(|ms| Step::Pass { ms }),
        1 => (index(), 5_i64..80, proptest::option::of(1_i64..20), any::<bool>())
            .prop_map(|(wallet, warning, hysteresis, enabled)| Step::Alert { wallet, warning, hysteresis, enabled }),
        1 => (index(), 1_i64..30, 30_i64..90, any::<bool>())
            .prop_map(|(wallet, threshold, to, invoicing)| Step::AutoTopUp { wallet, threshold, to, invoicing }),
    ]
}

fn credits(units: i64) -> Credits {
    Credits::parse(&units.to_string(), Scale::MAX).unwrap()
}

const INSTANCES: [InstanceId; 2] = [A, B];

/// What a gateway knows of its lease of an account.
#[derive(Default, Clone, Copy)]
struct Cell {
    number: u64,
    counters: Counters,
    /// Admitted, and not settled yet.
    held: Amount,
}

struct World {
    bench: Bench,
    cells: BTreeMap<(usize, AccountId), Cell>,
    drawn: u64,
}

impl World {
    fn new() -> Self {
        let mut bench = Bench::with_credit(50);
        bench.registry.settings.overrun_max = amount(1_000);
        Self {
            bench,
            cells: BTreeMap::new(),
            drawn: 0,
        }
    }

    fn wallet(&self, index: Index) -> WalletId {
        index.get(&self.bench.book.wallets).id
    }

    fn play(&mut self, step: Step) {
        match step {
            Step::Open {
                scope,
                priority,
                limit,
            } => self.open(scope, priority, limit),
            Step::Rank { wallet, priority } => {
                let change = WalletChange {
                    priority: Some(priority),
                    ..WalletChange::default()
                };
                self.change(wallet, change);
            }
            Step::Limit { wallet, limit } => {
                let change = WalletChange {
                    credit_limit: Some(amount(limit)),
                    ..WalletChange::default()
                };
                self.change(wallet, change);
            }
            Step::Close { wallet, to } => {
                let id = self.wallet(wallet);
                let to = to.map(|to| self.wallet(to));
                let paid = to.map_or(PaidCredit::Keep, PaidCredit::Transfer);
                self.try_to(|book, journal, context| {
                    wallet::close(book, journal, context, id, paid, "chance")
                });
            }
            Step::RankLot { lot, priority } => {
                let id = lot.get(&self.bench.book.lots).id;
                self.try_to(|book, journal, context| {
                    lot::set_priority(book, journal, context, id, priority, None)
                });
            }
            Step::Pay { lot } => {
                let lots = self.bench.book.lots.iter();
                let unpaid: Vec<_> = lots.filter(|lot| !lot.unpaid.is_zero()).collect();
                if unpaid.is_empty() {
                    return;
                }
                let id = lot.get(&unpaid).id;
                let reference = Some("wire 7".to_owned());
                self.try_to(|book, journal, context| {
                    payment::pay(book, journal, context, id, reference, None)
                });
            }
            Step::Claim {
                wallet,
                to,
                lot,
                purchased,
                units,
            } => self.claim(wallet, (to, lot, purchased), units),
            Step::TopUp {
                wallet,
                units,
                reason,
                priority,
                starts_ms,
                lives_ms,
                awaits_payment,
                bonus,
            } => {
                let effective_at = starts_ms.map(|ms| self.bench.now.plus_ms(ms));
                let from = effective_at.unwrap_or(self.bench.now);
                let command = TopUp {
                    priority,
                    effective_at,
                    expires_at: lives_ms.map(|ms| from.plus_ms(ms)),
                    awaits_payment,
                    bonus: bonus.map(amount),
                    ..TopUp::new(self.wallet(wallet), amount(units), reason)
                };
                self.try_to(|book, journal, context| {
                    top_up::top_up(book, journal, context, command)
                });
            }
            Step::Void { lot } => {
                let id = lot.get(&self.bench.book.lots).id;
                self.try_to(|book, journal, context| {
                    top_up::void(book, journal, context, id, "no")
                });
            }
            Step::SetStatus { wallet, status } => {
                let id = self.wallet(wallet);
                self.try_to(|book, journal, context| {
                    wallet::set_status(book, journal, context, id, status, Some("why"))
                });
            }
            Step::Ask {
                gateway,
                account,
                uses,
                returns,
                need,
            } => self.ask(gateway, account, (uses, returns), need),
            Step::Turn {
                gateway,
                account,
                dead,
            } => self.turn(gateway, account, dead),
            Step::Alert {
                wallet,
                warning,
                hysteresis,
                enabled,
            } => self.alert(wallet, warning, hysteresis, enabled),
            Step::AutoTopUp {
                wallet,
                threshold,
                to,
                invoicing,
            } => self.auto_top_up(wallet, (threshold, to), invoicing),
            Step::Lose { gateway, account } => {
                let account = account.get(&self.bench.book.accounts).id;
                self.cells.remove(&(gateway, account));
            }
            Step::Silence { gateway } => self.silence(gateway),
            Step::Decide { release } => self.decide(release),
            Step::Pass { ms } => {
                self.bench.later(ms);
                self.bench.run(|book, journal, context| {
                    for place in 0..book.accounts.len() {
                        expiry::pass(book, journal, context, place);
                        lend::settle_waiters(book, journal, context, place);
                    }
                });
            }
        }
    }

    /// Warns below a balance, and alarms below half of it.
    fn alert(&mut self, wallet: Index, warning: i64, hysteresis: Option<i64>, enabled: bool) {
        let below = |units: i64| AlertThreshold {
            threshold: credits(units),
            condition: AlertCondition::Below,
            hysteresis: hysteresis.map(credits),
        };
        let settings = AlertSettings {
            enabled,
            info: None,
            warning: Some(below(warning)),
            critical: Some(below(warning / 2)),
        };
        let id = self.wallet(wallet);
        let change = WalletChange {
            alert_settings: Some(Some(settings)),
            ..WalletChange::default()
        };
        self.try_to(|book, journal, context| wallet::change(book, journal, context, id, change));
    }

    fn auto_top_up(&mut self, wallet: Index, (threshold, to): (i64, i64), invoicing: bool) {
        let terms = AutoTopUp {
            enabled: true,
            threshold: credits(threshold),
            fill: Fill::Target(credits(to)),
            invoicing,
            cooldown_ms: Some(1_000),
            per_day_max: None,
            per_month_max: None,
        };
        let id = self.wallet(wallet);
        let change = WalletChange {
            auto_topup: Some(Some(terms)),
            ..WalletChange::default()
        };
        self.try_to(|book, journal, context| wallet::change(book, journal, context, id, change));
    }

    /// What is refused changes nothing: whoever decides works on a copy.
    fn try_to<T>(
        &mut self,
        decide: impl FnOnce(&mut Book, &mut Journal, &mut Context<'_>) -> Result<T, Refusal>,
    ) {
        let before = self.bench.before();
        if self.bench.run(decide).is_err() {
            self.bench.back_to(before);
        }
    }

    fn open(&mut self, scope: usize, priority: Option<i32>, limit: Option<i64>) {
        let rules = [None, Some("a"), Some("b")][scope];
        let rules = rules.into_iter().map(str::to_owned);
        let first = &self.bench.book.accounts[0];
        let new = NewWallet {
            scope: Scope {
                rules: rules.collect(),
            },
            priority,
            wallet_type: limit.map_or(WalletType::PrePaid, |_| WalletType::PostPaid),
            credit_limit: limit.map_or(Amount::ZERO, amount),
            ..NewWallet::plain(first.currency, first.scale)
        };
        self.try_to(|book, journal, context| wallet::create(book, journal, context, new));
    }

    fn change(&mut self, wallet: Index, change: WalletChange) {
        let id = self.wallet(wallet);
        self.try_to(|book, journal, context| wallet::change(book, journal, context, id, change));
    }

    /// A debit, or a transfer to another wallet, of all, paid, or one of a wallet's lots.
    fn claim(
        &mut self,
        wallet: Index,
        (to, lot, purchased): (Option<Index>, Option<Index>, bool),
        units: i64,
    ) {
        let id = self.wallet(wallet);
        let to = to.map(|to| self.wallet(to));
        let of_wallet = self.bench.book.lots.iter().filter(|lot| lot.wallet == id);
        let lots: Vec<_> = of_wallet.collect();
        let lots = match lot.filter(|_| !lots.is_empty()) {
            Some(lot) => ClaimLots::One(lot.get(&lots).id),
            None if purchased => ClaimLots::Purchased,
            None => ClaimLots::Any,
        };
        let new = NewClaim {
            wallet: id,
            purpose: to.map_or(ClaimPurpose::Debit, |to| ClaimPurpose::Transfer { to }),
            lots,
            reason: ReasonCode::CreditAdjustment,
            note: Some("chance".to_owned()),
            asked: amount(units),
        };
        self.try_to(|book, journal, context| claim::open(book, journal, context, new));
    }

    /// A gateway uses and gives back some of what it has, and asks for more. Now and then a
    /// request costs more than was lent, while another, that costs nothing, still runs.
    fn ask(&mut self, gateway: usize, account: Index, (uses, returns): (i64, i64), need: i64) {
        let account = account.get(&self.bench.book.accounts).id;
        let mut cell = self.cell(gateway, account);
        let short = amount(uses % 7 / 6 * 9);
        let counters = &mut cell.counters;
        let runs_on = cell.held.min(amount(uses % 5));
        let refund = cell.held.saturating_sub(runs_on).min(amount(returns % 8));
        let ends = cell.held.saturating_sub(runs_on).saturating_sub(refund);
        let settles = ends.saturating_add(short);
        counters.reserved = counters.reserved.saturating_add(short);
        counters.released = counters.released.saturating_add(refund);
        counters.settled = counters.settled.saturating_add(settles);
        let begins = amount(uses).min(counters.remaining()).max(Amount::ZERO);
        counters.reserved = counters.reserved.saturating_add(begins);
        cell.held = runs_on.saturating_add(begins);
        let returns = amount(returns).min(counters.remaining()).max(Amount::ZERO);
        counters.returned = counters.returned.saturating_add(returns);
        self.send(gateway, account, cell, None, need);
    }

    fn turn(&mut self, gateway: usize, account: Index, dead: bool) {
        let account = account.get(&self.bench.book.accounts).id;
        let Some(mut old) = self.cells.remove(&(gateway, account)) else {
            return;
        };
        if !dead {
            let counters = &mut old.counters;
            counters.settled = counters.settled.saturating_add(old.held);
        }
        let counters = &mut old.counters;
        let back = counters.remaining().max(Amount::ZERO);
        counters.returned = counters.returned.saturating_add(back);
        let previous = PreviousReport {
            lease: LeaseNumber(old.number),
            counters: old.counters,
            dead,
        };
        let cell = self.cell(gateway, account);
        self.send(gateway, account, cell, Some(previous), 5);
    }

    fn cell(&mut self, gateway: usize, account: AccountId) -> Cell {
        let drawn = &mut self.drawn;
        *self.cells.entry((gateway, account)).or_insert_with(|| {
            *drawn += 1;
            Cell {
                number: *drawn,
                ..Cell::default()
            }
        })
    }

    fn send(
        &mut self,
        gateway: usize,
        account: AccountId,
        mut cell: Cell,
        previous: Option<PreviousReport>,
        need: i64,
    ) {
        let report = Report {
            account,
            lease: LeaseNumber(cell.number),
            counters: cell.counters,
            previous,
            need: amount(need),
            wanted: amount(need),
        };
        let answer = self.bench.report(INSTANCES[gateway], &report);
        let answer = answer.expect("an honest report is possible");
        cell.counters.granted = answer.granted.max(cell.counters.granted);
        self.cells.insert((gateway, account), cell);
        let state = self
            .bench
            .book
            .leases
            .iter()
            .find(|lease| {
                lease.account == account
                    && lease.instance == INSTANCES[gateway]
                    && lease.number == LeaseNumber(cell.number)
            })
            .map(|lease| lease.state);
        if state.is_none_or(|state| state == LeaseState::Closed) {
            self.cells.remove(&(gateway, account));
        }
    }

    fn silence(&mut self, gateway: usize) {
        let instance = INSTANCES[gateway];
        self.bench.run(|book, journal, context| {
            for lease in 0..book.leases.len() {
                if book.leases[lease].instance == instance {
                    let place = book.account_place(book.leases[lease].account).unwrap();
                    let cause = QuarantineCause::InstanceSilent;
                    quarantine::set_aside(book, journal, context, place, lease, cause);
                }
            }
        });
    }

    fn decide(&mut self, release: bool) {
        let kind = if release {
            ResolutionKind::Release
        } else {
            ResolutionKind::Consume
        };
        let mut leases = self.bench.book.leases.iter();
        let aside = leases.find(|lease| lease.state == LeaseState::Quarantined);
        if let Some(id) = aside.map(|lease| lease.id) {
            let decided = self.bench.run(|book, journal, context| {
                quarantine::resolve(book, journal, context, id, kind, "chance")
            });
            decided.unwrap();
        }
    }

    /// A replay that forgets as it goes hands out or keeps every lot, as the book has it.
    fn check_forgetful_replay(&self, page: usize) {
        let book = &self.bench.book;
        for account in &book.accounts {
            let mut replay = Replay::of(account.id);
            let mut used_up = BTreeMap::new();
            let entries = &self.bench.journal.entries;
            let of_account: Vec<_> = entries.iter().filter(|e| e.account == account.id).collect();
            for entries in of_account.chunks(page) {
                entries.iter().for_each(|entry| replay.take(entry));
                used_up.extend(replay.used_up().into_iter().map(|lot| (lot.id, lot)));
            }
            assert_eq!(replay.findings(), []);
            let live: BTreeSet<_> = replay.lots().map(|lot| lot.id).collect();
            for lot in book.lots.iter().filter(|lot| lot.account == account.id) {
                assert_eq!(live.contains(&lot.id), lot.is_live(), "{lot:?}");
                if let Some(replayed) = used_up.remove(&lot.id) {
                    assert_eq!(lot_differences(&replayed, lot), Vec::<String>::new());
                }
            }
            assert!(used_up.is_empty(), "{used_up:?}");
            let made = book.lots.iter().filter(|lot| lot.account == account.id);
            assert_eq!(replay.lots_made(), made.count() as u64);
            for wallet in book.wallets.iter().filter(|row| row.account == account.id) {
                let mut by_kind = BTreeMap::new();
                for lot in book.lots.iter().filter(|lot| lot.wallet == wallet.id) {
                    let sums: &mut Breakdown = by_kind.entry(lot.kind).or_default();
                    sums.add(lot);
                }
                let replayed: BTreeMap<_, _> = replay.breakdown(wallet.id).collect();
                let booked: BTreeMap<_, _> = by_kind.iter().map(|(k, v)| (*k, v)).collect();
                assert_eq!(replayed, booked, "of {}", wallet.id);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn replaying_the_journal_gives_the_book(
        steps in proptest::collection::vec(step(), 1..120),
        page in 1_usize..40,
    ) {
        let mut world = World::new();
        for step in steps {
            world.play(step);
        }
        world.check_forgetful_replay(page);
    }
}
