//! What is said of a customer's accounts: refusals, balances, shadow mode.

use creditgate_core::protocol::EnforcementMode;
use creditgate_plugin::metrics::Metric;

use super::{LIMITED, balance, spent, world};
use crate::world::Fate;

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
