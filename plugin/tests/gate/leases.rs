//! Leases and their cells: nothing is lent twice, nothing stays where it is not used.

use creditgate_core::cell::Cell;
use creditgate_core::lease::LeaseNumber;
use creditgate_core::protocol::Phase;
use creditgate_plugin::metrics::Metric;

use crate::world::{Fate, World, account, key};

#[test]
fn an_idle_cell_gives_everything_back_and_falls_silent() {
    let mut world = World::new(2, 100);
    world.get_and_end(0, "/one", 200);
    world.pass(500);
    assert_ne!(world.plane.first().outstanding(), 0);
    world.pass(2_500);
    assert_eq!(
        (
            world.plane.first().outstanding(),
            world.plane.first().spent()
        ),
        (0, 1)
    );
    let syncs = world.plane.syncs;
    world.pass(30_000);
    assert_eq!(world.plane.syncs, syncs);
    let id = world.get(0, "/one");
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
}

#[test]
fn a_busy_cell_is_reported_once_an_interval_whatever_the_number_of_workers() {
    let mut world = World::new(4, 100_000);
    world.plane.ahead = 10_000;
    let before = world.plane.syncs;
    for _ in 0..50 {
        for worker in 0..4 {
            world.get_and_end(worker, "/one", 200);
        }
        world.pass(20);
    }
    let syncs = world.plane.syncs - before;
    assert!(
        (8..=16).contains(&syncs),
        "{syncs} reports in one second at one each 100 ms"
    );
}

#[test]
fn a_turned_lease_settles_what_it_held_and_new_credit_comes_under_a_new_number() {
    let mut world = World::new(1, 100);
    let held = world.get(0, "/five");
    let before = world.shared.cell().lease;
    world.plane.change(|account| {
        account
            .leases
            .values_mut()
            .for_each(|lease| lease.phase = Phase::Turn)
    });
    world.settle();
    world.pass(200);
    let id = world.get_and_end(0, "/one", 200);
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    let cell = world.shared.cell();
    assert!(cell.lease > before);
    assert_eq!(cell.previous.map(|previous| previous.lease), Some(before));
    world.workers[0].end(held, 200);
    world.pass(3_000);
    assert_eq!(world.shared.cell().previous, None);
    assert_eq!(
        (
            world.plane.first().spent(),
            world.plane.first().outstanding()
        ),
        (6, 0)
    );
}

#[test]
fn a_held_request_is_served_at_once_after_the_lease_was_turned() {
    let mut world = World::new(1, 100);
    world.get_and_end(0, "/one", 200);
    world.plane.change(|account| {
        account
            .leases
            .values_mut()
            .for_each(|lease| lease.phase = Phase::Turn)
    });
    world.settle();
    let id = world.get(0, "/one");
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
}

#[test]
fn a_lease_that_outlived_the_longest_stream_is_turned_and_what_it_holds_declared_dead() {
    let mut world = World::new(1, 100);
    world.plane.timing.max_stream_ms = 5_000;
    world.plane.config_version = 2;
    world.pass(100);
    let trapped = world.get(0, "/five");
    for _ in 0..60 {
        world.get_and_end(0, "/one", 200);
        world.pass(200);
    }
    assert!(world.plane.reports.iter().any(|report| {
        report
            .previous
            .as_ref()
            .is_some_and(|previous| previous.dead)
    }));
    assert!(world.plane.first().leases.len() >= 2);
    world.workers[0].end(trapped, 200);
    world.workers[0].tick();
    world.pass(200);
    assert_eq!(world.workers[0].count(Metric::SettledGone), 1);
}

#[test]
fn credit_called_back_is_returned_and_reported_at_once() {
    let mut world = World::new(1, 100);
    world.get_and_end(0, "/one", 200);
    world.pass(120);
    let cell = world.shared.cell();
    assert!(cell.counters.remaining().get() > 1);
    let mut answer = world
        .plane
        .first()
        .answer(account(1), cell.lease, 8_000, None);
    answer.keep = Some(creditgate_core::amount::Amount::new(1));
    answer.state.version += 1;
    world.plane.first().version += 1;
    world.plane.recall = Some(answer);
    world.plane.touch(account(1));
    world.settle();
    assert_eq!(world.shared.cell().counters.remaining().get(), 1);
    assert_eq!(world.plane.first().outstanding(), 1);
}

#[test]
fn an_erased_cell_starts_a_new_lease_and_never_lends_the_same_credit_twice() {
    let mut world = World::new(2, 20);
    world.get_and_end(0, "/one", 200);
    world.pass(1_600);
    let lost = world.plane.first().outstanding();
    assert_ne!(lost, 0);
    world.shared.erase_cells();
    let mut passed = 1;
    for round in 0..40 {
        let id = world.get(round % 2, "/one");
        if world.workers[round % 2].fate(id) == Fate::Passed {
            passed += 1;
            world.workers[round % 2].end(id, 200);
        }
        world.pass(20);
    }
    assert_eq!(passed, 20 - lost);
    world.pass(3_000);
    assert_eq!(
        (
            world.plane.first().spent(),
            world.plane.first().outstanding()
        ),
        (passed, lost)
    );
}

#[test]
fn a_cell_erased_during_a_request_is_settled_by_the_control_plane() {
    let mut world = World::new(1, 20);
    let id = world.get(0, "/one");
    world.shared.erase_cells();
    world.workers[0].end(id, 200);
    world.pass(400);
    assert_eq!(world.workers[0].count(Metric::SettledGone), 1);
    assert_eq!(world.workers[0].access_log(id)["outcome"], "gone");
}

#[test]
fn unreadable_bytes_in_a_slot_are_a_lost_cell() {
    let mut world = World::new(1, 20);
    world.get_and_end(0, "/one", 200);
    world.pass(1_600);
    for (key, (value, _)) in world.shared.data.borrow_mut().iter_mut() {
        if key.starts_with('c') {
            *value = b"rubbish".to_vec();
        }
    }
    let id = world.get(0, "/one");
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    assert_eq!(world.shared.cells().len(), 1);
}

#[test]
fn at_the_cap_of_cells_unused_ones_are_reused_and_then_capacity_is_refused() {
    let mut world = World::with_config(1, 100, r#", "limits": {"cells_max": 16}"#);
    let mut fates = Vec::new();
    for customer in 2..=18 {
        world.plane.add_customer(customer, 100);
        let id = world.workers[0].begin(&[("x-api-key", &key(customer))], "/one");
        world.settle();
        fates.push(world.workers[0].fate(id));
        if fates.last() == Some(&Fate::Passed) {
            world.workers[0].end(id, 200);
        } else {
            assert_eq!(world.workers[0].refusal(id), (503, "capacity".into()));
        }
    }
    assert_eq!(
        fates.iter().filter(|fate| **fate == Fate::Passed).count(),
        16
    );
    let outstanding = |world: &World| {
        world
            .plane
            .accounts
            .values()
            .map(|account| account.outstanding())
            .sum::<i64>()
    };
    world.pass(15_000);
    assert_eq!(
        outstanding(&world),
        0,
        "credit for which there was no cell went back, too"
    );
    let id = world.workers[0].begin(&[("x-api-key", &key(18))], "/one");
    world.settle();
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    assert_eq!(world.shared.cells().len(), 16);
}

#[test]
fn closing_a_worker_gives_back_what_it_looked_after() {
    let mut world = World::new(2, 100);
    world.get_and_end(0, "/one", 200);
    world.workers[0].close();
    world.settle();
    assert_eq!(
        (
            world.plane.first().spent(),
            world.plane.first().outstanding()
        ),
        (1, 0)
    );
}

#[test]
fn a_worker_that_vanished_leaves_its_cell_to_whoever_the_control_plane_asks() {
    let mut world = World::new(2, 100);
    world.get_and_end(1, "/one", 200);
    world.pass(60);
    let lent = world.plane.first().outstanding();
    assert_ne!(lent, 0);
    world.workers.remove(1);
    world.pass(5_000);
    assert_eq!(world.plane.first().outstanding(), lent);
    world.plane.overdue.push(account(1));
    world.pass(5_000);
    assert_eq!(world.plane.first().outstanding(), 0);
}

#[test]
fn a_ledger_of_another_epoch_gets_nothing_of_what_it_never_lent() {
    let mut world = World::new(2, 100);
    let held = world.get(0, "/five");
    world.get_and_end(1, "/one", 200);
    let before = world.shared.cell().lease;
    world.plane.epoch = 8;
    world.plane.first().leases.clear();
    world.plane.touch(account(1));
    world.pass(500);
    assert_eq!(world.shared.cell().counters.remaining().get(), 0);
    let id = world.get(0, "/one");
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    assert!(world.shared.cell().lease > before);
    world.workers[0].end(held, 200);
    world.workers[0].end(id, 200);
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
fn a_restored_ledgers_lower_versions_are_believed_by_every_worker() {
    let mut world = World::new(2, 100);
    world.get_and_end(0, "/one", 200);
    world.get_and_end(1, "/one", 200);
    world.plane.change(|account| {
        account.block = Some(creditgate_core::protocol::Block::CustomerSuspended);
        account.version = 1_000;
    });
    world.settle();
    let id = world.get(0, "/one");
    assert_eq!(world.workers[0].refusal(id).0, 403);
    // Nobody looks after the cell any more when the ledger is replaced by an older one.
    world.pass(10_000);
    world.plane.epoch = 8;
    world.plane.cursor = 0;
    world.plane.changed.clear();
    let account = world.plane.first();
    (account.version, account.block) = (2, None);
    account.leases.clear();
    world.pass(500);
    for worker in [1, 0, 1] {
        let id = world.get_and_end(worker, "/one", 200);
        assert_eq!(world.workers[worker].fate(id), Fate::Passed);
    }
    world.pass(3_000);
    assert_eq!(
        (
            world.plane.first().spent(),
            world.plane.first().outstanding()
        ),
        (3, 0)
    );
}

#[test]
fn what_a_restored_ledger_knows_less_of_is_never_reported_to_it() {
    let mut world = World::new(2, 100);
    world.plane.ahead = 20;
    let held = world.get(0, "/five");
    world.get_and_end(1, "/one", 200);
    world.pass(120);
    let old = world.shared.cell().lease;
    world.plane.epoch = 8;
    // The backup is of a time when less was lent; the plane would not stand a report of more.
    for lease in world.plane.first().leases.values_mut() {
        lease.counters.granted = creditgate_core::amount::Amount::new(1);
        lease.phase = Phase::Closed;
    }
    world.plane.touch(account(1));
    let told = world.plane.reports.len();
    world.pass(500);
    world.workers[0].end(held, 200);
    let id = world.get_and_end(0, "/one", 200);
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
    world.pass(3_000);
    // But for those that were asked before anybody could know.
    let after = world.plane.reports.iter().skip(told + 1);
    let names_old = after.filter(|report| {
        report.lease == old
            || report
                .previous
                .as_ref()
                .is_some_and(|previous| previous.lease == old)
    });
    assert_eq!(names_old.count(), 0);
    assert_eq!(world.workers[0].count(Metric::SettledGone), 1);
}

#[test]
fn an_answer_of_the_ledger_before_changes_nothing() {
    let mut world = World::new(1, 100);
    world.get_and_end(0, "/one", 200);
    world.pass(2_500);
    world.get_and_end(0, "/one", 200);
    world.shared.now_ms.set(world.shared.now_ms.get() + 200);
    world.workers[0].tick();
    let now_ms = world.workers[0].now_ms();
    let calls = world.workers[0].take_calls();
    let (syncs, others): (Vec<_>, Vec<_>) = calls
        .into_iter()
        .partition(|call| call.path.ends_with("sync"));
    assert_eq!(syncs.len(), 1);
    let late = world.plane.answer(&syncs[0], now_ms).unwrap();
    others
        .into_iter()
        .for_each(|call| world.workers[0].put_back(call));
    world.plane.epoch = 8;
    world.plane.first().leases.clear();
    world.pass(500);
    let cell = world.shared.cell();
    world.workers[0].deliver(syncs[0].token, &late);
    assert_eq!(world.shared.cell().version, cell.version);
    assert_eq!(world.shared.cell().lease, cell.lease);
    let id = world.get(0, "/one");
    assert_eq!(world.workers[0].fate(id), Fate::Passed);
}

#[test]
fn a_cell_under_another_number_refuses_a_grant_and_hands_it_back() {
    let mut world = World::new(1, 100);
    // The account's cell appears, under a later number, while the lookup is under way.
    let worker = &mut world.workers[0];
    let id = worker.begin(&[("x-api-key", &key(1))], "/one");
    worker.wake_up();
    let later = Cell::fresh(account(1), LeaseNumber(u64::MAX / 2));
    for slot in 0..65_536 {
        let value = (later.to_bytes().to_vec(), 1);
        world
            .shared
            .data
            .borrow_mut()
            .insert(format!("c{slot}"), value);
    }
    world.settle();
    world.pass(100);
    let handed_back = world.plane.reports.iter().any(|report| {
        let all_is_back = report.previous.as_ref().is_some_and(|previous| {
            !previous.counters.granted.is_zero()
                && previous.counters.granted == previous.counters.returned
        });
        // Named as spent from, it would have the account's other leases set aside as lost.
        report.lease.is_none() && all_is_back
    });
    assert!(handed_back);
    world.workers[0].finish(id);
}

#[test]
fn credit_that_fits_no_cell_is_handed_back_also_after_lost_answers() {
    let mut world = World::with_config(1, 100, r#", "limits": {"cells_max": 16}"#);
    for customer in 2..=17 {
        world.plane.add_customer(customer, 100);
        world.workers[0].begin(&[("x-api-key", &key(customer))], "/five");
        world.settle();
    }
    // Sixteen cells are in use. What the seventeenth account is lent goes back.
    world.plane.unheard = Some("/sync");
    let id = world.get(0, "/five");
    assert_eq!(world.workers[0].refusal(id), (503, "capacity".into()));
    world.pass(3_000);
    assert_ne!(world.plane.first().outstanding(), 0);
    world.plane.unheard = None;
    world.pass(3_000);
    assert_eq!(world.plane.first().outstanding(), 0);
    assert_eq!(world.workers[0].count(Metric::OrphansDropped), 0);
}

#[test]
fn a_lost_cell_that_the_control_plane_asks_for_is_reported_lost() {
    let mut world = World::new(1, 100);
    world.get_and_end(0, "/one", 200);
    world.pass(1_600);
    let lost = world.shared.cell().lease;
    world.shared.erase_cells();
    world.plane.overdue.push(account(1));
    world.pass(5_000);
    assert_eq!(world.plane.first().leases[&lost.0].phase, Phase::Closed);
    assert_eq!(world.plane.first().leases.len(), 2);
}

#[test]
fn a_push_that_came_before_the_cell_was_there_is_heard_all_the_same() {
    let mut world = World::new(1, 100);
    let worker = &mut world.workers[0];
    let id = worker.begin(&[("x-api-key", &key(1))], "/one");
    worker.wake_up();
    let calls = worker.take_calls();
    let now_ms = worker.now_ms();
    let (resolve, others): (Vec<_>, Vec<_>) = calls
        .into_iter()
        .partition(|call| call.path.ends_with("resolve"));
    let answer = world.plane.answer(&resolve[0], now_ms).unwrap();
    others
        .into_iter()
        .for_each(|call| world.workers[0].put_back(call));
    world.plane.change(|account| {
        account.block = Some(creditgate_core::protocol::Block::CustomerSuspended)
    });
    world.settle();
    world.workers[0].deliver(resolve[0].token, &answer);
    world.pass(40);
    assert_eq!(
        world.workers[0].fate(id),
        Fate::Passed,
        "it was decided before"
    );
    let next = world.get(0, "/one");
    assert_eq!(
        world.workers[0].refusal(next),
        (403, "customer_suspended".into())
    );
}
