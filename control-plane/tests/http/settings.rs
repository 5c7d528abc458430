//! Settings: changed together or one by one, never into what can't work.

use std::sync::Arc;

use axum::http::Method;
use serde_json::{Value, json};

use crate::plane::{ADMIN, Answer, Plane};

async fn patch(plane: &Plane, change: Value) -> Answer {
    plane
        .call(
            Method::PATCH,
            "/v1/settings",
            ADMIN,
            change.to_string(),
            &[],
        )
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_at_the_same_time_all_last() {
    let plane = Arc::new(Plane::start());
    let names = [
        "use_by_ms",
        "idle_ms",
        "wait_ms",
        "max_stream_ms",
        "silent_after_ms",
        "quarantine_policy_after_ms",
        "unknown_key_ttl_ms",
    ];
    for round in 1..=10_u64 {
        let mut changes = tokio::task::JoinSet::new();
        for name in names {
            let plane = Arc::clone(&plane);
            let value = round
                + match name {
                    "silent_after_ms" => 90_000,
                    "wait_ms" => 10_000,
                    _ => 40_000,
                };
            changes.spawn(async move {
                let changed = patch(&plane, json!({ name: value })).await;
                assert_eq!(changed.status, 200, "{changed:?}");
                (name, value)
            });
        }
        let changes = changes.join_all().await;
        let settings = plane.get("/v1/settings").await;
        for (name, value) in changes {
            assert_eq!(settings.body[name], value, "{name} in round {round}");
        }
    }
}

#[tokio::test]
async fn settings_that_contradict_one_another_are_refused_where_the_fault_is() {
    let plane = Plane::start();
    plane.hurry().await;
    let before = plane.get("/v1/settings").await;
    for (change, pointer) in [
        (json!({ "sync_ms": 251 }), "/sync_ms"),
        (
            json!({ "use_by_ms": 200, "wait_ms": 10, "sync_ms": 51 }),
            "/sync_ms",
        ),
        (json!({ "use_by_ms": 199 }), "/use_by_ms"),
        (json!({ "wait_ms": 1_001 }), "/wait_ms"),
        (json!({ "use_by_ms": 1_001 }), "/silent_after_ms"),
        (json!({ "silent_after_ms": 999 }), "/silent_after_ms"),
        (json!({ "overrun_max": "1000000000000001" }), "/overrun_max"),
        (
            json!({ "overrun_max": "9223372036854775807" }),
            "/overrun_max",
        ),
    ] {
        let refused = patch(&plane, change.clone()).await;
        assert_eq!(refused.status, 422, "{change}: {refused:?}");
        assert_eq!(refused.code(), "settings_invalid", "{change}");
        assert_eq!(refused.body["pointer"], pointer, "{change}");
    }
    assert_eq!(plane.get("/v1/settings").await.body, before.body);

    let changed = patch(
        &plane,
        json!({ "sync_ms": 250, "wait_ms": 1_000, "overrun_max": "1000000000000000" }),
    )
    .await;
    assert_eq!(changed.status, 200, "{changed:?}");
}

#[tokio::test]
async fn replacing_gives_what_is_absent_its_default() {
    let plane = Plane::start();
    plane.hurry().await;
    let put = plane.put("/v1/settings", json!({ "sync_ms": 300 })).await;
    assert_eq!(
        (put.status, &put.body["sync_ms"], &put.body["use_by_ms"]),
        (200, &json!(300), &json!(60_000)),
        "{put:?}"
    );
}
