//! Which account pays, and when a request waits for which.

use super::{GENERAL, LIMITED, spent, world};
use crate::world::{Fate, account};

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
