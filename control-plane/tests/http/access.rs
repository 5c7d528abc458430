//! Who may do what.

use axum::http::Method;
use serde_json::json;

use crate::edge::Edge;
use crate::plane::{ADMIN, Plane};

#[tokio::test]
async fn a_request_without_a_valid_key_is_refused() {
    let plane = Plane::start();
    for (key, code) in [
        ("", "credential_missing"),
        ("what", "credential_malformed"),
        (
            "cga_AAcOFRwjKjE4P0ZNVFtiaXB3foWMk5qhqK-2vcTL0tk_aaaaaa",
            "credential_malformed",
        ),
    ] {
        let refused = plane.call(Method::GET, "/v1/customers", key, "", &[]).await;
        assert_eq!((refused.status, refused.code()), (401, code), "{key}");
        assert_eq!(refused.headers["www-authenticate"], "Bearer");
    }
    let unknown = creditgate_core::key::compose(creditgate_core::key::KeyKind::Admin, &[3; 32]);
    assert_eq!(
        plane
            .call(Method::GET, "/v1/customers", &unknown, "", &[])
            .await
            .code(),
        "credential_unknown"
    );
    let twice = [("authorization", "Bearer other")];
    assert_eq!(
        plane
            .call(Method::GET, "/v1/customers", ADMIN, "", &twice)
            .await
            .code(),
        "credential_missing"
    );
}

#[tokio::test]
async fn health_and_documents_need_no_key() {
    let plane = Plane::start();
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json"] {
        let answer = plane.call(Method::GET, path, "", "", &[]).await;
        assert_eq!(answer.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_reading_key_reads_and_a_revoked_key_does_nothing() {
    let plane = Plane::start();
    let made = plane
        .post(
            "/v1/operator-keys",
            json!({ "role": "READ", "name": "dashboard" }),
        )
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    let (id, reader) = (made.text("id"), made.text("key"));
    assert_eq!(
        plane
            .call(Method::GET, "/v1/customers", &reader, "", &[])
            .await
            .status,
        200
    );
    let write = plane
        .call(
            Method::POST,
            "/v1/customers",
            &reader,
            r#"{"external_id": "a"}"#,
            &[],
        )
        .await;
    assert_eq!((write.status, write.code()), (403, "role_insufficient"));
    assert_eq!(
        plane
            .post(&format!("/v1/operator-keys/{id}/revoke"), json!({}))
            .await
            .status,
        200
    );
    assert_eq!(
        plane
            .call(Method::GET, "/v1/customers", &reader, "", &[])
            .await
            .code(),
        "credential_unknown"
    );
}

#[tokio::test]
async fn gateways_and_operators_keep_to_their_own_addresses() {
    let plane = Plane::start();
    plane.funded("ada", "usd", "1").await;
    let edge = Edge::of(&plane, "edge", "usd").await;
    let admin = plane
        .post("/v1/operator-keys", json!({ "role": "admin" }))
        .await
        .text("key");
    let consumer = plane.key_of("ada").await;
    for key in [edge.key.as_str(), consumer.as_str()] {
        let refused = plane.call(Method::GET, "/v1/customers", key, "", &[]).await;
        assert_eq!((refused.status, refused.code()), (403, "role_insufficient"));
    }
    for key in [admin.as_str(), consumer.as_str()] {
        let refused = plane
            .call(Method::POST, "/v1/gateway/poll", key, "{}", &[])
            .await;
        assert_eq!((refused.status, refused.code()), (403, "role_insufficient"));
    }
    assert_eq!(
        plane
            .call(Method::GET, "/v1/customers", &admin, "", &[])
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_revoked_gateway_key_ends_while_another_goes_on() {
    let plane = Plane::start();
    let mut edge = Edge::of(&plane, "edge", "usd").await;
    let second = plane
        .post("/v1/gateways/edge/keys", json!({}))
        .await
        .text("key");
    let keys = plane.get("/v1/gateways/edge/keys").await;
    let first = keys.body["data"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        plane
            .post(&format!("/v1/gateway-keys/{first}/revoke"), json!({}))
            .await
            .status,
        200
    );
    assert_eq!(
        edge.ask(&plane, "poll", &json!({})).await.code(),
        "credential_unknown"
    );
    edge.key = second;
    edge.poll(&plane).await;
}
