//! The standard libraries of the wasm targets.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::lock;
use crate::command;

/// What the filter is compiled for: environment, monotonic clock and randomness come from WASI.
pub(crate) const FILTER: &str = "wasm32-wasip1";
/// What core's tests are compiled for, to run them in a second wasm engine.
pub(crate) const CORE: &str = "wasm32-unknown-unknown";

/// Adds the targets that the toolchain lacks.
pub(crate) fn get(targets: &[&'static str]) -> Result<()> {
    if missing(targets)?.is_empty() {
        return Ok(());
    }
    let _lock = lock()?;
    let missing = missing(targets)?;
    if missing.is_empty() {
        return Ok(());
    }
    if command::on_path("rustup").is_none() {
        bail!(
            "the Rust toolchain lacks {} and there is no rustup to add it. \
             Get rustup: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh",
            missing.join(" and ")
        );
    }
    println!("    getting the Rust target {}", missing.join(" and "));
    command::run(
        Command::new("rustup")
            .args(["target", "add"])
            .args(&missing)
            .current_dir(crate::workspace::root()),
    )
}

/// Asks the compiler rather than rustup, so that a distribution's toolchain that has the target is good enough.
fn missing(targets: &[&'static str]) -> Result<Vec<&'static str>> {
    let mut missing = Vec::new();
    for target in targets {
        let directory = command::answer("rustc", &["--print", "target-libdir", "--target", target])
            .with_context(|| format!("rustc does not know the target {target}; rustup update"))?;
        let libraries = Path::new(&directory)
            .read_dir()
            .map(Iterator::count)
            .unwrap_or(0);
        if libraries == 0 {
            missing.push(*target);
        }
    }
    Ok(missing)
}
