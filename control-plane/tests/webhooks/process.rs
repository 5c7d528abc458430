//! The shipped binary: what its operator allows, and what a crash leaves to be done.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::receiver::Receiver;

const ADMIN: &str = "an-administrator-of-tests";

fn serve(database: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_creditgate"));
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--database"])
        .arg(format!("sqlite:{}", database.display()))
        .args(options)
        .env("CREDITGATE_ADMIN_KEY", ADMIN)
        .env_remove("CREDITGATE_WEBHOOK_ALLOW")
        .env_remove("RUST_LOG")
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

/// A service that is killed when it is dropped: it has no time to tidy up.
struct Service {
    process: Child,
    url: String,
}

impl Service {
    fn start(mut command: Command) -> Self {
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.as_mut().unwrap());
        output.read_line(&mut line).unwrap();
        let url = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap()
            .to_owned();
        Self { process, url }
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> Value {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.request(method, format!("{}{path}", self.url));
        let request = request.bearer_auth(ADMIN).body(body.to_string());
        let answer = request.send().await.unwrap().bytes().await.unwrap();
        serde_json::from_slice(&answer).unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.ask(Method::POST, path, body).await
    }

    /// Waits until the newest delivery is in this state.
    async fn until(&self, state: &str) -> Value {
        for _ in 0..600 {
            let list = self
                .ask(Method::GET, "/v1/webhook-deliveries", json!({}))
                .await;
            if list["data"][0]["state"] == state {
                return list["data"][0].clone();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no delivery came to be {state}");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _killed = self.process.kill();
        let _reaped = self.process.wait();
    }
}

#[tokio::test]
async fn private_ranges_are_the_operators_to_allow_and_proxies_are_not_used() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("creditgate.db");
    let receiver = Receiver::at("127.0.0.1", &[]).await;
    let proxy = Receiver::at("127.0.0.1", &[]).await;
    let hook = json!({ "url": receiver.url("127.0.0.1") });

    let service = Service::start(serve(&database, &[]));
    let refused = service.post("/v1/webhook-endpoints", hook.clone()).await;
    assert_eq!(refused["code"], "webhook_url_not_allowed", "{refused}");
    drop(service);

    let mut command = serve(
        &database,
        &[
            "--webhook-allow",
            "10.0.0.0/8",
            "--webhook-allow",
            "127.0.0.0/8",
        ],
    );
    for name in [
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ] {
        command.env(name, proxy.url("127.0.0.1"));
    }
    let service = Service::start(command);
    let made = service.post("/v1/webhook-endpoints", hook.clone()).await;
    let id = made["id"].as_str().unwrap().to_owned();
    service
        .post(&format!("/v1/webhook-endpoints/{id}/test"), json!({}))
        .await;
    service.until("delivered").await;
    assert_eq!((receiver.received().len(), proxy.connections()), (1, 0));
    drop(service);

    // What is not allowed any more is not sent to, although the endpoint was made.
    let mut command = serve(&database, &[]);
    command.env("CREDITGATE_WEBHOOK_ALLOW", "10.0.0.0/8,192.168.0.0/16");
    let service = Service::start(command);
    let sent = service
        .post(&format!("/v1/webhook-endpoints/{id}/test"), json!({}))
        .await;
    let path = format!("/v1/webhook-deliveries/{}", sent["id"].as_str().unwrap());
    let mut shown = Value::Null;
    for _ in 0..600 {
        shown = service.ask(Method::GET, &path, json!({})).await;
        if shown["attempts"] == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(
        shown["attempt_log"][0]["error"], "address_not_allowed",
        "{shown}"
    );
    assert_eq!(receiver.received().len(), 1);
}

#[test]
fn what_is_no_range_is_refused_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("creditgate.db");
    let mut command = serve(&database, &["--webhook-allow", "10.0.0.1/8"]);
    let output = command.stderr(Stdio::piped()).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("10.0.0.1/8") && said.contains("no range"),
        "{said}"
    );
}

#[tokio::test]
async fn what_was_under_way_at_a_crash_is_sent_again() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("creditgate.db");
    // It takes the message and says nothing: the service is killed while it waits.
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = silent.local_addr().unwrap();
    let service = Service::start(serve(&database, &["--webhook-allow", "127.0.0.1"]));
    let hook = json!({ "url": format!("http://{address}/") });
    let made = service.post("/v1/webhook-endpoints", hook).await;
    let test = format!(
        "/v1/webhook-endpoints/{}/test",
        made["id"].as_str().unwrap()
    );
    service.post(&test, json!({})).await;
    let (_held, _) = silent.accept().await.unwrap();
    drop(service);
    drop(silent);

    let receiver = Receiver::on(address, &[]).await;
    let service = Service::start(serve(&database, &["--webhook-allow", "127.0.0.1"]));
    let delivery = service.until("delivered").await;
    assert_eq!(delivery["attempts"], 1, "what was cut off was not booked");
    assert_eq!(receiver.received().len(), 1);
    let id = receiver.received()[0]
        .header("webhook-id")
        .map(str::to_owned);
    assert_eq!(id.as_deref(), delivery["event_id"].as_str());
}
