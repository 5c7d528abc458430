//! The filter, compiled for the gateway, and its size limit.

mod exports;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::tools::rust_target;
use crate::{command, workspace};

/// Every worker of every gateway compiles and holds the module, so its size is a promise.
///
/// Much of it is what a fixed price would not need: readers of JSON and event streams for usage, the terms of
/// rate cards and of customers' own prices, answers that are paid for while they pass, usage detail, outages.
const SIZE_MAX_BYTES: usize = 950_000;

/// What the proxy calls with a piece of an answer, and the filter's own function that it is to call in its place:
/// see `plugin/src/throttle.rs`.
const ON_RESPONSE_BODY: [&str; 2] = ["proxy_on_response_body", "creditgate_on_response_body"];

/// What is built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    /// What people run.
    Shipped,
    /// With a request that traps the VM, for the test of what a trap harms. Never shipped.
    Trapping,
}

/// Builds the filter and tells its size.
///
/// # Errors
/// It does not compile, or the shipped one is too large.
pub(crate) fn build(variant: Variant) -> Result<PathBuf> {
    rust_target::get(&[rust_target::FILTER])?;
    let mut cargo = command::cargo("build");
    cargo.args([
        "--package",
        "creditgate-plugin",
        "--lib",
        "--target",
        rust_target::FILTER,
    ]);
    // A folder for each variant: both have the same file name, and cargo, which tells features apart by other means,
    // would take one for the other.
    let profile = match variant {
        Variant::Shipped => "filter",
        Variant::Trapping => {
            cargo.args(["--features", "test-trap"]);
            // Its size is of no interest, so the slow optimisations are left out.
            for setting in [
                "inherits='filter'",
                "opt-level=1",
                "lto=false",
                "codegen-units=16",
            ] {
                cargo
                    .arg("--config")
                    .arg(format!("profile.filter-trap.{setting}"));
            }
            "filter-trap"
        }
    };
    command::run(cargo.args(["--profile", profile]))?;

    let folder = workspace::target().join(rust_target::FILTER).join(profile);
    let built = folder.join("creditgate_plugin.wasm");
    let linked = fs::read(&built).with_context(|| format!("cargo built no {}", built.display()))?;
    let [theirs, own] = ON_RESPONSE_BODY;
    let finished = exports::replaced(&linked, theirs, own)?;
    let module = folder.join("creditgate.wasm");
    fs::write(&module, &finished)
        .with_context(|| format!("could not write {}", module.display()))?;
    let size = finished.len();
    println!("    {}: {size} bytes", module.display());
    ensure!(
        variant == Variant::Trapping || size < SIZE_MAX_BYTES,
        "the filter has {size} bytes; it must stay below {SIZE_MAX_BYTES}"
    );
    Ok(module)
}

/// Builds the filter that does nothing, for the benchmark.
///
/// # Errors
/// It does not compile.
pub(crate) fn build_idle() -> Result<PathBuf> {
    rust_target::get(&[rust_target::FILTER])?;
    let arguments = [
        "--package",
        "creditgate-idle-filter",
        "--target",
        rust_target::FILTER,
        "--profile",
        "filter",
    ];
    command::run(command::cargo("build").args(arguments))?;
    let module = workspace::target()
        .join(rust_target::FILTER)
        .join("filter")
        .join("creditgate_idle_filter.wasm");
    ensure!(module.is_file(), "cargo built no {}", module.display());
    Ok(module)
}
