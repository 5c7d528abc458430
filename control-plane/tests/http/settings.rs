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
        (json!({ "offline_allowance": "-1" }), "/offline_allowance"),
        (json!({ "warn_below": "1000000000000001" }), "/warn_below"),
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

#[tokio::test]
async fn what_holds_for_wallets_is_kept_as_it_was_written_and_outlasts_a_restart() {
    let plane = Plane::start();
    let before = plane.get("/v1/settings").await.body;
    let expected = json!({
        "auto_complete_purchased_credit_transaction": false,
        "unpaid_lot_ttl_ms": 604_800_000,
        "default_alerts": null,
        "bonus_slabs": [],
        "auto_topup_cooldown_ms": 60_000,
        "auto_topups_per_day_max": 10,
        "auto_topups_per_month_max": 100,
    });
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(before[name], *value, "{name}");
    }
    let changed = patch(
        &plane,
        json!({
            "auto_complete_purchased_credit_transaction": true,
            "unpaid_lot_ttl_ms": 86_400_000,
            "default_alerts": {
                "critical": { "threshold": 10, "condition": "BELOW", "hysteresis": "2.50" },
                "info": { "threshold": "1e3", "condition": "above" },
            },
            "bonus_slabs": [
                { "from": 100, "bonus_percent": 10.5, "expire_in_days": 30 },
                { "from": "1000.00", "bonus_credits": "250", "priority": -5 },
            ],
            "auto_topup_cooldown_ms": 5_000,
            "auto_topups_per_day_max": 0,
            "auto_topups_per_month_max": 7,
        }),
    )
    .await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let expected = json!({
        "auto_complete_purchased_credit_transaction": true,
        "unpaid_lot_ttl_ms": 86_400_000,
        "default_alerts": {
            "critical": { "threshold": "10", "condition": "below", "hysteresis": "2.5" },
            "warning": null,
            "info": { "threshold": "1000", "condition": "above", "hysteresis": null },
            "alert_enabled": true,
        },
        "bonus_slabs": [
            { "from": "100", "bonus_credits": null, "bonus_percent": "10.5", "expire_in_days": 30, "priority": null },
            { "from": "1000", "bonus_credits": "250", "bonus_percent": null, "expire_in_days": null, "priority": -5 },
        ],
        "auto_topup_cooldown_ms": 5_000,
        "auto_topups_per_day_max": 0,
        "auto_topups_per_month_max": 7,
    });
    let plane = plane.restart().await;
    let after = plane.get("/v1/settings").await.body;
    assert_eq!(after, changed.body);
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(after[name], *value, "{name}");
    }
    let none = patch(&plane, json!({ "default_alerts": null, "bonus_slabs": [] })).await;
    assert_eq!(none.body["default_alerts"], json!(null), "{none:?}");
    assert_eq!(none.body["bonus_slabs"], json!([]));
    assert_eq!(
        none.body["auto_topups_per_month_max"], 7,
        "what is absent stays"
    );
}
