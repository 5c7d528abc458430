//! The three questions of gateways, when something is wrong with them.

use creditgate_core::amount::Amount;
use creditgate_core::id::AccountId;
use creditgate_core::lease::LeaseNumber;
use creditgate_core::protocol::{
    Phase, REPORTS_MAX, Report, ResolveAnswer, SyncAnswer, SyncRequest,
};
use serde_json::json;

use crate::edge::{Edge, counters};
use crate::plane::Plane;

fn report(lease: u64) -> Report {
    Report {
        account: AccountId(5),
        lease: LeaseNumber(lease),
        counters: counters([0; 5]),
        previous: None,
        need: Amount::ZERO,
        wanted: Amount::ZERO,
    }
}

#[tokio::test]
async fn another_protocol_version_is_told_whatever_else_it_says() {
    let plane = Plane::start();
    let edge = Edge::of(&plane, "edge", "usd").await;
    for question in ["resolve", "sync", "poll"] {
        let answer = edge
            .ask(&plane, question, &json!({ "protocol": 99, "new": {} }))
            .await;
        assert_eq!((answer.status, answer.code()), (426, "protocol_version"));
    }
    assert_eq!(
        edge.ask(&plane, "sync", &json!({ "protocol": 1 }))
            .await
            .status,
        422
    );
}

#[tokio::test]
async fn too_many_reports_are_refused() {
    let plane = Plane::start();
    let edge = Edge::of(&plane, "edge", "usd").await;
    let reports = (0..=REPORTS_MAX).map(|n| report(n as u64)).collect();
    let message = SyncRequest {
        hello: edge.hello.clone(),
        reports,
    };
    let answer = edge.ask(&plane, "sync", &message).await;
    assert_eq!((answer.status, answer.code()), (413, "too_many_reports"));
}

#[tokio::test]
async fn reports_of_another_epoch_or_of_unknown_accounts_are_closed() {
    let plane = Plane::start();
    let mut edge = Edge::of(&plane, "edge", "usd").await;
    for epoch in [0, 999] {
        edge.hello.epoch = epoch;
        let message = SyncRequest {
            hello: edge.hello.clone(),
            reports: vec![report(1), report(2)],
        };
        let answer = edge.ask(&plane, "sync", &message).await;
        let answer: SyncAnswer = serde_json::from_slice(&answer.bytes).unwrap();
        assert_eq!(answer.epoch, 7);
        let phases: Vec<_> = answer
            .answers
            .iter()
            .map(|answer| (answer.lease.0, answer.phase))
            .collect();
        assert_eq!(phases, [(1, Phase::Closed), (2, Phase::Closed)]);
    }
}

#[tokio::test]
async fn an_unknown_credential_is_unknown_for_a_time_and_makes_nothing() {
    let plane = Plane::start();
    let edge = Edge::of(&plane, "edge", "usd").await;
    let answer = edge.resolve(&plane, "no such key", 1, 1).await;
    assert_eq!(
        answer,
        ResolveAnswer::Unknown {
            retry_after_ms: 2_000
        }
    );
    assert!(
        plane.get("/v1/leases").await.body["data"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn an_instance_belongs_to_one_gateway() {
    let plane = Plane::start();
    let mut one = Edge::of(&plane, "one", "usd").await;
    let other = Edge::of(&plane, "other", "usd").await;
    one.poll(&plane).await;
    one.key = other.key;
    let answer = one
        .ask(
            &plane,
            "sync",
            &SyncRequest {
                hello: one.hello.clone(),
                reports: vec![],
            },
        )
        .await;
    assert_eq!(
        (answer.status, answer.code()),
        (409, "instance_of_another_gateway")
    );
    assert_eq!(
        plane.get("/v1/instances").await.body["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}
