//! Instances that fall silent, and what becomes of the credit they had.

use std::time::Duration;

use creditgate_core::protocol::{LeaseAnswer, Phase};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::edge::{Edge, counters};
use crate::plane::{Answer, Plane};

async fn until_quarantined(plane: &Plane) -> Value {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let leases = plane.get("/v1/leases?state=quarantined").await;
        if let Some(lease) = leases.body["data"].as_array().unwrap().first() {
            return lease.clone();
        }
        assert!(Instant::now() < deadline, "nothing was quarantined");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// An instance that had 4 tokens of 10, used 1, holds 1, and fell silent.
async fn silent() -> (Plane, Edge, LeaseAnswer, String, String) {
    let plane = Plane::start();
    plane.hurry().await;
    let wallet = plane.funded("ada", "tokens", "10").await;
    let key = plane.key_of("ada").await;
    let edge = Edge::of(&plane, "edge", "tokens").await;
    let lent = edge.know(&plane, &key, 1, 4_000).await.answer;
    edge.report(&plane, &lent, counters([4_000, 0, 2_000, 0, 1_000]), 0)
        .await;
    let lease = until_quarantined(&plane).await;
    assert_eq!(
        plane
            .balance(&wallet, ["balance", "available", "quarantined", "spent"])
            .await,
        ["6", "6", "3", "1"]
    );
    (
        plane,
        edge,
        lent,
        wallet,
        lease["id"].as_str().unwrap().to_owned(),
    )
}

async fn resolve(plane: &Plane, lease: &str, action: &str) -> Answer {
    plane
        .post(
            &format!("/v1/leases/{lease}/resolve"),
            json!({ "action": action, "reason": "its log was lost" }),
        )
        .await
}

#[tokio::test]
async fn a_silent_instance_s_credit_is_set_aside_and_explained() {
    let (plane, _, _, _, lease) = silent().await;
    let explained = plane.get(&format!("/v1/leases/{lease}")).await;
    assert_eq!(explained.text("quarantine_cause"), "instance_silent");
    assert_eq!(
        (
            explained.text("outstanding"),
            explained.text("possible_loss")
        ),
        ("3".to_owned(), "3".to_owned())
    );
    assert_eq!(
        explained.body["actions"],
        json!(["release", "consume", "hold"])
    );
    assert_eq!(explained.body["pins"][0]["amount"], "3");
    let metrics = plane.get("/metrics").await;
    let metrics = String::from_utf8(metrics.bytes).unwrap();
    let level = |name, state| format!("{name}{{state=\"{state}\",currency=\"tokens\"}}");
    for (name, state, value) in [
        ("creditgate_leases", "quarantined", 1),
        ("creditgate_leases", "lending", 0),
        ("creditgate_credit_out", "quarantined", 3),
    ] {
        let line = format!("{} {value}", level(name, state));
        assert!(
            metrics.lines().any(|known| known == line),
            "{line} is not in {metrics}"
        );
    }
    let of_instance = plane
        .get(&format!("/v1/instances/{}", explained.text("instance_id")))
        .await;
    assert_eq!(of_instance.body["leases"]["quarantined"], 1);
    plane.assert_clean();
}

#[tokio::test]
async fn a_late_report_settles_a_quarantined_lease_by_itself() {
    let (plane, edge, lent, wallet, _) = silent().await;
    let late = edge
        .report(&plane, &lent, counters([4_000, 2_000, 2_000, 0, 2_000]), 0)
        .await;
    assert_eq!(late.phase, Phase::Closed);
    assert_eq!(
        plane
            .balance(&wallet, ["balance", "quarantined", "spent"])
            .await,
        ["8", "0", "2"]
    );
    plane.assert_clean();
}

#[tokio::test]
async fn released_credit_is_the_customers_and_late_use_the_operators_loss() {
    let (plane, edge, lent, wallet, lease) = silent().await;
    let released = resolve(&plane, &lease, "release").await;
    assert_eq!(
        (released.status, released.text("state").as_str()),
        (200, "closed"),
        "{released:?}"
    );
    assert_eq!(released.body["resolution"]["action"], "release");
    assert_eq!(
        plane
            .balance(&wallet, ["balance", "quarantined", "spent"])
            .await,
        ["9", "0", "1"]
    );
    let late = edge
        .report(&plane, &lent, counters([4_000, 2_000, 2_000, 0, 2_000]), 0)
        .await;
    assert_eq!(late.phase, Phase::Closed);
    assert_eq!(
        plane.balance(&wallet, ["balance", "spent"]).await,
        ["9", "1"]
    );
    let account = plane.get("/v1/customers/ada/balance?currency=tokens").await;
    assert_eq!(account.text("lease_loss"), "1");
    let again = resolve(&plane, &lease, "consume").await;
    assert_eq!((again.status, again.code()), (409, "lease_not_quarantined"));
    plane.assert_clean();
}

#[tokio::test]
async fn consumed_credit_is_spent_without_a_report_of_its_use() {
    let (plane, edge, lent, wallet, lease) = silent().await;
    assert_eq!(resolve(&plane, &lease, "CONSUME").await.status, 200);
    assert_eq!(
        plane
            .balance(&wallet, ["balance", "quarantined", "spent"])
            .await,
        ["6", "0", "4"]
    );
    let account = plane.get("/v1/customers/ada/balance?currency=tokens").await;
    assert_eq!(
        (account.text("spent"), account.text("spent_unattributed")),
        ("4".to_owned(), "3".to_owned())
    );
    edge.report(&plane, &lent, counters([4_000, 2_000, 2_000, 0, 2_000]), 0)
        .await;
    let account = plane.get("/v1/customers/ada/balance?currency=tokens").await;
    assert_eq!(
        (account.text("spent"), account.text("spent_unattributed")),
        ("4".to_owned(), "2".to_owned())
    );
    plane.assert_clean();
}

#[tokio::test]
async fn the_policy_releases_when_its_time_has_come() {
    let (plane, _, _, wallet, lease) = silent().await;
    let settings = json!({
        "use_by_ms": 1000, "silent_after_ms": 1000, "quarantine_policy": "RELEASE", "quarantine_policy_after_ms": 1000,
    });
    assert_eq!(plane.put("/v1/settings", settings).await.status, 200);
    let deadline = Instant::now() + Duration::from_secs(20);
    while plane.balance(&wallet, ["quarantined"]).await != ["0"] {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(plane.balance(&wallet, ["balance"]).await, ["9"]);
    let explained = plane.get(&format!("/v1/leases/{lease}")).await;
    assert_eq!(explained.body["resolution"]["actor"], "policy");
    plane.assert_clean();
}

#[tokio::test]
async fn a_held_lease_is_left_alone_by_the_policy_until_someone_decides() {
    let (plane, _, _, wallet, lease) = silent().await;
    let held = resolve(&plane, &lease, "hold").await;
    assert_eq!(
        (held.status, held.text("state").as_str()),
        (200, "quarantined"),
        "{held:?}"
    );
    assert_eq!(held.body["actions"], json!(["release", "consume"]));
    let settings = json!({
        "use_by_ms": 1000, "silent_after_ms": 1000, "quarantine_policy": "release", "quarantine_policy_after_ms": 1000,
    });
    assert_eq!(plane.put("/v1/settings", settings).await.status, 200);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let plane = plane.restart().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(plane.balance(&wallet, ["quarantined"]).await, ["3"]);

    let explained = plane.get(&format!("/v1/leases/{lease}")).await;
    assert_eq!(explained.body["hold"]["reason"], "its log was lost");
    assert!(explained.body["hold"]["actor"].is_string());
    assert!(explained.body["hold"]["at"].is_string());
    assert!(
        explained.text("explanation").contains("held"),
        "{explained:?}"
    );
    let again = resolve(&plane, &lease, "hold").await;
    assert_eq!((again.status, again.code()), (409, "lease_on_hold"));

    let released = resolve(&plane, &lease, "release").await;
    assert_eq!(released.text("state"), "closed", "{released:?}");
    assert_eq!(
        plane.balance(&wallet, ["balance", "quarantined"]).await,
        ["9", "0"]
    );
    let late = resolve(&plane, &lease, "hold").await;
    assert_eq!((late.status, late.code()), (409, "lease_not_quarantined"));
    plane.assert_clean();
}

#[tokio::test]
async fn an_instance_that_polls_is_not_silent() {
    let plane = Plane::start();
    plane.hurry().await;
    plane.funded("ada", "tokens", "10").await;
    let key = plane.key_of("ada").await;
    let mut edge = Edge::of(&plane, "edge", "tokens").await;
    edge.know(&plane, &key, 1, 4_000).await;
    let until = Instant::now() + Duration::from_millis(2_500);
    let mut overdue = Vec::new();
    while Instant::now() < until {
        overdue.extend(edge.poll(&plane).await.overdue);
    }
    assert!(
        plane.get("/v1/leases?state=quarantined").await.body["data"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    assert!(
        !overdue.is_empty(),
        "what is lent and not reported is asked for"
    );
}
