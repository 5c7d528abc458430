//! A database of the first version, opened by this one: nothing of it is lost, and its
//! journal is numbered, hashed and says what lots were made with.

use std::path::{Path, PathBuf};

use creditgate::storage::sqlite::{self, SqliteReader};
use creditgate::storage::{
    ChangeSet, EntryFilter, LeaseFilter, LotFilter, PageRequest, Reader, Storage, Target,
};
use creditgate_core::key::credential_hash;
use creditgate_core::rate_card::{Discount, PricingDocument, RateCardDocument};
use creditgate_ledger::chain::{Chain, ChainHash};
use creditgate_ledger::id::{CustomerId, InstanceId};
use creditgate_ledger::rate_card::{RateCardHead, RateCardState, RateCardVersion};
use creditgate_ledger::registry::{Gateway, GatewayKey};
use creditgate_ledger::{
    Book, Entry, EntryKind, Fact, Lot, Timestamp, WalletStatus, credential, expiry, pricing,
    top_up, wallet,
};
use rusqlite::Connection;

use crate::desk::{Backend, Desk, Sqlite, all_pages, idempotency, stored_answer};

/// Work of every kind that the first version knew.
fn worked() -> (Desk<Sqlite>, Vec<CustomerId>) {
    let mut desk = Desk::<Sqlite>::new();
    let (one, two) = (desk.funded("one"), desk.funded("two"));
    let dated = desk.top_up_dated(&one, 500, None, Some(2_000_000));
    let voided = desk.top_up_dated(&one, 300, Some(9_000_000), None);
    let other = desk.wallet_in(one.customer, "USD");
    desk.top_up(&other, 70);
    let lease = desk.lend(&one, InstanceId(1), 5, 600);
    desk.report(&lease, one.customer, 120, 10, None);
    desk.decide(one.customer, |book, journal, context| {
        top_up::void(book, journal, context, voided.id, "a mistake").unwrap();
        credential::add(book, context, None, credential_hash("key")).unwrap();
    });
    let lent = desk.lend(&two, InstanceId(1), 5, 40);
    desk.now = Timestamp(3_000_000);
    desk.report(&lent, two.customer, 40, 0, None);
    desk.decide(one.customer, |book, journal, context| {
        let place = book.account_place(one.account).unwrap();
        expiry::pass(book, journal, context, place);
    });
    let lease = desk.lease(&one, InstanceId(1), 5);
    desk.report(
        &lease,
        one.customer,
        200,
        lease.counters.granted.get() - 200,
        None,
    );
    let expired = desk.reader().lot(dated.id).unwrap().unwrap().1;
    assert!(expired.expired.get() > 0, "some of it expired unused");
    desk.change_registry(|registry| {
        let gateway = creditgate_ledger::id::GatewayId(7);
        registry.gateways.push(Gateway {
            id: gateway,
            external_id: "edge".to_owned(),
            name: None,
            rate_card: "api".to_owned(),
            created_at: Timestamp(1),
        });
        registry.gateway_keys.push(GatewayKey {
            id: creditgate_ledger::id::KeyId(8),
            gateway,
            hash: credential_hash("gateway"),
            created_at: Timestamp(1),
            revoked_at: None,
        });
    })
    .unwrap();
    desk.change_registry(|registry| {
        let mut first = card(1, Timestamp(100));
        first.head.state = RateCardState::Superseded;
        first.head.ended_at = Some(Timestamp(200));
        registry.rate_cards.push(first);
        registry.rate_cards.push(card(2, Timestamp(200)));
    })
    .unwrap();
    let three = all_lent_and_voided(&mut desk);
    let answers = vec![(idempotency("one"), stored_answer(b"{}"))];
    desk.load(&[]);
    let changes = ChangeSet {
        answers,
        ..ChangeSet::default()
    };
    desk.backend.writer().commit(&changes).unwrap();
    (desk, vec![one.customer, two.customer, three])
}

fn card(version: u64, at: Timestamp) -> RateCardVersion {
    let document = br#"{"name": "api", "currency": "tokens", "default": "deny"}"#;
    RateCardVersion {
        head: RateCardHead {
            name: "api".to_owned(),
            version,
            state: RateCardState::Active,
            created_at: at,
            effective_at: at,
            ended_at: None,
        },
        document: RateCardDocument::from_json(document).unwrap(),
    }
}

/// A lot of which nothing was free when it was voided, and a wallet that is frozen: the first
/// version made no entry of either.
fn all_lent_and_voided(desk: &mut Desk<Sqlite>) -> CustomerId {
    let wallet = desk.funded("three");
    let lease = desk.lend(&wallet, InstanceId(3), 5, 1_000);
    let lot = desk.book(wallet.customer).lots[0].id;
    desk.now = desk.now.plus_ms(10);
    desk.decide(wallet.customer, |book, journal, context| {
        top_up::void(book, journal, context, lot, "a mistake").unwrap();
    });
    desk.now = desk.now.plus_ms(10);
    let returned = lease.counters.granted.get() - 10;
    desk.report(&lease, wallet.customer, 10, returned, None);
    desk.decide(wallet.customer, |book, journal, context| {
        let frozen = WalletStatus::Frozen;
        wallet::set_status(book, journal, context, wallet.id, frozen, None).unwrap();
    });
    wallet.customer
}

/// The same rows, as the first version kept them.
fn first_version(of: &Path, path: PathBuf) -> PathBuf {
    let connection = Connection::open(&path).unwrap();
    let schema = include_str!("../../migrations/sqlite/0001_books.sql");
    connection.execute_batch(schema).unwrap();
    let attach = format!(
        "PRAGMA application_id = 1668441191; PRAGMA user_version = 1; PRAGMA foreign_keys = OFF;
         ATTACH '{}' AS now;",
        of.display()
    );
    connection.execute_batch(&attach).unwrap();
    let names = |sql: &str| -> Vec<String> {
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    for table in names("SELECT name FROM main.sqlite_schema WHERE type = 'table'") {
        let sql = format!("SELECT '\"' || name || '\"' FROM pragma_table_info('{table}', 'main')");
        let columns = names(&sql).join(", ");
        // Lines named their entry by its id, and there were no notes.
        let from = match table.as_str() {
            "posting" | "draw" => {
                let entry = "(SELECT id FROM now.entry WHERE account = line.account AND number = line.entry)";
                let columns = columns.replace("\"entry\"", entry);
                format!("SELECT {columns} FROM now.{table} AS line")
            }
            "entry" => format!("SELECT {columns} FROM now.entry WHERE kind <> 'note'"),
            _ => format!("SELECT {columns} FROM now.{table}"),
        };
        let sql = format!("INSERT INTO main.{table} ({columns}) {from}");
        connection.execute(&sql, []).unwrap();
    }
    let settings =
        "UPDATE main.meta SET settings = json_remove(settings, '$.bonus_slabs', '$.default_alerts',
         '$.unpaid_lot_ttl_ms', '$.auto_topup_cooldown_ms', '$.auto_topups_per_day_max',
         '$.auto_topups_per_month_max', '$.auto_complete_purchased_credit_transaction')";
    connection.execute(settings, []).unwrap();
    path
}

/// The journal without notes, numbers and hashes, which the first version did not have.
fn journal(reader: &impl Reader, book: &Book) -> Vec<Entry> {
    let accounts = book.accounts.iter();
    let entries = accounts.flat_map(|account| {
        let filter = EntryFilter::Account(account.id);
        all_pages(|page| reader.entries(filter, page).unwrap())
    });
    entries
        .filter(|entry| entry.kind != EntryKind::Note)
        .map(|mut entry| {
            if let Some(Fact::LotMade(terms)) = &mut entry.fact {
                terms.cost = None;
            }
            entry.number = 0;
            entry.hash = ChainHash::default();
            entry
        })
        .collect()
}

/// Lots as the first version knew them: it did not know what was paid.
fn plain(mut lots: Vec<Lot>) -> Vec<Lot> {
    for lot in &mut lots {
        lot.cost = None;
    }
    lots
}

fn without_chains(mut book: Book) -> Book {
    book.lots = plain(book.lots);
    for account in &mut book.accounts {
        account.chain = Chain::default();
    }
    book
}

fn compare(before: &SqliteReader, after: &SqliteReader, customer: CustomerId) {
    let book = |reader: &SqliteReader| reader.book(&Target::Customer(customer)).unwrap().unwrap();
    let (old, new) = (book(before), book(after));
    assert_eq!(without_chains(old.clone()), without_chains(new.clone()));
    assert_eq!(journal(before, &old), journal(after, &new));
    let lots = |reader: &SqliteReader| {
        plain(all_pages(|page| {
            reader.lots(LotFilter::Customer(customer), page).unwrap()
        }))
    };
    assert_eq!(lots(before), lots(after));
    let of_customer = LeaseFilter {
        customer: Some(customer),
        ..LeaseFilter::default()
    };
    let leases =
        |reader: &SqliteReader| all_pages(|page| reader.leases(of_customer, page).unwrap());
    assert_eq!(leases(before), leases(after));
    let keys = |reader: &SqliteReader| reader.keys(customer, PageRequest::first(99)).unwrap().items;
    assert_eq!(keys(before), keys(after));
    for account in &new.accounts {
        let entries = after.chain(account.id, 0, 999).unwrap();
        let mut chain = Chain::default();
        assert!(entries.iter().all(|entry| chain.follows(entry)));
        assert_eq!(chain, account.chain);
        assert!(chain.entries > 0);
    }
}

#[test]
fn database_of_the_first_version_loses_nothing() {
    let (desk, customers) = worked();
    let path = desk.backend.folder.path().join("first.db");
    let path = first_version(&desk.backend.path(), path);
    let (mut writer, reader) = sqlite::open(&path, 1).unwrap();
    for customer in &customers {
        compare(desk.reader(), &reader, *customer);
    }
    assert_eq!(
        desk.reader().registry().unwrap(),
        reader.registry().unwrap()
    );
    for version in [1, 2] {
        let of = |reader: &SqliteReader| reader.rate_card("api", version).unwrap().unwrap();
        assert_eq!(of(&reader), of(desk.reader()), "when it was in force");
    }
    let plan = creditgate::storage::LoadPlan {
        idempotency: vec![idempotency("one")],
        ..creditgate::storage::LoadPlan::default()
    };
    let answers = writer.load(&plan).unwrap().answers;
    assert_eq!(
        answers.get(&idempotency("one")),
        Some(&stored_answer(b"{}"))
    );
    writer.abandon();
    // Lots say what they were made with, and that they were voided.
    let book = reader
        .book(&Target::Customer(customers[0]))
        .unwrap()
        .unwrap();
    let facts: Vec<_> = journal(&reader, &book)
        .into_iter()
        .filter_map(|entry| entry.fact)
        .collect();
    let made = |fact: &&Fact| matches!(fact, Fact::LotMade(_));
    let voided = |fact: &&Fact| matches!(fact, Fact::LotVoided { .. });
    assert_eq!(facts.iter().filter(made).count(), 4);
    assert_eq!(facts.iter().filter(voided).count(), 1);
    // The second time there is nothing to do.
    drop((writer, reader));
    let (_writer, reader) = sqlite::open(&path, 1).unwrap();
    compare(desk.reader(), &reader, customers[0]);
}

#[test]
fn upgraded_database_keeps_the_invariants() {
    let (desk, _) = worked();
    let path = desk.backend.folder.path().join("first.db");
    let path = first_version(&desk.backend.path(), path);
    let (_writer, reader) = sqlite::open(&path, 1).unwrap();
    assert_eq!(creditgate::verify::verify(&reader).unwrap(), []);
}

#[test]
fn upgrade_that_fails_leaves_the_database_as_it_was() {
    let (desk, _) = worked();
    let path = desk.backend.folder.path().join("first.db");
    let path = first_version(&desk.backend.path(), path);
    let connection = Connection::open(&path).unwrap();
    let rows = || -> (i64, i64) {
        let sql =
            "SELECT (SELECT count(*) FROM entry), (SELECT user_version FROM pragma_user_version)";
        connection
            .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
    };
    connection
        .execute_batch("DROP TRIGGER entry_is_not_changed; UPDATE entry SET reason = 'UNKNOWN'")
        .unwrap();
    let before = rows();
    let error = sqlite::open(&path, 1).err().unwrap().to_string();
    assert!(error.contains("reason"), "{error}");
    assert_eq!(rows(), before);
    assert_eq!(before.1, 1);
}

/// As before every version of a pricing was kept.
const ONE_PRICING: &str = "
    CREATE TABLE customer_pricing (
        customer   BLOB PRIMARY KEY REFERENCES customer (id),
        version    INTEGER NOT NULL,
        document   TEXT NOT NULL,
        changed_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    INSERT INTO customer_pricing SELECT customer, version, document, changed_at
        FROM customer_pricing_version WHERE version = 2;
    DROP TABLE customer_pricing_version;
    DROP TABLE usage_meter;
    ALTER TABLE usage_detail DROP COLUMN cache_write_1h_tokens;
    ALTER TABLE usage_detail DROP COLUMN image_output_tokens;
    PRAGMA user_version = 6;";

#[test]
fn a_pricing_of_which_only_the_newest_was_kept_comes_along() {
    let mut desk = Desk::<Sqlite>::new();
    let customer = desk.customer("ada").id;
    for discount in [1, 2] {
        let document = PricingDocument {
            discount_ppm: Discount::new(discount).unwrap(),
            ..PricingDocument::default()
        };
        desk.decide(customer, |book, _, context| {
            pricing::set(book, context, document).unwrap()
        });
    }
    let before = desk.book(customer).pricing;
    let connection = Connection::open(desk.backend.path()).unwrap();
    connection.execute_batch(ONE_PRICING).unwrap();
    drop(connection);
    let desk = desk.reopen();
    assert_eq!(desk.book(customer).pricing, before);
    assert_eq!(desk.reader().pricing(customer, 2).unwrap(), before);
    assert_eq!(desk.reader().pricing(customer, 1).unwrap(), None);
}
