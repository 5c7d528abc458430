//! What was not taken is tried again, over days if need be; what can't be is told.

use serde_json::{Value, json};

use super::receiver::{Receiver, answer};
use super::{all_are, customer, endpoint, happen, types};
use crate::plane::Plane;

const HOUR_MS: i64 = 60 * 60 * 1_000;

/// The waits of the schedule at their longest: a fifth more.
const WAITS_MS: [i64; 9] = [
    6_000,
    6 * 60_000,
    36 * 60_000,
    12 * HOUR_MS / 5,
    6 * HOUR_MS,
    12 * HOUR_MS,
    84 * HOUR_MS / 5,
    24 * HOUR_MS,
    144 * HOUR_MS / 5,
];

fn downs(count: usize) -> Vec<String> {
    vec![answer("503 Down", "not now"); count]
}

async fn attempted(plane: &Plane, times: usize) -> Value {
    let fits = |body: &Value| body["data"][0]["attempts"] == times;
    let answer = plane.until("/v1/webhook-deliveries", fits).await;
    answer.body["data"][0].clone()
}

#[tokio::test]
async fn what_fails_is_tried_again_until_it_is_taken_with_the_same_body() {
    let plane = Plane::at("2026-03-01T00:00:00Z");
    let receiver = Receiver::at("127.0.0.1", &downs(3)).await;
    let (id, _) = endpoint(&plane, &receiver, json!({})).await;
    customer(&plane, "ada").await;
    happen(&plane, "ada", "suspend").await;
    for (place, wait_ms) in WAITS_MS.iter().take(3).enumerate() {
        let delivery = attempted(&plane, place + 1).await;
        assert_eq!(
            (&delivery["state"], &delivery["last_status"]),
            (&json!("pending"), &json!(503))
        );
        plane.pass_ms(*wait_ms);
    }
    let delivery = all_are(&plane, 1, "delivered").await;
    assert_eq!(delivery["attempts"], 4);
    assert_eq!(delivery["next_attempt_at"], json!(null));
    let received = receiver.received();
    assert_eq!(received.len(), 4);
    for message in &received {
        assert_eq!(message.body, received[0].body);
        assert_eq!(
            message.header("webhook-id"),
            received[0].header("webhook-id")
        );
    }
    assert_ne!(
        received[3].header("webhook-timestamp"),
        received[0].header("webhook-timestamp")
    );
    assert_ne!(
        received[3].header("webhook-signature"),
        received[0].header("webhook-signature")
    );
    let path = format!(
        "/v1/webhook-deliveries/{}",
        delivery["id"].as_str().unwrap()
    );
    let log = plane.get(&path).await.body["attempt_log"].clone();
    assert_eq!(log.as_array().unwrap().len(), 4);
    for failed in 0..3 {
        assert_eq!(log[failed]["error"], "http_status");
        assert_eq!(log[failed]["response"], "not now");
    }
    let shown = plane.get(&format!("/v1/webhook-endpoints/{id}")).await;
    assert_eq!(shown.body["failing_since"], json!(null));
}

#[tokio::test]
async fn a_retry_is_not_early() {
    let plane = Plane::at("2026-03-01T00:00:00Z");
    let receiver = Receiver::at("127.0.0.1", &downs(2)).await;
    endpoint(&plane, &receiver, json!({})).await;
    customer(&plane, "ada").await;
    happen(&plane, "ada", "suspend").await;
    attempted(&plane, 1).await;
    // A fifth less than five seconds is the soonest.
    plane.pass_ms(3_999);
    tokio::time::sleep(std::time::Duration::from_millis(800)).await;
    assert_eq!(receiver.received().len(), 1);
    plane.pass_ms(2_100);
    attempted(&plane, 2).await;
}

#[tokio::test]
async fn an_endpoint_that_failed_for_three_days_is_disabled_and_the_others_are_told() {
    let plane = Plane::at("2026-03-01T00:00:00Z");
    let dead = Receiver::at("127.0.0.1", &downs(100)).await;
    let alive = Receiver::at("127.0.0.1", &[]).await;
    let (id, _) = endpoint(
        &plane,
        &dead,
        json!({ "events": ["customer.suspended"], "external_id": "dead" }),
    )
    .await;
    let (other, _) = endpoint(
        &plane,
        &alive,
        json!({ "events": ["webhook_endpoint.disabled"] }),
    )
    .await;
    customer(&plane, "ada").await;
    happen(&plane, "ada", "suspend").await;
    for (place, wait_ms) in WAITS_MS.iter().enumerate() {
        let delivery = attempted(&plane, place + 1).await;
        assert_eq!(delivery["state"], "pending", "attempt {}", place + 1);
        let shown = plane.get(&format!("/v1/webhook-endpoints/{id}")).await;
        assert_eq!(shown.text("status"), "enabled", "attempt {}", place + 1);
        assert_eq!(shown.text("failing_since"), "2026-03-01T00:00:00.000Z");
        plane.pass_ms(*wait_ms);
    }
    let path = format!("/v1/webhook-deliveries?endpoint_id={id}");
    let failed = plane
        .until(&path, |body| body["data"][0]["state"] == "failed")
        .await;
    assert_eq!(failed.body["data"][0]["attempts"], 10);
    assert_eq!(failed.body["data"][0]["next_attempt_at"], json!(null));
    let shown = plane.get(&format!("/v1/webhook-endpoints/{id}")).await;
    assert_eq!(shown.text("status"), "disabled");
    assert_eq!(shown.text("disabled_reason"), "failing");
    let path = format!("/v1/webhook-deliveries?endpoint_id={other}");
    plane
        .until(&path, |body| body["data"][0]["state"] == "delivered")
        .await;
    assert_eq!(types(&alive), ["webhook_endpoint.disabled"]);
    let told: Value = serde_json::from_slice(&alive.received()[0].body).unwrap();
    let data = &told["data"];
    assert_eq!(
        (&data["endpoint_id"], &data["external_id"]),
        (&json!(id), &json!("dead"))
    );
    assert_eq!(
        (&data["reason"], &data["last_status"]),
        (&json!("failing"), &json!(503))
    );
    assert_eq!(data["failing_since"], "2026-03-01T00:00:00.000Z");
    assert_eq!(dead.received().len(), 10);
}

#[tokio::test]
async fn a_410_disables_at_once() {
    let plane = Plane::start();
    let receiver = Receiver::at("127.0.0.1", &[answer("410 Gone", "")]).await;
    let (id, _) = endpoint(&plane, &receiver, json!({})).await;
    customer(&plane, "ada").await;
    happen(&plane, "ada", "suspend").await;
    all_are(&plane, 1, "failed").await;
    let shown = plane.get(&format!("/v1/webhook-endpoints/{id}")).await;
    assert_eq!(
        (shown.text("status"), shown.text("disabled_reason")),
        ("disabled".to_owned(), "gone".to_owned())
    );
}

#[tokio::test]
async fn what_is_pending_goes_on_after_a_restart_and_nothing_is_sent_needlessly() {
    let plane = Plane::at("2026-03-01T00:00:00Z");
    let receiver = Receiver::at("127.0.0.1", &downs(1)).await;
    endpoint(&plane, &receiver, json!({})).await;
    customer(&plane, "ada").await;
    happen(&plane, "ada", "suspend").await;
    attempted(&plane, 1).await;
    let plane = plane.restart().await;
    happen(&plane, "ada", "resume").await;
    plane
        .until("/v1/webhook-deliveries?state=delivered", |body| {
            body["data"][0].is_object()
        })
        .await;
    let plane = plane.restart().await;
    plane.pass_ms(WAITS_MS[0]);
    all_are(&plane, 2, "delivered").await;
    let plane = plane.restart().await;
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    assert_eq!(
        types(&receiver),
        [
            "customer.suspended",
            "customer.resumed",
            "customer.suspended"
        ],
        "a retry comes later than its turn"
    );
    plane.assert_clean();
}

#[tokio::test]
async fn what_becomes_of_webhooks_is_counted() {
    let plane = Plane::at("2026-03-01T00:00:00Z");
    let receiver = Receiver::at("127.0.0.1", &downs(1)).await;
    endpoint(&plane, &receiver, json!({})).await;
    customer(&plane, "ada").await;
    happen(&plane, "ada", "suspend").await;
    attempted(&plane, 1).await;
    plane.pass_ms(3_000);
    let metrics = plane.get("/metrics").await;
    let metrics = String::from_utf8(metrics.bytes).unwrap();
    for line in [
        "creditgate_webhook_attempts_total{result=\"http_status\"} 1",
        "creditgate_webhook_deliveries_pending 1",
        "creditgate_webhook_oldest_pending_seconds 3",
        "creditgate_webhook_endpoints{status=\"enabled\"} 1",
        "creditgate_webhook_endpoints{status=\"disabled\"} 0",
    ] {
        assert!(
            metrics.lines().any(|known| known == line),
            "{line}\n{metrics}"
        );
    }
}

#[tokio::test]
async fn old_events_are_forgotten_but_none_that_is_still_on_its_way() {
    let plane = Plane::at("2026-03-01T00:00:00Z");
    let receiver = Receiver::at("127.0.0.1", &downs(1)).await;
    endpoint(
        &plane,
        &receiver,
        json!({ "events": ["customer.suspended"] }),
    )
    .await;
    customer(&plane, "ada").await;
    happen(&plane, "ada", "suspend").await;
    attempted(&plane, 1).await;
    happen(&plane, "ada", "resume").await;
    // The retry is due a day after the other event has become too old.
    let due_in_ms = 32 * 24 * HOUR_MS;
    let database = rusqlite::Connection::open(plane.path()).unwrap();
    let moved = "UPDATE delivery SET next_at = next_at + ?1 WHERE state = 'pending'";
    assert_eq!(database.execute(moved, [due_in_ms]).unwrap(), 1);
    plane.pass_ms(31 * 24 * HOUR_MS);
    let plane = plane.restart().await;
    let left = plane
        .until("/v1/events", |body| {
            body["data"].as_array().unwrap().len() == 1
        })
        .await;
    assert_eq!(left.body["data"][0]["type"], "customer.suspended");
    plane.pass_ms(2 * 24 * HOUR_MS);
    all_are(&plane, 1, "delivered").await;
    let plane = plane.restart().await;
    plane
        .until("/v1/events", |body| body["data"] == json!([]))
        .await;
    let deliveries = plane.get("/v1/webhook-deliveries").await;
    assert_eq!(deliveries.body["data"], json!([]));
    plane.assert_clean();
}
