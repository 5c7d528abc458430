//! Wallets that are limited to rules, as gateways and operators see them.

use creditgate_core::lease::{Counters, LeaseNumber};
use creditgate_core::protocol::{Block, LeaseAnswer, Phase, ResolveAnswer, Resolved};
use serde_json::json;

use crate::edge::{Edge, counters};
use crate::plane::Plane;

/// A wallet of ada's that is limited to the rule `image`, with so much.
async fn limited(plane: &Plane, amount: &str) -> String {
    let body = json!({ "customer_id": "ada", "currency": "tokens", "rules": ["image"] });
    let made = plane.post("/v1/wallets", body).await;
    assert_eq!(made.status, 201, "{made:?}");
    let wallet = made.text("id");
    if amount != "0" {
        plane.top_up(&wallet, amount).await;
    }
    wallet
}

async fn know(edge: &Edge, plane: &Plane, key: &str, need: i64, rule: &str) -> Resolved {
    match edge.resolve_for(plane, key, 1, need, Some(rule)).await {
        ResolveAnswer::Known(resolved) => *resolved,
        other => panic!("{other:?}"),
    }
}

/// The limited account, as a gateway that has no lease of it yet names it.
fn of_limited(resolved: &Resolved, lease: u64) -> LeaseAnswer {
    LeaseAnswer {
        account: resolved.limited[0].account,
        lease: LeaseNumber(lease),
        ..resolved.answer.clone()
    }
}

#[tokio::test]
async fn a_limited_account_is_told_with_its_rules_and_pays_without_the_general_one() {
    let plane = Plane::start();
    let general = plane.funded("ada", "tokens", "10").await;
    let images = limited(&plane, "4").await;
    let key = plane.key_of("ada").await;
    let edge = Edge::of(&plane, "edge", "tokens").await;
    let resolved = know(&edge, &plane, &key, 3_000, "image").await;
    assert_eq!(resolved.limited[0].rules, ["image"]);
    assert_ne!(resolved.limited[0].account, resolved.answer.account);
    assert_eq!(resolved.answer.granted.get(), 0, "the limited one pays");
    let ask = of_limited(&resolved, 7);
    let lent = edge.report(&plane, &ask, Counters::default(), 3_000).await;
    assert_eq!((lent.phase, lent.granted.get()), (Phase::Open, 3_000));
    edge.report(&plane, &lent, counters([3_000, 0, 3_000, 0, 3_000]), 0)
        .await;
    assert_eq!(
        plane.balance(&images, ["balance", "spent"]).await,
        ["1", "3"]
    );
    assert_eq!(
        plane.balance(&general, ["balance", "lent", "spent"]).await,
        ["10", "0", "0"]
    );
    plane.assert_clean();
}

#[tokio::test]
async fn the_general_account_lends_at_once_what_the_limited_one_could_not_pay() {
    let plane = Plane::start();
    plane.funded("ada", "tokens", "10").await;
    let images = limited(&plane, "2").await;
    let key = plane.key_of("ada").await;
    let edge = Edge::of(&plane, "edge", "tokens").await;
    let resolved = know(&edge, &plane, &key, 3_000, "image").await;
    assert!(resolved.answer.granted.get() >= 3_000);
    let ask = of_limited(&resolved, 7);
    let told = edge.report(&plane, &ask, Counters::default(), 3_000).await;
    assert_eq!(told.granted.get(), 0);
    assert_eq!(
        told.state.ceiling.map(|ceiling| ceiling.get()),
        Some(2_000),
        "a cheaper request may still have it"
    );
    assert_eq!(plane.balance(&images, ["balance"]).await, ["2"]);
}

#[tokio::test]
async fn a_gateway_that_waits_hears_that_there_are_limits_now_and_none_any_more() {
    let plane = Plane::start();
    plane.funded("ada", "tokens", "10").await;
    let key = plane.key_of("ada").await;
    let mut edge = Edge::of(&plane, "edge", "tokens").await;
    edge.poll(&plane).await;
    let first = know(&edge, &plane, &key, 1_000, "image").await;
    assert_eq!(first.limited, []);
    let known = first.answer.state.credential_version;
    let images = limited(&plane, "0").await;
    let told = edge.poll(&plane).await;
    let now = told.changes[0].state.credential_version;
    assert!(now > known, "every key is asked for again: {told:?}");
    assert_eq!(
        know(&edge, &plane, &key, 1_000, "image")
            .await
            .limited
            .len(),
        1
    );
    // Another wallet of the same rules is the same account: nothing new.
    limited(&plane, "0").await;
    let list = plane.get("/v1/wallets?customer_id=ada").await;
    let accounts: std::collections::BTreeSet<_> = list.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|wallet| wallet["account_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(accounts.len(), 2);
    let _ = images;
}

#[tokio::test]
async fn a_frozen_limited_wallet_blocks_its_own_account_alone() {
    let plane = Plane::start();
    plane.funded("ada", "tokens", "10").await;
    let images = limited(&plane, "4").await;
    let key = plane.key_of("ada").await;
    let mut edge = Edge::of(&plane, "edge", "tokens").await;
    edge.poll(&plane).await;
    let resolved = know(&edge, &plane, &key, 1_000, "text").await;
    let ask = of_limited(&resolved, 7);
    edge.report(&plane, &ask, Counters::default(), 1_000).await;
    let path = format!("/v1/wallets/{images}/freeze");
    assert_eq!(plane.post(&path, json!({})).await.status, 200);
    let told = edge.poll(&plane).await;
    let block_of = |account| {
        let of_it = |change: &&LeaseAnswer| change.account == account;
        told.changes
            .iter()
            .find(of_it)
            .map(|change| change.state.block)
    };
    assert_eq!(block_of(ask.account), Some(Some(Block::WalletFrozen)));
    assert_ne!(
        block_of(resolved.answer.account),
        Some(Some(Block::WalletFrozen))
    );
}

#[tokio::test]
async fn a_drain_recalls_what_was_lent_of_each_account() {
    let plane = Plane::start();
    plane.hurry().await;
    plane.funded("ada", "tokens", "10").await;
    limited(&plane, "4").await;
    let key = plane.key_of("ada").await;
    let mut edge = Edge::of(&plane, "edge", "tokens").await;
    edge.poll(&plane).await;
    let resolved = know(&edge, &plane, &key, 2_000, "text").await;
    let ask = of_limited(&resolved, 7);
    edge.report(&plane, &ask, Counters::default(), 4_000).await;
    let path = format!("/v1/instances/{}/drain", edge.hello.instance);
    let asked = plane
        .post(&path, json!({ "reason": "a new release" }))
        .await;
    assert_eq!(asked.body["outstanding"], json!({ "tokens": "6" }));
    let told = edge.poll(&plane).await;
    assert!(told.changes.len() >= 2, "{told:?}");
    assert!(
        told.changes
            .iter()
            .all(|change| change.phase == Phase::Turn)
    );
}
