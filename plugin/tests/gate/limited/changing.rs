//! Limits that are made, blocked, topped up, and gone.

use creditgate_core::lease::LeaseNumber;
use creditgate_core::protocol::Block;

use super::{GENERAL, LIMITED, balance, spent, world};
use crate::world::{Fate, World, account};

#[test]
fn a_frozen_or_closed_limited_account_leaves_its_rules_to_the_general_one() {
    for block in [Block::WalletFrozen, Block::WalletClosed] {
        let mut world = world(1, 100, 100);
        world.get_and_end(0, "/five", 200);
        let blocked = |block| move |account: &mut crate::world::Account| account.block = block;
        world
            .plane
            .change_of(account(LIMITED), blocked(Some(block)));
        world.settle();
        let id = world.get_and_end(0, "/five", 200);
        assert_eq!(world.workers[0].fate(id), Fate::Passed);
        world.plane.change_of(account(LIMITED), blocked(None));
        world.settle();
        world.get_and_end(0, "/five", 200);
        assert_eq!(spent(&mut world), (5, 10), "{block:?}");
    }
}

#[test]
fn an_account_whose_wallets_are_closed_refuses_with_403() {
    let mut world = World::new(1, 100);
    world.get_and_end(0, "/one", 200);
    world
        .plane
        .change(|account| account.block = Some(Block::WalletClosed));
    world.settle();
    let id = world.get(0, "/one");
    assert_eq!(world.workers[0].refusal(id), (403, "wallet_closed".into()));
    assert_eq!(balance(&mut world)["blocked"], "wallet_closed");
}

#[test]
fn a_suspended_customer_is_refused_whatever_the_rule() {
    let mut world = world(1, 100, 100);
    world.get_and_end(0, "/five", 200);
    for id in [GENERAL, LIMITED] {
        world.plane.change_of(account(id), |account| {
            account.block = Some(Block::CustomerSuspended)
        });
    }
    world.settle();
    for path in ["/one", "/five"] {
        let id = world.get(0, path);
        assert_eq!(
            world.workers[0].refusal(id),
            (403, "customer_suspended".into())
        );
    }
}

#[test]
fn a_limit_that_is_made_is_heard_with_the_next_push_by_every_worker() {
    let mut world = World::new(2, 100);
    world.plane.ahead = 0;
    for worker in [0, 1] {
        world.get_and_end(worker, "/five", 200);
    }
    world.plane.limit(LIMITED, &["five"], 10);
    world.settle();
    for worker in [0, 1, 0] {
        world.get_and_end(worker, "/five", 200);
    }
    assert_eq!(spent(&mut world), (15, 10));
}

#[test]
fn a_limit_that_is_gone_leaves_its_rules_to_the_general_account() {
    let mut world = world(1, 100, 100);
    world.get_and_end(0, "/five", 200);
    world.plane.limited.clear();
    for id in [GENERAL, LIMITED] {
        world
            .plane
            .change_of(account(id), |account| account.credential_version += 1);
    }
    world.settle();
    for _ in 0..3 {
        world.get_and_end(0, "/five", 200);
    }
    assert_eq!(world.plane.resolves, 2, "asked once");
    assert_eq!(spent(&mut world), (15, 5));
}

#[test]
fn a_revoked_key_is_refused_also_where_only_the_limited_account_was_used() {
    let mut world = world(1, 100, 100);
    world.get_and_end(0, "/five", 200);
    world.pass(100);
    world.plane.revoke();
    world.settle();
    let id = world.get(0, "/five");
    assert_eq!(
        world.workers[0].refusal(id),
        (401, "credential_unknown".into())
    );
}

#[test]
fn a_limited_cell_that_has_not_heard_of_new_keys_yet_is_no_reason_to_ask_over_and_over() {
    let mut world = world(1, 100, 100);
    world.get_and_end(0, "/five", 200);
    // Another key of the customer was revoked, and the push of one lease is on its way yet.
    world
        .plane
        .change(|account| account.credential_version += 1);
    world.settle();
    world.get_and_end(0, "/one", 200);
    let resolves = world.plane.resolves;
    for _ in 0..5 {
        let id = world.get_and_end(0, "/five", 200);
        assert_eq!(world.workers[0].fate(id), Fate::Passed);
    }
    assert_eq!(world.plane.resolves, resolves);
}

#[test]
fn a_top_up_of_the_limited_account_is_used_by_the_next_request() {
    let mut world = world(1, 100, 0);
    world.get_and_end(0, "/five", 200);
    world
        .plane
        .change_of(account(LIMITED), |account| account.purse = 10);
    world.settle();
    world.get_and_end(0, "/five", 200);
    assert_eq!(spent(&mut world), (5, 5));
}

#[test]
fn a_restored_ledger_says_anew_who_is_limited_to_what() {
    let mut world = world(2, 100, 100);
    for worker in [0, 1] {
        world.get_and_end(worker, "/five", 200);
    }
    let before = world.shared.cells_of(account(LIMITED)).remove(0).lease;
    // The backup is from before the limited wallet was made.
    world.plane.epoch = 8;
    world.plane.limited.clear();
    for id in [GENERAL, LIMITED] {
        world.plane.of(id).leases.clear();
        world.plane.of(id).credential_version = 1;
        world.plane.of(id).version = 1;
    }
    world.plane.touch(account(GENERAL));
    world.pass(500);
    for worker in [0, 1, 0, 1] {
        let id = world.get_and_end(worker, "/five", 200);
        assert_eq!(world.workers[worker].fate(id), Fate::Passed);
    }
    let after = world.shared.cells_of(account(LIMITED)).remove(0);
    assert!(after.lease > before && after.lease != LeaseNumber::NONE);
    assert_eq!(spent(&mut world), (20, 0));
}
