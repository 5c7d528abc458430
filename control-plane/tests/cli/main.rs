//! The shipped binary, as people and scripts use it.

mod export;
mod import_prices;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use creditgate_core::key::{KeyKind, check};
use tempfile::TempDir;

const ADMIN: &str = "an-administrator-of-tests";

fn creditgate() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_creditgate"));
    command
        .env_remove("CREDITGATE_ADMIN_KEY")
        .env_remove("RUST_LOG");
    command
}

/// A service that is killed at the latest when the test ends.
struct Service {
    process: Child,
    url: String,
}

impl Service {
    fn start(database: &Path, admin: Option<&str>) -> Self {
        let mut command = creditgate();
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--database"])
            .arg(format!("sqlite:{}", database.display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(key) = admin {
            command.env("CREDITGATE_ADMIN_KEY", key);
        }
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("{line:?}"));
        Self {
            url: url.to_owned(),
            process,
        }
    }

    /// Asks it to end; answers what it wrote to standard output after the first line, and to standard error.
    fn end(mut self) -> (String, String) {
        let pid = self.process.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        let (mut out, mut log) = (String::new(), String::new());
        self.process
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut out)
            .unwrap();
        self.process
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut log)
            .unwrap();
        assert_eq!(self.process.wait().unwrap().code(), Some(0), "{log}");
        (out, log)
    }

    fn verb(&self, arguments: &[&str], key: &str) -> Output {
        creditgate()
            .args(arguments)
            .args(["--url", &self.url, "--key", key])
            .output()
            .unwrap()
    }

    fn post(&self, path: &str, key: &str, body: &str) -> serde_json::Value {
        self.send(reqwest::Method::POST, path, key, body)
    }

    fn put(&self, path: &str, key: &str, body: &str) -> serde_json::Value {
        self.send(reqwest::Method::PUT, path, key, body)
    }

    fn send(
        &self,
        method: reqwest::Method,
        path: &str,
        key: &str,
        body: &str,
    ) -> serde_json::Value {
        let url = format!("{}{path}", self.url);
        let (key, body) = (key.to_owned(), body.to_owned());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let answer = reqwest::Client::new()
                .request(method, url)
                .bearer_auth(key)
                .body(body)
                .send()
                .await
                .unwrap();
            serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
        })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn serve_prints_one_line_and_ends_at_a_signal() {
    let directory = directory();
    let service = Service::start(&directory.path().join("c.db"), Some(ADMIN));
    assert!(service.url.starts_with("http://127.0.0.1:"));
    let (out, log) = service.end();
    assert_eq!(out, "");
    assert!(
        log.contains("asked to stop") && log.contains("ended"),
        "{log}"
    );
    assert!(!log.contains(ADMIN), "no secret is logged");
}

#[test]
fn without_a_key_of_the_environment_the_first_is_made_and_told_once() {
    let directory = directory();
    let database = directory.path().join("c.db");
    let (_, log) = Service::start(&database, None).end();
    let key = log
        .split_whitespace()
        .find(|word| word.starts_with("cga_"))
        .unwrap_or_else(|| panic!("{log}"))
        .to_owned();
    assert_eq!(check(&key), Ok(KeyKind::Admin));
    let service = Service::start(&database, None);
    let made = service.post("/v1/customers", &key, r#"{"external_id": "ada"}"#);
    assert_eq!(made["external_id"], "ada", "{made}");
    let (_, log) = service.end();
    assert!(!log.contains("cga_"), "{log}");
    let bytes = fs::read(&database).unwrap();
    assert!(
        !bytes
            .windows(key.len())
            .any(|window| window == key.as_bytes()),
        "only its hash is stored"
    );
}

#[test]
fn the_key_may_come_from_a_file_but_not_from_both() {
    let directory = directory();
    let file = directory.path().join("key");
    fs::write(&file, format!("{ADMIN}\n")).unwrap();
    let mut command = creditgate();
    command.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--database",
        "sqlite:never.db",
    ]);
    command
        .env("CREDITGATE_ADMIN_KEY", ADMIN)
        .env("CREDITGATE_ADMIN_KEY_FILE", &file);
    let refused = command.output().unwrap();
    assert!(!refused.status.success());
    assert!(
        text(&refused.stderr).contains("set one"),
        "{}",
        text(&refused.stderr)
    );
}

#[test]
fn a_database_that_can_not_be_opened_is_told() {
    for database in ["postgres://x", "sqlite:", "sqlite:/nowhere/at/all.db"] {
        let refused = creditgate()
            .args(["serve", "--listen", "127.0.0.1:0", "--database", database])
            .output()
            .unwrap();
        assert!(!refused.status.success());
        assert_eq!(text(&refused.stdout), "");
        assert!(!text(&refused.stderr).is_empty());
    }
}

#[test]
fn verify_finds_a_sound_database_clean_and_a_tampered_one_not() {
    let directory = directory();
    let database = directory.path().join("c.db");
    let name = format!("sqlite:{}", database.display());
    let service = Service::start(&database, Some(ADMIN));
    service.post("/v1/customers", ADMIN, r#"{"external_id": "ada"}"#);
    let wallet = service.post(
        "/v1/wallets",
        ADMIN,
        r#"{"customer_id": "ada", "currency": "usd"}"#,
    );
    let wallet = wallet["id"].as_str().unwrap();
    service.post(
        &format!("/v1/wallets/{wallet}/top-up"),
        ADMIN,
        r#"{"amount": 5}"#,
    );
    let while_running = creditgate()
        .args(["verify", "--database", &name])
        .output()
        .unwrap();
    assert_eq!(
        while_running.status.code(),
        Some(0),
        "{}",
        text(&while_running.stdout)
    );
    service.end();
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection
        .execute("UPDATE account SET available = available + 1", [])
        .unwrap();
    drop(connection);
    let tampered = creditgate()
        .args(["verify", "--output", "json", "--database", &name])
        .output()
        .unwrap();
    assert_eq!(tampered.status.code(), Some(1));
    let findings: serde_json::Value = serde_json::from_slice(&tampered.stdout).unwrap();
    assert!(
        findings["findings"][0]["subject"]
            .as_str()
            .unwrap()
            .starts_with("acc_"),
        "{findings}"
    );
    let absent = creditgate()
        .args(["verify", "--database", "sqlite:absent.db"])
        .output()
        .unwrap();
    assert!(!absent.status.success() && !Path::new("absent.db").exists());
}

#[test]
fn a_filter_configuration_is_checked_and_its_schema_printed() {
    let directory = directory();
    let file = directory.path().join("filter.json");
    fs::write(&file, r#"{"control_plane": {"cluster": "creditgate"}}"#).unwrap();
    let fine = creditgate()
        .args(["plugin", "check"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(fine.status.success(), "{}", text(&fine.stderr));
    fs::write(
        &file,
        r#"{"control_plane": {"cluster": "creditgate"}, "tick_ms": 0}"#,
    )
    .unwrap();
    let wrong = creditgate()
        .args(["plugin", "check"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(wrong.status.code(), Some(1));
    assert!(
        text(&wrong.stderr).contains("tick_ms"),
        "{}",
        text(&wrong.stderr)
    );
    let schema = creditgate().args(["plugin", "schema"]).output().unwrap();
    let schema: serde_json::Value = serde_json::from_slice(&schema.stdout).unwrap();
    assert!(
        schema["properties"]["control_plane"].is_object(),
        "{schema}"
    );
}

#[test]
fn keys_are_made_without_a_service() {
    let made = creditgate().args(["key", "new"]).output().unwrap();
    assert_eq!(check(text(&made.stdout).trim()), Ok(KeyKind::Admin));
}

#[test]
fn the_verbs_that_ask_a_service_tell_what_it_says() {
    let directory = directory();
    let service = Service::start(&directory.path().join("c.db"), Some(ADMIN));
    let listed = service.verb(&["lease", "list"], ADMIN);
    assert!(listed.status.success(), "{}", text(&listed.stderr));
    assert!(
        text(&listed.stdout).starts_with("id"),
        "{}",
        text(&listed.stdout)
    );
    let json = service.verb(
        &[
            "lease",
            "list",
            "--output",
            "json",
            "--state",
            "quarantined",
        ],
        ADMIN,
    );
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&json.stdout).unwrap()["data"],
        serde_json::json!([])
    );
    let instance = "ins_00000000000000000000000000000001";
    let unknown = service.verb(&["drain", instance], ADMIN);
    assert!(!unknown.status.success());
    assert!(
        text(&unknown.stderr).contains("not_found"),
        "{}",
        text(&unknown.stderr)
    );
    let stranger = service.verb(&["lease", "list"], "wrong");
    assert!(
        text(&stranger.stderr).contains("401"),
        "{}",
        text(&stranger.stderr)
    );
}

#[test]
fn drain_waits_until_all_is_given_back_and_says_what_is_not() {
    let directory = directory();
    let service = Service::start(&directory.path().join("c.db"), Some(ADMIN));
    service.post("/v1/customers", ADMIN, r#"{"external_id": "ada"}"#);
    let wallet = service.post(
        "/v1/wallets",
        ADMIN,
        r#"{"customer_id": "ada", "currency": "tokens"}"#,
    );
    let wallet = wallet["id"].as_str().unwrap();
    service.post(
        &format!("/v1/wallets/{wallet}/top-up"),
        ADMIN,
        r#"{"amount": 5}"#,
    );
    let key = service.post("/v1/customers/ada/keys", ADMIN, "{}");
    let card = r#"{"name": "default", "currency": "tokens", "default": {"price": 1}}"#;
    service.put("/v1/rate-cards/default", ADMIN, card);
    service.post("/v1/gateways", ADMIN, r#"{"external_id": "edge"}"#);
    let gateway = service.post("/v1/gateways/edge/keys", ADMIN, "{}");
    let gateway = gateway["key"].as_str().unwrap();
    let instance = "ins_00000000000000000000000000000001";
    let hash = creditgate_core::key::credential_hash(key["key"].as_str().unwrap());
    let resolve = serde_json::json!({
        "protocol": 1, "epoch": "0", "instance": instance, "credential": hash, "lease": "1", "need": "2000",
    });
    let lent = service.post("/v1/gateway/resolve", gateway, &resolve.to_string());
    assert_eq!(lent["known"]["answer"]["granted"], "2000", "{lent}");

    let waited = service.verb(&["drain", instance, "--timeout", "1"], ADMIN);
    assert_eq!(waited.status.code(), Some(1));
    assert!(
        text(&waited.stderr).contains("2 tokens out"),
        "{}",
        text(&waited.stderr)
    );

    let counters = serde_json::json!({
        "granted": "2000", "returned": "1500", "reserved": "500", "released": "0", "settled": "500",
    });
    let report = serde_json::json!({
        "account": lent["known"]["answer"]["account"], "lease": "1", "counters": counters, "need": "0", "wanted": "0",
    });
    let sync = serde_json::json!({ "protocol": 1, "epoch": "0", "instance": instance, "reports": [report] });
    service.post("/v1/gateway/sync", gateway, &sync.to_string());
    let drained = service.verb(&["drain", instance, "--timeout", "30"], ADMIN);
    assert!(drained.status.success(), "{}", text(&drained.stderr));
    assert!(
        text(&drained.stdout).starts_with("drained: 0 leases open"),
        "{}",
        text(&drained.stdout)
    );
}

#[test]
fn restored_begins_a_new_epoch_each_time_and_only_in_a_database_that_exists() {
    let directory = directory();
    let path = directory.path().join("c.db");
    let restored = || {
        creditgate()
            .args(["restored", "--database"])
            .arg(format!("sqlite:{}", path.display()))
            .output()
            .unwrap()
    };
    let missing = restored();
    assert!(!missing.status.success());
    assert!(!path.exists(), "it made a database");

    let epoch = || -> i64 {
        let connection = rusqlite::Connection::open(&path).unwrap();
        let epoch = connection.query_row("SELECT epoch FROM meta", [], |row| row.get(0));
        epoch.unwrap()
    };
    drop(Service::start(&path, Some(ADMIN)));
    let mut known = vec![epoch()];
    for _ in 0..2 {
        let done = restored();
        assert!(done.status.success(), "{}", text(&done.stderr));
        let said = text(&done.stdout);
        assert!(said.starts_with("restored: epoch "), "{said}");
        assert!(!known.contains(&epoch()));
        known.push(epoch());
    }
    Service::start(&path, Some(ADMIN)).end();
    assert_eq!(known.last(), Some(&epoch()));
}
