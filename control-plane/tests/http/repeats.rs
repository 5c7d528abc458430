//! A write under an idempotency key happens once; its repeat gets the same bytes.

use axum::http::Method;
use serde_json::json;

use crate::plane::{ADMIN, Answer, Plane};

async fn post(plane: &Plane, path: &str, body: &str, key: &str) -> Answer {
    plane
        .call(Method::POST, path, ADMIN, body, &[("idempotency-key", key)])
        .await
}

#[tokio::test]
async fn a_repeat_gets_the_same_bytes_and_adds_nothing() {
    let plane = Plane::start();
    let wallet = plane.funded("ada", "usd", "0").await;
    let path = format!("/v1/wallets/{wallet}/top-up");
    let first = post(&plane, &path, r#"{"amount": 5}"#, "once").await;
    assert_eq!((first.status, first.replayed()), (201, false));
    for _ in 0..3 {
        let again = post(&plane, &path, r#"{"amount": 5}"#, "once").await;
        assert_eq!((again.status, again.replayed()), (201, true));
        assert_eq!(again.bytes, first.bytes);
    }
    assert_eq!(plane.balance(&wallet, ["balance"]).await, ["5"]);

    let plane = plane.restart().await;
    let after = post(&plane, &path, r#"{"amount": 5}"#, "once").await;
    assert_eq!((after.replayed(), after.bytes), (true, first.bytes));
    assert_eq!(plane.balance(&wallet, ["balance"]).await, ["5"]);
    plane.assert_clean();
}

#[tokio::test]
async fn a_key_with_another_request_is_refused() {
    let plane = Plane::start();
    let wallet = plane.funded("ada", "usd", "0").await;
    let path = format!("/v1/wallets/{wallet}/top-up");
    assert_eq!(
        post(&plane, &path, r#"{"amount": 5}"#, "once").await.status,
        201
    );
    for (path, body) in [
        (path.as_str(), r#"{"amount": 6}"#),
        (path.as_str(), r#"{"amount":5}"#),
        ("/v1/customers", r#"{"external_id": "b"}"#),
    ] {
        let reused = post(&plane, path, body, "once").await;
        assert_eq!(
            (reused.status, reused.code()),
            (422, "idempotency_key_reused"),
            "{path} {body}"
        );
    }
    assert_eq!(plane.balance(&wallet, ["balance"]).await, ["5"]);
}

#[tokio::test]
async fn a_repeat_of_a_made_key_shows_it_again_but_it_is_not_kept_in_the_open() {
    let plane = Plane::start();
    plane.funded("ada", "usd", "0").await;
    let first = post(&plane, "/v1/customers/ada/keys", "{}", "k").await;
    let plane = plane.restart().await;
    let again = post(&plane, "/v1/customers/ada/keys", "{}", "k").await;
    assert_eq!((again.replayed(), &again.bytes), (true, &first.bytes));
    assert!(again.text("key").starts_with("cgk_"));
    let listed = plane.get("/v1/customers/ada/keys").await;
    assert_eq!(listed.body["data"].as_array().unwrap().len(), 1);
    assert!(!String::from_utf8_lossy(&listed.bytes).contains(&first.text("key")));
}

#[tokio::test]
async fn a_refused_write_may_be_tried_again_under_its_key() {
    let plane = Plane::start();
    let refused = post(
        &plane,
        "/v1/wallets",
        r#"{"customer_id": "ada", "currency": "usd"}"#,
        "w",
    )
    .await;
    assert_eq!((refused.status, refused.code()), (404, "not_found"));
    plane
        .post("/v1/customers", json!({ "external_id": "ada" }))
        .await;
    let made = post(
        &plane,
        "/v1/wallets",
        r#"{"customer_id": "ada", "currency": "usd"}"#,
        "w",
    )
    .await;
    assert_eq!((made.status, made.replayed()), (201, false));
}

#[tokio::test]
async fn every_kind_of_write_honours_a_key() {
    let plane = Plane::start();
    let wallet = plane.funded("ada", "usd", "10").await;
    let lots = plane.get(&format!("/v1/wallets/{wallet}/lots")).await;
    let lot = lots.body["data"][0]["id"].as_str().unwrap().to_owned();
    let card = r#"{"name": "n", "currency": "usd", "default": "deny"}"#;
    let key = post(&plane, "/v1/customers/ada/keys", "{}", "first")
        .await
        .text("id");
    let writes: Vec<(Method, String, &str)> = vec![
        (
            Method::POST,
            "/v1/customers".into(),
            r#"{"external_id": "bob"}"#,
        ),
        (
            Method::PATCH,
            "/v1/customers/ada".into(),
            r#"{"name": "Ada"}"#,
        ),
        (Method::POST, "/v1/customers/ada/suspend".into(), "{}"),
        (Method::POST, "/v1/customers/ada/resume".into(), ""),
        (Method::POST, format!("/v1/keys/{key}/rotate"), "{}"),
        (Method::POST, format!("/v1/wallets/{wallet}/freeze"), "{}"),
        (Method::POST, format!("/v1/wallets/{wallet}/unfreeze"), "{}"),
        (
            Method::POST,
            format!("/v1/lots/{lot}/void"),
            r#"{"reason": "r"}"#,
        ),
        (
            Method::POST,
            "/v1/currencies".into(),
            r#"{"code": "gold", "scale": 2}"#,
        ),
        (Method::PUT, "/v1/rate-cards/n".into(), card),
        (
            Method::POST,
            "/v1/gateways".into(),
            r#"{"external_id": "g"}"#,
        ),
        (
            Method::PATCH,
            "/v1/gateways/g".into(),
            r#"{"rate_card": "n"}"#,
        ),
        (Method::POST, "/v1/gateways/g/keys".into(), ""),
        (Method::PUT, "/v1/settings".into(), r#"{"sync_ms": 100}"#),
        (Method::PATCH, "/v1/settings".into(), r#"{"sync_ms": 110}"#),
        (
            Method::POST,
            "/v1/operator-keys".into(),
            r#"{"role": "read"}"#,
        ),
    ];
    for (place, (method, path, body)) in writes.into_iter().enumerate() {
        let key = format!("write-{place}");
        let header = [("idempotency-key", key.as_str())];
        let first = plane
            .call(method.clone(), &path, ADMIN, body, &header)
            .await;
        assert!(first.status < 300, "{method} {path}: {first:?}");
        let again = plane
            .call(method.clone(), &path, ADMIN, body, &header)
            .await;
        assert!(again.replayed(), "{method} {path}");
        assert_eq!(
            (again.status, again.bytes),
            (first.status, first.bytes),
            "{method} {path}"
        );
    }
    plane.assert_clean();
}

#[tokio::test]
async fn repeats_at_the_same_time_make_one() {
    let plane = std::sync::Arc::new(Plane::start());
    let wallet = plane.funded("ada", "usd", "0").await;
    let mut repeats = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let (plane, path) = (
            std::sync::Arc::clone(&plane),
            format!("/v1/wallets/{wallet}/top-up"),
        );
        repeats.spawn(async move { post(&plane, &path, r#"{"amount": 5}"#, "once").await });
    }
    let answers = repeats.join_all().await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.status == 201 && answer.bytes == answers[0].bytes)
    );
    assert_eq!(
        answers.iter().filter(|answer| !answer.replayed()).count(),
        1
    );
    assert_eq!(plane.balance(&wallet, ["balance"]).await, ["5"]);
}
