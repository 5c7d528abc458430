//! Answers that come faster than their credit: they wait for it, however much of them there is.

use creditgate_plugin::metrics::Metric;
use serde_json::json;

use crate::world::{Fate, World};

const PIECE: usize = 64 * 1024;

/// A world in which a byte of an answer costs 1; nothing is lent ahead.
fn world(purse: i64) -> World {
    let bytes = json!([{ "meter": "response_bytes", "price": 1 }]);
    let rules = json!([{ "id": "bytes", "path": { "exact": "/bytes" }, "promise": "metered", "meters": bytes }]);
    let mut world = World::with_rules(purse, "", rules);
    world.plane.ahead = 0;
    world
}

fn begin(world: &mut World, content_type: &str) -> u32 {
    let id = world.get(0, "/bytes");
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    world.workers[0].set_upstream_header(id, "content-type", content_type);
    world.workers[0].respond(id, 200, false);
    id
}

fn events(count: usize) -> String {
    "data: xxxxxxxxxx\n\n".repeat(count)
}

fn spent(world: &mut World) -> (i64, i64) {
    world.pass(3_000);
    let account = world.plane.first();
    (account.spent(), account.outstanding())
}

#[test]
fn a_fast_download_waits_for_its_credit_however_much_of_it_has_come() {
    let mut world = world(10_000_000);
    let id = begin(&mut world, "application/octet-stream");
    let piece = [b'a'; PIECE];
    // All that came while it asked, and then as the credit comes.
    for _ in 0..20 {
        world.workers[0].answer(id, &piece, false);
    }
    assert_eq!(world.workers[0].delivered(id), "", "it is not paid for");
    world.settle();
    assert_eq!(world.workers[0].delivered(id).len(), 20 * PIECE);
    for number in 0..20 {
        world.workers[0].answer(id, &piece, number == 19);
        world.settle();
    }
    assert_eq!(world.workers[0].delivered(id).len(), 40 * PIECE);
    world.workers[0].finish(id);
    assert_eq!(spent(&mut world).0, 40 * 65_536);
    assert_eq!(world.workers[0].count(Metric::StreamsEnded), 0);
}

#[test]
fn what_comes_after_a_piece_out_of_sight_passes_at_once() {
    let mut world = world(10_000_000);
    world.plane.ahead = 1_000_000;
    let id = begin(&mut world, "application/octet-stream");
    world.workers[0].answer(id, &[b'a'; 4 * PIECE], false);
    world.settle();
    assert_eq!(world.workers[0].delivered(id).len(), 4 * PIECE);
    world.workers[0].answer(id, b"behind it", false);
    assert_eq!(world.workers[0].delivered(id).len(), 4 * PIECE + 9);
}

#[test]
fn a_stream_of_events_that_is_priced_by_its_bytes_ends_with_an_event_more() {
    let mut world = world(1_000);
    let id = begin(&mut world, "text/event-stream");
    while !world.workers[0].is_cut(id) {
        world.workers[0].answer(id, events(2).as_bytes(), false);
        world.pass(60);
    }
    let delivered = world.workers[0].delivered(id);
    let (paid, last) = delivered.split_once("event: error").unwrap();
    assert!(last.contains("credit_exhausted"), "{last}");
    assert_eq!(paid, events(paid.len() / events(1).len()));
    world.workers[0].finish(id);
    let paid = i64::try_from(paid.len()).unwrap();
    assert!((950..=1_000).contains(&paid), "{paid}");
    assert_eq!(spent(&mut world), (paid, 0));
}

#[test]
fn a_stream_of_events_of_which_too_much_waits_goes_on_when_its_credit_has_come() {
    let mut world = world(10_000_000);
    let id = begin(&mut world, "text/event-stream");
    let piece = events(4_000);
    for _ in 0..10 {
        world.workers[0].answer(id, piece.as_bytes(), false);
    }
    assert_eq!(world.workers[0].delivered(id), "");
    world.settle();
    world.workers[0].answer(id, piece.as_bytes(), true);
    world.settle();
    assert_eq!(world.workers[0].delivered(id), piece.repeat(11));
    world.workers[0].finish(id);
    let bytes = i64::try_from(11 * piece.len()).unwrap();
    assert_eq!(spent(&mut world).0, bytes);
}

#[test]
fn what_is_out_of_sight_when_no_credit_comes_is_dropped_and_not_charged() {
    for content_type in ["application/octet-stream", "text/event-stream"] {
        let mut world = world(1_000_000);
        world.plane.ahead = 200_000;
        let id = begin(&mut world, content_type);
        let piece = events(4_000);
        world.workers[0].answer(id, piece.as_bytes(), false);
        world.settle();
        let passed = world.workers[0].delivered(id).len();
        assert_eq!(passed, piece.len(), "{content_type}");
        world.plane.is_down = true;
        for _ in 0..10 {
            world.workers[0].answer(id, piece.as_bytes(), false);
        }
        world.pass(900);
        assert!(!world.workers[0].is_cut(id), "{content_type}");
        world.pass(300);
        assert!(world.workers[0].is_cut(id), "{content_type}");
        let delivered = world.workers[0].delivered(id).len();
        world.workers[0].finish(id);
        world.plane.is_down = false;
        let charged = i64::try_from(delivered).unwrap();
        assert_eq!(spent(&mut world).0, charged, "{content_type}");
        assert_eq!(world.workers[0].access_log(id)["settled_by"], "ended");
    }
}

#[test]
fn trailers_wait_behind_what_is_out_of_sight() {
    let mut world = world(1_000_000);
    let id = begin(&mut world, "application/grpc");
    world.workers[0].answer(id, &[b'a'; PIECE], false);
    world.workers[0].answer(id, &[b'a'; PIECE], false);
    assert!(!world.workers[0].trailer(id, "grpc-status", "0"));
    world.settle();
    assert_eq!(world.workers[0].delivered(id).len(), 2 * PIECE);
    world.workers[0].finish(id);
    assert_eq!(spent(&mut world), (2 * 65_536, 0));
}

#[test]
fn a_proxy_that_can_not_be_throttled_holds_back_up_to_a_bound() {
    let mut world = world(10_000_000);
    world.shared.never_throttles.set(true);
    let id = begin(&mut world, "application/octet-stream");
    for _ in 0..6 {
        if !world.workers[0].is_cut(id) {
            world.workers[0].answer(id, &[b'a'; PIECE], false);
        }
    }
    assert!(world.workers[0].is_cut(id));
    world.workers[0].finish(id);
    assert_eq!(spent(&mut world), (0, 0));
}

#[test]
fn the_rest_of_an_event_that_had_begun_passes_unpaid_and_is_counted() {
    let mut world = world(100);
    let id = begin(&mut world, "text/event-stream");
    for piece in events(20).as_bytes().chunks(10) {
        if !world.workers[0].is_cut(id) {
            world.workers[0].answer(id, piece, false);
            world.pass(60);
        }
    }
    let delivered = world.workers[0].delivered(id);
    let (passed, _) = delivered.split_once("event: error").unwrap();
    // Five events and the beginning of the sixth are paid for.
    assert_eq!(passed, events(6));
    world.workers[0].finish(id);
    let beyond = u64::try_from(passed.len()).unwrap() - 100;
    assert_eq!(spent(&mut world), (100, 0));
    assert_eq!(world.workers[0].count(Metric::OvershootUnits), beyond);
}

#[test]
fn nothing_passes_behind_the_event_that_says_why_though_more_comes_before_it_has_gone() {
    let mut world = world(100);
    let id = begin(&mut world, "text/event-stream");
    let worker = &mut world.workers[0];
    // It waits, and is let go from the root, as are all pieces after it.
    worker.answer(id, format!("data: {}", "x".repeat(90)).as_bytes(), false);
    world.settle();
    world.workers[0].answer(id, &[b'x'; 40], false);
    world.pass(60);
    let long = format!("{}\n\n", "x".repeat(40_000));
    world.workers[0].answer(id, long.as_bytes(), false);
    world.workers[0].answer(id, events(1_000).as_bytes(), false);
    world.settle();
    let delivered = world.workers[0].delivered(id);
    let (_, last) = delivered.split_once("event: error").unwrap();
    assert!(last.ends_with("}\n\n"), "{} bytes", last.len());
    assert!(!last.contains("data: xxx"));
    world.pass(60);
    assert!(world.workers[0].is_cut(id));
}

#[test]
fn who_leaves_while_something_waits_out_of_sight_pays_for_what_has_passed() {
    for on_empty in ["end", "finish"] {
        let mut world = world(1_000_000);
        world.plane.card["rules"][0]["on_empty"] = json!(on_empty);
        world.plane.config_version += 1;
        world.pass(40);
        let id = begin(&mut world, "application/octet-stream");
        world.workers[0].answer(id, &[b'a'; 1_000], false);
        world.settle();
        world.plane.is_down = true;
        world.workers[0].answer(id, &[b'a'; 4 * PIECE], false);
        world.workers[0].answer(id, &[b'a'; 4 * PIECE], false);
        let passed = i64::try_from(world.workers[0].delivered(id).len()).unwrap();
        assert_eq!(passed, 1_000);
        world.workers[0].finish(id);
        world.plane.is_down = false;
        assert_eq!(spent(&mut world).0, passed, "{on_empty}");
        assert_eq!(world.workers[0].count(Metric::OvershootUnits), 0);
        assert_eq!(world.workers[0].count(Metric::Overruns), 0);
        assert_eq!(world.workers[0].access_log(id)["settled_by"], "passed");
    }
}

/// A world in which a second costs 1.
fn timed_world(purse: i64) -> World {
    let seconds = json!([{ "meter": "seconds", "price": 1 }]);
    let rules = json!([{ "id": "time", "path": { "exact": "/bytes" }, "promise": "metered", "meters": seconds }]);
    World::with_rules(purse, "", rules)
}

#[test]
fn a_stream_of_events_whose_time_is_up_ends_with_its_next_event() {
    let mut world = timed_world(5);
    let id = begin(&mut world, "text/event-stream");
    world.workers[0].answer(id, events(1).as_bytes(), false);
    for _ in 0..100 {
        if world.workers[0].is_cut(id) {
            break;
        }
        world.pass(100);
        world.workers[0].answer(id, events(1).as_bytes(), false);
    }
    world.pass(60);
    let delivered = world.workers[0].delivered(id);
    let (passed, last) = delivered.split_once("event: error").unwrap();
    assert!(passed.ends_with("\n\n") && last.contains("credit_exhausted"));
    assert!(world.workers[0].is_cut(id));
    world.workers[0].finish(id);
    assert_eq!(spent(&mut world).0, 5);
}

#[test]
fn a_stream_of_events_whose_time_is_up_and_that_stays_silent_is_cut_off() {
    let mut world = timed_world(2);
    let id = begin(&mut world, "text/event-stream");
    world.workers[0].answer(id, events(1).as_bytes(), false);
    world.pass(8_000);
    assert!(world.workers[0].is_cut(id));
    assert_eq!(world.workers[0].delivered(id), events(1));
    world.workers[0].finish(id);
    assert_eq!(spent(&mut world).0, 2);
}
