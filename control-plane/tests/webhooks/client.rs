//! Where messages go and where not, and how an attempt ends.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use creditgate::webhooks::{Found, Lookup, Message, Sent, Webhooks};
use creditgate_ledger::webhook::AttemptError;
use tokio::time::Instant;

use crate::receiver::{Receiver, answer};

/// Answers look-ups as it is told, one after the other; the last answer stays.
#[derive(Default)]
struct Stub(Mutex<VecDeque<Vec<IpAddr>>>);

impl Stub {
    fn of(answers: &[&[&str]]) -> Arc<Self> {
        let parsed = answers.iter().map(|addresses| {
            let addresses = addresses.iter();
            addresses.map(|text| text.parse().unwrap()).collect()
        });
        Arc::new(Self(Mutex::new(parsed.collect())))
    }
}

impl Lookup for Stub {
    fn lookup(&self, _: &str) -> Found {
        let mut answers = self.0.lock().unwrap();
        let found = if answers.len() > 1 {
            answers.pop_front()
        } else {
            answers.front().cloned()
        };
        Box::pin(async move { found.ok_or_else(|| io::Error::other("no such name")) })
    }
}

fn webhooks(allowed: &[&str], names: Arc<Stub>) -> Webhooks {
    let allowed = allowed.iter().map(|range| range.parse().unwrap());
    Webhooks::over(allowed.collect(), names).unwrap()
}

fn message() -> Message {
    Message {
        id: "evt_1".to_owned(),
        timestamp_s: 1_800_000_000,
        signatures: "v1,abc v1,def".to_owned(),
        body: br#"{"type":"x"}"#.to_vec(),
    }
}

async fn sent(webhooks: &Webhooks, url: &str) -> Sent {
    webhooks.client.send(url, message()).await
}

#[tokio::test]
async fn a_message_arrives_as_the_standard_says() {
    let server = Receiver::at("127.0.0.1", &[answer("200 OK", "thanks")]).await;
    let webhooks = webhooks(&["127.0.0.0/8"], Stub::of(&[&["127.0.0.1"]]));
    let sent = sent(&webhooks, &server.url("hooks.example")).await;
    assert_eq!((sent.status, sent.error), (Some(200), None));
    assert_eq!(sent.response.as_deref(), Some("thanks"));
    let received = &server.received()[0];
    assert!(received.head.starts_with("POST /hooks HTTP/1.1\r\n"));
    for (name, value) in [
        ("webhook-id", "evt_1"),
        ("webhook-timestamp", "1800000000"),
        ("webhook-signature", "v1,abc v1,def"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(received.header(name), Some(value), "{name}");
    }
    assert!(
        received
            .header("user-agent")
            .unwrap()
            .starts_with("creditgate/")
    );
    assert_eq!(received.header("referer"), None);
    assert_eq!(received.body, br#"{"type":"x"}"#);
}

#[tokio::test]
async fn a_name_with_an_address_that_is_not_allowed_is_never_dialled() {
    let server = Receiver::at("127.0.0.1", &[]).await;
    for addresses in [
        &["10.0.0.7"][..],
        &["127.0.0.1"],
        &["169.254.169.254"],
        &["::ffff:127.0.0.1"],
        &["::1"],
        // One of several is enough.
        &["192.0.2.1", "127.0.0.1"],
        &["127.0.0.9", "127.0.0.1"],
    ] {
        let webhooks = webhooks(&["127.0.0.9"], Stub::of(&[addresses]));
        let sent = sent(&webhooks, &server.url("hooks.example")).await;
        assert_eq!(
            sent.error,
            Some(AttemptError::AddressNotAllowed),
            "{addresses:?}"
        );
        assert_eq!(sent.status, None);
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_name_that_moves_to_a_private_address_is_refused_from_then_on() {
    let server = Receiver::at("127.0.0.1", &[answer("200 OK\r\nconnection: close", "")]).await;
    let names = Stub::of(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let webhooks = webhooks(&["127.0.0.1"], names);
    let url = server.url("hooks.example");
    assert_eq!(sent(&webhooks, &url).await.status, Some(200));
    let moved = sent(&webhooks, &url).await;
    assert_eq!(moved.error, Some(AttemptError::AddressNotAllowed));
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn an_address_instead_of_a_name_is_judged_without_a_look_up() {
    let server = Receiver::at("127.0.0.1", &[]).await;
    let webhooks = webhooks(&["127.0.0.2"], Stub::of(&[]));
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "[::ffff:127.0.0.1]",
    ] {
        let sent = sent(&webhooks, &server.url(host)).await;
        assert_eq!(sent.error, Some(AttemptError::AddressNotAllowed), "{host}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn http_goes_to_allowed_ranges_alone() {
    // Public, but not by http: no connection is tried.
    let webhooks = webhooks(&["127.0.0.1"], Stub::of(&[&["8.8.8.8"]]));
    let sent = sent(&webhooks, "http://hooks.example:8080/").await;
    assert_eq!(sent.error, Some(AttemptError::AddressNotAllowed));
}

#[tokio::test]
async fn a_redirect_to_a_private_address_is_not_followed() {
    let private = Receiver::at("127.0.0.2", &[]).await;
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let location = format!("{status}\r\nlocation: {}", private.url("127.0.0.2"));
        let server = Receiver::at("127.0.0.1", &[answer(&location, "")]).await;
        let webhooks = webhooks(&["127.0.0.1"], Stub::of(&[&["127.0.0.1"]]));
        let sent = sent(&webhooks, &server.url("hooks.example")).await;
        assert_eq!(sent.error, Some(AttemptError::Redirect), "{status}");
        assert_eq!(sent.status, status[..3].parse().ok());
        assert_eq!(server.received().len(), 1);
    }
    assert_eq!(private.connections(), 0);
}

#[tokio::test]
async fn a_redirect_is_not_followed_where_it_would_be_allowed_either() {
    let other = Receiver::at("127.0.0.1", &[]).await;
    let location = format!("302 Found\r\nlocation: {}", other.url("127.0.0.1"));
    let server = Receiver::at("127.0.0.1", &[answer(&location, "")]).await;
    let webhooks = webhooks(&["127.0.0.1"], Stub::of(&[]));
    let sent = sent(&webhooks, &server.url("127.0.0.1")).await;
    assert_eq!(
        (sent.status, sent.error),
        (Some(302), Some(AttemptError::Redirect))
    );
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn what_goes_wrong_has_a_word() {
    let hanging_up = Receiver::at("127.0.0.1", &[String::new()]).await;
    let nonsense = Receiver::at("127.0.0.1", &["SSH-2.0-OpenSSH\r\n\r\n".to_owned()]).await;
    let failing = Receiver::at("127.0.0.1", &[answer("503 Busy", "later")]).await;
    let nobody = {
        let gone = Receiver::at("127.0.0.1", &[]).await;
        gone.url("127.0.0.1")
    };
    tokio::task::yield_now().await;
    let webhooks = webhooks(&["127.0.0.1"], Stub::of(&[]));
    for (url, status, error) in [
        (hanging_up.url("127.0.0.1"), None, AttemptError::Broken),
        (nonsense.url("127.0.0.1"), None, AttemptError::Broken),
        (failing.url("127.0.0.1"), Some(503), AttemptError::Status),
        (nobody, None, AttemptError::NotConnected),
        (
            "http://nowhere.example/".to_owned(),
            None,
            AttemptError::NameUnknown,
        ),
        // No secure connection comes about with a server that speaks plainly.
        (
            failing.url("127.0.0.1").replace("http:", "https:"),
            None,
            AttemptError::NotConnected,
        ),
    ] {
        let sent = sent(&webhooks, &url).await;
        assert_eq!((sent.status, sent.error), (status, Some(error)), "{url}");
    }
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_is_left_in_time() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let webhooks = webhooks(&["127.0.0.1"], Stub::of(&[]));
    let client = webhooks.client.within(Duration::from_millis(300));
    let before = Instant::now();
    let sent = client.send(&url, message()).await;
    assert_eq!(sent.error, Some(AttemptError::TimedOut));
    assert!(before.elapsed() < Duration::from_secs(5));
    assert!(
        (300..5_000).contains(&sent.duration_ms),
        "{}",
        sent.duration_ms
    );
}

#[tokio::test]
async fn little_is_kept_of_a_long_answer_and_an_endless_one_is_not_waited_for() {
    let long = answer("200 OK", &"ä".repeat(100_000));
    let endless = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nbegun\u{0}\u{7}".to_owned();
    let server = Receiver::at("127.0.0.1", &[long, endless]).await;
    let webhooks = webhooks(&["127.0.0.1"], Stub::of(&[]));
    let url = server.url("127.0.0.1");
    let kept = sent(&webhooks, &url).await;
    assert_eq!((kept.status, kept.error), (Some(200), None));
    assert!(
        kept.response.as_ref().unwrap().len() <= 1_024 + 3,
        "{kept:?}"
    );
    let before = Instant::now();
    let begun = sent(&webhooks, &url).await;
    assert_eq!((begun.status, begun.error), (Some(200), None));
    assert_eq!(begun.response.as_deref(), Some("begun"));
    assert!(before.elapsed() < Duration::from_secs(10));
}
