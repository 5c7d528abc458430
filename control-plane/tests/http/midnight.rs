//! A hundred thousand customers have a grant due at the same midnight, and a gateway goes on
//! speaking. How long that takes, and how long a sync waits at most, is printed.

use std::time::Duration;

use creditgate::clock::RandomIds;
use creditgate::storage::{BookChange, ChangeSet, LoadPlan, Reader, Storage, sqlite};
use creditgate_core::amount::{Currency, Scale};
use creditgate_core::lease::Counters;
use creditgate_ledger::customer::{self, NewCustomer};
use creditgate_ledger::grant::{Cadence, Period};
use creditgate_ledger::subscription::{self, NewSubscription};
use creditgate_ledger::wallet::{self, NewWallet};
use creditgate_ledger::{Context, Journal, Registry, Timestamp};
use serde_json::json;
use tokio::time::Instant;

use crate::edge::Edge;
use crate::plane::{Down, Plane};

const CUSTOMERS: usize = 100_000;

/// Customers that the set-up writes in one transaction.
const AT_ONCE: usize = 5_000;

const BEFORE: &str = "2027-02-28T23:59:59Z";
const MIDNIGHT: &str = "2027-03-01T00:00:00Z";

/// A wait for a sync that nobody should see, in a debug build on a busy machine.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Makes the customers in bulk, each with a wallet and a subscription that begins at midnight.
fn furnish(down: &Down) {
    let (mut storage, reader) = sqlite::open(&down.path(), 7).expect("the database opens");
    let registry = reader.registry().expect("the registry");
    let mut ids = RandomIds::new(down.clock());
    let _none = storage.load(&LoadPlan::default()).expect("a unit of work");
    storage.abandon();
    for first in (0..CUSTOMERS).step_by(AT_ONCE) {
        let mut changes = ChangeSet::default();
        for number in first..(first + AT_ONCE).min(CUSTOMERS) {
            add_customer(&mut changes, &mut ids, &registry, number);
        }
        storage.commit(&changes).expect("a commit");
    }
}

fn add_customer(
    changes: &mut ChangeSet,
    ids: &mut RandomIds<impl creditgate::clock::Clock>,
    registry: &Registry,
    number: usize,
) {
    let mut context = Context {
        now: Timestamp::parse(BEFORE).expect("an instant"),
        ids,
        registry,
        actor: "test",
    };
    let mut journal = Journal::default();
    let new = NewCustomer {
        external_id: format!("c{number}"),
        name: None,
        time_zone: "UTC".to_owned(),
        metadata: Default::default(),
    };
    let mut book = customer::create(&mut context, new);
    let tokens = Currency::new("tokens").expect("a currency");
    let new = NewWallet::plain(tokens, Scale::new(0).expect("a scale"));
    wallet::create(&mut book, &mut journal, &mut context, new).expect("a wallet");
    let new = NewSubscription {
        external_id: None,
        plan: registry.plans[0].id,
        billing: Cadence {
            period: Period::Monthly,
            count: 1,
        },
        started_at: Some(Timestamp::parse(MIDNIGHT).expect("an instant")),
        metadata: Default::default(),
    };
    subscription::create(&mut book, &mut journal, &mut context, new).expect("a subscription");
    changes.books.push(BookChange {
        before: None,
        after: book,
    });
    changes.entries.append(&mut journal.entries);
}

/// How many applications there are.
fn applied(plane: &Plane) -> usize {
    let connection = rusqlite::Connection::open(plane.path()).expect("the database opens");
    let sql = "SELECT count(*) FROM grant_application WHERE state = 'applied'";
    let count: i64 = connection
        .query_row(sql, [], |row| row.get(0))
        .expect("a count");
    usize::try_from(count).expect("a count")
}

/// Whether some grant is still due.
fn is_due(plane: &Plane) -> bool {
    let connection = rusqlite::Connection::open(plane.path()).expect("the database opens");
    let sql = "SELECT EXISTS (SELECT 1 FROM grant_schedule WHERE next_at <= ?1)";
    let midnight = Timestamp::parse(MIDNIGHT).expect("an instant");
    connection
        .query_row(sql, [midnight.0], |row| row.get(0))
        .expect("a look")
}

/// Speaks without pause until nothing is due; how long each sync took.
async fn speak_until_done(plane: &Plane, edge: &Edge, key: &str) -> Vec<Duration> {
    let lent = edge.know(plane, key, 1, 1_000).await.answer;
    let mut waits = Vec::new();
    let (mut settled, mut looked) = (0, Instant::now());
    loop {
        settled += 1;
        let counters = Counters {
            granted: lent.granted,
            reserved: creditgate_core::amount::Amount::new(settled),
            settled: creditgate_core::amount::Amount::new(settled),
            ..Counters::default()
        };
        let asked = Instant::now();
        edge.report(plane, &lent, counters, 0).await;
        waits.push(asked.elapsed());
        if looked.elapsed() > Duration::from_millis(500) {
            looked = Instant::now();
            if !is_due(plane) {
                return waits;
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_grants_at_one_midnight_keep_no_gateway_waiting() {
    let plane = Plane::at(BEFORE);
    let plan = json!({ "external_id": "p", "name": "P" });
    assert_eq!(plane.post("/v1/plans", plan).await.status, 201);
    let grant = json!({ "name": "G", "scope": "PLAN", "plan_id": "p", "credit_amount": 1000,
        "currency": "tokens", "cadence": "RECURRING", "period": "MONTHLY", "expire_in_days": 31 });
    assert_eq!(plane.post("/v1/credit-grants", grant).await.status, 201);
    plane.funded("ada", "tokens", "1000000").await;
    let key = plane.key_of("ada").await;
    let edge = Edge::of(&plane, "edge", "tokens").await;

    let down = plane.stop().await;
    let began = Instant::now();
    furnish(&down);
    let furnished = began.elapsed();
    let plane = down.start_at(BEFORE);
    plane.set(MIDNIGHT);
    let began = Instant::now();
    let mut waits = speak_until_done(&plane, &edge, &key).await;
    let took = began.elapsed();

    waits.sort_unstable();
    let slowest = waits.last().copied().unwrap_or_default();
    let p99 = waits
        .get(waits.len() * 99 / 100)
        .copied()
        .unwrap_or_default();
    let long = waits
        .iter()
        .filter(|wait| **wait > Duration::from_millis(100))
        .count();
    let a_second = CUSTOMERS as u128 * 1_000 / took.as_millis().max(1);
    println!(
        "{CUSTOMERS} grants at one midnight: {took:.1?} ({a_second} a second; set up in {furnished:.1?}); \
         {} syncs meanwhile: p99 {p99:.1?}, slowest {slowest:.1?}, {long} above 100 ms",
        waits.len(),
    );
    assert_eq!(applied(&plane), CUSTOMERS);
    assert!(slowest < WAIT_MAX, "a sync waited {slowest:?}");
}
