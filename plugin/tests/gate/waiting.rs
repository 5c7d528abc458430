//! Requests that can't be decided at once: nothing passes undecided, nobody waits for ever.

use creditgate_core::amount::Amount;

use crate::world::{Fate, World, account, key};

#[test]
fn at_cold_start_one_call_serves_all_who_wait() {
    let mut world = World::new(1, 100);
    let worker = &mut world.workers[0];
    let ids: Vec<_> = (0..5)
        .map(|_| worker.begin(&[("x-api-key", &key(1))], "/one"))
        .collect();
    assert!(ids.iter().all(|id| worker.fate(*id) == Fate::Held));
    world.settle();
    assert!(
        ids.iter()
            .all(|id| world.workers[0].fate(*id) == Fate::Passed)
    );
    assert_eq!(world.plane.resolves, 1);
}

#[test]
fn workers_that_start_cold_together_make_one_cell() {
    let mut world = World::new(4, 100);
    let ids: Vec<_> = (0..4)
        .map(|worker| world.workers[worker].begin(&[("x-api-key", &key(1))], "/one"))
        .collect();
    world.settle();
    world.pass(20);
    for (worker, id) in ids.iter().enumerate() {
        assert_eq!(world.workers[worker].fate(*id), Fate::Passed);
        world.workers[worker].end(*id, 200);
    }
    assert_eq!(world.shared.cells().len(), 1);
    world.pass(3_000);
    assert_eq!(
        (
            world.plane.first().spent(),
            world.plane.first().outstanding()
        ),
        (4, 0)
    );
}

#[test]
fn without_a_rate_card_a_request_waits_and_then_gets_not_ready() {
    let mut world = World::new(1, 100);
    let shared = std::rc::Rc::new(crate::world::Shared::default());
    let document = r#"{"control_plane": {"cluster": "creditgate"}}"#;
    world.workers = vec![crate::world::Worker::new(&shared, document)];
    world.shared = shared;
    world.plane.is_down = true;
    let late = world.get(0, "/one");
    world.pass(900);
    assert_eq!(world.workers[0].fate(late), Fate::Held);
    world.pass(200);
    assert_eq!(world.workers[0].refusal(late), (503, "not_ready".into()));
    let early = world.get(0, "/one");
    world.plane.is_down = false;
    world.pass(900);
    assert_eq!(world.workers[0].fate(early), Fate::Passed);
}

#[test]
fn a_request_waits_for_credit_that_lies_elsewhere() {
    let mut world = World::new(2, 10);
    world.get_and_end(0, "/one", 200);
    world.plane.ahead = 0;
    world.pass(3_000);
    world.plane.first().elsewhere = 9;
    let id = world.get(0, "/five");
    assert_eq!(world.workers[0].fate(id), Fate::Held);
    world.pass(300);
    assert_eq!(world.workers[0].fate(id), Fate::Held);
    world.plane.first().elsewhere = 0;
    world.pass(200);
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
}

#[test]
fn those_who_wait_are_served_in_order() {
    let mut world = World::new(1, 12);
    world.get_and_end(0, "/one", 200);
    world.plane.ahead = 0;
    world.pass(3_000);
    world.plane.first().elsewhere = 11;
    let first = world.get(0, "/five");
    let second = world.get(0, "/five");
    let third = world.get(0, "/one");
    world.plane.first().elsewhere = 5;
    world.pass(200);
    let worker = &world.workers[0];
    assert_eq!(worker.fate(first), Fate::Passed);
    assert_eq!(worker.fate(second), Fate::Held);
    assert_eq!(worker.fate(third), Fate::Held);
    world.plane.first().elsewhere = 0;
    world.pass(200);
    assert_eq!(world.workers[0].fate(second), Fate::Passed);
    assert_eq!(world.workers[0].fate(third), Fate::Passed);
}

#[test]
fn credit_that_stays_elsewhere_is_held_credit_at_the_deadline() {
    let mut world = World::new(1, 10);
    world.get_and_end(0, "/one", 200);
    world.pass(3_000);
    world.plane.first().elsewhere = 9;
    let id = world.get(0, "/five");
    world.pass(1_100);
    assert_eq!(world.workers[0].refusal(id), (402, "credit_held".into()));
    assert!(
        world.workers[0]
            .reply(id)
            .headers
            .contains(&("retry-after", "1".into()))
    );
}

#[test]
fn past_the_use_by_nothing_is_spent_until_the_control_plane_is_back() {
    let mut world = World::new(1, 1_000);
    world.plane.ahead = 100;
    world.plane.timing.idle_ms = 600_000;
    world.plane.config_version = 2;
    world.pass(100);
    world.get_and_end(0, "/one", 200);
    world.pass(500);
    world.plane.is_down = true;
    world.pass(5_000);
    let within = world.get_and_end(0, "/one", 200);
    assert_eq!(world.workers[0].fate(within), Fate::Passed);
    world.pass(5_000);
    let past = world.get(0, "/one");
    assert_eq!(world.workers[0].fate(past), Fate::Held);
    world.pass(1_100);
    assert_eq!(
        world.workers[0].refusal(past),
        (503, "lease_past_use_by".into())
    );
    let waiting = world.get(0, "/one");
    world.plane.is_down = false;
    world.pass(1_000);
    assert_eq!(world.workers[0].fate(waiting), Fate::Passed);
}

#[test]
fn an_unreachable_control_plane_is_503_for_a_credential_never_seen() {
    let mut world = World::new(1, 10);
    world.plane.is_down = true;
    let id = world.get(0, "/one");
    world.pass(1_100);
    assert_eq!(
        world.workers[0].refusal(id),
        (503, "control_plane_unreachable".into())
    );
}

#[test]
fn a_lookup_whose_answer_was_lost_is_repeated_under_the_same_number() {
    let mut world = World::new(1, 100);
    world.plane.loses = Some("/resolve");
    let id = world.get(0, "/one");
    world.pass(1_100);
    assert_eq!(world.workers[0].refusal(id).0, 503);
    assert_eq!(world.plane.first().leases.len(), 1);
    world.plane.loses = None;
    world.pass(2_000);
    assert_eq!(
        world.shared.cells().len(),
        1,
        "repeated also when nobody waits"
    );
    let id = world.get_and_end(0, "/one", 200);
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    assert_eq!(world.plane.first().leases.len(), 1);
    world.pass(3_000);
    assert_eq!(
        (
            world.plane.first().spent(),
            world.plane.first().outstanding()
        ),
        (1, 0)
    );
}

#[test]
fn a_client_that_leaves_while_it_waits_leaves_nothing_behind() {
    let mut world = World::new(1, 100);
    world.plane.is_down = true;
    let id = world.get(0, "/one");
    world.workers[0].finish(id);
    world.plane.is_down = false;
    world.pass(5_000);
    assert_eq!(
        (
            world.plane.first().spent(),
            world.plane.first().outstanding()
        ),
        (0, 0)
    );
}

#[test]
fn more_waiters_than_the_bound_are_refused() {
    let mut world = World::with_config(1, 10, r#", "limits": {"waiters_max": 3}"#);
    let ids: Vec<_> = (0..5)
        .map(|_| world.workers[0].begin(&[("x-api-key", &key(1))], "/one"))
        .collect();
    for id in &ids[3..] {
        assert_eq!(world.workers[0].refusal(*id), (503, "capacity".into()));
    }
    world.settle();
    assert_eq!(world.workers[0].fate(ids[0]), Fate::Passed);
}

#[test]
fn a_ceiling_is_asked_about_again_only_now_and_then_while_the_poll_is_silent() {
    let mut world = World::new(1, 0);
    let id = world.get(0, "/one");
    assert_eq!(world.workers[0].refusal(id).0, 402);
    world.plane.loses = Some("/poll");
    world.pass(20_000);
    let syncs = world.plane.syncs;
    for _ in 0..50 {
        let id = world.get(0, "/one");
        assert_eq!(
            world.workers[0].refusal(id),
            (402, "credit_exhausted".into())
        );
    }
    assert_eq!(world.plane.syncs - syncs, 1);
    // A top-up that no poll could tell of is found by the next question.
    world.plane.first().purse = 5;
    world.plane.first().version += 1;
    world.pass(3_000);
    let id = world.get(0, "/one");
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
}

#[test]
fn a_ceiling_is_believed_without_a_question_as_long_as_polls_are_answered_and_no_longer() {
    let mut world = World::new(1, 0);
    let id = world.get(0, "/one");
    assert_eq!(world.workers[0].refusal(id).0, 402);
    let syncs = world.plane.syncs;
    for _ in 0..60 {
        world.pass(500);
        let id = world.get(0, "/one");
        assert_eq!(world.workers[0].refusal(id).0, 402);
    }
    assert_eq!(world.plane.syncs, syncs);
    world.plane.unheard = Some("/poll");
    world.plane.first().purse = 5;
    world.plane.first().version += 1;
    // Long before the use-by of a lease would be over.
    world.pass(4_000);
    let id = world.get(0, "/one");
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
}

#[test]
fn an_old_balance_is_asked_for_anew_and_told_with_its_age_if_that_fails() {
    let mut world = World::new(1, 10);
    world.get_and_end(0, "/one", 200);
    world.pass(30_000);
    world.plane.first().purse = 50;
    world.plane.first().version += 1;
    let id = world.get(0, "/.well-known/credit-balance");
    let Fate::Answered(200, body) = world.workers[0].fate(id) else {
        panic!()
    };
    assert_eq!(
        (&body["balance"], &body["balance_age_seconds"]),
        (&"49".into(), &0.into())
    );
    world.plane.is_down = true;
    world.pass(30_000);
    let id = world.get(0, "/.well-known/credit-balance");
    world.pass(1_100);
    let Fate::Answered(200, body) = world.workers[0].fate(id) else {
        panic!()
    };
    assert_eq!(body["balance"], "49");
    assert!(body["balance_age_seconds"].as_u64().unwrap() >= 30);
}

#[test]
fn one_customer_without_credit_does_not_slow_the_others() {
    let mut world = World::new(1, 0);
    world.plane.add_customer(2, 1_000);
    world.plane.first().elsewhere = -5;
    let other = world.workers[0].begin(&[("x-api-key", &key(2))], "/one");
    let poor = world.workers[0].begin(&[("x-api-key", &key(1))], "/five");
    world.settle();
    assert_eq!(world.workers[0].fate(other), Fate::Passed);
    for _ in 0..20 {
        let id = world.workers[0].begin(&[("x-api-key", &key(2))], "/one");
        world.settle();
        assert_eq!(world.workers[0].fate(id), Fate::Passed);
    }
    assert_ne!(world.plane.accounts[&account(2)].outstanding(), 0);
    world.workers[0].finish(poor);
}

#[test]
fn nobody_gives_back_what_another_worker_waits_to_add_to() {
    let mut world = World::new(2, 20);
    world.plane.timing.idle_ms = 100;
    world.plane.timing.wait_ms = 5_000;
    world.plane.config_version += 1;
    world.pass(40);
    world.plane.ahead = 3;
    world.get_and_end(0, "/one", 200);
    world.get_and_end(1, "/one", 200);
    assert_eq!(world.shared.cell().counters.remaining().get(), 1);
    let id = world.workers[0].begin(&[("x-api-key", &key(1))], "/five");
    world.workers[0].wake_up();
    let calls = world.workers[0].take_calls();
    let (slow, others): (Vec<_>, Vec<_>) = calls
        .into_iter()
        .partition(|call| call.path == "/v1/gateway/sync");
    others
        .into_iter()
        .for_each(|call| world.workers[0].put_back(call));
    assert_eq!(slow.len(), 1, "it asks for what it lacks");
    // The answer takes longer than credit may lie unused.
    world.pass(400);
    assert_eq!(world.shared.cell().counters.returned.get(), 0);
    for call in slow {
        let answer = world
            .plane
            .answer(&call, world.shared.now_ms.get())
            .unwrap();
        world.workers[0].deliver(call.token, &answer);
    }
    world.settle();
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    // Then it goes back as ever.
    world.workers[0].end(id, 200);
    world.pass(1_000);
    assert_eq!(world.plane.first().outstanding(), 0);
}

#[test]
fn what_was_lent_a_moment_ago_is_not_unused() {
    let mut world = World::new(2, 20);
    world.plane.timing.idle_ms = 500;
    world.plane.config_version += 1;
    world.pass(40);
    world.get_and_end(0, "/one", 200);
    world.get_and_end(1, "/one", 200);
    world.pass(400);
    world.plane.change(|account| {
        let lease = account.leases.values_mut().next().expect("the lease");
        lease.counters.granted = lease.counters.granted.saturating_add(Amount::new(1));
    });
    world.pass(200);
    assert_eq!(world.shared.cell().counters.returned.get(), 0);
    world.pass(1_000);
    assert_eq!(world.plane.first().outstanding(), 0);
}
