//! A control plane of its own for each test, and what is asked of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request};
use creditgate::clock::{Clock, RandomIds, SystemClock};
use creditgate::http::{App, Exposition, KeptSums, router};
use creditgate::jobs::{Jobs, Presence};
use creditgate::restored::begin_epoch;
use creditgate::storage::{Reader, sqlite};
use creditgate::verify::verify;
use creditgate::webhooks::Webhooks;
use creditgate::writer::Writer;
use creditgate_core::key::credential_hash;
use creditgate_ledger::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::ServiceExt;

/// The administrator's key of every test.
pub(crate) const ADMIN: &str = "an-administrator-of-tests";

/// The machine's clock, or one in the test's hand.
#[derive(Clone, Default)]
pub(crate) struct Hands(Option<Arc<AtomicI64>>);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        match &self.0 {
            Some(now_ms) => Timestamp(now_ms.load(Ordering::SeqCst)),
            None => SystemClock.now(),
        }
    }
}

/// A running control plane.
pub(crate) struct Plane {
    pub(crate) app: Arc<App>,
    hands: Hands,
    router: Router,
    stop: watch::Sender<bool>,
    jobs: JoinSet<()>,
    directory: Option<TempDir>,
}

/// The database of a control plane that is down.
pub(crate) struct Down {
    directory: TempDir,
    hands: Hands,
}

impl Down {
    /// Its file.
    pub(crate) fn path(&self) -> PathBuf {
        database(&self.directory)
    }

    /// The clock of the one that is down, and of the next.
    pub(crate) fn clock(&self) -> Hands {
        self.hands.clone()
    }

    /// Starts another on it, at an instant (RFC 3339).
    pub(crate) fn start_at(self, instant: &str) -> Plane {
        let now_ms = self.hands.0.as_ref().expect("a clock in the test's hand");
        now_ms.store(ms(instant), Ordering::SeqCst);
        Plane::open(self.directory, self.hands)
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
    pub(crate) body: Value,
}

impl Answer {
    /// The stable code of a problem.
    pub(crate) fn code(&self) -> &str {
        assert_eq!(
            self.headers["content-type"], "application/problem+json",
            "{self:?}"
        );
        assert_eq!(self.body["status"], self.status);
        self.body["code"].as_str().unwrap_or_default()
    }

    pub(crate) fn text(&self, field: &str) -> String {
        let text = self.body[field].as_str();
        text.unwrap_or_else(|| panic!("{field} of {}", self.body))
            .to_owned()
    }

    pub(crate) fn replayed(&self) -> bool {
        self.headers.contains_key("idempotency-replayed")
    }
}

impl Plane {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self::open(directory, Hands::default())
    }

    /// One whose time stands at an instant (RFC 3339) and moves as the test says: see [`Plane::set`].
    pub(crate) fn at(instant: &str) -> Self {
        let hands = Hands(Some(Arc::new(AtomicI64::new(ms(instant)))));
        Self::open(tempfile::tempdir().expect("a temporary directory"), hands)
    }

    /// Makes it this instant (RFC 3339). What is due by then is done soon, not at once: by the
    /// jobs, or by the next decision about the customer.
    pub(crate) fn set(&self, instant: &str) {
        let now_ms = self.hands.0.as_ref().expect("a clock in the test's hand");
        now_ms.store(ms(instant), Ordering::SeqCst);
    }

    /// Lets so many milliseconds pass.
    pub(crate) fn pass_ms(&self, passed_ms: i64) {
        let now_ms = self.hands.0.as_ref().expect("a clock in the test's hand");
        now_ms.fetch_add(passed_ms, Ordering::SeqCst);
    }

    /// Asks again and again until the answer fits, and fails after a generous time.
    pub(crate) async fn until(&self, path: &str, fits: impl Fn(&Value) -> bool) -> Answer {
        let mut last = self.get(path).await;
        for _ in 0..600 {
            if last.status == 200 && fits(&last.body) {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            last = self.get(path).await;
        }
        panic!("{path} did not come to fit: {}", last.body);
    }

    fn open(directory: TempDir, hands: Hands) -> Self {
        Self::open_with(directory, hands, Presence::default())
    }

    fn open_with(directory: TempDir, hands: Hands, presence: Presence) -> Self {
        let (storage, reader) = sqlite::open(&database(&directory), 7).expect("the database opens");
        let ids = RandomIds::new(hands.clone());
        let writer = Writer::start(storage, hands.clone(), ids).expect("the writer starts");
        Self::with(writer, Arc::new(reader), Some(directory), hands, presence)
    }

    pub(crate) fn over(
        writer: Writer,
        reader: Arc<dyn Reader>,
        directory: Option<TempDir>,
    ) -> Self {
        let presence = Presence::default();
        Self::with(writer, reader, directory, Hands::default(), presence)
    }

    fn with(
        writer: Writer,
        reader: Arc<dyn Reader>,
        directory: Option<TempDir>,
        hands: Hands,
        presence: Presence,
    ) -> Self {
        let (stop, stopping) = watch::channel(false);
        // Receivers of tests listen on this machine.
        let allowed = "127.0.0.1".parse().expect("a range");
        let webhooks = Webhooks::new(vec![allowed]).expect("connections of webhooks");
        let app = Arc::new(App {
            writer,
            reader,
            clock: Arc::new(hands.clone()),
            admin_key: Some(credential_hash(ADMIN)),
            usage_sums: KeptSums::default(),
            presence,
            guard: Arc::clone(&webhooks.guard),
            stopping: stopping.clone(),
            exposition: Exposition::of_process(),
        });
        let jobs = Jobs {
            writer: app.writer.clone(),
            reader: Arc::clone(&app.reader),
            clock: Arc::clone(&app.clock),
            presence: app.presence.clone(),
            webhooks,
            stopping,
        }
        .start();
        Self {
            router: router(Arc::clone(&app)),
            app,
            hands,
            stop,
            jobs,
            directory,
        }
    }

    /// Ends the service; see [`Down::start_at`].
    pub(crate) async fn stop(mut self) -> Down {
        self.stop.send_replace(true);
        while self.jobs.join_next().await.is_some() {}
        let directory = self.directory.take().expect("a database of its own");
        let hands = self.hands.clone();
        Down { directory, hands }
    }

    /// Ends the service and starts another on the same database.
    pub(crate) async fn restart(self) -> Self {
        self.restart_with(Presence::default()).await
    }

    /// As [`Plane::restart`], but the new one has heard of gateways what is given.
    pub(crate) async fn restart_with(mut self, presence: Presence) -> Self {
        self.stop.send_replace(true);
        while self.jobs.join_next().await.is_some() {}
        let directory = self.directory.take().expect("a database of its own");
        let hands = self.hands.clone();
        drop(self);
        Self::open_with(directory, hands, presence)
    }

    /// Asks the service to end.
    pub(crate) fn ask_to_stop(&self) {
        self.stop.send_replace(true);
    }

    /// A copy of the database as it is now.
    pub(crate) fn backup(&self) -> TempDir {
        let copy = tempfile::tempdir().expect("a temporary directory");
        let connection = rusqlite::Connection::open(self.path()).expect("the database opens");
        let path = database(&copy);
        let path = path.to_str().expect("a path of text");
        connection
            .execute("VACUUM INTO ?1", [path])
            .expect("a backup");
        copy
    }

    /// Ends the service, puts a backup in place of its database, and starts another on it.
    pub(crate) async fn restore(mut self, backup: &TempDir) -> Self {
        self.stop.send_replace(true);
        while self.jobs.join_next().await.is_some() {}
        let hands = self.hands.clone();
        drop(self);
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::copy(database(backup), database(&directory)).expect("a copy");
        let (mut storage, reader) =
            sqlite::open(&database(&directory), 9).expect("the database opens");
        let mut ids = RandomIds::new(SystemClock);
        let mut draws = [7, 0, 11].into_iter();
        let draw = || draws.next().expect("the third differs");
        let done = begin_epoch(&mut storage, &reader, SystemClock.now(), &mut ids, draw);
        let done = done.expect("the database can be written");
        assert_eq!((done.old_epoch, done.epoch), (7, 11));
        drop((storage, reader));
        Self::open(directory, hands)
    }

    /// The database's file.
    pub(crate) fn path(&self) -> PathBuf {
        database(self.directory.as_ref().expect("a database of its own"))
    }

    /// Every row of the database, by table.
    pub(crate) fn dump(&self) -> BTreeMap<String, Vec<String>> {
        self.dump_without(&[])
    }

    /// As [`Plane::dump`], without some columns: `table.column`, or `table.*` for all of them.
    pub(crate) fn dump_without(&self, left_out: &[&str]) -> BTreeMap<String, Vec<String>> {
        let connection = rusqlite::Connection::open(self.path()).expect("the database opens");
        let rows = |sql: &str| -> Vec<String> {
            let mut statement = connection.prepare(sql).expect("a statement");
            let columns = statement.column_count();
            let rows = statement.query_map([], |row| {
                let values =
                    (0..columns).map(|column| row.get::<_, rusqlite::types::Value>(column));
                Ok(format!("{:?}", values.collect::<Result<Vec<_>, _>>()?))
            });
            let rows: Result<Vec<_>, _> = rows.expect("rows").collect();
            rows.expect("rows that can be read")
        };
        let mut tables = connection
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
            .expect("a statement");
        let names = tables.query_map([], |row| row.get::<_, String>(0));
        let names: Result<Vec<_>, _> = names.expect("rows").collect();
        let mut dump = BTreeMap::new();
        for name in names.expect("names") {
            let all = connection
                .prepare(&format!("SELECT * FROM {name}"))
                .expect("a statement");
            let mut columns: Vec<&str> = all.column_names().collect();
            columns.retain(|column| !left_out.contains(&format!("{name}.{column}").as_str()));
            if left_out.contains(&format!("{name}.*").as_str()) {
                continue;
            }
            let columns = format!("\"{}\"", columns.join("\", \""));
            let found = rows(&format!("SELECT {columns} FROM {name} ORDER BY 1, 2"));
            dump.insert(name, found);
        }
        dump
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.app.clock.now().0
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        key: &str,
        body: impl Into<Vec<u8>>,
        more: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !key.is_empty() {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.into())).expect("a request");
        let response = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("an answer");
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX)
            .await
            .expect("a body")
            .to_vec();
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            bytes,
            body,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, ADMIN, "", &[]).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, ADMIN, body.to_string(), &[])
            .await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PUT, path, ADMIN, body.to_string(), &[])
            .await
    }

    /// Settings that tests need not wait for.
    pub(crate) async fn hurry(&self) {
        let settings = json!({
            "use_by_ms": 1000, "sync_ms": 50, "idle_ms": 200, "wait_ms": 300, "max_stream_ms": 1000,
            "silent_after_ms": 1000, "quarantine_policy": "hold",
        });
        let answer = self.put("/v1/settings", settings).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// A customer of this name with a wallet of `currency` that has `amount`; answers the wallet's id.
    pub(crate) async fn funded(&self, name: &str, currency: &str, amount: &str) -> String {
        let made = self
            .post("/v1/customers", json!({ "external_id": name }))
            .await;
        assert_eq!(made.status, 201, "{made:?}");
        let wallet = self
            .post(
                "/v1/wallets",
                json!({ "customer_id": name, "currency": currency }),
            )
            .await;
        assert_eq!(wallet.status, 201, "{wallet:?}");
        let wallet = wallet.text("id");
        if amount != "0" {
            self.top_up(&wallet, amount).await;
        }
        wallet
    }

    pub(crate) async fn top_up(&self, wallet: &str, amount: &str) -> Answer {
        let answer = self
            .post(
                &format!("/v1/wallets/{wallet}/top-up"),
                json!({ "amount": amount }),
            )
            .await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer
    }

    pub(crate) async fn key_of(&self, customer: &str) -> String {
        let answer = self
            .post(&format!("/v1/customers/{customer}/keys"), json!({}))
            .await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.text("key")
    }

    /// The parts of a wallet's balance that are asked for.
    pub(crate) async fn balance<const N: usize>(
        &self,
        wallet: &str,
        parts: [&str; N],
    ) -> [String; N] {
        let answer = self.get(&format!("/v1/wallets/{wallet}/balance")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        parts.map(|part| answer.text(part))
    }

    /// Every invariant holds.
    pub(crate) fn assert_clean(&self) {
        let findings = verify(&*self.app.reader).expect("the database can be read");
        assert!(findings.is_empty(), "{findings:?}");
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

fn ms(instant: &str) -> i64 {
    Timestamp::parse(instant).expect("an instant").0
}

fn database(directory: &TempDir) -> PathBuf {
    directory.path().join("creditgate.db")
}
