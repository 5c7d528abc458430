//! What is forgotten with time, and what is not. The job looks as soon as it starts.

use std::time::Duration;

use axum::http::Method;
use creditgate::jobs::Presence;
use serde_json::json;
use tokio::time::Instant;

use crate::edge::{Edge, counters};
use crate::plane::{ADMIN, Plane};

const MINUTE: Duration = Duration::from_secs(60);

/// How often old answers were looked for.
async fn looks(plane: &Plane) -> u64 {
    let metrics = plane.get("/metrics").await;
    let text = String::from_utf8_lossy(&metrics.bytes).into_owned();
    let lines = text.lines().filter(|line| {
        line.starts_with("creditgate_commands_total") && line.contains("\"forget_answers\"")
    });
    lines
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// Starts the service again, that long after another which has heard of no gateway but `heard`
/// since; answers when the job has looked.
async fn again(plane: Plane, after: Duration, heard: Option<&Edge>) -> Plane {
    let before = looks(&plane).await;
    let started = Instant::now().checked_sub(after).expect("an instant");
    let presence = Presence::since(started);
    if let Some(edge) = heard {
        presence.spoke(edge.hello.instance);
    }
    let plane = plane.restart_with(presence).await;
    for _ in 0..600 {
        if looks(&plane).await > before {
            // What it does after that is short.
            tokio::time::sleep(Duration::from_millis(300)).await;
            return plane;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing was looked at");
}

async fn instances(plane: &Plane) -> Vec<String> {
    let list = plane.get("/v1/instances").await;
    let data = list.body["data"].as_array().expect("a list").clone();
    let mut ids: Vec<_> = data
        .iter()
        .map(|instance| instance["id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    ids
}

fn nth(edge: &Edge, number: u128) -> Edge {
    let mut other = edge.another();
    other.hello.instance.0 += number;
    other
}

#[tokio::test]
async fn an_instance_that_holds_nothing_is_forgotten_an_hour_after_it_last_spoke() {
    let plane = Plane::start();
    plane.funded("ada", "tokens", "10").await;
    let key = plane.key_of("ada").await;
    let mut gone = Edge::of(&plane, "edge", "tokens").await;
    gone.poll(&plane).await;
    let mut speaks = nth(&gone, 1);
    speaks.poll(&plane).await;
    let holds = nth(&gone, 2);
    holds.know(&plane, &key, 1, 2_000).await;
    let frozen = nth(&gone, 3);
    let lent = frozen.know(&plane, &key, 1, 1_000).await.answer;
    // More than was ever lent: it is to be looked at, also when all of it is accounted for.
    frozen
        .report(&plane, &lent, counters([9_000, 0, 0, 0, 0]), 0)
        .await;
    let lease = plane.get("/v1/leases?state=quarantined").await;
    let lease = lease.body["data"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/leases/{lease}/resolve");
    let release = json!({ "action": "release", "reason": "looked at" });
    assert_eq!(plane.post(&path, release).await.status, 200);

    let plane = again(plane, 59 * MINUTE, None).await;
    assert_eq!(instances(&plane).await.len(), 4);
    let plane = again(plane, 61 * MINUTE, Some(&speaks)).await;
    let mut kept = [&speaks, &holds, &frozen].map(|edge| edge.hello.instance.to_string());
    kept.sort();
    assert_eq!(instances(&plane).await, kept);

    // Whoever was forgotten is met again as if it were new.
    gone.config_version = 0;
    assert_eq!(gone.poll(&plane).await.barred, None);
    gone.know(&plane, &key, 1, 1_000).await;
    assert_eq!(instances(&plane).await.len(), 4);
    plane.assert_clean();
}

#[tokio::test]
async fn the_original_answer_is_repeated_for_thirty_days() {
    let plane = Plane::at("2026-01-01T00:00:00Z");
    let headers = [("idempotency-key", "a-key")];
    let make = async |plane: &Plane| {
        let body = json!({ "external_id": "ada" }).to_string();
        plane
            .call(Method::POST, "/v1/customers", ADMIN, body, &headers)
            .await
    };
    let first = make(&plane).await;
    assert_eq!((first.status, first.replayed()), (201, false));
    plane.set("2026-01-30T23:59:59Z");
    let plane = again(plane, Duration::ZERO, None).await;
    let repeated = make(&plane).await;
    assert_eq!((repeated.replayed(), repeated.bytes), (true, first.bytes));
    plane.set("2026-01-31T00:00:01Z");
    let plane = again(plane, Duration::ZERO, None).await;
    assert_eq!(make(&plane).await.code(), "already_exists");
}
