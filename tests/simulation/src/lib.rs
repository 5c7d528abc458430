//! The whole protocol in virtual time, from a seed: real cells, the real ledger, everything
//! else small enough to be harmed at will.
//!
//! A schedule runs gateways with several workers against the control plane's own commands
//! over storage in memory. Messages are lost, doubled and overtaken; processes, workers and
//! cells vanish; lots expire, operators interfere. After each step an independent auditor
//! (`auditor`) holds what was booked against what really happened. At the end faults stop,
//! and everything that can be paid must be.

mod allowance;
mod auditor;
mod control_plane;
mod ending;
mod gateway;
mod judging;
mod lots;
mod mischief;
mod network;
mod options;
mod random;
mod reporting;
mod world;

pub use options::{Fault, Options};
pub use world::Tally;

use std::fmt;

use creditgate_core::defects;
use world::World;

/// A schedule that broke something.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What did not hold.
    pub broken: String,
    /// Its seed and the faults it needs.
    pub options: Options,
    /// What happened, if it was traced.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let needed: Vec<String> = Fault::ALL
            .iter()
            .filter(|fault| self.options.allows(**fault))
            .map(|fault| format!("{fault:?}"))
            .collect();
        for line in &self.trace {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "{}", self.broken)?;
        writeln!(f, "faults that it takes: {}", needed.join(", "))?;
        write!(
            f,
            "replay: SEED={} FAULTS={} cargo nextest run -p creditgate-simulation --no-capture replay",
            self.options.seed, self.options.faults
        )
    }
}

/// Runs one schedule.
///
/// # Errors
/// The first thing that did not hold.
pub fn run(options: Options) -> Result<Tally, Box<Failure>> {
    let (outcome, trace) = play(options);
    outcome.map_err(|broken| {
        Box::new(Failure {
            broken,
            options,
            trace,
        })
    })
}

/// Runs one schedule and keeps its trace, whatever comes of it.
pub fn play(options: Options) -> (Result<Tally, String>, Vec<String>) {
    defects::plant(options.defect);
    let played = match World::new(options) {
        Err(broken) => (Err(broken), Vec::new()),
        Ok(mut world) => {
            let outcome = world
                .play()
                .map_err(|broken| format!("at {} ms: {broken}", world.now_ms));
            (outcome.map(|()| world.tally), world.trace)
        }
    };
    defects::plant(None);
    played
}

/// Runs a schedule; if it fails, leaves out every fault that the failure does not need and
/// traces what remains.
///
/// # Errors
/// The failure, as small as that makes it.
pub fn run_and_explain(options: Options) -> Result<Tally, Box<Failure>> {
    run(options).map_err(|mut least| {
        for fault in Fault::ALL {
            let faults = least.options.faults & !(fault as u32);
            if let Err(smaller) = run(Options {
                faults,
                ..least.options
            }) {
                least = smaller;
            }
        }
        least.trace = play(Options {
            trace: true,
            ..least.options
        })
        .1;
        least
    })
}
