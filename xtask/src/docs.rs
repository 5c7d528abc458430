//! The references under `docs/reference`, generated from the code that they describe.
//!
//! The generator is a package of its own: it links both halves of Creditgate, which xtask
//! must not need in order to start.

use anyhow::Result;

use crate::command;

/// Writes those that changed.
pub(crate) fn write() -> Result<()> {
    command::run(generator().args(["--"]))
}

/// Fails if one of them no longer says what the code does.
pub(crate) fn check() -> Result<()> {
    command::run(generator().args(["--", "--check"]))
}

fn generator() -> std::process::Command {
    let mut cargo = command::cargo("run");
    cargo.args(["--quiet", "--package", "creditgate-docs"]);
    cargo
}
