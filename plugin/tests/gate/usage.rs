//! Usage detail: what was settled is told once, whatever becomes of the messages.

use std::collections::BTreeMap;

use creditgate_core::detail::{OTHER, SettledBy, StatusClass};
use creditgate_core::key::credential_hash;
use creditgate_core::protocol::{Barred, USAGE_ROWS_MAX};
use creditgate_plugin::metrics::Metric;
use serde_json::json;

use crate::world::{World, account, key};

pub(crate) const PATH: &str = "/usage";

/// What was told to have been used, by customer: requests and cost.
pub(crate) fn told(world: &World) -> BTreeMap<u128, (u64, i64)> {
    let mut sums: BTreeMap<u128, (u64, i64)> = BTreeMap::new();
    for row in &world.plane.used {
        let (requests, cost) = sums.entry(row.account.0).or_default();
        *requests += row.counts.requests();
        *cost += row.cost.get();
    }
    sums
}

fn requests(world: &mut World, count: u32) {
    for _ in 0..count {
        world.get_and_end(0, "/one", 200);
    }
}

#[test]
fn a_row_says_who_paid_for_what_and_how_it_was_settled() {
    let mut world = World::new(1, 100);
    world.get_and_end(0, "/five", 200);
    world.get_and_end(0, "/five", 200);
    world.get_and_end(0, "/five", 503);
    world.get_and_end(0, "/always", 404);
    world.pass(1_000);
    let rows = world.plane.used.iter().map(|row| {
        assert_eq!(row.account, account(1));
        assert_eq!(row.credential, Some(credential_hash(&key(1))));
        assert_eq!((row.card_version, row.model.as_deref()), (1, None));
        let (status, requests) = (row.status, row.counts.requests());
        (
            row.rule.as_str(),
            status,
            row.settled_by,
            requests,
            row.cost.get(),
        )
    });
    let mut rows: Vec<_> = rows.collect();
    rows.sort_unstable();
    let class = StatusClass::of;
    let expected = [
        ("always", class(404), SettledBy::Price, 1, 1),
        ("five", class(200), SettledBy::Price, 2, 10),
        ("five", class(503), SettledBy::Nothing, 1, 0),
    ];
    assert_eq!(rows, expected);
    assert_eq!(world.plane.first().spent(), 11);
}

#[test]
fn what_was_measured_is_counted_by_the_model_that_answered() {
    let mut world = World::with_config(1, 10_000, r#", "reads_bodies": true"#);
    world.plane.card = json!({
        "name": "test", "currency": "tokens", "scale": 0, "default": "deny",
        "models": [{ "model": "small*", "per": 1, "input": 1, "output": 2 }],
        "rules": [{ "id": "chat", "methods": ["POST"], "path": { "exact": "/chat" },
            "meters": [{ "meter": "response_bytes", "price": 0 }],
            "tokens": { "format": "openai_chat", "output_tokens_max": 50 } }],
    });
    world.plane.config_version += 1;
    world.pass(40);
    let (key, body) = (
        key(1),
        json!({ "model": "small", "messages": [] }).to_string(),
    );
    let id = world.workers[0].begin_with(&[("x-api-key", key.as_bytes())], "POST", "/chat");
    world.workers[0].send(id, body.as_bytes(), true);
    world.settle();
    let answer = r#"{"model": "small-2", "usage": {"prompt_tokens": 7, "completion_tokens": 5}}"#;
    world.workers[0].set_upstream_header(id, "content-type", "application/json");
    world.workers[0].respond(id, 200, false);
    world.workers[0].answer(id, answer.as_bytes(), true);
    world.workers[0].finish(id);
    world.pass(1_000);
    let [row] = &world.plane.used[..] else {
        panic!("{:?}", world.plane.used)
    };
    assert_eq!(
        (row.model.as_deref(), row.cost.get()),
        (Some("small-2"), 17)
    );
    let counts = serde_json::to_value(row.counts).unwrap();
    let length = answer.len().to_string();
    let expected = json!({ "requests": "1", "response_bytes": length,
        "request_bytes": body.len().to_string(), "input_tokens": "7", "output_tokens": "5" });
    assert_eq!(counts, expected);
}

#[test]
fn a_batch_is_sent_again_as_it_is_until_it_is_acknowledged() {
    let mut world = World::new(1, 1_000);
    requests(&mut world, 1);
    world.pass(1_000);
    // It arrives, but nobody hears so.
    world.plane.loses = Some(PATH);
    requests(&mut world, 3);
    world.pass(500);
    // What comes meanwhile waits for the next.
    requests(&mut world, 4);
    world.pass(8_000);
    world.plane.loses = None;
    world.pass(4_000);
    let sent = &world.plane.batches;
    let again = sent.iter().filter(|batch| batch.number == 2);
    let again: Vec<_> = again.collect();
    assert!(again.len() > 2, "{}", again.len());
    assert!(again.iter().all(|batch| batch.rows == again[0].rows));
    assert_eq!(again[0].rows[0].counts.requests(), 3);
    assert_eq!(sent.last().map(|batch| batch.number), Some(3));
    assert_eq!(told(&world)[&1], (8, 8));
    assert_eq!(world.plane.first().spent(), 8);
}

#[test]
fn an_outage_loses_nothing_and_keeps_no_lease_waiting() {
    let mut world = World::new(1, 1_000);
    requests(&mut world, 1);
    world.pass(1_000);
    world.plane.unheard = Some(PATH);
    for _ in 0..50 {
        requests(&mut world, 2);
        world.pass(100);
    }
    assert_eq!(told(&world)[&1], (1, 1));
    assert_eq!(world.plane.first().spent(), 101, "reports go on meanwhile");
    world.plane.unheard = None;
    world.pass(4_000);
    assert_eq!(told(&world)[&1], (101, 101));
}

#[test]
fn workers_tell_each_what_it_settled() {
    let mut world = World::new(3, 1_000);
    for round in 0..30 {
        world.get_and_end(round % 3, "/one", 200);
        world.pass(40);
    }
    world.pass(2_000);
    assert_eq!(told(&world)[&1], (30, 30));
    let mut sources: Vec<u64> = world
        .plane
        .batches
        .iter()
        .map(|batch| batch.source)
        .collect();
    sources.sort_unstable();
    sources.dedup();
    assert_eq!(sources.len(), 3);
}

#[test]
fn a_worker_that_dies_takes_only_what_it_had_not_told() {
    let mut world = World::new(2, 1_000);
    requests(&mut world, 5);
    world.pass(1_000);
    requests(&mut world, 2);
    world.workers.remove(0);
    world.plane.overdue = vec![account(1)];
    world.pass(4_000);
    assert_eq!(told(&world)[&1], (5, 5));
    assert_eq!(world.plane.first().spent(), 7, "two are unattributed");
}

#[test]
fn a_worker_that_closes_tells_what_it_has() {
    let mut world = World::new(1, 1_000);
    requests(&mut world, 1);
    world.pass(1_000);
    requests(&mut world, 2);
    world.workers[0].close();
    world.settle();
    assert_eq!(told(&world)[&1], (3, 3));
}

#[test]
fn a_process_that_is_drained_tells_at_once_what_ends_meanwhile() {
    let mut world = World::new(2, 1_000);
    requests(&mut world, 1);
    world.pass(2_000);
    // A round has just begun, so the next is a second away.
    requests(&mut world, 1);
    let ids: Vec<_> = (0..2).map(|worker| world.get(worker, "/one")).collect();
    world.plane.barred = Some(Barred::Draining);
    world.pass(200);
    assert_eq!(told(&world)[&1], (2, 2));
    for (worker, id) in ids.into_iter().enumerate() {
        world.workers[worker].end(id, 200);
        world.pass(40);
        let ended = 3 + worker as u64;
        assert_eq!(told(&world)[&1], (ended, ended as i64));
    }
}

#[test]
fn batches_that_overtake_each_other_when_a_worker_closes_are_all_counted() {
    let mut world = World::new(1, 10);
    for customer in 2..200 {
        world.plane.add_customer(customer, 10);
    }
    for customer in 2..200 {
        for path in ["/one", "/five"] {
            let id = world.workers[0].begin(&[("x-api-key", &key(customer))], path);
            world.settle();
            world.workers[0].end(id, 200);
        }
    }
    world.workers[0].close();
    let calls = world.workers[0].take_calls();
    let told_last = calls.iter().filter(|call| call.path.ends_with(PATH));
    assert!(told_last.count() > 1);
    for call in calls.into_iter().rev() {
        world.workers[0].put_back(call);
    }
    world.settle();
    assert_eq!(told(&world).len(), 198);
    assert!(told(&world).values().all(|sums| *sums == (2, 6)));
}

#[test]
fn beyond_the_bound_of_rows_costs_still_add_up() {
    let mut world = World::with_config(1, 10_000, r#", "limits": {"usage_rows_max": 16}"#);
    let mut rules = Vec::new();
    for number in 0..40 {
        let path = format!("/rule-{number}");
        rules
            .push(json!({ "id": format!("rule-{number}"), "path": { "exact": path }, "price": 1 }));
    }
    world.plane.card["rules"] = rules.into();
    world.plane.config_version += 1;
    world.pass(40);
    world.plane.unheard = Some(PATH);
    for number in 0..40 {
        world.get_and_end(0, &format!("/rule-{number}"), 200);
    }
    world.pass(200);
    for number in 0..40 {
        world.get_and_end(0, &format!("/rule-{number}"), 200);
    }
    world.plane.unheard = None;
    world.pass(3_000);
    assert_eq!(told(&world)[&1], (80, 80));
    let rows = &world.plane.used;
    assert!(rows.len() <= 2 * (16 / 8 + 1), "{}", rows.len());
    let merged = rows.iter().filter(|row| row.rule == OTHER);
    let merged: u64 = merged.map(|row| row.counts.requests()).sum();
    assert_eq!(world.workers[0].count(Metric::UsageMerged), merged);
    assert_eq!(world.workers[0].count(Metric::UsageDropped), 0);
}

#[test]
fn many_rows_go_out_in_batches_of_bounded_size() {
    let mut world = World::new(1, 10);
    for customer in 2..200 {
        world.plane.add_customer(customer, 10);
    }
    world.plane.unheard = Some(PATH);
    for customer in 2..200 {
        for path in ["/one", "/five"] {
            let id = world.workers[0].begin(&[("x-api-key", &key(customer))], path);
            world.settle();
            world.workers[0].end(id, 200);
        }
    }
    world.plane.unheard = None;
    world.pass(3_000);
    assert_eq!(world.plane.used.len(), 396);
    assert!(told(&world).values().all(|sums| *sums == (2, 6)));
    let sizes = world.plane.batches.iter().map(|batch| batch.rows.len());
    assert_eq!(sizes.max(), Some(USAGE_ROWS_MAX));
}

#[test]
fn what_lost_its_races_is_told_once_it_is_booked() {
    let mut world = World::with_config(1, 100, r#", "limits": {"cas_attempts": 3}"#);
    let id = world.get(0, "/one");
    world.shared.lost_races.set(6);
    world.workers[0].end(id, 200);
    world.pass(20);
    world.pass(2_000);
    assert_eq!(told(&world)[&1], (1, 1));
    assert_eq!(world.plane.first().spent(), 1);
}

#[test]
fn what_no_lease_knows_any_more_is_left_to_the_control_plane() {
    let mut world = World::new(1, 100);
    requests(&mut world, 1);
    let id = world.get(0, "/one");
    world.pass(1_000);
    world.shared.erase_cells();
    world.workers[0].end(id, 200);
    world.pass(3_000);
    assert_eq!(world.workers[0].access_log(id)["outcome"], "gone");
    assert_eq!(told(&world)[&1], (1, 1), "its cost was never reported");
}

#[test]
fn telling_usage_adds_no_host_call_to_a_request() {
    let mut world = World::new(1, 1_000);
    requests(&mut world, 1);
    let before = world.shared.host_calls.get();
    requests(&mut world, 5);
    assert_eq!(world.shared.host_calls.get() - before, 50);
    world.pass(2_000);
    assert_eq!(
        world
            .plane
            .used
            .iter()
            .map(|row| row.counts.requests())
            .sum::<u64>(),
        6
    );
}

#[test]
fn the_access_log_names_what_leads_to_the_ledger() {
    let mut world = World::new(1, 100);
    let id = world.get_and_end(0, "/five", 200);
    world.pass(1_000);
    let line = world.workers[0].access_log(id);
    let (batch, report) = (&world.plane.batches[0], &world.plane.reports[0]);
    assert_eq!(line["instance"], json!(batch.hello.instance));
    assert_eq!(line["account"], json!(report.account));
    assert_eq!(line["lease"], report.lease.to_string());
    assert_eq!(
        (&line["rule"], &line["card_version"]),
        (&json!("five"), &json!(1))
    );
}
