//! Draining: an instance gives everything back before it is stopped.

use axum::http::Method;
use creditgate_core::protocol::{Barred, Phase, ResolveAnswer};
use serde_json::json;

use crate::edge::{Edge, counters};
use crate::plane::{ADMIN, Plane};

#[tokio::test]
async fn a_drained_instance_gives_all_back_and_gets_no_more() {
    let plane = Plane::start();
    plane.hurry().await;
    let wallet = plane.funded("ada", "tokens", "10").await;
    let key = plane.key_of("ada").await;
    let mut edge = Edge::of(&plane, "edge", "tokens").await;
    edge.poll(&plane).await;
    let lent = edge.know(&plane, &key, 1, 4_000).await;
    let instance = format!("/v1/instances/{}", edge.hello.instance);

    let asked = plane
        .post(
            &format!("{instance}/drain"),
            json!({ "reason": "a new release" }),
        )
        .await;
    assert_eq!(
        (asked.status, asked.text("state").as_str()),
        (200, "draining"),
        "{asked:?}"
    );
    assert_eq!(asked.body["outstanding"], json!({ "tokens": "4" }));
    let told = edge.poll(&plane).await;
    assert_eq!(told.barred, Some(Barred::Draining));
    assert_eq!(told.changes[0].phase, Phase::Turn);
    let status = plane.get(&instance).await;
    assert_eq!(
        status.body["leases"],
        json!({ "open": 0, "draining": 1, "quarantined": 0 })
    );
    assert!(status.body["last_seen_ms_ago"].is_u64());
    assert!(matches!(
        edge.resolve(&plane, &key, 2, 1_000).await,
        ResolveAnswer::Barred {
            reason: Barred::Draining
        }
    ));

    edge.report(
        &plane,
        &lent.answer,
        counters([4_000, 3_000, 1_000, 0, 0]),
        0,
    )
    .await;
    assert_eq!(
        plane.get(&instance).await.body["outstanding"],
        json!({ "tokens": "1" })
    );
    edge.report(
        &plane,
        &lent.answer,
        counters([4_000, 3_000, 1_000, 0, 1_000]),
        0,
    )
    .await;
    let status = plane.get(&instance).await;
    assert_eq!(
        status.body["leases"],
        json!({ "open": 0, "draining": 0, "quarantined": 0 })
    );
    assert_eq!(
        plane
            .balance(&wallet, ["available", "spent", "quarantined"])
            .await,
        ["9", "1", "0"]
    );

    let thaw = plane.post(&format!("{instance}/thaw"), json!({})).await;
    assert_eq!((thaw.status, thaw.code()), (409, "instance_state"));
    assert_eq!(
        plane
            .post(&format!("{instance}/undrain"), json!({}))
            .await
            .text("state"),
        "active"
    );
    assert!(edge.know(&plane, &key, 3, 1_000).await.opened);
    plane.assert_clean();
}

#[tokio::test]
async fn an_impossible_report_freezes_its_instance_until_it_is_thawed() {
    let plane = Plane::start();
    let wallet = plane.funded("ada", "tokens", "10").await;
    let key = plane.key_of("ada").await;
    let edge = Edge::of(&plane, "edge", "tokens").await;
    let lent = edge.know(&plane, &key, 1, 4_000).await;
    let answer = edge
        .report(
            &plane,
            &lent.answer,
            counters([4_000, 0, 1_000, 0, 2_000]),
            0,
        )
        .await;
    assert_eq!(answer.phase, Phase::Closed);
    let instance = format!("/v1/instances/{}", edge.hello.instance);
    let frozen = plane.get(&instance).await;
    assert_eq!(frozen.text("state"), "frozen");
    assert!(frozen.text("reason").contains("settled"), "{frozen:?}");
    assert!(matches!(
        edge.resolve(&plane, &key, 2, 1).await,
        ResolveAnswer::Barred {
            reason: Barred::Frozen
        }
    ));
    assert_eq!(
        plane
            .balance(&wallet, ["available", "quarantined", "spent"])
            .await,
        ["6", "4", "0"]
    );
    assert_eq!(
        plane
            .post(
                &format!("{instance}/thaw"),
                json!({ "reason": "a bad build" })
            )
            .await
            .text("state"),
        "active"
    );
    edge.know(&plane, &key, 3, 1).await;
    plane.assert_clean();
}

#[tokio::test]
async fn a_repeated_drain_does_not_drain_an_instance_that_was_taken_back() {
    let plane = Plane::start();
    plane.hurry().await;
    plane.funded("ada", "tokens", "10").await;
    let key = plane.key_of("ada").await;
    let edge = Edge::of(&plane, "edge", "tokens").await;
    let lent = edge.know(&plane, &key, 1, 4_000).await;
    let instance = format!("/v1/instances/{}", edge.hello.instance);
    let path = format!("{instance}/drain");
    let drain = || {
        let header = [("idempotency-key", "release-7")];
        let (plane, path) = (&plane, &path);
        async move { plane.call(Method::POST, path, ADMIN, "{}", &header).await }
    };
    let first = drain().await;
    assert_eq!((first.status, first.replayed()), (200, false), "{first:?}");
    edge.report(&plane, &lent.answer, counters([4_000, 4_000, 0, 0, 0]), 0)
        .await;
    let back = plane.post(&format!("{instance}/undrain"), json!({})).await;
    assert_eq!(back.text("state"), "active");
    assert!(edge.know(&plane, &key, 2, 4_000).await.opened);

    let again = drain().await;
    assert_eq!((again.replayed(), &again.bytes), (true, &first.bytes));
    let now = plane.get(&instance).await;
    assert_eq!(now.text("state"), "active");
    assert_eq!(
        now.body["leases"],
        json!({ "open": 1, "draining": 0, "quarantined": 0 })
    );
    plane.assert_clean();
}
