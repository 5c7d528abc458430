//! Endpoints: made, changed, shown, deleted; their secrets stay theirs.

use axum::http::Method;
use serde_json::json;

use super::receiver::Receiver;
use super::{change, endpoint};
use crate::bad_input::each_is_refused;
use crate::plane::{ADMIN, Plane};

#[tokio::test]
async fn an_endpoint_is_made_shown_changed_and_deleted() {
    let plane = Plane::start();
    let made = plane
        .post(
            "/v1/webhook-endpoints",
            json!({ "url": "https://example.com", "events": ["wallet.alert", "LOT.EXPIRED"],
                "description": "billing", "external_id": "billing", "metadata": { "team": "a" } }),
        )
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.body["url"], "https://example.com/");
    assert_eq!(made.body["events"], json!(["wallet.alert", "lot.expired"]));
    assert_eq!(
        (&made.body["status"], &made.body["disabled_reason"]),
        (&json!("enabled"), &json!(null))
    );
    assert_eq!(made.body["metadata"], json!({ "team": "a" }));
    let id = made.text("id");
    assert!(id.starts_with("whe_"));
    for named in [id.as_str(), "billing"] {
        let shown = plane.get(&format!("/v1/webhook-endpoints/{named}")).await;
        assert_eq!((shown.status, shown.text("id")), (200, id.clone()));
        assert!(shown.body.get("secret").is_none(), "{shown:?}");
    }
    let changed = change(
        &plane,
        "billing",
        json!({ "url": "https://example.org/x", "events": [], "description": null, "external_id": null }),
    )
    .await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(changed.body["url"], "https://example.org/x");
    assert_eq!(changed.body["events"], json!([]));
    assert_eq!(changed.body["description"], json!(null));
    assert_eq!(
        changed.body["metadata"],
        json!({ "team": "a" }),
        "what is absent stays"
    );
    assert_eq!(plane.get("/v1/webhook-endpoints/billing").await.status, 404);
    let path = format!("/v1/webhook-endpoints/{id}");
    let deleted = plane.call(Method::DELETE, &path, ADMIN, "", &[]).await;
    assert_eq!(deleted.status, 200, "{deleted:?}");
    assert!(deleted.body["deleted_at"].is_string());
    assert_eq!(plane.get(&path).await.status, 404);
    let listed = plane.get("/v1/webhook-endpoints").await;
    assert_eq!(listed.body["data"], json!([]));
}

#[tokio::test]
async fn an_address_that_nothing_may_be_sent_to_is_refused_with_the_reason() {
    let plane = Plane::start();
    let made = plane
        .post(
            "/v1/webhook-endpoints",
            json!({ "url": "https://example.com/" }),
        )
        .await;
    let before = plane.dump();
    for (url, code) in [
        ("https://10.0.0.1/", "webhook_url_not_allowed"),
        ("https://169.254.169.254/latest", "webhook_url_not_allowed"),
        ("https://[::ffff:10.0.0.1]/", "webhook_url_not_allowed"),
        ("https://0x0a.1/", "webhook_url_not_allowed"),
        ("http://8.8.8.8/", "webhook_url_not_allowed"),
        ("https://example.com:25/", "webhook_url_not_allowed"),
        ("https://user:pass@example.com/", "webhook_url_invalid"),
        ("ftp://example.com/", "webhook_url_invalid"),
        ("example.com", "webhook_url_invalid"),
        ("", "webhook_url_invalid"),
    ] {
        let refused = plane
            .post("/v1/webhook-endpoints", json!({ "url": url }))
            .await;
        assert_eq!((refused.status, refused.code()), (422, code), "{url}");
        assert_eq!(refused.body["pointer"], "/url");
        let refused = change(&plane, &made.text("id"), json!({ "url": url })).await;
        assert_eq!((refused.status, refused.code()), (422, code), "{url}");
    }
    assert_eq!(plane.dump(), before);
}

const BAD: &str = r##"
422 field_missing /url POST /v1/webhook-endpoints {}
422 body_invalid /url POST /v1/webhook-endpoints {"url": 7}
422 body_invalid /events/1 POST /v1/webhook-endpoints {"url": "https://example.com/", "events": ["wallet.alert", "wallet.exploded"]}
422 body_invalid /events POST /v1/webhook-endpoints {"url": "https://example.com/", "events": "all"}
422 unknown_field /secret POST /v1/webhook-endpoints {"url": "https://example.com/", "secret": "mine"}
422 external_id_reserved /external_id POST /v1/webhook-endpoints {"url": "https://example.com/", "external_id": "whe_{none}"}
422 text_invalid /description POST /v1/webhook-endpoints {"url": "https://example.com/", "description": "{letters}"}
422 metadata_invalid /metadata POST /v1/webhook-endpoints {"url": "https://example.com/", "metadata": {"": "v"}}
409 already_exists /external_id POST /v1/webhook-endpoints {"url": "https://example.com/", "external_id": "one"}
409 already_exists /external_id PATCH /v1/webhook-endpoints/two {"external_id": "one"}
422 body_invalid /url PATCH /v1/webhook-endpoints/one {"url": null}
422 unknown_field /status PATCH /v1/webhook-endpoints/one {"status": "disabled"}
404 not_found - PATCH /v1/webhook-endpoints/three {}
404 not_found - DELETE /v1/webhook-endpoints/three
422 unknown_field /force DELETE /v1/webhook-endpoints/one {"force": true}
404 not_found - GET /v1/webhook-endpoints/whe_{none}
404 not_found - GET /v1/webhook-endpoints/three/secret
422 body_invalid /overlap_ms POST /v1/webhook-endpoints/one/rotate-secret {"overlap_ms": 604800001}
422 body_invalid /overlap_ms POST /v1/webhook-endpoints/one/rotate-secret {"overlap_ms": -1}
404 not_found - POST /v1/webhook-endpoints/three/rotate-secret {}
404 not_found - POST /v1/webhook-endpoints/three/enable {}
404 not_found - POST /v1/webhook-endpoints/three/disable {}
404 not_found - POST /v1/webhook-endpoints/three/test {}
422 unknown_field /type POST /v1/webhook-endpoints/one/test {"type": "lot.expired"}
422 field_missing /from POST /v1/webhook-endpoints/one/replay {}
422 body_invalid /from POST /v1/webhook-endpoints/one/replay {"from": "yesterday"}
422 body_invalid /which POST /v1/webhook-endpoints/one/replay {"from": "2026-01-01T00:00:00Z", "which": "some"}
400 cursor_invalid /cursor POST /v1/webhook-endpoints/one/replay {"from": "2026-01-01T00:00:00Z", "cursor": "x"}
404 not_found - POST /v1/webhook-endpoints/three/replay {"from": "2026-01-01T00:00:00Z"}
404 not_found - POST /v1/webhook-deliveries/dlv_{none}/replay {}
404 not_found - POST /v1/webhook-deliveries/nope/replay {}
404 not_found - GET /v1/webhook-deliveries/dlv_{none}
404 not_found - GET /v1/webhook-deliveries?endpoint_id=three
404 not_found - GET /v1/webhook-deliveries?event_id=three
400 query_invalid - GET /v1/webhook-deliveries?state=lost
400 query_invalid - GET /v1/webhook-deliveries?limit=0
400 cursor_invalid - GET /v1/webhook-deliveries?cursor=x
404 not_found - GET /v1/events/evt_{none}
"##;

#[tokio::test]
async fn a_bad_request_about_webhooks_writes_nothing() {
    let plane = Plane::start();
    for name in ["one", "two"] {
        let body = json!({ "url": "https://example.com/", "external_id": name });
        let made = plane.post("/v1/webhook-endpoints", body).await;
        assert_eq!(made.status, 201, "{made:?}");
    }
    each_is_refused(&plane, BAD, "").await;
}

#[tokio::test]
async fn a_secret_is_shown_to_administrators_and_lies_nowhere_but_with_its_endpoint() {
    let plane = Plane::start();
    let receiver = Receiver::at("127.0.0.1", &[]).await;
    let key = [("idempotency-key", "once")];
    let body =
        json!({ "url": receiver.url("127.0.0.1"), "metadata": { "secret": "!" } }).to_string();
    let made = plane
        .call(
            Method::POST,
            "/v1/webhook-endpoints",
            ADMIN,
            body.clone(),
            &key,
        )
        .await;
    let (id, first) = (made.text("id"), made.text("secret"));
    assert!(first.starts_with("whsec_"));
    let path = format!("/v1/webhook-endpoints/{id}");
    let shown = plane.get(&format!("{path}/secret")).await;
    assert_eq!(shown.body, json!({ "secret": first, "old": [] }));

    let rotate = format!("{path}/rotate-secret");
    let rotated = plane
        .call(
            Method::POST,
            &rotate,
            ADMIN,
            r#"{"overlap_ms": 60000}"#,
            &[("idempotency-key", "two")],
        )
        .await;
    assert_eq!(rotated.status, 200, "{rotated:?}");
    let second = rotated.text("secret");
    assert_ne!(first, second);
    let shown = plane.get(&format!("{path}/secret")).await;
    assert_eq!(shown.text("secret"), second);
    assert_eq!(shown.body["old"][0]["secret"], json!(first));
    assert_eq!(
        shown.body["old"][0]["expires_at"],
        rotated.body["old_secret_expires_at"]
    );

    // Who says nothing has a day to bring the new secret to where messages are verified.
    let silent = plane.post(&rotate, json!({})).await;
    let until = silent.text("old_secret_expires_at");
    let until = creditgate_ledger::Timestamp::parse(&until).unwrap();
    let left_ms = until.0 - plane.now_ms();
    assert!((86_300_000..=86_400_000).contains(&left_ms), "{left_ms}");

    // Where the secrets are kept: with the endpoint, and in no answer that is kept.
    for (table, rows) in plane.dump() {
        let holds = rows
            .iter()
            .any(|row| row.contains(&first) || row.contains(&second));
        assert_eq!(holds, table == "endpoint", "{table}");
    }

    // A key that may look sees everything but these.
    let reader = plane
        .post("/v1/operator-keys", json!({ "role": "read" }))
        .await
        .text("key");
    let looked = plane.call(Method::GET, &path, &reader, "", &[]).await;
    assert_eq!(looked.status, 200);
    let refused = plane
        .call(Method::GET, &format!("{path}/secret"), &reader, "", &[])
        .await;
    assert_eq!((refused.status, refused.code()), (403, "role_insufficient"));

    let plane = plane.restart().await;
    let again = plane
        .call(Method::POST, "/v1/webhook-endpoints", ADMIN, body, &key)
        .await;
    assert!(again.replayed());
    assert_eq!(
        again.bytes, made.bytes,
        "the original secret, although it was replaced"
    );
}

#[tokio::test]
async fn at_most_fifty_endpoints_are_there() {
    let plane = Plane::start();
    let receiver = Receiver::at("127.0.0.1", &[]).await;
    let mut last = String::new();
    for _ in 0..50 {
        (last, _) = endpoint(&plane, &receiver, json!({})).await;
    }
    let more = plane
        .post(
            "/v1/webhook-endpoints",
            json!({ "url": "https://example.com/" }),
        )
        .await;
    assert_eq!((more.status, more.code()), (409, "webhook_endpoints_max"));
    let path = format!("/v1/webhook-endpoints/{last}");
    plane.call(Method::DELETE, &path, ADMIN, "", &[]).await;
    endpoint(&plane, &receiver, json!({})).await;
}
