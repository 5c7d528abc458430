//! A desk to work at: a backend, and the ledger's decisions carried out on it as the writer does.

use std::collections::BTreeMap;
use std::path::PathBuf;

use creditgate::storage::memory::MemoryStorage;
use creditgate::storage::sqlite::{self, SqliteReader, SqliteStorage};
use creditgate::storage::{
    BookChange, ChangeSet, IdempotencyKey, LoadPlan, Loaded, Reader, Storage, StorageError,
    StoredAnswer, Target,
};
use creditgate_core::amount::{Amount, Currency, Scale};
use creditgate_core::lease::{Counters, LeaseNumber};
use creditgate_core::protocol::{PreviousReport, Report};
use creditgate_ledger::customer::{self, NewCustomer};
use creditgate_ledger::decision;
use creditgate_ledger::id::{AccountId, CustomerId, InstanceId, WalletId};
use creditgate_ledger::report::{self, Reporter};
use creditgate_ledger::top_up::{self, TopUp};
use creditgate_ledger::wallet::{self, NewWallet};
use creditgate_ledger::{
    Book, Context, Customer, Ids, Journal, Lease, Lot, Rate, ReasonCode, Registry, Settings,
    Timestamp, Wallet,
};

/// What the suite is run on.
pub(crate) trait Backend: Sized {
    type Writer: Storage;
    type Looks: Reader;

    fn create() -> Self;
    fn writer(&mut self) -> &mut Self::Writer;
    fn reader(&self) -> &Self::Looks;
    /// As after a restart; in memory there is none.
    fn reopen(self) -> Self;
}

pub(crate) const EPOCH: u64 = u64::MAX - 7;

pub(crate) struct Memory(MemoryStorage);

impl Backend for Memory {
    type Writer = MemoryStorage;
    type Looks = MemoryStorage;

    fn create() -> Self {
        Self(MemoryStorage::new(EPOCH))
    }

    fn writer(&mut self) -> &mut MemoryStorage {
        &mut self.0
    }

    fn reader(&self) -> &MemoryStorage {
        &self.0
    }

    fn reopen(self) -> Self {
        self
    }
}

pub(crate) struct Sqlite {
    pub(crate) folder: tempfile::TempDir,
    storage: Option<(SqliteStorage, SqliteReader)>,
}

impl Sqlite {
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("books.db")
    }
}

impl Backend for Sqlite {
    type Writer = SqliteStorage;
    type Looks = SqliteReader;

    fn create() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let storage = Some(sqlite::open(&folder.path().join("books.db"), EPOCH).unwrap());
        Self { folder, storage }
    }

    fn writer(&mut self) -> &mut SqliteStorage {
        &mut self.storage.as_mut().unwrap().0
    }

    fn reader(&self) -> &SqliteReader {
        &self.storage.as_ref().unwrap().1
    }

    fn reopen(mut self) -> Self {
        self.storage = None;
        // Another epoch is offered; the database keeps its own.
        self.storage = Some(sqlite::open(&self.path(), 1).unwrap());
        self
    }
}

pub(crate) struct Counter(u128);

impl Ids for Counter {
    fn next(&mut self) -> u128 {
        self.0 += 1;
        self.0
    }
}

pub(crate) struct Desk<B> {
    pub(crate) backend: B,
    pub(crate) ids: Counter,
    pub(crate) now: Timestamp,
    pub(crate) registry: Registry,
}

impl<B: Backend> Desk<B> {
    pub(crate) fn new() -> Self {
        Self {
            backend: B::create(),
            ids: Counter(0x100),
            now: Timestamp(1_000_000),
            registry: Registry {
                settings: Settings {
                    refill_seconds: 0,
                    ..Settings::default()
                },
                ..Registry::default()
            },
        }
    }

    pub(crate) fn reopen(self) -> Self {
        Self {
            backend: self.backend.reopen(),
            ..self
        }
    }

    pub(crate) fn reader(&self) -> &B::Looks {
        self.backend.reader()
    }

    pub(crate) fn load(&mut self, targets: &[Target]) -> Loaded {
        let plan = LoadPlan {
            targets: targets.to_vec(),
            ..LoadPlan::default()
        };
        self.backend.writer().load(&plan).unwrap()
    }

    pub(crate) fn book(&self, customer: CustomerId) -> Book {
        self.reader()
            .book(&Target::Customer(customer))
            .unwrap()
            .unwrap()
    }

    /// Loads a customer's book, decides, and commits.
    pub(crate) fn decide<T>(
        &mut self,
        customer: CustomerId,
        decide: impl FnOnce(&mut Book, &mut Journal, &mut Context<'_>) -> T,
    ) -> T {
        let before = self
            .load(&[Target::Customer(customer)])
            .books
            .pop()
            .unwrap();
        let mut after = before.clone();
        let mut journal = Journal::default();
        let mut context = Context {
            now: self.now,
            ids: &mut self.ids,
            registry: &self.registry,
            actor: "key_of_tests",
        };
        decision::begin(&mut after, &mut journal, &mut context);
        let answer = decide(&mut after, &mut journal, &mut context);
        decision::conclude(&mut after, &mut journal, &mut context);
        let books = vec![BookChange {
            before: Some(before),
            after,
        }];
        let changes = ChangeSet {
            books,
            entries: journal.entries,
            events: journal.events,
            ..ChangeSet::default()
        };
        self.backend.writer().commit(&changes).unwrap();
        answer
    }

    pub(crate) fn new_book(&mut self, external_id: &str) -> Book {
        let mut context = Context {
            now: self.now,
            ids: &mut self.ids,
            registry: &self.registry,
            actor: "key_of_tests",
        };
        customer::create(
            &mut context,
            NewCustomer {
                external_id: external_id.to_owned(),
                name: Some("A name – with “signs”".to_owned()),
                time_zone: "Europe/Berlin".to_owned(),
                metadata: BTreeMap::from([("tier".to_owned(), "gold \"plus\"".to_owned())]),
            },
        )
    }

    pub(crate) fn try_add(&mut self, after: Book) -> Result<u64, StorageError> {
        self.load(&[]);
        let books = vec![BookChange {
            before: None,
            after,
        }];
        self.backend.writer().commit(&ChangeSet {
            books,
            ..ChangeSet::default()
        })
    }

    pub(crate) fn customer(&mut self, external_id: &str) -> Customer {
        let book = self.new_book(external_id);
        let customer = book.customer.clone();
        self.try_add(book).unwrap();
        customer
    }

    pub(crate) fn wallet(&mut self, customer: CustomerId) -> Wallet {
        self.wallet_in(customer, "tokens")
    }

    pub(crate) fn wallet_in(&mut self, customer: CustomerId, currency: &str) -> Wallet {
        let currency = Currency::new(currency).unwrap();
        let new = NewWallet {
            conversion_rate: Rate::parse("1.5", "/conversion_rate").unwrap(),
            ..NewWallet::plain(currency, Scale::new(3).unwrap())
        };
        self.decide(customer, |book, journal, context| {
            wallet::create(book, journal, context, new).unwrap()
        })
    }

    pub(crate) fn top_up(&mut self, wallet: &Wallet, amount: i64) -> Lot {
        self.top_up_dated(wallet, amount, None, None)
    }

    pub(crate) fn top_up_dated(
        &mut self,
        wallet: &Wallet,
        amount: i64,
        effective_at: Option<i64>,
        expires_at: Option<i64>,
    ) -> Lot {
        let reason = ReasonCode::PurchasedCreditDirect;
        let command = TopUp {
            priority: Some(-3),
            effective_at: effective_at.map(Timestamp),
            expires_at: expires_at.map(Timestamp),
            description: Some("order 7".to_owned()),
            ..TopUp::new(wallet.id, Amount::new(amount), reason)
        };
        self.decide(wallet.customer, |book, journal, context| {
            top_up::top_up(book, journal, context, command).unwrap()
        })
    }

    /// Opens a lease that is lent `need` at once.
    pub(crate) fn lend(
        &mut self,
        wallet: &Wallet,
        instance: InstanceId,
        number: u64,
        need: i64,
    ) -> Lease {
        let asked = (LeaseNumber(number), Amount::new(need));
        let scale = Scale::new(3).unwrap();
        self.decide(wallet.customer, |book, journal, context| {
            let reporter = Reporter {
                instance,
                barred: None,
            };
            let (opened, _) = report::resolve(
                book,
                journal,
                context,
                reporter,
                (wallet.currency, scale),
                asked,
            );
            assert!(opened, "the lease is opened");
        });
        self.lease(wallet, instance, number)
    }

    /// A customer who has a wallet with a thousand in it.
    pub(crate) fn funded(&mut self, external_id: &str) -> Wallet {
        let customer = self.customer(external_id).id;
        let wallet = self.wallet(customer);
        self.top_up(&wallet, 1_000);
        wallet
    }

    pub(crate) fn lease(&self, wallet: &Wallet, instance: InstanceId, number: u64) -> Lease {
        let book = self.book(wallet.customer);
        let place = book
            .lease_place(wallet.account, instance, LeaseNumber(number))
            .expect("the lease is live");
        book.leases[place].clone()
    }

    /// Reports that a lease settled and gave back so much in all.
    pub(crate) fn report(
        &mut self,
        lease: &Lease,
        customer: CustomerId,
        settled: i64,
        returned: i64,
        previous: Option<PreviousReport>,
    ) {
        let counters = Counters {
            granted: lease.counters.granted,
            returned: Amount::new(returned),
            reserved: Amount::new(settled),
            released: Amount::ZERO,
            settled: Amount::new(settled),
        };
        let message = Report {
            account: lease.account,
            lease: lease.number,
            counters,
            previous,
            need: Amount::ZERO,
            wanted: Amount::ZERO,
        };
        self.decide(customer, |book, journal, context| {
            let reporter = Reporter {
                instance: lease.instance,
                barred: None,
            };
            report::report(book, journal, context, reporter, &message).unwrap();
        });
    }

    pub(crate) fn change_registry(
        &mut self,
        change: impl FnOnce(&mut Registry),
    ) -> Result<u64, StorageError> {
        let before = self.load(&[]).registry;
        let mut after = Registry::clone(&before);
        change(&mut after);
        self.backend.writer().commit(&ChangeSet {
            registry: Some((before, after)),
            ..ChangeSet::default()
        })
    }
}

pub(crate) fn idempotency(key: &str) -> IdempotencyKey {
    IdempotencyKey {
        principal: "key_of_tests".to_owned(),
        key: key.to_owned(),
    }
}

pub(crate) fn stored_answer(body: &[u8]) -> StoredAnswer {
    StoredAnswer {
        fingerprint: "f00d".repeat(16),
        status: 201,
        body: body.to_vec(),
        created_at: Timestamp(5),
    }
}

/// Every page of a list, three items at a time.
pub(crate) fn all_pages<T>(
    mut page: impl FnMut(creditgate::storage::PageRequest) -> creditgate::storage::Page<T>,
) -> Vec<T> {
    let mut request = creditgate::storage::PageRequest::first(3);
    let mut all = Vec::new();
    loop {
        let got = page(request);
        assert!(
            got.items.len() <= 3,
            "a page has no more than was asked for"
        );
        all.extend(got.items);
        let Some(next) = got.next else { return all };
        request.cursor = Some(next.to_string().parse().unwrap());
    }
}

pub(crate) const fn unknown_account() -> AccountId {
    AccountId(0xdead)
}

pub(crate) const fn unknown_wallet() -> WalletId {
    WalletId(0xdead)
}
