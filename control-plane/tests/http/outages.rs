//! What gateways may do while they can't reach the control plane, and what comes of it.

use axum::http::Method;
use creditgate_core::amount::Amount;
use creditgate_core::outage::OnUnavailable;
use serde_json::{Value, json};

use crate::edge::{Edge, counters};
use crate::plane::{ADMIN, Answer, Plane};

async fn patch(plane: &Plane, path: &str, change: Value) -> Answer {
    plane
        .call(Method::PATCH, path, ADMIN, change.to_string(), &[])
        .await
}

async fn allow(plane: &Plane, units: &str) {
    let changed = patch(plane, "/v1/settings", json!({ "offline_allowance": units })).await;
    assert_eq!(changed.status, 200, "{changed:?}");
}

#[tokio::test]
async fn a_customers_word_on_outages_is_kept_pushed_and_taken_back() {
    let plane = Plane::start();
    plane.funded("ada", "usd", "1").await;
    let key = plane.key_of("ada").await;
    let mut edge = Edge::of(&plane, "edge", "usd").await;
    let known = edge.know(&plane, &key, 1, 0).await;
    assert_eq!(known.answer.state.on_unavailable, None);
    edge.poll(&plane).await;
    for (word, told) in [
        (json!("ALLOW"), Some(OnUnavailable::Allow)),
        (json!("shadow"), Some(OnUnavailable::Shadow)),
        (json!("deny"), Some(OnUnavailable::Deny)),
        (json!(null), None),
    ] {
        let change = json!({ "on_unavailable": word });
        let changed = patch(&plane, "/v1/customers/ada", change).await;
        assert_eq!(changed.status, 200, "{changed:?}");
        let shown = plane.get("/v1/customers/ada").await;
        let lower = word.as_str().map(str::to_ascii_lowercase);
        assert_eq!(shown.body["on_unavailable"].as_str(), lower.as_deref());
        let pushed = edge.poll(&plane).await;
        assert_eq!(pushed.changes[0].state.on_unavailable, told);
    }
    let refused = patch(
        &plane,
        "/v1/customers/ada",
        json!({ "on_unavailable": "hope" }),
    )
    .await;
    assert_eq!(
        (refused.status, refused.text("pointer")),
        (422, "/on_unavailable".to_owned())
    );
}

#[tokio::test]
async fn the_allowance_and_the_threshold_of_warnings_are_pushed() {
    let plane = Plane::start();
    let mut edge = Edge::of(&plane, "edge", "usd").await;
    let first = edge.poll(&plane).await.config.expect("a configuration");
    assert_eq!(
        (first.offline_allowance, first.warn_below),
        (Amount::ZERO, Amount::ZERO)
    );
    let change = json!({ "offline_allowance": "70", "warn_below": "9" });
    assert_eq!(patch(&plane, "/v1/settings", change).await.status, 200);
    let told = edge.poll(&plane).await.config.expect("a configuration");
    assert_eq!(
        (told.offline_allowance, told.warn_below),
        (Amount::new(70), Amount::new(9))
    );
}

#[tokio::test]
async fn what_was_spent_offline_is_booked_once_and_what_is_owed_stands_beside_its_bound() {
    let plane = Plane::start();
    plane.funded("ada", "usd", "0.000000004").await;
    let key = plane.key_of("ada").await;
    allow(&plane, "10").await;
    let edge = Edge::of(&plane, "edge", "usd").await;
    let lent = edge.know(&plane, &key, 1, 0).await.answer;
    let mut begun = lent.clone();
    begun.lease.0 += 1;
    for _ in 0..3 {
        let answer = edge
            .report(&plane, &begun, counters([0, 0, 9, 0, 9]), 0)
            .await;
        assert!(answer.state.owes, "{answer:?}");
        assert_eq!(answer.settled, Amount::new(9));
    }
    // Lowered: a gateway that has not heard of it is not taken for broken.
    allow(&plane, "0").await;
    let answer = edge
        .report(&plane, &begun, counters([0, 0, 10, 0, 10]), 0)
        .await;
    assert_eq!(answer.settled, Amount::new(10));
    let metrics = plane.get("/metrics").await;
    let metrics = String::from_utf8(metrics.bytes).unwrap();
    for (name, value) in [
        ("creditgate_owed", "0.000000006"),
        ("creditgate_owed_most", "0.000000006"),
        ("creditgate_offline_bound", "0.00000001"),
    ] {
        let line = format!("{name}{{currency=\"usd\"}} {value}");
        assert!(
            metrics.lines().any(|known| known == line),
            "{line} is not in {metrics}"
        );
    }
    plane.assert_clean();
}
