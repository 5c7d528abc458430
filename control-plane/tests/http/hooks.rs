//! Webhooks: endpoints, what is sent to them, and what becomes of it.

use axum::http::Method;
use serde_json::{Value, json};

use crate::plane::{ADMIN, Answer, Plane};
use receiver::Receiver;

mod deliveries;
mod endpoints;
#[path = "../webhooks/receiver.rs"]
pub(crate) mod receiver;
mod replays;
mod retries;
mod verifiers;

/// An endpoint that sends to the receiver; answers its id and its secret.
async fn endpoint(plane: &Plane, receiver: &Receiver, more: Value) -> (String, String) {
    let mut body = json!({ "url": receiver.url("127.0.0.1") });
    let fields = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(fields);
    let made = plane.post("/v1/webhook-endpoints", body).await;
    assert_eq!(made.status, 201, "{made:?}");
    (made.text("id"), made.text("secret"))
}

/// A customer of this name.
async fn customer(plane: &Plane, name: &str) {
    let made = plane
        .post("/v1/customers", json!({ "external_id": name }))
        .await;
    assert_eq!(made.status, 201, "{made:?}");
}

/// Makes something happen to the customer that is told: it is suspended, or resumed.
async fn happen(plane: &Plane, name: &str, what: &str) {
    let done = plane
        .post(&format!("/v1/customers/{name}/{what}"), json!({}))
        .await;
    assert_eq!(done.status, 200, "{done:?}");
}

async fn change(plane: &Plane, endpoint: &str, change: Value) -> Answer {
    let path = format!("/v1/webhook-endpoints/{endpoint}");
    plane
        .call(Method::PATCH, &path, ADMIN, change.to_string(), &[])
        .await
}

/// Waits until all deliveries are in this state, and answers the newest.
async fn all_are(plane: &Plane, count: usize, state: &str) -> Value {
    let fits = |body: &Value| {
        let all = body["data"].as_array().unwrap();
        all.len() == count && all.iter().all(|delivery| delivery["state"] == state)
    };
    let answer = plane.until("/v1/webhook-deliveries", fits).await;
    answer.body["data"][0].clone()
}

fn types(receiver: &Receiver) -> Vec<String> {
    let received = receiver.received();
    let types = received.iter().map(|message| {
        let body: Value = serde_json::from_slice(&message.body).unwrap();
        body["type"].as_str().unwrap().to_owned()
    });
    types.collect()
}
