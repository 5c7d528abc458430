//! Everything that is tested, in the order in which a failure costs least.
//!
//! The end-to-end tests do not build anything: they are told by environment variables what to run. Each of them
//! fails, naming the command, when it is started without them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::stages::Stages;
use crate::tools::{Tools, rust_target};
use crate::{command, control_plane, wasm, workspace};

/// All stages; `for_nextest` goes to cargo-nextest.
pub(crate) fn everything(stages: &mut Stages, for_nextest: &[String]) -> Result<()> {
    let tools = Tools::get(stages)?;
    let passed = stages.run("core in a second wasm engine", || core_on_node(&tools))?;
    stages.count(format!(
        "core in a second wasm engine: {passed} tests passed (wasm-bindgen-test)"
    ));
    let built = Built::build(stages)?;
    stages.run("examples in the documentation", || {
        command::run(command::cargo("test").args(["--workspace", "--doc", "--quiet"]))
    })?;
    nextest(stages, &tools, &built, &ALL, for_nextest)?;
    if for_nextest.is_empty() {
        nextest(stages, &tools, &built, &OLDEST_ENVOY, &[])?;
    }
    Ok(())
}

/// Only what starts real Envoys, and the simulation.
pub(crate) fn end_to_end(stages: &mut Stages, for_nextest: &[String]) -> Result<()> {
    let tools = Tools::get(stages)?;
    let built = Built::build(stages)?;
    nextest(stages, &tools, &built, &END_TO_END, for_nextest)
}

/// The end-to-end tests that `for_nextest` names, or all that are run with the oldest Envoy.
pub(crate) fn oldest_envoy(stages: &mut Stages, for_nextest: &[String]) -> Result<()> {
    let tools = Tools::get(stages)?;
    let built = Built::build(stages)?;
    nextest(stages, &tools, &built, &OLDEST_ENVOY, for_nextest)
}

/// One run of cargo-nextest.
struct Run {
    stage: &'static str,
    /// Its profile, which has a report of its own.
    profile: &'static str,
    /// What is run, unless its arguments name packages.
    which: &'static [&'static str],
    is_oldest_envoy: bool,
}

const ALL: Run = Run {
    stage: "tests",
    profile: "default",
    which: &["--workspace"],
    is_oldest_envoy: false,
};

const END_TO_END: Run = Run {
    which: &[
        "--package",
        "creditgate-tests",
        "--package",
        "creditgate-simulation",
    ],
    ..ALL
};

/// Which tests those are the profile says, in `.config/nextest.toml`. Of the whole workspace, as in [`ALL`]: with fewer
/// packages cargo would turn on fewer features of their dependencies, and so build all of them once more.
const OLDEST_ENVOY: Run = Run {
    stage: "tests with the oldest Envoy",
    profile: "oldest-envoy",
    is_oldest_envoy: true,
    ..ALL
};

/// What the end-to-end tests run.
struct Built {
    filter: PathBuf,
    trapping_filter: PathBuf,
    control_plane: PathBuf,
}

impl Built {
    fn build(stages: &mut Stages) -> Result<Self> {
        Ok(Self {
            filter: stages.run("build the filter", || wasm::build(wasm::Variant::Shipped))?,
            trapping_filter: stages.run("build the trapping filter", || {
                wasm::build(wasm::Variant::Trapping)
            })?,
            control_plane: stages.run("build the control plane", control_plane::for_tests)?,
        })
    }
}

/// Runs core's tests compiled to wasm, on Node; returns how many passed.
fn core_on_node(tools: &Tools) -> Result<u64> {
    let mut cargo = command::cargo("test");
    // Documentation examples are tested on the host.
    cargo.args([
        "--package",
        "creditgate-core",
        "--target",
        rust_target::CORE,
        "--lib",
        "--tests",
    ]);
    cargo.env(
        "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER",
        &tools.wasm_bindgen_test_runner,
    );
    // The runner starts whatever is called `node`.
    let node = tools.node.parent().map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(node.into_iter().chain(std::env::split_paths(&path)))
        .context("a folder on PATH has a colon in its name")?;
    cargo.env("PATH", path);
    let mut passed = 0;
    command::run_seeing(&mut cargo, |line| passed += passed_in(line).unwrap_or(0))?;
    ensure!(
        passed > 0,
        "no test of creditgate-core ran on {}: are they marked #[wasm_bindgen_test]?",
        rust_target::CORE
    );
    Ok(passed)
}

/// `test result: ok. 12 passed; 0 failed; …` → 12.
fn passed_in(line: &str) -> Option<u64> {
    let result = line.trim_start().strip_prefix("test result:")?;
    result
        .split_once(" passed")?
        .0
        .split_whitespace()
        .next_back()?
        .parse()
        .ok()
}

fn nextest(
    stages: &mut Stages,
    tools: &Tools,
    built: &Built,
    run: &Run,
    for_nextest: &[String],
) -> Result<()> {
    // The count of an earlier run must not be taken for this one's.
    let report = workspace::target()
        .join("nextest")
        .join(run.profile)
        .join("junit.xml");
    let _ = std::fs::remove_file(&report);
    let outcome = stages.run(run.stage, || {
        let mut command = Command::new(&tools.nextest);
        command::clean(&mut command);
        // Whoever names packages means these, not all.
        let named = for_nextest
            .iter()
            .any(|argument| argument == "-p" || argument.starts_with("--package"));
        command
            .args(["nextest", "run", "--profile", run.profile])
            .args(if named { &[] } else { run.which })
            .args(for_nextest);
        let envoy = match run.is_oldest_envoy {
            true => &tools.oldest_envoy,
            false => &tools.envoy,
        };
        command.env("ENVOY_BIN", envoy);
        command.env("CREDITGATE_WASM", &built.filter);
        command.env("CREDITGATE_WASM_TRAP", &built.trapping_filter);
        command.env("CREDITGATE_BIN", &built.control_plane);
        command.env("CREDITGATE_NODE", &tools.node);
        command.env("CREDITGATE_WEBHOOK_VERIFIERS", &tools.webhook_verifiers);
        command::run(command.current_dir(workspace::root()))
    });
    if let Some(count) = std::fs::read_to_string(&report)
        .ok()
        .as_deref()
        .and_then(count_in)
    {
        stages.count(format!("{}: {count}", run.stage));
    }
    outcome
}

/// The count in a JUnit report, as a line for people.
fn count_in(report: &str) -> Option<String> {
    let head = report.split_once("<testsuites ")?.1.split_once('>')?.0;
    let number = |name: &str| -> Option<u64> {
        head.split_once(&format!(" {name}=\""))?
            .1
            .split_once('"')?
            .0
            .parse()
            .ok()
    };
    let (run, failed) = (
        number("tests")?,
        number("failures")?.checked_add(number("errors")?)?,
    );
    let passed = run.checked_sub(failed)?;
    Some(format!(
        "{run} run, {passed} passed, {failed} failed (cargo-nextest)"
    ))
}

#[cfg(test)]
mod tests {
    use super::{count_in, passed_in};

    #[test]
    fn the_count_of_a_wasm_run_is_read_from_its_result_line() {
        assert_eq!(
            passed_in("test result: ok. 12 passed; 0 failed; 0 ignored; finished in 0.03s"),
            Some(12)
        );
        assert_eq!(
            passed_in("test result: FAILED. 7 passed; 1 failed"),
            Some(7)
        );
        assert_eq!(passed_in("test cell::admits ... ok"), None);
    }

    #[test]
    fn the_count_of_a_nextest_run_is_read_from_its_report() {
        let report = "<?xml version=\"1.0\"?>\n<testsuites name=\"nextest-run\" tests=\"9\" failures=\"1\" errors=\"1\" uuid=\"x\">\n\
                      <testsuite name=\"other\" tests=\"2\" failures=\"0\" errors=\"0\">";
        assert_eq!(
            count_in(report).as_deref(),
            Some("9 run, 7 passed, 2 failed (cargo-nextest)")
        );
        assert_eq!(count_in("<testsuites>"), None);
    }
}
