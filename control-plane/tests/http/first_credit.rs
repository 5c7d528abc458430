//! From a customer to a paid request, exact to the smallest unit.

use creditgate_core::key::{credential_hash, customer_hash};
use creditgate_core::protocol::{Phase, ResolveAnswer};
use serde_json::json;

use crate::edge::{Edge, counters};
use crate::plane::Plane;

#[tokio::test]
async fn credit_bought_is_lent_and_spent_exactly() {
    let plane = Plane::start();
    let wallet = plane.funded("ada", "usd", "0").await;
    let lot = plane
        .post(
            &format!("/v1/wallets/{wallet}/top-up"),
            json!({ "credits_to_add": 10.000000001 }),
        )
        .await;
    assert_eq!(
        (lot.status, lot.text("amount").as_str()),
        (201, "10.000000001")
    );
    let key = plane.key_of("ada").await;
    let edge = Edge::of(&plane, "edge", "usd").await;

    let resolved = edge.know(&plane, &key, 11, 3_000_000_000).await;
    assert!(resolved.opened);
    assert_eq!(
        (resolved.customer.as_str(), resolved.scale.digits()),
        ("ada", 9)
    );
    assert_eq!(
        (resolved.answer.phase, resolved.answer.granted.get()),
        (Phase::Open, 3_000_000_000)
    );
    let lent = plane
        .balance(&wallet, ["available", "lent", "held", "balance"])
        .await;
    assert_eq!(lent, ["7.000000001", "3", "0", "10.000000001"]);

    // One request of 2.5 is paid, one of 0.5 is in flight.
    let answer = edge
        .report(
            &plane,
            &resolved.answer,
            counters([3_000_000_000, 0, 3_000_000_000, 0, 2_500_000_000]),
            0,
        )
        .await;
    assert_eq!(
        (answer.phase, answer.settled.get()),
        (Phase::Open, 2_500_000_000)
    );
    let parts = ["balance", "held", "spent", "quarantined", "debt", "funded"];
    let [balance, held, spent, quarantined, debt, funded] = plane.balance(&wallet, parts).await;
    assert_eq!(
        (held.as_str(), spent.as_str(), balance.as_str()),
        ("0.5", "2.5", "7.500000001")
    );
    assert_eq!(
        (quarantined.as_str(), debt.as_str(), funded.as_str()),
        ("0", "0", "10.000000001")
    );

    let of_customer = plane.get("/v1/customers/ada/balance?currency=USD").await;
    assert_eq!(of_customer.text("spent"), "2.5");
    assert_eq!(of_customer.text("balance"), "7.500000001");
    let entries = plane
        .get(&format!("/v1/wallets/{wallet}/transactions?limit=2"))
        .await;
    let newest = entries.body["data"].as_array().unwrap();
    let usage = newest
        .iter()
        .find(|entry| entry["kind"] == "usage")
        .expect("the usage is booked");
    assert_eq!(
        (&usage["amount"], &usage["actor"]),
        (&json!("2.5"), &json!("gateway"))
    );
    assert_eq!(
        usage["lots"][0],
        json!({ "lot_id": lot.body["id"], "amount": "2.5" })
    );
    let next = entries.text("next_cursor");
    let older = plane
        .get(&format!("/v1/wallets/{wallet}/transactions?cursor={next}"))
        .await;
    let kinds: Vec<_> = older.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["kind"].as_str().unwrap())
        .collect();
    assert!(kinds.contains(&"top_up"), "{kinds:?}");
    assert_eq!(kinds.last(), Some(&"note"), "the wallet was opened");
    plane.assert_clean();
}

#[tokio::test]
async fn credits_are_the_amount_by_the_conversion_rate() {
    let plane = Plane::start();
    plane
        .post("/v1/customers", json!({ "external_id": "ada" }))
        .await;
    let body = json!({ "customer_id": "ada", "currency": "USD", "conversion_rate": "5.00e-1", "wallet_type": "pre_paid" });
    let wallet = plane.post("/v1/wallets", body).await;
    assert_eq!(
        (wallet.status, wallet.text("currency").as_str()),
        (201, "usd")
    );
    let wallet = wallet.text("id");
    let path = format!("/v1/wallets/{wallet}/top-up");
    let lot = plane
        .post(
            &path,
            json!({ "credits_to_add": "3", "transaction_reason": "free_credit_grant" }),
        )
        .await;
    assert_eq!(
        (lot.text("amount"), lot.text("credits")),
        ("1.5".to_owned(), "3".to_owned())
    );
    assert_eq!(
        (lot.text("kind"), lot.text("reason_code")),
        ("promotional".to_owned(), "FREE_CREDIT_GRANT".to_owned())
    );
    let wallet = plane.get(&format!("/v1/wallets/{wallet}")).await;
    assert_eq!(wallet.text("conversion_rate"), "0.5");
    assert_eq!(
        (wallet.text("balance"), wallet.text("credit_balance")),
        ("1.5".to_owned(), "3".to_owned())
    );
}

#[tokio::test]
async fn an_id_and_an_external_id_name_the_same_customer() {
    let plane = Plane::start();
    let made = plane.post("/v1/customers", json!({ "external_id": "a/b c", "time_zone": "Europe/Berlin", "metadata": { "x": "y" } })).await;
    assert_eq!(made.status, 201, "{made:?}");
    let by_name = plane.get("/v1/customers/a%2Fb%20c").await;
    let by_id = plane
        .get(&format!("/v1/customers/{}", made.text("id")))
        .await;
    assert_eq!((by_name.status, &by_name.body), (200, &by_id.body));
    assert_eq!(by_id.body, made.body);
}

#[tokio::test]
async fn a_revoked_moved_or_rotated_key_is_someone_elses_or_nobodys() {
    let plane = Plane::start();
    plane.funded("ada", "usd", "5").await;
    plane.funded("bob", "usd", "5").await;
    let edge = Edge::of(&plane, "edge", "usd").await;
    let made = plane
        .post("/v1/customers/ada/keys", json!({ "name": "laptop" }))
        .await;
    let (id, key) = (made.text("id"), made.text("key"));
    let before = edge.know(&plane, &key, 1, 1).await;

    let moved = plane
        .post(
            &format!("/v1/keys/{id}/move"),
            json!({ "customer_id": "bob" }),
        )
        .await;
    assert_eq!(moved.status, 200, "{moved:?}");
    let after = edge.know(&plane, &key, 2, 1).await;
    assert_eq!(
        (before.customer.as_str(), after.customer.as_str()),
        ("ada", "bob")
    );
    assert!(moved.body.get("key").is_none(), "a key is shown once");

    let rotated = plane
        .post(
            &format!("/v1/keys/{id}/rotate"),
            json!({ "overlap_seconds": 3600 }),
        )
        .await;
    assert_eq!(rotated.status, 201, "{rotated:?}");
    edge.know(&plane, &rotated.text("key"), 3, 1).await;
    edge.know(&plane, &key, 4, 1).await;

    let revoked = plane
        .post(&format!("/v1/keys/{id}/revoke"), json!({}))
        .await;
    assert_eq!(
        (revoked.status, revoked.text("status").as_str()),
        (200, "revoked")
    );
    assert!(matches!(
        edge.resolve(&plane, &key, 5, 1).await,
        ResolveAnswer::Unknown { .. }
    ));
    edge.know(&plane, &rotated.text("key"), 6, 1).await;
    let keys = plane.get("/v1/customers/bob/keys").await;
    assert_eq!(keys.body["data"].as_array().unwrap().len(), 2);
    plane.assert_clean();
}

#[tokio::test]
async fn a_voided_lot_leaves_the_balance_and_what_is_lent_is_recalled() {
    let plane = Plane::start();
    let wallet = plane.funded("ada", "tokens", "10").await;
    let key = plane.key_of("ada").await;
    let edge = Edge::of(&plane, "edge", "tokens").await;
    let resolved = edge.know(&plane, &key, 1, 4_000).await;
    let lots = plane.get(&format!("/v1/wallets/{wallet}/lots")).await;
    let lot = lots.body["data"][0]["id"].as_str().unwrap().to_owned();
    let voided = plane
        .post(
            &format!("/v1/lots/{lot}/void"),
            json!({ "reason": "paid back" }),
        )
        .await;
    assert_eq!(voided.status, 200, "{voided:?}");
    assert_eq!(
        (voided.text("withdrawn"), voided.text("pending_recall")),
        ("6".to_owned(), "4".to_owned())
    );
    let parts = ["balance", "pending_recall", "withdrawn", "funded"];
    assert_eq!(plane.balance(&wallet, parts).await, ["0", "4", "6", "10"]);
    let turned = edge
        .report(
            &plane,
            &resolved.answer,
            counters([4_000, 3_000, 1_000, 0, 1_000]),
            0,
        )
        .await;
    assert_eq!(turned.phase, Phase::Closed);
    assert_eq!(
        plane
            .balance(&wallet, ["spent", "withdrawn", "pending_recall"])
            .await,
        ["1", "9", "0"]
    );
    assert_eq!(
        plane.get(&format!("/v1/lots/{lot}")).await.text("status"),
        "voided"
    );
    plane.assert_clean();
}

#[tokio::test]
async fn a_customer_whom_the_gateway_knows_by_name_needs_no_key() {
    let plane = Plane::start();
    plane.funded("ada", "tokens", "10").await;
    let edge = Edge::of(&plane, "edge", "tokens").await;
    let resolve =
        |name: &'static str, hash, lease| edge.resolve_customer(&plane, name, hash, lease);
    let known = resolve("ada", customer_hash("ada"), 1).await;
    let ResolveAnswer::Known(known) = known else {
        panic!("{known:?}")
    };
    assert_eq!(known.customer, "ada");
    assert!(known.answer.granted.get() >= 1);
    for (name, hash) in [
        ("eve", customer_hash("eve")),
        ("ada", customer_hash("eve")),
        ("ada", credential_hash("ada")),
    ] {
        let answer = resolve(name, hash, 2).await;
        assert!(
            matches!(answer, ResolveAnswer::Unknown { .. }),
            "{name}: {answer:?}"
        );
    }
    // A name is no key.
    let answer = edge.resolve(&plane, "ada", 3, 1).await;
    assert!(matches!(answer, ResolveAnswer::Unknown { .. }));
}
