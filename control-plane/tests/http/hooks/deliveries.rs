//! What happens is told: to whom it concerns, in order, and until it was taken.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use super::receiver::{Receiver, answer};
use super::{all_are, change, customer, endpoint, happen, types};
use crate::plane::{ADMIN, Plane};

#[tokio::test]
async fn an_event_reaches_the_endpoints_that_subscribe_to_it() {
    let plane = Plane::start();
    let (all, some, none) = (
        Receiver::at("127.0.0.1", &[]).await,
        Receiver::at("127.0.0.1", &[]).await,
        Receiver::at("127.0.0.1", &[]).await,
    );
    let (to, _) = endpoint(&plane, &all, json!({})).await;
    endpoint(&plane, &some, json!({ "events": ["customer.resumed"] })).await;
    endpoint(&plane, &none, json!({ "events": ["lot.expired"] })).await;
    customer(&plane, "ada").await;
    happen(&plane, "ada", "suspend").await;
    happen(&plane, "ada", "resume").await;
    all_are(&plane, 3, "delivered").await;
    assert_eq!(types(&all), ["customer.suspended", "customer.resumed"]);
    assert_eq!(types(&some), ["customer.resumed"]);
    assert_eq!(none.connections(), 0);

    let events = plane.get("/v1/events").await;
    let newest = events.body["data"][0].clone();
    assert_eq!(newest["type"], "customer.resumed");
    let message = all.received()[1].clone();
    assert_eq!(message.header("webhook-id"), newest["id"].as_str());
    let body: Value = serde_json::from_slice(&message.body).unwrap();
    assert_eq!(body["timestamp"], newest["timestamp"]);
    assert_eq!(body["data"], newest["data"]);
    assert_eq!(body["data"]["customer_external_id"], "ada");
    assert_eq!(body["data"]["customer_id"], newest["customer_id"]);

    let id = newest["id"].as_str().unwrap();
    let shown = plane.get(&format!("/v1/events/{id}")).await;
    assert_eq!(shown.body, newest);
    let of = plane
        .get(&format!(
            "/v1/webhook-deliveries?event_id={id}&endpoint_id={to}&state=delivered"
        ))
        .await;
    assert_eq!(of.body["data"].as_array().unwrap().len(), 1, "{of:?}");
    let delivery = of.body["data"][0]["id"].as_str().unwrap();
    let shown = plane
        .get(&format!("/v1/webhook-deliveries/{delivery}"))
        .await;
    assert_eq!(shown.body["attempts"], 1);
    let attempt = &shown.body["attempt_log"][0];
    assert_eq!(
        (&attempt["number"], &attempt["status"]),
        (&json!(1), &json!(200))
    );
    assert_eq!(attempt["error"], json!(null));
}

#[tokio::test]
async fn events_are_listed_by_customer_type_and_time() {
    let plane = Plane::at("2026-03-01T00:00:00Z");
    for name in ["ada", "bob"] {
        customer(&plane, name).await;
        happen(&plane, name, "suspend").await;
        plane.pass_ms(60_000);
        happen(&plane, name, "resume").await;
        plane.pass_ms(60_000);
    }
    for (query, count) in [
        ("", 4),
        ("?customer_id=ada", 2),
        ("?type=customer.suspended", 2),
        ("?customer_id=bob&type=customer.resumed", 1),
        ("?from=2026-03-01T00:02:00Z", 2),
        ("?before=2026-03-01T00:02:00Z", 2),
        ("?from=2026-03-01T00:01:00Z&before=2026-03-01T00:02:00Z", 1),
        ("?type=wallet.alert", 0),
    ] {
        let found = plane.get(&format!("/v1/events{query}")).await;
        assert_eq!(found.status, 200, "{found:?}");
        assert_eq!(
            found.body["data"].as_array().unwrap().len(),
            count,
            "{query}"
        );
    }
    let mut path = "/v1/events?limit=3".to_owned();
    let first = plane.get(&path).await;
    path.push_str(&format!("&cursor={}", first.text("next_cursor")));
    let rest = plane.get(&path).await;
    assert_eq!(rest.body["data"].as_array().unwrap().len(), 1);
    assert_eq!(rest.body["next_cursor"], json!(null));
    for (query, status, code) in [
        ("?type=nothing.happened", 400, "query_invalid"),
        ("?from=yesterday", 400, "query_invalid"),
        ("?customer_id=nobody", 404, "not_found"),
        ("/evt_nope", 404, "not_found"),
    ] {
        let refused = plane.get(&format!("/v1/events{query}")).await;
        assert_eq!((refused.status, refused.code()), (status, code), "{query}");
    }
}

#[tokio::test]
async fn a_test_goes_to_one_endpoint_alone_whatever_it_subscribes_to() {
    let plane = Plane::start();
    let (tried, other) = (
        Receiver::at("127.0.0.1", &[]).await,
        Receiver::at("127.0.0.1", &[]).await,
    );
    let (id, _) = endpoint(
        &plane,
        &tried,
        json!({ "events": ["lot.expired"], "external_id": "mine" }),
    )
    .await;
    endpoint(&plane, &other, json!({})).await;
    let sent = plane
        .post("/v1/webhook-endpoints/mine/test", json!({}))
        .await;
    assert_eq!(
        (sent.status, sent.text("endpoint_id")),
        (201, id.clone()),
        "{sent:?}"
    );
    all_are(&plane, 1, "delivered").await;
    assert_eq!(types(&tried), ["webhook_endpoint.test"]);
    let body: Value = serde_json::from_slice(&tried.received()[0].body).unwrap();
    assert_eq!(body["data"], json!({ "endpoint_id": id }));
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn a_disabled_endpoint_gets_nothing_and_what_was_on_its_way_is_given_up() {
    let plane = Plane::at("2026-03-01T00:00:00Z");
    let receiver = Receiver::at("127.0.0.1", &[answer("500 Down", "")]).await;
    let (id, _) = endpoint(&plane, &receiver, json!({})).await;
    customer(&plane, "ada").await;
    happen(&plane, "ada", "suspend").await;
    plane
        .until("/v1/webhook-deliveries", |body| {
            body["data"][0]["attempts"] == 1
        })
        .await;
    let disabled = plane
        .post(&format!("/v1/webhook-endpoints/{id}/disable"), json!({}))
        .await;
    assert_eq!(disabled.text("status"), "disabled");
    assert_eq!(disabled.text("disabled_reason"), "operator");
    let refused = plane
        .post(&format!("/v1/webhook-endpoints/{id}/test"), json!({}))
        .await;
    assert_eq!(
        (refused.status, refused.code()),
        (409, "webhook_endpoint_disabled")
    );
    happen(&plane, "ada", "resume").await;
    plane.pass_ms(60_000);
    let given_up = all_are(&plane, 1, "failed").await;
    let path = format!(
        "/v1/webhook-deliveries/{}",
        given_up["id"].as_str().unwrap()
    );
    let shown = plane.get(&path).await;
    assert_eq!(shown.body["attempt_log"][1]["error"], "endpoint_disabled");
    assert_eq!(receiver.received().len(), 1);
    let enabled = plane
        .post(&format!("/v1/webhook-endpoints/{id}/enable"), json!({}))
        .await;
    assert_eq!(
        (enabled.text("status"), &enabled.body["disabled_reason"]),
        ("enabled".to_owned(), &json!(null))
    );
    happen(&plane, "ada", "suspend").await;
    plane
        .until("/v1/webhook-deliveries", |body| {
            body["data"][0]["state"] == "delivered"
        })
        .await;
    assert_eq!(receiver.received().len(), 2);
}

#[tokio::test]
async fn a_deleted_endpoint_gets_nothing_but_its_deliveries_can_be_looked_at() {
    let plane = Plane::at("2026-03-01T00:00:00Z");
    let receiver = Receiver::at("127.0.0.1", &[answer("500 Down", "")]).await;
    let (id, _) = endpoint(&plane, &receiver, json!({ "external_id": "mine" })).await;
    customer(&plane, "ada").await;
    happen(&plane, "ada", "suspend").await;
    plane
        .until("/v1/webhook-deliveries", |body| {
            body["data"][0]["attempts"] == 1
        })
        .await;
    let path = format!("/v1/webhook-endpoints/{id}");
    plane.call(Method::DELETE, &path, ADMIN, "{}", &[]).await;
    plane.pass_ms(60_000);
    let given_up = all_are(&plane, 1, "failed").await;
    let path = format!(
        "/v1/webhook-deliveries/{}",
        given_up["id"].as_str().unwrap()
    );
    let shown = plane.get(&path).await;
    assert_eq!(shown.body["attempt_log"][1]["error"], "endpoint_deleted");
    let listed = plane
        .get(&format!("/v1/webhook-deliveries?endpoint_id={id}"))
        .await;
    assert_eq!(listed.body["data"].as_array().unwrap().len(), 1);
    assert_eq!(receiver.received().len(), 1);
    let plane = plane.restart().await;
    let replayed = plane.post(&format!("{path}/replay"), json!({})).await;
    assert_eq!((replayed.status, replayed.code()), (404, "not_found"));
}

#[tokio::test]
async fn an_endpoint_that_hangs_holds_up_no_other() {
    let plane = Plane::start();
    // It takes connections and never answers.
    let hanging = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let healthy = Receiver::at("127.0.0.1", &[]).await;
    let (slow, _) = endpoint(&plane, &healthy, json!({})).await;
    let url = format!("http://{}/", hanging.local_addr().unwrap());
    assert_eq!(
        change(&plane, &slow, json!({ "url": url })).await.status,
        200
    );
    let (fast, _) = endpoint(&plane, &healthy, json!({})).await;
    for number in 0..30 {
        let name = format!("c{number}");
        customer(&plane, &name).await;
        happen(&plane, &name, "suspend").await;
    }
    let before = tokio::time::Instant::now();
    let path = format!("/v1/webhook-deliveries?limit=200&endpoint_id={fast}&state=delivered");
    plane
        .until(&path, |body| body["data"].as_array().unwrap().len() == 30)
        .await;
    assert!(before.elapsed() < Duration::from_secs(10));
    let waiting = format!("/v1/webhook-deliveries?limit=200&endpoint_id={slow}&state=pending");
    let waiting = plane.get(&waiting).await;
    assert_eq!(waiting.body["data"].as_array().unwrap().len(), 30);
}

#[tokio::test]
async fn events_of_a_customer_arrive_in_their_order() {
    let plane = Plane::start();
    let receiver = Receiver::at("127.0.0.1", &[]).await;
    for name in ["ada", "bob", "cleo"] {
        customer(&plane, name).await;
    }
    endpoint(&plane, &receiver, json!({})).await;
    for turn in 0..10 {
        let what = ["suspend", "resume"][turn % 2];
        let happening = ["ada", "bob", "cleo"].map(|name| happen(&plane, name, what));
        let [ada, bob, cleo] = happening;
        tokio::join!(ada, bob, cleo);
    }
    all_are(&plane, 30, "delivered").await;
    let mut last = std::collections::BTreeMap::new();
    for message in receiver.received() {
        let body: Value = serde_json::from_slice(&message.body).unwrap();
        let customer = body["data"]["customer_external_id"]
            .as_str()
            .unwrap()
            .to_owned();
        let id = message.header("webhook-id").unwrap().to_owned();
        let before = last.insert(customer, id.clone());
        assert!(before < Some(id), "out of order: {body}");
    }
    assert_eq!(last.len(), 3);
}
