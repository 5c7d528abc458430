//! Every reason code that is documented is the reason of something.

use std::collections::BTreeSet;

use creditgate_ledger::ReasonCode;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::batches::{in_memory, recorded};
use crate::history::act;

/// Histories that are looked through, at most.
const HISTORIES_MAX: usize = 2_000;

#[test]
fn every_reason_code_is_reached() {
    let known = ReasonCode::ALL.iter().map(|(code, ..)| *code);
    let mut missing: BTreeSet<ReasonCode> = known.collect();
    let mut runner = TestRunner::deterministic();
    let acts = proptest::collection::vec(act(), 60..120);
    for _ in 0..HISTORIES_MAX {
        let acts = acts.new_tree(&mut runner).unwrap().current();
        let (came, _) = in_memory(&recorded(acts).moments, 1);
        for entry in came.entries {
            missing.remove(&entry.reason);
        }
        if missing.is_empty() {
            break;
        }
    }
    assert_eq!(missing, BTreeSet::new());
}
