//! The stages of a long verb, each with the seconds it took: people see where their time goes, and what to repeat.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// What has been done so far, and what was counted.
#[derive(Default)]
pub(crate) struct Stages {
    done: Vec<Done>,
    counts: Vec<String>,
}

struct Done {
    name: &'static str,
    took: Duration,
    passed: bool,
}

impl Stages {
    /// Does `work` stage by stage, and closes with the table of seconds and the counts, also when a stage failed.
    pub(crate) fn report(work: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let mut stages = Self::default();
        let outcome = work(&mut stages);
        stages.print();
        outcome
    }

    /// Does one stage.
    ///
    /// # Errors
    /// The stage's own, with its name.
    pub(crate) fn run<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        println!("==> {name}");
        let started = now();
        let outcome = work();
        let took = now().duration_since(started);
        println!("<== {name}: {:.1} s", took.as_secs_f64());
        self.done.push(Done {
            name,
            took,
            passed: outcome.is_ok(),
        });
        outcome.with_context(|| format!("stage `{name}`"))
    }

    /// Keeps a test runner's count for the end.
    pub(crate) fn count(&mut self, line: String) {
        self.counts.push(line);
    }

    fn print(&self) {
        println!();
        for stage in &self.done {
            let failed = if stage.passed { "" } else { "  FAILED" };
            println!(
                "{:>8.1} s  {}{failed}",
                stage.took.as_secs_f64(),
                stage.name
            );
        }
        let total: Duration = self.done.iter().map(|stage| stage.took).sum();
        println!("{:>8.1} s  in all", total.as_secs_f64());
        for line in &self.counts {
            println!("{line}");
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "xtask is a shell, and shows people how long they waited"
)]
fn now() -> Instant {
    Instant::now()
}
