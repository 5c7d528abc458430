//! Real messages, held against other people's verifiers of Standard Webhooks: the crate for
//! Rust, the npm package for Node, the PyPI package for Python.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use axum::http::{HeaderMap, HeaderName};
use serde_json::{Value, json};

use super::receiver::{Received, Receiver};
use super::{all_are, customer, endpoint, happen};
use crate::plane::Plane;

/// A message, a secret to judge it with, and the verdict that is due.
struct Case {
    what: &'static str,
    secret: String,
    headers: [(&'static str, String); 3],
    body: String,
    genuine: bool,
}

impl Case {
    fn of(what: &'static str, message: &Received, secret: &str, genuine: bool) -> Self {
        let header = |name: &'static str| (name, message.header(name).unwrap().to_owned());
        Self {
            what,
            secret: secret.to_owned(),
            headers: [
                header("webhook-id"),
                header("webhook-timestamp"),
                header("webhook-signature"),
            ],
            body: String::from_utf8(message.body.clone()).unwrap(),
            genuine,
        }
    }

    fn json(&self) -> Value {
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| (*name, json!(value)));
        let headers: serde_json::Map<String, Value> = headers
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        json!({ "secret": self.secret, "headers": headers, "body": self.body })
    }
}

/// Messages that the job sent, plain, replayed, under rotated secrets, and meddled with.
async fn cases() -> Vec<Case> {
    let plane = Plane::start();
    let receiver = Receiver::at("127.0.0.1", &[]).await;
    let (id, first) = endpoint(&plane, &receiver, json!({})).await;
    let (_, other) = endpoint(
        &plane,
        &Receiver::at("127.0.0.1", &[]).await,
        json!({ "events": ["lot.paid"] }),
    )
    .await;
    // More than ASCII: what is signed is bytes.
    customer(&plane, "Ädä 顧客 \u{1f4b3}").await;
    happen(
        &plane,
        "%C3%84d%C3%A4%20%E9%A1%A7%E5%AE%A2%20%F0%9F%92%B3",
        "suspend",
    )
    .await;
    let delivery = all_are(&plane, 1, "delivered").await;
    let replay = format!(
        "/v1/webhook-deliveries/{}/replay",
        delivery["id"].as_str().unwrap()
    );
    plane.post(&replay, json!({})).await;
    all_are(&plane, 2, "delivered").await;
    let rotate = async |overlap_ms: u64| {
        let path = format!("/v1/webhook-endpoints/{id}/rotate-secret");
        let rotated = plane.post(&path, json!({ "overlap_ms": overlap_ms })).await;
        rotated.text("secret")
    };
    let second = rotate(3_600_000).await;
    plane.post(&replay, json!({})).await;
    all_are(&plane, 3, "delivered").await;
    let third = rotate(0).await;
    plane.post(&replay, json!({})).await;
    all_are(&plane, 4, "delivered").await;

    let [plain, replayed, both, rotated] = receiver.received().try_into().unwrap();
    assert!(String::from_utf8_lossy(&plain.body).contains("顧客"));
    assert_eq!(
        both.header("webhook-signature").unwrap().split(' ').count(),
        2
    );
    let mut cases = vec![
        Case::of("plain", &plain, &first, true),
        Case::of("replayed", &replayed, &first, true),
        Case::of("another endpoint's secret", &plain, &other, false),
        Case::of("a secret that did not exist yet", &plain, &second, false),
        Case::of("rotated, by the new secret", &both, &second, true),
        Case::of("rotated, by the old secret", &both, &first, true),
        Case::of("rotated, by another", &both, &other, false),
        Case::of("after the overlap, by the newest", &rotated, &third, true),
        Case::of("after the overlap, by the old", &rotated, &second, false),
        Case::of("after the overlap, by the oldest", &rotated, &first, false),
    ];
    let mut meddled = |what, meddle: &dyn Fn(&mut Case)| {
        let mut case = Case::of(what, &plain, &first, false);
        meddle(&mut case);
        cases.push(case);
    };
    meddled("another body", &|case| {
        case.body = case.body.replace("suspended", "resumed")
    });
    meddled("a space more", &|case| case.body.push(' '));
    meddled("another id", &|case| case.headers[0].1 = "evt_0".to_owned());
    meddled("another time", &|case| {
        let seconds: i64 = case.headers[1].1.parse().unwrap();
        case.headers[1].1 = (seconds + 1).to_string();
    });
    meddled("no signature", &|case| case.headers[2].1 = "v1,".to_owned());
    cases
}

fn agree(cases: &[Case], verdicts: &[bool]) {
    assert_eq!(cases.len(), verdicts.len());
    for (case, verdict) in cases.iter().zip(verdicts) {
        assert_eq!(*verdict, case.genuine, "{}", case.what);
    }
}

/// The folder of the verifiers.
fn verifiers() -> PathBuf {
    let folder = std::env::var_os("CREDITGATE_WEBHOOK_VERIFIERS").expect(
        "CREDITGATE_WEBHOOK_VERIFIERS is not set. `cargo xtask test -- -p creditgate verifiers` gets the verifiers and \
         runs this test; `cargo xtask tools` gets them and says what to set it to",
    );
    PathBuf::from(folder)
}

/// Feeds the cases to a program that answers its verdicts.
fn judged(mut program: Command, cases: &[Case]) -> Vec<bool> {
    let input = Value::from_iter(cases.iter().map(Case::json)).to_string();
    program.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = program.spawn().expect("the verifier starts");
    let mut pipe = running.stdin.take().unwrap();
    pipe.write_all(input.as_bytes()).unwrap();
    drop(pipe);
    let output = running.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{program:?} failed: {}",
        output.status
    );
    serde_json::from_slice(&output.stdout).expect("verdicts")
}

fn script(name: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.join("tests/http/hooks/verifiers").join(name)
}

#[tokio::test]
async fn the_verifier_for_rust_takes_our_messages_and_no_others() {
    let cases = cases().await;
    let verdict = |case: &Case| {
        let headers = case.headers.iter();
        let headers: HeaderMap = headers
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        let verifier = standardwebhooks::Webhook::new(&case.secret).unwrap();
        verifier.verify(case.body.as_bytes(), &headers).is_ok()
    };
    let verdicts: Vec<bool> = cases.iter().map(verdict).collect();
    agree(&cases, &verdicts);
}

#[tokio::test]
async fn the_verifier_for_node_takes_our_messages_and_no_others() {
    let folder = verifiers();
    let node = std::env::var_os("CREDITGATE_NODE").unwrap_or_else(|| "node".into());
    let mut program = Command::new(node);
    program.arg(script("verify.cjs")).arg(folder);
    let cases = cases().await;
    agree(&cases, &judged(program, &cases));
}

#[tokio::test]
async fn the_verifier_for_python_takes_our_messages_and_no_others() {
    let folder = verifiers();
    let mut program = Command::new("python3");
    program.arg(script("verify.py"));
    program.env("PYTHONPATH", folder.join("python"));
    program.env("PYTHONDONTWRITEBYTECODE", "1");
    let cases = cases().await;
    agree(&cases, &judged(program, &cases));
}
