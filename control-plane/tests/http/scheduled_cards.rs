//! Versions of rate cards that come into force at an instant.

use axum::http::Method;
use serde_json::{Value, json};

use crate::edge::Edge;
use crate::plane::{ADMIN, Plane};

const MAY: &str = "2026-05-01T00:00:00.000Z";
const JUNE: &str = "2026-06-01T00:00:00.000Z";
const JULY: &str = "2026-07-01T00:00:00.000Z";

fn card(price: u32) -> Value {
    json!({"name": "api", "currency": "tokens", "default": {"price": price}})
}

async fn put(plane: &Plane, price: u32, at: &str) -> crate::plane::Answer {
    let path = match at {
        "" => "/v1/rate-cards/edge".to_owned(),
        at => format!("/v1/rate-cards/edge?effective_at={at}"),
    };
    plane.put(&path, card(price)).await
}

/// Version and state of each, newest first.
async fn versions(plane: &Plane) -> Vec<(u64, String)> {
    let list = plane.get("/v1/rate-cards/edge/versions").await;
    assert_eq!(list.status, 200, "{list:?}");
    let rows = list.body["data"].as_array().unwrap().iter();
    rows.map(|row| {
        let state = row["state"].as_str().unwrap().to_owned();
        (row["version"].as_u64().unwrap(), state)
    })
    .collect()
}

fn states(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    let expected = expected.iter();
    expected
        .map(|(version, state)| (*version, (*state).to_owned()))
        .collect()
}

/// A control plane in May whose gateway has heard of version 1 of its card.
async fn furnished() -> (Plane, Edge) {
    let plane = Plane::at("2026-05-01T00:00:00Z");
    plane.hurry().await;
    let mut edge = Edge::of(&plane, "edge", "tokens").await;
    let first = edge.poll(&plane).await.config.expect("a configuration");
    assert_eq!(first.rate_card_version, 1);
    (plane, edge)
}

#[tokio::test]
async fn a_version_reaches_gateways_that_wait_when_its_instant_comes_and_not_before() {
    let (plane, mut edge) = furnished().await;
    let made = put(&plane, 2, JUNE).await;
    assert_eq!(
        (made.status, &made.body["state"], &made.body["version"]),
        (200, &json!("scheduled"), &json!(2)),
        "{made:?}"
    );
    assert_eq!(made.text("effective_at"), JUNE);
    let waited = edge.poll(&plane).await;
    assert!(waited.config.is_none(), "{waited:?}");
    let shown = plane.get("/v1/rate-cards/edge").await;
    assert_eq!(
        (&shown.body["version"], shown.text("state")),
        (&json!(1), "active".into())
    );

    plane.set("2026-05-31T23:59:59.999Z");
    assert!(edge.poll(&plane).await.config.is_none());
    plane.set(JUNE);
    let mut told = None;
    for _ in 0..100 {
        told = edge.poll(&plane).await.config;
        if told.is_some() {
            break;
        }
    }
    assert_eq!(told.expect("a push").rate_card_version, 2);
    assert_eq!(
        versions(&plane).await,
        states(&[(2, "active"), (1, "superseded")])
    );
    let first = plane.get("/v1/rate-cards/edge?version=1").await;
    assert_eq!(first.text("ended_at"), JUNE);
    plane.assert_clean();
}

#[tokio::test]
async fn whoever_reads_at_the_instant_sees_the_version_that_is_in_force() {
    let (plane, edge) = furnished().await;
    put(&plane, 2, JUNE).await;
    put(&plane, 3, JULY).await;
    plane.set("2026-06-30T00:00:00Z");
    // A gateway that starts now, whether or not the job has been there.
    let mut other = edge.another();
    let told = other.poll(&plane).await.config.expect("a configuration");
    assert_eq!(told.rate_card_version, 2);
    let shown = plane.get("/v1/rate-cards/edge").await;
    assert_eq!(shown.body["version"], 2);
    let list = plane.get("/v1/rate-cards").await;
    assert_eq!(list.body["data"][0]["version"], 2);
    assert_eq!(
        versions(&plane).await,
        states(&[(3, "scheduled"), (2, "active"), (1, "superseded")])
    );
}

#[tokio::test]
async fn what_became_due_during_an_outage_is_in_force_at_the_start_each_in_its_turn() {
    let (plane, _) = furnished().await;
    put(&plane, 2, JUNE).await;
    put(&plane, 3, JULY).await;
    let down = plane.stop().await;
    let plane = down.start_at("2026-08-01T00:00:00Z");
    assert_eq!(
        versions(&plane).await,
        states(&[(3, "active"), (2, "superseded"), (1, "superseded")])
    );
    let second = plane.get("/v1/rate-cards/edge?version=2").await;
    assert_eq!(
        (second.text("effective_at"), second.text("ended_at")),
        (JUNE.into(), JULY.into())
    );
    let first = plane.get("/v1/rate-cards/edge?version=1").await;
    assert_eq!(first.text("ended_at"), JUNE);
}

#[tokio::test]
async fn a_version_from_now_on_does_not_take_the_place_of_one_to_come() {
    let (plane, _) = furnished().await;
    put(&plane, 2, JUNE).await;
    let now = put(&plane, 3, "").await;
    assert_eq!(
        (now.text("state"), now.text("effective_at")),
        ("active".into(), MAY.into())
    );
    assert_eq!(
        versions(&plane).await,
        states(&[(3, "active"), (2, "scheduled"), (1, "superseded")])
    );
    plane.set(JUNE);
    assert_eq!(
        versions(&plane).await,
        states(&[(3, "superseded"), (2, "active"), (1, "superseded")])
    );
}

#[tokio::test]
async fn a_cancelled_version_never_comes_and_its_number_is_not_given_again() {
    let (plane, mut edge) = furnished().await;
    put(&plane, 2, JUNE).await;
    let cancel =
        |version: u64| plane.post("/v1/rate-cards/edge/cancel", json!({"version": version}));
    let cancelled = cancel(2).await;
    assert_eq!(
        (cancelled.status, cancelled.text("state")),
        (200, "cancelled".into())
    );
    assert_eq!(cancelled.text("ended_at"), MAY);
    for version in [1, 2, 3] {
        let refused = cancel(version).await;
        assert_eq!(
            (refused.status, refused.code()),
            (409, "rate_card_not_scheduled")
        );
    }
    let path = "/v1/rate-cards/nobody/cancel";
    let unknown = plane.post(path, json!({"version": 1})).await;
    assert_eq!((unknown.status, unknown.code()), (404, "not_found"));
    let next = put(&plane, 3, JULY).await;
    assert_eq!(next.body["version"], 3);
    plane.set("2026-06-15T00:00:00Z");
    assert!(edge.poll(&plane).await.config.is_none());
    assert_eq!(
        versions(&plane).await,
        states(&[(3, "scheduled"), (2, "cancelled"), (1, "active")])
    );
}

#[tokio::test]
async fn everything_is_checked_when_a_version_is_scheduled() {
    let (plane, _) = furnished().await;
    let past = put(&plane, 2, MAY).await;
    assert_eq!((past.status, past.code()), (422, "effective_at_past"));
    let odd = put(&plane, 2, "soon").await;
    assert_eq!((odd.status, odd.code()), (400, "query_invalid"));
    let path = format!("/v1/rate-cards/edge?effective_at={JUNE}");
    for (code, field, value) in [
        ("rate_card_currency", "currency", json!("usd")),
        ("rate_card_scale", "scale", json!(7)),
        ("price_negative", "default", json!({"price": -1})),
        (
            "overrun_max_zero",
            "rules",
            json!([{"id": "r", "path": {"prefix": "/"}, "price": 1, "promise": "expected"}]),
        ),
    ] {
        let mut document = card(2);
        document[field] = value;
        let refused = plane.put(&path, document).await;
        assert_eq!(refused.code(), code);
    }
    assert_eq!(versions(&plane).await, states(&[(1, "active")]));
    for n in 0..16 {
        assert_eq!(put(&plane, n, JUNE).await.status, 200);
    }
    let many = put(&plane, 2, JULY).await;
    assert_eq!(
        (many.status, many.code()),
        (409, "rate_cards_scheduled_max")
    );
}

#[tokio::test]
async fn scheduling_is_repeated_and_audited_like_every_write() {
    let (plane, _) = furnished().await;
    let path = format!("/v1/rate-cards/edge?effective_at={JUNE}");
    let headers = [("idempotency-key", "june")];
    let ask = || plane.call(Method::PUT, &path, ADMIN, card(2).to_string(), &headers);
    let first = ask().await;
    plane.set(JULY);
    let again = ask().await;
    assert_eq!(
        (again.replayed(), &again.bytes),
        (true, &first.bytes),
        "also after its instant"
    );
    assert_eq!(
        versions(&plane).await,
        states(&[(2, "active"), (1, "superseded")])
    );
    let log = plane.get("/v1/audit").await;
    let records = log.body["data"].as_array().unwrap();
    let puts = records
        .iter()
        .filter(|record| record["action"] == "put_rate_card" && record["subject"] == "edge");
    assert_eq!(puts.count(), 2, "{}", log.body);
}
