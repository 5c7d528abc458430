//! What is booked of an answer where its leases are not all there, or its races are lost.

use creditgate_core::lease::LeaseNumber;
use creditgate_core::protocol::Phase;
use creditgate_plugin::metrics::Metric;
use serde_json::json;

use crate::burning::{chat, delta, spent, world};
use crate::overruns::answering;
use crate::usage::told;
use crate::world::{World, account};

/// How often a settlement is tried at once.
const CAS_ATTEMPTS: u32 = 16;

/// An answer that holds 27 and then 200 under one lease, and 100 under the next; and the leases.
fn under_two_leases(configure: impl FnOnce(&mut World)) -> (World, u32, [LeaseNumber; 2]) {
    // Too little for what it holds to move.
    let mut world = world(327);
    world.plane.ahead = 0;
    configure(&mut world);
    world.plane.config_version += 1;
    world.pass(40);
    let id = chat(&mut world);
    world.workers[0].answer(id, delta(100).as_bytes(), false);
    world.pass(200);
    let first = world.shared.cell().lease;
    world.plane.change(|account| {
        let leases = account.leases.values_mut();
        leases.for_each(|lease| lease.phase = Phase::Turn);
    });
    world.pass(200);
    world.workers[0].answer(id, delta(50).as_bytes(), true);
    world.pass(200);
    let cell = world.shared.cell();
    let held = cell.previous.map(|previous| previous.counters.held().get());
    assert_eq!((held, cell.counters.held().get()), (Some(227), 100));
    (world, id, [first, cell.lease])
}

/// What the usage detail has of the customer: requests and cost.
fn used(world: &World) -> (u64, i64) {
    told(world).get(&account(1).0).copied().unwrap_or_default()
}

#[test]
fn what_is_under_a_lease_that_is_there_is_booked_though_the_answers_other_lease_is_gone() {
    let (mut world, id, [first, second]) =
        under_two_leases(|world| world.plane.timing.max_stream_ms = 5_000);
    // The first has outlived the longest stream, and the control plane has closed it.
    world.pass(5_200);
    assert_eq!(world.plane.first().leases[&first.0].phase, Phase::Closed);
    assert_ne!(world.plane.first().leases[&second.0].phase, Phase::Closed);
    world.workers[0].finish(id);
    assert_eq!(
        world.workers[0].access_log(id)["shares"],
        json!([{"lease": second.to_string(), "cost": "100"}])
    );
    let log = world.workers[0].access_log(id);
    assert_eq!(
        (&log["outcome"], &log["cost"]),
        (&json!("settled"), &json!("100"))
    );
    assert_eq!(log["lease"], first.to_string());
    // What the lost lease held is for the control plane to account for.
    assert_eq!(spent(&mut world), (100, 227));
    assert_eq!(
        used(&world),
        (1, 100),
        "it is told once, of what was booked"
    );
    let count = |metric| world.workers[0].count(metric);
    assert_eq!(
        count(Metric::SettledGone),
        2,
        "its beginning and what came after"
    );
    assert_eq!(count(Metric::Waived), 0);
}

#[test]
fn a_share_that_lost_every_race_is_booked_by_the_tick_and_the_others_at_once() {
    let (mut world, id, leases) = under_two_leases(|_| {});
    world.shared.lost_races.set(CAS_ATTEMPTS);
    world.workers[0].finish(id);
    let cell = world.shared.cell();
    let settled = cell
        .previous
        .map(|previous| previous.counters.settled.get());
    assert_eq!((settled, cell.counters.settled.get()), (Some(200), 100));
    let log = world.workers[0].access_log(id);
    let [first, second] = leases.map(|lease| lease.to_string());
    assert_eq!(
        log["shares"],
        json!([{"lease": first, "cost": "227"}, {"lease": second, "cost": "100"}])
    );
    assert_eq!(
        (&log["outcome"], &log["cost"]),
        (&json!("settled"), &json!("327"))
    );
    assert_eq!(spent(&mut world), (327, 0));
    assert_eq!(used(&world), (1, 327));
    assert_eq!(world.workers[0].count(Metric::SettledLater), 1);
}

#[test]
fn what_exceeds_the_estimate_is_given_up_where_every_race_was_lost_and_the_log_says_so() {
    for promise in ["strict", "expected", "metered"] {
        let (mut world, id) = answering(promise, 1_000, 1_000);
        world.shared.lost_races.set(CAS_ATTEMPTS);
        world.workers[0].finish(id);
        assert_eq!(world.shared.lost_races.get(), 0);
        assert_eq!(world.shared.cell().counters.settled.get(), 0);
        let log = world.workers[0].access_log(id);
        assert_eq!(
            (&log["outcome"], &log["cost"]),
            (&json!("settled"), &json!("5"))
        );
        assert_eq!(spent(&mut world), (5, 0), "{promise}");
        assert_eq!(used(&world), (1, 5));
        let counts = [
            Metric::SettledLater,
            Metric::Overruns,
            Metric::Waived,
            Metric::WaivedUnits,
        ]
        .map(|metric| world.workers[0].count(metric));
        assert_eq!(counts, [1, 0, 1, 45], "{promise}");
    }
}
