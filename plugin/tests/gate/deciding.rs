//! What becomes of a request, from its headers alone and from memory.

use crate::world::{Fate, World, key};
use creditgate_core::protocol::{Barred, Block, EnforcementMode};

#[test]
fn a_request_is_paid_and_the_next_is_refused_when_the_purse_is_empty() {
    let mut world = World::new(1, 3);
    for left in [2, 1, 0] {
        let id = world.get(0, "/one");
        assert_eq!(world.workers[0].fate(id), Fate::Passed);
        world.workers[0].end(id, 200);
        assert_eq!(
            world.workers[0].response_header(id, "x-credit-remaining"),
            Some(left.to_string())
        );
        assert_eq!(
            world.workers[0].response_header(id, "x-credit-cost"),
            Some("1".into())
        );
    }
    let id = world.get(0, "/one");
    assert_eq!(
        world.workers[0].refusal(id),
        (402, "credit_exhausted".into())
    );
    let Fate::Answered(_, body) = world.workers[0].fate(id) else {
        panic!()
    };
    assert_eq!(
        (&body["balance"], &body["required"], &body["currency"]),
        (&"0".into(), &"1".into(), &"tokens".into())
    );
    assert_eq!(body["top_up_url"], "https://pay.example");
    world.pass(3_000);
    assert_eq!(world.plane.first().spent(), 3);
    assert_eq!(world.plane.first().outstanding(), 0);
}

#[test]
fn an_exhausted_customer_costs_no_call() {
    let mut world = World::new(2, 3);
    for worker in [0, 1] {
        let id = world.get(worker, "/five");
        assert_eq!(
            world.workers[worker].refusal(id),
            (402, "credit_exhausted".into())
        );
    }
    world.pass(500);
    let calls = (world.plane.resolves, world.plane.syncs);
    for _ in 0..1_000 {
        let id = world.get(0, "/five");
        assert_eq!(
            world.workers[0].refusal(id),
            (402, "credit_exhausted".into())
        );
    }
    assert_eq!((world.plane.resolves, world.plane.syncs), calls);
}

#[test]
fn a_dearer_request_is_refused_while_a_cheaper_one_still_passes() {
    let mut world = World::new(1, 3);
    let dear = world.get(0, "/five");
    assert_eq!(world.workers[0].refusal(dear).0, 402);
    let cheap = world.get_and_end(0, "/one", 200);
    assert_eq!(world.workers[0].fate(cheap), Fate::Passed);
}

#[test]
fn requests_that_no_rule_prices_follow_the_card() {
    let mut world = World::new(1, 3);
    for (path, expected) in [
        ("/other", (403, "route_denied")),
        ("/one%2Fx", (400, "path_ambiguous")),
    ] {
        let id = world.get(0, path);
        assert_eq!(
            world.workers[0].refusal(id),
            (expected.0, expected.1.into())
        );
    }
    let worker = &mut world.workers[0];
    let free = worker.begin(&[], "/healthz");
    let nothing = worker.begin(&[], "/nothing");
    let preflight = worker.begin_with(
        &[
            ("origin", b"https://a.example"),
            ("access-control-request-method", b"GET"),
        ],
        "OPTIONS",
        "/one",
    );
    for id in [free, nothing, preflight] {
        assert_eq!(worker.fate(id), Fate::Passed);
    }
}

#[test]
fn bad_credentials_are_refused_without_a_question() {
    let mut world = World::new(1, 3);
    let worker = &mut world.workers[0];
    let good = key(1);
    let long = vec![b'x'; 65_536];
    type Headers<'a> = &'a [(&'a str, &'a [u8])];
    let cases: [(Headers<'_>, &str); 5] = [
        (&[], "credential_missing"),
        (&[("x-api-key", b"hello")], "credential_malformed"),
        (&[("x-api-key", b"\xff\xfe\xfd")], "credential_malformed"),
        (&[("x-api-key", &long)], "credential_malformed"),
        (
            &[
                ("x-api-key", good.as_bytes()),
                ("x-api-key", good.as_bytes()),
            ],
            "credential_ambiguous",
        ),
    ];
    for (headers, code) in cases {
        let id = worker.begin_with(headers, "GET", "/one");
        assert_eq!(worker.refusal(id), (401, code.into()));
    }
    world.settle();
    assert_eq!(world.plane.resolves, 0);
}

#[test]
fn forged_headers_never_reach_the_upstream() {
    let mut world = World::new(1, 3);
    let worker = &mut world.workers[0];
    worker.begin(
        &[
            ("x-api-key", &key(1)),
            ("x-credit-cost", "0"),
            ("x-credit-remaining", "9"),
        ],
        "/one",
    );
    assert_eq!(
        worker.removed_headers(),
        ["x-credit-cost", "x-credit-remaining"]
    );
}

#[test]
fn an_unknown_key_is_asked_about_once_and_a_flood_of_them_is_bounded() {
    let mut world = World::with_config(
        1,
        3,
        r#", "limits": {"unknown_lookups_per_second": 5, "unknown_keys_max": 100}"#,
    );
    let stranger = key(200);
    for _ in 0..10 {
        let id = world.workers[0].begin(&[("x-api-key", &stranger)], "/one");
        world.settle();
        assert_eq!(
            world.workers[0].refusal(id),
            (401, "credential_unknown".into())
        );
    }
    assert_eq!(world.plane.resolves, 1);
    for customer in 10..=190 {
        let id = world.workers[0].begin(&[("x-api-key", &key(customer))], "/one");
        world.settle();
        assert!([401, 503].contains(&world.workers[0].refusal(id).0));
    }
    assert_eq!(world.plane.resolves, 5);
    assert_eq!(world.shared.cells().len(), 0);
    world.pass(1_000);
    let id = world.get_and_end(0, "/one", 200);
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
}

#[test]
fn a_suspension_blocks_at_once_and_the_balance_can_still_be_read() {
    let mut world = World::new(2, 10);
    world.get_and_end(0, "/one", 200);
    world.get_and_end(1, "/one", 200);
    world
        .plane
        .change(|account| account.block = Some(Block::CustomerSuspended));
    world.settle();
    for worker in [0, 1] {
        let id = world.get(worker, "/one");
        assert_eq!(
            world.workers[worker].refusal(id),
            (403, "customer_suspended".into())
        );
    }
    let id = world.get(0, "/.well-known/credit-balance");
    let Fate::Answered(200, body) = world.workers[0].fate(id) else {
        panic!()
    };
    assert_eq!(
        (&body["balance"], &body["blocked"]),
        (&"8".into(), &"customer_suspended".into())
    );
    world.plane.change(|account| account.block = None);
    world.settle();
    let id = world.get(0, "/one");
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
}

#[test]
fn shadow_mode_refuses_nothing_and_moves_no_money() {
    for shadowed in ["filter", "rule", "customer"] {
        let config = if shadowed == "filter" {
            r#", "mode": "shadow""#
        } else {
            ""
        };
        let path = if shadowed == "rule" {
            "/shadow"
        } else {
            "/one"
        };
        let mut world = World::with_config(1, 0, config);
        if shadowed == "customer" {
            world
                .plane
                .change(|account| account.mode = EnforcementMode::Shadow);
        }
        let mut logged = serde_json::Value::Null;
        for _ in 0..3 {
            let id = world.get_and_end(0, path, 200);
            assert_eq!(world.workers[0].fate(id), Fate::Passed, "{shadowed}");
            logged = world.workers[0].access_log(id);
        }
        assert_eq!(
            (&logged["outcome"], &logged["code"]),
            (&"would_refuse".into(), &"credit_exhausted".into())
        );
        world.pass(3_000);
        assert_eq!(
            (
                world.plane.first().spent(),
                world.plane.first().outstanding()
            ),
            (0, 0)
        );
    }
}

#[test]
fn a_drained_instance_gives_everything_back_and_refuses_with_503() {
    let mut world = World::new(2, 100);
    let held = world.get(1, "/five");
    world.get_and_end(0, "/one", 200);
    world.plane.barred = Some(Barred::Draining);
    world.plane.change(|account| {
        account
            .leases
            .values_mut()
            .for_each(|lease| lease.phase = creditgate_core::protocol::Phase::Turn)
    });
    world.pass(40);
    let id = world.get(0, "/one");
    assert_eq!(world.workers[0].refusal(id), (503, "draining".into()));
    assert_eq!(world.plane.first().outstanding(), 5);
    world.workers[1].end(held, 200);
    world.pass(500);
    assert_eq!(
        (
            world.plane.first().outstanding(),
            world.plane.first().spent()
        ),
        (0, 6)
    );
    let syncs = world.plane.syncs;
    world.pass(2_000);
    assert_eq!(
        world.plane.syncs, syncs,
        "a drained instance has nothing more to say"
    );
    world.plane.barred = None;
    world.pass(2_500);
    let id = world.get(0, "/one");
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
}

#[test]
fn an_answer_that_is_not_charged_says_that_it_cost_nothing() {
    let mut world = World::new(1, 3);
    let id = world.get(0, "/one");
    world.workers[0].end(id, 503);
    let header = |name| world.workers[0].response_header(id, name);
    assert_eq!(header("x-credit-cost"), Some("0".into()));
    assert_eq!(header("x-credit-remaining"), Some("3".into()));
}

#[test]
fn only_the_filter_speaks_of_credit_in_responses() {
    let mut world = World::new(1, 3);
    for (path, cost) in [("/healthz", None), ("/shadow", None), ("/one", Some("1"))] {
        let id = world.get(0, path);
        world.workers[0].set_upstream_header(id, "x-credit-cost", "0");
        world.workers[0].set_upstream_header(id, "x-credit-remaining", "999");
        world.workers[0].set_upstream_header(id, "x-credit-warning", "low");
        world.workers[0].end(id, 200);
        let header = |name| world.workers[0].response_header(id, name);
        assert_eq!(header("x-credit-cost").as_deref(), cost, "{path}");
        assert_ne!(header("x-credit-remaining"), Some("999".into()), "{path}");
        if cost.is_none() {
            assert_eq!(header("x-credit-warning"), None, "{path}");
        }
    }
}

#[test]
fn a_grpc_client_is_refused_by_grpc_status() {
    let mut world = World::new(1, 0);
    let id = world.workers[0].begin(
        &[("x-api-key", &key(1)), ("content-type", "application/grpc")],
        "/one",
    );
    world.settle();
    assert_eq!(world.workers[0].reply(id).grpc_status, Some(8));
}

#[test]
fn a_revoked_key_is_asked_about_again() {
    let mut world = World::new(1, 10);
    world.get_and_end(0, "/one", 200);
    let resolves = world.plane.resolves;
    world.plane.change(|account| account.credential_version = 2);
    world.settle();
    let id = world.get(0, "/one");
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    assert_eq!(world.plane.resolves, resolves + 1);
}

#[test]
fn a_flood_of_strangers_does_not_keep_a_known_key_from_being_looked_up_again() {
    let limits = r#", "limits": {"unknown_lookups_per_second": 3}"#;
    let mut world = World::with_config(1, 10, limits);
    world.get_and_end(0, "/one", 200);
    for customer in 10..=60 {
        world.workers[0].begin(&[("x-api-key", &key(customer))], "/one");
    }
    world.settle();
    world.plane.change(|account| account.credential_version = 2);
    world.settle();
    let id = world.get(0, "/one");
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    assert_eq!(
        world.plane.resolves, 5,
        "twice the customer, three strangers"
    );
}
