//! A control plane that fails, asks for patience, and comes back: it is never run over.

use std::collections::BTreeMap;

use creditgate_plugin::metrics::Metric;

use crate::world::{Fate, World, key};

/// Questions that came to the control plane from an instant on, the poll aside.
fn asked_since(world: &World, from_ms: u64) -> usize {
    let asked = world.plane.asked.iter();
    asked
        .filter(|(at_ms, path)| *at_ms >= from_ms && !path.ends_with("/poll"))
        .count()
}

fn now(world: &World) -> u64 {
    world.shared.now_ms.get()
}

/// Every worker has requests of many customers that wait, for as long as that is.
fn crowd(world: &mut World, seconds: u64) {
    for round in 0..seconds * 5 {
        for worker in 0..world.workers.len() {
            for customer in 1..=20 {
                let path = if round % 2 == 0 { "/one" } else { "/five" };
                world.workers[worker].begin(&[("x-api-key", &key(customer))], path);
            }
        }
        world.pass(200);
    }
}

fn crowded(workers: u32) -> World {
    let mut world = World::new(workers, 1_000_000);
    for customer in 2..=20 {
        world.plane.add_customer(customer, 1_000_000);
    }
    world
}

#[test]
fn while_it_is_away_each_worker_asks_twice_a_second_at_most_whatever_waits() {
    let mut world = crowded(8);
    world.plane.is_down = true;
    crowd(&mut world, 10);
    let from = now(&world);
    crowd(&mut world, 10);
    let asked = asked_since(&world, from);
    assert!(
        (8..=8 * 10 * 2).contains(&asked),
        "{asked} questions in 10 s"
    );
    let polls = world.plane.asked.iter();
    let polls = polls.filter(|(at_ms, path)| *at_ms >= from && path.ends_with("/poll"));
    assert!(polls.count() <= 22, "one worker polls");
}

#[test]
fn when_it_is_back_each_worker_asks_once_then_once_more_with_each_answer() {
    let mut world = crowded(4);
    world.plane.is_down = true;
    crowd(&mut world, 10);
    world.plane.is_down = false;
    let mut widest = vec![0; 4];
    for _ in 0..400 {
        world.shared.now_ms.set(now(&world) + 20);
        for (worker, widest) in world.workers.iter_mut().zip(&mut widest) {
            worker.tick();
            let calls = worker.take_calls();
            let (polls, asked): (Vec<_>, Vec<_>) = calls
                .into_iter()
                .partition(|call| call.path.ends_with("/poll"));
            assert!(
                asked.len() <= 2 * *widest || asked.len() <= 1,
                "{} after {widest}",
                asked.len()
            );
            *widest = asked.len().max(*widest);
            for call in asked.into_iter().chain(polls) {
                match world.plane.answer(&call, worker.now_ms()) {
                    Some(answer) => worker.deliver(call.token, &answer),
                    None => worker.put_back(call),
                }
            }
            for call in worker.take_calls() {
                worker.put_back(call);
            }
        }
    }
    assert!(widest.iter().all(|widest| *widest > 1), "{widest:?}");
    world.settle();
    let id = world.workers[0].begin(&[("x-api-key", &key(7))], "/one");
    world.settle();
    world.pass(1_000);
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
}

#[test]
fn it_is_left_alone_for_as_long_as_it_asks_and_not_for_ever() {
    for (status, asks_s, most_s) in [(503, 5, 7), (429, 5, 7), (503, 86_400, 32)] {
        let mut world = crowded(2);
        world.plane.answers_with = Some((status, Some(asks_s)));
        crowd(&mut world, 1);
        world.pass(200);
        let from = now(&world);
        let patience_ms = asks_s.min(30) * 1_000;
        world.pass(patience_ms - 1_400);
        assert_eq!(asked_since(&world, from), 0, "{status}, after {asks_s} s");
        world.plane.answers_with = None;
        world.pass(most_s * 1_000 - patience_ms + 1_400);
        crowd(&mut world, 1);
        assert!(asked_since(&world, from) > 0, "{status}, after {asks_s} s");
        let id = world.get(0, "/one");
        world.pass(1_000);
        assert_eq!(world.workers[0].fate(id), Fate::Passed);
    }
}

#[test]
fn a_poll_that_is_answered_does_not_end_the_patience_that_was_asked_for() {
    let mut world = crowded(2);
    world.plane.answers_with = Some((503, Some(5)));
    world.plane.answers_polls = true;
    crowd(&mut world, 1);
    world.pass(200);
    let from = now(&world);
    for _ in 0..18 {
        // Something is new, and the poll brings it.
        let account = *world.plane.accounts.keys().next().unwrap();
        world.plane.touch(account);
        world.pass(200);
    }
    let polls = world.plane.asked.iter();
    let polls = polls.filter(|(at_ms, path)| *at_ms >= from && path.ends_with("/poll"));
    assert!(polls.count() > 5);
    assert_eq!(asked_since(&world, from), 0);
}

#[test]
fn answers_that_fail_without_a_word_are_rested_after_as_well() {
    let mut world = crowded(1);
    world.plane.answers_with = Some((500, None));
    crowd(&mut world, 10);
    let from = now(&world);
    crowd(&mut world, 10);
    assert!(asked_since(&world, from) <= 20);
    assert!(world.workers[0].count(Metric::CallsFailed) > 0);
}

/// When workers ask again, and how many at each instant, between so many milliseconds after all of
/// them failed at one instant, with requests at every worker every `step_ms`.
fn asks_again(retry_after_s: Option<u64>, between: [u64; 2], step_ms: u64) -> BTreeMap<u64, u32> {
    let mut world = crowded(8);
    world.plane.answers_with = Some((503, retry_after_s));
    let begin = |world: &mut World| {
        for worker in &mut world.workers {
            worker.begin(&[("x-api-key", &key(1))], "/one");
        }
        world.settle();
    };
    let failed_at = now(&world);
    begin(&mut world);
    assert_eq!(asked_since(&world, failed_at), 8, "each worker asked");
    world.shared.now_ms.set(failed_at + between[0]);
    while now(&world) < failed_at + between[1] {
        world.shared.now_ms.set(now(&world) + step_ms);
        world
            .workers
            .iter_mut()
            .for_each(crate::world::Worker::tick);
        begin(&mut world);
    }
    let mut asked = BTreeMap::new();
    for (at_ms, path) in &world.plane.asked {
        if *at_ms > failed_at && !path.ends_with("/poll") {
            *asked.entry(at_ms - failed_at).or_default() += 1;
        }
    }
    asked
}

#[test]
fn workers_that_failed_at_one_instant_do_not_ask_again_at_one() {
    // Rests are 25 to 50 ms after the first failure; those that are asked for, up to a second longer.
    for (retry_after_s, between, step_ms) in [(None, [0, 50], 1), (Some(5), [4_980, 6_000], 20)] {
        let asked = asks_again(retry_after_s, between, step_ms);
        let times: u32 = asked.values().sum();
        assert_eq!(times, 8, "each worker asks again once: {asked:?}");
        assert!(asked.len() >= 4, "{retry_after_s:?}: {asked:?}");
    }
}
