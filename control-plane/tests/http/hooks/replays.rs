//! Sending again: one delivery, or what an endpoint missed in a period.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::receiver::{Receiver, answer};
use super::{all_are, customer, endpoint, happen, types};
use crate::plane::Plane;

#[tokio::test]
async fn a_delivery_is_sent_again_as_a_delivery_of_its_own() {
    let plane = Plane::start();
    let receiver = Receiver::at("127.0.0.1", &[]).await;
    endpoint(&plane, &receiver, json!({})).await;
    customer(&plane, "ada").await;
    happen(&plane, "ada", "suspend").await;
    let first = all_are(&plane, 1, "delivered").await;
    let path = format!(
        "/v1/webhook-deliveries/{}/replay",
        first["id"].as_str().unwrap()
    );
    let again = plane.post(&path, json!({})).await;
    assert_eq!(again.status, 201, "{again:?}");
    assert_ne!(again.body["id"], first["id"]);
    assert_eq!(again.body["event_id"], first["event_id"]);
    all_are(&plane, 2, "delivered").await;
    let received = receiver.received();
    assert_eq!(received[0].body, received[1].body);
    assert_eq!(
        received[0].header("webhook-id"),
        received[1].header("webhook-id")
    );
}

#[tokio::test]
async fn what_an_endpoint_missed_is_sent_in_order_and_nothing_else() {
    let plane = Plane::at("2026-03-01T00:00:00Z");
    let receiver = Receiver::at("127.0.0.1", &[answer("410 Gone", "")]).await;
    let (id, _) = endpoint(
        &plane,
        &receiver,
        json!({ "events": ["customer.suspended", "customer.resumed"] }),
    )
    .await;
    customer(&plane, "ada").await;
    happen(&plane, "ada", "suspend").await;
    all_are(&plane, 1, "failed").await;
    // Disabled: these are not even tried.
    for what in ["resume", "suspend"] {
        plane.pass_ms(60_000);
        happen(&plane, "ada", what).await;
    }
    let replay = format!("/v1/webhook-endpoints/{id}/replay");
    let period = json!({ "from": "2026-03-01T00:00:00Z", "to": "2026-03-01T00:02:00Z" });
    let refused = plane.post(&replay, period.clone()).await;
    assert_eq!(
        (refused.status, refused.code()),
        (409, "webhook_endpoint_disabled")
    );
    plane
        .post(&format!("/v1/webhook-endpoints/{id}/enable"), json!({}))
        .await;
    plane.pass_ms(60_000);
    happen(&plane, "ada", "resume").await;
    plane
        .until("/v1/webhook-deliveries", |body| {
            body["data"][0]["state"] == "delivered"
        })
        .await;
    let replayed = plane.post(&replay, period.clone()).await;
    assert_eq!(replayed.status, 200, "{replayed:?}");
    assert_eq!(
        replayed.body,
        json!({ "deliveries": 2, "next_cursor": null })
    );
    let delivered = "/v1/webhook-deliveries?state=delivered";
    plane
        .until(delivered, |body| {
            body["data"].as_array().unwrap().len() == 3
        })
        .await;
    let sent = [
        "customer.suspended",
        "customer.resumed",
        "customer.suspended",
        "customer.resumed",
    ];
    // The first was refused; the last of those sent live; then the two that were missed.
    assert_eq!(types(&receiver), [sent[0], sent[3], sent[0], sent[1]]);

    let again = plane.post(&replay, period).await;
    assert_eq!(again.body["deliveries"], 0, "it has all of them now");
    let everything = json!({ "from": "2026-03-01T00:00:00Z", "which": "all" });
    let all = plane.post(&replay, everything).await;
    assert_eq!(all.body["deliveries"], 4);
}

#[tokio::test]
async fn a_long_period_is_sent_in_parts() {
    let plane = Plane::start();
    let receiver = Receiver::at("127.0.0.1", &[]).await;
    customer(&plane, "ada").await;
    let from = creditgate_ledger::Timestamp(plane.now_ms() - 1_000).to_string();
    for turn in 0..1_005 {
        happen(&plane, "ada", ["suspend", "resume"][turn % 2]).await;
    }
    let (id, _) = endpoint(&plane, &receiver, json!({})).await;
    let replay = format!("/v1/webhook-endpoints/{id}/replay");
    let first = plane.post(&replay, json!({ "from": from })).await;
    assert_eq!(first.body["deliveries"], 1_000);
    let cursor = first.text("next_cursor");
    let rest = plane
        .post(&replay, json!({ "from": from, "cursor": cursor }))
        .await;
    assert_eq!(rest.body, json!({ "deliveries": 5, "next_cursor": null }));

    // All are of one customer, so they arrive one after the other.
    let before = Instant::now();
    let sent = || receiver.received().len();
    while sent() < 1_005 {
        assert!(
            before.elapsed() < Duration::from_secs(60),
            "{} of 1005",
            sent()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("1,005 webhooks of one customer in {:?}", before.elapsed());
    let received = receiver.received();
    let ids: Vec<_> = received
        .iter()
        .map(|message| message.header("webhook-id"))
        .collect();
    assert!(ids[..1_000].is_sorted() && ids[1_000..].is_sorted());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_of_one_customer_does_not_hold_up_another() {
    let plane = Plane::start();
    let receiver = Receiver::at("127.0.0.1", &[]).await;
    customer(&plane, "ada").await;
    customer(&plane, "bob").await;
    for turn in 0..300 {
        happen(&plane, "ada", ["suspend", "resume"][turn % 2]).await;
    }
    happen(&plane, "bob", "suspend").await;
    let bob = plane.get("/v1/customers/bob").await.text("id");
    let (id, _) = endpoint(&plane, &receiver, json!({})).await;
    let replay = format!("/v1/webhook-endpoints/{id}/replay");
    let from = json!({ "from": "2026-01-01T00:00:00Z" });
    let replayed = plane.post(&replay, from).await;
    let sent = replayed.body["deliveries"].as_u64();
    let sent = sent.unwrap_or_else(|| panic!("{replayed:?}"));
    let sent = usize::try_from(sent).unwrap();
    let before = Instant::now();
    while receiver.received().len() < sent {
        assert!(before.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let is_bobs = |body: &[u8]| String::from_utf8_lossy(body).contains(&bob);
    let received = receiver.received();
    let place = received.iter().position(|message| is_bobs(&message.body));
    // His is the last event of all that were due.
    assert!(place.unwrap() < 50, "{place:?} of {sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_events_of_many_customers_arrive_each_once() {
    let plane = Plane::start();
    let receiver = Receiver::at("127.0.0.1", &[]).await;
    for number in 0..1_000 {
        let name = format!("c{number}");
        customer(&plane, &name).await;
        happen(&plane, &name, "suspend").await;
    }
    let (id, _) = endpoint(&plane, &receiver, json!({})).await;
    let replay = format!("/v1/webhook-endpoints/{id}/replay");
    let before = Instant::now();
    let replayed = plane
        .post(&replay, json!({ "from": "2026-01-01T00:00:00Z" }))
        .await;
    assert_eq!(replayed.body["deliveries"], 1_000);
    while plane.app.reader.pending_deliveries().unwrap().0 > 0 {
        assert!(before.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!(
        "1,000 webhooks of 1,000 customers in {:?}",
        before.elapsed()
    );
    let received = receiver.received();
    let ids: BTreeSet<_> = received
        .iter()
        .map(|message| message.header("webhook-id"))
        .collect();
    assert_eq!((received.len(), ids.len()), (1_000, 1_000));
}
