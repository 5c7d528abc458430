//! Ten thousand schedules, each from its seed, and the defects that they find.
//!
//! `SEED=7 cargo nextest run -p creditgate-simulation --no-capture replay` shows one schedule's
//! trace; `FAULTS=…` leaves out faults as a failure says.

use creditgate_core::defects::Defect;
use creditgate_simulation::{Options, Tally};

/// Schedules in one test; the tests run side by side.
const SCHEDULES: u64 = 1_250;
/// Schedules of [`Options::gentle`].
const GENTLE_SCHEDULES: u64 = 1_000;
/// Within so many seeds each defect must show.
const DEFECT_SEEDS: u64 = 200;
/// Lines of a trace that are printed of a failure: its end.
const TRACE_LINES: usize = 400;

fn run_part(part: u64) {
    let mut sum = Tally::default();
    for seed in part * SCHEDULES..(part + 1) * SCHEDULES {
        match creditgate_simulation::run_and_explain(Options::seed(seed)) {
            Ok(tally) => sum.add(&tally),
            Err(mut failure) => {
                let skipped = failure.trace.len().saturating_sub(TRACE_LINES);
                failure.trace.drain(..skipped);
                panic!("seed {seed}\n{failure}");
            }
        }
    }
    println!("{SCHEDULES} schedules: {sum:?}");
    assert!(
        sum.admitted > 0
            && sum.offline > 0
            && sum.refused > 0
            && sum.quarantines > 0
            && sum.turns > 0,
        "the schedules are too tame: {sum:?}"
    );
}

macro_rules! parts {
    ($($name:ident: $part:literal),*) => {
        $(#[test]
        fn $name() {
            run_part($part);
        })*
    };
}

parts! {
    schedules_keep_every_invariant_part_0: 0,
    schedules_keep_every_invariant_part_1: 1,
    schedules_keep_every_invariant_part_2: 2,
    schedules_keep_every_invariant_part_3: 3,
    schedules_keep_every_invariant_part_4: 4,
    schedules_keep_every_invariant_part_5: 5,
    schedules_keep_every_invariant_part_6: 6,
    schedules_keep_every_invariant_part_7: 7
}

/// What a false alarm costs: credit set aside for as long as the policy says. Where processes
/// keep their memory, there is none, whatever the network and the operators do.
#[test]
fn nothing_is_quarantined_while_nothing_is_lost() {
    for seed in 0..GENTLE_SCHEDULES {
        if let Err(failure) = creditgate_simulation::run_and_explain(Options::gentle(seed)) {
            panic!("seed {seed}\n{failure}");
        }
    }
}

#[test]
fn replay() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let Some(seed) = number("SEED") else { return };
    let faults = number("FAULTS")
        .and_then(|faults| u32::try_from(faults).ok())
        .unwrap_or(u32::MAX);
    let (outcome, trace) = creditgate_simulation::play(Options {
        faults,
        trace: true,
        ..Options::seed(seed)
    });
    println!("{}\n{outcome:?}", trace.join("\n"));
    assert!(outcome.is_ok(), "seed {seed}: {outcome:?}");
}

/// The simulation finds the defect, and passes the same seeds without it.
fn is_found(defect: Defect) {
    let mut found = Vec::new();
    for seed in 0..DEFECT_SEEDS {
        let defective = Options {
            defect: Some(defect),
            ..Options::seed(seed)
        };
        if let Err(failure) = creditgate_simulation::run(defective) {
            let sound =
                creditgate_simulation::run(Options::seed(seed)).map_err(|failure| failure.broken);
            assert!(
                sound.is_ok(),
                "seed {seed} fails without the defect too: {sound:?}"
            );
            found.push((seed, failure.broken));
        }
    }
    let (first, broken) = found
        .first()
        .unwrap_or_else(|| panic!("{defect:?} stayed hidden for {DEFECT_SEEDS} seeds"));
    println!(
        "{defect:?}: found by {} of {DEFECT_SEEDS} seeds, first by {first}: {broken}",
        found.len()
    );
}

#[test]
fn a_lease_reclaimed_by_time_out_is_found() {
    is_found(Defect::ReclaimedByTimeOut);
}

#[test]
fn delta_reports_are_found() {
    is_found(Defect::DeltaReports);
}

#[test]
fn a_lost_cell_that_keeps_its_lease_number_is_found() {
    is_found(Defect::LostCellKeepsNumber);
}

#[test]
fn a_stale_flag_applied_over_a_newer_one_is_found() {
    is_found(Defect::StaleFlagApplied);
}

#[test]
fn an_allowance_of_each_lease_is_found() {
    is_found(Defect::AllowanceOfEachLease);
}
