//! A database restored from a backup: nothing is lent twice, nobody is frozen for the past.

use creditgate_core::amount::Amount;
use creditgate_core::lease::LeaseNumber;
use creditgate_core::protocol::{
    Hello, LeaseAnswer, Phase, PreviousReport, Report, SyncAnswer, SyncRequest,
};
use serde_json::json;

use crate::edge::{Edge, counters};
use crate::plane::Plane;

/// Reports the previous lease beside a new one that holds nothing yet.
async fn turn(
    plane: &Plane,
    edge: &Edge,
    of: &LeaseAnswer,
    spent: [i64; 5],
    to: u64,
) -> LeaseAnswer {
    let message = SyncRequest {
        hello: edge.hello.clone(),
        reports: vec![Report {
            account: of.account,
            lease: LeaseNumber(to),
            counters: counters([0; 5]),
            previous: Some(PreviousReport {
                lease: of.lease,
                counters: counters(spent),
                dead: false,
            }),
            need: Amount::new(1_000),
            wanted: Amount::new(1_000),
        }],
    };
    let answer = edge.ask(plane, "sync", &message).await;
    let mut answer: SyncAnswer = serde_json::from_slice(&answer.bytes).expect("an answer");
    answer.answers.remove(0)
}

#[tokio::test]
async fn gateways_of_the_ledger_that_is_gone_start_afresh() {
    let plane = Plane::start();
    plane.hurry().await;
    let slow =
        json!({ "silent_after_ms": 60_000, "use_by_ms": 20_000, "quarantine_policy": "hold" });
    assert_eq!(plane.put("/v1/settings", slow).await.status, 200);
    let wallet = plane.funded("ada", "tokens", "10").await;
    let key = plane.key_of("ada").await;
    let mut edge = Edge::of(&plane, "edge", "tokens").await;
    edge.poll(&plane).await;
    let old_epoch = edge.hello.epoch;
    let lent = edge.know(&plane, &key, 1, 4_000).await.answer;
    let backup = plane.backup();

    // What the backup does not know: more is lent and used, another customer comes.
    let more = edge
        .report(&plane, &lent, counters([4_000, 0, 4_000, 0, 3_000]), 2_000)
        .await;
    assert!(more.granted > lent.granted);
    plane.funded("bob", "tokens", "5").await;
    let bobs_key = plane.key_of("bob").await;
    let bobs = edge.know(&plane, &bobs_key, 2, 1_000).await.answer;

    let plane = plane.restore(&backup).await;
    // The old gateway goes on: every answer is that its lease is over.
    let granted = more.granted.get();
    let spent = [granted, 0, granted, 0, granted];
    for (lease, counted) in [(&more, spent), (&bobs, [1_000, 0, 1_000, 0, 1_000])] {
        let answer = edge.report(&plane, lease, counters(counted), 1_000).await;
        assert_eq!(
            (answer.phase, answer.granted),
            (Phase::Closed, Amount::ZERO)
        );
    }
    let polled = edge.poll(&plane).await;
    assert_ne!(polled.epoch, old_epoch);
    assert!(
        polled.config.is_some(),
        "whatever version it has is of another ledger"
    );
    assert_eq!(
        polled
            .changes
            .iter()
            .map(|change| (change.lease, change.phase))
            .collect::<Vec<_>>(),
        [(lent.lease, Phase::Closed)]
    );
    assert!(polled.changes[0].state.version > more.state.version);
    let instance = format!("/v1/instances/{}", edge.hello.instance);
    assert_eq!(plane.get(&instance).await.text("state"), "active");
    assert_eq!(
        plane
            .balance(&wallet, ["available", "lent", "quarantined", "spent"])
            .await,
        ["6", "0", "4", "0"]
    );

    // It speaks of the old lease in the new epoch too, and gets credit under a new number.
    let late = edge.report(&plane, &more, counters(spent), 0).await;
    assert_eq!(late.phase, Phase::Closed);
    let fresh = turn(&plane, &edge, &more, spent, 7).await;
    assert_eq!((fresh.lease, fresh.phase), (LeaseNumber(7), Phase::Open));
    assert!(fresh.granted >= Amount::new(1_000));
    assert!(fresh.previous.expect("word of the old lease").closed);
    assert_eq!(plane.get(&instance).await.text("state"), "active");
    let another = edge.another();
    assert!(another.know(&plane, &key, 8, 1_000).await.opened);
    assert_eq!(plane.balance(&wallet, ["quarantined"]).await, ["4"]);

    let aside = plane.get("/v1/leases?state=quarantined").await;
    let aside = aside.body["data"][0]["id"]
        .as_str()
        .expect("a lease")
        .to_owned();
    let explained = plane.get(&format!("/v1/leases/{aside}")).await;
    assert_eq!(explained.text("quarantine_cause"), "database_restored");
    assert!(
        explained.text("explanation").contains("restored"),
        "{explained:?}"
    );
    plane.assert_clean();
}

#[tokio::test]
async fn what_was_only_lent_before_the_backup_settles_exactly() {
    let plane = Plane::start();
    let wallet = plane.funded("ada", "tokens", "10").await;
    let key = plane.key_of("ada").await;
    let mut edge = Edge::of(&plane, "edge", "tokens").await;
    edge.poll(&plane).await;
    let lent = edge.know(&plane, &key, 1, 4_000).await.answer;
    let backup = plane.backup();
    let plane = plane.restore(&backup).await;

    let spent = [4_000, 1_000, 3_000, 0, 3_000];
    edge.report(&plane, &lent, counters(spent), 0).await;
    assert_eq!(plane.balance(&wallet, ["quarantined"]).await, ["4"]);
    edge.poll(&plane).await;
    edge.report(&plane, &lent, counters(spent), 0).await;
    assert_eq!(
        plane
            .balance(&wallet, ["available", "quarantined", "spent"])
            .await,
        ["7", "0", "3"]
    );
    plane.assert_clean();
}

#[tokio::test]
async fn a_question_of_another_epoch_opens_a_lease_where_none_was() {
    let plane = Plane::start();
    plane.funded("ada", "tokens", "10").await;
    let key = plane.key_of("ada").await;
    let mut edge = Edge::of(&plane, "edge", "tokens").await;
    let backup = plane.backup();
    edge.poll(&plane).await;
    edge.know(&plane, &key, 5, 4_000).await;
    let plane = plane.restore(&backup).await;
    let old: Hello = edge.hello.clone();
    let resolved = edge.know(&plane, &key, 6, 4_000).await;
    assert!(resolved.opened);
    assert_ne!(resolved.epoch, old.epoch);
    plane.assert_clean();
}
