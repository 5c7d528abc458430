//! Accounts that are limited to rules: they pay first, the general account what they can't.

use creditgate_core::lease::LeaseNumber;
use creditgate_core::protocol::{Block, EnforcementMode, Phase};
use creditgate_plugin::metrics::Metric;

use crate::world::{Fate, World, account, key};

const GENERAL: u8 = 1;
const LIMITED: u8 = 200;

/// Customer 1 has `general`, and `limited` for requests to `/five` and `/shadow` alone.
fn world(workers: u32, general: i64, limited: i64) -> World {
    let mut world = World::new(workers, general);
    world.plane.limit(LIMITED, &["shadow", "five"], limited);
    world.plane.ahead = 0;
    world
}

/// What was spent of the general account, and of the limited one.
fn spent(world: &mut World) -> (i64, i64) {
    world.pass(3_000);
    let plane = &mut world.plane;
    assert_eq!(plane.of(GENERAL).outstanding(), 0);
    assert_eq!(plane.of(LIMITED).outstanding(), 0);
    (plane.of(GENERAL).spent(), plane.of(LIMITED).spent())
}

fn balance(world: &mut World) -> serde_json::Value {
    let id = world.get(0, "/.well-known/credit-balance");
    match world.workers[0].fate(id) {
        Fate::Answered(200, body) => body,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_limited_account_pays_for_its_rules_and_the_general_one_what_it_cant() {
    let mut world = world(1, 20, 12);
    let ids: Vec<_> = (0..3).map(|_| world.get_and_end(0, "/five", 200)).collect();
    let worker = &world.workers[0];
    let logged = |id, field: &str| worker.access_log(id)[field].as_str().unwrap().to_owned();
    let payers: Vec<_> = ids.iter().map(|id| logged(*id, "account")).collect();
    let (limited, general) = (account(LIMITED).to_string(), account(GENERAL).to_string());
    assert_eq!(payers, [limited.clone(), limited, general]);
    assert!(ids.iter().all(|id| logged(*id, "customer") == "customer-1"));
    let left: Vec<_> = ids
        .iter()
        .map(|id| worker.response_header(*id, "x-credit-remaining").unwrap())
        .collect();
    assert_eq!(left, ["7", "2", "15"], "that of the account that paid");
    assert_eq!(spent(&mut world), (5, 10), "what is too little stays whole");
}

#[test]
fn other_rules_never_touch_a_limited_account() {
    let mut world = world(2, 20, 100);
    for round in 0..10 {
        world.get_and_end(round % 2, "/one", 200);
        world.pass(100);
    }
    assert_eq!(world.shared.cells_of(account(LIMITED)).len(), 0);
    assert_eq!(spent(&mut world), (10, 0));
}

#[test]
fn a_limited_account_costs_no_host_call_more_while_it_pays_and_one_when_it_cant() {
    let mut world = world(1, 100, 100);
    world.plane.ahead = 50;
    let mut calls_of = |path: &str| {
        world.get_and_end(0, path, 200);
        let before = world.shared.host_calls.get();
        world.get_and_end(0, path, 200);
        world.shared.host_calls.get() - before
    };
    assert_eq!(calls_of("/five"), 10);
    assert_eq!(calls_of("/one"), 10, "a rule that nobody is limited to");
    world.plane.of(LIMITED).purse = 10;
    world.plane.change_of(account(LIMITED), |_| ());
    world.pass(3_000);
    for _ in 0..2 {
        world.get_and_end(0, "/five", 200);
    }
    let before = world.shared.host_calls.get();
    world.get_and_end(0, "/five", 200);
    assert_eq!(world.shared.host_calls.get() - before, 11);
}

#[test]
fn the_first_request_of_a_limited_rule_borrows_nothing_from_the_general_account() {
    let mut world = world(1, 5, 5);
    let id = world.get(0, "/five");
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    assert_eq!(
        (world.plane.resolves, world.plane.of(GENERAL).outstanding()),
        (1, 0)
    );
    world.workers[0].end(id, 200);
    assert_eq!(spent(&mut world), (0, 5));
}

#[test]
fn workers_that_want_a_limited_account_together_make_one_cell() {
    let mut world = world(4, 0, 100);
    world.plane.ahead = 50;
    for round in 0..2 {
        let ids: Vec<_> = (0..4)
            .map(|worker| world.workers[worker].begin(&[("x-api-key", &key(1))], "/five"))
            .collect();
        world.settle();
        world.pass(40);
        for (worker, id) in ids.iter().enumerate() {
            assert_eq!(world.workers[worker].fate(*id), Fate::Passed, "{round}");
            world.workers[worker].end(*id, 200);
        }
        assert_eq!(world.shared.cells_of(account(LIMITED)).len(), 1);
    }
    assert_eq!(spent(&mut world), (0, 40));
}

#[test]
fn a_request_waits_for_limited_credit_that_lies_elsewhere() {
    let mut world = world(2, 100, 10);
    world.get_and_end(0, "/five", 200);
    world.pass(3_000);
    world.plane.of(LIMITED).elsewhere = 5;
    let id = world.get(1, "/five");
    assert_eq!(world.workers[1].fate(id), Fate::Held);
    world.pass(300);
    world.plane.of(LIMITED).elsewhere = 0;
    world.pass(200);
    assert_eq!(world.workers[1].fate(id), Fate::Passed);
    world.workers[1].end(id, 200);
    assert_eq!(spent(&mut world), (0, 10));
}

#[test]
fn limited_credit_that_does_not_come_in_time_is_paid_by_the_general_account() {
    let mut world = world(1, 100, 10);
    world.get_and_end(0, "/one", 200);
    world.get_and_end(0, "/five", 200);
    world.plane.of(GENERAL).elsewhere = 0;
    world.plane.ahead = 20;
    world.get_and_end(0, "/one", 200);
    world.plane.of(LIMITED).elsewhere = 5;
    let waits = world.get(0, "/five");
    world.pass(900);
    assert_eq!(world.workers[0].fate(waits), Fate::Held);
    world.pass(200);
    assert_eq!(world.workers[0].fate(waits), Fate::Passed);
    world.workers[0].end(waits, 200);
    world.plane.of(LIMITED).elsewhere = 0;
    assert_eq!(spent(&mut world), (7, 5));
}

#[test]
fn who_waits_for_limited_credit_is_served_before_who_came_later() {
    let mut world = world(1, 0, 10);
    world.get_and_end(0, "/five", 200);
    world.pass(3_000);
    world.plane.of(LIMITED).elsewhere = 5;
    let first = world.get(0, "/five");
    let second = world.get(0, "/five");
    world.pass(200);
    assert_eq!(world.workers[0].fate(second), Fate::Held);
    world.plane.of(LIMITED).elsewhere = 0;
    world.pass(200);
    assert_eq!(world.workers[0].fate(first), Fate::Passed);
    assert_eq!(
        world.workers[0].refusal(second),
        (402, "credit_held".into())
    );
}

#[test]
fn while_the_control_plane_is_away_the_general_account_pays_what_it_was_lent() {
    let mut world = world(1, 100, 5);
    world.plane.ahead = 50;
    world.get_and_end(0, "/one", 200);
    world.get_and_end(0, "/five", 200);
    world.plane.is_down = true;
    let id = world.get(0, "/five");
    assert_eq!(world.workers[0].fate(id), Fate::Held, "it may have more");
    world.pass(1_100);
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    world.workers[0].end(id, 200);
    world.plane.is_down = false;
    assert_eq!(spent(&mut world), (6, 5));
}

#[test]
fn nobody_says_that_credit_is_gone_before_both_accounts_were_asked() {
    let mut world = world(1, 0, 0);
    world.get_and_end(0, "/one", 200);
    world.plane.unheard = Some("/sync");
    let id = world.get(0, "/five");
    world.pass(1_100);
    assert_eq!(
        world.workers[0].refusal(id),
        (503, "control_plane_unreachable".into())
    );
}

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
fn where_neither_account_pays_the_refusal_is_the_general_accounts() {
    let mut world = world(1, 3, 4);
    world.get_and_end(0, "/one", 200);
    let id = world.get(0, "/five");
    let Fate::Answered(402, body) = world.workers[0].fate(id) else {
        panic!()
    };
    assert_eq!(
        (&body["code"], &body["balance"], &body["required"]),
        (&"credit_exhausted".into(), &"2".into(), &"5".into())
    );
    let syncs = world.plane.syncs;
    for _ in 0..10 {
        let id = world.get(0, "/five");
        assert_eq!(world.workers[0].refusal(id).0, 402);
    }
    assert_eq!(world.plane.syncs, syncs, "refused without a question");
}

#[test]
fn limited_credit_that_running_requests_hold_is_better_news_than_none() {
    let mut world = world(1, 0, 5);
    let running = world.get(0, "/five");
    assert_eq!(world.workers[0].fate(running), Fate::Passed);
    let id = world.get(0, "/five");
    assert_eq!(world.workers[0].refusal(id), (402, "credit_held".into()));
    world.workers[0].end(running, 503);
    world.pass(200);
    let id = world.get_and_end(0, "/five", 200);
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    assert_eq!(spent(&mut world), (0, 5));
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
fn a_customer_reads_the_balance_of_each_of_its_accounts() {
    let mut world = world(1, 100, 10);
    world.get_and_end(0, "/one", 200);
    world.get_and_end(0, "/five", 200);
    let body = balance(&mut world);
    let standing = serde_json::json!({
        "customer": "customer-1", "currency": "tokens",
        "balance": "99", "spendable": "99", "balance_age_seconds": 0,
        "limited": [{"rules": ["five", "shadow"], "balance": "5", "spendable": "5", "balance_age_seconds": 0}],
    });
    assert_eq!(body, standing);
}

#[test]
fn a_balance_that_no_request_has_used_yet_is_asked_for() {
    let mut world = world(1, 100, 10);
    let body = balance(&mut world);
    assert_eq!(body["limited"][0]["balance"], "10");
    assert_eq!(world.plane.of(LIMITED).outstanding(), 0);
    world.plane.is_down = true;
    world.pass(30_000);
    let id = world.get(0, "/.well-known/credit-balance");
    world.pass(1_100);
    let Fate::Answered(200, body) = world.workers[0].fate(id) else {
        panic!()
    };
    assert_eq!(
        (&body["balance"], &body["limited"][0]["balance"]),
        (&"100".into(), &"10".into())
    );
}

#[test]
fn in_shadow_mode_a_request_would_pass_if_either_account_paid_it() {
    for (general, limited, outcome) in [
        (0, 1, "would_admit"),
        (1, 0, "would_admit"),
        (0, 0, "would_refuse"),
    ] {
        let mut world = world(1, general, limited);
        let first = world.get_and_end(0, "/shadow", 200);
        assert_eq!(
            world.workers[0].access_log(first)["outcome"],
            "undecided",
            "nobody waits to be judged"
        );
        world.get_and_end(0, "/shadow", 200);
        world.pass(40);
        let id = world.get_and_end(0, "/shadow", 200);
        assert_eq!(world.workers[0].access_log(id)["outcome"], outcome);
        assert_eq!(spent(&mut world), (0, 0));
    }
}

#[test]
fn a_customer_in_shadow_mode_is_shadowed_in_each_of_its_accounts() {
    let mut world = world(1, 0, 0);
    world.plane.first().mode = EnforcementMode::Shadow;
    world.plane.of(LIMITED).mode = EnforcementMode::Shadow;
    for _ in 0..3 {
        let id = world.get_and_end(0, "/five", 200);
        assert_eq!(world.workers[0].fate(id), Fate::Passed);
        world.pass(40);
    }
    world.pass(200);
    assert_eq!(world.workers[0].count(Metric::WouldRefuse), 2);
    assert_eq!(spent(&mut world), (0, 0));
}

#[test]
fn a_limited_account_without_room_for_a_cell_leaves_its_rules_to_the_general_one() {
    let mut world = World::with_config(1, 100, r#", "limits": {"cells_max": 16}"#);
    world.plane.limit(LIMITED, &["five"], 100);
    let ids: Vec<_> = (2..=16)
        .map(|customer| {
            world.plane.add_customer(customer, 100);
            let id = world.workers[0].begin(&[("x-api-key", &key(customer))], "/one");
            world.settle();
            id
        })
        .collect();
    let id = world.get_and_end(0, "/five", 200);
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    world.pass(200);
    assert_ne!(world.workers[0].count(Metric::CellsRefused), 0);
    ids.iter().for_each(|id| world.workers[0].end(*id, 200));
    assert_eq!(spent(&mut world), (5, 0));
}

#[test]
fn a_limited_cell_that_was_erased_is_never_lent_the_same_credit_twice() {
    let mut world = world(2, 0, 20);
    world.plane.ahead = 20;
    world.get_and_end(0, "/five", 200);
    world.pass(1_600);
    let lost = world.plane.of(LIMITED).outstanding();
    assert_ne!(lost, 0);
    world.shared.erase_cells();
    let mut passed = 0;
    for round in 0..10 {
        let id = world.get(round % 2, "/five");
        if world.workers[round % 2].fate(id) == Fate::Passed {
            passed += 1;
            world.workers[round % 2].end(id, 200);
        }
        world.pass(20);
    }
    assert_eq!(passed, (20 - lost) / 5 - 1);
}

#[test]
fn a_limited_lease_turns_is_recalled_and_given_back_like_any_other() {
    let mut world = world(1, 0, 100);
    world.plane.ahead = 40;
    let held = world.get(0, "/five");
    let cell = |world: &World| world.shared.cells_of(account(LIMITED)).remove(0);
    let before = cell(&world).lease;
    world.plane.change_of(account(LIMITED), |account| {
        let leases = account.leases.values_mut();
        leases.for_each(|lease| lease.phase = Phase::Turn);
    });
    world.settle();
    world.pass(200);
    world.get_and_end(0, "/five", 200);
    assert!(cell(&world).lease > before);
    world.workers[0].end(held, 200);
    let now = cell(&world).lease;
    let mut recall = world
        .plane
        .of(LIMITED)
        .answer(account(LIMITED), now, 8_000, None);
    recall.keep = Some(creditgate_core::amount::Amount::ZERO);
    recall.state.version += 1;
    world.plane.of(LIMITED).version += 1;
    world.plane.recall = Some(recall);
    world.plane.touch(account(LIMITED));
    world.settle();
    assert_eq!(world.plane.of(LIMITED).outstanding(), 0);
    let id = world.get_and_end(0, "/five", 200);
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    world.workers[0].close();
    world.settle();
    assert_eq!(world.plane.of(LIMITED).outstanding(), 0);
    assert_eq!(spent(&mut world), (0, 15));
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
