//! A write under an idempotency key happens once; its repeat gets the same bytes.

use std::collections::BTreeSet;

use axum::http::Method;
use creditgate_core::detail::Row;
use serde_json::json;

use crate::edge::{Edge, counters};
use crate::examples::Line;
use crate::hooks::receiver::Receiver;
use crate::plane::{ADMIN, Answer, Plane};
use crate::usage::{row, tell};

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

/// Every write of the API with a body that is accepted, in an order in which all of them are.
/// `{…}` stands for what was made before.
pub(crate) const WRITES: &str = r##"
POST /v1/customers {"external_id": "bob"}
PATCH /v1/customers/{id} /v1/customers/ada {"name": "Ada"}
POST /v1/customers/{id}/suspend /v1/customers/ada/suspend {}
POST /v1/customers/{id}/resume /v1/customers/ada/resume {}
POST /v1/customers/{id}/keys /v1/customers/ada/keys {}
POST /v1/keys/{id}/rotate /v1/keys/{key}/rotate {}
POST /v1/keys/{id}/move /v1/keys/{other}/move {"customer_id": "bob"}
POST /v1/keys/{id}/revoke /v1/keys/{other}/revoke {}
POST /v1/wallets {"customer_id": "bob", "currency": "usd"}
PATCH /v1/wallets/{id} /v1/wallets/{wallet} {"priority": 3}
POST /v1/wallets/{id}/top-up /v1/wallets/{wallet}/top-up {"amount": 1, "external_id": "due", "reason_code": "purchased_credit_invoiced"}
POST /v1/lots/{id}/pay /v1/lots/due/pay {"reference": "r"}
PATCH /v1/lots/{id} /v1/lots/due {"priority": 3}
POST /v1/wallets/{id}/debit /v1/wallets/{wallet}/debit {"amount": 1, "reason": "r"}
POST /v1/wallets/{id}/adjust /v1/wallets/{wallet}/adjust {"amount": 1, "reason": "r"}
POST /v1/wallets/{id}/transfer /v1/wallets/{wallet}/transfer {"amount": 1, "to": "second", "reason": "r"}
POST /v1/wallets/{id}/freeze /v1/wallets/{wallet}/freeze {}
POST /v1/wallets/{id}/unfreeze /v1/wallets/{wallet}/unfreeze {}
POST /v1/wallets/{id}/close /v1/wallets/second/close {"reason": "r"}
POST /v1/lots/{id}/void /v1/lots/{lot}/void {"reason": "r"}
POST /v1/currencies {"code": "gold", "scale": 2}
PUT /v1/rate-cards/{name} /v1/rate-cards/n {"name": "n", "currency": "usd", "default": "deny"}
POST /v1/rate-cards/{name}/cancel /v1/rate-cards/edge/cancel {"version": 2}
PUT /v1/customers/{id}/pricing /v1/customers/ada/pricing {"discount_ppm": 100000, "rate_cards": [{"rate_card": "edge", "rules": [{"rule": "default", "price": "0.5"}]}]}
POST /v1/gateways {"external_id": "g"}
PATCH /v1/gateways/{id} /v1/gateways/g {"rate_card": "n"}
POST /v1/gateways/{id}/keys /v1/gateways/edge/keys {}
POST /v1/gateway-keys/{id}/revoke /v1/gateway-keys/{gateway_key}/revoke {}
POST /v1/operator-keys {"role": "read"}
POST /v1/operator-keys/{id}/revoke /v1/operator-keys/{operator_key}/revoke {}
PUT /v1/settings {"sync_ms": 100}
PATCH /v1/settings {"sync_ms": 110}
POST /v1/instances/{id}/drain /v1/instances/{instance}/drain {}
POST /v1/instances/{id}/undrain /v1/instances/{instance}/undrain {}
POST /v1/instances/{id}/thaw /v1/instances/{instance}/thaw {}
POST /v1/plans {"external_id": "p", "name": "P"}
PATCH /v1/plans/{id} /v1/plans/p {"name": "Q"}
POST /v1/credit-grants {"name": "g", "external_id": "g", "scope": "PLAN", "plan_id": "p", "credit_amount": 1, "currency": "usd", "cadence": "RECURRING", "period": "monthly"}
POST /v1/subscriptions {"customer_id": "bob", "plan_id": "p", "external_id": "s"}
POST /v1/subscriptions/{id}/pause /v1/subscriptions/s/pause {}
POST /v1/subscriptions/{id}/resume /v1/subscriptions/s/resume {}
POST /v1/subscriptions/{id}/cancel /v1/subscriptions/s/cancel {"granted_credit": "void"}
POST /v1/credit-grants/{id}/archive /v1/credit-grants/g/archive {}
POST /v1/plans/{id}/archive /v1/plans/p/archive {}
POST /v1/credit-grant-applications/{id}/retry /v1/credit-grant-applications/{application}/retry {}
POST /v1/leases/{id}/resolve /v1/leases/{lease}/resolve {"action": "release", "reason": "r"}
POST /v1/webhook-endpoints {"url": "https://example.com/", "events": ["webhook_endpoint.test"]}
PATCH /v1/webhook-endpoints/{id} /v1/webhook-endpoints/{endpoint} {"description": "d"}
POST /v1/webhook-endpoints/{id}/rotate-secret /v1/webhook-endpoints/{endpoint}/rotate-secret {"overlap_ms": 1000}
POST /v1/webhook-endpoints/{id}/test /v1/webhook-endpoints/{endpoint}/test {}
POST /v1/webhook-endpoints/{id}/replay /v1/webhook-endpoints/{endpoint}/replay {"from": "2026-01-01T00:00:00Z", "which": "all"}
POST /v1/webhook-deliveries/{id}/replay /v1/webhook-deliveries/{delivery}/replay {}
POST /v1/webhook-endpoints/{id}/disable /v1/webhook-endpoints/{endpoint}/disable {}
POST /v1/webhook-endpoints/{id}/enable /v1/webhook-endpoints/{endpoint}/enable {}
DELETE /v1/webhook-endpoints/{id} /v1/webhook-endpoints/{endpoint} {}
"##;

/// A plane with one of everything, and what stands for what in [`WRITES`].
pub(crate) async fn furnished() -> (Plane, Receiver, Vec<(&'static str, String)>) {
    let plane = Plane::start();
    let wallet = plane.funded("ada", "tokens", "10").await;
    let secret = plane.key_of("ada").await;
    let edge = Edge::of(&plane, "edge", "tokens").await;
    let next = json!({ "name": "edge", "currency": "tokens", "default": { "price": "2" } });
    let scheduled = "/v1/rate-cards/edge?effective_at=2099-01-01T00:00:00Z";
    assert_eq!(plane.put(scheduled, next).await.status, 200);
    let lent = edge.know(&plane, &secret, 1, 4_000).await.answer;
    let chat = Row {
        model: Some("small".to_owned()),
        ..row(lent.account, &secret, "chat", 750)
    };
    let used = counters([4_000, 0, 1_000, 0, 1_000]);
    edge.report(&plane, &lent, used, 0).await;
    tell(&edge, &plane, 1, vec![chat]).await;
    // A report that can't be true: the lease is quarantined.
    let untrue = counters([4_000, 0, 1_000, 0, 2_000]);
    edge.report(&plane, &lent, untrue, 0).await;
    let instance = edge.hello.instance.to_string();
    let thawed = plane
        .post(&format!("/v1/instances/{instance}/thaw"), json!({}))
        .await;
    assert_eq!(thawed.text("state"), "active");
    let first = |list: Answer| {
        let id = list.body["data"][0]["id"].as_str();
        id.unwrap_or_else(|| panic!("{list:?}")).to_owned()
    };
    let made = |answer: Answer| answer.text("id");
    let lots = plane.get(&format!("/v1/wallets/{wallet}/lots")).await;
    let second = json!({ "customer_id": "ada", "currency": "tokens", "external_id": "second" });
    plane.post("/v1/wallets", second).await;
    let key = plane.post("/v1/customers/ada/keys", json!({})).await;
    let other = plane.post("/v1/customers/ada/keys", json!({})).await;
    let gateway_key = plane.post("/v1/gateways/edge/keys", json!({})).await;
    let operator_key = json!({ "role": "read" });
    let operator_key = plane.post("/v1/operator-keys", operator_key).await;
    let leases = plane.get("/v1/leases?state=quarantined").await;
    let receiver = Receiver::at("127.0.0.1", &[]).await;
    let url = receiver.url("127.0.0.1");
    let endpoint = plane.post("/v1/webhook-endpoints", json!({ "url": url }));
    let endpoint = made(endpoint.await);
    let tried = format!("/v1/webhook-endpoints/{endpoint}/test");
    let delivery = made(plane.post(&tried, json!({})).await);
    let frozen = plane.funded("eve", "usd", "0").await;
    let path = format!("/v1/wallets/{frozen}/freeze");
    plane.post(&path, json!({})).await;
    let grant = json!({ "name": "g", "scope": "CUSTOMER", "customer_id": "eve", "credit_amount": 1,
        "currency": "usd", "cadence": "ONETIME" });
    plane.post("/v1/credit-grants", grant).await;
    let failed = plane
        .get("/v1/credit-grant-applications?state=failed")
        .await;
    let debit = json!({ "amount": 1, "reason": "r" });
    let path = format!("/v1/wallets/{wallet}/debit");
    let claim = plane.post(&path, debit);
    let claim = made(claim.await);
    let accounts = plane.get("/v1/customers/ada/accounts").await;
    let events = plane.get("/v1/events").await;
    let names = vec![
        ("{account}", first(accounts)),
        ("{claim}", claim),
        ("{event}", first(events)),
        ("{endpoint}", endpoint),
        ("{delivery}", delivery),
        ("{wallet}", wallet),
        ("{lot}", first(lots)),
        ("{key}", made(key)),
        ("{other}", made(other)),
        ("{gateway_key}", made(gateway_key)),
        ("{operator_key}", made(operator_key)),
        ("{instance}", instance),
        ("{application}", first(failed)),
        ("{lease}", first(leases)),
    ];
    (plane, receiver, names)
}

#[tokio::test]
async fn a_repeat_is_answered_though_what_it_was_about_is_gone() {
    let plane = Plane::start();
    let receiver = Receiver::at("127.0.0.1", &[]).await;
    let body = json!({ "url": receiver.url("127.0.0.1"), "external_id": "crm" }).to_string();
    let made = post(&plane, "/v1/webhook-endpoints", &body, "make").await;
    let replay = "/v1/webhook-endpoints/crm/replay";
    let period = r#"{"from": "2026-01-01T00:00:00Z"}"#;
    let replayed = post(&plane, replay, period, "replay").await;
    assert_eq!((made.status, replayed.status), (201, 200), "{replayed:?}");
    let gone = plane
        .call(
            Method::DELETE,
            "/v1/webhook-endpoints/crm",
            ADMIN,
            "{}",
            &[],
        )
        .await;
    assert_eq!(gone.status, 200);
    let again = post(&plane, replay, period, "replay").await;
    assert_eq!((again.replayed(), again.bytes), (true, replayed.bytes));
    let other = post(&plane, replay, period, "another").await;
    assert_eq!((other.status, other.code()), (404, "not_found"));

    plane.funded("ada", "tokens", "10").await;
    let key = plane.key_of("ada").await;
    let edge = Edge::of(&plane, "edge", "tokens").await;
    edge.know(&plane, &key, 1, 4_000).await;
    let instance = format!("/v1/instances/{}", edge.hello.instance);
    let undrain = format!("{instance}/undrain");
    let drain = format!("{instance}/drain");
    assert_eq!(post(&plane, &drain, "{}", "drain").await.status, 200);
    let undrained = post(&plane, &undrain, "{}", "undrain").await;
    assert_eq!(undrained.status, 200, "{undrained:?}");
    // It is frozen since, which undrain does not end.
    let lent = edge.know(&plane, &key, 2, 4_000).await.answer;
    let untrue = counters([4_000, 0, 1_000, 0, 2_000]);
    edge.report(&plane, &lent, untrue, 0).await;
    let refused = post(&plane, &undrain, "{}", "another undrain").await;
    assert_eq!((refused.status, refused.code()), (409, "instance_state"));
    let again = post(&plane, &undrain, "{}", "undrain").await;
    assert_eq!((again.replayed(), again.bytes), (true, undrained.bytes));
}

#[tokio::test]
async fn every_write_of_the_api_honours_a_key() {
    let (plane, _receiver, names) = furnished().await;
    let document = plane.get("/openapi.json").await;
    let mut left: BTreeSet<(String, String)> = BTreeSet::new();
    for (path, item) in document.body["paths"].as_object().unwrap() {
        let methods = item.as_object().unwrap().keys();
        let writes = methods.filter(|method| *method != "get");
        if !path.starts_with("/v1/gateway/") {
            left.extend(writes.map(|method| (method.to_uppercase(), path.clone())));
        }
    }
    for line in WRITES.trim().lines() {
        let line = Line::read(line, &names);
        let (method, route) = (line.method.to_string(), line.route.to_owned());
        let listed = left.remove(&(method.clone(), route.clone()));
        assert!(
            listed,
            "{method} {route} is not in the document, or here twice"
        );
        honours_a_key(&plane, line.method, &line.path, line.body).await;
    }
    assert!(left.is_empty(), "writes that are not tried here: {left:?}");
    plane.assert_clean();
}

/// The same write under the same key has the same answer and changes nothing; another body
/// under the key is refused.
async fn honours_a_key(plane: &Plane, method: Method, path: &str, body: &str) {
    let key = format!("{method} {path}");
    let header = [("idempotency-key", key.as_str())];
    let call = |body: String| plane.call(method.clone(), path, ADMIN, body, &header);
    let audited = plane.dump()["audit"].len();
    let first = call(body.to_owned()).await;
    assert!(first.status < 300, "{key}: {first:?}");
    assert!(!first.replayed(), "{key}");
    // What it set off is sent, by a job: that is no part of the repeat.
    let all_sent = || plane.app.reader.pending_deliveries().unwrap().0 == 0;
    while !all_sent() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let after = plane.dump();
    assert_eq!(
        after["audit"].len(),
        audited + 1,
        "{key} is not in the log of changes"
    );
    let again = call(body.to_owned()).await;
    assert!(again.replayed(), "{key}: {again:?}");
    assert_eq!(
        (again.status, again.bytes),
        (first.status, first.bytes),
        "{key}"
    );
    let other = call(format!("{body} ")).await;
    assert_eq!(
        (other.status, other.code()),
        (422, "idempotency_key_reused"),
        "{key}"
    );
    assert_eq!(plane.dump(), after, "{key}: a repeat wrote something");
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
