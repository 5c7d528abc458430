//! How requests end, and what each end costs.

use creditgate_plugin::metrics::Metric;

use crate::world::{Fate, World, key};

const CLIENT_LEFT: u64 = 0x4000;
const UPSTREAM_RESET: u64 = 0x10;
const ROUTE_TIMEOUT: u64 = 0x4;
const STREAM_IDLE: u64 = 0x1_0000;
const UPSTREAM_DURATION: u64 = 0x8_0000;
const REQUEST_DURATION: u64 = 0x40_0000;

/// The end of one request for 1, and what was booked for it.
fn booked(path: &str, end: impl FnOnce(&mut World, u32)) -> (i64, i64) {
    let mut world = World::new(1, 100);
    let id = world.get(0, path);
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    end(&mut world, id);
    world.workers[0].finish(id);
    world.pass(3_000);
    (
        world.plane.first().spent(),
        world.plane.first().outstanding(),
    )
}

fn flags(world: &World, id: u32, flags: u64) {
    world.workers[0].break_off(id, flags);
}

#[test]
fn what_the_upstream_served_is_charged() {
    assert_eq!(
        booked("/one", |world, id| world.workers[0].respond(id, 200, true)),
        (1, 0)
    );
    let chunked = |world: &mut World, id| {
        world.workers[0].respond(id, 200, false);
        world.workers[0].answer(id, b"", true);
    };
    assert_eq!(booked("/one", chunked), (1, 0));
    let not_found = |world: &mut World, id| {
        world.workers[0].respond(id, 404, true);
    };
    assert_eq!(booked("/one", not_found), (1, 0));
    let left_while_it_came = |world: &mut World, id| {
        world.workers[0].respond(id, 429, false);
        flags(world, id, CLIENT_LEFT);
    };
    assert_eq!(booked("/one", left_while_it_came), (1, 0));
}

#[test]
fn an_answer_that_ran_into_a_time_limit_is_charged_once_it_began() {
    for limit in [
        ROUTE_TIMEOUT,
        STREAM_IDLE,
        UPSTREAM_DURATION,
        REQUEST_DURATION,
    ] {
        let midway = |world: &mut World, id| {
            world.workers[0].respond(id, 200, false);
            flags(world, id, limit);
        };
        assert_eq!(booked("/one", midway), (1, 0), "{limit:x}");
        let before_it_began = |world: &mut World, id| {
            world.workers[0].set_property(id, "response.code_details", b"why");
            world.workers[0].set_property(id, "response.flags", &limit.to_le_bytes());
            world.workers[0].respond(id, 504, true);
        };
        assert_eq!(booked("/one", before_it_began), (0, 0), "{limit:x}");
    }
}

#[test]
fn what_the_upstream_failed_at_is_released() {
    assert_eq!(
        booked("/one", |world, id| world.workers[0].respond(id, 503, true)),
        (0, 0)
    );
    assert_eq!(booked("/one", |_, _| {}), (0, 0), "no response at all");
    let reset_midway = |world: &mut World, id| {
        world.workers[0].respond(id, 200, false);
        flags(world, id, UPSTREAM_RESET);
    };
    assert_eq!(booked("/one", reset_midway), (0, 0));
    let refused_by_the_proxy = |world: &mut World, id| {
        world.workers[0].set_property(id, "response.code_details", b"route_not_found");
        world.workers[0].respond(id, 404, true);
    };
    assert_eq!(booked("/one", refused_by_the_proxy), (0, 0));
    let sent_elsewhere_by_the_proxy = |world: &mut World, id| {
        world.workers[0].set_property(id, "response.code_details", b"direct_response");
        world.workers[0].respond(id, 301, true);
    };
    assert_eq!(booked("/one", sent_elsewhere_by_the_proxy), (0, 0));
}

#[test]
fn a_client_that_leaves_pays_if_the_upstream_was_at_work() {
    let during_the_body = |world: &mut World, id| {
        world.workers[0].respond(id, 200, false);
        flags(world, id, CLIENT_LEFT);
    };
    assert_eq!(booked("/one", during_the_body), (1, 0));
    let before_the_response = |world: &mut World, id| {
        flags(world, id, CLIENT_LEFT);
        world.workers[0].set_property(id, "upstream.request_attempt_count", &1_u64.to_le_bytes());
    };
    assert_eq!(booked("/one", before_the_response), (1, 0));
    assert_eq!(
        booked("/one", |world, id| flags(world, id, CLIENT_LEFT)),
        (0, 0),
        "the upstream never heard of it"
    );
}

#[test]
fn a_rule_that_always_charges_does_so_in_one_step() {
    let mut world = World::new(1, 100);
    world.get_and_end(0, "/always", 200);
    let before = world.shared.host_calls.get();
    let id = world.get(0, "/always");
    world.workers[0].finish(id);
    let calls = world.shared.host_calls.get() - before;
    assert_eq!(calls, 5, "headers, clock, get, set, access log");
    world.pass(3_000);
    assert_eq!(
        (
            world.plane.first().spent(),
            world.plane.first().outstanding()
        ),
        (2, 0)
    );
}

#[test]
fn a_paid_request_makes_ten_host_calls() {
    let mut world = World::new(1, 100);
    // The first few are also asked whether another filter has charged them.
    for _ in 0..16 {
        world.get_and_end(0, "/one", 200);
    }
    let all = |world: &World| world.shared.host_calls.get() + world.shared.mark_calls.get();
    let before = all(&world);
    world.get_and_end(0, "/one", 200);
    assert_eq!(all(&world) - before, 10);
}

#[test]
fn admission_gives_up_after_so_many_lost_races_and_settlement_never_does() {
    let mut world = World::with_config(1, 100, r#", "limits": {"cas_attempts": 3}"#);
    let id = world.get(0, "/one");
    world.shared.lost_races.set(3);
    let refused = world.get(0, "/one");
    assert_eq!(
        world.workers[0].refusal(refused),
        (503, "contention".into())
    );
    world.shared.lost_races.set(3);
    world.workers[0].end(id, 200);
    assert_eq!(world.shared.cell().counters.settled.get(), 0);
    world.pass(20);
    assert_eq!(world.shared.cell().counters.settled.get(), 1);
    world.pass(200);
    assert_eq!(world.workers[0].count(Metric::SettledLater), 1);
}

#[test]
fn the_access_log_adds_up_to_the_ledger() {
    let mut world = World::new(2, 50);
    let mut logged = 0;
    for round in 0..60 {
        let path = if round % 3 == 0 { "/five" } else { "/one" };
        let status = if round % 4 == 0 { 503 } else { 200 };
        let worker = round % 2;
        let id = world.get(worker, path);
        if world.workers[worker].fate(id) == Fate::Passed {
            world.workers[worker].end(id, status);
        } else {
            world.workers[worker].finish(id);
        }
        let line = world.workers[worker].access_log(id);
        if let Some(cost) = line["cost"].as_str() {
            logged += cost.parse::<i64>().unwrap();
        }
        world.pass(20);
    }
    world.pass(3_000);
    assert_eq!(world.plane.first().spent(), logged);
}

#[test]
fn a_request_settles_by_the_card_that_admitted_it() {
    let mut world = World::new(1, 100);
    let id = world.get(0, "/one");
    world.plane.card["rules"][0]["price"] = 7.into();
    world.plane.config_version = 2;
    world.pass(100);
    world.workers[0].end(id, 200);
    let next = world.get_and_end(0, "/one", 200);
    world.pass(3_000);
    assert_eq!(world.plane.first().spent(), 8);
    let versions = [id, next].map(|id| world.workers[0].access_log(id)["card_version"].as_u64());
    assert_eq!(versions, [Some(1), Some(2)]);
}

#[test]
fn a_grpc_call_that_the_server_failed_at_or_never_saw_is_released() {
    let (theirs, ours) = ("via_upstream", "direct_response");
    for (status, details, spent) in [
        ("0", theirs, 1),
        ("5", theirs, 1),
        ("14", theirs, 0),
        ("7", ours, 0),
    ] {
        let mut world = World::new(1, 100);
        let headers = [
            ("x-api-key", &*key(1)),
            ("content-type", "application/grpc"),
        ];
        let id = world.workers[0].begin(&headers, "/one");
        world.settle();
        let worker = &mut world.workers[0];
        worker.set_property(id, "response.code_details", details.as_bytes());
        if details == theirs {
            worker.respond(id, 200, false);
            worker.trailer(id, "grpc-status", status);
        } else {
            // The proxy's own answers to gRPC calls are headers alone.
            worker.set_upstream_header(id, "grpc-status", status);
            worker.respond(id, 200, true);
        }
        worker.finish(id);
        world.pass(3_000);
        let account = world.plane.first();
        assert_eq!((account.spent(), account.outstanding()), (spent, 0));
    }
}
