//! A customer with one wallet, and gateways that speak for themselves.
#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod credit;

use std::collections::BTreeMap;

use creditgate_core::amount::{Amount, Currency, Scale};
use creditgate_core::lease::{Counters, LeaseNumber};
use creditgate_core::protocol::{LeaseAnswer, PreviousReport, Report, Timing};
use creditgate_ledger::context::{Context, Ids};
use creditgate_ledger::customer::{self, NewCustomer};
use creditgate_ledger::decision;
use creditgate_ledger::id::{AccountId, ClaimId, InstanceId};
use creditgate_ledger::replay::{Replay, claim_difference};
use creditgate_ledger::report::{self, Impossible, Reporter};
use creditgate_ledger::top_up::{self, TopUp};
use creditgate_ledger::verify::verify;
use creditgate_ledger::wallet::{self, NewWallet};
use creditgate_ledger::{
    Book, Journal, LedgerAccount, Lot, ReasonCode, Registry, Settings, Timestamp,
};

pub(crate) struct Counter(pub(crate) u128);

impl Ids for Counter {
    fn next(&mut self) -> u128 {
        self.0 += 1;
        self.0
    }
}

/// A book under test, with time and ids in the test's hand.
pub(crate) struct Bench {
    pub(crate) book: Book,
    pub(crate) journal: Journal,
    pub(crate) ids: Counter,
    pub(crate) registry: Registry,
    pub(crate) now: Timestamp,
    pub(crate) actor: &'static str,
    replays: BTreeMap<AccountId, Replay>,
    replayed: usize,
}

/// A bench as it was.
pub(crate) struct Before {
    book: Book,
    journal: Journal,
    replays: BTreeMap<AccountId, Replay>,
}

pub(crate) const A: InstanceId = InstanceId(0xa);
pub(crate) const B: InstanceId = InstanceId(0xb);

pub(crate) fn amount(units: i64) -> Amount {
    Amount::new(units)
}

impl Bench {
    /// A customer with an empty wallet.
    pub(crate) fn new() -> Self {
        Self::of(|_| ())
    }

    /// A customer with an empty wallet that is opened so.
    pub(crate) fn of(change: impl FnOnce(&mut NewWallet)) -> Self {
        let mut ids = Counter(0);
        let settings = Settings {
            timing: Timing {
                use_by_ms: 60_000,
                ..Timing::default()
            },
            ..Settings::default()
        };
        let registry = Registry {
            settings,
            ..Registry::default()
        };
        let now = Timestamp(1_000_000);
        let mut context = Context {
            now,
            ids: &mut ids,
            registry: &registry,
            actor: "test",
        };
        let mut book = customer::create(
            &mut context,
            NewCustomer {
                external_id: "cust".into(),
                name: None,
                time_zone: "UTC".into(),
                metadata: Default::default(),
            },
        );
        let usd = Currency::new("usd").unwrap();
        let mut new = NewWallet::plain(usd, Scale::new(0).unwrap());
        change(&mut new);
        let mut journal = Journal::default();
        wallet::create(&mut book, &mut journal, &mut context, new).unwrap();
        Self {
            book,
            journal,
            ids,
            registry,
            now,
            actor: "test",
            replays: BTreeMap::new(),
            replayed: 0,
        }
    }

    pub(crate) fn with_credit(units: i64) -> Self {
        let mut bench = Self::new();
        bench.top_up(units);
        bench
    }

    pub(crate) fn account(&self) -> AccountId {
        self.book.accounts[0].id
    }

    /// Runs a decision, and checks every invariant after it.
    pub(crate) fn run<T>(
        &mut self,
        decide: impl FnOnce(&mut Book, &mut Journal, &mut Context<'_>) -> T,
    ) -> T {
        let mut context = Context {
            now: self.now,
            ids: &mut self.ids,
            registry: &self.registry,
            actor: self.actor,
        };
        decision::begin(&mut self.book, &mut self.journal, &mut context);
        let outcome = decide(&mut self.book, &mut self.journal, &mut context);
        decision::conclude(&mut self.book, &mut self.journal, &mut context);
        assert_eq!(
            verify(&self.book),
            vec![],
            "after a decision at {}",
            self.now
        );
        self.assert_replays();
        outcome
    }

    /// The journal alone gives the same book: lots, balances, pins, wallets' states, claims.
    fn assert_replays(&mut self) {
        for entry in &self.journal.entries[self.replayed..] {
            let replay = self.replays.entry(entry.account);
            replay
                .or_insert_with(|| Replay::of(entry.account))
                .take(entry);
        }
        self.replayed = self.journal.entries.len();
        for account in &self.book.accounts {
            let new = || Replay::of(account.id);
            let replay = self.replays.entry(account.id).or_insert_with(new);
            replay.compare_account(account);
            let is_of = |of: AccountId| of == account.id;
            let book = &self.book;
            for wallet in book.wallets.iter().filter(|row| is_of(row.account)) {
                replay.compare_wallet(wallet);
            }
            for lot in book.lots.iter().filter(|row| is_of(row.account)) {
                replay.compare_lot(lot);
            }
            for lease in book.leases.iter().filter(|row| is_of(row.account)) {
                replay.compare_lease(lease);
            }
            let open = |id: &ClaimId| {
                book.claims
                    .iter()
                    .find(|row| row.id == *id && row.is_open())
            };
            for claim in book.claims.iter().filter(|row| is_of(row.account)) {
                if claim.is_open() {
                    replay.compare_claim(claim);
                }
            }
            assert!(replay.claims().all(|(id, _)| open(&id).is_some()));
            for (id, claim) in replay.closed_claims() {
                let row = book.claims.iter().find(|row| row.id == id);
                let difference = row.map(|row| claim_difference(&claim, row));
                assert_eq!(difference.flatten(), None);
            }
            assert!(replay.wallets().all(|row| book.wallet(row.id).is_some()));
            assert!(replay.lots().all(|row| book.lot(row.id).is_some()));
            assert_eq!(replay.findings(), vec![], "by the journal at {}", self.now);
        }
    }

    pub(crate) fn top_up(&mut self, units: i64) -> Lot {
        self.top_up_with(units, |_| ())
    }

    pub(crate) fn top_up_with(&mut self, units: i64, change: impl FnOnce(&mut TopUp)) -> Lot {
        let reason = ReasonCode::PurchasedCreditDirect;
        let mut command = TopUp::new(self.book.wallets[0].id, amount(units), reason);
        change(&mut command);
        self.run(|book, journal, context| top_up::top_up(book, journal, context, command))
            .unwrap()
    }

    pub(crate) fn report(
        &mut self,
        instance: InstanceId,
        report: &Report,
    ) -> Result<LeaseAnswer, Impossible> {
        let before = self.before();
        let reporter = Reporter {
            instance,
            barred: None,
        };
        let answer = self
            .run(|book, journal, context| report::report(book, journal, context, reporter, report));
        if answer.is_err() {
            self.back_to(before);
        }
        answer
    }

    /// All that a decision may change.
    pub(crate) fn before(&self) -> Before {
        Before {
            book: self.book.clone(),
            journal: self.journal.clone(),
            replays: self.replays.clone(),
        }
    }

    /// Nothing of a refused decision remains.
    pub(crate) fn back_to(&mut self, before: Before) {
        self.replayed = before.journal.entries.len();
        self.book = before.book;
        self.journal = before.journal;
        self.replays = before.replays;
    }

    /// Asks under a lease for `need`, with counters as given.
    pub(crate) fn ask(
        &mut self,
        instance: InstanceId,
        number: u64,
        counters: Counters,
        need: i64,
    ) -> LeaseAnswer {
        self.report(instance, &question(self.account(), number, counters, need))
            .unwrap()
    }

    pub(crate) fn balance(&self, account: LedgerAccount) -> i64 {
        self.book.accounts[0].balances.get(account).get()
    }

    pub(crate) fn later(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
    }
}

pub(crate) fn question(account: AccountId, number: u64, counters: Counters, need: i64) -> Report {
    Report {
        account,
        lease: LeaseNumber(number),
        counters,
        previous: None,
        need: amount(need),
        wanted: amount(need),
    }
}

pub(crate) fn turned(mut report: Report, number: u64, counters: Counters, dead: bool) -> Report {
    report.previous = Some(PreviousReport {
        lease: LeaseNumber(number),
        counters,
        dead,
    });
    report
}

/// Counters of a lease that was lent `granted` and used `settled` of it, with `held` in flight.
pub(crate) fn used(granted: i64, settled: i64, held: i64) -> Counters {
    Counters {
        granted: amount(granted),
        reserved: amount(settled + held),
        settled: amount(settled),
        ..Counters::default()
    }
}

pub(crate) fn returned(counters: Counters, returned: i64) -> Counters {
    Counters {
        returned: amount(returned),
        ..counters
    }
}
